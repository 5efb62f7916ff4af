"""What the site's pages are made of: every guide has its place, every public name its page, every link its target."""

from __future__ import annotations

import importlib
import inspect
import json
import posixpath
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import gatherline
from gatherline import request
from gatherline.cli import COMMANDS
from gatherline.report.columns import ALL_COLUMNS
from patterns.catalog import ALL_PATTERNS, parse_pattern
from patterns.encodings.catalog import ALL_ENCODINGS

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "docs" / "site"))  # what makes the pages is beside them
import api_names  # noqa: E402
import api_pages  # noqa: E402
import class_facts  # noqa: E402
import columns_page  # noqa: E402
import command_page  # noqa: E402
import repository  # noqa: E402

GUIDES = sorted((ROOT / "docs").glob("*.md"))
README = (ROOT / "README.md").read_text(encoding="utf-8")
SHOWN = [name for page in api_names.named_pages() for _, names in page.sections for name in names]
CLASSES = [name for name in SHOWN if class_facts.is_class(name)]


class Nav(yaml.SafeLoader):
    """Reads mkdocs.yml without making the Python objects that it names."""


Nav.add_multi_constructor("tag:yaml.org,2002:python/", lambda _loader, suffix, _node: suffix)


def nav_pages(items: list[Any]) -> list[str]:
    found: list[str] = []
    for item in items:
        below = item if isinstance(item, str) else next(iter(item.values()))
        found += [below] if isinstance(below, str) else nav_pages(below)
    return found


def test_every_guide_has_one_place_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = nav_pages(yaml.load(text, Nav)["nav"])
    assert len(pages) == len(set(pages))
    assert {path.name for path in GUIDES} <= set(pages)


def test_the_readme_leads_to_every_guide() -> None:
    linked = {target.partition("#")[0] for target in repository.relative_links(README)}
    assert {f"docs/{path.name}" for path in GUIDES} <= linked


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.name)
def test_a_guide_says_first_whom_it_is_for(path: Path) -> None:
    first = path.read_text(encoding="utf-8").split("\n\n")[1]
    assert re.search(r"\b[Ff]or (people|teams|a team) (who|whose|with|that) ", first), first


def test_every_name_of_gl_has_one_place() -> None:
    homes = [f"{gatherline._HOME[name]}.{name}" for name in gatherline.__all__]
    assert len(SHOWN) == len(set(SHOWN))
    assert set(homes) <= set(SHOWN)


def test_what_a_function_of_gl_returns_is_on_a_page() -> None:
    returned = {
        found
        for name in gatherline.__all__
        if callable(made := getattr(gatherline, name)) and not isinstance(made, type)
        for found in class_facts.returned_types(f"{gatherline._HOME[name]}.{name}")
    }
    assert {"gatherline.pipeline_types.Report", "gatherline.advice.why.WhyReport", "costmodel.area.Area"} <= returned
    assert returned <= set(CLASSES)


def test_a_returned_type_is_named_by_where_it_is_defined() -> None:
    assert class_facts.returned_types("gatherline.api.run_plan") == ("gatherline.pipeline_types.Report",)
    assert class_facts.returned_types("gatherline.api.why") == ("gatherline.advice.why.WhyReport",)
    assert class_facts.returned_types("gatherline.api.device_text") == ()


def test_every_pattern_and_encoding_has_a_place() -> None:
    made = {type(parse_pattern(kind.example)) for kind in ALL_PATTERNS} | {type(one) for one in ALL_ENCODINGS}
    assert {f"{one.__module__}.{one.__qualname__}" for one in made} <= set(SHOWN)


@pytest.mark.parametrize("dotted", CLASSES)
def test_a_public_class_says_what_it_is_and_what_its_methods_do(dotted: str) -> None:
    facts = class_facts.class_facts(dotted)
    found = getattr(importlib.import_module(dotted.rpartition(".")[0]), facts.name)
    assert facts.summary
    for name in facts.undocumented:  # a method that does what its base says needs no words of its own
        assert inspect.getdoc(getattr(found, name)), f"{dotted}.{name}"


@pytest.mark.parametrize("dotted", [name for name in SHOWN if name not in CLASSES])
def test_a_public_function_says_what_it_does(dotted: str) -> None:
    assert class_facts.summary(class_facts.definition(dotted))


def test_a_field_has_the_type_default_and_comment_of_its_line() -> None:
    facts = {field.name: field for field in class_facts.class_facts("gatherline.request.RunRequest").fields}
    assert (facts["seed"].type, facts["seed"].default, facts["seed"].comment) == ("int", "0", "of synthetic weights")
    assert facts["ratios"].comment == "a method, the path of a list, or the name of a profile"
    assert facts["dtype"].default == repr(request.DEFAULT_DTYPE)  # a constant by its value
    report = {field.name: field.default for field in class_facts.class_facts("gatherline.pipeline_types.Report").fields}
    assert (report["manifest"], report["rows"]) == ("", "list()")


