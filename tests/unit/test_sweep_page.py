"""The page of a sweep: what it says of points, fronts, constraints and refusals, for good sweeps and for odd ones."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Mapping, Sequence
from html import unescape
from pathlib import Path

import pytest

from gatherline.report.page.sweep_constraints import constraints
from gatherline.report.page.sweep_distinct import ALIKE
from gatherline.report.page.sweep_effects import effects
from gatherline.report.page.sweep_found import read_sweep
from gatherline.report.page.sweep_front import front_chart, member_table
from gatherline.report.page.sweep_headline import by_device
from gatherline.report.page.sweep_heat import heat_maps
from gatherline.report.page.sweep_limits import FULL, MOST_BYTES
from gatherline.report.page.sweep_page import sweep_page
from gatherline.report.page.sweep_parallel import parallel
from gatherline.report.page.sweep_points import points_table, refused_table
from gatherline.request import device_named
from gatherline.request_error import RequestError
from gatherline.sweep.columns import point_row
from gatherline.sweep.front import Fate
from gatherline.sweep.store import Member, Store
from gatherline.sweep.store_file import FILE

Values = Mapping[str, object]
TWO = '[objectives]\nlatency_s = "min"\nkept_l1 = "max"\n'


def stored(folder: Path, points: Sequence[Values], spec: str = TWO, *, name: str = "banks", whole: int = 0) -> Path:
    """Store points of gs:16,1 at 90 % on gs-tcm unless they say otherwise; keys with a dot are fields."""
    with Store.open(folder) as store:
        bases = {device: store.know_base(device_named(device)) for device in ("gs-tcm", "raspberry-pi-4")}
        store.add_field_columns(["gather.window", "scratchpad.banks"])
        sweep = store.begin("digest", name=name, spec=spec, version="1", points=whole or len(points))
        rows = []
        for number, point in enumerate(points):
            device = str(point.get("device", "gs-tcm"))
            rows.append(
                point_row(
                    {
                        "key": f"{number:064d}", "model": "net", "pattern": "gs:16,1", "sparsity_target": 0.9,
                        "sparsity_reached": point.get("sparsity_target", 0.9), "device": device,
                        "device_hash": bases.get(device, bases["gs-tcm"]), "dtype": "fp16",
                        "model_kind": "cycle" if device == "gs-tcm" else "roofline",
                        "fields": json.dumps({path: value for path, value in point.items() if "." in path}),
                        **{path: value for path, value in point.items() if "." not in path},
                    }
                )
            )  # fmt: skip
        store.add(sweep, rows, [Member(number=at, key=str(row["key"])) for at, row in enumerate(rows)])
    return folder


def bend(count: int) -> list[Values]:
    """Return points each of which is slower than the last and keeps more: all are on the front, and it bends."""
    return [
        {"latency_s": 1e-3 * (1 + at**2), "kept_l1": 0.5 + 0.4 * (1 - 0.5**at), "gather.window": 1 + at}
        for at in range(count)
    ]


def words(page: str) -> str:
    """Return the text of a page's content as a reader sees it, on one line."""
    main = page[page.index('<main id="main">') : page.index("</main>")]
    bare = re.sub(r"<(script|style)\b.*?</\1>", " ", main, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", bare)).split())


def charts(page: str) -> list[dict[str, object]]:
    found = re.findall(r'<script type="application/json" class="chart-data">(.*?)</script>', page, re.DOTALL)
    return [json.loads(text) for text in found]


def test_the_page_begins_with_the_best_points_their_figures_and_that_they_are_not_validated(tmp_path: Path) -> None:
    text = words(sweep_page(stored(tmp_path, bend(4))))
    assert text.startswith(("Without scripts", "Sweep banks"))
    assert "4 points, method grid: 4 with numbers, 0 refused." in text
    assert "Fastest gs:16,1 at 90 % on gs-tcm, gather.window 1 latency 1 ms not validated kept L1 50 %" in text
    assert f"Most kept L1 gs:16,1 at 90 % on gs-tcm, gather.window 4 latency {1 + 3**2} ms" in text
    assert "Knee gs:16,1" in text


def test_a_validated_latency_has_its_band(tmp_path: Path) -> None:
    point = {"latency_s": 2e-3, "latency_low_s": 1e-3, "latency_high_s": 4e-3, "validated": True, "kept_l1": 0.5}
    text = words(sweep_page(stored(tmp_path, [point])))
    assert "latency 2 ms band 1 to 4 ms" in text
    assert "not validated" not in text


def test_each_device_has_its_own_choice_and_its_speed_beside_dense(tmp_path: Path) -> None:
    dense = {"pattern": "dense", "sparsity_target": None, "kept_l1": 1.0}
    found = read_sweep(
        stored(
            tmp_path,
            [
                {**dense, "latency_s": 4e-3},
                {"latency_s": 1e-3, "kept_l1": 0.5},
                {**dense, "latency_s": 9e-3, "device": "raspberry-pi-4"},
                {"latency_s": 6e-3, "kept_l1": 0.5, "device": "raspberry-pi-4"},
            ],
        )
    )
    table = by_device(found)
    assert table is not None
    rows = [[cell.text for cell in row] for row in table.rows]
    titles = [head.title for head in table.heads]
    gains = {(row[0], row[1]): row[titles.index("beside dense")] for row in rows}
    assert gains["gs-tcm", "Fastest"] == f"{4 / 1:.2f}×"
    assert gains["raspberry-pi-4", "Fastest"] == f"{9 / 6:.2f}×"
    assert gains["gs-tcm", "Most kept L1"] == "-"  # dense beside itself


def test_points_that_tie_are_told_with_what_differs(tmp_path: Path) -> None:
    tied = [{"latency_s": 1e-3, "kept_l1": 0.5, "pattern": name} for name in ("gs:16,1", "block:4x4", "unstructured")]
    assert "2 more points with the same figures, of other pattern" in words(sweep_page(stored(tmp_path, tied)))


def test_constraints_say_how_many_keep_them_and_the_nearest_misses(tmp_path: Path) -> None:
    spec = TWO + '[constraints]\nlatency_s = { most = "4 ms" }\n'
    found = read_sweep(stored(tmp_path, bend(4), spec))  # 1, 2, 5 and 10 ms
    table = constraints(found)
    assert table is not None
    ((said, kept, broken, without, misses),) = table.rows
    assert (said.text, kept.text, broken.text, without.text) == ("latency at most 4 ms", "2", "2", "0")
    first, second = misses.text.split("; ")
    assert first.startswith(f"5 ms ({100 * (5 - 4) / 4:g} % beyond)")
    assert second.startswith(f"10 ms ({100 * (10 - 4) / 4:g} % beyond)")


def test_counts_of_points_that_lack_a_figure_meet_those_of_constraints_and_no_such_point_is_a_miss(
    tmp_path: Path,
) -> None:
    spec = TWO + '[constraints]\nlatency_s = { most = "4 ms" }\n'
    lacking = [{"latency_s": seconds, "kept_l1": None} for seconds in (4.1e-3, 1e-3)]
    table = constraints(read_sweep(stored(tmp_path, [*bend(4), *lacking], spec)))  # bend: 1, 2, 5 and 10 ms
    assert table is not None
    ((_, kept, broken, _, misses),) = table.rows
    assert (kept.text, broken.text) == (str(2 + 1), str(2 + 1))
    assert misses.text.startswith("5 ms")  # 4.1 ms could not be chosen
    text = words(sweep_page(tmp_path))
    assert "2 without one of the figures asked for (1 of these breaks a constraint, too), 2 more that break" in text
    assert "3 of 6 points with numbers keep to all of them. 2 of these have all figures" in text
    assert "1 of those that break one lack such a figure, too" in text


def test_figures_that_print_alike_are_equal_and_make_no_knee(tmp_path: Path) -> None:
    """Three points that differ by rounding of kept L1, which alone would bend the front."""
    points = [{"latency_s": 1e-3 * (1 + at), "kept_l1": 0.99999998 + at * 1e-8} for at in range(3)]
    found = read_sweep(stored(tmp_path, points))
    front = found.parts[0].front
    assert front is not None
    assert [int(front.points.numbers[member]) for member in front.members] == [0]
    assert front.points.values[0, 1] == max(float(str(point["kept_l1"])) for point in points)
    assert "count as equal here" in words(sweep_page(tmp_path))


def test_figures_in_a_row_that_each_print_alike_are_not_all_equal(tmp_path: Path) -> None:
    step = 0.6 * ALIKE  # neighbours are alike, the first and the third are not
    points = [{"latency_s": 1e-3 * (1 + at * step), "kept_l1": 0.5} for at in range(4)]
    values = read_sweep(stored(tmp_path, points)).points.values[:, 0]
    assert values[0] == values[1] < values[2] == values[3]


def test_points_that_a_device_cannot_tell_apart_count_once(tmp_path: Path) -> None:
    stored(tmp_path, bend(3), whole=4)
    with Store.open(tmp_path) as store:
        sweep = store.begin("digest", name="banks", spec=TWO, version="1", points=4)
        store.add(sweep, [], [Member(number=3, key=f"{2:064d}")])  # as number 2
    found = read_sweep(tmp_path)
    assert (found.computed, len(found.points.numbers), found.repeated, found.lacking) == (4, 3, 1, 0)
    table = points_table(found)
    assert table is not None
    assert len(table.rows) == 3
    assert table.note.startswith("1 more is the same as others")
    assert "4 points, method grid: 3 with numbers, 0 refused, 1 the same as others and counted once." in words(
        sweep_page(tmp_path)
    )


def test_an_objective_that_no_point_has_is_left_out_and_the_rest_decides(tmp_path: Path) -> None:
    text = words(sweep_page(stored(tmp_path, bend(3), TWO + 'energy_pj = "min"\n')))
    assert "so the rest decides: 3 have no energy" in text
    assert "simulate front" in text
    assert "--objective latency_s --maximise kept_l1 does the same" in text
    assert "Fastest gs:16,1 at 90 % on gs-tcm, gather.window 1" in text


def test_a_model_that_lacks_a_figure_says_how_to_leave_it_out(tmp_path: Path) -> None:
    points = [{**point, "model": "one"} for point in bend(3)]
    lacking = [{**point, "model": "two", "kept_l1": None} for point in bend(3)]
    text = words(sweep_page(stored(tmp_path, [*points, *lacking])))
    assert "--objective latency_s --where model=two leaves kept L1 out" in text


def test_constraints_that_no_point_keeps_leave_no_choice_and_say_why(tmp_path: Path) -> None:
    spec = TWO + '[constraints]\nlatency_s = { most = "1 us" }\n'
    text = words(sweep_page(stored(tmp_path, bend(3), spec)))
    assert "no point can be on a front" in text
    assert "breaks a constraint" in text


def test_the_chart_has_every_point_once_and_members_on_a_line(tmp_path: Path) -> None:
    beaten = [{**point, "latency_s": 20e-3, "pattern": "block:4x4"} for point in bend(3)]
    (chart, *_) = charts(sweep_page(stored(tmp_path, [*bend(3), *beaten])))
    series = {str(one["name"]): one for one in chart["series"]}  # type: ignore[attr-defined]
    assert [len(series[name]["points"]) for name in ("gs:16,1", "block:4x4", "on the front")] == [3, 3, 3]
    assert series["on the front"]["line"] is True
    assert chart["x"]["unit"] == "ms"  # type: ignore[index]
    assert [point[0] for point in series["on the front"]["points"]] == [1, 2, 5]
    assert list(series)[-2:] == ["on the front", "knee"]  # rings, over all others
    assert series["on the front"]["colour"] == "member"


def test_of_many_beaten_points_at_most_three_thousand_are_drawn_and_it_is_said(tmp_path: Path) -> None:
    count = 12_000
    cloud = [
        {"latency_s": 1e-3 * (2 + (at * 7919 % count) / count), "kept_l1": 0.4 * ((at * 104729 % count) / count),
         "gather.window": 1 + at % 7}
        for at in range(count)
    ]  # fmt: skip
    found = read_sweep(stored(tmp_path, [*bend(1), *cloud]))
    front = found.parts[0].front
    assert front is not None
    chart, told = front_chart(front)
    series = {str(one["name"]): one["points"] for one in chart["series"]}  # type: ignore[attr-defined]
    drawn = sum(len(points) for name, points in series.items() if name not in ("on the front", "knee"))
    assert drawn == FULL.drawn + len(front.members)
    assert told.startswith(f"Drawn: {FULL.drawn:,} of {count + 1 - front.count(Fate.FRONT):,} points that others beat")
    table = points_table(found)
    assert table is not None
    assert len(table.rows) == FULL.points
    assert table.note == f"The first {FULL.points:,} of {count + 1:,} points with numbers."
    page = sweep_page(tmp_path)
    assert len(page.encode()) <= MOST_BYTES
    assert "simulate export" in page


def test_points_stand_best_first_and_those_that_break_a_constraint_after_them(tmp_path: Path) -> None:
    spec = TWO + '[constraints]\nkept_l1 = { least = "60 %" }\n'
    table = points_table(read_sweep(stored(tmp_path, bend(4), spec)))  # kept: 50 %, 70 %, 80 %, 85 %
    assert table is not None
    assert [row[0].text for row in table.rows] == ["1", "2", "3", "0"]
    assert table.rows[-1][-1].text == "breaks a constraint"


def test_a_map_has_the_best_over_other_choices_and_the_sparsity_that_was_reached(tmp_path: Path) -> None:
    points = [
        {"sparsity_target": sparsity, "latency_s": (2 - sparsity) * 1e-3 * window, "kept_l1": 1 - sparsity,
         "gather.window": window, "pattern": pattern, "sparsity_reached": sparsity + 0.05 * (pattern == "gs:16,1")}
        for pattern in ("gs:16,1", "unstructured") for sparsity in (0.5, 0.9) for window in (1, 2)
    ]  # fmt: skip
    ((title, (latency, kept)),) = heat_maps(read_sweep(stored(tmp_path, points))).maps
    assert title == "gs-tcm"
    assert latency.heads == ("50 %", "90 %")
    cells = dict(latency.rows)
    assert [cell.text for cell in cells["unstructured"]] == [f"{2 - sparsity:.3f}" for sparsity in (0.5, 0.9)]
    assert cells["gs:16,1"][1].detail == "reached 95 %"
    assert cells["unstructured"][1].detail == ""
    assert "best" in cells["unstructured"][1].mark
    assert kept.title == "most kept L1 (%)"


def test_a_cell_that_breaks_a_constraint_has_its_speed_beside_dense_in_the_unit_of_all(tmp_path: Path) -> None:
    points = [
        {"pattern": "dense", "sparsity_target": None, "latency_s": 1.2e-3, "kept_l1": 1.0},
        {"sparsity_target": 0.5, "latency_s": 2.893268e-3, "kept_l1": 0.5},
        {"sparsity_target": 0.9, "latency_s": 0.3e-3, "kept_l1": 0.1},
    ]
    spec = TWO + '[constraints]\nlatency_s = { most = "1 ms" }\n'
    ((_, (latency, _)),) = heat_maps(read_sweep(stored(tmp_path, points, spec))).maps
    slow, fast = dict(latency.rows)["gs:16,1"]
    assert latency.title == "least latency (ms)"
    assert (slow.text, slow.detail) == ("2.893", f"{2.893268 / 1.2:.2f}× slower, breaks a constraint")
    assert (fast.text, fast.detail) == ("0.3000", f"{1.2 / 0.3:.2f}×")
    assert latency.note.startswith("Dense: 1.200 ms")


def test_a_map_tells_refused_cells_from_empty_ones(tmp_path: Path) -> None:
    points = [
        {"sparsity_target": 0.5, "latency_s": 1e-3, "kept_l1": 0.5},
        {"sparsity_target": 0.9, "refused": "no masks"},
        {"sparsity_target": 0.9, "pattern": "block:4x4", "latency_s": 1e-3, "kept_l1": 0.2},
    ]
    ((_, (latency, _)),) = heat_maps(read_sweep(stored(tmp_path, points))).maps
    cells = {pattern: [cell.text for cell in row] for pattern, row in latency.rows}
    assert cells["gs:16,1"] == ["1", "refused"]
    assert cells["block:4x4"] == ["", "1"]


def test_what_a_choice_does_is_told_by_pairs_that_are_equal_in_all_else(tmp_path: Path) -> None:
    """Banks halve the time and windows do nothing, although points with more banks are those of the larger network."""
    points = [
        {"latency_s": base / banks * 16 * 1e-3, "kept_l1": 0.5, "scratchpad.banks": banks, "gather.window": window}
        for base, window in ((1, 1), (1, 8)) for banks in (16, 32)
    ]  # fmt: skip
    found, left = effects(read_sweep(stored(tmp_path, points)))
    assert left == ""
    assert [effect.title for effect in found] == ["scratchpad.banks", "gather.window"]
    assert found[0].told == "All else equal, latency with 16 is 2.00x that with 32 (median of 2 pairs)."
    assert found[1].told == "It does not change latency where all else is equal (median of 2 pairs)."


def test_points_without_a_partner_do_not_count_as_pairs_nor_move_the_ratio(tmp_path: Path) -> None:
    """32 banks are slower than 16 in one pair and faster than 8 in another; window 9 stands alone."""
    points = [
        {"latency_s": milliseconds * 1e-3, "kept_l1": 0.5, "scratchpad.banks": banks, "gather.window": window}
        for banks, window, milliseconds in ((8, 1, 9), (16, 1, 3), (8, 2, 12), (32, 2, 5), (8, 9, 40), (8, 8, 41))
    ]
    found, _ = effects(read_sweep(stored(tmp_path, points)))
    banks = next(effect for effect in found if effect.title == "scratchpad.banks")
    assert banks.told == "All else equal, latency with 8 is 3.00x that with 16 (median of 1 pair), its largest change."
    assert [(row[0].text, row[-1].text) for row in banks.table.rows] == [("8", "-"), ("16", "1"), ("32", "1")]


def test_a_change_of_less_than_a_percent_has_three_digits(tmp_path: Path) -> None:
    for name, ratio, told in (("some", 1.003, "is 1.003x that"), ("little", 1.0004, "by less than 0.1 %")):
        points = [
            {"latency_s": seconds, "kept_l1": 0.5, "scratchpad.banks": at}
            for at, seconds in enumerate((1e-3, ratio * 1e-3))
        ]
        (effect,), _ = effects(read_sweep(stored(tmp_path / name, points)))
        assert told in effect.told


def test_patterns_are_compared_with_dense_at_every_sparsity(tmp_path: Path) -> None:
    points = [
        {"pattern": "dense", "sparsity_target": None, "latency_s": 8e-3, "kept_l1": 1.0},
        {"sparsity_target": 0.5, "latency_s": 4e-3, "kept_l1": 0.5},
        {"sparsity_target": 0.9, "latency_s": 2e-3, "kept_l1": 0.1},
    ]
    found, _ = effects(read_sweep(stored(tmp_path, points)))
    pattern = next(effect for effect in found if effect.title == "pattern")
    ratios = {row[0].text: (row[-2].text, row[-1].text) for row in pattern.table.rows}
    middle = (4 / 8 + 2 / 8) / 2  # the median of two
    assert ratios == {"dense": ("1.000x", "-"), "gs:16,1": (f"{middle:.3f}x", "2")}


def test_a_line_of_the_front_stands_for_each_member_and_the_best_is_on_top(tmp_path: Path) -> None:
    front = read_sweep(stored(tmp_path, bend(4))).parts[0].front
    assert front is not None
    drawn = parallel(front)
    assert drawn is not None
    assert len(drawn.lines) == 4
    assert [axis.title[1] for axis in drawn.axes] == ["gather.window", "latency (ms)", "kept L1 (%)"]
    fastest = next(line for line in drawn.lines if line.text.startswith("gs:16,1 at 90 % on gs-tcm, gather.window 1:"))
    _, latency, kept = (float(spot.split(",")[1]) for spot in fastest.points.split())
    assert latency == drawn.top  # the least is the best
    assert kept == drawn.bottom
    assert drawn.lines[-1].knee  # over the others
    assert [row[0].text for row in member_table(front).rows] == ["0", "1", "2", "3"]


def test_an_unfinished_sweep_says_how_many_points_are_there(tmp_path: Path) -> None:
    text = words(sweep_page(stored(tmp_path, bend(3), whole=10)))
    assert "Not all points are there. 3 of 10 points: this sweep is not finished" in text
    assert "7 not computed" in text
    assert "What was searched so far" in text


def test_a_search_that_ended_early_is_not_called_unfinished(tmp_path: Path) -> None:
    spec = TWO + '[method]\nname = "nsga2"\npoints = 10\n'
    assert "3 of at most 10 points: the search found nothing new, or" in words(
        sweep_page(stored(tmp_path, bend(3), spec, whole=10))
    )


def test_a_sweep_without_points_has_a_page(tmp_path: Path) -> None:
    text = words(sweep_page(stored(tmp_path, [], whole=5)))
    assert "0 of 5 points" in text
    assert "No point is stored yet" in text
    assert "No point has numbers." in text


def test_refused_points_are_grouped_by_reason_numbers_aside(tmp_path: Path) -> None:
    reasons = ["24 banks are no power of two", "40 banks are no power of two", "the layer does not fit"]
    found = read_sweep(stored(tmp_path, [{"refused": reason} for reason in (*reasons, reasons[2], reasons[2])]))
    table = refused_table(found)
    assert table is not None
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["3", "2", "the layer does not fit"],
        ["2", "0", "24 banks are no power of two; 40 banks are no power of two"],
    ]


