"""DeiT, the data-efficient vision transformer, patch 16, no distillation token; weight names as in timm.

Multiply-adds include the products of the attention and the classifier, which reads one token: that definition gives
1.254 G for DeiT-T (1,253,683,200; without the products 1.075 G).
Reference: Touvron et al. 2020, arXiv 2012.12877, table 1. ``-tokens-0.7``: tokens leave as in DynamicViT.
"""

from __future__ import annotations

from functools import partial

from traces.builder import NetworkBuilder
from traces.layer import ModelError, Network
from traces.tokens import selected
from traces.workloads.blocks import activated, added, attended, normed, projected
from traces.workloads.workload import WeightSource, Workload, resolve_shape

SHAPE = (1, 3, 224, 224)
PATCH = 16
BLOCKS = 12
HEAD_WIDTH = 64
CLASSES = 1000
STAGES = (3, 6, 9)  # blocks before which tokens leave. Source: Rao et al. 2021, arXiv 2106.02034, section 4


def deit(
    name: str,
    width: int,
    weights: WeightSource,
    batch: int = 1,
    input_shape: tuple[int, ...] | None = None,
    *,
    keep: float = 1.0,
) -> Network:
    """Build the DeiT of this embedding width; ``keep``: share of the tokens that each of STAGES lets stay.

    Raises ModelError where patches don't tile the image.
    """
    net = NetworkBuilder(name)
    shape = resolve_shape(name, SHAPE, batch, input_shape)
    if shape[2] % PATCH or shape[3] % PATCH:
        raise ModelError(f"{name}: input shape {shape}: height and width must be multiples of the patch, {PATCH}")
    samples, tokens = shape[0], 1 + (shape[2] // PATCH) * (shape[3] // PATCH)
    x = net.conv(
        "patch_embed.proj",
        net.input("image", shape),
        weights("patch_embed.proj.weight", (width, shape[1], PATCH, PATCH)),
        "patch_embed.proj",
        stride=(PATCH, PATCH),
    )
    token = net.constant("cls_token", (1, 1, width))
    position = net.constant("pos_embed", (1, tokens, width))
    x = net.vector("cat_token", "concat", "concat", [token, x], "cat_token", (samples, tokens, width))
    x = net.vector("add_position", "add", "add", [x, position], "add_position", (samples, tokens, width))
    patches = tokens - 1
    for block in range(BLOCKS):
        if keep < 1.0 and block in STAGES:
            stage = STAGES.index(block)
            x = selected(net, weights, f"score_predictor.{stage}", x, int(patches * keep ** (stage + 1)))
        x = _block(net, weights, f"blocks.{block}", x, width)
    x = normed(net, "norm", x)
    first = (samples, width)
    x = net.vector("first_token", "move", "slice", [x], "first_token", first, input_elements=samples * width)
    return net.build([projected(net, weights, "head", x, CLASSES)])


def _block(net: NetworkBuilder, weights: WeightSource, name: str, x: str, width: int) -> str:
    qkv = projected(net, weights, f"{name}.attn.qkv", normed(net, f"{name}.norm1", x), 3 * width)
    y = attended(net, f"{name}.attn", qkv, qkv, qkv, heads=width // HEAD_WIDTH, width=width)
    x = added(net, f"{name}.add1", x, projected(net, weights, f"{name}.attn.proj", y, width))
    y = projected(net, weights, f"{name}.mlp.fc1", normed(net, f"{name}.norm2", x), 4 * width)
    y = projected(net, weights, f"{name}.mlp.fc2", activated(net, y, "gelu"), width)
    return added(net, f"{name}.add2", x, y)


DEIT_TINY = Workload(
    name="deit_tiny",
    summary="vision transformer, 12 blocks of width 192, 3 heads, 197 tokens",
    source="Touvron et al. 2020, arXiv 2012.12877, table 1; 1.254 GMAC with attention products and classifier",
    macs=1_254_000_000,
    input_shape=SHAPE,
    build=partial(deit, "deit_tiny", 192),
)
DEIT_SMALL = Workload(
    name="deit_small",
    summary="vision transformer, 12 blocks of width 384, 6 heads, 197 tokens",
    source="Touvron et al. 2020, arXiv 2012.12877, table 1; 4.6 G in Liu et al. 2021, arXiv 2103.14030, table 1",
    macs=4_600_000_000,
    input_shape=SHAPE,
    build=partial(deit, "deit_small", 384),
)
DEIT_TINY_TOKENS = Workload(
    name="deit_tiny-tokens-0.7",
    summary="deit_tiny whose tokens beside the class token shrink to 0.7, 0.49 and 0.343 before blocks 3, 6 and 9",
    source="Rao et al. 2021, arXiv 2106.02034: ratio and blocks; its authors prune DeiT-S and not DeiT-T",
    macs=None,
    input_shape=SHAPE,
    build=partial(deit, "deit_tiny-tokens-0.7", 192, keep=0.7),
)
DEIT_SMALL_TOKENS = Workload(
    name="deit_small-tokens-0.7",
    summary="deit_small whose tokens beside the class token shrink to 0.7, 0.49 and 0.343 before blocks 3, 6 and 9",
    source="Rao et al. 2021, arXiv 2106.02034; 2.9 G in its README, 2.88 G here without the predictors",
    macs=None,
    input_shape=SHAPE,
    build=partial(deit, "deit_small-tokens-0.7", 384, keep=0.7),
)
