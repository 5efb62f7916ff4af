"""A port that one transfer holds at a time, asked for by several cores: who is served is defined to the cycle.

First come, first served; of requests made in one cycle the lowest rank goes first, whatever order the simulation ran
them in. Left out: preemption, weights, fairness beyond the order of arrival.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import simpy
from simpy.events import EventPriority

# after all that happens in a cycle by itself: first turns are given, then ports choose
_TURNS = EventPriority(2)
PORTS = EventPriority(3)


class Turns:
    """Lets those who ask in one cycle go one after another in that cycle, the lowest rank first."""

    def __init__(self, env: simpy.Environment, priority: EventPriority = _TURNS) -> None:
        self._env, self._priority = env, priority
        self._waiting: list[tuple[int, simpy.Event]] = []

    def take(self, rank: int) -> Generator[Any, Any, None]:
        """Wait, within this cycle, for the turn of ``rank``."""
        turn = self._env.event()
        if not self._waiting:
            _call_late(self._env, self._give, self._priority)
        self._waiting.append((rank, turn))
        yield turn

    def _give(self, _: simpy.Event) -> None:
        for _, turn in sorted(self._waiting, key=lambda request: request[0]):
            turn.succeed()
        self._waiting = []


class SharedPort:
    """Serves requests in the order of (cycle asked, rank). A request holds the port until it is released."""

    def __init__(self, env: simpy.Environment) -> None:
        self._env = env
        self._waiting: list[tuple[int, int, simpy.Event]] = []
        self._busy = False
        self._choosing = False

    def hold(self, rank: int, cycles: int) -> Generator[Any, Any, None]:
        """Wait for the port, then hold it for ``cycles`` of at least 1."""
        turn = self._env.event()
        self._waiting.append((int(self._env.now), rank, turn))
        self._choose()
        yield turn
        yield self._env.timeout(cycles)
        self._busy = False
        self._choose()

    def _choose(self) -> None:
        """Choose when everything else of this cycle has happened, so that all its requests are known."""
        if self._busy or self._choosing or not self._waiting:
            return
        self._choosing = True
        _call_late(self._env, self._grant, PORTS)

    def _grant(self, _: simpy.Event) -> None:
        self._choosing = False
        first = min(self._waiting, key=lambda request: request[:2])
        self._waiting.remove(first)
        self._busy = True
        first[2].succeed()


def _call_late(env: simpy.Environment, callback: Callable[[simpy.Event], None], priority: EventPriority) -> None:
    """Call back in this cycle, after its events of a more urgent priority."""
    event = simpy.Event(env)
    event._ok, event._value = True, None
    event.callbacks.append(callback)
    env.schedule(event, priority=priority)
