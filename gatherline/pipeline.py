"""From a request to a report: lower the model, mask it, run every layer on every device, sum up.

The one place that sees all packages. ``run`` is what both the command and the Python API call. Left out: sweeps.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from costmodel.estimate import estimate
from costmodel.spec import VALUE_BYTES
from costmodel.tables.catalog import DEFAULT_TECHNOLOGY, technology_named
from costmodel.validation.bands import banded
from gatherline.best_encoding import chosen_encoding
from gatherline.digest import device_digest
from gatherline.fpga_engine import built_for
from gatherline.inspect_request import Questions
from gatherline.inspection import Inspection, inspect_network
from gatherline.knobs import readable, without_effect
from gatherline.mask_samples import MaskSample
from gatherline.mask_sampling import mask_sample, window_layers
from gatherline.network_facts import batch_of, unsupported
from gatherline.pipeline_types import Interrupted, Report
from gatherline.progress import Progress, SilentProgress
from gatherline.replay_report import replay_report
from gatherline.request import (
    DEFAULT_DEVICES,
    RequestError,
    RunRequest,
    Target,
    device_named,
    devices_of,
    levels,
    lower,
    with_dtype,
)
from gatherline.rows import LayerOutcome, RunFacts, layer_row, outcome, total_row
from patterns.encodings.base import EncodingError
from simulator.parallel import in_order, thread_count
from simulator.replay import write_programs
from simulator.result import LayerResult
from simulator.schedule.program import Program
from simulator.simulate import LayerFacts, Programs, best_program, layer_facts, simulate
from simulator.spec import Device, DeviceError
from traces.layer import Network
from traces.liveness import peak_activation_elements
from traces.masks import Level, TracedNetwork, trace_network
from traces.trace import LayerTrace


def run(request: RunRequest, progress: Progress | None = None, *, network: Network | None = None) -> Report:
    """Return latency and memory of every layer and total, per pattern, sparsity and device.

    Ctrl-C raises Interrupted with the rows of the patterns and sparsities that are done. Raises the errors of the
    packages, all of them ValueError: ModelError, PatternError, DeviceError, EncodingError.
    """
    shown = progress or SilentProgress()
    devices = devices_of(request)
    network = network if network is not None else lower(request)
    asked = levels(network, request)
    rows: list[dict[str, object]] = []
    masks: list[MaskSample] = []
    shown.start(len(asked) * len(network.layers), f"{network.name}: {len(devices)} devices")
    try:
        for level in asked:
            traced = trace_network(network, level, prune_all=request.prune_all, match=request.match)
            found = run_level(request, traced, level, devices, shown)
            rows += found.rows
            masks += found.masks
    except KeyboardInterrupt:
        if not rows:
            raise
        done = {**manifest(request, network, devices), "complete": False}
        raise Interrupted(Report(manifest=done, rows=rows, masks=tuple(masks))) from None
    finally:
        shown.stop()
    made = {**manifest(request, network, devices), "complete": True}
    return Report(manifest=made, rows=rows, masks=tuple(masks))


class LevelFound(NamedTuple):
    """What one level gives: its rows on every device, and what is kept of its masks."""

    rows: list[dict[str, object]]
    masks: list[MaskSample]


def run_level(
    request: RunRequest,
    traced: TracedNetwork,
    level: Level,
    devices: Sequence[Target],
    shown: Progress,
    pattern: str | None = None,
) -> LevelFound:
    """Return the rows of one level on every device, and samples of its masks.

    ``pattern``: what rows call it, where layers have several.
    """
    devices = [built_for(device, traced.network, level, request) for device in devices]
    windows = window_layers(traced.network, level, request.prune_all)
    named = pattern or level.pattern.spelling

    def on_devices(trace: LayerTrace) -> tuple[str, list[LayerOutcome], MaskSample | None]:
        programs: Programs = {}
        found = [outcome(trace, run_layer(request, trace, device, programs)) for device in devices]
        name = trace.layer.name
        return name, found, mask_sample(trace, named, level.sparsity, window=name in windows)

    by_layer: list[list[LayerOutcome]] = []
    masks: list[MaskSample] = []
    for name, found, sample in in_order(on_devices, traced.traces, thread_count()):  # masks are made while layers run
        by_layer.append(found)
        if sample is not None:
            masks.append(sample)
        shown.step(f"{level.pattern.spelling} {name}")
    rows: list[dict[str, object]] = []
    for number, device in enumerate(devices):
        outcomes = [found[number] for found in by_layer]
        facts = run_facts(request, traced.network, level, device, pattern)
        rows += [layer_row(facts, layer) for layer in outcomes]
        rows.append(total_row(facts, outcomes))
    return LevelFound(rows=rows, masks=masks)


def run_layer(request: RunRequest, trace: LayerTrace, device: Target, programs: Programs) -> LayerResult:
    """Return what a layer takes on a device, with its error band. ``programs``: shared by devices of one geometry."""
    try:
        asked = _encoding(request, trace, device)
        if isinstance(device, Device):
            result = simulate(
                trace, device, encoding=asked, order=request.order, mapping=request.mapping,
                programs=programs,
            )  # fmt: skip
        else:
            encoding = asked if readable(asked, device) else "dense"
            result = estimate(trace, device, dtype=request.dtype, threads=request.threads, encoding=encoding)
            result = banded(result, request.dtype, request.threads if device.static_threads else 1)
    except EncodingError as error:
        raise EncodingError(f"layer {trace.layer.name}: {error}") from None
    return replace(result, reason=_reasons(result.reason, request, trace, device, asked, result.encoding))


def _encoding(request: RunRequest, trace: LayerTrace, device: Target) -> str | None:
    return chosen_encoding(request.encoding, trace, device, dtype=request.dtype, threads=request.threads)


def _reasons(
    reason: str, request: RunRequest, trace: LayerTrace, device: Target, encoding: str | None, ran_as: str
) -> str:
    """Return ``reason``, whether the layer is gone, and a note for each option that moved nothing."""
    notes = without_effect(
        trace, device, threads=request.threads, order=request.order,
        encoding=encoding or request.encoding, mapping=request.mapping, ran_as=ran_as,
    )  # fmt: skip
    empty = "no weight is kept" if trace.mask is not None and not trace.kept else ""
    return "; ".join(text for text in (reason, empty, *notes) if text)


def run_facts(
    request: RunRequest, network: Network, level: Level, device: Target, pattern: str | None = None
) -> RunFacts:
    """Return what all rows of one level on one device share. ``pattern``: as of ``run_level``."""
    value_bytes = VALUE_BYTES[request.dtype]
    return RunFacts(
        model=network.name,
        pattern=pattern or level.pattern.spelling,
        sparsity_target=level.sparsity,
        device=device,
        dtype=request.dtype,
        batch=batch_of(network),
        threads=request.threads if device.kind in ("mobile_cpu", "cpu") else 1,
        synthetic=network.synthetic,
        activation_peak_bytes=peak_activation_elements(network) * value_bytes,
        unsupported=unsupported(network),
        ratios=pattern or request.ratios,
        layer_targets=None if level.shares is None else level.shares.sparsities,
        technology=technology_named(request.technology),
    )


def manifest(request: RunRequest, network: Network | None, devices: Iterable[Target]) -> dict[str, object]:
    """Return what a reader needs to get the same bytes again: versions, seed, digests and the request itself."""
    packages = ("numpy", "numba", "simpy", "onnx", "matplotlib")
    return {
        "version": version("gatherline"),
        "seed": request.seed,
        "model": network.name if network else request.model,
        "model_source": network.source if network else request.model,
        "model_hash": network.digest if network else None,
        "model_macs": network.macs if network else None,
        "synthetic": network.synthetic if network else None,
        "technology": technology_named(request.technology).name,
        "notes": list(network.notes) if network else [],
        "devices": {device.name: {"hash": device_digest(device), "summary": device.summary} for device in devices},
        "packages": {"python": platform.python_version(), **{name: version(name) for name in packages}},
        "request": asdict(request),
    }


def inspect(
    model: str,
    *,
    arch: str | None = None,
    seed: int = 0,
    batch: int | None = None,
    input_shape: str | None = None,
    strict: bool = False,
    **questions: Any,
) -> Inspection:
    """Return layers, shapes, MACs, density, what patterns each layer's mask obeys, loads, index entropy.

    ``questions`` are the fields of ``Questions``. Raises ModelError, PatternError and RequestError, all ValueError.
    """
    asked = Questions(**questions)
    request = RunRequest(model=model, arch=arch, seed=seed, batch=batch, input_shape=input_shape, strict=strict)
    network = lower(request)
    return inspect_network(network, manifest(request, network, ()), asked)


def write_traces(request: RunRequest, directory: Path, *, network: Network | None = None) -> list[str]:
    """Write the request streams of one model, pattern, sparsity and device; return the streams' names.

    Raises RequestError where the request names several.
    """
    for name in ("patterns", "sparsities", "devices"):
        values = getattr(request, name)
        if len(values) > 1:
            raise RequestError(f"{name} are {', '.join(map(str, values))}, and a trace is of one")
    device = with_dtype(device_named((request.devices or DEFAULT_DEVICES)[0]), request.dtype)
    if not isinstance(device, Device):
        raise DeviceError(f"device {device.name} is a roofline, and request streams are of a cycle-level device")
    network = network if network is not None else lower(request)
    (level,) = levels(network, request)
    traced = trace_network(network, level, prune_all=request.prune_all, match=request.match)
    facts = run_facts(request, traced.network, level, device)

    def programs() -> Iterable[tuple[LayerFacts, Program, dict[str, Any]]]:
        for trace in traced.traces:
            try:
                asked = _encoding(request, trace, device)
                program = best_program(trace, device, encoding=asked, order=request.order, mapping=request.mapping)
            except EncodingError as error:
                raise EncodingError(f"layer {trace.layer.name}: {error}") from None
            program = replace(program, reason=_reasons(program.reason, request, trace, device, asked, program.encoding))
            yield layer_facts(trace, device), program, {"pattern": trace.pattern.spelling}

    extra = {
        "manifest": manifest(request, network, (device,)),
        "run": {
            "model": facts.model,
            "pattern": facts.pattern,
            "sparsity_target": facts.sparsity_target,
            "dtype": facts.dtype,
            "batch": facts.batch,
            "vector": device.vector,
            "synthetic": facts.synthetic,
            "activation_peak_bytes": facts.activation_peak_bytes,
            "unsupported": list(facts.unsupported),
            "ratios": facts.ratios,
            "layer_targets": None if facts.layer_targets is None else dict(facts.layer_targets),
        },
    }
    return write_programs(directory, programs(), extra)


def replay(
    directory: Path, device_name: str, per_group: Path | None = None, technology: str = DEFAULT_TECHNOLOGY.name
) -> Report:
    """Simulate from request streams alone; ``per_group`` receives granted(g) of each stream's first repeat (npy)."""
    device = device_named(device_name)
    if not isinstance(device, Device):
        raise DeviceError(f"device {device.name} is a roofline, and a trace replays on a cycle-level device")
    return replay_report(directory, device, per_group, technology_named(technology))
