"""One point of a sweep: which masks, how they run, on which machine. Frozen, comparable, made of text and numbers.

Two points with equal levels share their traces; two with equal levels and options are evaluated together. Left out:
where points come from (``methods/``) and what they cost (``evaluate.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

from gatherline.device_fields import FieldValue
from gatherline.request import RunRequest
from traces.matching import Match


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChoice:
    """A model and how it is lowered: the fields of ``simulate run`` that its layers depend on."""

    model: str
    arch: str | None = None
    seed: int = 0
    batch: int | None = None
    input_shape: str | None = None
    strict: bool = False
    level: int | None = None  # of a model pruned to nested levels


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelChoice:
    """What masks depend on. ``sparsity`` None: dense, or the zeros that the model has."""

    model: ModelChoice
    pattern: str
    sparsity: float | None = None
    ratios: str = "uniform"
    match: Match = "density"
    prune_all: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How masks run on a machine, beside the machine itself."""

    dtype: str = "fp16"
    threads: int = 1
    encoding: str | None = None
    order: str = "packed"
    mapping: str | None = None
    technology: str = "16nm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A preset or a device file, and the fields that differ from it: (path, value) by rising path, none as it is."""

    base: str
    fields: tuple[tuple[str, FieldValue], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """``number``: its place in the sweep, from 0."""

    number: int
    level: LevelChoice
    options: RunOptions
    machine: Machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Points that one worker evaluates together: one level, one set of options, several machines.

    ``keys``: the content hash of each point, under which its row is stored.
    """

    level: LevelChoice
    options: RunOptions
    machines: tuple[Machine, ...]
    numbers: tuple[int, ...]
    keys: tuple[str, ...]


def run_request(level: LevelChoice, options: RunOptions, devices: tuple[str, ...] = ()) -> RunRequest:
    """Return the request of ``simulate run`` that means the same. Raises RequestError."""
    of = level.model
    return RunRequest(
        model=of.model, arch=of.arch, seed=of.seed, batch=of.batch, input_shape=of.input_shape, strict=of.strict,
        level=of.level, patterns=(level.pattern,), sparsities=() if level.sparsity is None else (level.sparsity,),
        ratios=level.ratios, match=level.match, prune_all=level.prune_all, devices=devices, dtype=options.dtype,
        threads=options.threads, encoding=options.encoding, order=options.order, mapping=options.mapping,
        technology=options.technology,
    )  # fmt: skip
