"""The page of a run says what the rows say, for every device and variant, and nothing that a name in them makes up."""

from __future__ import annotations

import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import gatherline as gl
from gatherline.cli import main
from gatherline.report.files import report_json
from gatherline.report.page.run_page import run_page
from gatherline.report.selection import milliseconds
from gatherline.request_error import RequestError
from tests.unit.report_rows import DEVICES, VARIANTS, rows_of

Row = dict[str, Any]
ROWS: list[Row] = rows_of()
MANIFEST: dict[str, Any] = {
    "version": "0.1.0",
    "seed": 0,
    "model": "resnet50",
    "model_hash": "ab" * 32,
    "model_macs": 4_089_184_256,
    "synthetic": True,
    "devices": {name: {"hash": "cd" * 32, "summary": f"what {name} is"} for name in DEVICES},
    "request": {
        "model": "resnet50",
        "patterns": ["dense", "unstructured", "gs:16,1", "block:1x16"],
        "sparsities": [0.5, 0.8, 0.9],
        "devices": list(DEVICES),
        "seed": 0,
        "prune_all": False,
        "dtype": "fp16",
    },
    "complete": True,
}
VOID = {"meta", "input", "br", "img", "link", "hr"}


class Page(HTMLParser):
    """Elements that are open, ids, texts by section, data of charts: and a complaint for what does not nest."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[tuple[str, dict[str, str | None]]] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.texts: dict[str, str] = {}
        self.tags: list[str] = []
        self.headers_without_scope = 0
        self.images_without_text = 0
        self.charts: list[dict[str, Any]] = []
        self.choices: dict[str, Any] = {}
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        if found.get("id"):
            self.ids.append(str(found["id"]))
        if tag == "a":
            self.links.append(str(found.get("href")))
        self.headers_without_scope += tag == "th" and "scope" not in found
        self.images_without_text += tag == "img" and not found.get("alt")
        assert not any(name.startswith("on") for name in found), found
        if tag not in VOID:
            self.open.append((tag, found))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"{tag} ends and was not open"
        opened, _ = self.open.pop()
        assert opened == tag, f"{opened} is ended by {tag}"

    def handle_data(self, data: str) -> None:
        tag, found = self.open[-1] if self.open else ("", {})
        if tag == "script":
            if found.get("class") == "chart-data":
                self.charts.append(json.loads(data))
            if found.get("id") == "choices-data":
                self.choices = json.loads(data)
            return
        section = next((str(one["id"]) for name, one in self.open if name == "section" and one.get("id")), "")
        self.texts[section] = self.texts.get(section, "") + " " + " ".join(data.split())

    def text(self, section: str) -> str:
        return " ".join(self.texts[section].split())


def written(folder: Path, rows: list[Row], **manifest: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(report_json({**MANIFEST, **manifest}, rows), encoding="utf-8")
    return folder


def totals(rows: list[Row], device: str) -> list[Row]:
    return [row for row in rows if row["layer"] == "total" and row["device"] == device]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("run"), ROWS)


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page(run_page(folder))


def test_sections_stand_in_the_order_of_questions(page: Page) -> None:
    asked = ["headline", "heat", "layers", "no-faster", "trust", "break-even", "pareto", "memory", "masks", "totals"]
    asked += ["words", "manifest"]
    assert [one for one in page.ids if one in asked] == asked


def test_every_link_has_its_end_and_every_id_is_one(page: Page) -> None:
    assert len(set(page.ids)) == len(page.ids)
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)


def test_headers_have_a_scope_and_pictures_a_text(page: Page) -> None:
    assert page.headers_without_scope == 0
    assert page.images_without_text == 0


def test_the_card_of_a_device_names_its_fastest_total_and_the_speed_up(page: Page) -> None:
    text = page.text("headline")
    for device in DEVICES:
        of_this = totals(ROWS, device)
        best = min(of_this, key=lambda row: row["latency_s"])
        dense = next(row for row in of_this if row["pattern"] == "dense")
        assert f"{best['pattern']}, {best['sparsity_target']:.0%} removed".replace("%", " %") in text
        assert f"{dense['latency_s'] / best['latency_s']:.2f}× as fast as dense" in text
        assert f"what {device} is" in text
    assert "Synthetic weights." in text
    assert "not validated" in text


def test_who_can_remove_no_more_than_a_limit_is_not_led_beyond_it(tmp_path: Path) -> None:
    rows = [dict(row) for row in ROWS if row["device"] == "gs-tcm" and row["pattern"] in ("dense", "gs:16,1")]
    for row in rows:
        if row["pattern"] == "gs:16,1" and row["layer"] == "total":
            row["sparsity_reached"] = 1.0 - (1.0 - row["sparsity_target"]) ** 2  # as channels: more than was asked
    found = Page(run_page(written(tmp_path, rows)))
    text = found.text("headline")
    assert "up to 50 % removed up to 80 % removed up to 90 % removed no limit" in text
    assert re.search(
        r"up to 50 % dense all else removes more [\d.]+ ms", text
    )  # what was asked for half removes 3 of 4
    assert re.search(r"up to 80 % [\d.]+× gs:16,1, 75 % removed \(50 % asked\)", text)
    assert re.search(r"no limit [\d.]+× gs:16,1, 99 % removed \(90 % asked\)", text)
    assert found.choices == {
        "devices": ["gs-tcm"],
        "limits": [0.5, 0.8, 0.9],
        "preset": 1,
        "best": [[{"pattern": "dense", "sparsity": None}, *[{"pattern": "gs:16,1", "sparsity": 0.5}] * 2]],
    }


def test_a_run_of_one_sparsity_has_no_limits_to_choose_from(tmp_path: Path) -> None:
    rows = [row for row in ROWS if row["sparsity_target"] in (None, 0.9)]
    found = Page(run_page(written(tmp_path, rows)))
    assert "can remove" not in found.text("headline")
    assert found.choices["limits"] == [1.0]
    assert [len(one) for one in found.choices["best"]] == [1] * len(DEVICES)


def test_units_of_one_chip_are_titled_by_what_they_are(tmp_path: Path) -> None:
    names = {"gs-tcm": "chip-cpu", "snapdragon-855": "chip-gpu"}
    summaries = {"chip-cpu": "Chip 9 CPU: 4 cores; a kernel", "chip-gpu": "Shader 7 GPU (Chip 9); another"}
    rows = [{**row, "device": names[row["device"]]} for row in ROWS]
    for of_one, titled in ((summaries, True), ({**summaries, "chip-gpu": "Shader 7 GPU (Chip 8)"}, False)):
        facts = {name: {"hash": "x", "summary": summary} for name, summary in of_one.items()}
        text = Page(run_page(written(tmp_path, rows, devices=facts))).text("headline")
        assert ("Shader 7 GPU (Chip 9) chip-gpu" in text) is titled
        assert ("Chip 9 CPU chip-cpu" in text) is titled


def test_a_hostile_name_does_not_end_the_data_of_choices(tmp_path: Path) -> None:
    hostile = "</script><b>"
    found = Page(run_page(written(tmp_path, [{**row, "device": hostile} for row in ROWS if row["device"] == "gs-tcm"])))
    assert found.choices["devices"] == [hostile]


def test_each_cell_of_the_heat_map_has_its_speed_up_and_its_time(page: Page) -> None:
    text = page.text("heat")
    for device in DEVICES:
        of_this = totals(ROWS, device)
        dense = next(row for row in of_this if row["pattern"] == "dense")
        for row in of_this:
            if row["pattern"] != "dense":
                gain = dense["latency_s"] / row["latency_s"]
                assert (f"{gain:.2f}×" if gain > 1 else f"{1 / gain:.2f}× slower") in text
                assert f"removes {100 * row['sparsity_target']:.0f} %" in text
    assert text.count("asked for") == len(DEVICES) * len(MANIFEST["request"]["sparsities"])


def test_the_totals_table_has_every_total(page: Page) -> None:
    text = page.text("totals")
    for device in DEVICES:
        for row in totals(ROWS, device):
            assert milliseconds(row["latency_s"]) in text
    assert text.count("not validated") == len(DEVICES) * len(VARIANTS)


def test_charts_hold_the_numbers_of_the_rows(page: Page) -> None:
    curves = next(one for one in page.charts if one["title"] == "Latency against density on gs-tcm")
    unit = {"ms": 1e-3, "s": 1.0, "µs": 1e-6}[curves["y"]["unit"]]
    of_this = totals(ROWS, "gs-tcm")
    for series in curves["series"]:
        expected = sorted(
            (row["density"], row["latency_s"] / unit) for row in of_this if row["pattern"] == series["name"]
        )
        found = [(point[0], point[1]) for point in series["points"]]
        assert found == [pytest.approx(pair, rel=1e-4) for pair in expected]
    dense = next(row for row in of_this if row["pattern"] == "dense")
    assert curves["levels"] == [{"y": pytest.approx(dense["latency_s"] / unit, rel=1e-4), "label": "dense"}]


def test_layers_that_are_no_faster_are_told_with_both_times(tmp_path: Path) -> None:
    rows = [dict(row) for row in ROWS if row["device"] == "gs-tcm" and row["pattern"] in ("dense", "gs:16,1")]
    for row in rows:
        row["layer_pattern"] = None if row["layer"] == "total" else row["pattern"] if row["density"] < 1 else "dense"
    dense = {row["layer"]: row for row in rows if row["pattern"] == "dense"}
    slow = next(row for row in rows if row["pattern"] == "gs:16,1" and row["layer"] == "layer1.0.conv1")
    slow |= {"latency_s": dense[slow["layer"]]["latency_s"] + 1e-3, "reason": "banks are full"}
    slow |= {"time_compute_s": 1e-3, "time_conflict_s": slow["latency_s"] - 1e-3}
    dense[slow["layer"]] |= {"time_compute_s": dense[slow["layer"]]["latency_s"], "time_conflict_s": 0.0}
    text = Page(run_page(written(tmp_path, rows))).text("no-faster")
    times = f"{milliseconds(dense[slow['layer']]['latency_s'])} {milliseconds(slow['latency_s'])}"
    assert f"layer1.0.conv1 {times} +1.00" in text
    assert "banks are full" in text
    assert f"conflicts +{milliseconds(slow['time_conflict_s'])} ms" in text


def test_the_command_that_repeats_the_run_stands_in_the_manifest(page: Page) -> None:
    text = page.text("manifest")
    assert "simulate run resnet50 --pattern dense --pattern unstructured --pattern gs:16,1 --pattern block:1x16" in text
    assert MANIFEST["model_hash"] in text


def test_the_same_folder_gives_the_same_bytes(folder: Path) -> None:
    assert run_page(folder) == run_page(folder)


def test_nothing_is_fetched(folder: Path) -> None:
    text = run_page(folder)
    assert not re.search(r"(src|href)=[\"']?(https?:|//)", text)
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)


def test_names_are_escaped_wherever_they_stand(tmp_path: Path) -> None:
    hostile = "<img src=x onerror=alert(1)></script><b>☃\u202e\x07"
    rows = [{**row, "pattern": row["pattern"].replace("unstructured", hostile)} for row in ROWS]
    rows = [{**row, "layer": hostile if row["layer"] == "conv1" else row["layer"], "model": hostile} for row in rows]
    rows = [{**row, "device": hostile if row["device"] == "gs-tcm" else row["device"]} for row in rows]
    facts = {"hash": "x", "summary": hostile}
    text = run_page(
        written(tmp_path, rows, model=hostile, model_source=hostile, devices={hostile: facts, "snapdragon-855": facts})
    )
    found = Page(text)
    assert "b" not in found.tags
    assert found.images_without_text == 0
    assert "<img src=x" not in text
    assert "\u202e" not in text
    assert "\x07" not in text


def test_a_run_that_was_stopped_says_what_is_missing(tmp_path: Path) -> None:
    rows = [row for row in ROWS if (row["device"], row["pattern"]) != ("gs-tcm", "block:1x16")]
    text = Page(run_page(written(tmp_path, rows, complete=False))).text("headline").replace(" ;", ";")
    assert "This run was stopped before its end." in text
    assert "gs-tcm: block:1x16 at 50 %; gs-tcm: block:1x16 at 80 %; gs-tcm: block:1x16 at 90 %" in text


def test_a_run_without_dense_tells_that_speed_ups_need_it(tmp_path: Path) -> None:
    text = Page(run_page(written(tmp_path, [row for row in ROWS if row["pattern"] != "dense"]))).text("headline")
    assert "The dense network was not run on gs-tcm, snapdragon-855" in text
    assert "as fast as dense" not in text


def test_patterns_that_all_lose_are_told_first(tmp_path: Path) -> None:
    rows = [
        {**row, "latency_s": row["latency_s"] * (1 if row["pattern"] == "dense" else 100)}
        for row in ROWS
        if row["device"] == "gs-tcm"
    ]
    text = Page(run_page(written(tmp_path, rows))).text("headline")
    assert "Nothing that was tried beats dense on gs-tcm." in text
    assert "Nothing beats dense here" in text


def test_variants_that_are_as_fast_as_the_fastest_are_counted(tmp_path: Path) -> None:
    rows = [{**row, "latency_s": 1e-3} for row in ROWS if row["device"] == "gs-tcm" and row["pattern"] != "dense"]
    text = Page(run_page(written(tmp_path, rows))).text("headline")
    assert f"unstructured, 50 % removed and {len(VARIANTS) - 2} alike" in text


@pytest.mark.parametrize(
    "rows",
    [
        [next(row for row in ROWS if row["layer"] == "total")],
        [ROWS[0]],
        [{**row, "latency_s": 0.0} for row in ROWS[:120]],
        [{**row, "density": None, "peak_memory_bytes": None, "macs_effectual": 0} for row in ROWS[:120]],
    ],
    ids=["one total", "one layer", "no time at all", "little that is known"],
)
def test_scarce_rows_still_make_a_page(tmp_path: Path, rows: list[Row]) -> None:
    found = Page(run_page(written(tmp_path, rows)))
    assert "headline" in found.ids


def test_error_bands_that_overlap_are_told(tmp_path: Path) -> None:
    rows = [
        {**row, "latency_low_s": row["latency_s"] / 4, "latency_high_s": row["latency_s"] * 4, "validated": "by a test"}
        for row in ROWS
    ]
    found = Page(run_page(written(tmp_path, rows)))
    assert "may be no faster : the band of dense overlaps it" in found.text("headline")
    assert f"{len(VARIANTS)} of {len(VARIANTS)}" in found.text("trust")


def test_break_evens_that_advise_solved_are_shown_for_the_same_model_only(tmp_path: Path) -> None:
    folder = written(tmp_path, ROWS)
    answer = {"layer": "total", "device": "gs-tcm", "pattern": "gs:16,1", "verdict": "below", "density": 0.625}
    for its_hash, told in ((MANIFEST["model_hash"], True), ("ef" * 32, False)):
        answers = {"schema": 1, "manifest": {"model_hash": its_hash}, "rows": [answer]}
        (folder / "break-even.json").write_text(json.dumps(answers))
        found = Page(run_page(folder))
        assert ("below, density 0.625" in found.text("break-even")) is told
        assert ("is of another model" in found.text("no-faster")) is not told


def test_answers_that_are_none_are_refused_by_name(tmp_path: Path) -> None:
    folder = written(tmp_path, ROWS)
    (folder / "why.json").write_text('{"rows": 3}')
    with pytest.raises(RequestError, match=r"why\.json: not an answer that simulate advise wrote"):
        run_page(folder)


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    return int(stopped.value.code or 0)


def test_the_command_writes_the_page_and_says_where(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("report", str(folder)) == 0
    path = folder / "report.html"
    assert path.read_text(encoding="utf-8") == run_page(folder)
    assert f"wrote {path} ({path.stat().st_size / 1e6:.2f} MB)" in capsys.readouterr().out


def test_the_api_writes_the_same_page(folder: Path, tmp_path: Path) -> None:
    found = gl.html_report(folder, tmp_path / "new" / "page.html")
    assert found.read_text(encoding="utf-8") == run_page(folder)
    assert os.listdir(found.parent) == ["page.html"]


def test_a_folder_that_is_none_of_ours_is_refused_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "report.json").write_text('{"schema": 1, "manifest": {}, "rows": [{"a": Infinity}]}')
    for place, rule in (
        (tmp_path, "Infinity is no finite number"),
        (tmp_path / "nothing", "there is no such folder"),
        (tmp_path / "report.json", "is not a folder"),
    ):
        assert call("report", str(place), "-o", str(tmp_path / "page.html")) == 2
        assert rule in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["report.json"]


def test_a_target_that_cannot_be_written_leaves_what_is_there(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    assert call("report", str(folder), "-o", str(tmp_path / "file" / "page.html")) == 2
    assert call("report", str(folder), "-o", str(tmp_path)) == 2
    assert "is a folder" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"
    assert os.listdir(tmp_path) == ["file"]
