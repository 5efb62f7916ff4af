"""Snapshots of runs: what stands in them, what fails against them, and the fixture of pytest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gatherline.comparison.comparison import compare
from gatherline.comparison.snapshot import SNAPSHOT_COLUMNS, snapshot_text
from gatherline.pipeline_types import Report
from gatherline.report.files import write_report
from gatherline.request_error import RequestError
from gatherline.testing import assert_matches_snapshot
from tests.unit.compared_rows import MANIFEST, network
from tests.unit.suite_of_a_user import run_suite


def report(**more: int) -> Report:
    return Report(manifest=MANIFEST, rows=network(more=more))


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    path = tmp_path / "snapshots" / "net.json"
    assert_matches_snapshot(report(), path, update=True)
    return path


def test_a_run_matches_the_snapshot_it_made_and_another_version_that_counts_alike_does_too(kept: Path) -> None:
    assert_matches_snapshot(report(), kept)
    assert_matches_snapshot(Report(manifest={**MANIFEST, "version": "9"}, rows=network()), kept)


def test_one_cycle_more_fails_and_the_text_says_which_total_layer_and_cause(kept: Path) -> None:
    with pytest.raises(AssertionError) as failed:
        assert_matches_snapshot(report(conv2=1), kept)
    text = str(failed.value)
    assert "latency 3 µs -> 3.001 µs, +0.0333 % (slower)" in text
    assert "conv2" in text
    assert "conflicts +1 ns" in text
    assert "--gatherline-update" in text
    assert "fc " not in text


def test_rules_take_the_place_of_equality(kept: Path) -> None:
    assert_matches_snapshot(report(conv2=30), kept, rules=("latency_s > +1%",))
    with pytest.raises(AssertionError, match=r"latency_s > \+1%: total of net"):
        assert_matches_snapshot(report(conv2=31), kept, rules=("latency_s > +1%",))


def test_a_layer_that_comes_or_goes_fails(kept: Path) -> None:
    with pytest.raises(AssertionError, match="Only in the first"):
        assert_matches_snapshot(Report(manifest=MANIFEST, rows=network(layers=("conv1", "conv2"))), kept)


def test_a_column_that_lost_all_its_numbers_fails(kept: Path) -> None:
    rows = [{**row, "cycles": None} for row in network()]
    with pytest.raises(AssertionError, match="Columns with numbers only in the first: cycles"):
        assert_matches_snapshot(rows, kept)


def test_a_snapshot_of_an_older_version_without_a_column_still_holds(kept: Path) -> None:
    older = [{name: value for name, value in row.items() if not name.startswith("time_")} for row in network()]
    kept.write_text(snapshot_text(MANIFEST, older))
    assert_matches_snapshot(report(), kept)


def test_a_missing_snapshot_fails_writes_nothing_and_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="no such snapshot; to make it run the tests with --gatherline-update"):
        assert_matches_snapshot(report(), tmp_path / "none.json")
    assert list(tmp_path.iterdir()) == []


def test_a_snapshot_has_a_line_for_each_layer_and_each_number_of_a_total(kept: Path) -> None:
    one, other = (snapshot_text(MANIFEST, network(more=more)).splitlines() for more in ({}, {"conv2": 1}))
    assert kept.read_text().splitlines() == one
    changed = [line for line, after in zip(one, other, strict=True) if line != after]
    names = ("latency_s", "cycles", "conflict_cycles", "time_conflict_s")
    assert len(changed) == len(names) + 1  # numbers of the total, and the line of conv2
    assert sum('"layer": "conv2"' in line for line in changed) == 1


def test_networks_stand_sorted_whatever_the_order_of_the_rows() -> None:
    rows = [network(device=device) for device in ("b", "a")]
    assert snapshot_text({}, [*rows[0], *rows[1]]) == snapshot_text({}, [*rows[1], *rows[0]])


def test_a_snapshot_carries_no_path_of_a_machine() -> None:
    manifest = {**MANIFEST, "request": {"model": "/home/me/net.onnx", "dtype": "fp16", "ratios": "/home/me/r.csv"}}
    assert "/home" not in snapshot_text(manifest, network())


def test_a_snapshot_stands_on_either_side_of_a_comparison(kept: Path, tmp_path: Path) -> None:
    write_report(tmp_path / "run", MANIFEST, network(more={"fc": 4}), pictures=False)
    found = compare(kept, tmp_path / "run", rules=["cycles > +3"])
    assert [(change.pair.layer, change.absolute) for change in found.sorted_layers()] == [
        ("fc", pytest.approx(4 / 10**9))
    ]
    assert len(found.broken) == 1
    back = compare(tmp_path / "run", kept, rules=["cycles > +3"])
    assert not back.broken


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"gatherline_snapshot": 2}, "must be 1"),
        ({"networks": []}, "list of one or more"),
        ({"networks": [7]}, r"networks\[0\] is 7"),
        ({"made_by": 5}, "made_by is 5"),
        ({"made_by": {"devices": {"x": 5}}}, "object of hashes"),
    ],
)
def test_a_snapshot_that_was_bent_is_refused_by_its_place(kept: Path, change: dict[str, object], told: str) -> None:
    kept.write_text(json.dumps({**json.loads(kept.read_text()), **change}))
    with pytest.raises(RequestError, match=told):
        assert_matches_snapshot(report(), kept)


@pytest.mark.parametrize(
    ("value", "told"), [('"many"', "cycles is 'many'"), ("-1", "whole number"), ("NaN", "no finite number")]
)
def test_a_bent_number_of_a_snapshot_is_refused(kept: Path, value: str, told: str) -> None:
    kept.write_text(kept.read_text().replace('"cycles": 1000', f'"cycles": {value}', 1))
    with pytest.raises(RequestError, match=told):
        assert_matches_snapshot(report(), kept)


def test_a_snapshot_of_a_newer_version_names_both_versions(kept: Path) -> None:
    newer = {**json.loads(kept.read_text()), "gatherline_snapshot": 2, "made_by": {"version": "9.9"}}
    kept.write_text(json.dumps(newer))
    with pytest.raises(RequestError, match=r"must be 1; written by version 9\.9, this is \d"):
        assert_matches_snapshot(report(), kept)


def test_a_column_that_only_a_newer_version_knows_names_both_versions(kept: Path) -> None:
    text = kept.read_text().replace('"cycles": 1000', '"loops": 5', 1).replace('"0.1.0"', '"9.9"')
    kept.write_text(text)
    with pytest.raises(RequestError, match=r"column 'loops' is not known.*; written by version 9\.9, this is \d"):
        assert_matches_snapshot(report(), kept)


def test_marks_of_a_merge_conflict_are_named_by_their_line(kept: Path) -> None:
    first, rest = kept.read_text().split("\n", 1)
    kept.write_text(f"{first}\n<<<<<<< HEAD\n{rest}\n=======\n{rest}\n>>>>>>> theirs\n")
    with pytest.raises(RequestError, match="line 2 is <<<<<<<, the mark of a merge conflict"):
        assert_matches_snapshot(report(), kept)


def test_a_layer_whose_kernel_changed_fails_and_an_older_snapshot_without_kernels_still_holds(kept: Path) -> None:
    rows = [{**row, "kernel": "dense"} if row["layer"] == "conv2" else row for row in network()]
    with pytest.raises(AssertionError, match="In 1 layer the kernel changed: conv2 gather/scatter -> dense"):
        assert_matches_snapshot(rows, kept)
    kept.write_text(kept.read_text().replace('"kernel": "gather/scatter", ', ""))
    assert_matches_snapshot(rows, kept)


def test_a_rule_about_what_no_snapshot_holds_is_refused(kept: Path) -> None:
    with pytest.raises(RequestError, match="a snapshot does not hold energy_pj"):
        assert_matches_snapshot(report(), kept, rules=("energy_pj > +1%",))


def test_a_rule_is_checked_before_a_snapshot_is_written(kept: Path) -> None:
    written = kept.read_bytes()
    for rules in (("cycle > +1%",), "cycles > +1%"):
        with pytest.raises(RequestError):
            assert_matches_snapshot(report(conv2=5), kept, rules=rules, update=True)
    assert kept.read_bytes() == written


def test_rows_without_a_total_make_no_snapshot(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="has 0 rows of layer 'total'"):
        assert_matches_snapshot(network()[:-1], tmp_path / "x.json", update=True)


def test_a_stopped_run_is_no_match_and_makes_no_snapshot(kept: Path) -> None:
    before = kept.read_bytes()
    for update in (False, True):
        with pytest.raises(RequestError, match="run that was stopped"):
            assert_matches_snapshot(Report(manifest={"complete": False}, rows=network()), kept, update=update)
    assert kept.read_bytes() == before


def test_every_column_of_a_snapshot_is_a_number_of_a_report() -> None:
    from gatherline.comparison.side import NUMBERS

    assert set(SNAPSHOT_COLUMNS) <= set(NUMBERS)


SUITE = """
import pytest
from tests.unit.compared_rows import MANIFEST, network
from gatherline.pipeline_types import Report

