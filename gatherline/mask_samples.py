"""What a run keeps of its masks for those who look at it later: loads of every pruned layer, and a few windows.

A run holds too many masks to keep them all. Of each pruned layer its row and bank loads stay; of the few with the most
multiply-adds also a window, weight by weight, and the density all over the matrix. Left out: the masks themselves.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gatherline.mask_statistics import BINS
from gatherline.report.plain import plain
from gatherline.request_error import RequestError
from gatherline.strict_json import read_json

FILE = "masks.json"  # in the folder of a run
SCHEMA = 1
BANKS = 16  # assumed: those of gs-tcm, whatever device a run is of
KEPT_SHAPE, DENSITY_SHAPE = (64, 128), (48, 96)  # of a window at most: weights, and parts of the matrix
MOST_SAMPLES = 20_000
MOST_BYTES = 64 << 20
_MOST_SIDE = (1 << 31) - 1
_MOST = (1 << 63) - 1
_OF = ("model_hash", "seed")  # of the run's manifest
_TEXTS = ("layer", "pattern", "layer_pattern")
_COUNTS = ("groups", "m", "k", "kept", "banks")
_LOADS = ("row_load", "bank_load")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MaskWindow:
    """The first rows and columns of a layer's first group, and the density of equal parts of that group's matrix.

    ``kept`` [rows, columns] of at most 64 x 128; ``density`` [parts down, parts across] of at most 48 x 96, 0 to 1 in
    whole percents.
    """

    kept: npt.NDArray[np.bool_]
    density: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MaskSample:
    """One pruned layer at one pattern and sparsity, both as the totals of the run name them.

    ``m`` and ``k``: of one group's matrix, as it runs (channels that went are not in it). ``row_load``, ``bank_load``:
    as ``load_summary`` has them (min, mean, max, cv, bin_edges, bin_counts); banks of ``banks`` banks (assumed: 16) and
    bundles of as many rows. ``window``: of a few layers.
    """

    layer: str
    pattern: str
    sparsity: float | None
    layer_pattern: str
    groups: int
    m: int
    k: int
    kept: int
    banks: int
    row_load: Mapping[str, object]
    bank_load: Mapping[str, object]
    window: MaskWindow | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Masks:
    """What masks.json holds. ``model_hash``, ``seed``: of the run that it is of, None where it says none."""

    model_hash: str | None
    seed: int | None
    samples: tuple[MaskSample, ...]


def masks_json(samples: Iterable[MaskSample], manifest: Mapping[str, object]) -> str:
    """Return ``samples`` as the file holds them, one a line, ASCII only; rows of a window as hexadecimal digits.

    ``manifest``: of the run, of which the file tells the model's hash and the seed, so that it is taken for no other's.
    """
    lines = ",\n".join(json.dumps(_plain(sample), allow_nan=False, separators=(",", ":")) for sample in samples)
    of = "".join(f'"{name}": {json.dumps(plain(manifest.get(name)), allow_nan=False)}, ' for name in _OF)
    return f'{{"schema": {SCHEMA}, {of}"samples": [\n{lines}\n]}}\n'


def _plain(sample: MaskSample) -> dict[str, object]:
    found: dict[str, object] = {name: getattr(sample, name) for name in (*_TEXTS, "sparsity", *_COUNTS)}
    found |= {name: _plain_load(getattr(sample, name)) for name in _LOADS}
    window = sample.window
    if window is None:
        return found
    percents = np.rint(window.density * 100).astype(np.uint8)
    return found | {
        "window": {
            "columns": int(window.kept.shape[1]),
            "kept": [row.tobytes().hex() for row in np.packbits(window.kept, axis=1)],
            "density": [row.tobytes().hex() for row in percents],
        }
    }


def _plain_load(load: Mapping[str, Any]) -> dict[str, object]:
    first, second = load["bin_edges"][:2]
    kept = {name: load[name] for name in ("min", "mean", "max", "cv")}
    return {**kept, "bin_width": second - first, "bin_counts": load["bin_counts"]}


def read_masks(folder: Path) -> Masks | None:
    """Return the masks that lie in ``folder``; None where it has no such file. Whose they are: ``run_masks.py``.

    Trusts nothing in it. Raises RequestError naming file, sample, field, value and rule; OSError.
    """
    path = folder / FILE
    if not path.exists():
        return None
    size_bytes = path.stat().st_size
    if size_bytes > MOST_BYTES:
        raise RequestError(f"{path}: it has {size_bytes} bytes, and must have at most {MOST_BYTES}")
    found = read_json(path, "the masks that simulate run wrote")
    if not isinstance(found, dict) or set(found) - set(_OF) != {"schema", "samples"}:
        names = ", ".join(("schema", *_OF))
        raise RequestError(
            f"{path}: not the masks that simulate run wrote: it must be an object of {names} and samples"
        )
    if type(found["schema"]) is not int or found["schema"] != SCHEMA:
        raise RequestError(f"{path}: schema is {found['schema']!r:.100}, and must be {SCHEMA}")
    samples = found["samples"]
    if not isinstance(samples, list) or len(samples) > MOST_SAMPLES:
        told = f"{len(samples)} samples" if isinstance(samples, list) else f"{samples!r:.100}"
        raise RequestError(f"{path}: samples is {told}, and must be a list of at most {MOST_SAMPLES}")
    of, seed = (_Field(where=f"{path}: {name}", value=found.get(name)) for name in _OF)
    return Masks(
        model_hash=None if of.value is None else of.text(),
        seed=None if seed.value is None else seed.count(0),
        samples=tuple(_sample(_Field(where=f"{path}: samples[{at}]", value=each)) for at, each in enumerate(samples)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    """A value that a file says, and where it stands."""

    where: str
    value: Any

    def refuse(self, rule: str) -> RequestError:
        return RequestError(f"{self.where} is {self.value!r:.100}, and must be {rule}")

    def parts(self, needed: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, _Field]:
        if not isinstance(self.value, dict):
            raise self.refuse("an object")
        for name in needed:
            if name not in self.value:
                raise RequestError(f"{self.where}: {name} is missing")
        for name in self.value:
            if name not in (*needed, *optional):
                known = ", ".join((*needed, *optional))
                raise RequestError(f"{self.where}: key {name!r:.100} is not known, and must be one of {known}")
        return {name: _Field(where=f"{self.where}: {name}", value=value) for name, value in self.value.items()}

    def items(self, least: int, most: int) -> list[_Field]:
        if not isinstance(self.value, list) or not least <= len(self.value) <= most:
            raise self.refuse(f"a list of {least} to {most}")
        return [_Field(where=f"{self.where}[{at}]", value=value) for at, value in enumerate(self.value)]

    def text(self) -> str:
        if not isinstance(self.value, str) or not self.value:
            raise self.refuse("a text")
        return self.value

    def count(self, least: int, most: int = _MOST) -> int:
        if type(self.value) is not int or not least <= self.value <= most:
            raise self.refuse(f"a whole number from {least} to {most}")
        return self.value

    def number(self, least: float, most: float) -> float:
        if type(self.value) not in (int, float) or not least <= self.value <= most:
            raise self.refuse(f"a number from {least} to {most}")
        return float(self.value)

    def digits(self, count: int) -> npt.NDArray[np.uint8]:
        """Return ``count`` bytes that hexadecimal digits stand for."""
        text = self.value
        if not isinstance(text, str) or len(text) != 2 * count or set(text) - set("0123456789abcdef"):
            raise self.refuse(f"{2 * count} hexadecimal digits")
        return np.frombuffer(bytes.fromhex(text), np.uint8)


def _sample(field: _Field) -> MaskSample:
    parts = field.parts((*_TEXTS, "sparsity", *_COUNTS, *_LOADS), ("window",))
    groups, m, k = (parts[name].count(1, _MOST_SIDE) for name in ("groups", "m", "k"))
    sparsity = parts["sparsity"]
    rows = _load(parts["row_load"], k, groups * m)
    kept = parts["kept"].count(0, groups * m * k)
    if not _adds_up(rows, groups * m, kept):
        raise parts["kept"].refuse("what the rows of row_load add up to")
    return MaskSample(
        layer=parts["layer"].text(),
        pattern=parts["pattern"].text(),
        sparsity=None if sparsity.value is None else sparsity.number(0, 1),
        layer_pattern=parts["layer_pattern"].text(),
        groups=groups,
        m=m,
        k=k,
        kept=kept,
        banks=parts["banks"].count(1, _MOST_SIDE),
        row_load=rows,
        bank_load=_load(parts["bank_load"], _MOST),
        window=_window(parts["window"], m, k) if "window" in parts else None,
    )


def _load(field: _Field, most: int, loads: int | None = None) -> dict[str, object]:
    """Return a summary as ``load_summary`` makes it, of values up to ``most``; ``loads``: how many they are."""
    parts = field.parts(("min", "mean", "max", "cv", "bin_width", "bin_counts"))
    low = parts["min"].count(0, most)
    high = parts["max"].count(low, most)
    width = parts["bin_width"].count(1, high - low + 1)
    bins = -(-(high - low + 1) // width)
    if bins > BINS:
        raise parts["bin_width"].refuse(f"at least {-(-(high - low + 1) // BINS)}, for at most {BINS} bins")
    counts = [each.count(0) for each in parts["bin_counts"].items(bins, bins)]
    if loads is not None and sum(counts) != loads:
        raise parts["bin_counts"].refuse(f"counts that add up to {loads}, the rows of all groups")
    cv = parts["cv"]
    return {
        "min": low,
        "mean": parts["mean"].number(low, high),
        "max": high,
        "cv": None if cv.value is None else cv.number(0, _MOST),
        "bin_edges": [low + width * place for place in range(bins + 1)],
        "bin_counts": counts,
    }


def _adds_up(load: Mapping[str, Any], loads: int, total: int) -> bool:
    """Return whether so many ``loads`` can add up to ``total``: by their mean, and by the edges of the histogram."""
    counts, edges = load["bin_counts"], load["bin_edges"]
    least = sum(count * low for count, low in zip(counts, edges[:-1], strict=True))
    most = sum(count * (high - 1) for count, high in zip(counts, edges[1:], strict=True))
    mean: float = load["mean"]
    return bool(least <= total <= most) and abs(mean * loads - total) < 0.5


def _window(field: _Field, m: int, k: int) -> MaskWindow:
    parts = field.parts(("columns", "kept", "density"))
    rows, columns = min(m, KEPT_SHAPE[0]), min(k, KEPT_SHAPE[1])
    parts["columns"].count(columns, columns)
    lines = parts["kept"].items(rows, rows)
    bits = np.unpackbits(np.stack([line.digits(-(-columns // 8)) for line in lines]), axis=1)
    if bits[:, columns:].any():
        raise parts["kept"].refuse(f"rows of {columns} bits, and no bit behind them set")
    down, across = min(m, DENSITY_SHAPE[0]), min(k, DENSITY_SHAPE[1])
    percents = np.stack([line.digits(across) for line in parts["density"].items(down, down)])
    if percents.max() > 100:
        raise parts["density"].refuse("whole percents, two digits each, at most 64 (hexadecimal for 100)")
    return MaskWindow(kept=bits[:, :columns].astype(np.bool_), density=percents / 100)
