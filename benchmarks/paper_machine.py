"""The machine of arXiv 2112.10898: ``python benchmarks/paper_machine.py`` writes ``docs/paper-machine.md``.

Prints the report too; asserts nothing (``tests/unit/test_paper_machine.py`` does). Compute cycles, that is, without
DRAM, unless a column says otherwise. Needs scikit-learn (the test extra) for a trained layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import factorial
from pathlib import Path
from typing import Any

import numpy as np

from patterns.catalog import parse_pattern
from simulator.devices.gs_tcm_sve8 import GS_TCM_SVE8
from simulator.schedule.layer_program import compile_layer
from simulator.schedule.mapper import mappings
from simulator.schedule.sources import plan_streams
from simulator.simulate import Programs, simulate
from simulator.spec import Core, Device, DeviceError
from traces.builder import NetworkBuilder
from traces.layer import MatrixLayer, Network
from traces.masks import Level, trace_network
from traces.trace import LayerTrace
from traces.workloads.catalog import built_in

ROOT = Path(__file__).parents[1]
REPORT = ROOT / "docs" / "paper-machine.md"
PICTURE = ROOT / "docs" / "images" / "paper-machine-sensitivity.png"
WIDTHS = (1, 2, 4)
SPARSITIES = (0.8, 0.9, 0.95)
BANKS = (4, 8, 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A line of a table: what it is called, its pattern, and the order of streams without groups of their own."""

    label: str
    spelling: str
    order: str = "packed"


DENSE = Case(label="dense", spelling="dense")
PACKED = Case(label="unstructured, packed", spelling="unstructured")
COLUMN = Case(label="unstructured, column order", spelling="unstructured", order="csr")
CASES = (
    DENSE,
    Case(label="block 1x8", spelling="block:1x8"),
    Case(label="block 8x1", spelling="block:8x1"),
    Case(label="GS(8,8)", spelling="gs:8,8"),
    Case(label="GS(8,1)", spelling="gs:8,1"),
    Case(label="GS(8,1), rows permuted", spelling="gs_scatter:8,1"),
    PACKED,
    COLUMN,
)


def machine(width: int, banks: int = 8, **core: Any) -> Device:
    """Return the core at an issue width, and at another number of lanes and banks (and bytes a cycle for them)."""
    device = GS_TCM_SVE8
    assert device.core is not None
    return replace(
        device,
        core=replace(device.core, issue_width=width, **core),
        scratchpad=replace(device.scratchpad, banks=banks),
        gather=replace(device.gather, lanes=banks),
        weight_buffer=replace(device.weight_buffer, bytes_per_cycle=4 * banks),
    )


def pruned(network: Network, spelling: str, sparsity: float | None) -> LayerTrace:
    """Return the only layer of ``network``, pruned although it is the first and the last."""
    level = Level(pattern=parse_pattern(spelling), sparsity=None if spelling == "dense" else sparsity)
    (trace,) = trace_network(network, level, prune_all=True).traces
    return trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """``groups``: in all, repeats included. ``cycles``, ``with_dram``: by device, in the order given."""

    groups: int
    cycles: tuple[int, ...]
    with_dram: tuple[int, ...]


def uncut(trace: LayerTrace, device: Device, order: str) -> str:
    """Return the best mapping that leaves the channels whole.

    Packing the parts of a row anew pads more, and the mapper's bytes do not show it: the patterns are compared where
    none of them is cut. Raises RuntimeError where nothing fits.
    """
    layer = trace.layer
    assert isinstance(layer, MatrixLayer)
    plan = plan_streams(trace, device, None, order)
    for mapping in mappings(layer, device, plan.row_bytes, plan.rows_per_bundle, plan.halves):
        if mapping.channels != layer.ci:
            continue
        try:
            compile_layer(trace, device, order=order, mapping=str(mapping))
        except DeviceError:  # pointers, say, overflow the weight buffer after all
            continue
        return str(mapping)
    raise RuntimeError(f"{layer.name}, {trace.pattern.spelling}: no mapping leaves the channels whole")


