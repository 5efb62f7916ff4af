"""Bad input through the real command: status 2, one line that names file, layer or field, value and rule.

Nothing is written, whatever the command was asked to write, and ``--debug`` adds the traceback. The hostile files are
made by hand from the embedded model or with ``onnx.helper``.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from costmodel.validation.folder import FOLDER
from gatherline import cli

MODELS = Path(str(files("gatherline") / "models"))
SIMULATE = (sys.executable, "-c", "from gatherline.cli import main; main()")
PT2_WEIGHTS = "archive/data/weights/model_weights_config.json"
PT2_GRAPH = "archive/models/model.json"


def listing(folder: Path) -> dict[str, bytes | None]:
    """Return every path below ``folder`` with its bytes (None for a folder)."""
    return {str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes() for path in folder.rglob("*")}


@pytest.fixture
def refuse(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run the command in ``tmp_path`` and return its one line, after the checks that hold for all bad input."""
    monkeypatch.chdir(tmp_path)

    def check(*arguments: str | Path, says: tuple[str, ...] = ()) -> str:
        before = listing(tmp_path)
        given = [str(argument) for argument in arguments]
        lines = []
        for debug in ((), ("--debug",)):
            with pytest.raises(SystemExit) as ended:
                cli.main([*given, *debug])
            out, err = capsys.readouterr()
            assert ended.value.code == 2, err
            assert out == ""
            lines.append(err)
        plain, traced = lines
        assert plain.count("\n") == 1, plain
        assert plain.startswith("simulate: error: ")
        assert "--debug shows where" not in plain
        assert traced.startswith("Traceback")
        # the arguments, which one message quotes, now hold --debug
        assert traced.splitlines()[-1].replace(" --debug)", ")") == plain.rstrip("\n")
        assert listing(tmp_path) == before
        for word in says:
            assert word in plain, (word, plain)
        return plain

    return check


# Files that are damaged, renamed or hostile


@pytest.mark.parametrize("suffix", ["onnx", "pt2", "safetensors"])
def test_a_missing_file_is_named(refuse: Callable[..., str], suffix: str) -> None:
    refuse("run", f"none.{suffix}", "--out", "out", says=(f"none.{suffix}", "no such file"))
    refuse("inspect", f"deep/none.{suffix}", says=(f"deep/none.{suffix}", "no such file"))
    refuse("trace", f"none.{suffix}", "-o", "out", says=(f"none.{suffix}", "no such file"))


def safetensors_bytes(tensors: Mapping[str, np.ndarray[Any, Any]]) -> bytes:
    """Return the format, written by hand."""
    header: dict[str, Any] = {}
    data = b""
    for name, array in tensors.items():
        header[name] = {
            "dtype": "F32",
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + array.nbytes],
        }
        data += array.astype("<f4").tobytes()
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


TENSORS = {"0.weight": np.ones((4, 6), np.float32), "2.weight": np.ones((3, 4), np.float32)}


def genuine_bytes(suffix: str) -> bytes:
    return safetensors_bytes(TENSORS) if suffix == "safetensors" else (MODELS / f"digits.{suffix}").read_bytes()


def run_arguments(path: str | Path) -> list[str]:
    extra = ["--arch", "sequential", "--input-shape", "1,6"] if str(path).endswith(".safetensors") else []
    return ["run", str(path), *extra, "--device", "gs-tcm", "--out", "out"]


def test_the_untouched_files_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for suffix in ("onnx", "pt2", "safetensors"):
        path = tmp_path / f"good.{suffix}"
        path.write_bytes(genuine_bytes(suffix))
        with pytest.raises(SystemExit) as ended:
            cli.main([*run_arguments(path)[:-2], "--json"])
        assert ended.value.code == 0, capsys.readouterr().err


@pytest.mark.parametrize("suffix", ["onnx", "pt2", "safetensors"])
@pytest.mark.parametrize("kept", [0.0, 0.00002, 0.01, 0.5, 0.999])
def test_a_truncated_file_is_refused(refuse: Callable[..., str], tmp_path: Path, suffix: str, kept: float) -> None:
    whole = genuine_bytes(suffix)
    (tmp_path / f"cut.{suffix}").write_bytes(whole[: int(len(whole) * kept)])
    refuse(*run_arguments(f"cut.{suffix}"), says=(f"cut.{suffix}",))


@pytest.mark.parametrize("claims", ["onnx", "pt2", "safetensors"])
@pytest.mark.parametrize("holds", ["onnx", "pt2", "safetensors", "pickle", "text", "noise"])
def test_a_renamed_file_is_refused(refuse: Callable[..., str], tmp_path: Path, claims: str, holds: str) -> None:
    if claims == holds:
        return
    content = {
        "pickle": pickle.dumps({"state_dict": [1.0] * 100}),
        "text": b"<html><body>404: not found</body></html>" * 4,
        "noise": bytes(range(7, 250)) * 9,
    }
    (tmp_path / f"m.{claims}").write_bytes(content[holds] if holds in content else genuine_bytes(holds))
    refuse(*run_arguments(f"m.{claims}"), says=(f"m.{claims}",))


