"""The tilings of a layer with weights on one core: the few that differ in kind are simulated, the fastest is taken.

DESIGN section 5a. A score by bytes does not see that cut channels are packed again with more padding, nor that small
tiles overlap better. So the best by bytes of each channel cut is tried, the fewest bytes first, and for the fastest of
these a finer tiling of about the same bytes. What cannot be faster than the best so far is neither compiled nor
simulated. Left out: the second best by bytes of a channel cut.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from simulator.issue import with_issue
from simulator.schedule.mapper import Scored, scored_mappings
from simulator.schedule.mapping import Mapping, check_mapping, parse_mapping
from simulator.schedule.program import Program
from simulator.schedule.sources import GS, StreamPlan, pack_width
from simulator.schedule.tiles import TileTooLarge
from simulator.schedule.visits import compile_matrix
from simulator.spec import Device, DeviceError
from traces.layer import MatrixLayer
from traces.trace import LayerTrace

_MOST_CUTS = 4  # channel cuts that are simulated
_FINER_TILES = 4  # a finer tiling has at least so many times the tiles,
_MOST_TILES = 32  # at most so many,
_FINER_BYTES = 1.05  # and at most so many times the bytes
_WORTH_HIDING = 0.1  # of the cycles: where compute or the DRAM takes all but that, no finer tiling is tried


class Judge(Protocol):
    """Knows what a device takes for a program of one core."""

    def least(self, dram_bytes: float) -> int:
        """Return cycles that nothing beats which moves so many DRAM bytes."""
        ...

    def cycles(self, program: Program) -> tuple[int, int]:
        """Return the cycles of a program, and what it takes without DMA and DRAM."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tried:
    scored: Scored
    program: Program
    rank: tuple[int, int, int]  # cycles, bytes moved, tiles
    compute_cycles: int

    @property
    def cycles(self) -> int:
        return self.rank[0]


class Tilings:
    """Mutable: what was scored and compiled so far of one layer. Devices that differ in timing alone share it."""

    def __init__(self, trace: LayerTrace, device: Device, plan: StreamPlan) -> None:
        assert isinstance(trace.layer, MatrixLayer)
        self._trace, self._layer, self._device, self._plan = trace, trace.layer, device, plan
        self._scored: list[Scored] = []
        self._made: dict[Mapping, Program | None] = {}
        self._moved: dict[Mapping, tuple[int, int]] = {}  # bytes and tiles of a program
        self._finer_than: dict[Mapping, list[Scored]] = {}

    def forced(self, text: str) -> Program:
        """Return the program of the mapping that ``text`` spells. Raises DeviceError."""
        mapping = parse_mapping(text)
        check_mapping(self._layer, self._device, mapping, self._plan.rows_per_bundle, self._plan.halves)
        program = self._compiled(mapping)
        if program is None:
            raise DeviceError(f"layer {self._layer.name}: mapping {text!r} overflows the weight buffer")
        return program

    def fewest_bytes(self) -> Program:
        """Return the program of the fewest DRAM bytes. Raises DeviceError."""
        found = self._first(self._all())
        if found is None:
            raise self._none_fits()
        return found[1]

    def fastest(self, judge: Judge) -> Program:
        """Return the fastest program; among equals the fewest DRAM bytes, then the fewest tiles. Raises DeviceError."""
        best: _Tried | None = None
        simulated = least_cut = 0
        for scored in self._all():
            # cutting more, for more bytes, never makes fewer groups: the parts of a row or bundle are packed one by one
            if scored.mapping.channels <= least_cut:
                continue
            if simulated == _MOST_CUTS or (best is not None and not self._may_beat(scored, best, judge)):
                break  # those that follow move more bytes still
            if (program := self._compiled(scored.mapping)) is not None:
                simulated, least_cut = simulated + 1, scored.mapping.channels
                best = _better(best, self._tried(scored, program, judge))
        if best is None:
            raise self._none_fits()
        longest = max(best.compute_cycles, self._least(best.scored, judge))
        if best.cycles - longest > _WORTH_HIDING * best.cycles:
            finer = self._finer(best.scored)
            found = self._first(finer) if finer and self._may_beat(finer[0], best, judge) else None
            if found is not None:
                best = _better(best, self._tried(*found, judge))
        return best.program

    def _all(self) -> list[Scored]:
        if not self._scored:
            plan = self._plan
            self._scored = scored_mappings(self._layer, self._device, plan.row_bytes, plan.rows_per_bundle, plan.halves)
        return self._scored

    def _first(self, tilings: Iterable[Scored]) -> tuple[Scored, Program] | None:
        """Return the first tiling whose tiles fit the weight buffer as they are encoded; None where none does."""
        for scored in tilings:
            program = self._compiled(scored.mapping)
            if program is not None:
                return scored, program
        return None

    def _compiled(self, mapping: Mapping) -> Program | None:
        if mapping not in self._made:
            plan, lanes = self._plan, self._device.gather.lanes
            pattern = self._trace.pattern
            slots = pattern.banks if plan.encoding == "gs" and isinstance(pattern, GS) else pack_width(self._device)
            try:
                program = compile_matrix(self._trace, self._device, mapping, plan)
                self._made[mapping] = with_issue(program, self._trace, lanes, slots, plan.rows_per_bundle)
            except TileTooLarge:
                self._made[mapping] = None
        return self._made[mapping]

    def _least(self, scored: Scored, judge: Judge) -> int:
        return judge.least(scored.dram_bytes * self._layer.groups)

    def _may_beat(self, scored: Scored, best: _Tried, judge: Judge) -> bool:
        return self._least(scored, judge) < best.cycles

    def _tried(self, scored: Scored, program: Program, judge: Judge) -> _Tried:
        cycles, compute_cycles = judge.cycles(program)
        moved = self._moved.get(scored.mapping)
        if moved is None:
            runs = [run for visit in program.visits for run in visit.runs]
            moved = sum(run.load_bytes + run.store_bytes for run in runs), len(runs)
            self._moved[scored.mapping] = moved
        return _Tried(scored=scored, program=program, rank=(cycles, *moved), compute_cycles=compute_cycles)

    def _finer(self, than: Scored) -> list[Scored]:
        if than.mapping not in self._finer_than:
            self._finer_than[than.mapping] = [scored for scored in self._all() if _is_finer(scored, than)]
        return self._finer_than[than.mapping]

    def _none_fits(self) -> DeviceError:
        return DeviceError(
            f"layer {self._layer.name}: no tile of its weights fits the weight buffer of device {self._device.name}"
        )


def _better(best: _Tried | None, tried: _Tried) -> _Tried:
    return tried if best is None else min(best, tried, key=lambda each: each.rank)


def _is_finer(scored: Scored, than: Scored) -> bool:
    return (
        scored.mapping.channels == than.mapping.channels
        and scored.dram_bytes <= than.dram_bytes * _FINER_BYTES
        and than.tiles * _FINER_TILES <= scored.tiles <= _MOST_TILES
    )
