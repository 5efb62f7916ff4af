"""What a plan is asked for: a model, one device, budgets and what is to be least. Left out: what needs the model."""

from __future__ import annotations

from dataclasses import dataclass

from gatherline.advice.choices import checked_patterns
from gatherline.advice.problem import Budget
from gatherline.request import RequestError, RunRequest

OBJECTIVES = ("l1", "l2")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """What is asked. ``run``: model, one device, patterns, sparsities (empty: defaults) and options of the run.

    ``objective``: "l1", "l2" or the path of a CSV. ``certain``: the upper end of the error band meets the latency.
    ``one_pattern``: all layers that are pruned take the same pattern.
    """

    run: RunRequest
    budget: Budget
    objective: str = "l1"
    one_pattern: bool = False
    certain: bool = False

    def __post_init__(self) -> None:
        if len(self.run.devices) != 1:
            raise RequestError(f"devices are {', '.join(self.run.devices) or 'none'}, and a budget is of one device")
        for name, least in (("ratios", "uniform"), ("match", "density"), ("level", None), ("mapping", None)):
            if getattr(self.run, name) != least:
                raise RequestError(f"{name} is {getattr(self.run, name)!r}, and has no meaning beside a budget")
        if self.objective not in OBJECTIVES and not self.objective.endswith(".csv"):
            raise RequestError(f"objective is {self.objective!r}, and must be {', '.join(OBJECTIVES)} or a .csv")
        if self.certain and self.budget.latency_s is None:
            raise RequestError("certain asks for the upper end of the latency, and no latency is given")
        checked_patterns(self.run.patterns)


class OutOfReach(Exception):
    """No plan meets the budget: one line with the least that can be reached."""
