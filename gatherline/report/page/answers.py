"""Answers of ``simulate advise`` that lie in the folder of a run: exact break-evens, and proved reasons.

They are of use only for the same model, asked the same way, on the same devices; what differs is told and left out.
Left out: the curves, and whether a pattern or a sparsity was asked of both (rows are looked up by them).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatherline.report.selection import Rows, printable, text
from gatherline.request_error import RequestError
from gatherline.strict_json import read_json

# of a request, what moves an answer
ASKED = (
    "dtype", "batch", "input_shape", "threads", "encoding", "order", "match", "prune_all", "ratios", "mapping",
    "technology", "level", "seed",
)  # fmt: skip
_SHARES = {"density", "sparsity_target", "sparsity_overall"}
_TEXTS = {"layer", "pattern", "device", "verdict", "cause", "proof", "change"}
_LONGEST = 60  # characters of a value in a note


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Rows of a file of answers, () where there is none; ``note``: what of the file that is there is not used, why."""

    rows: tuple[Mapping[str, Any], ...] = ()
    note: str = ""


def read_answers(folder: Path, name: str, manifest: Mapping[str, object]) -> Answers:
    """Return the rows of ``folder/name`` that answer for the run of ``manifest``.

    Raises RequestError for a file that is none of ours, and OSError.
    """
    path = folder / name
    if not path.is_file():
        return Answers()
    found = read_json(path, "an answer that simulate advise wrote")
    rows = found.get("rows") if isinstance(found, dict) else None
    made_of = found.get("manifest") if isinstance(found, dict) else None
    if not isinstance(rows, list) or not isinstance(made_of, dict):
        raise RequestError(f"{path}: not an answer that simulate advise wrote: it must have a manifest and rows")
    for at, row in enumerate(rows):
        _check(f"{path}: rows[{at}]", row)
    if made_of.get("model_hash") != manifest.get("model_hash"):
        return Answers(note=f"{name} in this folder is of another model, and is not shown.")
    theirs, ours = _request(made_of), _request(manifest)
    if names := _differences(theirs, ours):
        told = f"{name} was asked with {_told(theirs, names)}, this run with {_told(ours, names)}"
        return Answers(note=f"{told}: it is not shown.")
    others = _other_devices(rows, made_of, manifest)
    if not others:
        return Answers(rows=tuple(rows))
    named = ", ".join(printable(one)[:_LONGEST] for one in others)
    return Answers(
        rows=tuple(row for row in rows if row.get("device") not in others),
        note=f"{name} is of {named} with other numbers than in this run: what it says of that is not shown.",
    )


def _check(where: str, row: object) -> None:
    if not isinstance(row, dict):
        raise RequestError(f"{where} is {row!r:.100}, and must be an object")
    for name in sorted(_TEXTS & row.keys()):
        if not isinstance(row[name], str | None):
            raise RequestError(f"{where}: {name} is {row[name]!r:.100}, and must be a text")
    for name in sorted(_SHARES & row.keys()):
        value = row[name]
        if value is not None and (type(value) not in (int, float) or not 0 <= value <= 1):
            raise RequestError(f"{where}: {name} is {value!r:.100}, and must be a number from 0 to 1")


def _differences(theirs: Mapping[str, object], ours: Mapping[str, object]) -> list[str]:
    """Return the fields in which two requests differ."""
    return [name for name in ASKED if theirs.get(name) != ours.get(name)]


def _told(request: Mapping[str, object], names: Sequence[str]) -> str:
    return " and ".join(f"{name} {_words(request.get(name))}" for name in names)


def _request(manifest: Mapping[str, object]) -> Mapping[str, object]:
    found = manifest.get("request")
    return found if isinstance(found, Mapping) else {}


def _words(value: object) -> str:
    if value is None:
        return "as it is by default"
    return ("yes" if value else "no") if isinstance(value, bool) else printable(str(value))[:_LONGEST]


def _other_devices(rows: Rows, made_of: Mapping[str, object], manifest: Mapping[str, object]) -> list[str]:
    """Return the devices of the run that ``rows`` are of too, but with other numbers (another device file)."""
    theirs, ours = (_hashes(one) for one in (made_of, manifest))
    names = {text(row, "device") for row in rows} & ours.keys()
    return sorted(name for name in names if theirs.get(name) != ours[name])


def _hashes(manifest: Mapping[str, object]) -> dict[str, object]:
    devices = manifest.get("devices")
    if not isinstance(devices, Mapping):
        return {}
    return {name: facts.get("hash") if isinstance(facts, Mapping) else None for name, facts in devices.items()}
