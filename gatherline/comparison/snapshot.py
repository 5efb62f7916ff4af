"""A snapshot: the few numbers of a run that a team keeps in its repository, as JSON that reads well in a diff.

A total has a line for each number, a layer has one line, so that a diff shows which layers moved. Layers stand in the
order in which they run, networks sorted by name. Left out: everything that no product notices (mappings, energies by
part); ``report.json`` has it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

from gatherline.comparison.point import DIMENSIONS, Point, layer_of, point_of
from gatherline.report.columns import TOTAL
from gatherline.report.plain import plain
from gatherline.report.selection import RowLike
from gatherline.report.time_causes import TIME_CAUSES
from gatherline.report_file import check_value
from gatherline.request_error import RequestError

MARK = "gatherline_snapshot"  # the key that tells a snapshot from a report
SCHEMA = 1
SNAPSHOT_COLUMNS = (
    "latency_s", "latency_low_s", "latency_high_s", "cycles", "compute_cycles", "conflict_cycles", "stall_cycles",
    "dram_bytes", "weight_bytes", "index_bytes", "peak_memory_bytes", "density", "macs_dense",
    *(cause.column for cause in TIME_CAUSES),
)  # fmt: skip
SNAPSHOT_TEXTS = ("kernel", "encoding", "layer_pattern")  # of layers; an older snapshot has none of them
_OPTIONS = (  # of the request: what changes numbers and names no file of one machine
    "seed", "batch", "input_shape", "dtype", "threads", "encoding", "order", "match", "prune_all", "mapping",
    "technology", "level",
)  # fmt: skip


def snapshot_text(manifest: Mapping[str, Any], rows: Sequence[RowLike]) -> str:
    """Return the file's text. Raises RequestError where a network has no total, or two."""
    networks: dict[Point, list[RowLike]] = {}
    for row in rows:
        networks.setdefault(point_of(row), []).append(row)
    ordered = sorted(networks, key=lambda point: tuple(point.spelled(each) for each in DIMENSIONS))
    texts = [_network_text(point, networks[point]) for point in ordered]
    made_by = json.dumps(plain(_made_by(manifest)), indent=2, sort_keys=True, allow_nan=False).replace("\n", "\n ")
    return f'{{\n "{MARK}": {SCHEMA},\n "made_by": {made_by},\n "networks": [\n' + ",\n".join(texts) + "\n ]\n}\n"


def _made_by(manifest: Mapping[str, Any]) -> dict[str, Any]:
    request = manifest.get("request")
    devices = manifest.get("devices")
    return {
        "version": manifest.get("version"),
        "model_hash": manifest.get("model_hash"),
        "devices": {name: facts["hash"] for name, facts in devices.items()} if isinstance(devices, Mapping) else {},
        "options": {name: request.get(name) for name in _OPTIONS} if isinstance(request, Mapping) else {},
    }


def _network_text(point: Point, rows: Sequence[RowLike]) -> str:
    of_totals = [row for row in rows if layer_of(row) == TOTAL]
    if len(of_totals) != 1:
        raise RequestError(f"{point.label}: has {len(of_totals)} rows of layer {TOTAL!r}, and a snapshot needs one")
    head = json.dumps({name: getattr(point, name) for name in DIMENSIONS})[1:-1]
    total = json.dumps(_numbers(of_totals[0]), indent=1, allow_nan=False).replace("\n", "\n   ")
    layers = ",\n".join(
        "    "
        + json.dumps({"layer": layer_of(row), "kind": row.get("kind"), **_texts(row), **_numbers(row)}, allow_nan=False)
        for row in rows
        if layer_of(row) != TOTAL
    )
    return f'  {{\n   {head},\n   "total": {total},\n   "layers": [\n{layers}\n   ]\n  }}'


def _numbers(row: RowLike) -> dict[str, object]:
    return {name: plain(row[name]) for name in SNAPSHOT_COLUMNS if row.get(name) is not None}


def _texts(row: RowLike) -> dict[str, object]:
    return {name: row[name] for name in SNAPSHOT_TEXTS if row.get(name)}


def rows_of_snapshot(path: Path, found: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, object]]]:
    """Return the manifest and the rows of a snapshot's JSON. Raises RequestError naming place, value and rule."""
    made_by, networks = found.get("made_by"), found.get("networks")
    if type(found[MARK]) is not int or found[MARK] != SCHEMA:
        newer = type(found[MARK]) is int and found[MARK] > SCHEMA
        raise RequestError(
            f"{path}: {MARK} is {found[MARK]!r:.100}, and must be {SCHEMA}" + (_versions(made_by) if newer else "")
        )
    if not isinstance(made_by, dict):
        raise RequestError(f"{path}: made_by is {made_by!r:.100}, and must be an object")
    if not isinstance(networks, list) or not networks:
        raise RequestError(f"{path}: networks is {networks!r:.100}, and must be a list of one or more")
    try:
        rows = [row for at, network in enumerate(networks) for row in _network_rows(f"{path}: networks[{at}]", network)]
    except RequestError as error:
        if made_by.get("version") in (None, version_of("gatherline")):
            raise
        raise RequestError(f"{error}{_versions(made_by)}") from None
    return _manifest(path, made_by), rows


def _versions(made_by: object) -> str:
    version = made_by.get("version") if isinstance(made_by, Mapping) else None
    return f"; written by version {version or 'unknown'!s:.40}, this is {version_of('gatherline')}"


def _manifest(path: Path, made_by: Mapping[str, Any]) -> dict[str, Any]:
    devices, options = made_by.get("devices", {}), made_by.get("options", {})
    if not isinstance(devices, dict) or not all(isinstance(each, str) for each in devices.values()):
        raise RequestError(f"{path}: made_by.devices is {devices!r:.100}, and must be an object of hashes")
    if not isinstance(options, dict):
        raise RequestError(f"{path}: made_by.options is {options!r:.100}, and must be an object")
    rest = {name: value for name, value in made_by.items() if name not in ("devices", "options")}
    return {**rest, "devices": {name: {"hash": each} for name, each in devices.items()}, "request": options}


def _network_rows(where: str, network: object) -> list[dict[str, object]]:
    if not isinstance(network, dict) or not isinstance(network.get("total"), dict):
        raise RequestError(f"{where} is {network!r:.100}, and must be an object with a total and layers")
    if not isinstance(network.get("layers"), list):
        raise RequestError(f"{where}: layers is {network.get('layers')!r:.100}, and must be a list")
    shared = {name: network.get(name) for name in ("model", "pattern", "device")}
    for name, value in shared.items():
        if not isinstance(value, str):
            raise RequestError(f"{where}: {name} is {value!r:.100}, and must be text")
    shared["sparsity_overall"] = network.get("sparsity")
    check_value(f"{where}: sparsity", "sparsity_overall", shared["sparsity_overall"])
    rows = []
    for at, layer in enumerate([*network["layers"], {**network["total"], "layer": TOTAL, "kind": TOTAL}]):
        place = f"{where}: layers[{at}]" if at < len(network["layers"]) else f"{where}: total"
        if not isinstance(layer, dict) or not isinstance(layer.get("layer"), str):
            raise RequestError(f"{place} is {layer!r:.100}, and must be an object with a layer's name")
        for name, value in layer.items():
            check_value(place, name, value)
        rows.append({**layer, **shared})
    return rows
