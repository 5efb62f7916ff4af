"""Reads a spec's tables into a SweepSpec: the top, ``run``, objectives, constraints, accuracy and method.

Unknown keys are errors that name the nearest known one. Left out: models and masks (``spec_masks.py``), devices
(``spec_devices.py``), and the schema that editors read (``docs/sweep.schema.json``).
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any, get_args

from costmodel.spec import VALUE_BYTES
from costmodel.technology import TechnologyError
from gatherline.request_error import RequestError
from gatherline.sweep.accuracy import Accuracy, read_accuracy
from gatherline.sweep.objective import (
    ACCURACY,
    DEFAULT_OBJECTIVES,
    MEASURE_NAMES,
    MEASURES,
    Constraint,
    Direction,
    Objective,
    check_bound,
)
from gatherline.sweep.point import RunOptions, run_request
from gatherline.sweep.points import Grid, level_choice
from gatherline.sweep.quantity import parse_quantity, shown
from gatherline.sweep.spec import SCHEMA, SEARCHES, Method, MethodName, SweepSpec
from gatherline.sweep.spec_devices import read_devices
from gatherline.sweep.spec_keys import check_keys, one_of, table_of, texts, wholes
from gatherline.sweep.spec_masks import MODEL_KEYS, NO_SPARSITIES, check_zeros, read_masks, read_models, read_sparsities
from patterns.base import PatternError
from patterns.encodings.base import EncodingError
from patterns.names import nearest
from simulator.schedule.mapping import parse_mapping
from simulator.spec import DeviceError
from traces.layer import ModelError
from traces.ratios import RatioError

TOP_KEYS = (
    "schema", "name", "models", "levels", "patterns", "sparsities", "run", "devices", "objectives", "constraints",
    "accuracy", "method",
)  # fmt: skip
RUN_KEYS = ("dtype", "threads", "encoding", "order", "mapping", "technology", "ratios", "match", "prune_all")
ACCURACY_KEYS = ("file", "column")
METHOD_KEYS = ("name", "points", "seed", "population")
BOUND_KEYS = ("most", "least")
OWN, AUTO = "own", "auto"  # the pattern's own encoding, the mapper's mapping: TOML has no null
MOST_SEED = 1 << 32
_ERRORS = (ModelError, PatternError, EncodingError, DeviceError, RatioError, TechnologyError, RequestError)


def spec_of(data: dict[str, Any], text: str, file: Path) -> SweepSpec:
    """Return the spec that a table means. Raises RequestError, naming the file."""
    try:
        return _spec(data, text, file)
    except _ERRORS as error:
        message = str(error)
        raise RequestError(message if message.startswith(f"{file}: ") else f"{file}: {message}") from None


def _spec(data: dict[str, Any], text: str, file: Path) -> SweepSpec:
    _check_place(data, TOP_KEYS, "")
    check_keys(data, TOP_KEYS, "")
    _check_schema(data.get("schema", SCHEMA))
    run = table_of(data, "run")
    _check_place(run, RUN_KEYS, "run.")
    check_keys(run, RUN_KEYS, "run")
    options = _options(run)
    sparsities = read_sparsities(data)
    models = read_models(data, file.parent)
    masks = read_masks(data, run, file.parent, sparsities)
    check_zeros(models, masks)
    grid = Grid(
        models=models, masks=masks, sparsities=NO_SPARSITIES if sparsities is None else sparsities, options=options,
        devices=read_devices(data, tuple(dict.fromkeys(one.dtype for one in options)), file.parent),
    )  # fmt: skip
    _check_requests(grid)
    accuracy = _accuracy(data, file.parent)
    method = _method(table_of(data, "method"))
    if method.name == "grid":
        grid.count  # noqa: B018 - refuses ranges without steps
    return SweepSpec(
        name=_name(data.get("name", file.stem)), file=str(file), text=text, grid=grid,
        objectives=_objectives(table_of(data, "objectives"), "objectives" in data, accuracy),
        constraints=_constraints(table_of(data, "constraints"), accuracy), accuracy=accuracy, method=method,
    )  # fmt: skip


def _check_place(table: dict[str, Any], known: tuple[str, ...], where: str) -> None:
    """Raise RequestError for a key that another table knows, and say which. ``where``: "" at the top, or "run."."""
    for key in table:
        if key in known:
            continue
        if key in RUN_KEYS:
            place = "the table run"
        elif key in MODEL_KEYS and key != "model":  # at the top that is ``models``
            place = f'a table in models, as in models = [{{ model = "digits", {key} = ... }}]'
        elif key in TOP_KEYS:
            place = "the top of the spec"
        else:
            continue
        raise RequestError(f"unknown key {where}{key}; {key} belongs to {place}")


def _check_schema(schema: object) -> None:
    if type(schema) is not int or schema < 1:
        raise RequestError(f"schema is {shown(schema)}, and must be {SCHEMA}")
    if schema > SCHEMA:
        raise RequestError(f"schema is {shown(schema)}, and this version reads {SCHEMA}: a newer one wrote it")


def _name(name: object) -> str:
    if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > 100:
        raise RequestError(f"name is {shown(name)}, and must be text of 1 to 100 printable letters")
    return name


def _options(run: dict[str, Any]) -> tuple[RunOptions, ...]:
    """Return every combination of the options of a run that masks do not depend on."""
    encodings = texts(run.get("encoding"), "run.encoding") or (OWN,)
    mappings = texts(run.get("mapping"), "run.mapping") or (AUTO,)
    for mapping in mappings:
        if mapping != AUTO:
            _check_mapping(mapping)
    base = RunOptions()
    combined = product(
        one_of(run.get("dtype"), "run.dtype", tuple(VALUE_BYTES)) or (base.dtype,),
        wholes(run.get("threads"), "run.threads", least=1) or (base.threads,),
        encodings,
        one_of(run.get("order"), "run.order", ("packed", "csr")) or (base.order,),
        mappings,
        texts(run.get("technology"), "run.technology") or (base.technology,),
    )
    return tuple(
        RunOptions(
            dtype=dtype, threads=threads, encoding=None if encoding == OWN else encoding, order=order,
            mapping=None if mapping == AUTO else mapping, technology=technology,
        )
        for dtype, threads, encoding, order, mapping, technology in combined
    )  # fmt: skip


def _check_mapping(text: str) -> None:
    """Raise RequestError for a tiling that no layer could have; whether one fits shows when a point is computed."""
    try:
        parse_mapping(text)
    except DeviceError as error:
        raise RequestError(f"run.mapping: {error}") from None


def _check_requests(grid: Grid) -> None:
    """Raise the error that ``simulate run`` would for any mask rule or set of options."""
    for at, options in enumerate(grid.options):
        for mask in grid.masks if at == 0 else grid.masks[:1]:
            run_request(level_choice(grid.models[0], mask, grid.sparsity_at(mask, 0.0)), options)


def _accuracy(data: dict[str, Any], folder: Path) -> Accuracy | None:
    if "accuracy" not in data:
        return None
    table = table_of(data, "accuracy")
    check_keys(table, ACCURACY_KEYS, "accuracy")
    for key in ACCURACY_KEYS:
        if not isinstance(table.get(key), str) or not table[key].isprintable():
            raise RequestError(f"accuracy.{key} is {shown(table.get(key, ''))}, and must be a text")
    return read_accuracy(folder / table["file"], table["column"], "accuracy")


def _objectives(table: dict[str, Any], given: bool, accuracy: Accuracy | None) -> tuple[Objective, ...]:
    if given and not table:
        raise RequestError(f"objectives is empty, and must name at least one of {', '.join(MEASURE_NAMES)}")
    better = {measure.name: measure.better for measure in MEASURES}
    found = [Objective(name=name, direction=better[name]) for name in DEFAULT_OBJECTIVES] if not given else []
    for name, direction in table.items():
        _check_measure(name, "objectives", accuracy)
        if direction not in get_args(Direction):
            raise RequestError(f"objectives.{name} is {shown(direction)}, and must be min or max")
        found.append(Objective(name=name, direction=direction))
    return tuple(found)


def _check_measure(name: str, where: str, accuracy: Accuracy | None) -> None:
    if name not in MEASURE_NAMES:
        raise RequestError(f"unknown key {where}.{shown(name)[1:-1]}; {nearest(name, MEASURE_NAMES)}")
    if name == ACCURACY and accuracy is None:
        raise RequestError(f"{where}.{name} needs the table [accuracy]: nothing here computes it")


def _constraints(table: dict[str, Any], accuracy: Accuracy | None) -> tuple[Constraint, ...]:
    units = {measure.name: measure.unit for measure in MEASURES}
    found = []
    for name, bounds in table.items():
        where = f"constraints.{name}"
        _check_measure(name, "constraints", accuracy)
        if not isinstance(bounds, dict) or not bounds:
            raise RequestError(f"{where} is {shown(bounds)}, and must be a table of most, least or both")
        check_keys(bounds, BOUND_KEYS, where)
        read = {key: parse_quantity(value, units[name], f"{where}.{key}") for key, value in bounds.items()}
        for key, value in read.items():
            check_bound(name, float(value), f"{where}.{key} is {shown(bounds[key])}")
        if len(read) == 2 and read["least"] > read["most"]:
            raise RequestError(f"{where}.least is {shown(bounds['least'])}, and most is {shown(bounds['most'])}")
        found.append(Constraint(name=name, **{key: float(value) for key, value in read.items()}))
    return tuple(found)


def _method(table: dict[str, Any]) -> Method:
    check_keys(table, METHOD_KEYS, "method")
    names = get_args(MethodName)
    name = table.get("name", "grid")
    if name not in names:
        raise RequestError(f"method.name is {shown(name)}; {nearest(str(name)[:40], names)}")
    refused = ("points", "seed", "population") if name == "grid" else () if name in SEARCHES else ("population",)
    for key in refused:
        if key in table:
            rule = "takes every point in order" if name == "grid" else "draws all points at once"
            raise RequestError(f"method.{key} is {shown(table[key])}, and method {name} {rule}")
    if name == "grid":
        return Method()
    if "points" not in table:
        raise RequestError(f"method.points is missing, and method {name} needs it")
    return Method(
        name=name,
        points=_whole(table["points"], "points", 1, 10**9),
        seed=_whole(table.get("seed", 0), "seed", 0, MOST_SEED - 1),
        population=_whole(table.get("population", Method().population), "population", 2, 10_000),
    )


def _whole(value: object, key: str, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise RequestError(f"method.{key} is {shown(value)}, and must be a whole number from {least} to {most}")
    return value
