"""The published profiles, each with its source. Shares by layer are in ``profiles/NETWORK.csv``, copied as printed."""

from __future__ import annotations

from traces.workloads.bert import BERT_BASE
from traces.workloads.mobilenet import MOBILENET_V1
from traces.workloads.profile import Profile
from traces.workloads.resnet import RESNET50
from traces.workloads.transformer import TRANSFORMER_WMT_BIG

_STR = "Kusupati et al., Soft threshold weight reparameterization, ICML 2020, arXiv 2002.03231; budgets in RAIVNLab/STR"
_ZOO = "neuralmagic/sparsezoo, analysis of the stored network"
_STR_LEVELS = (
    *("79.55", "81.27", "87.7", "90.23", "90.55", "94.8", "95.03", "95.15"),
    *("96.11", "96.53", "97.78", "98.05", "98.22", "98.79", "98.98", "99.1"),
)
_AT_90 = (
    ("uniform-90", "the same share in each layer", 0.9),
    ("erk-90", "Erdos-Renyi-Kernel budget", None),
    ("snfs-90", "sparse networks from scratch (sparse momentum)", None),
    ("vd-90", "variational dropout", None),
    ("global-90", "one magnitude threshold (the column GS of the source, which is no gather-scatter)", None),
)

ALL_PROFILES: tuple[Profile, ...] = (
    *(
        Profile(
            column=f"str-{level}",
            base=RESNET50,
            summary=f"{level} % by learned thresholds (STR)",
            source=_STR,
            sparsity=float(level) / 100,
        )
        for level in _STR_LEVELS
    ),
    *(
        Profile(column=column, base=RESNET50, summary=f"about 90 %, {what}", source=_STR, sparsity=sparsity)
        for column, what, sparsity in _AT_90
    ),
    Profile(
        column="sparsezoo-quantized",
        base=RESNET50,
        summary="79 %, pruned and quantized",
        source=f"{_ZOO} resnet50_pruned_quantized",
    ),
    Profile(
        column="sparsezoo-moderate",
        base=MOBILENET_V1,
        summary="1x1 convolutions at 70 to 90 %, the others dense",
        source=f"{_ZOO} mobilenet_v1_pruned_moderate",
    ),
    Profile(
        column="sparsezoo-pruned80",
        base=BERT_BASE,
        summary="80 %, SQuAD, pruned and quantized",
        source=f"{_ZOO} bert_pruned80_quant-none-vnni",
    ),
    Profile(
        column="gap-90",
        base=TRANSFORMER_WMT_BIG,
        summary="90 %, grow and prune, the output projection dense",
        source="Ma et al., Effective model sparsification by scheduled grow-and-prune, ICLR 2022, arXiv 2106.09857; "
        "boone891214/GaP, Transformer, 3_step_forward_gap, global_0.9",
        sparsity=0.9,
    ),
)
