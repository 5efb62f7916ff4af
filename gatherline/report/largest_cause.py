"""What most of a row's time went to, in words that agree with the bound that the row names.

A bound may stand behind several of the six causes: a memory serves weights and activations, a unit that computes also
waits and pads. So causes of one bound are added up before any are compared. The two may still differ: of a total, whose
bound is the one that binds for the longest time; of a kernel that reads and computes in turns; on a cycle-level device,
where element work is a bound beside the matrix product's and both are compute. Then the words tell where the time went.
Left out: what would be gained without the cause.
"""

from __future__ import annotations

from collections.abc import Mapping

from gatherline.report.time_causes import TIME_CAUSES

MEMORY = ("weights", "activations")
WORK = ("compute", "imbalance", "conflict")
# bounds, or causes of lost cycles, that are of the work: beside these causes of it count together. Beside a memory they
# do not, since on cycle-level devices each of them could have been the bound
WORK_BOUNDS = frozenset(
    ("compute", "gather", "issue", "conflict", "scatter", "imbalance", "padding", "vector", "overhead", "")
)
SMALL_PART = 0.0005  # which is not worth a word
_TITLES = {cause.name: cause.title.replace(", ", " and ") for cause in TIME_CAUSES}  # inside of a sentence


def largest_cause(row: Mapping[str, object]) -> tuple[str, float] | None:
    """Return what most of the row's time went to and its seconds; None where the row does not tell.

    ``row``: has the columns ``time_CAUSE_s``, and ``bound`` where it is known. Memory (weights, activations) is
    compared with work (compute, imbalance, conflicts) and overhead, then the larger part inside is named: "memory,
    above all weights", "memory (weights)" where it is all, "compute". Seconds are those of memory, work or overhead.
    """
    spent: dict[str, float] = {}
    for cause in TIME_CAUSES:
        seconds = row.get(cause.column)
        if not isinstance(seconds, int | float):
            return None
        spent[cause.name] = seconds
    work = [WORK] if (row.get("bound") or "") in WORK_BOUNDS else [(name,) for name in WORK]
    group = max([MEMORY, *work, ("overhead",)], key=lambda names: sum(spent[name] for name in names))
    seconds = sum(spent[name] for name in group)
    return (_words(group, spent), seconds) if seconds > 0 else None


def _words(group: tuple[str, ...], spent: Mapping[str, float]) -> str:
    """Return the group, and the part of it that is largest; the first of equals."""
    largest = max(group, key=lambda name: spent[name])
    alone = sum(spent[name] for name in group if name != largest) < SMALL_PART * spent[largest]
    if group == MEMORY:
        return f"memory ({_TITLES[largest]})" if alone else f"memory, above all {_TITLES[largest]}"
    return _TITLES[largest] if alone else f"work, above all {_TITLES[largest]}"
