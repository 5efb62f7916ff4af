"""The kernels that libraries bring to a server GPU: one dense kernel for each data type, 2:4, block-sparse and CSR.

What a library reaches is one set of numbers for each (library, data type), fitted or assumed
(``costmodel/runtimes/server_gpu.csv``); tile shapes are common to all. Leaves out: kernels that fuse more than an
activation, a library's choice between layouts, and what convolutions reach in fp32 and fp16: they take GEMM's numbers
(DEVIATIONS 25). No number of 2:4 was fitted (DEVIATIONS 6); dense numbers are a V100's (DEVIATIONS 7, 22).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from costmodel.cpu_file import FOLDER, Fitted, load_fitted
from costmodel.server_gpu_tiles import GpuTile, GpuTileKernel
from costmodel.spec import BlockKernel, DepthwiseKernel, Dtype, InstructionMix, Kernel, RowKernel
from simulator.spec import DeviceError

FITTED = FOLDER / "runtimes" / "server_gpu.csv"
CONV: tuple[str, ...] = ("conv2d", "conv1d")
LINEAR: tuple[str, ...] = ("linear", "lstm_input", "lstm_hidden", "gru_input", "gru_hidden")
# names as cuBLAS has them: maxwell_sgemm_128x64_nn, volta_sgemm_32x128_tn, volta_fp16_s884gemm_fp16_256x128_ldg8
CUDA_TILES = tuple(
    GpuTile(rows=rows, positions=positions, threads=threads, warp_rows=warp_rows, warp_positions=warp_positions)
    for rows, positions, threads, warp_rows, warp_positions in (
        (128, 128, 256, 64, 32),
        (128, 64, 128, 64, 32),
        (64, 128, 128, 32, 64),
        (64, 64, 64, 64, 32),
        (128, 32, 128, 32, 32),
        (32, 128, 128, 32, 32),
        (64, 32, 128, 32, 32),
        (32, 64, 128, 32, 32),
        (32, 32, 128, 32, 32),  # "sliced 1x4": four warps share K
        (128, 16, 128, 32, 16),
        (256, 16, 128, 64, 16),
    )
)
TENSOR_TILES = tuple(
    GpuTile(rows=rows, positions=positions, threads=threads, warp_rows=warp_rows, warp_positions=warp_positions)
    for rows, positions, threads, warp_rows, warp_positions in (
        (256, 128, 256, 64, 64),
        (128, 256, 256, 64, 64),
        (128, 128, 256, 64, 32),
        (128, 64, 128, 64, 32),
        (64, 128, 128, 32, 64),
        (64, 64, 128, 32, 32),
        (64, 32, 128, 32, 16),
        (32, 64, 128, 16, 32),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """What a library has for one data type: tiles, cuts of K, and the columns and input channels that it pads to."""

    tiles: tuple[GpuTile, ...]
    split_k: tuple[int, ...]
    k_tile: int
    channel_tile: int


CUDA_SHAPES: Mapping[Dtype, Shapes] = {
    "fp32": Shapes(tiles=CUDA_TILES, split_k=(1, 2, 4, 8, 16), k_tile=8, channel_tile=1),
    "fp16": Shapes(tiles=CUDA_TILES, split_k=(1, 2, 4, 8, 16), k_tile=8, channel_tile=2),
    "int8": Shapes(tiles=CUDA_TILES, split_k=(1,), k_tile=32, channel_tile=4),
}
TENSOR_SHAPES: Mapping[Dtype, Shapes] = {
    "fp16": Shapes(tiles=TENSOR_TILES, split_k=(1, 2, 4, 8, 16), k_tile=32, channel_tile=8),
    "int8": Shapes(tiles=TENSOR_TILES, split_k=(1, 2, 4, 8, 16), k_tile=64, channel_tile=16),
}
OTHER_SHAPES: Mapping[tuple[str, Dtype], Shapes] = {
    # one tile and 32 channels a tap: times of the fitted GPUs do not change below either
    ("cudnn-6", "int8"): Shapes(tiles=CUDA_TILES[:1], split_k=(1,), k_tile=32, channel_tile=32),
}
PARAMETERS = ("efficiency", "latency_threads", "tile_loss", "l2_share", "memory_share", "launch_s", "split_s")
RANGE_OF_FIT = ("macs_least", "macs_most")
REGISTERS, REGISTERS_A_THREAD = 65_536, 128  # of a multiprocessor; of a thread with an 8 x 8 register tile


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What of a GPU decides its kernels: the library for each data type, lanes, and what its tensor cores take."""

    gemm: Mapping[Dtype, str]
    conv: Mapping[Dtype, str]
    lanes: int
    tensor: frozenset[Dtype]
    two_of_four: tuple[Dtype, ...]
    cluster: int
    cluster_source: str
    dtypes: tuple[Dtype, ...]

    @property
    def launch_s(self) -> float:
        """Seconds of a launch, for operators without a product too."""
        return numbers_of(self.gemm["fp32"], "fp32")["launch_s"].value


