"""Kernels of NVIDIA GPUs for products with one vector, with the numbers of ``python -m costmodel.fit gpu_sparse``.

``vector_kernels.csv``: a line for each number, with its source. A device says which runtime brings its sparse kernel;
the dense one is cuBLAS's under any. Leaves out: data types that the measurements have not (fp16 alone).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from costmodel.measured import Range
from costmodel.spec import RooflineDevice
from costmodel.spmv import CsrMatrixKernel, CsrVectorKernel, GemvKernel, StreamKernel, WarpRowKernel
from simulator.spec import DeviceError

TABLE = Path(__file__).with_name("vector_kernels.csv")
COLUMNS = ("kernel", "parameter", "value", "source")
_LINEAR = ("linear", "lstm_input", "lstm_hidden", "gru_input", "gru_hidden")
_MACKO_CODE = "vlejd/macko_spmv src/macko_spmv/cuda/kernels.cuh @67a7c4d1"
MEASURED = (  # of validation/macko_spmv.csv: 31 shapes, 11 densities
    Range(name="m", least=3584, most=49152),
    Range(name="k", least=3584, most=49152),
    Range(name="density", least=0.05, most=1.0),
)
MEASURED_MATRIX = (  # of validation/deepbench_sparse_gemm.csv, GPUs
    Range(name="m", least=7680, most=10752),
    Range(name="k", least=2560, most=3584),
    Range(name="positions", least=1, most=6000),
    Range(name="density", least=0.05, most=0.1),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """One fitted number: of a kernel, by the name of its field."""

    kernel: str
    parameter: str
    value: float
    source: str


def read_numbers(path: Path = TABLE) -> tuple[Number, ...]:
    """Return the lines of the table. Raises DeviceError that names the line, the value and the rule."""
    found = []
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise DeviceError(f"{path.name} line 1: columns are {reader.fieldnames}, and must be {', '.join(COLUMNS)}")
        for row in reader:
            where = f"{path.name} line {reader.line_num}"
            try:
                value = float(row["value"])
            except (TypeError, ValueError):
                raise DeviceError(f"{where}: value is {row['value']!r}, and must be a number") from None
            if not 0 < value < float("inf") or not row["source"]:
                raise DeviceError(f"{where}: value is {value} from {row['source']!r}: must be above 0, with a source")
            found.append(Number(kernel=row["kernel"], parameter=row["parameter"], value=value, source=row["source"]))
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What these kernels need of a GPU beside its roofline: bytes a cycle of a unit's first cache, and the data sheet's
    rate of the main memory, each with its source.
    """

    cache_bytes_per_cycle: int
    cache_source: str
    dram_bytes_per_s: int
    dram_source: str


def unfitted_matrix(dram_bytes_per_s: int) -> CsrMatrixKernel:
    """Return cuSPARSE's CSR times a matrix, its fitted numbers where a fit starts."""
    return CsrMatrixKernel(
        name="csrmm",
        runtime="cuSPARSE 8.0",
        encoding="csr",
        serves=("unstructured", "filter_balanced"),
        kinds=_LINEAR,
        dtypes=("fp32",),
        unit="vector",
        efficiency=1.0,
        memory_share=0.7,
        index_bytes=4,
        dram_bytes_per_s=dram_bytes_per_s,
        start_s=1e-5,
        overlap=1.0,
        near_cost_bytes=64.0,
        far_cost_bytes=32.0,
        ranges=MEASURED_MATRIX,
    )


def with_csr_matrix(
    base: RooflineDevice, *, dram_bytes_per_s: int, dram_source: str, fitted: Sequence[Number] | None = None
) -> RooflineDevice:
    """Return ``base`` with CSR times a matrix, as measured, before its own kernels. ``fitted``: as above."""
    table = read_numbers() if fitted is None else fitted
    kernel = unfitted_matrix(dram_bytes_per_s)
    own = [number for number in table if number.kernel == kernel.name]
    path = f"kernels.{kernel.name}"
    sources = {
        **base.sources,
        path: "assumed: reading and gathering do not overlap; 4-byte indices and pointers",
        f"{path}.ranges": "validation/deepbench_sparse_gemm.csv: what was measured",
        f"{path}.efficiency": "assumed: arithmetic never binds",
        f"{path}.dram_bytes_per_s": dram_source,
        **{f"{path}.{number.parameter}": number.source for number in own},
    }
    fresh = with_numbers(kernel, {number.parameter: number.value for number in own})
    return replace(base, kernels=(fresh, *base.kernels), sources=sources)


