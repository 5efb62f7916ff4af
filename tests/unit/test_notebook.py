"""What a notebook shows: results as escaped tables without scripts, short reprs, frames; the notebook of examples."""

from __future__ import annotations

import builtins
import json
import math
import re
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.table import Table
from rich.text import Text

import gatherline as gl
from gatherline.pipeline_types import Report
from gatherline.report.columns import Row, complete_row
from gatherline.report.notebook import SHOWN_LINES, page
from gatherline.report.notebook_run import SHOWN_DEVICES
from tests.unit.report_rows import rows_of
from traces.html_table import SHOWN_ROWS

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "examples" / "notebook.ipynb"
EVIL = '<script>alert("x")</script>&\U0001f600'
VOID = ("br",)
sys.path.append(str(ROOT / "docs"))  # the script that makes the notebook is there


class Structure(HTMLParser):
    """Checks that tags nest, and keeps their names, attributes and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def structure(result: Any) -> Structure:
    found = Structure(result._repr_html_())
    assert not {"script", "style", "link", "img", "iframe"} & set(found.tags)
    assert all(not name.startswith("on") and name not in ("src", "href") for name, _ in found.attributes)
    return found


def report(rows: list[Row]) -> Report:
    return Report(manifest={}, rows=list(rows))


PRUNED: dict[str, Any] = {"patterns": ["gs:16,1"], "sparsities": [0.9]}
SPEC = """
models = ["digits"]
patterns = ["gs:16,1"]
sparsities = [0.8, 0.9]

[[devices]]
device = "a100"

