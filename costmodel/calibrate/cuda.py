"""Products of a CUDA GPU through torch: dense, 2:4, BSR and CSR over shapes and densities. torch is imported late.

Times are CUDA events around one call, the second-level cache overwritten before each ("cold" operands, as in a network
whose other layers have passed by). The host runs ahead while the cache is overwritten, so that launches are hidden
where the host is fast enough. Data types and forms that the GPU or this torch refuses are named in the manifest with
its own words. Leaves out: several GPUs, CUDA graphs, Triton's and torchao's block kernels, clocks (they are noted, not
set).
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from time import perf_counter
from typing import Any

from costmodel.calibrate.operators import CalibrationError, torch_csr
from costmodel.calibrate.table import Measurement
from costmodel.calibrate.timing import Timing, summary

DTYPES = ("fp16", "bf16", "fp32")
VALUE_BYTES = {"fp16": 2, "bf16": 2, "fp32": 4}
SQUARES = ((1024, 1024), (2048, 2048), (4096, 4096), (1024, 4096), (4096, 1024), (768, 3072))
POSITIONS = (1, 16, 64, 256, 1024, 4096)
QUICK_SQUARES = ((1024, 1024), (1024, 4096), (2048, 2048))
QUICK_POSITIONS = (16, 256, 1024)
DENSITIES = (0.05, 0.1, 0.2, 0.4)
QUICK_DENSITIES = (0.1, 0.3)
BLOCKS = (16, 32, 64)
WARM_UP, SAMPLES, SLOW_SAMPLES = 3, 15, 5
SLOW_S = 5e-3  # a call this long is far above what a clock or a launch adds
LEAST_FLUSH_BYTES = 128 << 20
NO_TORCH = "no GPU was measured: torch is not installed (pip install torch, a build for CUDA)"


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuCase:
    """One product of the grid. ``density`` is asked for; ``block``: side of the square blocks of BSR, 0 elsewhere."""

    family: str
    dtype: str
    m: int
    k: int
    p: int
    density: float = 1.0
    block: int = 0

    @property
    def pattern(self) -> str:
        if self.family == "bsr":
            return f"block:{self.block}x{self.block}"
        return {"dense": "dense", "n_of_m": "n_of_m:2,4", "csr": "unstructured"}[self.family]


def no_gpu() -> str | None:
    """Return the line that says why no GPU can be measured here, None where one can."""
    if not find_spec("torch"):
        return NO_TORCH
    import torch

    if torch.cuda.is_available():
        return None
    built = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
    return f"no GPU was measured: torch {torch.__version__} ({built}) finds no CUDA device"


def gpu_cases(*, quick: bool) -> list[GpuCase]:
    """Return the grid: every shape dense, 2:4, and BSR and CSR at each density."""
    squares, positions = (QUICK_SQUARES, QUICK_POSITIONS) if quick else (SQUARES, POSITIONS)
    densities = QUICK_DENSITIES if quick else DENSITIES
    found = []
    for dtype in DTYPES:
        for m, k in squares:
            for p in positions:
                found.append(GpuCase(family="dense", dtype=dtype, m=m, k=k, p=p))
                if dtype != "fp32" and p % 8 == 0:  # 2:4 of fp32 is tf32, and positions come in eights
                    found.append(GpuCase(family="n_of_m", dtype=dtype, m=m, k=k, p=p, density=0.5))
                for density in densities:
                    found.append(GpuCase(family="csr", dtype=dtype, m=m, k=k, p=p, density=density))
                    sides = BLOCKS[1:2] if quick else BLOCKS
                    found += [
                        GpuCase(family="bsr", dtype=dtype, m=m, k=k, p=p, density=density, block=side) for side in sides
                    ]
    return found


def gpu_facts() -> dict[str, object]:
    """Return the GPU's name, driver, CUDA, torch and cuSPARSELt versions, and its clocks. Needs a CUDA device."""
    import torch

    properties = torch.cuda.get_device_properties(0)
    backends = torch.backends
    sparse_lt = getattr(backends, "cusparselt", None)
    return {
        "gpu": torch.cuda.get_device_name(0),
        "compute_capability": ".".join(str(part) for part in torch.cuda.get_device_capability(0)),
        "multiprocessors": properties.multi_processor_count,
        "memory_bytes": properties.total_memory,
        "l2_bytes": _l2_bytes(properties),
        "driver": _smi("driver_version"),
        "clocks_max_mhz": _smi("clocks.max.sm"),
        "clocks_now_mhz": _smi("clocks.sm"),
        "cuda": str(torch.version.cuda),
        "torch": str(torch.__version__),
        "cusparselt": str(sparse_lt.version()) if sparse_lt is not None and sparse_lt.is_available() else "not there",
        "tf32": bool(backends.cuda.matmul.allow_tf32),
    }


