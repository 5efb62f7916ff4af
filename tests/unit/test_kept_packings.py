"""Packings in the cache are those that packing would make, made once for all processes, and never taken on trust."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gatherline.cache import Cache
from gatherline.sweep.packings import KIND, packing_bytes, read_packing
from gatherline.sweep.point import LevelChoice, ModelChoice
from gatherline.sweep.traced import TracedLevel, traced_level
from patterns.packing import Packing, PackingKey, pack, row_order
from patterns.unstructured import Unstructured
from simulator.devices.catalog import ALL_DEVICES
from simulator.schedule import sources
from simulator.simulate import simulate
from traces.layer import MatrixLayer
from traces.stream import TraceError
from traces.trace import LayerTrace

LEVEL = LevelChoice(model=ModelChoice(model="digits"), pattern="unstructured", sparsity=0.9, prune_all=True)
GS_TCM = next(device for device in ALL_DEVICES if device.name == "gs-tcm")
FIELDS = ("group_ptr", "row", "column", "lane", "bundle_end", "order")
KEY = PackingKey(banks=16, width=16, k=4, sort=True, group=0)


def cache_in(folder: Path, told: list[str] | None = None) -> Cache:
    return Cache(folder=folder, limit_bytes=1 << 30, note=(told if told is not None else []).append)


def cycles(traced: TracedLevel) -> list[object]:
    return [simulate(trace, GS_TCM) for trace in traced.traces()]


def trace_of(density: float, m: int = 21, k: int = 48) -> LayerTrace:
    mask = np.random.default_rng(1).random((1, m, k)) < density
    return LayerTrace(layer=MatrixLayer(name="l", kind="linear", m=m, k=k), pattern=Unstructured(), mask=mask)


def packing_of(trace: LayerTrace) -> Packing:
    assert trace.mask is not None
    banks = np.arange(trace.mask.shape[2], dtype=np.int64) % 16
    return pack(trace.mask[0], banks, 16, KEY.k, order=row_order(trace.mask[0], sort=True))


def same(one: Packing, other: Packing) -> bool:
    arrays = all(
        np.array_equal(getattr(one, name), getattr(other, name))
        and getattr(one, name).dtype == getattr(other, name).dtype
        for name in FIELDS
    )
    return arrays and (one.banks, one.k) == (other.banks, other.k)


@pytest.mark.parametrize("density", [0.0, 0.01, 0.3, 1.0])
def test_a_packing_comes_back_exactly(density: float) -> None:
    trace = trace_of(density)
    assert same(read_packing(packing_bytes(packing_of(trace)), KEY, trace), packing_of(trace))


def test_a_layer_wider_than_two_bytes_count_comes_back_exactly() -> None:
    trace = trace_of(0.001, m=3, k=1 << 17)
    assert same(read_packing(packing_bytes(packing_of(trace)), KEY, trace), packing_of(trace))


def test_a_packing_of_another_mask_or_of_other_bytes_is_refused() -> None:
    data = packing_bytes(packing_of(trace_of(0.3)))
    for other in (trace_of(0.2), trace_of(0.3, m=40), trace_of(0.3, k=49)):
        with pytest.raises(TraceError, match="is made again"):
            read_packing(data, KEY, other)
    for damaged in (b"", data[:79], data[:-1], data + b"x", b"\xff" * 8 + data[8:]):
        with pytest.raises(TraceError):
            read_packing(damaged, KEY, trace_of(0.3))


def test_another_process_packs_nothing_and_gets_the_same_cycles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = cycles(traced_level(LEVEL, cache_in(tmp_path)))
    assert first == cycles(traced_level(LEVEL, None))
    whole = [entry for entry in cache_in(tmp_path).entries() if entry.kind == KIND]
    assert len(whole) == 1  # one scratchpad, one width
    again = traced_level(LEVEL, cache_in(tmp_path))
    packed: list[tuple[int, ...]] = []
    pack_anew = sources.pack

    def counted(mask: np.ndarray, *rest: object, **named: object) -> Packing:
        packed.append(mask.shape)
        return pack_anew(mask, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(sources, "pack", counted)
    assert cycles(again) == first
    whole_layers = {(trace.mask.shape[1:]) for trace in again.traces() if trace.mask is not None}
    assert not whole_layers & set(packed)  # parts of a layer's columns are a mapping's own


def test_packings_that_are_damaged_are_told_and_made_again(tmp_path: Path) -> None:
    told: list[str] = []
    first = cycles(traced_level(LEVEL, cache_in(tmp_path)))
    (entry,) = (entry for entry in cache_in(tmp_path).entries() if entry.kind == KIND)
    data = bytearray(entry.path.read_bytes())
    data[-1] ^= 1
    entry.path.write_bytes(data)
    assert cycles(traced_level(LEVEL, cache_in(tmp_path, told))) == first
    assert told == [f"{entry.path} is damaged: it is removed and made again"]
    assert cache_in(tmp_path).damaged() == []
    for wrong in (b'{"schema": 9, "packings": []}\n', b"[]\n", b'{"schema": 1, "packings": [[0, 1]]}\n'):
        cache_in(tmp_path).write(KIND, entry.path.stem, wrong)
        told.clear()
        assert cycles(traced_level(LEVEL, cache_in(tmp_path, told))) == first
        assert len(told) == 1
        assert "they are made again" in told[0]


def test_packings_make_room_before_levels_do(tmp_path: Path) -> None:
    cache = cache_in(tmp_path)
    cycles(traced_level(LEVEL, cache))
    sizes = {entry.kind: entry.bytes for entry in cache.entries()}
    cache.trim(sum(sizes.values()) - 1)
    assert [entry.kind for entry in cache.entries()] == ["levels"]
