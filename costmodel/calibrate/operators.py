"""The products of this host's libraries: NumPy's and torch's dense, SciPy's and torch's CSR, and our own encodings.

Each takes one matrix and gives a call for each block of activations, conversions left outside the clock. torch is
imported here, late, and only where it is installed. Leaves out: libraries' tuning for one matrix (MKL's inspector).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from costmodel.calibrate.grid import Weights
from patterns.catalog import parse_pattern
from patterns.encodings.base import Widths
from patterns.encodings.catalog import encoding
from patterns.products.product import product
from simulator.spec import DeviceError

Matrix = npt.NDArray[np.float32]
Call = Callable[[], object]
WIDTHS = Widths(value_bits=32, index_bits=16, pointer_bits=32)


class CalibrationError(DeviceError):
    """A calibration that cannot be: one line naming what, the value and the rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A matrix in a library's own form: ``call`` makes the product with x ready to be timed."""

    kernel: str
    kept: int
    slots: int
    stored_bytes: int
    threaded: bool
    call: Callable[[Matrix], Call]


def stored(weights: Weights, seed: int) -> Iterator[Stored]:
    """Return ``weights`` in the form of every library that is installed and takes them."""
    values = weights.values(seed)
    if weights.family == "dense":
        yield _numpy_dense(values)
        if find_spec("torch"):
            yield _torch_dense(values)
    mask = np.ones(values.shape, dtype=np.bool_) if weights.family == "dense" else weights.mask(seed)
    yield _numba(weights, mask, values)
    if weights.family == "csr":
        pruned = np.where(mask, values, np.float32(0))
        if find_spec("scipy"):
            yield _scipy_csr(pruned)
        if find_spec("torch"):
            yield _torch_csr(pruned)


def _numba(weights: Weights, mask: npt.NDArray[np.bool_], values: Matrix) -> Stored:
    pattern = parse_pattern(weights.pattern)
    store = encoding(weights.encoding)
    size = store.size(mask, pattern, WIDTHS)
    encoded = store.encode(mask, values, pattern, WIDTHS)
    return Stored(
        kernel=f"numba-{weights.encoding}",
        kept=int(mask.sum()),
        slots=size.slots,
        stored_bytes=size.total_bytes,
        threaded=False,
        call=lambda x: lambda: product(encoded, np.float32, x),
    )


def _numpy_dense(values: Matrix) -> Stored:
    return Stored(
        kernel="numpy-dense",
        kept=values.size,
        slots=values.size,
        stored_bytes=values.nbytes,
        threaded=True,
        call=lambda x: lambda: values @ x,
    )


def _torch_dense(values: Matrix) -> Stored:
    import torch

    matrix = torch.from_numpy(values)

    def call(x: Matrix) -> Call:
        other = torch.from_numpy(x)
        return lambda: torch.mm(matrix, other)

    return Stored(
        kernel="torch-dense",
        kept=values.size,
        slots=values.size,
        stored_bytes=values.nbytes,
        threaded=True,
        call=call,
    )


def _scipy_csr(pruned: Matrix) -> Stored:
    from scipy.sparse import csr_array

    matrix: Any = csr_array(pruned)
    return Stored(
        kernel="scipy-csr",
        kept=int(matrix.nnz),
        slots=int(matrix.nnz),
        stored_bytes=int(matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes),
        threaded=False,
        call=lambda x: lambda: matrix @ x,
    )


def _torch_csr(pruned: Matrix) -> Stored:
    import torch

    rows, columns = np.nonzero(pruned)
    pointers = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=pruned.shape[0])))).astype(np.int32)
    matrix = torch_csr(
        torch.from_numpy(pointers),
        torch.from_numpy(columns.astype(np.int32)),
        torch.from_numpy(pruned[rows, columns]),
        pruned.shape,
    )

    def call(x: Matrix) -> Call:
        other = torch.from_numpy(x)
        return lambda: torch.mm(matrix, other)

    return Stored(
        kernel="torch-csr",
        kept=len(rows),
        slots=len(rows),
        stored_bytes=8 * len(rows) + 4 * (pruned.shape[0] + 1),  # float32 values, int32 indices and pointers
        threaded=True,
        call=call,
    )


def torch_csr(pointers: Any, columns: Any, values: Any, shape: tuple[int, ...]) -> Any:
    """Return torch's CSR matrix, its indices checked; torch's notice that its CSR is in beta stays unsaid."""
    import warnings

    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(pointers, columns, values, size=shape, check_invariants=True)


@contextmanager
def thread_limit(threads: int) -> Iterator[None]:
    """Let BLAS and torch use ``threads`` inside the block.

    NumPy's BLAS reads its variables when it is loaded: where threadpoolctl is not installed, they must have been set
    by then, as the command does. Raises CalibrationError where BLAS is seen to use more threads than that.
    """
    previous = None
    if find_spec("torch"):
        import torch

        previous = torch.get_num_threads()
        torch.set_num_threads(threads)
    if find_spec("threadpoolctl"):
        from threadpoolctl import threadpool_limits

        limits: Any = threadpool_limits(threads)
    else:
        limits = None
    try:
        if threads == 1:
            _check_one_thread()
        yield
    finally:
        if limits is not None:
            limits.restore_original_limits()
        if previous is not None:
            torch.set_num_threads(previous)


def _check_one_thread() -> None:
    """Raise CalibrationError where a product takes more processors than one, three times in a row.

    Once may be another thread of this process that was at work for a moment.
    """
    shares = [_processors_taken() for _ in range(3)]
    if min(shares) > 1.5:
        raise CalibrationError(
            f"threads is 1, and NumPy's BLAS used {min(shares):.1f}: set OPENBLAS_NUM_THREADS=1 before "
            f"NumPy is imported, or install threadpoolctl"
        )


def _processors_taken() -> float:
    """Return the processor time of all threads over that of this one while it multiplies matrices."""
    from time import process_time, thread_time

    square = np.ones((512, 512), dtype=np.float32)
    thread, process = thread_time(), process_time()
    for _ in range(4):
        square @ square
    own, every = thread_time() - thread, process_time() - process
    return max(0.0, every - 0.002) / max(own, 1e-9)
