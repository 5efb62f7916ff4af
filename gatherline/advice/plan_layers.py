"""The layers of a plan, a row each: what each was and becomes, and why one stays. Left out: layers without weights."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from pathlib import Path

from gatherline.advice.options import Option
from gatherline.advice.problem import Chosen
from gatherline.advice.search import Search
from traces.layer import MatrixLayer


def layer_rows(search: Search, chosen: Chosen) -> list[dict[str, object]]:
    """Return a row for each layer with weights, in the network's order, with what it was and what it becomes."""
    own = {
        table.layer.name: (table, option) for table, option in zip(search.tables.layers, chosen.options, strict=True)
    }
    rows: list[dict[str, object]] = []
    for layer in search.tables.network.layers:
        if not isinstance(layer, MatrixLayer):
            continue
        table, option = own[layer.name] if layer.name in own else (None, search.tables.fixed[layer.name])
        assert isinstance(option, Option)
        before = (option if table is None else table.stays).result
        rows.append(
            {
                "model": search.tables.network.name,
                "layer": layer.name,
                "kind": layer.kind,
                "device": search.device.name,
                "pattern": option.pattern or None,
                "layer_pattern": option.rule,
                "sparsity_target": option.sparsity,
                "density": option.kept.weights / option.kept.of_weights,
                "kept_l1": share(option.kept.l1, option.kept.of_l1),
                "kept_l2": sqrt(share(option.kept.squares, option.kept.of_squares)),
                "loss": 0.0 if table is None else search.losses.of(table, option, search.tables),
                "latency_s": option.result.latency_s,
                "unpruned_latency_s": before.latency_s,
                "latency_low_s": option.result.latency_low_s,
                "latency_high_s": option.result.latency_high_s,
                "validated": option.result.validated,
                "stored_bytes": option.stored_bytes,
                "unpruned_stored_bytes": before.counters.weight_bytes + before.counters.index_bytes,
                "kernel": option.result.kernel or None,
                "bound": option.result.bound or None,
                "options": 0 if table is None else len(table.options),
                "reason": _reason(search, layer.name, None if table is None else table.refused, option),
            }
        )
    return rows


def _reason(search: Search, layer: str, refused: Sequence[str] | None, option: Option) -> str | None:
    kept = search.tables.reasons.get(layer, "")
    missing = ""
    table = search.losses.table
    if refused is not None and table is not None and layer not in table.layers:
        missing = f"not in {Path(table.path).name}: stays as it is"
    texts = dict.fromkeys([kept, missing, option.result.reason, *(refused or ())])
    return "; ".join(text for text in texts if text) or None


def share(part: float, whole: float) -> float:
    return part / whole if whole else 1.0
