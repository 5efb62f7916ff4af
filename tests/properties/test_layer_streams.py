"""Streams of a layer, run on a scratchpad laid out by the contract, give the layer's numbers: DESIGN section 5a."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patterns.bank_balanced import BankBalanced
from patterns.base import Mask, Pattern
from patterns.block import Block
from patterns.dense import Dense
from patterns.gs import GatherScatter
from patterns.gs_scatter import GatherScatterPermuted
from patterns.kernel_pattern import KernelPattern
from patterns.n_of_m import NOfM
from patterns.unstructured import Unstructured
from simulator.devices.gs_tcm import GS_TCM
from simulator.schedule.layer_program import compile_layer
from simulator.schedule.mapping import parse_mapping
from simulator.schedule.program import Program
from simulator.schedule.sources import plan_streams
from simulator.schedule.visits import compile_matrix
from simulator.spec import Device, DeviceError
from tests.reference import layer_streams as twin
from traces.layer import MatrixLayer, Window
from traces.layout import column_banks
from traces.trace import LayerTrace

ENCODINGS = ("dense", "csr", "bitmap", "n_of_m", "bsr", "packed", "gs", "gs_scatter", "kernel_pattern")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    layer: MatrixLayer
    mask: Mask
    pattern: Pattern
    encoding: str
    device: Device
    mapping: str

    @property
    def trace(self) -> LayerTrace:
        return LayerTrace(layer=self.layer, pattern=self.pattern, mask=self.mask)

    @property
    def is_dense(self) -> bool:
        return bool(self.mask.all())


def _device(banks: int, lanes: int, vector: int) -> Device:
    pad = replace(GS_TCM.scratchpad, banks=banks, activation_bytes=1 << 26, output_bytes=1 << 26)
    return replace(
        GS_TCM, scratchpad=pad, gather=replace(GS_TCM.gather, lanes=lanes), vector=vector,
        weight_buffer=replace(GS_TCM.weight_buffer, bytes=1 << 26),
    )  # fmt: skip


@st.composite
def layers(draw: st.DrawFn, kernels: bool) -> MatrixLayer:
    kind = "conv2d" if kernels else draw(st.sampled_from(["conv2d", "conv2d", "conv1d", "linear", "lstm_hidden"]))
    batch = draw(st.integers(1, 3))
    if kind == "lstm_hidden":
        hidden = draw(st.integers(1, 12))
        steps = draw(st.integers(1, 4))
        window = Window(in_hw=(1, steps), out_hw=(1, steps))
        return MatrixLayer(
            name="layer", kind="lstm_hidden", m=4 * hidden, k=hidden, batch=batch, window=window, serial=True
        )
    groups, ci, m = draw(st.integers(1, 2)), draw(st.integers(1, 20)), draw(st.integers(1, 14))
    if kind == "linear":
        tokens = draw(st.integers(1, 12))
        window = Window(in_hw=(1, tokens), out_hw=(1, tokens))
        return MatrixLayer(name="layer", kind="linear", m=m, k=ci, batch=batch, window=window)
    flat = kind == "conv1d"
    kernel = (3, 3) if kernels else (1 if flat else draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    stride = (1 if flat else draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    dilation = (1 if flat else draw(st.integers(1, 2)), draw(st.integers(1, 2)))
    padding = tuple(draw(st.integers(0, 2)) if not flat or side % 2 else 0 for side in range(4))
    size_in, size_out = [], []
    for way in (0, 1):
        reach = (kernel[way] - 1) * dilation[way] + 1
        low = max(1, reach - padding[way] - padding[way + 2])
        size = 1 if flat and way == 0 else draw(st.integers(low, low + 6))
        size_in.append(size)
        size_out.append((size + padding[way] + padding[way + 2] - reach) // stride[way] + 1)
    window = Window(
        kernel=kernel, stride=stride, dilation=dilation, padding=padding,  # type: ignore[arg-type]
        in_hw=(size_in[0], size_in[1]), out_hw=(size_out[0], size_out[1]),
    )  # fmt: skip
    return MatrixLayer(
        name="layer", kind=kind, groups=groups, m=m, k=kernel[0] * kernel[1] * ci, batch=batch, window=window
    )


def _masks(draw: st.DrawFn, layer: MatrixLayer, encoding: str, banks: int, lanes: int) -> tuple[Mask, Pattern]:
    shape = (layer.groups, layer.m, layer.k)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    density = draw(st.sampled_from([0.0, 0.1, 0.3, 0.7]))
    mask: Mask = rng.random(shape) < density * rng.choice([0.2, 1.0, 1.6], size=(layer.groups, layer.m, 1))
    if encoding == "dense":
        return np.ones(shape, dtype=np.bool_), Dense()
    if encoding == "n_of_m":
        rule = NOfM(n=1, m=draw(st.sampled_from([2, 4])))
        return rule.project(rng.random(shape, dtype=np.float32), 1 - 1 / rule.m), rule
    if encoding == "kernel_pattern":  # shapes that cover all sorts of kernels, but not equally many in each row
        spelled = draw(st.sampled_from(["centred", "mest"]))
        shaped = KernelPattern(last_shape=spelled).project(rng.random(shape, dtype=np.float32), 0.0)
        stays = rng.random((layer.groups, layer.m, 1, layer.ci)) < 2 * density
        whole = shaped.reshape(layer.groups, layer.m, 9, layer.ci) & stays
        return whole.reshape(shape), KernelPattern(last_shape=spelled)
    if encoding == "bsr":
        high, wide = draw(st.sampled_from([(1, 4), (4, 1), (2, 3), (3, 2), (16, 1), (5, 5)]))
        blocks = rng.random((layer.groups, -(-layer.m // high), -(-layer.k // wide))) < density
        mask = np.repeat(np.repeat(blocks, high, axis=1), wide, axis=2)[:, : layer.m, : layer.k]
        return np.ascontiguousarray(mask), Block(height=high, width=wide)
    if encoding in ("gs", "gs_scatter"):
        width = draw(st.sampled_from([w for w in range(1, min(banks, lanes) + 1) if banks % w == 0]))
        k = draw(st.sampled_from([k for k in range(1, width + 1) if width % k == 0]))
        return mask, (GatherScatter if encoding == "gs" else GatherScatterPermuted)(banks=width, k=k)
    return mask, draw(st.sampled_from([Unstructured(), BankBalanced(segments=1)]))


@st.composite
def cases(draw: st.DrawFn, encoding: str) -> Case:
    layer = draw(layers(kernels=encoding == "kernel_pattern"))
    banks, lanes = draw(st.sampled_from([(4, 4), (8, 8), (16, 16), (8, 4), (4, 8), (6, 4), (16, 5)]))
    vector = draw(st.sampled_from([1, 2, 4, 6]))
    mask, pattern = _masks(draw, layer, encoding, banks, lanes)
    samples = draw(st.integers(1, min(layer.batch, vector)))
    strips = (samples, 1, 1)
    tile = (1, 1)
    order = "prc"
    channels = [layer.ci]
    if not layer.serial:
        gh = draw(st.integers(1, max(1, vector // samples)))
        strips = (samples, gh, draw(st.integers(1, max(1, vector // samples // gh))))
        strip = [-(-layer.window.out_hw[way] // strips[1 + way]) for way in (0, 1)]
        tile = (draw(st.integers(1, strip[0])), draw(st.integers(1, strip[1])))
        order = "".join(draw(st.permutations("rpc")))
    if layer.groups * layer.ci > banks:
        channels += list(range(banks, layer.ci, banks))
    high = 1
    if isinstance(pattern, Block):
        high = min(pattern.height, lanes)
    elif encoding not in ("dense", "csr", "bitmap", "n_of_m", "kernel_pattern"):
        high = banks
    rows = high * draw(st.integers(1, max(1, -(-layer.m // high))))
    mapping = (
        f"rows={rows} tile={tile[0]}x{tile[1]} channels={draw(st.sampled_from(channels))} "
        f"strips={strips[0]}x{strips[1]}x{strips[2]} order={order}"
    )
    name = "gs" if encoding == "gs_scatter" else encoding
    return Case(
        layer=layer, mask=mask, pattern=pattern, encoding=name, device=_device(banks, lanes, vector), mapping=mapping
    )


def _program(case: Case) -> Program:
    plan = plan_streams(case.trace, case.device, case.encoding, "packed")
    assert plan.encoding == ("dense" if case.is_dense else case.encoding)
    return compile_matrix(case.trace, case.device, parse_mapping(case.mapping), plan)


def _rule(case: Case, group: int, encoding: str) -> twin.Rule:
    layer, device, mask = case.layer, case.device, case.mask[group]
    lanes, banks = device.gather.lanes, device.scratchpad.banks
    plain = list(range(layer.m))
    if encoding == "bsr":
        assert isinstance(case.pattern, Block)
        return twin.Rule(encoding="bsr", lanes=lanes, high=min(case.pattern.height, lanes), order=plain)
    if encoding == "gs":
        assert isinstance(case.pattern, GatherScatter | GatherScatterPermuted)
        width, k = case.pattern.banks, case.pattern.k
        order = twin.sorted_rows(mask) if isinstance(case.pattern, GatherScatterPermuted) else plain
        return twin.Rule(encoding="gs", lanes=lanes, high=width // k, order=order, k=k, width=width)
    if encoding == "kernel_pattern":
        assert isinstance(case.pattern, KernelPattern)
        shapes = twin.kernel_shapes(mest=case.pattern.last_shape == "mest")
        return twin.Rule(encoding=encoding, lanes=lanes, high=1, order=plain, shapes=shapes, channels=layer.ci)
    if encoding == "packed":
        width = max(width for width in range(1, min(lanes, banks) + 1) if banks % width == 0)
        k, order = twin.best_way(mask, width, _bank_of(case, group))
        return twin.Rule(encoding="packed", lanes=lanes, high=width // k, order=order, k=k, width=width)
    return twin.Rule(encoding=encoding, lanes=lanes, high=1, order=plain)


def _bank_of(case: Case, group: int) -> dict[int, int]:
    return dict(enumerate(column_banks(case.layer, case.device.scratchpad.banks)[group].tolist()))


def _execute(case: Case, program: Program) -> None:
    """Run every stream on the scratchpad of its tiles and compare what comes out with a convolution."""
    layer, banks = case.layer, case.device.scratchpad.banks
    mapping = twin.spelled(program.mapping)
    rng = np.random.default_rng(7)
    x = rng.integers(-(1 << 20), 1 << 20, (layer.batch, layer.groups * layer.ci, *layer.window.in_hw))
    weights = rng.integers(1, 1 << 20, case.mask.shape) * case.mask
    out = np.zeros((layer.batch, layer.groups, layer.m, *layer.window.out_hw), dtype=np.int64)
    every_tile = twin.tiles(layer, mapping)
    visits = iter(program.visits)
    encoding = "dense" if case.is_dense else case.encoding
    for group in range(layer.groups):
        rule, bank = _rule(case, group, encoding), _bank_of(case, group)
        if layer.serial:
            walk = [
                (r, p, c)
                for r in range(-(-layer.m // mapping.rows))
                for c in range(-(-layer.ci // mapping.channels))
                for p in range(len(every_tile))
            ]
        else:
            walk = list(twin.order_of_tiles(layer, mapping))
        for (r, c), steps in itertools.groupby(walk, key=lambda step: (step[0], step[2])):
            positions = [p for _, p, _ in steps]
            visit = next(visits)
            at = twin.layout(layer, mapping, group, c, banks)
            first, last = r * mapping.rows, min((r + 1) * mapping.rows, layer.m)
            columns = twin.columns_by_address(layer, at)
            kept = case.mask[group][rule.order[first:last]][:, twin.part_columns(layer, at)]
            if visit.stream is None:
                assert not kept.any()
                assert len(visit.runs) == len(positions)
                continue
            stream = visit.stream
            members = sorted(rule.order[first:last])
            found = twin.fetches(stream, rule, columns, members)
            twin.check_groups(
                found, rule, case.mask[group], twin.part_columns(layer, at), first, last, banks, bank
            )  # fmt: skip
            _check_banks(found, bank, banks)
            assert stream.macs is not None
            stored = kept.size if encoding == "dense" else int(kept.sum())
            assert int(stream.macs.sum()) == stored
            assert [run.repeats for run in visit.runs] == [
                every_tile[p].height * every_tile[p].width for p in positions
            ]
            assert stream.repeats == sum(run.repeats for run in visit.runs)
            assert stream.scatter_stride >= last - first or stream.repeats == 1
            repeat = 0
            for p in positions:
                tile = every_tile[p]
                words = twin.scratchpad(layer, x, tile, at)
                for y, x_ in itertools.product(range(tile.height), range(tile.width)):
                    offset = int(stream.offsets()[repeat])
                    repeat += 1
                    sums = {row: np.zeros(len(tile.starts), dtype=np.int64) for row in members}
                    for fetch in itertools.chain.from_iterable(found):
                        word = words[fetch.address + offset]
                        for row in fetch.rows:
                            sums[row] += weights[group, row, fetch.column] * word
                    for strip, (n, y0, x0) in enumerate(tile.starts):
                        if n < layer.batch and y0 + y < layer.window.out_hw[0] and x0 + x_ < layer.window.out_hw[1]:
                            for row in members:
                                out[n, group, row, y0 + y, x0 + x_] += sums[row][strip]
    assert next(visits, None) is None
    assert (out == twin.convolution(layer, weights, x)).all()


def _check_banks(found: list[list[twin.Fetch]], bank: dict[int, int], banks: int) -> None:
    """The bank of a request is the bank that the mask was made for, up to one rotation common to all columns."""
    turns = {(fetch.address - bank[fetch.column]) % banks for group in found for fetch in group}
    assert len(turns) == 1


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_streams_fetch_each_kept_weight_once_and_their_sums_are_the_convolution(encoding: str) -> None:
    @given(case=cases(encoding))
    @settings(max_examples=40, deadline=None, derandomize=True)
    def check(case: Case) -> None:
        _execute(case, _program(case))

    check()


def _cramped(case: Case, weight_bytes: int, words: int, outputs: int) -> Device:
    """The device with buffers so small that the mapper has to cut."""
    device = case.device
    widths = device.widths
    return replace(
        device,
        weight_buffer=replace(device.weight_buffer, bytes=weight_bytes),
        scratchpad=replace(
            device.scratchpad,
            activation_bytes=words * device.vector * widths.value_bytes,
            output_bytes=outputs * device.vector * widths.sum_bytes,
        ),
    )


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_layer_cut_to_fit_small_buffers_still_gives_the_convolution(encoding: str) -> None:
    @given(
        case=cases(encoding),
        weight_bytes=st.sampled_from([300, 1000, 4000]),
        words=st.sampled_from([100, 400, 2000]),
        positions=st.sampled_from([1, 2, 6]),
    )
    @settings(max_examples=40, deadline=None, derandomize=True)
    def check(case: Case, weight_bytes: int, words: int, positions: int) -> None:
        banks = case.device.scratchpad.banks
        device = _cramped(case, weight_bytes, words, positions * banks)
        try:
            program = compile_layer(case.trace, device, encoding=case.encoding)
        except DeviceError:
            return  # not a single tile fits
        _execute(replace(case, device=device), program)
        mapping = twin.spelled(program.mapping)
        for tile in twin.tiles(case.layer, mapping):
            at = twin.layout(case.layer, mapping, case.layer.groups - 1, 0, banks)
            stored = twin.scratchpad(case.layer, np.zeros((0, 0, 0, 0), np.int64), replace(tile, starts=[]), at)
            assert max(stored) < words
            assert tile.height * tile.width * -(-min(mapping.rows, case.layer.m) // banks) <= positions

    check()


@pytest.mark.parametrize(("height", "width"), [(3, 1), (5, 2), (12, 1), (24, 4)])
def test_a_block_is_never_cut_between_two_tiles_of_rows(height: int, width: int) -> None:
    rng = np.random.default_rng(3)
    layer = MatrixLayer(name="layer", kind="linear", m=70, k=32, window=Window(in_hw=(1, 3), out_hw=(1, 3)))
    blocks = rng.random((1, -(-70 // height), 32 // width)) < 0.6
    mask = np.ascontiguousarray(np.repeat(np.repeat(blocks, height, axis=1), width, axis=2)[:, :70])
    case = Case(
        layer=layer, mask=mask, pattern=Block(height=height, width=width), encoding="bsr", device=_device(16, 16, 4),
        mapping="",
    )  # fmt: skip
    cramped = replace(case, device=_cramped(case, 70 * 32, 1000, 64))
    program = compile_layer(cramped.trace, cramped.device)
    assert twin.spelled(program.mapping).rows < 70
    _execute(cramped, program)


def test_a_forced_mapping_that_cuts_a_bundle_is_refused() -> None:
    layer = MatrixLayer(name="layer", kind="linear", m=32, k=32)
    mask = np.eye(32, dtype=np.bool_)[None]
    trace = LayerTrace(layer=layer, pattern=GatherScatter(banks=16, k=1), mask=mask)
    with pytest.raises(DeviceError, match="rows must be a multiple of 16"):
        compile_layer(trace, GS_TCM, mapping="rows=8 tile=1x1 channels=32 strips=1x1x1 order=rpc")
