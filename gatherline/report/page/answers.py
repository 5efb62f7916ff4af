"""Answers of ``simulate advise`` that lie in the folder of a run: exact break-evens, and proved reasons.

They are of use only for the same model; one of another model is told and left out. Left out: the curves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatherline.request_error import RequestError

_NUMBERS = {"density", "sparsity_target", "sparsity_overall"}
_TEXTS = {"layer", "pattern", "device", "verdict", "cause", "proof", "change"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Rows of a file of answers, () where there is none; ``note``: why the file that is there is not used."""

    rows: tuple[Mapping[str, Any], ...] = ()
    note: str = ""


def read_answers(folder: Path, name: str, manifest: Mapping[str, object]) -> Answers:
    """Return the rows of ``folder/name``. Raises RequestError for a file that is none of ours, and OSError."""
    path = folder / name
    if not path.is_file():
        return Answers()
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{path}: not an answer that simulate advise wrote: {error!s:.200}") from None
    rows = found.get("rows") if isinstance(found, dict) else None
    made_of = found.get("manifest") if isinstance(found, dict) else None
    if not isinstance(rows, list) or not isinstance(made_of, dict):
        raise RequestError(f"{path}: not an answer that simulate advise wrote: it must have a manifest and rows")
    for at, row in enumerate(rows):
        _check(f"{path}: rows[{at}]", row)
    if made_of.get("model_hash") != manifest.get("model_hash"):
        return Answers(note=f"{name} in this folder is of another model, and is not shown.")
    return Answers(rows=tuple(rows))


def _check(where: str, row: object) -> None:
    if not isinstance(row, dict):
        raise RequestError(f"{where} is {row!r:.100}, and must be an object")
    for name in _TEXTS & row.keys():
        if not isinstance(row[name], str | None):
            raise RequestError(f"{where}: {name} is {row[name]!r:.100}, and must be a text")
    for name in _NUMBERS & row.keys():
        if isinstance(row[name], bool) or not isinstance(row[name], int | float | None):
            raise RequestError(f"{where}: {name} is {row[name]!r:.100}, and must be a number")
