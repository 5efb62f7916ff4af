"""The fixture ``gatherline_snapshot`` and the option ``--gatherline-update``; asked for, never loaded by itself.

A suite takes it with ``-p gatherline.pytest_plugin`` in its options or ``pytest_plugins`` in its top conftest.py. It is
no entry point on purpose: pytest would load it in every project beside this package, and would rewrite the assertions
of all its modules, kernels included, for nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from gatherline.pipeline_types import Report
from gatherline.testing import assert_matches_snapshot

FOLDER = "snapshots"  # beside the test's file
Check = Callable[..., None]
_TAKEN = pytest.StashKey[dict[Path, str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that writes snapshots."""
    parser.getgroup("gatherline").addoption(
        "--gatherline-update", action="store_true", help="write snapshots of runs instead of comparing with them"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Begin a session in which no snapshot is taken yet."""
    config.stash[_TAKEN] = {}


@pytest.fixture
def gatherline_snapshot(request: pytest.FixtureRequest) -> Check:
    """Return ``check(report, name=None, rules=None)``: compares with ``snapshots/NAME.json`` beside the test's file.

    ``name``: by default the test's; a test that checks twice names both. ``rules``: as of ``assert_matches_snapshot``.
    """
    asked: set[Path] = set()

    def check(
        report: Report | str | Path | Sequence[Mapping[str, object]],
        name: str | None = None,
        *,
        rules: Sequence[str] | None = None,
    ) -> None:
        __tracebackhide__ = True
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name or request.node.name).strip("-.") or "snapshot"
        path = Path(request.path).parent / FOLDER / f"{plain}.json"
        owner = request.config.stash[_TAKEN].setdefault(path, request.node.nodeid)
        if path in asked or owner != request.node.nodeid:
            raise AssertionError(f"{path}: is the snapshot of another check too ({owner}); give each a name of its own")
        asked.add(path)
        assert_matches_snapshot(report, path, rules=rules, update=request.config.getoption("--gatherline-update"))

    return check
