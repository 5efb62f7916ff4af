"""A level's traces, made once: lowered, masked, packed into bytes, and read back layer by layer as often as needed.

The same bytes lie in the cache, so that later runs and other processes neither lower nor mask. Beside the traces: what
rows say of the network, the share of the weights that the masks keep, and what an FPGA's engine is chosen by. Left out:
weights themselves; kernel results that depend on a device.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from costmodel.spec import VALUE_BYTES
from costmodel.tables.catalog import technology_named
from gatherline.cache import Cache
from gatherline.fpga_engine import EngineWork, Product, engine_work
from gatherline.network_facts import batch_of, unsupported
from gatherline.request import Target, levels, lower
from gatherline.rows import RunFacts
from gatherline.sweep.level_key import level_key, model_content
from gatherline.sweep.packings import KeptPackings
from gatherline.sweep.point import LevelChoice, ModelChoice, RunOptions, run_request
from patterns.base import Mask
from patterns.catalog import parse_pattern
from traces.layer import FloatArray, MatrixLayer, Network, ProductLayer
from traces.layer_store import StoredLevel, level_bytes, read_level
from traces.liveness import peak_activation_elements
from traces.masks import TracedNetwork, trace_network
from traces.stream import TraceError
from traces.trace import LayerTrace

KIND = "levels"  # of a cache entry
HELD_WEIGHTS = 1 << 25  # assumed: masks of at most 32 MiB stay unpacked, with what their traces know (ResNet-50's do)
_CHUNK = 1 << 20  # weights that a sum looks at together: a large layer is not copied whole


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TracedLevel:
    """The traces of one level, and what rows need of the network that runs (smaller after channel pruning).

    ``sparsity``: the target of all pruned layers together. ``kept_l1`` and ``kept_l2``: share of the L1 and of
    the L2 norm of all layers' weights that the masks keep, as ``simulate prune`` says them, 1 where there is none.
    ``engine``: what an FPGA's engine needs.
    """

    key: str
    model: str
    digest: str
    batch: int
    synthetic: bool
    unsupported: tuple[str, ...]
    activation_peak_elements: int
    pattern: str
    sparsity: float | None
    layer_targets: Mapping[str, float] | None
    kept_l1: float
    kept_l2: float
    notes: tuple[str, ...]
    engine: EngineWork
    stored: StoredLevel
    packings: KeptPackings | None = None
    _held: dict[int, LayerTrace] = field(init=False, repr=False, default_factory=dict)

    def traces(self) -> Iterator[LayerTrace]:
        """Yield one trace per layer, in order, again and again; the masks of a large network are not held together.

        Packings come from the cache, and those that were made meanwhile go there when the last trace is done with.
        """
        layers = [stored.layer for stored in self.stored.layers]
        hold = sum(layer.weight_elements for layer in layers if isinstance(layer, MatrixLayer)) <= HELD_WEIGHTS
        for index in range(len(layers)):
            found = self._held.get(index)
            if found is None:
                found = self.stored.trace(index)
                if self.packings is not None:
                    self.packings.offer(index, found)
                if hold:
                    found = self._held.setdefault(index, found)
            yield found
            if self.packings is not None:
                self.packings.collect(index, found)
        if self.packings is not None:
            self.packings.write()


def traced_level(level: LevelChoice, cache: Cache | None) -> TracedLevel:
    """Return the traces of ``level``, from ``cache`` where it has them. Raises what ``lower`` and ``levels`` raise."""
    key = level_key(level)
    data = level_data(level, key, cache)
    if cache is None:
        return traced_from(key, data, key)
    try:
        return traced_from(key, data, str(cache.path(KIND, key)), cache)
    except TraceError as error:  # whole, and yet no level: written by something else
        cache.note(f"{error}: it is made again")
        data = _made(level)
        cache.write(KIND, key, data)
        return traced_from(key, data, key, cache)


def level_data(level: LevelChoice, key: str, cache: Cache | None) -> bytes:
    """Return the bytes of ``level``, whose key is ``key``, from ``cache`` where it has them."""
    return _made(level) if cache is None else cache.made(KIND, key, lambda: _made(level))


def traced_from(key: str, data: bytes, where: str, cache: Cache | None = None) -> TracedLevel:
    """Return the level whose bytes, as a cache keeps them, are ``data``. Raises TraceError, prefixed by ``where``.

    ``cache``: where its packings are kept.
    """
    stored = read_level(data, where)
    extra = dict(stored.extra)
    try:
        engine = _read_engine(extra.pop("engine"), stored)
        for name in ("unsupported", "notes"):
            extra[name] = tuple(extra[name])
        packings = None if cache is None else KeptPackings(cache, key)
        return TracedLevel(key=key, engine=engine, stored=stored, packings=packings, **extra)
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise TraceError(f"{where}: what it says of the network is not a level's: {error!r:.80}") from None


def run_facts(level: LevelChoice, options: RunOptions, traced: TracedLevel, device: Target) -> RunFacts:
    """Return what all rows of a level on ``device`` share, as ``simulate run`` says it."""
    return RunFacts(
        model=traced.model,
        pattern=traced.pattern,
        sparsity_target=traced.sparsity,
        device=device,
        dtype=options.dtype,
        batch=traced.batch,
        threads=options.threads if device.kind in ("mobile_cpu", "cpu") else 1,
        synthetic=traced.synthetic,
        activation_peak_bytes=traced.activation_peak_elements * VALUE_BYTES[options.dtype],
        unsupported=traced.unsupported,
        ratios=level.ratios,
        layer_targets=traced.layer_targets,
        technology=technology_named(options.technology),
    )


@lru_cache(maxsize=1)
def _lowered(choice: ModelChoice, content: str) -> Network:
    """Return the network of ``choice``, kept for the next level of the same model; ``content``: what its file holds."""
    return lower(run_request(LevelChoice(model=choice, pattern="dense"), RunOptions()))


def _made(level: LevelChoice) -> bytes:
    """Lower and mask a model, and return the level as bytes."""
    network = _lowered(level.model, model_content(level.model))
    (asked,) = levels(network, run_request(level, RunOptions()))
    traced = trace_network(network, asked, prune_all=level.prune_all, match=level.match)
    sums = np.zeros(4)
    extra: dict[str, Any] = {
        "model": traced.network.name,
        "digest": network.digest,
        "batch": batch_of(traced.network),
        "synthetic": network.synthetic,
        "unsupported": list(unsupported(traced.network)),
        "activation_peak_elements": int(peak_activation_elements(traced.network)),
        "pattern": asked.pattern.spelling,
        "sparsity": asked.sparsity,
        "layer_targets": None if asked.shares is None else dict(asked.shares.sparsities),
        "notes": list(network.notes),
        "engine": _engine_json(engine_work(traced.network, asked, level.prune_all), traced.network),
    }

    def summed() -> Iterator[LayerTrace]:
        for trace in traced.traces:
            sums[:] += _norms(network, traced, trace)
            yield trace
        of_l1, of_squares = (float(kept / whole) if whole else 1.0 for kept, whole in sums.reshape(2, 2))
        extra["kept_l1"], extra["kept_l2"] = of_l1, math.sqrt(of_squares)

    return level_bytes(summed(), extra)


def _norms(network: Network, traced: TracedNetwork, trace: LayerTrace) -> tuple[float, float, float, float]:
    """Return sum |w| that is kept and in all, then sum w^2 likewise, of a layer; ``network``: before channels went."""
    if trace.mask is None:
        return 0.0, 0.0, 0.0, 0.0
    weights = network.weights[trace.layer.name]
    l1, squares = _sums(weights, None)
    if trace.mask.size != weights.size:  # some channels are gone
        del weights  # a large layer is in memory once
        weights = traced.network.weights[trace.layer.name]
    elif trace.all_kept:
        return l1, l1, squares, squares
    kept_l1, kept_squares = _sums(weights, trace.mask)
    return kept_l1, l1, kept_squares, squares


def _sums(weights: FloatArray, mask: Mask | None) -> tuple[float, float]:
    """Return sum |w| and sum w^2 in double precision, where ``mask`` keeps them."""
    flat, kept = weights.reshape(-1), None if mask is None else mask.reshape(-1)
    l1 = squares = 0.0
    for start in range(0, flat.size, _CHUNK):
        part = np.abs(flat[start : start + _CHUNK], dtype=np.float64)
        if kept is not None:
            part[~kept[start : start + _CHUNK]] = 0.0
        l1 += float(part.sum())
        squares += float(np.square(part, out=part).sum())
    return l1, squares


def _engine_json(work: EngineWork, network: Network) -> dict[str, Any]:
    """Layers by their place in the network: they stand in the level already."""
    places = {id(layer): place for place, layer in enumerate(network.layers)}
    return {
        "pattern": work.pattern.spelling,
        "layers": [places[id(layer)] for layer in work.layers],
        "slots": list(work.slots),
        "tokens": int(work.tokens),
    }


def _read_engine(value: Mapping[str, Any], stored: StoredLevel) -> EngineWork:
    layers: list[Product] = []
    for place in value["layers"]:
        layer = stored.layers[place].layer
        if not isinstance(layer, MatrixLayer | ProductLayer):
            raise ValueError(f"layer {layer.name} makes no product, and an engine is said to run it")
        layers.append(layer)
    return EngineWork(
        pattern=parse_pattern(value["pattern"]), layers=tuple(layers), slots=tuple(value["slots"]),
        tokens=value["tokens"],
    )  # fmt: skip
