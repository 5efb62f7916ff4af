"""Transformer encoders of published tables: TinyBERT and BERT-base, from their configurations.

Reference: Jiao et al. 2020, arXiv 1909.10351, section 4 (4 layers of width 312, 12 heads, inner width 1200); Devlin et
al. 2018, arXiv 1810.04805. Left out: pooler and task heads, which a table's name does not tell (under 1 % of the work).
"""

from __future__ import annotations

from costmodel.validation.net_blocks import WEIGHTS
from traces.builder import NetworkBuilder
from traces.layer import Network
from traces.workloads.blocks import activated, added, attended, embedded, normed, projected

ENCODERS = {  # name: layers, width, heads, inner width, vocabulary
    "tinybert": (4, 312, 12, 1200, 30_522),
    "base": (12, 768, 12, 3072, 30_522),
}


def encoder(name: str, tokens: int, batch: int = 1) -> Network:
    """Build a BERT encoder of ``tokens`` tokens."""
    layers, width, heads, inner, vocabulary = ENCODERS[name]
    net = NetworkBuilder(f"bert-{name}")
    ids = net.input("ids", (batch, tokens))
    x = embedded(net, "words", ids, width, (batch, tokens), vocabulary * width)
    x = normed(net, "norm", added(net, "positions", x, net.constant("position_table", (batch, tokens, width))))
    for layer in range(layers):
        part = f"layer.{layer}"
        parts = [projected(net, WEIGHTS, f"{part}.{name}", x, width) for name in ("query", "key", "value")]
        y = attended(net, f"{part}.attention", *parts, heads=heads, width=width)
        y = projected(net, WEIGHTS, f"{part}.output", y, width)
        x = normed(net, f"{part}.norm1", added(net, f"{part}.add1", x, y))
        y = projected(net, WEIGHTS, f"{part}.mlp1", x, inner)
        y = projected(net, WEIGHTS, f"{part}.mlp2", activated(net, y, "gelu"), width)
        x = normed(net, f"{part}.norm2", added(net, f"{part}.add2", x, y))
    return net.build([x])
