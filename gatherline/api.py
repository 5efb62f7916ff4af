"""What a Python user calls: the commands of ``simulate`` as functions, and a live ``nn.Module`` as a model.

``model`` is a path, the name of a built-in, a ``Network`` or a torch module (then with ``example_inputs``).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from costmodel.area import Area
from costmodel.area import area as area_of
from costmodel.device_file import device_text as roofline_text
from costmodel.spec import RooflineDevice
from costmodel.tables.catalog import DEFAULT_TECHNOLOGY, technology_named
from gatherline import pipeline
from gatherline.advice.tolerance import TOLERANCE
from gatherline.energy_report import energy_report
from gatherline.inspection import Inspection
from gatherline.pipeline_types import Report
from gatherline.request import RunRequest, cycle_device, device_named, lower
from simulator.spec import DeviceError
from traces.layer import ModelError, Network

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gatherline.advice.break_even import BreakEvenReport
    from gatherline.advice.device_sensitivity import SensitivityReport
    from gatherline.advice.plan_report import PlanReport
    from gatherline.advice.why import WhyReport
    from gatherline.comparison.comparison import Comparison
    from gatherline.sweep.dry_run import DryRun
    from gatherline.sweep.export import Exported
    from gatherline.sweep.front_request import StoredFront
    from gatherline.sweep.sweep import SweepResult
    from gatherline.validation import ValidationReport


def load(
    model: Any,
    *,
    example_inputs: tuple[Any, ...] | None = None,
    arch: str | None = None,
    seed: int = 0,
    batch: int | None = None,
    input_shape: str | None = None,
    strict: bool = False,
) -> Network:
    """Return the network of a path, a built-in name or a torch module. Raises ModelError."""
    if isinstance(model, Network):
        return model
    if isinstance(model, str | Path):
        request = RunRequest(
            model=str(model), arch=arch, seed=seed, batch=batch, input_shape=input_shape, strict=strict
        )
        return lower(request)
    if example_inputs is None:
        raise ModelError(f"model is a {type(model).__name__}, and a torch module needs example_inputs, a tuple")
    from traces.lower.torch_module import lower_module

    return lower_module(model, example_inputs)


def run(
    model: Any,
    *,
    patterns: Sequence[str] = (),
    sparsities: Sequence[float] = (),
    devices: Sequence[str] = (),
    example_inputs: tuple[Any, ...] | None = None,
    **options: Any,
) -> Report:
    """Return latency and memory per layer and in total; ``options`` are the other fields of ``RunRequest``.

    Raises ModelError, PatternError, DeviceError, EncodingError and RequestError, all of them ValueError.
    """
    request = _request(model, patterns, sparsities, devices, options)
    return pipeline.run(request, network=_network(model, example_inputs))


def trace(
    model: Any,
    directory: str | Path,
    *,
    pattern: str | None = None,
    sparsity: float | None = None,
    device: str = "gs-tcm",
    example_inputs: tuple[Any, ...] | None = None,
    **options: Any,
) -> list[str]:
    """Write the request streams of one model, pattern, sparsity and device; return the streams' names."""
    request = _request(
        model, [] if pattern is None else [pattern], [] if sparsity is None else [sparsity], [device], options
    )
    return pipeline.write_traces(request, Path(directory), network=_network(model, example_inputs))


def replay(
    directory: str | Path,
    device: str,
    per_group: str | Path | None = None,
    *,
    technology: str = DEFAULT_TECHNOLOGY.name,
) -> Report:
    """Return the cycles of a trace directory on a device: a preset's name or a TOML file."""
    return pipeline.replay(Path(directory), device, None if per_group is None else Path(per_group), technology)


def energy(folder: str | Path, technology: str, *, devices: Sequence[str] = ()) -> Report:
    """Return the report that ``--out`` wrote into ``folder``, its energy by another technology; nothing is simulated.

    ``devices``: the TOML files of devices that are no presets.
    """
    return energy_report(Path(folder), technology, tuple(devices))


def area(device: str, technology: str = DEFAULT_TECHNOLOGY.name) -> Area:
    """Return the area of the parts of a preset or of a TOML file's device. Raises TechnologyError and DeviceError."""
    return area_of(cycle_device(device), technology_named(technology))


def device_text(device: str) -> str:
    """Return a roofline, a preset or of a TOML file, as the whole table of a file.

    Raises DeviceError for a cycle-level device: its files have a base and what differs.
    """
    found = device_named(device)
    if not isinstance(found, RooflineDevice):
        raise DeviceError(f"device {found.name} is a cycle-level device, whose files have a base and what differs")
    return roofline_text(found)