def test_a_suffix_that_only_pickle_can_read_names_those_that_work(refuse: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "net.pth").write_bytes(pickle.dumps([1, 2, 3]))
    refuse("run", "net.pth", says=("net.pth", ".pth", ".onnx", ".pt2", ".safetensors"))
    (tmp_path / "folder.onnx").mkdir()
    refuse("run", "folder.onnx", says=("folder.onnx", "folder"))


def pt2(path: Path, edit: Callable[[dict[str, bytes]], None], method: int = zipfile.ZIP_STORED) -> None:
    """Write the embedded model again, entry by entry, after ``edit``."""
    with zipfile.ZipFile(MODELS / "digits.pt2") as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    edit(entries)
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)


def edited(entries: dict[str, bytes], name: str, edit: Callable[[Any], None]) -> None:
    value = json.loads(entries[name])
    edit(value)
    entries[name] = json.dumps(value).encode()


class Bomb:
    """Leaves a file behind if anything ever unpickles it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return open, ("executed.txt", "w")


def test_pickled_weights_in_a_pt2_are_refused_and_never_opened(refuse: Callable[..., str], tmp_path: Path) -> None:
    def edit(entries: dict[str, bytes]) -> None:
        entries["archive/data/weights/weight_2"] = pickle.dumps(Bomb())
        edited(entries, PT2_WEIGHTS, lambda value: value["config"]["conv2.weight"].update(use_pickle=True))

    pt2(tmp_path / "p.pt2", edit)
    refuse("run", "p.pt2", "--out", "out", says=("p.pt2", "conv2.weight", "pickle"))


def test_the_pickled_sample_inputs_of_a_pt2_are_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pt2(
        tmp_path / "p.pt2",
        lambda entries: entries.update({"archive/data/sample_inputs/model.pt": pickle.dumps(Bomb())}),
    )
    with pytest.raises(SystemExit) as ended:
        cli.main(["inspect", "p.pt2"])
    assert ended.value.code == 0
    assert not (tmp_path / "executed.txt").exists()


def test_a_compressed_pt2_entry_is_refused(refuse: Callable[..., str], tmp_path: Path) -> None:
    pt2(tmp_path / "c.pt2", lambda entries: None, zipfile.ZIP_DEFLATED)
    refuse("run", "c.pt2", says=("c.pt2", "compressed"))


def test_a_pt2_weight_of_the_wrong_size_is_refused(refuse: Callable[..., str], tmp_path: Path) -> None:
    pt2(tmp_path / "s.pt2", lambda entries: entries.update({"archive/data/weights/weight_2": b"\0" * 8}))
    refuse("run", "s.pt2", says=("s.pt2", "conv2.weight", "73728"))


def test_a_pt2_of_an_unknown_archive_version_is_refused(refuse: Callable[..., str], tmp_path: Path) -> None:
    pt2(tmp_path / "v.pt2", lambda entries: entries.update({"archive/archive_version": b"99"}))
    refuse("run", "v.pt2", says=("v.pt2", "99", "archive_version"))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("suffix", ["onnx", "pt2", "safetensors"])
def test_a_weight_that_is_not_finite_is_refused(
    refuse: Callable[..., str], tmp_path: Path, suffix: str, value: float
) -> None:
    import onnx

    bad = np.full((64, 32, 3, 3), 0.5, np.float32)
    bad[3, 1, 2, 0] = value
    name = "conv2.weight"
    if suffix == "onnx":
        model = onnx.load(MODELS / "digits.onnx")
        (tensor,) = (tensor for tensor in model.graph.initializer if tensor.name == name)
        tensor.CopyFrom(onnx.numpy_helper.from_array(bad, name))
        onnx.save(model, tmp_path / "w.onnx")
    elif suffix == "pt2":
        pt2(tmp_path / "w.pt2", lambda entries: entries.update({"archive/data/weights/weight_2": bad.tobytes()}))
    else:
        name = "0.weight"
        (tmp_path / "w.safetensors").write_bytes(
            safetensors_bytes({name: bad[:4, :6, 0, 0] * 0 + bad[3, 1, 2, 0], "2.weight": np.ones((3, 4), np.float32)})
        )
    # conv2, the layer, where the reader names layers; the tensor otherwise
    refuse(
        *run_arguments(f"w.{suffix}"),
        says=(f"w.{suffix}", name.removesuffix(".weight"), "NaN" if np.isnan(value) else "inf"),
    )


def onnx_product(path: Path, **change: Any) -> None:
    """Write MatMul(x [N, 32], w [32, 16]) and a Relu; ``change`` alters the initializer or the input."""
    import onnx
    from onnx import TensorProto, helper

    weight = onnx.numpy_helper.from_array(np.ones((32, 16), np.float32), "w")
    if "location" in change:
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        keys = {"location": change["location"], "offset": str(change.get("offset", 0)), "length": str(32 * 16 * 4)}
        for key, value in keys.items():
            weight.external_data.add(key=key, value=value)
    graph = helper.make_graph(
        [
            helper.make_node(change.get("op", "MatMul"), ["x", "w"], ["h"], name="first"),
            helper.make_node(change.get("then", "Relu"), ["h"], ["y"], name="second"),
        ],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, change.get("shape", [2, 32]))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [change.get("shape", [2, 32])[0], 16])],
        [weight],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)


@pytest.mark.parametrize(
    "location", ["../secret.bin", "{outside}/secret.bin", "link/secret.bin", "inner/../../secret.bin"]
)
def test_external_data_outside_the_models_folder_is_never_read(
    refuse: Callable[..., str], tmp_path: Path, location: str
) -> None:
    folder = tmp_path / "models"
    (folder / "inner").mkdir(parents=True)
    (tmp_path / "secret.bin").write_bytes(b"\0\0\x80?" * 32 * 16)
    (folder / "link").symlink_to(tmp_path)
    onnx_product(folder / "e.onnx", location=location.format(outside=tmp_path))
    refuse("run", "models/e.onnx", "--out", "out", says=("models/e.onnx", "secret.bin", "folder"))


def test_external_data_that_is_missing_or_short_is_refused(refuse: Callable[..., str], tmp_path: Path) -> None:
    onnx_product(tmp_path / "e.onnx", location="e.bin")
    refuse("run", "e.onnx", says=("e.onnx", "e.bin"))
    (tmp_path / "e.bin").write_bytes(b"\0" * 100)
    refuse("run", "e.onnx", says=("e.onnx", "e.bin", "2048"))
    onnx_product(tmp_path / "e.onnx", location="e.bin", offset=1 << 60)
    refuse("run", "e.onnx", says=("e.onnx", "e.bin"))


def test_a_dynamic_dimension_needs_an_input_shape(
    refuse: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    onnx_product(tmp_path / "d.onnx", shape=["rows", 32])
    refuse("run", "d.onnx", says=("d.onnx", "x", "rows", "--input-shape"))
    refuse("run", "d.onnx", "--input-shape", "7,31", says=("d.onnx", "31", "32"))
    refuse("run", "d.onnx", "--input-shape", "z=7,32", says=("d.onnx", "z", "x"))
    refuse("run", "d.onnx", "--input-shape", "7", says=("d.onnx", "7"))
    with pytest.raises(SystemExit) as ended:
        cli.main(["inspect", "d.onnx", "--input-shape", "7,32", "--json"])
    assert ended.value.code == 0
    assert sum(row["macs"] for row in json.loads(capsys.readouterr().out)["rows"]) == 7 * 32 * 16


def test_an_unsupported_operator_is_an_error_when_strict(refuse: Callable[..., str], tmp_path: Path) -> None:
    onnx_product(tmp_path / "u.onnx", then="Det")
    refuse("run", "u.onnx", "--strict", "--out", "out", says=("u.onnx", "Det", "second"))
    refuse("inspect", "u.onnx", "--strict", says=("u.onnx", "Det", "second"))
    refuse("trace", "u.onnx", "-o", "out", "--strict", says=("u.onnx", "Det", "second"))


def test_safetensors_need_an_architecture_that_their_tensors_fit(refuse: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").write_bytes(safetensors_bytes(TENSORS))
    refuse("run", "m.safetensors", says=("m.safetensors", "--arch"))
    refuse("run", "m.safetensors", "--arch", "resnet5", says=("m.safetensors", "resnet5", "resnet50"))
    refuse("run", "m.safetensors", "--arch", "resnet50", says=("m.safetensors", "conv1.weight"))
    refuse("run", MODELS / "digits.onnx", "--arch", "resnet50", says=("digits.onnx", "resnet50", ".safetensors"))


# Names, numbers and shapes on the command line


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--pattern", "unstructred"), ("unstructred", "unstructured")),
        (("--pattern", "gs"), ("gs", "gs:16,1")),
        (("--pattern", "gs:16"), ("gs:16",)),
        (("--pattern", "gs:16,3", "--sparsity", "0.5"), ("gs:16,3", "divide")),
        (("--pattern", "gs:0,1", "--sparsity", "0.5"), ("gs:0,1", "0")),
        (("--pattern", "gs:16,0", "--sparsity", "0.5"), ("gs:16,0", "0")),
        (("--pattern", "gs:1e9,1", "--sparsity", "0.5"), ("gs:1e9,1",)),
        (("--pattern", "gs_scatter:16,5", "--sparsity", "0.5"), ("gs_scatter:16,5", "divide")),
        (("--pattern", "n_of_m:5,4", "--sparsity", "0.5"), ("n_of_m:5,4", "5", "4")),
        (("--pattern", "n_of_m:2", "--sparsity", "0.5"), ("n_of_m:2",)),
        (("--pattern", "block:0x4", "--sparsity", "0.5"), ("block:0x4", "0")),
        (("--pattern", "block:4", "--sparsity", "0.5"), ("block:4",)),
        (("--pattern", "block:-1x4", "--sparsity", "0.5"), ("block:-1x4",)),
        (("--pattern", "bank_balanced:0", "--sparsity", "0.5"), ("bank_balanced:0", "0")),
        (("--pattern", "bank_balanced", "--sparsity", "0.5"), ("bank_balanced",)),
        (("--pattern", "dense:4"), ("dense:4",)),
        (("--pattern", "unstructured:locally"), ("unstructured:locally", "global")),
        (("--pattern", ""), ("pattern",)),
        (("--device", "snapdragn-855"), ("snapdragn-855", "snapdragon-855")),
        (("--device", ""), ("device",)),
        (("--device", "none.toml"), ("none.toml", "no such")),
        (("--encoding", "cssr"), ("cssr", "csr")),
        (("--encoding", ""), ("encoding",)),
        (("--dtype", "fp17"), ("fp17", "fp16")),
        (("--dtype", "fp64"), ("fp64", "fp32")),
        (("--sparsity", "1.0"), ("--sparsity", "1.0", "below 1")),
        (("--sparsity", "-0.1"), ("--sparsity", "-0.1", "at least 0")),
        (("--sparsity", "nan"), ("--sparsity", "nan")),
        (("--sparsity", "90%"), ("--sparsity", "90%")),
        (("--batch", "0"), ("--batch", "0", "at least 1")),
        (("--batch", "9" * 30), ("image", "9" * 30)),
        (("--batch", "3"), ("digits.onnx", "batch", "3")),
        (("--seed", "-1"), ("--seed", "-1", "at least 0")),
        (("--threads", "0"), ("--threads", "0", "at least 1")),
        (("--input-shape", "wide"), ("--input-shape", "wide")),
        (("--input-shape", "1,-3"), ("--input-shape", "1,-3", "at least 1")),
        (("--input-shape", ""), ("--input-shape",)),
        (("--input-shape", "1,1,8"), ("digits.onnx", "image", "(1, 1, 8)", "4")),
        (("--input-shape", "a=1,1,8,8;b=1"), ("digits.onnx", "image")),
        (("--mapping", "nonsense"), ("mapping", "nonsense", "rows=R")),
        (("--mapping", ""), ("mapping",)),
        (
            ("--mapping", "rows=0 tile=1x1 channels=16 strips=1x1x1 order=rpc"),
            ("mapping", "rows=0", "at least 1"),
        ),
        (
            ("--mapping", "rows=16 tile=1x1 channels=16 strips=1x1x1 order=rrr"),
            ("mapping", "order=rrr"),
        ),
        (
            ("--mapping", "rows=16 tile=1x1 channels=16 strips=1x9x9 order=rpc"),
            ("conv1", "strips", "16"),
        ),
        (
            ("--mapping", f"rows=16 tile={10**9}x{10**9} channels=16 strips=1x1x1 order=rpc"),
            ("conv1", "words"),
        ),
    ],
)  # fmt: skip
def test_an_argument_that_cannot_be_is_named_with_its_value_and_the_rule(
    refuse: Callable[..., str], arguments: tuple[str, ...], says: tuple[str, ...]
) -> None:
    device = () if "--device" in arguments else ("--device", "gs-tcm")
    refuse("run", MODELS / "digits.onnx", *device, *arguments, "--out", "out", says=says)


def test_a_trace_is_of_one_pattern_sparsity_and_device(refuse: Callable[..., str]) -> None:
    patterns = ("--pattern", "gs:16,1", "--pattern", "unstructured", "--sparsity", "0.9")
    refuse("trace", "digits", "-o", "out", *patterns, says=("patterns", "gs:16,1, unstructured", "one"))
    sparsities = ("--pattern", "gs:16,1", "--sparsity", "0.8", "--sparsity", "0.9")
    refuse("trace", "digits", "-o", "out", *sparsities, says=("sparsities", "0.8, 0.9", "one"))
    devices = ("--device", "gs-tcm", "--device", "gs-tcm-ooo")
    refuse("trace", "digits", "-o", "out", *devices, says=("devices", "gs-tcm, gs-tcm-ooo", "one"))


def test_two_devices_of_a_run_have_two_names(refuse: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "gs-tcm.toml").write_text('base = "gs-tcm"\n[gather]\nwindow = 4\n')
    refuse("run", "digits", "--device", "gs-tcm", "--device", "gs-tcm.toml", says=("gs-tcm.toml", "name", "another"))


def test_an_unknown_model_names_the_nearest_one(refuse: Callable[..., str]) -> None:
    refuse("run", "resnet5", says=("resnet5", "resnet50"))
    refuse("inspect", "digit", says=("digit", "digits"))
    refuse("run", "", says=("model",))
    for model in ("resnet50", "digits"):
        refuse("run", model, "--arch", "resnet50", says=("arch", model, ".safetensors"))


def test_a_pattern_without_a_sparsity_needs_a_model_with_zeros(refuse: Callable[..., str]) -> None:
    refuse("run", "resnet50", "--pattern", "gs:16,1", says=("gs:16,1", "sparsity", "resnet50"))


@pytest.mark.parametrize("encoding", ["bsr", "n_of_m", "gs"])
def test_an_encoding_that_cannot_hold_a_mask_names_the_layer(refuse: Callable[..., str], encoding: str) -> None:
    says = ("layer conv2", encoding, "unstructured")
    asked = ("--pattern", "unstructured", "--sparsity", "0.9", "--device", "gs-tcm", "--encoding", encoding)
    refuse("run", "digits", *asked, "--out", "out", says=says)
    refuse("trace", "digits", *asked, "-o", "out", says=says)


# Device files


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('base = "gs-tcm"\n[gather]\nwindw = 4\n', ("windw", "window")),
        ('base = "gs-tcm"\n[gathr]\nwindow = 4\n', ("gathr", "gather")),
        ('base = "gs-tcn"\n', ("gs-tcn", "gs-tcm")),
        ("[gather]\nwindow = 4\n", ("base",)),
        ('base = ["gs-tcm"]\n', ("base",)),
        ('base = "snapdragon-855-padle"\n', ("base", "snapdragon-855-padle", "snapdragon-855-paddle")),
        ('base = "snapdragon-855"\n[units.0]\nclock_hz = 0\n', ("units.0.clock_hz", "0", "above 0")),
        ('base = "snapdragon-855"\n[units.0]\nclock_hz = -5\n', ("units.0.clock_hz", "-5", "negative")),
        ('base = "snapdragon-855"\n[levels.dram]\ntotal_bytes_per_s = -1\n', ("levels.dram.total_bytes_per_s", "-1")),
        ('base = "snapdragon-855"\n[levels.l2]\nbyte = 1\n', ("levels.l2.byte", "bytes")),
        ('base = "snapdragon-855"\n[level.l2]\nbytes = 1\n', ("level", "levels")),
        ('base = "snapdragon-855"\n[kernels.gemm]\nefficiency = 1.01\n', ("gemm.efficiency", "1.01", "at most 1")),
        ('base = "snapdragon-855"\n[kernels.gemm]\nefficiency = 0\n', ("gemm.efficiency", "0", "above 0")),
        ('base = "snapdragon-855"\n[kernels.gem]\nefficiency = 0.5\n', ("kernels.gem", "gemm")),
        ('base = "snapdragon-855"\n[kernels.gemm]\ndtypes = ["fp64"]\n', ("kernels.gemm.dtypes", "fp64")),
        ('base = "raspberry-pi-4"\n[kernels.gemm]\ndtypes = ["fp16"]\n', ("kernels.gemm.dtypes", "fp16", "none")),
        ('base = "snapdragon-855"\nvector_efficiency = 2\n', ("vector_efficiency", "2", "at most 1")),
        ('base = "snapdragon-855"\noverhead_s = nan\n', ("overhead_s", "nan", "finite")),
        ('base = "snapdragon-855"\noverhead_s = "5 us"\n', ("overhead_s", "5 us", "float")),
        ('kind = "cpu"\nsummary = "s"\n', ("units", "missing")),
        ('name = "mine"\n[[clusters]]\ncore = "cortex-a76"\n', ("clusters.0.count", "missing", "above 0")),
        ('base = "gs-tcm"\n[gather]\nwindow = 0\n', ("window", "0", "at least 1")),
        ('base = "gs-tcm"\n[gather]\nwindow = "4"\n', ("window", "'4'", "int")),
        ('base = "gs-tcm"\n[gather]\nwindow = true\n', ("window", "True", "int")),
        ('base = "gs-tcm"\n[gather]\nlanes = -1\n', ("lanes", "-1", "at least 1")),
        ('base = "gs-tcm"\n[gather]\norder = "random"\n', ("order", "random", "in_order")),
        ('base = "gs-tcm"\n[gather]\ninterval = "1/0"\n', ("interval", "1/0")),
        ('base = "gs-tcm"\n[gather]\ninterval = 0\n', ("interval", "0")),
        ('base = "gs-tcm"\n[scratchpad]\nbanks = 12\nhash = "xor"\n', ("12", "power of two")),
        ('base = "gs-tcm"\n[scratchpad]\nhash = "md5"\n', ("hash", "md5")),
        ('base = "gs-tcm"\ngather = 4\n', ("gather", "4", "table")),
        ('base = "gs-tcm"\n[scatter]\nrmw_cycles = 0\n', ("rmw_cycles", "0", "at least 1")),
        ('base = "gs-tcm"\nclock_hz = 0\n', ("clock_hz", "0")),
        ('base = "gs-tcm"\nvector = 0\n', ("vector", "0")),
        ('base = "gs-tcm"\ncores = 0\n', ("Device.cores", "0", "at least 1")),
        ('base = "gs-tcm"\n[dram]\nbytes_per_s = 0\n', ("bytes_per_s", "0")),
        ('base = "gs-tcm"\nname = "gs-tcm\\u001b[31m"\n', ("name",)),
        ('base = "gs-tcm"\nname = ""\n', ("name",)),
        ("base = \n", ("TOML",)),
        ("\udcff", ("TOML",)),
        ("", ("base",)),
    ],
)
def test_a_device_file_that_breaks_a_rule_names_file_and_key(
    refuse: Callable[..., str], tmp_path: Path, text: str, says: tuple[str, ...]
) -> None:
    (tmp_path / "d.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    refuse("run", "digits", "--device", "d.toml", "--out", "out", says=says if "cores" in says else ("d.toml", *says))


def test_a_data_type_that_the_device_has_not_is_named_with_those_it_has(
    refuse: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "d.toml").write_text('base = "raspberry-pi-4"\n')
    for device, name in (("raspberry-pi-4", "raspberry-pi-4"), ("d.toml", "d")):
        refuse("run", "digits", "--device", device, "--dtype", "fp16", says=("fp16", f"{name} has fp32, int8"))


# What comes with the package: damaged after it was installed


def simulate_with(damaged: str, old: str, new: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the command on a copy of costmodel in which one file has ``new`` in the place of ``old``."""
    own = Path(str(files("costmodel")))
    shutil.copytree(own, folder / "costmodel", ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "costmodel" / damaged
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    search = os.pathsep.join([str(folder), str(own.parent), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [*SIMULATE, "run", "digits", "--device", "raspberry-pi-4", "--dtype", "fp32"],
        env={**os.environ, "PYTHONPATH": search}, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("damaged", "old", "new", "says"),
    [
        ("runtimes/fitted.csv", "runtime,core,", "runtime,kern,", ("fitted.csv", "line 1", "columns are", "core")),
        ("runtimes/fitted.csv", ",,,cache_share,0.", ",,,cache_share,x0.", ("fitted.csv", "line 2", "value", "number")),
        ("runtimes/fitted.csv", ",,,cache_share,0.", ",,,cache_share,-0.", ("fitted.csv", "line 2", "above 0")),
        ("runtimes/fitted.csv", ",,,cache_share,0.", ",cache_share,0.", ("fitted.csv", "line 2", "6 fields")),
        ("devices/cpus.csv", "device,soc,", "device,soq,", ("cpus.csv", "line 1", "columns are", "soc")),
        ("devices/cpus.csv", ",raspberry-pi-4,0,", ",raspberry-pi-4,first,", ("cpus.csv", "cluster", "'first'")),
        ("devices/cpus.csv", ",raspberry-pi-4,0,", ",raspberry-pi-4,7,", ("cpus.csv", "pi-4", "cluster is 7")),
        ("devices/cpus.csv", ",raspberry-pi-4,0,", ",raspberry-pi-44,0,", ("cpus.csv", "raspberry-pi-44", "did you")),
        ("devices/cpus.csv", ",raspberry-pi-4,0,", ",", ("cpus.csv", "4 fields")),
        ("socs/raspberry-pi-4.toml", "clock_hz = 1_800", "clock_hz = -1_800", ("raspberry-pi-4.toml", "clock_hz")),
        ("validation/bands.csv", "device_kind,", "kind,", ("bands.csv", "line 1", "columns are")),
    ],
)  # fmt: skip
def test_a_damaged_file_of_the_package_is_one_line_with_file_line_and_rule(
    tmp_path: Path, damaged: str, old: str, new: str, says: tuple[str, ...]
) -> None:
    done = simulate_with(damaged, old, new, tmp_path)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("simulate: error: ")
    for word in says:
        assert word in done.stderr


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        ("tables.csv", ",latency_ms,ms,", ",latency_ms,,", ("tables.csv", "paddle_lite", "unit", "''", "s, ms, us")),
        ("tables.csv", ",latency_ms,ms,", ",latency_ms,min,", ("unit is 'min'", "s, ms, us")),
        ("tables.csv", ",latency_ms,ms,", ",,ms,", ("tables.csv", "paddle_lite", "time_column is ''")),
        ("tables.csv", "table,file,", "tabel,file,", ("tables.csv", "line 1", "table")),
        ("paddle_lite.csv", "latency_ms", "latency", ("paddle_lite.csv", "line 1", "latency_ms")),
    ],
)
def test_a_table_of_measurements_without_a_unit_or_a_column_is_named(
    refuse: Callable[..., str], tmp_path: Path, name: str, old: str, new: str, says: tuple[str, ...]
) -> None:
    folder = tmp_path / "tables"
    folder.mkdir()
    for each in ("machines.csv", "nets.csv", "devices.csv", "ncnn_model_layers.csv", "paddle_lite.csv"):
        shutil.copy(FOLDER / each, folder)
    header, *lines = (FOLDER / "tables.csv").read_text().splitlines(True)
    (folder / "tables.csv").write_text("".join([header, *(x for x in lines if x.startswith("paddle_lite,"))]))
    path = folder / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    refuse("validate", "--tables", folder, "--device", "snapdragon-855-paddle", says=says)


