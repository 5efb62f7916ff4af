"""Which names each page of the Python API has, and the words before them. ``api_pages.py`` makes the pages.

Names of ``gatherline.__all__``, patterns and encodings are taken from the packages, so that a new one is on its page
without a line here, and so are the types that functions of ``gl`` return. What these are made of, requests and the
parts of devices are listed.
"""

from __future__ import annotations

from dataclasses import dataclass

from class_facts import is_class, returned_types

Sections = tuple[tuple[str, tuple[str, ...]], ...]  # a title and full names, in order

GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (  # of the names of gatherline; others come under "More"
    ("A run", ("run", "load", "inspect", "trace", "replay", "timeline", "validate")),
    ("Prune", ("prune", "prune_by_plan")),
    ("Advice", ("break_even", "why", "sensitivity", "advise", "run_plan")),
    ("Sweeps", ("run_sweep", "dry_run", "front", "export")),
    ("Energy, area, devices", ("energy", "area", "load_device", "device_text")),
    ("One layer on one device", ("simulate", "estimate", "parse_pattern", "encoding")),
)

RESULTS = (  # first on their page, in this order; other types that functions of gl return follow
    "gatherline.pipeline_types.Report",
    "gatherline.inspection.Inspection",
    "gatherline.advice.break_even.BreakEvenReport",
    "gatherline.advice.break_even.BreakEven",
    "gatherline.advice.verdict.Answer",
    "gatherline.advice.crossing.Probe",
    "gatherline.advice.why.WhyReport",
    "gatherline.advice.device_sensitivity.SensitivityReport",
    "gatherline.advice.plan_report.PlanReport",
    "gatherline.advice.plan.Plan",
    "gatherline.advice.plan.LayerPlan",
    "gatherline.sweep.sweep.SweepResult",
    "gatherline.sweep.dry_run.DryRun",
    "gatherline.sweep.front_request.StoredFront",
    "gatherline.sweep.front.SweepFront",
    "gatherline.sweep.export.Exported",
    "gatherline.validation.ValidationReport",
    "costmodel.area.Area",
)

REQUESTS = (
    "gatherline.request.RunRequest",
    "gatherline.prune_request.PruneRequest",
    "gatherline.prune_plan.PlanPruneRequest",
    "gatherline.inspect_request.Questions",
)

LAYERS = "MatrixLayer ProductLayer VectorLayer UnsupportedLayer Tensor Arrangement Window"
UNITS = (
    "Device Core Scratchpad GatherUnit WeightBuffer MacArray ScatterUnit VectorUnit Dram DramTiming SecondLevel Widths"
)
KERNELS = (
    "Kernel TileKernel Tile WinogradKernel WinogradSize DepthwiseKernel RowKernel InstructionMix "
    "BlockKernel EngineKernel"
)

