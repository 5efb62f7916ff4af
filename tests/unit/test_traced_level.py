"""A level read from the cache is the level that was made: the same traces, the same facts, the same rows."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gatherline.cache import Cache
from gatherline.fpga_engine import built_for_work, engine_work
from gatherline.pipeline import run, run_layer
from gatherline.request import Target, devices_of, levels, lower
from gatherline.rows import outcome, total_row
from gatherline.sweep import traced as traced_module
from gatherline.sweep.level_key import level_key, model_content
from gatherline.sweep.point import LevelChoice, ModelChoice, RunOptions, run_request
from gatherline.sweep.traced import HELD_WEIGHTS, KIND, level_data, run_facts, traced_from, traced_level
from patterns.catalog import ALL_PATTERNS
from traces.layer import MatrixLayer, ModelError
from traces.masks import trace_network
from traces.ratios import RatioError

DIGITS = ModelChoice(model="digits")
GS = LevelChoice(model=DIGITS, pattern="gs:16,1", sparsity=0.9)
DEVICES = ("gs-tcm", "snapdragon-855", "adreno-640", "a100", "zcu102")
LEVELS = (
    GS,
    LevelChoice(model=DIGITS, pattern="dense"),
    LevelChoice(model=DIGITS, pattern="gs:16,1"),  # the zeros that the model has
    LevelChoice(model=DIGITS, pattern="channel", sparsity=0.5),
    LevelChoice(model=DIGITS, pattern="channel+block:4x1", sparsity=0.8, prune_all=True),
    LevelChoice(model=DIGITS, pattern="unstructured", sparsity=0.7, ratios="erk"),
    LevelChoice(model=DIGITS, pattern="n_of_m:2,4", sparsity=0.5, match="slots"),
)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(folder=tmp_path / "cache", limit_bytes=1 << 30)


def no_more_making(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a level that is in the cache is lowered or masked again")

    monkeypatch.setattr(traced_module, "lower", refuse)
    monkeypatch.setattr(traced_module, "trace_network", refuse)
    traced_module._lowered.cache_clear()


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: f"{level.pattern}-{level.sparsity}-{level.ratios}")
def test_a_level_from_the_cache_has_the_traces_that_masking_makes(
    level: LevelChoice, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = run_request(level, RunOptions())
    network = lower(request)
    (asked,) = levels(network, request)
    fresh = list(trace_network(network, asked, prune_all=level.prune_all, match=level.match).traces)
    traced_level(level, cache)
    no_more_making(monkeypatch)
    found = list(traced_level(level, cache).traces())
    for one, other in zip(fresh, found, strict=True):
        for field in ("layer", "pattern", "sparsity_target", "weights_before", "macs_before", "reason", "kept"):
            assert getattr(one, field) == getattr(other, field), field
        assert (one.mask is None) == (other.mask is None)
        assert one.mask is None or np.array_equal(one.mask, other.mask)


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: f"{level.pattern}-{level.sparsity}-{level.ratios}")
def test_rows_of_a_level_from_the_cache_are_those_of_a_run(
    level: LevelChoice, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = RunOptions(dtype="fp16")
    request = run_request(level, options, DEVICES)
    rows = {row["device"]: row for row in run(request).rows if row["layer"] == "total"}
    traced_level(level, cache)
    no_more_making(monkeypatch)
    traced = traced_level(level, cache)
    for device in devices_of(request):
        engine: Target = built_for_work(device, traced.engine, options.dtype, options.encoding)
        results = [outcome(trace, run_layer(request, trace, engine, {})) for trace in traced.traces()]
        assert total_row(run_facts(level, options, traced, engine), results) == rows[device.name]


def test_what_an_engine_is_chosen_by_survives_the_cache(cache: Cache) -> None:
    for level in LEVELS:
        request = run_request(level, RunOptions())
        network = lower(request)
        (asked,) = levels(network, request)
        running = trace_network(network, asked, prune_all=level.prune_all, match=level.match).network
        assert traced_level(level, cache).engine == engine_work(running, asked, level.prune_all)


def test_the_share_of_the_weights_that_is_kept_is_of_all_layers_before_channels_went() -> None:
    for level in LEVELS:
        request = run_request(level, RunOptions())
        network = lower(request)
        (asked,) = levels(network, request)
        running = trace_network(network, asked, prune_all=level.prune_all, match=level.match)
        kept = whole = kept_squares = squares = 0.0
        for trace in running.traces:
            if trace.mask is not None:
                before = network.weights[trace.layer.name].astype(np.float64)
                left = np.where(trace.mask, running.network.weights[trace.layer.name], 0.0).astype(np.float64)
                whole, kept = whole + np.abs(before).sum(), kept + np.abs(left).sum()
                squares, kept_squares = squares + (before**2).sum(), kept_squares + (left**2).sum()
        found = traced_level(level, None)
        assert found.kept_l1 == pytest.approx(kept / whole, rel=1e-12)
        assert found.kept_l2 == pytest.approx((kept_squares / squares) ** 0.5, rel=1e-12)


def test_dense_keeps_all_that_there_is() -> None:
    dense = traced_level(LevelChoice(model=DIGITS, pattern="dense"), None)
    assert (dense.kept_l1, dense.kept_l2) == (1.0, 1.0)


def test_a_level_without_a_cache_has_the_bytes_of_one_with_it(cache: Cache) -> None:
    assert traced_level(GS, None).stored.bits == traced_level(GS, cache).stored.bits
    assert traced_level(GS, None).key == traced_level(GS, cache).key


def test_traces_of_a_small_network_are_held_and_know_what_they_knew() -> None:
    traced = traced_level(GS, None)
    assert all(one is other for one, other in zip(traced.traces(), traced.traces(), strict=True))
    first = next(traced.traces())
    assert first.once("fact", lambda: 1) == 1
    assert next(traced.traces()).once("fact", lambda: 2) == 1


def test_a_large_network_is_unpacked_layer_by_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert HELD_WEIGHTS > 0
    monkeypatch.setattr(traced_module, "HELD_WEIGHTS", 100)
    traced = traced_level(GS, None)
    assert not any(one is other for one, other in zip(traced.traces(), traced.traces(), strict=True))


def test_every_pattern_is_spelled_back_from_what_is_stored(cache: Cache) -> None:
    for kind in ALL_PATTERNS:
        level = LevelChoice(model=DIGITS, pattern=kind.example, sparsity=0.5)
        for trace in traced_level(level, cache).traces():
            assert isinstance(trace.layer, MatrixLayer) == (trace.mask is not None)


def test_a_machine_without_the_model_file_takes_a_level_that_was_sent_to_its_cache(
    cache: Cache, tmp_path: Path
) -> None:
    source = Path(traced_module.__file__).parents[1] / "models" / "digits.onnx"
    model = tmp_path / "net.onnx"
    shutil.copyfile(source, model)
    level = dataclasses.replace(GS, model=ModelChoice(model=str(model)))
    key = level_key(level)
    sent = level_data(level, key, None)
    model.unlink()
    with pytest.raises(ModelError, match=r"net\.onnx: no such file"):
        traced_level(level, cache)
    cache.write(KIND, key, sent)
    there = cache.read(KIND, key)
    assert there is not None
    assert traced_from(key, there, "sent", cache).stored.bits == traced_level(GS, None).stored.bits


def test_a_damaged_level_is_told_and_made_again(tmp_path: Path) -> None:
    told: list[str] = []
    cache = Cache(folder=tmp_path, limit_bytes=1 << 30, note=told.append)
    bits = traced_level(GS, cache).stored.bits
    path = cache.path(KIND, level_key(GS))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert traced_level(GS, cache).stored.bits == bits
    assert told == [f"{path} is damaged: it is removed and made again"]
    assert path.read_bytes() != data


def test_a_whole_entry_that_is_no_level_is_told_and_made_again(tmp_path: Path) -> None:
    told: list[str] = []
    cache = Cache(folder=tmp_path, limit_bytes=1 << 30, note=told.append)
    bits = traced_level(GS, None).stored.bits
    cache.write(KIND, level_key(GS), b'{"schema": 99}\n')
    assert traced_level(GS, cache).stored.bits == bits
    assert len(told) == 1
    assert "schema is 99, and must be 1" in told[0]
    assert traced_level(GS, cache).stored.bits == bits
    assert len(told) == 1


# Keys: whatever a trace depends on moves them, nothing else does


def test_each_choice_of_a_level_moves_its_key() -> None:
    others = [
        dataclasses.replace(GS, pattern="gs:16,16"),
        dataclasses.replace(GS, sparsity=0.8),
        dataclasses.replace(GS, ratios="erk"),
        dataclasses.replace(GS, match="slots"),
        dataclasses.replace(GS, prune_all=True),
        dataclasses.replace(GS, model=ModelChoice(model="digits", batch=2)),
        dataclasses.replace(GS, model=ModelChoice(model="digits", strict=True)),
        dataclasses.replace(GS, model=ModelChoice(model="mobilenet_v1")),
        dataclasses.replace(GS, model=ModelChoice(model="mobilenet_v1", seed=1)),
    ]
    assert len({level_key(level) for level in (GS, *others)}) == 1 + len(others)


def test_the_seed_moves_no_key_of_a_model_with_weights_of_its_own() -> None:
    assert level_key(GS) == level_key(dataclasses.replace(GS, model=ModelChoice(model="digits", seed=7)))


def test_one_pattern_in_two_spellings_is_one_entry() -> None:
    assert level_key(GS) == level_key(dataclasses.replace(GS, pattern=" gs:16,1"))


def test_a_model_file_is_known_by_its_bytes_and_name_wherever_it_lies(tmp_path: Path) -> None:
    source = Path(traced_module.__file__).parents[1] / "models" / "digits.onnx"
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        shutil.copyfile(source, tmp_path / folder / "net.onnx")
    one, two = (model_content(ModelChoice(model=str(tmp_path / name / "net.onnx"))) for name in ("one", "two"))
    assert one == two
    with (tmp_path / "two" / "net.onnx").open("ab") as stream:
        stream.write(b"\0")
    assert model_content(ModelChoice(model=str(tmp_path / "two" / "net.onnx"))) != one


def test_external_weights_of_a_model_move_its_key(tmp_path: Path) -> None:
    import onnx

    source = Path(traced_module.__file__).parents[1] / "models" / "digits.onnx"
    path = tmp_path / "net.onnx"
    onnx.save_model(onnx.load(source), path, save_as_external_data=True, location="net.onnx.data", size_threshold=0)
    data = tmp_path / "net.onnx.data"
    before = model_content(ModelChoice(model=str(path)))
    weights = bytearray(data.read_bytes())
    weights[-1] ^= 1
    data.write_bytes(weights)
    assert model_content(ModelChoice(model=str(path))) != before


def test_a_list_of_ratios_counts_with_its_bytes(tmp_path: Path) -> None:
    ratios = tmp_path / "ratios.toml"
    ratios.write_text("conv2 = 0.5\n")
    level = LevelChoice(model=DIGITS, pattern="unstructured", ratios=str(ratios))
    before = level_key(level)
    ratios.write_text("conv2 = 0.25\n")
    assert level_key(level) != before
    ratios.unlink()
    with pytest.raises(RatioError, match=r"ratios\.toml: cannot be read"):
        level_key(level)


def test_a_model_that_is_not_there_is_named() -> None:
    with pytest.raises(ModelError, match="neither a file"):
        traced_level(LevelChoice(model=ModelChoice(model="resnet51"), pattern="dense"), None)
    with pytest.raises(ModelError, match=r"gone\.onnx: no such file"):
        traced_level(LevelChoice(model=ModelChoice(model="gone.onnx"), pattern="dense"), None)


PEAK = """
import sys
from pathlib import Path
from gatherline.cache import Cache
from gatherline.sweep.point import LevelChoice, ModelChoice
from gatherline.sweep.traced import traced_level
level = LevelChoice(model=ModelChoice(model="vgg16"), pattern="gs:16,1", sparsity=0.9)
traced = traced_level(level, Cache(folder=Path(sys.argv[1]), limit_bytes=1 << 30))
assert sum(trace.kept for trace in traced.traces()) > 0
# not ru_maxrss: a process that is started inherits that of the one that starts it
print(next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the resident set is counted in KiB there")
def test_a_level_of_vgg16_is_made_and_read_within_a_gigabyte(tmp_path: Path) -> None:
    for _ in ("made", "read"):
        command = [sys.executable, "-c", PEAK, str(tmp_path)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        assert int(done.stdout) * 1024 < 10**9
