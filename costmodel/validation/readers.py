"""From the tables as their sources have them to measurements: a reader for each table, as each names things its way.

What is known only to a table (which cores a column means, which type a "float" net runs in) is data in the folder's
index files, not here; servers' tables are read in ``server_readers.py``. ``asides`` carry what exclusion rules ask
about. Left out: tables without times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from costmodel.validation.folder import Folder, Table, rows_of
from costmodel.validation.measurement import UNITS_S, Measurement, ValidationError, number
from costmodel.validation.nets import layers_of
from costmodel.validation.server_readers import (
    CONVOLUTION,
    deepbench_conv,
    deepbench_gemm,
    deepbench_sparse,
    macko,
    torchao,
    torchao_vit,
    zcu102_dpu,
)
from costmodel.validation.table_line import Line, kept, key_of


def _ncnn(line: Line) -> Iterator[Measurement]:
    row, gpu = line.row, line.row["gpu_device"] not in ("", "-1")
    cores = ("gpu",) if gpu else (f"{row['powersave']}x{row['num_threads']}", row["powersave"])
    machine = line.machine(row["device_section"], *cores)
    dtype = "int8" if row["model"].endswith("_int8") else machine.float_dtype
    yield Measurement(
        table=line.table.name,
        line=line.number,
        machine=row["device_section"],
        key=key_of(machine, 1 if gpu else line.count("num_threads"), dtype, "ncnn-vulkan" if gpu else "ncnn"),
        model=row["model"],
        net=line.net(row["model"]),
        seconds=line.seconds("avg_ms"),
        seconds_min=line.seconds("min_ms"),
        seconds_max=line.seconds("max_ms"),
        peak_macs_per_s=machine.peak_macs_per_s,
    )


def _paddle_lite(line: Line) -> Iterator[Measurement]:
    row, gpu = line.row, line.starts("backend", "CPU", "GPU") == "GPU"
    machine = line.machine(row["soc"], "gpu" if gpu else "cpu")
    known = {"fp32": "fp32", "fp16": "fp16", "int8": "int8", "gpu default": machine.float_dtype}
    sparse = line.one_of("weights", "dense", "sparse") == "sparse"
    yield Measurement(
        table=line.table.name,
        line=line.number,
        machine=f"{row['soc']}, {row['backend']}",
        key=key_of(machine, 1, line.dtype(row["precision"], known), "paddle_lite-opencl" if gpu else "paddle_lite"),
        model=row["model"],
        net=line.net(row["model"]),
        seconds=line.seconds("latency_ms"),
        pattern="unstructured" if sparse else "dense",
        density_low=0.20 if sparse else 1.0,  # "75 to 80 % of the weights of 1x1 convolutions", the same document
        density_high=0.25 if sparse else 1.0,
        scope="pointwise" if sparse else "all",
        asides=frozenset({"armv7"}) if "armv7" in row["backend"] else frozenset(),
    )


# fastconvnets README; width 1.8 of MobileNetV2 and both EfficientNets are unstructured throughout
_FAST_SPARSE_BLOCKS = {
    "MobileNetV1": (("blocks.12.", "block:4x1"),),
    "MobileNetV2": tuple((f"blocks.{index}.", "block:2x1") for index in range(11, 17)),
}


def _fast_sparse(line: Line) -> Iterator[Measurement]:
    machine = line.machine("Snapdragon 835", "cpu")
    family, width, *_ = [*line.row["model"].split(), "", ""]
    blocks = _FAST_SPARSE_BLOCKS.get(family, ()) if width != "1.8" else ()
    density = kept(number(line.row["sparsity_pct"], line.where) / 100)
    yield Measurement(
        table=line.table.name,
        line=line.number,
        machine="Snapdragon 835",
        key=key_of(machine, 1, machine.float_dtype, line.table.runtime),
        model=line.row["model"],
        net=line.net(line.row["model"]),
        seconds=line.seconds("latency_ms_SD835"),
        pattern="unstructured",
        density_low=density,
        density_high=density,
        scope="pointwise",
        blocks=blocks,
    )


def _xnnpack(line: Line) -> Iterator[Measurement]:
    row = line.row
    machine = line.machine(row["device"], row["threads"])
    dtype = line.dtype(row["model"].partition(" ")[0], {"FP32": "fp32", "INT8": "int8"})
    yield Measurement(
        table=line.table.name,
        line=line.number,
        machine=row["device"],
        key=key_of(machine, None, dtype, line.table.runtime),
        model=row["model"],
        net=line.net(row["model"]),
        seconds=line.seconds("latency_ms"),
        asides=frozenset({"armv7"}) if _is_32_bit(row["device"]) else frozenset(),
    )


def _is_32_bit(device: str) -> bool:
    return device.startswith("RPi") and "ARM64" not in device  # the table marks its 64-bit Raspberry Pi row


def _mobilenet_pixel(line: Line) -> Iterator[Measurement]:
    model = line.row["model"]
    for column in line.table.time_columns:
        if not line.row[column]:
            continue
        machine = line.machine(column.removesuffix("_ms"), "cpu")
        dtype = "int8" if model.endswith("8bit") else "fp32"
        yield Measurement(
            table=line.table.name,
            line=line.number,
            machine=column.removesuffix("_ms"),
            key=key_of(machine, 1, dtype, line.table.runtime),
            model=model,
            net=line.net(model),
            seconds=line.seconds(column),
        )


def _efficientnet_lite(line: Line) -> Iterator[Measurement]:
    for column in line.table.time_columns:
        dtype, unit = column.split("_")[:2]
        if not line.row[column] or unit == "edgetpu":
            continue
        machine = line.machine("pixel4", unit)
        runtime = line.table.runtime if unit == "cpu" else f"{line.table.runtime}-gpu"
        yield Measurement(
            table=line.table.name,
            line=line.number,
            machine="pixel4",
            key=key_of(machine, None, dtype, runtime),
            model=line.row["model"],
            net=line.net(line.row["model"]),
            seconds=line.seconds(column),
        )


def _bolt(line: Line) -> Iterator[Measurement]:
    row = line.row
    machine = line.machine(row["kirin_soc"], row["core"])
    dtype = line.dtype(row["precision"], {"fp32": "fp32", "fp16": "fp16", "int8": "int8"})
    yield Measurement(
        table=line.table.name,
        line=line.number,
        machine=f"Kirin {row['kirin_soc']} {row['core']}, {row['compiler']}, {row['framework']}",
        key=key_of(machine, line.count("threads"), dtype, line.table.runtime),
        model=row["model"],
        net=line.net(row["model"]),
        seconds=line.seconds("avg_time_ms"),
    )


def _tnn(line: Line) -> Iterator[Measurement]:
    row, gpu = line.row, line.starts("column", "cpu", "gpu") == "gpu"
    machine = line.machine(row["device"], "gpu" if gpu or "GPU" in row["device"] else "cpu")
    dtype = "fp32"
    if row["model"].endswith("_int8"):
        dtype = "int8"
    elif gpu or "fp16" in row["column"]:
        dtype = machine.float_dtype
    yield Measurement(
        table=line.table.name,
        line=line.number,
        machine=row["device"],
        key=key_of(machine, 1, dtype, f"{line.table.runtime}-gpu" if gpu else line.table.runtime),
        model=row["model"],
        net=line.net(row["model"]),
        seconds=line.seconds("latency_ms"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """How the table ``name`` is read: its ``columns``, those of its ``times`` (some or all) and its units."""

    name: str
    read: Callable[[Line], Iterator[Measurement]]
    times: tuple[str, ...]
    columns: tuple[str, ...]
    units: tuple[str, ...] = tuple(UNITS_S)

    def check(self, table: Table) -> None:
        """Raise ValidationError unless ``table`` gives times and a unit that this reader takes."""
        shown = " ".join(table.time_columns)
        if not table.time_columns or not set(table.time_columns) <= set(self.times):
            raise ValidationError(
                f"{table.where}: time_column is {shown!r:.100}, and must be of {', '.join(self.times)}"
            )
        if len(set(table.time_columns)) != len(table.time_columns):
            raise ValidationError(f"{table.where}: time_column is {shown!r:.100}, and must name each once")
        if table.unit not in self.units:
            raise ValidationError(
                f"{table.where}: unit is {table.unit!r:.100}, and must be one of {', '.join(self.units)}"
            )


_PADDLE_LITE = ("soc", "backend", "precision", "weights", "model")
_DEEPBENCH = ("file", "precision", "M", "N", "K")
_MACKO = ("gpu", "rows", "cols", "kernel_id", "density")
_MACKO_TIMES = ("mean_time_us(int)",)

READERS: tuple[Reader, ...] = (
    Reader(
        name="ncnn",
        read=_ncnn,
        times=("avg_ms",),
        columns=("device_section", "num_threads", "powersave", "gpu_device", "model", "min_ms", "max_ms"),
    ),
    Reader(name="paddle_lite", read=_paddle_lite, times=("latency_ms",), columns=_PADDLE_LITE),
    Reader(name="paddle_lite_more", read=_paddle_lite, times=("latency_ms",), columns=_PADDLE_LITE),
    Reader(
        name="fast_sparse_convnets_sd835",
        read=_fast_sparse,
        times=("latency_ms_SD835",),
        columns=("model", "sparsity_pct"),
    ),
    Reader(name="xnnpack", read=_xnnpack, times=("latency_ms",), columns=("threads", "device", "model")),
    Reader(
        name="mobilenet_pixel_tflite",
        read=_mobilenet_pixel,
        times=("pixel1_ms", "pixel2_ms", "pixel3_ms"),
        columns=("model",),
    ),
    Reader(
        name="efficientnet_lite_pixel4",
        read=_efficientnet_lite,
        times=("fp32_cpu_4thr_ms", "fp32_gpu_ms", "fp16_gpu_ms", "int8_cpu_4thr_ms", "int8_edgetpu_ms"),
        columns=("model",),
    ),
    Reader(
        name="bolt",
        read=_bolt,
        times=("avg_time_ms",),
        columns=("model", "framework", "compiler", "kirin_soc", "core", "precision", "threads"),
    ),
    Reader(name="tnn", read=_tnn, times=("latency_ms",), columns=("device", "column", "model")),
    Reader(name="deepbench_gemm", read=deepbench_gemm, times=("time_ms",), columns=(*_DEEPBENCH, "transA", "transB")),
    Reader(
        name="deepbench_conv",
        read=deepbench_conv,
        times=("time_ms",),
        columns=("file", "precision", "time_col", *CONVOLUTION),
    ),
    Reader(
        name="deepbench_sparse_gemm",
        read=deepbench_sparse,
        times=("sparse_time_ms",),
        columns=(*_DEEPBENCH, "sparsity", "dense_time_ms"),
    ),
    Reader(name="macko_spmv", read=macko, times=_MACKO_TIMES, columns=_MACKO),
    Reader(name="macko_spmv_rtx_4090", read=macko, times=_MACKO_TIMES, columns=_MACKO),
    Reader(
        name="torchao_vit",
        read=torchao_vit,
        times=("latency",),
        columns=("model", "batch_size", "sparsity", "bsr", "sparsity_level", "quantization"),
    ),
    Reader(name="torchao", read=torchao, times=("value",), columns=("gpu", "workload", "unit"), units=("by_row",)),
    Reader(name="zcu102_dpu", read=zcu102_dpu, times=("e2e_latency_ms",), columns=("name", "board", "threads")),
)


def measurements(folder: Folder) -> list[Measurement]:
    """Return every measurement of the folder's tables, in their order.

    Raises ValidationError for a table without a reader or a unit, for a name that the index files do not explain and
    for a net without layers.
    """
    readers, found = {reader.name: reader for reader in READERS}, list[Measurement]()
    named: set[tuple[str, int]] = set()  # nets whose layers were looked at, and their batches
    for table in folder.tables.values():
        if table.name not in readers:
            raise ValidationError(f"{table.where}: {table.name!r:.100} has no reader; known are {', '.join(readers)}")
        reader = readers[table.name]
        reader.check(table)
        for number_, row in rows_of(folder.path / table.file, (*reader.columns, *table.time_columns)):
            line = Line(folder=folder, table=table, number=number_, row=row)
            for each in reader.read(line):
                if each.net and (each.net, each.batch) not in named:
                    _check_net(line, each)
                    named.add((each.net, each.batch))
                found.append(each)
    return found


def _check_net(line: Line, row: Measurement) -> None:
    """Raise ValidationError, naming the line that says so, where the net of ``row`` has no layers that can be."""
    folder, key = line.folder, (line.table.name, row.model)
    where = f"nets.csv line {folder.net_lines[key]}" if key in folder.net_lines else line.where
    try:
        layers_of(row.net, folder.path, row.batch)
    except ValidationError as error:
        raise ValidationError(f"{where}: {error}") from None