def measure(trace: LayerTrace, devices: Sequence[Device], order: str = "packed") -> Measured:
    """Return what a layer takes on devices that differ in timing alone."""
    programs: Programs = {}
    mapping = uncut(trace, devices[0], order)
    found = [simulate(trace, each, order=order, mapping=mapping, programs=programs).cycles for each in devices]
    cycles = [each for each in found if each is not None]
    made = [program for shared in programs.values() for program in shared.ways.programs()]  # one core: one way each
    streams = [stream for program in made for stream in program.streams]
    return Measured(
        groups=sum(stream.groups * stream.repeats for stream in streams) // len(programs),
        cycles=tuple(each.compute for each in cycles),
        with_dram=tuple(each.total for each in cycles),
    )


def all_cases(network: Network, sparsity: float) -> dict[str, Measured]:
    """Return every line of the table of one product and sparsity, by label, on the three issue widths."""
    devices = [machine(width) for width in WIDTHS]
    return {case.label: measure(pruned(network, case.spelling, sparsity), devices, case.order) for case in CASES}


def expected_cost(banks: int, interval: int) -> float:
    """Return E[max(largest bank load, interval)] of as many random requests as banks."""
    total = Fraction(interval)
    for cap in range(interval, banks):
        series = [Fraction(1)] + [Fraction(0)] * banks
        for _ in range(banks):
            series = [
                sum((series[i - j] / factorial(j) for j in range(min(cap, i) + 1)), Fraction(0))
                for i in range(banks + 1)
            ]
        total += 1 - series[banks] * factorial(banks) / Fraction(banks) ** banks
    return float(total)


def matrix(name: str, weight: np.ndarray) -> Network:
    """Return a network of one matrix-vector product."""
    net = NetworkBuilder(name)
    net.input("x", (1, weight.shape[1]))
    return net.build([net.linear("fc", "x", np.ascontiguousarray(weight, dtype=np.float32), "y")])


def trained() -> Network:
    """Return the middle layer, 256 x 256, of a classifier of scikit-learn's digits."""
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier

    data = load_digits()
    net = MLPClassifier(hidden_layer_sizes=(256, 256), alpha=0.01, max_iter=120, random_state=0)
    net.fit(data.data / 16.0, data.target)
    return matrix("digits", net.coefs_[1].T)


def heavy_tailed() -> Network:
    """Return 1024 x 1024 weights whose rows differ in scale, with tails longer than a normal distribution's."""
    rng = np.random.default_rng(0)
    scale = rng.lognormal(sigma=0.3, size=(1024, 1))
    return matrix("heavy", rng.laplace(size=(1024, 1024)) * scale)


def shapes() -> tuple[tuple[str, Network], ...]:
    """Return the layers of the headline tables."""
    return (
        ("1024 x 1024, normal", built_in("spmv1024")),
        ("1024 x 1024, Laplace, rows differ", heavy_tailed()),
        ("3x3, 128 to 128, normal", built_in("conv3x3_128")),
        ("256 x 256, trained on digits", trained()),
    )


def kept_weight(network: Network, trace: LayerTrace) -> float:
    """Return the share of sum |w| that a mask keeps."""
    (layer,) = network.matrix_layers
    scores = np.abs(network.weights[layer.name]).astype(np.float64)
    assert trace.mask is not None
    return float((scores * trace.mask).sum() / scores.sum())


def keeping(network: Network, spelling: str, share: float) -> LayerTrace:
    """Return the sparsest mask, to 1 in 4096, of a pattern that keeps at least ``share`` of sum |w|."""
    low, high = 0.0, 1.0
    best = pruned(network, spelling, low)
    for _ in range(12):
        middle = (low + high) / 2
        trace = pruned(network, spelling, middle)
        if kept_weight(network, trace) >= share:
            low, best = middle, trace
        else:
            high = middle
    return best


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """One line: a layer, B and GS pattern at 90 %, and what others take in its cycles, by issue width."""

    layer: str
    banks: int
    gs: str
    share: float
    block: str
    block_density: float
    block_cycles: tuple[float, ...]
    packed_cycles: tuple[float, ...]
    column_cycles: tuple[float, ...]


