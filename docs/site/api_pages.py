"""The Markdown of the pages of the Python API: headings, tables of fields, and a directive for each docstring.

mkdocstrings replaces a directive (``::: name``) by the name's signature and docstring. Methods that only do what the
base class says are left out: the base's page has them.
"""

from __future__ import annotations

from api_names import NamedPage, Sections, gl_classes, named_pages
from class_facts import ClassFacts, class_facts, definition, is_class, summary


def api_pages() -> dict[str, str]:
    """Return all pages by their names below ``api/``. Raises LookupError for a name that no module defines."""
    return {page.name: _markdown(page) for page in named_pages()}


def _markdown(page: NamedPage) -> str:
    of_gl = page.name == "gatherline"
    parts = [f"# {page.title}", page.words]
    if of_gl:
        parts.append(overview(page.sections))
    for title, names in page.sections:
        parts += [f"## {title}"] * bool(title)
        parts += [entry(name, gl=of_gl) for name in names]
    return "\n\n".join(parts) + "\n"


def overview(sections: Sections) -> str:
    """Return the table of all names of ``gl``, each with its first sentence."""
    lines = ["| name | what |", "|---|---|"]
    for _, names in sections:
        for name in names:
            lines.append(f"| [`gl.{name.rpartition('.')[2]}`][{name}] | {_first(summary(definition(name)))} |")
    for name in gl_classes():
        lines.append(f"| [`gl.{name.rpartition('.')[2]}`][{name}] | {_first(summary(definition(name)))} |")
    return "\n".join(lines)


def entry(dotted: str, *, gl: bool) -> str:
    """Return a name's part of a page: signature and docstring; of a class its fields in a table, then its methods."""
    is_function = not is_class(dotted)
    shown = f"gl.{dotted.rpartition('.')[2]}" if gl else dotted.rpartition(".")[2]
    if is_function:
        return f"::: {dotted}\n    options:\n      heading: {shown}\n      toc_label: {shown}"
    facts = class_facts(dotted)
    parts = [
        f"::: {dotted}\n    options:\n      heading: {shown}\n      members: false\n      show_signature: false",
        f"`from {dotted.rpartition('.')[0]} import {facts.name}`{_bases(facts)}",
    ]
    if facts.fields:
        parts.append(_fields_table(facts))
    parts += [f"::: {dotted}.{name}\n    options:\n      heading_level: 4" for name in facts.methods]
    return "\n\n".join(parts)


def _bases(facts: ClassFacts) -> str:
    return f", a {' and '.join(f'`{base}`' for base in facts.bases)}" if facts.bases else ""


def _fields_table(facts: ClassFacts) -> str:
    noted = any(field.comment for field in facts.fields)
    lines = ["| field | type | default |" + " |" * noted, "|---|---|---|" + "---|" * noted]
    for field in facts.fields:
        default = f"`{field.default}`" if field.default else "required"
        comment = f" {field.comment.replace('|', '&#124;')} |" if noted else ""
        lines.append(f"| `{field.name}` | `{field.type}` | {default} |{comment}")
    return "\n".join(lines)


def _first(text: str) -> str:
    """Return the first sentence of a summary, as a cell of a table."""
    return text.partition(". ")[0].rstrip(".").replace("|", "&#124;")
