"""Rows as a run of ResNet-50's convolutions would give them: shapes are true, times follow a simple rule."""

from __future__ import annotations

from gatherline.report.columns import Row, complete_row

CLOCK_HZ = 10**9
DEVICES = {  # name: kind, model kind, peak MAC/s, DRAM bytes/s
    "gs-tcm": ("accelerator", "cycle", 256 * 10**9, 17.1e9),
    "snapdragon-855": ("cpu", "roofline", 45 * 10**9, 13e9),
}
SPEED = {"dense": 0.8, "unstructured": 0.35, "gs:16,1": 0.75, "block:1x16": 0.78}  # share of the peak
VARIANTS: tuple[tuple[str, float | None], ...] = (
    ("dense", None),
    *((pattern, sparsity) for pattern in ("unstructured", "gs:16,1", "block:1x16") for sparsity in (0.5, 0.8, 0.9)),
)


def resnet50_shapes() -> list[tuple[str, int, int, int]]:
    """Return (name, m, k, p) of the 53 convolutions and the classifier at 224 x 224."""
    shapes = [("conv1", 64, 7 * 7 * 3, 112 * 112)]
    ci = 64
    for stage, (width, blocks, side) in enumerate(((64, 3, 56), (128, 4, 28), (256, 6, 14), (512, 3, 7)), start=1):
        for block in range(blocks):
            prefix = f"layer{stage}.{block}"
            shapes.append((f"{prefix}.conv1", width, ci, side * side))
            shapes.append((f"{prefix}.conv2", width, 9 * width, side * side))
            shapes.append((f"{prefix}.conv3", 4 * width, width, side * side))
            if block == 0:
                shapes.append((f"{prefix}.downsample.0", 4 * width, ci, side * side))
            ci = 4 * width
    return [*shapes, ("fc", 1000, 2048, 1)]


def rows_of(variants: tuple[tuple[str, float | None], ...] = VARIANTS) -> list[Row]:
    """Return a row for each layer and a total, for each variant and device."""
    rows: list[Row] = []
    for device in DEVICES:
        for pattern, sparsity in variants:
            layer_rows = [_layer(device, pattern, sparsity, *shape) for shape in resnet50_shapes()]
            rows += [*layer_rows, _total(layer_rows)]
    return rows


def _layer(device: str, pattern: str, sparsity: float | None, name: str, m: int, k: int, p: int) -> Row:
    kind, model_kind, peak, bandwidth = DEVICES[device]
    kept_dense = name in ("conv1", "fc")
    density = 1.0 if sparsity is None or kept_dense else round(1 - sparsity, 6)
    effectual, slots = int(m * k * p * density), int(m * k * density)
    activations = 2 * (k * p + m * p)
    moved = 4 * slots + activations
    share = SPEED["dense" if kept_dense else pattern]
    bounds_s = {"compute": effectual / (peak * share), "DRAM": moved / bandwidth}
    latency_s = max(bounds_s.values())
    return complete_row(
        {
            "model": "resnet50", "layer": name, "kind": "conv2d" if name != "fc" else "linear",
            "m": m, "k": k, "p": p, "groups": 1, "pattern": pattern, "sparsity_target": sparsity, "density": density,
            "device": device, "device_kind": kind, "model_kind": model_kind, "latency_s": latency_s,
            "cycles": round(latency_s * CLOCK_HZ) if model_kind == "cycle" else None,
            "macs_dense": m * k * p, "macs_effectual": effectual, "macs_issued": effectual,
            "weight_bytes": 2 * slots, "index_bytes": 0 if density == 1 else 2 * slots, "weight_slots": slots,
            "activation_bytes": activations, "dram_bytes": moved, "bound": max(bounds_s, key=lambda b: bounds_s[b]),
            "utilization": effectual / (latency_s * peak), "dtype": "fp16", "batch": 1, "threads": 1,
            "validated": "not validated", "synthetic": True, "extrapolated": False,
            "reason": "the first layer and the classifier stay dense" if kept_dense and pattern != "dense" else None,
            "peak_macs_per_s": float(peak), "dram_bytes_per_s": bandwidth,
        }
    )  # fmt: skip


def _total(layer_rows: list[Row]) -> Row:
    total = dict(layer_rows[1]) | {"layer": "total", "kind": "network", "reason": None, "bound": "compute"}
    for name in ("m", "k", "p", "groups"):
        total[name] = None
    for name in ("latency_s", "macs_dense", "macs_effectual", "macs_issued", "weight_bytes", "index_bytes",
                 "weight_slots", "activation_bytes", "dram_bytes"):  # fmt: skip
        total[name] = sum(row[name] for row in layer_rows)  # type: ignore[misc]
    if total["model_kind"] == "cycle":
        total["cycles"] = sum(row["cycles"] for row in layer_rows)  # type: ignore[misc]
    weights = sum(row["m"] * row["k"] for row in layer_rows)  # type: ignore[operator]
    total["density"] = total["weight_slots"] / weights  # type: ignore[operator]
    total["peak_memory_bytes"] = total["weight_bytes"] + total["index_bytes"] + 2 * 10**6  # type: ignore[operator]
    return complete_row(total)
