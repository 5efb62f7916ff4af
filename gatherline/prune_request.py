"""What ``simulate prune`` is asked: a model, a pattern, how sparse each layer becomes, and where the result goes.

Checked as far as no model is needed. Left out: the work (``prune.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gatherline.loading import EMBEDDED
from gatherline.request import RequestError
from patterns.base import Pattern
from patterns.catalog import parse_pattern
from patterns.channel import Channel
from patterns.dense import Dense
from patterns.n_of_m import NOfM
from patterns.names import nearest
from patterns.unstructured import Unstructured
from traces.layer import Network
from traces.masks import kept_dense
from traces.ratios import (
    METHODS,
    Method,
    layer_sparsities,
    listed_sparsities,
    named_layers,
    read_ratios,
)
from traces.workloads.catalog import ALL_WORKLOADS

WRITTEN_AS = {".onnx": ".onnx", ".safetensors": ".safetensors", ".pt2": ".safetensors"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneRequest:
    """What is asked. ``ratios``: a method, or the path of a .toml or .csv list. ``levels``: sparsities, any order."""

    model: str
    out: str
    pattern: str
    sparsity: float | None = None
    ratios: str = "uniform"
    keep: tuple[str, ...] = ()
    prune_all: bool = False
    repack: bool = False
    levels: tuple[float, ...] = ()
    arch: str | None = None
    batch: int | None = None
    input_shape: str | None = None
    strict: bool = False

    def __post_init__(self) -> None:
        rule = parse_pattern(self.pattern)
        for name, value in (("sparsity", self.sparsity), *(("levels: sparsity", level) for level in self.levels)):
            if value is not None and not 0.0 <= value < 1.0:
                raise RequestError(f"{name} is {value}, and must be at least 0 and below 1")
        if self.batch is not None and self.batch < 1:
            raise RequestError(f"batch is {self.batch}, and must be at least 1")
        if isinstance(rule, Dense):
            raise RequestError("pattern dense removes nothing, and a pattern to prune to must")
        if isinstance(rule, Channel):
            raise RequestError(
                "pattern channel makes layers smaller, and what is written here has masks: use block:1xK"
            )
        if self.ratios not in METHODS and Path(self.ratios).suffix not in (".toml", ".csv"):
            hint = nearest(self.ratios, METHODS)
            raise RequestError(
                f"ratios are {self.ratios!r}, and must be {', '.join(METHODS)} or a .toml or .csv; {hint}"
            )
        self._check_together(rule)

    def _check_together(self, rule: Pattern) -> None:
        if isinstance(rule, Unstructured) and rule.scope == "global" and self.ratios not in ("uniform", "global"):
            raise RequestError(f"pattern {rule.spelling} has ratios of its own, and ratios are {self.ratios}")
        if self.levels:
            if self.sparsity is not None:
                raise RequestError(f"levels and sparsity {self.sparsity} were both given, and levels say it all")
            if self.listed:
                raise RequestError(
                    f"levels take a method of ratios ({', '.join(METHODS)}), and these are {self.ratios}"
                )
            if len(set(self.levels)) < len(self.levels) or len(self.levels) < 2:
                raise RequestError(
                    f"levels are {', '.join(map(str, self.levels))}, and must be two or more, all different"
                )
            if isinstance(rule, NOfM):
                raise RequestError(f"pattern {rule.spelling} fixes the density, so it has no levels")
        elif isinstance(rule, NOfM):
            if self.ratios in METHODS and self.ratios != "uniform":
                raise RequestError(f"pattern {rule.spelling} fixes the density, and ratios are {self.ratios}")
        elif self.sparsity is None and not self.listed:
            raise RequestError(f"pattern {rule.spelling} needs a sparsity, levels, or ratios from a file")

    @property
    def listed(self) -> bool:
        return self.ratios not in METHODS

    @property
    def rule(self) -> Pattern:
        """Return the pattern of one layer; ``unstructured:global`` is ``unstructured`` with global ratios."""
        rule = parse_pattern(self.pattern)
        return Unstructured() if isinstance(rule, Unstructured) else rule

    @property
    def method(self) -> Method:
        rule = parse_pattern(self.pattern)
        if isinstance(rule, Unstructured) and rule.scope == "global":
            return "global"
        return next((method for method in METHODS if method == self.ratios), "uniform")

    @property
    def targets(self) -> tuple[float, ...]:
        """Return the sparsities asked for, the highest first: one for each level."""
        rule = self.rule
        if self.levels:
            return tuple(sorted(self.levels, reverse=True))
        if isinstance(rule, NOfM) and self.sparsity is None:
            return (1.0 - rule.n / rule.m,)
        return (self.sparsity or 0.0,)


def source_path(model: str) -> Path:
    """Return the file of ``model``; of an embedded one, its name. Raises RequestError for a built-in without a file."""
    if any(workload.name == model for workload in ALL_WORKLOADS):
        raise RequestError(
            f"model {model} is built in, with synthetic weights and no file: prune needs a file "
            f"({', '.join(WRITTEN_AS)}) or {', '.join(EMBEDDED)}"
        )
    path = Path(EMBEDDED[model][0] if model in EMBEDDED else model)
    if path.suffix not in WRITTEN_AS and not path.exists():
        known = [*EMBEDDED, *(workload.name for workload in ALL_WORKLOADS)]
        raise RequestError(
            f"model {model!r} is neither a file ({', '.join(WRITTEN_AS)}) nor known; {nearest(model, known)}"
        )
    return path


def check_out(model: str, out: Path) -> None:
    """Raise RequestError unless ``out`` can hold what ``model`` becomes, lies in a folder, and is not ``model``."""
    source = source_path(model)
    wanted = WRITTEN_AS.get(source.suffix)
    if wanted is not None and out.suffix != wanted:
        how = (
            ""
            if out.suffix != ".onnx"
            else ": only torch makes ONNX of it; export .onnx where you train, and prune that"
        )
        raise RequestError(f"-o is {out}, and {source.suffix} is pruned to {wanted}{how}")
    if not out.parent.is_dir():
        raise RequestError(f"-o is {out}, and the folder {out.parent} is not there")
    if out.is_dir():
        raise RequestError(f"-o is {out}, which is a folder, and must be a file")
    if out.exists() and source.exists() and out.samefile(source):
        raise RequestError(f"-o is {out}, which is the model itself: it is never written over")


def kept_layers(network: Network, request: PruneRequest) -> dict[str, str]:
    """Return the layers that stay as they are, with the reason. Raises RatioError for a name that is no layer."""
    kept = dict(kept_dense(network, request.prune_all))
    return kept | {name: f"kept: --keep {entry}" for name, entry in named_layers(network, request.keep).items()}


def sparsities_of(
    network: Network, request: PruneRequest, kept: Mapping[str, str]
) -> tuple[list[dict[str, float]], dict[str, str]]:
    """Return the sparsity by layer for each target, and the reason of every layer that stays as it is.

    Raises RatioError, and RequestError where nothing is left to prune or a list and ``keep`` disagree.
    """
    reasons = dict(kept)
    if request.listed:
        entries = read_ratios(Path(request.ratios))
        listed = listed_sparsities(network, entries, kept, request.ratios)
        for name, why in kept.items():
            if name in listed:
                if why.startswith("kept: --keep"):
                    raise RequestError(
                        f"layer {name}: {request.ratios} gives it {listed[name]}, and --keep names it too"
                    )
                del reasons[name]
        rest = request.sparsity
        others = [
            layer.name for layer in network.matrix_layers if layer.name not in listed and layer.name not in reasons
        ]
        if rest is None:
            reasons |= dict.fromkeys(others, f"not in {Path(request.ratios).name}")
        else:
            listed |= dict.fromkeys(others, rest)
        found = [listed]
    else:
        found = [layer_sparsities(network, request.method, target, kept) for target in request.targets]
    for name in list(found[-1]):
        if all(sparsities[name] == 0.0 for sparsities in found):
            reasons[name] = f"ratios {Path(request.ratios).name} leave it dense"
            for sparsities in found:
                del sparsities[name]
    if not any(found):
        raise RequestError(
            f"no layer is left to prune: all {len(network.matrix_layers)} of {network.name} stay as they are "
            f"({'; '.join(sorted(set(reasons.values())))})"
        )
    return found, reasons
