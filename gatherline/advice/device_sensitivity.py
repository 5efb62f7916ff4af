"""How latency follows each field of a device at one point: elasticities, what halving and doubling do, and why nothing.

The elasticity is d ln latency / d ln field, by central difference between the two nearest values tried. Masks are made
once; each other device runs the same traces by the same path as ``simulate run``. Leaves out: two fields at a time, and
fields that are lists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import fsum, log
from pathlib import Path

from costmodel.device_rules import check_rules
from costmodel.spec import RooflineDevice
from gatherline import pipeline
from gatherline.advice.field_steps import Steps, own_fields, steps_of
from gatherline.advice.interrupted import AnswerInterrupted
from gatherline.advice.still_fields import Trial, why_still
from gatherline.device_fields import DeviceField, FieldValue, with_fields
from gatherline.fpga_engine import built_for
from gatherline.pipeline import run_layer
from gatherline.progress import Progress, SilentProgress
from gatherline.report.advice_files import write_advice
from gatherline.report.files import report_json
from gatherline.request import RequestError, RunRequest, Target, devices_of, levels, lower
from patterns.encodings.base import EncodingError
from simulator.parallel import in_order, thread_count
from simulator.result import LayerResult
from simulator.simulate import Programs
from simulator.spec import Device, DeviceError
from traces.layer import Network
from traces.masks import Level, trace_network
from traces.trace import LayerTrace

Row = dict[str, object]
SAME = 1e-12  # of the latency: sums in another order


@dataclass(frozen=True, slots=True, kw_only=True)
class SensitivityRequest:
    """What is asked: one model, one device, at most one pattern and one sparsity, and options of ``simulate run``."""

    run: RunRequest

    def __post_init__(self) -> None:
        if len(self.run.devices) != 1:
            names = ", ".join(self.run.devices) or "none"
            raise RequestError(f"devices are {names}, and a sensitivity is of one device at a time")
        for name in ("patterns", "sparsities"):
            values = getattr(self.run, name)
            if len(values) > 1:
                raise RequestError(f"{name} are {', '.join(map(str, values))}, and a sensitivity is of one point")


@dataclass(frozen=True, slots=True, kw_only=True)
class SensitivityReport:
    """A row for each field, those that move most first."""

    manifest: dict[str, object]
    rows: list[Row]

    def to_json(self) -> str:
        """Return what ``--json`` prints."""
        return report_json(self.manifest, self.rows)

    def write(self, folder: str | Path) -> list[Path]:
        """Write sensitivity.csv, sensitivity.json and the tornado plot; return the files. Raises OSError."""
        from gatherline.report.tornado_plot import draw_tornado

        return write_advice(
            Path(folder), "sensitivity", self.to_json(), self.rows, lambda into: draw_tornado(self.rows, into)
        )

    def __repr__(self) -> str:
        return f"SensitivityReport({len(self.rows):,} fields)"

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        from gatherline.report.notebook import page
        from gatherline.report.sensitivity_table import print_sensitivity

        return page(lambda console: print_sensitivity(self.rows, console))


def sensitivity(
    request: SensitivityRequest, progress: Progress | None = None, *, network: Network | None = None
) -> SensitivityReport:
    """Return how the latency of one point follows each field of its device. Raises what ``simulate run`` raises.

    Ctrl-C raises AnswerInterrupted with the fields that are done.
    """
    asked, shown = request.run, progress or SilentProgress()
    (device,) = devices_of(asked)
    network = network if network is not None else lower(asked)
    bench = _bench(asked, network)
    base = bench.results(device)
    found = own_fields(device, asked.dtype)
    facts = _facts(bench, device, network, base)
    rows: list[Row] = []

    def report(*, complete: bool) -> SensitivityReport:
        told = {**pipeline.manifest(asked, network, (device,)), "point": facts, "complete": complete}
        return SensitivityReport(manifest=told, rows=[{**facts, **row} for row in _ranked(rows)])

    shown.start(len(found), f"{network.name} on {device.name}")
    try:
        for one in found:
            rows.append(_row(bench, device, base, one))
            shown.step(one.path)
    except KeyboardInterrupt:
        if not rows:
            raise
        raise AnswerInterrupted(report(complete=False)) from None
    finally:
        shown.stop()
    return report(complete=True)


@dataclass(slots=True)
class _Bench:
    """Where one point is run on any device: its traces, and the programs that devices of one geometry share."""

    request: RunRequest
    network: Network
    level: Level
    traces: Sequence[LayerTrace]
    programs: list[Programs] = field(default_factory=list)

    def results(self, device: Target) -> tuple[LayerResult, ...]:
        """Return the result of every layer. Raises DeviceError for a device that cannot run the point."""
        built = built_for(device, self.network, self.level, self.request)
        first = not self.programs
        if first:
            self.programs += [{} for _ in self.traces]

        def one(place: int) -> LayerResult:
            # programs of another geometry go with this call, so that memory does not grow by fields
            known = self.programs[place] if first else dict(self.programs[place])
            return run_layer(self.request, self.traces[place], built, known)

        return tuple(in_order(one, range(len(self.traces)), thread_count()))


def _bench(asked: RunRequest, network: Network) -> _Bench:
    (level,) = levels(network, asked)
    traced = trace_network(network, level, prune_all=asked.prune_all, match=asked.match)
    return _Bench(asked, traced.network, level, list(traced.traces))


def _facts(bench: _Bench, device: Target, network: Network, base: Sequence[LayerResult]) -> Row:
    """Return what all rows share."""
    asked, level = bench.request, bench.level
    return {
        "model": network.name,
        "pattern": level.pattern.spelling,
        "sparsity_target": level.sparsity,
        "device": device.name,
        "device_kind": device.kind,
        "dtype": asked.dtype,
        "threads": asked.threads if device.kind in ("mobile_cpu", "cpu") else 1,
        "synthetic": network.synthetic,
        "latency_s": _total(base),
    }


def _ranked(rows: Sequence[Row]) -> list[Row]:
    """Return ``rows``, those that move most first."""
    return sorted(rows, key=lambda row: (-_swing(row), str(row["field"])))


def _row(bench: _Bench, device: Target, base: Sequence[LayerResult], one: DeviceField) -> Row:
    steps = steps_of(one, machine=isinstance(device, Device))
    reference, note = _reference(bench, device, base, one)
    trials: dict[FieldValue, Trial] = {}
    for value in steps.every:
        trials[value] = _trial(bench, device, one.path, value)
    near = _elasticity(one, steps.near, trials, reference) or _elasticity(one, steps.far, trials, reference)
    ran = [trial for trial in trials.values() if trial.results]
    still = bool(ran) and all(_equal(trial.results, reference) for trial in ran)
    refused = {str(trial.value): trial.refused for trial in trials.values() if trial.refused}
    why = note
    if still or not ran:
        why = "; ".join(text for text in (why_still(bench.request, device, reference, one, ran), note) if text)
    return {
        "field": one.path,
        "value": _plainly(one.value),
        "unit": one.unit or None,
        "elasticity": near.total if near else None,
        "low_value": _plainly(near.low_value) if near else None,
        "high_value": _plainly(near.high_value) if near else None,
        "low_latency_s": near.low_s if near else None,
        "high_latency_s": near.high_s if near else None,
        **_far(steps, trials, reference),
        "others": _others(steps, trials, reference),
        "moves": None if not ran else not still,
        "why": why or None,
        "refused": refused or None,
        "layers": near.layers if near else None,
    }


def _reference(
    bench: _Bench, device: Target, base: Sequence[LayerResult], one: DeviceField
) -> tuple[Sequence[LayerResult], str]:
    """Return the results that changes of a field compare with, and a note where they are not those of the device.

    A rate of its own makes a DRAM flat, also where it is the rate that the timing has.
    """
    if one.path not in ("dram.bytes_per_s", "dram.burst_bytes") or not isinstance(device, Device):
        return base, ""
    if device.dram.timing is None or one.value is None:
        return base, ""
    note = "a rate or burst of its own makes the DRAM flat: compared with the flat one"
    return bench.results(with_fields(device, {one.path: one.value})), note


def _trial(bench: _Bench, device: Target, path: str, value: FieldValue) -> Trial:
    try:
        changed = with_fields(device, {path: value})
        if isinstance(changed, RooflineDevice):
            check_rules(changed)
        return Trial(value=value, device=changed, results=bench.results(changed))
    except (DeviceError, EncodingError) as error:
        return Trial(value=value, refused=str(error))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Elasticity:
    total: float
    low_value: FieldValue
    high_value: FieldValue
    low_s: float
    high_s: float
    layers: dict[str, float]


def _elasticity(
    one: DeviceField, values: Sequence[FieldValue], trials: Mapping[FieldValue, Trial], base: Sequence[LayerResult]
) -> _Elasticity | None:
    """Return the central difference; of one side where the other is refused, None where both are."""
    if not values or isinstance(one.value, str | bool) or one.value is None:
        return None
    points: list[tuple[float, Sequence[LayerResult]]] = [
        (float(value), trials[value].results)
        for value in values
        if trials[value].results and not isinstance(value, str) and value > 0
    ]
    if not points:
        return None
    if len(points) == 1:
        points.append((float(one.value), base))
    (low, low_results), (high, high_results) = sorted(points, key=lambda point: point[0])
    width = log(high / low)
    layers = {}
    for before, after in zip(low_results, high_results, strict=True):
        if before.latency_s and after.latency_s and before.latency_s != after.latency_s:
            layers[before.layer] = log(after.latency_s / before.latency_s) / width
    low_s, high_s = _total(low_results), _total(high_results)
    return _Elasticity(
        total=log(high_s / low_s) / width if low_s and high_s else 0.0,
        low_value=_like(one.value, low),
        high_value=_like(one.value, high),
        low_s=low_s,
        high_s=high_s,
        layers=layers,
    )


def _like(value: FieldValue, found: float) -> FieldValue:
    return int(found) if isinstance(value, int) else found


def _far(steps: Steps, trials: Mapping[FieldValue, Trial], base: Sequence[LayerResult]) -> Row:
    """Return what half and twice the value do, as a share of the latency."""
    found: Row = {}
    for name, value in zip(("half", "double"), (None, None, *steps.far)[-2:], strict=True):
        trial = None if value is None else trials[value]
        total = _total(trial.results) if trial is not None and trial.results else None
        found[f"{name}_value"] = None if value is None else _plainly(value)
        found[f"{name}_latency_s"] = total
        found[f"{name}_ratio"] = None if total is None else total / _total(base)
    return found


def _others(steps: Steps, trials: Mapping[FieldValue, Trial], base: Sequence[LayerResult]) -> dict[str, float] | None:
    ran = {value: trials[value].results for value in steps.others if trials[value].results}
    return {str(value): _total(results) / _total(base) for value, results in ran.items()} or None


def _swing(row: Row) -> float:
    """Return how far the latency moves, as the largest |ln ratio| of what was tried."""
    others = row["others"]
    ratios = [row["half_ratio"], row["double_ratio"], *(others.values() if isinstance(others, dict) else ())]
    found = [abs(log(ratio)) for ratio in ratios if isinstance(ratio, float) and ratio > 0]
    elasticity = row["elasticity"]
    return max([*found, abs(elasticity) if isinstance(elasticity, float) and not found else 0.0])


def _total(results: Sequence[LayerResult]) -> float:
    return fsum(result.latency_s for result in results)


def _equal(results: Sequence[LayerResult], base: Sequence[LayerResult]) -> bool:
    pairs = zip(results, base, strict=True)
    return all(abs(one.latency_s - other.latency_s) <= SAME * other.latency_s for one, other in pairs)


def _plainly(value: FieldValue | None) -> object:
    return str(value) if value is not None and not isinstance(value, int | float | str | bool) else value
