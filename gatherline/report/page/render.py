"""A page from a template: style and scripts inside the file, every name of a model file escaped, nothing fetched.

A page carries a policy that forbids the browser any connection, so that it is the same from a disk, a mail or a server.
Data for scripts stand in the page as JSON that no text can leave. Left out: what pages show.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from gatherline.report.plain import plain
from gatherline.report.time_causes import TIME_CAUSES

STYLES = ("page.css", "charts.css", "sections.css", "print.css")
# in the order in which they stand in a page
SCRIPTS = (
    "theme.js", "axes.js", "choices.js", "tips.js", "tables.js", "points.js", "bars.js", "charts.js", "layer_words.js",
    "layers.js", "words.js", "print.js",
)  # fmt: skip
_ESCAPED = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def render(template: str, **values: object) -> str:
    """Return a page of ``template``, a file of this folder. Raises jinja2.UndefinedError for a value it lacks."""
    style = "\n".join(_text(name) for name in STYLES)
    scripts = "\n".join(_text(name) for name in SCRIPTS)
    return str(_environment().get_template(template).render(style=style, scripts=scripts, causes=TIME_CAUSES, **values))


def data_json(value: object) -> str:
    """Return strict JSON that may stand in a script element: no text in it ends the element."""
    found = json.dumps(plain(value), allow_nan=False, separators=(",", ":"))
    return "".join(_ESCAPED.get(letter, letter) for letter in found)


def whole(text: str) -> str:
    """Return ``text`` with numbers that no line break parts from their "%"."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%")


@cache
def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


@cache
def _environment() -> Any:
    import jinja2
    from markupsafe import Markup

    loader = jinja2.FunctionLoader(_text)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["data_json"] = lambda value: Markup(data_json(value))  # escaped for a script, not for text
    environment.filters["whole"] = whole
    return environment
