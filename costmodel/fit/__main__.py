"""``python -m costmodel.fit``: fits the CPU models to the folder of measurements and writes ``fitted.csv``.

Only devices that ``validation/devices.csv`` marks "fit" are read. Dense rows give all numbers but one; the share that
sparse kernels reach is then the one under which speed-ups over dense are met best. Runs in minutes; needs SciPy.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from costmodel.cpu_file import FOLDER
from costmodel.fit.rows import dense_rows
from costmodel.fit.solve import solve
from costmodel.fit.sparse import sparse_shares
from costmodel.fit.table import fitted_rows, write_fitted
from costmodel.validation.folder import open_folder


def main(arguments: list[str]) -> int:
    """Fit and write. Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m costmodel.fit", description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER / "runtimes" / "fitted.csv")
    parser.add_argument("--evaluations", type=int, default=60)
    options = parser.parse_args(arguments)
    folder = open_folder()
    rows = dense_rows(folder, "fit")
    solution = solve(rows, options.evaluations)
    day = datetime.now(UTC).date().isoformat()
    fitted = fitted_rows(rows, solution, day)
    shares = sparse_shares(folder, fitted, day)
    fitted = [row for row in fitted if row.parameter != "spmm" or not shares] + shares
    write_fitted(options.out, fitted)
    socs = {row.measured.key.soc for row in rows}
    print(f"{len(rows)} rows of {len(socs)} SoCs, median error {solution.error_median:.1%}")
    for machine, offset in solution.offsets.items():
        print(f"  {offset:5.2f} x {machine}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
