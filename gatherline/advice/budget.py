"""What to do to a network so that it runs within a budget: a pattern and a sparsity for each layer. ADR 0027.

The options of every layer are run by the models of ``simulate run``; one of each is chosen by an integer programme at
the least lost weight, or least loss of a user's table; the plan is then run whole and its totals are told. Leaves out:
channels, FPGAs (one engine for all layers), retraining, and accuracy, which kept weight does not say.
"""

from __future__ import annotations

from pathlib import Path

from costmodel.energy import not_priced
from costmodel.tables.catalog import technology_named
from gatherline.advice.choices import checked_patterns, default_patterns, default_sparsities
from gatherline.advice.options import option_tables
from gatherline.advice.plan_report import PlanReport, report_of
from gatherline.advice.plan_request import OBJECTIVES, OutOfReach, PlanRequest
from gatherline.advice.probing import Bench
from gatherline.advice.problem import Losses
from gatherline.advice.search import Search
from gatherline.advice.sensitivity import Sensitivity, read_sensitivity
from gatherline.plan_run import refuse_fabric
from gatherline.progress import Progress, SilentProgress
from gatherline.request import RequestError, Target, devices_of, lower
from traces.layer import Network


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
    search = Search(request=request, device=device, tables=tables, losses=losses)
    chosen = search.best(1.0)
    if chosen is None:
        raise OutOfReach(search.out_of_reach(patterns))
    return report_of(search, network, patterns, chosen, progress or SilentProgress())


def _check_energy(request: PlanRequest, device: Target) -> None:
    if request.budget.energy_pj is not None:
        why = not_priced(device, technology_named(request.run.technology))
        if why:
            raise RequestError(f"a budget of energy on {device.name}: {why}")


def _sensitivity(request: PlanRequest, network: Network) -> Sensitivity:
    names = [layer.name for layer in network.matrix_layers]
    return read_sensitivity(Path(request.objective), names)
