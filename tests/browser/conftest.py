"""One browser for the tests of a process; without one they are skipped, but not in CI, which must have one."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.browsing import browser, chromium_path


@pytest.fixture(scope="session")
def opened() -> Iterator[Browser]:
    try:
        chromium_path()
    except RuntimeError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))
    with browser() as found:
        yield found