def timeline(
    directory: str | Path, device: str | None = None, out: str | Path | None = None, layer: str | None = None
) -> Path:
    """Write what every unit does when, as gzipped JSON for Perfetto or Chrome; return the file."""
    from gatherline.timeline_file import write_timeline

    return write_timeline(Path(directory), device, None if out is None else Path(out), layer).path


def plot(
    kind: str,
    folder: str | Path,
    out: str | Path | None = None,
    *,
    columns: int = 1,
    devices: str | Sequence[str] = (),
    patterns: str | Sequence[str] = (),
    sparsities: float | Sequence[float] = (),
    layer: str | None = None,
    layers: int | None = None,
    objectives: Sequence[str] = (),
    title: bool = True,
    theme: Literal["light", "dark"] = "light",
    dpi: int = 300,
    csv: str | Path | None = None,
) -> Path | Figure:
    """Draw what is in ``folder`` for a paper: write the file ``out`` (.pdf, .svg, .png) and its numbers as CSV beside
    it, and return its path; without ``out``, return the Matplotlib figure.

    ``kind``: heatmap, bars, roofline, pareto, breakdown, timeline or load-histogram. What was chosen for you, and what
    is left out, is a warning. Raises RequestError, and OSError.
    """
    from gatherline.report.figures.catalog import kind_named
    from gatherline.report.figures.figure import FigureChoices, fractions_of, names_of
    from gatherline.report.figures.figure_file import figure_files, write_figure

    wanted = kind_named(kind)
    choices = FigureChoices(
        columns=columns, devices=names_of("devices", devices), patterns=names_of("patterns", patterns),
        sparsities=fractions_of("sparsities", sparsities), layer=layer, layers=layers,
        objectives=names_of("objectives", objectives), title=title, theme=theme,
    )  # fmt: skip
    wanted.check(choices)
    files = None if out is None else figure_files(wanted, Path(out), None if csv is None else Path(csv), dpi)
    if files is not None:
        files.check()
    drawn = wanted.draw(Path(folder), choices)
    if files is not None:
        write_figure(drawn, choices.look, files)
    for remark in drawn.remarks():
        warnings.warn(remark, stacklevel=2)
    return drawn.figure if files is None else files.figure


def prune(model: str | Path, out: str | Path, *, pattern: str, sparsity: float | None = None, **options: Any) -> Report:
    """Write ``model`` pruned to ``pattern`` into ``out``; ``options`` are the other fields of ``PruneRequest``.

    Return a row per level and layer, and totals: densities, sparsity asked and reached, weight kept, the check.
    Raises ModelError, PatternError, RequestError and RatioError (ValueError), and OSError.
    """
    from gatherline.prune_request import PruneRequest
    from gatherline.pruning import prune as prune_file

    return prune_file(
        PruneRequest(model=str(model), out=str(out), pattern=pattern, sparsity=sparsity, **_plain(options))
    )


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    """Sequences as tuples, paths as text."""
    found = {}
    for name, value in options.items():
        found[name] = str(value) if isinstance(value, Path) else tuple(value) if isinstance(value, list) else value
    return found


def validate(
    devices: Sequence[str] = (), families: Sequence[str] = (), tables: str | Path | None = None
) -> ValidationReport:
    """Return predictions of rooflines beside published measurements: errors by device, what was measured, and family.

    ``tables``: a folder of measurements in place of the repository's. Raises DeviceError and ValidationError.
    """
    from gatherline.validation import validation_report

    return validation_report(devices, families, None if tables is None else Path(tables))


def run_sweep(
    spec: str | Path,
    folder: str | Path | None = None,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    max_points: int = 1_000_000,
) -> SweepResult:
    """Compute the points of a spec file that ``folder`` lacks, and return how it went; ``rows()`` reads them.

    ``folder``: by default the spec's path without its suffix. ``workers`` above 1 are processes: call this under
    ``if __name__ == "__main__":``. Raises what ``run`` raises, and OSError.
    """
    from gatherline.sweep.spec_file import read_spec
    from gatherline.sweep.sweep import sweep

    asked = read_spec(spec)
    asked.check_most(max_points)
    target = Path(spec).with_suffix("") if folder is None else Path(folder)
    return sweep(asked, target, workers=workers, scheduler=scheduler)


