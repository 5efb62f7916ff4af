"""Roofline devices from TOML: whole tables, overrides of a preset, and one line for everything that is neither."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from costmodel.device_file import device_text, load_cost_device, load_target
from costmodel.devices.a100 import A100
from costmodel.devices.catalog import ALL_DEVICES
from costmodel.devices.cpus import SNAPDRAGON_855
from costmodel.spec import RooflineDevice, source_of
from gatherline.request import device_named
from simulator.devices.gs_tcm import GS_TCM
from simulator.spec import DeviceError


def load(tmp_path: Path, text: str) -> RooflineDevice:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return load_cost_device(path)


@pytest.mark.parametrize("device", ALL_DEVICES, ids=lambda device: device.name)
def test_a_device_written_as_a_table_is_read_back_the_same(tmp_path: Path, device: RooflineDevice) -> None:
    assert load(tmp_path, device_text(device, "two\nlines")) == device


@pytest.mark.parametrize("device", ALL_DEVICES, ids=lambda device: device.name)
def test_a_base_alone_is_the_preset_under_the_files_name(tmp_path: Path, device: RooflineDevice) -> None:
    assert load(tmp_path, f'base = "{device.name}"') == replace(device, name="mine")


def test_members_of_lists_are_overridden_by_name_and_say_that_the_file_did_it(tmp_path: Path) -> None:
    text = """
    base = "snapdragon-855"
    overhead_s = 1e-5
    [levels.l3]
    bytes = 4194304
    [kernels.gemm]
    efficiency = 0.5
    [units.0]
    clock_hz = 3000000000
    [matrix_macs_per_cycle]
    fp32 = 16
    [sources]
    "levels.l3.bytes" = "a data sheet"
    """
    device = load(tmp_path, text)
    assert device.levels[2] == replace(SNAPDRAGON_855.levels[2], bytes=4 << 20)
    assert device.levels[:2] == SNAPDRAGON_855.levels[:2]
    assert device.kernels == tuple(
        replace(kernel, efficiency=0.5) if kernel.name == "gemm" else kernel for kernel in SNAPDRAGON_855.kernels
    )
    assert device.units[0].clock_hz == 3 * 10**9
    assert dict(device.matrix_macs_per_cycle) == {**dict(SNAPDRAGON_855.matrix_macs_per_cycle), "fp32": 16}
    assert source_of(device, "levels.l3.bytes") == "a data sheet"
    assert source_of(device, "kernels.gemm.efficiency") == "mine.toml: the file names no source"
    assert source_of(device, "levels.l2.bytes") == SNAPDRAGON_855.sources["levels.l2.bytes"]


def test_the_source_of_a_part_is_that_of_each_number_changed_in_it(tmp_path: Path) -> None:
    text = 'base = "snapdragon-855"\n[levels.l2]\nbytes = 524288\n[sources]\n"levels.l2" = "a data sheet"'
    assert "levels.l2.bytes" in SNAPDRAGON_855.sources
    assert source_of(load(tmp_path, text), "levels.l2.bytes") == "a data sheet"


WHOLE = device_text(A100)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('base = "a10"', "base is 'a10', and must name a preset; did you mean a100"),
        ('base = "a100"\n[level.l2]\nbytes = 1', "unknown key level; did you mean levels"),
        ('base = "a100"\n[levels.l4]\nbytes = 1', "unknown key levels.l4; known are shared, l2, dram"),
        ('base = "a100"\n[levels.l2]\nsize = 1', "unknown key levels.l2.size; known are"),
        ('base = "a100"\n[levels.l2]\nbytes = "1"', "levels.l2.bytes is '1', and must be of type int"),
        ('base = "a100"\n[levels.l2]\nbytes = -1', "levels.l2.bytes is -1, and must not be negative"),
        ('base = "a100"\n[levels.l2]\nbytes = 0', "levels.l2.bytes is 0, and must be above 0"),
        ('base = "a100"\n[levels.dram]\ntotal_bytes_per_s = 0', "dram.total_bytes_per_s is 0, and must be above 0"),
        ('base = "a100"\n[units.0]\nclock_hz = 1410', "units.0.clock_hz is 1_410, and must be 1_000_000 to"),
        ('base = "a100"\n[units.0]\nclock = 2.4', "unknown key units.0.clock; did you mean clock_hz"),
        ('base = "a100"\n[levels.dram]\nunit_bytes_per_s = 1555', "levels.dram.unit_bytes_per_s is 1_555, and must be"),
        ('base = "a100"\nvector_efficiency = nan', "vector_efficiency is nan, and must be above 0"),
        ('base = "a100"\n[kernels.tensor-gemm]\nefficiency = 1.5', "tensor-gemm.efficiency is 1.5, and must be"),
        ('base = "a100"\n[kernels.tensor-gemm]\ndtypes = ["fp64"]', "kernels.tensor-gemm.dtypes.0 is 'fp64'"),
        ('base = "a100"\n[kernels.tensor-gemm]\nkept = [1]', "tensor-gemm.kept is [1], and must have 2 members"),
        ('base = "a100"\nname = 3', "name is 3, and must be text"),
        ('base = "a100"\nlevels = 3', "levels is 3, and must be a table of members by name"),
        (WHOLE.replace("overhead_s = ", "overhed_s = ", 1), "unknown key overhed_s; did you mean overhead_s"),
        (WHOLE.replace('kind = "server_gpu"\n', ""), "kind is missing, and the file needs it"),
        (WHOLE.replace('kind = "server_gpu"', 'kind = "gpu"'), "kind is 'gpu'; did you mean"),
        (WHOLE.replace('type = "gpu_tile"', 'type = "gpu_tiles"', 1), "type is 'gpu_tiles'; did you mean gpu_tile"),
        ('base = "a100"\n[kernels.tensor-gemm]\nl2_share = 0', "kernels.tensor-gemm.l2_share is 0.0, and must be"),
        ('base = "a100"\n[kernels.tensor-gemm]\nsplit_k = []', "kernels.tensor-gemm must have a tile and a cut of K"),
        (WHOLE.replace("unit_bytes_per_s", "bytes_per_s", 1), "unknown key levels.shared.bytes_per_s; did you mean"),
        (WHOLE.replace('"vector_efficiency" = "', '"vector_eficiency" = "', 1), "without a source"),
    ],
)  # fmt: skip
def test_what_no_device_can_be_is_one_line_with_the_field(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(DeviceError) as raised:
        load(tmp_path, text)
    message = str(raised.value)
    assert message.startswith(f"{tmp_path / 'mine.toml'}: ")
    assert says in message
    assert "\n" not in message


def test_a_file_of_either_kind_of_device_is_told_apart_by_its_base(tmp_path: Path) -> None:
    for name, base in (("cycle", "gs-tcm"), ("cost", "a100")):
        (tmp_path / f"{name}.toml").write_text(f'base = "{base}"\n', encoding="utf-8")
    assert device_named(str(tmp_path / "cycle.toml")) == replace(GS_TCM, name="cycle")
    assert device_named(str(tmp_path / "cost.toml")) == replace(A100, name="cost")
    (tmp_path / "none.toml").write_text('base = "gs-tmc"\n', encoding="utf-8")
    with pytest.raises(DeviceError, match="base is 'gs-tmc', and must name a preset; did you mean gs-tcm"):
        load_target(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("clock_hz = 500", "clock_hz is 500, and must be 1_000_000"),
        ("[dram]\nbytes_per_s = 17", "dram.bytes_per_s is 17,"),
    ],
)
def test_a_cycle_level_device_in_another_unit_is_refused_too(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "mine.toml").write_text(f'base = "gs-tcm-x4"\n{text}\n', encoding="utf-8")
    with pytest.raises(DeviceError, match=rf"mine\.toml: .*{says}"):
        load_target(tmp_path / "mine.toml")


def test_a_change_to_a_kernel_is_one_to_each_data_type_of_it_and_no_kernel_goes(tmp_path: Path) -> None:
    device = load(tmp_path, 'base = "snapdragon-855"\n[kernels.gemm]\nefficiency = 0.5')
    assert len(device.kernels) == len(SNAPDRAGON_855.kernels)
    assert [kernel.efficiency for kernel in device.kernels if kernel.name == "gemm"] == [0.5] * 3
    others = [kernel for kernel in SNAPDRAGON_855.kernels if kernel.name != "gemm"]
    assert [kernel for kernel in device.kernels if kernel.name != "gemm"] == others


FULL_CPU = device_text(SNAPDRAGON_855)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (FULL_CPU.replace("efficiency = ", "efficiency = 1", 1), "must be at most 1"),  # of the first of three gemms
        (FULL_CPU.replace("k_tile = 1", "k_tile = 0", 1), "kernels.gemm.k_tile is 0, and must be at least 1"),
        (FULL_CPU.replace("register_rows = ", "register_rows = -", 1), "kernels.gemm.tiles.0.register_rows is -"),
        (FULL_CPU.replace("loads_per_cycle = ", "loads_per_cycle = 0 # ", 1), "pipes.loads_per_cycle is 0"),
        ('base = "a100"\noverhead_s = inf', "overhead_s is inf, and must be a finite number"),
        ('base = "a100"\noverhead_s = nan', "overhead_s is nan, and must be a finite number"),
        ('base = "a100"\n[kernels.csr-spmm]\ngather_level = 3', "gather_level is 3, and levels are 0 to 2"),
        ('base = "a100"\n[kernels."tensor-2:4"]\nkept = [5, 4]', "kept is 5 of 4, and must keep at most all"),
        ('base = "a100"\n[kernels.tensor-bsr]\nsmallest_block = 0', "tensor-bsr.smallest_block is 0, and must be"),
        ('base = "snapdragon-855"\nthread_loss = 1.5', "thread_loss is 1.5, and must be at most 1"),
    ],
)  # fmt: skip
def test_a_number_that_a_model_would_divide_by_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(DeviceError) as raised:
        load(tmp_path, text)
    assert says in str(raised.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[gather]\nwindow = 4", "base is missing, and the file has neither kernels"),
        ('kind = "cpu"\n[[units]]\ncount = 1\nclock_hz = 1', "summary is missing, and the file needs it"),
    ],
)
def test_a_file_that_says_nothing_of_its_kind_is_told_what_is_missing(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    with pytest.raises(DeviceError) as raised:
        load_target(tmp_path / "mine.toml")
    assert says in str(raised.value)
