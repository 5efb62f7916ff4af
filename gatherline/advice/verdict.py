"""From a curve to an answer: below which density a pattern beats dense, how sure that is, and if never, why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gatherline.advice.crossing import Curve, Probe, first_slower, ordered

ROUNDING = 0.05  # a step of the grid; what a rule may miss its target by without a word
Verdict = Literal["below", "always", "never", "scattered", "kept"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a curve says against the dense latency.

    ``verdict``: "below" ``density`` and at every density probed under it the pattern is faster; "always": at every
    density probed, ``density`` being the largest; "never": at none; "scattered": at some, and not at the sparsest;
    "kept": the layer is not pruned. ``best``: the probe at ``density``; ``slower_density``: the next one, where it is
    not faster any more. ``certain``: whether the error band agrees (None where there is none); ``certain_density``: the
    largest density up to which even the slow end of the band is faster.
    """

    verdict: Verdict
    best: Probe | None = None
    density: float | None = None
    slower_density: float | None = None
    certain: bool | None = None
    certain_density: float | None = None
    reason: str = ""


def answer(curve: Curve, dense: Probe) -> Answer:
    """Return what ``curve`` says. ``dense``: the same layer or network, unpruned."""
    probes = ordered(curve)
    if not probes:
        return Answer(verdict="never", reason="no weight is left at any density probed")
    at = first_slower(probes, dense.latency_s)
    faster = [probe for probe in probes if probe.latency_s < dense.latency_s]
    if at == 0:
        verdict: Verdict = "scattered" if faster else "never"
        reason = _scattered(probes, faster) if faster else _never(probes, dense)
        return Answer(verdict=verdict, certain=None if faster else _surely_slower(probes, dense), reason=reason)
    run = probes if at is None else probes[:at]
    best = run[-1]
    again = [probe for probe in faster if probe not in run]
    notes = [best.note, _again(again), _with_zeros(best, None if at is None else probes[at]), _beyond(best, dense)]
    if at is None and best.share < best.target - ROUNDING:
        notes.append(f"no mask of this pattern keeps more than {best.share:.3f} of the weights here")
    return Answer(
        verdict="always" if at is None else "below",
        best=best,
        density=best.share,
        slower_density=None if at is None else probes[at].share,
        certain=_surely_faster(best, dense),
        certain_density=_certain_density(run, dense),
        reason="; ".join(note for note in notes if note),
    )


def _surely_faster(probe: Probe, dense: Probe) -> bool | None:
    return None if probe.high_s is None else probe.high_s < dense.latency_s


def _certain_density(run: Sequence[Probe], dense: Probe) -> float | None:
    found: float | None = None
    for probe in run:
        if not _surely_faster(probe, dense):
            break
        found = probe.share
    return found


def _surely_slower(probes: Sequence[Probe], dense: Probe) -> bool | None:
    """Return whether even the fast ends are no faster; certain too where the dense kernel itself runs every mask."""
    if all(probe.latency_s == dense.latency_s and probe.kernel == dense.kernel for probe in probes):
        return True
    ends = [probe.low_s for probe in probes]
    return None if None in ends else all(end >= dense.latency_s for end in ends if end is not None)


def _never(probes: Sequence[Probe], dense: Probe) -> str:
    nearest = min(probes, key=lambda probe: probe.latency_s)
    if nearest.latency_s == dense.latency_s and nearest.kernel == dense.kernel:
        return nearest.reason or "takes as long as dense at every density probed"
    slower = nearest.latency_s / dense.latency_s
    text = f"at best {slower:.3g} times the dense latency, at density {nearest.share:.3g}"
    return "; ".join(part for part in (text, nearest.bound and f"bound by {nearest.bound}", nearest.note) if part)


def _scattered(probes: Sequence[Probe], faster: Sequence[Probe]) -> str:
    first = probes[0]
    return f"not faster at density {first.share:.3g}, the sparsest probed, and faster {_spans(faster)}"


def _with_zeros(best: Probe, slower: Probe | None) -> str:
    """Return what the mask stores where zeros of the model are in it; a density counts weights that are not zero."""
    stored = _stored(best)
    if stored == f"{best.share:.3f}":
        return ""
    text = f"stores {stored} of all places, the model's own zeros among them"
    return text if slower is None else f"{text}, and is slower where it stores {_stored(slower)}"


def _beyond(best: Probe, dense: Probe) -> str:
    """Return what the sparse time stands on beyond what the dense one does."""
    known = dense.beyond.split("; ")
    return "; ".join(part for part in best.beyond.split("; ") if part not in known)


def _stored(probe: Probe) -> str:
    return f"{probe.share if probe.mask_density is None else probe.mask_density:.3f}"


def _again(again: Sequence[Probe]) -> str:
    return f"faster again {_spans(again)}" if again else ""


def _spans(probes: Sequence[Probe]) -> str:
    ends = sorted({probe.share for probe in probes})
    many = f", {len(ends)} densities probed" if len(ends) > 2 else ""
    return f"at {ends[0]:.3g}" if len(ends) == 1 else f"within {ends[0]:.3g} to {ends[-1]:.3g}{many}"
