"""Reads the models and masks of a spec: ``models``, ``levels``, ``patterns``, ``sparsities`` and options of masks.

Checked as far as no model is lowered; files of nested levels are read. Left out: whether masks can be made.
"""

from __future__ import annotations

import os
from itertools import product
from pathlib import Path
from typing import Any

from gatherline.levels import read_levels
from gatherline.loading import EMBEDDED, parse_input_shape
from gatherline.request_error import RequestError
from gatherline.shares import LISTS, check_ratios, is_listed
from gatherline.sweep.axis import Axis, Choices, Interval, Kind, read_axis
from gatherline.sweep.point import ModelChoice
from gatherline.sweep.points import MaskRule
from gatherline.sweep.quantity import shown
from gatherline.sweep.spec_keys import check_keys, listed, one_of, switches, texts, wholes
from patterns.catalog import parse_pattern
from patterns.channel import Channel
from patterns.channel_then import ChannelThen
from patterns.dense import Dense
from patterns.n_of_m import NOfM
from patterns.n_of_m_both import NOfMBoth
from patterns.names import nearest
from traces.layer import ModelError
from traces.workloads.catalog import built_in_names

MODEL_KEYS = ("model", "arch", "batch", "input_shape", "seed", "strict", "levels")
_MATCHES = ("density", "slots")


def read_models(data: dict[str, Any], folder: Path) -> tuple[ModelChoice, ...]:
    """Return every model with each of its batches, shapes, seeds and levels, each once."""
    if "models" not in data:
        raise RequestError("models is missing, and must name at least one")
    levels = data.get("levels")
    found: list[ModelChoice] = []
    for at, entry in enumerate(listed(data["models"], "models")):
        where = f"models[{at}]"
        table = entry if isinstance(entry, dict) else {"model": entry}
        check_keys(table, MODEL_KEYS, where)
        found += _choices({"levels": levels, **table} if levels is not None else table, where, folder)
    return tuple(dict.fromkeys(found))


def _choices(table: dict[str, Any], where: str, folder: Path) -> list[ModelChoice]:
    if "model" not in table:
        raise RequestError(f"{where}.model is missing, and must be a file or a built-in network")
    shapes = texts(table.get("input_shape"), f"{where}.input_shape")
    for shape in shapes:
        parse_input_shape(shape)
    archs = texts(table.get("arch"), f"{where}.arch")
    if len(archs) > 1:
        raise RequestError(f"{where}.arch is {shown(table['arch'])}, and a file has one")
    models = texts(table["model"], f"{where}.model")
    found = []
    for text in models:
        model, levels = _located(text, where, folder), _levels(table, where)
        _check_levels(model, levels, where)
        found += [
            ModelChoice(model=model, arch=arch, seed=seed, batch=batch, input_shape=shape, strict=strict, level=level)
            for arch, shape, batch, seed, strict, level in product(
                archs or (None,),
                shapes or (None,),
                wholes(table.get("batch"), f"{where}.batch", least=1) or (None,),
                wholes(table.get("seed"), f"{where}.seed", least=0) or (0,),
                switches(table.get("strict"), f"{where}.strict") or (False,),
                levels or (None,),
            )
        ]
    return found


def _levels(table: dict[str, Any], where: str) -> tuple[int, ...]:
    return wholes(table.get("levels"), f"{where}.levels", least=1)


def _located(text: str, where: str, folder: Path) -> str:
    """Return a built-in name as it is, a file by its whole path. Raises ModelError."""
    names = [*EMBEDDED, *built_in_names()]
    if text in names:
        return text
    path = os.path.abspath(folder / text)
    if not os.path.exists(path):  # Path.exists raises where a name is too long
        raise ModelError(
            f"{where} is {shown(text)}, neither a file beside the spec nor built in; {nearest(text, names)}"
        )
    return path


def is_file(model: ModelChoice) -> bool:
    """Return whether a model is a file, and not built in."""
    return os.path.isabs(model.model)


