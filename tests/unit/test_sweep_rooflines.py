"""Rooflines of one base that run together have the rows that they have alone, to the last bit."""

from __future__ import annotations

import random

import pytest

from gatherline.device_fields import FieldValue, device_fields
from gatherline.request import device_named
from gatherline.sweep.device_axes import unchanged_value
from gatherline.sweep.evaluate import evaluate
from gatherline.sweep.point import Machine, RunOptions, run_request
from gatherline.sweep.rooflines import LEAST, varied_of, worth_together
from tests.unit.sweep_specs import task_of

CASES = (
    ("snapdragon-855", "gs:16,1", 0.9, "fp16"),
    ("snapdragon-855", "dense", None, "fp16"),
    ("adreno-640", "block:4x4", 0.8, "fp16"),
    ("a100", "n_of_m:2,4", 0.5, "fp16"),
    ("x86-avx512", "unstructured", 0.9, "fp32"),
)


def machines(base: str, count: int, seed: int) -> tuple[Machine, ...]:
    """Return machines that differ in a few fields each: halved, doubled, as they are, or what no device can have."""
    source = random.Random(seed)
    device = device_named(base)
    known = device_fields(device)
    own = {path: field.value for path, field in known.items() if unchanged_value(device, field) is not None}
    found = []
    for _ in range(count):
        changes: dict[str, FieldValue] = {}
        for path in source.sample(list(own), 3):
            value = own[path]
            assert isinstance(value, int | float)
            factor = source.choice((2, 2, 1, 0.5, 0))
            changes[path] = int(value * factor) if isinstance(value, int) else value * factor
        found.append(Machine(base=base, fields=tuple(sorted(changes.items()))))
    return tuple(found)


@pytest.mark.parametrize(("base", "pattern", "sparsity", "dtype"), CASES)
def test_many_rooflines_have_the_rows_of_each_alone(
    base: str, pattern: str, sparsity: float | None, dtype: str
) -> None:
    asked = [*machines(base, 40, seed=7), Machine(base=base)]
    options, told = RunOptions(dtype=dtype), {"pattern": pattern, "sparsity": sparsity}
    assert worth_together(device_named(base), asked, run_request(task_of(asked[0]).level, options))
    together = evaluate(task_of(*asked, options=options, **told))  # type: ignore[arg-type]
    alone = [evaluate(task_of(machine, options=options, **told))[0] for machine in asked]  # type: ignore[arg-type]
    assert together == alone
    assert len({row["latency_s"] for row in alone}) > 3
    assert any(row["refused"] for row in alone)


def test_a_field_of_two_kernels_of_one_name_is_not_taken_for_the_base_where_a_machine_leaves_it_out() -> None:
    path = "kernels.gemm.epilogue_operations"  # of an fp32 and an fp16 kernel, which differ
    base = device_named("snapdragon-855")
    own = device_fields(base)[path].value
    assert own is not None
    mixed = [Machine(base=base.name), *(Machine(base=base.name, fields=((path, own),)) for _ in range(LEAST))]
    assert varied_of(base, mixed) is None  # type: ignore[arg-type]
    first, *others = evaluate(task_of(*mixed))
    assert first == evaluate(task_of(mixed[0]))[0]
    assert others[0] == evaluate(task_of(mixed[1]))[0]
    assert first["latency_s"] != others[0]["latency_s"]
