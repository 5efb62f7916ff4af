"""What a run was made of, so that it can be repeated: versions, seed, hashes, what was asked, and the command line."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence

from gatherline.report.page.results import DeviceResults
from gatherline.report.plain import plain
from gatherline.report.selection import Variant, printable, text, variant

LONGEST = 500  # characters of a value in the table; all of it stands in the JSON
_REPEATED = (("patterns", "--pattern"), ("sparsities", "--sparsity"), ("devices", "--device"))
_OPTIONS: tuple[tuple[str, str, object], ...] = (  # field of the request, option, default that needs no saying
    ("arch", "--arch", None),
    ("seed", "--seed", 0),
    ("batch", "--batch", None),
    ("input_shape", "--input-shape", None),
    ("dtype", "--dtype", "fp16"),
    ("threads", "--threads", 1),
    ("encoding", "--encoding", None),
    ("order", "--order", "packed"),
    ("match", "--match", "density"),
    ("ratios", "--ratios", "uniform"),
    ("mapping", "--mapping", None),
    ("technology", "--technology", "16nm"),
    ("level", "--level", None),
)
_SWITCHES = (("prune_all", "--all"), ("strict", "--strict"))
_SHOWN_MISSING = 12


def manifest_section(manifest: Mapping[str, object]) -> dict[str, object]:
    """Return the manifest as lines of a table and as JSON, and the command that repeats the run, "" if unknown."""
    return {
        "lines": list(_lines("", manifest)),
        "json": json.dumps(plain(manifest), indent=2, allow_nan=False),
        "command": command(manifest),
    }


def command(manifest: Mapping[str, object]) -> str:
    """Return the command line of the run, "" where the manifest has no request or another command made it."""
    request = manifest.get("request")
    if not isinstance(request, Mapping) or not request.get("model") or manifest.get("plan"):
        return ""
    words = ["simulate", "run", str(request["model"])]
    for name, option in _REPEATED:
        given = request.get(name)
        for one in given if isinstance(given, list | tuple) else ():
            words += [option, str(one)]
    for name, option, default in _OPTIONS:
        if request.get(name, default) not in (default, None):
            words += [option, str(request[name])]
    words += [option for name, option in _SWITCHES if request.get(name) is True]
    return printable(shlex.join([*words, "--out", "DIR"]))


def missing(manifest: Mapping[str, object], devices: list[DeviceResults]) -> list[str]:
    """Return what was asked for and has no total, in words: a run that was stopped has not all of it."""
    request = manifest.get("request")
    if not isinstance(request, Mapping):
        return []
    asked = _asked_variants(request)
    lines = []
    for device in devices:
        there = {variant(row) for row in device.totals}
        lines += [f"{device.name}: {one.label}" for one in asked if not _is_there(one, there)]
    names = {device.name for device in devices}
    wanted = request.get("devices")
    lines += [
        f"{printable(str(one))}: everything"
        for one in (wanted if isinstance(wanted, list | tuple) else ())
        if str(one) not in names and not str(one).endswith(".toml")
    ]
    left = len(lines) - _SHOWN_MISSING
    return [*lines[:_SHOWN_MISSING], *([f"and {left} more"] if left > 0 else [])]


def _asked_variants(request: Mapping[str, object]) -> list[Variant]:
    patterns, sparsities = request.get("patterns"), request.get("sparsities")
    if not isinstance(patterns, list | tuple) or not isinstance(sparsities, list | tuple):
        return []
    found = []
    for pattern in map(str, patterns):
        if pattern == "dense" or not sparsities:
            found.append(Variant(pattern=pattern, sparsity=None))
        else:
            found += [Variant(pattern=pattern, sparsity=one) for one in sparsities if isinstance(one, int | float)]
    return found


def _is_there(asked: Variant, there: set[Variant]) -> bool:
    """Return whether a variant was run: one with a fixed ratio, as 2 of 4, counts at whatever sparsity it has."""
    return asked in there or ("n_of_m" in asked.pattern and any(one.pattern == asked.pattern for one in there))


def _lines(prefix: str, value: object) -> Sequence[tuple[str, str]]:
    """Return (path, value) of every entry, nested ones by their path."""
    if isinstance(value, Mapping) and value:
        return [
            line for name, entry in value.items() for line in _lines(f"{prefix}.{name}" if prefix else str(name), entry)
        ]
    if isinstance(value, list | tuple):
        shown = ", ".join(str(entry) for entry in value) or "none"
    else:
        shown = "-" if value is None else "yes" if value is True else "no" if value is False else str(value)
    shown = printable(shown)
    return [(printable(prefix), shown if len(shown) <= LONGEST else f"{shown[:LONGEST]} ...")]


def model_words(manifest: Mapping[str, object], fallback: str) -> dict[str, str]:
    """Return the model's name, source and size as the head of a page says them."""
    macs = manifest.get("model_macs")
    counted = macs if isinstance(macs, int) and not isinstance(macs, bool) and 0 < macs < 1 << 63 else 0
    scale, unit = (1e9, "G") if counted >= 1e9 else (1e6, "M")
    return {
        "name": text(manifest, "model") or fallback,
        "source": text(manifest, "model_source"),
        "macs": f"{counted / scale:.3g} {unit}" if counted else "",
        "version": text(manifest, "version"),
    }
