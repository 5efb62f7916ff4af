"""Token pruning: a small predictor scores the tokens of a vision transformer, the best stay, the rest leave the net.

What follows has fewer positions, and attention products shrink on two sides. How many stay is fixed, as at inference in
DynamicViT (the best k of each image), so shapes are known beforehand. Reference: Rao et al. 2021, arXiv 2106.02034,
and its code, raoyongming/DynamicViT. Left out: which tokens stay (no time depends on it), packing what was dropped into
one more token, and counts that differ from image to image.
"""

from __future__ import annotations

from traces.builder import NetworkBuilder
from traces.workloads.blocks import activated, normed, projected
from traces.workloads.workload import WeightSource

TOKEN_SELECT = "token_select"  # the operator that sorts scores and moves the tokens that stay together


def selected(net: NetworkBuilder, weights: WeightSource, name: str, x: str, keep: int) -> str:
    """Append the predictor and the selection of ``keep`` of the tokens beside the class token; x (N, tokens, C).

    The predictor is a norm and four linear layers of width C, C/2, C/4 and 2, as in DynamicViT.
    """
    samples, tokens, width = net.shape(x)
    scores = activated(net, projected(net, weights, f"{name}.in_conv.1", normed(net, f"{name}.norm", x), width), "gelu")
    for place, features in ((0, width // 2), (2, width // 4), (4, 2)):
        scores = projected(net, weights, f"{name}.out_conv.{place}", scores, features)
        scores = activated(net, scores, "gelu") if place < 4 else scores
    shape = (samples, 1 + keep, width)
    return net.vector(
        f"{name}.select",
        "move",
        TOKEN_SELECT,
        [x, scores],
        f"{name}.select",
        shape,
        elements=samples * (tokens + (1 + keep) * width),
        input_elements=samples * (tokens + (1 + keep) * width),
    )
