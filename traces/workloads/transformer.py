"""The base Transformer of WMT 2014 English-German: 6 + 6 layers of width 512, 8 heads, 37,000 shared tokens.

Both embeddings share their table with the output projection, which stores it. The decoder is run as in scoring: the
target tokens are known, and its self-attention computes the full square (a causal mask saves nothing). Left out: beam
search, and the cached keys of generation. Weight names as in fairseq.
Reference: Vaswani et al. 2017, arXiv 1706.03762, table 3, row "base".
"""

from __future__ import annotations

from traces.builder import NetworkBuilder
from traces.layer import Network
from traces.workloads.blocks import activated, added, attended, embedded, normed, projected
from traces.workloads.workload import WeightSource, Workload, resolve_shape

SHAPE = (1, 32)  # sentences, tokens of source and of target; 32 tokens are assumed
LAYERS = 6
WIDTH = 512
FEED_FORWARD = 2048
HEADS = 8
VOCABULARY = 37_000


def transformer_wmt(weights: WeightSource, batch: int = 1, input_shape: tuple[int, ...] | None = None) -> Network:
    """Build the base Transformer."""
    net = NetworkBuilder("transformer_wmt")
    shape = resolve_shape("transformer_wmt", SHAPE, batch, input_shape)
    position = net.constant("position", (1, shape[1], WIDTH))
    memory = _tokens(net, "encoder", net.input("source", shape), position)
    for index in range(LAYERS):
        name = f"encoder.layers.{index}"
        memory = _attention(net, weights, f"{name}.self_attn", memory, memory)
        memory = _feed_forward(net, weights, name, memory)
    x = _tokens(net, "decoder", net.input("target", shape), position)
    for index in range(LAYERS):
        name = f"decoder.layers.{index}"
        x = _attention(net, weights, f"{name}.self_attn", x, x)
        x = _attention(net, weights, f"{name}.encoder_attn", x, memory)
        x = _feed_forward(net, weights, name, x)
    return net.build([projected(net, weights, "decoder.output_projection", x, VOCABULARY)])


def _tokens(net: NetworkBuilder, side: str, ids: str, position: str) -> str:
    batch, tokens = net.shape(ids)
    x = embedded(net, f"{side}.embed_tokens", ids, WIDTH, (batch, tokens), 0)  # the output projection's table
    return added(net, f"{side}.add_position", x, position)


def _attention(net: NetworkBuilder, weights: WeightSource, name: str, x: str, memory: str) -> str:
    query = projected(net, weights, f"{name}.q_proj", x, WIDTH)
    key = projected(net, weights, f"{name}.k_proj", memory, WIDTH)
    value = projected(net, weights, f"{name}.v_proj", memory, WIDTH)
    y = attended(net, name, query, key, value, heads=HEADS, width=WIDTH)
    y = projected(net, weights, f"{name}.out_proj", y, WIDTH)
    return normed(net, f"{name}_layer_norm", added(net, f"{name}.add", x, y))


def _feed_forward(net: NetworkBuilder, weights: WeightSource, name: str, x: str) -> str:
    y = activated(net, projected(net, weights, f"{name}.fc1", x, FEED_FORWARD), "relu")
    y = projected(net, weights, f"{name}.fc2", y, WIDTH)
    return normed(net, f"{name}.final_layer_norm", added(net, f"{name}.add", x, y))


TRANSFORMER_WMT = Workload(
    name="transformer_wmt",
    summary="translation, base Transformer, 6 + 6 layers of width 512, 32 tokens each side",
    source="Vaswani et al. 2017, arXiv 1706.03762, table 3, base",
    macs=None,
    input_shape=SHAPE,
    build=transformer_wmt,
)
