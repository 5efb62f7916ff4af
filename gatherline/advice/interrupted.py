"""Ctrl-C in the middle of an answer: what is done is kept."""

from __future__ import annotations

from typing import Generic, TypeVar

Report = TypeVar("Report")


class AnswerInterrupted(KeyboardInterrupt, Generic[Report]):
    """``report`` holds what was done, and is marked not complete."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self.report = report