def dry_run(spec: str | Path, *, workers: int = 1, max_points: int = 1_000_000) -> DryRun:
    """Return how many points a spec file has and about how long they take; few are computed, none is stored.

    ``lines()``: what ``--dry-run`` prints. Raises what ``run`` raises.
    """
    from gatherline.sweep.dry_run import dry_run as tell
    from gatherline.sweep.evaluate import evaluate_uncached
    from gatherline.sweep.spec_file import read_spec

    asked = read_spec(spec)
    asked.check_most(max_points)
    return tell(asked, evaluate_uncached, workers=workers)


def front(
    folder: str | Path,
    *,
    objectives: Sequence[str] = (),
    maximise: Sequence[str] = (),
    most: Sequence[str] = (),
    least: Sequence[str] = (),
    where: Sequence[str] = (),
    together: bool = False,
) -> StoredFront:
    """Return the points that nothing beats of the sweep that ran last in ``folder``, with their ``rows``.

    ``most`` and ``least``: texts as in "latency_s=20ms"; ``where``: as in "model=digits", which a sweep of several
    models needs, or else ``together``. ``write`` writes what ``--out`` does. Raises RequestError.
    """
    from gatherline.sweep.front_request import FrontRequest, stored_front

    asked = FrontRequest(
        folder=Path(folder), objectives=tuple(objectives), maximise=tuple(maximise), most=tuple(most),
        least=tuple(least), where=tuple(where), together=together,
    )  # fmt: skip
    return stored_front(asked)


def export(folder: str | Path, out: str | Path) -> Exported:
    """Write the rows of the sweep that ran last in ``folder`` into a .csv or .parquet file; return how many.

    Raises RequestError for another kind of file, and OSError.
    """
    from gatherline.sweep.export import export as write

    return write(Path(folder), Path(out))


def compare(
    before: str | Path | Report,
    after: str | Path | Report,
    *,
    rules: Sequence[str] = (),
    columns: Sequence[str] = (),
    devices: Sequence[str] = (),
    patterns: Sequence[str] = (),
    pairs: Mapping[str, str] | None = None,
) -> Comparison:
    """Return what moved between two runs (folders, report files, snapshots or Reports), by how much and why.

    ``rules``: as in "latency_s > +2%"; ``.broken`` holds what breaks them. ``columns``: those to show. ``pairs``: names
    that were others, as in {"gs-tcm": "gs-tcm-ooo"}. Raises RequestError and OSError.
    """
    from gatherline.comparison.comparison import compare as compare_sides

    return compare_sides(before, after, rules=rules, columns=columns, devices=devices, patterns=patterns, pairs=pairs)


def break_even(
    model: Any,
    devices: Sequence[str],
    *,
    patterns: Sequence[str] = (),
    tolerance: float = TOLERANCE,
    example_inputs: tuple[Any, ...] | None = None,
    **options: Any,
) -> BreakEvenReport:
    """Return below which density each pattern beats dense, for each layer and the whole network, on each device.

    ``options`` are the other fields of ``RunRequest``, but no sparsities. Raises what ``run`` raises.
    """
    from gatherline.advice.break_even import BreakEvenRequest
    from gatherline.advice.break_even import break_even as solve

    request = BreakEvenRequest(run=_request(model, patterns, (), devices, options), tolerance=tolerance)
    return solve(request, network=_network(model, example_inputs))


def why(
    model: Any,
    devices: Sequence[str],
    *,
    patterns: Sequence[str] = (),
    sparsities: Sequence[float] = (),
    tolerance: float = TOLERANCE,
    example_inputs: tuple[Any, ...] | None = None,
    **options: Any,
) -> WhyReport:
    """Return, for each layer that pruning makes no faster, the first true reason with its number and what changes it.

    Without patterns: all families at ``sparsities``, or the zeros that the model has. ``options`` are the other fields
    of ``RunRequest``. Raises what ``run`` raises.
    """
    from gatherline.advice.why import WhyRequest
    from gatherline.advice.why import why as ask

    request = WhyRequest(run=_request(model, patterns, sparsities, devices, options), tolerance=tolerance)
    return ask(request, network=_network(model, example_inputs))


def sensitivity(
    model: Any,
    device: str,
    *,
    pattern: str | None = None,
    sparsity: float | None = None,
    example_inputs: tuple[Any, ...] | None = None,
    **options: Any,
) -> SensitivityReport:
    """Return how the latency of one point follows every field of its device, and why some fields move nothing.

    ``options`` are the other fields of ``RunRequest``. Raises what ``run`` raises.
    """
    from gatherline.advice.device_sensitivity import SensitivityRequest
    from gatherline.advice.device_sensitivity import sensitivity as ask

    patterns, sparsities = [] if pattern is None else [pattern], [] if sparsity is None else [sparsity]
    request = SensitivityRequest(run=_request(model, patterns, sparsities, [device], options))
    return ask(request, network=_network(model, example_inputs))


