"""GFLOP/s of Y = W X over the bytes of each encoding, on one core: ``python -m benchmarks.products``.

W 1024 x 1024 (kernel_pattern: 1024 x 1017) at 90 %, X of 64 positions, 16-bit indices. Two operations for each kept
weight and position, so that padding and decoding cost rate. Prints; asserts nothing.
"""

from __future__ import annotations

from time import perf_counter

import numpy as np

from patterns.catalog import parse_pattern
from patterns.encodings.base import Widths
from patterns.encodings.catalog import encoding
from patterns.products.product import PRODUCTS, product

SIDE, POSITIONS, SPARSITY, TRIES = 1024, 64, 0.9, 7
PATTERN_OF = {
    "dense": "dense",
    "n_of_m": "n_of_m:1,10",
    "bsr": "block:1x16",
    "gs": "gs:16,1",
    "kernel_pattern": "kernel_pattern",
}
KINDS = (("float32", 32), ("float16", 16), ("int8", 8), ("int8", 4))


def seconds(name: str, dtype: str, bits: int) -> tuple[float, int, int]:
    """Return the best time of a product, the kept weights and the bytes of the encoding."""
    rng = np.random.default_rng(0)
    columns = SIDE // 9 * 9 if name == "kernel_pattern" else SIDE
    weights = rng.standard_normal((1, SIDE, columns)).astype(np.float32)
    pattern = parse_pattern(PATTERN_OF.get(name, "unstructured"))
    mask = pattern.project(np.abs(weights), SPARSITY)[0]
    values = weights[0].astype(dtype) if dtype != "int8" else rng.integers(-8, 8, mask.shape).astype(np.int8)
    encoded = encoding(name).encode(mask, values, pattern, Widths(value_bits=bits))
    x = rng.standard_normal((columns, POSITIONS)).astype(np.float32)
    product(encoded, dtype, x)
    times = []
    for _ in range(TRIES):
        start = perf_counter()
        product(encoded, dtype, x)
        times.append(perf_counter() - start)
    return min(times), int(mask.sum()), encoded.total_bytes


def main() -> None:
    labels = [f"{dtype if bits >= 8 else f'int{bits}'}" for dtype, bits in KINDS]
    print(
        f"{'encoding':15} {'kept':>8} {'fp16 bytes':>10}"
        + "".join(f" {label + ' GF/s':>13} {'ms':>7}" for label in labels)
    )
    for name in PRODUCTS:
        found = [seconds(name, dtype, bits) for dtype, bits in KINDS]
        cells = [f" {2 * kept * POSITIONS / time / 1e9:13.2f} {time * 1e3:7.2f}" for time, kept, _ in found]
        print(f"{name:15} {found[0][1]:8} {found[1][2]:10}" + "".join(cells), flush=True)


if __name__ == "__main__":
    main()