def numbers_of(library: str, dtype: str, path: Path = FITTED) -> dict[str, Fitted]:
    """Return the numbers of ``library`` in ``dtype``. Raises DeviceError for one that is not there."""
    found = {row.parameter: row for row in load_fitted(path) if (row.runtime, row.dtype) == (library, dtype)}
    for name in (*PARAMETERS, *RANGE_OF_FIT):
        if name not in found:
            raise DeviceError(f"{path}: library {library}, {dtype}: {name} is missing, and a GPU names this library")
    return found


def kernels_of(limits: Limits) -> tuple[Kernel, ...]:
    """Return the kernels in order of preference."""
    found: list[Kernel] = []
    for dtype in limits.dtypes:
        same = limits.gemm[dtype] == limits.conv[dtype]
        found.append(tile_kernel(limits, dtype, limits.gemm[dtype], (*LINEAR, "product", *(CONV if same else ()))))
        if not same:
            found.append(tile_kernel(limits, dtype, limits.conv[dtype], CONV, role="conv"))
    found.append(_depthwise(limits.dtypes))
    found += [
        tile_kernel(limits, dtype, limits.gemm[dtype], (*CONV, *LINEAR), role="2:4") for dtype in limits.two_of_four
    ]
    if "fp16" in limits.tensor:
        found.append(_block_sparse())
    found.append(_csr(tuple(dtype for dtype in limits.dtypes if dtype != "int8")))
    return tuple(found)


def tile_kernel(
    limits: Limits, dtype: Dtype, library: str, kinds: tuple[str, ...], role: Literal["gemm", "conv", "2:4"] = "gemm"
) -> GpuTileKernel:
    """Return the kernel of ``library`` for one data type; fp16 on tensor cores has the plain name."""
    tensor = dtype in limits.tensor
    number = {name: row.value for name, row in numbers_of(library, dtype).items()}
    shapes = OTHER_SHAPES.get((library, dtype)) or (TENSOR_SHAPES if tensor else CUDA_SHAPES)[dtype]
    sparse = role == "2:4"
    plain = tensor and dtype == "fp16"
    return GpuTileKernel(
        name=f"{'tensor' if tensor else 'cuda'}-{role}" + ("" if plain else f"-{dtype}"),
        runtime="cuSPARSELt as torchao calls it" if sparse else library,
        encoding="n_of_m" if sparse else "dense",
        serves=("n_of_m", "n_of_m_both") if sparse else (),
        kinds=kinds,
        dtypes=(dtype,),
        unit="matrix",
        efficiency=number["efficiency"],
        memory_share=number["memory_share"],
        tiles=shapes.tiles,
        k_tile=shapes.k_tile // (2 if sparse else 1),
        channel_tile=shapes.channel_tile,
        split_k=shapes.split_k,
        least_split_columns=256,
        kept=(2, 4) if sparse else (1, 1),
        resident_threads=REGISTERS // REGISTERS_A_THREAD,
        lanes=limits.lanes,
        latency_threads=number["latency_threads"],
        tile_loss=number["tile_loss"],
        l2_share=number["l2_share"],
        launch_s=number["launch_s"],
        split_s=number["split_s"],
        calibrated_macs=(round(number["macs_least"]), round(number["macs_most"])),
        output_copies=1 if sparse else 0,
        cluster=limits.cluster if tensor else 1,
    )


