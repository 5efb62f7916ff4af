"""Engines of FPGAs by hand: what they take, what crossbars cost, what is short, and one engine for a network."""

from __future__ import annotations

from dataclasses import fields, replace
from math import ceil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costmodel.device_file import device_text, load_cost_device
from costmodel.devices.catalog import ALL_DEVICES
from costmodel.devices.pynq_z2 import PYNQ_Z2
from costmodel.devices.zcu102 import ZCU102
from costmodel.devices.zcu111 import ZCU111
from costmodel.estimate import estimate
from costmodel.fabric import EngineShape, Fabric, Resources
from costmodel.fpga import Work, candidates, chosen, crossbar_lut, engine_use, shape_of, shortage
from costmodel.fpga_choice import engine_kernel, with_engine
from costmodel.fpga_device import fpga
from costmodel.problem import problem_of
from costmodel.roofline import Run
from costmodel.spec import Dtype, EngineKernel, RooflineDevice
from gatherline.pipeline import run
from gatherline.request import RunRequest
from patterns.base import Pattern
from patterns.block import Block
from patterns.dense import Dense
from patterns.gs import GatherScatter
from patterns.n_of_m import NOfM
from patterns.unstructured import Unstructured
from simulator.result import LayerResult
from simulator.spec import DeviceError
from traces.layer import MatrixLayer, ProductLayer, Window
from traces.layout import column_banks
from traces.trace import LayerTrace

BOARDS = [device for device in ALL_DEVICES if device.fabric and device.fabric.engine is None]
boards = pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)


def fabric_of(device: RooflineDevice) -> Fabric:
    assert device.fabric is not None
    return device.fabric


def kernel_named(name: str, device: RooflineDevice = ZCU102) -> EngineKernel:
    return next(one for one in device.kernels if isinstance(one, EngineKernel) and one.name == name)


def conv(m: int, k: int, size: int, name: str = "conv") -> MatrixLayer:
    window = Window(in_hw=(size, size), out_hw=(size, size))
    return MatrixLayer(name=name, kind="conv2d", m=m, k=k, window=window)


def trace(layer: MatrixLayer, pattern: Pattern, sparsity: float = 0.0) -> LayerTrace:
    scores = np.random.default_rng(1).random((layer.groups, layer.m, layer.k), dtype=np.float32)
    banks = column_banks(layer, getattr(pattern, "banks", 16))
    return LayerTrace(layer=layer, pattern=pattern, mask=pattern.project(scores, sparsity, banks))


def built(device: RooflineDevice, pattern: Pattern, dtype: Dtype, *layers: MatrixLayer) -> RooflineDevice:
    kernel = engine_kernel(device, pattern, dtype)
    density = 0.25
    works = [
        Work(problem=problem_of(one, 1), slots=round(density * one.weight_elements) if kernel.serves else None)
        for one in layers
    ]
    return with_engine(device, works, kernel, pattern, dtype)


def board(total: Resources, vector: int = 1) -> RooflineDevice:
    rates: tuple[tuple[Dtype, int], ...] = (("fp32", vector), ("fp16", vector), ("int8", vector))
    return fpga(
        name="board",
        summary="a board",
        clock_hz=200_000_000,
        total=total,
        shell=Resources(dsp=0, bram36=0, uram=0, lut=0),
        main_bytes_per_s=10**10,
        vector_macs=rates,
        sources=dict.fromkeys(("units.0.clock_hz", "levels.dram", "fabric.total", "fabric.shell"), "a test"),
    )


# What an engine takes


