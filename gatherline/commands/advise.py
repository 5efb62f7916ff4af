"""``simulate advise``: four questions about a network on a device, a small function each.

Where pruning begins to pay (the break-even), which plan meets a budget, why layers are no faster (--why), and which
field of the device the latency follows (--sensitivity). Options that are of another question are refused here.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gatherline.advice.tolerance import TOLERANCE
from gatherline.commands.request import request_from
from gatherline.exit_status import FAILED
from gatherline.options import (
    Arch,
    ArgumentError,
    Batch,
    Debug,
    Dtype,
    EncodingText,
    InputShape,
    Json,
    Model,
    Order,
    PruneAll,
    Seed,
    Strict,
    Threads,
)

if TYPE_CHECKING:
    from gatherline.advice.break_even import BreakEvenReport
    from gatherline.advice.device_sensitivity import SensitivityReport
    from gatherline.advice.why import WhyReport
    from gatherline.request import RunRequest


_BUDGETS = ("--latency-ms", "--memory-mb", "--storage-mb", "--energy-mj")
_MOST_BUDGET = 1e12  # thirty years, an exabyte, a gigajoule: no figure beyond is a budget


def advise(
    model: Model,
    device: Annotated[list[str], typer.Option("--device", metavar="D", help="Name, or path of a .toml file; repeats.")],
    arch: Arch = None,
    pattern: Annotated[
        list[str] | None,
        typer.Option("--pattern", metavar="P", help="As in gs:16,1; repeats. Default: one of each family."),
    ] = None,
    sparsity: Annotated[
        list[float] | None,
        typer.Option(
            "--sparsity",
            metavar="S",
            help="With a budget: what a layer may become; with --why and --sensitivity: the point; repeats.",
        ),
    ] = None,
    latency_ms: Annotated[
        float | None, typer.Option("--latency-ms", metavar="MS", help="Budget: plan each layer to run within it.")
    ] = None,
    memory_mb: Annotated[
        float | None,
        typer.Option("--memory-mb", metavar="MB", help="Budget: weights, peak of activations and buffers."),
    ] = None,
    storage_mb: Annotated[
        float | None, typer.Option("--storage-mb", metavar="MB", help="Budget: weights and indices as stored.")
    ] = None,
    energy_mj: Annotated[
        float | None, typer.Option("--energy-mj", metavar="MJ", help="Budget: energy of one run of the network.")
    ] = None,
    objective: Annotated[
        str, typer.Option(metavar="O", help="With a budget: l1 or l2 weight kept, or a TABLE.csv of losses.")
    ] = "l1",
    one_pattern: Annotated[
        bool, typer.Option("--one-pattern", help="With a budget: the same pattern in all pruned layers.")
    ] = False,
    certain: Annotated[
        bool, typer.Option("--certain", help="With a budget: the upper end of the error band meets it.")
    ] = False,
    why: Annotated[
        bool, typer.Option("--why", help="Tell instead why layers pruned by --sparsity are no faster than dense.")
    ] = False,
    sensitivity: Annotated[
        bool, typer.Option("--sensitivity", help="Tell instead how the latency follows each field of the device.")
    ] = False,
    order: Annotated[
        Order | None, typer.Option("--order", help="For --why and --sensitivity: order of an unstructured stream.")
    ] = None,
    tolerance: Annotated[
        float,
        typer.Option(
            metavar="T",
            help="For a break-even and --why: how near the densities beside a crossing are, a share of the weights.",
        ),
    ] = TOLERANCE,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="PATH", help="With a budget the PLAN.toml, else a folder for tables."),
    ] = None,
    json: Json = False,
    seed: Seed = 0,
    batch: Batch = None,
    input_shape: InputShape = None,
    dtype: Dtype = "fp16",
    threads: Threads = 1,
    encoding: EncodingText = None,
    prune_all: PruneAll = False,
    strict: Strict = False,
    debug: Debug = False,
) -> None:
    """Tell below which density sparse wins, or plan for a budget.

    Four questions, one at a time, asked with masks of the model's own weights and the device's own dense kernels:

    Break-even, if nothing else is asked: below which density each pattern beats dense, for the network and each layer.

    A plan, with a budget (--latency-ms, --memory-mb, --storage-mb, --energy-mj, several at once): a pattern and a
    sparsity for each layer, so that least weight is lost; prune --plan applies what -o wrote.

    Reasons, with --why: for each layer that pruning makes no faster, the first true one, the number that proves it,
    and what would change it.

    Elasticities, with --sensitivity: how the latency follows every field of one device at one point.
    """
    request = request_from(
        model=model, arch=arch, patterns=pattern or [], sparsities=sparsity or [], devices=device, seed=seed,
        batch=batch, input_shape=input_shape, dtype=dtype, threads=threads, encoding=encoding,
        order=order or Order.PACKED, prune_all=prune_all, strict=strict,
    )  # fmt: skip
    budgets = {
        "latency_s": (latency_ms, 1e-3), "memory_bytes": (memory_mb, 1e6), "storage_bytes": (storage_mb, 1e6),
        "energy_pj": (energy_mj, 1e9),
    }  # fmt: skip
    for option, (value, _) in zip(_BUDGETS, budgets.values(), strict=True):
        if value is not None and not 0 < value < _MOST_BUDGET:
            raise ArgumentError(f"{option} is {value:g}, and must be above 0 and below {_MOST_BUDGET:g}")
    given = {name: value * unit for name, (value, unit) in budgets.items() if value is not None}
    if (why, sensitivity, bool(given)).count(True) > 1:
        raise ArgumentError("--why, --sensitivity and a budget are questions of their own: ask one after the other")
    if not (why or sensitivity) and order is not None:
        raise ArgumentError(f"--order is {order.value}, and is of --why and --sensitivity")
    if given:
        if tolerance != TOLERANCE:
            raise ArgumentError(f"--tolerance is {tolerance:g}, and is of a break-even, not of a budget")
        plan_within(request, given, objective, one_pattern, certain, out, json)
        return
    _refuse_without_budget(objective, one_pattern=one_pattern, certain=certain)
    if why:
        _tell_why(request, tolerance, out, json)
    elif sensitivity:
        _tell_sensitivity(request, tolerance, out, json)
    else:
        _tell_break_even(request, tolerance, out, json)


def _refuse_without_budget(objective: str, *, one_pattern: bool, certain: bool) -> None:
    """Raise ArgumentError for an option that only a plan has."""
    for name, value in (("--one-pattern", one_pattern), ("--certain", certain)):
        if value:
            raise ArgumentError(f"{name} is of a budget, and none is given: --latency-ms, --memory-mb, ...")
    if objective != "l1":
        raise ArgumentError(f"--objective is {objective}, and is of a budget: give --latency-ms, --memory-mb, ...")


def plan_within(
    run: "RunRequest",
    given: dict[str, float],
    objective: str,
    one_pattern: bool,
    certain: bool,
    out: Path | None,
    json: bool,
) -> None:
    """Print a plan, and write it; exit status 1 where none meets the budget."""
    from gatherline.advice.budget import advise as plan_for
    from gatherline.advice.plan import check_plan_target
    from gatherline.advice.plan_request import OutOfReach, PlanRequest
    from gatherline.advice.problem import Budget
    from gatherline.progress import terminal_progress
    from gatherline.report.plan_table import print_plan
    from gatherline.report.selection import printable

    request = PlanRequest(
        run=run, budget=Budget(**given), objective=objective, one_pattern=one_pattern, certain=certain
    )
    if out is not None:
        check_plan_target(out)
    try:
        report = plan_for(request, terminal_progress())
    except OutOfReach as error:
        print(f"simulate: {printable(str(error))}", file=sys.stderr)
        raise typer.Exit(FAILED) from None
    except KeyboardInterrupt:
        print("simulate: no plan is kept: it is chosen when all layers are measured", file=sys.stderr)
        raise
    try:
        written = None if out is None else report.write(out)  # before a reader that takes only the first lines leaves
    finally:
        if json:
            sys.stdout.write(report.to_json())
        else:
            print_plan(report, sys.stdout)
        sys.stdout.flush()
    if written is not None:
        print(f"wrote {written}", file=sys.stderr if json else sys.stdout)


def _tell_break_even(request: "RunRequest", tolerance: float, out: Path | None, json: bool) -> None:
    """Print the densities below which patterns beat dense, and write them into ``out``."""
    if request.sparsities:
        raise ArgumentError(
            "--sparsity is of a budget, --why and --sensitivity; a break-even searches densities itself"
        )
    from gatherline.advice.break_even import AdviceInterrupted, BreakEvenRequest, break_even
    from gatherline.progress import terminal_progress
    from gatherline.report.break_even_table import print_break_even
    from gatherline.report.staging import check_target

    def publish(report: "BreakEvenReport") -> None:
        _publish(report, lambda: print_break_even(report.rows, report.manifest, sys.stdout), out, json)

    asked = BreakEvenRequest(run=request, tolerance=tolerance)
    if out is not None:
        check_target(out)
    try:
        report = break_even(asked, terminal_progress())
    except AdviceInterrupted as stopped:
        publish(stopped.report)  # what is done is kept
        raise
    publish(report)


def _tell_why(request: "RunRequest", tolerance: float, out: Path | None, json: bool) -> None:
    """Print the reason of each layer that pruning makes no faster, and write them into ``out``."""
    from gatherline.advice.interrupted import AnswerInterrupted
    from gatherline.advice.why import WhyRequest
    from gatherline.advice.why import why as ask_layers
    from gatherline.progress import terminal_progress
    from gatherline.report.staging import check_target
    from gatherline.report.why_table import print_why

    def publish(report: "WhyReport") -> None:
        _publish(report, lambda: print_why(report.rows, report.manifest, sys.stdout), out, json)

    if out is not None:
        check_target(out)
    try:
        report = ask_layers(WhyRequest(run=request, tolerance=tolerance), terminal_progress())
    except AnswerInterrupted as stopped:
        publish(stopped.report)  # what is done is kept
        raise
    publish(report)


def _tell_sensitivity(request: "RunRequest", tolerance: float, out: Path | None, json: bool) -> None:
    """Print how the latency follows each field of the device, and write it into ``out``."""
    from gatherline.advice.device_sensitivity import SensitivityRequest
    from gatherline.advice.device_sensitivity import sensitivity as ask_fields
    from gatherline.advice.interrupted import AnswerInterrupted
    from gatherline.progress import terminal_progress
    from gatherline.report.sensitivity_table import print_sensitivity
    from gatherline.report.staging import check_target

    def publish(report: "SensitivityReport") -> None:
        _publish(report, lambda: print_sensitivity(report.rows, sys.stdout), out, json)

    if out is not None:
        check_target(out)
    if tolerance != TOLERANCE:
        raise ArgumentError(f"--tolerance is {tolerance:g}, and a sensitivity searches no crossing")
    try:
        report = ask_fields(SensitivityRequest(run=request), terminal_progress())
    except AnswerInterrupted as stopped:
        publish(stopped.report)  # what is done is kept
        raise
    publish(report)


def _publish(
    report: "BreakEvenReport | SensitivityReport | WhyReport", show: Callable[[], None], out: Path | None, json: bool
) -> None:
    """Print a report, as JSON or as ``show`` prints it, then write it into ``out`` and say where."""
    if json:
        sys.stdout.write(report.to_json())
    else:
        show()
    sys.stdout.flush()
    for path in report.write(out) if out is not None else []:
        print(f"wrote {path}", file=sys.stderr if json else sys.stdout)
