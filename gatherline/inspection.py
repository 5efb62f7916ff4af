"""What a model holds, layer by layer: shapes, MACs, density, the patterns its masks obey, loads, entropy, bytes.

A mask is the zeros that the weights have, or what a pattern asked for would keep of them. Left out: latency
(``pipeline.run``), and channel pruning, which changes the layers themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gatherline.detection import CANDIDATES, DRAWS, LEAST_DEVIATIONS, LEAST_EXCESS, RANK_STEP, Candidate, detect, named
from gatherline.inspect_request import Questions
from gatherline.mask_statistics import bank_summary, gap_entropy_bits, load_summary, row_bound_bits, row_loads
from gatherline.report.files import report_json
from gatherline.report.inspection_files import write_inspection
from gatherline.report.mask_view import MaskView
from gatherline.request import RequestError
from gatherline.stored_sizes import StoredSize, layer_sizes, network_totals, smallest
from patterns.base import Mask
from patterns.names import nearest
from traces.layer import FloatArray, Layer, MatrixLayer, Network, ProductLayer, UnsupportedLayer
from traces.layout import column_banks
from traces.masks import NEARLY_DENSE, Level, trace_network
from traces.matching import LAYOUT_BANKS

DRAWN_LAYERS = 3  # pictures that --out makes unless --layer says which
RULE = (
    f"share: of the mask, by the pattern's detector; chance: mean share of {DRAWS[0]} to {DRAWS[1]} random masks as "
    f"dense; excess: (share - chance) / (1 - chance), by which patterns rank, in steps of {RANK_STEP:g}, among equals "
    f"the more particular first; named from an excess of {LEAST_EXCESS:g} and {LEAST_DEVIATIONS} standard deviations "
    f"on (both assumed), the best of each family"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """Rows, the manifest, and the masks that ``write`` draws."""

    manifest: dict[str, object]
    rows: list[dict[str, object]]
    masks: tuple[MaskView, ...] = field(default=())

    def to_json(self) -> str:
        """Return what ``--json`` prints: one object with schema, manifest and rows."""
        return report_json(self.manifest, self.rows)

    def write(self, folder: str | Path) -> list[Path]:
        """Write layers.csv, inspect.json and a picture for each mask; return the files. Raises OSError."""
        return write_inspection(Path(folder), self.manifest, self.rows, self.masks)

    def __repr__(self) -> str:
        return f"Inspection({len(self.rows):,} layers)"

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        from gatherline.report.inspection_table import print_inspection
        from gatherline.report.notebook import page

        return page(lambda console: print_inspection(self.rows, self.manifest, (), console))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Masked:
    """The mask of a layer, and why it is not what was asked for. ``pattern`` "": the zeros of the model."""

    mask: Mask
    pattern: str = ""
    sparsity: float | None = None
    reason: str = ""


def inspect_network(network: Network, manifest: dict[str, object], questions: Questions) -> Inspection:
    """Return a row per layer. Raises RequestError for a layer that is not there or has no weights, PatternError."""
    names = _seen_layers(network, questions)
    level = questions.level()
    projected = {} if level is None else _projected(network, level, questions.prune_all)
    rows: list[dict[str, object]] = []
    sizes: dict[str, list[StoredSize]] = {}
    views: list[MaskView] = []
    for layer in network.layers:
        row = _row(network, layer)
        rows.append(row)
        if not isinstance(layer, MatrixLayer):
            continue
        weights = network.weights[layer.name]
        masked = projected.pop(layer.name, None) or _Masked(mask=weights != 0)
        found = _candidates(layer, masked.mask)
        row |= _mask_facts(layer, masked, found)
        if level is not None:
            row |= _kept_shares(weights, masked)
        if questions.encodings:
            sizes[layer.name] = layer_sizes(layer, masked.mask, questions.widths)
            row["encodings"] = _sizes_json(sizes[layer.name], _kept(masked.mask))
        if layer.name in names:
            views.append(_view(network, layer, masked, found))
    about: dict[str, object] = {"inspection": _about(questions)}
    if sizes:
        about["encoding_totals"] = network_totals(list(sizes.values()), sum(_int(row["kept"]) for row in rows))
    return Inspection(manifest=manifest | about, rows=rows, masks=tuple(views))


def _seen_layers(network: Network, questions: Questions) -> frozenset[str]:
    """Return the layers whose masks are to be seen. Raises RequestError with the nearest name."""
    for name in questions.layers:
        layer = next((layer for layer in network.layers if layer.name == name), None)
        weighted = [layer.name for layer in network.matrix_layers]
        if layer is None:
            raise RequestError(f"layer {name!r} is not in {network.name}; {nearest(name, weighted)}")
        if not isinstance(layer, MatrixLayer):
            raise RequestError(f"layer {name} is of kind {layer.kind} and has no weights, so it has no mask")
    if questions.layers:
        return frozenset(questions.layers)
    pruned = [layer for layer in network.matrix_layers if questions.level() or _has_mask(network.weights[layer.name])]
    return frozenset(layer.name for layer in sorted(pruned, key=lambda layer: -layer.macs)[:DRAWN_LAYERS])


def _has_mask(weights: FloatArray) -> bool:
    return int(np.count_nonzero(weights)) < NEARLY_DENSE * weights.size


def _projected(network: Network, level: Level, prune_all: bool) -> dict[str, _Masked]:
    found = {}
    for trace in trace_network(network, level, prune_all=prune_all).traces:
        if trace.mask is not None:
            found[trace.layer.name] = _Masked(
                mask=trace.mask, pattern=trace.pattern.spelling, sparsity=trace.sparsity_target, reason=trace.reason
            )
    return found


def _row(network: Network, layer: Layer) -> dict[str, object]:
    row: dict[str, object] = {
        "model": network.name,
        "layer": layer.name,
        "kind": layer.kind,
        "m": None,
        "k": None,
        "p": None,
        "groups": None,
        "macs": 0,
        "weights": 0,
        "kept": 0,
        "density": None,
        "patterns": {},
        "synthetic": network.synthetic,
        "reason": layer.reason if isinstance(layer, UnsupportedLayer) else None,
        "candidates": [],
        "row_load": None,
        "bank_load": None,
        "index_entropy": None,
    }
    if isinstance(layer, ProductLayer):
        row |= {"m": layer.m, "k": layer.k, "p": layer.p, "groups": layer.instances, "macs": layer.macs}
    if isinstance(layer, MatrixLayer):
        row |= {"m": layer.m, "k": layer.k, "p": layer.p, "groups": layer.groups, "macs": layer.macs}
        row["weights"] = layer.weight_elements
    return row


def _candidates(layer: MatrixLayer, mask: Mask) -> list[Candidate]:
    """Return what was tried; nothing on masks that any rule explains, those that keep nearly all, or nothing."""
    return detect(layer, mask) if 0 < _kept(mask) < NEARLY_DENSE * mask.size else []


def obeyed(layer: MatrixLayer, mask: Mask) -> dict[str, float]:
    """Return the patterns that explain ``mask`` (groups, m, k) beyond chance, with their shares."""
    return _named_shares(mask, _candidates(layer, mask))


def _named_shares(mask: Mask, candidates: list[Candidate]) -> dict[str, float]:
    """Return the patterns that explain ``mask`` beyond chance, the best first, with their shares.

    {"dense": density} for a mask that keeps nearly all, {"unstructured": 1} where no pattern stands out, {} where
    nothing is kept.
    """
    kept = _kept(mask)
    if not kept:
        return {}
    if kept >= NEARLY_DENSE * mask.size:
        return {"dense": kept / mask.size}
    found = {candidate.pattern: candidate.share for candidate in named(candidates) if candidate.share is not None}
    return found or {"unstructured": 1.0}


def _mask_facts(layer: MatrixLayer, masked: _Masked, candidates: list[Candidate]) -> dict[str, object]:
    mask = masked.mask
    loads = row_loads(mask)
    banked = layer.kind != "depthwise"
    reasons = [masked.reason, "" if _kept(mask) else "no weight is kept"]
    return {
        "kept": _kept(mask),
        "density": _kept(mask) / mask.size,
        "patterns": _named_shares(mask, candidates),
        "reason": "; ".join(reason for reason in reasons if reason) or None,
        "candidates": [candidate.as_json() for candidate in candidates],
        "row_load": load_summary(loads),
        "bank_load": bank_summary(mask, column_banks(layer, LAYOUT_BANKS), LAYOUT_BANKS) if banked else None,
        "index_entropy": {
            "row_bound_bits": row_bound_bits(loads, layer.k),
            "gap_entropy_bits": gap_entropy_bits(mask),
        },
    }


def _kept_shares(weights: FloatArray, masked: _Masked) -> dict[str, object]:
    """Return what the mask keeps of the weights' L1 and L2 norm; 1 where there is none."""
    size = np.abs(weights).astype(np.float64)
    kept = size[masked.mask]
    l1, squares = float(size.sum()), float(np.square(size).sum())
    return {
        "pattern": masked.pattern,
        "sparsity_target": masked.sparsity,
        "kept_l1": float(kept.sum()) / l1 if l1 else 1.0,
        "kept_l2": float(np.sqrt(np.square(kept).sum() / squares)) if squares else 1.0,
    }


def _sizes_json(sizes: Sequence[StoredSize], kept: int) -> list[dict[str, object]]:
    best = smallest(sizes)
    return [size.as_json(kept) | {"best": size is best} for size in sizes]


def _view(network: Network, layer: MatrixLayer, masked: _Masked, candidates: list[Candidate]) -> MaskView:
    title = f"{network.name}, {layer.name}" + (" (synthetic weights)" if network.synthetic else "")
    return MaskView(
        layer=layer.name,
        title=title,
        mask=masked.mask,
        banks=None if layer.kind == "depthwise" else column_banks(layer, LAYOUT_BANKS),
        bank_count=LAYOUT_BANKS,
        patterns=_named_shares(masked.mask, candidates),
        projected=masked.pattern,
    )


def _about(questions: Questions) -> Mapping[str, object]:
    return {
        "rule": RULE,
        "candidates": list(CANDIDATES),
        "banks": LAYOUT_BANKS,
        "value_bits": questions.widths.value_bits,
        "index_bits": questions.index_bits,
        "pointer_bits": questions.widths.pointer_bits,
        "pattern": questions.pattern,
        "sparsity": questions.sparsity,
    }


def _kept(mask: Mask) -> int:
    return int(np.count_nonzero(mask))


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0
