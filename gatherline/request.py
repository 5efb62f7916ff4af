"""What a user asks for: a model, patterns, sparsities, devices and options, checked, and what they stand for.

Left out: the run itself (``pipeline.py``), and how the command spells its options (``options.py``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from costmodel.device_file import load_target
from costmodel.devices.catalog import ALL_DEVICES as COST_DEVICES
from costmodel.spec import VALUE_BYTES, RooflineDevice
from costmodel.tables.catalog import DEFAULT_TECHNOLOGY, technology_named
from gatherline.best_encoding import BEST
from gatherline.levels import at_level, read_levels
from gatherline.loading import resolve_model
from gatherline.request_error import RequestError
from gatherline.shares import check_ratios, is_listed, layer_shares, nothing_left, overall
from patterns.base import Pattern
from patterns.catalog import parse_pattern
from patterns.channel import Channel
from patterns.channel_then import ChannelThen
from patterns.dense import Dense
from patterns.encodings.catalog import encoding as encoding_named
from patterns.unstructured import Unstructured
from simulator.devices.catalog import ALL_DEVICES as CYCLE_DEVICES
from simulator.spec import Device, DeviceError
from traces.layer import Network
from traces.masks import NEARLY_DENSE, Level, kept_dense
from traces.matching import Match

__all__ = [
    "DEFAULT_DEVICES", "RequestError", "RunRequest", "Target", "device_named", "devices_of", "levels", "lower",
    "with_dtype",
]  # fmt: skip

DEFAULT_DTYPE = "fp16"
DEFAULT_DEVICES = ("gs-tcm", "snapdragon-855", "adreno-640", "a100", "zcu102")  # one of each kind
Target = Device | RooflineDevice


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """What is asked. ``sparsities`` empty: the zeros that the model already has. Defaults are those of the command."""

    model: str = ""  # .onnx, .pt2, .safetensors (with ``arch``) or a built-in name
    arch: str | None = None  # built-in network whose layers a .safetensors file holds
    patterns: tuple[str, ...] = ()  # as in gs:16,1 or block:1x16; empty: the zeros that the model has
    sparsities: tuple[float, ...] = ()  # fractions of weights removed, 0 to below 1
    devices: tuple[str, ...] = ()  # names, or paths of .toml files; empty: one of each kind
    seed: int = 0  # of synthetic weights
    batch: int | None = None  # samples in flight; None: what the file says, 1 for a built-in
    input_shape: str | None = None  # of dynamic dimensions, as in 1,3,224,224 or name=1,3,224,224
    dtype: str = DEFAULT_DTYPE  # type of weights and activations
    threads: int = 1  # of a CPU; other devices use all they have
    encoding: str | None = None  # storage format instead of the pattern's own; best: the smallest for each layer
    order: str = "packed"  # of an unstructured stream: packed (its best), or csr (by columns)
    match: Match = "density"  # what patterns have in common at one sparsity: weights kept, or slots stored
    prune_all: bool = False  # --all: the first layer, depthwise layers and the classifier too
    mapping: str | None = None  # tiling instead of the mapper's
    strict: bool = False  # an unsupported operator is an error
    ratios: str = "uniform"  # a method, the path of a list, or the name of a profile
    technology: str = DEFAULT_TECHNOLOGY.name  # table of energies and areas
    level: int | None = None  # of a model that was pruned to nested levels, 1 the sparsest; None: all that it holds

    def __post_init__(self) -> None:
        for sparsity in self.sparsities:
            if not 0.0 <= sparsity < 1.0:
                raise RequestError(f"sparsity is {sparsity}, and must be at least 0 and below 1")
        for name, least in (("batch", 1), ("threads", 1), ("seed", 0), ("level", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise RequestError(f"{name} is {value}, and must be at least {least}")
        for name, known in (
            ("dtype", tuple(VALUE_BYTES)),
            ("order", ("packed", "csr")),
            ("match", ("density", "slots")),
        ):
            if getattr(self, name) not in known:
                raise RequestError(f"{name} is {getattr(self, name)!r}, and must be one of {', '.join(known)}")
        if self.encoding not in (None, BEST):
            encoding_named(str(self.encoding))
        check_ratios(self.ratios)
        for text in self.patterns:
            _check_pattern_takes(text, self.ratios)
        technology_named(self.technology)
        if self.ratios == "uniform":
            return
        if is_listed(self.ratios) and self.sparsities:
            raise RequestError(f"ratios {self.ratios} say how sparse each layer becomes, and sparsities were given too")
        if not is_listed(self.ratios) and not self.sparsities:
            raise RequestError(f"ratios {self.ratios} need a sparsity, that of all pruned layers together")


def _check_pattern_takes(text: str, ratios: str) -> None:
    rule = parse_pattern(text)
    masking = rule.rule if isinstance(rule, ChannelThen) else rule
    if ratios == "uniform":
        return
    if isinstance(rule, Channel):
        raise RequestError(
            f"pattern channel takes one ratio for all layers, since channels that meet go together, and ratios are "
            f"{ratios}"
        )
    if isinstance(masking, Unstructured) and masking.scope == "global":
        raise RequestError(f"pattern {rule.spelling} has ratios of its own, and ratios are {ratios}")


def device_named(name: str) -> Target:
    """Return the preset ``name``, or the device that a TOML file describes. Raises DeviceError."""
    if name.endswith(".toml"):
        return load_target(Path(name))
    every: tuple[Target, ...] = (*CYCLE_DEVICES, *COST_DEVICES)
    known = {device.name: device for device in every}
    if name not in known:
        near = get_close_matches(name, list(known), n=1)
        told = f"did you mean {near[0]}?" if near else f"simulate list devices shows the {len(known)} that are"
        raise DeviceError(f"device {name!r} is not known; {told}")
    return known[name]


def cycle_device(name: str) -> Device:
    """Return a cycle-level device as ``device_named`` does. Raises DeviceError."""
    device = device_named(name)
    if not isinstance(device, Device):
        raise DeviceError(f"device {device.name} is a roofline, and its parts, so its area, are not known")
    return device


def devices_of(request: RunRequest, remedy: str = "give --dtype") -> list[Target]:
    """Return the devices asked for, each once. Raises DeviceError for two that share a name, or a dtype one has not.

    ``remedy``: where another dtype is said.
    """
    found: dict[str, Target] = {}
    for name in request.devices or DEFAULT_DEVICES:
        device = with_dtype(device_named(name), request.dtype)
        if isinstance(device, RooflineDevice) and request.dtype not in device.dtypes:
            asked = f"{request.dtype!r}{' (the default)' if request.dtype == DEFAULT_DTYPE else ''}"
            raise DeviceError(f"dtype is {asked}, and {device.name} has {', '.join(device.dtypes)}: {remedy}")
        if found.setdefault(device.name, device) != device:
            raise DeviceError(f"device {name}: its name is {device.name}, and another device of this run has it too")
    return list(found.values())


def with_dtype(device: Target, dtype: str) -> Target:
    """Return a cycle-level device whose values have the width of ``dtype``; a roofline knows its own types."""
    if isinstance(device, Device):
        return replace(device, widths=replace(device.widths, value_bytes=VALUE_BYTES[dtype]))
    return device


def levels(network: Network, request: RunRequest) -> list[Level]:
    """Return patterns x sparsities in the order asked for; dense once, whatever the sparsities."""
    patterns = [parse_pattern(text) for text in request.patterns]
    if request.ratios != "uniform":
        return _levels_by_layer(network, request, patterns or [Unstructured()])
    if not patterns and not request.sparsities:
        return [Level(pattern=Unstructured() if _has_zeros(network) else Dense(), sparsity=None)]
    found: list[Level] = []
    for pattern in patterns or [Unstructured()]:
        if isinstance(pattern, Dense):
            found.append(Level(pattern=pattern, sparsity=None))
        elif request.sparsities:
            found += [Level(pattern=pattern, sparsity=sparsity) for sparsity in request.sparsities]
        elif isinstance(pattern, Channel | ChannelThen):
            raise RequestError(
                f"pattern {pattern.spelling} needs a sparsity: channels go by the share that is to leave"
            )
        elif not _has_zeros(network):
            raise RequestError(
                f"pattern {pattern.spelling} without a sparsity means the zeros of the model, and {network.name} has "
                f"too few"
            )
        else:
            found.append(Level(pattern=pattern, sparsity=None))
    return list({(level.pattern.spelling, level.sparsity): level for level in found}.values())


def _levels_by_layer(network: Network, request: RunRequest, patterns: list[Pattern]) -> list[Level]:
    """Return a level for each pattern and sparsity in which each layer has a target of its own."""
    kept = kept_dense(network, request.prune_all)
    found: list[Level] = []
    asked = []
    for sparsity in request.sparsities or (None,):
        shares = layer_shares(network, request.ratios, sparsity, kept)
        if is_listed(request.ratios) and not shares.pruned:
            raise nothing_left(network, shares.reasons)
        asked.append((overall(network, shares) if sparsity is None else sparsity, shares))
    for pattern in patterns:
        if isinstance(pattern, Dense):
            found.append(Level(pattern=pattern, sparsity=None))
        else:
            found += [Level(pattern=pattern, sparsity=sparsity, shares=shares) for sparsity, shares in asked]
    return list({(level.pattern.spelling, level.sparsity): level for level in found}.values())


def _has_zeros(network: Network) -> bool:
    """Return whether the zeros of some layer are a mask; a few happen in dense weights too."""
    weights = (network.weights[layer.name] for layer in network.matrix_layers)
    return any(int(np.count_nonzero(weight)) < NEARLY_DENSE * weight.size for weight in weights)


def lower(request: RunRequest) -> Network:
    """Return the network that a request names: a file, a built-in or an embedded model. Raises ModelError."""
    network = resolve_model(
        request.model,
        arch=request.arch,
        seed=request.seed,
        batch=request.batch,
        input_shape=request.input_shape,
        strict=request.strict,
    )
    return network if request.level is None else at_level(network, read_levels(Path(request.model)), request.level)