def headlines(sparsity: float = 0.9) -> list[Headline]:
    """Return GS against block at equal kept weight, and against unstructured at equal density."""
    lines = []
    for (name, network), banks in ((shape, banks) for shape in shapes() for banks in BANKS):
        devices = [machine(width, banks) for width in WIDTHS]
        free = pruned(network, "unstructured", sparsity)
        packed, column = measure(free, devices), measure(free, devices, "csr")
        for k, block in ((1, f"{banks}x1"), (banks, f"1x{banks}")):
            trace = pruned(network, f"gs:{banks},{k}", sparsity)
            share = kept_weight(network, trace)
            gs = measure(trace, devices)
            blocks = keeping(network, f"block:{block}", share)

            def over(other: Measured, base: Measured = gs) -> tuple[float, ...]:
                return tuple(a / b for a, b in zip(other.cycles, base.cycles, strict=True))

            assert blocks.density is not None
            lines.append(
                Headline(
                    layer=name,
                    banks=banks,
                    gs=f"GS({banks},{k})",
                    share=share,
                    block=block,
                    block_density=blocks.density,
                    block_cycles=over(measure(blocks, devices)),
                    packed_cycles=over(packed),
                    column_cycles=over(column),
                )
            )
    return lines


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table; every column but the first is right-aligned."""
    lines = [f"| {' | '.join(header)} |", f"|---|{'---:|' * (len(header) - 1)}"]
    return "\n".join([*lines, *(f"| {' | '.join(str(cell) for cell in row)} |" for row in rows)])


def ratios(values: Sequence[float]) -> tuple[str, ...]:
    return tuple(f"{value:.2f}" for value in values)


def span(values: Iterable[float]) -> str:
    held = list(values)
    return f"{min(held):.2f} to {max(held):.2f}"


SWEPT = (
    Case(label="block 8x1", spelling="block:8x1"),
    Case(label="GS(8,1)", spelling="gs:8,1"),
    Case(label="GS(8,8)", spelling="gs:8,8"),
    PACKED,
    COLUMN,
)


def sweeps() -> tuple[tuple[str, tuple[int, ...], int, Callable[[int], Device]], ...]:
    """Return what is not public: axis label, values, the preset's value, and the device at a value."""

    def preset(**core: int) -> Device:
        return replace(GS_TCM_SVE8, core=replace(GS_TCM_SVE8.core or Core(issue_width=1), **core))

    def prefetch(size: int) -> Device:
        return replace(GS_TCM_SVE8, weight_buffer=replace(GS_TCM_SVE8.weight_buffer, bytes_per_cycle=size))

    def latency(cycles: int) -> Device:
        return replace(GS_TCM_SVE8, gather=replace(GS_TCM_SVE8.gather, latency=cycles))

    def store(cycles: int) -> Device:
        return replace(GS_TCM_SVE8, scatter=replace(GS_TCM_SVE8.scatter, rmw_cycles=cycles))

    def window(groups: int) -> Device:
        return replace(GS_TCM_SVE8, gather=replace(GS_TCM_SVE8.gather, window=groups, order="out_of_order"))

    return (
        ("issue width, instructions a cycle", (1, 2, 4, 8), 2, lambda width: preset(issue_width=width)),
        ("multiply-add to dependent multiply-add, cycles", (1, 2, 4, 8), 1, lambda n: preset(accumulate_cycles=n)),
        ("prefetched weights, bytes a cycle", (4, 8, 16, 32, 64), 32, prefetch),
        ("gather latency, cycles", (1, 2, 4, 16, 64, 256), 2, latency),
        ("store of a result, cycles", (1, 4, 16, 64), 1, store),
        ("window of the gather unit, groups (out of order)", (1, 2, 4, 8, 16), 1, window),
    )


