"""Where the operands of a layer lie in DRAM, against a walk over the loops with a plain list of places: ADR 0012."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.dram_trace import lines
from patterns.dense import Dense
from simulator.devices.gs_tcm import GS_TCM
from simulator.engine import Tile, Transfer
from simulator.memory.regions import REGIONS, place, place_cores, region_unit
from simulator.memory.timings import ALL_TIMINGS, LPDDR4X_4267
from simulator.replay import read_programs, write_programs
from simulator.runner import run_parts, with_transfers
from simulator.schedule.layer_program import compile_layer
from simulator.schedule.many_cores import layer_programs
from simulator.schedule.program import Program
from simulator.simulate import best_program, layer_facts, layer_transfers
from simulator.spec import Device, Dram, DramTiming
from tests.reference import layer_streams as twin
from traces.layer import Layer, MatrixLayer, ProductLayer, VectorLayer, Window
from traces.stream import TraceError
from traces.trace import LayerTrace

VALUE, SUM = 2, 4  # bytes, as gs-tcm stores them
UNIT = region_unit(GS_TCM.dram)
CONV = MatrixLayer(
    name="conv", kind="conv2d", m=40, k=9 * 48,
    window=Window(kernel=(3, 3), padding=(1, 1, 1, 1), in_hw=(7, 9), out_hw=(7, 9)),
)  # fmt: skip
GROUPED = replace(CONV, name="grouped", groups=2, m=20, k=9 * 32)


def _dense(layer: Layer) -> LayerTrace:
    mask = None
    if isinstance(layer, MatrixLayer):
        mask = np.ones((layer.groups, layer.m, layer.k), dtype=np.bool_)
    return LayerTrace(layer=layer, pattern=Dense(), mask=mask)


def _transfers(program: Program, device: Device) -> list[Transfer]:
    seen: list[Transfer] = []
    with_transfers(program, run_parts(program, device), device, seen)
    return seen


def _up(size_bytes: int, unit: int) -> int:
    return (size_bytes + unit - 1) // unit * unit


class Places:
    """Operands in the order in which they are first moved, region by region: the layout as the ADR tells it."""

    def __init__(self) -> None:
        self.sizes: dict[str, dict[object, int]] = {region: {} for region in ("w", "x", "o", "s")}

    def move(self, region: str, key: object, size_bytes: int) -> tuple[str, object, int]:
        self.sizes[region].setdefault(key, size_bytes)
        return region, key, size_bytes

    def address(self, region: str, key: object, unit: int) -> int:
        regions = list(self.sizes)
        before = sum(_up(sum(self.sizes[other].values()), unit) for other in regions[: regions.index(region)])
        keys = list(self.sizes[region])
        return before + sum(self.sizes[region][other] for other in keys[: keys.index(key)])


def _walked(layer: MatrixLayer, text: str, unit: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """(address, bytes) of each load and store, in order: weights, inputs, partial sums; one tile of each is held."""
    mapping = twin.spelled(text)
    tiles = twin.tiles(layer, mapping)
    parts = -(-layer.ci // mapping.channels)
    places = Places()
    loads, stores = [], []
    for group in range(layer.groups):
        held: dict[str, object] = {}
        seen = set()
        walk = list(twin.order_of_tiles(layer, mapping))
        for step, (r, p, c) in enumerate(walk):
            rows = min(mapping.rows, layer.m - r * mapping.rows)
            at = twin.layout(layer, mapping, group, c, GS_TCM.scratchpad.banks)
            if held.get("weights") != (r, c):
                loads.append(places.move("w", (group, r, c), rows * len(twin.part_columns(layer, at)) * VALUE))
            if held.get("inputs") != (p, c):
                pixels = twin.loaded_pixels(layer, tiles[p])
                loads.append(places.move("x", (group, p, c), pixels * at.count * VALUE))
            outputs = twin.stored_outputs(layer, tiles[p]) * rows
            if held.get("outputs") != (r, p) and (r, p) in seen:
                loads.append(places.move("s", (group, r, p), outputs * SUM))
            held = {"weights": (r, c), "inputs": (p, c), "outputs": (r, p)}
            seen.add((r, p))
            if step + 1 == len(walk) or walk[step + 1][:2] != (r, p):
                region, width = ("o", VALUE) if c == parts - 1 else ("s", SUM)
                stores.append(places.move(region, (group, r, p), outputs * width))
    return (
        [(places.address(region, key, unit), size) for region, key, size in loads if size],
        [(places.address(region, key, unit), size) for region, key, size in stores if size],
    )


@pytest.mark.parametrize("order", ["".join(order) for order in itertools.permutations("rpc")])
@pytest.mark.parametrize("layer", [CONV, GROUPED], ids=["conv", "grouped"])
def test_each_operand_lies_in_a_region_of_its_own_and_moved_again_where_it_lay(layer: MatrixLayer, order: str) -> None:
    text = f"rows=16 tile=2x3 channels=16 strips=1x2x2 order={order}"
    seen = layer_transfers(_dense(layer), GS_TCM, mapping=text)
    loads = [(each.address, each.size_bytes) for each in seen if not each.is_write]
    stores = [(each.address, each.size_bytes) for each in seen if each.is_write]
    assert (loads, stores) == _walked(layer, text, UNIT)
    if order[2] != "c":  # partial sums leave, and come back from where they went
        finished = _up(layer.groups * layer.m * layer.p * VALUE, UNIT)
        sums = min(stores)[0] + finished
        assert {each for each in stores if each[0] >= sums} == {each for each in loads if each[0] >= sums} != set()


def test_a_region_starts_with_a_row_in_every_bank_of_its_turn() -> None:
    assert LPDDR4X_4267.row_bytes * LPDDR4X_4267.bank_groups * LPDDR4X_4267.channels == UNIT
    first, second = place(
        [
            Tile(load_bytes=600, compute_cycles=1, store_bytes=9, operands=(("w", 100), ("x", 200)), stored="s"),
            Tile(load_bytes=109, compute_cycles=1, store_bytes=7, operands=(("w", 100), ("s", 9)), stored="o"),
        ],
        64,
    )
    weights, inputs, outputs = 0, _up(100, 64), _up(100, 64) + _up(200 + 300, 64)
    sums = outputs + _up(7, 64)
    assert first.operand_addresses == (weights, inputs)
    assert first.load_address == inputs + 200  # 300 bytes without a tag: inputs that come once
    assert second.operand_addresses == (weights, sums)
    assert (first.store_address, second.store_address) == (sums, outputs)


@st.composite
def tiles_of_cores(draw: st.DrawFn) -> list[list[Tile]]:
    sizes = {f"{region}{i}": draw(st.integers(1, 300)) for region in "wxs" for i in range(3)}
    cores = []
    for _ in range(draw(st.integers(1, 3))):
        tiles = []
        for _ in range(draw(st.integers(0, 5))):
            operands = tuple((tag, sizes[tag]) for tag in draw(st.lists(st.sampled_from(sorted(sizes)), max_size=3)))
            stored = draw(st.sampled_from(["", "s0", "s1"]))
            tiles.append(
                Tile(
                    load_bytes=sum(size for _, size in operands) + draw(st.integers(0, 50)),
                    compute_cycles=1,
                    store_bytes=sizes.get(stored, draw(st.integers(0, 50))),
                    operands=operands,
                    stored=stored,
                )
            )
        cores.append(tiles)
    return cores


@given(cores=tiles_of_cores(), timing=st.sampled_from(ALL_TIMINGS))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_equal_tags_share_an_address_and_other_bytes_share_none(cores: list[list[Tile]], timing: DramTiming) -> None:
    tagged: dict[str, tuple[int, int]] = {}
    once = []
    for tile in itertools.chain.from_iterable(place_cores(cores, region_unit(Dram.timed(timing, latency_cycles=1)))):
        parts = [(tag, size, at) for (tag, size), at in zip(tile.operands, tile.operand_addresses, strict=True)]
        parts.append((tile.stored, tile.store_bytes, tile.store_address))
        parts.append(("", tile.load_bytes - sum(size for _, size in tile.operands), tile.load_address))
        for tag, size, address in parts:
            if tag:
                assert tagged.setdefault(tag, (address, size)) == (address, size)
            elif size:
                once.append((address, size))
    spans = sorted([*once, *tagged.values()])
    assert all(low + size <= high for (low, size), (high, _) in itertools.pairwise(spans))
    assert REGIONS == ("w", "x", "o", "s")


def test_instances_of_a_product_are_other_bytes() -> None:
    layer = ProductLayer(name="qk", instances=3, m=20, k=24, p=30)
    seen = layer_transfers(_dense(layer), GS_TCM)
    first, second, stored = 20 * 24 * VALUE, 24 * 30 * VALUE, 20 * 30 * VALUE
    inputs = _up(3 * first, UNIT)
    outputs = inputs + _up(3 * second, UNIT)
    moved = [(each.address, each.size_bytes) for each in seen]
    for i in range(3):
        expected = [(i * first, first), (inputs + i * second, second), (outputs + i * stored, stored)]
        assert [each for each in moved if each in expected] == expected
    assert len(moved) == 3 * 3


def test_a_recurrence_streams_its_weights_from_where_they_lie_and_takes_each_step_s_inputs_in_turn() -> None:
    steps, hidden = 4, 64
    layer = MatrixLayer(
        name="hh", kind="lstm_hidden", m=4 * hidden, k=hidden, serial=True,
        window=Window(in_hw=(1, steps), out_hw=(1, steps)),
    )  # fmt: skip
    weights = 4 * hidden * hidden * VALUE
    small = replace(GS_TCM, weight_buffer=replace(GS_TCM.weight_buffer, bytes=weights // 2))
    two_tiles = compile_layer(_dense(layer), small)
    loads = [(each.address, each.size_bytes) for each in _transfers(two_tiles, small) if not each.is_write]
    each_step = 4 * hidden * VALUE
    expected = []
    for step in range(steps):
        expected += [
            (0, weights // 2),
            (_up(weights, UNIT) + step * each_step, each_step),
            (weights // 2, weights // 2),
        ]
    assert loads == expected


def test_element_work_loads_its_parameters_from_a_region_before_its_inputs() -> None:
    layer = VectorLayer(
        name="norm", kind="norm", op="Norm", elements=900, input_elements=300, output_elements=300, weight_elements=40
    )
    seen = layer_transfers(_dense(layer), GS_TCM)
    outputs = UNIT + _up(300 * VALUE, UNIT)
    assert [(each.address, each.size_bytes, each.is_write) for each in seen] == [
        (0, 40 * VALUE, False),
        (UNIT, 300 * VALUE, False),
        (outputs, 300 * VALUE, True),
    ]


def test_cores_that_read_the_same_weights_read_them_at_the_same_addresses() -> None:
    device = replace(GS_TCM, cores=4)
    (program,) = [each for each in layer_programs(_dense(CONV), device) if "by positions" in each.mapping][:1]
    assert " | " in program.mapping
    seen = [(each.address, each.size_bytes) for each in _transfers(program, device) if not each.is_write]
    weights = CONV.m * CONV.k * VALUE
    assert sum(size for address, size in seen if address < weights) == 4 * weights
    assert len({address for address, _ in seen if address < weights}) * 4 == sum(at < weights for at, _ in seen)


@pytest.mark.parametrize("cores", [1, 3])
def test_a_trace_directory_carries_where_its_operands_lie(cores: int, tmp_path: Path) -> None:
    device = replace(
        GS_TCM,
        cores=cores,
        scratchpad=replace(GS_TCM.scratchpad, activation_bytes=8192, output_bytes=4096),
        weight_buffer=replace(GS_TCM.weight_buffer, bytes=9216),
    )
    traces = [
        _dense(CONV),
        _dense(ProductLayer(name="qk", instances=3, m=20, k=24, p=30)),
        _dense(VectorLayer(name="norm", kind="norm", op="Norm", elements=900, input_elements=300, output_elements=300,
                           weight_elements=40)),
    ]  # fmt: skip
    made = [(layer_facts(trace, device), best_program(trace, device), {}) for trace in traces]
    write_programs(tmp_path / "trace", made, {})
    found = [_transfers(program, device) for _, program in read_programs(tmp_path / "trace", device)]
    assert found == [layer_transfers(trace, device) for trace in traces]


@pytest.mark.parametrize(
    ("path", "value", "rule"),
    [
        ("stored", ["o0"], "a tag for each of its"),
        ("stored", None, "must be a list"),
        ("stored", "q", "a tag that begins with o or s"),
        ("operands", [["q0", 4]], "must be a tag that begins with w, x or s"),
        ("operands", [["w0.0.0", 4]], "has .* bytes, and 4 elsewhere"),
    ],
)
def test_tags_of_a_trace_that_cannot_be_are_refused_in_one_line(
    path: str, value: object, rule: str, tmp_path: Path
) -> None:
    trace = _dense(CONV)
    program = best_program(trace, GS_TCM, mapping="rows=16 tile=2x3 channels=16 strips=1x2x2 order=crp")
    write_programs(tmp_path / "t", [(layer_facts(trace, GS_TCM), program, {})], {})
    index = json.loads((tmp_path / "t" / "trace.json").read_text())
    visit = index["programs"][0]["visits"][0]
    assert len(visit["runs"]) > 1
    if isinstance(value, str) or path == "operands":
        visit[path][0] = value
    else:
        visit[path] = value
    if rule.endswith("elsewhere"):
        index["programs"][0]["visits"][1]["operands"][0] = [["w0.0.0", 5]]
    (tmp_path / "t" / "trace.json").write_text(json.dumps(index))
    with pytest.raises(TraceError, match=rule) as caught:
        list(read_programs(tmp_path / "t", GS_TCM))
    assert "\n" not in str(caught.value)


def test_the_dram_trace_has_every_burst_of_every_operand() -> None:
    seen = layer_transfers(_dense(CONV), GS_TCM, mapping="rows=16 tile=2x3 channels=16 strips=1x2x2 order=crp")
    burst = GS_TCM.dram.burst_bytes
    expected = []
    for each in seen:
        touched = range(each.address // burst, -(-(each.address + each.size_bytes) // burst))
        expected += [f"0x{place * burst:x} {'W' if each.is_write else 'R'}" for place in touched]
    assert list(lines(seen, GS_TCM, "plain")) == expected