def _depthwise(dtypes: tuple[Dtype, ...]) -> DepthwiseKernel:
    return DepthwiseKernel(
        name="depthwise",
        runtime="cuDNN",
        encoding="dense",
        serves=(),
        kinds=("depthwise",),
        dtypes=dtypes,
        unit="vector",
        efficiency=0.5,
        window_reuse=1,
    )


# of the layers in the rows behind tensor-bsr: MLP, 256 images of 14 x 14 and 16 x 16 patches and a token for the class
_VIT_B_MACS = 768 * 3072 * 256 * (14 * 14 + 1)
_VIT_H_MACS = 1280 * 5120 * 256 * (16 * 16 + 1)


def _block_sparse() -> BlockKernel:
    return BlockKernel(
        name="tensor-bsr",
        runtime="Triton block-sparse (torchao)",
        encoding="bsr",
        serves=("block",),
        kinds=LINEAR,
        dtypes=("fp16",),
        unit="matrix",
        efficiency=0.38,
        index_bytes=4,
        smallest_block=16,
        position_tile=128,
        calibrated_block=(64, 64),
        calibrated_density=(0.1, 0.2),
        calibrated_macs=(_VIT_B_MACS, _VIT_H_MACS),
    )


def _csr(dtypes: tuple[Dtype, ...]) -> RowKernel:
    return RowKernel(
        name="csr-spmm",
        runtime="cuSPARSE",
        encoding="csr",
        serves=("unstructured", "filter_balanced"),
        kinds=(*CONV, *LINEAR),
        pointwise=True,
        dtypes=dtypes,
        unit="vector",
        efficiency=0.85,
        memory_share=0.63,
        index_bytes=4,
        row_block=1,
        position_block=64,
        mix=InstructionMix(weight_loads=1, index_loads=1, integer_operations=3, epilogue=3),
        split="dynamic",
        gather_level=1,
        sector_bytes=32,
    )


_TORCHAO = "pytorch/ao v0.9.0 torchao/sparsity"
_FIXED = {
    "depthwise": "assumed: half of peak, every tap loaded",
    "tensor-bsr": f"efficiency: calibrated on {_TORCHAO} on an A100, bsr 64, ViT-h and ViT-b from 0.8 to 0.9, MLP "
    "layers taken as the sparse ones: 0.383 and 0.373 of peak (DEVIATIONS 8); calibrated_block, calibrated_density, "
    "calibrated_macs: of those rows, batch 256; smallest block and tile assumed",
    "csr-spmm": "memory_share: vlejd/macko_spmv, RTX 3090, cuSPARSE at density 0.05 to 0.1 moves 480 GB/s "
    "where cuBLAS moves 760 (DEVIATIONS 9); the rest assumed",
}


def kernel_sources(limits: Limits, kernels: tuple[Kernel, ...]) -> dict[str, str]:
    """Return where the numbers of ``kernels`` come from, and the launches of the device."""
    launch = numbers_of(limits.gemm["fp32"], "fp32")["launch_s"].source
    found = {"overhead_s": launch, "step_overhead_s": launch}
    for kernel in kernels:
        if not isinstance(kernel, GpuTileKernel):
            found[f"kernels.{kernel.name}"] = _FIXED[kernel.name]
            continue
        dtype = kernel.dtypes[0]
        library = limits.conv[dtype] if kernel.name.startswith(("cuda-conv", "tensor-conv")) else limits.gemm[dtype]
        found[f"kernels.{kernel.name}"] = (
            "tile shapes: cuBLAS and CUTLASS names of kernels; k_tile, channel_tile: granularity of the instruction; "
            "resident_threads: 65,536 registers over 128 a thread; split_k assumed"
        )
        if kernel.output_copies:
            found[f"kernels.{kernel.name}"] += (
                "; output_copies: cuSPARSELt returns a linear layer's output transposed (pytorch issue 118282), "
                "and a copy puts it right (torchao before pull request 4433); the rest as the dense kernel, assumed"
            )
        own = numbers_of(library, dtype)
        found |= {f"kernels.{kernel.name}.{name}": own[name].source for name in PARAMETERS}
        found[f"kernels.{kernel.name}.cluster"] = limits.cluster_source
        found[f"kernels.{kernel.name}.calibrated_macs"] = own["macs_least"].source
    return found
