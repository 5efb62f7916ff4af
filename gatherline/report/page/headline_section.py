"""What the page of a run says first: for each device, and each share of weights that a reader may be able to remove,
the best pattern, what it brings, and how sure that is.

Every number comes from the same facts as the terminal's headline. Left out: accuracy, which a run does not know.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from gatherline.report.headline import DeviceHeadline, Verdict, limits_of
from gatherline.report.page.results import TIMES, DeviceResults, band_text, change, measure, time_shares, times
from gatherline.report.remarks import density, label, removed_share, span
from gatherline.report.selection import RowLike, number, percent, removed, text, variant

ANY = 1.0  # the limit of a run with no sparsities to choose between
NAMED = 2  # of variants as fast as the best
_UNIT = re.compile(r"(?P<chip>[^:;,]+) CPU|[^:;,]+ GPU.* \((?P<of>[^()]+)\)")  # how summaries of a chip's units begin


def headline_section(devices: list[DeviceResults], facts: Sequence[DeviceHeadline]) -> dict[str, object]:
    """Return the limits, a card for each device with an answer for each, and where nothing beats dense."""
    limits = _limits(devices)
    titles = device_titles(devices)
    about = {device.name: device for device in devices}
    beyond = bool(limits) and any(one.beyond for one in facts)
    cards = [_card(one, about[one.device], titles, limits, beyond=beyond) for one in facts]
    return {
        "limits": [{"value": limit, "words": percent(limit)} for limit in limits],
        "preset": preset(limits),
        "beyond": beyond,
        "titles": titles,
        "cards": cards,
        "asked_otherwise": _asked_otherwise(facts),
        "not_beaten": [one.device for one in facts if one.nothing_faster and one.dense is not None],
        "without_dense": [one.device for one in facts if one.dense is None],
    }


def _asked_otherwise(facts: Sequence[DeviceHeadline]) -> str:
    """Return the name of a variant that is shown and removes another share than it was asked for, "" for none."""
    verdicts = [each.verdict for one in facts for each in one.limits if each.verdict is not None]
    names = (label(found.best) for found in (*verdicts, *facts))
    return next((name for name in names if name.endswith(" asked)")), "")


def choices_data(devices: list[DeviceResults], facts: Sequence[DeviceHeadline]) -> dict[str, object]:
    """Return what scripts need to follow the device and the limit that a reader chooses, as JSON.

    ``best``: of each device and limit a variant, the fastest of all where nothing that was run removes so little.
    """
    limits = _limits(devices)
    of_device = {one.device: one for one in facts}
    return {
        "devices": [device.name for device in devices],
        "limits": limits or [ANY],
        "preset": preset(limits),
        "best": [_best(device, of_device.get(device.name), len(limits)) for device in devices],
    }


def preset(limits: Sequence[float]) -> int:
    """Return the place of the limit that a page begins with: the middle one, of two the one that removes less."""
    return max(0, (len(limits) - 1) // 2)


def device_titles(devices: list[DeviceResults]) -> dict[str, str]:
    """Return a title for each device: which unit of a chip it is, in the words of its summary, where two are of one."""
    found = {device.name: _UNIT.match(device.summary) for device in devices}
    chips = {name: one["chip"] or one["of"] for name, one in found.items() if one is not None}
    shared = [chip for chip in chips.values() if list(chips.values()).count(chip) > 1]
    return {name: one[0] if one is not None and chips[name] in shared else name for name, one in found.items()}


def _limits(devices: list[DeviceResults]) -> list[float]:
    """Return the limits to choose between, none where fewer than two sparsities were run."""
    found = limits_of([row for device in devices for row in device.totals])
    return list(found) if len(found) > 1 else []


def _best(device: DeviceResults, found: DeviceHeadline | None, limits: int) -> list[dict[str, object]]:
    first = next(iter(device.layers), None) or variant(device.totals[0])
    verdicts: list[Verdict | None] = [found] * max(1, limits)
    if found is not None and limits:
        verdicts = [one.verdict or found for one in found.limits]
    asked = [first if one is None else variant(one.best) for one in verdicts]
    return [{"pattern": one.pattern, "sparsity": one.sparsity} for one in asked]


def _card(
    found: DeviceHeadline, device: DeviceResults, titles: dict[str, str], limits: list[float], *, beyond: bool
) -> dict[str, object]:
    verdicts: list[tuple[str, Verdict | None]] = [("", found)]
    if limits:
        verdicts = [(percent(one.limit), one.verdict) for one in found.limits]
        verdicts += [("", found)] if beyond else []
    return {
        "device": device.name,
        "title": titles[device.name],
        "summary": device.summary,
        "kind": found.kind.replace("_", " "),
        "answers": [_answer(verdict, words) for words, verdict in verdicts],
    }


def _answer(found: Verdict | None, limit: str) -> dict[str, object]:
    """Return what a device's fastest variant is like, among those that remove at most ``limit``, "" for any."""
    if found is None:
        return {"limit": limit, "found": False}
    best, dense = found.best, found.dense
    other = dense is not None and not found.best_is_dense
    return {
        "limit": limit,
        "found": True,
        "name": named(found),
        "nothing_gains": found.nothing_faster,
        "alone": bool(limit) and found.best_is_dense and found.tried == 1,
        "factor": times(found.speed_up) if other and found.speed_up is not None else "",
        "latency": measure(best, "latency_s"),
        "dense_latency": measure(dense, "latency_s") if other and dense is not None else "",
        "band": band_text(best),
        "span": span(found, TIMES),
        "certainty": found.certainty,
        "maybe": found.may_be_no_faster,
        "memory": measure(best, "peak_memory_bytes"),
        "memory_change": change(number(dense, "peak_memory_bytes"), number(best, "peak_memory_bytes"))
        if other and dense is not None
        else "",
        "removes": "" if found.best_is_dense else _removes(best),
        "density": density(best),
        "bound": text(best, "bound"),
        "shares": time_shares(best),
        "extrapolated": found.extrapolated,
    }


def named(found: Verdict) -> str:
    """Return the best variant's name, and those of the others that are as fast, or how many there are."""
    names = [label(row) for row in (found.best, *(() if found.best_is_dense else found.ties))]
    others = (
        f" and {len(names) - 1} alike" if len(names) > NAMED else "".join(f" and, alike, {one}" for one in names[1:])
    )
    return (names[0] + others).replace(" %", "\N{NO-BREAK SPACE}%").replace(" asked)", "\N{NO-BREAK SPACE}asked)")


def _removes(row: RowLike) -> str:
    share = removed(row)
    return "-" if share is None else removed_share(share, variant(row).sparsity)