# Traces


def trace(folder: Path, arrays: Mapping[str, Any] | None = None, entry: Mapping[str, Any] | None = None) -> Path:
    """Write a trace of two groups in two bundles by hand; ``arrays`` and ``entry`` replace what they name."""
    folder.mkdir(exist_ok=True)
    whole = {
        "group_ptr": np.array([0, 2, 4], np.int64),
        "lane": np.array([0, 1, 0, 1], np.int16),
        "address": np.array([0, 1, 2, 3], np.int64),
        "bundle_end": np.array([1, 2], np.int64),
        "scatter_ptr": np.array([0, 1, 2], np.int64),
        "scatter_address": np.array([0, 1], np.int64),
        **(arrays or {}),
    }
    np.savez(folder / "layer0.npz", **{name: value for name, value in whole.items() if value is not None})
    index = {"schema": 1, "layers": [{"name": "layer0", "repeats": 1, **(entry or {})}]}
    (folder / "trace.json").write_text(json.dumps(index))
    return folder


def test_the_untouched_trace_is_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["replay", str(trace(tmp_path / "t")), "--device", "gs-tcm", "--json"])
    assert ended.value.code == 0
    assert [row["layer"] for row in json.loads(capsys.readouterr().out)["rows"]] == ["layer0", "total"]


