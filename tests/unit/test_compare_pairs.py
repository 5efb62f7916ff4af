"""Names that are paired by hand: what they compare, what stands aside, and what they refuse."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from gatherline.cli import main
from gatherline.comparison.choice import pair_names
from gatherline.comparison.comparison import Comparison, compare
from gatherline.exit_status import FAILED, SUCCESS, WRONG_INPUT
from gatherline.pipeline_types import Report
from gatherline.report.columns import Row
from gatherline.report.comparison_notes import notes
from gatherline.report.files import write_report
from gatherline.request_error import RequestError
from tests.unit.compared_rows import LAYERS, MANIFEST, network

ROWS = len(LAYERS) + 1
SLOWER = {"conv2": 90}


def of(before: list[Row], after: list[Row], **options: object) -> Comparison:
    sides = [Report(manifest=MANIFEST, rows=rows) for rows in (before, after)]
    return compare(*sides, **options)  # type: ignore[arg-type]


def devices(*names: str) -> list[Row]:
    """Rows on several devices, the second slower."""
    return [row for at, name in enumerate(names) for row in network(device=name, more=SLOWER if at == 1 else None)]


def broken(found: Comparison) -> Sequence[float | None]:
    return [each.change and each.change.absolute for each in found.broken]


@pytest.mark.parametrize("chosen", [(), ("a",), ("b",), ("a", "b")])
def test_one_run_on_two_devices_compares_the_one_with_the_other_and_nothing_is_missing(chosen: tuple[str, ...]) -> None:
    found = of(devices("a", "b"), devices("a", "b"), pairs={"a": "b"}, devices=chosen, rules=["cycles > +2%"])
    assert broken(found) == [90]
    assert {pair.after["device"] for pair in found.pairing.pairs} == {"b"}
    assert not found.pairing.only_before
    assert not found.pairing.only_after
    told = "\n".join(notes(found))
    assert "Paired: device a with b, by --pair." in told
    assert "the same model, devices" not in told
    assert "Made by the same version with the same options; the two differ in device." in told


def test_rows_that_stand_aside_are_told_and_no_rule_is_about_them() -> None:
    found = of(devices("a", "b", "c"), devices("a", "b"), pairs={"a": "b"}, rules=["cycles > +10%"])
    assert not found.broken
    assert len(found.pairing.left_before) == 2 * ROWS
    told = "\n".join(notes(found))
    assert f"Left out of the first, beside the names that --pair pairs ({2 * ROWS} rows): all of net" in told


def test_a_device_that_both_sides_name_alike_is_compared_beside_a_pair() -> None:
    after = [*network(device="new"), *network(device="c", more=SLOWER)]
    found = of([*network(device="old"), *network(device="c")], after, pairs={"old": "new"}, rules=["cycles > +2%"])
    assert broken(found) == [90]


def test_a_paired_device_that_lacks_a_sparsity_is_missing_it() -> None:
    before = [*network(device="a"), *network(device="a", sparsity=0.8)]
    found = of(before, network(device="b"), pairs={"a": "b"}, rules=["cycles > +2%"])
    assert len(found.pairing.only_before) == ROWS
    assert [each.missing for each in found.broken] == ["the second"]


@pytest.mark.parametrize("pairs", [{"a": "0.9"}, {"conv1": "conv2", "fc": "a"}])
def test_a_pair_that_pairs_no_rows_is_an_error(pairs: dict[str, str]) -> None:
    with pytest.raises(RequestError, match="and pairs no row"):
        of(devices("a", "b"), devices("a", "b"), pairs=pairs)


def test_a_pair_that_device_leaves_out_is_an_error() -> None:
    with pytest.raises(RequestError, match="--pair is a=b, and pairs no row"):
        of(devices("a", "b", "c"), devices("a", "b", "c"), pairs={"a": "b"}, devices=["c"])


def test_one_name_is_paired_once() -> None:
    with pytest.raises(RequestError, match="'a' is paired with 'b' already"):
        pair_names(["a=b", "a=c"])


def test_several_sparsities_against_one_propose_the_nearest_pair_and_it_leaves_dense_out() -> None:
    dense = network(pattern="dense", sparsity=None)
    multi = [*dense, *network(sparsity=0.95), *network(sparsity=0.9)]
    single = network(sparsity=0.85)
    with pytest.raises(RequestError, match=r"nothing in common.*; --pair 0\.9=0\.85 compares two of them"):
        of(multi, single)
    assert "To compare two of these: --pair 0.9=0.85" in notes(of(multi, [*dense, *single]))
    found = of(multi, single, pairs={"0.9": "0.85"}, rules=["cycles > +2%"])
    assert not found.broken
    assert len(found.pairing.left_before) == 2 * ROWS


def test_the_command_sees_a_slower_partner_through_device_and_pair(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_report(tmp_path / "run", MANIFEST, devices("a", "b"), pictures=False)
    arguments = ["compare", "run", "run", "--device", "a", "--fail-if", "latency_s > +2%", "--pair"]
    for pair, status in (("a=b", FAILED), ("b=a", SUCCESS), ("a=conv1", WRONG_INPUT)):
        with pytest.raises(SystemExit) as stopped:
            main([*arguments, pair])
        assert stopped.value.code == status
    assert "pairs no row" in capsys.readouterr().err
