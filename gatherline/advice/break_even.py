"""Break-even: for a network and devices, the density below which each pattern beats dense. Rules: ADR 0022.

Solved from the models that ``simulate run`` uses: masks of the model's own weights at each density probed, the device's
own dense kernel as the other side. Compared with no measured crossing (DEVIATIONS row 15). Leaves out: budgets and
mixing patterns over layers (``budget.py``), accuracy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from costmodel.spec import RooflineDevice
from gatherline import pipeline
from gatherline.advice.crossing import Curve, Probe
from gatherline.advice.curves import Curves, Study, curves_by_layer, curves_over_network, study_of
from gatherline.advice.probing import Bench
from gatherline.advice.ratios import DEFAULT_PATTERNS, check_has_ratios, over_network, ratios_text, targets
from gatherline.advice.tolerance import LEAST_TOLERANCE, MOST_TOLERANCE, TOLERANCE
from gatherline.advice.verdict import Answer, answer
from gatherline.progress import Progress, SilentProgress
from gatherline.report.break_even_files import write_break_even
from gatherline.report.columns import TOTAL
from gatherline.report.files import report_json
from gatherline.request import RequestError, RunRequest, Target, devices_of, lower
from patterns.base import Pattern
from patterns.catalog import parse_pattern
from traces.layer import MatrixLayer, Network, UnsupportedLayer

Row = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakEvenRequest:
    """What is asked. ``run``: model, patterns, devices and options as of ``simulate run``; its sparsities stay empty.

    ``tolerance``: the largest distance of the two densities between which a crossing is said to lie.
    """

    run: RunRequest
    tolerance: float = TOLERANCE

    def __post_init__(self) -> None:
        if not LEAST_TOLERANCE <= self.tolerance <= MOST_TOLERANCE:
            rule = f"must be from {LEAST_TOLERANCE:g} to {MOST_TOLERANCE:g}"
            raise RequestError(f"tolerance is {self.tolerance:g}, and {rule}, a share of the weights")
        if not self.run.devices:
            raise RequestError("devices are none, and a break-even is of a device: name one or more")
        for name, least in (("sparsities", ()), ("ratios", "uniform"), ("match", "density"), ("level", None)):
            if getattr(self.run, name) != least:
                raise RequestError(f"{name} is {getattr(self.run, name)!r}, and a break-even searches them itself")
        for pattern in self.patterns:
            check_has_ratios(pattern)

    @property
    def patterns(self) -> tuple[Pattern, ...]:
        texts = self.run.patterns or DEFAULT_PATTERNS
        return tuple({rule.spelling: rule for rule in map(parse_pattern, texts)}.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakEven:
    """One layer under one pattern on one device, or the whole network: ``layer`` is "total", ``layer_of`` None."""

    model: str
    layer: str
    layer_of: MatrixLayer | None
    pattern: str
    device: Target
    dtype: str
    threads: int
    synthetic: bool
    dense: Probe
    answer: Answer
    curve: tuple[Probe, ...]

    def row(self) -> Row:
        """Return the columns of ``break-even.csv``."""
        layer, found, best = self.layer_of, self.answer, self.answer.best
        return {
            "model": self.model,
            "layer": self.layer,
            "kind": layer.kind if layer else TOTAL,
            "m": layer.m if layer else None,
            "k": layer.k if layer else None,
            "p": layer.p if layer else None,
            "groups": layer.groups if layer else None,
            "pattern": self.pattern,
            "ratios": ratios_text(parse_pattern(self.pattern)),
            "device": self.device.name,
            "device_kind": self.device.kind,
            "model_kind": "roofline" if isinstance(self.device, RooflineDevice) else "cycle",
            "dtype": self.dtype,
            "threads": self.threads,
            "verdict": found.verdict,
            "density": found.density,
            "mask_density": None if best is None else best.mask_density,
            "slower_density": found.slower_density,
            "sparsity_target": None if best is None else 1.0 - best.target,
            "layer_pattern": None if best is None else best.pattern,
            "latency_s": None if best is None else best.latency_s,
            "dense_latency_s": self.dense.latency_s,
            "latency_low_s": None if best is None else best.low_s,
            "latency_high_s": None if best is None else best.high_s,
            "certain": found.certain,
            "certain_density": found.certain_density,
            "kernel": None if best is None else best.kernel or None,
            "encoding": None if best is None else best.encoding or None,
            "bound": None if best is None else best.bound or None,
            "dense_kernel": self.dense.kernel or None,
            "dense_bound": self.dense.bound or None,
            "validated": self.dense.validated if best is None else best.validated,
            "extrapolated": any(probe.extrapolated for probe in self.curve),
            "synthetic": self.synthetic,
            "reason": found.reason or None,
        }

    def points(self) -> list[Row]:
        """Return the curve that was probed, by rising target."""
        return [
            {
                "target": probe.target,
                "density": probe.density,
                "mask_density": probe.mask_density,
                "pattern": probe.pattern,
                "latency_s": probe.latency_s,
                "latency_low_s": probe.low_s,
                "latency_high_s": probe.high_s,
                "faster": probe.latency_s < self.dense.latency_s,
            }
            for probe in self.curve
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakEvenReport:
    """The answers, by device, pattern and layer in the network's order, the total first."""

    manifest: dict[str, object]
    answers: tuple[BreakEven, ...]

    @property
    def rows(self) -> list[Row]:
        """Return one row for each answer, in their order."""
        return [found.row() for found in self.answers]

    def of(self, layer: str, pattern: str, device: str) -> BreakEven:
        """Return one answer; ``layer`` "total" is the network. Raises KeyError."""
        for found in self.answers:
            if (found.layer, found.pattern, found.device.name) == (layer, pattern, device):
                return found
        raise KeyError(f"no answer for layer {layer}, pattern {pattern}, device {device}")

    def to_json(self) -> str:
        """Return what ``--json`` prints: schema, manifest, and the rows with the curves that were probed."""
        return report_json(self.manifest, [{**found.row(), "curve": found.points()} for found in self.answers])

    def write(self, folder: str | Path) -> list[Path]:
        """Write break-even.csv, break-even.json and a plot for each device; return the files. Raises OSError."""
        return write_break_even(Path(folder), self.to_json(), self.rows)

    def __repr__(self) -> str:
        return f"BreakEvenReport({len(self.answers):,} answers)"

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        from gatherline.report.break_even_table import print_break_even
        from gatherline.report.notebook import page

        return page(lambda console: print_break_even(self.rows, self.manifest, console))