def i64(*values: int) -> np.ndarray[Any, Any]:
    return np.array(values, np.int64)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"group_ptr": i64(0, 2, 2, 4), "bundle_end": i64(1, 3)}, ("group 1", "0 requests", "at least 1")),
        ({"bundle_end": i64(0, 2)}, ("bundle_end", "at least one group")),
        ({"bundle_end": i64(1, 1, 2), "scatter_ptr": i64(0, 1, 2, 2)}, ("bundle_end", "at least one group")),
        ({"bundle_end": i64(1), "scatter_ptr": i64(0, 1), "scatter_address": i64(0)}, ("group", "bundle")),
        ({"lane": np.array([0, 0, 0, 1], np.int16)}, ("lane", "group")),
        ({"lane": np.array([0, 16, 0, 1], np.int16)}, ("lane", "16")),
        ({"lane": np.array([0, -1, 0, 1], np.int16)}, ("lane", "-1")),
        ({"address": i64(0, -1, 2, 3)}, ("address", "-1")),
        ({"scatter_address": i64(0, -7)}, ("scatter_address", "-7")),
        ({"address": i64(0, 1, 2)}, ("group_ptr", "4", "3")),
        ({"group_ptr": i64(0, 4, 2)}, ("group_ptr",)),
        ({"group_ptr": i64(1, 2, 4)}, ("group_ptr",)),
        ({"group_ptr": i64(0, 2, 5)}, ("group_ptr",)),
        ({"group_ptr": i64()}, ("group_ptr",)),
        ({"address": None}, ("address", "missing")),
        ({"address": np.array([0.0, 1.0, 2.0, 3.0])}, ("address", "float64", "integers")),
        ({"address": i64(0, 1, 2, 3).reshape(2, 2)}, ("address", "2 axes")),
        ({"address": np.array([Bomb(), 1, 2, 3], dtype=object)}, ("layer0.npz",)),
        ({"macs": np.array([1], np.int32)}, ("macs",)),
        ({"macs": np.array([1, 99], np.int32)}, ("macs", "99")),
        ({"repeat_offset": i64()}, ("repeat",)),
        ({"repeat_offset": i64(0, -5)}, ("address",)),
        ({"tile_end": i64(2, 1)}, ("tile_end",)),
    ],
)  # fmt: skip
def test_a_trace_that_breaks_a_rule_names_the_stream(
    refuse: Callable[..., str], tmp_path: Path, arrays: dict[str, Any], says: tuple[str, ...]
) -> None:
    offset = arrays.get("repeat_offset")
    trace(tmp_path / "t", arrays, None if offset is None else {"repeats": len(offset)})
    line = refuse("replay", "t", "--device", "gs-tcm", "--per-group", "granted.npy", says=("layer0", *says))
    assert "executed" not in line


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"repeats": 0}, ("repeats", "0", "at least 1")),
        ({"repeats": 1.5}, ("repeats", "1.5", "whole")),
        ({"repeats": True}, ("repeats", "True", "whole")),
        ({"repeats": None}, ("repeats", "None", "whole")),
        ({"repeat_stride": "4"}, ("repeat_stride", "'4'", "whole")),
        ({"repeats": 1 << 40, "repeat_stride": -1}, ("layer0", "address")),
        ({"gap": -1}, ("gap", "-1", "at least 0")),
        ({"serial": 1}, ("serial", "1", "true or false")),
        ({"load_bytes": -1}, ("load_bytes", "-1", "at least 0")),
        ({"name": "../layer0"}, ("name", "../layer0")),
        ({"name": ""}, ("name",)),
        ({"name": 3}, ("name", "3")),
        ({"name": "other"}, ("other.npz", "no such file")),
        ({"repeats": 1 << 61, "repeat_stride": 16}, ("layer0", "2^62")),
    ],
)
def test_a_trace_entry_that_breaks_a_rule_names_the_field(
    refuse: Callable[..., str], tmp_path: Path, entry: dict[str, Any], says: tuple[str, ...]
) -> None:
    trace(tmp_path / "t", entry=entry)
    refuse("replay", "t", "--device", "gs-tcm", says=says)


