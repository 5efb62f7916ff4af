"""The words of a run's page and what they mean: patterns, encodings and kernels, what limits it, what is counted.

Patterns stand in the words of their own catalog, those of the run first. Left out: words that every engineer has.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gatherline.report.page.layer_words import bound_text
from gatherline.report.page.results import DeviceResults, patterns_of
from gatherline.report.selection import text
from gatherline.report.time_causes import TIME_CAUSES

COMMON = frozenset({"channel", "compute", "core", "vector", "overhead", "padding", "conflict", "packed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One entry. ``name``: its id in the page after "word-"; ``spellings``: what means it wherever it is read.

    A word that running text also uses in its common meaning, as "channel", has no spelling.
    """

    name: str
    word: str
    meaning: str
    spellings: tuple[str, ...] = ()


def _word(word: str, meaning: str, *others: str, name: str = "", common: bool = False) -> Word:
    spellings = () if common or word in COMMON else tuple(one for one in (word, *others) if ", " not in one)
    return Word(name=name or _identifier(word), word=word, meaning=meaning, spellings=spellings)


def _identifier(word: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-")


COUNTED = (
    _word("asked, removed", "removed is the share of the pruned layers' weights that a variant really takes away; "
          "asked is the sparsity that was requested. Channels take the weights of the layers after them too, so more "
          "goes than asked.", "asked", "removed"),
    _word("density", "share of the weights that is kept. Sparsity is 1 minus it."),
    _word("pattern", "the rule by which weights are removed; simulate list patterns has them all."),
    _word("variant", "a pattern at one sparsity."),
    _word("M × K × P", "the matrix product of a layer: M output channels, K weights of each of them, P positions "
          "(pixels, tokens) that they are used at.", "M x K x P", name="m-k-p"),
    _word("slots", "places that are stored and computed for weights, padding included: what a pattern really costs."),
    _word("bank", "one of the memories that serve one request a cycle each; two requests for one of them conflict.",
          "banks"),
    _word("bundle", "rows that are computed together.", "bundles"),
    _word("utilization", "share of the device's peak that useful multiply-adds reach."),
    _word("peak memory", "encoded weights, the most that activations need at any time, and buffers."),
    _word("Pareto front", "the variants of which none is beaten in both directions at once.", "front", name="pareto"),
    _word("knee", "where a front bends: beyond it, giving in one direction stops buying much in the other."),
)  # fmt: skip
SURE = (
    _word("error band", "from the fastest to the slowest time that measurements of the same kind allow (90 % of them).",
          "band", "bands", "error bands", name="band"),
    _word("not validated", "no measurement stands behind the number."),
    _word("extrapolated", "outside the range of what was fitted or validated."),
)  # fmt: skip
KERNELS = (
    _word(
        "spmm",
        "sparse matrix times dense matrix: a kernel that skips removed weights, and fetches activations by index.",
    ),
    _word("GEMM", "matrix times matrix: the dense kernel, which computes with every weight.", name="gemm"),
    _word("csr", "compressed sparse rows: the kept values, the column of each, and where each row starts."),
    _word("bsr", "csr of whole blocks: one index for each block."),
    _word("packed", "any mask packed into groups that use every bank once, with empty slots where that fails."),
)


def glossary_section(devices: list[DeviceResults]) -> list[dict[str, object]]:
    """Return the words in groups, each with a title."""
    groups = (
        ("Patterns", _patterns(patterns_of(devices))),
        ("What is counted", COUNTED),
        ("How sure", SURE),
        ("What limits a layer (its bound)", _bounds(devices)),
        (
            "What time is spent on",
            [_word(one.title, f"{one.text}.", name=f"cause-{one.name}", common=True) for one in TIME_CAUSES],
        ),
        ("Kernels and encodings", KERNELS),
    )
    return [{"title": title, "words": words} for title, words in groups if words]


def _patterns(names: list[str]) -> list[Word]:
    """Return the patterns of the run, then those of the catalog that it does not have, by their examples."""
    from patterns.catalog import ALL_PATTERNS

    kinds = {kind.name: kind for kind in ALL_PATTERNS}
    found: dict[str, Word] = {}
    for name in names:
        kind = kinds.get(re.split(r"[:+]", name)[0] if "+" not in name else "")
        if kind is None:
            kind = next((one for one in ALL_PATTERNS if "+" in one.syntax and "+" in name), None)
        if kind is not None:
            found[name] = _pattern(name, kind.syntax, kind.summary)
    had = {one.meaning for one in found.values()}
    for kind in ALL_PATTERNS:
        one = _pattern(kind.example, kind.syntax, kind.summary)
        if one.meaning not in had and kind.example not in found:
            found[kind.example] = one
    return list(found.values())


def _pattern(name: str, syntax: str, summary: str) -> Word:
    spelled = f" (written {syntax})" if syntax != name else ""
    return _word(name, f"{summary}{spelled}.")


def _bounds(devices: list[DeviceResults]) -> list[Word]:
    rows = (row for device in devices for layers in device.layers.values() for row in layers)
    found = sorted({text(row, "bound") for row in rows} - {""})
    return [_word(one, f"{bound_text(one)}.", name=f"bound-{_identifier(one)}") for one in found]
