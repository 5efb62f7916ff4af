"""The best plan at any budget, what a plan takes in total, and what to say where no plan is within reach.

Left out: how one programme is built and solved (``problem.py``, ``programme.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, fsum, log10

from gatherline import pipeline
from gatherline.advice.options import Option, Tables
from gatherline.advice.plan_request import PlanRequest
from gatherline.advice.problem import Chosen, Losses, least_of, settle
from gatherline.report.columns import Row
from gatherline.request import Target
from gatherline.rows import LayerOutcome, RunFacts, total_row
from patterns.base import Pattern
from patterns.dense import Dense
from traces.masks import Level


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A request with the tables of its network: the best plan at any budget, and what a plan takes."""

    request: PlanRequest
    device: Target
    tables: Tables
    losses: Losses

    def best(self, factor: float, without: Sequence[str] = ()) -> Chosen | None:
        """Return the best plan at ``factor`` times every budget, but for those ``without``."""
        budget = self.request.budget.scaled(factor).less(*without)
        certain = self.request.certain and "latency" not in without
        found = [
            settle(self.tables, self.losses, budget, self.activation_bytes, certain=certain, family=family)
            for family in self.families
        ]
        known = [one for one in found if one is not None]
        return min(known, key=lambda one: (one.loss, self.total(one.options)["latency_s"]), default=None)

    @property
    def families(self) -> tuple[str | None, ...]:
        """The patterns that a plan may be of, None: any mix."""
        if not self.request.one_pattern:
            return (None,)
        names = (option.family for table in self.tables.layers for option in table.options[1:])
        return tuple(dict.fromkeys(names)) or (None,)

    @property
    def activation_bytes(self) -> int:
        return self.facts.activation_peak_bytes

    @property
    def facts(self) -> RunFacts:
        """What the total rows of all plans share."""
        level = Level(pattern=Dense(), sparsity=None)
        return pipeline.run_facts(self.request.run, self.tables.network, level, self.device)

    def total(self, options: Sequence[Option]) -> Row:
        """Return the total row of a network whose layers with tables take ``options``, in their order."""
        own = {table.layer.name: option for table, option in zip(self.tables.layers, options, strict=True)}
        outcomes = []
        for layer in self.tables.network.layers:
            found = own.get(layer.name) or self.tables.fixed[layer.name]
            if isinstance(found, Option):
                outcomes.append(
                    LayerOutcome(
                        result=found.result,
                        pattern=found.rule,
                        kept=found.kept.weights,
                        weights_dense=found.kept.of_weights,
                    )
                )
            else:
                outcomes.append(LayerOutcome(result=found.result, pattern="dense", kept=0, weights_dense=0))
        return total_row(self.facts, outcomes)

    def lost(self, options: Sequence[Option]) -> tuple[float, float]:
        """Return the shares of the whole network's L1 and squares that ``options`` lose."""
        l1 = fsum(option.kept.of_l1 - option.kept.l1 for option in options)
        squares = fsum(option.kept.of_squares - option.kept.squares for option in options)
        return (
            l1 / self.tables.l1 if self.tables.l1 else 0.0,
            squares / self.tables.squares if self.tables.squares else 0.0,
        )

    def out_of_reach(self, patterns: Sequence[Pattern]) -> str:
        """Return one line: what the least is of each budget alone, and if each can be met, together."""
        found: list[str] = []
        together: list[str] = []
        for name, most in self.request.budget.given.items():
            alone = [self._least(name, family, alone=True) for family in self.families]
            least = min((one for one in alone if one is not None), key=lambda one: one[0], default=None)
            if least is None:
                found.append(
                    f"no plan on {self.device.name} has an error band: measurements cover too little of its time"
                )
                break
            value, options = least
            if value > most:
                found.append(
                    f"{name} {in_units(name, most)} is out of reach on {self.device.name}: the {_SUPERLATIVE[name]} "
                    f"plan takes {in_units(name, rounded_up(value))} ({self._summary(options)})"
                )
                continue
            rest = [self._least(name, family, alone=False) for family in self.families]
            best = min((one for one in rest if one is not None), key=lambda one: one[0], default=None)
            if best is not None:
                together.append(f"within the others, {name} takes at least {in_units(name, rounded_up(best[0]))}")
        if not found:
            asked = " and ".join(f"{name} {in_units(name, most)}" for name, most in self.request.budget.given.items())
            found.append(f"{asked} can each be met on {self.device.name}, and not together")
            found += together
        if not patterns:
            found.append(f"{self.device.name} has no sparse kernel for {self.request.run.dtype}, so nothing else runs")
        if self.request.certain:
            found.append("the upper end of the error band was to meet the latency; without --certain the estimate is")
        return "; ".join(found)

    def _least(self, name: str, family: str | None, *, alone: bool) -> tuple[float, tuple[Option, ...]] | None:
        return least_of(
            self.tables, self.losses, self.request.budget, self.activation_bytes, name,
            certain=self.request.certain, family=family, alone=alone,
        )  # fmt: skip

    def _summary(self, options: Sequence[Option]) -> str:
        l1, _ = self.lost(options)
        return f"{counted(options)}, {1 - l1:.1%} of L1 kept"


_SUPERLATIVE = {"latency": "fastest", "memory": "smallest", "storage": "smallest", "energy": "most frugal"}


def counted(options: Sequence[Option]) -> str:
    """Return how many layers take each pattern, as in "block:4x1 in 30 layers, 22 as they are"."""
    families: dict[str, int] = {}
    for option in options:
        if option.sparsity is not None:
            families[option.family] = families.get(option.family, 0) + 1
    parts = [f"{name} in {many} layer{'s' if many > 1 else ''}" for name, many in families.items()]
    left = len(options) - sum(families.values())
    return ", ".join([*parts, f"{left} as they are"] if left else parts) or "no layer to prune"


def rounded_up(value: float) -> float:
    """Return ``value`` with four digits and no less, so that asking for what was said is within reach."""
    step = 10.0 ** (floor(log10(value)) - 3) if value > 0 else 1.0
    return ceil(value / step) * step


def in_units(name: str, value: float) -> str:
    return {
        "latency": f"{value * 1e3:.4g} ms", "memory": f"{value / 1e6:.4g} MB", "storage": f"{value / 1e6:.4g} MB",
        "energy": f"{value / 1e9:.4g} mJ",
    }[name]  # fmt: skip
