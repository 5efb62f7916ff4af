"""The machine of arXiv 2112.10898: writes ``docs/paper-machine.md`` and its picture. ``python benchmarks/paper_machine.py``.

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
from simulator.schedule.program import Program
from simulator.simulate import simulate
from simulator.spec import Core, Device
from traces.builder import NetworkBuilder
from traces.layer import Network
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


def measure(trace: LayerTrace, devices: Iterable[Device], order: str = "packed") -> Measured:
    """Return what a layer takes on devices that differ in timing alone."""
    programs: dict[object, Program] = {}
    found = [simulate(trace, device, order=order, programs=programs).cycles for device in devices]
    cycles = [each for each in found if each is not None]
    visits = [visit.stream for program in programs.values() for visit in program.visits if visit.stream is not None]
    return Measured(
        groups=sum(stream.groups * stream.repeats for stream in visits) // len(programs),
        cycles=tuple(each.compute for each in cycles),
        with_dram=tuple(each.total for each in cycles),
    )


def all_cases(network: Network, sparsity: float) -> dict[str, Measured]:
    """Return every line of the table of one product and sparsity, by label, on the three issue widths."""
    devices = [machine(width) for width in WIDTHS]
    return {
        case.label: measure(pruned(network, case.spelling, sparsity), devices, case.order) for case in CASES
    }


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
    net = MLPClassifier(hidden_layer_sizes=(256, 256), alpha=0.01, max_iter=60, random_state=0)
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

    return (
        ("issue width, instructions a cycle", (1, 2, 4, 8), 2, lambda width: preset(issue_width=width)),
        ("multiply-add to dependent multiply-add, cycles", (1, 2, 4, 8), 1, lambda n: preset(accumulate_cycles=n)),
        ("prefetched weights, bytes a cycle", (4, 8, 16, 32, 64), 32, prefetch),
        ("gather latency, cycles", (1, 4, 16, 64, 256), 2, latency),
        ("store to cacheable memory, cycles", (1, 4, 16, 64), 1, store),
    )


def draw(network: Network) -> None:
    """Draw the cycles at 90 % over each parameter that is not public."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    traces = [pruned(network, case.spelling, 0.9) for case in SWEPT]
    dense = pruned(network, "dense", None)
    styles = (("#0072B2", "v"), ("#009E73", "o"), ("#56B4E9", "s"), ("#E69F00", "D"), ("#D55E00", "^"))
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"font.size": 9, "axes.titlesize": 10})
        figure = Figure(figsize=(11, 6.6), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(2, 3, sharey=True).reshape(-1)
        for axis, (label, values, now, device) in zip(axes, sweeps(), strict=False):
            devices = [device(value) for value in values]
            base = measure(dense, devices).cycles
            for case, trace, (colour, marker) in zip(SWEPT, traces, styles, strict=True):
                cycles = measure(trace, devices, case.order).cycles
                speed_up = [a / b for a, b in zip(base, cycles, strict=True)]
                axis.plot(values, speed_up, color=colour, marker=marker, markersize=5, lw=1.4, label=case.label)
            axis.axvline(now, color="#999999", lw=1, ls=":", zorder=0)
            axis.set_xscale("log", base=2)
            axis.xaxis.set_major_locator(FixedLocator(list(values)))
            axis.xaxis.set_minor_locator(NullLocator())
            axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_xlabel(label)
            axis.grid(alpha=0.25)
        for row in (0, 3):
            axes[row].set_ylabel("speed-up over dense")
        axes[0].set_ylim(bottom=0)
        handles, labels = axes[0].get_legend_handles_labels()
        axes[-1].axis("off")
        axes[-1].legend(handles, labels, loc="center", frameon=False, title="spmv1024 at 90 %\ndotted: the preset's value")
        figure.suptitle("What the parameters that are not public change (gs-tcm-sve8, issue width 2 unless swept)")
        PICTURE.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(PICTURE, dpi=110, metadata={"Software": None})