def test_a_page_of_a_class_has_its_fields_in_a_table() -> None:
    page = api_pages.api_pages()["requests"]
    assert "::: gatherline.request.RunRequest\n" in page
    assert "| `patterns` | `tuple[str, ...]` | `()` |" in page


def test_the_page_of_columns_has_every_column() -> None:
    page = columns_page.columns_page()
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == [column.name for column in ALL_COLUMNS]


def test_the_page_of_commands_has_every_command_and_option() -> None:
    page = command_page.command_page()
    assert re.findall(r"^## simulate (.+)$", page, re.MULTILINE) == [name for name, _ in COMMANDS]
    run = page.split("## simulate run\n")[1].split("\n## ")[0]
    assert "simulate run [OPTIONS]" in run
    assert re.search(r"^\| `--seed N` \| .+ \| `0` \|$", run, re.MULTILINE)
    assert re.search(r"^\| `--strict` \| .+ \|  \|$", run, re.MULTILINE)
    wanted = {name.replace("_", "-") for name in inspect.signature(dict(COMMANDS)["run"]).parameters}
    spelled = set(re.findall(r"^\| `--([a-z-]+)", run, re.MULTILINE))
    assert wanted - {"context", "model", "prune-all"} <= spelled  # the last is spelled --all
    assert "all" in spelled


def test_links_lead_from_the_repository_to_the_site() -> None:
    text = (
        "[a](docs/sweep.md#the-front) [b](gatherline/api.py) [c](docs/adr) [d](https://example.org/x.md) `[e](no.md)`"
    )
    assert repository.for_the_site(text, "README.md", "index.md") == (
        "[a](sweep.md#the-front) [b](source/gatherline/api.py.md) [c](adr/index.md) [d](https://example.org/x.md) "
        "`[e](no.md)`"
    )
    moved = repository.for_the_site("[r](../README.md) [a](#here)", "docs/sweep.md", "sweep.md")
    assert moved == "[r](index.md) [a](#here)"


def test_a_link_to_nothing_stays_for_the_build_to_fail_on() -> None:
    assert repository.for_the_site("[a](docs/gone.md)", "README.md", "index.md") == "[a](docs/gone.md)"


def test_a_list_after_a_paragraph_is_set_apart_and_one_in_code_is_not() -> None:
    assert repository.set_apart("Words:\n- one\n  more\n- two") == "Words:\n\n- one\n  more\n- two"
    assert repository.set_apart("Words:\n| a |\n|---|\n| 1 |") == "Words:\n\n| a |\n|---|\n| 1 |"
    code = "```\nx\n- y\n```"
    assert repository.set_apart(code) == code


def test_a_file_that_is_no_text_is_named() -> None:
    picture = "docs/images/machine.png"
    with pytest.raises(repository.MissingSource, match=re.escape(picture)):
        repository.listing(picture)


def test_a_file_longer_than_anyone_reads_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository, "MOST_BYTES", 10)
    with pytest.raises(repository.MissingSource, match="at most 10"):
        repository.listing("gatherline/api.py")


def test_a_listing_shows_fences_of_the_file_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "doc.md").write_text("```sh\nls\n```\n", encoding="utf-8")
    monkeypatch.setattr(repository, "ROOT", tmp_path)
    assert "````markdown\n```sh\nls\n```\n````" in repository.listing("doc.md")


@pytest.mark.parametrize("path", [*GUIDES, *sorted((ROOT / "docs" / "adr").glob("*.md"))], ids=lambda path: path.name)
def test_links_of_a_guide_lead_to_files_of_the_repository(path: Path) -> None:
    at = posixpath.dirname(str(path.relative_to(ROOT)))
    for target in repository.relative_links(path.read_text(encoding="utf-8")):
        assert (ROOT / posixpath.join(at, target.partition("#")[0])).exists(), target


def test_a_notebook_shows_its_words_code_and_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = [
        {"output_type": "stream", "text": ["printed\n"]},
        {
            "output_type": "execute_result",
            "data": {"text/html": ["<style>p {}</style><b>bold</b>"], "text/plain": ["x"]},
        },
        {"output_type": "display_data", "data": {"image/png": "QUJD\n", "text/plain": ["x"]}},
    ]
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "words"]},
        {"cell_type": "code", "source": ["1 + 1"], "outputs": results},
    ]
    (tmp_path / "n.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf-8")
    monkeypatch.setattr(repository, "ROOT", tmp_path)
    page = repository.listing("n.ipynb")
    assert page.startswith("# Title\nwords\n")
    assert "```python\n1 + 1\n```\n\n```text\nprinted\n```" in page
    assert '<div class="result">\n<b>bold</b>\n</div>' in page
    assert "(data:image/png;base64,QUJD)" in page
