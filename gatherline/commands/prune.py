"""``simulate prune``: a model file pruned to a pattern, or by a plan of ``simulate advise``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gatherline.options import (
    Arch,
    ArgumentError,
    Batch,
    Debug,
    InputShape,
    Json,
    Model,
    PlanPath,
    PruneAll,
    Ratios,
    Strict,
    at_least,
    joined_shapes,
    listed,
    numbers,
)

if TYPE_CHECKING:
    from gatherline.pipeline_types import Report


def prune(
    model: Model,
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="OUT", help="File to write: .onnx or .safetensors, as MODEL is.")
    ],
    pattern: Annotated[
        str | None, typer.Option("--pattern", metavar="P", help="As in gs:16,1 or block:1x16; or give --plan.")
    ] = None,
    sparsity: Annotated[
        float | None, typer.Option(metavar="S", help="Fraction of the pruned layers' weights removed, 0 to below 1.")
    ] = None,
    ratios: Ratios = "uniform",
    keep: Annotated[
        list[str] | None,
        typer.Option(metavar="NAMES", help="Layers left as they are: first, last, depthwise, names, globs; commas."),
    ] = None,
    prune_all: PruneAll = False,
    repack: Annotated[
        bool,
        typer.Option("--repack", help="Choose anew among weights that a mask stored in the file hides."),
    ] = False,
    levels: Annotated[
        str | None, typer.Option(metavar="S,S,...", help="Nested sparsities in one file, in place of --sparsity.")
    ] = None,
    arch: Arch = None,
    batch: Batch = None,
    input_shape: InputShape = None,
    plan: PlanPath = None,
    json: Json = False,
    strict: Strict = False,
    debug: Debug = False,
) -> None:
    """Write a model pruned to a pattern or by a plan.

    It says what was kept. Weights are kept by magnitude. Depthwise layers, the first layer and the classifier stay
    dense, as --keep names them; --all prunes them, and --keep still holds. A weight that is 0 stays 0, so a mask that
    the file has is respected; --repack looks behind masks that are stored apart (weight_orig, weight_mask).
    """
    at_least("--batch", batch, 1)
    shape = joined_shapes(input_shape)
    from gatherline.progress import terminal_progress
    from gatherline.prune_request import PruneRequest
    from gatherline.pruning import prune as prune_file

    if plan is not None:
        _refuse_beside(
            "--plan", "says how each layer is pruned", pattern=pattern, sparsity=sparsity, keep=keep, levels=levels,
            all=prune_all, repack=repack, ratios=None if ratios == "uniform" else ratios,
        )  # fmt: skip
        from gatherline.prune_plan import PlanPruneRequest, prune_by_plan

        planned = PlanPruneRequest(
            model=model, out=str(out), plan=str(plan), arch=arch, batch=batch, input_shape=shape, strict=strict
        )
        report = prune_by_plan(planned, terminal_progress())
        _print_pruned(report, json)
        return
    if pattern is None:
        raise ArgumentError("--pattern is missing: name one, or give a --plan of simulate advise")
    request = PruneRequest(
        model=model, out=str(out), pattern=pattern, sparsity=sparsity, ratios=ratios,
        keep=tuple(listed("--keep", keep)), prune_all=prune_all, repack=repack,
        levels=tuple(numbers("--levels", levels)), arch=arch, batch=batch, input_shape=shape, strict=strict,
    )  # fmt: skip
    _print_pruned(prune_file(request, terminal_progress()), json)


def _refuse_beside(option: str, why: str, **others: object) -> None:
    """Raise ArgumentError for the first of ``others`` that is given, by the option's name."""
    for name, value in others.items():
        if value:
            raise ArgumentError(f"--{name.replace('_', '-')} was given beside {option}, which {why}")


def _print_pruned(report: "Report", json: bool) -> None:
    from gatherline.report.prune_table import print_pruned

    if json:
        sys.stdout.write(report.to_json())
    else:
        print_pruned(report.rows, report.manifest, sys.stdout)
