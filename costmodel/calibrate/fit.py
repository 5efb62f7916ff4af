"""From measured rows to a kernel of measured cost, and its error on matrices that the fit never saw.

Every cost is a time that cannot be negative, so the fit is non-negative least squares on relative errors, reweighted
towards the smallest sum of absolute ones, which a row that another tenant disturbed moves less. An outer memory level
costs at least what an inner one does. Leaves out: any choice of terms by the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from costmodel.calibrate.errors import Errors, errors
from costmodel.calibrate.table import Measurement
from costmodel.measured import MeasuredKernel, Range, Regime, counts
from costmodel.spec import VALUE_BYTES, MemoryLevel

Floats = npt.NDArray[np.float64]
HELD_OUT = 3  # one matrix of three is left out of the fit
BLOCK_POSITIONS, VECTOR_POSITIONS = 32, 8  # how compiled loops over positions are cut: vectors, four of them at a time
_DENSE_TERMS = ("call_s", "element_s", "mac_s", "input_s", "output_s")
_SPARSE_TERMS = ("call_s", "row_s", "slot_s", "vector_s", "single_s")
_SCANNED = ("bitmap",)  # encodings that look at every element
_DENSE_ENDS, _SPARSE_ENDS = (1, 15, None), (1, None)  # a matrix times a vector, a few positions, the packed product
_ANY = (
    "unstructured", "bank_balanced", "filter_balanced", "block", "block_punched", "kernel_pattern", "n_of_m",
    "n_of_m_both", "gs", "gs_scatter",
)  # fmt: skip
SERVES: dict[str, tuple[str, ...]] = {
    "dense": (),
    "bsr": ("block",),
    "gs": ("gs", "gs_scatter"),
    "n_of_m": ("n_of_m",),
    "csr": _ANY,
    "ell": _ANY,
    "bitmap": _ANY,
    "run_length": _ANY,
}
KINDS = ("conv2d", "conv1d", "linear", "lstm_input", "lstm_hidden", "gru_input", "gru_hidden")


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedKernel:
    """A kernel, the matrices (m, k) that its fit saw, and its errors on them and on the others."""

    kernel: MeasuredKernel
    fitted: tuple[tuple[int, int], ...]
    held_out: tuple[tuple[int, int], ...]
    fitted_errors: Errors
    held_out_errors: Errors


def split(matrices: Sequence[tuple[int, int]], seed: int) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Return the matrices to fit and those to hold out, a third drawn by ``seed``, never the smallest and largest.

    Empty halves where there are fewer than three matrices.
    """
    ordered = sorted(set(matrices), key=lambda matrix: (matrix[0] * matrix[1], matrix))
    if len(ordered) < 3:
        return (), ()
    inner = ordered[1:-1]
    drawn = np.random.default_rng(seed).permutation(len(inner))[: max(1, round(len(ordered) / HELD_OUT))]
    held = tuple(inner[at] for at in sorted(drawn))
    return tuple(matrix for matrix in ordered if matrix not in held), held


def fit_kernel(rows: Sequence[Measurement], levels: Sequence[MemoryLevel], seed: int) -> FittedKernel | None:
    """Return the kernel that ``rows`` (all of one kernel, one thread) show; None for fewer than three matrices."""
    seen, held = split([(row.m, row.k) for row in rows], seed)
    training = [row for row in rows if (row.m, row.k) in seen]
    test = [row for row in rows if (row.m, row.k) in held]
    if not training or not test:
        return None
    dense = rows[0].family == "dense" and not rows[0].kernel.startswith("numba")
    ends = _DENSE_ENDS if dense else _SPARSE_ENDS
    regimes, last = [], 0
    for end in ends:
        inside = [row for row in training if row.p > last and (end is None or row.p <= end)]
        if inside:
            regimes.append(Regime(positions=end, costs=_costs(inside, levels, dense=dense)))
        last = end or last
    if not regimes or regimes[-1].positions is not None:
        return None
    family = rows[0].family
    kernel = MeasuredKernel(
        name=rows[0].kernel,
        runtime=rows[0].kernel.partition("-")[0],
        encoding=family,
        serves=SERVES[family],
        kinds=(*KINDS, "product") if family == "dense" else KINDS,
        dtypes=("fp32",),
        unit="vector",
        efficiency=1.0,
        index_bytes=2 if rows[0].kernel.startswith("numba") else 4,
        block_positions=BLOCK_POSITIONS,
        vector_positions=VECTOR_POSITIONS,
        regimes=tuple(regimes),
        ranges=_ranges(rows),
        median_error=0.0,
        p90_error=0.0,
    )
    found = _errors(kernel, test, levels)
    return FittedKernel(
        kernel=replace(kernel, median_error=round(found.median, 4), p90_error=round(found.p90, 4)),
        fitted=seen,
        held_out=held,
        fitted_errors=_errors(kernel, training, levels),
        held_out_errors=found,
    )


