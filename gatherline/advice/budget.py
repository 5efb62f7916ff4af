"""What to do to a network so that it runs within a budget: a pattern and a sparsity for each layer. ADR 0027.

The options of every layer are run by the models of ``simulate run``; one of each is chosen by an integer programme at
the least lost weight, or least loss of a user's table; the plan is then run whole and its totals are told. Leaves out:
channels, FPGAs (one engine for all layers), retraining, and accuracy, which kept weight does not say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import fsum, sqrt
from pathlib import Path

from costmodel.energy import not_priced
from costmodel.tables.catalog import technology_named
from gatherline import pipeline
from gatherline.advice.choices import checked_patterns, default_patterns, default_sparsities
from gatherline.advice.options import Option, Tables, option_tables
from gatherline.advice.plan import LayerPlan, Plan, Value
from gatherline.advice.probing import Bench
from gatherline.advice.problem import Budget, Chosen, Losses, least_of, settle
from gatherline.advice.sensitivity import Sensitivity, read_sensitivity
from gatherline.digest import device_digest
from gatherline.plan_run import plan_rows, refuse_fabric
from gatherline.progress import Progress, SilentProgress
from gatherline.report.columns import Row
from gatherline.report.files import report_json
from gatherline.request import RequestError, RunRequest, Target, devices_of, lower
from gatherline.rows import LayerOutcome, RunFacts, total_row
from patterns.base import Pattern
from patterns.dense import Dense
from traces.layer import MatrixLayer, Network
from traces.masks import Level

CURVE = (0.8, 0.9, 1.0, 1.1, 1.25)  # of every budget at once
ROUNDING = 1e-9  # by which a total that is added up in another order may differ
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


def advise(request: PlanRequest, progress: Progress | None = None, *, network: Network | None = None) -> PlanReport:
    """Return the plan that loses least within the budget.

    Raises OutOfReach where none does, and what ``simulate run`` raises for the same model, device and options.
    """
    run = request.run
    (device,) = devices_of(run)
    refuse_fabric(device)
    _check_energy(request, device)
    patterns = checked_patterns(run.patterns) or default_patterns(device, run.dtype)
    network = network if network is not None else lower(run)
    table = None if request.objective in OBJECTIVES else _sensitivity(request, network)
    bench = Bench(request=run, devices=(device,))
    tables = option_tables(
        network, bench, patterns, run.sparsities or default_sparsities(device), progress or SilentProgress()
    )
    losses = Losses(objective=request.objective, table=table)
    search = _Search(request=request, device=device, tables=tables, losses=losses)
    chosen = search.best(1.0)
    if chosen is None:
        raise OutOfReach(search.out_of_reach(patterns))
    return _report(search, network, patterns, chosen, progress or SilentProgress())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Search:
    request: PlanRequest
    device: Target
    tables: Tables
    losses: Losses

    def best(self, factor: float, without: str = "") -> Chosen | None:
        """Return the best plan at ``factor`` times every budget, but for the one ``without``."""
        budget = self.request.budget.scaled(factor).less(without)
        certain = self.request.certain and without != "latency"
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
        return self._facts.activation_peak_bytes

    @property
    def _facts(self) -> RunFacts:
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
        return total_row(self._facts, outcomes)

    def lost(self, options: Sequence[Option]) -> tuple[float, float]:
        """Return the shares of the whole network's L1 and squares that ``options`` lose."""
        l1 = fsum(option.kept.of_l1 - option.kept.l1 for option in options)
        squares = fsum(option.kept.of_squares - option.kept.squares for option in options)
        return l1 / self.tables.l1 if self.tables.l1 else 0.0, squares / self.tables.squares if self.tables.squares else 0.0

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
                    f"{name} {_in_units(name, most)} is out of reach on {self.device.name}: the {_SUPERLATIVE[name]} "
                    f"plan takes {_in_units(name, value)} ({self._summary(options)})"
                )
                continue
            rest = [self._least(name, family, alone=False) for family in self.families]
            best = min((one for one in rest if one is not None), key=lambda one: one[0], default=None)
            if best is not None:
                together.append(f"within the others, {name} takes at least {_in_units(name, best[0])}")
        if not found:
            asked = " and ".join(f"{name} {_in_units(name, most)}" for name, most in self.request.budget.given.items())
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


