"""A plan: the pattern and sparsity of each layer, for which model, device and budget, as a value and as TOML.

What ``simulate advise --latency-ms ... -o PLAN.toml`` writes, ``simulate prune --plan`` and ``simulate run --plan``
read. A layer that the plan does not list stays as it is. Leaves out: masks; they are made again from the weights, and
a digest of each tells whether they are the same.
"""

from __future__ import annotations

import json
import math
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gatherline.advice.plan_options import check_options
from gatherline.request_error import RequestError
from patterns.base import Pattern, PatternError
from patterns.catalog import parse_pattern
from patterns.channel import Channel
from patterns.channel_then import ChannelThen
from patterns.dense import Dense
from patterns.names import nearest
from patterns.unstructured import Unstructured

SCHEMA = 1
PLAN = "plan"  # what rows call the pattern of a network that has one of its own in each layer
_LARGEST_BYTES = 1 << 24
_NO_FIGURES: dict[str, type] = {"certain": bool, "validated": str}  # the others of budget and expected are
_TABLES = ("model", "device", "run", "budget", "expected", "layers")
_LAYER_KEYS = (
    "pattern", "sparsity", "density", "mask", "kept_l1", "kept_l2", "loss", "latency_s", "unpruned_latency_s",
)  # fmt: skip
_HEADER = """\
# What simulate advise chose: a pattern and a sparsity for each layer. Layers that are not listed stay as they are.
# simulate prune MODEL --plan THIS -o OUT    writes the pruned model
# simulate run MODEL --plan THIS             tells what it takes, of the model and of OUT
# Times are predictions of a model of the device; "not validated" means that no measurement stands behind them.
# Kept weight ranks options by magnitude. It is not accuracy: retrain and measure.
"""

Value = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerPlan:
    """``sparsity``: share of weights to remove, None for pattern dense, which computes the layer's own zeros.

    ``mask``: digest of the places that stay. ``told``: what was expected of the layer; nothing depends on it.
    """

    layer: str
    pattern: str
    sparsity: float | None
    mask: str
    told: Mapping[str, Value] = field(default_factory=dict)

    @property
    def rule(self) -> Pattern:
        """Return the pattern. Raises PatternError for a spelling that is not known."""
        return parse_pattern(self.pattern)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """``model`` and ``device``: name and hash (of a network, of a device's fields). ``run``: options of the run
    and the shapes of its inputs (``plan_options``).

    ``budget``: what was to be met; ``expected``: what the whole network took with this plan.
    """

    model: str
    model_hash: str
    device: str
    device_hash: str
    objective: str
    layers: tuple[LayerPlan, ...]
    run: Mapping[str, Value] = field(default_factory=dict)
    budget: Mapping[str, Value] = field(default_factory=dict)
    expected: Mapping[str, Value] = field(default_factory=dict)
    path: str = ""

    def of(self, layer: str) -> LayerPlan | None:
        """Return the entry of ``layer``, None where it stays as it is."""
        return next((entry for entry in self.layers if entry.layer == layer), None)

    def to_toml(self) -> str:
        """Return the plan as text: equal plans, equal bytes."""
        parts = [_HEADER, f"schema = {SCHEMA}\nobjective = {_toml(self.objective)}\n"]
        parts.append(_table("model", {"name": self.model, "hash": self.model_hash}))
        parts.append(_table("device", {"name": self.device, "hash": self.device_hash}))
        for name, table in (("run", self.run), ("budget", self.budget), ("expected", self.expected)):
            parts.append(_table(name, table))
        for entry in self.layers:
            own = {"pattern": entry.pattern, "sparsity": entry.sparsity, "mask": entry.mask}
            parts.append(_table(f"layers.{_toml(entry.layer)}", {**own, **entry.told}))
        return "\n".join(parts)

    def write(self, path: str | Path) -> Path:
        """Write the plan aside and rename it. Raises OSError; then no file is there, or the one before."""
        target = Path(path)
        aside = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            aside.write_text(self.to_toml(), encoding="utf-8")
            os.replace(aside, target)
        finally:
            aside.unlink(missing_ok=True)
        return target


def check_plan_target(path: Path) -> None:
    """Raise RequestError unless a plan can be written to ``path``. Makes nothing."""
    if path.suffix != ".toml":
        raise RequestError(f"-o is {path}, and a plan is a .toml")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise RequestError(f"-o is {path}, and must name a file in a folder that is there")


def _table(name: str, values: Mapping[str, Value]) -> str:
    lines = [f"{key} = {_toml(value)}" for key, value in values.items() if value is not None]
    return "\n".join([f"[{name}]", *lines]) + "\n"


