"""ZCU102 (XCZU9EG): a dense engine and banked gather engines, sized by the DSPs and block RAMs that the part has.

"fp16" is 16-bit fixed point here, one DSP a multiply-add, as FPGA accelerators do. One engine is assumed to be loaded
at a time. Left out: LUT and FF budgets, timing closure, packing two int8 products into a DSP, the time to reconfigure.
"""

from costmodel.spec import DepthwiseKernel, EngineKernel, Fabric, MemoryLevel, RooflineDevice, Units

_FINN = "Xilinx/finn src/finn/util/platforms.py @39f0c9a6b767"
_KINDS = ("conv2d", "conv1d", "linear", "lstm_input", "lstm_hidden", "gru_input", "gru_hidden")
_LANES = 16


def _gather_engine(name: str, encoding: str, serves: tuple[str, ...]) -> EngineKernel:
    return EngineKernel(
        name=name,
        runtime="an engine of this design",
        encoding=encoding,
        serves=serves,
        kinds=_KINDS,
        dtypes=("fp32", "fp16", "int8"),
        unit="matrix",
        efficiency=0.95,
        rows=1,
        lanes=_LANES,
    )


ZCU102 = RooflineDevice(
    name="zcu102",
    summary="ZCU102 (XCZU9EG) at 200 MHz: dense engine, banked gather engines; fp16 is 16-bit fixed point",
    kind="fpga",
    units=(Units(count=1, clock_hz=200_000_000),),
    matrix_macs_per_cycle=(("fp32", 403), ("fp16", 2016), ("int8", 2016)),
    vector_macs_per_cycle=(("fp32", 22), ("fp16", 112), ("int8", 112)),
    levels=(
        MemoryLevel(
            name="bram", bytes=3_359_232, unit_bytes_per_s=1_166_400_000_000, total_bytes_per_s=1_166_400_000_000
        ),
        MemoryLevel(name="dram", bytes=None, unit_bytes_per_s=13_656_000_000, total_bytes_per_s=13_656_000_000),
    ),
    overhead_s=10e-6,
    vector_efficiency=0.8,
    fabric=Fabric(
        dsp=2520,
        bram36=912,
        bram_word_bytes=8,
        dsp_share=0.8,
        bram_share=0.8,
        dsp_per_mac=(("fp32", 5), ("fp16", 1), ("int8", 1)),
    ),
    kernels=(
        EngineKernel(
            name="dense-engine",
            runtime="an engine of this design",
            encoding="dense",
            serves=(),
            kinds=(*_KINDS, "product"),
            dtypes=("fp32", "fp16", "int8"),
            unit="matrix",
            efficiency=0.95,
            rows=16,
            lanes=_LANES,
        ),
        DepthwiseKernel(
            name="depthwise-engine",
            runtime="an engine of this design",
            encoding="dense",
            serves=(),
            kinds=("depthwise",),
            dtypes=("fp32", "fp16", "int8"),
            unit="vector",
            efficiency=0.8,
            window_reuse=3,
        ),
        _gather_engine("gs-engine", "gs", ("gs", "gs_scatter")),
        _gather_engine("block-engine", "bsr", ("block",)),
        _gather_engine("n_of_m-engine", "n_of_m", ("n_of_m",)),
        _gather_engine("packed-engine", "packed", ("unstructured", "bank_balanced", "filter_balanced")),
    ),
    sources={
        "units.0.count": "assumed: one engine",
        "units.0.clock_hz": "arxiv.org/abs/2403.20230: EfficientViT accelerator on a ZCU102 at 200 MHz",
        "matrix_macs_per_cycle": f"{_FINN}: 2520 DSP x 0.8, over the DSPs of a multiply-add",
        "vector_macs_per_cycle": "assumed: 16 lanes x 7 positions beside the dense engine, a fifth of it for fp32",
        "levels.bram.bytes": f"{_FINN}: 912 BRAM36 x 0.8 x 4608 B, rounded down to whole BRAMs",
        "levels.bram": "assumed: each of 729 BRAM36 reads 8 B a cycle at 200 MHz",
        "levels.dram": "XilinxBoardStore zcu102 preset @20bbb1210350: PS DDR4 17.07 GB/s; 80 % of it assumed",
        "overhead_s": "assumed: an engine start and its drain",
        "step_overhead_s": "assumed: steps are sequenced in the engine",
        "vector_efficiency": "assumed",
        "fabric.dsp": f"{_FINN}: XCZU9EG",
        "fabric.bram36": f"{_FINN}: XCZU9EG, 1824 BRAM18",
        "fabric.bram_word_bytes": "assumed: 72-bit port, 64 data bits",
        "fabric.dsp_share": f"{_FINN}: default limit BRAM/URAM/DSP 0.8",
        "fabric.bram_share": f"{_FINN}: default limit BRAM/URAM/DSP 0.8",
        "fabric.dsp_per_mac": "assumed: one for 8 and 16 bit fixed point, three and two for an fp32 product and sum",
        "kernels": "assumed: no such engine was measured (DEVIATIONS 10)",
    },
)
