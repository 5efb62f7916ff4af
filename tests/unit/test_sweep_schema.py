"""The schema for editors and the reader take the same specs: keys, examples and mistakes."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from costmodel.spec import VALUE_BYTES
from gatherline.request_error import RequestError
from gatherline.sweep.axis import MOST_VALUES, RANGE_KEYS
from gatherline.sweep.objective import MEASURE_NAMES
from gatherline.sweep.spec import SCHEMA
from gatherline.sweep.spec_devices import DEVICE_KEYS
from gatherline.sweep.spec_file import parse_spec
from gatherline.sweep.spec_masks import MODEL_KEYS
from gatherline.sweep.spec_reading import ACCURACY_KEYS, BOUND_KEYS, METHOD_KEYS, RUN_KEYS, TOP_KEYS, spec_of
from tests.json_schema import valid

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
JSON_SCHEMA: dict[str, Any] = json.loads((DOCS / "sweep.schema.json").read_text(encoding="utf-8"))
PAGE = (DOCS / "sweep.md").read_text(encoding="utf-8")
EXAMPLES = [
    *((path.name, path.read_text(encoding="utf-8")) for path in sorted((ROOT / "examples").glob("*.toml"))),
    *((f"sweep.md {at}", text) for at, text in enumerate(re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL))),
]
EVERYTHING = """
schema = 1
name = "all"
models = [{ model = "digits", batch = [1, 2], input_shape = "1,1,8,8", seed = 0, strict = true }]
patterns = ["gs:16,1"]
sparsities = ["90 %", 0.95]
[run]
dtype = ["fp16", "int8"]
threads = { from = 1, to = 4, step = 1 }
encoding = ["own", "best"]
order = "packed"
mapping = "auto"
technology = "16nm"
ratios = "uniform"
match = ["density", "slots"]
prune_all = [true, false]
[[devices]]
device = "gs-tcm"
fields.scratchpad.banks = [8, 16]
fields."clock_hz" = { from = "500 MHz", to = "1 GHz", steps = 3, scale = "log" }
follow.gather.lanes = "scratchpad.banks"
[objectives]
latency_s = "min"
[constraints]
energy_pj = { most = "5 mJ", least = "1 pJ" }
[method]
name = "sobol"
points = 10
seed = 1
"""


def taken_by_reader(table: dict[str, Any]) -> bool:
    try:
        spec_of(table, "", ROOT / "examples" / "spec.toml")
    except RequestError:
        return False
    return True


@pytest.mark.parametrize(("name", "text"), [*EXAMPLES, ("everything", EVERYTHING)], ids=lambda value: value[:12])
def test_every_example_is_taken_by_both(name: str, text: str) -> None:
    assert valid(tomllib.loads(text), JSON_SCHEMA), name
    if "[accuracy]" not in text and "theirs" not in text:  # files that only the reader of the page has
        parse_spec(text, ROOT / "examples" / "spec.toml")


def keys(*path: str) -> tuple[str, ...]:
    part = JSON_SCHEMA
    for one in path:
        part = part[one]
    return tuple(part["properties"])


def test_schema_and_reader_know_the_same_keys() -> None:
    assert set(keys()) == set(TOP_KEYS)
    assert set(keys("properties", "run")) == set(RUN_KEYS)
    assert set(keys("properties", "objectives")) == set(keys("properties", "constraints")) == set(MEASURE_NAMES)
    assert set(keys("properties", "accuracy")) == set(ACCURACY_KEYS)
    assert set(keys("properties", "method")) == set(METHOD_KEYS)
    assert set(keys("$defs", "range")) == set(RANGE_KEYS)
    assert set(keys("$defs", "model")) == set(MODEL_KEYS)
    assert set(keys("$defs", "device")) == set(DEVICE_KEYS)
    assert set(keys("$defs", "bounds")) == set(BOUND_KEYS)
    assert set(JSON_SCHEMA["$defs"]["dtype"]["enum"]) == set(VALUE_BYTES)
    assert JSON_SCHEMA["properties"]["schema"]["const"] == SCHEMA
    assert JSON_SCHEMA["$defs"]["values"]["anyOf"][2]["maxItems"] == MOST_VALUES


def tables(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every table below ``value``."""
    if isinstance(value, dict):
        yield path
        for key, inner in value.items():
            yield from tables(inner, (*path, key))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from tables(inner, (*path, at))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for part in path:
        value = value[part]
    return value


@pytest.mark.parametrize("path", list(tables(tomllib.loads(EVERYTHING))), ids=str)
def test_an_unknown_key_in_any_table_is_refused_by_both(path: tuple[Any, ...]) -> None:
    table = deepcopy(tomllib.loads(EVERYTHING))
    assert valid(table, JSON_SCHEMA)
    assert taken_by_reader(table)
    at(table, path)["surprise"] = {"from": 1} if "fields" in path or "follow" in path else 1
    assert not taken_by_reader(table)
    # only the program knows the fields of a device, but a range in place of one is no range
    assert not valid(table, JSON_SCHEMA)


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2}, {"schema": True}, {"name": ""}, {"name": 1}, {"models": []}, {"models": [{}]}, {"models": 1},
        {"patterns": []}, {"patterns": [1]}, {"sparsities": []}, {"sparsities": {"from": 0.1}}, {"levels": [-1]},
        {"sparsities": {"from": 0.1, "to": 0.2, "steps": 0}}, {"run": []}, {"run": {"dtype": "fp8"}},
        {"run": {"prune_all": 1}}, {"run": {"match": "cost"}}, {"run": {"order": ["x"]}}, {"devices": []},
        {"devices": [{}]}, {"devices": 1}, {"objectives": {}}, {"objectives": {"latency_s": "less"}},
        {"constraints": {"latency_s": {}}}, {"constraints": {"latency_s": 1}}, {"accuracy": {}}, {"accuracy": 1},
        {"method": {"name": "best"}}, {"method": {"name": "random", "points": 0}},
        {"method": {"name": "tpe", "points": 9, "population": 1}}, {"method": {"name": "tpe", "points": 9, "seed": -1}},
    ],
    ids=str,
)  # fmt: skip
def test_a_mistake_is_refused_by_both(change: dict[str, Any]) -> None:
    table = {**tomllib.loads(EVERYTHING), **change}
    assert not valid(table, JSON_SCHEMA)
    assert not taken_by_reader(table)


def test_the_page_names_every_key() -> None:
    named = set(re.findall(r"`([a-z0-9_]+)`", PAGE))
    every = {*TOP_KEYS, *RUN_KEYS, *RANGE_KEYS, *MODEL_KEYS, *DEVICE_KEYS, *MEASURE_NAMES, *ACCURACY_KEYS, *METHOD_KEYS}
    assert every <= named