class AdviceInterrupted(KeyboardInterrupt):
    """Ctrl-C after some patterns were done: ``report`` holds them, and is marked not complete."""

    def __init__(self, report: BreakEvenReport) -> None:
        super().__init__()
        self.report = report


def break_even(
    request: BreakEvenRequest, progress: Progress | None = None, *, network: Network | None = None
) -> BreakEvenReport:
    """Return the break-even densities of a network's layers and of the whole.

    Ctrl-C raises AdviceInterrupted with the patterns that are done. Raises what ``simulate run`` raises for the same
    model, patterns, devices and options, all of it ValueError.
    """
    devices = devices_of(request.run)
    network = network if network is not None else lower(request.run)
    study = study_of(network, Bench(request=request.run, devices=devices), request.tolerance)
    manifest = {**pipeline.manifest(request.run, network, devices), "tolerance": request.tolerance}
    found: dict[Pattern, Curves] = {}
    try:
        _search(study, request.patterns, progress or SilentProgress(), found)
    except KeyboardInterrupt:
        if not found:
            raise
        report = BreakEvenReport(manifest={**manifest, "complete": False}, answers=_all_answers(study, found))
        raise AdviceInterrupted(report) from None
    return BreakEvenReport(manifest={**manifest, "complete": True}, answers=_all_answers(study, found))


def solve(study: Study, patterns: Sequence[Pattern]) -> tuple[BreakEven, ...]:
    """Return the answers of a study, by device, pattern and layer. Raises RequestError where no layer is pruned."""
    found: dict[Pattern, Curves] = {}
    _search(study, patterns, SilentProgress(), found)
    return _all_answers(study, found)


def _search(study: Study, patterns: Sequence[Pattern], shown: Progress, found: dict[Pattern, Curves]) -> None:
    """Put the curves of each pattern into ``found`` as they are done."""
    if not study.pruned:
        raise RequestError(
            f"model {study.network.name}: none of its {len(study.network.matrix_layers)} layers with weights is "
            f"pruned by default; --all prunes them"
        )
    shown.start(sum(_steps(study, pattern) for pattern in patterns), study.network.name)
    try:
        for pattern in patterns:
            found[pattern] = (curves_over_network if over_network(pattern) else curves_by_layer)(study, pattern, shown)
    finally:
        shown.stop()


def _steps(study: Study, pattern: Pattern) -> int:
    return 1 + (len(targets(pattern)) if over_network(pattern) else len(study.pruned))


def _all_answers(study: Study, found: Mapping[Pattern, Curves]) -> tuple[BreakEven, ...]:
    return tuple(
        one
        for number in study.numbers
        for pattern, curves in found.items()
        for one in _answers(study, pattern, curves, number)
    )


def _answers(study: Study, pattern: Pattern, curves: Curves, number: int) -> list[BreakEven]:
    """Return the answers of one pattern on one device: the total, then the layers in the network's order."""
    request, device = study.bench.request, study.bench.devices[number]
    layers = {layer.name: layer for layer in study.network.matrix_layers}
    found = {name: _answer(study, curves, name, number) for name in (TOTAL, *layers)}
    found[TOTAL] = _told(study, found[TOTAL], [found[layer.name] for layer in study.pruned])
    return [
        BreakEven(
            model=study.network.name,
            layer=name,
            layer_of=layers.get(name),
            pattern=pattern.spelling,
            device=device,
            dtype=request.dtype,
            threads=request.threads if device.kind in ("mobile_cpu", "cpu") else 1,
            synthetic=study.network.synthetic,
            dense=study.dense[name, number],
            answer=what,
            curve=_sorted(curves.get((name, number), {})),
        )
        for name, what in found.items()
    ]


def _answer(study: Study, curves: Curves, name: str, number: int) -> Answer:
    if name in study.kept:
        return Answer(verdict="kept", reason=study.kept[name])
    return answer(curves[name, number], study.dense[name, number])


def _sorted(curve: Curve) -> tuple[Probe, ...]:
    return tuple(curve[target] for target in sorted(curve))


def _told(study: Study, whole: Answer, layers: Sequence[Answer]) -> Answer:
    """Return the network's answer with how many layers are never faster and mostly why, and what is not counted."""
    never = [layer.reason for layer in layers if layer.verdict == "never"]
    notes = [] if len(never) == len(layers) else [whole.reason]
    if never:
        reason, times = Counter(never).most_common(1)[0]
        text = f"{len(never)} of {len(layers)} pruned layers are never faster"
        notes.append(text + (f" ({times} of them: {reason})" if times > 1 else f" ({reason})"))
    unsupported = [layer for layer in study.network.layers if isinstance(layer, UnsupportedLayer)]
    if unsupported:
        named = ", ".join(f"{layer.op} ({layer.name})" for layer in unsupported)
        notes.append(f"not counted, unsupported: {named}")
    return replace(whole, reason="; ".join(note for note in notes if note))
