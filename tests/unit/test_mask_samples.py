"""What a run keeps of its masks: taken from the mask, written in few bytes, and read back with nothing trusted."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gatherline as gl
from gatherline.mask_samples import FILE, MOST_SAMPLES, MaskSample, masks_json, read_masks
from gatherline.mask_sampling import WINDOWS, mask_sample, window_layers
from gatherline.mask_statistics import bank_counts, load_summary, row_loads
from gatherline.pipeline_types import Report
from gatherline.report.files import write_report
from gatherline.report.page.run_page import run_page
from gatherline.report_file import read_report
from gatherline.request import RunRequest, lower
from gatherline.request_error import RequestError
from gatherline.run_masks import masks_of
from patterns.base import Mask
from patterns.dense import Dense
from patterns.unstructured import Unstructured
from traces.layer import MatrixLayer, Window
from traces.layout import column_banks
from traces.masks import Level
from traces.trace import LayerTrace

RUN: dict[str, Any] = {"model_hash": "ab", "seed": 3}  # of the manifest of a run


def trace_of(mask: Mask, name: str = "fc") -> LayerTrace:
    groups, m, k = mask.shape
    window = Window(in_hw=(1, 4), out_hw=(1, 4))
    layer = MatrixLayer(name=name, kind="linear" if groups == 1 else "conv2d", groups=groups, m=m, k=k, window=window)
    return LayerTrace(layer=layer, pattern=Unstructured(), mask=mask)


def random_mask(groups: int, m: int, k: int, seed: int = 0) -> Mask:
    mask: Mask = np.random.default_rng(seed).random((groups, m, k)) < 0.3
    mask[0, 0, 0] = False  # something is pruned
    return mask


def sampled(mask: Mask, *, window: bool = True, sparsity: float | None = 0.7) -> MaskSample:
    found = mask_sample(trace_of(mask), "unstructured", sparsity, window=window)
    assert found is not None
    return found


def as_plain(samples: tuple[MaskSample, ...]) -> list[dict[str, Any]]:
    found = []
    for sample in samples:
        plain = {name: getattr(sample, name) for name in sample.__slots__ if name != "window"}
        if sample.window is not None:
            plain |= {"kept": sample.window.kept.tolist(), "density": sample.window.density.tolist()}
        found.append(plain)
    return found


@settings(deadline=None, max_examples=10)
@given(groups=st.integers(1, 2), m=st.integers(1, 70), k=st.integers(1, 140), seed=st.integers(0, 9))
def test_what_was_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, groups: int, m: int, k: int, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("run")
    mask = random_mask(groups, m, k, seed)
    samples = (sampled(mask), sampled(mask, window=False, sparsity=None))
    text = masks_json(samples, RUN)
    (folder / FILE).write_text(text)
    again = read_masks(folder)
    assert again is not None
    assert (again.model_hash, again.seed) == ("ab", 3)
    assert as_plain(again.samples) == as_plain(samples)
    assert masks_json(again.samples, RUN) == text
    assert text.isascii()


def test_loads_are_those_of_the_mask_with_16_banks() -> None:
    mask = random_mask(2, 40, 64)
    trace = trace_of(mask)
    assert isinstance(trace.layer, MatrixLayer)
    found = sampled(mask)
    assert (found.groups, found.m, found.k, found.banks) == (2, 40, 64, 16)
    assert found.kept == np.count_nonzero(mask)
    assert found.row_load == load_summary(row_loads(mask))
    assert found.bank_load == load_summary(bank_counts(mask, column_banks(trace.layer, 16), 16))


def test_a_window_is_the_corner_of_the_first_group_and_the_density_of_equal_parts_of_it() -> None:
    mask = np.zeros((2, 96, 192), dtype=np.bool_)
    mask[0, :48] = True
    mask[0, 48:, ::3] = True  # parts of 2 x 2, a third of their columns kept: 1 of 2 columns, or none
    window = sampled(mask).window
    assert window is not None
    assert np.array_equal(window.kept, mask[0, :64, :128])
    assert window.density.shape == (48, 96)
    assert np.array_equal(window.density[:24], np.ones((24, 96)))
    parts = mask[0, 48:].reshape(24, 2, 96, 2).mean(axis=(1, 3))
    assert np.array_equal(window.density[24:], parts)


def test_parts_of_a_matrix_that_they_do_not_divide_hold_every_weight_once() -> None:
    mask = random_mask(1, 50, 100)
    window = sampled(mask).window
    assert window is not None
    rows, columns = np.arange(49) * 50 // 48, np.arange(97) * 100 // 96
    sizes = np.diff(rows)[:, None] * np.diff(columns)[None, :]
    assert sizes.sum() == 50 * 100
    assert np.abs(window.density * sizes - 0.005 * sizes).max() <= sizes.max()
    assert (window.density * sizes).sum() == pytest.approx(np.count_nonzero(mask), rel=0.02)  # whole percents


def test_a_layer_that_kept_everything_has_no_sample() -> None:
    full = np.ones((1, 8, 16), dtype=np.bool_)
    assert mask_sample(trace_of(full), "unstructured", 0.0, window=True) is None
    dense = LayerTrace(layer=trace_of(full).layer, pattern=Dense(), mask=full)
    assert mask_sample(dense, "dense", None, window=True) is None


@pytest.fixture(scope="module")
def report() -> Report:
    return gl.run("digits", patterns=["dense", "gs:16,1", "channel"], sparsities=[0.5, 0.9], devices=["gs-tcm", "a100"])


def test_a_run_keeps_every_pruned_layer_once_a_level_whatever_the_devices(report: Report) -> None:
    levels = [(row["pattern"], row["sparsity_target"]) for row in report.rows if row["layer"] == "total"]
    names = [(sample.layer, sample.pattern, sample.sparsity) for sample in report.masks]
    assert len(set(names)) == len(names)
    assert {name[1:] for name in names} == {level for level in levels if level[0] != "dense"}
    for sample in report.masks:
        row = next(
            row
            for row in report.rows
            if (row["layer"], row["pattern"], row["sparsity_target"]) == (sample.layer, sample.pattern, sample.sparsity)
        )
        assert (row["m"], row["k"], row["groups"]) == (sample.m, sample.k, sample.groups)  # as the layer runs
        assert row["layer_pattern"] == sample.layer_pattern


def test_windows_are_of_the_pruned_layers_with_the_most_multiply_adds(report: Report) -> None:
    network = lower(RunRequest(model="digits"))
    level = Level(pattern=Unstructured(), sparsity=0.9)
    pruned = [layer for layer in network.matrix_layers if layer.name not in ("conv1", "fc")]  # first and classifier
    most = sorted(pruned, key=lambda layer: layer.macs, reverse=True)[:WINDOWS]
    assert window_layers(network, level, False) == {layer.name for layer in most}
    for sample in report.masks:
        assert (sample.window is not None) == (sample.layer in window_layers(network, level, False))


def test_the_file_belongs_to_the_run_in_its_folder(report: Report, tmp_path: Path) -> None:
    masks = masks_json(report.masks, report.manifest)
    written = write_report(tmp_path, report.manifest, report.rows, pictures=False, masks=masks)
    assert tmp_path / FILE in written
    assert as_plain(masks_of(tmp_path, read_report(tmp_path)).samples) == as_plain(report.masks)
    assert as_plain(gl.energy(tmp_path, "7nm").masks) == as_plain(report.masks)
    assert "masks" not in json.loads(report.to_json())
    rows = [row for row in report.rows if row["pattern"] == "dense"]
    again = write_report(tmp_path, report.manifest, rows, pictures=False)  # a run without masks
    assert tmp_path / FILE not in again
    assert read_masks(tmp_path) is None


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"model_hash": "ef" * 32}, "masks.json is of another model: it says model_hash efefefefefefefef, and the run"),
        ({"seed": 7}, "masks.json is of another seed: it says seed 7, and the run 0. It is not shown."),
        ({"seed": None}, "masks.json does not say its seed. It is not shown."),
    ],
)
def test_masks_of_another_run_are_left_out_and_told(
    report: Report, tmp_path: Path, other: dict[str, Any], told: str
) -> None:
    masks = masks_json(report.masks, {**report.manifest, **other})
    write_report(tmp_path, report.manifest, report.rows, pictures=False, masks=masks)
    found = masks_of(tmp_path, read_report(tmp_path))
    assert found.samples == ()
    assert found.notes[0].startswith(told)
    assert gl.energy(tmp_path, "7nm").masks == ()  # they do not become those of the run by way of its energy
    assert told in run_page(tmp_path)
    with pytest.raises(RequestError, match=re.escape(told)):
        gl.plot("load-histogram", tmp_path, tmp_path / "loads.svg")


def test_samples_of_layers_with_their_own_sparsities_are_of_the_run(tmp_path: Path) -> None:
    made = gl.run("digits", patterns=["gs:16,1"], sparsities=[0.8], devices=["a100"], ratios="erk", prune_all=True)
    assert len({row["sparsity_target"] for row in made.rows if row["layer_pattern"] == "gs:16,1"}) > 1
    masks = masks_json(made.masks, made.manifest)
    write_report(tmp_path, made.manifest, made.rows, pictures=False, masks=masks)
    found = masks_of(tmp_path, read_report(tmp_path))
    assert as_plain(found.samples) == as_plain(made.masks)
    assert (len(found.samples), found.notes) == (len({sample.layer for sample in made.masks}), ())


def test_samples_that_no_row_names_are_left_out_and_counted(report: Report, tmp_path: Path) -> None:
    first, second, third, *rest = report.masks
    assert first.pattern == "gs:16,1"
    strange = [
        replace(first, layer="nowhere"),
        replace(second, sparsity=0.25),
        replace(third, kept=0, row_load=load_summary(np.zeros(third.groups * third.m, np.int64))),  # of another mask
    ]
    masks = masks_json([*strange, *rest], report.manifest)
    write_report(tmp_path, report.manifest, report.rows, pictures=False, masks=masks)
    found = masks_of(tmp_path, read_report(tmp_path))
    assert as_plain(found.samples) == as_plain(tuple(rest))
    assert found.notes[0].startswith(f"Left out of masks.json: {len(strange)} of {len(report.masks)} samples")


def put(*path: str | int, value: Any) -> Callable[[Any], None]:
    def change(found: Any) -> None:
        for step in path[:-1]:
            found = found[step]
        found[path[-1]] = value

    return change


def drop(*path: str | int) -> Callable[[Any], None]:
    def change(found: Any) -> None:
        for step in path[:-1]:
            found = found[step]
        del found[path[-1]]

    return change


BAD: tuple[tuple[Callable[[Any], None], str], ...] = (
    (put("schema", value=2), "schema is 2, and must be 1"),
    (put("schema", value=True), "schema is True, and must be 1"),
    (drop("samples"), "must be an object of schema, model_hash, seed and samples"),
    (put("model_hash", value=7), "model_hash is 7, and must be a text"),
    (put("seed", value=True), "seed is True, and must be a whole number from 0"),
    (put("samples", 0, "kept", value=7), "samples[0]: kept is 7, and must be what the rows of row_load add up to"),
    (put("samples", 0, "row_load", "mean", value=10.5), "and must be what the rows of row_load add up to"),
    (put("samples", value={}), "samples is {}, and must be a list of at most 20000"),
    (put("samples", value=[None] * (MOST_SAMPLES + 1)), "samples is 20001 samples"),
    (put("samples", 0, value=[]), "samples[0] is [], and must be an object"),
    (drop("samples", 0, "m"), "samples[0]: m is missing"),
    (put("samples", 0, "colour", value=1), "samples[0]: key 'colour' is not known"),
    (put("samples", 0, "layer", value=7), "samples[0]: layer is 7, and must be a text"),
    (put("samples", 0, "pattern", value=""), "samples[0]: pattern is '', and must be a text"),
    (put("samples", 0, "sparsity", value=1.5), "samples[0]: sparsity is 1.5, and must be a number from 0 to 1"),
    (put("samples", 0, "sparsity", value="0.9"), "samples[0]: sparsity is '0.9'"),
    (put("samples", 0, "m", value=0), "samples[0]: m is 0, and must be a whole number from 1"),
    (put("samples", 0, "m", value=19), "samples[0]: row_load: bin_counts"),  # no longer a load for each row
    (put("samples", 0, "groups", value=True), "samples[0]: groups is True"),
    (put("samples", 0, "kept", value=20 * 40 + 1), "samples[0]: kept is 801, and must be a whole number from 0 to 800"),
    (put("samples", 0, "row_load", "max", value=41), "samples[0]: row_load: max is 41"),
    (put("samples", 0, "row_load", "mean", value=-1), "samples[0]: row_load: mean is -1"),
    (put("samples", 0, "row_load", "bin_width", value=0), "samples[0]: row_load: bin_width is 0"),
    (put("samples", 0, "row_load", "bin_counts", value=[20]), "samples[0]: row_load: bin_counts is [20]"),
    (put("samples", 0, "bank_load", "max", value=1 << 62), "samples[0]: bank_load: bin_width is 1, and must be at"),
    (put("samples", 0, "bank_load", "cv", value=-0.5), "samples[0]: bank_load: cv is -0.5"),
    (put("samples", 0, "bank_load", value=None), "samples[0]: bank_load is None, and must be an object"),
    (put("samples", 0, "window", value=None), "samples[0]: window is None, and must be an object"),
    (put("samples", 0, "window", "columns", value=41), "samples[0]: window: columns is 41"),
    (put("samples", 0, "window", "kept", value=[]), "samples[0]: window: kept is [], and must be a list of 20 to 20"),
    (put("samples", 0, "window", "kept", 3, value="zz"), "samples[0]: window: kept[3] is 'zz'"),
    (put("samples", 0, "window", "kept", 3, value="ffffffff"), "and must be 10 hexadecimal digits"),
    (put("samples", 0, "window", "density", 0, value="65" * 40), "samples[0]: window: density"),
)


@pytest.mark.parametrize(("change", "says"), BAD, ids=[says for _, says in BAD])
def test_a_damaged_file_is_refused_with_sample_field_value_and_rule(
    change: Callable[[Any], None], says: str, tmp_path: Path
) -> None:
    found = json.loads(masks_json([sampled(random_mask(1, 20, 40))], RUN))
    change(found)
    (tmp_path / FILE).write_text(json.dumps(found))
    with pytest.raises(RequestError) as refused:
        read_masks(tmp_path)
    assert str(refused.value).startswith(f"{tmp_path / FILE}: ")
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["", "[", "[1]", '{"schema": 1, "schema": 1}', '{"schema": 1, "samples": [NaN]}', "\xff"]
)
def test_a_file_that_is_no_strict_json_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(text.encode("latin-1"))
    with pytest.raises(RequestError, match="not the masks that simulate run wrote"):
        read_masks(tmp_path)


def test_bits_behind_the_last_column_are_refused(tmp_path: Path) -> None:
    found = json.loads(masks_json([sampled(random_mask(1, 4, 12))], RUN))
    found["samples"][0]["window"]["kept"][0] = "000f"
    (tmp_path / FILE).write_text(json.dumps(found))
    with pytest.raises(RequestError, match="rows of 12 bits, and no bit behind them set"):
        read_masks(tmp_path)
