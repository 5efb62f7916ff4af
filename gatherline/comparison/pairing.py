"""Which row of one side is compared with which of the other; what has no partner is listed, never dropped.

Points (model, pattern, sparsity, device) pair by name. Where the names of one dimension have nothing in common and each
side has a single one, they pair across it, and a note says so; ``--pair A=B`` pairs names by hand (by_hand.py). Layers
of two points pair by name, those of one name in their order; what is left between the same neighbours pairs where kind
and dense multiply-adds agree (a renamed layer). Left out: guesses across several names, and layers that were split or
merged.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from gatherline.comparison.by_hand import Renamed, check_used, hand_names, is_beside, proposal, stands_aside
from gatherline.comparison.pair import Pair
from gatherline.comparison.point import DIMENSIONS, Dimension, Point, layer_of, point_of
from gatherline.report.selection import RowLike
from gatherline.request_error import RequestError

NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """``notes``: what was paired across names and what changed its place, in words.

    ``left_before``, ``left_after``: rows that stand aside for names paired by hand. ``proposal``: a ``--pair`` that
    would join two networks without a partner, "" where none would.
    """

    pairs: tuple[Pair, ...]
    only_before: tuple[RowLike, ...]
    only_after: tuple[RowLike, ...]
    left_before: tuple[RowLike, ...]
    left_after: tuple[RowLike, ...]
    notes: tuple[str, ...]
    proposal: str


def pair_rows(before: Sequence[RowLike], after: Sequence[RowLike], names: Mapping[str, str]) -> Pairing:
    """Return the pairs of two sides. ``names``: what is called otherwise, the first side's name first.

    Raises RequestError where nothing is in common, saying what each side has.
    """
    ours, theirs = _by_point(before), _by_point(after)
    hand = hand_names(list(ours), list(theirs), names)
    mine = [point for point in ours if not stands_aside(point, hand, "first")]
    others = [point for point in theirs if not stands_aside(point, hand, "second")]
    partners, renamed, notes = _partners(mine, others, hand)
    pairs: list[Pair] = []
    only_before: list[RowLike] = []
    only_after: list[RowLike] = []
    layer_notes: dict[str, int] = {}
    for point, partner in partners.items():
        found, alone, new, told = _pair_layers(point, ours[point], theirs[partner], names)
        pairs += found
        only_before += alone
        only_after += new
        for note in told:
            layer_notes[note] = layer_notes.get(note, 0) + 1
    taken = set(partners.values())
    lone = {point: _key(point, renamed) for point in mine if point not in partners}
    other_lone = {point: _key(point, {}) for point in others if point not in taken}
    offer = proposal(lone, other_lone)
    if not pairs:
        hint = f"{offer} compares two of them" if offer else "--pair OLD=NEW pairs names"
        raise RequestError(f"the two have nothing in common: {_has('the first', list(ours))}; "
                           f"{_has('the second', list(theirs))}; {hint}")  # fmt: skip
    notes = check_used(names, pairs) + notes
    notes += [f"{note} (in {times} networks)" if times > 1 else note for note, times in layer_notes.items()]
    missing = [point for point in lone if not is_beside(point, hand, "first")]
    other_missing = [point for point in other_lone if not is_beside(point, hand, "second")]
    return Pairing(
        pairs=tuple(pairs),
        only_before=(*only_before, *_rows(ours, missing)),
        only_after=(*only_after, *_rows(theirs, other_missing)),
        left_before=_rows(ours, set(ours) - set(partners) - set(missing)),
        left_after=_rows(theirs, set(theirs) - taken - set(other_missing)),
        notes=tuple(notes),
        proposal=offer if missing and other_missing else "",
    )


def _rows(rows: Mapping[Point, Sequence[RowLike]], points: Collection[Point]) -> tuple[RowLike, ...]:
    return tuple(row for point, some in rows.items() if point in points for row in some)


def _by_point(rows: Sequence[RowLike]) -> dict[Point, list[RowLike]]:
    found: dict[Point, list[RowLike]] = {}
    for row in rows:
        found.setdefault(point_of(row), []).append(row)
    return found


def _partners(
    ours: Sequence[Point], theirs: Sequence[Point], hand: Renamed
) -> tuple[dict[Point, Point], Renamed, list[str]]:
    """Return the partner of each point of the first side that has one, all names paired, and notes on those found."""
    renamed = dict(hand)
    notes = []
    for dimension in DIMENSIONS:
        if any(kind == dimension for kind, _ in hand):
            continue
        mine, other = _values(ours, dimension), _values(theirs, dimension)
        if dimension in ("pattern", "sparsity"):  # dense pairs with dense, and the pruned ones are told apart
            mine, other = _pruned(ours, theirs, dimension)
        if len(mine) == len(other) == 1 and mine != other:
            renamed[dimension, mine[0]] = other[0]
            notes.append(f"the {dimension} differs: {mine[0]} is compared with {other[0]}")
    keys = {_key(point, {}): point for point in theirs}
    found: dict[Point, Point] = {}
    taken: set[Point] = set()
    for point in ours:
        exact, moved = keys.get(_key(point, {})), keys.get(_key(point, renamed))
        by_hand = any((dimension, point.spelled(dimension)) in hand for dimension in DIMENSIONS)
        partner = moved if moved is not None or by_hand else exact
        if partner is not None and partner not in taken:
            found[point] = partner
            taken.add(partner)
    return found, renamed, notes


def _pruned(ours: Sequence[Point], theirs: Sequence[Point], dimension: Dimension) -> tuple[list[str], list[str]]:
    """Return the values of each side, without those of dense networks where both sides have others too."""
    sparse = [[point for point in points if point.pattern != "dense"] for points in (ours, theirs)]
    if not all(sparse):
        return _values(ours, dimension), _values(theirs, dimension)
    return _values(sparse[0], dimension), _values(sparse[1], dimension)


def _values(points: Sequence[Point], dimension: Dimension) -> list[str]:
    return list(dict.fromkeys(point.spelled(dimension) for point in points))


def _key(point: Point, renamed: Mapping[tuple[Dimension, str], str]) -> tuple[str, ...]:
    own = [(dimension, point.spelled(dimension)) for dimension in DIMENSIONS]
    if point.pattern == "dense" and ("pattern", "dense") not in renamed:  # its sparsity is none, whatever others have
        renamed = {key: value for key, value in renamed.items() if key[0] != "sparsity"}
    return tuple(renamed.get(each, each[1]) for each in own)


def _has(side: str, points: Sequence[Point]) -> str:
    parts = []
    for dimension in DIMENSIONS:
        values = _values(points, dimension)
        more = f" and {len(values) - NAMED} more" if len(values) > NAMED else ""
        parts.append(f"{dimension} {', '.join(values[:NAMED])}{more}")
    return f"{side} has {', '.join(parts)}"


def _pair_layers(
    point: Point, ours: Sequence[RowLike], theirs: Sequence[RowLike], names: Mapping[str, str]
) -> tuple[list[Pair], list[RowLike], list[RowLike], list[str]]:
    """Return pairs, rows of the first and of the second side alone, and notes."""
    places = {key: at for at, key in enumerate(_keys(theirs, {}))}
    partner = [places.get(key) for key in _keys(ours, names)]
    kept = _in_order([at for at in partner if at is not None])
    moved = [layer_of(ours[i]) for i, at in enumerate(partner) if at is not None and at not in kept]
    notes = [f"layers run in another order: {_some(moved)}"] if moved else []
    renamed = _renamed(ours, theirs, partner, kept)
    if renamed:
        told = [f"{layer_of(ours[i])} -> {layer_of(theirs[at])}" for i, at in renamed.items()]
        notes.append(f"renamed layers are paired by place, kind and multiply-adds: {_some(told)}")
    pairs, alone = [], []
    taken = set()
    for i, row in enumerate(ours):
        place = renamed.get(i, partner[i])
        if place is None:
            alone.append(row)
            continue
        taken.add(place)
        pairs.append(Pair(point=point, before=row, after=theirs[place]))
    return pairs, alone, [row for at, row in enumerate(theirs) if at not in taken], notes


def _keys(rows: Sequence[RowLike], names: Mapping[str, str]) -> list[tuple[str, int]]:
    """Return each layer's name and how many of that name came before it."""
    seen: Counter[str] = Counter()
    found = []
    for row in rows:
        name = names.get(layer_of(row), layer_of(row))
        found.append((name, seen[name]))
        seen[name] += 1
    return found


