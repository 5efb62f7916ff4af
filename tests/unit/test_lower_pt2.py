"""A ``.pt2`` read without torch gives the hand counts, the weights that torch has, and one line for bad input."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.models import ALL_MODELS, TinyModel
from traces.layer import MatrixLayer, ModelError, Network, ProductLayer, VectorLayer
from traces.lower.pt2_file import read_pt2
from traces.lower.torch_module import lower_module

pytestmark = pytest.mark.filterwarnings("ignore")
Export = Callable[[str], Path]


def counts(network: Network) -> tuple[tuple[str, int], ...]:
    return tuple((layer.kind, layer.macs) for layer in network.layers if isinstance(layer, MatrixLayer | ProductLayer))


def by_name(name: str) -> TinyModel:
    return next(model for model in ALL_MODELS if model.name == name)


def save(module: Any, args: tuple[Any, ...], path: Path, **options: Any) -> Path:
    import torch

    torch.export.save(torch.export.export(module, args, **options), path)
    return path


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Export:
    """Return a function that exports a tiny model once per session, by name."""
    import torch

    folder = tmp_path_factory.mktemp("pt2")

    def export(name: str) -> Path:
        path = folder / f"{name}.pt2"
        if not path.exists():
            model = by_name(name)
            save(model.build(), (torch.zeros(model.input_shape),), path)
        return path

    return export


@pytest.mark.parametrize("model", ALL_MODELS, ids=lambda model: model.name)
def test_every_layer_does_the_macs_counted_by_hand(model: TinyModel, exported: Export) -> None:
    network = read_pt2(exported(model.name), strict=True)
    assert counts(network) == model.counts
    assert network.macs == model.macs
    kept = sum(int(np.count_nonzero(weight)) for weight in network.weights.values())
    assert kept == model.kept * sum(layer.weight_elements for layer in network.matrix_layers)


@pytest.mark.parametrize("name", ["residual_net", "attention_net", "masked_mlp"])
def test_a_graph_decomposed_to_core_operators_does_the_same_macs(name: str, tmp_path: Path) -> None:
    import torch

    model = by_name(name)
    program = torch.export.export(model.build(), (torch.zeros(model.input_shape),)).run_decompositions()
    torch.export.save(program, tmp_path / "core.pt2")
    assert counts(read_pt2(tmp_path / "core.pt2", strict=True)) == model.counts


def test_a_recurrent_layer_decomposed_into_steps_does_the_same_macs(tmp_path: Path) -> None:
    import torch

    model = by_name("lstm_net")
    program = torch.export.export(model.build(), (torch.zeros(model.input_shape),)).run_decompositions()
    torch.export.save(program, tmp_path / "steps.pt2")
    network = read_pt2(tmp_path / "steps.pt2", strict=True)
    assert network.macs == model.macs
    assert "lstm.weight_hh_l0 is read by 7 layers, and counted in the memory of each" in network.notes


def test_layers_are_named_by_the_path_of_their_weight(exported: Export) -> None:
    names = [layer.name for layer in read_pt2(exported("residual_net")).matrix_layers]
    assert names == ["stem", "depthwise", "pointwise", "grouped", "fc"]
    names = [layer.name for layer in read_pt2(exported("lstm_net")).matrix_layers]
    assert names[:4] == ["lstm.l0.ih", "lstm.l0.hh", "lstm.l0_reverse.ih", "lstm.l0_reverse.hh"]


def test_the_masks_of_torch_prune_are_folded_into_the_weights(exported: Export) -> None:
    network, model = read_pt2(exported("masked_mlp")), by_name("masked_mlp").build()
    assert [layer.name for layer in network.matrix_layers] == ["0", "2"]
    np.testing.assert_array_equal(network.weights["0"][0], model[0].weight.detach().numpy())
    assert not any(layer.kind == "mul" for layer in network.layers)


def test_convolution_weights_have_their_input_channels_innermost(exported: Export) -> None:
    weight = by_name("residual_net").build().grouped.weight.detach().numpy()  # [12, 4, 3, 3] in 2 groups
    expected = weight.transpose(0, 2, 3, 1).reshape(2, 12 // 2, 3 * 3 * 4)
    np.testing.assert_array_equal(read_pt2(exported("residual_net")).weights["grouped"], expected)


def test_gates_of_recurrent_layers_are_in_the_order_of_torch(exported: Export) -> None:
    network, cell = read_pt2(exported("lstm_net")), by_name("lstm_net").build().lstm
    for layer in ("l0", "l1", "l0_reverse", "l1_reverse"):
        for product in ("ih", "hh"):
            ours = network.weights[f"lstm.{layer}.{product}"][0]
            np.testing.assert_array_equal(ours, getattr(cell, f"weight_{product}_{layer}").detach().numpy())


def test_a_flatten_tells_how_many_columns_share_a_channel(exported: Export) -> None:
    network = read_pt2(exported("residual_net"))
    assert next(layer for layer in network.matrix_layers if layer.name == "fc").columns_per_channel == 2 * 2


def test_a_batch_norm_after_a_convolution_is_no_layer_and_elsewhere_reads_scale_and_shift() -> None:
    import torch
    from torch import nn

    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.BatchNorm2d(4))
    layers = lower_module(net, (torch.zeros(1, 3, 5, 5),)).layers
    assert [layer.kind for layer in layers] == ["conv2d", "activation", "norm"]
    assert isinstance(layers[2], VectorLayer)
    assert (layers[2].weight_elements, layers[2].channelwise) == (2 * 4, True)


def test_weight_norm_folds_into_one_weight() -> None:
    import torch
    from torch import nn

    linear = nn.utils.parametrizations.weight_norm(nn.Linear(6, 4))
    network = lower_module(linear, (torch.zeros(2, 6),), name="net")
    (layer,) = network.matrix_layers
    np.testing.assert_allclose(network.weights[layer.name][0], linear.weight.detach().numpy(), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_weights_of_every_float_type_keep_their_values(dtype: str) -> None:
    import torch

    linear = torch.nn.Linear(6, 4).to(getattr(torch, dtype))
    network = lower_module(linear, (torch.zeros(2, 6, dtype=getattr(torch, dtype)),))
    np.testing.assert_array_equal(network.weights["weight"][0], linear.weight.detach().float().numpy())


def test_a_weight_stored_transposed_is_read_through_its_strides() -> None:
    import torch

    linear = torch.nn.Linear(6, 4, bias=False)
    linear.weight = torch.nn.Parameter(torch.randn(6, 4).t())
    network = lower_module(linear, (torch.zeros(2, 6),))
    np.testing.assert_array_equal(network.weights["weight"][0], linear.weight.detach().numpy())


def test_work_without_gradients_is_walked_in_place_and_an_unknown_operator_is_named() -> None:
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 3)

        def forward(self, x: Any) -> Any:
            with torch.no_grad():
                y = self.fc(x)
            return torch.topk(y, 2)[0]

    module = Net()
    module.train()
    network = lower_module(module, (torch.zeros(2, 4),))
    assert counts(network) == (("linear", 2 * 3 * 4),)
    assert [layer.op for layer in network.layers if layer.kind == "unsupported"] == ["torch.ops.aten.topk.default"]
    assert module.training
    with pytest.raises(ModelError, match=r"node topk .*is not lowered, and strict forbids leaving it out"):
        lower_module(module, (torch.zeros(2, 4),), strict=True)


@pytest.fixture(scope="session")
def symbolic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A convolution, a pool and a linear layer over the pixels, with batch, height and width left open."""
    import torch
    from torch import nn
    from torch.export import Dim

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3, stride=2, padding=1)
            self.fc = nn.Linear(4, 5)

        def forward(self, x: Any) -> Any:
            y = nn.functional.avg_pool2d(self.conv(x), 2).flatten(2).transpose(1, 2)
            return self.fc(y.reshape(-1, 4))

    path = tmp_path_factory.mktemp("symbolic") / "open.pt2"
    dims = ({0: Dim("batch"), 2: Dim("height", min=8, max=512), 3: Dim("width", min=8)},)
    return save(Net(), (torch.zeros(2, 3, 32, 32),), path, dynamic_shapes=dims)


