"""Adreno 640, the GPU of the Snapdragon 855, with dense kernels through the texture path.

No public runtime ships sparse kernels for it, so every unstructured or block mask runs dense, and the row says so.
Left out: idle shader processors on small layers, Winograd (DEVIATIONS 1), image-layout conversion.
"""

from costmodel.spec import DepthwiseKernel, MemoryLevel, RooflineDevice, Tile, TileKernel, Units

_NOTE = (
    "azhirnov/cpu-gpu-arch gpu/Adreno-6xx.md @a09114b796a1 (quotes chipsandcheese, inside the Snapdragon 855's iGPU)"
)
_KINDS = ("conv2d", "conv1d", "linear", "lstm_input", "lstm_hidden", "gru_input", "gru_hidden", "product")

ADRENO_640 = RooflineDevice(
    name="adreno-640",
    summary="Adreno 640 GPU (Snapdragon 855), dense kernels only: no public runtime has sparse ones",
    kind="mobile_gpu",
    units=(Units(count=1, clock_hz=585_000_000),),
    matrix_macs_per_cycle=(("fp32", 768), ("fp16", 1536)),
    vector_macs_per_cycle=(("fp32", 768), ("fp16", 1536)),
    levels=(
        MemoryLevel(name="texture", bytes=131_072, unit_bytes_per_s=192_000_000_000, total_bytes_per_s=192_000_000_000),
        MemoryLevel(
            name="system_cache", bytes=2_097_152, unit_bytes_per_s=40_000_000_000, total_bytes_per_s=40_000_000_000
        ),
        MemoryLevel(name="dram", bytes=None, unit_bytes_per_s=30_000_000_000, total_bytes_per_s=30_000_000_000),
    ),
    overhead_s=50e-6,
    step_overhead_s=50e-6,
    vector_efficiency=0.5,
    kernels=(
        TileKernel(
            name="texture-gemm",
            runtime="OpenCL or Vulkan (Paddle-Lite, ncnn without Winograd)",
            encoding="dense",
            serves=(),
            kinds=_KINDS,
            dtypes=("fp32", "fp16"),
            unit="matrix",
            efficiency=0.8,
            tiles=(
                Tile(rows=4, positions=4, register_rows=4, register_positions=4),
                Tile(rows=4, positions=1, register_rows=4, register_positions=1),  # matrix times vector
            ),
            blocking="cache",
        ),
        DepthwiseKernel(
            name="depthwise",
            runtime="OpenCL or Vulkan",
            encoding="dense",
            serves=(),
            kinds=("depthwise",),
            dtypes=("fp32", "fp16"),
            unit="vector",
            efficiency=0.5,
            window_reuse=1,
        ),
    ),
    sources={
        "units.0.count": "assumed: the whole GPU is one unit",
        "units.0.clock_hz": f"{_NOTE}: 585 MHz",
        "matrix_macs_per_cycle.fp32": f"{_NOTE}: 898.5 GFLOPS fp32 = 2 x 768 x 585 MHz; 407 G FMA/s measured",
        "matrix_macs_per_cycle.fp16": f"{_NOTE}: 1797 GFLOPS fp16 = 2 x 1536 x 585 MHz (measurement in doubt)",
        "vector_macs_per_cycle": f"{_NOTE}: the same lanes",
        "levels.texture.bytes": f"{_NOTE}: L2 128 KB behind the texture path",
        "levels.texture": f"{_NOTE}: texture path 192 GB/s measured",
        "levels.system_cache.bytes": f"{_NOTE}: 2 MB (another source says 3 MB)",
        "levels.system_cache": f"{_NOTE}: about 40 GB/s measured",
        "levels.dram": f"{_NOTE}: just under 30 GB/s measured",
        "overhead_s": "assumed: tens of microseconds a dispatch",
        "step_overhead_s": "assumed: a dispatch a time step",
        "vector_efficiency": "assumed",
        "kernels.texture-gemm": "assumed: a 4x4 tile a thread, chosen with Paddle-Lite's ResNet-50 row in view "
        "(29.70 ms, DEVIATIONS 5); 80 % of peak, rarely binding beside the texture path",
        "kernels.depthwise": "assumed: half of peak, every tap loaded",
    },
)
