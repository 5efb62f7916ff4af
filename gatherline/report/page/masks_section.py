"""Pictures of masks: weight by weight, density all over the layer, and how evenly rows and banks are loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from gatherline.mask_samples import MaskSample, MaskWindow
from gatherline.report.page.bitmap import data_uri
from gatherline.report.selection import Variant, printable

SHOWN_WINDOWS = 120  # of some 4 kB each
SHOWN_LOADS = 2_000  # layers in the table of loads
_BARS = "▁▂▃▄▅▆▇█"


def masks_section(samples: Sequence[MaskSample]) -> dict[str, object]:
    """Return the pictures of samples that have a window, and a line of loads for every sample."""
    pictured = [(sample, sample.window) for sample in samples if sample.window is not None]
    return {
        "pictures": [_picture(sample, window) for sample, window in pictured[:SHOWN_WINDOWS]],
        "pictures_left": max(0, len(pictured) - SHOWN_WINDOWS),
        "loads": [_loads(sample) for sample in samples[:SHOWN_LOADS]],
        "loads_left": max(0, len(samples) - SHOWN_LOADS),
        "banks": sorted({sample.banks for sample in samples}),
    }


def _name(sample: MaskSample) -> str:
    return Variant(pattern=printable(sample.pattern), sparsity=sample.sparsity).label


def _density(sample: MaskSample) -> float:
    weights = sample.groups * sample.m * sample.k
    return sample.kept / weights if weights else 0.0


def _picture(sample: MaskSample, window: MaskWindow) -> dict[str, object]:
    kept, parts = window.kept, window.density
    rows, columns = kept.shape
    densest = float(parts.max()) if parts.size else 0.0
    evenly = _spread(sample)
    return {
        "layer": printable(sample.layer),
        "variant": _name(sample),
        "facts": f"{sample.m} rows × {sample.k} columns"
        + (f", {sample.groups} groups" if sample.groups > 1 else "")
        + f", density {_density(sample):.3g}",
        "ran_as": "" if sample.layer_pattern == sample.pattern else printable(sample.layer_pattern),
        "window": {
            "source": data_uri(kept.astype(np.float64)),
            "alt": f"The first {rows} rows and {columns} columns: {int(kept.sum())} of {kept.size} weights are kept, "
            f"{int(kept.sum(axis=1).min())} to {int(kept.sum(axis=1).max())} in a row.",
            "rows": rows,
            "columns": columns,
        },
        "density": {
            "source": data_uri(parts / densest if densest else parts),
            "alt": f"Density in {parts.shape[0]} × {parts.shape[1]} parts of the matrix, "
            f"from {float(parts.min()):.2g} to {densest:.2g}.",
            "rows": parts.shape[0],
            "columns": parts.shape[1],
            "low": f"{float(parts.min()):.2g}",
            "high": f"{densest:.2g}",
        },
        "evenly": evenly,
        "row_chart": _histogram("kept weights of a row", "rows", sample.row_load),
        "bank_chart": _histogram(
            f"kept weights of a bank in {sample.banks} rows", "banks of bundles", sample.bank_load
        ),
    }  # fmt: skip


def _spread(sample: MaskSample) -> str:
    rows, banks = sample.row_load, sample.bank_load
    return (
        f"Rows keep {_count(rows, 'min')} to {_count(rows, 'max')} weights, {_count(rows, 'mean')} on average; "
        f"a bank of {sample.banks} holds {_count(banks, 'min')} to {_count(banks, 'max')} "
        f"of a bundle, {_count(banks, 'mean')} on average."
    )


def _count(load: Mapping[str, object], name: str) -> str:
    value = load.get(name)
    return f"{value:.4g}" if isinstance(value, int | float) else "-"


def _number(load: Mapping[str, object], name: str) -> float | None:
    value = load.get(name)
    return value if isinstance(value, int | float) else None


def _bins(load: Mapping[str, object]) -> tuple[list[int], list[int]]:
    edges, counts = load.get("bin_edges"), load.get("bin_counts")
    if not isinstance(edges, list | tuple) or not isinstance(counts, list | tuple):
        return [], []
    return [int(edge) for edge in edges], [int(one) for one in counts]


def _histogram(label: str, unit: str, load: Mapping[str, object]) -> dict[str, object]:
    edges, counts = _bins(load)
    names = [f"{start}" if end - start == 1 else f"{start} to {end - 1}" for start, end in pairwise(edges)]
    return {
        "kind": "bars",
        "title": label[:1].upper() + label[1:],
        "x": {"label": f"number of {unit}", "unit": ""},
        "series": [{"name": unit, "colour": 0}],
        "rows": [
            {"label": name, "values": [count], "tip": f"{name} {label.partition(' of ')[0]}: {count} {unit}"}
            for name, count in zip(names, counts, strict=True)
        ],
    }


def _loads(sample: MaskSample) -> dict[str, object]:
    numbers = [
        (f"{found:.4g}" if found is not None else "-", found)
        for load in (sample.row_load, sample.bank_load)
        for name in ("min", "mean", "max", "cv")
        for found in [_number(load, name)]
    ]
    return {
        "layer": printable(sample.layer),
        "variant": _name(sample),
        "density": (f"{_density(sample):.4f}", _density(sample)),
        "numbers": numbers,
        "row_bars": bars(_bins(sample.row_load)[1]),
        "bank_bars": bars(_bins(sample.bank_load)[1]),
    }


def bars(counts: Sequence[int]) -> str:
    """Return a histogram as a word of block characters, "" where there is nothing to count."""
    highest = max(counts, default=0)
    if not highest:
        return ""
    return "".join(" " if not one else _BARS[-(-one * len(_BARS) // highest) - 1] for one in counts)
