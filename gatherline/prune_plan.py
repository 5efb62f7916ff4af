"""``simulate prune --plan``: each layer by its own pattern, as a plan says, into the same kind of file.

The masks are those that the plan was made with, checked by their digests. Leaves out: channels, levels, and masks that
a file stores apart (``--repack``).
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gatherline.advice.plan import PLAN, Plan, read_plan
from gatherline.advice.plan_masks import check_layers, plan_shares, planned_trace, where
from gatherline.advice.plan_options import planned_options
from gatherline.levels import file_hash
from gatherline.loading import EMBEDDED
from gatherline.pipeline_types import Report
from gatherline.progress import Progress, SilentProgress
from gatherline.prune_masks import LayerMasks
from gatherline.prune_request import check_out
from gatherline.prune_rows import prune_rows
from gatherline.pruning import add_remarks, open_source, write_masked
from gatherline.request_error import RequestError
from gatherline.shares import nothing_left, overall
from patterns.base import Pattern
from patterns.unstructured import Unstructured
from traces.layer import MatrixLayer, Network
from traces.masks import kept_dense


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanPruneRequest:
    """What is asked: a model, the file of a plan, where the result goes, and how the model is read.

    ``pattern`` and ``rule`` are what rows of the whole network name; each layer has its own.
    """

    model: str
    out: str
    plan: str
    arch: str | None = None
    batch: int | None = None
    input_shape: str | None = None
    strict: bool = False
    pattern: str = PLAN
    levels: tuple[float, ...] = ()
    listed: bool = True
    repack: bool = False

    @property
    def rule(self) -> Pattern:
        """Return the pattern of layers that the plan does not name, of which nothing is removed."""
        return Unstructured()

    @property
    def targets(self) -> tuple[float, ...]:
        """Return one level: the sparsities are the plan's."""
        return (0.0,)  # each layer has its own


def prune_by_plan(request: PlanPruneRequest, progress: Progress | None = None) -> Report:
    """Write the pruned model; return a row per layer and a total, as ``pruning.prune`` does.

    Raises RequestError for a plan of another model, of layers that are not there, or whose masks come out otherwise;
    and what ``prune`` raises. Then nothing is written.
    """
    shown = progress or SilentProgress()
    plan, out = read_plan(Path(request.plan)), Path(request.out)
    check_out(request.model, out)
    request = _as_planned(request, plan)
    with ExitStack() as stack:
        source = open_source(request, stack)
        network = source.network
        check_model(plan, network)
        shares = plan_shares(plan, network, kept_dense(network, False))
        if not shares.pruned:
            raise nothing_left(network, shares.reasons)
        shown.start(len(shares.pruned) + 1, f"{network.name}: {plan.path}")
        try:
            pruned: dict[str, LayerMasks] = {}
            for layer in network.matrix_layers:
                if layer.name in shares.pruned:
                    pruned[layer.name] = _masks(plan, network, layer)
                    shown.step(layer.name)
            rows = prune_rows(request, network, pruned, shares.reasons, {})
            rows[-1]["sparsity_target"] = overall(network, shares)
            add_remarks(rows, write_masked(source, {name: one.masks[-1] for name, one in pruned.items()}, out))
            shown.step(out.name)
        finally:
            shown.stop()
    return Report(manifest=_manifest(request, plan, network, out), rows=rows)


def _as_planned(request: PlanPruneRequest, plan: Plan) -> PlanPruneRequest:
    """Return ``request`` with the batch and input shape of the plan where it has none: a file may leave them open."""
    names = ("batch", "input_shape")
    options = planned_options(plan, {name: getattr(request, name) for name in names})
    found: dict[str, Any] = {name: options.get(name) for name in names}
    return replace(request, **found)


def check_model(plan: Plan, network: Network) -> None:
    """Raise RequestError unless ``plan`` was made for ``network``."""
    check_layers(plan, network)
    if plan.model_hash != network.digest:
        raise RequestError(
            f"{where(plan)}the plan is of {plan.model} with hash {plan.model_hash[:12]}, and {network.name} has "
            f"{network.digest[:12]}"
        )


def _masks(plan: Plan, network: Network, layer: MatrixLayer) -> LayerMasks:
    trace, entry = planned_trace(plan, network, layer), plan.of(layer.name)
    assert trace.mask is not None
    assert entry is not None
    assert entry.sparsity is not None
    limit = trace.pattern.limit((layer.groups, layer.m, layer.k), entry.sparsity)
    return LayerMasks(
        layer=layer,
        pattern=trace.pattern,
        targets=(entry.sparsity,),
        masks=(trace.mask,),
        reason=trace.reason,
        limit=limit,
    )


def _manifest(request: PlanPruneRequest, plan: Plan, network: Network, out: Path) -> dict[str, object]:
    return {
        "version": version("gatherline"),
        "model": network.name,
        "model_source": f"embedded model {request.model}" if request.model in EMBEDDED else network.source,
        "model_hash": network.digest,
        "out": str(out),
        "out_hash": file_hash(out),
        "levels_file": None,
        "notes": [*network.notes, f"the plan was made for {plan.device}"],
        "request": asdict(request),
    }