def test_a_sweep_of_which_all_is_refused_has_a_page_with_the_reasons(tmp_path: Path) -> None:
    spec = TWO + '[constraints]\nlatency_s = { most = "4 ms" }\n'
    points = [{"refused": "no masks", "device": device} for device in ("gs-tcm", "raspberry-pi-4", "gs-tcm")]
    text = words(sweep_page(stored(tmp_path, points, spec)))
    assert "nearest misses" not in text
    assert "What to choose for each device" not in text
    assert "0 with numbers, 3 refused" in text
    assert "no point can be on a front" in text
    assert "no masks" in text


def test_one_objective_has_bars_of_its_best(tmp_path: Path) -> None:
    points = [
        {"latency_s": seconds, "pattern": pattern}
        for pattern, seconds in (("gs:16,1", 2e-3), ("gs:16,1", 1e-3), ("unstructured", 3e-3))
    ]
    (chart, *_) = charts(sweep_page(stored(tmp_path, points, '[objectives]\nlatency_s = "min"\n')))
    assert chart["kind"] == "bars"
    rows = {row["label"]: row["values"] for row in chart["rows"]}  # type: ignore[attr-defined]
    assert rows == {"gs:16,1": [1], "unstructured": [3]}


def test_three_objectives_have_a_chart_of_two_without_a_line(tmp_path: Path) -> None:
    spec = TWO + 'peak_memory_bytes = "min"\n'
    points = [{**point, "peak_memory_bytes": 10**6 - at} for at, point in enumerate(bend(3))]
    (chart, *_) = charts(sweep_page(stored(tmp_path, points, spec)))
    assert not any(one["line"] for one in chart["series"])  # type: ignore[attr-defined]