def _l2_bytes(properties: Any) -> int:
    return int(getattr(properties, "L2_cache_size", 0))


def _smi(field: str) -> str:
    """Return what the driver's tool says of ``field``, "unknown" where it is not there."""
    command = ["nvidia-smi", f"--query-gpu={field}", "--format=csv,noheader,nounits", "--id=0"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return answer.stdout.strip().splitlines()[0] if answer.stdout.strip() else "unknown"


def measure_gpu(cases: list[GpuCase], seed: int, refused: dict[str, str]) -> Iterator[tuple[str, list[Measurement]]]:
    """Yield each case's name and row as they are measured; ``refused`` collects what torch would not run, and why.

    A form that torch refuses once for a data type is not tried again. Raises CalibrationError without a CUDA device.
    """
    reason = no_gpu()
    if reason:
        raise CalibrationError(reason)
    import torch

    name = torch.cuda.get_device_name(0)
    l2 = _l2_bytes(torch.cuda.get_device_properties(0))
    flush = torch.empty(max(LEAST_FLUSH_BYTES, 4 * l2), dtype=torch.int8, device="cuda")
    for case in cases:
        form = " ".join(part for part in (case.family, case.dtype, f"block {case.block}" if case.block else "") if part)
        title = f"{form} {case.m}x{case.k}x{case.p} {case.density:g}"
        if form in refused:
            yield title, []
            continue
        try:
            form_name, call, kept, slots, stored_bytes = prepared(case, seed)
            timing = event_timing(call, flush)
        except Exception as error:  # libraries raise what they like; each refusal is named in the manifest
            words = f"{type(error).__name__}: {(str(error).strip() or 'no words').splitlines()[0][:200]}"
            if isinstance(error, torch.cuda.OutOfMemoryError):
                refused[title] = words
                torch.cuda.empty_cache()
            elif "CUDA error" in words:  # the device is of no use after it
                raise CalibrationError(f"{title}: {words}") from None
            else:
                refused[form] = words
            yield title, []
            continue
        yield title, [_row(case, form_name, name, timing, kept, slots, stored_bytes, seed)]


def _row(
    case: GpuCase, kernel: str, name: str, timing: Timing, kept: int, slots: int, stored_bytes: int, seed: int
) -> Measurement:
    return Measurement(
        family=case.family,
        kernel=kernel,
        device=name,
        dtype=case.dtype,
        pattern=case.pattern,
        m=case.m,
        k=case.k,
        p=case.p,
        density=kept / (case.m * case.k),
        kept=kept,
        slots=slots,
        stored_bytes=stored_bytes,
        operands="cold",
        median_s=timing.median_s,
        p10_s=timing.p10_s,
        p90_s=timing.p90_s,
        samples=timing.samples,
        calls=timing.calls,
        seed=seed,
    )


def event_timing(call: Callable[[], object], flush: Any) -> Timing:
    """Return the GPU's own time of ``call``, ``flush`` overwritten before each; the first calls warm up."""
    import torch

    for _ in range(WARM_UP):
        call()
    torch.cuda.synchronize()
    start = perf_counter()
    call()
    torch.cuda.synchronize()
    samples = SAMPLES if perf_counter() - start < SLOW_S else SLOW_SAMPLES
    pairs = [(torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)) for _ in range(samples)]
    for begin, end in pairs:
        flush.zero_()
        begin.record()
        call()
        end.record()
    torch.cuda.synchronize()
    return summary([max(begin.elapsed_time(end), 1e-6) / 1e3 for begin, end in pairs], 1, 1.0)


