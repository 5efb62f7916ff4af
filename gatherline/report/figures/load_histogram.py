"""How evenly masks load rows and banks in one layer: histograms, the mean, the worst, and worst over mean.

A run keeps the loads of all rows, and of all banks of all bundles, together: a bundle with more weights than another
moves worst over mean as an uneven bundle does. So the number is what imbalance costs at most, and no measure of what
runs in step inside a bundle, unless the layer is one bundle. Left out: layers that no pattern pruned, loads of other
numbers of banks than the run had, and of each bundle by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from gatherline.mask_samples import MaskSample
from gatherline.report.figures.figure import Cell, Drawn, FigureChoices, listed, titled
from gatherline.report.figures.reached import NOTEWORTHY
from gatherline.report.figures.style import (
    COLOURS,
    POINTS,
    Theme,
    drawing,
    safe,
    sheet,
    short_name,
    tidy,
    title_inches,
)
from gatherline.report.selection import Variant, percent, unique
from gatherline.request_error import RequestError
from patterns.names import nearest

HEADER = (
    "layer", "pattern", "sparsity_target", "sparsity_reached", "loads", "from_kept", "below_kept", "count", "share",
    "mean_kept", "worst_kept", "worst_over_mean",
)  # fmt: skip
MOST_VARIANTS = 6
ROW_INCHES = 0.95
_BAND = 1.45  # of the highest bar: above it stands the number


def load_histogram(samples: Sequence[MaskSample], model: str, choices: FigureChoices) -> Drawn:
    """Return the row and bank loads of one layer under each variant asked for. Raises RequestError."""
    layer, notes = _layer(samples, choices)
    every = [sample for sample in samples if sample.layer == layer]
    shown = _asked(every, choices)
    if len(shown) > MOST_VARIANTS:
        notes += (f"the first {MOST_VARIANTS} of {len(shown)} variants are drawn; --pattern and --sparsity choose",)
        shown = shown[:MOST_VARIANTS]
    one = shown[0]
    shape = f"{one.m} x {one.k}" + (f" x {one.groups} groups" if one.groups > 1 else "")
    title = f"{model}: kept weights of rows and banks of {layer} ({shape})"
    theme = choices.look
    with drawing(theme):
        figure = sheet(
            choices.columns,
            0.62 + ROW_INCHES * len(shown) + title_inches(title if choices.title else "", choices.columns),
        )
        grid = figure.subplots(len(shown), 2, squeeze=False)
        for line, (axes, sample) in enumerate(zip(grid, shown, strict=True)):
            _panel(axes[0], sample.row_load, COLOURS[0], theme)
            _panel(axes[1], sample.bank_load, COLOURS[2], theme)
            axes[0].set_title(f"{_name(sample)}", loc="left", fontsize=POINTS, pad=2)
            if line == len(shown) - 1:
                axes[0].set_xlabel("kept weights of a row")
                axes[1].set_xlabel(f"kept weights of a bank,\n{_whose_banks(shown)}")
        figure.supylabel("share (%)", fontsize=POINTS)
        figure.legend(handles=_legend(theme), loc="outside lower center", ncols=2, frameon=False)
        titled(figure, safe(title), choices)
    return Drawn(
        figure=figure,
        header=HEADER,
        rows=tuple(row for sample in shown for row in _data(sample)),
        caption=(
            f"Kept weights of each row and of each bank in layer {layer} of {model} ({shape}), under "
            f"{listed([_called(sample) for sample in shown])}; banks are those of {_whose_banks(shown)}, the number is "
            f"worst over mean among all of them{_no_lockstep(shown)}."
        ),
        notes=notes,
    )


def _layer(samples: Sequence[MaskSample], choices: FigureChoices) -> tuple[str, tuple[str, ...]]:
    """Return the layer asked for, by default the largest, and what to say of the others."""
    if not samples:
        raise RequestError(
            "the run keeps no loads of masks: it has no masks.json, which simulate run --out writes where a pattern "
            "prunes a layer"
        )
    names = unique(sample.layer for sample in samples)
    if choices.layer is not None:
        if choices.layer not in names:
            raise RequestError(
                f"layer is {choices.layer!r}, and no pruned layer has that name; {nearest(choices.layer, names)}"
            )
        return choices.layer, ()
    largest = max(samples, key=lambda sample: sample.groups * sample.m * sample.k).layer
    if len(names) == 1:
        return largest, ()
    return largest, (f"shows {largest}, the largest of {len(names)} pruned layers; --layer shows another",)


def _asked(samples: Sequence[MaskSample], choices: FigureChoices) -> list[MaskSample]:
    patterns = unique(sample.pattern for sample in samples)
    for name in choices.patterns:
        if name not in patterns:
            raise RequestError(f"pattern is {name!r}, and the layer has {', '.join(patterns)}")
    levels = [sample.sparsity for sample in samples]
    for asked in choices.sparsities:
        if not any(_same(level, asked) for level in levels):
            there = ", ".join(percent(level) for level in dict.fromkeys(levels))
            raise RequestError(f"sparsity is {asked:g}, and the layer has {there}")
    found = [
        sample for sample in samples
        if (not choices.patterns or sample.pattern in choices.patterns)
        and (not choices.sparsities or any(_same(sample.sparsity, asked) for asked in choices.sparsities))
    ]  # fmt: skip
    if not found:
        raise RequestError(f"no mask has both; there are {', '.join(_plain_name(sample) for sample in samples[:8])}")
    return found


def _same(level: float | None, asked: float) -> bool:
    return level is not None and abs(level - asked) < 5e-7


def _whose_banks(shown: Sequence[MaskSample]) -> str:
    every = "all bundles" if any(_bundles(sample) > 1 for sample in shown) else "the one bundle"
    return f"{every} of {shown[0].banks} rows"


def _bundles(sample: MaskSample) -> int:
    """Return how many bundles a layer has: each of as many rows as there are banks, of one group."""
    return sample.groups * -(-sample.m // sample.banks)


def _no_lockstep(shown: Sequence[MaskSample]) -> str:
    several = any(_bundles(sample) > 1 for sample in shown)
    return ", and holds how bundles differ beside how banks of a bundle do" if several else ""


def _panel(axes: Any, load: Mapping[str, object], colour: str, theme: Theme) -> None:
    edges, counts, mean, worst = _loads(load)
    total = sum(counts) or 1
    shares = [100 * count / total for count in counts]
    widths = [high - low for low, high in pairwise(edges)]
    axes.bar([edge - 0.5 for edge in edges[:-1]], shares, width=widths, align="edge", color=colour, linewidth=0)
    axes.axvline(mean, ymax=1 / _BAND, color=theme.ink, linewidth=0.9)  # below the number
    axes.plot([worst], [0], marker="^", markersize=5, color=theme.ink, markerfacecolor=COLOURS[5], clip_on=False,
              markeredgewidth=0.5, linestyle="none", zorder=5)  # fmt: skip
    axes.set_ylim(0, max(shares) * _BAND)
    low, high = edges[0] - 0.5, max(edges[-1] - 0.5, worst + 0.5)
    room = max(1.0, 0.06 * (high - low))
    axes.set_xlim(low - room, high + room)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(2))
    ratio = worst_over_mean(load)
    if ratio is not None:
        axes.text(0.99, 0.97, f"{ratio:.2f}x", ha="right", va="top", transform=axes.transAxes, fontsize=POINTS)
    tidy(axes, theme, grid="y")


def _loads(load: Mapping[str, object]) -> tuple[list[int], list[int], float, int]:
    edges, counts, mean, worst = (load[name] for name in ("bin_edges", "bin_counts", "mean", "max"))
    assert isinstance(edges, Sequence)
    assert isinstance(counts, Sequence)
    assert isinstance(mean, int | float)
    assert isinstance(worst, int)
    return [int(edge) for edge in edges], [int(count) for count in counts], float(mean), worst


def worst_over_mean(load: Mapping[str, object]) -> float | None:
    """Return the largest load over the mean, None where nothing is kept."""
    _, _, mean, worst = _loads(load)
    return worst / mean if mean else None


def _plain_name(sample: MaskSample) -> str:
    return Variant(pattern=sample.pattern, sparsity=sample.sparsity).label


def _reached(sample: MaskSample) -> float:
    """Return the fraction of the layer's weights that went."""
    return 1 - sample.kept / (sample.groups * sample.m * sample.k)


def _called(sample: MaskSample) -> str:
    """Return a variant with what the layer reached, where that is not what was asked for."""
    got = _reached(sample)
    differs = sample.sparsity is not None and abs(sample.sparsity - got) >= NOTEWORTHY
    return f"{_plain_name(sample)} (reached {percent(got)})" if differs else _plain_name(sample)


def _name(sample: MaskSample) -> str:
    return short_name(_called(sample), 38)


def _legend(theme: Theme) -> list[Line2D]:
    return [
        Line2D([], [], color=theme.ink, linewidth=0.9, label="mean"),
        Line2D([], [], color=theme.ink, marker="^", markersize=5, markerfacecolor=COLOURS[5], markeredgewidth=0.5,
               linestyle="none", label="worst, and worst over mean"),
    ]  # fmt: skip


def _data(sample: MaskSample) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    for what, load in (("rows", sample.row_load), ("banks", sample.bank_load)):
        edges, counts, mean, worst = _loads(load)
        total = sum(counts) or 1
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True):
            rows.append((
                sample.layer, sample.pattern, sample.sparsity, _reached(sample), what, low, high, count, count / total,
                mean, worst, worst_over_mean(load),
            ))  # fmt: skip
    return rows
