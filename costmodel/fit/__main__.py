"""``python -m costmodel.fit [KIND ...]``: fits cost models to the folder of measurements and writes their numbers.

KIND: cpu (the default), mobile_gpu, server_gpu, gpu_sparse. Only devices that ``validation/devices.csv`` marks "fit"
are read. On CPUs dense rows give all numbers but one; the share that sparse kernels reach is then the one under which
speed-ups over dense are met best. ``--cross-validate`` leaves out one SoC of the CPUs after the other instead, prints
the errors and writes nothing. Runs in minutes; needs SciPy.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from costmodel.cpu_file import FOLDER
from costmodel.fit.cross_validate import cross_validate, report
from costmodel.fit.gpu_sparse import fit_gpu_sparse
from costmodel.fit.mobile_gpu import cross_check, fitted_gpu_rows
from costmodel.fit.mobile_gpu_parts import gpu_rows
from costmodel.fit.mobile_gpu_solve import solve_gpus
from costmodel.fit.rows import dense_rows
from costmodel.fit.server_gpu import fit_server_gpu
from costmodel.fit.solve import solve
from costmodel.fit.sparse import sparse_shares
from costmodel.fit.table import fitted_rows, write_fitted
from costmodel.fit.unequal import held_up
from costmodel.gpu_file import FITTED
from costmodel.validation.folder import Folder, open_folder


def fit_cpu(folder: Folder, out: Path | None, evaluations: int, day: str) -> None:
    """Fit the CPU models."""
    rows = dense_rows(folder, "fit")
    solution = solve(rows, evaluations)
    fitted = fitted_rows(rows, solution, day)
    fitted += held_up(folder, fitted, rows, day)
    shares = sparse_shares(folder, fitted, day)
    fitted = [row for row in fitted if row.parameter != "spmm" or not shares] + shares
    write_fitted(out or FOLDER / "runtimes" / "fitted.csv", fitted)
    socs = {row.measured.key.soc for row in rows}
    print(f"{len(rows)} rows of {len(socs)} SoCs, median error {solution.error_median:.1%}")
    for machine, offset in solution.offsets.items():
        print(f"  {offset:5.2f} x {machine}")


def fit_mobile_gpu(folder: Folder, out: Path | None, evaluations: int, day: str) -> None:
    """Fit the models of mobile GPUs, and predict each of those fitted from the others."""
    rows = gpu_rows(folder, "fit")
    solution = solve_gpus(rows, evaluations)
    write_fitted(out or FITTED, fitted_gpu_rows(rows, solution, day))
    gpus = {row.gpu for row in rows}
    print(f"{len(rows)} rows of {len(gpus)} GPUs, median error {solution.error_median:.1%}; each left out in turn:")
    for device, found in cross_check(rows):
        rank = "" if found.rank is None else f", rank {found.rank:.2f}"
        anchored = "" if found.anchored is None else f", anchored {found.anchored:.1%}"
        print(f"  {device}: {found.rows} rows, median {found.median:.1%}, bias {found.bias:+.1%}{rank}{anchored}")


FITS: tuple[tuple[str, Callable[[Folder, Path | None, int, str], None]], ...] = (
    ("cpu", fit_cpu),
    ("mobile_gpu", fit_mobile_gpu),
    ("server_gpu", fit_server_gpu),
    ("gpu_sparse", fit_gpu_sparse),
)


def main(arguments: list[str]) -> int:
    """Fit and write. Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m costmodel.fit", description=__doc__)
    parser.add_argument("kinds", nargs="*", choices=[[], *(name for name, _ in FITS)], help="what to fit")
    parser.add_argument("--out", type=Path, help="instead of the package's own table; with one KIND")
    parser.add_argument("--evaluations", type=int, default=60)
    parser.add_argument("--cross-validate", action="store_true", help="leave out one SoC after the other, print errors")
    options = parser.parse_args(arguments)
    kinds = options.kinds or ["cpu"]
    if options.out and len(kinds) > 1:
        parser.error(f"--out is one file, and there are {len(kinds)} kinds: {', '.join(kinds)}")
    folder, day = open_folder(), datetime.now(UTC).date().isoformat()
    if options.cross_validate:
        print("\n".join(report(cross_validate(dense_rows(folder, "fit"), options.evaluations))))
        return 0
    for name, fit in FITS:
        if name in kinds:
            fit(folder, options.out, options.evaluations, day)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
