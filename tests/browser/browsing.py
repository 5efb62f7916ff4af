"""A page in a real browser: headless Chromium of the system, driven by Playwright; what it complains about is kept."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
WIDTHS = (1440, 768, 390)


def chromium_path() -> str:
    """Return the browser's path. Raises RuntimeError naming the package that brings one."""
    for name in NAMES:
        found = shutil.which(name)
        if found:
            return found
    raise RuntimeError("no Chromium on PATH: install it (on Debian and Ubuntu: the package chromium)")


_open: list[Browser] = []  # Playwright runs once in a process


@contextmanager
def browser() -> Iterator[Browser]:
    """Yield a browser; the one that is open already, where a test file asks for its own beside the session's."""
    if _open:
        yield _open[0]
        return
    with sync_playwright() as playwright:
        # --no-sandbox: tests may run as root, on pages that they made themselves
        opened = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        _open.append(opened)
        try:
            yield opened
        finally:
            _open.clear()
            opened.close()


@contextmanager
def shown(
    opened: Browser, path: Path, *, width: int = 1440, theme: str = "light", scripts: bool = True, address: str = ""
) -> Iterator[tuple[Page, list[str]]]:
    """Open ``path`` from the disk, at ``address`` of it; yield the page and what it complained about so far.

    Complaints are those of the console, of scripts and of the network. ``scripts``: whether the page may run its own.
    """
    context = opened.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=theme,  # type: ignore[arg-type]
        java_script_enabled=scripts,
        reduced_motion="reduce",  # a smooth scroll is still on its way when the next step comes
    )
    complaints: list[str] = []
    page = context.new_page()
    page.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url:.200}"))
    page.on(
        "request", lambda request: complaints.append(f"asked for {request.url:.200}") if _outside(request.url) else None
    )
    try:
        page.goto(path.absolute().as_uri() + address)
        yield page, complaints
    finally:
        context.close()


def serious_problems(page: Page) -> list[str]:
    """Return what axe-core finds on the page that it calls serious or critical: rule, and the first places."""
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {[node['html'][:160] for node in each['nodes'][:3]]}"
        for each in found
        if each["impact"] in ("serious", "critical")
    ]


def _outside(url: str) -> bool:
    return not url.startswith(("file:", "data:", "blob:", "about:"))
