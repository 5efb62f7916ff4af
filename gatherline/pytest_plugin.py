"""The fixture ``gatherline_snapshot`` and the option ``--gatherline-update``; asked for, never loaded by itself.

A suite takes it with ``-p gatherline.pytest_plugin`` in its options or ``pytest_plugins`` in its top conftest.py. It is
no entry point on purpose: pytest would load it in every project beside this package, and would rewrite the assertions
of all its modules, kernels included, for nothing. Tests may run in several processes (pytest-xdist) of one machine; two
tests that share a snapshot are refused in whichever process they run.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from gatherline.pipeline_types import Report
from gatherline.testing import assert_matches_snapshot

FOLDER = "snapshots"  # beside the test's file
LONGEST = 100  # letters of a file's name
Check = Callable[..., None]
_OWNERS = pytest.StashKey[Path]()  # a folder that all processes of the session share: which test owns which snapshot
_MADE = pytest.StashKey[bool]()  # whether this process made it
_OWNERS_KEY = "gatherline_owners"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that writes snapshots."""
    parser.getgroup("gatherline").addoption(
        "--gatherline-update", action="store_true", help="write snapshots of runs instead of comparing with them"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Begin a session in which no snapshot is taken yet; a worker of xdist joins that of its controller."""
    given = getattr(config, "workerinput", {}).get(_OWNERS_KEY)
    config.stash[_MADE] = given is None
    config.stash[_OWNERS] = Path(given or tempfile.mkdtemp(prefix="gatherline-owners-"))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove what the session shared."""
    if config.stash.get(_MADE, False):
        shutil.rmtree(config.stash[_OWNERS], ignore_errors=True)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of xdist, which may not be installed, where the session's owners are."""
    node.workerinput[_OWNERS_KEY] = str(node.config.stash[_OWNERS])


@pytest.fixture
def gatherline_snapshot(request: pytest.FixtureRequest) -> Check:
    """Return ``check(report, name=None, rules=None)``: compares with a file in ``snapshots/`` beside the test's.

    ``name``: of the file; by default ``STEM/CLASS.TEST`` of the test, which a test that checks twice cannot use twice.
    ``rules``: as of ``assert_matches_snapshot``.
    """
    asked: set[Path] = set()

    def check(
        report: Report | str | Path | Sequence[Mapping[str, object]],
        name: str | None = None,
        *,
        rules: Sequence[str] | None = None,
    ) -> None:
        __tracebackhide__ = True
        path = _path(request, name)
        owner = _owner(request.config.stash[_OWNERS], path, request.node.nodeid)
        if path in asked or owner != request.node.nodeid:
            raise AssertionError(f"{path}: is the snapshot of another check too ({owner}); give each a name of its own")
        asked.add(path)
        assert_matches_snapshot(report, path, rules=rules, update=request.config.getoption("--gatherline-update"))

    return check


def _path(request: pytest.FixtureRequest, name: str | None) -> Path:
    file = Path(request.path)
    if name is not None:
        return file.parent / FOLDER / f"{_file_name(name)}.json"
    classes = [node.name for node in request.node.listchain() if isinstance(node, pytest.Class)]
    return file.parent / FOLDER / _file_name(file.stem) / f"{_file_name('.'.join([*classes, request.node.name]))}.json"


def _file_name(name: str) -> str:
    """Return ``name`` as a file's on any system; with a hash where it had to change, so that two stay apart."""
    found = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:LONGEST]
    if found == name:
        return found
    return f"{found or 'snapshot'}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def _owner(folder: Path, path: Path, test: str) -> str:
    """Return the test that took ``path`` first in this session, in any process: ``test`` itself if none had.

    Paths that differ in case alone are one: some file systems cannot tell them apart.
    """
    record = folder / hashlib.sha256(str(path).casefold().encode("utf-8", "surrogatepass")).hexdigest()
    aside = folder / f"{record.name}-{os.getpid()}"
    aside.write_text(test, encoding="utf-8", errors="surrogatepass")
    try:
        os.link(aside, record)  # whole at once, and fails where one stands
    except FileExistsError:
        return record.read_text(encoding="utf-8", errors="surrogatepass")
    finally:
        aside.unlink()
    return test
