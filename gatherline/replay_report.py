"""Replays a trace directory: cycles from request streams alone, as rows, and granted(g) as a file."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from costmodel.tables.catalog import DEFAULT_TECHNOLOGY
from costmodel.technology import Technology
from gatherline.digest import device_digest
from gatherline.pipeline_types import Report
from gatherline.rows import LayerOutcome, RunFacts, layer_row, total_row
from simulator.machine import granted
from simulator.parallel import in_order, thread_count
from simulator.replay import read_programs
from simulator.runner import stream_interval
from simulator.schedule.program import Program
from simulator.simulate import LayerFacts, run_program
from simulator.spec import Device
from traces.store import INDEX, TraceIndex, read_index
from traces.stream import TraceError


def replay_report(
    directory: Path, device: Device, per_group: Path | None, technology: Technology = DEFAULT_TECHNOLOGY
) -> Report:
    """Return a row per layer and a total. Raises TraceError for a trace that breaks a rule."""
    index = read_index(directory)
    facts = replace(run_facts(index, device), technology=technology)

    def replayed(described: tuple[LayerFacts, Program]) -> tuple[LayerOutcome, list[np.ndarray]]:
        layer, program = described
        result = run_program(layer, program, device)
        pattern = layer.pattern or facts.pattern
        found = LayerOutcome(result=result, pattern=pattern, kept=layer.kept, weights_dense=layer.weights_dense)
        return found, _grants(program, device) if per_group is not None else []

    outcomes: list[LayerOutcome] = []
    grants: list[np.ndarray] = []
    for outcome, of_layer in in_order(replayed, read_programs(directory, device), thread_count()):
        outcomes.append(outcome)
        grants += of_layer
    rows = [layer_row(facts, outcome) for outcome in outcomes] + [total_row(facts, outcomes)]
    if per_group is not None:
        _save(per_group, np.concatenate(grants) if grants else np.zeros(0, np.int64))
    manifest: dict[str, object] = {
        "version": version("gatherline"),
        "model": facts.model,
        "trace": str(directory),
        "devices": {device.name: {"hash": device_digest(device), "summary": device.summary}},
        "technology": technology.name,
        "written_by": index.extra.get("manifest"),
    }
    return Report(manifest=manifest, rows=rows)


def run_facts(index: TraceIndex, device: Device) -> RunFacts:
    """Return what rows share, from the key ``run`` of a trace that a run wrote. Raises TraceError."""
    run = index.extra.get("run", {})
    where = index.directory / INDEX
    if not isinstance(run, dict):
        raise TraceError(f"{where}: run is {run!r}, and must be an object")

    def entry(name: str, default: Any, *types: type) -> Any:
        value = run.get(name, default)
        if type(value) not in types or (type(value) in (int, float) and not 0 <= value < 1 << 62):
            raise TraceError(f"{where}: run.{name} is {value!r}, and must be like {default!r}")
        return value

    if entry("vector", device.vector, int) != device.vector:
        raise TraceError(
            f"{where}: run.vector is {run['vector']}, the positions of a word, and must be {device.vector}, as on "
            f"device {device.name}"
        )
    return RunFacts(
        model=entry("model", index.directory.name, str),
        pattern=entry("pattern", "trace", str),
        sparsity_target=entry("sparsity_target", None, float, type(None)),
        device=device,
        dtype=entry("dtype", "fp16", str),
        batch=entry("batch", 1, int),
        threads=1,
        synthetic=entry("synthetic", False, bool),
        activation_peak_bytes=entry("activation_peak_bytes", 0, int),
        unsupported=tuple(map(str, entry("unsupported", [], list))),
        ratios=entry("ratios", "uniform", str),
        layer_targets=_layer_targets(entry("layer_targets", None, dict, type(None)), where),
    )


def _layer_targets(value: dict[str, Any] | None, where: Path) -> dict[str, float] | None:
    for name, share in (value or {}).items():
        if type(share) not in (int, float) or not 0 <= share <= 1:
            raise TraceError(f"{where}: run.layer_targets.{name} is {share!r}, and must be from 0 to 1")
    return value


def _grants(program: Program, device: Device) -> list[np.ndarray]:
    return [
        granted(stream, device.gather, device.scratchpad, interval=stream_interval(stream, device))
        for stream in program.streams
    ]


def _save(path: Path, array: np.ndarray) -> None:
    """Write aside, then rename."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            np.save(file, array, allow_pickle=False)
        Path(name).chmod(0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
