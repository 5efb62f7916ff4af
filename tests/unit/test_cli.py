"""The command line: exit status, one-line errors, what goes to which stream, and how fast help answers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from costmodel.devices.catalog import ALL_DEVICES as COST_DEVICES
from gatherline import cli
from gatherline.commands import run
from gatherline.device_fields import device_fields
from gatherline.options import joined_shapes
from gatherline.report.columns import ALL_COLUMNS, COLUMNS
from gatherline.request import device_named
from simulator.devices.catalog import ALL_DEVICES as CYCLE_DEVICES

SIMULATE = (sys.executable, "-c", "from gatherline.cli import main; main()")


def call(*arguments: str) -> int:
    """Run the command line in this process and return its exit status."""
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    status = ended.value.code
    assert isinstance(status, int)
    return status


def error_line(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the one line of an error about input: status 2, nothing on standard output."""
    assert call(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("simulate: error: ")
    assert err.count("\n") == 1
    return err


def raising(error: BaseException) -> object:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--help") == 0
    out = capsys.readouterr().out
    for command in (
        "run",
        "inspect",
        "prune",
        "trace",
        "replay",
        "timeline",
        "calibrate",
        "validate",
        "advise",
        "sweep",
        "front",
        "list",
    ):
        assert f"\n  {command} " in out
    for later in ("lab",):
        assert f"\n  {later} " not in out


def test_the_help_lists_each_command_once_in_the_order_of_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--help") == 0
    listed = re.findall(r"^  (\w+) ", capsys.readouterr().out.split("Commands:\n")[1], re.MULTILINE)
    assert listed == [name for name, _ in cli.COMMANDS]
    assert listed[0] == "run"
    assert len(set(listed)) == len(listed)


def test_the_help_tells_each_command_in_whole_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--help") == 0
    lines = capsys.readouterr().out.split("Commands:\n")[1].splitlines()
    assert len(lines) == len(cli.COMMANDS)
    assert [line for line in lines if not line.endswith(".") or line.endswith("...")] == []


def test_the_help_of_sweep_names_every_kind_of_scheduler(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("sweep", "--help") == 0
    told = " ".join(capsys.readouterr().out.split("--scheduler")[1].split("--max-points")[0].split())
    assert all(word in told for word in ("tcp://HOST:8786", "FILE.json", "local or local:N"))


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["run", "--help"], ["advise", "--help"]])
def test_help_and_version_import_nothing_heavy(arguments: list[str]) -> None:
    heavy = ("numpy", "numba", "pandas", "matplotlib", "torch", "onnx", "simpy", "scipy", "optuna", "distributed")
    code = f"""import sys
from gatherline.cli import main
try:
    main({arguments!r})
except SystemExit:
    pass
print([name for name in {heavy!r} if name in sys.modules])"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(("name", "function"), cli.COMMANDS)
def test_annotations_of_a_command_are_no_texts_that_each_start_would_evaluate(
    name: str, function: Callable[..., None]
) -> None:
    assert [argument for argument, kind in function.__annotations__.items() if isinstance(kind, str)] == [], name


def test_run_has_every_option_of_the_contract(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("run", "--help") == 0
    out = capsys.readouterr().out
    options = "pattern sparsity device out json seed batch input-shape dtype threads encoding order match all mapping"
    for option in (*options.split(), "strict", "arch", "debug"):
        assert f"  --{option} " in out, option


def test_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    from importlib.metadata import version

    assert call("--version") == 0
    assert capsys.readouterr().out == f"simulate {version('gatherline')}\n"


def test_no_argument_shows_help_and_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert call() == 2
    assert "Commands:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("run", "resnet50", "--sparsity", "1.0"), ("--sparsity", "1.0", "below 1")),
        (("run", "resnet50", "--sparsity", "-0.1"), ("--sparsity", "-0.1", "at least 0")),
        (("run", "resnet50", "--sparsity", "nan"), ("--sparsity", "nan", "at least 0")),
        (("run", "resnet50", "--sparsity", "0.8", "--sparsity", "inf"), ("--sparsity", "inf", "below 1")),
        (("trace", "resnet50", "-o", "x", "--sparsity", "2"), ("--sparsity", "2.0", "below 1")),
        (("run", "resnet50", "--sparsity", "much"), ("--sparsity", "much", "number")),
        (("run", "resnet50", "--batch", "0"), ("--batch", "0", "at least 1")),
        (("run", "resnet50", "--batch", "1.5"), ("--batch", "1.5", "integer")),
        (("run", "resnet50", "--seed", "-1"), ("--seed", "-1", "at least 0")),
        (("run", "resnet50", "--threads", "0"), ("--threads", "0", "at least 1")),
        (("run", "resnet50", "--input-shape", "1,x,2"), ("--input-shape", "1,x,2", "whole numbers")),
        (("run", "resnet50", "--input-shape", "a=1,0"), ("--input-shape", "a=1,0", "at least 1")),
        (("run", "resnet50", "--order", "rows"), ("--order", "rows", "packed")),
        (("run", "resnet50", "--match", "macs"), ("--match", "macs", "density")),
        (("run", "resnet50", "--sparsty", "0.5"), ("--sparsty", "--sparsity")),
        (("run",), ("MODEL",)),
        (("rnu", "resnet50"), ("rnu", "run")),
        (("list", "device"), ("device", "devices")),
        (("list", "devices", "snapdragon-85"), ("snapdragon-85", "did you mean snapdragon-8")),
        (("list", "patterns", "gs"), ("list patterns takes no name", "'gs'")),
        (("trace", "resnet50"), ("--out",)),
        (("replay", "x"), ("--device",)),
    ],
)
def test_a_wrong_argument_is_one_line_with_option_value_and_rule(
    arguments: tuple[str, ...], says: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    line = error_line(capsys, *arguments)
    for word in says:
        assert word in line


def test_shapes_of_several_inputs_are_joined() -> None:
    assert joined_shapes(["a=1,3,224,224", " b=1,7 ; 1,2 "]) == "a=1,3,224,224;b=1,7;1,2"
    assert joined_shapes(None) is None


def test_a_broken_rule_inside_the_run_is_status_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "request_from", raising(ValueError("shapes (3,) and (4,)\ndo not match")))
    assert call("run", "resnet50") == 1
    assert capsys.readouterr() == (
        "",
        "simulate: error: ValueError: shapes (3,) and (4,) do not match (--debug shows where)\n",
    )


def test_debug_adds_the_traceback(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "request_from", raising(RuntimeError("odd")))
    assert call("run", "resnet50", "--debug") == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.splitlines()[-1].startswith("simulate: error: RuntimeError: odd")


def test_a_full_disk_is_a_failed_run_and_a_missing_file_a_wrong_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "request_from", raising(OSError(28, "No space left on device", "out/rows.csv")))
    assert call("run", "resnet50") == 1
    assert capsys.readouterr().err == "simulate: error: out/rows.csv: No space left on device\n"
    monkeypatch.setattr(run, "request_from", raising(FileNotFoundError(2, "No such file or directory", "m.onnx")))
    assert error_line(capsys, "run", "m.onnx") == "simulate: error: m.onnx: No such file or directory\n"


def test_interruption_is_status_130(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "request_from", raising(KeyboardInterrupt()))
    assert call("run", "resnet50") == 130
    assert "interrupted" in capsys.readouterr().err


def test_a_reader_that_goes_away_gets_no_complaint() -> None:
    process = subprocess.Popen([*SIMULATE, "run", "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.wait(timeout=30) == 1
    assert process.stderr.read() == b""
    process.stderr.close()


# Real runs of the embedded model, 9 layers

RUN = ("run", "digits", "--device", "gs-tcm", "--device", "snapdragon-855")
PRUNED = (*RUN, "--pattern", "dense", "--pattern", "gs:16,1", "--pattern", "unstructured", "--sparsity", "0.9")


def parsed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """Return the JSON object that a command prints, which is all that it prints."""
    assert call(*arguments) == 0
    out, err = capsys.readouterr()
    assert err == ""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    found = json.loads(out, parse_constant=refuse)
    assert isinstance(found, dict)
    return found


def test_json_rows_obey_the_contract(capsys: pytest.CaptureFixture[str]) -> None:
    report = parsed(capsys, *PRUNED, "--json")
    assert list(report) == ["schema", "manifest", "rows"]
    assert report["schema"] == 1
    assert {"version", "seed", "model_hash", "devices", "packages"} <= set(report["manifest"])
    types = {"text": str, "int": int, "float": (int, float), "bool": bool}
    for row in report["rows"]:
        assert tuple(row) == COLUMNS
        for column in ALL_COLUMNS:
            value = row[column.name]
            assert value is None or isinstance(value, types[column.type]), (column.name, value)  # type: ignore[arg-type]
            assert column.type == "bool" or not isinstance(value, bool), column.name
        assert row["utilization"] is None or 0 <= row["utilization"] <= 1
        assert (row["cycles"] is None) == (row["model_kind"] == "roofline")
        assert (row["peak_memory_bytes"] is None) == (row["layer"] != "total")
    found = [
        (row["device"], row["pattern"], row["sparsity_target"]) for row in report["rows"] if row["layer"] == "total"
    ]
    asked = (("dense", None), ("gs:16,1", 0.9), ("unstructured", 0.9))
    assert sorted(found, key=str) == sorted(
        ((device, *level) for device in ("gs-tcm", "snapdragon-855") for level in asked), key=str
    )


def test_a_total_is_the_sum_of_its_layers(capsys: pytest.CaptureFixture[str]) -> None:
    rows = parsed(capsys, *PRUNED, "--json")["rows"]
    for total in (row for row in rows if row["layer"] == "total"):
        key = ("device", "pattern", "sparsity_target")
        own = [row for row in rows if row["layer"] != "total" and all(row[name] == total[name] for name in key)]
        assert len(own) == 9
        for column in ("macs_dense", "macs_effectual", "macs_issued", "weight_bytes", "index_bytes", "dram_bytes"):
            assert total[column] == sum(row[column] for row in own), column
        assert total["latency_s"] == pytest.approx(sum(row["latency_s"] for row in own))


def test_the_same_request_prints_the_same_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(*PRUNED, "--json") == 0
    first = capsys.readouterr().out
    assert call(*PRUNED, "--json") == 0
    assert capsys.readouterr().out == first


def test_a_run_writes_table_and_pictures_and_says_where(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert call(*PRUNED, "--out", str(tmp_path / "out")) == 0
    out = capsys.readouterr().out
    written = {path.name for path in (tmp_path / "out").iterdir()}
    pictures = {f"{k}-{d}.png" for k in ("layers", "heatmap", "roofline") for d in ("gs-tcm", "snapdragon-855")}
    assert written == {"rows.csv", "rows.sqlite", "report.json", "manifest.json", "masks.json"} | pictures
    for name in written:
        assert f"wrote {tmp_path / 'out' / name}\n" in out


def test_json_stays_alone_on_standard_output_beside_out(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert call(*RUN, "--json", "--out", str(tmp_path / "out")) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["schema"] == 1
    assert out == (tmp_path / "out/report.json").read_text()
    assert "wrote " in err


def test_without_a_pattern_the_zeros_of_the_model_are_run(capsys: pytest.CaptureFixture[str]) -> None:
    rows = parsed(capsys, *RUN, "--json")["rows"]
    density = {row["layer"]: row["density"] for row in rows if row["device"] == "gs-tcm"}
    conv2_weights = 64 * 9 * 32
    assert density["conv2"] == pytest.approx(1840 / conv2_weights)  # kept: gatherline/models/digits.json
    assert density["conv1"] == 1.0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("digits", "--device", "gs-tcn"), ("gs-tcn", "gs-tcm")),
        (("digitz",), ("digitz", "digits")),
        (("missing.onnx",), ("missing.onnx",)),
        (("digits", "--pattern", "gz:16,1", "--sparsity", "0.5"), ("gz:16,1", "gs")),
        (("digits", "--pattern", "gs:16,3", "--sparsity", "0.5"), ("gs:16,3", "divide")),
        (("digits", "--pattern", "n_of_m:4,2", "--sparsity", "0.5"), ("n_of_m:4,2",)),
        (("digits", "--dtype", "int4"), ("int4", "fp16")),
        (("digits", "--encoding", "cs"), ("cs", "csr")),
        (("digits", "--device", "missing.toml"), ("missing.toml",)),
    ],
)
def test_a_wrong_input_writes_nothing(
    arguments: tuple[str, ...], says: tuple[str, ...], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    line = error_line(capsys, "run", *arguments, "--out", str(tmp_path / "out"))
    for word in says:
        assert word in line
    assert list(tmp_path.iterdir()) == []


def test_a_truncated_and_a_renamed_file_are_wrong_inputs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    whole = Path(str(files("gatherline") / "models" / "digits.pt2")).read_bytes()
    (tmp_path / "half.pt2").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "renamed.onnx").write_bytes(whole)
    (tmp_path / "renamed.safetensors").write_bytes(whole)
    for name in ("half.pt2", "renamed.onnx"):
        assert name in error_line(capsys, "run", str(tmp_path / name), "--device", "gs-tcm")
    line = error_line(capsys, "run", str(tmp_path / "renamed.safetensors"), "--arch", "resnet50", "--device", "gs-tcm")
    assert "renamed.safetensors" in line


def test_a_file_where_the_folder_should_be_stops_the_run_before_it_starts(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("mine")
    assert str(tmp_path / "out") in error_line(capsys, *RUN, "--out", str(tmp_path / "out"))
    assert (tmp_path / "out").read_text() == "mine"


def test_a_replayed_trace_takes_the_cycles_of_the_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    level = ("digits", "--pattern", "unstructured", "--sparsity", "0.8", "--device", "gs-tcm-ooo")
    run_rows = parsed(capsys, "run", *level, "--json")["rows"]
    assert call("trace", *level, "-o", str(tmp_path / "trace")) == 0
    streams = json.loads((tmp_path / "trace" / "trace.json").read_text())["layers"]
    assert {stream["layer"] for stream in streams} == {row["layer"] for row in run_rows if row["macs_issued"]} - {
        "total"
    }
    assert capsys.readouterr().out == f"{len(streams)} streams in {tmp_path / 'trace'}\n"
    grants = tmp_path / "granted.npy"
    replayed = parsed(
        capsys, "replay", str(tmp_path / "trace"), "--device", "gs-tcm-ooo", "--json", "--per-group", str(grants)
    )["rows"]
    for name in ("layer", "cycles", "compute_cycles", "gather_cycles", "latency_s"):
        assert [row[name] for row in replayed] == [row[name] for row in run_rows], name
    granted = np.load(grants, allow_pickle=False)
    assert granted.dtype == np.int64
    assert len(granted) > 0


def test_inspect_tells_which_pattern_a_mask_obeys(capsys: pytest.CaptureFixture[str]) -> None:
    rows = {row["layer"]: row for row in parsed(capsys, "inspect", "digits", "--json")["rows"]}
    assert rows["conv2"]["patterns"]["gs:16,1"] == 1.0
    assert rows["conv1"]["patterns"] == {"dense": 1.0}
    assert rows["conv2"]["macs"] == 64 * (9 * 32) * (8 * 8)
    assert call("inspect", "digits") == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("conv2"))
    assert "gs:16,1 100 % (" in line


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("devices", ("gs-tcm", "gs-tcm-ooo", "snapdragon-855", "adreno-640", "a100", "zcu102")),
        ("patterns", ("dense", "unstructured", "n_of_m", "block", "channel", "gs")),
        ("encodings", ("dense", "csr", "packed", "bsr", "bitmap", "n_of_m", "gs")),
        ("models", ("resnet50", "mobilenet_v1", "deit_tiny", "gnmt", "jasper")),
    ],
)
def test_list_names_what_there_is_with_its_source(
    what: str, names: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("list", what) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in names:
        assert any(line.startswith(name) for line in lines), name
    assert any("source" in line for line in lines)


def test_list_devices_is_a_line_for_each_and_the_sources_are_those_of_one_that_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("list", "devices") == 0
    lines = capsys.readouterr().out.splitlines()
    every = [device.name for device in (*CYCLE_DEVICES, *COST_DEVICES)]
    assert [line.split()[0] for line in lines[1 : 1 + len(every)]] == every
    assert len(lines) == 1 + len(every) + 2  # a heading, and two lines on how to read it
    line = next(line for line in lines if line.startswith("raspberry-pi-4 "))
    assert "ncnn" in line
    assert re.search(r"held out, \d+ rows", line)
    own = tmp_path / "mine.toml"
    own.write_text('base = "a100"\noverhead_s = 1e-5\n', encoding="utf-8")
    for name, title in (("snapdragon-855", "snapdragon-855"), (str(own), "mine"), ("gs-tcm", "gs-tcm")):
        assert call("list", "devices", name) == 0
        shown = capsys.readouterr().out
        assert shown.count("sources of") == 1
        assert f"sources of {title}\n" in shown
    for name in ("gs-tcm", "snapdragon-855"):
        assert call("list", "devices", name) == 0
        listed = {tuple(line.split()) for line in capsys.readouterr().out.splitlines()}
        for field in device_fields(device_named(name)).values():
            if field.value is not None and not isinstance(field.value, bool):
                assert tuple(f"{field.path} {field.value} {field.unit}".split()) in listed
    assert call("list", "devices", str(own)) == 0
    assert "  overhead_s: mine.toml: the file names no source" in capsys.readouterr().out


def test_a_folder_of_measurements_that_is_not_there_leaves_the_column_empty(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("costmodel.validation.folder.FOLDER", tmp_path)
    assert call("list", "devices") == 0
    assert "held out, " not in capsys.readouterr().out


class _StopsInTheSecondLevel:
    """A progress that is interrupted as by Ctrl-C, one layer into the second pattern."""

    def __init__(self) -> None:
        self.left = 0

    def start(self, total: int, what: str) -> None:
        self.left = total // 2 + 1

    def step(self, what: str) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt

    def stop(self) -> None:
        pass


def test_ctrl_c_leaves_the_patterns_that_are_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatherline.progress.terminal_progress", _StopsInTheSecondLevel)
    out = tmp_path / "out"
    assert (
        call(*["run", "digits", "--pattern", "dense", "--pattern", "gs:16,1", "--device", "gs-tcm", "--out"], str(out))
        == 130
    )
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["manifest"]["complete"] is False
    assert {row["pattern"] for row in report["rows"]} == {"dense"}
    assert [row["layer"] for row in report["rows"]].count("total") == 1
