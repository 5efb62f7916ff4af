"""What the site adds to docs/ while mkdocs builds it: pages made from the code, sources that guides link to, decisions.

Nothing that is made here is written into the repository. ADR 0031 says why.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from api_pages import api_pages
from columns_page import columns_page
from command_page import command_page
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from repository import DECISIONS, DOCS, LISTINGS, PAGES, ROOT, for_the_site, linked_files, listing, page_of, shown_files

sys.path.insert(0, str(ROOT))  # the packages, where the site is built in a checkout that is not installed
FOLDER = "adr/"  # of the navigation: all decisions


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the decisions into the navigation, and leave out guides that this checkout does not have."""
    config.nav = _present(config.nav or [], _made())
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are no file of docs/."""
    for page, text in sorted(_made().items()):
        files.append(File.generated(config, page, content=text))
    for path, page in PAGES.items():
        text = (ROOT / path).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=for_the_site(text, path, page)))
    for path in sorted(_sources()):
        files.append(File.generated(config, page_of(path), content=listing(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite the links of a guide; those of other pages were made for the site."""
    if page.file.generated_by is not None:
        return markdown
    return for_the_site(markdown, f"{DOCS}/{page.file.src_uri}", page.file.src_uri)


def _made() -> dict[str, str]:
    """Return the pages that come from the code."""
    made = {f"api/{name}.md": text for name, text in api_pages().items()}
    made["reference/columns.md"] = columns_page()
    made["reference/command.md"] = command_page()
    made[page_of(DECISIONS)] = _decisions()
    return made


def _decisions() -> str:
    lines = [f"- [{_title(path)}]({path.name})" for path in _decision_files()]
    words = "For people who ask why something is as it is: one page for each decision that a reader would ask about."
    return "\n\n".join(["# Decisions", words, "\n".join(lines)]) + "\n"


def _decision_files() -> list[Path]:
    return sorted((ROOT / DECISIONS).glob("[0-9]*.md"))


def _title(path: Path) -> str:
    return path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")


def _sources() -> set[str]:
    """Return the files of the repository that a document links to and that have no page of their own."""
    documents = {path: (ROOT / path) for path in PAGES}
    documents |= {str(path.relative_to(ROOT)): path for path in (ROOT / DOCS).rglob("*.md")}
    found = {
        file for path, where in documents.items() for file in linked_files(where.read_text(encoding="utf-8"), path)
    }
    found |= {file for folder in found for file in shown_files(folder)}
    return {path for path in found if page_of(path).startswith(f"{LISTINGS}/")}


def _present(nav: list[Any], made: dict[str, str]) -> list[Any]:
    """Return ``nav`` without pages that do not exist, and with every decision where the folder of them stands."""
    kept: list[Any] = []
    for item in nav:
        if isinstance(item, str):
            kept += [item] if _exists(item, made) else []
            continue
        ((title, below),) = item.items()
        if isinstance(below, list):
            shown = _present(below, made)
            kept += [{title: shown}] if shown else []
        elif below == FOLDER:
            decisions = [{_title(path): f"{FOLDER}{path.name}"} for path in _decision_files()]
            kept.append({title: [f"{FOLDER}index.md", *decisions]})
        elif _exists(below, made):
            kept.append(item)
    return kept


def _exists(page: str, made: dict[str, str]) -> bool:
    if page.startswith(f"{LISTINGS}/"):
        return page.removeprefix(f"{LISTINGS}/").removesuffix(".md") in _sources()
    return page in made or page in PAGES.values() or (ROOT / DOCS / page).is_file()


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Name the theme's search dialog, which screen readers announce. Raises ValueError where the theme has another."""
    unnamed = 'data-md-component="search" role="dialog"'
    if output.count(unnamed) != 1:
        raise ValueError(f"page {page.file.src_uri}: the theme's search dialog is not where it was named")
    return output.replace(unnamed, f'{unnamed} aria-label="Search"')
