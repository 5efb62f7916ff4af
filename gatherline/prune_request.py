"""What ``simulate prune`` is asked: a model, a pattern, how sparse each layer becomes, and where the result goes.

Checked as far as no model is needed. Left out: the work (``prune.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gatherline.loading import EMBEDDED
from gatherline.request_error import RequestError
from gatherline.shares import KEPT_BY_NAME, check_ratios, is_listed, is_profile, layer_shares, nothing_left
from patterns.base import Pattern
from patterns.catalog import parse_pattern
from patterns.channel import Channel
from patterns.channel_then import ChannelThen
from patterns.dense import Dense
from patterns.n_of_m import NOfM
from patterns.n_of_m_both import NOfMBoth
from patterns.names import nearest
from patterns.unstructured import Unstructured
from traces.layer import Network
from traces.masks import kept_dense
from traces.ratios import METHODS, named_layers
from traces.workloads.catalog import ALL_WORKLOADS

WRITTEN_AS = {".onnx": ".onnx", ".safetensors": ".safetensors", ".pt2": ".safetensors"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneRequest:
    """What is asked. ``ratios``: a method, a .toml or .csv list, or a profile. ``levels``: sparsities, any order."""

    model: str  # .onnx, .pt2, .safetensors (with ``arch``) or a built-in name
    out: str  # file to write, of the model's own format (.safetensors for a .pt2)
    pattern: str  # as in gs:16,1 or block:1x16
    sparsity: float | None = None  # fraction of weights removed, 0 to below 1
    ratios: str = "uniform"
    keep: tuple[str, ...] = ()  # layers that stay as they are
    prune_all: bool = False  # --all: the first layer, depthwise layers and the classifier too
    repack: bool = False  # choose anew among weights that a mask stored in the file hides
    levels: tuple[float, ...] = ()
    arch: str | None = None  # built-in network whose layers a .safetensors file holds
    batch: int | None = None  # samples in flight; None: what the file says
    input_shape: str | None = None  # of dynamic dimensions, as in 1,3,224,224
    strict: bool = False  # an unsupported operator is an error

    def __post_init__(self) -> None:
        rule = parse_pattern(self.pattern)
        for name, value in (("sparsity", self.sparsity), *(("levels: sparsity", level) for level in self.levels)):
            if value is not None and not 0.0 <= value < 1.0:
                raise RequestError(f"{name} is {value}, and must be at least 0 and below 1")
        if self.batch is not None and self.batch < 1:
            raise RequestError(f"batch is {self.batch}, and must be at least 1")
        if isinstance(rule, Dense):
            raise RequestError("pattern dense removes nothing, and a pattern to prune to must")
        check_ratios(self.ratios)
        if isinstance(rule, Channel | ChannelThen):
            self._check_channels(rule)
        self._check_together(rule)

    def _check_together(self, rule: Pattern) -> None:
        if _is_global(rule) and self.ratios not in ("uniform", "global"):
            raise RequestError(f"pattern {rule.spelling} has ratios of its own, and ratios are {self.ratios}")
        if is_profile(self.ratios) and self.sparsity is not None:
            raise RequestError(f"ratios {self.ratios} say it all, and sparsity {self.sparsity} was given too")
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
            if rule.fixes_density:
                raise RequestError(f"pattern {rule.spelling} fixes the density, so it has no levels")
            if not rule.nests:
                raise RequestError(f"pattern {rule.spelling} has no levels: it does not nest")
        elif isinstance(rule, NOfM | NOfMBoth):
            if self.ratios in METHODS and self.ratios != "uniform":
                raise RequestError(f"pattern {rule.spelling} fixes the density, and ratios are {self.ratios}")
        elif self.sparsity is None and not self.listed:
            raise RequestError(f"pattern {rule.spelling} needs a sparsity, levels, or ratios of a file or profile")

    def _check_channels(self, rule: Channel | ChannelThen) -> None:
        """Refuse what smaller layers cannot be asked for."""
        suffix = source_path(self.model).suffix
        if suffix in WRITTEN_AS and suffix != ".onnx":
            raise RequestError(
                f"pattern {rule.spelling} makes layers smaller, and a {suffix} has no graph that can be made to fit: "
                f"export the model as .onnx and prune that"
            )
        if self.repack:
            raise RequestError(f"repack and pattern {rule.spelling} were both given, and channels go by what is there")
        if isinstance(rule, ChannelThen) and _is_global(rule):
            raise RequestError(f"pattern {rule.spelling}: take channel+unstructured and ratios global")
        if isinstance(rule, Channel) and self.ratios != "uniform":
            raise RequestError(
                f"pattern channel takes one ratio for all layers, since channels that meet go together, and ratios are "
                f"{self.ratios}"
            )
        if self.levels and isinstance(rule, Channel):
            raise RequestError(
                "pattern channel has no levels in one file: each would be a network of another size; "
                "prune to each sparsity, or take channel:R+P with one R"
            )
        if self.levels and not rule.nests and not rule.fixes_density:
            fixed = isinstance(rule, ChannelThen) and rule.ratio is None
            why = "each level would lose other channels; channel:R+P fixes them" if fixed else "its P does not nest"
            raise RequestError(f"pattern {rule.spelling} has no levels: {why}")

    @property
    def listed(self) -> bool:
        """Return whether ``ratios`` is a list or a profile, which name layers, and no method."""
        return is_listed(self.ratios)

    @property
    def rule(self) -> Pattern:
        """Return the pattern of one layer; ``unstructured:global`` is ``unstructured`` with global ratios."""
        rule = parse_pattern(self.pattern)
        return Unstructured() if isinstance(rule, Unstructured) else rule

    @property
    def spread(self) -> str:
        """Return the ratios in force: a pattern that is global over the model has its own."""
        return "global" if _is_global(parse_pattern(self.pattern)) else self.ratios

    @property
    def targets(self) -> tuple[float, ...]:
        """Return the sparsities asked for, the highest first: one for each level."""
        rule = self.rule
        if self.levels:
            return tuple(sorted(self.levels, reverse=True))
        if isinstance(rule, NOfM | NOfMBoth) and self.sparsity is None:
            return (1.0 - rule.n / rule.m,)
        return (self.sparsity or 0.0,)


def _is_global(rule: Pattern) -> bool:
    masking = rule.rule if isinstance(rule, ChannelThen) else rule
    return isinstance(masking, Unstructured) and masking.scope == "global"


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
    return kept | {name: f"{KEPT_BY_NAME} {entry}" for name, entry in named_layers(network, request.keep).items()}


def sparsities_of(
    network: Network, request: PruneRequest, kept: Mapping[str, str]
) -> tuple[list[dict[str, float]], dict[str, str]]:
    """Return the sparsity by layer for each target, and the reason of every layer that stays as it is.

    Raises RatioError, and RequestError where nothing is left to prune or a list and ``keep`` disagree.
    """
    targets = (request.sparsity,) if request.listed else request.targets
    shares = [layer_shares(network, request.spread, target, kept) for target in targets]
    pruned = {name for each in shares for name in each.pruned}  # 0 at one level of several is a level like any other
    reasons = {name: why for name, why in shares[-1].reasons.items() if name not in pruned}
    if not pruned:
        raise nothing_left(network, reasons)
    return [{name: share for name, share in each.sparsities.items() if name in pruned} for each in shares], reasons
