"""The columns of a point of a sweep: what was asked, then what the total row of ``simulate run`` says of it.

One row per point, under the content hash of all that decides it: no times, dates, paths or hosts, so a row is the same
bytes whoever computes it. A refused point has ``refused`` and no numbers. Fields of a device that vary in a store get a
column of their own beside these (``store.py``). Left out: layers; ``simulate run`` shows them.
"""

from __future__ import annotations

from gatherline.report.columns import ADDED_COLUMNS, CONTRACT_COLUMNS, Column, Row

_KNOWN = {column.name: column for column in (*CONTRACT_COLUMNS, *ADDED_COLUMNS)}
_KNOWN["clock_hz"] = Column(name="clock_hz", type="int", text="clock of an accelerator, or of the engine of an FPGA")


def _asked(name: str, type_: str, text: str) -> Column:
    return Column(name=name, type=type_, text=text)  # type: ignore[arg-type]


ASKED_COLUMNS: tuple[Column, ...] = (
    _asked("key", "text", "SHA-256 of model, masks, options, device and version: equal keys, equal rows"),
    _asked("model", "text", "name of the network"),
    _asked("level", "int", "level of a model pruned to nested levels; empty: all that it holds"),
    _asked("seed", "int", "seed of synthetic weights"),
    _asked("input_shape", "text", "input shapes, where they were given"),
    _asked("pattern", "text", "sparsity pattern"),
    _asked("sparsity_target", "float", "fraction of weights that was to be removed"),
    _asked("ratios", "text", "how it is shared among the layers: a method, a profile, or the name of a list's file"),
    _asked("match", "text", "what patterns have in common at one sparsity"),
    _asked("prune_all", "bool", "the first layer, depthwise layers and the classifier are pruned too"),
    _asked("device", "text", "name of the device that the point starts from"),
    _asked("device_hash", "text", "SHA-256 of every field of that device"),
    _asked("device_kind", "text", "kind of the device"),
    _asked("model_kind", "text", "cycle or roofline"),
    _asked("fields", "text", "fields that differ from that device, as JSON"),
    _asked("dtype", "text", "type of a stored value"),
    _asked("batch", "int", "samples in flight"),
    _asked("threads", "int", "threads of a CPU"),
    _asked("encoding", "text", "storage format that was asked for; empty: the pattern's own"),
    _asked("order", "text", "order of an unstructured stream"),
    _asked("mapping", "text", "tiling that was asked for; empty: the mapper's"),
    _asked("technology", "text", "table of energies and areas"),
)
# of the total row, under the same names
TOTAL_NAMES = (
    "density", "sparsity_reached", "latency_s", "latency_low_s", "latency_high_s", "validated", "extrapolated",
    "cycles", "compute_cycles", "gather_cycles", "conflict_cycles", "stall_cycles", "effectual_cycles",
    *(name for name in _KNOWN if name.startswith("lost_")),
    "macs_dense", "macs_effectual", "macs_issued", "weight_slots", "weight_bytes", "index_bytes", "dram_bytes",
    "scratchpad_bytes", "peak_memory_bytes", "activation_peak_bytes", "energy_pj", "energy_note", "dsp", "bram36",
    "uram", "lut", "clock_hz", "utilization", "bound", "synthetic", "reason",
)  # fmt: skip
OWN_COLUMNS: tuple[Column, ...] = (
    _asked("encodings", "text", 'how the weights of the layers are stored, each format once, as "dense, bsr"'),
    _asked("storage_bytes", "int", "weight_bytes and index_bytes"),
    _asked("area_mm2", "float", "area of an accelerator; empty for other devices, or where area_note says why"),
    _asked("area_note", "text", "why an accelerator has no area"),
    _asked(
        "kept_l1", "float", "share of the sum of |w| that is kept, of all layers with weights; says nothing of accuracy"
    ),
    _asked(
        "kept_l2", "float", "share of the L2 norm that is kept, of all layers with weights; says nothing of accuracy"
    ),
    _asked("version", "text", "version of the package and of what decides a row"),
    _asked("refused", "text", "why the point has no numbers"),
)
POINT_COLUMNS: tuple[Column, ...] = (*ASKED_COLUMNS, *(_KNOWN[name] for name in TOTAL_NAMES), *OWN_COLUMNS)
NAMES: tuple[str, ...] = tuple(column.name for column in POINT_COLUMNS)
BOOLS = frozenset(column.name for column in POINT_COLUMNS if column.type == "bool")


def point_row(values: Row) -> Row:
    """Return ``values`` with every column, in order, None where missing. Raises KeyError for an unknown column."""
    unknown = sorted(set(values) - set(NAMES))
    if unknown:
        raise KeyError(f"a point has columns that do not exist: {', '.join(unknown)}")
    return {name: values.get(name) for name in NAMES}
