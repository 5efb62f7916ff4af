"""Gatherline: latency and memory of a pruned network on the device it ships to, from its real masks.

``import gatherline as gl`` is the user's API and does everything the command does. Names are imported when first
used, so that ``simulate --help`` stays quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from costmodel.estimate import estimate as estimate
    from gatherline.api import advise as advise
    from gatherline.api import area as area
    from gatherline.api import break_even as break_even
    from gatherline.api import device_text as device_text
    from gatherline.api import dry_run as dry_run
    from gatherline.api import energy as energy
    from gatherline.api import export as export
    from gatherline.api import front as front
    from gatherline.api import html_report as html_report
    from gatherline.api import inspect as inspect
    from gatherline.api import load as load
    from gatherline.api import prune as prune
    from gatherline.api import prune_by_plan as prune_by_plan
    from gatherline.api import replay as replay
    from gatherline.api import run as run
    from gatherline.api import run_plan as run_plan
    from gatherline.api import run_sweep as run_sweep
    from gatherline.api import sensitivity as sensitivity
    from gatherline.api import timeline as timeline
    from gatherline.api import trace as trace
    from gatherline.api import validate as validate
    from gatherline.api import why as why
    from gatherline.pipeline_types import Report as Report
    from patterns.catalog import parse_pattern as parse_pattern
    from patterns.encodings.catalog import encoding as encoding
    from simulator.device_file import load_device as load_device
    from simulator.result import LayerResult as LayerResult
    from simulator.simulate import simulate as simulate
    from traces.layer import Network as Network
    from traces.trace import LayerTrace as LayerTrace

_HOME = {
    "Report": "gatherline.pipeline_types",
    "LayerResult": "simulator.result",
    "LayerTrace": "traces.trace",
    "Network": "traces.layer",
    "advise": "gatherline.api",
    "area": "gatherline.api",
    "break_even": "gatherline.api",
    "device_text": "gatherline.api",
    "dry_run": "gatherline.api",
    "encoding": "patterns.encodings.catalog",
    "energy": "gatherline.api",
    "estimate": "costmodel.estimate",
    "export": "gatherline.api",
    "front": "gatherline.api",
    "html_report": "gatherline.api",
    "inspect": "gatherline.api",
    "load": "gatherline.api",
    "load_device": "simulator.device_file",
    "parse_pattern": "patterns.catalog",
    "prune": "gatherline.api",
    "prune_by_plan": "gatherline.api",
    "replay": "gatherline.api",
    "run": "gatherline.api",
    "sensitivity": "gatherline.api",
    "run_plan": "gatherline.api",
    "run_sweep": "gatherline.api",
    "simulate": "simulator.simulate",
    "timeline": "gatherline.api",
    "trace": "gatherline.api",
    "validate": "gatherline.api",
    "why": "gatherline.api",
}
__all__ = sorted(_HOME)  # noqa: PLE0605 - a list of the lazy names above


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'gatherline' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
