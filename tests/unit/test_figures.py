"""Figures for papers: what is drawn is what the table says, and a reader is told what was chosen and left out."""

from __future__ import annotations

import csv
import io
import itertools
import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from gatherline.commands.plot import KIND_NAMES
from gatherline.mask_samples import MaskSample
from gatherline.mask_statistics import load_summary
from gatherline.report.columns import Row
from gatherline.report.figures.bars import bars
from gatherline.report.figures.breakdown import MOST_BARS, breakdown
from gatherline.report.figures.catalog import KINDS, kind_named
from gatherline.report.figures.figure import Drawn, FigureChoices
from gatherline.report.figures.heatmap import heatmap
from gatherline.report.figures.load_histogram import load_histogram
from gatherline.report.figures.pareto import pareto_of_run
from gatherline.report.figures.roofline import MOST_POINTS, roofline
from gatherline.report.figures.style import PAGE_INCHES, POINTS, UNPROVEN, WIDTH_INCHES, drawing, safe
from gatherline.report.time_causes import TIME_CAUSES
from gatherline.request_error import RequestError
from tests.unit.report_rows import DEVICES, VARIANTS, rows_of

FEW = (("dense", None), ("gs:16,1", 0.9), ("unstructured", 0.5))
ALL = FigureChoices()
SHARES = {cause.column: (at + 1) / 21 for at, cause in enumerate(TIME_CAUSES)}  # of a time; 1 + 2 + ... + 6 = 21


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """Rows of two devices; those of snapdragon-855 have error bands."""
    made = [row | {name: row["latency_s"] * share for name, share in SHARES.items()} for row in rows_of()]
    for row in made:
        if row["device"] == "snapdragon-855":
            row |= {"latency_low_s": 0.8 * row["latency_s"], "latency_high_s": 1.3 * row["latency_s"]}
    return made


def table(drawn: Drawn) -> list[dict[str, str]]:
    """Return the numbers as a reader of the CSV has them."""
    found = list(csv.DictReader(io.StringIO(drawn.to_csv())))
    assert len(found) == len(drawn.rows) > 0
    return found


def words(figure: Figure) -> str:
    texts = [text.get_text() for axes in figure.axes for text in (axes.title, axes._left_title, axes.xaxis.label)]
    return "\n".join([figure.get_suptitle(), *texts]).replace("\u00a0", " ")


def test_the_help_names_every_kind_and_spaces_are_hyphens() -> None:
    assert KIND_NAMES.split(", ") == [kind.name for kind in KINDS]
    assert kind_named("load histogram") is kind_named("Load_Histogram") is kind_named("load-histogram")
    with pytest.raises(RequestError, match="did you mean heatmap"):
        kind_named("heat map!")


def test_each_cell_of_a_heat_map_has_the_speed_up_of_its_row(rows: list[Row]) -> None:
    drawn = heatmap(rows, ALL)
    numbers = table(drawn)
    assert len(numbers) == len(DEVICES) * (len(VARIANTS) - 1)
    meshes = [mesh for axes in drawn.figure.axes for mesh in axes.collections if isinstance(mesh, QuadMesh)]
    for device, mesh in zip(DEVICES, meshes, strict=False):
        of_this = [line for line in numbers if line["device"] == device]
        assert sorted(np.ravel(mesh.get_array()).tolist()) == pytest.approx(
            sorted(math.log2(float(line["dense_s"]) / float(line["latency_s"])) for line in of_this)
        )
        axes = mesh.axes
        assert len(axes.texts) == len(of_this)
    assert "synthetic weights" in words(drawn.figure)
    assert "not validated: gs-tcm" in words(drawn.figure)


def test_a_heat_map_without_dense_shows_latencies_and_no_speed_up(rows: list[Row]) -> None:
    drawn = heatmap([row for row in rows if row["pattern"] != "dense"], ALL)
    assert {line["speed_up"] for line in table(drawn)} == {""}
    assert drawn.figure.axes[-1].get_ylabel() == "latency (ms)"
    assert not any("x" in text.get_text() for text in drawn.figure.axes[0].texts)


