"""From the tables as their sources have them to measurements: a reader for each table, as each names things its way.

What is known only to a table (which cores a column means, which type a "float" net runs in) is data in the folder's
index files, not here. ``asides`` carry what exclusion rules ask about. Left out: tables without times.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from costmodel.validation.folder import Folder, Machine, Row, Table, rows_of
from costmodel.validation.measurement import Key, Measurement, ValidationError, number, seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a table, with the folder that explains its names."""

    folder: Folder
    table: Table
    number: int
    row: Row

    @property
    def where(self) -> str:
        return f"{self.table.file} line {self.number}"

    def seconds(self, column: str) -> float:
        return seconds(self.row[column], self.table.unit, self.where)

    def machine(self, name: str, *cores: str, table: str = "") -> Machine:
        return self.folder.machine(table or self.table.name, name, cores, self.where)

    def net(self, model: str) -> str:
        return self.folder.net(self.table.name, model, self.where)[0]

    def count(self, column: str) -> int:
        return int(number(self.row[column], self.where))

    def dtype(self, text: str, known: dict[str, str]) -> str:
        """Return the data type that a table's own word means. Raises ValidationError."""
        if text not in known:
            raise ValidationError(f"{self.where}: data type {text!r} is unknown; known are {', '.join(known)}")
        return known[text]


def _key(machine: Machine, threads: int | None, dtype: str, runtime: str) -> Key:
    return Key(
        soc=machine.soc,
        processor=machine.processor,
        threads=threads or machine.threads or 1,
        dtype=dtype,
        runtime=runtime,
    )


def _kept(sparsity: float) -> float:
    """Return the density, without the digits that a binary subtraction adds (1 - 0.9)."""
    return round(1 - sparsity, 9)


def _ncnn(line: Line) -> Iterator[Measurement]:
    row, gpu = line.row, line.row["gpu_device"] not in ("", "-1")
    cores = ("gpu",) if gpu else (f"{row['powersave']}x{row['num_threads']}", row["powersave"])
    machine = line.machine(row["device_section"], *cores)
    dtype = "int8" if row["model"].endswith("_int8") else machine.float_dtype
    yield Measurement(
        table=line.table.name,
        line=line.number,
        machine=row["device_section"],
        key=_key(machine, 1 if gpu else line.count("num_threads"), dtype, "ncnn-vulkan" if gpu else "ncnn"),
        model=row["model"],
        net=line.net(row["model"]),
        seconds=line.seconds("avg_ms"),
        seconds_min=line.seconds("min_ms"),
        seconds_max=line.seconds("max_ms"),
        peak_macs_per_s=machine.peak_macs_per_s,
    )


