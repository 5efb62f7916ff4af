"""``simulate inspect``: what is in a model file, before anything is simulated."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from gatherline.options import (
    Arch,
    Batch,
    Debug,
    Dtype,
    InputShape,
    Json,
    Model,
    PruneAll,
    Seed,
    Strict,
    at_least,
    joined_shapes,
)


def inspect(
    model: Model,
    arch: Arch = None,
    pattern: Annotated[
        str | None, typer.Option(metavar="P", help="Look at the masks that this pattern would make, as in gs:16,1.")
    ] = None,
    sparsity: Annotated[
        float | None, typer.Option(metavar="S", help="Fraction of weights that it would remove, 0 to below 1.")
    ] = None,
    prune_all: PruneAll = False,
    encodings: Annotated[
        bool, typer.Option("--encodings", help="Tell every encoding's bytes, layer by layer.")
    ] = False,
    dtype: Dtype = "fp16",
    index_bits: Annotated[
        str, typer.Option(metavar="BITS", help="Width of an index: 1 to 64, minimal (packed bits) or minimal_bytes.")
    ] = "16",
    layer: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Show this layer in full, and draw it with --out; repeats.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for layers.csv, inspect.json and pictures of masks.")
    ] = None,
    json: Json = False,
    seed: Seed = 0,
    batch: Batch = None,
    input_shape: InputShape = None,
    strict: Strict = False,
    debug: Debug = False,
) -> None:
    """Show layers, the patterns their masks obey, loads and bytes.

    A share stands beside the one that random masks of the same density reach; patterns rank by what is beyond it.
    """
    at_least("--seed", seed, 0)
    at_least("--batch", batch, 1)
    shape = joined_shapes(input_shape)
    from gatherline import pipeline
    from gatherline.report.inspection_table import print_inspection
    from gatherline.report.staging import check_target

    if out is not None:
        check_target(out)
    report = pipeline.inspect(
        model, arch=arch, seed=seed, batch=batch, input_shape=shape, strict=strict, pattern=pattern, sparsity=sparsity,
        prune_all=prune_all, encodings=encodings, dtype=dtype, layers=tuple(layer or ()),
        index_bits=int(index_bits) if index_bits.isascii() and index_bits.isdigit() else index_bits,
    )  # fmt: skip
    if json:
        sys.stdout.write(report.to_json())
    else:
        print_inspection(report.rows, report.manifest, layer or (), sys.stdout)
    sys.stdout.flush()
    for path in report.write(out) if out is not None else ():
        print(f"wrote {path}", file=sys.stderr if json else sys.stdout)
