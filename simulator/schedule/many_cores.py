"""What a layer becomes on several cores: a program for each core, under every way to share it out. DESIGN 5a.

Every core compiles its share as a layer of its own, with a mapping of its own. One core alone is a way too, so that a
layer is never slower for having cores. Left out: layers that run at the same time on different cores.
"""

from __future__ import annotations

import re
from dataclasses import replace

from simulator.schedule.layer_program import compile_layer
from simulator.schedule.mapping import parse_mapping
from simulator.schedule.program import Program
from simulator.schedule.sharing import Sharing, sharings, why_on_one_core
from simulator.schedule.sources import StreamPlan, plan_streams
from simulator.spec import Device, DeviceError
from traces.layer import MatrixLayer
from traces.trace import LayerTrace

_SHARED = re.compile(r"cores=(?P<cores>[1-9]\d*)(?: by (?P<way>[a-z]+))? \| (?P<rest>.+)")


def layer_programs(
    trace: LayerTrace, device: Device, *, encoding: str | None = None, order: str = "packed", mapping: str | None = None
) -> tuple[Program, ...]:
    """Return the program of one layer under each way to share it out, on one core first.

    ``mapping`` as a result spells it: with "cores=C by WAY | " before it that way alone is taken, and a mapping for
    each core stands after " | ". Raises DeviceError where no way fits.
    """
    if device.cores == 1:
        return (compile_layer(trace, device, encoding=encoding, order=order, mapping=mapping),)
    layer = trace.layer
    has_streams = isinstance(layer, MatrixLayer) and layer.kind != "depthwise"
    forced = _Forced(mapping if has_streams else None)  # no other layer has a mapping to choose
    plan = plan_streams(trace, device, encoding, order) if has_streams else None
    refused: list[DeviceError] = []
    found: list[Program] = []
    ways = sharings(trace, device.cores, device.scratchpad.banks, plan)
    if forced.takes(1, None):
        try:
            one = compile_layer(trace, device, encoding=encoding, order=order, mapping=forced.of(0), plan=plan)
            found.append(_on_one_core(one, trace, shared_too=bool(ways)))
        except DeviceError as error:
            refused.append(error)
    for sharing in ways:
        if forced.takes(len(sharing.traces), sharing.way):
            try:
                found.append(_shared(sharing, device, encoding, order, forced, plan))
            except DeviceError as error:
                refused.append(error)
    if not found and not refused:
        known = ", ".join(["cores=1", *(f"cores={len(each.traces)} by {each.way}" for each in ways)])
        raise DeviceError(f"layer {layer.name}: mapping {mapping!r} must begin with one of {known} on {device.name}")
    if not found:
        raise refused[0]
    return tuple(found)


class _Forced:
    """A mapping that the user forces: a way to share, a number of cores, and the mapping of each; or less than that."""

    def __init__(self, mapping: str | None) -> None:
        match = None if mapping is None else _SHARED.fullmatch(mapping.strip())
        self.cores = int(match["cores"]) if match else None
        self.way = match["way"] if match else None
        rest = match["rest"] if match else mapping
        self.mappings = [None] if rest is None else [part.strip() for part in rest.split("|")]
        if match and len(self.mappings) not in (1, self.cores):
            raise DeviceError(f"mapping {mapping!r} must have one mapping, or one for each of its {self.cores} cores")

    def takes(self, cores: int, way: str | None) -> bool:
        return self.cores is None or (self.cores, self.way) == (cores, way)

    def of(self, core: int) -> str | None:
        return self.mappings[0 if len(self.mappings) == 1 else core]


def _on_one_core(program: Program, trace: LayerTrace, *, shared_too: bool) -> Program:
    """Say that one core does it all, and why where it must."""
    if not program.visits and not program.vector_runs:
        return program
    reason = "" if shared_too else why_on_one_core(trace.layer)
    return replace(
        program,
        mapping=f"cores=1 | {program.mapping}" if program.mapping else "cores=1",
        reason="; ".join(text for text in (program.reason, reason) if text),
    )


def _shared(
    sharing: Sharing, device: Device, encoding: str | None, order: str, forced: _Forced, plan: StreamPlan | None
) -> Program:
    """Compile each core's share; shares that are alike have one program."""
    made: dict[tuple[object, ...], Program] = {}
    parts: list[Program] = []
    for core, trace in enumerate(sharing.traces):
        mapping = forced.of(core)
        mask = None if sharing.same_weights or trace.mask is None else trace.mask.tobytes()
        key = (trace.layer, mask, mapping)
        if key not in made:
            own_plan = plan if sharing.same_weights else None
            made[key] = compile_layer(trace, device, encoding=encoding, order=order, mapping=mapping, plan=own_plan)
        parts.append(made[key])
    return _joined(sharing, [_scoped(part, sharing, core) for core, part in enumerate(parts)])


def _scoped(program: Program, sharing: Sharing, core: int) -> Program:
    """Cores whose tiles are cut alike mean the same bytes by the same tag, where they read the same operand."""
    weights = inputs = str(core)
    if program.mapping:
        cut = parse_mapping(program.mapping)
        if sharing.same_weights:
            weights = f"rows={cut.rows} channels={cut.channels}"
        if sharing.same_inputs:
            inputs = f"tile={cut.tile} channels={cut.channels} strips={cut.strips}"
    return replace(program, weights_scope=weights, inputs_scope=inputs)


def _joined(sharing: Sharing, parts: list[Program]) -> Program:
    """Return the layer as its cores' programs and the counts of all; weights that all cores read are stored once."""

    def stored(name: str) -> int:
        counts = [int(getattr(part, name)) for part in parts]
        return counts[0] if sharing.same_weights else sum(counts)

    mappings = [part.mapping for part in parts]
    if len(set(mappings)) == 1:
        mappings = mappings[:1]
    return Program(
        cores=tuple(parts),
        mapping=" | ".join([f"cores={len(parts)} by {sharing.way}", *filter(None, mappings)]),
        encoding=", ".join(dict.fromkeys(part.encoding for part in parts if part.encoding)),
        weight_bytes=stored("weight_bytes"),
        index_bytes=stored("index_bytes"),
        slots=stored("slots"),
        slot_macs=sum(part.slot_macs for part in parts),
        macs_effectual=sum(part.macs_effectual for part in parts),
        scratchpad_bytes=sum(part.scratchpad_bytes for part in parts),
        reason="; ".join(dict.fromkeys(part.reason for part in parts if part.reason)),
    )