Prepared = tuple[str, Callable[[], object], int, int, int]


def prepared(case: GpuCase, seed: int, place: str = "cuda") -> Prepared:
    """Return the kernel's name, the call, the weights kept, the slots stored and the bytes that the form stores.

    ``place``: torch's name of the device; the checks of the masks run on "cpu".
    """
    import torch

    dtype = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}[case.dtype]
    generator = torch.Generator(device=place).manual_seed(seed + 1_000_003 * case.m + 1_009 * case.k + case.p)

    def normal(rows: int, columns: int) -> Any:
        return torch.randn(rows, columns, generator=generator, device=place, dtype=torch.float32)

    values, x = normal(case.m, case.k), normal(case.k, case.p).to(dtype)
    width = VALUE_BYTES[case.dtype]
    if case.family == "dense":
        matrix = values.to(dtype)
        return "cuda-dense", lambda: torch.mm(matrix, x), matrix.numel(), matrix.numel(), matrix.numel() * width
    if case.family == "n_of_m":
        pruned = (values * two_of_four(values)).to(dtype)
        half = torch.sparse.to_sparse_semi_structured(pruned)
        kept = case.m * case.k // 2
        library = type(half).__name__.removeprefix("SparseSemiStructuredTensor").lower() or "unnamed"
        name = f"cuda-n_of_m-{library}"
        return name, lambda: torch.mm(half, x), kept, kept, kept * width + case.m * case.k // 8  # 2 bits a kept weight
    if case.family == "csr":
        return _csr_call(values, x, case, width)
    return _bsr_call(values, x, case, width)


def two_of_four(values: Any) -> Any:
    """Return the mask of the two largest of every four weights of a row of ``values`` [m, k]."""
    import torch

    quads = values.abs().view(values.shape[0], -1, 4)
    mask = torch.zeros_like(quads, dtype=torch.bool).scatter_(2, quads.topk(2, dim=2).indices, True)
    return mask.view_as(values)


def _csr_call(values: Any, x: Any, case: GpuCase, width: int) -> Prepared:
    import torch

    kept = max(1, round(case.density * values.numel()))
    threshold = values.abs().flatten().kthvalue(values.numel() - kept + 1).values
    mask = values.abs() >= threshold
    pointers = torch.zeros(case.m + 1, dtype=torch.int32, device=values.device)
    pointers[1:] = mask.sum(dim=1).cumsum(0)
    columns = mask.nonzero()[:, 1].to(torch.int32)
    matrix = torch_csr(pointers, columns, values[mask].to(x.dtype), (case.m, case.k))
    count = int(columns.numel())
    return "cuda-csr", lambda: torch.mm(matrix, x), count, count, count * (width + 4) + 4 * (case.m + 1)


def _bsr_call(values: Any, x: Any, case: GpuCase, width: int) -> Prepared:
    import warnings

    import torch

    side = case.block
    rows, columns = case.m // side, case.k // side
    tiles = values.view(rows, side, columns, side).permute(0, 2, 1, 3).contiguous()  # [rows, columns, side, side]
    norms = tiles.square().sum(dim=(2, 3))
    kept = max(1, round(case.density * norms.numel()))
    mask = norms >= norms.flatten().topk(kept).values[-1]
    pointers = torch.zeros(rows + 1, dtype=torch.int32, device=values.device)
    pointers[1:] = mask.sum(dim=1).cumsum(0)
    indices = mask.nonzero()[:, 1].to(torch.int32)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse BSR tensor support is in beta")
        matrix = torch.sparse_bsr_tensor(
            pointers, indices, tiles[mask].to(x.dtype), size=(case.m, case.k), check_invariants=True
        )
    blocks = int(indices.numel())
    slots = blocks * side * side
    return "cuda-bsr", lambda: torch.mm(matrix, x), slots, slots, slots * width + 4 * (blocks + rows + 1)