WORDS = {  # before the first name of a page
    "gatherline": """\
For people who call Gatherline from their own code. `import gatherline as gl`; every function below is
`gl.NAME`, and does what the command of that name does ([the command line](../reference/command.md)). Where a
function takes `**options`, they are the fields of a [request](requests.md). What it returns is on
[Results](results.md), and what a row holds on [Columns of a row](../reference/columns.md). Errors in what was
given are `ValueError`: `ModelError`, `PatternError`, `DeviceError`, `EncodingError`, `RequestError`, each one
line that names field, value and rule.""",
    "results": """\
For people who work with what a function of `gl` returned. All of these are frozen: they hold what was
computed, and compute nothing. `rows` are dictionaries with the [columns](../reference/columns.md) as keys.
Units stand in names (`_s`, `_bytes`, `_hz`, `_pj`, `_mm2`, `_cycles`); counts are `int`.""",
    "requests": """\
For people who look up what `**options` may be. `gl.run`, `trace`, `break_even`, `why`, `sensitivity` and
`advise` take the fields of `RunRequest`; `gl.prune` those of `PruneRequest`, `gl.prune_by_plan` those of
`PlanPruneRequest`, and `gl.inspect` those of `Questions`. They are the options of the
[command line](../reference/command.md), with underscores.""",
    "patterns": """\
For people who make masks of their own, or add a pattern. `gl.parse_pattern("gs:16,1")` gives one of these
from its spelling; scores and masks have the shape (groups, m, k): output channels of a group by kernel
positions x input channels, input channels innermost. The guide with pictures is
[Patterns and encodings](../patterns.md).""",
    "encodings": """\
For people who want the bytes of a mask, or add an encoding. `gl.encoding("csr")` gives one by its name. Sizes
are formulas, exact without building the arrays; the guide is
[Patterns and encodings](../patterns.md#encodings).""",
    "traces": """\
For people who build a network by hand, or look at what a model file became. Every layer with weights is a
matrix product Y[m, p] = W[m, k] . X[k, p] per group.""",
    "simulator": """\
For people who design accelerators. A `Device` is data; `gl.simulate` runs one layer on it. Most changes need
no Python: a [device file](../adding-a-device.md) overrides fields of a preset. The rules are explained in
[The gather/scatter machine](../machine.md).""",
    "costmodel": """\
For people who model a CPU, a GPU or an FPGA. A `RooflineDevice` is data, each number with its source;
`gl.estimate` gives one layer's [LayerResult](simulator.md) on it. How to write one as a file:
[Adding a device](../adding-a-device.md).""",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedPage:
    """A page: its name below ``api/``, its title, the words before the first name, and its sections."""

    name: str
    title: str
    words: str
    sections: Sections


def _of(module: str, names: str) -> tuple[str, ...]:
    return tuple(f"{module}.{name}" for name in names.split())


def named_pages() -> tuple[NamedPage, ...]:
    """Return all pages, in the order of the navigation. Raises LookupError for a name that no module defines."""
    return (
        _page("gatherline", "gl: what the command does, in Python", *_gl_sections()),
        _page("results", "Results", ("", (*RESULTS, *_more_results()))),
        _page("requests", "Options", ("", REQUESTS)),
        _page(
            "patterns", "Patterns, in Python", ("The base", _of("patterns.base", "Pattern Violation")),
            ("Patterns", _patterns()),
        ),
        _page(
            "encodings", "Encodings, in Python",
            ("The base", _of("patterns.encodings.base", "Encoding Encoded EncodedSize Widths ByteWidths")),
            ("Encodings", _encodings()),
        ),
        _page(
            "traces", "Layers and traces",
            ("Networks and layers", _of("traces.layer", "Network " + LAYERS)),
            ("What a device sees", ("traces.trace.LayerTrace",)),
        ),
        _page(
            "simulator", "The cycle-level simulator",
            ("Device and its parts", _of("simulator.spec", UNITS)),
            ("What comes out", _of("simulator.result", "LayerResult Counters Cycles FabricUse")),
        ),
        _page(
            "costmodel", "Rooflines",
            ("Device and its parts", _of("costmodel.spec", "RooflineDevice Units MemoryLevel Pipes")),
            ("Kernels", _of("costmodel.spec", KERNELS)),
            ("Energy and area", ("costmodel.technology.Technology",)),
        ),
    )  # fmt: skip


def gl_classes() -> tuple[str, ...]:
    """Return the classes among the names of ``gl``: each stands on the page of its kind."""
    return tuple(home for home in _homes().values() if is_class(home))


def _page(name: str, title: str, *sections: tuple[str, tuple[str, ...]]) -> NamedPage:
    return NamedPage(name=name, title=title, words=WORDS[name], sections=sections)


def _homes() -> dict[str, str]:
    import gatherline

    return {name: f"{gatherline._HOME[name]}.{name}" for name in gatherline.__all__}


def _gl_sections() -> Sections:
    homes = {name: home for name, home in _homes().items() if not is_class(home)}
    grouped = {name for _, names in GROUPS for name in names}
    found = tuple((title, tuple(homes[name] for name in names)) for title, names in GROUPS)
    rest = tuple(home for name, home in homes.items() if name not in grouped)
    return (*found, ("More", rest)) if rest else found


def _more_results() -> tuple[str, ...]:
    """Return the types that functions of ``gl`` return and that are neither listed nor names of ``gl``."""
    placed = {*RESULTS, *gl_classes()}
    found = dict.fromkeys(name for home in _homes().values() if not is_class(home) for name in returned_types(home))
    return tuple(name for name in found if name not in placed and not name.startswith(("patterns.", "simulator.spec.")))


def _patterns() -> tuple[str, ...]:
    from patterns.catalog import ALL_PATTERNS, parse_pattern

    made = [type(parse_pattern(kind.example)) for kind in ALL_PATTERNS]
    return tuple(dict.fromkeys(f"{one.__module__}.{one.__qualname__}" for one in made))


def _encodings() -> tuple[str, ...]:
    from patterns.encodings.catalog import ALL_ENCODINGS

    return tuple(f"{type(one).__module__}.{type(one).__qualname__}" for one in ALL_ENCODINGS)
