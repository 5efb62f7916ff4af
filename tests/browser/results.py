"""Results that pages are tested on: a run of the digits, and a made-up one that is as hostile as a report may be."""

from __future__ import annotations

from pathlib import Path

import gatherline as gl
from gatherline.mask_samples import masks_json
from gatherline.report.columns import Row, complete_row
from gatherline.report.files import write_report
from gatherline.report.time_causes import TIME_CAUSES

MANY = 10_000
NAMES = (
    "<script>alert(1)</script>", "</script><b>bold", "\N{PILE OF POO}\N{FIRE} layer", "\u202eright to left", "שכבה",
    "{layer} {time}", "a & b < c > d \"quoted\" 'too'", "x" * 300, "__proto__", "constructor",
)  # fmt: skip
DIGITS_DEVICES = ("gs-tcm", "snapdragon-855", "adreno-640")


def digits_folder(folder: Path) -> Path:
    """Write a run of the digits, dense and three patterns at two sparsities on three devices."""
    report = gl.run(
        "digits",
        patterns=["dense", "gs:16,1", "unstructured", "block:1x16"],
        sparsities=[0.5, 0.9],
        devices=list(DIGITS_DEVICES),
    )
    write_report(folder, report.manifest, report.rows, pictures=False, masks=masks_json(report.masks, report.manifest))
    return folder


def hostile_folder(folder: Path, layers: int = MANY) -> Path:
    """Write a run of many layers: names as markup, in other scripts and very long; no time, no work, no band at all."""
    rows = [row for pattern in ("dense", "gs:16,1") for row in _network(pattern, layers)]
    manifest = {
        "version": "0", "seed": 0, "model": NAMES[0], "model_source": NAMES[1], "model_hash": "0", "synthetic": True,
        "devices": {NAMES[5]: {"hash": "0"}}, "packages": {}, "request": {"model": NAMES[0]}, "complete": True,
    }  # fmt: skip
    write_report(folder, manifest, rows, pictures=False)
    return folder


def _network(pattern: str, layers: int) -> list[Row]:
    made = [_layer(pattern, at) for at in range(layers)]
    total = _row(pattern, "total", seconds=sum(_seconds(pattern, at) for at in range(layers)), macs=layers)
    return [*made, {**total, "peak_memory_bytes": 1000}]


def _layer(pattern: str, at: int) -> Row:
    name = NAMES[at] if at < len(NAMES) else f"layer {at}"
    return _row(pattern, name, seconds=_seconds(pattern, at), macs=0 if at % 7 == 0 else 1000 + at)


def _seconds(pattern: str, at: int) -> float:
    """From nothing to very long: powers of ten over all that a report may hold, and zeros."""
    if at % 11 == 0:
        return 0.0
    return (1.0 if pattern == "dense" else 0.5) * 10.0 ** (at % 9 - 8)


def _row(pattern: str, layer: str, *, seconds: float, macs: int) -> Row:
    causes = {cause.column: seconds / len(TIME_CAUSES) for cause in TIME_CAUSES}
    sparse = pattern != "dense"
    return complete_row(
        {
            "model": NAMES[0], "layer": layer, "kind": "conv2d", "m": 4, "k": 4, "p": 4, "groups": 1,
            "pattern": pattern, "sparsity_target": 0.9 if sparse else None, "density": 0.1 if sparse else 1.0,
            "device": NAMES[5], "device_kind": "accelerator", "model_kind": "roofline", "latency_s": seconds,
            "macs_dense": macs, "macs_effectual": macs, "macs_issued": macs, "weight_bytes": 32, "index_bytes": 0,
            "activation_bytes": 64, "dram_bytes": macs // 3, "bound": "compute", "utilization": 0.0, "dtype": "fp16",
            "batch": 1, "threads": 1, "encoding": NAMES[6] if sparse else "dense", "kernel": "gemm",
            "validated": "not validated", "synthetic": True, "extrapolated": False,
            "reason": NAMES[0] if sparse else None, "layer_pattern": pattern,
            "peak_macs_per_s": 1e9, "dram_bytes_per_s": 1e9, **causes,
        }
    )  # fmt: skip