def _paddle_lite(line: Line) -> Iterator[Measurement]:
    row, gpu = line.row, line.row["backend"].startswith("GPU")
    machine = line.machine(row["soc"], "gpu" if gpu else "cpu")
    known = {"fp32": "fp32", "fp16": "fp16", "int8": "int8", "gpu default": machine.float_dtype}
    sparse = row["weights"] == "sparse"
    yield Measurement(
        table=line.table.name,
        line=line.number,
        machine=f"{row['soc']}, {row['backend']}",
        key=_key(machine, 1, line.dtype(row["precision"], known), "paddle_lite-opencl" if gpu else "paddle_lite"),
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
    family, width = line.row["model"].split()[:2]
    blocks = _FAST_SPARSE_BLOCKS.get(family, ()) if width != "1.8" else ()
    density = _kept(number(line.row["sparsity_pct"], line.where) / 100)
    yield Measurement(
        table=line.table.name,
        line=line.number,
        machine="Snapdragon 835",
        key=_key(machine, 1, machine.float_dtype, line.table.runtime),
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
    dtype = line.dtype(row["model"].split()[0], {"FP32": "fp32", "INT8": "int8"})
    yield Measurement(
        table=line.table.name,
        line=line.number,
        machine=row["device"],
        key=_key(machine, None, dtype, line.table.runtime),
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
            key=_key(machine, 1, dtype, line.table.runtime),
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
            key=_key(machine, None, dtype, runtime),
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
        key=_key(machine, line.count("threads"), dtype, line.table.runtime),
        model=row["model"],
        net=line.net(row["model"]),
        seconds=line.seconds("avg_time_ms"),
    )


def _tnn(line: Line) -> Iterator[Measurement]:
    row, gpu = line.row, line.row["column"].startswith("gpu")
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
        key=_key(machine, 1, dtype, f"{line.table.runtime}-gpu" if gpu else line.table.runtime),
        model=row["model"],
        net=line.net(row["model"]),
        seconds=line.seconds("latency_ms"),
    )


_DEVICE_SHEETS = (
    "inference/device/"  # DeepBench's phones and boards: gemmlowp for dense products, Eigen for sparse ones
)
_DEEPBENCH_DTYPES = {
    "Float": "fp32",
    "Int8 inputs 32 bit math": "int8",
    "GEMM, Conv: Int8 multiplication, 32 bit accumulation": "int8",
    "16 bit inputs, 16 bit multiplication, 32 bit addition": "fp16",
    "16 bit inputs, 32 bit multiplication, 32 bit addition": "fp16",
}


def _deepbench_gemm(line: Line) -> Iterator[Measurement]:
    row = line.row
    shape = f"{row['M']}x{row['N']}x{row['K']}"
    mixed = row["precision"].startswith("16 bit inputs, 32 bit multiplication")
    yield Measurement(
        table=line.table.name,
        line=line.number,
        machine=row["file"],
        key=_key(
            line.machine(row["file"], "gemm", "", table="deepbench"),
            None,
            line.dtype(row["precision"], _DEEPBENCH_DTYPES),
            "gemmlowp" if row["file"].startswith(_DEVICE_SHEETS) else line.table.runtime,
        ),
        model=f"{shape} {row['transA']}{row['transB']}",
        net=f"gemm/{shape}",
        seconds=line.seconds("time_ms"),
        asides=frozenset({"fp16_storage"}) if mixed else frozenset(),
    )


def _deepbench_conv(line: Line) -> Iterator[Measurement]:
    row = line.row
    names = ("W", "H", "C", "N", "K", "S", "R", "pad_w", "pad_h", "stride_h", "stride_v")
    net = "conv/" + "x".join(str(line.count(name)) for name in names)
    yield Measurement(
        table=line.table.name,
        line=line.number,
        machine=row["file"],
        key=_key(
            line.machine(row["file"], "", table="deepbench"),
            None,
            line.dtype(row["precision"], _DEEPBENCH_DTYPES),
            line.table.runtime,
        ),
        model=net,
        net=net,
        seconds=line.seconds("time_ms"),
        batch=line.count("N"),
        asides=frozenset() if row["time_col"].startswith("Forward") else frozenset({"training"}),
    )


def _deepbench_sparse(line: Line) -> Iterator[Measurement]:
    """Both times of a row. Servers: 32-bit floats, assumed. Phones and boards: the 8-bit run of sparse_bench.cpp.

    As floats, the board's dense 7680 x 2560 product would read 78.6 MB in 15.4 ms, twice what its memory gives.
    """
    row = line.row
    shape = f"{row['M']}x{row['N']}x{row['K']}"
    density = _kept(number(row["sparsity"], line.where))
    device = row["file"].startswith(_DEVICE_SHEETS)
    machine = line.machine(row["file"], "sparse", "", table="deepbench")
    key = _key(machine, None, "int8" if device else "fp32", "eigen" if device else line.table.runtime)
    for column, pattern, kept in (("sparse_time_ms", "unstructured", density), ("dense_time_ms", "dense", 1.0)):
        if row[column]:
            yield Measurement(
                table=line.table.name,
                line=line.number,
                machine=row["file"],
                key=key,
                model=shape,
                net=f"gemm/{shape}",
                seconds=line.seconds(column),
                pattern=pattern,
                density_low=kept,
                density_high=kept,
            )


_MACKO_KERNELS = {"2": ("cublas", "dense"), "3": ("cusparse", "unstructured"), "7": ("macko", "unstructured")}


def _macko(line: Line) -> Iterator[Measurement]:
    row = line.row
    if row["kernel_id"] not in _MACKO_KERNELS:
        raise ValidationError(
            f"{line.where}: kernel_id {row['kernel_id']!r} is unknown; known are {', '.join(_MACKO_KERNELS)}"
        )
    runtime, pattern = _MACKO_KERNELS[row["kernel_id"]]
    density = number(row["density"], line.where) if pattern != "dense" else 1.0
    shape = f"{row['rows']}x1x{row['cols']}"
    machine = line.machine(row["gpu"], "")
    column = "mean_time_us(int)"
    timed = row[column].strip() != ""  # the largest matrices did not run on the smaller card
    yield Measurement(
        table=line.table.name,
        line=line.number,
        machine=row["gpu"],
        key=_key(machine, None, machine.float_dtype, runtime),
        model=f"{shape} at {density:g}",
        net=f"gemm/{shape}",
        seconds=line.seconds(column) if timed else math.inf,
        asides=frozenset() if timed else frozenset({"no_time"}),
        pattern=pattern,  # a sparse kernel on weights that are all kept is still sparse
        density_low=density,
        density_high=density,
    )


def _torchao_vit(line: Line) -> Iterator[Measurement]:
    row = line.row
    pattern, density = "dense", 1.0
    if row["sparsity"] == "semi_structured":
        pattern, density = "n_of_m:2,4", 0.5
    elif row["sparsity"] == "bsr":
        pattern, density = f"block:{row['bsr']}x{row['bsr']}", _kept(number(row["sparsity_level"], line.where))
    machine = line.machine("A100", "", table="torchao")
    yield Measurement(
        table=line.table.name,
        line=line.number,
        machine="A100",
        key=_key(machine, None, machine.float_dtype, line.table.runtime),
        model=row["model"],
        net=line.net(row["model"]),
        seconds=line.seconds("latency"),
        pattern=pattern,
        density_low=density,
        density_high=density,
        scope="mlp" if pattern != "dense" else "all",
        batch=line.count("batch_size"),
        asides=frozenset({"int8_dynamic"}) if row["quantization"] == "True" else frozenset(),
    )


def _torchao(line: Line) -> Iterator[Measurement]:
    """Throughputs become the time of one item; all rows are left out by rule (training steps, nets without layers)."""
    row = line.row
    machine = line.machine(row["gpu"], "")
    rate = row["unit"] in ("img/s", "tok/s")
    taken = 1 / number(row["value"], line.where) if rate else seconds(row["value"], row["unit"], line.where)
    yield Measurement(
        table=line.table.name,
        line=line.number,
        machine=row["gpu"],
        key=_key(machine, None, machine.float_dtype, line.table.runtime),
        model=row["workload"],
        net=line.net(row["workload"]),
        seconds=taken,
        asides=frozenset({"throughput" if rate else "training"}),
    )


def _zcu102_dpu(line: Line) -> Iterator[Measurement]:
    row = line.row
    yield Measurement(
        table=line.table.name,
        line=line.number,
        machine=row["board"],
        key=_key(line.machine(row["board"], row["threads"]), line.count("threads"), "int8", line.table.runtime),
        model=row["name"],
        net=line.net(row["name"]),
        seconds=line.seconds("e2e_latency_ms"),
    )


READERS: tuple[tuple[str, Callable[[Line], Iterator[Measurement]]], ...] = (
    ("ncnn", _ncnn),
    ("paddle_lite", _paddle_lite),
    ("paddle_lite_more", _paddle_lite),
    ("fast_sparse_convnets_sd835", _fast_sparse),
    ("xnnpack", _xnnpack),
    ("mobilenet_pixel_tflite", _mobilenet_pixel),
    ("efficientnet_lite_pixel4", _efficientnet_lite),
    ("bolt", _bolt),
    ("tnn", _tnn),
    ("deepbench_gemm", _deepbench_gemm),
    ("deepbench_conv", _deepbench_conv),
    ("deepbench_sparse_gemm", _deepbench_sparse),
    ("macko_spmv", _macko),
    ("macko_spmv_rtx_4090", _macko),
    ("torchao_vit", _torchao_vit),
    ("torchao", _torchao),
    ("zcu102_dpu", _zcu102_dpu),
)


def measurements(folder: Folder) -> list[Measurement]:
    """Return every measurement of the folder's tables, in their order.

    Raises ValidationError for a table without a reader or a unit, and for a name that the index files do not explain.
    """
    readers, found = dict(READERS), list[Measurement]()
    for table in folder.tables.values():
        if table.name not in readers:
            raise ValidationError(f"tables.csv: table {table.name!r} has no reader; known are {', '.join(readers)}")
        columns = table.time_columns
        if not table.unit or not columns:
            raise ValidationError(
                f"tables.csv: table {table.name}: unit is {table.unit!r}, and must be one of s, ms, us"
            )
        for line, row in rows_of(folder.path / table.file, columns):
            found += readers[table.name](Line(folder=folder, table=table, number=line, row=row))
    return found
