"""The arguments of ``simulate`` that its commands share, and the checks that need no model. Imports only typer."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class ArgumentError(ValueError):
    """An argument that cannot be used: one line naming the option, the value and the rule."""


class Order(StrEnum):
    """How an unstructured mask becomes a request stream."""

    PACKED = "packed"
    CSR = "csr"


class Match(StrEnum):
    """What patterns have in common at one sparsity."""

    DENSITY = "density"
    SLOTS = "slots"


class Listing(StrEnum):
    """What ``list`` lists."""

    DEVICES = "devices"
    PATTERNS = "patterns"
    ENCODINGS = "encodings"
    MODELS = "models"
    TECHNOLOGIES = "technologies"


Model = Annotated[
    str, typer.Argument(metavar="MODEL", help=".onnx, .pt2, .safetensors (with --arch) or a built-in name.")
]
Arch = Annotated[
    str | None, typer.Option(metavar="NAME", help="Built-in network whose layers a .safetensors file holds.")
]
PatternTexts = Annotated[
    list[str] | None, typer.Option("--pattern", metavar="P", help="As in gs:16,1 or block:1x16; repeats in run.")
]
Sparsities = Annotated[
    list[float] | None,
    typer.Option("--sparsity", metavar="S", help="Fraction of weights removed, 0 to below 1; repeats in run."),
]
DeviceTexts = Annotated[
    list[str] | None, typer.Option("--device", metavar="D", help="Name, or path of a .toml file; repeats in run.")
]
Seed = Annotated[int, typer.Option(metavar="N", help="Seed of synthetic weights.")]
Batch = Annotated[
    int | None, typer.Option(metavar="N", help="Samples in flight; by default what the file says, 1 for a built-in.")
]
InputShape = Annotated[
    list[str] | None,
    typer.Option("--input-shape", metavar="SHAPE", help="As in 1,3,224,224 or name=1,3,224,224; repeats."),
]
Ratios = Annotated[
    str,
    typer.Option(
        "--ratios",
        metavar="R",
        help="uniform, global, erk; a .toml or .csv that lists layers; or a profile, as in str-90.23.",
    ),
]
LevelNumber = Annotated[
    int | None, typer.Option("--level", metavar="N", help="Level of a model pruned with --levels, 1 the sparsest.")
]
Dtype = Annotated[str, typer.Option(metavar="TYPE", help="Type of weights and activations.")]
Threads = Annotated[int, typer.Option(metavar="N", help="Threads of a CPU.")]
EncodingText = Annotated[
    str | None,
    typer.Option(
        "--encoding",
        metavar="NAME",
        help="Storage format, instead of the pattern's own; best: the smallest for each layer.",
    ),
]
StreamOrder = Annotated[Order, typer.Option("--order", help="Order of an unstructured stream.")]
MatchBy = Annotated[Match, typer.Option("--match", help="What patterns have in common at one sparsity.")]
PruneAll = Annotated[
    bool, typer.Option("--all", help="Prune the first layer, depthwise layers and the classifier too.")
]
Mapping = Annotated[str | None, typer.Option("--mapping", metavar="M", help="Tiling to use instead of the mapper's.")]
Strict = Annotated[bool, typer.Option("--strict", help="An unsupported operator is an error.")]
TechnologyName = Annotated[str, typer.Option("--technology", metavar="NODE", help="Table of energies and areas.")]
PlanPath = Annotated[
    Path | None,
    typer.Option("--plan", metavar="PLAN.toml", help="A plan of simulate advise: each layer by its own pattern."),
]
Json = Annotated[bool, typer.Option("--json", help="Rows on standard output, as one JSON object.")]
Debug = Annotated[bool, typer.Option("--debug", help="Add the traceback to an error.")]  # read in main()


def at_least(option: str, value: int | None, least: int) -> None:
    """Raise ArgumentError where ``value`` is given and below ``least``."""
    if value is not None and value < least:
        raise ArgumentError(f"{option} is {value}, and must be at least {least}")


def joined_shapes(texts: list[str] | None) -> str | None:
    """Return the shapes as one text, ';' between inputs. Raises ArgumentError for what is no shape."""
    if not texts:
        return None
    entries = [entry.strip() for text in texts for entry in text.split(";")]
    for entry in entries:
        extents = entry.rpartition("=")[2].split(",")
        if not all(extent.strip().isascii() and extent.strip().isdigit() and int(extent) > 0 for extent in extents):
            rule = "must be whole numbers of at least 1, as in 1,3,224,224 or name=1,3,224,224"
            raise ArgumentError(f"--input-shape is {entry!r}, and {rule}")
    return ";".join(entries)


def listed(option: str, texts: list[str] | None) -> list[str]:
    """Return the entries of an option that repeats and takes commas. Raises ArgumentError for an empty one."""
    entries = [entry.strip() for text in texts or [] for entry in text.split(",")]
    if not all(entries):
        raise ArgumentError(f"{option} is {', '.join(texts or [])!r}, and must be names with commas between them")
    return entries


def numbers(option: str, text: str | None) -> list[float]:
    """Return the numbers of a list with commas. Raises ArgumentError for what is no number."""
    try:
        return [float(entry) for entry in text.split(",")] if text is not None else []
    except ValueError:
        raise ArgumentError(f"{option} is {text!r}, and must be numbers with commas between them, as 0.8,0.9") from None
