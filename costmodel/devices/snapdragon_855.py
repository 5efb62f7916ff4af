"""Snapdragon 855: the A76-class cores (Kryo 485), one prime and three big, with GEMM and XNNPACK's sparse kernels.

Left out: the four A55-class cores, the system cache behind the L3, Winograd (DEVIATIONS 1), frequency scaling.
"""

from costmodel.spec import (
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

_SOC = "anandtech show/15178: Snapdragon 855, 1x A76 2.84 GHz 512 KB L2 + 3x A76 2.42 GHz, 2 MB shared L3 at 1612 MHz"
_N1 = "llvm AArch64SchedNeoverseN1.td @02cec0a4ec2e (N1 is A76-derived)"
_XNNPACK = "XNNPACK src/configs/spmm-config.c, AArch64: f32 32x1, 32x2, 32x4, f16 32x1"
_SD835 = (
    "efficiency: calibrated, not validated, on another core: this model with assumed A73 numbers meets a "
    "Snapdragon 835 at 0.31 (MobileNetV1 at 90 %, google-research fastconvnets, 31 ms) and at 0.26 to 0.37 "
    "(MobileNetV1 and V2 at 75 to 80 %, Paddle-Lite benchmark.md, 56.02 and 38.53 ms), all that is unexplained "
    "charged to it (DEVIATIONS 3)"
)
_MIX = InstructionMix(weight_loads=1, index_loads=1, integer_operations=2, epilogue=3)
_CONV = ("conv2d", "conv1d")
_LINEAR = ("linear", "lstm_input", "lstm_hidden", "gru_input", "gru_hidden")
_ANY_MASK = (
    "unstructured", "n_of_m", "n_of_m_both", "block", "block_punched", "gs", "gs_scatter", "bank_balanced",
    "filter_balanced", "kernel_pattern",
)  # fmt: skip


def _spmm(name: str, rows: int, *, linear: bool) -> RowKernel:
    return RowKernel(
        name=name,
        runtime="XNNPACK",
        encoding="csr" if rows == 1 else "bsr",
        serves=_ANY_MASK if rows == 1 else ("block",),
        kinds=_LINEAR if linear else _CONV,
        pointwise=not linear,
        dtypes=("fp32", "fp16") if rows == 1 else ("fp32",),
        unit="vector",
        efficiency=0.3,
        index_bytes=4,
        row_block=rows,
        position_block=32,
        mix=_MIX,
        split="rows" if linear else "positions",
    )


SNAPDRAGON_855 = RooflineDevice(
    name="snapdragon-855",
    summary="Snapdragon 855 CPU, A76-class cores (one big core unless --threads), GEMM and XNNPACK-like sparse kernels",
    kind="mobile_cpu",
    units=(Units(count=1, clock_hz=2_840_000_000), Units(count=3, clock_hz=2_420_000_000)),
    static_threads=True,
    matrix_macs_per_cycle=(("fp32", 8), ("fp16", 16), ("int8", 32)),
    vector_macs_per_cycle=(("fp32", 8), ("fp16", 16), ("int8", 16)),
    levels=(
        MemoryLevel(name="l1", bytes=65_536, unit_bytes_per_s=90_880_000_000, total_bytes_per_s=363_520_000_000),
        MemoryLevel(name="l2", bytes=524_288, unit_bytes_per_s=45_440_000_000, total_bytes_per_s=181_760_000_000),
        MemoryLevel(name="l3", bytes=2_097_152, unit_bytes_per_s=25_792_000_000, total_bytes_per_s=51_584_000_000),
        MemoryLevel(name="dram", bytes=None, unit_bytes_per_s=21_660_000_000, total_bytes_per_s=30_000_000_000),
    ),
    overhead_s=5e-6,
    vector_efficiency=0.5,
    pipes=Pipes(vector_bytes=16, loads_per_cycle=2, instructions_per_cycle=4),
    kernels=(
        TileKernel(
            name="gemm",
            runtime="a packed or indirect GEMM (XNNPACK, ncnn without Winograd)",
            encoding="dense",
            serves=(),
            kinds=(*_CONV, *_LINEAR, "product"),
            dtypes=("fp32", "fp16", "int8"),
            unit="matrix",
            efficiency=0.85,
            tiles=(
                Tile(rows=8, positions=12, register_rows=8, register_positions=12),
                Tile(rows=8, positions=4, register_rows=8, register_positions=4),
                Tile(rows=16, positions=1, register_rows=16, register_positions=1),  # matrix times vector
            ),
            blocking="cache",
        ),
        DepthwiseKernel(
            name="depthwise",
            runtime="XNNPACK, ncnn",
            encoding="dense",
            serves=(),
            kinds=("depthwise",),
            dtypes=("fp32", "fp16", "int8"),
            unit="vector",
            efficiency=0.5,
            window_reuse=3,
        ),
        _spmm("spmm-32x4", 4, linear=False),
        _spmm("spmm-32x2", 2, linear=False),
        _spmm("spmm-32x1", 1, linear=False),
        _spmm("spmm-linear-32x1", 1, linear=True),
    ),
    sources={
        "units": _SOC,
        "matrix_macs_per_cycle.fp32": f"{_N1}: FMLA Q 2 a cycle x 4 lanes",
        "matrix_macs_per_cycle.fp16": "assumed: two 128-bit FMLA pipes x 8 lanes",
        "matrix_macs_per_cycle.int8": "assumed: two 128-bit SDOT pipes x 16 products",
        "vector_macs_per_cycle.fp32": f"{_N1}: FMLA Q 2 a cycle x 4 lanes",
        "vector_macs_per_cycle.fp16": "assumed: two 128-bit FMLA pipes x 8 lanes",
        "vector_macs_per_cycle.int8": "assumed: widened to 16-bit lanes",
        "levels.l1.bytes": "en.wikichip.org cortex-a76: L1D 64 KiB",
        "levels.l1": f"{_N1}: LDR Q 2 a cycle x 16 B x 2.84 GHz; times four cores",
        "levels.l2.bytes": _SOC,
        "levels.l2": "assumed: 16 B a cycle at 2.84 GHz a core",
        "levels.l3.bytes": _SOC,
        "levels.l3": "assumed: 16 B a cycle a core, two cores' worth together, at the sourced 1612 MHz",
        "levels.dram.unit_bytes_per_s": "sbc-bench results/41BH.txt @53f795176f28: RK3588 A76 memcpy 2 x 10830 MB/s",
        "levels.dram.total_bytes_per_s": "azhirnov/cpu-gpu-arch Adreno-6xx.md (chipsandcheese): just under 30 GB/s",
        "overhead_s": "assumed",
        "step_overhead_s": "assumed: a loop inside the operator",
        "vector_efficiency": "assumed",
        "pipes.vector_bytes": f"{_N1}: 128-bit ASIMD pipes",
        "pipes.loads_per_cycle": f"{_N1}: LDR Q 2 a cycle",
        "pipes.instructions_per_cycle": "en.wikichip.org cortex-a76: decode 4 instr/cycle",
        "kernels.gemm": "assumed: 8x12 register tile; 85 % of peak, chosen with Paddle-Lite's MobileNetV1 fp32 "
        "row in view (29.04 ms, 86 % of peak; DEVIATIONS 2 and 4)",
        "kernels.depthwise": "assumed: 3 of a window's 9 input loads, half of peak",
        "kernels.spmm-32x4": f"tile: {_XNNPACK}; {_SD835}; instruction mix assumed",
        "kernels.spmm-32x2": f"tile: {_XNNPACK}; {_SD835}; instruction mix assumed",
        "kernels.spmm-32x1": f"tile: {_XNNPACK}; {_SD835}; instruction mix assumed",
        "kernels.spmm-linear-32x1": "assumed: the same loop over tokens, rows over threads (XNNPACK takes 1x1 only)",
    },
)