def test_net(gatherline_snapshot):
    gatherline_snapshot(Report(manifest=MANIFEST, rows=network(more={{"conv2": {more}}})))
"""


PLUGIN = ("-p", "gatherline.pytest_plugin")


def test_the_fixture_fails_without_a_snapshot_writes_it_when_asked_and_explains_a_change(tmp_path: Path) -> None:
    suite = tmp_path / "test_speed.py"
    suite.write_text(SUITE.format(more=0))
    snapshot = tmp_path / "snapshots" / "test_speed" / "test_net.json"
    status, said = run_suite(suite, *PLUGIN)
    assert status == pytest.ExitCode.TESTS_FAILED
    assert "there is no such snapshot" in said
    assert not snapshot.exists()
    assert run_suite(suite, *PLUGIN, "--gatherline-update")[0] == pytest.ExitCode.OK
    written = snapshot.read_bytes()
    assert run_suite(suite, *PLUGIN)[0] == pytest.ExitCode.OK
    suite.write_text(SUITE.format(more=7))
    status, said = run_suite(suite, *PLUGIN)
    assert status == pytest.ExitCode.TESTS_FAILED
    assert "conflicts +7 ns" in said
    assert "If this is meant: run the tests with --gatherline-update" in said
    assert snapshot.read_bytes() == written


def test_two_checks_of_one_name_are_told_apart(tmp_path: Path) -> None:
    suite = tmp_path / "test_names.py"
    suite.write_text(
        """
