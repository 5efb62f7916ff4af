"""Channels that really go before ``simulate prune`` masks what is left, if anything is asked of it.

The smaller file is written by ``traces.lower.onnx_shrink``; where a second pattern follows, into a folder beside OUT
that is removed again. Left out: other kinds of files, ratios by layer for channels, levels of channels.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from gatherline.prune_masks import LayerMasks, mask_layer
from patterns.channel import Channel
from patterns.channel_then import ChannelThen
from traces.channels import ChannelPlan, kept_reasons, prune_channels
from traces.layer import MatrixLayer, Network
from traces.lower.onnx_shrink import shrink_onnx
from traces.lower.onnx_write import OnnxSource, open_onnx


@dataclass(frozen=True, slots=True, kw_only=True)
class Smaller:
    """What is left of a network: the plan, the layers by name, and the file, which is OUT where no mask follows."""

    plan: ChannelPlan
    layers: Mapping[str, MatrixLayer]
    path: Path
    share: float  # of the channels, as asked


def shrink(
    source: OnnxSource, rule: Channel | ChannelThen, sparsity: float, stay: Mapping[str, str], out: Path,
    stack: ExitStack,
) -> Smaller:  # fmt: skip
    """Write ``source`` without the channels that ``rule`` removes at ``sparsity``; those of ``stay`` all stay.

    Into ``out``, or for two rules into a folder that ``stack`` removes. Raises ModelError, and OSError.
    """
    share = sparsity if isinstance(rule, Channel) else rule.channel_sparsity(sparsity)
    plan = prune_channels(source.network, share, keep=frozenset(stay))
    path = out
    if isinstance(rule, ChannelThen):
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent))
        path = Path(folder) / out.name
    shrink_onnx(source.path, plan, path)
    return Smaller(
        plan=plan, layers={layer.name: layer for layer in plan.network.matrix_layers}, path=path, share=share
    )


def opened(smaller: Smaller, source: OnnxSource, *, strict: bool) -> OnnxSource:
    """Open the smaller file, to be masked and written again."""
    return open_onnx(smaller.path, input_shapes=source.input_shapes, batch=source.batch, strict=strict)


def mask_smaller(
    layer: MatrixLayer, network: Network, smaller: Smaller, rule: ChannelThen, targets: Sequence[float]
) -> LayerMasks:
    """Return the masks of what is left of ``layer``, so that ``targets`` of its first weights are gone in all."""
    now = smaller.layers[layer.name]
    rests = [rule.rest_sparsity(target, layer.weight_elements, now.weight_elements) for target in targets]
    masks = mask_layer(now, network.weights[layer.name], rule.rule, rests)
    gone = 1 - now.weight_elements / layer.weight_elements
    alone = f"the channels alone remove {gone:.4f}" if gone > min(targets) else ""
    return replace(masks, targets=tuple(targets), reason="; ".join(text for text in (masks.reason, alone) if text))


def stay_reasons(network: Network, smaller: Smaller, reasons: Mapping[str, str]) -> dict[str, str]:
    """Return why layers keep more output channels than asked: those that stay, and those tied to what stays."""
    return {**smaller.plan.reasons, **kept_reasons(network, smaller.plan.network, reasons)}