def test_totals_that_64_bits_cannot_hold_are_refused_though_each_layer_fits(
    refuse: Callable[..., str], tmp_path: Path
) -> None:
    folder = trace(tmp_path / "t")
    layers = [{"name": f"layer{number}", "load_bytes": (1 << 62) - 64} for number in range(3)]
    for layer in layers[1:]:
        shutil.copy(folder / "layer0.npz", folder / f"{layer['name']}.npz")
    (folder / "trace.json").write_text(json.dumps({"schema": 1, "layers": layers}))
    (tmp_path / "flat.toml").write_text('base = "gs-tcm"\n[dram]\ntiming = "flat"\n')
    refuse(
        "replay", "t", "--device", "flat.toml", says=("total", "dram_bytes", str(3 * layers[0]["load_bytes"]), "2^63")
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", ("trace.json", "JSON")),
        ('{"schema": 1, "layers"', ("trace.json", "JSON")),
        ("[" * 100_000, ("trace.json",)),
        ('{"schema": 2, "layers": [{"name": "layer0"}]}', ("schema", "2", "1")),
        ('{"schema": true, "layers": [{"name": "layer0"}]}', ("schema", "True", "1")),
        ('{"layers": [{"name": "layer0"}]}', ("schema",)),
        ('{"schema": 1, "layers": []}', ("layers",)),
        ('{"schema": 1, "layers": {"name": "layer0"}}', ("layers",)),
        ('{"schema": 1, "layers": ["layer0"]}', ("name",)),
        ('{"schema": 1, "layers": [{"name": "layer0"}, {"name": "layer0"}]}', ("layer0", "once")),
        ('{"schema": 1, "layers": [{"name": "layer0"}], "programs": 3}', ("trace.json", "program")),
        ('{"schema": 1, "layers": [{"name": "layer0"}], "programs": [{}]}', ("trace.json", "program")),
        ('{"schema": 1, "layers": [{"name": "layer0"}], "programs": []}', ("trace.json", "program")),
        ('{"schema": 1, "layers": [{"name": "layer0"}], "run": 3}', ("trace.json", "run")),
        ('{"schema": 1, "layers": [{"name": "layer0"}], "run": {"batch": "many"}}', ("trace.json", "batch")),
    ],
)
def test_a_trace_index_that_breaks_a_rule_is_named(
    refuse: Callable[..., str], tmp_path: Path, text: str, says: tuple[str, ...]
) -> None:
    (trace(tmp_path / "t") / "trace.json").write_text(text)
    refuse("replay", "t", "--device", "gs-tcm", says=says)


