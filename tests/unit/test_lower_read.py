"""Model files that cannot be used: one line with file, value and rule, and nothing outside the folder is read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from traces.layer import ModelError
from traces.lower.read import read_model

WEIGHT = np.arange(24, dtype=np.float32).reshape(4, 6)


def one_layer(weight: Any = None) -> Any:
    """A model of one Gemm with weights [4, 6]."""
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "fc.weight"], ["y"], transB=1)],
        "one_layer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 6))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 4))],
        [numpy_helper.from_array(WEIGHT, "fc.weight") if weight is None else weight],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def external(location: str, **entries: int) -> Any:
    """A tensor [4, 6] whose bytes are elsewhere."""
    tensor = TensorProto(name="fc.weight", data_type=TensorProto.FLOAT, dims=[4, 6], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def refused(path: Path, message: str, **options: Any) -> None:
    with pytest.raises(ModelError) as error:
        read_model(path, **options)
    line = str(error.value)
    assert line.startswith(str(path)), line
    assert "\n" not in line
    assert re.search(message, line), line


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.onnx", b"", "the file is empty"),
        ("zip.onnx", b"PK\x03\x04 and more", r"suffix is \.onnx, and its content looks like a zip"),
        ("tensors.onnx", (2).to_bytes(8, "little") + b"{}", "looks like safetensors"),
        ("pickle.onnx", b"\x80\x04\x95 and more", "looks like a pickle"),
        ("pointer.onnx", b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        ("page.onnx", b"<!DOCTYPE html>", "looks like text"),
        ("noise.onnx", b"\xff\x00\xee" * 30, "no ONNX model: truncated, or another kind of file"),
        ("header.onnx", b"\x08\x0a", "holds no graph"),
        ("model.pth", b"\x80\x04", r"suffix is \.pth, and must be one of \.onnx, \.pt2, \.safetensors"),
        ("model", b"abc", "suffix is missing, and must be one of"),
        ("text.pt2", b"hello world", "not a zip"),
    ],
)
def test_a_file_that_is_no_model_is_refused_in_one_line(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    refused(path, message)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    refused(tmp_path / "none.onnx", "no such file")
    (tmp_path / "folder.onnx").mkdir()
    refused(tmp_path / "folder.onnx", "this is a folder")


@pytest.mark.parametrize("suffix", [".pt2", ".safetensors"])
def test_a_renamed_onnx_file_is_recognised(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    model = one_layer()
    model.producer_name = "pytorch"
    path.write_bytes(model.SerializeToString())
    refused(path, r"its content looks like an ONNX model")


def test_a_truncated_file_is_refused_at_every_length(tmp_path: Path) -> None:
    raw = one_layer().SerializeToString()
    path = tmp_path / "cut.onnx"
    for length in range(1, len(raw), 7):
        path.write_bytes(raw[:length])
        refused(path, "truncated, or another kind of file|imports no standard operator set")


def test_arch_and_a_batch_of_zero_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(one_layer(), path)
    refused(path, r"only \.safetensors files need one", arch="resnet50")
    refused(path, "batch is 0, and must be at least 1", batch=0)
    refused(path, "there is no input z; known are x", input_shapes={"z": (1, 6)})
    refused(path, "has 3 dimensions, and the file has 2", input_shapes=(1, 1, 6))


def test_external_data_beside_the_model_are_read_and_hashed(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    (tmp_path / "weights").mkdir()
    data = tmp_path / "weights" / "all.bin"
    data.write_bytes(b"\0" * 16 + WEIGHT.tobytes())
    onnx.save(one_layer(external("weights/all.bin", offset=16, length=WEIGHT.nbytes)), path)
    network = read_model(path)
    np.testing.assert_array_equal(network.weights["fc"][0], WEIGHT)
    data.write_bytes(b"\0" * 16 + (WEIGHT + 1).tobytes())
    assert read_model(path).digest != network.digest


@pytest.mark.parametrize(
    ("location", "entries", "message"),
    [
        ("../secret.bin", {}, "must be a file inside the model's folder"),
        ("weights/../../secret.bin", {}, "must be a file inside the model's folder"),
        ("/etc/hostname", {}, "must be a file inside the model's folder"),
        ("C:/secret.bin", {}, "must be a file inside the model's folder"),
        ("", {}, "must be a file inside the model's folder"),
        ("link.bin", {}, "must be a file inside the model's folder"),
        ("absent.bin", {}, "do not exist beside the model"),
        ("here.bin", {"length": 95}, "have 95 bytes, and its shape .* needs 96"),
        ("here.bin", {"offset": 8}, "end at byte 104, and here.bin has 96"),
        ("here.bin", {"offset": -8}, "end at byte 88, and here.bin has 96"),
    ],
)
def test_external_data_elsewhere_or_of_another_size_are_refused(
    tmp_path: Path, location: str, entries: dict[str, int], message: str
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(WEIGHT.tobytes())
    (folder / "here.bin").write_bytes(WEIGHT.tobytes())
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    onnx.save(one_layer(external(location, **entries)), folder / "model.onnx")
    refused(folder / "model.onnx", message)


def test_external_data_of_an_attribute_obey_the_same_rule(tmp_path: Path) -> None:
    model = one_layer()
    hidden = helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(WEIGHT))
    hidden.attribute[0].t.CopyFrom(external("../secret.bin"))
    model.graph.node.insert(0, hidden)
    (tmp_path / "folder").mkdir()
    (tmp_path / "secret.bin").write_bytes(WEIGHT.tobytes())
    path = tmp_path / "folder" / "model.onnx"
    path.write_bytes(model.SerializeToString())
    refused(path, "must be a file inside the model's folder")


def test_a_tensor_whose_bytes_do_not_fit_its_shape_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    small = numpy_helper.from_array(WEIGHT, "fc.weight")
    small.dims[0] = 400_000
    path.write_bytes(one_layer(small).SerializeToString())
    refused(path, r"tensor fc.weight: it holds 96 bytes, and its shape \[400000, 6\] of FLOAT needs 9600000")
    small.dims[0] = -4
    path.write_bytes(one_layer(small).SerializeToString())
    refused(path, r"its shape is \[-4, 6\], and every extent must be at least 0")


def test_a_sparse_tensor_that_says_too_much_is_refused(tmp_path: Path) -> None:
    model = one_layer()
    del model.graph.initializer[:]
    values = numpy_helper.from_array(np.ones(1, dtype=np.float32), "fc.weight")
    for dims, indices, message in (
        ([10**6, 10**6], [0], "must hold at most"),
        ([4, 6], [24], "an index lies outside its shape"),
        ([4, 6], [0, 1], "1 values have indices of shape"),
    ):
        sparse = helper.make_sparse_tensor(values, numpy_helper.from_array(np.array(indices)), dims)
        del model.graph.sparse_initializer[:]
        model.graph.sparse_initializer.append(sparse)
        path = tmp_path / "model.onnx"
        path.write_bytes(model.SerializeToString())
        refused(path, message)


def test_a_shape_that_contradicts_a_weight_names_the_node(tmp_path: Path) -> None:
    model = one_layer()
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 7
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    refused(path, r"node y \(Gemm\): its shape is wrong: .* between 6 and 7")


def test_damaged_bytes_give_a_network_or_one_line(tmp_path: Path) -> None:
    raw = one_layer().SerializeToString()
    path = tmp_path / "damaged.onnx"
    lines = []
    for position in range(0, len(raw) - WEIGHT.nbytes, 2):
        path.write_bytes(raw[:position] + bytes([raw[position] ^ 0x5B]) + raw[position + 1 :])
        try:
            read_model(path)
        except ModelError as error:
            lines.append(str(error))
    assert not any("\n" in line for line in lines)
    assert len(lines) > 20  # most bytes of so small a file carry its structure
