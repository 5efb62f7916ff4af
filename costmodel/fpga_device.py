"""Makes the device of an FPGA board from its data: what follows from the fabric is computed, not written down twice.

All boards have the same engines and the same costs of them. Leaves out: what differs among speed grades but the clock.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from costmodel.fabric import ClockLoss, EngineCosts, Fabric, Resources, Shares
from costmodel.spec import (
    PER_DTYPE,
    Addressing,
    DepthwiseKernel,
    Dtype,
    EngineKernel,
    MemoryLevel,
    RooflineDevice,
    Units,
)
from simulator.spec import DeviceError

FINN = "Xilinx/finn src/finn/util/platforms.py @39f0c9a6b767"
BOARD_STORE = "Xilinx/XilinxBoardStore @20bbb1210350"
_DPU = "xilinx.github.io/kria-apps-docs smartcamera hw_arch_accel: a DPU B3136 takes 45433 LUT for 1568 int8 products"
_KINDS = ("conv2d", "conv1d", "linear", "lstm_input", "lstm_hidden", "gru_input", "gru_hidden")
_DTYPES: tuple[Dtype, ...] = ("fp32", "fp16", "int8")
_OWN = "an engine of this design"

SHARES = Shares(dsp=0.8, bram36=0.8, uram=0.8, lut=0.7)
CLOCK_LOSS = ClockLoss(mux_doubling=0.03, full_lut=0.15)
ULTRASCALE_COSTS = EngineCosts(
    dsp_per_mac=(("fp32", 5), ("fp16", 3), ("int8", 1)),
    positions_per_dsp=(("fp32", 1), ("fp16", 1), ("int8", 2)),
    lut_per_mac=(("fp32", 400), ("fp16", 200), ("int8", 20)),
    packed_chain=7,
    lut_control=14_000,
    mux_inputs=4,
    word_bytes=8,
    lut_per_token=34,
    token_bram36=2,
)
COMMON_SOURCES: Mapping[str, str] = {
    "units.0.count": "assumed: one engine",
    "matrix_macs_per_cycle": "derived: DSPs of the budget beside the vector unit, over those of a multiply-add",
    "vector_macs_per_cycle": "assumed: about a twentieth of the DSPs, in multiply-adds",
    "levels.bram.bytes": "derived: 4096 B for each BRAM36 and 32768 B for each URAM of the budget",
    "levels.bram": "derived: each BRAM36 of the budget reads a word a cycle",
    "overhead_s": "assumed: an engine start and its drain",
    "step_overhead_s": "assumed: steps are sequenced in the engine",
    "vector_efficiency": "assumed",
    "fabric.shares.dsp": f"{FINN}: default limit BRAM/URAM/DSP 0.8",
    "fabric.shares.bram36": f"{FINN}: default limit BRAM/URAM/DSP 0.8",
    "fabric.shares.uram": f"{FINN}: default limit BRAM/URAM/DSP 0.8",
    "fabric.shares.lut": f"{FINN}: default limit LUT 0.7",
    "fabric.costs.dsp_per_mac.fp32": "assumed: three for the product, two for the sum",
    "fabric.costs.dsp_per_mac.fp16": "assumed: one for the product, two for the sum",
    "fabric.costs.dsp_per_mac.int8": "assumed: 8 bits fit a DSP's multiplier",
    "fabric.costs.positions_per_dsp": "Xilinx WP486: two int8 products that share a weight in a DSP48E2; else one",
    "fabric.costs.lut_per_mac.fp32": "assumed: alignment and normalisation of product and sum",
    "fabric.costs.lut_per_mac.fp16": "assumed: half of fp32",
    "fabric.costs.lut_per_mac.int8": f"{_DPU}; its split into 20 each and control is assumed",
    "fabric.costs.packed_chain": "Xilinx WP486: 1.75 int8 products a DSP, read as two on seven of eight",
    "fabric.costs.lut_control": f"{_DPU}; what 20 each leave",
    "fabric.costs.mux_inputs": "Xilinx UG474, UG974: 4:1 multiplexer in a LUT, 16:1 in four, 32:1 in eight",
    "fabric.costs.word_bytes": "assumed: 72-bit port, 64 data bits",
    "fabric.costs.lut_per_token": "assumed: a cell of an insertion sorter: 16-bit comparator 8, 26 bits shifted",
    "fabric.costs.token_bram36": "assumed: the list of kept tokens, twice",
    "fabric.clock_loss": "assumed: no clock of engines of this design was measured",
    "kernels": "assumed: no such engine was measured (DEVIATIONS 10)",
}


def fpga(
    *,
    name: str,
    summary: str,
    clock_hz: int,
    total: Resources,
    shell: Resources,
    main_bytes_per_s: int,
    vector_macs: tuple[tuple[Dtype, int], ...],
    sources: Mapping[str, str],
    costs: EngineCosts = ULTRASCALE_COSTS,
) -> RooflineDevice:
    """Return the device of a board. ``main_bytes_per_s``: achievable; ``sources``: of the numbers given here."""
    fabric = Fabric(total=total, shell=shell, shares=SHARES, costs=costs, clock_loss=CLOCK_LOSS)
    rates = tuple((dtype, _matrix_macs(fabric, dtype, dict(vector_macs)[dtype])) for dtype in _DTYPES)
    chip_rate = _chip_rate(fabric, clock_hz)
    return RooflineDevice(
        name=name,
        summary=summary,
        kind="fpga",
        units=(Units(count=1, clock_hz=clock_hz),),
        matrix_macs_per_cycle=rates,
        vector_macs_per_cycle=vector_macs,
        levels=(
            MemoryLevel(name="bram", bytes=fabric.chip_bytes, unit_bytes_per_s=chip_rate, total_bytes_per_s=chip_rate),
            MemoryLevel(name="dram", bytes=None, unit_bytes_per_s=main_bytes_per_s, total_bytes_per_s=main_bytes_per_s),
        ),
        overhead_s=10e-6,
        vector_efficiency=0.8,
        fabric=fabric,
        kernels=_kernels(),
        sources={**COMMON_SOURCES, **sources},
    )


def following_fabric(base: RooflineDevice, fresh: Mapping[str, Any], stated: Collection[str]) -> dict[str, Any]:
    """Return the ``fresh`` fields of a changed ``base``, with what follows from its fabric where nothing is ``stated``.

    What follows: multiply-adds of the matrix unit, bytes and bandwidth of the memories on chip. Raises DeviceError.
    """
    fabric = fresh.get("fabric", base.fabric)
    vector: PER_DTYPE = fresh.get("vector_macs_per_cycle", base.vector_macs_per_cycle)
    matrix: PER_DTYPE = fresh.get("matrix_macs_per_cycle", base.matrix_macs_per_cycle)
    levels = fresh.get("levels", base.levels)
    if fabric is None or base.fabric is None or fabric.missing(tuple(dtype for dtype, _ in (*vector, *matrix))):
        return dict(fresh)  # the device itself says what is missing
    rates = []
    for dtype, rate in matrix:
        free = dtype in dict(vector) and f"matrix_macs_per_cycle.{dtype}" not in stated
        rates.append((dtype, _matrix_macs(fabric, dtype, dict(vector)[dtype]) if free else rate))
    chip = levels[-2]
    if f"levels.{chip.name}.bytes" not in stated:
        chip = replace(chip, bytes=fabric.chip_bytes)
    own, clock_hz = base.levels[-2], fresh.get("units", base.units)[0].clock_hz
    for name in ("unit_bytes_per_s", "total_bytes_per_s"):
        derived = getattr(own, name) == _chip_rate(base.fabric, base.units[0].clock_hz)
        if derived and f"levels.{chip.name}.{name}" not in stated:
            chip = replace(chip, **{name: _chip_rate(fabric, clock_hz)})
    return {**fresh, "matrix_macs_per_cycle": tuple(rates), "levels": (*levels[:-2], chip, levels[-1])}


def _matrix_macs(fabric: Fabric, dtype: Dtype, vector_macs: int) -> int:
    """Return what the DSPs do that the vector unit leaves."""
    free = fabric.budget.dsp - fabric.dsps_of_macs(dtype, vector_macs, 1)
    found = fabric.macs_of_dsps(dtype, max(free, 0))
    if found < 1:
        taken = f"and the {fabric.budget.dsp} DSPs that the fabric lends leave none for an engine"
        raise DeviceError(f"vector_macs_per_cycle.{dtype} is {vector_macs}, {taken}")
    return found


def _chip_rate(fabric: Fabric, clock_hz: int) -> int:
    """Return the bytes per second of the memories on chip: each BRAM36 of the budget reads a word a cycle."""
    return fabric.budget.bram36 * fabric.costs.word_bytes * clock_hz


def _kernels() -> tuple[EngineKernel | DepthwiseKernel, ...]:
    return (
        EngineKernel(
            name="dense-engine",
            runtime=_OWN,
            encoding="dense",
            serves=(),
            kinds=(*_KINDS, "product"),
            dtypes=_DTYPES,
            unit="matrix",
            efficiency=0.95,
            lanes=(8, 16, 32),
            addressing="aligned",
        ),
        DepthwiseKernel(
            name="depthwise-engine",
            runtime=_OWN,
            encoding="dense",
            serves=(),
            kinds=("depthwise",),
            dtypes=_DTYPES,
            unit="vector",
            efficiency=0.8,
            window_reuse=3,
        ),
        _sparse("gs-engine", "gs", ("gs", "gs_scatter"), (16,), "any"),
        _sparse("block-engine", "bsr", ("block",), (4, 8, 16, 32), "aligned"),
        _sparse("n_of_m-engine", "n_of_m", ("n_of_m",), (8, 16, 32), "window"),
        _sparse("packed-engine", "packed", ("unstructured", "bank_balanced", "filter_balanced"), (16,), "any"),
    )


def _sparse(
    name: str, encoding: str, serves: tuple[str, ...], lanes: tuple[int, ...], addressing: Addressing
) -> EngineKernel:
    return EngineKernel(
        name=name,
        runtime=_OWN,
        encoding=encoding,
        serves=serves,
        kinds=_KINDS,
        dtypes=_DTYPES,
        unit="matrix",
        efficiency=0.95,
        lanes=lanes,
        addressing=addressing,
    )
