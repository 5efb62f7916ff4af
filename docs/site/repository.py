"""Where a file of the repository is on the site, and its Markdown with links that lead there.

Guides link to each other and to files beside ``docs/`` by paths in the repository, so that they work in a checkout and
in a viewer of one. The site has a page for each of these files: pages of its own for a few, a listing for the rest.
Left out: links in reference style, and in HTML but for pictures, which no document here uses (links are checked after
the build).
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DOCS = "docs"
PAGES = {  # documents outside docs/, and their pages
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "validation/DEVIATIONS.md": "deviations.md",
    "benchmarks/README.md": "benchmarks.md",
}
DECISIONS = "docs/adr"  # a folder whose page lists it by titles
LISTINGS = "source"  # the folder of pages that show a file as it is
MOST_BYTES = 300_000  # of a file that is shown: a reader of more wants the file
LANGUAGES = {
    ".py": "python",
    ".toml": "toml",
    ".json": "json",
    ".sv": "systemverilog",
    ".cpp": "cpp",
    ".c": "c",
    ".yml": "yaml",
    ".yaml": "yaml",
    ".md": "markdown",
    ".sh": "bash",
}
_TARGET = re.compile(r'(?<=\]\()([^()\s]+)(?=\))|(?<=<img src=")([^"\s]+)(?=")')
_CODE = re.compile(r"(^ *```.*?^ *```[^\n]*$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
_STYLE = re.compile(r"<style.*?</style>", re.DOTALL)  # a result's own, which would reach beyond it
_LIST = re.compile(r"([-*+]|\d+\.) ")


class MissingSource(ValueError):
    """A file that a page shows or links to, and that cannot be shown: one line naming both and the rule."""


def page_of(path: str) -> str:
    """Return the page or file of the site, relative to its root, that stands for ``path`` in the repository."""
    if path in PAGES:
        return PAGES[path]
    if path == DECISIONS:
        return "adr/index.md"
    if path.startswith(f"{DOCS}/") and not path.endswith(".py") and (ROOT / path).is_file():
        return path.removeprefix(f"{DOCS}/")
    suffix = "/index.md" if (ROOT / path).is_dir() else ".md"
    return f"{LISTINGS}/{path}{suffix}"


def relative_links(markdown: str) -> Iterator[str]:
    """Yield the targets of links and pictures outside code that lead to a file."""
    for at, part in enumerate(_CODE.split(markdown)):
        if at % 2 == 0:
            yield from (found[0] for found in _TARGET.finditer(part) if _is_file(found[0]))


def linked_files(markdown: str, path: str) -> Iterator[str]:
    """Yield the files and folders of the repository that the document ``path`` links to."""
    for target in relative_links(markdown):
        file = _resolved(target, path)
        if (ROOT / file).exists():
            yield file


def for_the_site(markdown: str, path: str, page: str) -> str:
    """Return the document ``path`` as the page ``page``: links lead to pages, lists and tables stand apart.

    A link to a file that does not exist stays as it is, and the build fails on it.
    """

    def moved(match: re.Match[str]) -> str:
        target = match[0]
        if not _is_file(target):
            return target
        file = _resolved(target, path)
        if not (ROOT / file).exists():
            return target
        _, mark, fragment = target.partition("#")
        return posixpath.relpath(page_of(file), posixpath.dirname(page) or ".") + mark + fragment

    parts = _CODE.split(markdown)
    parts[::2] = [_TARGET.sub(moved, part) for part in parts[::2]]
    return set_apart("".join(parts))


def set_apart(markdown: str) -> str:
    """Return ``markdown`` with an empty line before each list and table that follows a paragraph.

    Viewers of repositories need none, and Python-Markdown takes the list for a part of the paragraph without.
    """
    lines: list[str] = []
    fenced = in_list = False
    for line in markdown.split("\n"):
        before = lines[-1] if lines else ""
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced:
            starts = bool(_LIST.match(line))
            table = line.startswith("|") and not before.startswith("|")
            if before.strip() and not before.startswith("#") and ((starts and not in_list) or table):
                lines.append("")
            in_list = starts or (in_list and (bool(line.strip()) or not lines[-1:]))
        lines.append(line)
    return "\n".join(lines)


def listing(path: str) -> str:
    """Return the page that shows a file or folder of the repository. Raises MissingSource."""
    where = ROOT / path
    if where.is_dir():
        return _folder(path)
    size = where.stat().st_size
    if size > MOST_BYTES:
        raise MissingSource(f"{path} has {size} bytes, and a page of the site shows at most {MOST_BYTES}: link to less")
    try:
        text = where.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise MissingSource(f"{path} is no text, and a page of the site shows text: {error}") from None
    if where.suffix == ".ipynb":
        return _notebook(path, text)
    longest = max((len(found) for found in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    title = f"# {posixpath.basename(path)}\n\n`{path}` in the repository."
    return f"{title}\n\n{fence}{_language(path)}\n{text.rstrip()}\n{fence}\n"


def shown_files(path: str) -> list[str]:
    """Return the files of a folder that its page links to, in order; [] for a file."""
    where = ROOT / path
    if not where.is_dir():
        return []
    return [f"{path}/{file.name}" for file in sorted(where.iterdir()) if file.is_file() and file.suffix in LANGUAGES]


def _folder(path: str) -> str:
    names = [posixpath.basename(file) for file in shown_files(path)]
    lines = [f"- [{name}]({name}.md)" for name in names]
    return f"# {path}\n\nA folder of the repository.\n\n" + "\n".join(lines) + "\n"


def _language(path: str) -> str:
    return LANGUAGES.get(Path(path).suffix, "text")


def _notebook(path: str, text: str) -> str:
    """Return a notebook's words, code and results. HTML of results is taken as it is: the notebook is our own."""
    parts = [f"`{path}` in the repository: a notebook, with the results that it gave when it was run."]
    for cell in json.loads(text)["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
        elif cell["cell_type"] == "code":
            parts += [f"```python\n{source}\n```", *map(_result, cell["outputs"])]
    titled = next((at for at, part in enumerate(parts) if part.startswith("# ")), None)
    parts.insert(0, parts.pop(titled) if titled is not None else f"# {posixpath.basename(path)}")
    return "\n\n".join(parts) + "\n"


def _result(output: dict[str, Any]) -> str:
    """Return what a cell printed or showed: HTML, else a picture, else text."""
    data = output.get("data", {"text/plain": output.get("text", "")})
    kind = next(kind for kind in ("text/html", "image/png", "text/plain") if kind in data)
    shown = "".join(data[kind])
    if kind == "text/html":
        return f'<div class="result">\n{_STYLE.sub("", shown)}\n</div>'
    if kind == "image/png":
        return f"![what the cell above shows](data:image/png;base64,{''.join(shown.split())})"
    return f"```text\n{shown.rstrip()}\n```"


def _is_file(target: str) -> bool:
    return not target.startswith(("#", "/")) and "://" not in target and not target.startswith("mailto:")


def _resolved(target: str, path: str) -> str:
    """Return the path in the repository that a link of the document ``path`` leads to."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), target.partition("#")[0]))
