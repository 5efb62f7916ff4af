"""Why something got no faster: each layer whose sparse time is not below its dense time, and the first true reason.

Both times are of the same device, by the same path as ``simulate run``. Order and inequalities of the reasons: ADR
0028. Layers that gained are counted, layers that no pruning touched are listed apart. Leaves out: layers without
weights, which pruning does not touch, and what several causes do together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import fsum
from pathlib import Path

from gatherline import pipeline
from gatherline.advice.evidence import Evidence
from gatherline.advice.interrupted import AnswerInterrupted
from gatherline.advice.ratios import DEFAULT_PATTERNS
from gatherline.advice.reasons import reason_of
from gatherline.advice.tolerance import LEAST_TOLERANCE, MOST_TOLERANCE, TOLERANCE
from gatherline.advice.why_rows import Row, WhyFacts, layer_row, total_row
from gatherline.fpga_engine import built_for
from gatherline.pipeline import run_layer
from gatherline.progress import Progress, SilentProgress
from gatherline.report.advice_files import write_advice
from gatherline.report.files import report_json
from gatherline.request import RequestError, RunRequest, Target, devices_of, levels, lower
from patterns.base import PatternError
from patterns.dense import Dense
from simulator.parallel import in_order, thread_count
from simulator.result import LayerResult
from simulator.simulate import Programs
from traces.layer import MatrixLayer, Network
from traces.masks import Level, trace_network
from traces.trace import LayerTrace


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyRequest:
    """What is asked. ``run``: as of ``simulate run``; without patterns all families, or the zeros that the model has.

    ``tolerance``: how near the densities beside a break-even are, a share of the weights.
    """

    run: RunRequest
    tolerance: float = TOLERANCE

    def __post_init__(self) -> None:
        if not LEAST_TOLERANCE <= self.tolerance <= MOST_TOLERANCE:
            rule = f"must be from {LEAST_TOLERANCE:g} to {MOST_TOLERANCE:g}"
            raise RequestError(f"tolerance is {self.tolerance:g}, and {rule}, a share of the weights")
        if not self.run.devices:
            raise RequestError("devices are none, and why a layer is no faster is of a device: name one or more")

    @property
    def asked(self) -> RunRequest:
        if self.run.patterns or not self.run.sparsities:
            return self.run
        return replace(self.run, patterns=DEFAULT_PATTERNS)


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyReport:
    """A row for each layer with weights, by device and level in network order, the total after them."""

    manifest: dict[str, object]
    rows: list[Row]

    def to_json(self) -> str:
        """Return what ``--json`` prints."""
        return report_json(self.manifest, self.rows)

    def write(self, folder: str | Path) -> list[Path]:
        """Write why.csv and why.json and return the files. Raises OSError."""
        return write_advice(Path(folder), "why", self.to_json(), self.rows)

    def __repr__(self) -> str:
        return f"WhyReport({len(self.rows):,} rows)"

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        from gatherline.report.notebook import page
        from gatherline.report.why_table import print_why

        return page(lambda console: print_why(self.rows, self.manifest, console))


def why(request: WhyRequest, progress: Progress | None = None, *, network: Network | None = None) -> WhyReport:
    """Return the reasons of a network's layers. Raises what ``simulate run`` raises, all of it ValueError.

    Ctrl-C raises AnswerInterrupted with the patterns that are done. Where no pattern was asked for, a family that some
    layer cannot take is left out and told.
    """
    shown, asked = progress or SilentProgress(), request.asked
    devices = devices_of(asked)
    network = network if network is not None else lower(asked)
    pruned = [level for level in levels(network, asked) if not isinstance(level.pattern, Dense)]
    if not pruned:
        raise RequestError("patterns are dense alone, and a dense layer cannot have got faster: name one that prunes")
    rows: list[Row] = []
    left_out: dict[str, str] = {}

    def report(*, complete: bool) -> WhyReport:
        told = {"tolerance": request.tolerance, "left_out": left_out, "complete": complete}
        return WhyReport(manifest={**pipeline.manifest(asked, network, devices), **told}, rows=rows)

    shown.start(len(pruned) * len(devices) * len(network.matrix_layers), network.name)
    try:
        for device in devices:
            dense = _run(asked, network, Level(pattern=Dense(), sparsity=None), device)
            for level in pruned:
                try:
                    ran = _run(asked, network, level, device)
                except PatternError as error:
                    if request.run.patterns:
                        raise
                    left_out[level.pattern.spelling] = str(error)  # nobody asked for this family
                    continue
                rows += _Level(request, ran, dense, level).rows(shown)
    except KeyboardInterrupt:
        if not rows:
            raise
        raise AnswerInterrupted(report(complete=False)) from None
    finally:
        shown.stop()
    return report(complete=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ran:
    """A network at one level on one device: traces and results by layer, in order."""

    device: Target
    network: Network
    traces: Mapping[str, LayerTrace]
    results: Mapping[str, LayerResult]

    @property
    def total_s(self) -> float:
        return fsum(result.latency_s for result in self.results.values())


def _run(request: RunRequest, network: Network, level: Level, device: Target) -> _Ran:
    traced = trace_network(network, level, prune_all=request.prune_all, match=request.match)
    built = built_for(device, traced.network, level, request)
    programs: Programs = {}

    def one(trace: LayerTrace) -> tuple[LayerTrace, LayerResult]:
        return trace, run_layer(request, trace, built, programs)

    found = list(in_order(one, traced.traces, thread_count()))
    return _Ran(
        device=built,
        network=traced.network,
        traces={trace.layer.name: trace for trace, _ in found},
        results={trace.layer.name: result for trace, result in found},
    )


class _Level:
    """One level on one device, to be judged layer by layer."""

    def __init__(self, request: WhyRequest, ran: _Ran, dense: _Ran, level: Level) -> None:
        self.request, self.ran, self.dense, self.level = request, ran, dense, level

    def rows(self, shown: Progress) -> list[Row]:
        names = [name for name, trace in self.ran.traces.items() if isinstance(trace.layer, MatrixLayer)]
        rows = []
        for name, row in in_order(self._row, names, thread_count()):
            rows.append(row)
            shown.step(f"{self.level.pattern.spelling} {name}")
        return [*rows, total_row(self._facts(), rows, dense_s=self.dense.total_s, latency_s=self.ran.total_s)]

    def _facts(self) -> WhyFacts:
        asked, device = self.request.asked, self.ran.device
        return WhyFacts(
            model=self.ran.network.name,
            pattern=self.level.pattern.spelling,
            sparsity=self.level.sparsity,
            device=device.name,
            device_kind=device.kind,
            dtype=asked.dtype,
            threads=asked.threads if device.kind in ("mobile_cpu", "cpu") else 1,
            synthetic=self.ran.network.synthetic,
        )

    def _row(self, name: str) -> tuple[str, Row]:
        trace, sparse, dense = self.ran.traces[name], self.ran.results[name], self.dense.results[name]
        facts = self._facts()
        assert isinstance(trace.layer, MatrixLayer)
        smaller = trace.layer.weight_elements < trace.weights_dense
        if isinstance(trace.pattern, Dense) or (trace.all_kept and not smaller):
            return name, layer_row(facts, trace, sparse, dense, "kept")
        if sparse.latency_s < dense.latency_s:
            return name, layer_row(facts, trace, sparse, dense, "faster")
        evidence = Evidence(
            request=self.request.asked,
            trace=trace,
            dense_trace=self.dense.traces[name],
            sparse=sparse,
            dense=dense,
            device=self.ran.device,
            dense_device=self.dense.device,
            weight=self.ran.network.weights[name],
            tolerance=self.request.tolerance,
            asked=self.level.pattern.spelling,
        )
        return name, layer_row(facts, trace, sparse, dense, "not faster", reason_of(evidence))