def _in_units(name: str, value: float) -> str:
    return {
        "latency": f"{value * 1e3:.4g} ms", "memory": f"{value / 1e6:.4g} MB", "storage": f"{value / 1e6:.4g} MB",
        "energy": f"{value / 1e9:.4g} mJ",
    }[name]  # fmt: skip


def _check_energy(request: PlanRequest, device: Target) -> None:
    if request.budget.energy_pj is not None:
        why = not_priced(device, technology_named(request.run.technology))
        if why:
            raise RequestError(f"a budget of energy on {device.name}: {why}")


def _sensitivity(request: PlanRequest, network: Network) -> Sensitivity:
    names = [layer.name for layer in network.matrix_layers]
    return read_sensitivity(Path(request.objective), names)


def _report(
    search: _Search, network: Network, patterns: Sequence[Pattern], chosen: Chosen, progress: Progress
) -> PlanReport:
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
    plan = Plan(
        model=plan.model, model_hash=plan.model_hash, device=plan.device, device_hash=plan.device_hash,
        objective=plan.objective, layers=plan.layers, run=plan.run, budget=plan.budget, expected=expected,
    )  # fmt: skip
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


def _plan(search: _Search, network: Network, chosen: Chosen) -> Plan:
    request, run = search.request, search.request.run
    entries = []
    for table, option in zip(search.tables.layers, chosen.options, strict=True):
        if option.pattern:
            entries.append(
                LayerPlan(
                    layer=table.layer.name, pattern=option.pattern, sparsity=option.sparsity, mask=option.mask,
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


def _curve_point(search: _Search, factor: float) -> dict[str, object]:
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


def _binding(search: _Search, chosen: Chosen) -> tuple[str, ...]:
    """Return the budgets without which, the others kept, less would be lost."""
    found = []
    for name in search.request.budget.given:
        other = search.best(1.0, without=name)
        if other is not None and other.loss < chosen.loss:
            found.append(name)
    return tuple(found)


def _layer_rows(search: _Search, chosen: Chosen) -> list[dict[str, object]]:
    """Return a row for each layer with weights, in the network's order, with what it was and what it becomes."""
    own = {
        table.layer.name: (table, option) for table, option in zip(search.tables.layers, chosen.options, strict=True)
    }
    rows = []
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


def _reason(search: _Search, layer: str, refused: Sequence[str] | None, option: Option) -> str | None:
    kept = search.tables.reasons.get(layer, "")
    missing = ""
    table = search.losses.table
    if refused is not None and table is not None and layer not in table.layers:
        missing = f"not in {Path(table.path).name}: stays as it is"
    texts = dict.fromkeys([kept, missing, option.result.reason, *(refused or ())])
    return "; ".join(text for text in texts if text) or None


def _remarks(
    search: _Search, network: Network, patterns: Sequence[Pattern], chosen: Chosen, total: Row
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
            found.append(f"{len(missing)} layers are not in {Path(table.path).name} and stay as they are: {named}")
    if network.synthetic:
        found.append("the weights are synthetic: what is kept of them says nothing of a trained network")
    high = total["latency_high_s"]
    budget_s = request.budget.latency_s
    if budget_s is not None and not request.certain:
        if not isinstance(high, float):
            found.append("no error band: nothing validates these times, and the budget is met by the estimate alone")
        elif high > budget_s:
            found.append(
                f"the budget is met by the estimate; the upper end of its error band is {_in_units('latency', high)} "
                f"(--certain plans for that end)"
            )
        else:
            found.append(f"the upper end of the error band, {_in_units('latency', high)}, meets the budget too")
    if total["reason"]:
        found.append(str(total["reason"]))
    return tuple(found)
