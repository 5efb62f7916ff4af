"""The operators without a product of ncnn's nets: a table beside that of the layers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from costmodel.validation.folder import open_folder
from costmodel.validation.measurement import ValidationError
from costmodel.validation.nets import NCNN_LAYERS, NCNN_OPERATORS, layers_of, multiply_adds
from traces.layer import MatrixLayer, VectorLayer

PATH = open_folder().path


def operators(net: str, *ops: str) -> list[VectorLayer]:
    return [each for each in layers_of(f"ncnn/{net}", PATH) if isinstance(each, VectorLayer) and each.op in ops]


def test_a_resnet_adds_and_rectifies_once_a_block() -> None:
    assert len(operators("resnet18", "Eltwise")) == len(operators("resnet18", "ReLU")) == 2 * 4
    assert len(operators("resnet50", "Eltwise")) == 3 + 4 + 6 + 3
    for add in operators("resnet50", "Eltwise"):
        assert add.input_elements == 2 * add.output_elements == 2 * add.elements


def test_a_squeezenet_joins_what_its_two_expansions_give() -> None:
    layers = {each.name: each for each in layers_of("ncnn/squeezenet", PATH)}
    for fire in range(2, 10):
        parts = [layers[f"fire{fire}/expand{size}"] for size in ("1x1", "3x3")]
        outputs = sum(each.m * each.p for each in parts if isinstance(each, MatrixLayer))
        join = layers[f"fire{fire}/expand3x3+0"]
        assert isinstance(join, VectorLayer)
        assert join.op == "Concat"
        assert join.input_elements == join.output_elements == outputs


def test_a_pool_reads_its_window_for_each_output() -> None:
    pool = operators("squeezenet", "Pooling")[0]
    assert pool.elements == 3 * 3 * pool.output_elements
    assert pool.output_elements == 64 * 56 * 56


def test_an_int8_net_has_the_operators_of_its_float_net_and_none_has_a_multiply_add() -> None:
    for net in ("squeezenet", "resnet18", "mobilenet_ssd"):
        plain, quantised = layers_of(f"ncnn/{net}", PATH), layers_of(f"ncnn/{net}_int8", PATH)
        assert [each.name for each in plain] == [each.name for each in quantised]
        weighted = tuple(each for each in plain if isinstance(each, MatrixLayer))
        assert multiply_adds(plain) == multiply_adds(weighted)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("squeezenet,conv1,Pooling", "squeezenet,conv9,Pooling", "after is 'conv9', and must be a layer of squeezenet"),
        ("squeezenet,conv1,Pooling", "squeezenet,conv1,Pool", "operator 'Pool' is unknown"),
    ],
)
def test_a_damaged_operator_is_one_line_with_file_line_and_value(tmp_path: Path, old: str, new: str, says: str) -> None:
    shutil.copy(PATH / NCNN_LAYERS, tmp_path)
    text = (PATH / NCNN_OPERATORS).read_text()
    assert old in text
    (tmp_path / NCNN_OPERATORS).write_text(text.replace(old, new, 1))
    with pytest.raises(ValidationError, match=f"{NCNN_OPERATORS} line 2: {says}"):
        layers_of("ncnn/squeezenet", tmp_path)
