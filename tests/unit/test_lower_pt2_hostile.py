"""A ``.pt2`` that is damaged, hostile or another kind of file is refused in one line; nothing in it is executed.

Each case is a genuine file, rewritten entry by entry.
"""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.models import ALL_MODELS
from traces.layer import ModelError
from traces.lower.pt2_file import read_pt2

pytestmark = pytest.mark.filterwarnings("ignore")
MASKED_MLP = next(model for model in ALL_MODELS if model.name == "masked_mlp")


@pytest.fixture(scope="session")
def genuine_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """masked_mlp with an open batch."""
    import torch

    path = tmp_path_factory.mktemp("pt2") / "masked_mlp.pt2"
    shapes = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(MASKED_MLP.build(), (torch.zeros(MASKED_MLP.input_shape),), dynamic_shapes=shapes)
    torch.export.save(program, path)
    return path


def read(path: Path) -> int:
    return read_pt2(path, batch=MASKED_MLP.input_shape[0]).macs


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name.split("/", 1)[1]: archive.read(name) for name in archive.namelist()}


def rewrite(path: Path, entries: Mapping[str, bytes], method: int = zipfile.ZIP_STORED, root: str = "net/") -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(f"{root}{name}", data)
    return path


@pytest.fixture
def genuine(genuine_path: Path) -> dict[str, bytes]:
    return contents(genuine_path)


def edited(raw: bytes, edit: Callable[[Any], None]) -> bytes:
    value = json.loads(raw)
    edit(value)
    return json.dumps(value).encode()


CONFIG = "data/weights/model_weights_config.json"


def edit_weight(entries: dict[str, bytes], edit: Callable[[Any], None]) -> dict[str, bytes]:
    return {**entries, CONFIG: edited(entries[CONFIG], lambda config: edit(config["config"]["0.weight_orig"]))}


def refused(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def test_a_rewritten_archive_is_still_read(genuine: dict[str, bytes], tmp_path: Path) -> None:
    assert read(rewrite(tmp_path / "net.pt2", genuine)) == MASKED_MLP.macs


def test_the_pickled_sample_inputs_are_never_opened(genuine: dict[str, bytes], tmp_path: Path) -> None:
    assert genuine["data/sample_inputs/model.pt"]
    poisoned = {**genuine, "data/sample_inputs/model.pt": b"cos\nsystem\n(S'touch /tmp/never'\ntR."}
    assert read(rewrite(tmp_path / "net.pt2", poisoned)) == MASKED_MLP.macs


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


def test_a_truncated_file_is_refused(genuine_path: Path, tmp_path: Path) -> None:
    whole = genuine_path.read_bytes()
    for kept_bytes in (len(whole) // 2, len(whole) - 1):
        (tmp_path / "net.pt2").write_bytes(whole[:kept_bytes])
        refused(tmp_path / "net.pt2")


def test_a_flipped_bit_in_a_weight_is_refused(genuine_path: Path, tmp_path: Path) -> None:
    whole = bytearray(genuine_path.read_bytes())
    with zipfile.ZipFile(genuine_path) as archive:
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


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON document, but for what is only told to people."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        if key not in ("metadata", "module_call_graph"):
            yield (*path, key)
            yield from leaves(inner, (*path, key))


REPLACEMENTS: tuple[Any, ...] = (None, -1, 0, 3, 10**20, 1.5, "x", [], {}, [[]], True, {"as_tensor": {"name": "no"}})


@pytest.mark.parametrize("entry", ["models/model.json", CONFIG])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_json_is_read_or_refused_and_never_crashes(
    entry: str, data: st.DataObject, genuine: dict[str, bytes], tmp_path: Path
) -> None:
    document = json.loads(genuine[entry])
    *parents, last = data.draw(st.sampled_from(list(leaves(document))))
    place = document
    for key in parents:
        place = place[key]
    place[last] = data.draw(st.sampled_from(REPLACEMENTS))
    path = rewrite(tmp_path / "net.pt2", {**genuine, entry: json.dumps(document).encode()})
    try:
        assert read(path)
    except ModelError as error:
        assert str(error).startswith(str(path))  # noqa: PT017


def test_a_name_twice_in_the_archive_is_refused(genuine: dict[str, bytes], tmp_path: Path) -> None:
    path = rewrite(tmp_path / "net.pt2", genuine)
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("net/byteorder", b"big")
    assert "entry net/byteorder is there twice" in refused(path)


def test_a_size_expression_is_never_evaluated_as_python(genuine: dict[str, bytes], tmp_path: Path) -> None:
    def edit(model: Any) -> None:
        sizes = model["graph_module"]["graph"]["tensor_values"]["linear"]["sizes"]
        sizes[0] = {"as_expr": {"expr_str": "__import__('os').system('touch /tmp/never')", "hint": {"as_int": 3}}}

    hostile = {**genuine, "models/model.json": edited(genuine["models/model.json"], edit)}
    assert "which is not a size expression" in refused(rewrite(tmp_path / "net.pt2", hostile))


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("Symbol('u0', integer=True)", "depends on u0, which no input shape gives"),
        ("Mul(Integer(99999999), Integer(99999999))", "is beyond 2^48"),
        ("FloorDiv(Integer(1), Integer(0))", "cannot be computed"),
        ("Pow(Integer(10), Integer(100000000))", "Pow of 2 operands, which is not read"),
        ("Integer(-1)", "must be a whole number from 0 to 2^48"),
        ("Add(" * 2000 + ")" * 2000, "cannot be computed"),
        ("(", "cannot be computed"),
    ],
)
def test_a_size_that_cannot_be_computed_is_named(
    genuine: dict[str, bytes], tmp_path: Path, expression: str, message: str
) -> None:
    def edit(model: Any) -> None:
        values = model["graph_module"]["graph"]["tensor_values"]
        values["linear"]["sizes"][0] = {"as_expr": {"expr_str": expression}}

    changed = {**genuine, "models/model.json": edited(genuine["models/model.json"], edit)}
    said = refused(rewrite(tmp_path / "net.pt2", changed))
    assert "tensor linear: dimension 0" in said
    assert message in said