def predicted_s(kernel: MeasuredKernel, row: Measurement, levels: Sequence[MemoryLevel]) -> float:
    """Return the seconds of a warm call of ``row`` on one thread."""
    costs = dict(kernel.regime(row.p).costs)
    return sum(count * costs.get(name, 0.0) for name, count in _row_counts(row, levels).items())


def _errors(kernel: MeasuredKernel, rows: Sequence[Measurement], levels: Sequence[MemoryLevel]) -> Errors:
    predictions = [predicted_s(kernel, row, levels) for row in rows]
    return errors(predictions, [row.median_s for row in rows], [row.spread for row in rows])


def _row_counts(row: Measurement, levels: Sequence[MemoryLevel]) -> dict[str, int]:
    return counts(
        m=row.m,
        k=row.k,
        positions=row.p,
        slots=row.slots,
        stored_bytes=row.stored_bytes,
        value_bytes=VALUE_BYTES[row.dtype],
        levels=levels,
        block_positions=BLOCK_POSITIONS,
        vector_positions=VECTOR_POSITIONS,
    )


def _ranges(rows: Sequence[Measurement]) -> tuple[Range, ...]:
    values: dict[str, list[float]] = {
        "m": [row.m for row in rows],
        "k": [row.k for row in rows],
        "positions": [row.p for row in rows],
        "density": [row.density for row in rows],
    }
    slack = {"density": 0.05}  # a pattern rounds what is asked for to whole groups, blocks and rows
    return tuple(
        Range(
            name=name,
            least=round(min(found) * (1 - slack.get(name, 0.0)), 6),
            most=round(max(found) * (1 + slack.get(name, 0.0)), 6),
        )
        for name, found in values.items()
        if name != "density" or rows[0].family != "dense"
    )


def _costs(rows: Sequence[Measurement], levels: Sequence[MemoryLevel], *, dense: bool) -> tuple[tuple[str, float], ...]:
    """Fit one regime. Per-level terms are fitted as what each level adds to the one inside it."""
    found = [_row_counts(row, levels) for row in rows]
    vector = all(row.p == 1 for row in rows)
    terms = list(_DENSE_TERMS if dense else _SPARSE_TERMS)
    if rows[0].family in _SCANNED:
        terms.append("element_s")
    kinds = ("byte",) if dense and vector else () if dense else ("block",)
    names, columns = list(terms), [[row[name] for row in found] for name in terms]
    for kind in kinds:
        for at, level in enumerate(levels):
            names.append(f"{kind}_{level.name}_s")
            columns.append([sum(row.get(f"{kind}_{outer.name}_s", 0) for outer in levels[at:]) for row in found])
    seconds = _least_absolute(np.array(columns, dtype=np.float64).T, np.array([row.median_s for row in rows]))
    costs = dict(zip(names, (float(value) for value in seconds), strict=True))
    for kind in kinds:
        total = 0.0
        for level in levels:
            total += costs[f"{kind}_{level.name}_s"]
            costs[f"{kind}_{level.name}_s"] = total
    return tuple((name, float(f"{value:.4g}")) for name, value in costs.items() if value > 0)


def _least_absolute(features: Floats, times: Floats) -> Floats:
    """Return non-negative factors of ``features`` [rows, terms] for the least sum of |relative error|, nearly."""
    relative = features / times[:, None]
    scale = relative.max(axis=0)
    scale[scale == 0] = 1.0
    scaled = relative / scale
    weights = np.ones(len(times))
    factors = np.zeros(scaled.shape[1])
    for _ in range(12):
        factors = non_negative(scaled * weights[:, None], weights)
        weights = 1.0 / np.sqrt(np.maximum(np.abs(scaled @ factors - 1.0), 0.01))
    found: Floats = factors / scale
    return found


def non_negative(matrix: Floats, wanted: Floats) -> Floats:
    """Return x >= 0 with the least |matrix x - wanted|².

    Reference: Lawson and Hanson, Solving least squares problems, 1974, chapter 23.
    """
    size = matrix.shape[1]
    found = np.zeros(size)
    free = np.zeros(size, dtype=np.bool_)
    tolerance = 1e-10 * max(float(np.abs(matrix.T @ wanted).max()), 1.0)
    for _ in range(3 * size + 10):
        gradient = matrix.T @ (wanted - matrix @ found)
        gradient[free] = -np.inf
        if free.all() or gradient.max() <= tolerance:
            break
        free[int(gradient.argmax())] = True
        while True:
            trial = np.zeros(size)
            trial[free] = np.linalg.lstsq(matrix[:, free], wanted, rcond=None)[0]
            below = free & (trial <= 0)
            if not below.any():
                found = trial
                break
            steps = found[below] / (found[below] - trial[below])
            found = found + float(steps.min()) * (trial - found)
            free &= found > 1e-14
            found[~free] = 0.0
            if not free.any():
                break
    return found
