"""A100 (40 GB PCIe): tensor cores with dense, 2:4 and block-sparse kernels, CUDA cores for CSR and depthwise.

Left out: TF32 (fp32 runs on CUDA cores), Winograd, power limits, host time beyond one launch an operator.
"""

from costmodel.spec import (
    BlockKernel,
    DepthwiseKernel,
    InstructionMix,
    MemoryLevel,
    Pipes,
    RooflineDevice,
    RowKernel,
    Tile,
    TileKernel,
    Units,
)

_PAPER = "pmc.ncbi.nlm.nih.gov/articles/PMC10448217 table t0015"
_SHEET = "hmc-tech.com A100 SXM page"
_PCIE = "sysrqmts.com A100 PCIe"
_TORCHAO = "pytorch/ao v0.9.0 torchao/sparsity"
_CONV = ("conv2d", "conv1d")
_LINEAR = ("linear", "lstm_input", "lstm_hidden", "gru_input", "gru_hidden")
_TILES = tuple(
    Tile(rows=rows, positions=positions, register_rows=min(rows, 64), register_positions=min(positions, 64))
    for rows, positions in ((256, 128), (128, 256), (128, 128), (128, 64), (64, 128), (64, 64), (64, 32), (64, 8))
)

A100 = RooflineDevice(
    name="a100",
    summary="NVIDIA A100 40 GB PCIe: tensor cores dense and 2:4, block-sparse, CSR on CUDA cores",
    kind="server_gpu",
    units=(Units(count=108, clock_hz=1_410_000_000),),
    matrix_macs_per_cycle=(("fp32", 64), ("fp16", 1024), ("int8", 2048)),
    vector_macs_per_cycle=(("fp32", 64), ("fp16", 256), ("int8", 256)),
    levels=(
        MemoryLevel(
            name="shared", bytes=167_936, unit_bytes_per_s=213_898_148_148, total_bytes_per_s=23_101_000_000_000
        ),
        MemoryLevel(
            name="l2", bytes=41_943_040, unit_bytes_per_s=7_219_000_000_000, total_bytes_per_s=7_219_000_000_000
        ),
        MemoryLevel(name="dram", bytes=None, unit_bytes_per_s=1_306_200_000_000, total_bytes_per_s=1_306_200_000_000),
    ),
    overhead_s=4e-6,
    step_overhead_s=4e-6,
    vector_efficiency=0.5,
    pipes=Pipes(vector_bytes=128, loads_per_cycle=1, instructions_per_cycle=4),
    kernels=(
        TileKernel(
            name="tensor-gemm",
            runtime="cuBLAS, cuDNN implicit GEMM",
            encoding="dense",
            serves=(),
            kinds=(*_CONV, *_LINEAR, "product"),
            dtypes=("fp32", "fp16", "int8"),
            unit="matrix",
            efficiency=0.63,
            tiles=_TILES,
            blocking="tile",
            k_tile=16,
            split_k=(1, 2, 4, 8),
        ),
        DepthwiseKernel(
            name="depthwise",
            runtime="cuDNN",
            encoding="dense",
            serves=(),
            kinds=("depthwise",),
            dtypes=("fp32", "fp16", "int8"),
            unit="vector",
            efficiency=0.5,
            window_reuse=1,
        ),
        TileKernel(
            name="tensor-2:4",
            runtime="cuSPARSELt, TensorRT",
            encoding="n_of_m",
            serves=("n_of_m", "n_of_m_both"),
            kinds=(*_CONV, *_LINEAR),
            dtypes=("fp16", "int8"),
            unit="matrix",
            efficiency=0.46,
            tiles=_TILES,
            blocking="tile",
            k_tile=16,
            split_k=(1, 2, 4, 8),
            kept=(2, 4),
        ),
        BlockKernel(
            name="tensor-bsr",
            runtime="Triton block-sparse (torchao)",
            encoding="bsr",
            serves=("block",),
            kinds=_LINEAR,
            dtypes=("fp16",),
            unit="matrix",
            efficiency=0.38,
            index_bytes=4,
            smallest_block=16,
            position_tile=128,
        ),
        RowKernel(
            name="csr-spmm",
            runtime="cuSPARSE",
            encoding="csr",
            serves=("unstructured", "filter_balanced"),
            kinds=(*_CONV, *_LINEAR),
            pointwise=True,
            dtypes=("fp32", "fp16"),
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
        ),
    ),
    sources={
        "units.0.count": f"{_PCIE}: 108 SMs",
        "units.0.clock_hz": f"{_PAPER}: boost 1410 MHz",
        "matrix_macs_per_cycle.fp32": f"{_PCIE}: FP32 19.49 TFLOPS = 2 x 108 x 64 x 1.41 GHz",
        "matrix_macs_per_cycle.fp16": f"{_SHEET}: FP16 tensor dense 311.87 TFLOPS = 2 x 108 x 1024 x 1.41 GHz",
        "matrix_macs_per_cycle.int8": f"{_SHEET}: INT8 dense 623.74 TOPS = 2 x 108 x 2048 x 1.41 GHz",
        "vector_macs_per_cycle.fp32": f"{_PCIE}: FP32 19.49 TFLOPS",
        "vector_macs_per_cycle.fp16": f"{_PCIE}: FP16 non-tensor 77.97 TFLOPS = 2 x 108 x 256 x 1.41 GHz",
        "vector_macs_per_cycle.int8": "assumed: four products a lane, as DP4A",
        "levels.shared": f"{_PAPER}: 164 KB a SM, 23101 GB/s the chip (a unit: / 108)",
        "levels.l2": f"{_PAPER}: 40 MB, 7219 GB/s",
        "levels.dram": f"{_PAPER}: peak 1555 GB/s x 84 % attained (FluidX3D README @8986874e626e, A100 PCIe 40GB)",
        "overhead_s": "assumed from a B200: about 4 us dispatch (dogacel.github.io, kernel dispatch overhead)",
        "step_overhead_s": "assumed: a launch a time step",
        "vector_efficiency": "assumed",
        "pipes": "assumed: one 32-lane load and four warp instructions a cycle and SM",
        "kernels.tensor-gemm": f"efficiency: {_TORCHAO}/training, linear 13008x1024x4096 forward and backward in "
        "1.661 ms = 197 of 312 TFLOPS (DEVIATIONS 7); tiles and split-K assumed",
        "kernels.depthwise": "assumed: half of peak, every tap loaded",
        "kernels.tensor-2:4": f"efficiency: {_TORCHAO}/training, two linears forward and backward, 1.661 -> 1.342 ms "
        "and 1.643 -> 1.294 ms: 0.44 and 0.47 if two of three products are 2:4 and compression is in the time; other "
        "readings give 0.50 to 0.88 and disagree between the two (DEVIATIONS 6); tiles and split-K assumed",
        "kernels.tensor-bsr": f"efficiency: calibrated on {_TORCHAO}, bsr 64, ViT-h and ViT-b from 0.8 to 0.9, MLP "
        "layers taken as the sparse ones: 0.383 and 0.373 of peak (DEVIATIONS 8); smallest block and tile assumed",
        "kernels.csr-spmm": "memory_share: vlejd/macko_spmv, RTX 3090, cuSPARSE at density 0.05 to 0.1 moves 480 GB/s "
        "where cuBLAS moves 760 (DEVIATIONS 9); the rest assumed",
    },
)
