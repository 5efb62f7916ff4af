"""Two runs beside each other: how rows pair, what is said of a change, and what a page and a terminal show."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

import gatherline as gl
from gatherline.comparison.comparison import Comparison, compare
from gatherline.comparison.point import layer_of
from gatherline.pipeline_types import Report
from gatherline.report.comparison_files import NAMES, write_comparison
from gatherline.report.comparison_notes import headlines, notes
from gatherline.report.comparison_words import why
from gatherline.report.files import report_json, write_report
from gatherline.request_error import RequestError
from tests.unit.compared_rows import CYCLES, LAYERS, MANIFEST, network


def of(before: list[dict[str, object]], after: list[dict[str, object]], **options: object) -> Comparison:
    return compare(
        Report(manifest=MANIFEST, rows=before),
        Report(manifest=MANIFEST, rows=after),
        **options,  # type: ignore[arg-type]
    )


def said(comparison: Comparison) -> str:
    return "\n".join((*headlines(comparison), *notes(comparison)))


def test_a_run_compared_with_itself_says_that_nothing_moved() -> None:
    found = of(network(), network())
    assert not found.moved
    assert found.changes == ()
    assert found.text().count("Nothing moved: 4 rows compared") == 1
    assert "No layer moved" in found.html() or "Nothing moved" in found.html()


def test_a_change_of_one_cycle_is_a_change_and_reads_as_one() -> None:
    found = of(network(), network(more={"conv2": 1}))
    (total,) = [change for change in found.changes if change.pair.is_total and change.column == "cycles"]
    assert total.absolute == 1
    assert total.relative == 1 / (CYCLES * len(LAYERS))
    assert re.search(r"cycles +3,000 +3,001 +\+1 +\+0.0333 %", found.text())
    assert [change.pair.layer for change in found.sorted_layers()] == ["conv2"]


def test_layers_stand_by_the_size_of_their_change_and_say_which_cause_moved() -> None:
    found = of(network(more={"fc": 7}), network(more={"conv1": 5, "conv2": 90}))
    assert [change.pair.layer for change in found.sorted_layers()] == ["conv2", "fc", "conv1"]
    assert why(found.sorted_layers()[0].pair).startswith("conflicts +90 ns")
    assert why(found.sorted_layers()[1].pair).startswith("conflicts -7 ns")


def test_without_times_by_cause_the_cycles_that_were_lost_are_named() -> None:
    sides = [network(), network(more={"conv2": 90})]
    for rows in sides:
        for row in rows:
            row |= {name: None for name in row if name.startswith("time_")}
            row["lost_conflict_cycles"] = float(row["conflict_cycles"])  # type: ignore[arg-type]
    assert why(of(*sides).sorted_layers()[0].pair) == "bank conflicts +90 cycles"


def test_a_single_device_on_each_side_is_compared_with_the_other_and_a_note_says_so() -> None:
    found = of(network(), network(device="gs-tcm-ooo", more={"conv2": 2}))
    assert len(found.pairing.pairs) == len(LAYERS) + 1
    assert "the device differs: gs-tcm is compared with gs-tcm-ooo" in said(found)
    assert "gs-tcm -> net, gs:16,1 at 90 % on gs-tcm-ooo" in found.text()


def test_models_patterns_and_sparsities_pair_across_too_where_each_side_has_one() -> None:
    found = of(network(), network(model="other", pattern="block:1x16", sparsity=0.8))
    assert len(found.pairing.pairs) == len(LAYERS) + 1
    for text in ("the model differs", "the pattern differs", "the sparsity differs"):
        assert text in said(found)


def test_dense_pairs_with_dense_while_the_pruned_network_pairs_across() -> None:
    dense = network(pattern="dense", sparsity=None)
    found = of([*dense, *network()], [*dense, *network(sparsity=0.8, more={"fc": 3})])
    assert len(found.pairing.pairs) == 2 * (len(LAYERS) + 1)
    assert not found.pairing.only_before
    assert {change.pair.point.pattern for change in found.changes} == {"gs:16,1"}


def test_of_several_devices_those_without_a_partner_are_listed_and_a_pair_by_hand_joins_them() -> None:
    before = [*network(), *network(device="zcu102")]
    after = [*network(), *network(device="u280", more={"conv1": 4})]
    found = of(before, after)
    assert len(found.pairing.only_before) == len(found.pairing.only_after) == len(LAYERS) + 1
    assert "Only in the first (4 rows): all of net, gs:16,1 at 90 % on zcu102" in said(found)
    joined = of(before, after, pairs={"zcu102": "u280"})
    assert not joined.pairing.only_before
    assert not joined.pairing.only_after
    assert {change.pair.point.device for change in joined.changes} == {"zcu102"}


def test_added_and_removed_layers_are_listed() -> None:
    found = of(network(), network(layers=("conv1", "conv2", "conv3", "conv4")))
    assert [layer_of(row) for row in found.pairing.only_before] == ["fc"]
    assert [layer_of(row) for row in found.pairing.only_after] == ["conv3", "conv4"]
    assert "layer fc of net" in said(found)


def test_a_renamed_layer_pairs_by_its_place_and_work_and_a_note_says_so() -> None:
    found = of(network(), network(layers=("conv1", "body.conv2", "fc")))
    assert not found.pairing.only_before
    assert "conv2 -> body.conv2" in said(found)


def test_layers_in_another_order_still_pair_by_name() -> None:
    found = of(network(), [*reversed(network()[:-1]), network()[-1]])
    assert len(found.pairing.pairs) == len(LAYERS) + 1
    assert "layers run in another order" in said(found)
    assert found.changes == ()


def test_layers_of_one_name_pair_in_their_order() -> None:
    found = of(network(layers=("a", "a", "b")), network(layers=("a", "a", "b")))
    assert len(found.pairing.pairs) == 4
    assert all(pair.before["macs_dense"] == pair.after["macs_dense"] for pair in found.pairing.pairs)


def test_nothing_in_common_is_an_error_that_says_what_each_side_has() -> None:
    before = [*network(device="a"), *network(device="b")]
    after = [*network(device="c"), *network(device="d")]
    with pytest.raises(RequestError, match=r"nothing in common: the first has .*device a, b; the second has .*c, d"):
        of(before, after)


def test_a_change_inside_both_error_bands_is_said_to_be_exact_and_not_told_apart_on_a_device() -> None:
    inside = of(network(band=0.5), network(band=0.5, more={"conv2": 30}))
    assert "by less than the error band" in said(inside)
    outside = of(network(band=0.001), network(band=0.001, more={"conv2": 30}))
    assert "by less than the error band" not in said(outside)
    assert "Not validated: 1 total" in said(of(network(), network(more={"conv2": 30})))


def test_the_manifests_differences_are_one_sentence() -> None:
    other = {**MANIFEST, "version": "0.2.0", "devices": {"gs-tcm": {"hash": "ef" * 32}}, "packages": {"numpy": "2.5"}}
    found = compare(Report(manifest=MANIFEST, rows=network()), Report(manifest=other, rows=network()))
    assert "version 0.1.0 -> 0.2.0; numbers of device gs-tcm; numpy 2.4 -> 2.5." in said(found)


def test_a_stopped_run_is_named() -> None:
    found = compare(
        Report(manifest={**MANIFEST, "complete": False}, rows=network()), Report(manifest=MANIFEST, rows=network())
    )
    assert "of a run that was stopped" in said(found)


@pytest.mark.parametrize("value", [float("inf"), float("nan"), "fast", True])
def test_a_number_that_is_none_is_refused_with_its_row_and_column(value: object) -> None:
    rows = network()
    rows[1]["latency_s"] = value
    with pytest.raises(RequestError, match=r"the second: rows\[1\]: layer 'conv2': latency_s is .* finite number"):
        of(network(), rows)


def test_zero_before_and_after_reads_and_sorts() -> None:
    found = of(network(), network(more={"conv2": 1}), columns=["conflict_cycles"])
    assert "from 0" in found.text()
    assert found.to_json()
    (change,) = found.sorted_layers()
    assert (change.before, change.after) == (0, 1)


def test_the_command_and_the_function_read_folders_and_files_alike(tmp_path: Path) -> None:
    write_report(tmp_path / "a", MANIFEST, network(), pictures=False)
    (tmp_path / "b.json").write_text(report_json(MANIFEST, network(more={"fc": 2})))
    found = gl.compare(tmp_path / "a", tmp_path / "b.json", columns=["cycles"])
    assert [(change.pair.layer, change.absolute) for change in found.sorted_layers()] == [("fc", 2)]


def test_folders_that_hold_no_run_are_refused_by_what_they_hold(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"no report\.json"):
        gl.compare(tmp_path, tmp_path)
    (tmp_path / "sweep.sqlite").write_bytes(b"")
    with pytest.raises(RequestError, match="holds a sweep, and compare takes two runs"):
        gl.compare(tmp_path, tmp_path)
    with pytest.raises(FileNotFoundError):
        gl.compare(tmp_path / "none", tmp_path)


def test_unknown_columns_devices_and_pairs_name_the_nearest() -> None:
    with pytest.raises(RequestError, match="did you mean latency_s"):
        of(network(), network(), columns=["latency"])
    with pytest.raises(RequestError, match="bound, which holds no numbers"):
        of(network(), network(), columns=["bound"])
    with pytest.raises(RequestError, match="did you mean gs-tcm"):
        of(network(), network(), devices=["gs-tcn"])
    with pytest.raises(RequestError, match=r"--pair is gs-tcm=gs-tcn, .*did you mean gs-tcm"):
        of(network(), network(), pairs={"gs-tcm": "gs-tcn"})


def test_names_with_markup_and_emoji_are_escaped_on_the_page() -> None:
    name = "<img src=x onerror=alert(1)> 🙂"
    page = of(network(layers=(name, "fc")), network(layers=(name, "fc"), more={name: 5})).html()
    assert "<img" not in page
    assert "&lt;img src=x onerror=alert(1)&gt; 🙂" in page


def test_the_chart_of_causes_has_two_bars_for_each_layer_that_moved() -> None:
    page = of(network(), network(more={"conv2": 90, "fc": 10})).html()
    (chart,) = [
        json.loads(part.split("</script>")[0])
        for part in page.split('<script type="application/json" class="chart-data">')[1:]
    ]
    assert [row["label"] for row in chart["rows"]] == ["before: conv2", "after: conv2", "before: fc", "after: fc"]
    conflict = [series["colour"] for series in chart["series"]].index("cause-conflict")
    assert chart["x"]["unit"] == "µs"
    assert [row["values"][conflict] for row in chart["rows"]] == [0, 90 / 1000, 0, 10 / 1000]


def test_files_are_the_same_for_the_same_input_and_hold_every_number_that_moved(tmp_path: Path) -> None:
    found = of(network(), network(more={"conv2": 90}))
    for name in ("one", "two"):
        assert [path.name for path in write_comparison(tmp_path / name, found)] == list(NAMES)
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in NAMES)
    with (tmp_path / "one" / "comparison.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(found.changes)
    written = json.loads((tmp_path / "one" / "comparison.json").read_text())
    assert written["totals"][0]["changes"]["cycles"] == {
        "before": 3 * CYCLES, "after": 3 * CYCLES + 90, "change": 90, "share": 90 / (3 * CYCLES),
    }  # fmt: skip


def test_ten_thousand_layers_are_compared_and_the_page_keeps_those_that_moved_most() -> None:
    names = [f"block{number}.conv" for number in range(10_000)]
    found = of(network(layers=names), network(layers=names, more={names[-1]: 40, names[0]: 3}))
    assert [change.pair.layer for change in found.sorted_layers()] == [names[-1], names[0]]
    page = found.html()
    assert "7000 more layers" in page
    assert names[-1] in page
    assert len(page.encode()) < 5_000_000


def test_a_narrow_terminal_loses_no_number() -> None:
    from gatherline.report.comparison_table import comparison_text

    text = comparison_text(of(network(), network(more={"conv2": 90})), width=50)
    assert max(len(line) for line in text.splitlines()) <= 50
    assert "+90 ns" in text


def test_a_terminal_of_40_columns_stacks_its_tables_and_loses_no_number() -> None:
    from gatherline.report.comparison_table import comparison_text

    text = comparison_text(of(network(), network(more={"conv2": 90})), width=40)
    assert max(len(line) for line in text.splitlines()) <= 40
    assert "conv2\n  1 µs -> 1.090 µs, +90 ns, +9 %\n  conflicts +90 ns" in text


def test_a_column_that_latency_does_not_show_sorts_the_layers() -> None:
    after = network()
    after[1]["cycles"] = CYCLES + 5  # as on a device whose clock is not what limits it
    found = of(network(), after)
    assert found.sort_column == "cycles"
    assert [change.pair.layer for change in found.sorted_layers()] == ["conv2"]
    assert "Layers that moved most in cycles, 1 of 1" in found.text()


def test_a_change_of_text_alone_is_a_headline_in_text_and_json() -> None:
    after = network()
    after[1]["kernel"] = "dense"
    found = of(network(), after)
    assert found.moved
    assert "In 1 layer the kernel changed: conv2 gather/scatter -> dense." in found.text()
    written = json.loads(found.to_json())
    assert [(layer["layer"], layer["texts"]) for layer in written["layers"]] == [
        ("conv2", {"kernel": {"before": "gather/scatter", "after": "dense"}})
    ]


def test_percents_have_no_exponent_whatever_their_size() -> None:
    from gatherline.report.comparison_words import share_text

    assert [share_text(share) for share in (0.0214, 1e-7, 14.6, 9.996, 73.2, 12345.0)] == [
        "+2.14 %", "+0.00001 %", "+1,460 %", "+1,000 %", "+7,320 %", "+1,234,500 %",
    ]  # fmt: skip


def test_no_bytes_are_0_B_beside_megabytes() -> None:
    after = network()
    after[-1]["weight_bytes"] = 5_000_000
    before = network()
    before[-1]["weight_bytes"] = 0
    assert re.search(r"weight values +0 B +5 MB +\+5 MB +from 0", of(before, after).text())


def test_a_model_with_a_hash_is_not_said_to_differ_by_its_path() -> None:
    moved = {**MANIFEST, "request": {"model": "/elsewhere/net.onnx", "devices": ["gs-tcm"], "dtype": "fp16"}}
    found = compare(Report(manifest=MANIFEST, rows=network()), Report(manifest=moved, rows=network()))
    assert found.differences == ()


def test_a_single_total_without_a_partner_is_not_all_of_a_network() -> None:
    lone = [row for row in network(device="zcu102") if row["layer"] == "total"]
    assert "Only in the first (1 row): total of net, gs:16,1 at 90 % on zcu102" in said(
        of([*network(), *lone], network())
    )


def test_rows_come_from_a_generator_too() -> None:
    found = compare((row for row in network()), (row for row in network(more={"fc": 2})))
    assert len(found.sorted_layers()) == 1


@pytest.mark.parametrize("value", [10**400, 10**5000, 1e308, -1e308, -(10**400)], ids=range(5))
def test_a_number_beyond_all_results_is_refused(value: float) -> None:
    rows = network()
    rows[1]["cycles"] = value
    with pytest.raises(RequestError, match=r"the second: rows\[1\]: layer 'conv2': cycles is .*below 1e300"):
        of(network(), rows)


def test_large_and_small_numbers_still_compare() -> None:
    before, after = network(), network()
    before[1]["latency_s"], after[1]["latency_s"] = 1e-299, 9e299
    found = of(before, after)
    assert found.text()
    assert found.html()
    assert found.to_json()


@pytest.mark.parametrize("option", ["rules", "columns", "devices", "patterns"])
def test_a_text_where_texts_belong_is_refused(option: str) -> None:
    with pytest.raises(RequestError, match=f"{option} is the text 'cycles > .1', and must be a list of texts"):
        of(network(), network(), **{option: "cycles > +1"})


def test_the_page_says_how_to_get_what_it_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from gatherline.report.page import compare_page

    monkeypatch.setattr(compare_page, "MOST_LAYERS", 2)
    assert "1 more layers" in of(network(), network()).html()
    assert "--out DIR</code> writes every number that moved" in of(network(), network()).html()