def test_each_bar_is_as_long_as_its_latency_and_hatched_where_nothing_validates_it(rows: list[Row]) -> None:
    drawn = bars(rows, ALL)
    for axes, device in zip(drawn.figure.axes, DEVICES, strict=True):
        of_this = [line for line in table(drawn) if line["device"] == device]
        assert [patch.get_width() for patch in axes.patches] == pytest.approx(
            [1e3 * float(line["latency_s"]) for line in of_this]
        )
        hatched = [patch.get_hatch() == UNPROVEN for patch in axes.patches]
        assert hatched == [line["validated"] == "not validated" for line in of_this]
        assert all(hatched) == (device == "gs-tcm")
        whiskers = [line.get_xdata() for line in axes.lines if line.get_marker() == "|"]
        assert np.ravel(whiskers).tolist() == pytest.approx(
            [1e3 * float(line[end]) for line in of_this if line["latency_low_s"]
             for end in ("latency_low_s", "latency_high_s")]
        )  # fmt: skip
        (dense,) = [line for line in axes.lines if line.get_marker() != "|"]
        assert dense.get_xdata()[0] == pytest.approx(1e3 * float(of_this[0]["dense_s"]))


def test_each_point_of_a_roofline_is_a_row_of_the_table_below_its_roofs(rows: list[Row]) -> None:
    drawn = roofline(rows, FigureChoices(devices=("snapdragon-855",)))
    numbers = table(drawn)
    points = np.concatenate([np.asarray(drawn_.get_offsets()) for drawn_ in drawn.figure.axes[0].collections])
    told = [(float(line["macs_per_dram_byte"]), float(line["macs_per_s"])) for line in numbers]
    assert points == pytest.approx(np.array(told))
    peak, bandwidth = DEVICES["snapdragon-855"][2:]
    assert all(y <= min(peak, x * bandwidth) * (1 + 1e-9) for x, y in told)
    assert "4 of 10 variants" in " ".join(drawn.notes)


def test_names_in_a_small_roofline_cover_neither_points_nor_each_other(rows: list[Row]) -> None:
    drawn = roofline(rows, FigureChoices(devices=("gs-tcm",)))
    axes = drawn.figure.axes[0]
    with drawing(ALL.look):
        drawn.figure.draw_without_rendering()
        boxes = [text.get_bbox_patch().get_window_extent() for text in axes.texts]
    assert boxes
    assert not any(one.overlaps(other) for at, one in enumerate(boxes) for other in boxes[at + 1 :])
    pixels = [axes.transData.transform(point) for drawn_ in axes.collections for point in drawn_.get_offsets()]
    assert not any(box.contains(x, y) for box in boxes for x, y in pixels)


def test_the_front_of_a_run_is_what_nothing_beats(rows: list[Row]) -> None:
    drawn = pareto_of_run(rows, FigureChoices(devices=("gs-tcm",)))
    numbers = table(drawn)
    points = [(float(line["latency_s"]), float(line["peak_memory_bytes"])) for line in numbers]
    for point, line in zip(points, numbers, strict=True):
        beaten = any(other != point and other[0] <= point[0] and other[1] <= point[1] for other in points)
        assert (line["fate"] == "dominated") == beaten
    clouds = [cloud for cloud in drawn.figure.axes[0].collections if isinstance(cloud, PathCollection)]
    shown = {tuple(place) for cloud in clouds for place in np.round(cloud.get_offsets(), 9).tolist()}
    assert shown == {(round(1e3 * x, 9), round(y / 1e6, 9)) for x, y in points}


def test_any_two_columns_of_numbers_are_objectives_and_no_other(rows: list[Row]) -> None:
    drawn = pareto_of_run(rows, FigureChoices(objectives=("latency_s", "dram_bytes")))
    assert drawn.header[5:7] == ("latency_s", "dram_bytes")
    with pytest.raises(RequestError, match="did you mean latency_s"):
        pareto_of_run(rows, FigureChoices(objectives=("latency_s", "latency")))
    with pytest.raises(RequestError, match="two that differ"):
        pareto_of_run(rows, FigureChoices(objectives=("latency_s",)))


def test_the_causes_of_a_bar_add_up_to_its_latency_in_their_colours(rows: list[Row]) -> None:
    drawn = breakdown(rows, FigureChoices(devices=("gs-tcm",)))
    numbers = table(drawn)
    axes = drawn.figure.axes[0]
    for cause, container in zip(TIME_CAUSES, axes.containers, strict=True):
        widths = [patch.get_width() for patch in container]
        assert widths == pytest.approx([1e3 * float(line[cause.column]) for line in numbers])
        assert {to_hex(patch.get_facecolor()).upper() for patch in container} == {cause.colour.upper()}
    assert len({container[0].get_hatch() for container in axes.containers}) == len(TIME_CAUSES)
    ends = [patch.get_x() + patch.get_width() for patch in axes.containers[-1]]
    assert ends == pytest.approx([1e3 * float(line["latency_s"]) for line in numbers])


