"""``simulate plot``: files with embedded fonts and no dates, their numbers beside them, and what is refused."""

from __future__ import annotations

import csv
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import pypdf
import pytest
from matplotlib.figure import Figure

import gatherline as gl
from gatherline.report.figures.style import THEMES, WIDTH_INCHES
from gatherline.report.files import write_report
from gatherline.request_error import RequestError
from tests.unit.report_rows import DEVICES, rows_of
from tests.unit.test_cli import call, error_line

MANIFEST = {"version": "0", "devices": {name: {"hash": "0"} for name in DEVICES}}
XLINK = "{http://www.w3.org/1999/xlink}href"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a run: dense, and two patterns at one sparsity."""
    found = tmp_path_factory.mktemp("run")
    rows = rows_of((("dense", None), ("gs:16,1", 0.9), ("unstructured", 0.9)))
    write_report(found, MANIFEST, rows, pictures=False)
    return found


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trace directory of digits."""
    found = tmp_path_factory.mktemp("trace") / "digits"
    gl.trace("digits", found, pattern="gs:16,1", sparsity=0.9)
    return found


def test_a_pdf_is_as_wide_as_its_columns_with_every_font_in_it_and_no_date(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "fig.pdf"
    with pytest.warns(UserWarning, match="shows gs-tcm, the first device"):
        assert gl.plot("roofline", folder, out, columns=2) == out
    document = pypdf.PdfReader(out)
    (page,) = document.pages
    assert float(page.mediabox.width) == pytest.approx(72 * WIDTH_INCHES[2], abs=0.01)
    fonts = page["/Resources"]["/Font"]
    assert fonts
    for font in fonts.values():
        for inner in font.get_object().get("/DescendantFonts", [font]):
            descriptor = inner.get_object()["/FontDescriptor"].get_object()
            assert any(key in descriptor for key in ("/FontFile2", "/FontFile3", "/FontFile"))
    assert "/CreationDate" not in (document.metadata or {})
    assert "gs:16,1 at 90 %" in page.extract_text()


def test_an_svg_is_xml_that_points_to_nothing_outside_and_needs_no_font(folder: Path, tmp_path: Path) -> None:
    gl.plot("heatmap", folder, tmp_path / "fig.svg")
    tree = ET.parse(tmp_path / "fig.svg")
    assert tree.getroot().get("width") == f"{72 * WIDTH_INCHES[1]:g}pt"
    assert all(node.get(XLINK, "#").startswith(("#", "data:")) for node in tree.iter())
    names = [node.tag.rpartition("}")[2] for node in tree.iter()]
    assert "path" in names
    assert "text" not in names  # letters are outlines


@pytest.mark.parametrize("suffix", [".pdf", ".svg", pytest.param(".png", marks=pytest.mark.slow)])
def test_the_same_folder_gives_the_same_bytes(folder: Path, tmp_path: Path, suffix: str) -> None:
    for name in ("one", "two"):
        gl.plot("bars", folder, tmp_path / f"{name}{suffix}", dpi=60)
    for end in (suffix, ".csv"):
        assert (tmp_path / f"one{end}").read_bytes() == (tmp_path / f"two{end}").read_bytes()
    assert len(list(tmp_path.iterdir())) == 4  # nothing is left aside


def test_without_a_file_the_figure_comes_back(folder: Path) -> None:
    figure = gl.plot("bars", folder, devices=["gs-tcm"], theme="dark")
    assert isinstance(figure, Figure)
    assert figure.get_facecolor()[:3] == pytest.approx(
        [int(THEMES["dark"].ground[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    )


def test_the_command_names_its_files_and_the_caption_and_tells_what_it_chose(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, numbers = tmp_path / "fig.png", tmp_path / "numbers.csv"
    assert (
        call("plot", "roofline", str(folder), "-o", str(out), "--csv", str(numbers), "--no-title", "--dpi", "60") == 0
    )
    told, notes = capsys.readouterr()
    assert told.splitlines()[:2] == [str(out), str(numbers)]
    assert told.splitlines()[2].startswith("Caption: Roofline of resnet50, synthetic weights on gs-tcm (not validated)")
    assert "--device shows another: snapdragon-855" in notes
    with numbers.open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == 3 * 54  # variants x layers


def test_a_timeline_shows_each_transfer_and_tile_in_cycles_and_seconds(streams: Path, tmp_path: Path) -> None:
    figure = gl.plot("timeline", streams, layer="conv2")
    assert isinstance(figure, Figure)
    gl.plot("timeline", streams, tmp_path / "fig.svg", layer="conv2")
    with (tmp_path / "fig.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    drawn = [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in figure.axes[0].patches]
    assert drawn == [(int(line["start_cycles"]), int(line["end_cycles"])) for line in lines]
    clock_hz = 10**9  # of gs-tcm
    assert all(float(line["end_s"]) == int(line["end_cycles"]) / clock_hz for line in lines)
    for unit in ("DMA in", "compute", "DMA out"):
        work = [line for line in lines if line["unit"] == unit and line["what"] != "wait"]
        assert work
        for one, other in pairwise(work):  # a unit does one thing at a time
            assert int(one["end_cycles"]) <= int(other["start_cycles"])
    (cycles,) = [row["cycles"] for row in gl.replay(streams, "gs-tcm").rows if row["layer"] == "conv2"]
    assert max(int(line["end_cycles"]) for line in lines) <= cycles  # type: ignore[operator]


def test_a_folder_that_cannot_give_a_kind_is_told_which_command_can(
    folder: Path, streams: Path, tmp_path: Path
) -> None:
    for kind, given, words in (
        ("timeline", folder, "simulate trace -o DIR"),
        ("bars", streams, "holds request streams, of which plot timeline is drawn; bars needs a run"),
        ("pareto", tmp_path, "an unfinished run leaves none"),
        ("load-histogram", folder, r"masks\.json"),
        ("breakdown", folder, "time_compute_s and the other causes are empty"),
        ("timeline", streams, "the trace has conv1, conv2, max_pool2d, conv3"),
    ):
        with pytest.raises(RequestError, match=words):
            gl.plot(kind, given)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        gl.plot("bars", tmp_path / "none")


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (("bars", "{run}", "-o", "{out}/fig.gif"), "ends in .pdf, .svg, .png"),
        (("bars", "{run}", "-o", "{out}/no/fig.pdf"), "no such folder to write into"),
        (("bars", "{run}", "-o", "{run}/rows.pdf"), "holds something other than the numbers of a bars figure"),
        (("bars", "{run}", "-o", "{out}/fig.png", "--csv", "{out}/fig.png"), "must be two files"),
        (("bars", "{run}", "-o", "{out}/fig.png", "--dpi", "5"), "dpi is 5"),
        (("bars", "{run}", "-o", "{out}/fig.png", "--columns", "3"), "--columns is 3"),
        (("pie", "{run}", "-o", "{out}/fig.png"), "known are heatmap, bars, roofline"),
        (("bars", "{run}", "-o", "{out}/fig.png", "--device", "gs-tmc"), "did you mean gs-tcm"),
    ],
)
def test_what_is_refused_takes_one_line_and_leaves_no_file(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], rule: str
) -> None:
    before = (folder / "rows.csv").read_bytes()
    filled = [word.format(run=folder, out=tmp_path) for word in arguments]
    assert rule in error_line(capsys, "plot", *filled)
    assert not list(tmp_path.iterdir())
    assert (folder / "rows.csv").read_bytes() == before


def test_every_kind_of_a_sweep_but_pareto_is_refused_and_pareto_shows_its_front(tmp_path: Path) -> None:
    spec = tmp_path / "small.toml"
    spec.write_text(
        'models = ["digits"]\npatterns = ["dense", "gs:16,1"]\nsparsities = [0.5, 0.9]\n[[devices]]\n'
        'device = "snapdragon-855"\n', encoding="utf-8",
    )  # fmt: skip
    gl.run_sweep(spec)
    out = tmp_path / "fig.png"
    gl.plot("pareto", tmp_path / "small", out, dpi=60)
    with out.with_suffix(".csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    members = {
        row["number"] for row in gl.front(tmp_path / "small", objectives=["latency_s", "peak_memory_bytes"]).rows
    }
    assert members <= {int(line["point"]) for line in lines if line["fate"] == "front"}
    with pytest.raises(RequestError, match="holds a sweep, of which plot pareto is drawn"):
        gl.plot("bars", tmp_path / "small")


@pytest.mark.parametrize(
    ("name", "held"),
    [("sweep.sqlite", "SQLite"), ("report.json", "{}"), ("masks.json", "{}"), ("rows.csv", "model,layer\nnet,a\n"),
     ("front.csv", "model,point\n"), ("why.csv", "model,layer,pattern\n"), ("empty.csv", "")],
)  # fmt: skip
def test_numbers_replace_no_file_that_is_not_a_figure_s(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, held: str
) -> None:
    kept = tmp_path / name
    kept.write_text(held, encoding="utf-8")
    told = error_line(capsys, "plot", "bars", str(folder), "-o", str(tmp_path / "fig.png"), "--csv", str(kept))
    assert str(kept) in told
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert kept.read_text(encoding="utf-8") == held


def test_numbers_replace_those_of_the_same_kind_and_of_no_other(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "fig.png"
    gl.plot("bars", folder, out, dpi=60)
    gl.plot("bars", folder, out, devices="gs-tcm", dpi=60)
    with out.with_suffix(".csv").open(encoding="utf-8", newline="") as file:
        assert {line["device"] for line in csv.DictReader(file)} == {"gs-tcm"}
    for kind in ("heatmap", "pareto"):
        with pytest.raises(RequestError, match=f"other than the numbers of a {kind} figure"):
            gl.plot(kind, folder, out)


def test_a_figure_replaces_no_picture_of_a_folder_of_results(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_bytes((folder / "report.json").read_bytes())
    (tmp_path / "heatmap-gs-tcm.png").write_bytes(b"of the run")
    with pytest.raises(RequestError, match="is a picture of the results in its folder"):
        gl.plot("bars", folder, tmp_path / "heatmap-gs-tcm.png")


@pytest.mark.parametrize(
    ("kind", "option", "value", "rule"),
    [
        ("bars", "--layer", "conv1", "--layer is of timeline and load-histogram; bars has none"),
        ("heatmap", "--layers", "3", "--layers is of breakdown; heatmap has none"),
        ("roofline", "--objective", "latency_s", "--objective is of pareto; roofline has none"),
        ("timeline", "--sparsity", "0.9", "--sparsity is of heatmap, bars, roofline, pareto, breakdown and load-"),
        ("load-histogram", "--device", "gs-tcm", "timeline; load-histogram has none"),
    ],
)
def test_an_option_that_means_nothing_for_a_kind_is_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, option: str, value: str, rule: str
) -> None:
    assert rule in error_line(capsys, "plot", kind, str(folder), "-o", str(tmp_path / "fig.png"), option, value)


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"columns": True}, "columns is True"),
        ({"dpi": 300.5}, r"dpi is 300\.5"),
        ({"sparsities": 90}, "sparsities has 90, and must have fractions"),
        ({"sparsities": ["a"]}, "sparsities has 'a'"),
        ({"devices": 3}, "devices is 3"),
        ({"patterns": [0.5]}, r"patterns has 0\.5"),
        ({"title": "no"}, "title is 'no'"),
        ({"layer": "conv1"}, "layer is of timeline and load-histogram; bars has none"),
    ],
)
def test_an_argument_of_another_type_is_refused(
    folder: Path, tmp_path: Path, wrong: dict[str, object], rule: str
) -> None:
    with pytest.raises(RequestError, match=rule):
        gl.plot("bars", folder, tmp_path / "fig.png", **wrong)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_one_name_and_one_fraction_need_no_list(folder: Path, tmp_path: Path) -> None:
    gl.plot("bars", folder, tmp_path / "fig.svg", devices="gs-tcm", patterns="gs:16,1", sparsities=0.9)
    with (tmp_path / "fig.csv").open(encoding="utf-8", newline="") as file:
        assert [(line["device"], line["pattern"]) for line in csv.DictReader(file)] == [
            ("gs-tcm", "dense"), ("gs-tcm", "gs:16,1")
        ]  # fmt: skip