def draw(network: Network) -> None:
    """Draw the cycles at 90 % over each parameter that is not public."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    traces = [pruned(network, case.spelling, 0.9) for case in SWEPT]
    dense = pruned(network, "dense", None)
    # block and GS often lie on each other: the block's line is broad and pale, so that both are seen
    styles = (
        ("#0072B2", "v", 6.0, 0.3),
        ("#009E73", "o", 1.4, 1.0),
        ("#56B4E9", "s", 1.4, 1.0),
        ("#E69F00", "D", 1.4, 1.0),
        ("#D55E00", "^", 1.4, 1.0),
    )
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"font.size": 9, "axes.titlesize": 10})
        figure = Figure(figsize=(11, 6.8), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(2, 3, sharey=True).reshape(-1)
        for axis, (label, values, now, device) in zip(axes, sweeps(), strict=True):
            devices = [device(value) for value in values]
            base = measure(dense, devices).cycles
            for case, trace, (colour, marker, width, alpha) in zip(SWEPT, traces, styles, strict=True):
                cycles = measure(trace, devices, case.order).cycles
                speed_up = [a / b for a, b in zip(base, cycles, strict=True)]
                axis.plot(
                    values,
                    speed_up,
                    color=colour,
                    marker=marker,
                    markersize=max(5, width * 1.6),
                    lw=width,
                    alpha=alpha,
                    label=case.label,
                )
            axis.axvline(now, color="#777777", lw=1, ls=":", zorder=0)
            axis.set_xscale("log", base=2)
            axis.xaxis.set_major_locator(FixedLocator(list(values)))
            axis.xaxis.set_minor_locator(NullLocator())
            axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_xlabel(label)
            axis.grid(alpha=0.25)
        for row in (0, 3):
            axes[row].set_ylabel("speed-up over dense, same parameters")
        axes[0].set_ylim(bottom=0)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
        figure.suptitle(
            "spmv1024 at 90 % on gs-tcm-sve8: what parameters that are not public change (dotted: the preset's value)"
        )
        PICTURE.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(PICTURE, dpi=150, metadata={"Software": None})


CLAIMS: tuple[tuple[str, str], ...] = (
    ("block 8x1", "GS(8,1)"),
    ("block 1x8", "GS(8,8)"),
    ("GS(8,1)", "unstructured, packed"),
    ("GS(8,8)", "unstructured, packed"),
    ("unstructured, packed", "unstructured, column order"),
    *((case.label, "dense") for case in CASES if case is not DENSE),
)
Grid = dict[tuple[str, float], dict[str, Measured]]


def grid() -> Grid:
    """Return all cases of both products at all sparsities."""
    return {
        (name, sparsity): all_cases(built_in(name), sparsity)
        for name in ("spmv1024", "conv3x3_128")
        for sparsity in SPARSITIES
    }


def broken_claims(found: Grid) -> list[tuple[str, str, str, float, int]]:
    """Return where a case that should be no slower than another one is: (case, other, product, sparsity, width)."""
    return [
        (fast, slow, name, sparsity, width)
        for (name, sparsity), cases in found.items()
        for fast, slow in CLAIMS
        for index, width in enumerate(WIDTHS)
        if cases[fast].cycles[index] > cases[slow].cycles[index]
    ]


def product_table(cases_of: dict[float, dict[str, Measured]]) -> str:
    """Return the table of one product."""
    header = (
        "sparsity, pattern", "groups", *(f"cycles, width {w}" for w in WIDTHS), *(f"speed-up, {w}" for w in WIDTHS),
        "with DRAM, width 2", "speed-up",
    )  # fmt: skip
    rows = []
    for sparsity, cases in cases_of.items():
        dense = cases[DENSE.label]
        for label, found in cases.items():
            if label == DENSE.label and rows:
                continue
            where = label if label == DENSE.label else f"{sparsity:.0%}, {label}"
            speed_up = [a / b for a, b in zip(dense.cycles, found.cycles, strict=True)]
            rows.append(
                (
                    where, f"{found.groups:,}", *(f"{cycles:,}" for cycles in found.cycles), *ratios(speed_up),
                    f"{found.with_dram[1]:,}", f"{dense.with_dram[1] / found.with_dram[1]:.2f}",
                )
            )  # fmt: skip
    return table(header, rows)


def order_text(found: Grid) -> str:
    """Say where the expected order holds and where it does not."""
    broken = broken_claims(found)
    checked = len(CLAIMS) * len(found) * len(WIDTHS)
    lines = [
        "Expected at equal density: block <= GS <= packed unstructured < column order, all below dense.",
        f"Of {checked} comparisons (pairs x products x sparsities x widths) {checked - len(broken)} hold.",
        "",
    ]
    for fast, slow in CLAIMS:
        where = [f"{name} at {s:.0%}, width {w}" for f, o, name, s, w in broken if (f, o) == (fast, slow)]
        if where:
            lines.append(f"- {fast} takes more cycles than {slow}: {'; '.join(where)}.")
    return "\n".join(lines)


def conflict_table(found: Grid) -> str:
    column = found["spmv1024", 0.9][COLUMN.label]
    return table(
        ("issue width", "interval of a gather", "E[max(load, interval)]", "column order, measured cycles a group"),
        [
            (width, 4 // width, f"{expected_cost(8, 4 // width):.3f}", f"{column.cycles[index] / column.groups:.3f}")
            for index, width in enumerate(WIDTHS)
        ],
    )


def headline_tables(lines: Sequence[Headline]) -> str:
    per_width = [str(width) for width in WIDTHS]
    block = table(
        (
            "layer",
            "GS at 90 %",
            "kept weight",
            "block",
            "block density",
            *(f"block / GS, width {w}" for w in per_width),
        ),
        [(x.layer, x.gs, f"{x.share:.1%}", x.block, f"{x.block_density:.1%}", *ratios(x.block_cycles)) for x in lines],
    )
    free = table(
        (
            "layer", "GS at 90 %", *(f"packed / GS, width {w}" for w in per_width),
            *(f"column order / GS, {w}" for w in per_width), *(f"better of both / GS, {w}" for w in per_width),
        ),
        [
            (
                x.layer, x.gs, *ratios(x.packed_cycles), *ratios(x.column_cycles),
                *ratios([min(pair) for pair in zip(x.packed_cycles, x.column_cycles, strict=True)]),
            )
            for x in lines
        ],
    )  # fmt: skip
    best = [[min(x.packed_cycles[i], x.column_cycles[i]) for x in lines if x.banks == 8] for i in range(len(WIDTHS))]
    eight = [x for x in lines if x.banks == 8]
    at_least_two = sum(min(x.block_cycles) >= 2 for x in lines)
    return f"""## GS against block at equal kept weight

