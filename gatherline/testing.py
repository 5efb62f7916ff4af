"""For test suites of products: the numbers of a run against a snapshot that lies in git, and why they moved.

``assert_matches_snapshot`` serves any test runner; ``gatherline.pytest_plugin`` has it as a fixture. A snapshot is
written only where that is asked for: one that is missing fails, so that a build never makes its own truth.
Left out: accuracy, and times that were measured.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gatherline.pipeline_types import Report
from gatherline.request_error import RequestError

if TYPE_CHECKING:
    from gatherline.comparison.comparison import Comparison

HOW_TO_UPDATE = "run the tests with --gatherline-update, or pass update=True"


def assert_matches_snapshot(
    report: Report | str | Path | Sequence[Mapping[str, object]],
    path: str | Path,
    *,
    rules: Sequence[str] | None = None,
    update: bool = False,
) -> None:
    """Raise AssertionError, saying what moved layer by layer, unless ``report`` has the numbers of the snapshot.

    ``report``: a Report, its rows, or a run's folder. ``rules``: what may not be, as in "latency_s > +2%"; without any,
    nothing may move by a cycle or a byte, and no layer may come or go. ``update``: write the snapshot instead.
    Raises RequestError for a wrong rule or file.
    """
    from gatherline.comparison.comparison import compare
    from gatherline.comparison.rules import parse_rule, texts_of
    from gatherline.comparison.side import made_side, side_of
    from gatherline.comparison.snapshot import rows_of_snapshot, snapshot_text
    from gatherline.report.comparison_files import write_text

    __tracebackhide__ = True  # pytest shows the line of the test, not this one
    file = Path(path)
    rules = texts_of("rules", () if rules is None else rules)
    for rule in rules:
        parse_rule(rule)  # a wrong one is told before the snapshot is written
    side = side_of(report, "this run")
    if side.stopped:
        raise RequestError(f"{side.name}: is of a run that was stopped, and a snapshot needs a whole one")
    text = snapshot_text(side.manifest, side.rows)
    if update:
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            write_text(file, text)
        return
    if not file.exists():
        raise AssertionError(f"{file}: there is no such snapshot; to make it {HOW_TO_UPDATE}, then commit the file")
    manifest, rows = rows_of_snapshot(file, json.loads(text))  # the same few columns as the file has
    now = made_side("this run", manifest, rows, is_snapshot=True)
    before = side_of(file)
    if not before.is_snapshot:
        raise AssertionError(f"{file}: is a report and no snapshot; to make one there, {HOW_TO_UPDATE}")
    found = compare(before, now, rules=rules)
    if found.broken or (not rules and found.moved):
        raise AssertionError(_explained(found, file))


def _explained(found: Comparison, file: Path) -> str:
    from gatherline.report.comparison_broken import broken_lines
    from gatherline.report.comparison_table import comparison_text

    lines = [f"{file}: numbers are not those of the snapshot", *broken_lines(found), ""]
    return "\n".join(
        [
            *lines,
            comparison_text(found).rstrip(),
            "",
            f"If this is meant: {HOW_TO_UPDATE}, look at the diff, commit it.",
        ]
    )
