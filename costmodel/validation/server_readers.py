"""Readers of the tables that measured servers' and boards' products and nets: DeepBench, MACKO, torchao, Vitis AI.

As ``readers.py``, which names them: a function for each table, from a line to its measurements.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from costmodel.validation.measurement import Measurement, ValidationError, number, seconds
from costmodel.validation.table_line import Line, kept, key_of

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


def deepbench_gemm(line: Line) -> Iterator[Measurement]:
    row = line.row
    shape = f"{line.count('M')}x{line.count('N')}x{line.count('K')}"
    mixed = row["precision"].startswith("16 bit inputs, 32 bit multiplication")
    yield Measurement(
        table=line.table.name,
        line=line.number,
        machine=row["file"],
        key=key_of(
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


CONVOLUTION = ("W", "H", "C", "N", "K", "S", "R", "pad_w", "pad_h", "stride_h", "stride_v")


def deepbench_conv(line: Line) -> Iterator[Measurement]:
    row = line.row
    net = "conv/" + "x".join(str(line.count(name, 0 if name.startswith("pad") else 1)) for name in CONVOLUTION)
    yield Measurement(
        table=line.table.name,
        line=line.number,
        machine=row["file"],
        key=key_of(
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


def deepbench_sparse(line: Line) -> Iterator[Measurement]:
    """Both times of a row. Servers: 32-bit floats, assumed. Phones and boards: the 8-bit run of sparse_bench.cpp.

    As floats, the board's dense 7680 x 2560 product would read 78.6 MB in 15.4 ms, twice what its memory gives.
    """
    row = line.row
    shape = f"{line.count('M')}x{line.count('N')}x{line.count('K')}"
    density = kept(number(row["sparsity"], line.where))
    device = row["file"].startswith(_DEVICE_SHEETS)
    machine = line.machine(row["file"], "sparse", "", table="deepbench")
    key = key_of(machine, None, "int8" if device else "fp32", "eigen" if device else line.table.runtime)
    for column, pattern, share in (("sparse_time_ms", "unstructured", density), ("dense_time_ms", "dense", 1.0)):
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
                density_low=share,
                density_high=share,
            )


_MACKO_KERNELS = {"2": ("cublas", "dense"), "3": ("cusparse", "unstructured"), "7": ("macko", "unstructured")}


def macko(line: Line) -> Iterator[Measurement]:
    row = line.row
    if row["kernel_id"] not in _MACKO_KERNELS:
        raise ValidationError(
            f"{line.where}: kernel_id {row['kernel_id']!r} is unknown; known are {', '.join(_MACKO_KERNELS)}"
        )
    runtime, pattern = _MACKO_KERNELS[row["kernel_id"]]
    density = number(row["density"], line.where) if pattern != "dense" else 1.0
    shape = f"{line.count('rows')}x1x{line.count('cols')}"
    machine = line.machine(row["gpu"], "")
    column = "mean_time_us(int)"
    timed = row[column].strip() != ""  # the largest matrices did not run on the smaller card
    yield Measurement(
        table=line.table.name,
        line=line.number,
        machine=row["gpu"],
        key=key_of(machine, None, machine.float_dtype, runtime),
        model=f"{shape} at {density:g}",
        net=f"gemm/{shape}",
        seconds=line.seconds(column) if timed else math.inf,
        asides=frozenset() if timed else frozenset({"no_time"}),
        pattern=pattern,  # a sparse kernel on weights that are all kept is still sparse
        density_low=density,
        density_high=density,
    )


_LARGEST_BLOCK = 4096  # assumed: no kernel takes blocks near this


def torchao_vit(line: Line) -> Iterator[Measurement]:
    row = line.row
    pattern, density = "dense", 1.0
    sparsity = line.one_of("sparsity", "None", "semi_structured", "bsr")
    if sparsity == "semi_structured":
        pattern, density = "n_of_m:2,4", 0.5
    elif sparsity == "bsr":
        side = line.count("bsr", most=_LARGEST_BLOCK)
        pattern, density = f"block:{side}x{side}", kept(number(row["sparsity_level"], line.where))
    machine = line.machine("A100", "", table="torchao")
    yield Measurement(
        table=line.table.name,
        line=line.number,
        machine="A100",
        key=key_of(machine, None, machine.float_dtype, line.table.runtime),
        model=row["model"],
        net=line.net(row["model"]),
        seconds=line.seconds("latency"),
        pattern=pattern,
        density_low=density,
        density_high=density,
        scope="mlp" if pattern != "dense" else "all",
        batch=line.count("batch_size"),
        asides=frozenset({"int8_dynamic"}) if line.one_of("quantization", "True", "False") == "True" else frozenset(),
    )


def torchao(line: Line) -> Iterator[Measurement]:
    """Throughputs become the time of one item; all rows are left out by rule (training steps, nets without layers)."""
    row = line.row
    machine = line.machine(row["gpu"], "")
    rate = row["unit"] in ("img/s", "tok/s")
    value = number(row["value"], line.where)
    if not value > 0:
        raise ValidationError(f"{line.where}: value is {row['value']!r:.100}, and must be above 0")
    taken = 1 / value if rate else seconds(row["value"], row["unit"], line.where)
    yield Measurement(
        table=line.table.name,
        line=line.number,
        machine=row["gpu"],
        key=key_of(machine, None, machine.float_dtype, line.table.runtime),
        model=row["workload"],
        net=line.net(row["workload"]),
        seconds=taken,
        asides=frozenset({"throughput" if rate else "training"}),
    )


def zcu102_dpu(line: Line) -> Iterator[Measurement]:
    row = line.row
    yield Measurement(
        table=line.table.name,
        line=line.number,
        machine=row["board"],
        key=key_of(line.machine(row["board"], row["threads"]), line.count("threads"), "int8", line.table.runtime),
        model=row["name"],
        net=line.net(row["name"]),
        seconds=line.seconds("e2e_latency_ms"),
    )