The published claim is a run time two to three times shorter at equal accuracy. Accuracy is not simulated here; the
share of sum |w| that a mask keeps stands for it. GS is pruned by 90 %; the block pattern keeps the same share.

{block}

At B = 8 a block pattern takes {span(r for x in eight for r in x.block_cycles)} times the cycles of GS, over all rows
of the table {span(r for x in lines for r in x.block_cycles)}; {at_least_two} of {len(lines)} lines reach 2. Kept weight
is a stand-in for accuracy, and the ratio moves with the weights and mostly grows with B.

## GS against unstructured at equal density

{free}

At B = 8 the better of the two unstructured orders takes {span(best[0])} times the cycles of GS at width 1,
{span(best[1])} at width 2 and {span(best[2])} at width 4. Column order alone would make GS look
{span(x.column_cycles[2] for x in eight)} times as fast at width 4: packing the same mask takes most of that away.
Where a ratio is below 1 the free mask is the faster one: GS spends slots on padding where rows are short."""


def report(found: Grid, lines: Sequence[Headline]) -> str:
    """Return the report as Markdown."""
    products = {
        name: {sparsity: cases for (owner, sparsity), cases in found.items() if owner == name}
        for name in ("spmv1024", "conv3x3_128")
    }
    spmv, conv = found["spmv1024", 0.9], found["conv3x3_128", 0.9]
    windowed = [replace(GS_TCM_SVE8, gather=replace(GS_TCM_SVE8.gather, window=2, order="out_of_order"))]
    network = built_in("spmv1024")
    free = measure(pruned(network, "unstructured", 0.9), windowed, "csr").cycles[0]
    window_gain = free / measure(pruned(network, "gs:8,1", 0.9), windowed).cycles[0]
    counts = table(
        ("at 90 %", "dense multiply-adds of a vector", "groups kept", "block 8x1 makes", "GS(8,1) makes"),
        [
            (
                "spmv1024", f"{1024 * 1024 // 8:,}", f"{round(0.1 * 1024 * 1024 / 8):,}",
                f"{spmv['block 8x1'].groups:,}", f"{spmv['GS(8,1)'].groups:,}",
            ),
            (
                "conv3x3_128", f"{36 * 128 * 9 * 128 // 8:,}", f"{36 * round(0.1 * 128 * 9 * 128 / 8):,}",
                f"{conv['block 8x1'].groups:,}", f"{conv['GS(8,1)'].groups:,}",
            ),
        ],
    )  # fmt: skip
    return f"""# The machine of the gather-scatter paper