from tests.unit.compared_rows import network

def test_net(gatherline_snapshot):
    gatherline_snapshot(network(), "one")
    gatherline_snapshot(network(), "two")

def test_again(gatherline_snapshot):
    gatherline_snapshot(network(), "one")
"""
    )
    status, said = run_suite(suite, *PLUGIN, "--gatherline-update")
    assert status == pytest.ExitCode.TESTS_FAILED
    assert "1 failed, 1 passed" in said
    assert "one.json: is the snapshot of another check too" in said


SHARED = """
import pytest
from tests.unit.compared_rows import network

class TestA:
    @pytest.mark.parametrize("name", ["a/b", "a:b", "A:b"])
    def test_same(self, gatherline_snapshot, name):
        gatherline_snapshot(network(more={{"conv2": {more}}}))

    def test_plain(self, gatherline_snapshot):
        gatherline_snapshot(network(more={{"conv2": {more}}}))
"""


def test_default_names_carry_file_and_class_and_stay_apart_where_letters_were_replaced(tmp_path: Path) -> None:
    suite = tmp_path / "test_speed.py"
    suite.write_text(SHARED.format(more=0))
    assert run_suite(suite, *PLUGIN, "--gatherline-update")[0] == pytest.ExitCode.OK
    names = {path.relative_to(tmp_path / "snapshots").as_posix() for path in tmp_path.rglob("*.json")}
    assert "test_speed/TestA.test_plain.json" in names
    assert len({name.casefold() for name in names}) == 4


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["0", "2"])
def test_two_files_of_one_folder_share_no_snapshot_in_any_number_of_processes(tmp_path: Path, workers: str) -> None:
    for stem, more in (("test_one", 0), ("test_two", 5)):
        (tmp_path / f"{stem}.py").write_text(SHARED.format(more=more))
    command = [sys.executable, "-m", "pytest", "-q", "-n", workers, "--dist", "loadfile", "--rootdir", str(tmp_path)]
    command += ["-c", "/dev/null", "-p", "no:cacheprovider", *PLUGIN]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    for options in (["--gatherline-update"], []):
        done = subprocess.run([*command, *options, str(tmp_path)], env=environment, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout.decode()
    (tmp_path / "test_one.py").write_text(NAMED.format(more=0))
    (tmp_path / "test_two.py").write_text(NAMED.format(more=5))
    done = subprocess.run(
        [*command, "--gatherline-update", str(tmp_path)], env=environment, capture_output=True, check=False
    )
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert b"1 failed, 1 passed" in done.stdout
    assert b"shared.json: is the snapshot of another check too" in done.stdout


NAMED = """
from tests.unit.compared_rows import network

def test_net(gatherline_snapshot):
    gatherline_snapshot(network(more={{"conv2": {more}}}), "shared")
"""
