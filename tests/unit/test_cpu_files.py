"""CPU devices from data files: what a file must say, and what is composed from it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from costmodel.cpu_device import compose, cpu_device
from costmodel.cpu_file import FOLDER, load_core, load_fitted, load_runtime, load_soc, named
from costmodel.devices.cpus import listed
from costmodel.estimate import estimate
from costmodel.roofline import Run
from costmodel.spec import RowKernel, TileKernel
from patterns.unstructured import Unstructured
from simulator.spec import DeviceError
from traces.layer import MatrixLayer, Window
from traces.trace import LayerTrace

ASKED = ("a53", "a55", "a72", "a76", "a77", "a78", "x1", "x4")  # the cores that a user was promised
CORES = sorted((FOLDER / "cores").glob("*.toml"))


def changed(path: Path, folder: Path, old: str, new: str) -> Path:
    text = path.read_text()
    assert re.search(old, text, re.M), old
    made = folder / path.name
    made.write_text(re.sub(old, new, text, count=1, flags=re.M))
    return made


def test_every_core_that_was_promised_is_one_file_and_runs_in_a_device() -> None:
    used = {part.core for entry in listed() for part in load_soc(named("socs", entry.soc)).clusters}
    for name in (*(f"cortex-{core}" for core in ASKED), "x86-avx512"):
        assert load_core(named("cores", name)).name == name
        assert name in used


@pytest.mark.parametrize("path", CORES, ids=lambda path: path.stem)
def test_a_core_file_gives_a_source_for_each_number(path: Path) -> None:
    core = load_core(path)
    needed = {"vector_bytes", "loads_per_cycle", "instructions_per_cycle", "load_to_use", "miss_to_use"}
    needed |= {
        f"{table}.{dtype}" for table in ("macs_per_cycle", "vector_macs_per_cycle") for dtype in core.macs_per_cycle
    }
    needed |= {f"caches.{level.name}.{part}" for level in core.caches for part in ("bytes", "bytes_per_cycle")}
    assert needed == set(core.sources)


def test_no_fitted_number_belongs_to_a_net_and_each_names_its_rows_or_says_assumed() -> None:
    runtimes = {path.stem for path in (FOLDER / "runtimes").glob("*.toml")} | {""}
    cores = {path.stem for path in CORES} | {""} | {load_core(path).kind for path in CORES}
    for row in load_fitted():
        assert row.runtime in runtimes
        assert row.core in cores
        assert row.dtype in ("", "fp32", "fp16", "int8")
        assert re.match(
            r"fitted: python -m costmodel\.fit, \d{4}-\d\d-\d\d, \d+ (rows|sparse times and speed-ups) of |assumed: ",
            row.source,
        )


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (r"^loads_per_cycle = .*$", "", ("loads_per_cycle", "missing")),
        (r"^loads_per_cycle = .*$", "loads_per_cycle = 0", ("loads_per_cycle is 0", "above 0")),
        (r"^loads_per_cycle = .*$", "loads_per_cycle = nan", ("loads_per_cycle is nan", "above 0")),
        (r"^vector_bytes = .*$", "vector_bytes = 16.5", ("vector_bytes is 16.5", "whole number")),
        (r"^in_order = .*$", 'in_order = "no"', ("in_order is 'no'", "true or false")),
        (r"^vector_bytes = ", "vector_byte = 16\nvector_bytes = ", ("unknown key vector_byte", "vector_bytes")),
        (r"^fp32 = .*$", "fp64 = 4", ("unknown key macs_per_cycle.fp64",)),
        (r"^fp32 = .*$", "", ("same data types",)),
        (r"^bytes = .*$", "bytes = -1", ("caches.0.bytes is -1", "above 0")),
        (r'^load_to_use = "', 'x = 3\nload_to_use = "', ("sources.x is 3", "where the number is from")),
    ],
)
def test_a_bad_core_file_is_named_with_its_field(tmp_path: Path, old: str, new: str, words: tuple[str, ...]) -> None:
    pattern = old if "load_to_use" not in old else r'^"load_to_use" = "'
    replacement = new if "load_to_use" not in old else '"x" = 3\n"load_to_use" = "'
    path = changed(named("cores", "cortex-a72"), tmp_path, pattern, replacement)
    with pytest.raises(DeviceError) as raised:
        load_core(path)
    for word in (str(path), *words):
        assert word in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (r"^clock_hz = .*$", "", ("clusters.0.clock_hz", "missing")),
        (r"^count = .*$", "count = 0", ("clusters.0.count is 0",)),
        (r"^core_bytes_per_s = .*$", "core_bytes_per_s = 99_000_000_000", ("core_bytes_per_s", "total_bytes_per_s")),
        (r"^name = .*$", "name =", ("not a readable TOML file",)),
    ],
)
def test_a_bad_soc_file_is_named_with_its_field(tmp_path: Path, old: str, new: str, words: tuple[str, ...]) -> None:
    path = changed(named("socs", "raspberry-pi-4"), tmp_path, old, new)
    with pytest.raises(DeviceError) as raised:
        load_soc(path)
    for word in (str(path), *words):
        assert word in str(raised.value)


def test_an_unknown_core_soc_runtime_or_cluster_is_named_with_the_nearest() -> None:
    with pytest.raises(DeviceError, match="did you mean cortex-a7"):
        named("cores", "cortex-a67")
    with pytest.raises(DeviceError, match="'rk3589' is not one of them"):
        cpu_device("mine", "rk3589", "ncnn")
    with pytest.raises(DeviceError, match="cluster is 2, and rk3588 has 2"):
        cpu_device("mine", "rk3588", "ncnn", 2)


@pytest.mark.parametrize(
    ("value", "source", "word"), [("fast", "s", "'fast'"), ("1", "", "source"), ("0", "s", "above 0")]
)
def test_a_fitted_table_with_a_bad_row_is_named_with_its_line(
    tmp_path: Path, value: str, source: str, word: str
) -> None:
    path = tmp_path / "fitted.csv"
    path.write_text(f"runtime,core,dtype,parameter,value,source\nncnn,,fp32,gemm,{value},{source}\n")
    with pytest.raises(DeviceError, match=rf"line 2: .*{word}"):
        load_fitted(path)


def test_a_core_without_fp16_arithmetic_refuses_it() -> None:
    device = cpu_device("raspberry-pi-4", "raspberry-pi-4", "ncnn")
    layer = MatrixLayer(name="fc", kind="linear", m=8, k=8)
    mask = np.ones((1, 8, 8), dtype=np.bool_)
    with pytest.raises(DeviceError, match="dtype is 'fp16', and raspberry-pi-4 has fp32, int8"):
        estimate(LayerTrace(layer=layer, pattern=Unstructured(), mask=mask), device)


def test_threads_beyond_the_big_cores_run_at_the_little_ones_rate() -> None:
    device = cpu_device("rk3588", "rk3588", "ncnn")
    assert [(units, group.rate_hz) for units, group in device.taking_part(5)] == [(4, 2.4e9), (1, 1.8e9 * 4 / 8)]
    assert device.peak_macs_per_s("fp32", 8) == 8 * (4 * 2.4e9) + 4 * (4 * 1.8e9)


def test_little_cores_hold_the_big_ones_up_by_a_power_of_how_much_slower_they_are() -> None:
    device, little = cpu_device("rk3588", "rk3588", "ncnn"), cpu_device("x", "rk3588", "ncnn", 1)
    share = {each.name: each for each in device.kernels if "fp32" in each.dtypes}["gemm"].efficiency
    own = {each.name: each for each in little.kernels if "fp32" in each.dtypes}["gemm"].efficiency
    held_up = next(row.value for row in load_fitted() if row.parameter == "held_up")
    slower = (1.8e9 * 4 * own) / (2.4e9 * 8 * share)
    assert slower < 1
    assert device.pace_hz(5) == pytest.approx(2.4e9 * slower**held_up)
    assert device.pace_hz(4) == 2.4e9
    run = Run(device=device, dtype="fp32", units=5)
    assert run.clock_hz == pytest.approx(device.pace_hz(5) / (1 + 4 * (device.thread_loss or 0)))


def test_an_efficiency_is_the_runtimes_times_the_cores() -> None:
    device = cpu_device("raspberry-pi-3", "raspberry-pi-3", "ncnn")
    numbers = {(row.runtime, row.core, row.dtype, row.parameter): row.value for row in load_fitted()}
    gemm = next(kernel for kernel in device.kernels if isinstance(kernel, TileKernel))
    product = numbers[("ncnn", "", "fp32", "gemm")] * numbers[("", "cortex-a53", "", "gemm")]
    assert gemm.efficiency == pytest.approx(min(product, 1.0))


def test_a_core_that_nobody_measured_takes_the_factor_of_its_kind(tmp_path: Path) -> None:
    path = changed(named("cores", "cortex-a76"), tmp_path, r"^name = .*$", 'name = "mine"')
    soc_path = changed(named("socs", "raspberry-pi-5"), tmp_path, "cortex-a76", "mine")
    soc, core = load_soc(soc_path), load_core(path)
    device = compose("new", soc, {"mine": core}, load_runtime(named("runtimes", "ncnn")), load_fitted())
    numbers = {(row.runtime, row.core, row.dtype, row.parameter): row.value for row in load_fitted()}
    gemm = next(kernel for kernel in device.kernels if isinstance(kernel, TileKernel) and "fp32" in kernel.dtypes)
    product = numbers[("ncnn", "", "fp32", "gemm")] * numbers[("", core.kind, "", "gemm")]
    assert gemm.efficiency == pytest.approx(min(product, 1.0))


def test_an_in_order_core_adds_loads_to_multiplies_and_waits_for_lines_from_the_second_cache() -> None:
    device = cpu_device("snapdragon-625", "snapdragon-625", "paddle-lite")
    kernel = next(each for each in device.kernels if isinstance(each, RowKernel))
    window = Window(in_hw=(8, 8), out_hw=(8, 8))  # two blocks of 32 positions: eight fp32 vectors, two lines each
    layer = MatrixLayer(name="conv", kind="conv2d", m=16, k=512, window=window)
    mask = np.zeros((1, 16, 512), dtype=np.bool_)
    mask[0, :, :64] = True
    assert 512 * 32 * 4 > 32 * 1024  # a block of every channel does not fit the first cache
    result = estimate(LayerTrace(layer=layer, pattern=Unstructured(), mask=mask), device, dtype="fp32")
    multiplies, vectors, weights = 8, 8 / 0.5, 1  # a vector load takes two cycles, and no multiply-add goes beside it
    line = 64 / device.levels[1].bytes_per_s(1) * 1.8e9
    missed = 15 + (2 + 1 - 1) * line  # two lines of the block and the prefetched one behind it
    ends = 10 + 8 * 4  # a mispredicted exit; begin, clamp, store of each vector
    blocks = 2
    cycles = blocks * (16 * 64 * (multiplies + vectors + weights + missed) + 16 * ends)
    assert result.bounds_s["gather"] == pytest.approx(cycles / (1.8e9 * kernel.efficiency))
    assert result.latency_s == result.bounds_s["gather"] + result.bounds_s["overhead"]
