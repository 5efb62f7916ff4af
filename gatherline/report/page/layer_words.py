"""Why a layer takes its time, in words made from the numbers of its row: the same words in a page and without scripts.

``WORDS`` are sentences with gaps; ``layers.js`` fills the same ones, so that a rule of wording stands here alone.
Left out: what would make the layer faster (``simulate advise`` answers that).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from gatherline.report.time_causes import TIME_CAUSES, TimeCause

Facts = Mapping[str, object]  # of a layer at one device and variant, as layer_columns.facts_of has them

WORDS: Mapping[str, str] = {
    "time": "{layer} takes {time}, {share} of the network's {total} on {device}: number {rank} of {count} by time.",
    "cause": "The largest single cause is {title}: {time}, {share} of the layer's time ({text}).",
    "rest": "Then {rest}.",
    "no_cause": "What its time is made of is not told apart (written by an older version: run it again).",
    "bound": "It is limited by {bound}: {text}.",
    "bound_counted": "It is limited by {bound}: {text}. The bars count that as {title}.",
    "bound_apart": "Its bound is {bound} ({text}), while most of its time is {title} ({cause}): both are at work.",
    "beside_use": "It does {macs} multiply-adds, {part} of those of {beside}, each in {times} times the time: "
    "it reaches {after} of the device's peak, {beside} {before}.",
    "beside_kernel": "The kernel of {beside} is {other}, not {kernel}.",
    "use": "It has {macs} multiply-adds with a kept weight and reaches {utilization} of the device's peak.",
    "use_kernel": "It has {macs} multiply-adds with a kept weight and reaches {utilization} of the device's peak: "
    "the kernel {kernel} {why}.",
    "kernel_why": "The kernel {kernel} {why}.",
    "kernel": "It runs on the kernel {kernel}.",
    "weights": "It runs on the kernel {kernel}, its weights stored as {encoding}, {density} of them kept.",
    "dense_kernel": "The device's dense kernel would take {time}.",
    "reason": "The run notes: {reason}.",
    "equal": "Compared with {beside}, its time is the same.",
    "change": "Compared with {beside}, where it takes {before}: {change} ({percent}).",
    "changes": "Compared with {beside}, where it takes {before}: {change} ({percent}), of it {causes}.",
    "absent": "{beside} has no such layer.",
    "band": "How sure: from {low} to {high} ({validated}).",
    "no_band": "How sure: no error band ({validated}).",
    "extrapolated": "It is outside the range that was fitted or validated.",
}

BOUNDS: Mapping[str, str] = {
    "compute": "its multipliers or vector units are busy longest",
    "core": "another core is at the main memory",
    "dram": "bytes to and from main memory take longest",
    "conflict": "several lanes want the same bank at once",
    "scatter": "results wait to be written",
    "interval": "values and indices of a group take longer to arrive than to be used",
    "imbalance": "units wait for the fullest row, and groups are not full",
    "padding": "slots of tiles and groups are empty",
    "vector": "work outside the matrix product takes longest",
    "gather": "fetching activations by index takes longest",
    "issue": "a core cannot issue its instructions faster",
    "overhead": "starting the operator takes longer than its work",
    "texture": "reads through the texture cache take longest",
    "system_cache": "bytes that the cache of the whole system serves take longest",
}
# The causes that a bound's time counts as, where they bear another name; all other bounds are levels of memory
COUNTED: Mapping[str, tuple[str, ...]] = {
    "compute": ("compute",), "gather": ("compute",), "issue": ("compute",), "vector": ("compute",),
    "conflict": ("conflict",), "scatter": ("conflict",), "imbalance": ("imbalance",), "padding": ("imbalance",),
    "interval": ("weights",), "overhead": ("overhead",),
}  # fmt: skip
MEMORY = ("weights", "activations")
# Why a kernel stays below the peak though its own work is what binds; by the first word of its name
KERNELS: Mapping[str, str] = {
    "depthwise": "uses each value that it loads for one channel alone",
    "spmm": "fetches activations by the index of each kept weight",
}
WORK = ("compute", "gather", "issue")  # bounds that a kernel's own instructions make
LOW = 0.5  # of the peak: below it the kernel's way of working is told
OTHER_BOUND = "bytes that this level of memory serves take longest"

_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_PREFIXES = ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k"), (1.0, ""))
_SMALLEST_S, _LARGEST_S = 1e-12, 1e6
_SMALL_PART = 0.0005  # of the layer's time or its change, which is not worth a word
_LARGEST_PART = 1e4
ALIKE = 0.005  # part of multiply-adds and of their pace that is no difference
MISSING = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a layer stands: ``rank`` of ``count`` by time in a network that takes ``total_s``."""

    layer: str
    device: str
    total_s: float | None
    rank: int
    count: int


