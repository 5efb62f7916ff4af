"""A user's table of losses: what lies between its lines, what lies outside, and what it must not say."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatherline.advice.sensitivity import Sensitivity, read_sensitivity
from gatherline.request_error import RequestError

LAYERS = ("conv1", "conv2")


def table(folder: Path, text: str) -> Sensitivity:
    path = folder / "table.csv"
    path.write_text(text)
    return read_sensitivity(path, LAYERS)


def test_between_two_sparsities_the_loss_is_on_the_line_between_them(tmp_path: Path) -> None:
    found = table(tmp_path, "layer,pattern,sparsity,loss\nconv1,block:4x1,0.5,2\nconv1,block:4x1,0.9,10\n")
    assert found.loss("conv1", "block:4x1", 0.5) == 2
    assert found.loss("conv1", "block:4x1", 0.7) == pytest.approx((2 + 10) / 2)
    assert found.loss("conv1", "block:4x1", 0.25) == pytest.approx(2 / 2)  # from 0, the loss of the layer as it is
    assert found.loss("conv1", "block:4x1", None) == 0


def test_beyond_the_last_sparsity_and_for_other_layers_and_patterns_nothing_is_known(tmp_path: Path) -> None:
    found = table(tmp_path, "layer,pattern,sparsity,loss\nconv1,block:4x1,0.5,2\n")
    assert found.loss("conv1", "block:4x1", 0.51) is None
    assert found.loss("conv1", "unstructured", 0.5) is None
    assert found.loss("conv2", "block:4x1", 0.5) is None
    assert found.layers == {"conv1"}


@pytest.mark.parametrize("anything", ["*", "", " * "])
def test_a_line_for_any_pattern_holds_where_none_is_of_its_own(tmp_path: Path, anything: str) -> None:
    text = f"layer,pattern,sparsity,loss\nconv1,{anything},0.5,2\nconv1,gs:16,0.5,3\n"
    found = table(tmp_path, text.replace("gs:16", '"gs:16,1"'))
    assert found.loss("conv1", "unstructured", 0.5) == 2
    assert found.loss("conv1", "gs:16,1", 0.5) == 3


def test_a_row_at_sparsity_0_is_what_the_layer_loses_as_it_is(tmp_path: Path) -> None:
    found = table(tmp_path, "layer,pattern,sparsity,loss\nconv1,*,0,4\nconv1,*,0.5,8\n")
    assert found.loss("conv1", "unstructured", None) == 4
    assert found.loss("conv1", "unstructured", 0.25) == pytest.approx((4 + 8) / 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("layer,pattern,loss\nconv1,*,1\n", "no column sparsity"),
        ("layer,pattern,sparsity,loss\nconv9,*,0.5,1\n", "line 2: no layer with weights is called 'conv9'; did you"),
        ("layer,pattern,sparsity,loss\nconv1,blok:4x1,0.5,1\n", "line 2: pattern 'blok:4x1' is not known; did you"),
        ("layer,pattern,sparsity,loss\nconv1,*,1.5,1\n", "line 2: sparsity is 1.5, and must be at least 0 and below 1"),
        ("layer,pattern,sparsity,loss\nconv1,*,0.5,nan\n", "line 2: loss is nan, and must be finite"),
        ("layer,pattern,sparsity,loss\nconv1,*,0.5,much\n", "line 2: loss is 'much', and must be a number"),
        ("layer,pattern,sparsity,loss\nconv1,*,0.5\n", "line 2: loss is None, and must be a number"),
        ("layer,pattern,sparsity,loss\nconv1,*,0.5,1\nconv1,*,0.5,1\n", "line 3: layer conv1, pattern *, sparsity 0.5"),
        ("layer,pattern,sparsity,loss\nconv1,*,0,1\nconv1,block:4x1,0,2\n", "line 3: layer conv1 loses 2 at sparsity"),
        ("layer,pattern,sparsity,loss\n", "it has no line"),
        ("", "no column layer"),
    ],
)
def test_what_a_table_cannot_say_is_one_line_that_names_where(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(RequestError) as error:
        table(tmp_path, text)
    assert said in str(error.value)
    assert str(tmp_path / "table.csv") in str(error.value)
    assert "\n" not in str(error.value)


def test_a_table_that_is_not_there_or_no_text_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"none\.csv: cannot be read"):
        read_sensitivity(tmp_path / "none.csv", LAYERS)
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RequestError, match="not text in UTF-8"):
        read_sensitivity(tmp_path / "bytes.csv", LAYERS)