def advise(
    model: Any,
    device: str,
    *,
    latency_s: float | None = None,
    memory_bytes: float | None = None,
    storage_bytes: float | None = None,
    energy_pj: float | None = None,
    patterns: Sequence[str] = (),
    sparsities: Sequence[float] = (),
    objective: str | Path = "l1",
    one_pattern: bool = False,
    certain: bool = False,
    example_inputs: tuple[Any, ...] | None = None,
    **options: Any,
) -> PlanReport:
    """Return a pattern and a sparsity for each layer so that the network meets the budget at the least lost weight.

    ``objective``: "l1", "l2" or a CSV of losses. ``options``: the other fields of ``RunRequest``. ``.write(path)``
    writes the plan that ``prune_by_plan`` and ``run_plan`` take. Raises OutOfReach, and what ``run`` raises.
    """
    from gatherline.advice.budget import advise as solve
    from gatherline.advice.plan_request import PlanRequest
    from gatherline.advice.problem import Budget

    budget = Budget(latency_s=latency_s, memory_bytes=memory_bytes, storage_bytes=storage_bytes, energy_pj=energy_pj)
    request = PlanRequest(
        run=_request(model, patterns, sparsities, (device,), options),
        budget=budget,
        objective=str(objective),
        one_pattern=one_pattern,
        certain=certain,
    )
    return solve(request, network=_network(model, example_inputs))


def prune_by_plan(model: str | Path, out: str | Path, plan: str | Path, **options: Any) -> Report:
    """Write ``model`` pruned as the file ``plan`` says into ``out``; rows as of ``prune``.

    ``options``: arch, batch, input_shape, strict. Raises RequestError for a plan that is of another model.
    """
    from gatherline.prune_plan import PlanPruneRequest
    from gatherline.prune_plan import prune_by_plan as prune_file

    return prune_file(PlanPruneRequest(model=str(model), out=str(out), plan=str(plan), **_plain(options)))


def run_plan(
    model: Any,
    plan: str | Path,
    *,
    devices: Sequence[str] = (),
    example_inputs: tuple[Any, ...] | None = None,
    **options: Any,
) -> Report:
    """Return latency and memory of ``model``, or of what ``plan`` made of it, each layer by its own pattern.

    Without ``devices`` on the plan's own. ``options``: as of ``run``, by default those that the plan was made with;
    ``manifest["plan"]["differs"]`` tells where they are others. Raises RequestError for another model.
    """
    from gatherline.advice.plan import read_plan
    from gatherline.advice.plan_options import planned_options
    from gatherline.plan_run import run_plan as run_by

    made = read_plan(Path(plan))
    request = _request(model, (), (), devices, planned_options(made, options))
    return run_by(request, made, network=_network(model, example_inputs))


def inspect(model: str | Path, **options: Any) -> Inspection:
    """Return layers, shapes, MACs, densities, the patterns that masks obey, loads, index entropy and, asked, bytes.

    ``options``: how the model is read, as in ``load``, and the fields of ``gatherline.inspect_request.Questions``.
    """
    return pipeline.inspect(str(model), **_plain(options))


def html_report(folder: str | Path, out: str | Path | None = None) -> Path:
    """Write the run or sweep in ``folder`` as one page that needs no network, and return its path.

    ``out``: a file, by default ``report.html`` in the folder. Raises RequestError for another folder, and OSError.
    """
    from gatherline.report.page.page_file import write_page

    return write_page(Path(folder), None if out is None else Path(out))


def _network(model: Any, example_inputs: tuple[Any, ...] | None) -> Network | None:
    """A path or a name is lowered by the pipeline; anything else is lowered here."""
    return None if isinstance(model, str | Path) else load(model, example_inputs=example_inputs)


def _request(
    model: Any, patterns: Sequence[str], sparsities: Sequence[float], devices: Sequence[str], options: dict[str, Any]
) -> RunRequest:
    name = str(model) if isinstance(model, str | Path) else getattr(model, "name", type(model).__name__)
    return RunRequest(
        model=str(name), patterns=tuple(patterns), sparsities=tuple(sparsities), devices=tuple(devices), **options
    )