[objectives]
latency_s = "min"
"""


SLOW = ("sensitivity", "validation")


def pruned(folder: Path) -> Report:
    """Prune two linear layers of a file."""
    from safetensors.numpy import save_file

    drawn = np.random.default_rng(0)
    layers = {f"{at}.weight": drawn.standard_normal((64, 64)).astype(np.float32) for at in (0, 1)}
    save_file(layers, folder / "in.safetensors")
    asked: dict[str, Any] = {"arch": "sequential", "pattern": "gs:16,1", "sparsity": 0.5, "prune_all": True}
    return gl.prune(folder / "in.safetensors", folder / "out.safetensors", **asked)


def swept(folder: Path) -> Any:
    (folder / "spec.toml").write_text(SPEC, encoding="utf-8")
    return gl.run_sweep(folder / "spec.toml", folder / "out")


RESULTS: dict[str, Callable[[Path], Any]] = {
    "run": lambda _: gl.run("digits", patterns=["dense", "gs:16,1"], sparsities=[0.9], devices=["gs-tcm"]),
    "prune": pruned,
    "network": lambda _: gl.load("digits"),
    "area": lambda _: gl.area("gs-tcm"),
    "inspect": lambda _: gl.inspect("digits"),
    "why": lambda _: gl.why("digits", ["a100"], **PRUNED),
    "break-even": lambda _: gl.break_even("digits", ["gs-tcm"], patterns=["gs:16,1"]),
    "plan": lambda _: gl.advise("digits", "gs-tcm", latency_s=1.0, **PRUNED),
    "sensitivity": lambda _: gl.sensitivity("digits", "gs-tcm", pattern="gs:16,1", sparsity=0.9),
    "validation": lambda _: gl.validate(["raspberry-pi-4"]),
    "comparison": lambda _: gl.compare(*(gl.run("digits", devices=[name], **PRUNED) for name in ("gs-tcm", "a100"))),
    "sweep": swept,
    "front": lambda folder: gl.front(swept(folder).folder),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in RESULTS]
)
def test_every_kind_of_result_shows_a_table_and_has_a_short_repr(name: str, tmp_path: Path) -> None:
    result = RESULTS[name](tmp_path)
    found = structure(result)
    assert "table" in found.tags
    assert len(found.text) > 100
    assert len(repr(result)) < 120 or name == "sweep"  # a sweep's are eight fields, one of them a path
    assert "\n" not in repr(result)


def test_the_headline_of_a_run_stands_first_with_the_numbers_of_its_rows() -> None:
    made = report(rows_of((("dense", None), ("gs:16,1", 0.9))))
    dense, pruned = (row for row in made.rows if row["layer"] == "total" and row["device"] == "gs-tcm")
    text = structure(made).text
    assert text.startswith("resnet50: fastest of what was tried on each device (synthetic weights)")
    assert f"{dense['latency_s'] / pruned['latency_s']:.2f}x" in text  # type: ignore[operator]
    assert "not validated" in text
    assert repr(made) == "Report(resnet50: 4 totals, 220 rows, 2 devices)"


def test_names_from_files_are_text_and_not_html() -> None:
    rows = [dict(row) | {"model": EVIL, "device": EVIL, "layer": row["layer"] if row["layer"] == "total" else EVIL,
                         "reason": EVIL} for row in rows_of((("dense", None), ("gs:16,1", 0.9)))]  # fmt: skip
    found = structure(report(rows))
    assert EVIL in found.text


def test_a_map_colours_speed_ups_and_without_dense_nothing() -> None:
    variants = (("gs:16,1", 0.5), ("gs:16,1", 0.9))
    with_dense, without = (structure(report(rows_of(more + variants))) for more in ((("dense", None),), ()))
    coloured = [
        [value for name, value in found.attributes if name == "style" and value and "color:#" in value]
        for found in (with_dense, without)
    ]
    assert len(coloured[0]) >= len(variants)
    assert coloured[1] == []
    assert "speed-up and density over the sparsity" in with_dense.text


def test_times_of_zero_and_infinity_are_shown_without_a_ratio() -> None:
    total = next(row for row in rows_of((("dense", None),)) if row["layer"] == "total")
    odd = [
        dict(total) | {"pattern": "gs:16,1", "sparsity_target": level, "latency_s": seconds}
        for level, seconds in ((0.5, 0.0), (0.7, math.inf), (0.9, None))
    ]
    text = structure(report([total, *odd])).text
    assert "nan" not in text
    assert "infx" not in text


def test_a_long_table_says_how_many_rows_it_leaves_out() -> None:
    table = Table()
    table.add_column("n", justify="right")
    for at in range(SHOWN_ROWS + 7):
        table.add_row(Text(str(at)))
    found = Structure(page(lambda console: console.print(table)))
    assert found.tags.count("td") == SHOWN_ROWS
    assert "7 more rows" in found.text


def test_long_remarks_fold_and_headings_are_bold() -> None:
    def show(console: Any) -> None:
        console.print(Text("heading", style="bold"))
        for at in range(SHOWN_LINES + 3):
            console.print(Text(f"line {at}"))

    found = Structure(page(show))
    assert found.tags.count("strong") == 1
    assert "3 more lines" in found.text
    assert f"line {SHOWN_LINES + 2}" in found.text


def test_more_devices_are_counted_and_the_page_stays_small() -> None:
    few = rows_of((("dense", None), ("gs:16,1", 0.9)))
    rows = [dict(row) | {"device": f"d{at}"} for at in range(12) for row in few if row["device"] == "gs-tcm"]
    html = report(rows)._repr_html_()
    assert f"{12 - SHOWN_DEVICES} more devices" in html
    assert len(html) < 200_000


def test_a_report_without_rows_and_a_replay_are_shown_too() -> None:
    assert "without rows" in structure(report([])).text
    stream = complete_row({"layer": "layer0", "device": "gs-tcm", "cycles": 12_345, "latency_s": 1e-6})
    assert "12,345" in structure(report([stream])).text
    assert repr(report([])) == "Report(no model: no rows)"


def test_a_frame_keeps_counts_whole_where_some_are_missing() -> None:
    pytest.importorskip("pandas")
    frame = report([complete_row({"layer": "a", "cycles": 2**53 + 1}), complete_row({"layer": "b"})]).frame()
    assert frame["cycles"].iloc[0] == 2**53 + 1
    assert frame["cycles"].isna().tolist() == [False, True]
    assert list(frame["layer"]) == ["a", "b"]


def test_a_frame_without_pandas_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "pandas":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match="pip install pandas"):
        report([complete_row({"layer": "a"})]).frame()


# The notebook of examples
def saved() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return found


def test_the_notebook_holds_the_cells_of_its_script_and_outputs_without_errors() -> None:
    from make_notebook import CELLS

    cells = saved()["cells"]
    assert [(cell["cell_type"], "".join(cell["source"])) for cell in cells] == list(CELLS)
    for cell in cells:
        if cell["cell_type"] == "code":
            (output,) = cell["outputs"]
            assert output["output_type"] == "execute_result"
            assert "text/html" in output["data"]


def test_the_notebook_is_small_and_tells_nothing_of_the_machine_that_made_it() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert len(text) < 500_000
    assert not re.search(r"0x[0-9a-f]{6,}|/tmp|/home|/root|\d{4}-\d\d-\d\d", text)
    assert saved()["metadata"]["language_info"] == {"name": "python"}


@pytest.mark.slow
def test_the_notebook_shows_what_it_shows_when_it_is_run_again(tmp_path: Path) -> None:
    from make_notebook import executed, text_of

    assert text_of(executed(tmp_path)) == NOTEBOOK.read_text(encoding="utf-8")