def test_a_trace_that_is_not_there_or_not_whole_is_named(refuse: Callable[..., str], tmp_path: Path) -> None:
    refuse("replay", "none", "--device", "gs-tcm", says=("none/trace.json", "no such file"))
    archive = trace(tmp_path / "t") / "layer0.npz"
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    refuse("replay", "t", "--device", "gs-tcm", says=("layer0.npz",))
    archive.write_bytes(b"")
    refuse("replay", "t", "--device", "gs-tcm", says=("layer0.npz",))
    archive.unlink()
    refuse("replay", "t", "--device", "gs-tcm", says=("layer0.npz", "no such file"))


def test_an_array_whose_header_promises_more_than_it_holds_is_refused(
    refuse: Callable[..., str], tmp_path: Path
) -> None:
    archive = trace(tmp_path / "t") / "layer0.npz"
    with zipfile.ZipFile(archive) as source:
        entries = {name: source.read(name) for name in source.namelist()}
    for text in (b"(1000000000000,), }", b"(4,", b"(4,), 'more': 1}"):
        whole = entries["address.npy"]
        header = b"{'descr': '<i8', 'fortran_order': False, 'shape': " + text
        promised = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + whole[-32:]
        with zipfile.ZipFile(archive, "w") as target:
            for name, data in {**entries, "address.npy": promised}.items():
                target.writestr(name, data)
        refuse("replay", "t", "--device", "gs-tcm", says=("layer0.npz",))