def three_digits(value: float) -> str:
    """Return a positive number with three digits, halves up, as a browser rounds it too."""
    if value == 0:
        return "0"
    exact = Decimal(value)
    rounded = exact.quantize(Decimal(1).scaleb(exact.adjusted() - 2), ROUND_HALF_UP)
    text = format(rounded, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def duration(seconds: float | None) -> str:
    """Return a time with its unit."""
    if seconds is None:
        return MISSING
    if seconds == 0:
        return "0 s"
    if seconds < _SMALLEST_S:
        return "under 0.001 ns"
    if seconds >= _LARGEST_S:
        return "over 1000000 s"
    factor, unit = next((each for each in _UNITS if seconds >= each[0]), _UNITS[-1])
    return f"{three_digits(seconds / factor)} {unit}"


def share(fraction: float | None) -> str:
    """Return a part of a whole in percent."""
    if fraction is None:
        return MISSING
    if 0 < fraction < _SMALL_PART:
        return "under 0.1 %"
    if fraction >= _LARGEST_PART:
        return "over 1000000 %"
    percent = Decimal(fraction * 100)  # the float's product, as in a browser
    step = Decimal(1) if percent >= 10 else Decimal("0.1")
    return f"{percent.quantize(step, ROUND_HALF_UP):f} %".replace(".0 %", " %")


def amount(count: float | None) -> str:
    """Return a count with a prefix where it is large."""
    if count is None:
        return MISSING
    factor, prefix = next((each for each in _PREFIXES if count >= each[0]), (1.0, ""))
    return f"{three_digits(count / factor)}{prefix}"


def signed(value: float, text: str) -> str:
    return f"-{text}" if value < 0 else f"+{text}"


def bound_text(bound: str) -> str:
    return BOUNDS.get(bound, OTHER_BOUND)


def causes_of(facts: Facts) -> list[tuple[TimeCause, float]] | None:
    """Return the causes with their seconds, the largest first; None where the row does not tell them."""
    found = [(cause, _number(facts, cause.column)) for cause in TIME_CAUSES]
    known = [(cause, seconds) for cause, seconds in found if seconds is not None]
    return sorted(known, key=lambda each: -each[1]) if len(known) == len(found) else None


def sentences(facts: Facts, place: Place, beside: Facts | None, beside_label: str) -> list[str]:
    """Return why the layer takes its time; ``beside`` is the same layer of the variant that it is compared with.

    No sentence compares where ``beside_label`` is empty.
    """
    seconds = _number(facts, "latency_s") or 0.0
    time = WORDS["time"].format(
        layer=place.layer, device=place.device, time=duration(seconds), total=duration(place.total_s),
        share=share(_part(seconds, place.total_s)), rank=place.rank, count=place.count,
    )  # fmt: skip
    used = _used(facts, beside if beside_label else None, beside_label)
    change = [_change(facts, beside, beside_label)] if beside_label else []
    made = [*_limited_by(facts), *_made_of(facts, seconds)]
    return [time, *change, *used, *made, *_stored(facts), *_noted(facts), *_sure(facts, seconds)]


def _limited_by(facts: Facts) -> list[str]:
    """Return what the row calls its bound, in words, and how it goes with the largest cause."""
    bound, known = _text(facts, "bound"), causes_of(facts)
    if not bound:
        return []
    told = {"bound": bound, "text": bound_text(bound)}
    cause, most = known[0] if known else (None, 0.0)
    if cause is None or most <= 0 or cause.name == bound:
        return [WORDS["bound"].format(**told)]
    counted = [(each, seconds) for each, seconds in known or [] if each.name in COUNTED.get(bound, MEMORY) and seconds]
    if sum(seconds for _, seconds in counted) < most:
        return [WORDS["bound_apart"].format(**told, title=cause.title, cause=cause.text)]
    return [WORDS["bound_counted"].format(**told, title=" and ".join(each.title for each, _ in counted))]


def _used(facts: Facts, beside: Facts | None, label: str) -> list[str]:
    """Return how many multiply-adds there are, how fast each is and why: against the other variant, if they differ."""
    macs, use = _number(facts, "macs_effectual"), _number(facts, "utilization")
    kernel, other = _text(facts, "kernel"), _text(beside or {}, "kernel")
    lines = []
    if macs and use is not None:
        why = KERNELS.get(kernel.split("-")[0]) if _text(facts, "bound") in WORK and use < LOW else None
        told = {"macs": amount(macs), "utilization": share(use), "kernel": kernel, "why": why}
        against = _against(macs, use, beside or {}, label)
        if against:
            lines += [against, *([WORDS["kernel_why"].format(**told)] if why else [])]
        else:
            lines.append(WORDS["use_kernel" if why else "use"].format(**told))
    if kernel and other and kernel != other:
        lines.append(WORDS["beside_kernel"].format(kernel=kernel, beside=label, other=other))
    return lines


def _against(macs: float, use: float, beside: Facts, label: str) -> str:
    """Return how many multiply-adds are left and how fast each is; "" where the other's are the same or unknown."""
    other_macs, before = _number(beside, "macs_effectual"), _number(beside, "utilization")
    if not (other_macs and use and before):
        return ""
    part, times = macs / other_macs, before / use
    if abs(part - 1) < ALIKE and abs(times - 1) < ALIKE:
        return ""
    return WORDS["beside_use"].format(
        macs=amount(macs), part=share(part), beside=label, times=three_digits(times), after=share(use),
        before=share(before),
    )  # fmt: skip


def _made_of(facts: Facts, seconds: float) -> list[str]:
    known = causes_of(facts)
    if known is None:
        return [WORDS["no_cause"]]
    (cause, most), *others = known
    if most <= 0:
        return []
    lines = [
        WORDS["cause"].format(
            title=cause.title, time=duration(most), share=share(_part(most, seconds)), text=cause.text
        )
    ]
    rest = [
        f"{each.title} {duration(part)} ({share(_part(part, seconds))})"
        for each, part in others
        if (_part(part, seconds) or 0.0) >= _SMALL_PART
    ]
    return [*lines, WORDS["rest"].format(rest="; ".join(rest))] if rest else lines


def _stored(facts: Facts) -> list[str]:
    kernel, encoding, density = _text(facts, "kernel"), _text(facts, "encoding"), _number(facts, "density")
    if kernel and encoding and density is not None:
        return [WORDS["weights"].format(kernel=kernel, encoding=encoding, density=share(density))]
    return [WORDS["kernel"].format(kernel=kernel)] if kernel else []


def _noted(facts: Facts) -> list[str]:
    lines = []
    dense_kernel = _number(facts, "dense_kernel_s")
    if dense_kernel is not None:
        lines.append(WORDS["dense_kernel"].format(time=duration(dense_kernel)))
    if _text(facts, "reason"):
        lines.append(WORDS["reason"].format(reason=_text(facts, "reason").rstrip(".")))
    return lines


def _change(facts: Facts, beside: Facts | None, label: str) -> str:
    after = _number(facts, "latency_s")
    before = None if beside is None else _number(beside, "latency_s")
    if beside is None or before is None or after is None:
        return WORDS["absent"].format(beside=label)
    change = after - before
    if abs(change) <= before * _SMALL_PART:
        return WORDS["equal"].format(beside=label)
    told = {
        "beside": label, "before": duration(before), "change": signed(change, duration(abs(change))),
        "percent": signed(change, share(abs(change) / before)) if before else MISSING,
    }  # fmt: skip
    moved = _moved(facts, beside, abs(change))
    return WORDS["changes"].format(causes="; ".join(moved), **told) if moved else WORDS["change"].format(**told)


def _moved(facts: Facts, beside: Facts, change: float) -> list[str]:
    """Return the causes that moved, by how much, those that moved most first."""
    if causes_of(facts) is None or causes_of(beside) is None:
        return []
    moves = [
        (cause, (_number(facts, cause.column) or 0.0) - (_number(beside, cause.column) or 0.0)) for cause in TIME_CAUSES
    ]
    moves.sort(key=lambda each: -abs(each[1]))
    worth = 0.01 * change
    return [f"{cause.title} {signed(move, duration(abs(move)))}" for cause, move in moves if abs(move) > worth]


def _sure(facts: Facts, seconds: float) -> list[str]:
    low, high = _number(facts, "low_ratio"), _number(facts, "high_ratio")
    validated = _text(facts, "validated") or "not validated"
    line = (
        WORDS["no_band"].format(validated=validated)
        if low is None or high is None
        else WORDS["band"].format(low=duration(seconds * low), high=duration(seconds * high), validated=validated)
    )
    return [line, WORDS["extrapolated"]] if facts.get("extrapolated") else [line]


def _part(value: float, whole: float | None) -> float | None:
    return value / whole if whole else None


def _number(facts: Facts, name: str) -> float | None:
    value = facts.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _text(facts: Facts, name: str) -> str:
    value = facts.get(name)
    return value if isinstance(value, str) else ""
