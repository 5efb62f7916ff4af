"""A plan and all that is told of it: what it takes, layer by layer, what binds, and what other budgets would buy.

The plan is run whole, masks made anew, and its totals must be those that the tables said. Left out: how it reads in a
terminal (``gatherline.report.plan_table``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import sqrt
from pathlib import Path

from gatherline import pipeline
from gatherline.advice.choices import default_sparsities
from gatherline.advice.masks import chosen_trace, mask_digest
from gatherline.advice.options import Option
from gatherline.advice.plan import LayerPlan, Plan, Value
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
from traces.layer import MatrixLayer, Network

CURVE = (0.8, 0.9, 1.0, 1.1, 1.25)  # of every budget at once
ROUNDING = 1e-9  # by which a total that is added up in another order may differ


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReport:
    """The plan, what it takes layer by layer, and how it was found. ``rows``: as of ``simulate run``, of the plan.

    ``unpruned``: the total row of the network as it is; ``curve``: best plans at other budgets, None where there is
    none. ``remarks``: what a reader must know.
    """

    manifest: dict[str, object]
    plan: Plan
    rows: list[Row]
    unpruned: Row
    layers: list[dict[str, object]]
    curve: list[dict[str, object]]
    binding: tuple[str, ...]
    remarks: tuple[str, ...] = field(default=())

    @property
    def total(self) -> Row:
        return self.rows[-1]

    def to_json(self) -> str:
        """Return what ``--json`` prints: schema, manifest with the plan, and a row for each layer."""
        about = {
            "plan": {
                "objective": self.plan.objective, "budget": dict(self.plan.budget),
                "expected": dict(self.plan.expected), "unpruned": _expected(self.unpruned), "binding": self.binding,
                "curve": self.curve, "remarks": self.remarks,
            }
        }  # fmt: skip
        return report_json({**self.manifest, **about}, self.layers)

    def write(self, path: str | Path) -> Path:
        """Write the plan as TOML. Raises OSError."""
        return self.plan.write(path)


def report_of(
    search: Search, network: Network, patterns: Sequence[Pattern], chosen: Chosen, progress: Progress
) -> PlanReport:
    """Return the report of ``chosen``, which is run whole. Raises AssertionError where that is not what was said."""
    request, run = search.request, search.request.run
    plan = _plan(search, network, chosen)
    progress.start(len(network.layers), f"{network.name}: the plan")
    try:
        rows = plan_rows(run, plan, network, (search.device,), progress)
    finally:
        progress.stop()
    _check_met(request, rows[-1])
    l1, squares = search.lost(chosen.options)
    expected = {**_expected(rows[-1]), "kept_l1": 1 - l1, "kept_l2": sqrt(max(0.0, 1 - squares)), "loss": chosen.loss}
    plan = replace(plan, expected=expected)
    unpruned = search.total([table.stays for table in search.tables.layers])
    curve = [_curve_point(search, factor) for factor in CURVE]
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
        layers=_layer_rows(search, chosen),
        curve=curve,
        binding=_binding(search, chosen),
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
                        "kept_l1": _share(option.kept.l1, option.kept.of_l1),
                        "kept_l2": sqrt(_share(option.kept.squares, option.kept.of_squares)),
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
        run={
            "dtype": run.dtype, "threads": run.threads, "batch": run.batch, "encoding": run.encoding,
            "order": run.order, "technology": run.technology,
        },
        budget={**request.budget.columns, "certain": request.certain},
    )  # fmt: skip


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 1.0


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
        "reached_peak_memory_bytes": total["peak_memory_bytes"],
        "reached_storage_bytes": measured(total, "storage"),
        "reached_energy_pj": total["energy_pj"],
    }


def _binding(search: Search, chosen: Chosen) -> tuple[str, ...]:
    """Return the budgets without which, the others kept, less would be lost."""
    found = []
    for name in search.request.budget.given:
        other = search.best(1.0, without=name)
        if other is not None and other.loss < chosen.loss:
            found.append(name)
    return tuple(found)


def _layer_rows(search: Search, chosen: Chosen) -> list[dict[str, object]]:
    """Return a row for each layer with weights, in the network's order, with what it was and what it becomes."""
    own = {
        table.layer.name: (table, option) for table, option in zip(search.tables.layers, chosen.options, strict=True)
    }
    rows: list[dict[str, object]] = []
    for layer in search.tables.network.layers:
        if not isinstance(layer, MatrixLayer):
            continue
        table, option = own[layer.name] if layer.name in own else (None, search.tables.fixed[layer.name])
        assert isinstance(option, Option)
        before = (option if table is None else table.stays).result
        rows.append(
            {
                "model": search.tables.network.name,
                "layer": layer.name,
                "kind": layer.kind,
                "device": search.device.name,
                "pattern": option.pattern or None,
                "layer_pattern": option.rule,
                "sparsity_target": option.sparsity,
                "density": option.kept.weights / option.kept.of_weights,
                "kept_l1": _share(option.kept.l1, option.kept.of_l1),
                "kept_l2": sqrt(_share(option.kept.squares, option.kept.of_squares)),
                "loss": 0.0 if table is None else search.losses.of(table, option, search.tables),
                "latency_s": option.result.latency_s,
                "unpruned_latency_s": before.latency_s,
                "latency_low_s": option.result.latency_low_s,
                "latency_high_s": option.result.latency_high_s,
                "validated": option.result.validated,
                "stored_bytes": option.stored_bytes,
                "unpruned_stored_bytes": before.counters.weight_bytes + before.counters.index_bytes,
                "kernel": option.result.kernel or None,
                "bound": option.result.bound or None,
                "options": 0 if table is None else len(table.options),
                "reason": _reason(search, layer.name, None if table is None else table.refused, option),
            }
        )
    return rows


def _reason(search: Search, layer: str, refused: Sequence[str] | None, option: Option) -> str | None:
    kept = search.tables.reasons.get(layer, "")
    missing = ""
    table = search.losses.table
    if refused is not None and table is not None and layer not in table.layers:
        missing = f"not in {Path(table.path).name}: stays as it is"
    texts = dict.fromkeys([kept, missing, option.result.reason, *(refused or ())])
    return "; ".join(text for text in texts if text) or None


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
    high = total["latency_high_s"]
    budget_s = request.budget.latency_s
    if budget_s is not None and not request.certain:
        if not isinstance(high, float):
            found.append("no error band: nothing validates these times, and the budget is met by the estimate alone")
        elif high > budget_s:
            found.append(
                f"the budget is met by the estimate; the upper end of its error band is {in_units('latency', high)} "
                f"(--certain plans for that end)"
            )
        else:
            found.append(f"the upper end of the error band, {in_units('latency', high)}, meets the budget too")
    if total["reason"]:
        found.append(str(total["reason"]))
    return tuple(found)
