"""``simulate prune``: project a model's weights onto a pattern and write the same kind of file again.

The file is read, masked, written aside, read back and compared; nothing of it is executed. What a pattern reached, what
weight was kept and whether the mask obeys is told layer by layer. Left out: training after pruning. (No module may be
called ``gatherline.prune``: that is the function of the Python API.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from importlib.metadata import version
from importlib.resources import as_file, files
from pathlib import Path
from typing import Protocol

import numpy as np

from gatherline.levels import LayerLevels, file_hash, layer_levels, read_levels, write_levels
from gatherline.loading import EMBEDDED, parse_input_shape
from gatherline.pipeline_types import Report
from gatherline.progress import Progress, SilentProgress
from gatherline.prune_masks import LayerMasks, mask_layer
from gatherline.prune_request import PruneRequest, check_out, kept_layers, source_path, sparsities_of
from gatherline.prune_rows import prune_rows
from gatherline.prune_smaller import Smaller, mask_smaller, opened, shrink, stay_reasons
from patterns.base import Mask
from patterns.channel import Channel
from patterns.channel_then import ChannelThen
from traces.layer import FloatArray, ModelError, Network
from traces.lower import onnx_write, safetensors_write, state_source
from traces.lower.onnx_write import OnnxSource
from traces.lower.state_source import StateSource

Source = OnnxSource | StateSource


def prune(request: PruneRequest, progress: Progress | None = None) -> Report:
    """Write the pruned model, and its levels if asked for; return a row per level and layer, and totals.

    Raises RequestError, RatioError, ModelError, PatternError (all ValueError) and OSError; then nothing is written.
    """
    shown = progress or SilentProgress()
    out = Path(request.out)
    check_out(request.model, out)
    with ExitStack() as stack:
        source = open_source(request, stack)
        network = source.network
        sparsities, reasons = sparsities_of(network, request, kept_layers(network, request))
        hidden = _hidden(source) if request.repack else {}
        shown.start(len(sparsities[-1]) + 1, f"{network.name}: {request.pattern}")
        try:
            smaller: Smaller | None = None
            if isinstance(source, OnnxSource) and isinstance(request.rule, Channel | ChannelThen):
                asked = overall_target(request, network, sparsities)
                smaller = shrink(source, request.rule, asked, reasons, out, stack)
                reasons = stay_reasons(network, smaller, reasons)
                source = opened(smaller, source, strict=request.strict)
            pruned = _masks(request, network, source, sparsities, smaller, hidden, shown)
            rows = prune_rows(request, network, pruned, reasons, hidden, smaller)  # before the source is used up
            if smaller is None or pruned:
                remarks = write_masked(
                    source, {name: masks.masks[-1] for name, masks in pruned.items()}, out, request.repack
                )
                add_remarks(rows, remarks)
            levels_file = _write_levels(request, out, pruned) if request.levels else None
            shown.step(out.name)
        finally:
            shown.stop()
    return Report(manifest=_manifest(request, network, out, levels_file, hidden), rows=rows)


def overall_target(request: PruneRequest, network: Network, sparsities: Sequence[Mapping[str, float]]) -> float:
    """Return the sparsity of all pruned layers together: as asked, or what a list makes of it."""
    if not request.listed:
        return request.targets[-1]
    sizes = {layer.name: layer.weight_elements for layer in network.matrix_layers}
    return sum(sizes[name] * share for name, share in sparsities[-1].items()) / sum(sizes[n] for n in sparsities[-1])


def _masks(
    request: PruneRequest,
    network: Network,
    source: Source,
    sparsities: Sequence[Mapping[str, float]],
    smaller: Smaller | None,
    hidden: Mapping[str, FloatArray],
    shown: Progress,
) -> dict[str, LayerMasks]:
    pruned: dict[str, LayerMasks] = {}
    for layer in network.matrix_layers:
        if layer.name not in sparsities[-1] or isinstance(request.rule, Channel):
            continue
        targets = tuple(level[layer.name] for level in sparsities)
        if smaller is not None and isinstance(request.rule, ChannelThen):
            pruned[layer.name] = mask_smaller(layer, source.network, smaller, request.rule, targets)
        else:
            weights = hidden.get(layer.name, network.weights[layer.name])
            pruned[layer.name] = mask_layer(layer, weights, request.rule, targets)
        shown.step(layer.name)
    return pruned


def add_remarks(rows: Sequence[dict[str, object]], remarks: Mapping[str, str]) -> None:
    """Add what writing has to say of a layer to the reason of its row."""
    for row in rows:
        texts = (str(row["reason"]), remarks.get(str(row["layer"]), ""))
        row["reason"] = "; ".join(text for text in texts if text)


class Opened(Protocol):
    """How a model is read, of whatever request."""

    @property
    def model(self) -> str: ...
    @property
    def arch(self) -> str | None: ...
    @property
    def batch(self) -> int | None: ...
    @property
    def input_shape(self) -> str | None: ...
    @property
    def strict(self) -> bool: ...


def open_source(request: Opened, stack: ExitStack) -> Source:
    """Return the model to be written again; ``stack`` closes what it needs. Raises ModelError and RequestError."""
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


def write_masked(source: Source, keep: Mapping[str, Mask], out: Path, repack: bool = False) -> dict[str, str]:
    """Write ``source`` with the weights that ``keep`` keeps; return remarks by layer. Raises ModelError and OSError."""
    if isinstance(source, OnnxSource):
        return onnx_write.write_onnx(source, keep, out, repack=repack)
    return safetensors_write.write_safetensors(source, keep, out, repack=repack)


def _write_levels(request: PruneRequest, out: Path, pruned: Mapping[str, LayerMasks]) -> Path:
    """Write the levels and read them back. Raises ModelError where they are not the masks that were made."""
    layers: dict[str, LayerLevels] = {name: layer_levels(masks.masks) for name, masks in pruned.items()}
    written = write_levels(out, request.pattern, request.targets, layers)
    for name, found in read_levels(out).layers.items():
        for level, mask in enumerate(pruned[name].masks, start=1):
            if not np.array_equal(found.mask(level), mask):
                raise ModelError(f"{written}: layer {name}: level {level} cannot be read back as it was written")
    return written


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
