"""Pictures of masks: weight by weight, density all over the layer, and how evenly rows and banks are loaded.

Of a layer that only became smaller, words say what is gone: its picture would be one full square.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gatherline.mask_samples import MaskSample, MaskWindow
from gatherline.report.page.bitmap import data_uri
from gatherline.report.page.results import DeviceResults, is_dense
from gatherline.report.remarks import label, removed_label
from gatherline.report.selection import Variant, number, percent, printable, text, variant

SHOWN_WINDOWS = 120  # of some 4 kB each
SHOWN_LOADS = 2_000  # layers in the table of loads
_BARS = "▁▂▃▄▅▆▇█"


Shape = tuple[int, int]


def masks_section(samples: Sequence[MaskSample], devices: Sequence[DeviceResults] = ()) -> dict[str, object]:
    """Return the pictures of samples that have a window by layer, and a line of loads for every sample.

    ``devices``: their totals name the variants as all of the page does, and their dense layers tell what is gone.
    """
    names = {variant(row): label(row) for device in devices for row in reversed(device.totals)}
    shapes = _dense_shapes(devices)
    pictured = [(sample, sample.window) for sample in samples if sample.window is not None]
    by_layer: dict[str, list[dict[str, object]]] = {}
    for sample, window in pictured[:SHOWN_WINDOWS]:
        by_layer.setdefault(printable(sample.layer), []).append(_picture(sample, window, names, shapes))
    return {
        "layers": [{"layer": layer, "pictures": pictures} for layer, pictures in by_layer.items()],
        "pictures_left": max(0, len(pictured) - SHOWN_WINDOWS),
        "loads": [_loads(sample, names) for sample in samples[:SHOWN_LOADS]],
        "loads_left": max(0, len(samples) - SHOWN_LOADS),
        "banks": sorted({sample.banks for sample in samples}),
    }


def _dense_shapes(devices: Sequence[DeviceResults]) -> dict[str, Shape]:
    """Return rows and columns that each layer has where nothing is pruned, {} where dense was not run."""
    found: dict[str, Shape] = {}
    for device in devices:
        for row in (row for layers in device.layers.values() for row in layers if is_dense(row)):
            m, k = number(row, "m"), number(row, "k")
            if m is not None and k is not None:
                found.setdefault(text(row, "layer"), (int(m), int(k)))
    return found


def _name(sample: MaskSample, names: Mapping[Variant, str]) -> str:
    asked = Variant(pattern=printable(sample.pattern), sparsity=sample.sparsity)
    return names.get(asked, removed_label(asked, None))


def gone(sample: MaskSample, dense: Shape | None) -> str:
    """Return what a layer lost whose weights are all kept, in words: it became smaller, and stays dense."""
    if dense is None or dense == (sample.m, sample.k):
        return f"Dense: all of its {sample.m} × {sample.k} weights are kept."
    lost = [
        f"{count} {what}"
        for count, what in (
            (dense[0] - sample.m, "output channels (rows)"),
            (dense[1] - sample.k, "columns, those of input channels that went,"),
        )
        if count > 0
    ]
    said = f"Dense, {sample.m} × {sample.k} of {dense[0]} × {dense[1]}"
    return f"{said}: {' and '.join(lost)} are gone; of what is left every weight is kept."


def _density(sample: MaskSample) -> float:
    weights = sample.groups * sample.m * sample.k
    return sample.kept / weights if weights else 0.0


def _picture(
    sample: MaskSample, window: MaskWindow, names: Mapping[Variant, str], shapes: Mapping[str, Shape]
) -> dict[str, object]:
    full = sample.kept == sample.groups * sample.m * sample.k
    found: dict[str, object] = {
        "variant": _name(sample, names),
        "facts": f"{sample.m} rows × {sample.k} columns"
        + (f", {sample.groups} groups" if sample.groups > 1 else "")
        + f", density {_density(sample):.3g}",
        "ran_as": "" if sample.layer_pattern == sample.pattern else printable(sample.layer_pattern),
        "gone": gone(sample, shapes.get(printable(sample.layer))) if full else "",
    }
    return found if full else found | _pictures(sample, window)


def _pictures(sample: MaskSample, window: MaskWindow) -> dict[str, object]:
    kept, parts = window.kept, window.density
    rows, columns = kept.shape
    thinnest, densest = (float(parts.min()), float(parts.max())) if parts.size else (0.0, 0.0)
    return {
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
            f"from {thinnest:.2g} to {densest:.2g}.",
            "rows": parts.shape[0],
            "columns": parts.shape[1],
            "scale": f"no colour where nothing is kept, full colour where {percent(densest)} is kept, the most of any "
            f"part; the least is {percent(thinnest)}",
        },
        "evenly": _spread(sample),
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
    most = _number(load, "max")
    lasts = [end - 1 if most is None else min(end - 1, int(most)) for end in edges[1:]]  # the last bin may reach beyond
    names = [f"{start}" if last <= start else f"{start} to {last}" for start, last in zip(edges, lasts, strict=False)]
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


def _loads(sample: MaskSample, names: Mapping[Variant, str]) -> dict[str, object]:
    numbers = [
        (f"{found:.4g}" if found is not None else "-", found)
        for load in (sample.row_load, sample.bank_load)
        for name in ("min", "mean", "max", "cv")
        for found in [_number(load, name)]
    ]
    return {
        "layer": printable(sample.layer),
        "variant": _name(sample, names),
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
