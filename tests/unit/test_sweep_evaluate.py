"""A point's row: the total row of ``simulate run``, what it was asked, and why a point has none."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from gatherline import pipeline
from gatherline.report.plain import plain
from gatherline.request import RunRequest, lower
from gatherline.sweep.code_version import DECIDING, code_version
from gatherline.sweep.columns import NAMES, TOTAL_NAMES
from gatherline.sweep.evaluate import evaluate
from gatherline.sweep.keys import Keys, fields_json
from gatherline.sweep.point import LevelChoice, Machine, ModelChoice, RunOptions
from tests.unit.sweep_specs import task_of

DEVICES = ("gs-tcm", "gs-tcm-ooo", "snapdragon-855", "adreno-640", "a100", "zcu102")
PATTERNS = (("dense", None), ("gs:16,1", 0.5), ("unstructured", 0.8), ("block:4x4", 0.5), ("channel", 0.5))
ASKED_TOO = ("model", "pattern", "sparsity_target", "ratios", "device", "device_kind", "model_kind", "dtype", "batch")


@pytest.mark.parametrize(("pattern", "sparsity"), PATTERNS)
def test_a_row_holds_what_the_total_row_of_a_run_holds(pattern: str, sparsity: float | None) -> None:
    rows = evaluate(task_of(*(Machine(base=name) for name in DEVICES), pattern=pattern, sparsity=sparsity))
    request = RunRequest(
        model="digits", patterns=(pattern,), sparsities=() if sparsity is None else (sparsity,), devices=DEVICES
    )
    totals = [row for row in pipeline.run(request).rows if row["layer"] == "total"]
    assert [row["device"] for row in rows] == list(DEVICES)
    for row, total in zip(rows, totals, strict=True):
        expected = {name: plain(total[name]) for name in (*TOTAL_NAMES, *ASKED_TOO, "threads")}
        if row["model_kind"] == "cycle":
            expected["clock_hz"] = 10**9  # a run says the clock of FPGAs alone
        assert {name: row[name] for name in expected} == expected
        assert row["encodings"] == total["encoding"]
        assert row["storage_bytes"] == total["weight_bytes"] + total["index_bytes"]
        assert tuple(row) == NAMES


def test_a_row_says_the_area_of_an_accelerator_and_of_no_other_device() -> None:
    import gatherline as gl

    accelerator, phone = evaluate(task_of(Machine(base="gs-tcm"), Machine(base="snapdragon-855")))
    assert accelerator["area_mm2"] == gl.area("gs-tcm").total_mm2
    assert phone["area_mm2"] is None
    assert phone["area_note"] is None


def test_an_accelerator_without_an_area_says_why() -> None:
    (row,) = evaluate(task_of(Machine(base="gs-tcm", fields=(("dram.timing", "flat"),))))
    assert row["area_mm2"] is None
    assert "dram has no timing" in str(row["area_note"])
    assert row["latency_s"] > 0


def test_kept_weight_is_a_share_of_all_weights() -> None:
    (row,) = evaluate(task_of(Machine(base="gs-tcm"), pattern="unstructured", sparsity=0.95))
    weights = np.concatenate([np.abs(w).reshape(-1) for w in lower(RunRequest(model="digits")).weights.values()])
    assert 0 < row["kept_l1"] < row["kept_l2"] < 1  # the largest are kept, and count more when squared
    assert row["kept_l1"] > row["density"]
    (dense,) = evaluate(task_of(Machine(base="gs-tcm"), pattern="dense", sparsity=None))
    assert dense["kept_l1"] == dense["kept_l2"] == 1
    assert weights.sum() > 0


def test_a_machine_that_cannot_be_is_refused_and_leaves_the_others_alone() -> None:
    odd = Machine(base="gs-tcm", fields=(("scratchpad.banks", 24), ("scratchpad.hash", "xor")))
    alone, refused, last = evaluate(task_of(Machine(base="gs-tcm"), odd, Machine(base="gs-tcm-ooo")))
    assert "must be a power of two with hash = 'xor'" in str(refused["refused"])
    assert refused["latency_s"] is None
    assert refused["fields"] == '{"scratchpad.banks": 24, "scratchpad.hash": "xor"}'
    assert alone == evaluate(task_of(Machine(base="gs-tcm")))[0]
    assert last["refused"] is None


def test_a_machine_that_cannot_hold_a_layer_is_refused() -> None:
    (row,) = evaluate(task_of(Machine(base="gs-tcm", fields=(("scratchpad.activation_bytes", 64),))))
    assert row["latency_s"] is None
    assert row["refused"]


def test_masks_that_a_model_cannot_have_refuse_every_machine() -> None:
    rows = evaluate(task_of(Machine(base="gs-tcm"), Machine(base="a100"), pattern="channel", sparsity=None))
    assert [row["refused"] is not None for row in rows] == [True, True]
    assert "needs a sparsity" in str(rows[0]["refused"])


def test_machines_run_together_have_the_rows_that_they_have_alone() -> None:
    machines = [Machine(base="gs-tcm", fields=(("gather.window", window),)) for window in (2, 4, 8)]
    assert evaluate(task_of(*machines)) == [evaluate(task_of(machine))[0] for machine in machines]


def test_a_key_changes_with_everything_that_a_row_depends_on() -> None:
    level = LevelChoice(model=ModelChoice(model="digits"), pattern="gs:16,1", sparsity=0.5)
    other = LevelChoice(model=ModelChoice(model="digits"), pattern="gs:16,1", sparsity=0.6)
    seeded = LevelChoice(model=ModelChoice(model="mobilenet_v1", seed=1), pattern="gs:16,1", sparsity=0.5)
    first = LevelChoice(model=ModelChoice(model="mobilenet_v1", seed=0), pattern="gs:16,1", sparsity=0.5)
    keys = [
        Keys(level, RunOptions(), "gs-tcm").key(()),
        Keys(other, RunOptions(), "gs-tcm").key(()),
        Keys(seeded, RunOptions(), "gs-tcm").key(()),
        Keys(first, RunOptions(), "gs-tcm").key(()),
        Keys(level, RunOptions(dtype="int8"), "gs-tcm").key(()),
        Keys(level, RunOptions(), "gs-tcm-ooo").key(()),
        Keys(level, RunOptions(), "gs-tcm").key((("gather.window", 2),)),
    ]
    assert len(set(keys)) == len(keys)
    assert Keys(level, RunOptions(), "gs-tcm").key(()) == keys[0]


def test_a_key_counts_a_model_file_by_name_and_content_and_not_by_its_folder(tmp_path: Path) -> None:
    source = Path(pipeline.__file__).parent / "models" / "digits.onnx"

    def key(folder: str, name: str, extra: bytes) -> str:
        path = tmp_path / folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(source.read_bytes() + extra)
        level = LevelChoice(model=ModelChoice(model=str(path)), pattern="dense")
        return Keys(level, RunOptions(), "gs-tcm").key(())

    here = key("a", "net.onnx", b"")
    assert key("b", "net.onnx", b"") == here
    assert key("c", "other.onnx", b"") != here
    assert key("d", "net.onnx", b"\x12\x00") != here  # another content: an empty producer, which moves no row


def test_fractions_of_a_field_keep_their_value_in_text() -> None:
    assert fields_json([("gather.interval", Fraction(3, 2))]) == '{"gather.interval": "3/2"}'


def test_the_version_covers_every_file_that_evaluating_runs_through() -> None:
    """What only stores, shows or asks is left out: a change there moves no row."""
    asking = {
        "__init__.py", "advice/__init__.py", "report/__init__.py", "sweep/__init__.py", "byte_size.py", "cache.py",
        "inspect_request.py", "inspection.py", "detection.py", "mask_statistics.py", "stored_sizes.py",
        "pipeline_types.py", "progress.py", "replay_report.py", "request_error.py", "report/selection.py",
        "report/inspection_files.py", "report/mask_view.py", "report/files.py", "report/staging.py", "sweep/axis.py",
        "sweep/code_version.py", "sweep/device_axes.py", "sweep/quantity.py",
        # what a run keeps of its masks and how that is read again; a sweep keeps none
        "mask_samples.py", "mask_sampling.py", "strict_json.py",
        "report/time_causes.py",  # words and colours; a sweep's rows have no such column
    }  # fmt: skip
    script = (
        "import sys, pathlib, gatherline, gatherline.sweep.evaluate\n"
        "home = pathlib.Path(gatherline.__file__).parent\n"
        "for name, module in sys.modules.items():\n"
        "    if name.split('.')[0] == 'gatherline' and module.__file__:\n"
        "        print(pathlib.Path(module.__file__).relative_to(home).as_posix())\n"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert len(loaded) > 20
    assert set(loaded) - asking <= set(DECIDING)
    assert code_version() == code_version()
