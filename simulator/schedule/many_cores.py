"""What a layer becomes on several cores: a program for each core, under every way to share it out. DESIGN 5a.

Every core compiles its share as a layer of its own, with a mapping of its own, the fastest where it has the DRAM to
itself. One core alone is a way too, so that a
layer is never slower for having cores. Left out: layers that run at the same time on different cores.
"""

from __future__ import annotations

import re
from dataclasses import replace

from simulator.schedule.layer_program import Made, compile_layer
from simulator.schedule.mapping import parse_mapping
from simulator.schedule.program import Program
from simulator.schedule.sharing import Sharing, sharings, why_on_one_core
from simulator.schedule.sources import StreamPlan, plan_streams
from simulator.schedule.tilings import Judge
from simulator.spec import Device, DeviceError
from traces.layer import MatrixLayer
from traces.trace import LayerTrace

_SHARED = re.compile(r"cores=(?P<cores>[1-9]\d*)(?: by (?P<way>[a-z]+))? \| (?P<rest>.+)")


def layer_programs(
    trace: LayerTrace, device: Device, *, encoding: str | None = None, order: str = "packed", mapping: str | None = None
) -> tuple[Program, ...]:
    """Return what ``LayerWays`` has where nobody judges cycles: each share under the mapping of the fewest bytes."""
    return LayerWays(trace, device, encoding=encoding, order=order, mapping=mapping).programs()


class LayerWays:
    """The ways to run a layer on a device. Mutable: keeps what was compiled, for devices that differ in timing alone.

    ``mapping`` as a result spells it: with "cores=C by WAY | " before it that way alone is taken, and a mapping for
    each core stands after " | ".
    """

    def __init__(
        self, trace: LayerTrace, device: Device, *, encoding: str | None, order: str, mapping: str | None
    ) -> None:
        layer = trace.layer
        has_streams = isinstance(layer, MatrixLayer) and layer.kind != "depthwise"
        self._trace, self._device, self._encoding, self._order, self._mapping = trace, device, encoding, order, mapping
        self._made = Made()
        self._plan = plan_streams(trace, device, encoding, order) if has_streams else None
        self._ways = [] if device.cores == 1 else sharings(trace, device.cores, device.scratchpad.banks, self._plan)
        self._alike: dict[int, list[int]] = {}  # by sharing: for each core, the first whose share is like its own
        self._joined: dict[tuple[object, ...], tuple[list[Program], Program]] = {}  # by the programs it is made of
        # no other layer has a mapping to choose
        self._forced = _Forced(mapping if has_streams and device.cores > 1 else None)

    def programs(self, judge: Judge | None = None) -> tuple[Program, ...]:
        """Return the program of the layer under each way to share it out, on one core first.

        ``judge``: as in ``compile_layer``. Raises DeviceError where no way fits.
        """
        if self._device.cores == 1:
            return (self._compiled(self._trace, self._mapping, self._plan, judge),)
        refused: list[DeviceError] = []
        found: list[Program] = []
        if self._forced.takes(1, None):
            try:
                one = self._compiled(self._trace, self._forced.of(0), self._plan, judge)
                if (id(one),) not in self._joined:
                    self._joined[id(one),] = [one], _on_one_core(one, self._trace, shared_too=bool(self._ways))
                found.append(self._joined[id(one),][1])
            except DeviceError as error:
                refused.append(error)
        for sharing in self._ways:
            if self._forced.takes(len(sharing.traces), sharing.way):
                try:
                    found += self._shared_both(sharing, judge)
                except DeviceError as error:
                    refused.append(error)
        if not found:
            raise refused[0] if refused else self._unknown()
        return tuple(found)

    def _unknown(self) -> DeviceError:
        known = ", ".join(["cores=1", *(f"cores={len(each.traces)} by {each.way}" for each in self._ways)])
        return DeviceError(
            f"layer {self._trace.layer.name}: mapping {self._mapping!r} must begin with one of {known} on "
            f"{self._device.name}"
        )

    def _compiled(
        self, trace: LayerTrace, mapping: str | None, plan: StreamPlan | None, judge: Judge | None
    ) -> Program:
        return compile_layer(
            trace, self._device, encoding=self._encoding, order=self._order, mapping=mapping, plan=plan, judge=judge,
            made=self._made,
        )  # fmt: skip

    def _shared_both(self, sharing: Sharing, judge: Judge | None) -> list[Program]:
        """Return a way with the fewest bytes, and, where it differs, with what is fastest for a core by itself.

        Cores that wait for one DRAM may do better with the first.
        """
        fewest = self._shared(sharing, None)
        fastest = fewest if judge is None else self._shared(sharing, judge)
        return [fewest] if fastest.mapping == fewest.mapping else [fewest, fastest]

    def _shared(self, sharing: Sharing, judge: Judge | None) -> Program:
        """Compile each core's share; shares that are alike have one program, and so have ways of alike programs."""
        plan = self._plan if sharing.same_weights else None
        made: dict[int, Program] = {}
        parts: list[Program] = []
        for core, first in enumerate(self._first_alike(sharing)):
            if first == core:
                made[core] = self._compiled(sharing.traces[core], self._forced.of(core), plan, judge)
            parts.append(made[first])
        key = (id(sharing), *map(id, parts))
        if key not in self._joined:
            scoped = [_scoped(part, sharing, core) for core, part in enumerate(parts)]
            self._joined[key] = parts, _joined(sharing, scoped)
        return self._joined[key][1]

    def _first_alike(self, sharing: Sharing) -> list[int]:
        if id(sharing) not in self._alike:
            seen: dict[tuple[object, ...], int] = {}
            found = self._alike[id(sharing)] = []
            for core, trace in enumerate(sharing.traces):
                mask = None if sharing.same_weights or trace.mask is None else trace.mask.tobytes()
                found.append(seen.setdefault((trace.layer, mask, self._forced.of(core)), core))
        return self._alike[id(sharing)]


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
