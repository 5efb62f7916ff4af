"""Bytes between DRAM and the scratchpads, counted tile by tile from sets of pixels and outputs: DESIGN section 5a."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from costmodel.devices.catalog import ALL_DEVICES as ROOFLINE_DEVICES
from costmodel.estimate import estimate
from costmodel.spec import VALUE_BYTES
from patterns.base import Pattern
from patterns.block import Block
from patterns.dense import Dense
from patterns.encodings.base import EncodingError
from patterns.gs import GatherScatter
from patterns.gs_scatter import GatherScatterPermuted
from patterns.n_of_m import NOfM
from patterns.unstructured import Unstructured
from simulator.devices.gs_tcm import GS_TCM
from simulator.schedule.layer_program import compile_layer
from simulator.schedule.mapper import mappings, moves_of
from simulator.schedule.mapping import axes, capacity, parse_mapping, trips
from simulator.schedule.program import Program
from simulator.schedule.sources import plan_streams
from simulator.schedule.visits import compile_matrix
from simulator.simulate import simulate
from simulator.spec import DeviceError
from tests.reference import layer_streams as twin
from traces.builder import NetworkBuilder
from traces.layer import MatrixLayer, ProductLayer, VectorLayer, Window
from traces.masks import Level, trace_network
from traces.trace import LayerTrace

ROOMY = replace(
    GS_TCM,
    scratchpad=replace(GS_TCM.scratchpad, activation_bytes=1 << 26, output_bytes=1 << 26),
    weight_buffer=replace(GS_TCM.weight_buffer, bytes=1 << 26),
)
VALUE, INDEX, POINTER, SUM = 2, 2, 4, 4  # bytes, as gs-tcm stores them

STRIDED = MatrixLayer(
    name="strided", kind="conv2d", m=40, k=3 * 3 * 48, batch=3,
    window=Window(kernel=(3, 3), stride=(2, 2), dilation=(1, 1), padding=(1, 1, 1, 1), in_hw=(13, 11), out_hw=(7, 6)),
)  # fmt: skip
SKIPPING = MatrixLayer(
    name="skipping", kind="conv2d", m=33, k=32, batch=2,
    window=Window(stride=(2, 2), in_hw=(9, 8), out_hw=(5, 4)),
)  # fmt: skip
GROUPED = MatrixLayer(
    name="grouped", kind="conv2d", groups=2, m=20, k=3 * 24,
    window=Window(kernel=(1, 3), stride=(1, 1), padding=(0, 1, 0, 1), in_hw=(4, 10), out_hw=(4, 10)),
)  # fmt: skip
TOKENS = MatrixLayer(name="tokens", kind="linear", m=50, k=64, window=Window(in_hw=(1, 37), out_hw=(1, 37)))
LAYERS = (STRIDED, SKIPPING, GROUPED, TOKENS)
TILES = {
    "strided": (16, (2, 2), 16, (2, 2, 2)),
    "skipping": (16, (1, 2), 16, (2, 2, 1)),
    "grouped": (16, (1, 3), 16, (1, 2, 2)),
    "tokens": (32, (1, 2), 32, (1, 1, 5)),
}


def _trace(layer: MatrixLayer, density: float, pattern: Pattern | None = None) -> LayerTrace:
    shape = (layer.groups, layer.m, layer.k)
    if density == 1.0:
        return LayerTrace(layer=layer, pattern=Dense(), mask=np.ones(shape, dtype=np.bool_))
    mask = np.random.default_rng(1).random(shape) < density
    return LayerTrace(layer=layer, pattern=pattern or Unstructured(), mask=mask)


def _tile_bytes(mask: np.ndarray, encoding: str) -> int:
    """Encoded bytes of the rows and columns of one tile; nothing is stored of a tile that keeps nothing."""
    kept = int(mask.sum())
    if encoding == "dense":
        return mask.size * VALUE
    return kept * (VALUE + INDEX) + (len(mask) + 1) * POINTER if kept else 0


def _moved(layer: MatrixLayer, mapping: twin.Spelled, mask: np.ndarray, encoding: str) -> tuple[int, int]:
    """Bytes read and written, walking the loop order with one tile of each operand on chip."""
    tiles = twin.tiles(layer, mapping)
    parts = -(-layer.ci // mapping.channels)
    read = written = 0
    for group in range(layer.groups):
        held: dict[str, object] = {}
        seen: set[tuple[int, int]] = set()
        walk = list(twin.order_of_tiles(layer, mapping))
        for step, (r, p, c) in enumerate(walk):
            first = r * mapping.rows
            rows = min(mapping.rows, layer.m - first)
            at = twin.layout(layer, mapping, group, c, GS_TCM.scratchpad.banks)
            if held.get("weights") != (r, c):
                columns = twin.part_columns(layer, at)
                read += _tile_bytes(mask[group, first : first + rows][:, columns], encoding)
            if held.get("inputs") != (p, c):
                read += twin.loaded_pixels(layer, tiles[p]) * at.count * VALUE
            outputs = twin.stored_outputs(layer, tiles[p]) * rows
            if held.get("outputs") != (r, p) and (r, p) in seen:
                read += outputs * SUM
            held = {"weights": (r, c), "inputs": (p, c), "outputs": (r, p)}
            seen.add((r, p))
            if step + 1 == len(walk) or walk[step + 1][:2] != (r, p):  # the outputs leave
                written += outputs * (VALUE if c == parts - 1 else SUM)
    return read, written


def _totals(program: Program) -> tuple[int, int]:
    runs = [run for visit in program.visits for run in visit.runs]
    return sum(run.load_bytes for run in runs), sum(run.store_bytes for run in runs)


@pytest.mark.parametrize("order", ["".join(order) for order in itertools.permutations("rpc")])
@pytest.mark.parametrize("layer", LAYERS, ids=[layer.name for layer in LAYERS])
@pytest.mark.parametrize("encoding", ["dense", "csr"])
def test_dram_bytes_are_those_of_walking_the_loops_with_one_tile_of_each_operand(
    layer: MatrixLayer, order: str, encoding: str
) -> None:
    rows, tile, channels, strips = TILES[layer.name]
    text = f"rows={rows} tile={tile[0]}x{tile[1]} channels={channels} strips={'x'.join(map(str, strips))} order={order}"
    trace = _trace(layer, 1.0 if encoding == "dense" else 0.2)
    plan = plan_streams(trace, ROOMY, encoding, "packed")
    program = compile_matrix(trace, ROOMY, parse_mapping(text), plan)
    assert trace.mask is not None
    assert _totals(program) == _moved(layer, twin.spelled(text), trace.mask, encoding)


@pytest.mark.parametrize("layer", LAYERS, ids=[layer.name for layer in LAYERS])
def test_with_room_for_all_every_operand_moves_once_and_the_halo_twice(layer: MatrixLayer) -> None:
    trace = _trace(layer, 0.3)
    plan = plan_streams(trace, ROOMY, "csr", "packed")
    strips = (min(layer.batch, 16), 1, 1)
    high, wide = layer.window.out_hw
    text = f"rows=64 tile={high}x{wide} channels={layer.ci} strips={strips[0]}x1x1 order=rpc"
    program = compile_matrix(trace, ROOMY, parse_mapping(text), plan)
    pixels = twin.loaded_pixels(layer, twin.tiles(layer, twin.spelled(text))[0])
    read, written = _totals(program)
    assert read == plan.weight_bytes + plan.index_bytes + pixels * layer.groups * layer.ci * VALUE
    assert written == layer.groups * layer.m * layer.p * VALUE
    if layer is not SKIPPING and layer is not STRIDED:  # no pixel is skipped, none left at an edge
        assert pixels * layer.groups * layer.ci == layer.input_elements


@pytest.mark.parametrize("layer", LAYERS, ids=[layer.name for layer in LAYERS])
@pytest.mark.parametrize("order", ["".join(order) for order in itertools.permutations("rpc")])
def test_the_mappers_estimate_is_what_a_dense_program_moves(layer: MatrixLayer, order: str) -> None:
    rows, tile, channels, strips = TILES[layer.name]
    text = f"rows={rows} tile={tile[0]}x{tile[1]} channels={channels} strips={'x'.join(map(str, strips))} order={order}"
    trace = _trace(layer, 1.0)
    program = compile_matrix(trace, ROOMY, parse_mapping(text), plan_streams(trace, ROOMY, None, "packed"))
    mapping = twin.spelled(text)
    pixels = sum(twin.loaded_pixels(layer, tile) for tile in twin.tiles(layer, mapping))
    estimate = layer.groups * moves_of(order, trips(layer, parse_mapping(text))).dram_bytes(
        layer.m * layer.k * VALUE,
        pixels * layer.ci * VALUE,
        layer.m * layer.p * VALUE,
        layer.m * layer.p * SUM,
    )
    assert sum(_totals(program)) == estimate


@pytest.mark.parametrize(
    "pattern", [Block(height=4, width=2), GatherScatter(banks=16, k=2), GatherScatter(banks=16, k=16)]
)
def test_weight_bytes_of_an_uncut_layer_are_those_of_its_encoding(pattern: Pattern) -> None:
    layer = replace(TOKENS, m=48)
    mask = pattern.project(np.random.default_rng(0).random((1, 48, 64), dtype=np.float32), 0.75)
    result = simulate(LayerTrace(layer=layer, pattern=pattern, mask=mask), GS_TCM)
    counters = result.counters
    assert counters.dram_read_bytes == counters.weight_bytes + counters.index_bytes + layer.input_elements * VALUE
    assert counters.dram_write_bytes == layer.output_elements * VALUE


def test_an_n_of_m_layer_loads_the_slots_that_it_stores_also_where_a_segment_keeps_less() -> None:
    rng = np.random.default_rng(0)
    pattern = NOfM(n=2, m=4)
    mask = pattern.project(rng.random((1, 48, 64), dtype=np.float32), 0.5) & (rng.random((1, 48, 64)) < 0.5)
    layer = replace(TOKENS, m=48)
    result = simulate(LayerTrace(layer=layer, pattern=pattern, mask=mask), GS_TCM, encoding="n_of_m")
    stored = 48 * (64 // 4 * 2) * (8 * VALUE + 2) // 8
    assert result.counters.weight_bytes + result.counters.index_bytes == stored
    assert result.counters.dram_read_bytes == stored + layer.input_elements * VALUE


@pytest.mark.parametrize(
    ("pattern", "order"),
    [
        (Dense(), "packed"),
        (Unstructured(), "csr"),
        (Unstructured(), "packed"),
        (Block(height=1, width=16), "packed"),
        (Block(height=4, width=2), "packed"),
        (GatherScatter(banks=16, k=1), "packed"),
        (GatherScatter(banks=16, k=4), "packed"),
        (GatherScatterPermuted(banks=16, k=4), "packed"),
    ],
    ids=lambda value: value.spelling if isinstance(value, Pattern) else value,
)
@pytest.mark.parametrize("rows", [48, 50])
def test_the_bytes_of_rows_that_the_mapper_sees_are_those_that_the_encoding_stores(
    pattern: Pattern, order: str, rows: int
) -> None:
    layer = replace(TOKENS, m=rows)
    mask = pattern.project(np.random.default_rng(0).random((1, rows, 64), dtype=np.float32), 0.75)
    plan = plan_streams(LayerTrace(layer=layer, pattern=pattern, mask=mask), GS_TCM, None, order)
    pointers = 0 if isinstance(pattern, Dense) else POINTER  # one more pointer than rows, block rows or bundles
    assert plan.row_bytes.sum() == pytest.approx(plan.weight_bytes + plan.index_bytes - pointers)


@pytest.mark.parametrize("order", ["csr", "packed"])
def test_columns_that_an_index_cannot_count_are_refused_in_any_order(order: str) -> None:
    narrow = replace(GS_TCM, widths=replace(GS_TCM.widths, index_bytes=1))
    trace = _trace(replace(TOKENS, k=1024), 0.25)
    with pytest.raises(EncodingError, match=r"1024 columns .*1-byte ones hold up to 255"):
        plan_streams(trace, narrow, None, order)


def test_a_recurrence_stores_its_biases_and_counts_its_gates_once() -> None:
    steps, batch, hidden = 3, 2, 8
    builder = NetworkBuilder("net")
    rng = np.random.default_rng(0)
    builder.recurrent(
        "rnn", builder.input("x", (steps, batch, hidden)), rng.random((4 * hidden, hidden)),
        rng.random((4 * hidden, hidden)), "y", cell="lstm", steps=steps, batch=batch, parameters=8 * hidden,
    )  # fmt: skip
    network = builder.build(["y"])
    results = {
        trace.layer.name: simulate(trace, GS_TCM)
        for trace in trace_network(network, Level(pattern=Dense(), sparsity=None)).traces
    }
    weights = {name: result.counters.weight_bytes for name, result in results.items()}
    product = 4 * hidden * hidden * VALUE
    assert weights == {"rnn.ih": product, "rnn.hh": product, "rnn.gates": 8 * hidden * VALUE}
    elements = {name: result.counters.vector_elements for name, result in results.items()}
    assert elements == {"rnn.ih": 0, "rnn.hh": 0, "rnn.gates": steps * batch * hidden * (4 + 4)}


def test_a_strided_window_of_one_pixel_reads_the_pixels_it_visits_on_every_device() -> None:
    trace = _trace(replace(SKIPPING, m=32), 1.0)
    read = trace.layer.input_elements
    assert read == 2 * 32 * 5 * 4
    elements = read + trace.layer.output_elements
    assert simulate(trace, GS_TCM).counters.activation_bytes == elements * VALUE
    for device in ROOFLINE_DEVICES:
        for dtype in device.dtypes:
            assert estimate(trace, device, dtype=dtype).counters.activation_bytes == elements * VALUE_BYTES[dtype]


def test_a_recurrence_reads_its_weights_once_where_they_stay_and_every_step_where_they_do_not() -> None:
    steps, hidden, batch = 5, 64, 20
    layer = MatrixLayer(
        name="hh", kind="lstm_hidden", m=4 * hidden, k=hidden, batch=batch, serial=True,
        window=Window(in_hw=(1, steps), out_hw=(1, steps)),
    )  # fmt: skip
    trace = _trace(layer, 1.0)
    moved = 4 * hidden * batch * steps * VALUE  # the input product's results, step by step
    weights = 4 * hidden * hidden * VALUE
    stays = _totals(compile_layer(trace, GS_TCM))
    assert stays == (weights + moved, hidden * batch * steps * VALUE)
    small = replace(GS_TCM, weight_buffer=replace(GS_TCM.weight_buffer, bytes=weights // 2))
    rounds = -(-batch // GS_TCM.vector)
    assert _totals(compile_layer(trace, small)) == (weights * steps * rounds + moved, hidden * batch * steps * VALUE)


@pytest.mark.parametrize(("rows_that_fit", "channels"), [(64, 64), (128, 16), (256, 64)])
def test_sums_of_a_recurrence_leave_and_come_back_for_the_gates_where_they_do_not_fit_at_once(
    rows_that_fit: int, channels: int
) -> None:
    steps, hidden, batch = 5, 64, 20
    layer = MatrixLayer(
        name="hh", kind="lstm_hidden", m=4 * hidden, k=hidden, batch=batch, serial=True,
        window=Window(in_hw=(1, steps), out_hw=(1, steps)),
    )  # fmt: skip
    room = rows_that_fit * GS_TCM.vector * SUM
    device = replace(GS_TCM, scratchpad=replace(GS_TCM.scratchpad, output_bytes=room))
    rows = min(rows_that_fit, 4 * hidden)
    program = compile_layer(
        _trace(layer, 1.0), device, mapping=f"rows={rows} tile=1x1 channels={channels} strips=16x1x1 order=prc"
    )
    tiles = 4 * hidden // rows
    parts = hidden // channels
    rounds = -(-batch // GS_TCM.vector)
    weights = 4 * hidden * hidden * VALUE * (1 if tiles * parts == 1 else steps * rounds)
    spilled = (tiles - 1) * rows * batch * steps * SUM  # of all row tiles but the last
    moved = 4 * hidden * batch * steps * VALUE
    assert _totals(program) == (weights + moved + spilled, hidden * batch * steps * VALUE + spilled)
    last = program.visits[-1].runs
    for visit in program.visits[:-1]:
        for run, final in zip(visit.runs, last, strict=True):
            assert not run.stored or (run.stored, run.store_bytes) in final.operands
    result = simulate(_trace(layer, 1.0), device, mapping=program.mapping)
    assert result.cycles is not None
    assert result.cycles.total >= result.cycles.compute


def test_a_recurrence_of_more_samples_than_positions_of_a_word_runs_in_rounds() -> None:
    window = Window(in_hw=(1, 7), out_hw=(1, 7))
    layer = MatrixLayer(name="hh", kind="lstm_hidden", m=64, k=16, batch=40, serial=True, window=window)
    result = simulate(_trace(layer, 1.0), GS_TCM)
    rounds = -(-40 // GS_TCM.vector)
    assert result.counters.macs_issued == 64 * 16 * 7 * rounds * GS_TCM.vector
    assert result.utilization <= 40 / (rounds * GS_TCM.vector)


def test_every_mapping_offered_fits_and_the_first_moves_the_fewest_bytes() -> None:
    trace = _trace(STRIDED, 1.0)
    small = replace(
        GS_TCM,
        scratchpad=replace(GS_TCM.scratchpad, activation_bytes=40_000, output_bytes=4096),
        weight_buffer=replace(GS_TCM.weight_buffer, bytes=8192),
    )
    plan = plan_streams(trace, small, None, "packed")
    offered = list(mappings(STRIDED, small, plan.row_bytes, plan.rows_per_bundle))
    moved = [sum(_totals(compile_matrix(trace, small, mapping, plan))) for mapping in offered]
    assert len(offered) > 1
    assert moved == sorted(moved)
    room = capacity(small)
    for mapping in offered:
        assert parse_mapping(str(mapping)) == mapping
        high, wide = mapping.tile
        assert high * wide * -(-min(mapping.rows, 40) // 16) * 16 <= room.output_words
    assert axes(STRIDED)[0].pixels(7) == 6 * 2 + 3


def test_a_layer_that_no_tile_of_fits_says_what_the_smallest_needs() -> None:
    small = replace(GS_TCM, weight_buffer=replace(GS_TCM.weight_buffer, bytes=4096))
    needed = 16 * 9 * 16 * VALUE  # 16 rows, 3 x 3 pixels of 16 channels
    with pytest.raises(DeviceError, match=f"need about {needed} bytes of 4096 in the weight buffer"):
        compile_layer(_trace(STRIDED, 1.0), small)


def test_a_product_of_activations_moves_both_operands_and_the_result_of_every_instance() -> None:
    layer = ProductLayer(name="qk", instances=3, m=20, k=24, p=30)
    counters = simulate(LayerTrace(layer=layer, pattern=Dense()), GS_TCM).counters
    assert counters.dram_read_bytes == 3 * (20 * 24 + 24 * 30) * VALUE
    assert counters.dram_write_bytes == 3 * 20 * 30 * VALUE
    assert counters.weight_bytes == counters.index_bytes == 0
    assert counters.macs_effectual == counters.macs_dense == 3 * 20 * 24 * 30


@pytest.mark.parametrize("elements", [1, 1000, 3_000_001])
def test_element_work_larger_than_a_buffer_runs_in_chunks_that_lose_nothing(elements: int) -> None:
    layer = VectorLayer(
        name="add", kind="add", op="Add", elements=elements, input_elements=2 * elements, output_elements=elements
    )
    program = compile_layer(LayerTrace(layer=layer, pattern=Dense()), GS_TCM)
    sums = [
        sum(getattr(run, name) for run in program.vector_runs) for name in ("load_bytes", "elements", "store_bytes")
    ]
    assert sums == [2 * elements * VALUE, elements, elements * VALUE]
    assert (
        max(run.load_bytes + run.store_bytes for run in program.vector_runs) <= GS_TCM.scratchpad.activation_bytes + 2
    )
    assert program.scratchpad_bytes <= 2 * GS_TCM.scratchpad.activation_bytes
