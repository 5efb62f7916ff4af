"""What docs/regression.md shows works: its test runs, its workflow parses, its rules and its failure are real."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

import gatherline as gl
from gatherline.comparison.rules import parse_rule
from gatherline.report.comparison_notes import headlines
from gatherline.report.time_causes import TIME_CAUSES
from gatherline.testing import assert_matches_snapshot
from tests.unit.compared_rows import network
from tests.unit.suite_of_a_user import run_suite

DOC = (Path(__file__).parents[2] / "docs" / "regression.md").read_text(encoding="utf-8")


def block(mark: str) -> str:
    (found,) = re.findall(rf"<!-- {mark} -->\n```\w+\n(.*?)\n```", DOC, re.DOTALL)
    return str(found)


def test_the_example_of_a_test_writes_its_snapshots_when_asked_and_passes_from_then_on(tmp_path: Path) -> None:
    (plugin,) = re.findall(r'pytest_plugins = \["([\w.]+)"\]', DOC)
    suite = tmp_path / "test_speed.py"
    suite.write_text(block("test"))
    status, said = run_suite(suite, "-p", plugin)
    assert status == pytest.ExitCode.TESTS_FAILED
    assert said.count("there is no such snapshot") >= 2
    assert run_suite(suite, "-p", plugin, "--gatherline-update")[0] == pytest.ExitCode.OK
    assert len(list((tmp_path / "snapshots" / "test_speed").iterdir())) == 2
    assert run_suite(suite, "-p", plugin)[0] == pytest.ExitCode.OK


def test_the_workflow_is_one_whose_compare_step_has_rules_that_parse() -> None:
    workflow = yaml.safe_load(block("workflow"))
    assert set(workflow["jobs"]) == {"snapshots", "compare"}
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert all(("uses" in step) != ("run" in step) for step in steps)
    (command,) = [step["run"] for step in steps if step.get("run", "").startswith("simulate compare")]
    words = shlex.split(command)
    rules = [words[at + 1] for at, word in enumerate(words) if word == "--fail-if"]
    assert [parse_rule(rule).kind for rule in rules] == ["share", "change"]


def test_the_workflow_fetches_models_of_lfs_and_lets_the_pull_request_pass_that_adds_the_model() -> None:
    steps = [step for job in yaml.safe_load(block("workflow"))["jobs"].values() for step in job["steps"]]
    assert all(step["with"]["lfs"] is True for step in steps if step.get("uses", "").startswith("actions/checkout"))
    needs_before = [step for step in steps if "before" in step.get("run", "")]
    assert len(needs_before) == 2
    assert all(step["if"] == "hashFiles('before/model.onnx') != ''" for step in needs_before)


def test_the_example_of_the_readme_moves_what_the_readme_says_and_fails_the_other_way_round() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    dense = gl.run("digits", patterns=["dense"], devices=["gs-tcm"])
    pruned = gl.run("digits", patterns=["gs:16,1"], sparsities=[0.9], devices=["gs-tcm"])
    rules = ["latency_s > +2%", "layer:cycles > +0"]
    assert all(f"--fail-if '{rule}'" in readme for rule in rules)
    found = gl.compare(dense, pruned, rules=rules)
    (headline,) = headlines(found)
    assert f"`{headline.split(': ')[1].rstrip('.')}`" in readme
    assert len(found.sorted_layers()) == 2
    assert not found.broken
    assert {each.rule.text for each in gl.compare(pruned, dense, rules=rules).broken} == set(rules)


def test_every_rule_of_the_table_is_one() -> None:
    table = DOC.split("| rule | broken where |")[1].split("\n\n")[0]
    rules = re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)
    assert len(rules) >= 8
    assert {parse_rule(rule).kind for rule in rules} == {"share", "change", "value"}


def test_the_failure_that_is_shown_is_the_one_that_comes(tmp_path: Path) -> None:
    (shown,) = re.findall(r"## Read a failure\n\n```\n(.*?)\n```", DOC, re.DOTALL)
    path = tmp_path / "test_net.json"
    assert_matches_snapshot(network(), path, update=True)
    with pytest.raises(AssertionError) as failed:
        assert_matches_snapshot(network(more={"conv2": 90}), path)
    real = [
        " ".join(line.split())
        for line in str(failed.value).replace(str(path), "snapshots/test_speed/test_net.json").splitlines()
    ]
    manifests = ("The second differs in", "...")
    for line in shown.splitlines():
        if line and not line.startswith(manifests):
            assert " ".join(line.split()) in real, line


def test_every_cause_has_a_line_that_says_where_to_look() -> None:
    table = DOC.split("| what moved | look at |")[1].split("\n\n")[0]
    assert {cause.title for cause in TIME_CAUSES} <= set(re.findall(r"^\| ([^|]+?) \|", table, re.MULTILINE))
