"""Rules of a comparison: what they mean to the last cycle, what breaks them, and the exit status."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatherline.cli import main
from gatherline.comparison.comparison import Comparison, compare
from gatherline.comparison.rules import parse_rule
from gatherline.exit_status import FAILED, SUCCESS, WRONG_INPUT
from gatherline.pipeline_types import Report
from gatherline.report.comparison_broken import SHOWN_BROKEN, broken_lines
from gatherline.report.files import write_report
from gatherline.request_error import RequestError
from tests.unit.compared_rows import CYCLES, LAYERS, MANIFEST, network

TOTAL_CYCLES = CYCLES * len(LAYERS)


def of(rules: Sequence[str], after: dict[str, int], before: dict[str, int] | None = None) -> Comparison:
    sides = [Report(manifest=MANIFEST, rows=network(more=more)) for more in (before or {}, after)]
    return compare(*sides, rules=rules)


@pytest.mark.parametrize(
    ("rule", "more", "broken"),
    [
        ("cycles > +2%", TOTAL_CYCLES * 2 // 100, False),
        ("cycles > +2%", TOTAL_CYCLES * 2 // 100 + 1, True),
        ("cycles >= 2%", TOTAL_CYCLES * 2 // 100, True),
        ("cycles > +60", 60, False),
        ("cycles > +60", 61, True),
        ("cycles != +0", 0, False),
        ("cycles != +0", 1, True),
        (f"cycles != {TOTAL_CYCLES}", 0, False),
        (f"cycles != {TOTAL_CYCLES}", 1, True),
        (f"cycles > {TOTAL_CYCLES}", 1, True),
        ("latency_s > +0.001us", 1, False),
        ("latency_s > +0.001us", 2, True),
        ("latency_s > + 0.001us", 2, True),
        ("cycles > + 2%", TOTAL_CYCLES * 2 // 100, False),
        ("latency_s > 1ms", 1000, False),
        ("latency_s > 3us", 1, True),
        ("peak_memory_bytes > 4 KiB", 1, False),
        ("peak_memory_bytes >= 4KiB", 1, True),
        ("layer:cycles > +5", 5, False),
        ("layer:cycles > +5", 6, True),
        ("cycles of conv* > +5", 6, True),
        ("cycles of fc > +5", 6, False),
        ("layer: cycles of conv1 > +0", 6, False),
        ("conflict_cycles > +900%", 1, True),
        ("conflict_cycles < +5%", 1, False),
        ("conflict_cycles >= +1%", 0, False),
        ("density > 0.2", 1, False),
        ("density > 0.05", 1, True),
    ],
)
def test_a_rule_is_broken_exactly_beyond_its_number(rule: str, more: int, broken: bool) -> None:
    assert bool(of([rule], {"conv2": more}).broken) is broken


def test_less_is_a_change_too() -> None:
    assert not of(["cycles < -1%"], {}, {"conv2": 30}).broken
    assert of(["cycles < -0.9%"], {}, {"conv2": 30}).broken
    assert of(["cycles <= -30"], {}, {"conv2": 30}).broken


@given(before=st.integers(0, 10**6), after=st.integers(0, 10**6), share=st.integers(0, 300))
@settings(deadline=None)
def test_a_share_means_what_whole_numbers_say(before: int, after: int, share: int) -> None:
    found = of([f"conflict_cycles > +{share}%"], {"fc": after}, {"fc": before})
    assert bool(found.broken) is (after > before if before == 0 else 100 * (after - before) > share * before)


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("latency > +2%", "did you mean latency_s"),
        ("bound != +0", "column bound holds no numbers"),
        ("latency_s > +2", "needs a unit"),
        ("latency_s > +2kB", "no unit of it"),
        ("cycles = 5", "must be"),
        ("cycles", "must be"),
        ("", "must be"),
        ("cycles > many", "must be a number"),
        ("density > 5%", "can mean two things"),
        ("cycles of nothing* > +1", "there is no layer 'nothing\\*'"),
        ("energy_pj > +1%", "no row of either side has a number in column energy_pj"),
        ("layer:peak_memory_bytes > +0", "has no number in column peak_memory_bytes"),
        ("x" * 1000, "must be"),
        ("cycles > +1,000", r"must be without the comma: \+1000"),
    ],
)
def test_a_wrong_rule_is_an_error_that_says_what_is_wrong(rule: str, told: str) -> None:
    with pytest.raises(RequestError, match=told):
        of([rule], {"conv2": 1})


def test_a_number_or_a_row_that_one_side_lacks_breaks_a_rule_and_is_named() -> None:
    rows = network()
    rows[1]["cycles"] = None
    found = compare(network(), rows, rules=["layer:cycles > +5", "cycles of fc > +5"])
    (broken,) = found.broken
    assert broken.missing == "the second"
    gone = compare(network(), network(layers=("conv1", "conv2")), rules=["layer:cycles > +5"])
    (broken,) = gone.broken
    assert broken.row is not None
    assert broken.row["layer"] == "fc"


def test_the_rule_of_the_handbook_reads_the_same_with_or_without_spaces() -> None:
    spaced, tight = parse_rule("latency_s > +2%"), parse_rule("latency_s>+2%")
    assert (spaced.column, spaced.test, spaced.limit, spaced.kind) == (
        tight.column,
        tight.test,
        tight.limit,
        tight.kind,
    )


def test_a_rule_that_many_rows_break_names_the_first_and_counts_the_rest() -> None:
    names = [f"conv{number}" for number in range(100)]
    found = compare(
        network(layers=names), network(layers=names, more=dict.fromkeys(names, 1)), rules=["layer:cycles > +0"]
    )
    assert len(found.broken) == len(names)
    lines = broken_lines(found)
    assert lines[-1] == f"layer:cycles > +0: and {len(names) - SHOWN_BROKEN} more rows"
    assert len(lines) == SHOWN_BROKEN + 1


def status(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    return int(stopped.value.code or 0)


def test_the_exit_status_tells_good_from_broken_from_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_report(tmp_path / "a", MANIFEST, network(), pictures=False)
    write_report(tmp_path / "b", MANIFEST, network(more={"conv2": 90}), pictures=False)
    assert status(["compare", "a", "b"]) == SUCCESS
    assert status(["compare", "a", "b", "--fail-if", "latency_s > +10%"]) == SUCCESS
    assert capsys.readouterr().err == ""
    assert status(["compare", "a", "b", "--fail-if", "latency_s > +2%", "--fail-if", "layer:cycles > +0"]) == FAILED
    lines = capsys.readouterr().err.splitlines()
    net = "net, gs:16,1 at 90 % on gs-tcm"
    assert lines == [
        f"simulate: broken rule: latency_s > +2%: total of {net}: 3 µs -> 3.090 µs (+90 ns, +3 %)",
        f"simulate: broken rule: layer:cycles > +0: layer conv2 of {net}: 1,000 -> 1,090 (+90, +9 %)",
    ]
    assert status(["compare", "a", "none"]) == WRONG_INPUT
    assert status(["compare", "a", "b", "--fail-if", "latencies > 2%"]) == WRONG_INPUT
    assert status(["compare", "a", "b", "--pair", "gs-tcm"]) == WRONG_INPUT
    assert all(line.startswith("simulate: error: ") for line in capsys.readouterr().err.splitlines())


def test_the_command_writes_what_it_says_and_json_stands_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import json

    monkeypatch.chdir(tmp_path)
    write_report(tmp_path / "a", MANIFEST, network(), pictures=False)
    write_report(tmp_path / "b", MANIFEST, network(more={"conv2": 90}), pictures=False)
    assert status(["compare", "a", "b", "--json", "--page", "pages/difference.html", "--out", "difference"]) == SUCCESS
    shown = capsys.readouterr()
    assert json.loads(shown.out)["moved"] is True
    assert sorted(path.name for path in (tmp_path / "difference").iterdir()) == [
        "comparison.csv", "comparison.html", "comparison.json",
    ]  # fmt: skip
    assert (tmp_path / "pages/difference.html").read_text().startswith("<!doctype html>")
    assert [path.name for path in (tmp_path / "pages").iterdir()] == ["difference.html"]
    assert status(["compare", "a", "b", "--by", "total"]) == SUCCESS
    assert "Layers that moved" not in capsys.readouterr().out


def wheres(rule: str, after: list[dict[str, object]], before: list[dict[str, object]] | None = None) -> list[str]:
    return broken_lines(compare(before or network(), after, rules=[rule]))


@pytest.mark.parametrize(
    ("rule", "column", "before", "after", "told"),
    [
        ("cycles > +1%", "cycles", 10**6, 1_010_004, "(+10,004, +1.0004 %)"),
        ("cycles > +1%", "cycles", 10**9, 10**7 + 10**9 + 1, "(+10,000,001, +1.0000001 %)"),
        ("cycles >= +1%", "cycles", 10**6, 1_010_000, "(+10,000, +1 %)"),
        ("latency_s > +0.1ms", "latency_s", 0.001, 0.0011000001, "(+100.0001 µs, +10 %)"),
        ("peak_memory_bytes > 20MB", "peak_memory_bytes", 10**6, 20_000_001, "1 MB -> 20.000001 MB"),
    ],
)
def test_a_number_that_breaks_a_rule_never_reads_as_its_limit(
    rule: str, column: str, before: float, after: float, told: str
) -> None:
    sides = [network(), network()]
    sides[0][-1][column], sides[1][-1][column] = before, after
    (line,) = wheres(rule, sides[1], sides[0])
    assert told in line


def test_a_missing_number_is_told_with_its_unit_and_side() -> None:
    rows = network()
    rows[-1]["latency_s"] = None
    (line,) = wheres("latency_s > +2%", rows)
    assert line.endswith(": latency_s is 3 µs in the first and missing in the second")


def test_a_long_name_is_shortened_in_lines_of_the_terminal_and_whole_in_json() -> None:
    name = "features." * 20 + "conv"
    sides = [network(layers=(name,)), network(layers=(name,), more={name: 9})]
    (line,) = wheres("layer:cycles > +0", sides[1], sides[0])
    assert name not in line
    assert "layer features." in line
    assert "conv of net" in line
    assert name in compare(sides[0], sides[1], rules=["layer:cycles > +0"]).to_json().split('"rules"')[1]


def test_a_broken_rule_about_a_value_does_not_stand_under_nothing_moved() -> None:
    text = of(["cycles > 5"], {}).text()
    assert "Nothing moved" not in text
    assert f"1 rule broken, though no number moved: {len(LAYERS) + 1} rows compared." in text
