"""``simulate prune``: project a model's weights onto a pattern and write the same kind of file again.

The file is read, masked, written aside, read back and compared; nothing of it is executed. What a pattern reached, what
weight was kept and whether the mask obeys is told layer by layer. Left out: training after pruning. (No module may be
called ``gatherline.prune``: that is the function of the Python API.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np

from gatherline.levels import LayerLevels, file_hash, layer_levels, write_levels
from gatherline.loading import EMBEDDED, parse_input_shape
from gatherline.pipeline_types import Report
from gatherline.progress import Progress, SilentProgress
from gatherline.prune_request import PruneRequest, check_out, kept_layers, source_path, sparsities_of
from patterns.base import BankOfColumn, Mask, Pattern, PatternError, Scores
from patterns.nesting import nested_masks
from traces.layer import FloatArray, MatrixLayer, Network
from traces.layout import column_banks
from traces.lower import onnx_write, safetensors_write, state_source
from traces.lower.onnx_write import OnnxSource
from traces.lower.state_source import StateSource
from traces.masks import WHOLE, layer_rule, pattern_banks

TOTAL, HOLDS = "total", "holds"
NOTED_GAP = 0.005  # a reached sparsity that is further from the target than this gets a remark

Source = OnnxSource | StateSource


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayerMasks:
    """What one layer becomes: the rule that held, its masks (the sparsest level first), targets and remarks."""

    layer: MatrixLayer
    pattern: Pattern
    targets: tuple[float, ...]
    masks: tuple[Mask, ...]
    reason: str


def prune(request: PruneRequest, progress: Progress | None = None) -> Report:
    """Write the pruned model, and its levels if asked for; return a row per level and layer, and totals.

    Raises RequestError, RatioError, ModelError, PatternError (all ValueError) and OSError; then nothing is written.
    """
    shown = progress or SilentProgress()
    out = Path(request.out)
    check_out(request.model, out)
    with ExitStack() as stack:
        source = _open(request, stack)
        network = source.network
        sparsities, reasons = sparsities_of(network, request, kept_layers(network, request))
        hidden = _hidden(source) if request.repack else {}
        shown.start(len(sparsities[-1]) + 1, f"{network.name}: {request.pattern}")
        try:
            pruned: dict[str, LayerMasks] = {}
            for layer in network.matrix_layers:
                if layer.name in sparsities[-1]:
                    targets = tuple(level[layer.name] for level in sparsities)
                    weights = hidden.get(layer.name, network.weights[layer.name])
                    pruned[layer.name] = mask_layer(layer, weights, request.rule, targets)
                    shown.step(layer.name)
            rows = _rows(request, network, pruned, reasons, hidden)  # before the source is used up
            remarks = _write(source, {name: masks.masks[-1] for name, masks in pruned.items()}, out, request.repack)
            for row in rows:
                texts = (str(row["reason"]), remarks.get(str(row["layer"]), ""))
                row["reason"] = "; ".join(text for text in texts if text)
            levels_file = _write_levels(request, out, pruned) if request.levels else None
            shown.step(out.name)
        finally:
            shown.stop()
    return Report(manifest=_manifest(request, network, out, levels_file, hidden), rows=rows)


def _open(request: PruneRequest, stack: ExitStack) -> Source:
    path = source_path(request.model)
    if request.model in EMBEDDED:
        path = stack.enter_context(as_file(files("gatherline") / "models" / path.name))
    shapes = parse_input_shape(request.input_shape)
    from traces.lower.read import check_file

    check_file(path, request.arch)
    if path.suffix == ".onnx":
        return onnx_write.open_onnx(path, input_shapes=shapes, batch=request.batch, strict=request.strict)
    return state_source.open_state(
        path, arch=request.arch, input_shapes=shapes, batch=request.batch, strict=request.strict
    )


def _hidden(source: Source) -> dict[str, FloatArray]:
    if isinstance(source, OnnxSource):
        return onnx_write.hidden_weights(source)
    return state_source.hidden_weights(source)


def _write(source: Source, keep: Mapping[str, Mask], out: Path, repack: bool) -> dict[str, str]:
    if isinstance(source, OnnxSource):
        return onnx_write.write_onnx(source, keep, out, repack=repack)
    return safetensors_write.write_safetensors(source, keep, out, repack=repack)


def mask_layer(layer: MatrixLayer, weights: FloatArray, pattern: Pattern, targets: Sequence[float]) -> LayerMasks:
    """Return the masks of one layer at ``targets`` (sparsities, the highest first), each within the next.

    A weight that is 0 is never kept, but for blocks and kernel shapes, which store it. The rule is applied as it
    stands: what rounding to whole groups keeps more stays. Raises PatternError that names the layer.
    """
    rule, why = layer_rule(pattern, layer)
    scores = np.abs(weights)
    banks = column_banks(layer, pattern_banks(rule))
    try:
        masks = _level_masks(rule, scores, targets, banks)
    except PatternError as error:
        raise PatternError(f"layer {layer.name}: {error} (--keep {layer.name} leaves it as it is)") from None
    if not isinstance(rule, WHOLE):
        masks = tuple(mask & (scores > 0) for mask in masks)
    limit = rule.limit((layer.groups, layer.m, layer.k), targets[-1])
    reason = "; ".join(text for text in (why, limit) if text)
    return LayerMasks(layer=layer, pattern=rule, targets=tuple(targets), masks=masks, reason=reason)


def _level_masks(
    rule: Pattern, scores: Scores, targets: Sequence[float], banks: BankOfColumn | None
) -> tuple[Mask, ...]:
    """Return a mask for each of ``targets``: two may ask the same of a layer, and 1.0 is to keep nothing of it."""
    shares = sorted({target for target in targets if target < 1.0}, reverse=True)
    found = dict(zip(shares, nested_masks(rule, scores, shares, banks) if shares else (), strict=True))
    nothing = np.zeros(scores.shape, dtype=np.bool_)
    return tuple(found.get(target, nothing) for target in targets)


def _rows(
    request: PruneRequest,
    network: Network,
    pruned: Mapping[str, LayerMasks],
    reasons: Mapping[str, str],
    hidden: Mapping[str, FloatArray],
) -> list[dict[str, object]]:
    """Return, level by level (the sparsest first), a row for each layer with weights and one for all of them."""
    rows = []
    for index, target in enumerate(request.targets):
        level = index + 1 if request.levels else None
        counts = []
        for layer in network.matrix_layers:
            masks = pruned.get(layer.name)
            before = hidden.get(layer.name, network.weights[layer.name]) if masks else network.weights[layer.name]
            counted = _counted(before, masks.masks[index] if masks else None)
            counts.append(counted)
            about = {"model": network.name, "layer": layer.name, "kind": layer.kind, "level": level}
            rows.append(about | _layer_facts(masks, index, counted, reasons.get(layer.name, "")))
        asked = None if request.listed else target
        about = {"model": network.name, "layer": TOTAL, "kind": None, "level": level, "pattern": request.pattern}
        names = [layer.name for layer in network.matrix_layers]
        taking_part = _sum([counted for name, counted in zip(names, counts, strict=True) if name in pruned])
        rows.append(
            about
            | {"sparsity_target": asked, "sparsity_of_pruned": 1 - taking_part.kept / taking_part.weights}
            | _shares(_sum(counts))
            | {"check": None, "explained": None, "reason": f"{len(pruned)} of {len(names)} layers pruned"}
        )
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counts:
    """Weights of a layer: all of them, those that are not 0 before and after, and the norms before and after."""

    weights: int
    nonzero: int
    kept: int
    l1: tuple[float, float]
    squares: tuple[float, float]


def _counted(before: FloatArray, mask: Mask | None) -> _Counts:
    size = np.abs(before).astype(np.float64)
    after = size if mask is None else np.where(mask, size, 0.0)
    return _Counts(
        weights=size.size,
        nonzero=int(np.count_nonzero(size)),
        kept=int(np.count_nonzero(after)),
        l1=(float(size.sum()), float(after.sum())),
        squares=(float(np.square(size).sum()), float(np.square(after).sum())),
    )


def _sum(counts: Sequence[_Counts]) -> _Counts:
    return _Counts(
        weights=sum(one.weights for one in counts),
        nonzero=sum(one.nonzero for one in counts),
        kept=sum(one.kept for one in counts),
        l1=(sum(one.l1[0] for one in counts), sum(one.l1[1] for one in counts)),
        squares=(sum(one.squares[0] for one in counts), sum(one.squares[1] for one in counts)),
    )


def _shares(counts: _Counts) -> dict[str, object]:
    """Return densities and the share of the weights' L1 and L2 norm that is kept; 1 where there was none."""
    return {
        "weights": counts.weights,
        "density_before": counts.nonzero / counts.weights,
        "density": counts.kept / counts.weights,
        "sparsity": 1 - counts.kept / counts.weights,
        "kept_l1": counts.l1[1] / counts.l1[0] if counts.l1[0] else 1.0,
        "kept_l2": math.sqrt(counts.squares[1] / counts.squares[0]) if counts.squares[0] else 1.0,
    }


