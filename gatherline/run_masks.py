"""The samples of masks that are of the run in the same folder: its model, its seed, its layers and levels.

Files are copied, and folders written over; what is not of the run is left out and told. Left out: comparing the masks
themselves, which a run does not keep.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gatherline.mask_samples import FILE, MaskSample, read_masks
from gatherline.report.selection import RowLike, Variant, number, printable, text, variant
from gatherline.report_file import Written

_PATTERNS = ("pattern", "layer_pattern")
_SHARED = ("layer_pattern", "m", "k", "groups")  # fields of a sample that a row has too
_SAME = 1e-9  # how far densities lie apart that count the same weights


@dataclass(frozen=True, slots=True, kw_only=True)
class RunMasks:
    """Samples of a run; ``notes``: what of the file is left out, and why."""

    samples: tuple[MaskSample, ...] = ()
    notes: tuple[str, ...] = ()


def masks_of(folder: Path, written: Written) -> RunMasks:
    """Return the samples in ``folder`` that are of the run ``written`` there. Raises what ``read_masks`` raises."""
    found = read_masks(folder)
    if found is None:
        return RunMasks()
    for what, name, theirs in (("model", "model_hash", found.model_hash), ("seed", "seed", found.seed)):
        ours = written.manifest.get(name)
        if theirs is None or theirs != ours:
            says, runs = (printable(str(one))[:16] for one in (theirs, ours))
            other = f"is of another {what}: it says {name} {says}, and the run {runs}"
            why = f"does not say its {name}" if theirs is None else other
            return RunMasks(notes=(f"{FILE} {why}. It is not shown.",))
    rows = {(row["layer"], variant(row)): row for row in written.rows}
    smaller = {variant(row) for row in written.rows if any("channel" in text(row, name) for name in _PATTERNS)}
    own = tuple(
        sample
        for sample in found.samples
        for level in (Variant(pattern=sample.pattern, sparsity=sample.sparsity),)
        if (row := rows.get((sample.layer, level))) is not None and _is_of(sample, row, level not in smaller)
    )
    left, every = len(found.samples) - len(own), len(found.samples)
    note = f"Left out of {FILE}: {left} of {every} samples, which are of no row of this run or of another mask."
    return RunMasks(samples=own, notes=(note,) if left else ())


def _is_of(sample: MaskSample, row: RowLike, by_density: bool) -> bool:
    """Return whether a sample is of a row's matrix and rule; ``by_density``: and keeps as many weights as it says.

    Where channels went, a row's density counts the weights that went with them; then it tells nothing of the mask.
    """
    if any(row.get(name) is not None and row[name] != getattr(sample, name) for name in _SHARED):
        return False
    density = number(row, "density")
    weights = sample.groups * sample.m * sample.k
    return not by_density or density is None or abs(density - sample.kept / weights) <= _SAME
