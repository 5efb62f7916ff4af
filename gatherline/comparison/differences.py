"""What two manifests say that differs: version, model, devices, options and packages, each in a few words."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gatherline.report.selection import printable

ORDER = ("version", "model", "model_hash", "devices", "technology", "synthetic", "request", "packages")
UNSAID = ("notes", "plan", "model_source", "complete", "summary")  # sentences, and what is said elsewhere
SHOWN = 60  # letters of a value in a sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One field of the manifests, by its path, as in packages.numpy; "" where a side has none."""

    path: str
    before: str
    after: str

    @property
    def text(self) -> str:
        if self.path == "model_hash":
            return "the model (its hash)"
        if self.path.startswith("devices.") and self.path.endswith(".hash"):
            return f"numbers of device {self.path.removeprefix('devices.').removesuffix('.hash')}"
        name = self.path.removeprefix("packages.").removeprefix("request.")
        return f"{name} {self.before[:SHOWN] or 'none'} -> {self.after[:SHOWN] or 'none'}"


def differences(before: Mapping[str, Any], after: Mapping[str, Any], *, known: bool) -> tuple[Difference, ...]:
    """Return the fields that differ. ``known``: both manifests are whole; else fields of one side alone say nothing."""
    ours, theirs = fields(before), fields(after)
    found = []
    for path in dict.fromkeys([*ours, *theirs]):
        one, other = ours.get(path, ""), theirs.get(path, "")
        if one == other or path.split(".")[-1] in UNSAID:
            continue
        if path == "request.model" and ours.get("model_hash") and theirs.get("model_hash"):
            continue  # where a file lies says nothing once its hash is known
        alone = path not in ours or path not in theirs
        if alone and (not known or path.startswith("devices.")):  # which devices there are is told with the rows
            continue
        found.append(Difference(path=path, before=one, after=other))
    return tuple(sorted(found, key=lambda each: (_place(each.path), each.path)))


def _place(path: str) -> int:
    first = path.partition(".")[0]
    return ORDER.index(first) if first in ORDER else len(ORDER)


def fields(manifest: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return every field of a manifest by its path, as text."""
    found: dict[str, str] = {}
    for name, value in manifest.items():
        if isinstance(value, Mapping):
            found |= fields(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = _text(value)
    return found


def _text(value: object) -> str:
    if isinstance(value, Collection) and not isinstance(value, str | bytes):
        return ", ".join(printable(str(each)) for each in value)
    return "none" if value is None else printable(str(value))


def summary(
    found: Sequence[Difference], names: tuple[str, str], manifests: tuple[bool, bool], across: Sequence[str] = ()
) -> str:
    """Return one sentence: what the second differs in from the first. ``across``: what rows were paired across."""
    if not all(manifests):
        without = [name for name, has in zip(names, manifests, strict=True) if not has]
        return f"What made the two cannot be compared: {' and '.join(without)} carries no manifest."
    if not found and across:
        return f"Made by the same version with the same options; the two differ in {' and '.join(across)}."
    if not found:
        return "Made by the same version from the same model, devices and options."
    texts = [each.text for each in found]
    more = f" and {len(texts) - 8} more" if len(texts) > 8 else ""
    return f"The second differs in: {'; '.join(texts[:8])}{more}."