def _layer_facts(masks: LayerMasks | None, index: int, counted: _Counts, reason: str) -> dict[str, object]:
    if masks is None:
        untouched = {"pattern": None, "sparsity_target": None, "sparsity_of_pruned": None}
        return untouched | _shares(counted) | {"check": None, "explained": None, "reason": reason}
    target = masks.targets[index]
    remarks = [reason, masks.reason]
    if abs(1 - counted.kept / counted.weights - target) > NOTED_GAP:
        own = 1 - counted.nonzero / counted.weights
        why = "zeros of the model stay" if own > target else f"what {masks.pattern.spelling} reaches on this shape"
        remarks.append(f"sparsity {1 - counted.kept / counted.weights:.4f} where {target:g} was asked: {why}")
    if not counted.kept:
        remarks.append("no weight is kept")
    about = {
        "pattern": masks.pattern.spelling,
        "sparsity_target": target,
        "sparsity_of_pruned": 1 - counted.kept / counted.weights,
    }
    text = "; ".join(remark for remark in remarks if remark)
    return about | _shares(counted) | _checked(masks, index) | {"reason": text}


def _checked(masks: LayerMasks, index: int) -> dict[str, object]:
    """Return "holds", or the first place where the mask breaks its rule, and the share that the rule explains."""
    banks = column_banks(masks.layer, pattern_banks(masks.pattern))
    found = masks.pattern.check(masks.masks[index], banks)
    if found is None:
        return {"check": HOLDS, "explained": 1.0}
    place = f"group {found.group}, row {found.row}, column {found.column}"
    return {"check": f"{place}: {found.text}", "explained": masks.pattern.explained(masks.masks[index], banks)}


def _write_levels(request: PruneRequest, out: Path, pruned: Mapping[str, LayerMasks]) -> Path:
    layers: dict[str, LayerLevels] = {name: layer_levels(masks.masks) for name, masks in pruned.items()}
    return write_levels(out, request.pattern, request.targets, layers)


def _manifest(
    request: PruneRequest, network: Network, out: Path, levels_file: Path | None, hidden: Mapping[str, FloatArray]
) -> dict[str, object]:
    notes = list(network.notes)
    if request.repack and not hidden:
        notes.append("repack had no effect: the file stores no mask apart from its weights")
    return {
        "version": version("gatherline"),
        "model": network.name,
        "model_source": f"embedded model {request.model}" if request.model in EMBEDDED else network.source,
        "model_hash": network.digest,
        "out": str(out),
        "out_hash": file_hash(out),
        "levels_file": None if levels_file is None else str(levels_file),
        "notes": notes,
        "request": asdict(request),
    }