def test_a_breakdown_of_layers_has_the_slowest_in_network_order(rows: list[Row]) -> None:
    drawn = breakdown(rows, FigureChoices(devices=("gs-tcm",), patterns=("gs:16,1",), sparsities=(0.9,), layers=5))
    of_variant = [row for row in rows if row["device"] == "gs-tcm" and row["pattern"] == "gs:16,1"
                  and row["sparsity_target"] == 0.9 and row["layer"] != "total"]  # fmt: skip
    slowest = sorted(of_variant, key=lambda row: -row["latency_s"])[:5]  # type: ignore[operator]
    assert [line["layer"] for line in table(drawn)] == [row["layer"] for row in of_variant if row in slowest]
    assert "the 5 slowest of 54 layers" in drawn.caption


def test_a_breakdown_of_rows_without_causes_says_so() -> None:
    with pytest.raises(RequestError, match="time_compute_s and the other causes are empty in the rows of gs-tcm"):
        breakdown(rows_of(FEW), ALL)


def load(values: list[int]) -> dict[str, object]:
    return load_summary(np.array(values))


SAMPLE = MaskSample(
    layer="conv", pattern="gs:16,1", sparsity=0.9, layer_pattern="gs:16,1", groups=1, m=4, k=32, kept=16, banks=16,
    row_load=load([4, 4, 4, 4]), bank_load=load([1, 1, 0, 2]),
)  # fmt: skip


def test_a_histogram_of_loads_has_each_bin_and_says_worst_over_mean() -> None:
    uneven = replace(SAMPLE, pattern="unstructured", row_load=load([1, 2, 3, 10]))
    drawn = load_histogram([SAMPLE, uneven], "net", ALL)
    numbers = table(drawn)
    of_rows = [line for line in numbers if (line["pattern"], line["loads"]) == ("unstructured", "rows")]
    axes = drawn.figure.axes[2]  # two panels a variant: rows, banks
    assert [patch.get_height() for patch in axes.patches] == pytest.approx([100 * float(n["share"]) for n in of_rows])
    assert [text.get_text() for text in axes.texts] == [f"{10 / ((1 + 2 + 3 + 10) / 4):.2f}x"]
    assert {
        line["worst_over_mean"] for line in numbers if line["pattern"] == "gs:16,1" and line["loads"] == "rows"
    } == {"1.0"}


def test_a_run_without_pruned_layers_has_no_loads() -> None:
    with pytest.raises(RequestError, match=r"masks\.json"):
        load_histogram([], "net", ALL)
    with pytest.raises(RequestError, match="did you mean conv"):
        load_histogram([SAMPLE], "net", FigureChoices(layer="conv1"))


DRAWERS = (heatmap, bars, roofline, pareto_of_run, breakdown)


@pytest.mark.parametrize("draw", DRAWERS)
@pytest.mark.parametrize("columns", [1, 2])
def test_a_figure_is_as_wide_as_columns_and_no_letter_is_too_small(rows: list[Row], draw: object, columns: int) -> None:
    drawn = draw(rows, FigureChoices(columns=columns, sparsities=(0.9,)))  # type: ignore[operator]
    assert drawn.figure.get_figwidth() == WIDTH_INCHES[columns]
    letters = [text for text in drawn.figure.findobj(lambda one: hasattr(one, "get_fontsize")) if text.get_text()]
    assert min(text.get_fontsize() for text in letters) >= POINTS


@pytest.mark.parametrize("draw", DRAWERS)
def test_without_a_title_the_caption_still_says_whose_numbers_these_are(rows: list[Row], draw: object) -> None:
    drawn = draw(rows, FigureChoices(title=False, devices=("gs-tcm",), sparsities=(0.9,)))  # type: ignore[operator]
    assert drawn.figure.get_suptitle() == ""
    for word in ("resnet50", "synthetic weights", "gs-tcm", "not validated"):
        assert word in drawn.caption


@pytest.mark.parametrize("draw", DRAWERS)
def test_names_of_a_hostile_model_are_drawn_as_they_are(rows: list[Row], draw: object) -> None:
    named = [
        row
        | {
            "model": "<b>$x^$",
            "layer": row["layer"] if row["layer"] == "total" else f"$\\bad{{\U0001f600漢{row['layer']}",
        }
        for row in rows
        if row["sparsity_target"] in (None, 0.9)
    ]
    with warnings.catch_warnings(), drawing(ALL.look):
        warnings.simplefilter("error")
        draw(named, FigureChoices(layers=3)).figure.draw_without_rendering()  # type: ignore[operator]


