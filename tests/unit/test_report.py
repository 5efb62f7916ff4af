"""A report's files, table and pictures, from rows of a plausible run. No device is simulated here."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from gatherline.report import table
from gatherline.report.columns import COLUMNS, Row, complete_row
from gatherline.report.files import older_pictures, report_json, write_report
from gatherline.report.headline import headline_facts
from gatherline.report.plain import plain
from gatherline.report.remarks import headline
from gatherline.report.selection import Variant, milliseconds, percent, printable, totals
from gatherline.report.staging import check_target
from tests.unit.report_rows import DEVICES, VARIANTS, rows_of

MANIFEST: dict[str, object] = {"version": "0.1.0", "seed": 0, "packages": {"numpy": "2.4"}}
CONTRACT = """
model, layer, kind, m, k, p, groups, pattern, sparsity_target, density, device, device_kind, model_kind,
latency_s, cycles, compute_cycles, gather_cycles, conflict_cycles, stall_cycles, macs_dense, macs_effectual,
macs_issued, weight_bytes, index_bytes, activation_bytes, dram_bytes, scratchpad_bytes, energy_pj, bound,
utilization, mapping, dtype, batch, threads, encoding, kernel, latency_low_s, latency_high_s, validated,
synthetic, extrapolated, reason
"""


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return rows_of()


@pytest.fixture(scope="module")
def few() -> list[Row]:
    return rows_of((("dense", None), ("gs:16,1", 0.9)))


def printed(rows: list[Row]) -> str:
    stream = io.StringIO()
    table.print_report(rows, stream)
    return stream.getvalue()


def test_the_columns_are_those_of_the_contract_in_its_order_and_then_more() -> None:
    contract = tuple(name.strip() for name in CONTRACT.split(","))
    assert COLUMNS[: len(contract)] == contract
    assert COLUMNS[len(contract)] == "peak_memory_bytes"
    assert len(set(COLUMNS)) == len(COLUMNS)


def test_a_row_with_a_column_that_does_not_exist_is_refused() -> None:
    with pytest.raises(KeyError, match="latency_ms"):
        complete_row({"model": "x", "latency_ms": 1.0})


def test_csv_sqlite_and_json_hold_the_same_rows(few: list[Row], tmp_path: Path) -> None:
    write_report(tmp_path / "out", MANIFEST, few, pictures=False)
    with (tmp_path / "out/rows.csv").open(newline="") as file:
        from_csv = list(csv.DictReader(file))
    database = sqlite3.connect(tmp_path / "out/rows.sqlite")
    from_sql = database.execute("SELECT * FROM rows").fetchall()
    database.close()
    from_json = json.loads((tmp_path / "out/report.json").read_text())["rows"]
    assert len(from_csv) == len(from_sql) == len(from_json) == len(few)
    for row, csv_row, sql_row, json_row in zip(few, from_csv, from_sql, from_json, strict=True):
        assert json_row == row
        assert list(sql_row) == list(row.values())
        assert list(csv_row.values()) == ["" if value is None else str(value) for value in row.values()]


def test_whole_numbers_stay_whole_in_every_file(tmp_path: Path) -> None:
    row = complete_row({"layer": "total", "cycles": 2**53 + 1, "latency_s": 0.1})
    write_report(tmp_path, MANIFEST, [row, complete_row({"layer": "a"})], pictures=False)
    assert str(2**53 + 1) in (tmp_path / "rows.csv").read_text()
    database = sqlite3.connect(tmp_path / "rows.sqlite")
    assert database.execute("SELECT cycles, typeof(latency_s) FROM rows").fetchall() == [
        (2**53 + 1, "real"),
        (None, "null"),
    ]
    database.close()


def test_the_manifest_is_a_file_and_a_table(few: list[Row], tmp_path: Path) -> None:
    write_report(tmp_path, MANIFEST, few, pictures=False)
    assert json.loads((tmp_path / "manifest.json").read_text()) == MANIFEST
    database = sqlite3.connect(tmp_path / "rows.sqlite")
    stored = dict(database.execute("SELECT key, value FROM manifest").fetchall())
    database.close()
    assert stored["schema"] == "1"
    assert {key: json.loads(stored[key]) for key in MANIFEST} == MANIFEST


def test_json_is_strict_where_a_value_is_not_finite_or_from_numpy() -> None:
    text = report_json({"a": math.nan}, [{"x": np.float64(math.inf), "y": np.int64(3), "z": np.bool_(True)}])

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    parsed = json.loads(text, parse_constant=refuse)
    assert parsed == {"schema": 1, "manifest": {"a": None}, "rows": [{"x": None, "y": 3, "z": True}]}
    assert text.isascii()


def test_a_value_that_json_has_no_form_for_is_an_error() -> None:
    with pytest.raises(TypeError, match="set"):
        plain({"devices": {1, 2}})


def test_the_same_rows_give_the_same_bytes(few: list[Row], tmp_path: Path) -> None:
    one = write_report(tmp_path / "one", MANIFEST, few)
    two = write_report(tmp_path / "two", MANIFEST, few)
    assert [path.name for path in one] == [path.name for path in two]
    for first, second in zip(one, two, strict=True):
        assert first.read_bytes() == second.read_bytes(), first.name


def test_a_second_report_replaces_its_own_files_and_touches_no_other(few: list[Row], tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "rows.csv").write_text("old")
    written = write_report(tmp_path, MANIFEST, few, pictures=False)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (tmp_path / "rows.csv").read_text().startswith("model,layer,")
    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", *(path.name for path in written)}


def test_a_report_that_fails_midway_leaves_nothing(few: list[Row], tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old/rows.csv").write_text("old")
    for folder in (tmp_path / "new", tmp_path / "old"):
        with pytest.raises(TypeError):  # found when the manifest is written, after the rows
            write_report(folder, {"devices": object()}, few, pictures=False)
    assert not (tmp_path / "new").exists()
    assert [path.name for path in (tmp_path / "old").iterdir()] == ["rows.csv"]
    assert (tmp_path / "old/rows.csv").read_text() == "old"


def test_a_file_where_the_folder_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    for target in (tmp_path / "out", tmp_path / "out/below"):
        with pytest.raises(NotADirectoryError, match="not a folder"):
            check_target(target)
    assert (tmp_path / "out").read_text() == "a file"


def test_pictures_of_an_earlier_run_are_named(few: list[Row], tmp_path: Path) -> None:
    for name in ("heatmap-other.png", "photo.png"):
        (tmp_path / name).write_bytes(b"")
    written = write_report(tmp_path, MANIFEST, few, pictures=False)
    assert older_pictures(tmp_path, written) == ["heatmap-other.png"]


def test_every_device_gets_three_pictures_that_are_png(rows: list[Row], tmp_path: Path) -> None:
    written = write_report(tmp_path, MANIFEST, rows)
    pictures = {path.name for path in written if path.suffix == ".png"}
    assert pictures == {f"{kind}-{device}.png" for kind in ("layers", "heatmap", "roofline") for device in DEVICES}
    for name in pictures:
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_a_picture_without_anything_to_show_is_not_drawn(tmp_path: Path) -> None:
    written = write_report(tmp_path, MANIFEST, rows_of((("dense", None),)))
    assert not [path.name for path in written if path.name.startswith("heatmap-")]
    assert [path.name for path in written if path.name.startswith("layers-")]


def test_names_from_a_model_file_break_neither_pictures_nor_paths(tmp_path: Path) -> None:
    rows = [row | {"device": "../up $x^", "layer": f"$\\bad{{{row['layer']}"} for row in rows_of((("gs:16,1", 0.9),))]
    for row in rows:
        if str(row["layer"]).endswith("total"):
            row["layer"] = "total"
    for path in write_report(tmp_path / "out", MANIFEST, rows):
        assert path.parent == tmp_path / "out"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_layer_picture_shows_the_slowest_layers_only() -> None:
    from gatherline.report.plots import SHOWN_LAYERS, layer_bars

    rows = [row for row in rows_of() if row["device"] == "gs-tcm"]
    figure = layer_bars(rows)
    assert figure is not None
    (axes,) = figure.axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert len(names) == SHOWN_LAYERS
    dense = {row["layer"]: row["latency_s"] for row in rows if row["pattern"] == "dense" and row["layer"] != "total"}
    assert max(dense, key=lambda name: dense[name]) in names  # type: ignore[arg-type, return-value]
    assert names == [name for name in dense if name in names]  # in network order


def test_no_point_of_a_roofline_lies_above_its_roofs() -> None:
    from gatherline.report.plots import roofline

    for device, (_, _, peak, bandwidth) in DEVICES.items():
        figure = roofline([row for row in rows_of() if row["device"] == device])
        assert figure is not None
        (axes,) = figure.axes
        points = np.concatenate([np.asarray(drawn.get_offsets()) for drawn in axes.collections])
        assert len(points)
        roof = np.minimum(peak, points[:, 0] * bandwidth)
        assert (points[:, 1] <= roof * (1 + 1e-9)).all()
        drawn_roof = max(float(np.max(line.get_ydata())) for line in axes.lines)
        assert drawn_roof == peak


def test_names_in_a_roofline_cover_neither_points_nor_each_other() -> None:
    from gatherline.report.plots import roofline

    figure = roofline([row for row in rows_of() if row["device"] == "gs-tcm"])
    assert figure is not None
    (axes,) = figure.axes
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) >= 2
    assert all(not one.overlaps(other) for index, one in enumerate(boxes) for other in boxes[index + 1 :])
    pixels = [axes.transData.transform(point) for drawn in axes.collections for point in drawn.get_offsets()]
    assert not any(box.contains(x, y) for box in boxes for x, y in pixels)


def test_the_table_has_a_line_for_each_device_pattern_and_level(rows: list[Row]) -> None:
    lines = printed(rows).splitlines()
    for pattern, sparsity in VARIANTS:
        start = rf"{re.escape(pattern)} +{'-' if sparsity is None else f'{sparsity * 100:.0f} %'} "
        assert len([line for line in lines if re.match(start, line)]) == len(DEVICES), start


def test_the_table_says_real_density_speed_up_and_whose_weights(few: list[Row]) -> None:
    text = printed(few)
    dense, pruned = (row for row in totals(few) if row["device"] == "gs-tcm")
    line = next(line for line in text.splitlines() if line.startswith("gs:16,1"))
    assert f"{pruned['density']:.4f}" in line
    assert f"{dense['latency_s'] / pruned['latency_s']:.2f}x" in line  # type: ignore[operator]
    assert f"{pruned['cycles']:,}" in line
    assert "synthetic" in text


def test_piped_text_has_no_escape_codes_and_wraps_nothing(rows: list[Row]) -> None:
    text = printed(rows)
    assert "\x1b" not in text
    assert text.isascii()


def test_the_headline_names_the_fastest_variant_of_each_device(rows: list[Row]) -> None:
    lines = [headline(one) for one in headline_facts(rows)]
    for device, line in zip(DEVICES, lines, strict=True):
        best = min((row for row in totals(rows) if row["device"] == device), key=lambda row: row["latency_s"])  # type: ignore[arg-type, return-value]
        assert line.startswith(f"{device}: fastest ")
        assert f"{best['pattern']} at 90 %" in line  # alone, or among those alike


def test_the_headline_says_so_where_pruning_gains_nothing() -> None:
    rows = rows_of((("dense", None), ("unstructured", 0.5)))
    assert headline(headline_facts(rows)[0]).startswith("gs-tcm: nothing that was tried is faster than dense")


def test_an_unsupported_layer_is_named_under_the_table(few: list[Row]) -> None:
    odd = complete_row(dict(few[0]) | {"layer": "nms", "kind": "unsupported", "reason": "operator NonMaxSuppression"})
    assert "NOT COUNTED: nms: operator NonMaxSuppression" in printed([odd, *few])


def test_a_reason_is_told_once_with_the_layers_it_is_about(few: list[Row]) -> None:
    told = [dict(row) | {"reason": "no kernel: runs dense"} if row["layer"] != "total" else row for row in few]
    lines = [line for line in printed(told).splitlines() if "no kernel: runs dense" in line]
    assert lines == [
        "gs-tcm, snapdragon-855: no kernel: runs dense: 54 layers (conv1, layer1.0.conv1, layer1.0.conv2, ...)"
    ]


def test_notes_of_layers_without_weights_are_counted_not_listed(few: list[Row]) -> None:
    fused = [
        complete_row(dict(few[0]) | {"layer": f"relu{i}", "density": None, "reason": f"fused {i}"}) for i in range(5)
    ]
    text = printed([*few, *fused])
    assert "fused" not in text
    assert "5 layers (relu0, relu1, relu2, ...) without weights have a note" in text


def test_a_run_without_dense_says_how_to_get_a_speed_up() -> None:
    assert "--pattern dense" in printed(rows_of((("gs:16,1", 0.9),)))
    assert "--pattern dense" not in printed(rows_of((("dense", None), ("gs:16,1", 0.9))))


def test_text_from_a_model_file_stays_on_its_line_and_drives_no_terminal() -> None:
    assert printable("a\n\x1b[31mb\t c") == "a \\x1b[31mb c"


def test_brackets_in_a_name_are_shown_not_read_as_markup(few: list[Row]) -> None:
    renamed = [dict(row) | {"model": "net[bold]"} for row in few]
    assert "net[bold] (synthetic weights) on gs-tcm" in printed(renamed)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (1.23456, "1,235"),
        (0.0123456, "12.3"),
        (0.00123456, "1.23"),
        (1.23456e-4, "0.123"),
        (6e-6, "0.00600"),
        (1e-9, "1e-06"),
        (None, "-"),
    ],
)
def test_a_time_keeps_three_digits(seconds: float | None, shown: str) -> None:
    assert milliseconds(seconds) == shown


def test_a_variant_reads_as_the_user_asked_for_it() -> None:
    assert Variant(pattern="gs:16,1", sparsity=0.9).label == "gs:16,1 at 90 %"
    assert Variant(pattern="dense", sparsity=None).label == "dense"
    assert Variant(pattern="unstructured", sparsity=None).label == "unstructured (own zeros)"
    assert percent(0.955) == "95.5 %"


@pytest.mark.parametrize("width", [120, 100, 80])
def test_a_terminal_shows_whole_numbers_or_drops_the_column_and_says_so(few: list[Row], width: int) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=width)
    table.print_totals([row for row in totals(few) if row["device"] == "gs-tcm"], console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    pruned = totals(few)[1]
    line = next(line for line in text.splitlines() if line.startswith("gs:16,1"))
    assert f"{pruned['density']:.4f}" in line
    assert f"{pruned['weight_slots'] / 1e6:.2f}M" in line  # type: ignore[operator]
    assert (f"{pruned['cycles']:,}" in line) != ("Too narrow for: cycles" in text)
    assert "\u2026" not in text