def test_fields_in_which_machines_of_a_sweep_differ_are_columns_and_in_the_caption(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "banks.toml"
    spec.write_text(
        'models = ["digits"]\npatterns = ["gs:16,1"]\nsparsities = [0.9, 0.95]\n[[devices]]\ndevice = "gs-tcm"\n'
        "[devices.fields]\ngather.window = [1, 4]\n", encoding="utf-8",
    )  # fmt: skip
    gl.run_sweep(spec)
    capsys.readouterr()
    out = tmp_path / "fig.svg"
    assert call("plot", "pareto", str(tmp_path / "banks"), "-o", str(out)) == 0
    assert "points of one mark differ in" in (told := capsys.readouterr().out)
    assert "window" in told
    with out.with_suffix(".csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert {line["gather.window"] for line in lines} <= {"1", "4"}
    assert all(float(line["sparsity_reached"]) > 0.8 for line in lines)
    wrong = error_line(capsys, "plot", "pareto", str(tmp_path / "banks"), "-o", str(out), "--device", "gs-tmc")
    assert "--device is 'gs-tmc'" in wrong


def test_reads_and_writes_on_the_bus_differ_in_colour_and_later_transfers_of_a_tile_are_dotted(streams: Path) -> None:
    axes = gl.plot("timeline", streams, layer="conv2").axes[0]  # type: ignore[union-attr]
    bus = [patch for patch in axes.patches if round(patch.get_y() + patch.get_height() / 2) == 0]
    assert len({patch.get_facecolor() for patch in bus}) == 2
    assert [bool(patch.get_hatch()) for patch in bus[:3]] == [False, True, False]  # tile 0 has two operands
