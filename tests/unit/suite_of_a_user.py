"""A test suite as a user has it: one file, run by pytest inside pytest.

What it imports stays imported, so that kernels load once. (pytester forgets modules afterwards, and what was imported
before and after is then two things of one name.)
"""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest


def run_suite(file: Path, *options: str) -> tuple[int, str]:
    """Return the exit status and what pytest printed, for the tests of ``file``, without this repository's settings."""
    said = io.StringIO()
    fixed = ("--rootdir", str(file.parent), "-c", "/dev/null", "--import-mode=importlib", "--capture=no", "-q")
    without = ("-p", "no:cacheprovider", "-p", "no:xdist")
    with redirect_stdout(said), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "dont_write_bytecode", True)  # a file that changes within a second would be taken as it was
        patch.delitem(sys.modules, file.stem, raising=False)
        status = pytest.main([*fixed, *without, *options, str(file)])
        sys.modules.pop(file.stem, None)
    return int(status), said.getvalue()