def test_letters_that_the_font_lacks_are_told_by_their_codes() -> None:
    assert safe("a漢$") == "aU+6F22\\$"


@pytest.mark.parametrize("draw", DRAWERS)
@pytest.mark.parametrize("time", [0.0, math.inf])
def test_a_time_that_no_axis_has_is_left_out_and_counted(rows: list[Row], draw: object, time: float) -> None:
    changed = [row | {"latency_s": time} if row["pattern"] == "block:1x16" else row for row in rows]
    drawn = draw(changed, FigureChoices(devices=("gs-tcm",)))  # type: ignore[operator]
    assert "block:1x16" not in drawn.to_csv()
    with pytest.raises(RequestError, match="time above zero"):
        draw([row | {"latency_s": time} for row in rows], ALL)  # type: ignore[operator]


@pytest.mark.parametrize("draw", [bars, roofline, pareto_of_run, breakdown])
def test_one_layer_under_one_variant_is_drawn(rows: list[Row], draw: object) -> None:
    few = [row for row in rows if row["device"] == "gs-tcm" and row["pattern"] == "dense"
           and row["layer"] in ("total", "conv1")]  # fmt: skip
    assert len(few) == 2
    with warnings.catch_warnings(), drawing(ALL.look):
        warnings.simplefilter("error")
        drawn = draw(few, ALL)  # type: ignore[operator]
        drawn.figure.draw_without_rendering()
    assert len(drawn.rows) == 1


@pytest.mark.slow
def test_of_ten_thousand_layers_the_slowest_are_drawn_and_told(rows: list[Row]) -> None:
    (total,) = [
        row for row in rows if row["device"] == "gs-tcm" and row["pattern"] == "dense" and row["layer"] == "total"
    ]
    layer = next(row for row in rows if row["device"] == "gs-tcm" and row["pattern"] == "dense")
    many = [layer | {"layer": f"l{at}", "latency_s": layer["latency_s"] * (1 + at)} for at in range(10_000)]  # type: ignore[operator]
    drawn = breakdown([total, *many], FigureChoices(layers=10_000))
    assert [line["layer"] for line in table(drawn)] == [f"l{at}" for at in range(10_000 - MOST_BARS, 10_000)]
    assert f"a figure shows at most {MOST_BARS} layers" in drawn.notes
    points = roofline([total, *many], ALL)
    assert len(points.rows) == MOST_POINTS
    assert f"the {MOST_POINTS:,} slowest of 10,000 layers are drawn" in points.notes


@pytest.mark.parametrize(
    ("choices", "rule"),
    [
        (FigureChoices(devices=("gs-tmc",)), "did you mean gs-tcm"),
        (FigureChoices(patterns=("gs:16",)), "the run has dense, unstructured, gs:16,1, block:1x16"),
        (FigureChoices(sparsities=(0.7,)), "the sparsities of the run are 50 %, 80 %, 90 %"),
    ],
)
def test_a_choice_that_the_run_lacks_is_told_what_there_is(rows: list[Row], choices: FigureChoices, rule: str) -> None:
    for draw in DRAWERS:
        with pytest.raises(RequestError, match=rule):
            draw(rows, choices)


@pytest.mark.parametrize("wrong", [{"columns": 3}, {"theme": "sepia"}, {"layers": 0}])
def test_choices_that_make_no_figure_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(RequestError, match=f"{next(iter(wrong))} is"):
        FigureChoices(**wrong)  # type: ignore[arg-type]


def test_cells_slower_than_dense_and_no_others_are_hatched(rows: list[Row]) -> None:
    slowed = [row | {"latency_s": 9 * row["latency_s"]} if row["pattern"] == "unstructured" else row for row in rows]  # type: ignore[operator]
    drawn = heatmap(slowed, ALL)
    for axes, device in zip(drawn.figure.axes, DEVICES, strict=False):
        slower = [line for line in table(drawn) if line["device"] == device and float(line["speed_up"]) < 0.995]
        assert len(axes.patches) == len(slower) > 0
        assert {patch.get_hatch() for patch in axes.patches} == {"////"}
    assert "hatched: slower" in drawn.caption


