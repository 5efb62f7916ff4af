"""The base and the big Transformer of WMT 2014 English-German: 6 + 6 layers, 37,000 shared tokens.

Both embeddings share their table with the output projection, which stores it. The decoder is run as in scoring: the
target tokens are known, and its self-attention computes the full square (a causal mask saves nothing). Left out: beam
search, and the cached keys of generation. Weight names as in fairseq.
Reference: Vaswani et al. 2017, arXiv 1706.03762, table 3, rows "base" and "big".
"""

from __future__ import annotations

from dataclasses import dataclass

from traces.builder import NetworkBuilder
from traces.layer import Network
from traces.workloads.blocks import activated, added, attended, embedded, normed, projected
from traces.workloads.workload import WeightSource, Workload, resolve_shape

SHAPE = (1, 32)  # sentences, tokens of source and of target; 32 tokens are assumed
LAYERS = 6
VOCABULARY = 37_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Size:
    """A row of the paper's table 3."""

    width: int
    feed_forward: int
    heads: int


_BASE = _Size(width=512, feed_forward=2048, heads=8)
_BIG = _Size(width=1024, feed_forward=4096, heads=16)


def transformer_wmt(weights: WeightSource, batch: int = 1, input_shape: tuple[int, ...] | None = None) -> Network:
    """Build the base Transformer."""
    return _transformer("transformer_wmt", _BASE, weights, batch, input_shape)


def transformer_wmt_big(weights: WeightSource, batch: int = 1, input_shape: tuple[int, ...] | None = None) -> Network:
    """Build the big Transformer."""
    return _transformer("transformer_wmt_big", _BIG, weights, batch, input_shape)


def _transformer(
    name: str, size: _Size, weights: WeightSource, batch: int, input_shape: tuple[int, ...] | None
) -> Network:
    net = NetworkBuilder(name)
    shape = resolve_shape(name, SHAPE, batch, input_shape)
    position = net.constant("position", (1, shape[1], size.width))
    memory = _tokens(net, "encoder", net.input("source", shape), position)
    for index in range(LAYERS):
        layer = f"encoder.layers.{index}"
        memory = _attention(net, weights, f"{layer}.self_attn", memory, memory, size.heads)
        memory = _feed_forward(net, weights, layer, memory, size.feed_forward)
    x = _tokens(net, "decoder", net.input("target", shape), position)
    for index in range(LAYERS):
        layer = f"decoder.layers.{index}"
        x = _attention(net, weights, f"{layer}.self_attn", x, x, size.heads)
        x = _attention(net, weights, f"{layer}.encoder_attn", x, memory, size.heads)
        x = _feed_forward(net, weights, layer, x, size.feed_forward)
    return net.build([projected(net, weights, "decoder.output_projection", x, VOCABULARY)])


def _tokens(net: NetworkBuilder, side: str, ids: str, position: str) -> str:
    batch, tokens = net.shape(ids)
    width = net.shape(position)[-1]
    x = embedded(net, f"{side}.embed_tokens", ids, width, (batch, tokens), 0)  # the output projection's table
    return added(net, f"{side}.add_position", x, position)


def _attention(net: NetworkBuilder, weights: WeightSource, name: str, x: str, memory: str, heads: int) -> str:
    width = net.shape(x)[-1]
    query = projected(net, weights, f"{name}.q_proj", x, width)
    key = projected(net, weights, f"{name}.k_proj", memory, width)
    value = projected(net, weights, f"{name}.v_proj", memory, width)
    y = attended(net, name, query, key, value, heads=heads, width=width)
    y = projected(net, weights, f"{name}.out_proj", y, width)
    return normed(net, f"{name}_layer_norm", added(net, f"{name}.add", x, y))


def _feed_forward(net: NetworkBuilder, weights: WeightSource, name: str, x: str, features: int) -> str:
    y = activated(net, projected(net, weights, f"{name}.fc1", x, features), "relu")
    y = projected(net, weights, f"{name}.fc2", y, net.shape(x)[-1])
    return normed(net, f"{name}.final_layer_norm", added(net, f"{name}.add", x, y))


TRANSFORMER_WMT = Workload(
    name="transformer_wmt",
    summary="translation, base Transformer, 6 + 6 layers of width 512, 32 tokens each side",
    source="Vaswani et al. 2017, arXiv 1706.03762, table 3, base",
    macs=None,
    input_shape=SHAPE,
    build=transformer_wmt,
)

TRANSFORMER_WMT_BIG = Workload(
    name="transformer_wmt_big",
    summary="translation, big Transformer, 6 + 6 layers of width 1024, 32 tokens each side",
    source="Vaswani et al. 2017, arXiv 1706.03762, table 3, big",
    macs=None,
    input_shape=SHAPE,
    build=transformer_wmt_big,
)