For people who compare with the gather-scatter paper.

Written by `python benchmarks/paper_machine.py`; change that, not this file.

Sun et al., "Load-balanced Gather-scatter Patterns for Sparse Deep Neural Networks" (arXiv 2112.10898), run products on
a vector core with a tightly coupled memory and a gather/scatter engine. `gs-tcm-sve8` is that core: 8 fp16 lanes and
banks, a 64 KB scratchpad, weights streamed by a software-triggered prefetcher, results in cacheable memory (under
`gs_scatter` in the scratchpad's second half, which activations then leave alone). Its `vector` is 1: a gather returns
8 values of one position, and the positions of a convolution follow each other. What a core issues bounds how fast
groups start:

| stream | instructions |
|---|---|
| GS, unstructured | a group: value load, index load, gather, multiply-add (a fused gather: one less) |
| block 1x8, 8x1 | a block: value load, index load, vector or broadcast load, multiply-add |
| dense | 8 columns of 8 rows: 1 activation load, 8 weight loads, 8 multiply-adds |
| end, lanes of a row side by side (horizontal, column order, dense) | a row: reduction, store |
| end, each lane a row of its own (vertical) | a bundle: one vector store (permuted rows: and a load of numbers) |

The counts of a GS group, of block 8x1 and of row ends agree with the authors' published kernels, as far as read.
Clock, issue width, latencies and the prefetcher's rate are not public;
they are assumed, and the last section varies them. Weights
are synthetic where "normal" or "Laplace" is written. Nothing here was compared with the authors' own simulator. Cycles
are compute cycles, without DRAM; the columns "with DRAM" load weights once, from the preset's LPDDR4X (17.1 GB/s at
its peak), in tiles of up to 128 KiB of which the first is waited for, for a single product: there the size of the
encoding counts most.

## Counts

{counts}

GS makes a few groups more than kept weights need: masks are compared at equal density, so that the smallest weights of
the last groups leave and become padding.

## spmv1024: a product with one vector

{product_table(products["spmv1024"])}

## conv3x3_128: 8 x 8 x 128 to 6 x 6 x 128

{product_table(products["conv3x3_128"])}

{order_text(found)}

Vertical GS beats horizontal on the product without reuse: it needs no reduction, and one store for 8 rows.

## What a conflict costs

Eight random requests meet in 8 banks; the fullest bank gets {expected_cost(8, 1):.4f} on average. A gather costs more
than its instructions only where it takes longer than they do. Measured is column order on spmv1024 at 90 %: the ends of
rows are in it (a reduction and a store), and the last group of a row is short and so has fewer conflicts.

{conflict_table(found)}

So at width 1 the instructions hide nearly all conflicts: a random gather takes {expected_cost(8, 4):.2f} cycles where a
conflict-free one takes 4, and column order, which has no padding, is then quicker than packed order. A wider core makes
conflicts visible.

{headline_tables(lines)}

## What the parameters that are not public change

![Speed-up over dense for six parameters](images/paper-machine-sensitivity.png)

Speed-ups are over dense on the same parameters.

- *Issue width*: sparse kernels issue 4 instructions a group, dense {17 / 8:g}; from width 4 on the gather engine's one
  group a cycle limits both.
- *Dependent multiply-adds*: a sparse kernel has one accumulator a bundle, dense has eight. Above 2 cycles a chain of
  multiply-adds is all that counts, and patterns differ by their groups alone. The preset assumes that chains overlap.
- *Prefetch*: below 16 bytes a cycle indices cost as much as values, and a block pattern, with one index for 8 values,
  gains most. That is the strongest case against GS.
- *Window*: with two groups out of order, column order runs at its instructions' pace and passes packed order, which
  pays for padding. On such a core GS(8,1) is worth a factor of {window_gain:.2f}.
- *Gather latency* only fills and drains the pipeline. A *store* matters once it takes longer than the groups between
  two of them, first where every row has one.

## Left out

Caches and their misses, the core's registers and queues, address arithmetic and branches. The mean number of
instructions a group is one interval for a stream (ADR 0011), so the end of a row is spread over its groups.
"""


def main() -> None:
    text = report(grid(), headlines())
    draw(built_in("spmv1024"))
    REPORT.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
