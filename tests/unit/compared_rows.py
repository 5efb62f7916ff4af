"""Rows of a small network as two runs would give them: names and numbers that a test changes one at a time."""

from __future__ import annotations

from collections.abc import Sequence

from gatherline.report.columns import TOTAL, Row, complete_row

LAYERS = ("conv1", "conv2", "fc")
CYCLES = 1000  # of each layer
CLOCK_HZ = 10**9
MANIFEST: dict[str, object] = {
    "version": "0.1.0",
    "seed": 0,
    "model_hash": "ab" * 32,
    "devices": {"gs-tcm": {"hash": "cd" * 32, "summary": "a machine"}},
    "packages": {"numpy": "2.4"},
    "request": {"model": "net", "devices": ["gs-tcm"], "dtype": "fp16"},
    "complete": True,
}


def network(
    *,
    pattern: str = "gs:16,1",
    sparsity: float | None = 0.9,
    device: str = "gs-tcm",
    model: str = "net",
    layers: Sequence[str] = LAYERS,
    more: dict[str, int] | None = None,
    band: float = 0.0,
) -> list[Row]:
    """Return a row for each layer and the total. ``more``: conflict cycles by layer. ``band``: a share."""
    shared = {
        "model": model, "pattern": pattern, "sparsity_target": sparsity, "sparsity_overall": sparsity,
        "device": device, "device_kind": "accelerator", "model_kind": "cycle", "dtype": "fp16", "batch": 1,
        "threads": 1, "validated": "not validated", "synthetic": False, "extrapolated": False,
    }  # fmt: skip
    rows: list[Row] = []
    for place, name in enumerate(layers):
        conflicts = (more or {}).get(name, 0)
        row = {
            **shared,
            **_times(CYCLES + conflicts, conflicts, band),
            "layer": name,
            "kind": "linear" if name == "fc" else "conv2d",
            "macs_dense": 1000 * (place + 1),
            "weight_bytes": 64,
            "index_bytes": 32,
            "density": 0.1,
            "kernel": "gather/scatter",
            "bound": "compute",
        }
        rows.append(complete_row(row))
    conflicts = sum((more or {}).get(name, 0) for name in layers)
    times = _times(CYCLES * len(layers) + conflicts, conflicts, band)
    total = {
        **shared, **times, "layer": TOTAL, "kind": TOTAL, "weight_bytes": 64 * len(layers),
        "index_bytes": 32 * len(layers), "density": 0.1, "peak_memory_bytes": 4096,
        "macs_dense": sum(1000 * (place + 1) for place in range(len(layers))),
    }  # fmt: skip
    return [*rows, complete_row(total)]


def _times(cycles: int, conflicts: int, band: float) -> dict[str, object]:
    latency_s = cycles / CLOCK_HZ
    return {
        "cycles": cycles,
        "conflict_cycles": conflicts,
        "latency_s": latency_s,
        "latency_low_s": latency_s * (1 - band) if band else None,
        "latency_high_s": latency_s * (1 + band) if band else None,
        "time_compute_s": (cycles - conflicts) / CLOCK_HZ,
        "time_conflict_s": conflicts / CLOCK_HZ,
        "time_imbalance_s": 0.0,
        "time_weights_s": 0.0,
        "time_activations_s": 0.0,
        "time_overhead_s": 0.0,
    }