def _toml(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"a plan holds {value}, and must hold finite numbers")
    return repr(value)


def read_plan(path: Path) -> Plan:
    """Return the plan of a file. Raises RequestError: unreadable, no TOML, another schema, a wrong key or type."""
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise RequestError(f"{path}: it has {path.stat().st_size} bytes, and a plan has at most {_LARGEST_BYTES}")
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise RequestError(f"{path}: it is not text in UTF-8") from None
    except OSError as error:
        raise RequestError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # ValueError: no TOML, or a number without end
        if isinstance(error, RequestError):
            raise
        raise RequestError(f"{path}: it is not TOML: {' '.join(str(error).split())[:200]}") from None
    schema = table.get("schema")
    if schema != SCHEMA or type(schema) is not int:
        raise RequestError(f"{path}: schema is {schema!r}, and this version reads plans of schema {SCHEMA}")
    _check_keys(str(path), table, ("schema", "objective", *_TABLES))
    parts = {name: _part(path, table, name) for name in _TABLES}
    for name in ("run", "budget", "expected"):
        for key, value in parts[name].items():
            if isinstance(value, dict | list):
                raise RequestError(f"{path}: {name}.{key} is {value!r}, and must be text or a number")
            if name != "run":
                _check_figure(f"{path}: {name}.{key}", key, value)
    check_options(str(path), parts["run"])
    for name in ("model", "device"):
        _check_keys(f"{path}: {name}", parts[name], ("name", "hash"))
    return Plan(
        model=_text(path, "model.name", parts["model"].get("name")),
        model_hash=_text(path, "model.hash", parts["model"].get("hash")),
        device=_text(path, "device.name", parts["device"].get("name")),
        device_hash=_text(path, "device.hash", parts["device"].get("hash")),
        objective=_text(path, "objective", table.get("objective")),
        layers=tuple(_layer(path, name, entry) for name, entry in parts["layers"].items()),
        run=parts["run"],
        budget=parts["budget"],
        expected=parts["expected"],
        path=str(path),
    )


def _check_figure(where: str, key: str, value: object) -> None:
    """Raise RequestError for a figure that no plan has: each is an amount."""
    wanted = _NO_FIGURES.get(key)
    if wanted is not None:
        if not isinstance(value, wanted):
            raise RequestError(f"{where} is {value!r}, and must be {'true or false' if wanted is bool else 'text'}")
    elif isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise RequestError(f"{where} is {value!r}, and must be a finite number")


def _part(path: Path, table: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = table.get(name, {})
    if not isinstance(found, dict):
        raise RequestError(f"{path}: {name} is {found!r}, and must be a table")
    return found


def _check_keys(where: str, table: Mapping[str, object], known: tuple[str, ...]) -> None:
    for key in table:
        if key not in known:
            raise RequestError(f"{where}: key {key} is not known; {nearest(key, list(known))}")


def _text(path: Path, name: str, value: object) -> str:
    if not isinstance(value, str):
        raise RequestError(f"{path}: {name} is {value!r}, and must be text")
    return value


def _layer(path: Path, name: str, entry: object) -> LayerPlan:
    where = f"{path}: layer {name}"
    if not isinstance(entry, dict):
        raise RequestError(f"{where} is {entry!r}, and must be a table, its name in quotes")
    _check_keys(where, entry, _LAYER_KEYS)
    try:
        rule = parse_pattern(_text(path, f"layer {name}: pattern", entry.get("pattern")))
    except PatternError as error:
        raise RequestError(f"{where}: {error}") from None
    if isinstance(rule, Channel | ChannelThen) or (isinstance(rule, Unstructured) and rule.scope == "global"):
        raise RequestError(f"{where}: pattern {rule.spelling} is no choice of one layer")
    sparsity = entry.get("sparsity")
    if isinstance(rule, Dense):
        if sparsity is not None:
            raise RequestError(f"{where}: pattern is dense, and sparsity {sparsity!r} was given too")
    elif isinstance(sparsity, bool) or not isinstance(sparsity, int | float) or not 0.0 <= sparsity < 1.0:
        raise RequestError(f"{where}: sparsity is {sparsity!r}, and must be a number of at least 0 and below 1")
    told = {key: value for key, value in entry.items() if key not in ("pattern", "sparsity", "mask")}
    for key, value in told.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise RequestError(f"{where}: {key} is {value!r}, and must be a number, and finite")
    return LayerPlan(
        layer=name,
        pattern=rule.spelling,
        sparsity=None if sparsity is None else float(sparsity),
        mask=_text(path, f"layer {name}: mask", entry.get("mask")),
        told=told,
    )
