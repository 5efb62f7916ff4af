"""The site as it is built: strictly, no link leads nowhere, nothing comes from elsewhere, and a browser opens it.

Links to other sites are not fetched. Left out: what pages say, which ``tests/unit/test_site_pages.py`` checks.
"""

from __future__ import annotations

import os
import posixpath
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.browsing import serious_problems, shown

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
LOADED = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src"), ("object", "data")}
TRIES = 12
OPENED = ("index.html", "patterns.html", "api/gatherline.html")


class Read(HTMLParser):
    """A page's identifiers, what it loads and where its links lead."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.paragraphs: list[str] = []
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" or (tag == "a" and name == "name"):
                self.ids.add(value or "")
            elif (tag, name) in LOADED:
                self.loaded.append(value or "")
            elif (tag, name) == ("a", "href"):
                self.links.append(value or "")
        if tag == "p":
            self.paragraphs.append("")
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == "p" and self._open:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open:
            self.paragraphs[-1] += data


def build(folder: Path, config: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(config), "--site-dir", str(folder)]
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(folder, ROOT / "mkdocs.yml")
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Read]:
    return {
        str(path.relative_to(site)): Read(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))
    }


def broken(site: Path, pages: dict[str, Read], at: str, target: str) -> bool:
    """Return whether a link of the page ``at`` leads to no file, or to a place that its page does not have."""
    split = urlsplit(target)
    path = posixpath.normpath(posixpath.join(posixpath.dirname(at), unquote(split.path))) if split.path else at
    if path.startswith("..") or not (site / path).is_file():
        return True
    return bool(split.fragment) and path in pages and unquote(split.fragment) not in pages[path].ids


def test_no_link_of_any_page_leads_nowhere(site: Path, pages: dict[str, Read]) -> None:
    leading = [
        (at, target)
        for at, page in pages.items()
        for target in (*page.links, *page.loaded)
        if not urlsplit(target).scheme and at != "404.html"  # whose links are from the root of a server
    ]
    assert len(leading) > 10_000
    assert [one for one in leading if broken(site, pages, *one)] == []


def test_a_link_that_leads_nowhere_is_noticed(site: Path, pages: dict[str, Read]) -> None:
    assert broken(site, pages, "index.html", "gone.html")
    assert broken(site, pages, "index.html", "sweep.html#gone")
    assert broken(site, pages, "api/results.html", "sweep.html")
    assert not broken(site, pages, "api/results.html", "../sweep.html#the-front")


def test_pages_load_nothing_from_elsewhere_and_lead_there_by_https(pages: dict[str, Read]) -> None:
    for at, page in pages.items():
        assert [target for target in page.loaded if urlsplit(target).scheme not in ("", "data")] == [], at
        assert {urlsplit(target).scheme for target in page.links} <= {"", "https", "mailto"}, at


def test_styles_load_nothing_from_elsewhere(site: Path) -> None:
    sheets = sorted(site.rglob("*.css"))
    assert sheets
    for path in sheets:
        text = path.read_text(encoding="utf-8")
        assert "url(http" not in text, path.name
        assert "@import" not in text, path.name


def test_lists_and_tables_are_no_paragraphs(pages: dict[str, Read]) -> None:
    for at, page in pages.items():
        for text in page.paragraphs:
            assert "\n- " not in text, f"{at}: {text:.200}"
            assert "|---" not in text, f"{at}: {text:.200}"


def test_every_decision_and_the_files_that_guides_speak_of_have_a_page(site: Path, pages: dict[str, Read]) -> None:
    decisions = {f"adr/{path.stem}.html" for path in (ROOT / "docs" / "adr").glob("[0-9]*.md")}
    assert decisions <= set(pages)
    assert {"changelog.html", "contributing.html", "deviations.html", "source/simulator/machine.py.html"} <= set(pages)


def test_a_broken_link_or_a_guide_without_a_place_fails_the_build(tmp_path: Path) -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    config = tmp_path / "mkdocs.yml"
    moved = text.replace("docs_dir: docs", f"docs_dir: {ROOT / 'docs'}").replace("docs/site/", f"{ROOT}/docs/site/")
    config.write_text(
        moved.replace("paths: [.]", f"paths: [{ROOT}]").replace("      - store.md\n", ""), encoding="utf-8"
    )
    done = build(tmp_path / "site", config)
    assert done.returncode == 1
    assert "store.md" in done.stderr


@pytest.mark.parametrize("name", OPENED)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_page_opens_from_the_disk_without_complaint(site: Path, opened: Browser, name: str, theme: str) -> None:
    with shown(opened, site / name, theme=theme) as (page, complaints):
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.locator(".md-typeset__scrollwrap").first).to_have_attribute("tabindex", "0")
        assert complaints == []  # before axe asks for the styles by itself, which a page from the disk may not
        assert serious_problems(page) == []


@pytest.mark.parametrize("name", OPENED)
def test_a_page_is_no_wider_than_a_phone(site: Path, opened: Browser, name: str) -> None:
    with shown(opened, site / name, width=390) as (page, complaints):
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        assert complaints == []


def test_the_search_finds_a_word_on_a_page_from_the_disk(site: Path, opened: Browser) -> None:
    with shown(opened, site / "index.html") as (page, complaints):
        box, found = page.get_by_role("textbox", name="Search"), page.locator(".md-search-result__link").first
        for _ in range(TRIES):  # what is typed before the page listens is lost, and a busy machine is late
            box.fill("")
            box.press_sequentially("elasticity")
            try:
                expect(found).to_be_visible(timeout=5_000)
                break
            except AssertionError:
                continue
        expect(page.locator(".md-search-result__list")).to_contain_text("What would a faster device do?")
        assert complaints == []


def test_the_theme_is_switched_by_a_button(site: Path, opened: Browser) -> None:
    with shown(opened, site / "index.html") as (page, complaints):
        expect(page.locator("body")).to_have_attribute("data-md-color-scheme", "default")
        page.locator("label[title=Dark]").click()
        expect(page.locator("body")).to_have_attribute("data-md-color-scheme", "slate")
        assert complaints == []