def _check_levels(model: str, levels: tuple[int, ...], where: str) -> None:
    if not levels:
        return
    if not os.path.isabs(model):
        raise RequestError(f"{where}.levels are of a model pruned to nested levels, and {model} is built in")
    count = len(read_levels(Path(model)).sparsities)
    for level in levels:
        if level > count:
            raise RequestError(
                f"{where}.levels names {level}, and {Path(model).name} has levels 1 (the sparsest) to {count}"
            )


def read_sparsities(data: dict[str, Any]) -> Axis | None:
    """Return the axis of sparsities, None where the spec has none."""
    if "sparsities" not in data:
        return None
    axis = read_axis(data["sparsities"], Kind(form="real", unit="share"), "sparsities")
    ends = (float(axis.low), float(axis.high)) if isinstance(axis, Interval) else axis.values
    for value in ends:
        if not 0.0 <= float(value) < 1.0:
            raise RequestError(f"sparsities has {value}, and each must be at least 0 and below 1")
    return axis


def read_masks(
    data: dict[str, Any], run: dict[str, Any], folder: Path, sparsities: Axis | None
) -> tuple[MaskRule, ...]:
    """Return the rules of masks, each once: what a sparsity does not change takes none, or the one that it has."""
    ratios = [_located_ratios(text, folder) for text in texts(run.get("ratios"), "run.ratios")] or ["uniform"]
    matches = one_of(run.get("match"), "run.match", _MATCHES) or ("density",)
    prune_all = switches(run.get("prune_all"), "run.prune_all") or (False,)
    patterns = texts(data.get("patterns"), "patterns")
    if not patterns:
        if sparsities is None and "levels" not in data and not any(map(is_listed, ratios)):
            raise RequestError('patterns is missing, and must name at least one, as in "gs:16,1" or "dense"')
        patterns = ("unstructured",)
    if sparsities is not None and all(map(is_listed, ratios)):
        raise RequestError(f"run.ratios {ratios[0]} say how sparse each layer becomes, and sparsities were given too")
    found = [
        _mask(pattern, ratio, match, every, sparsities is not None)
        for pattern, ratio, match, every in product(patterns, ratios, matches, prune_all)
    ]
    return tuple(dict.fromkeys(found))


def _mask(text: str, ratios: str, match: Any, prune_all: bool, asked: bool) -> MaskRule:
    rule = parse_pattern(text)
    if isinstance(rule, Dense):
        return MaskRule(pattern=rule.spelling)
    if is_listed(ratios):
        return MaskRule(pattern=rule.spelling, ratios=ratios, match=match, prune_all=prune_all)
    if asked and ratios == "uniform" and isinstance(rule, NOfM | NOfMBoth):  # N:M fixes the density
        return MaskRule(pattern=rule.spelling, prune_all=prune_all, sparsity=1 - rule.n / rule.m)
    if not asked and isinstance(rule, Channel | ChannelThen):
        raise RequestError(f"patterns has {text}, which needs sparsities: channels go by the share that is to leave")
    return MaskRule(pattern=rule.spelling, ratios=ratios, match=match, prune_all=prune_all, varies=asked)


def _located_ratios(text: str, folder: Path) -> str:
    if Path(text).suffix not in LISTS:
        check_ratios(text)
        return text
    path = os.path.abspath(folder / text)
    if not os.path.isfile(path):
        raise RequestError(f"run.ratios is {shown(text)}, and there is no such file beside the spec")
    return path


def check_zeros(models: tuple[ModelChoice, ...], masks: tuple[MaskRule, ...]) -> None:
    """Raise RequestError for masks that are to be a model's own zeros, of a model whose weights are made up."""
    own = [mask for mask in masks if mask.pattern != "dense" and not mask.varies and mask.sparsity is None]
    for mask in own:
        for model in models:
            if not is_listed(mask.ratios) and not is_file(model) and model.model not in EMBEDDED:
                raise RequestError(
                    f"patterns has {mask.pattern} and sparsities is missing, which means the zeros of the model, and "
                    f"the built-in {model.model} has made-up weights without any"
                )


NO_SPARSITIES = Choices(values=())