def test_symbolic_dimensions_follow_the_input_shape(symbolic: Path) -> None:
    pixels = (64 // 2) * (32 // 2)
    for shapes in ((4, 3, 64, 32), {"x": (4, 3, 64, 32)}):
        network = read_pt2(symbolic, input_shapes=shapes)
        assert counts(network) == (("conv2d", 4 * 4 * (3 * 3 * 3) * pixels), ("linear", 4 * 5 * 4 * pixels // 4))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"open.pt2: input x: dimension 0 \(s\d+\) is open, and --input-shape or --batch must fix it"),
        ({"batch": 2}, r"open.pt2: input x: dimension 2 \(s\d+\) is open, and --input-shape must fix it"),
        ({"input_shapes": (1, 4, 32, 32)}, r"input x: dimension 1 is to be 4, and the file fixes it at 3"),
        ({"input_shapes": (1, 3, 600, 32)}, r"is to be 600, and the file was exported for 8 to 512"),
        ({"input_shapes": (1, 3, 32)}, r"input x: shape \(1, 3, 32\) has 3 dimensions, and the file has 4"),
        ({"input_shapes": {"y": (1, 3, 32, 32)}}, r"there is no input y; did you mean x\?"),
        ({"input_shapes": (1, 3, 0, 32)}, r"every extent must be at least 1"),
        ({"input_shapes": (1, 3, 32, 32), "batch": 2}, r"batch is 2, and --input-shape says 1"),
    ],
)
def test_a_shape_that_does_not_fit_is_named(symbolic: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        read_pt2(symbolic, **options)


def test_reading_imports_neither_torch_nor_pickle_loads(exported: Export) -> None:
    code = (
        "import sys, pickle\n"
        "def refuse(*args, **kwargs): raise SystemExit('a pickle was opened')\n"
        "pickle.load = pickle.loads = pickle.Unpickler = refuse\n"
        "from traces.lower.read import read_model\n"
        f"network = read_model({str(exported('masked_mlp'))!r})\n"
        "print(network.macs, 'torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(by_name("masked_mlp").macs), "False"]


def test_the_same_file_gives_the_same_network_under_another_name(exported: Export, tmp_path: Path) -> None:
    copy = tmp_path / "renamed.pt2"
    copy.write_bytes(exported("masked_mlp").read_bytes())
    ours, theirs = read_pt2(copy), read_pt2(exported("masked_mlp"))
    assert (ours.layers, ours.digest, ours.name) == (theirs.layers, theirs.digest, "renamed")


# Hostile archives: a genuine file, rewritten entry by entry


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name.split("/", 1)[1]: archive.read(name) for name in archive.namelist()}


def rewrite(path: Path, entries: Mapping[str, bytes], method: int = zipfile.ZIP_STORED, root: str = "net/") -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(f"{root}{name}", data)
    return path


@pytest.fixture
def genuine(exported: Export) -> dict[str, bytes]:
    return contents(exported("masked_mlp"))


def edited(raw: bytes, edit: Callable[[Any], None]) -> bytes:
    value = json.loads(raw)
    edit(value)
    return json.dumps(value).encode()


CONFIG = "data/weights/model_weights_config.json"


def edit_weight(entries: dict[str, bytes], edit: Callable[[Any], None]) -> dict[str, bytes]:
    return {**entries, CONFIG: edited(entries[CONFIG], lambda config: edit(config["config"]["0.weight_orig"]))}


def refused(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        read_pt2(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def test_a_rewritten_archive_is_still_read(genuine: dict[str, bytes], tmp_path: Path) -> None:
    assert read_pt2(rewrite(tmp_path / "net.pt2", genuine)).macs == by_name("masked_mlp").macs


def test_the_pickled_sample_inputs_are_never_opened(genuine: dict[str, bytes], tmp_path: Path) -> None:
    assert genuine["data/sample_inputs/model.pt"]
    poisoned = {**genuine, "data/sample_inputs/model.pt": b"cos\nsystem\n(S'touch /tmp/never'\ntR."}
    assert read_pt2(rewrite(tmp_path / "net.pt2", poisoned)).macs == by_name("masked_mlp").macs


def test_a_compressed_entry_is_refused(genuine: dict[str, bytes], tmp_path: Path) -> None:
    message = refused(rewrite(tmp_path / "net.pt2", genuine, zipfile.ZIP_DEFLATED))
    assert "is compressed, and every entry of a .pt2 must be stored" in message


def test_pickled_weights_are_refused(genuine: dict[str, bytes], tmp_path: Path) -> None:
    flagged = edit_weight(genuine, lambda weight: weight.update(use_pickle=True))
    message = refused(rewrite(tmp_path / "net.pt2", flagged))
    assert "tensor 0.weight_orig: use_pickle is not false" in message
    legacy = {**genuine, "data/weights/model.pt": b"\x80\x02."}
    assert "is a pickle, which is never opened" in refused(rewrite(tmp_path / "net.pt2", legacy))


def test_pickled_constants_are_refused(genuine: dict[str, bytes], tmp_path: Path) -> None:
    config = {
        "config": {"c": {"path_name": "custom_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}}
    }
    constants = {**genuine, "data/constants/model_constants_config.json": json.dumps(config).encode()}
    assert "tensor c: use_pickle is not false" in refused(rewrite(tmp_path / "net.pt2", constants))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda meta: meta.update(sizes=[{"as_int": 10**6}, {"as_int": 10**6}]), "needs 4000000000000 bytes, and"),
        (lambda meta: meta.update(sizes=[{"as_int": 7}, {"as_int": 16}]), "they must be equal"),
        (lambda meta: meta.update(dtype=6), "they must be equal"),
        (lambda meta: meta.update(dtype=8), "needs 1024 bytes, and"),
        (lambda meta: meta.update(storage_offset={"as_int": 4}), "they must be equal"),
        (lambda meta: meta.update(strides=[{"as_int": 17}, {"as_int": 1}]), "they must be equal"),
        (lambda meta: meta.update(strides=[{"as_int": -16}, {"as_int": 1}]), "strides holds -16"),
        (lambda meta: meta.update(dtype=9), "data type 9 of the export schema is not read"),
        (lambda meta: meta.update(layout=2), "layout 2 is not strided"),
    ],
    ids=["huge", "small", "narrow", "wide", "offset", "stride", "negative", "complex", "sparse"],
)
def test_bytes_that_do_not_match_the_shape_are_refused(
    genuine: dict[str, bytes], tmp_path: Path, edit: Callable[[Any], None], message: str
) -> None:
    changed = edit_weight(genuine, lambda weight: edit(weight["tensor_meta"]))
    assert message in refused(rewrite(tmp_path / "net.pt2", changed))


def test_a_weight_cut_short_is_refused(genuine: dict[str, bytes], tmp_path: Path) -> None:
    name = json.loads(genuine[CONFIG])["config"]["0.weight_orig"]["path_name"]
    cut = {**genuine, f"data/weights/{name}": genuine[f"data/weights/{name}"][:-4]}
    assert f"needs {8 * 16 * 4} bytes" in refused(rewrite(tmp_path / "net.pt2", cut))


def test_a_path_out_of_the_archive_is_refused(genuine: dict[str, bytes], tmp_path: Path) -> None:
    outside = rewrite(tmp_path / "net.pt2", {**genuine, "../../etc/passwd": b"x"})
    assert "leaves the archive" in refused(outside)
    path_name = edit_weight(genuine, lambda weight: weight.update(path_name="../constants/x"))
    assert "path_name '../constants/x' must be a name" in refused(rewrite(tmp_path / "net.pt2", path_name))


def test_a_truncated_file_is_refused(exported: Export, tmp_path: Path) -> None:
    whole = exported("masked_mlp").read_bytes()
    for kept_bytes in (len(whole) // 2, len(whole) - 1):
        (tmp_path / "net.pt2").write_bytes(whole[:kept_bytes])
        refused(tmp_path / "net.pt2")


def test_a_flipped_bit_in_a_weight_is_refused(exported: Export, tmp_path: Path) -> None:
    whole = bytearray(exported("masked_mlp").read_bytes())
    with zipfile.ZipFile(exported("masked_mlp")) as archive:
        info = next(entry for entry in archive.infolist() if "/weights/weight_" in entry.filename)
    name_bytes, extra_bytes = struct.unpack("<HH", whole[info.header_offset + 26 : info.header_offset + 30])
    whole[info.header_offset + 30 + name_bytes + extra_bytes] ^= 1
    (tmp_path / "net.pt2").write_bytes(whole)
    assert "Bad CRC-32" in refused(tmp_path / "net.pt2")


def test_other_files_under_this_name_are_refused(genuine: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "text.pt2").write_text("not a zip")
    assert "not a zip archive" in refused(tmp_path / "text.pt2")
    checkpoint = rewrite(tmp_path / "checkpoint.pt2", {"data.pkl": b"\x80\x02."})
    assert "a pickled checkpoint (torch.save), which is never opened" in refused(checkpoint)
    old = rewrite(tmp_path / "old.pt2", {"serialized_exported_program.json": b"{}"}, root="")
    assert "layout before torch 2.9; export and save it again" in refused(old)
    assert "no such file" in refused(tmp_path / "missing.pt2")


@pytest.mark.parametrize(
    ("entry", "data", "message"),
    [
        ("archive_version", b"1", "archive_version is '1', and must be '0'"),
        ("byteorder", b"big", "byteorder is 'big', and must be 'little'"),
        ("models/model.json", b"{", "is not JSON"),
        ("models/model.json", b"[" * 100_000, "is not JSON"),
        ("models/model.json", b"[]", "must be a JSON object"),
        ("models/model.json", b'{"schema_version": {"major": 9}}', "major version 8 is read"),
        ("models/model.json", b'{"schema_version": {"major": 8}}', "does not follow the export schema"),
        ("models/other.json", b"{}", "holds more than one model"),
        (CONFIG, b"{}", "has no table 'config'"),
    ],
)
def test_what_is_not_the_known_layout_is_refused(
    genuine: dict[str, bytes], tmp_path: Path, entry: str, data: bytes, message: str
) -> None:
    assert message in refused(rewrite(tmp_path / "net.pt2", {**genuine, entry: data}))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(genuine: dict[str, bytes], tmp_path: Path, value: float) -> None:
    name = json.loads(genuine[CONFIG])["config"]["0.weight_orig"]["path_name"]
    raw = np.frombuffer(genuine[f"data/weights/{name}"], dtype="<f4").copy()
    raw[0] = value
    changed = rewrite(tmp_path / "net.pt2", {**genuine, f"data/weights/{name}": raw.tobytes()})
    assert "layer 0: a weight is" in refused(changed)


def test_a_name_twice_in_the_archive_is_refused(genuine: dict[str, bytes], tmp_path: Path) -> None:
    path = rewrite(tmp_path / "net.pt2", genuine)
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("net/byteorder", b"big")
    assert "entry net/byteorder is there twice" in refused(path)


def test_a_size_expression_is_never_evaluated_as_python(symbolic: Path, tmp_path: Path) -> None:
    entries = contents(symbolic)
    text = entries["models/model.json"].decode()
    hostile = text.replace("FloorDiv(", "__import__('os').system(", 1)
    assert hostile != text
    path = rewrite(tmp_path / "open.pt2", {**entries, "models/model.json": hostile.encode()})
    with pytest.raises(ModelError, match="which is not a size expression"):
        read_pt2(path, input_shapes=(4, 3, 64, 32))
