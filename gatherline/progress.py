"""Progress of long work: a bar on a terminal, nothing elsewhere. Never writes to standard output."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress as RichBar
    from rich.progress import TaskID


class Progress(Protocol):
    """What long work tells: how many steps there are, each step as it ends, and the end."""

    def start(self, total: int, what: str) -> None: ...

    def step(self, what: str, count: int = 1) -> None: ...

    def stop(self) -> None: ...


class SilentProgress:
    """Says nothing."""

    def start(self, total: int, what: str) -> None:
        """Accept the number of steps."""

    def step(self, what: str, count: int = 1) -> None:
        """Accept the steps that are over."""

    def stop(self) -> None:
        """Accept the end."""


class RichProgress:
    """A bar on standard error that disappears when the work is over. ``stop`` may be called twice."""

    def __init__(self) -> None:
        self._bar: RichBar | None = None
        self._task: TaskID | None = None

    def start(self, total: int, what: str) -> None:
        """Show a bar of ``total`` steps."""
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self.stop()
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task(what, total=total)
        self._bar.start()

    def step(self, what: str, count: int = 1) -> None:
        """Advance by ``count`` steps and show the name of the last."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, advance=count, description=what)

    def stop(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def terminal_progress() -> Progress:
    """Return a bar where standard error is a terminal, else silence."""
    return RichProgress() if sys.stderr.isatty() else SilentProgress()
