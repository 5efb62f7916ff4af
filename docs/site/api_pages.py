"""The pages of the Python API: which names each has, and their Markdown. Docstrings come in by mkdocstrings.

Names of ``gatherline.__all__``, patterns, encodings and kinds of pattern are taken from the packages, so that a new one
is on its page without a line here. ``RESULTS`` and the parts of devices are listed; a test finds one that is missing.
"""

from __future__ import annotations

from dataclasses import dataclass

from class_facts import ClassFacts, class_facts, definition, summary

GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (  # of the names of gatherline; others come under "More"
    ("A run", ("run", "load", "inspect", "trace", "replay", "timeline", "validate")),
    ("Prune", ("prune", "prune_by_plan")),
    ("Advice", ("break_even", "why", "sensitivity", "advise", "run_plan")),
    ("Sweeps", ("run_sweep", "dry_run", "front", "export")),
    ("Energy, area, devices", ("energy", "area", "load_device", "device_text")),
    ("One layer on one device", ("simulate", "estimate", "parse_pattern", "encoding")),
)

RESULTS = (
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiPage:
    """A page: its name below ``api/``, title, what stands before the first name, and sections of full names."""

    name: str
    title: str
    words: str
    sections: tuple[tuple[str, tuple[str, ...]], ...]

    def markdown(self) -> str:
        parts = [f"# {self.title}", self.words]
        if self.name == "gatherline":
            parts.append(overview(self.sections))
        for title, names in self.sections:
            parts += [f"## {title}"] * bool(title)
            parts += [entry(name, gl=self.name == "gatherline") for name in names]
        return "\n\n".join(parts) + "\n"


def api_pages() -> tuple[ApiPage, ...]:
    """Return all pages. Raises LookupError for a name that no module defines."""
    return (
        ApiPage(
            name="gatherline",
            title="gl: what the command does, in Python",
            words="""For people who call Gatherline from their own code. `import gatherline as gl`; every function below is
`gl.NAME`, and does what the command of that name does ([the command line](../reference/command.md)). Where a function
takes `**options`, they are the fields of a [request](requests.md). What it returns is on [Results](results.md), and what
a row holds on [Columns of a row](../reference/columns.md). Errors in what was given are `ValueError`: `ModelError`,
`PatternError`, `DeviceError`, `EncodingError`, `RequestError`, each one line that names field, value and rule.""",
            sections=_gl_sections(),
        ),
        ApiPage(
            name="results",
            title="Results",
            words="""For people who work with what a function of `gl` returned. All of these are frozen: they hold what was
computed, and compute nothing. `rows` are dictionaries with the [columns](../reference/columns.md) as keys. Units stand in
names (`_s`, `_bytes`, `_hz`, `_pj`, `_mm2`, `_cycles`); counts are `int`.""",
            sections=(("", RESULTS),),
        ),
        ApiPage(
            name="requests",
            title="Options",
            words="""For people who look up what `**options` may be. `gl.run`, `trace`, `break_even`, `why`, `sensitivity`
and `advise` take the fields of `RunRequest`; `gl.prune` those of `PruneRequest`, `gl.prune_by_plan` those of
`PlanPruneRequest`, and `gl.inspect` those of `Questions`. They are the options of the
[command line](../reference/command.md), with underscores.""",
            sections=(("", REQUESTS),),
        ),
        ApiPage(
            name="patterns",
            title="Patterns, in Python",
            words="""For people who make masks of their own, or add a pattern. `gl.parse_pattern("gs:16,1")` gives one of
these from its spelling; scores and masks have the shape (groups, m, k): output channels of a group by kernel positions x
input channels, input channels innermost. The guide with pictures is [Patterns and encodings](../patterns.md).""",
            sections=(("The base", ("patterns.base.Pattern", "patterns.base.Violation")), ("Patterns", _patterns())),
        ),
        ApiPage(
            name="encodings",
            title="Encodings, in Python",
            words="""For people who want the bytes of a mask, or add an encoding. `gl.encoding("csr")` gives one by its name.
Sizes are formulas, exact without building the arrays; the guide is [Patterns and encodings](../patterns.md#encodings).""",
            sections=(
                ("The base", tuple(f"patterns.encodings.base.{name}" for name in (
                    "Encoding", "Encoded", "EncodedSize", "Widths", "ByteWidths"))),
                ("Encodings", _encodings()),
            ),
        ),
        ApiPage(
            name="traces",
            title="Layers and traces",
            words="""For people who build a network by hand, or look at what a model file became. Every layer with weights is
a matrix product Y[m, p] = W[m, k] . X[k, p] per group.""",
            sections=(
                ("Networks and layers", tuple(f"traces.layer.{name}" for name in (
                    "Network", "MatrixLayer", "ProductLayer", "VectorLayer", "UnsupportedLayer", "Tensor", "Arrangement",
                    "Window"))),
                ("What a device sees", ("traces.trace.LayerTrace",)),
            ),
        ),
        ApiPage(
            name="simulator",
            title="The cycle-level simulator",
            words="""For people who design accelerators. A `Device` is data; `gl.simulate` runs one layer on it. Most changes
need no Python: a [device file](../adding-a-device.md) overrides fields of a preset. The rules are explained in
[The gather/scatter machine](../machine.md).""",
            sections=(
                ("Device and its parts", tuple(f"simulator.spec.{name}" for name in (
                    "Device", "Core", "Scratchpad", "GatherUnit", "WeightBuffer", "MacArray", "ScatterUnit", "VectorUnit",
                    "Dram", "DramTiming", "SecondLevel", "Widths"))),
                ("What comes out", tuple(f"simulator.result.{name}" for name in (
                    "LayerResult", "Counters", "Cycles", "FabricUse"))),
            ),
        ),
        ApiPage(
            name="costmodel",
            title="Rooflines",
            words="""For people who model a CPU, a GPU or an FPGA. A `RooflineDevice` is data, each number with its source;
`gl.estimate` gives one layer's [LayerResult](simulator.md) on it. How to write one as a file:
[Adding a device](../adding-a-device.md).""",
            sections=(
                ("Device and its parts", tuple(f"costmodel.spec.{name}" for name in (
                    "RooflineDevice", "Units", "MemoryLevel", "Pipes"))),
                ("Kernels", tuple(f"costmodel.spec.{name}" for name in (
                    "Kernel", "TileKernel", "Tile", "WinogradKernel", "WinogradSize", "DepthwiseKernel", "RowKernel",
                    "InstructionMix", "BlockKernel", "EngineKernel"))),
                ("Energy and area", ("costmodel.technology.Technology",)),
            ),
        ),
    )  # fmt: skip


def overview(sections: tuple[tuple[str, tuple[str, ...]], ...]) -> str:
    """Return the table of all names of ``gl``, each with its first sentence."""
    lines = ["| name | what |", "|---|---|"]
    for _, names in sections:
        for name in names:
            lines.append(f"| [`gl.{name.rpartition('.')[2]}`][{name}] | {_first(summary(definition(name)))} |")
    for name in _gl_classes():
        lines.append(f"| [`gl.{name.rpartition('.')[2]}`][{name}] | {_first(summary(definition(name)))} |")
    return "\n".join(lines)


def entry(dotted: str, *, gl: bool) -> str:
    """Return a name's part of a page: signature and docstring; of a class its fields in a table, then its methods."""
    is_function = not _is_class(dotted)
    shown = f"gl.{dotted.rpartition('.')[2]}" if gl else dotted.rpartition(".")[2]
    if is_function:
        return f"::: {dotted}\n    options:\n      heading: {shown}\n      toc_label: {shown}"
    facts = class_facts(dotted)
    parts = [
        f"::: {dotted}\n    options:\n      heading: {shown}\n      members: false\n      show_signature: false",
        f"`from {dotted.rpartition('.')[0]} import {facts.name}`{_bases(facts)}",
    ]
    if facts.fields:
        parts.append(_fields_table(facts))
    parts += [f"::: {dotted}.{name}\n    options:\n      heading_level: 4" for name in facts.methods]
    return "\n\n".join(parts)


def _bases(facts: ClassFacts) -> str:
    return f", a {' and '.join(f'`{base}`' for base in facts.bases)}" if facts.bases else ""


def _fields_table(facts: ClassFacts) -> str:
    noted = any(field.comment for field in facts.fields)
    lines = ["| field | type | default |" + " |" * noted, "|---|---|---|" + "---|" * noted]
    for field in facts.fields:
        default = f"`{field.default}`" if field.default else "has to be given"
        comment = f" {field.comment.replace('|', '&#124;')} |" if noted else ""
        lines.append(f"| `{field.name}` | `{field.type}` | {default} |{comment}")
    return "\n".join(lines)


def _first(text: str) -> str:
    """Return the first sentence of a summary, as a cell of a table."""
    return text.partition(". ")[0].rstrip(".").replace("|", "&#124;")


def _homes() -> dict[str, str]:
    import gatherline

    return {name: f"{gatherline._HOME[name]}.{name}" for name in gatherline.__all__}


def _is_class(dotted: str) -> bool:
    return type(definition(dotted)).__name__ == "ClassDef"


def _gl_classes() -> tuple[str, ...]:
    """Return the classes among the names of ``gl``: each stands on the page of its kind."""
    return tuple(home for home in _homes().values() if _is_class(home))


def _gl_sections() -> tuple[tuple[str, tuple[str, ...]], ...]:
    homes = {name: home for name, home in _homes().items() if not _is_class(home)}
    grouped = {name for _, names in GROUPS for name in names}
    found = tuple((title, tuple(homes[name] for name in names)) for title, names in GROUPS)
    rest = tuple(home for name, home in homes.items() if name not in grouped)
    return (*found, ("More", rest)) if rest else found


def _patterns() -> tuple[str, ...]:
    from patterns.catalog import ALL_PATTERNS, parse_pattern

    made = [type(parse_pattern(kind.example)) for kind in ALL_PATTERNS]
    return tuple(dict.fromkeys(f"{one.__module__}.{one.__qualname__}" for one in made))


def _encodings() -> tuple[str, ...]:
    from patterns.encodings.catalog import ALL_ENCODINGS

    return tuple(f"{type(one).__module__}.{type(one).__qualname__}" for one in ALL_ENCODINGS)