def test_a_dense_engine_takes_what_its_width_needs() -> None:
    shape = shape_of(kernel_named("dense-engine"), None, rows=8, lanes=16, positions=12)
    use = engine_use(ZCU102, kernel_named("dense-engine"), shape, "fp16")
    costs = fabric_of(ZCU102).costs
    vector = dict(ZCU102.vector_macs_per_cycle)["fp16"]
    assert use.dsp == (8 * 16 * 12 + vector) * 3
    activations, results, weights = 16 * ceil(12 * 2 / 8), 8 * ceil(12 * 2 / 8), ceil(8 * 16 * 2 / 8)
    assert use.bram36 == 2 * (activations + results + weights)
    assert use.lut == costs.lut_control + (8 * 16 * 12 + vector) * 200
    assert use.uram == 0


def test_two_int8_products_of_one_weight_share_a_dsp_and_every_seventh_takes_one_more() -> None:
    shape = shape_of(kernel_named("dense-engine"), None, rows=8, lanes=16, positions=7)
    use = engine_use(ZCU102, kernel_named("dense-engine"), shape, "int8")
    pairs = 8 * 16 * ceil(7 / 2)
    assert use.dsp == pairs + ceil(pairs / 7) + dict(ZCU102.vector_macs_per_cycle)["int8"]
    small = engine_use(PYNQ_Z2, kernel_named("dense-engine"), shape, "int8")
    assert small.dsp == 8 * 16 * 7 + dict(PYNQ_Z2.vector_macs_per_cycle)["int8"]  # a DSP48E1 takes one


