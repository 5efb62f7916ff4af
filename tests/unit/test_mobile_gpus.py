"""Mobile GPUs: launches, 16-bit floats, idle cores, and the files that they are made of. DESIGN section 6."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from math import ceil
from pathlib import Path

import numpy as np
import pytest

from costmodel.cpu_file import FOLDER, Fitted, named
from costmodel.device_file import device_text, load_target
from costmodel.devices.mobile_gpus import ADRENO_640, MOBILE_GPUS, listed_gpus
from costmodel.estimate import estimate
from costmodel.fit.__main__ import main as fit
from costmodel.fit.mobile_gpu import SAME, fitted_gpu_rows, gpus_held_out
from costmodel.fit.mobile_gpu_parts import EFFICIENCIES, NAMES, GpuProbe, GpuRow, unit_numbers
from costmodel.fit.mobile_gpu_solve import START, keys_of, predictions, solve_gpus
from costmodel.gpu_device import compose_gpu, gpu_device
from costmodel.gpu_file import Api, Gpu, load_gpu, load_gpu_fitted, load_gpu_runtime
from costmodel.gpu_kernel import ThreadKernel
from costmodel.spec import RooflineDevice, WinogradKernel
from costmodel.validation.folder import open_folder
from costmodel.validation.measurement import Key, Measurement
from costmodel.validation.nets import layers_of
from patterns.dense import Dense
from simulator.result import LayerResult
from simulator.spec import DeviceError
from traces.layer import MatrixLayer, Window
from traces.trace import LayerTrace

GPUS = sorted((FOLDER / "gpus").glob("*.toml"))
RUNTIMES = sorted((FOLDER / "gpu_runtimes").glob("*.toml"))
ASKED = ("adreno-640", "adreno-650", "adreno-660", "mali-g76", "mali-g77", "mali-g610")


def conv(m: int, ci: int, size: int, kernel: int = 1) -> MatrixLayer:
    edge = kernel // 2
    window = Window(kernel=(kernel, kernel), padding=(edge, edge, edge, edge), in_hw=(size, size), out_hw=(size, size))
    return MatrixLayer(name="conv", kind="conv2d", m=m, k=kernel * kernel * ci, window=window)


def run(layer: MatrixLayer, device: RooflineDevice = ADRENO_640, dtype: str = "fp16") -> LayerResult:
    mask = np.ones((layer.groups, layer.m, layer.k), dtype=np.bool_)
    return estimate(LayerTrace(layer=layer, pattern=Dense(), mask=mask), device, dtype=dtype)


def kernel_of(device: RooflineDevice, name: str, dtype: str = "fp16") -> ThreadKernel:
    found = next(kernel for kernel in device.kernels if kernel.name == name and dtype in kernel.dtypes)
    assert isinstance(found, ThreadKernel)
    return found


@pytest.mark.parametrize("name", ASKED)
def test_every_gpu_that_was_promised_is_one_file_and_a_device(name: str) -> None:
    gpu = load_gpu(named("gpus", name))
    device = next(device for device in MOBILE_GPUS if device.name == name)
    assert device.unit_count == gpu.cores
    assert device.kind == "mobile_gpu"


# Launches


def test_a_net_of_small_layers_takes_as_long_as_its_launches() -> None:
    sizes = [(4, 4, 2), (8, 4, 2), (4, 4, 4)]
    for device in MOBILE_GPUS:
        results = [run(conv(*size), device) for size in sizes]
        total = sum(result.latency_s for result in results)
        assert all(result.bound == "overhead" for result in results)
        assert len(sizes) * device.overhead_s <= total <= 1.2 * len(sizes) * device.overhead_s


def test_winograd_is_three_launches_and_a_product_is_one() -> None:
    device = next(device for device in MOBILE_GPUS if device.name == "mali-g610")
    winograd = next(kernel for kernel in device.kernels if isinstance(kernel, WinogradKernel))
    transformed, plain = run(conv(64, 64, 28, kernel=3), device), run(conv(64, 64, 28), device)
    assert (transformed.kernel, winograd.launches) == ("winograd", 3)
    assert transformed.bounds_s["overhead"] == pytest.approx(3 * device.overhead_s)
    assert plain.bounds_s["overhead"] == device.overhead_s


# 16-bit floats


def test_halves_that_are_multiplied_double_the_rate_and_halves_that_are_stored_do_not() -> None:
    gpu = load_gpu(named("gpus", "adreno-540"))
    assert (gpu.half["vulkan"], gpu.half["opencl"]) == ("storage", "arithmetic")
    apis: tuple[Api, ...] = ("vulkan", "opencl")
    stored, multiplied = (gpu.rate("fp16", api) for api in apis)
    assert stored == gpu.rate("fp32", "vulkan")
    assert multiplied == 2 * gpu.rate("fp32", "opencl")
    vulkan = next(device for device in MOBILE_GPUS if device.name == "adreno-540-ncnn")
    opencl = next(device for device in MOBILE_GPUS if device.name == "adreno-540")
    assert dict(vulkan.matrix_macs_per_cycle)["fp16"] * 2 == dict(opencl.matrix_macs_per_cycle)["fp16"]
    assert "stored and multiplied in fp32" in vulkan.sources["matrix_macs_per_cycle.fp16"]


def test_halves_halve_the_bytes_of_every_path_whether_they_are_multiplied_or_not() -> None:
    device = next(device for device in MOBILE_GPUS if device.name == "adreno-540-ncnn")
    layer = conv(256, 256, 28)
    narrow, wide = run(layer, device).bounds_s, run(layer, device, "fp32").bounds_s
    assert narrow["texture"] * 2 == pytest.approx(wide["texture"])
    assert narrow["l2"] * 2 == pytest.approx(wide["l2"])
    assert narrow["compute"] == pytest.approx(wide["compute"])


# Idle shader cores


def test_a_layer_with_too_few_threads_takes_as_long_as_one_thread_walks_its_columns() -> None:
    kernel = kernel_of(ADRENO_640, "pointwise")
    few = 4 * 4  # threads
    small, smaller = run(conv(16, 512, 4)), run(conv(8, 512, 4))
    assert few < kernel.fill_threads
    rate = dict(ADRENO_640.matrix_macs_per_cycle)["fp16"] * ADRENO_640.units[0].clock_hz * kernel.efficiency
    walk_s = 4 * 4 * 512 * kernel.fill_threads / rate  # a thread's multiply-adds, at its share of a full core
    assert small.bounds_s["compute"] == pytest.approx(walk_s)
    assert smaller.bounds_s["compute"] == pytest.approx(walk_s)


def test_a_layer_with_threads_for_every_core_reaches_the_kernels_share_of_the_rate() -> None:
    kernel, layer = kernel_of(ADRENO_640, "pointwise"), conv(256, 256, 56)
    threads = ceil(256 / 4) * ceil(56 * 56 / 4)
    assert threads > kernel.fill_threads * ADRENO_640.unit_count
    peak = ADRENO_640.peak_macs_per_s("fp16", ADRENO_640.unit_count)
    assert run(layer).bounds_s["compute"] == pytest.approx(layer.macs / (peak * kernel.efficiency))
    assert "cores 100% filled" in run(layer).mapping


def test_more_cores_do_not_help_a_layer_that_fills_one() -> None:
    gpu = load_gpu(named("gpus", "mali-g610"))
    runtime = load_gpu_runtime(named("gpu_runtimes", "ncnn-vulkan"))
    small = conv(16, 512, 4)
    few, many = (
        run(small, compose_gpu("g", replace(gpu, cores=cores), runtime, load_gpu_fitted())) for cores in (4, 16)
    )
    assert few.bounds_s["compute"] == pytest.approx(many.bounds_s["compute"])


# Paths to memory


def test_a_thread_reads_its_operands_once_for_each_register_tile() -> None:
    layer, kernel = conv(256, 256, 56), kernel_of(ADRENO_640, "pointwise")
    tile = kernel.tiles[0]
    moved = layer.macs * 2 * (1 / tile.register_rows + 1 / tile.register_positions)
    texture = ADRENO_640.levels[0].total_bytes_per_s
    assert run(layer).bounds_s["texture"] == pytest.approx(moved / texture, rel=1e-6)


def test_a_matrix_times_a_vector_reads_each_weight_from_the_main_memory() -> None:
    layer = MatrixLayer(name="fc", kind="linear", m=4096, k=4096, window=Window())
    result, kernel = run(layer), kernel_of(ADRENO_640, "linear")
    weights = 4096 * 4096 * 2
    assert result.counters.dram_read_bytes == weights
    rate = ADRENO_640.levels[-1].total_bytes_per_s * kernel.memory_share
    assert result.bounds_s["dram"] == pytest.approx(weights / rate)


def test_one_by_one_convolutions_have_a_kernel_of_their_own() -> None:
    assert run(conv(64, 64, 28)).kernel == "pointwise"
    assert run(conv(64, 64, 28, kernel=5)).kernel == "gemm"
    strided = conv(64, 64, 28)
    strided = replace(strided, window=replace(strided.window, stride=(2, 2), out_hw=(14, 14)))
    assert run(strided).kernel == "gemm"


# Files


def changed(path: Path, folder: Path, old: str, new: str) -> Path:
    text = path.read_text()
    assert re.search(old, text, re.M), old
    made = folder / path.name
    made.write_text(re.sub(old, new, text, count=1, flags=re.M))
    return made


@pytest.mark.parametrize("path", GPUS, ids=lambda path: path.stem)
def test_a_gpu_file_is_named_as_its_gpu_and_is_used(path: Path) -> None:
    assert load_gpu(path).name == path.stem
    assert path.stem in {entry.gpu for entry in listed_gpus()}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (r"^cores = .*$", "", ("cores is missing", "whole number")),
        (r"^cores = .*$", "cores = 0", ("cores is 0", "above 0")),
        (r"^clock_hz = .*$", "clock_hz = 585000000.5", ("clock_hz is 585000000.5", "whole number")),
        (r"^memory_bytes_per_s = .*$", "memory_bytes_per_s = -1", ("memory_bytes_per_s is -1", "above 0")),
        (r"^memory_bytes_per_s = .*$", "memory_bytes_per_s = 34", ("memory_bytes_per_s is 34", "bytes per second")),
        (r"^clock_hz = .*$", "clock_hz = 585", ("clock_hz is 585, and must be 1_000_000 to", "Hz")),
        (r"^clock_hz = .*$", "clock = 585", ("unknown key clock; did you mean clock_hz",)),
        (r"^family = .*$", 'family = "adreno-9xx"', ("family is 'adreno-9xx'", "adreno-6xx")),
        (r"^vulkan = .*$", 'vulkan = "fast"', ("half.vulkan is 'fast'", "storage")),
        (r"^vulkan = .*$", "", ("half.vulkan is missing",)),
        (r"^fp32 = .*$", "", ("macs_per_cycle.fp32 is missing",)),
        (r"^fp16 = .*$", "fp16 = 1", ("macs_per_cycle.fp16 is 1.0", "at least that of fp32")),
        (r"^fp16 = .*$", "fp8 = 1", ("unknown key macs_per_cycle.fp8",)),
        (r"^threads = ", "thread = 1\nthreads = ", ("unknown key thread", "threads")),
        (r'^"clock_hz" = .*$', "", ("sources.clock_hz is missing", "where the number is from")),
        (r'^"clock_hz" = ', '"clock" = "somewhere"\n"clock_hz" = ', ("unknown key sources.clock", "clock_hz")),
        (r"^bytes_per_cycle = .*$", "bytes_per_cycle = nan", ("texture.bytes_per_cycle is nan", "above 0")),
    ],
)
def test_a_bad_gpu_file_is_named_with_its_field(tmp_path: Path, old: str, new: str, words: tuple[str, ...]) -> None:
    path = changed(named("gpus", "adreno-640"), tmp_path, old, new)
    with pytest.raises(DeviceError) as raised:
        load_gpu(path)
    assert "\n" not in str(raised.value)
    for word in (str(path), *words):
        assert word in str(raised.value)


def test_a_runtime_with_an_unknown_kernel_or_api_is_refused(tmp_path: Path) -> None:
    path = named("gpu_runtimes", "ncnn-vulkan")
    with pytest.raises(DeviceError, match="api is 'metal'"):
        load_gpu_runtime(changed(path, tmp_path, r"^api = .*$", 'api = "metal"'))
    runtime = load_gpu_runtime(changed(path, tmp_path, r'^family = "thread"$', 'family = "warp"'))
    with pytest.raises(DeviceError, match="family is 'warp', and must be thread, winograd or depthwise"):
        compose_gpu("g", load_gpu(named("gpus", "adreno-640")), runtime, load_gpu_fitted())


def test_a_data_type_that_a_gpu_has_not_is_refused_by_name() -> None:
    with pytest.raises(DeviceError, match="'int8', and adreno-640 has fp32, fp16"):
        run(conv(16, 16, 8), dtype="int8")
    runtime = load_gpu_runtime(named("gpu_runtimes", "ncnn-vulkan"))
    only = replace(runtime, kernels=tuple({**kernel, "dtypes": ["int8"]} for kernel in runtime.kernels))
    with pytest.raises(DeviceError, match="runtime ncnn-vulkan has no data type of fp32, fp16"):
        compose_gpu("g", load_gpu(named("gpus", "adreno-640")), only, load_gpu_fitted())


def test_an_unknown_gpu_is_refused_with_the_nearest() -> None:
    with pytest.raises(DeviceError, match=r"'adreno-64' is not one of them.*adreno-640"):
        gpu_device("mine", "adreno-64", "ncnn-vulkan")


def test_a_line_of_the_list_that_says_too_little_or_twice_the_same_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mobile_gpus.csv"
    path.write_text("device,gpu,runtime\na,adreno-640,\n")
    with pytest.raises(DeviceError, match="line 2: must name device, gpu and runtime"):
        listed_gpus(path)
    path.write_text("device,gpu,runtime\na,adreno-640,ncnn-vulkan\na,adreno-650,ncnn-vulkan\n")
    with pytest.raises(DeviceError, match="line 3: device a stands there twice"):
        listed_gpus(path)


def test_a_mobile_gpu_can_be_written_as_a_file_and_read_again(tmp_path: Path) -> None:
    device = next(device for device in MOBILE_GPUS if device.name == "adreno-640")
    path = tmp_path / "mine.toml"
    path.write_text(device_text(device))
    assert load_target(path) == device


def test_a_gpu_file_of_ones_own_is_a_device_under_the_runtime_that_it_names(tmp_path: Path) -> None:
    path = named("gpus", "adreno-640")
    plain = tmp_path / "plain.toml"
    plain.write_text(path.read_text())
    assert load_target(plain) == ADRENO_640
    own = changed(path, tmp_path, r"^cores = ", 'runtime = "tflite-gpu"\ncores = ')
    tflite = next(device for device in MOBILE_GPUS if device.name == "adreno-640-tflite")
    assert replace(tflite, name="adreno-640") == load_target(own)
    wrong = changed(path, tmp_path, r"^cores = ", 'runtime = "tflite"\ncores = ')
    with pytest.raises(DeviceError, match=r"adreno-640\.toml: runtime is 'tflite', and must be .*tflite-gpu"):
        load_target(wrong)


# The fit


def test_no_fitted_number_belongs_to_a_net_or_a_gpu_and_each_names_its_rows_or_says_assumed() -> None:
    runtimes = {path.stem for path in RUNTIMES} | {""}
    families = {load_gpu(path).family for path in GPUS} | {""}
    with (FOLDER.parent / "validation" / "nets.csv").open(newline="") as file:
        nets = {row["net"] for row in csv.DictReader(file)} - {""}
    for row in load_gpu_fitted():
        assert row.runtime in runtimes
        assert row.core in families
        assert row.dtype in ("", "fp32", "fp16")
        assert row.parameter in {*START, "vector"}
        assert re.match(
            r"fitted: python -m costmodel\.fit mobile_gpu, \d{4}-\d\d-\d\d, \d+ rows of |assumed: ", row.source
        )
        assert not any(net in row.source for net in nets)


def test_the_split_is_by_gpu_and_is_the_one_that_the_folder_states() -> None:
    folder = open_folder()
    drawn = gpus_held_out(folder)
    gpu_of = {entry.device: entry.gpu for entry in listed_gpus()}
    used = {line.device: line.use for line in folder.devices if line.device in gpu_of}
    assert {device for device, use in used.items() if use == "held_out"} == {
        device for device in used if gpu_of[device] in drawn
    }
    designs = {SAME.get(gpu_of[device], gpu_of[device]) for device in used}
    assert 3 * len(drawn) >= len(designs)
    assert not {"adreno-640", "adreno-640-plus"} & drawn


def synthetic_rows(numbers: dict[tuple[str, str, str, str], float]) -> list[GpuRow]:
    folder = open_folder()
    rows = []
    for name in ("adreno-620", "mali-t860", "mali-g610"):
        gpu: Gpu = load_gpu(named("gpus", name))
        probe = GpuProbe(gpu, load_gpu_runtime(named("gpu_runtimes", "ncnn-vulkan")))
        for net in ("ncnn/squeezenet", "ncnn/mobilenet_v2", "ncnn/resnet18", "ncnn/alexnet", "ncnn/shufflenet_v2"):
            key = Key(soc=name, processor=name, threads=1, dtype="fp16", runtime="ncnn-vulkan")
            row = Measurement(table="t", line=1, machine=name, key=key, model=net, net=net, seconds=1.0)
            parts = probe.parts(layers_of(net, folder.path), "fp16")
            made = GpuRow(measured=row, device=name, gpu=name, family=gpu.family, runtime="ncnn-vulkan", parts=parts)
            seconds = float(predictions([made], numbers)[0])
            rows.append(replace(made, measured=replace(row, seconds=seconds)))
    return rows


def test_the_fit_finds_the_launch_time_that_made_the_times() -> None:
    truth = {
        ("ncnn-vulkan", "", "fp16" if name in EFFICIENCIES else "", name): value
        for name, value in (START | {"launch_us": 200.0}).items()
    }
    rows = synthetic_rows(truth)
    found = solve_gpus(rows, 30)
    assert found.error_median < 0.02
    assert found.numbers["ncnn-vulkan", "", "", "launch_us"] == pytest.approx(200, rel=0.15)
    assert set(keys_of(rows)) == set(found.numbers)


def test_the_parts_of_the_fit_add_up_to_the_model_itself() -> None:
    gpu, runtime = load_gpu(named("gpus", "adreno-620")), load_gpu_runtime(named("gpu_runtimes", "ncnn-vulkan"))
    fitted = load_gpu_fitted()
    device = compose_gpu("g", gpu, runtime, fitted)
    layers = layers_of("ncnn/mobilenet_v2", open_folder().path)
    parts = GpuProbe(gpu, runtime).parts(layers, "fp16")
    assert parts.shape == (len(layers), len(NAMES))
    numbers = {(row.runtime, row.core, row.dtype, row.parameter): row.value for row in fitted}
    key = Key(soc="s", processor="p", threads=1, dtype="fp16", runtime="ncnn-vulkan")
    row = Measurement(table="t", line=1, machine="m", key=key, model="n", net="n", seconds=1.0)
    made = GpuRow(measured=row, device="g", gpu="g", family=gpu.family, runtime="ncnn-vulkan", parts=parts)
    whole = sum(
        run(layer, device).latency_s
        if isinstance(layer, MatrixLayer)
        else estimate(LayerTrace(layer=layer, pattern=Dense()), device, dtype="fp16").latency_s
        for layer in layers
    )
    assert float(predictions([made], numbers)[0]) == pytest.approx(whole, rel=1e-3)


def test_a_number_that_the_rows_do_not_move_is_called_assumed() -> None:
    rows = synthetic_rows({("ncnn-vulkan", "", "", "launch_us"): 200.0})
    keys = keys_of(rows)
    numbers = {key: 1.0 if key[1] else START[key[3]] for key in keys}
    numbers["ncnn-vulkan", "", "", "launch_us"] = 200.0
    solution = replace(solve_gpus(rows, 1), numbers=numbers)
    made: list[Fitted] = [row for row in fitted_gpu_rows(rows, solution, "2026-01-01") if row.runtime or row.core]
    assert {row.parameter for row in made if row.source.startswith("fitted: ")} == {"launch_us"}
    assert all(row.source.startswith(("fitted: ", "assumed: ")) for row in made)


def test_units_of_the_fit_cover_every_number() -> None:
    assert {row.parameter for row in unit_numbers()} == {*START, "vector"}
    assert np.isfinite([row.value for row in unit_numbers()]).all()


def test_the_fit_command_refuses_a_kind_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        fit(["tpu"])
    assert raised.value.code == 2
    assert "'tpu'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        fit(["cpu", "mobile_gpu", "--out", "x.csv"])
    assert "--out is one file, and there are 2 kinds" in capsys.readouterr().err
