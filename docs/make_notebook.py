"""Makes ``examples/notebook.ipynb``: writes its cells, runs them, and saves what they show.

``python docs/make_notebook.py`` (or ``make notebook``) after a change of a model or of what a notebook shows; a slow
test runs the cells again and compares. Timestamps and versions are left out, so that equal results give equal bytes.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / "examples" / "notebook.ipynb"
TIMEOUT_S = 600
CELLS: tuple[tuple[str, str], ...] = (
    (
        "markdown",
        """# Which pattern should I prune to?

MobileNet V1 on a phone and on an accelerator, with three patterns at three sparsities beside the dense network.
The weights of this built-in model are synthetic. A path of your own `.onnx` or `.pt2` file stands in its place.""",
    ),
    (
        "code",
        """import gatherline as gl

report = gl.run(
    "mobilenet_v1",
    patterns=["dense", "unstructured", "block:4x1", "gs:16,1"],
    sparsities=[0.7, 0.8, 0.9],
    devices=["snapdragon-855", "gs-tcm"],
)
report""",
    ),
    (
        "markdown",
        """The table names the fastest of what was tried and how sure that is; the maps show every pattern and sparsity.
Blue is faster than dense, orange is slower. On the phone pruning pays only at high sparsity, on the accelerator
already at 70 %. The phone's three rows are the same: it has one sparse kernel, which takes GS and block masks as
unstructured ones, so that a pattern made for the accelerator brings it nothing.

## Why does pruning not pay at 70 % on the phone?""",
    ),
    ("code", 'gl.why("mobilenet_v1", ["snapdragon-855"], patterns=["unstructured"], sparsities=[0.7])'),
    (
        "markdown",
        """Each layer is above its break-even density: the sparse kernel spends more on finding a weight than
it saves.

## From which sparsity on does it pay?""",
    ),
    ("code", 'gl.break_even("mobilenet_v1", ["snapdragon-855"], patterns=["unstructured"])'),
    (
        "markdown",
        """## What should each layer be, to stay within 12.5 ms?

One sparsity for all layers is rarely the best. This asks for the plan that loses the least weight within a budget.""",
    ),
    (
        "code",
        """plan = gl.advise(
    "mobilenet_v1",
    "snapdragon-855",
    latency_s=0.0125,
    patterns=["unstructured"],
    sparsities=[0.8, 0.9],
)
plan""",
    ),
    (
        "markdown",
        """## Two patterns, layer by layer

The rows are a table of pandas, where that is installed. Here are the layers in which GS(16,1) and unstructured masks of
the same sparsity differ most on the accelerator, in microseconds.""",
    ),
    (
        "code",
        """rows = report.frame()
layers = rows[(rows.device == "gs-tcm") & (rows.sparsity_target == 0.9) & (rows.layer != "total")]
times = layers.pivot(index="layer", columns="pattern", values="latency_s")[["gs:16,1", "unstructured"]] * 1e6
times["ratio"] = times["unstructured"] / times["gs:16,1"]
times.nlargest(8, "ratio").round(2)""",
    ),
    (
        "markdown",
        """`report.write("folder")` keeps all of it; `simulate report folder` makes a page of it.""",
    ),
)


def notebook() -> Any:
    """Return the notebook without outputs."""
    made = nbformat.v4.new_notebook()
    made.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for at, (kind, source) in enumerate(CELLS):
        new = nbformat.v4.new_code_cell if kind == "code" else nbformat.v4.new_markdown_cell
        made.cells.append(new(source, id=f"cell-{at}"))
    return made


def executed(folder: Path) -> Any:
    """Return the notebook with its outputs, run in ``folder``. Raises nbclient's CellExecutionError."""
    made = notebook()
    metadata = made.metadata
    client = NotebookClient(
        made, timeout=TIMEOUT_S, kernel_name="python3", record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )  # fmt: skip
    client.execute()
    made.metadata = {name: metadata[name] for name in ("kernelspec", "language_info")}
    made.metadata["language_info"] = {"name": "python"}  # not the version of this machine's Python
    return made


def text_of(made: Any) -> str:
    """Return the bytes of a notebook as text, the same for the same cells and outputs."""
    found: str = nbformat.writes(made, indent=1, sort_keys=True, ensure_ascii=False)
    return found.rstrip("\n") + "\n"


def main() -> None:
    """Write the notebook aside, then rename it."""
    aside = NOTEBOOK.with_suffix(".tmp")
    aside.write_text(text_of(executed(NOTEBOOK.parent)), encoding="utf-8")
    os.replace(aside, NOTEBOOK)
    print(f"wrote {NOTEBOOK}: {NOTEBOOK.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
