"""A ``.safetensors`` file with an architecture gives a network; sizes, names and shapes that don't fit are named."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from traces.layer import ModelError, Network
from traces.lower.read import read_model
from traces.lower.safetensors_file import ALL_ARCHS, read_safetensors
from traces.workloads.catalog import ALL_WORKLOADS, workload

Tensors = dict[str, np.ndarray[Any, Any]]
WIDTH, INNER, VOCABULARY, POSITIONS, LAYERS = 128, 256, 50, 64, 2


def written(path: Path, tensors: Mapping[str, tuple[str, tuple[int, ...], bytes]], tail: bytes = b"") -> Path:
    """Write the format by hand: name -> (type, shape, bytes)."""
    header, start = {}, 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, start + len(data)]}
        start += len(data)
    return raw(path, header, b"".join(data for _, _, data in tensors.values()) + tail)


def raw(path: Path, header: Any, data: bytes) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def refused(path: Path, arch: str | None = "sequential", **options: Any) -> str:
    with pytest.raises(ModelError) as caught:
        read_safetensors(path, arch=arch, **options)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


@pytest.fixture(scope="session")
def mobilenet(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tensors]:
    """The weights that the built-in mobilenet_v2 asks for, each row a count, and a batch norm beside them."""
    tensors: Tensors = {}

    def record(name: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        tensors[name] = np.resize(np.arange(1, 8, dtype=np.float32), shape)
        return tensors[name]

    workload("mobilenet_v2").build(record, 1, None)
    path = tmp_path_factory.mktemp("safetensors") / "mobilenet.safetensors"
    save_file({**tensors, "features.0.1.running_mean": np.zeros(32, np.float32)}, path)
    return path, tensors


def test_a_built_in_architecture_takes_the_weights_of_the_file(mobilenet: tuple[Path, Tensors]) -> None:
    path, tensors = mobilenet
    network = read_model(path, arch="mobilenet_v2", batch=2)
    assert network.macs == 2 * workload("mobilenet_v2").build(lambda name, _: tensors[name], 1, None).macs
    assert not network.synthetic
    assert (network.name, network.source) == ("mobilenet", str(path))
    assert sum(layer.weight_elements for layer in network.matrix_layers) == sum(t.size for t in tensors.values())
    for layer in network.matrix_layers:
        weight = tensors[f"{layer.name}.weight"]
        channels_last = weight.transpose(0, *range(2, weight.ndim), 1).reshape(layer.groups, layer.m, layer.k)
        np.testing.assert_array_equal(network.weights[layer.name], channels_last)
    assert "1 biases, scales and statistics were not read" in network.notes


def test_an_input_shape_scales_a_built_in_architecture(mobilenet: tuple[Path, Tensors]) -> None:
    path, _ = mobilenet
    whole, half = (
        read_safetensors(path, arch="mobilenet_v2", input_shapes=(1, 3, side, side)).matrix_layers[0].macs
        for side in (224, 112)
    )
    assert whole == 4 * half
    named = {"picture": (1, 3, 224, 224)}
    assert "input picture: mobilenet_v2 has the inputs" in refused(path, "mobilenet_v2", input_shapes=named)


def test_without_an_architecture_the_error_lists_them(mobilenet: tuple[Path, Tensors]) -> None:
    message = refused(mobilenet[0], None)
    assert "--arch must name one" in message
    assert all(member.name in message for member in ALL_WORKLOADS)
    assert set(ALL_ARCHS) == {*(member.name for member in ALL_WORKLOADS), "bert", "sequential"}
    assert "no architecture is called resnet5; did you mean resnet50?" in refused(mobilenet[0], "resnet5")


def test_a_missing_tensor_and_another_shape_are_named(mobilenet: tuple[Path, Tensors], tmp_path: Path) -> None:
    _, tensors = mobilenet
    first = next(iter(tensors))
    save_file({name: value for name, value in tensors.items() if name != first}, tmp_path / "missing.safetensors")
    message = refused(tmp_path / "missing.safetensors", "mobilenet_v2")
    assert f"tensor {first} of shape {tensors[first].shape} is needed and missing" in message
    save_file({**tensors, first: tensors[first][:-1]}, tmp_path / "shape.safetensors")
    fewer = (tensors[first].shape[0] - 1, *tensors[first].shape[1:])
    message = refused(tmp_path / "shape.safetensors", "mobilenet_v2")
    assert f"tensor {first} has shape {fewer}, and the network needs {tensors[first].shape}" in message


def chain(path: Path, prefix: str = "", **more: np.ndarray[Any, Any]) -> Path:
    """Linear layers 16 -> 8 -> 4 -> 2, called 0, 2 and 10."""
    shapes = {"0.weight": (8, 16), "2.weight": (4, 8), "10.weight": (2, 4)}
    tensors = {f"{prefix}{name}": np.resize(np.float32([1, 0, -2]), shape) for name, shape in shapes.items()}
    save_file({**tensors, f"{prefix}0.bias": np.zeros(8, np.float32), **more}, path)
    return path


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_chain_of_linear_layers_runs_in_the_natural_order_of_its_names(prefix: str, tmp_path: Path) -> None:
    network = read_safetensors(chain(tmp_path / "chain.safetensors", prefix), arch="sequential", batch=3)
    assert [(layer.name, layer.macs) for layer in network.matrix_layers] == [
        ("0", 3 * 8 * 16), ("2", 3 * 4 * 8), ("10", 3 * 2 * 4),
    ]  # fmt: skip
    np.testing.assert_array_equal(network.weights["2"][0], np.resize(np.float32([1, 0, -2]), (4, 8)))


def test_a_left_over_matrix_is_noted_and_strict_refuses_it(tmp_path: Path) -> None:
    path = chain(tmp_path / "chain.safetensors", extra_table=np.zeros((3, 3), np.float32))
    assert any(
        "not part of the network: extra_table" in note for note in read_safetensors(path, arch="sequential").notes
    )
    assert "extra_table, and strict forbids leaving weights out" in refused(path, strict=True)


def test_a_chain_whose_widths_do_not_meet_is_refused(tmp_path: Path) -> None:
    save_file({"0.weight": np.zeros((8, 16), np.float32), "1.weight": np.zeros((4, 9), np.float32)}, tmp_path / "x")
    assert "tensor 1.weight has shape (4, 9), and must take 8 features" in refused(tmp_path / "x")
    save_file({"0.weight": np.zeros((8, 3, 3, 3), np.float32)}, tmp_path / "x")
    assert "takes linear layers only" in refused(tmp_path / "x")


def test_a_pruning_mask_is_folded_into_its_weight(tmp_path: Path) -> None:
    weight, mask = np.arange(8, dtype=np.float32).reshape(2, 4), np.float32([[1, 0, 0, 1], [0, 1, 0, 0]])
    save_file({"fc.weight_orig": weight, "fc.weight_mask": mask}, tmp_path / "pruned.safetensors")
    network = read_safetensors(tmp_path / "pruned.safetensors", arch="sequential")
    np.testing.assert_array_equal(network.weights["fc"][0], weight * mask)
    assert not any("not part" in note for note in network.notes)


def test_every_number_type_is_read_by_value(tmp_path: Path) -> None:
    values = np.float32([[1.0, -0.5], [0.0, 3.0]])
    for dtype, data in (
        ("BF16", (values.view("<u4") >> 16).astype("<u2").tobytes()),
        ("F16", values.astype("<f2").tobytes()),
        ("F64", values.astype("<f8").tobytes()),
        ("F32", values.tobytes()),
    ):
        path = written(tmp_path / "t.safetensors", {"fc.weight": (dtype, (2, 2), data)})
        np.testing.assert_array_equal(read_safetensors(path, arch="sequential").weights["fc"][0], values)


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """A BERT encoder of two layers with pooler, zeros everywhere."""
    shapes: dict[str, tuple[int, ...]] = {
        "bert.embeddings.word_embeddings.weight": (VOCABULARY, WIDTH),
        "bert.embeddings.position_embeddings.weight": (POSITIONS, WIDTH),
        "bert.embeddings.token_type_embeddings.weight": (2, WIDTH),
        "bert.embeddings.LayerNorm.weight": (WIDTH,),
        "bert.pooler.dense.weight": (WIDTH, WIDTH),
        "classifier.weight": (3, WIDTH),
    }
    for layer in range(LAYERS):
        root = f"bert.encoder.layer.{layer}"
        for part in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            shapes[f"{root}.{part}.weight"] = (WIDTH, WIDTH)
        shapes[f"{root}.intermediate.dense.weight"] = (INNER, WIDTH)
        shapes[f"{root}.output.dense.weight"] = (WIDTH, INNER)
    save_file({name: np.zeros(shape, np.float32) for name, shape in shapes.items()}, tmp_path / "bert.safetensors")
    return tmp_path / "bert.safetensors"


def bert_macs(samples: int, tokens: int) -> int:
    projections = 4 * WIDTH * WIDTH + 2 * WIDTH * INNER
    attention = 2 * tokens * WIDTH  # scores and values, over all heads
    return samples * (LAYERS * tokens * (projections + attention) + WIDTH * WIDTH + 3 * WIDTH)


def test_a_bert_encoder_has_the_sizes_of_its_tensors(encoder: Path) -> None:
    network: Network = read_safetensors(encoder, arch="bert", input_shapes=(2, 32))
    assert network.macs == bert_macs(2, 32)
    assert sum(layer.kind == "product" for layer in network.layers) == 2 * LAYERS
    stored = [layer.stored_weight_elements for layer in network.layers if layer.kind in ("embedding", "add")]
    assert sum(stored) == (VOCABULARY + POSITIONS + 2) * WIDTH
    assert not any("not part" in note for note in network.notes)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_a_bert_encoder_does_the_macs_of_its_own_export(tmp_path: Path) -> None:
    import torch
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=50, hidden_size=128, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )
    model = BertModel(config).eval()
    save_file({name: value.numpy() for name, value in model.state_dict().items()}, tmp_path / "bert.safetensors")
    torch.export.save(torch.export.export(model, (torch.zeros(1, 32, dtype=torch.long),)), tmp_path / "bert.pt2")
    ours = read_model(tmp_path / "bert.safetensors", arch="bert", input_shapes=(1, 32), strict=True)
    theirs = read_model(tmp_path / "bert.pt2", strict=True)
    assert ours.macs == theirs.macs
    weights = [sorted(float(np.abs(weight).sum()) for weight in network.weights.values()) for network in (ours, theirs)]
    assert weights[0] == weights[1]


def test_more_tokens_than_positions_are_refused(encoder: Path) -> None:
    assert "128 tokens, and bert.embeddings.position_embeddings.weight has 64" in refused(encoder, "bert")
    assert "--arch bert needs embeddings.word_embeddings.weight" in refused(chain(encoder), "bert")


def test_hostile_headers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    path.write_bytes((1 << 62).to_bytes(8, "little") + b"{}")
    assert "the header says 4611686018427387904 bytes" in refused(path)
    path.write_bytes(b"abc")
    assert "truncated, renamed" in refused(path)
    assert "not JSON" in refused(raw(path, b"{", b""))
    assert "a name is there twice" in refused(raw(path, b'{"a": {}, "a": {}}', b""))
    assert "must be a JSON object" in refused(raw(path, b"[]", b""))
    assert "no such file" in refused(tmp_path / "absent.safetensors")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"dtype": "F32", "shape": [10**6, 10**6], "data_offsets": [0, 16]}, "needs 4000000000000 bytes"),
        ({"dtype": "F32", "shape": [2, 2], "data_offsets": [4, 20]}, "without holes or overlap"),
        ({"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]}, "the tensors end at byte"),
        ({"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, "the tensors end at byte"),
        ({"dtype": "F32", "shape": [-2, -2], "data_offsets": [0, 16]}, "must be lists of whole numbers from 0"),
        ({"dtype": "F32", "shape": [2, 2], "data_offsets": [0]}, "must be lists of whole numbers from 0"),
        ({"dtype": "F8_E4M3", "shape": [4, 4], "data_offsets": [0, 16]}, "data type 'F8_E4M3' is not read"),
        ({"dtype": ["F32"], "shape": [2, 2], "data_offsets": [0, 16]}, "is not read"),
        ([], "must be a JSON object, and is a list"),
    ],
)
def test_entries_that_do_not_fit_the_file_are_refused(entry: Any, message: str, tmp_path: Path) -> None:
    path = raw(tmp_path / "t.safetensors", {"fc.weight": entry}, b"\0" * 16)
    assert message in refused(path)


def test_overlapping_and_appended_bytes_are_refused(tmp_path: Path) -> None:
    entry = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
    assert "without holes or overlap" in refused(
        raw(tmp_path / "t", {"a.weight": entry, "b.weight": entry}, b"\0" * 16)
    )
    appended = written(tmp_path / "t", {"a.weight": ("F32", (2, 2), b"\0" * 16)}, tail=b"more")
    assert "truncated, or something is appended" in refused(appended)


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    data = np.float32([[1, np.nan]]).tobytes()
    path = written(tmp_path / "t.safetensors", {"fc.weight": ("F32", (1, 2), data)})
    assert "layer fc: a weight is NaN" in refused(path)
