"""Two runs beside each other: rows paired, changes found, rules checked. ``compare`` is the front door.

Nothing is simulated and nothing is rounded: a change of one cycle is a change. Left out: what the devices would
measure, which only the error bands speak of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gatherline.comparison.change import Change, change_of, largest_first
from gatherline.comparison.choice import check_columns, check_held, check_names, selected
from gatherline.comparison.differences import Difference, differences
from gatherline.comparison.pair import Pair
from gatherline.comparison.pairing import Pairing, pair_rows
from gatherline.comparison.rules import Broken, Rule, check_rules, parse_rule, texts_of
from gatherline.comparison.side import NUMBERS, Given, Side, made_side, side_of
from gatherline.report.selection import RowLike

DEFAULT_COLUMNS = (
    "latency_s", "cycles", "peak_memory_bytes", "weight_bytes", "index_bytes", "dram_bytes", "energy_pj", "density",
)  # fmt: skip
ASKED = ("sparsity_target", "sparsity_overall")  # what a run was asked for: a name of the point, not a result
TEXTS = ("kernel", "encoding", "bound", "mapping", "layer_pattern")  # what else of a row can change, as text


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """``before`` and ``after``: the sides. ``columns``: those that are shown, the first sorts.

    ``broken``: what breaks the rules; ``changes``: every number that moved; ``moved``: whether anything did.
    """

    before: Side
    after: Side
    columns: tuple[str, ...]
    rules: tuple[Rule, ...]
    pairing: Pairing
    differences: tuple[Difference, ...]
    broken: tuple[Broken, ...]

    @property
    def shared_columns(self) -> tuple[str, ...]:
        """Columns with a number on both sides."""
        both = self.before.columns & self.after.columns
        return tuple(name for name in NUMBERS if name in both and name not in ASKED)

    @property
    def lone_columns(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Columns that only the first side and only the second has numbers in, but for those a snapshot never holds."""
        ours, theirs = self.before.columns - self.after.columns, self.after.columns - self.before.columns
        if self.after.is_snapshot and not self.before.is_snapshot:
            ours = frozenset()
        if self.before.is_snapshot:  # an older one may lack what newer ones have
            theirs = frozenset()
        found = tuple(tuple(name for name in NUMBERS if name in each and name not in ASKED) for each in (ours, theirs))
        return found[0], found[1]

    @property
    def totals(self) -> tuple[Pair, ...]:
        """Pairs of rows that sum a network."""
        return tuple(pair for pair in self.pairing.pairs if pair.is_total)

    @property
    def layers(self) -> tuple[Pair, ...]:
        """Pairs of rows of single layers."""
        return tuple(pair for pair in self.pairing.pairs if not pair.is_total)

    @property
    def changes(self) -> tuple[Change, ...]:
        """Every number that moved, totals first, in the order of rows and columns."""
        shared = self.shared_columns
        found = (change_of(pair, name) for pair in (*self.totals, *self.layers) for name in shared)
        return tuple(change for change in found if change.moved)

    @property
    def moved(self) -> bool:
        """Whether a number or a text moved, or a row or a column has no partner."""
        alone = self.pairing.only_before or self.pairing.only_after or any(self.lone_columns)
        return bool(alone or self._any_moved())

    def _any_moved(self) -> bool:
        names = (*self.shared_columns, *self.shared_texts)
        return any(pair.before.get(name) != pair.after.get(name) for pair in self.pairing.pairs for name in names)

    @property
    def shared_texts(self) -> tuple[str, ...]:
        """Text columns that both sides carry."""
        return tuple(
            name
            for name in TEXTS
            if all(any(row.get(name) is not None for row in side.rows) for side in (self.before, self.after))
        )

    @property
    def text_changes(self) -> tuple[tuple[Pair, str], ...]:
        """Each pair and text column that differs, in the order of columns, then rows."""
        return tuple(
            (pair, name)
            for name in self.shared_texts
            for pair in self.pairing.pairs
            if (pair.before.get(name) or "") != (pair.after.get(name) or "")
        )

    @property
    def sort_column(self) -> str:
        """The first column in which a layer moved, of those shown and then of all; the first one where none did."""
        for name in dict.fromkeys((*self.columns, *self.shared_columns)):
            if any(change_of(pair, name).moved for pair in self.layers):
                return name
        return self.columns[0]

    def sorted_layers(self) -> list[Change]:
        """Return the layers that moved in ``sort_column``, the largest absolute change first."""
        return largest_first(change_of(pair, self.sort_column) for pair in self.layers)

    def to_json(self) -> str:
        """Return what ``--json`` prints: strict JSON, the same for the same input."""
        from gatherline.report.comparison_files import comparison_json

        return comparison_json(self)

    def text(self) -> str:
        """Return what the command prints, without colours."""
        from gatherline.report.comparison_table import comparison_text

        return comparison_text(self)

    def html(self) -> str:
        """Return the page, one file with nothing to fetch."""
        from gatherline.report.page.compare_page import compare_page

        return compare_page(self)

    def __repr__(self) -> str:
        alone = len(self.pairing.only_before) + len(self.pairing.only_after)
        return f"Comparison({len(self.pairing.pairs):,} rows, {alone:,} alone, {len(self.broken):,} rules broken)"

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        from gatherline.report.comparison_table import print_comparison
        from gatherline.report.notebook import page

        return page(lambda console: print_comparison(self, console))


def compare(
    before: Given | Side,
    after: Given | Side,
    *,
    rules: Sequence[str] = (),
    columns: Sequence[str] = (),
    devices: Sequence[str] = (),
    patterns: Sequence[str] = (),
    pairs: Mapping[str, str] | None = None,
) -> Comparison:
    """Return how two runs, report files, snapshots or Reports differ. Raises RequestError and OSError.

    ``columns``: those to show, the first sorts. ``devices``, ``patterns``: only these. ``pairs``: old names to new.
    """
    parsed = tuple(parse_rule(text) for text in texts_of("rules", rules))
    columns, devices = texts_of("columns", columns), texts_of("devices", devices)
    patterns = texts_of("patterns", patterns)
    check_columns(columns)
    first = before if isinstance(before, Side) else side_of(before, "the first")
    second = after if isinstance(after, Side) else side_of(after, "the second")
    asked = {f"rule {rule.text!r:.100}": rule.column for rule in parsed}
    check_held({**asked, **{f"--column {name}": name for name in columns}}, (first, second))
    check_names(pairs or {}, first, second)
    first, second = selected(first, second, devices, patterns, pairs or {})
    pairing = pair_rows(first.rows, second.rows, pairs or {})
    first, second = _without(first, pairing.left_before), _without(second, pairing.left_after)
    shown = columns or tuple(name for name in DEFAULT_COLUMNS if name in first.columns and name in second.columns)
    whole = bool(first.manifest) and bool(second.manifest) and not (first.is_snapshot or second.is_snapshot)
    return Comparison(
        before=first,
        after=second,
        columns=shown or ("latency_s",),
        rules=parsed,
        pairing=pairing,
        differences=differences(first.manifest, second.manifest, known=whole),
        broken=check_rules(parsed, pairing, (first.columns, second.columns)),
    )


def _without(side: Side, left: Sequence[RowLike]) -> Side:
    """Return the side without rows that stand aside: their columns are none of the comparison's."""
    if not left:
        return side
    gone = {id(row) for row in left}
    rows = [row for row in side.rows if id(row) not in gone]
    return made_side(side.name, side.manifest, rows, is_snapshot=side.is_snapshot)
