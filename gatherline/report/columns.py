"""The columns of a report row: DESIGN section 7 in its order, then the columns that were added.

One row per layer and one with layer = "total" per (model, pattern, sparsity, device). Columns may be added, never
renamed. A value that does not apply is None (empty in CSV, null in JSON, NULL in SQLite).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from costmodel.energy import PARTS
from gatherline.report.time_causes import TIME_CAUSES
from simulator.result import CAUSES

Row = dict[str, object]
ColumnType = Literal["text", "int", "float", "bool"]

TOTAL = "total"  # the layer name of the row that sums a network


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column's name, its type, and what it holds."""

    name: str
    type: ColumnType
    text: str


def _column(name: str, type_: ColumnType, text: str) -> Column:
    return Column(name=name, type=type_, text=text)


CONTRACT_COLUMNS: tuple[Column, ...] = (
    _column("model", "text", "name of the network"),
    _column("layer", "text", "name of the layer, or total"),
    _column("kind", "text", "kind of the layer; unsupported: named, its work not counted"),
    _column("m", "int", "output channels of one group"),
    _column("k", "int", "kernel positions x input channels of one group"),
    _column("p", "int", "output positions x batch"),
    _column("groups", "int", "groups of a grouped convolution"),
    _column("pattern", "text", "sparsity pattern that was asked for"),
    _column("sparsity_target", "float", "fraction of weights that was to be removed, of this layer by its ratio"),
    _column("density", "float", "fraction of weights kept, from the mask"),
    _column("device", "text", "name of the device"),
    _column("device_kind", "text", "kind of the device"),
    _column("model_kind", "text", "cycle or roofline"),
    _column("latency_s", "float", "seconds"),
    _column("cycles", "int", "cycles, DRAM included; empty for rooflines"),
    _column("compute_cycles", "int", "cycles without DMA and DRAM"),
    _column("gather_cycles", "int", "1 + the last grant"),
    _column("conflict_cycles", "int", "cycles that bank conflicts cost"),
    _column("stall_cycles", "int", "cycles lost to waiting: DRAM, other cores, scatter unit, weight buffer"),
    _column("macs_dense", "int", "multiply-adds of the dense layer"),
    _column("macs_effectual", "int", "multiply-adds with a kept weight"),
    _column("macs_issued", "int", "multiply-adds spent, idle lanes and padding included"),
    _column("weight_bytes", "int", "stored values, padding included"),
    _column("index_bytes", "int", "stored indices and pointers"),
    _column("activation_bytes", "int", "inputs read and outputs written, each once"),
    _column("dram_bytes", "int", "bytes moved to and from DRAM"),
    _column("scratchpad_bytes", "int", "bytes of scratchpad occupied at most"),
    _column("energy_pj", "float", "picojoules, leakage left out; empty where energy_note says why"),
    _column("bound", "text", "what limits the time"),
    _column("utilization", "float", "macs_effectual over the peak of the time taken"),
    _column("mapping", "text", "tiling that was simulated"),
    _column("dtype", "text", "type of a stored value"),
    _column("batch", "int", "samples in flight"),
    _column("threads", "int", "threads of a CPU"),
    _column("encoding", "text", "how the weights are stored"),
    _column("kernel", "text", "kernel family that runs the layer"),
    _column("latency_low_s", "float", "lower end of the error band; empty where not validated"),
    _column("latency_high_s", "float", "upper end of the error band; empty where not validated"),
    _column("validated", "text", "what validates the number, or: not validated"),
    _column("synthetic", "bool", "the weights were made from a seed"),
    _column("extrapolated", "bool", "outside the range that was validated"),
    _column("reason", "text", "why a layer is not what was asked for"),
    _column("peak_memory_bytes", "int", "total only: weights, peak of live activations and buffers"),
)

ADDED_COLUMNS: tuple[Column, ...] = (
    _column("layer_pattern", "text", "pattern that holds for this layer: dense for one that was kept"),
    _column("sparsity_overall", "float", "sparsity_target of the total: what all pruned layers together were to lose"),
    _column("ratios", "text", "how it is shared among the layers: a method, a list or a profile"),
    _column("sparsity_reached", "float", "total only: what all pruned layers together lost"),
    _column("dense_kernel_s", "float", "seconds of the device's dense kernel, where they are fewer than latency_s"),
    _column("weight_slots", "int", "weight slots stored, padding included"),
    _column("vector_elements", "int", "element operations outside the matrix products"),
    _column("waiting_words", "int", "gathered words that wait for the MAC array, at most"),
    _column("effectual_cycles", "float", "cycles that kept weights alone would take at full use"),
    *(_column(f"lost_{cause}_cycles", "float", f"cycles lost to {cause} (ADR 0006)") for cause in CAUSES),
    _column("activation_peak_bytes", "int", "total only: peak of live activations over the schedule"),
    _column("peak_macs_per_s", "float", "multiply-adds a second of this device at full use, for the roofline"),
    _column("dram_bytes_per_s", "float", "DRAM bandwidth of this device, for the roofline"),
    _column("technology", "text", "table of energies that the counts were priced by"),
    _column("energy_note", "text", "why there is no energy, or what is counted too high"),
    *(_column(f"energy_{part}_pj", "float", f"picojoules of {part} (docs/energy.md)") for part in PARTS),
    _column("macs_active", "int", "multiply-adds of the MAC array: no idle lanes, no empty positions"),
    _column("scratchpad_read_words", "int", "words gathered"),
    _column("scratchpad_write_words", "int", "words of sums that are read and written"),
    _column("buffer_value_bytes", "int", "values read out of the weight buffer"),
    _column("buffer_index_bytes", "int", "indices read out of the weight buffer"),
    _column("vector_unit_bytes", "int", "bytes that the vector unit reads and writes"),
    _column("second_level_read_bytes", "int", "bytes read from the second level"),
    _column("second_level_write_bytes", "int", "bytes written into the second level"),
    _column("dram_read_bytes", "int", "bytes read from DRAM"),
    _column("dram_write_bytes", "int", "bytes written to DRAM"),
    _column("dsp", "int", "DSPs of the engine; this and the next four of an FPGA only"),
    _column("bram36", "int", "36 Kb block RAMs of the engine and its buffers"),
    _column("uram", "int", "UltraRAMs of its buffers"),
    _column("lut", "int", "look-up tables of the engine, its crossbar, vector and token unit"),
    _column("clock_hz", "int", "clock of the engine, after what crossbar and full fabric take from it"),
    *(_column(cause.column, "float", f"seconds of {cause.title}: {cause.text}") for cause in TIME_CAUSES),
)

ALL_COLUMNS: tuple[Column, ...] = CONTRACT_COLUMNS + ADDED_COLUMNS
COLUMNS: tuple[str, ...] = tuple(column.name for column in ALL_COLUMNS)


def complete_row(values: Mapping[str, object]) -> Row:
    """Return ``values`` with every column, in order, None where missing.

    Raises KeyError for a column that does not exist.
    """
    unknown = sorted(set(values) - set(COLUMNS))
    if unknown:
        raise KeyError(f"row has columns that do not exist: {', '.join(unknown)}")
    return {name: values.get(name) for name in COLUMNS}