def test_rows_that_gather_have_a_copy_of_the_banks_each_and_rows_in_step_share_them() -> None:
    gather = shape_of(kernel_named("gs-engine"), GatherScatter(banks=16, k=1), rows=4, lanes=16, positions=8)
    window = shape_of(kernel_named("n_of_m-engine"), NOfM(n=2, m=4), rows=4, lanes=16, positions=8)
    others = 4 + ceil(4 * 16 * (1 + 2) / 8)  # results of four rows, values and 16-bit indices
    assert engine_use(ZCU102, kernel_named("gs-engine"), gather, "int8").bram36 == 2 * (4 * 16 + others)
    assert engine_use(ZCU102, kernel_named("n_of_m-engine"), window, "int8").bram36 == 2 * (16 * 4 // 2 + others)


def test_rows_of_a_block_share_its_columns() -> None:
    kernel = kernel_named("block-engine")
    for pattern, banks in (
        (Block(height=16, width=1), 1),
        (Block(height=1, width=16), 16),
        (Block(height=4, width=4), 4),
    ):
        assert shape_of(kernel, pattern, rows=1, lanes=16, positions=1).banks == banks


def test_activations_go_to_uram_first_and_then_to_block_ram() -> None:
    kernel = kernel_named("dense-engine", ZCU111)
    shape = shape_of(kernel, None, rows=8, lanes=16, positions=8)
    width = engine_use(ZCU111, kernel, shape, "int8")
    some = engine_use(ZCU111, kernel, shape, "int8", width.bram36 * 4096 + 3 * 32768)
    assert (some.bram36, some.uram) == (width.bram36, 3)
    urams = fabric_of(ZCU111).budget.uram
    more = engine_use(ZCU111, kernel, shape, "int8", width.bram36 * 4096 + urams * 32768 + 5 * 4096)
    assert (more.bram36, more.uram) == (width.bram36 + 5, urams)


# Crossbar, clock, tokens


@pytest.mark.parametrize("lanes", [4, 8, 16, 32])
def test_doubling_the_lanes_quadruples_the_crossbars_luts(lanes: int) -> None:
    kernel = kernel_named("gs-engine")

    def luts(count: int, value_bytes: int = 2) -> int:
        shape = shape_of(kernel, GatherScatter(banks=count, k=1), rows=2, lanes=count, positions=6)
        return crossbar_lut(fabric_of(ZCU102), shape, value_bytes)

    assert luts(lanes) == 2 * lanes * (lanes // 4) * 6 * 16
    assert luts(2 * lanes) == 4 * luts(lanes)
    assert luts(lanes, 4) == 2 * luts(lanes)


def test_blocks_and_dense_engines_have_no_crossbar_and_a_window_has_small_multiplexers() -> None:
    fabric = fabric_of(ZCU102)
    block = shape_of(kernel_named("block-engine"), Block(height=4, width=4), rows=2, lanes=16, positions=6)
    dense = shape_of(kernel_named("dense-engine"), None, rows=2, lanes=16, positions=6)
    window = shape_of(kernel_named("n_of_m-engine"), NOfM(n=2, m=4), rows=2, lanes=16, positions=6)
    assert crossbar_lut(fabric, block, 2) == crossbar_lut(fabric, dense, 2) == 0
    assert crossbar_lut(fabric, window, 2) == 2 * 16 * 1 * 6 * 16


def test_the_clock_falls_with_the_crossbar_and_with_the_luts_in_use() -> None:
    kernel, pattern = kernel_named("gs-engine"), GatherScatter(banks=16, k=1)
    use = engine_use(ZCU102, kernel, shape_of(kernel, pattern, rows=1, lanes=16, positions=8), "int8")
    doublings = 2  # 4:1 in a LUT, 16:1
    assert use.clock_hz == int(200e6 * (1 - 0.03) ** doublings * (1 - 0.15 * use.lut / fabric_of(ZCU102).budget.lut))
    wider = engine_use(ZCU102, kernel, shape_of(kernel, pattern, rows=2, lanes=16, positions=8), "int8")
    assert wider.clock_hz < use.clock_hz < 200_000_000


def test_a_token_unit_takes_luts_by_the_length_of_its_list() -> None:
    kernel = kernel_named("dense-engine")
    plain = shape_of(kernel, None, rows=8, lanes=16, positions=8)
    sorts = replace(plain, tokens=197)
    without, with_unit = (engine_use(ZCU102, kernel, shape, "int8") for shape in (plain, sorts))
    assert with_unit.lut == without.lut + 197 * fabric_of(ZCU102).costs.lut_per_token
    assert with_unit.bram36 == without.bram36 + fabric_of(ZCU102).costs.token_bram36


# The choice


@boards
@pytest.mark.parametrize("dtype", ["fp32", "fp16", "int8"])
def test_the_chosen_engine_takes_the_least_time_of_all_that_fit(board: RooflineDevice, dtype: Dtype) -> None:
    made = trace(conv(64, 256, 14), Dense())
    result = estimate(made, board, dtype=dtype)
    kernel = kernel_named("dense-engine", board)
    for shape, use in candidates(board, kernel, None, dtype, 0):
        cycles = ceil(64 / shape.rows) * ceil(256 / shape.lanes) * ceil(196 / shape.positions)
        assert result.bounds_s["compute"] <= cycles / (kernel.efficiency * use.clock_hz) * (1 + 1e-12) or (
            result.bound != "compute"
        )


def test_the_largest_engine_is_not_always_the_best() -> None:
    kernel = kernel_named("dense-engine")
    work = Work(problem=problem_of(conv(8, 64, 7), 1), slots=None)
    shape = chosen(Run(device=ZCU102, dtype="int8", units=1), kernel, None, (work,))
    largest = max(candidates(ZCU102, kernel, None, "int8", 0), key=lambda one: one[0].macs_per_cycle)[0]
    assert shape.macs_per_cycle < largest.macs_per_cycle
    assert work.cycles(shape) <= work.cycles(largest)


def test_a_gs_engine_takes_a_group_a_cycle_for_each_row_and_block_of_positions() -> None:
    device = built(ZCU102, GatherScatter(banks=16, k=1), "fp16", conv(64, 256, 14))
    shape = fabric_of(device).engine
    assert shape is not None
    result = estimate(trace(conv(64, 256, 14), GatherScatter(banks=16, k=1), 0.75), device, dtype="fp16")
    cycles = ceil(result.counters.slots / (16 * shape.rows)) * ceil(196 / shape.positions)
    kernel = kernel_named("gs-engine")
    assert result.kernel == "gs-engine"
    assert result.bounds_s["compute"] == pytest.approx(cycles / (shape.clock_hz * kernel.efficiency))
    assert f"gs-engine: {shape.rows} rows x 16 lanes x {shape.positions} positions" in result.mapping
    for word in ("MHz", "of 2520 DSP", "of 912 BRAM36", "of 0 URAM", "of 274000 LUT", "13.66 GB/s"):
        assert word in result.mapping


def test_all_layers_of_a_network_run_on_the_engine_that_was_built() -> None:
    report = run(
        RunRequest(
            model="deit_tiny", patterns=("gs:16,1",), sparsities=(0.75,), devices=("zcu102",), dtype="int8",
            input_shape="1,3,64,64",
        )
    )  # fmt: skip
    *layers, total = report.rows
    engines = {str(row["mapping"]) for row in layers if row["dsp"] and row["mapping"]}
    assert engines == {total["mapping"]}
    assert engines.pop().startswith("gs-engine: ")
    kernels = {row["kernel"] for row in layers if row["dsp"] and row["mapping"]}
    assert kernels == {"gs-engine", "dense-engine"}
    assert 0 < int(str(total["dsp"])) <= fabric_of(ZCU102).budget.dsp
    assert 0 < int(str(total["lut"])) <= fabric_of(ZCU102).budget.lut
    assert int(str(total["clock_hz"])) < 200_000_000


def test_columns_of_an_engine_are_empty_where_there_is_none() -> None:
    rows = run(RunRequest(model="digits", devices=("a100", "zcu102"))).rows
    for row in rows:
        if row["device"] == "a100":
            assert {row[name] for name in ("dsp", "bram36", "uram", "lut", "clock_hz")} == {None}


def test_a_mask_that_the_engine_cannot_gather_runs_dense_and_says_so() -> None:
    device = built(ZCU102, Block(height=4, width=4), "int8", conv(64, 256, 14))
    result = estimate(trace(conv(64, 256, 14), Unstructured(), 0.75), device, dtype="int8")
    assert result.encoding == "dense"
    assert "packed-engine is not the engine that was built, block-engine" in result.reason


def test_an_engine_that_gathers_takes_packed_masks_too() -> None:
    device = built(ZCU102, GatherScatter(banks=8, k=1), "int8", conv(64, 256, 14))
    result = estimate(trace(conv(64, 256, 14), Unstructured(), 0.75), device, dtype="int8")
    assert result.encoding == "packed"
    assert "gs-engine: " in result.mapping
    assert "x 8 lanes x" in result.mapping
    other = estimate(trace(conv(64, 256, 14), GatherScatter(banks=16, k=1), 0.75), device, dtype="int8")
    assert "8 lanes, and the pattern has 16 banks" in other.reason


def test_wider_windows_and_other_blocks_than_those_built_for_run_dense() -> None:
    narrow = built(ZCU102, NOfM(n=2, m=4), "int8", conv(64, 256, 14))
    assert (
        "fewer than 16 activations"
        in estimate(trace(conv(64, 256, 14), NOfM(n=4, m=16), 0.75), narrow, dtype="int8").reason
    )
    blocks = built(ZCU102, Block(height=16, width=16), "int8", conv(64, 256, 14))
    shape = fabric_of(blocks).engine
    assert shape is not None
    if shape.lanes > 4:
        reason = estimate(trace(conv(64, 256, 14), Block(height=2, width=2), 0.75), blocks, dtype="int8").reason
        assert "a block has 4 weights" in reason


def test_a_fixed_engine_of_a_file_is_what_runs(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'base = "zcu102"\n[fabric.engine]\nkernel = "dense-engine"\nrows = 16\nlanes = 16\npositions = 8\n'
        "clock_hz = 281000000\n"
    )
    device = load_cost_device(path)
    result = estimate(trace(conv(64, 256, 16), Dense()), device, dtype="int8")
    cycles = (64 // 16) * (256 // 16) * (256 // 8)
    assert result.bounds_s["compute"] == pytest.approx(cycles / (0.95 * 281e6))
    assert "281 MHz" in result.mapping
    assert "mine.toml" in device.sources["fabric.engine.rows"]


def test_what_follows_from_a_fabric_is_computed_where_a_file_does_not_state_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'base = "zcu102"\n[fabric.total]\ndsp = 1728\nbram36 = 456\n[units.0]\nclock_hz = 150000000\n', encoding="utf-8"
    )
    device = load_cost_device(path)
    budget = 1728 * 8 // 10  # a design can be routed with 0.8 of them
    # an fp32 multiply-add takes 5 DSPs, and the vector unit has 22 of them
    assert dict(device.matrix_macs_per_cycle)["fp32"] == (budget - 22 * 5) // 5
    blocks = 456 * 8 // 10
    assert device.levels[0].bytes == blocks * 4096
    assert device.levels[0].total_bytes_per_s == device.levels[0].unit_bytes_per_s == blocks * 8 * 150_000_000
    assert device.levels[1] == ZCU102.levels[1]
    assert device.sources["matrix_macs_per_cycle"].startswith("derived")


def test_what_a_file_states_of_a_fabric_stands_and_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    text = 'base = "zcu102"\n[fabric.total]\ndsp = 1728\n'
    path.write_text(f"{text}[matrix_macs_per_cycle]\nint8 = 3\n", encoding="utf-8")
    with pytest.raises(DeviceError, match=r"mine\.toml: .*matrix_macs_per_cycle is .*'int8': 3"):
        load_cost_device(path)
    path.write_text(text + "[levels.bram]\ntotal_bytes_per_s = 5_000_000\n", encoding="utf-8")
    assert load_cost_device(path).levels[0].total_bytes_per_s == 5_000_000
    path.write_text('base = "zcu102"\n[fabric.total]\ndsp = 100\n', encoding="utf-8")
    with pytest.raises(DeviceError, match=r"vector_macs_per_cycle\.fp32 is 22, and the 80 DSPs"):
        load_cost_device(path)


def test_a_device_with_its_engine_is_written_and_read_back_the_same(tmp_path: Path) -> None:
    device = built(ZCU111, NOfM(n=2, m=4), "int8", conv(64, 256, 14))
    path = tmp_path / "zcu111.toml"
    path.write_text(device_text(device))
    assert load_cost_device(path) == device


def test_channel_pruned_networks_are_dense_and_smaller_and_get_a_dense_engine() -> None:
    request = RunRequest(
        model="resnet50", patterns=("channel", "dense"), sparsities=(0.5,), devices=("zcu102",), dtype="int8",
        input_shape="1,3,64,64",
    )  # fmt: skip
    totals = {row["pattern"]: row for row in run(request).rows if row["layer"] == "total"}
    assert float(str(totals["channel"]["latency_s"])) < float(str(totals["dense"]["latency_s"]))
    assert totals["channel"]["encoding"] == "dense"
    assert int(str(totals["channel"]["macs_issued"])) < int(str(totals["dense"]["macs_issued"]))


def test_the_device_file_of_the_documentation_is_an_engine_that_runs(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "fpga.md").read_text(encoding="utf-8")
    path = tmp_path / "mine.toml"
    path.write_text(text.partition("```toml\n")[2].partition("```")[0], encoding="utf-8")
    result = estimate(trace(conv(64, 256, 14), Dense()), load_cost_device(path), dtype="fp16")
    assert result.fabric is not None
    assert result.fabric.dsp == 16 * 16 * 7 + 112
    assert result.counters.macs_issued == (64 // 16) * (256 // 16) * (14 * 14 // 7) * 16 * 16 * 7


def test_a_given_engine_gets_the_networks_token_unit_and_its_clock() -> None:
    shape = EngineShape(kernel="dense-engine", rows=16, lanes=16, positions=8)
    sources = {**ZCU102.sources, "fabric.engine": "a test"}
    given = replace(ZCU102, fabric=replace(fabric_of(ZCU102), engine=shape), sources=sources)
    works = [Work(problem=problem_of(conv(64, 256, 14), 1), slots=None)]
    engine = fabric_of(with_engine(given, works, kernel_named("dense-engine"), Dense(), "int8", tokens=50)).engine
    assert engine is not None
    use = engine_use(ZCU102, kernel_named("dense-engine"), replace(shape, tokens=50), "int8")
    assert (engine.tokens, engine.clock_hz) == (50, use.clock_hz)
    assert (engine.rows, engine.lanes, engine.positions) == (16, 16, 8)


# Bad input


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("[fabric.total]\ndsp = 0", "fabric.total.dsp is 0, and must be at least 1"),
        ("[fabric.total]\nlut = -1", "fabric.total.lut is -1, and must be at least 1"),
        ("[fabric.shell]\nbram36 = 913", "fabric.shell.bram36 is 913, and must be at least 0 and at most 912"),
        ("[fabric.shares]\nlut = 1.5", "fabric.shares.lut is 1.5, and must be above 0 and at most 1"),
        ("[fabric.shares]\ndsp = nan", "fabric.shares.dsp is nan"),
        (
            "[fabric.clock_loss]\nfull_lut = 1.0",
            "fabric.clock_loss.full_lut is 1.0, and must be at least 0 and below 1",
        ),
        ("[fabric.costs.dsp_per_mac]\nint8 = 0", "fabric.costs.dsp_per_mac.int8 is 0, and must be at least 1"),
        ("[fabric.costs]\nmux_inputs = 0", "fabric.costs.mux_inputs is 0, and must be at least 1"),
        ("[fabric.costs]\nluts = 1", "unknown key fabric.costs.luts"),
        ("[fabric.total]\ndsp = 1000\n[matrix_macs_per_cycle]\nint8 = 3", "what the DSPs do beside the vector unit"),
        ("[fabric.total]\nbram36 = 100\n[levels.bram]\nbytes = 4096", "what the memories of the budget hold"),
        ("[fabric.engine]\nrows = 2", "fabric.engine.kernel is missing"),
        (
            '[fabric.engine]\nkernel = "dense-engine"\nrows = 0\nlanes = 16\npositions = 8',
            "fabric.engine.rows is 0, and must be at least 1",
        ),
    ],
)
def test_numbers_that_no_fpga_has_are_one_line(tmp_path: Path, change: str, says: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'base = "zcu102"\n{change}\n')
    with pytest.raises(DeviceError) as raised:
        load_cost_device(path)
    assert says in str(raised.value)
    assert "mine.toml" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_data_type_without_dsps_is_named() -> None:
    fabric = fabric_of(ZCU102)
    costs = replace(fabric.costs, dsp_per_mac=(("fp32", 5), ("fp16", 3)))
    with pytest.raises(DeviceError, match=r"fabric.costs.dsp_per_mac.int8 is missing"):
        replace(ZCU102, fabric=replace(fabric, costs=costs))


def test_an_fpga_without_fabric_cannot_be_built() -> None:
    with pytest.raises(DeviceError, match="fabric is missing"):
        replace(ZCU102, fabric=None)


@pytest.mark.parametrize(
    ("total", "short"),
    [
        (Resources(dsp=20, bram36=900, uram=0, lut=200_000), "dsp is"),
        (Resources(dsp=2000, bram36=40, uram=0, lut=200_000), "bram36 is"),
        (Resources(dsp=2000, bram36=900, uram=0, lut=22_000), "lut is"),
    ],
)
def test_an_engine_that_fits_nowhere_names_the_resource_that_is_short(total: Resources, short: str) -> None:
    made = trace(conv(64, 256, 14), GatherScatter(banks=32, k=1), 0.75)
    with pytest.raises(DeviceError, match=rf"gs-engine .*32 lanes.*{short}"):
        estimate(made, board(total), dtype="int8")


def test_a_given_engine_that_does_not_fit_names_the_resource_that_is_short() -> None:
    shape = EngineShape(kernel="dense-engine", rows=64, lanes=32, positions=64)
    device = replace(
        PYNQ_Z2,
        fabric=replace(fabric_of(PYNQ_Z2), engine=shape),
        sources={**PYNQ_Z2.sources, "fabric.engine": "a test"},
    )
    with pytest.raises(DeviceError, match=r"that is given does not fit: dsp is \d+, and pynq-z2 has 176 to use"):
        estimate(trace(conv(64, 256, 14), Dense()), device, dtype="int8")
    unknown = replace(fabric_of(PYNQ_Z2), engine=replace(shape, kernel="magic"))
    with pytest.raises(DeviceError, match=r"fabric.engine.kernel is 'magic', and must be one of dense-engine"):
        estimate(trace(conv(64, 256, 14), Dense()), replace(device, fabric=unknown), dtype="int8")


# Properties

totals = st.builds(
    Resources,
    dsp=st.integers(60, 5000),
    bram36=st.integers(60, 2000),
    uram=st.integers(0, 500),
    lut=st.integers(60_000, 800_000),
)
PATTERNS: tuple[Pattern, ...] = (
    Dense(), GatherScatter(banks=16, k=1), GatherScatter(banks=8, k=8), Block(height=16, width=1), NOfM(n=2, m=4),
)  # fmt: skip


def _within(result: LayerResult, budget: Resources) -> bool:
    assert result.fabric is not None
    return all(getattr(result.fabric, part.name) <= getattr(budget, part.name) for part in fields(budget))


@settings(max_examples=25, deadline=None)
@given(total=totals, pattern=st.sampled_from(PATTERNS), dtype=st.sampled_from(("fp32", "fp16", "int8")))
def test_no_engine_takes_more_than_the_budget(total: Resources, pattern: Pattern, dtype: Dtype) -> None:
    device = board(total)
    made = trace(conv(32, 64, 9), pattern, 0.5)
    try:
        result = estimate(made, device, dtype=dtype)
    except DeviceError:  # nothing fits at all, as other tests have it
        return
    assert _within(result, fabric_of(device).budget)
    for shape, use in candidates(device, kernel_named(result.kernel, device), pattern, dtype, 0):
        assert shortage(device, use) is None
        assert shape.macs_per_cycle <= dict(device.matrix_macs_per_cycle)[dtype]


@settings(max_examples=25, deadline=None)
@given(total=totals, fewer=st.integers(1, 2000), pattern=st.sampled_from(PATTERNS), size=st.integers(1, 20))
def test_a_device_with_fewer_dsps_is_never_faster(total: Resources, fewer: int, pattern: Pattern, size: int) -> None:
    made = trace(conv(32, 64, size), pattern, 0.5)
    less = replace(total, dsp=max(total.dsp - fewer, 60))
    try:
        slower = estimate(made, board(less), dtype="int8")
    except DeviceError:
        return
    assert estimate(made, board(total), dtype="int8").latency_s <= slower.latency_s * (1 + 1e-12)


def test_attention_products_run_on_the_same_engine() -> None:
    device = built(ZCU102, GatherScatter(banks=16, k=1), "int8", conv(64, 256, 14))
    shape = fabric_of(device).engine
    assert shape is not None
    layer = ProductLayer(name="scores", instances=4, m=50, k=32, p=50)
    result = estimate(LayerTrace(layer=layer, pattern=Dense()), device, dtype="int8")
    cycles = 4 * ceil(50 / shape.rows) * ceil(32 / shape.lanes) * ceil(50 / shape.positions)
    assert result.counters.macs_issued == cycles * shape.macs_per_cycle
    assert result.fabric is not None
    assert result.fabric.clock_hz == shape.clock_hz