def test_a_roofline_has_no_streams(refuse: Callable[..., str], tmp_path: Path) -> None:
    trace(tmp_path / "t")
    refuse("replay", "t", "--device", "a100", says=("a100", "cycle"))
    refuse("replay", "t", "--device", "gs-tcn", says=("gs-tcn", "gs-tcm"))
    refuse("trace", "digits", "-o", "out", "--device", "a100", says=("a100", "cycle"))


# Places that cannot be written


def test_results_are_not_written_over_a_file(refuse: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    for place in ("taken", "taken/deeper"):
        refuse("run", "digits", "--out", place, says=("taken", "folder"))
        refuse("trace", "digits", "-o", place, says=("taken", "folder"))
    trace(tmp_path / "t")
    refuse("replay", "t", "--device", "gs-tcm", "--per-group", "taken/g.npy", says=("taken", "folder"))
    refuse("replay", "t", "--device", "gs-tcm", "--per-group", "t", says=("--per-group", "t", "folder"))
    refuse("replay", "t", "--device", "gs-tcm", "--per-group", "none/g.npy", says=("none",))


def test_a_folder_that_is_no_trace_is_never_replaced_by_one(refuse: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter1.tex").write_text("words")
    refuse("trace", "digits", "-o", "thesis", says=("thesis", "trace.json"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_named(refuse: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    refuse("run", "digits", "--out", "locked", says=("locked", "permission"))


# The installed process, not only the function


@pytest.fixture
def process(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def start(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*SIMULATE, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)

    return start


@pytest.mark.parametrize(
    "arguments",
    [("run", "none.onnx", "--out", "out"), ("run", "resnet5", "--json"), ("replay", "none", "--device", "gs-tcm")],
)
def test_the_process_ends_with_status_2_and_one_line(
    process: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    done = process(*arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("simulate: error: ")
    assert list(tmp_path.iterdir()) == []