def got(rows: list[Row], pattern: str, reached: float) -> list[Row]:
    """Return rows in which a pattern reached one sparsity, whatever was asked for, at one time a device."""
    times = {row["device"]: row["latency_s"] for row in rows if row["pattern"] == pattern and row["layer"] == "total"}
    return [
        row | {"sparsity_reached": reached, "density": 1 - reached, "latency_s": times[row["device"]]}
        if row["pattern"] == pattern and row["layer"] == "total" else row for row in rows
    ]  # fmt: skip


def test_sparsities_that_a_pattern_cannot_reach_are_one_bar_that_says_what_it_reached(rows: list[Row]) -> None:
    changed = got(rows, "gs:16,1", 0.5)
    drawn = bars(changed, FigureChoices(devices=("gs-tcm",)))
    labels = [label.get_text() for label in drawn.figure.axes[0].get_yticklabels()]
    assert [label for label in labels if label.startswith("gs:16,1")] == ["gs:16,1 (reached 50 %)"]
    assert "gs:16,1 at 50 %, 80 % and 90 % is one network (reached 50 %), drawn once" in drawn.notes
    assert [line["sparsity_reached"] for line in table(drawn) if line["pattern"] == "gs:16,1"] == ["0.5"]
    alone = bars(changed, FigureChoices(devices=("gs-tcm",), sparsities=(0.9,)))
    assert "gs:16,1 at 90 % (reached 50 %)" in [one.get_text() for one in alone.figure.axes[0].get_yticklabels()]
    beside = [one.get_text() for one in heatmap(changed, ALL).figure.axes[0].get_yticklabels()]
    assert "gs:16,1\n(reached 50 %)" in beside
    legend = [
        text.get_text() for text in roofline(changed, FigureChoices(patterns=("gs:16,1",))).figure.legends[0].texts
    ]
    assert "gs:16,1 (reached 50 %)" in legend


def test_a_heat_map_of_one_latency_has_no_scale_of_colours(rows: list[Row]) -> None:
    one = [row for row in rows if row["device"] == "gs-tcm" and row["pattern"] == "gs:16,1"
           and row["sparsity_target"] == 0.9]  # fmt: skip
    drawn = heatmap(one, ALL)
    with drawing(ALL.look):
        drawn.figure.draw_without_rendering()
    (axes,) = drawn.figure.axes
    assert len(axes.texts) == 1


@pytest.mark.parametrize("columns", [1, 2])
def test_bars_of_many_devices_fit_a_page_and_numbers_stand_behind_the_line_of_dense(
    rows: list[Row], columns: int
) -> None:
    few = [row for row in rows if row["device"] == "gs-tcm" and row["layer"] == "total"]
    many = [row | {"device": f"d{at}"} for at in range(5) for row in few]
    drawn = bars(many, FigureChoices(columns=columns))
    assert drawn.figure.get_figheight() <= PAGE_INCHES
    assert any("fastest of" in note for note in drawn.notes) == (columns == 1)
    with drawing(ALL.look):
        drawn.figure.draw_without_rendering()
    axes = drawn.figure.axes[0]
    (dense,) = [line for line in axes.lines if line.get_marker() != "|"]
    at = axes.transData.transform((dense.get_xdata()[0], 0))[0]
    assert not any(box.x0 < at < box.x1 for box in (text.get_window_extent() for text in axes.texts))
    marks = [text.get_window_extent() for text in axes.get_xticklabels() if text.get_text()]
    assert not any(one.x1 >= other.x0 for one, other in itertools.pairwise(marks))


def test_a_logarithmic_axis_has_marks_between_its_numbers(rows: list[Row]) -> None:
    axes = roofline(rows, FigureChoices(devices=("gs-tcm",))).figure.axes[0]
    for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        assert len([mark for mark in axis.get_minorticklocs() if low <= mark <= high]) > len(axis.get_majorticklocs())
        assert not any(text.get_text() for text in axis.get_minorticklabels())


def test_loads_of_several_bundles_are_told_as_such(rows: list[Row]) -> None:
    assert "the one bundle of 16 rows" in load_histogram([SAMPLE], "net", ALL).caption
    tall = replace(SAMPLE, m=64)
    drawn = load_histogram([tall, replace(tall, pattern="unstructured", row_load=load([90, 91, 92, 93]))], "net", ALL)
    assert "all bundles of 16 rows" in drawn.caption
    assert "holds how bundles differ beside how banks of a bundle do" in drawn.caption
    assert "all bundles of 16 rows" in drawn.figure.axes[3].get_xlabel()
    narrow, other = (drawn.figure.axes[at].get_xlim() for at in (0, 2))
    assert narrow[1] < other[0]  # each variant has its own axis