def _in_order(places: Sequence[int]) -> set[int]:
    """Return the places of a longest rising run among ``places``: layers that kept their order."""
    tails: list[int] = []  # the least last place of a rising run of each length
    lengths = []
    for place in places:
        length = bisect_left(tails, place)
        tails[length : length + 1] = [place]
        lengths.append(length)
    kept: set[int] = set()
    wanted = len(tails) - 1
    for place, length in zip(reversed(places), reversed(lengths), strict=True):
        if length == wanted:
            kept.add(place)
            wanted -= 1
    return kept


def _renamed(
    ours: Sequence[RowLike], theirs: Sequence[RowLike], partner: Sequence[int | None], kept: set[int]
) -> dict[int, int]:
    """Return for rows without a partner the place of the row that stands between the same neighbours and does as much.

    Only where each side has equally many of such rows there; otherwise nothing says which is which.
    """
    taken = {at for at in partner if at is not None}
    gaps: dict[tuple[int, object], tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    last = -1
    for i, at in enumerate(partner):
        if at is None:
            gaps[last, _work(ours[i])][0].append(i)
        elif at in kept:
            last = at
    last = -1
    for at, row in enumerate(theirs):
        if at in kept:
            last = at
        elif at not in taken:
            gaps[last, _work(row)][1].append(at)
    return {
        i: at for mine, others in gaps.values() if len(mine) == len(others) for i, at in zip(mine, others, strict=True)
    }


def _work(row: RowLike) -> tuple[object, object]:
    return row.get("kind"), row.get("macs_dense")


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