def test_missing_zero_and_infinite_figures_are_told_apart(tmp_path: Path) -> None:
    points = [
        {"latency_s": 0.0, "kept_l1": 0.5}, {"latency_s": float("inf"), "kept_l1": 0.6},
        {"latency_s": 1e-3, "kept_l1": None}, {"latency_s": 2e-3, "kept_l1": 0.7},
    ]  # fmt: skip
    found = read_sweep(stored(tmp_path, points))
    table = points_table(found)
    assert table is not None
    latencies = {row[0].text: row[1].text for row in table.rows}
    assert latencies["1"] == "infinite"
    assert float(latencies["0"]) == 0
    fates = {row[0].text: row[-1].text for row in table.rows}
    assert fates == {"0": "on the front", "3": "on the front", "1": "lacks a figure", "2": "lacks a figure"}
    page = sweep_page(tmp_path)
    assert all("Infinity" not in text for text in re.findall(r"chart-data\">(.*?)</script>", page))


def test_names_with_markup_and_emoji_are_shown_and_never_run(tmp_path: Path) -> None:
    bad = "<img src=x onerror=alert(1)>&\U0001f600</script><script>"
    points = [
        {**point, "model": bad, "pattern": pattern, "device": pattern}
        for point in bend(3) for pattern in (bad, "dense")
    ]  # fmt: skip
    refused = {"refused": bad, "model": bad}
    page = sweep_page(stored(tmp_path, [*points, refused], TWO + f"# {bad}\n", name=bad))
    assert "<img" not in page
    assert page.count("</script>") == page.count("<script")
    assert "<img src=x onerror=alert(1)>" in unescape(page)
    assert "\U0001f600" in page


