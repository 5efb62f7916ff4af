"""A SoC file of a user's own as a device: what it is made of, and one line for everything that is wrong in it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from costmodel.cpu_device import cpu_device
from costmodel.cpu_file import FOLDER, load_fitted, load_soc, named
from costmodel.device_file import load_target
from costmodel.devices.cpus import listed
from costmodel.spec import RooflineDevice
from simulator.spec import DeviceError

SOCS = sorted((FOLDER / "socs").glob("*.toml"))
WITH_FACTORS = {row.core for row in load_fitted()}
TEXT = named("socs", "snapdragon-865").read_text(encoding="utf-8")


def load(folder: Path, text: str) -> RooflineDevice:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    device = load_target(path)
    assert isinstance(device, RooflineDevice)
    return device


@pytest.mark.parametrize("path", SOCS, ids=lambda path: path.stem)
def test_a_soc_file_of_the_package_is_the_device_of_its_first_cluster_and_runtime(path: Path) -> None:
    soc = load_soc(path)
    assert load_target(path) == cpu_device(soc.name, path.stem, soc.runtime)


@pytest.mark.parametrize("entry", [entry for entry in listed() if entry.cluster], ids=lambda entry: entry.device)
def test_the_cluster_in_the_file_is_where_threads_start(tmp_path: Path, entry: object) -> None:
    device, soc, cluster, runtime = (getattr(entry, name) for name in ("device", "soc", "cluster", "runtime"))
    text = named("socs", soc).read_text(encoding="utf-8")
    text = re.sub(r"^runtime = .*$", f'runtime = "{runtime}"\ncluster = {cluster}', text, count=1, flags=re.M)
    assert replace(load(tmp_path, text), name=device) == cpu_device(device, soc, runtime, cluster)


def test_a_core_may_be_a_file_beside_the_soc_and_takes_the_numbers_of_its_kind(tmp_path: Path) -> None:
    core = named("cores", "cortex-a77").read_text(encoding="utf-8")
    (tmp_path / "core.toml").write_text(core.replace('name = "cortex-a77"', 'name = "mine"'), encoding="utf-8")
    own = load(tmp_path, TEXT.replace('core = "cortex-a77"', 'core = "core.toml"'))
    stock = load(tmp_path, TEXT)
    assert own.units[:2] == stock.units[:2]
    assert own.pipes == stock.pipes
    gemm = next(kernel for kernel in own.kernels if kernel.name == "gemm")
    assert "out-of-order, fp16: x" in own.sources["kernels.gemm"]
    assert own.summary.endswith("nobody measured mine: mean fitted factors of its kind of core (out-of-order, fp16)")
    assert "nobody measured" not in stock.summary
    assert 0 < gemm.efficiency <= 1


def test_a_core_like_another_takes_its_fitted_factors_and_says_so(tmp_path: Path) -> None:
    core = named("cores", "cortex-a77").read_text(encoding="utf-8")
    text = core.replace('name = "cortex-a77"', 'name = "mine"\nlike = "cortex-a77"')
    (tmp_path / "core.toml").write_text(text, encoding="utf-8")
    own = load(tmp_path, TEXT.replace('core = "cortex-a77"', 'core = "core.toml"'))
    stock = load(tmp_path, TEXT)
    assert (own.kernels, own.levels, own.overhead_s) == (stock.kernels, stock.levels, stock.overhead_s)
    assert "mine as cortex-a77: x" in own.sources["kernels.gemm"]
    assert own.summary == f"{stock.summary}; nobody measured mine: fitted factors of cortex-a77, as its file asks"


def test_a_core_like_one_without_fitted_factors_is_refused_with_the_nearest_that_has_some(tmp_path: Path) -> None:
    unfitted = next(path.stem for path in (FOLDER / "cores").glob("*.toml") if path.stem not in WITH_FACTORS)
    core = named("cores", "cortex-a77").read_text(encoding="utf-8")
    for like in (unfitted, "cortex-a7"):
        text = core.replace('name = "cortex-a77"', f'name = "mine"\nlike = "{like}"')
        (tmp_path / "core.toml").write_text(text, encoding="utf-8")
        with pytest.raises(DeviceError, match=rf"core\.toml: like is '{like}', and must be a core with fitted factors"):
            load(tmp_path, TEXT.replace('core = "cortex-a77"', 'core = "core.toml"'))


def test_two_cores_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "core.toml").write_text(named("cores", "cortex-a55").read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(DeviceError, match="two of these cores have one name"):
        load(tmp_path, TEXT.replace('core = "cortex-a77"', 'core = "core.toml"', 1))


def test_a_file_that_was_edited_is_read_again(tmp_path: Path) -> None:
    first = load(tmp_path, TEXT)
    second = load(tmp_path, TEXT.replace("clock_hz = 2_840_000_000", "clock_hz = 3_200_000_000"))
    assert second.units[0].clock_hz == 3_200_000_000 != first.units[0].clock_hz


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (r"^clock_hz = 2_84.*$", "clock_hz = 0", "clusters.0.clock_hz is 0, and must be a whole number above 0"),
        (r"^clock_hz = 2_84.*$", "", "clusters.0.clock_hz is missing"),
        (r"^total_bytes_per_s = .*$", "total_bytes_per_s = -1", "total_bytes_per_s is -1, and must be a whole number"),
        (r"^core_bytes_per_s = .*$", "core_bytes_per_s = 99_000_000_000", "and must be at most total_bytes_per_s"),
        (r"^kind = .*$", 'kind = "phone"', "kind is 'phone'; known are mobile_cpu, cpu"),
        (r"^kind = .*$", 'kind = "server_gpu"', "kind is 'server_gpu'; known are mobile_cpu, cpu"),
        (r"^name = .*$", r'name = "a\\u001b[31m"', "and must be text of printable letters"),
        (r"^runtime = .*$", 'runtime = "../runtimes/ncnn"', "is '../runtimes/ncnn', and must be one of"),
        (r'^core = "cortex-a77"$', 'core = "../core.toml"', "0.core is '../core.toml', and must name a file beside"),
        (r"^count = 1$", "count = 30_000_000", "units are 30000007, and must be 1 to"),
        (r"^total_bytes_per_s = .*$", "total_bytes_per_s = 10_000_000_000_000_000_000", "must be at most 1e+18"),
        (r"^runtime = .*$", 'runtime = "ncn"', "is 'ncn', and must be one of costmodel/runtimes; did you mean ncnn"),
        (r"^runtime = .*$", "", "runtime is missing"),
        (r"^runtime = ", "cluster = 3\nruntime = ", "cluster is 3, and snapdragon-865 has 3"),
        (r"^runtime = ", "cluster = -1\nruntime = ", "cluster is -1, and must be a whole number from 0"),
        (r"^runtime = ", "runtim = 3\nruntime = ", "unknown key runtim; did you mean runtime"),
        (r'^core = "cortex-a77"$', 'core = "cortex-a7"', "clusters.0.core is 'cortex-a7', and must be one of"),
        (r'^core = "cortex-a77"$', 'core = "none.toml"', "none.toml: no such file"),
        (r"^clock_hz = 2_84.*$", "clock = 2.4", "unknown key clusters.0.clock; did you mean clock_hz"),
        (r"^clock_hz = 2_84.*$", "clock_hz = 2.84", "0.clock_hz is 2.84, and must be a whole number above 0, in Hz"),
        (r"^clock_hz = 2_84.*$", "clock_hz = 2840", "clusters.0.clock_hz is 2_840, and must be 1_000_000 to"),
        (r"^clock_hz = 2_84.*$", "clock_hz = 2_840_000_000_000", "must be 1_000_000 to 10_000_000_000: it is in Hz"),
        (r"^core_bytes_per_s = .*$", "core_bytes_per_s = 21", "core_bytes_per_s is 21, and must be at least 1_000_000"),
        (r"^total_bytes_per_s = .*$", "total_bytes_per_s = 44_000", "least 1_000_000: it is in bytes per second"),
        (r'^name = "l3"$', 'name = "L3"', "l3.name is 'L3', and must be 'l3'"),
        (r'^"clusters" = .*$', "", 'sources."clusters" is missing'),
        (r'^"l3.bytes" = .*$', "", 'sources."l3.bytes" is missing'),
        (r'^"l3.bytes" = ', '"l3.byte" = ', 'sources."l3.byte" is of no number of the file; did you mean l3.bytes'),
    ],
)  # fmt: skip
def test_a_wrong_soc_file_is_one_line_with_the_field(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert re.search(old, TEXT, re.M)
    with pytest.raises(DeviceError) as raised:
        load(tmp_path, re.sub(old, new, TEXT, count=1, flags=re.M))
    assert str(raised.value).startswith(str(tmp_path))
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (r"^loads_per_cycle = 2$", "loads_per_cycle = 0", "loads_per_cycle is 0, and must be a number above 0"),
        (r"^int8 = .*$", "", "macs_per_cycle.int8 is missing"),
        (r'^"load_to_use" = .*$', "", 'sources."load_to_use" is missing'),
        (r"^vector_bytes = ", "vector_byte = ", "unknown key vector_byte; did you mean vector_bytes"),
        (r'^name = "l2"$', 'name = "L2"', "caches.1.name is 'L2', and must be 'l2'"),
    ],
)
def test_a_wrong_core_file_is_named_not_the_soc_that_asks_for_it(tmp_path: Path, old: str, new: str, says: str) -> None:
    core = named("cores", "cortex-a77").read_text(encoding="utf-8")
    count = 0 if "int8" in old else 1  # both tables of rates
    assert re.search(old, core, re.M)
    (tmp_path / "core.toml").write_text(re.sub(old, new, core, count=count, flags=re.M), encoding="utf-8")
    with pytest.raises(DeviceError) as raised:
        load(tmp_path, TEXT.replace('core = "cortex-a77"', 'core = "core.toml"'))
    assert str(raised.value).startswith(f"{tmp_path / 'core.toml'}: ")
    assert says in str(raised.value)