def unfitted(facts: Facts) -> dict[str, StreamKernel]:
    """Return each kernel by name, its fitted numbers where a fit starts."""
    gemv = GemvKernel(
        name="gemv",
        runtime="cuBLAS",
        encoding="dense",
        serves=(),
        kinds=_LINEAR,
        dtypes=("fp16",),
        unit="vector",
        efficiency=1.0,
        memory_share=0.9,
        dram_bytes_per_s=facts.dram_bytes_per_s,
        start_s=1e-5,
        ranges=MEASURED,
    )
    macko = WarpRowKernel(
        name="macko-spmv",
        runtime="MACKO",
        encoding="run_length",
        serves=("unstructured", "filter_balanced"),
        kinds=_LINEAR,
        dtypes=("fp16",),
        unit="vector",
        efficiency=1.0,
        memory_share=0.9,
        dram_bytes_per_s=facts.dram_bytes_per_s,
        start_s=5e-6,
        overlap=4.0,
        cache_bytes_per_cycle=facts.cache_bytes_per_cycle,
        line_cost_bytes=64.0,
        slot_instructions=30.0,
        pass_s=1e-6,
        block_s=1e-6,
        ranges=MEASURED,
    )
    csr = CsrVectorKernel(
        name="csr-spmv",
        runtime="cuSPARSE",
        encoding="csr",
        serves=("unstructured", "filter_balanced"),
        kinds=_LINEAR,
        dtypes=("fp16",),
        unit="vector",
        efficiency=1.0,
        memory_share=0.85,
        dram_bytes_per_s=facts.dram_bytes_per_s,
        start_s=1e-5,
        overlap=6.0,
        index_bytes=4,
        row_square_s=1e-14,
        ranges=MEASURED,
    )
    return {kernel.name: kernel for kernel in (gemv, macko, csr)}


def with_numbers(kernel: StreamKernel, numbers: Mapping[str, float]) -> StreamKernel:
    """Return ``kernel`` with ``numbers`` by field. Raises DeviceError for a field that it has not."""
    for name in numbers:
        if not isinstance(getattr(kernel, name, None), float):
            raise DeviceError(f"kernel {kernel.name}: has no number {name}")
    return replace(kernel, **numbers)  # type: ignore[arg-type]


def with_vector_kernels(
    base: RooflineDevice,
    *,
    sparse: str,
    facts: Facts,
    name: str | None = None,
    summary: str | None = None,
    fitted: Sequence[Number] | None = None,
) -> RooflineDevice:
    """Return ``base`` with the dense product of one vector and the one of the kernel ``sparse`` before its own kernels.

    ``fitted``: instead of the table's numbers.
    """
    table = read_numbers() if fitted is None else fitted
    start = unfitted(facts)
    chosen, sources = [], dict(base.sources)
    for kernel_name in ("gemv", sparse):
        own = [number for number in table if number.kernel == kernel_name]
        chosen.append(with_numbers(start[kernel_name], {number.parameter: number.value for number in own}))
        path = f"kernels.{kernel_name}"
        sources[path] = (
            f"its loops: {_MACKO_CODE}" if kernel_name == "macko-spmv" else "assumed: its loops are not public"
        )
        sources[f"{path}.ranges"] = "validation/macko_spmv.csv: what was measured"
        sources[f"{path}.efficiency"] = "assumed: arithmetic never binds"
        sources[f"{path}.dram_bytes_per_s"] = facts.dram_source
        sources |= {f"{path}.{number.parameter}": number.source for number in own}
    if sparse == "macko-spmv":
        sources["kernels.macko-spmv.cache_bytes_per_cycle"] = facts.cache_source
    return replace(
        base,
        name=name or base.name,
        summary=summary or base.summary,
        kernels=(*chosen, *base.kernels),
        sources=sources,
    )