def test_several_models_have_a_front_each(tmp_path: Path) -> None:
    points = [{**point, "model": model} for model in ("one", "two") for point in bend(3)]
    page = sweep_page(stored(tmp_path, points))
    assert len([chart for chart in charts(page) if chart["title"] == "kept L1 over latency"]) == 2
    assert "one on gs-tcm" not in words(page)  # one pattern at one sparsity has no map
    assert "What to choose for each device" in words(page)


def test_the_spec_stands_in_the_page_as_it_was_written(tmp_path: Path) -> None:
    spec = TWO + "# a remark\n"
    page = sweep_page(stored(tmp_path, bend(2), spec))
    (shown,) = re.findall(r'<pre tabindex="0" aria-label="The spec">(.*?)</pre>', page, re.DOTALL)
    assert unescape(shown) == spec.rstrip("\n")


def test_a_page_that_would_be_too_large_shows_less(tmp_path: Path) -> None:
    """Names of 3,000 letters in thousands of points; the limits are halved until all fits, and what is left is told."""
    points = [
        {**point, "model": f"{model}{'x' * 3000}", "pattern": f"gs:16,{at % 5}"}
        for model in range(30) for at, point in enumerate(bend(30))
    ]  # fmt: skip
    page = sweep_page(stored(tmp_path, points))
    assert len(page.encode()) <= MOST_BYTES
    assert "more models have no front in this page" in words(page)


def test_the_same_store_gives_the_same_bytes(tmp_path: Path) -> None:
    stored(tmp_path, bend(5))
    assert sweep_page(tmp_path) == sweep_page(tmp_path)


def test_a_store_of_a_newer_schema_and_a_folder_without_one_are_errors(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no sweep is stored here"):
        sweep_page(tmp_path)
    stored(tmp_path, bend(2))
    with sqlite3.connect(tmp_path / FILE) as database:
        database.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")
    database.close()
    with pytest.raises(RequestError, match="its schema is 99, of a newer version"):
        sweep_page(tmp_path)
