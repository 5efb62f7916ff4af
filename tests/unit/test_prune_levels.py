"""Nested levels in one file: prefixes of every row, read back as masks, each within the next denser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gatherline as gl
from gatherline.levels import at_level, layer_levels, levels_path, read_levels
from patterns.catalog import parse_pattern
from patterns.nesting import nested_masks
from traces.layer import ModelError
from traces.lower.onnx_file import read_onnx

TARGETS = (0.95, 0.9, 0.8)


def write(folder: Path, pattern: str = "gs:16,1") -> Path:
    gl.prune("digits", folder / "m.onnx", pattern=pattern, levels=[0.9, 0.8, 0.95], prune_all=True)
    return folder / "m.onnx"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("levels"), "unstructured")


def test_a_file_holds_the_densest_level_and_each_level_lies_within_the_next(model: Path) -> None:
    levels, network = read_levels(model), read_onnx(model)
    assert levels.sparsities == TARGETS
    for name, layer in levels.layers.items():
        masks = [layer.mask(number) for number in (1, 2, 3)]
        assert np.array_equal(masks[2], network.weights[name] != 0)
        assert not (masks[0] & ~masks[1]).any()
        assert not (masks[1] & ~masks[2]).any()


def test_a_level_is_a_prefix_of_every_row(model: Path) -> None:
    for layer in read_levels(model).layers.values():
        mask = layer.mask(1).reshape(-1, layer.shape[2])
        for row, (start, end, *_) in enumerate(layer.pointer):
            assert sorted(layer.column[start:end]) == list(np.flatnonzero(mask[row]))


def test_a_level_runs_as_the_model_pruned_to_it_alone_would(model: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone.onnx"
    gl.prune("digits", alone, pattern="unstructured", sparsity=0.9, prune_all=True)
    at_two = gl.run(str(model), devices=["gs-tcm"], level=2)
    by_itself = gl.run(str(alone), devices=["gs-tcm"])
    compared = ("layer", "density", "cycles", "weight_bytes")
    assert [[row[key] for key in compared] for row in at_two.rows] == [
        [row[key] for key in compared] for row in by_itself.rows
    ]
    assert (
        len({row["cycles"] for n in (1, 2, 3) for row in gl.run(str(model), devices=["gs-tcm"], level=n).rows[-1:]})
        == 3
    )


def test_rows_tell_of_each_level_the_sparsest_first(tmp_path: Path) -> None:
    report = gl.prune("digits", tmp_path / "m.onnx", pattern="block:4x4", levels=[0.5, 0.75])
    totals = [row for row in report.rows if row["layer"] == "total"]
    assert [(row["level"], row["sparsity_target"]) for row in totals] == [(1, 0.75), (2, 0.5)]
    assert report.manifest["levels_file"] == str(tmp_path / "m.onnx.levels.npz")
    assert {row["check"] for row in report.rows} == {"holds", None}


@settings(max_examples=50, deadline=None)
@given(st.tuples(st.integers(1, 2), st.integers(1, 5), st.integers(1, 9)), st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_masks_come_back_from_their_prefixes(shape: tuple[int, int, int], seed: int, count: int) -> None:
    rank = np.random.default_rng(seed).integers(0, count + 1, size=shape)
    masks = [rank <= level for level in range(count)]
    found = layer_levels(masks)
    assert found.pointer[-1, -1] == found.column.size == np.count_nonzero(masks[-1])
    for level, mask in enumerate(masks, start=1):
        assert np.array_equal(found.mask(level), mask)


def test_masks_that_do_not_nest_have_no_levels() -> None:
    one, other = np.array([[[True, False]]]), np.array([[[False, True]]])
    with pytest.raises(ValueError, match="level 1 keeps a weight that level 2 does not"):
        layer_levels([one, other])


@pytest.mark.parametrize("spelling", ["unstructured", "block:4x4", "gs:8,1", "gs_scatter:8,1", "bank_balanced:4"])
def test_nested_masks_lie_within_each_other_and_keep_their_share(spelling: str) -> None:
    scores = np.abs(np.random.default_rng(0).normal(size=(1, 32, 64))).astype(np.float32)
    masks = nested_masks(parse_pattern(spelling), scores, TARGETS)
    assert not (masks[0] & ~masks[1]).any()
    assert not (masks[1] & ~masks[2]).any()
    for mask, target in zip(masks, TARGETS, strict=True):
        assert np.count_nonzero(mask) / mask.size == pytest.approx(1 - target, abs=0.03)


def changed(model: Path, folder: Path, change: Any) -> Path:
    """Copy a model, and its levels after ``change`` has been at their arrays."""
    copy = folder / model.name
    copy.write_bytes(model.read_bytes())
    with np.load(levels_path(model)) as file:
        arrays = {name: file[name] for name in file.files}
    header = json.loads(arrays["header"].tobytes())
    change(arrays, header)
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
    with levels_path(copy).open("wb") as stream:
        np.savez(stream, **arrays)
    return copy


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda arrays, header: header.update(schema=9), "no schema 1"),
        (lambda arrays, header: header.update(model_sha256="0" * 64), "written for another m.onnx"),
        (lambda arrays, header: arrays.update(column0=arrays["column0"] + np.uint16(40000)), "lies outside"),
        (lambda arrays, header: arrays.update(pointer0=arrays["pointer0"] + 1), "pointers must rise"),
        (lambda arrays, header: arrays.update(pointer0=arrays["pointer0"][:, :2]), "pointers have shape"),
        (lambda arrays, header: arrays.pop("column1"), "damaged"),
        (lambda arrays, header: arrays.update(column0=np.array([{}])), "damaged"),
        (lambda arrays, header: header["layers"][0].update(shape=[0, 1, 1]), "at least 1"),
    ],
)
def test_a_levels_file_that_is_damaged_or_of_another_model_is_refused(
    model: Path, tmp_path: Path, change: Any, error: str
) -> None:
    with pytest.raises(ModelError, match=error):
        read_levels(changed(model, tmp_path, change))


def test_a_level_that_is_not_there_is_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"level is 4, and it has levels 1 \(the sparsest\) to 3"):
        at_level(read_onnx(model), read_levels(model), 4)
    with pytest.raises(ModelError, match="it has no levels"):
        read_levels(tmp_path / "other.onnx")
