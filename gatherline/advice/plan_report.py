"""A plan and all that is told of it: what it takes, layer by layer, what binds, and what other budgets would buy.

The plan is run whole, masks made anew, and its totals must be those that the tables said. Left out: how it reads in a
terminal (``gatherline.report.plan_table``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import fsum, sqrt
from pathlib import Path

from gatherline import pipeline
from gatherline.advice.choices import default_sparsities
from gatherline.advice.masks import chosen_trace, mask_digest
from gatherline.advice.plan import LayerPlan, Plan, Value
from gatherline.advice.plan_layers import layer_rows, share
from gatherline.advice.plan_options import kept_options
from gatherline.advice.plan_request import PlanRequest
from gatherline.advice.problem import Chosen
from gatherline.advice.search import Search, in_units
from gatherline.digest import device_digest
from gatherline.plan_run import plan_rows
from gatherline.progress import Progress
from gatherline.report.columns import Row
from gatherline.report.files import report_json
from patterns.base import Pattern
from patterns.catalog import parse_pattern
from traces.layer import Network

CURVE = (0.8, 0.9, 1.0, 1.1, 1.25)  # of every budget at once
ROUNDING = 1e-9  # by which a total that is added up in another order may differ


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReport:
    """The plan, what it takes layer by layer, and how it was found. ``rows``: as of ``simulate run``, of the plan.

    ``unpruned``: the total row of the network as it is; ``curve``: best plans at other budgets, None where there is
    none. ``binding``: budgets without any one of which less would be lost; ``together``: none of them alone, but all
    of them together. ``remarks``: what a reader must know.
    """

    manifest: dict[str, object]
    plan: Plan
    rows: list[Row]
    unpruned: Row
    layers: list[dict[str, object]]
    curve: list[dict[str, object]]
    binding: tuple[str, ...]
    together: bool = False
    remarks: tuple[str, ...] = field(default=())

    @property
    def total(self) -> Row:
        """Return the total row of the network under the plan."""
        return self.rows[-1]

    @property
    def without_weights(self) -> dict[str, float]:
        """Return how many layers have no weights, and what they take of the total whatever is pruned."""
        named = {row["layer"] for row in self.layers}
        rows = [row for row in self.rows[:-1] if row["layer"] not in named]
        times = (row["latency_s"] for row in rows)
        return {"layers": len(rows), "latency_s": fsum(time for time in times if isinstance(time, float))}

    def to_json(self) -> str:
        """Return what ``--json`` prints: schema, manifest with the plan, and a row for each layer."""
        about = {
            "plan": {
                "objective": self.plan.objective, "budget": dict(self.plan.budget),
                "expected": dict(self.plan.expected), "unpruned": _expected(self.unpruned), "binding": self.binding,
                "binding_together": self.together, "without_weights": self.without_weights,
                "curve": self.curve, "remarks": self.remarks,
            }
        }  # fmt: skip
        return report_json({**self.manifest, **about}, self.layers)

    def write(self, path: str | Path) -> Path:
        """Write the plan as TOML. Raises OSError."""
        return self.plan.write(path)

    def __repr__(self) -> str:
        return f"PlanReport({self.plan.model} on {self.plan.device}: {len(self.layers):,} layers)"

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        from gatherline.report.notebook import page
        from gatherline.report.plan_table import print_plan

        return page(lambda console: print_plan(self, console))


def report_of(
    search: Search, network: Network, patterns: Sequence[Pattern], chosen: Chosen, progress: Progress
) -> PlanReport:
    """Return the report of ``chosen``, which is run whole. Raises AssertionError where that is not what was said."""
    request, run = search.request, search.request.run
    plan = _plan(search, network, chosen)
    progress.start(len(network.layers), f"{network.name}: the plan")
    try:
        rows = plan_rows(run, plan, network, (search.device,), progress).rows
    finally:
        progress.stop()
    _check_met(request, rows[-1])
    l1, squares = search.lost(chosen.options)
    expected = {**_expected(rows[-1]), "kept_l1": 1 - l1, "kept_l2": sqrt(max(0.0, 1 - squares)), "loss": chosen.loss}
    plan = replace(plan, expected=expected)
    unpruned = search.total([table.stays for table in search.tables.layers])
    curve = [_curve_point(search, factor) for factor in CURVE]
    binding, together = _binding(search, chosen)
    manifest = {
        **pipeline.manifest(run, network, (search.device,)),
        "complete": True,
        "patterns": [pattern.spelling for pattern in patterns],
        "sparsities": list(run.sparsities or default_sparsities(search.device)),
        "gap": chosen.gap,
    }
    return PlanReport(
        manifest=manifest,
        plan=plan,
        rows=rows,
        unpruned=unpruned,
        layers=layer_rows(search, chosen),
        curve=curve,
        binding=binding,
        together=together,
        remarks=_remarks(search, network, patterns, chosen, rows[-1]),
    )


def _check_met(request: PlanRequest, total: Row) -> None:
    """Raise AssertionError where the plan, run whole, is not what the tables said."""
    for name, most in request.budget.given.items():
        value = measured(total, name, certain=request.certain)
        if value is None or value > most * (1 + ROUNDING):
            raise AssertionError(f"the plan run whole takes {name} {value}, and was to take at most {most}")


def measured(total: Row, name: str, *, certain: bool = False) -> float | None:
    """Return what a total row has of a budget; of the latency the upper end where that was to be ``certain``."""
    if name == "storage":
        parts = (total["weight_bytes"], total["index_bytes"])
        return float(sum(part for part in parts if isinstance(part, int)))
    columns = {
        "latency": "latency_high_s" if certain else "latency_s", "memory": "peak_memory_bytes", "energy": "energy_pj",
    }  # fmt: skip
    value = total[columns[name]]
    return float(value) if isinstance(value, int | float) else None


def _expected(total: Row) -> dict[str, Value]:
    wanted = ("latency_s", "latency_low_s", "latency_high_s", "validated", "peak_memory_bytes", "energy_pj", "density")
    found: dict[str, Value] = {}
    for name in wanted:
        value = total[name]
        assert value is None or isinstance(value, str | int | float)
        found[name] = value
    storage = measured(total, "storage")
    return found | {"storage_bytes": None if storage is None else int(storage)}


def _plan(search: Search, network: Network, chosen: Chosen) -> Plan:
    request, run = search.request, search.request.run
    entries = []
    for table, option in zip(search.tables.layers, chosen.options, strict=True):
        if option.pattern:
            weight = network.weights[table.layer.name]
            trace = chosen_trace(table.layer, weight, parse_pattern(option.pattern), option.sparsity)
            entries.append(
                LayerPlan(
                    layer=table.layer.name, pattern=option.pattern, sparsity=option.sparsity,
                    mask=mask_digest(trace, weight),
                    told={
                        "density": option.kept.weights / option.kept.of_weights,
                        "kept_l1": share(option.kept.l1, option.kept.of_l1),
                        "kept_l2": sqrt(share(option.kept.squares, option.kept.of_squares)),
                        "latency_s": option.result.latency_s,
                        "unpruned_latency_s": table.stays.result.latency_s,
                    },
                )
            )  # fmt: skip
    return Plan(
        model=network.name,
        model_hash=network.digest,
        device=search.device.name,
        device_hash=device_digest(search.device),
        objective=request.objective,
        layers=tuple(entries),
        run=kept_options(run, network),
        budget={**request.budget.columns, "certain": request.certain},
    )


def _curve_point(search: Search, factor: float) -> dict[str, object]:
    found = search.best(factor)
    about: dict[str, object] = {"factor": factor, **search.request.budget.scaled(factor).columns}
    if found is None:
        return about | {"reached": False}
    total = search.total(found.options)
    l1, squares = search.lost(found.options)
    return about | {
        "reached": True,
        "loss": found.loss,
        "kept_l1": 1 - l1,
        "kept_l2": sqrt(max(0.0, 1 - squares)),
        "reached_latency_s": total["latency_s"],
        "reached_latency_high_s": total["latency_high_s"],
        "reached_peak_memory_bytes": total["peak_memory_bytes"],
        "reached_storage_bytes": measured(total, "storage"),
        "reached_energy_pj": total["energy_pj"],
    }


def _binding(search: Search, chosen: Chosen) -> tuple[tuple[str, ...], bool]:
    """Return the budgets without which, the others kept, less would be lost; and whether only all together bind."""
    found = []
    for name in search.request.budget.given:
        other = search.best(1.0, without=(name,))
        if other is not None and other.loss < chosen.loss:
            found.append(name)
    if found:
        return tuple(found), False
    free = search.best(1.0, without=tuple(search.request.budget.given))
    return (), free is not None and free.loss < chosen.loss


def _remarks(
    search: Search, network: Network, patterns: Sequence[Pattern], chosen: Chosen, total: Row
) -> tuple[str, ...]:
    request, table = search.request, search.losses.table
    found = []
    if chosen.gap:
        found.append(f"the solver ran out of time: the best plan may lose up to {chosen.gap:.2%} less than this one")
    if not patterns:
        found.append(f"{search.device.name} has no sparse kernel for {request.run.dtype}: every layer stays as it is")
    if table is not None:
        missing = [one.layer.name for one in search.tables.layers if one.layer.name not in table.layers]
        if missing:
            named = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
            of_all = f"{len(missing)} of {len(search.tables.layers)} layers that may be pruned"
            found.append(f"{of_all} are not in {Path(table.path).name} and stay as they are: {named}")
    if network.synthetic:
        found.append("the weights are synthetic: what is kept of them says nothing of a trained network")
    high, why = total["latency_high_s"], "" if total["reason"] is None else str(total["reason"])
    budget_s = request.budget.latency_s
    if budget_s is not None and not request.certain:
        if not isinstance(high, float):
            alone = "the budget is met by the estimate alone"
            found.append(
                alone if "no error band" in why else f"no error band: nothing validates these times, and {alone}"
            )
        elif high > budget_s:
            found.append(
                f"the budget is met by the estimate; the upper end of its error band is {in_units('latency', high)} "
                f"(--certain plans for that end)"
            )
        else:
            found.append(f"the upper end of the error band, {in_units('latency', high)}, meets the budget too")
    if why:
        found.append(why)
    return tuple(found)
