"""Calibration: what the system says, what is measured, the fit, the table, and how predictions meet it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from costmodel.calibrate import _memory_kernel, session
from costmodel.calibrate.compare import compare, compared
from costmodel.calibrate.cuda import GpuCase, gpu_cases, prepared, two_of_four
from costmodel.calibrate.errors import errors
from costmodel.calibrate.fit import fit_kernel, non_negative, predicted_s, split
from costmodel.calibrate.grid import FAMILIES, FULL, Grid, Weights, activations
from costmodel.calibrate.host import UNKNOWN, Cache, Host, read_host, vector_lanes
from costmodel.calibrate.host_device import fit_host, host_levels, parallel_share
from costmodel.calibrate.memory import KNEE, Bandwidth, footprints, plateaus
from costmodel.calibrate.operators import CalibrationError, stored
from costmodel.calibrate.table import COLUMNS, Measurement, Table, read_table, table_text, write_table
from costmodel.calibrate.timing import Effort, Timing, summary, timed
from costmodel.device_file import load_cost_device
from costmodel.devices.a100 import A100
from costmodel.estimate import estimate
from costmodel.measured import MeasuredKernel, counts
from costmodel.spec import MemoryLevel
from gatherline import cli
from gatherline.api import run
from gatherline.calibration import CalibrationRequest, CalibrationStopped, calibrate, fit_table
from patterns.catalog import ALL_PATTERNS, PatternKind, parse_pattern
from patterns.products.product import PRODUCTS
from traces.layer import MatrixLayer, ProductLayer, Window
from traces.trace import LayerTrace

KIB, MIB = 1 << 10, 1 << 20
TINY = Grid(matrices=((16, 32), (32, 32), (32, 64), (64, 64)), positions=(1, 8, 40), densities=(0.25,))
HOST = Host(
    cpu="Test CPU", architecture="x86_64", system="Linux 6", processors=2, flags=("avx2", "avx512f"),
    caches=(Cache(level=1, bytes=32 * KIB, shared_by=1), Cache(level=2, bytes=MIB, shared_by=1)),
    clock_hz=3 * 10**9, hypervisor=True, load=0.0, versions=(),
)  # fmt: skip
LEVELS = (
    MemoryLevel(name="l1", bytes=32 * KIB, unit_bytes_per_s=10**11, total_bytes_per_s=10**11),
    MemoryLevel(name="l2", bytes=MIB, unit_bytes_per_s=10**11, total_bytes_per_s=10**11),
    MemoryLevel(name="dram", bytes=None, unit_bytes_per_s=10**10, total_bytes_per_s=10**10),
)
MANIFEST = {"date": "2026-01-01", "host": {"cpu": "a, b", "versions": {}}}
TRUE_COSTS = {
    "call_s": 2e-6, "row_s": 1e-8, "slot_s": 2e-9, "block_l1_s": 3e-9, "block_l2_s": 5e-9, "block_dram_s": 9e-9,
    "vector_s": 1e-9, "single_s": 4e-10,
}  # fmt: skip


def timing(seconds: float) -> Timing:
    return Timing(median_s=seconds, p10_s=seconds, p90_s=seconds, samples=5, calls=1, core_share=1.0)


def reads(rates: list[tuple[int, float]]) -> list[Bandwidth]:
    return [
        Bandwidth(kernel="memory-read", footprint_bytes=size, moved_bytes=size, threads=1, timing=timing(size / rate))
        for size, rate in rates
    ]


def product_row(m: int, k: int, p: int, density: float, seconds: float | None = None) -> Measurement:
    """A row whose time is exactly what ``TRUE_COSTS`` say, unless ``seconds`` is given."""
    slots = round(m * k * density)
    found = counts(
        m=m, k=k, positions=p, slots=slots, stored_bytes=6 * slots, value_bytes=4, levels=LEVELS, block_positions=32,
        vector_positions=8,
    )  # fmt: skip
    exact = sum(count * TRUE_COSTS.get(name, 0.0) for name, count in found.items())
    at = exact if seconds is None else seconds
    return Measurement(
        family="csr", kernel="numba-csr", device="cpu", dtype="fp32", pattern="unstructured", m=m, k=k, p=p,
        density=density, kept=slots, slots=slots, stored_bytes=6 * slots, median_s=at, p10_s=at, p90_s=at, samples=5,
        calls=1,
    )  # fmt: skip


def exact_rows() -> list[Measurement]:
    shapes = [(64, 64), (96, 128), (128, 256), (256, 256), (256, 512), (512, 512), (512, 1024)]
    return [
        product_row(m, k, p, density)
        for m, k in shapes for p in (1, 4, 8, 20, 33, 49, 196, 784) for density in (0.1, 0.25)
    ]  # fmt: skip


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """A calibration of a second: four small matrices, four footprints."""
    monkeypatch.setattr(session, "QUICK", TINY)
    monkeypatch.setattr(session, "QUICK_EFFORT", Effort(least=2, most=2, budget_s=0.0))
    monkeypatch.setattr(session, "footprints", lambda caches, *, available_bytes: [8192, 65536, 4 * MIB])


def test_the_host_is_what_the_system_states(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(
        "processor\t: 0\nmodel name\t: Some CPU @ 2.00GHz\ncpu MHz\t\t: 2000.5\nflags\t\t: fpu avx2 hypervisor\n\n"
        "processor\t: 1\nmodel name\t: Another\n"
    )
    for name, kind, level, size, shared in (
        ("index0", "Data", "1", "48K", "0"), ("index1", "Instruction", "1", "32K", "0"),
        ("index2", "Unified", "2", "2M", "0-1"), ("index3", "Unified", "3", "big", "0"),
    ):  # fmt: skip
        folder = tmp_path / "sys/devices/system/cpu/cpu0/cache" / name
        folder.mkdir(parents=True)
        for file, text in (("type", kind), ("level", level), ("size", size), ("shared_cpu_list", shared)):
            (folder / file).write_text(f"{text}\n")
    host = read_host(tmp_path)
    assert host.cpu == "Some CPU @ 2.00GHz"
    assert host.clock_hz == 2_000_500_000
    assert host.hypervisor
    assert vector_lanes(host) == (8, "the system's processor flags: avx2")
    assert host.caches == (
        Cache(level=1, bytes=48 * KIB, shared_by=1),
        Cache(level=2, bytes=2 * MIB, shared_by=2),
    )


def test_a_system_that_states_nothing_leaves_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.processor", lambda: "")
    host = read_host(tmp_path)
    assert (host.cpu, host.caches, host.clock_hz, host.flags) == (UNKNOWN, (), 0, ())
    assert vector_lanes(host)[0] == 0


def test_levels_end_where_reads_slow_down() -> None:
    shown = plateaus(reads([(8 * KIB, 100), (16 * KIB, 95), (32 * KIB, 98), (64 * KIB, 60), (128 * KIB, 58),
                            (MIB, 100 * KNEE * 0.2), (2 * MIB, 16)]))  # fmt: skip
    assert [(one.bytes, one.bytes_per_s) for one in shown] == [(32 * KIB, 98), (128 * KIB, 59), (None, 16)]


def test_one_footprint_alone_at_the_end_is_no_level_of_its_own() -> None:
    shown = plateaus(reads([(8 * KIB, 100), (16 * KIB, 100), (32 * KIB, 10)]))
    assert [one.bytes for one in shown] == [None]


def test_a_last_cache_that_other_tenants_use_ends_where_reads_slow_down() -> None:
    shared = replace(HOST, caches=(*HOST.caches, Cache(level=3, bytes=512 * MIB, shared_by=2)))
    points = reads([(16 * KIB, 100e9), (32 * KIB, 100e9), (256 * KIB, 60e9), (512 * KIB, 60e9), (4 * MIB, 30e9),
                    (8 * MIB, 30e9), (64 * MIB, 10e9), (128 * MIB, 10e9)])  # fmt: skip
    levels, notes = host_levels(shared, points, 1)
    assert [level.bytes for level in levels] == [32 * KIB, MIB, 8 * MIB, None]
    assert [level.unit_bytes_per_s for level in levels] == [100 * 10**9, 60 * 10**9, 30 * 10**9, 10 * 10**9]
    stated = f"the system states {512 * MIB} bytes of level-3 cache"
    assert notes == [f"{stated}, and reads slow down past {8 * MIB}: the device has {8 * MIB}"]


def test_a_system_that_states_no_cache_has_the_levels_that_reads_show() -> None:
    points = reads([(16 * KIB, 100e9), (32 * KIB, 100e9), (4 * MIB, 10e9), (8 * MIB, 10e9)])
    levels, _ = host_levels(replace(HOST, caches=()), points, 1)
    assert [(level.name, level.bytes) for level in levels] == [("l1", 32 * KIB), ("dram", None)]


def test_footprints_grow_past_the_last_cache_and_stay_within_memory() -> None:
    sizes = footprints(HOST.caches, available_bytes=1 << 34)
    assert sizes == sorted(set(sizes))
    assert sizes[0] == 8 * KIB
    assert sizes[-1] == max(4 * MIB, 64 * MIB)
    assert footprints(HOST.caches, available_bytes=8 * MIB)[-1] <= MIB


def test_a_timing_is_the_median_of_samples_and_states_its_spread() -> None:
    found = summary([1.0, 2.0, 3.0, 4.0, 10.0], 7, 0.5)
    assert (found.median_s, found.samples, found.calls, found.core_share) == (3.0, 5, 7, 0.5)
    assert found.p10_s == pytest.approx(1.0 + 0.4 * (2.0 - 1.0))
    assert found.p90_s == pytest.approx(4.0 + 0.6 * (10.0 - 4.0))
    assert found.spread == pytest.approx((found.p90_s - found.p10_s) / 3.0)


def test_the_memory_kernels_do_every_read_copy_and_step_that_is_timed() -> None:
    words = np.random.default_rng(0).integers(-(2**62), 2**62, 37)
    once = int(np.bitwise_xor.reduce(words))
    assert _memory_kernel.read(words, 3) == sum(once ^ turn for turn in range(3))
    target = np.zeros_like(words)
    _memory_kernel.copy(words, target, 4)
    np.testing.assert_array_equal(target, words)
    assert words[0] == 3
    value = 1
    for _ in range(10):
        value = value * 5 + 7
    assert _memory_kernel.chain(10, 5, 7) == value


def test_a_call_is_warmed_up_twice_and_sampled_as_often_as_asked() -> None:
    made: list[int] = []

    def slow() -> None:
        made.append(1)
        sum(range(20_000))

    found = timed(slow, Effort(least=3, most=3, budget_s=0.0))
    assert len(made) == 2 + 3 * found.calls
    assert found.samples == 3
    assert 0 < found.p10_s <= found.median_s <= found.p90_s


@pytest.mark.parametrize("family", ["dense", *dict.fromkeys(one.name for one in FAMILIES)])
def test_every_form_that_is_timed_computes_the_same_product(family: str) -> None:
    kind = next((one for one in FAMILIES if one.name == family), None)
    weights = Weights(
        family=family, pattern=kind.pattern if kind else "dense", encoding=kind.encoding if kind else "dense", m=32,
        k=64, density=(kind.density or 0.25) if kind else 1.0,
    )  # fmt: skip
    x = activations(64, 5, seed=3)
    mask = weights.mask(3) if kind else np.ones((32, 64), dtype=np.bool_)
    forms = list(stored(weights, 3))
    expected = np.where(mask, weights.values(3), 0) @ x
    for form in forms:
        np.testing.assert_allclose(np.asarray(form.call(x)()), expected, rtol=1e-4, atol=1e-4)
        assert form.kept == mask.sum() <= form.slots
    assert {form.kernel for form in forms} == {
        "dense": {"numpy-dense", "torch-dense", "numba-dense"}, "csr": {"numba-csr", "scipy-csr", "torch-csr"},
    }.get(family, {f"numba-{family}"})  # fmt: skip
    assert family in PRODUCTS


@given(st.integers(1, 6), st.integers(1, 12), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=60)
def test_the_non_negative_fit_is_as_good_as_scipys(terms: int, rows: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix, wanted = rng.standard_normal((rows, terms)), rng.standard_normal(rows)
    found = non_negative(matrix, wanted)
    assert (found >= 0).all()
    assert np.linalg.norm(matrix @ found - wanted) == pytest.approx(nnls(matrix, wanted)[1], abs=1e-8)


def test_costs_that_made_the_times_are_found_again_and_hold_for_matrices_not_seen() -> None:
    fit = fit_kernel(exact_rows(), LEVELS, seed=0)
    assert fit is not None
    assert set(fit.fitted).isdisjoint(fit.held_out)
    assert fit.held_out_errors.p90 < 0.01
    assert fit.held_out_errors.within_tenth == 1.0
    many = dict(fit.kernel.regimes[-1].costs)
    for name in ("slot_s", "block_l1_s", "block_l2_s", "block_dram_s", "vector_s", "single_s"):
        assert many[name] == pytest.approx(TRUE_COSTS[name], rel=0.05), name


def test_one_disturbed_row_in_ten_moves_a_fit_little() -> None:
    rows = [replace(row, median_s=row.median_s * (3 if at % 10 == 0 else 1)) for at, row in enumerate(exact_rows())]
    fit = fit_kernel(rows, LEVELS, seed=0)
    assert fit is not None
    assert fit.held_out_errors.median < 0.05


def test_an_outer_level_never_costs_less_than_an_inner_one() -> None:
    rng = np.random.default_rng(5)
    rows = [replace(row, median_s=row.median_s * float(rng.uniform(0.3, 3))) for row in exact_rows()]
    fit = fit_kernel(rows, LEVELS, seed=0)
    assert fit is not None
    costs = dict(fit.kernel.regimes[-1].costs)
    blocks = [costs.get(f"block_{level.name}_s", 0.0) for level in LEVELS]
    assert blocks == sorted(blocks)


def test_matrices_are_held_out_by_seed_and_never_the_smallest_or_largest() -> None:
    matrices = [(m, m) for m in range(16, 16 * 13, 16)]
    draws = [split(matrices, seed) for seed in range(20)]
    assert split(list(reversed(matrices)), 3) == draws[3]
    assert len({held for _, held in draws}) > 1
    for fitted, held in draws:
        assert sorted((*fitted, *held)) == matrices
        assert len(held) == round(len(matrices) / 3)
        assert {matrices[0], matrices[-1]} <= set(fitted)
    assert split(matrices[:2], 0) == ((), ())


def test_fewer_than_three_matrices_are_no_fit() -> None:
    assert fit_kernel([product_row(64, 64, p, 0.1) for p in (1, 8)], LEVELS, 0) is None


def test_the_share_of_further_threads_is_what_long_calls_gained() -> None:
    rows = [product_row(256, 256, 784, 0.25, seconds) for seconds in (0.010, 0.004)]
    rows[1] = replace(rows[1], threads=4)
    assert parallel_share(rows, 4) == pytest.approx((0.010 / 0.004 - 1) / (4 - 1))
    assert parallel_share(rows[:1], 1) == 0.0


def test_errors_are_those_of_the_definition() -> None:
    found = errors([1.05, 0.5, 2.0], [1.0, 1.0, 1.0], [0.1, 0.2, 0.3])
    assert found.median == pytest.approx(0.5)
    assert found.bias == pytest.approx(0.05)
    assert found.within_tenth == pytest.approx(1 / 3)
    assert found.p90 == pytest.approx(0.5 + 0.8 * (1.0 - 0.5))
    assert found.spread == pytest.approx(0.2)


def test_a_table_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    table = Table(manifest={**MANIFEST, "seed": 3}, rows=(product_row(64, 32, 8, 0.25, 0.5),))
    write_table(tmp_path / "table.csv", table)
    assert read_table(tmp_path / "table.csv") == table
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_a_table_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "table.csv").mkdir()
    with pytest.raises(OSError, match=r"table\.csv"):
        write_table(tmp_path / "table.csv", Table(manifest={}, rows=()))
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("schema 1", "schema 2", "schema is '2', and must be 1"),
        ("# gatherline", "gatherline", "line 1 must begin"),
        ("{", "[", "line 2 is no JSON"),
        ("median_s", "median", "column median is not known; did you mean median_s"),
        ("0.5,0.5", "fast,0.5", "line 4: median_s is 'fast', and must be a number"),
        ("0.5,0.5", "0.0,0.5", "line 4: median_s is 0.0, and must be above 0 seconds"),
        ("0.5,0.5", "nan,0.5", "line 4: median_s is nan, and must be above 0 seconds"),
        (",0.5,0.5", ",0.5", "line 4 has"),
        ("family,", "pattern,", "column pattern stands there twice"),
    ],
)
def test_a_table_that_is_none_is_named_with_line_and_column(tmp_path: Path, old: str, new: str, says: str) -> None:
    text = table_text(Table(manifest=MANIFEST, rows=(product_row(64, 32, 8, 0.25, 0.5),)))
    path = tmp_path / "table.csv"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(CalibrationError) as raised:
        read_table(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert says in str(raised.value)


def host_fit_rows() -> list[Measurement]:
    dense = [
        replace(row, family="dense", kernel="numpy-dense", pattern="dense", density=1.0, kept=row.m * row.k,
                slots=row.m * row.k, stored_bytes=4 * row.m * row.k)
        for row in exact_rows() if row.density == 0.1
    ]  # fmt: skip
    return [*dense, *exact_rows()]


POINTS = reads([(16 * KIB, 100e9), (32 * KIB, 100e9), (256 * KIB, 60e9), (512 * KIB, 60e9), (4 * MIB, 10e9),
                (8 * MIB, 10e9)])  # fmt: skip


def test_the_front_door_predicts_what_the_fit_did() -> None:
    fit = fit_host(HOST, POINTS, host_fit_rows(), clock_hz=3 * 10**9, threads=1, seed=0, name="host", date="2026-01-01")
    rows = [replace(row, stored_bytes=row.slots * 6 + 4 * (row.m + 1)) for row in exact_rows()[::9]]
    sparse = next(one.kernel for one in fit.kernels if one.kernel.name == "numba-csr")
    for one in compared(rows, fit.device):
        assert one.kernel == "numba-csr"
        assert one.predicted_s == pytest.approx(predicted_s(sparse, one.row, fit.device.levels), rel=0.02)


def test_rows_that_a_device_cannot_predict_are_counted_and_named() -> None:
    fit = fit_host(HOST, POINTS, host_fit_rows(), clock_hz=3 * 10**9, threads=1, seed=0, name="host", date="2026-01-01")
    rows = (
        exact_rows()[0],
        replace(exact_rows()[0], dtype="bf16"),
        replace(exact_rows()[0], kernel="other-csr"),
        replace(exact_rows()[0], threads=8),
    )
    found = compare(Table(manifest={}, rows=rows), fit.device)
    told = {(one.kernel, one.dtype): (one.rows, one.unpredicted, one.reason) for one in found}
    assert told == {
        ("numba-csr", "fp32"): (2, 1, "host has 1 units in its model, and 8 threads were measured"),
        ("numba-csr", "bf16"): (1, 1, "host has fp32 and not bf16"),
        ("other-csr", "fp32"): (1, 1, "host has no kernel other-csr"),
    }


def test_rows_of_a_gpu_meet_a_gpus_device_and_no_cpus() -> None:
    row = Measurement(
        family="dense", kernel="cuda-dense", device="Some GPU", dtype="fp16", pattern="dense", m=1024, k=1024, p=1024,
        kept=1 << 20, slots=1 << 20, stored_bytes=1 << 21, operands="cold", median_s=1e-4, p10_s=1e-4, p90_s=1e-4,
        samples=5, calls=1,
    )  # fmt: skip
    cases = [("n_of_m", "n_of_m:2,4", 0.5), ("bsr", "block:32x32", 0.25), ("csr", "unstructured", 0.1)]
    rows = [row] + [
        replace(row, family=family, kernel=f"cuda-{family}", pattern=pattern, density=density)
        for family, pattern, density in cases
    ]
    found = compare(Table(manifest={}, rows=tuple(rows)), A100)
    assert [(one.family, one.unpredicted) for one in found] == [("dense", 0), ("n_of_m", 0), ("bsr", 0), ("csr", 0)]
    fit = fit_host(HOST, POINTS, host_fit_rows(), clock_hz=3 * 10**9, threads=1, seed=0, name="host", date="2026-01-01")
    with pytest.raises(CalibrationError, match="holds no product of a processor like host"):
        compare(Table(manifest={}, rows=tuple(rows)), fit.device)


@pytest.mark.usefixtures("tiny")
def test_the_command_writes_a_table_and_a_device_that_run_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["calibrate", "--quick", "-o", str(tmp_path / "here.csv")])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    table = read_table(tmp_path / "here.csv")
    device = load_cost_device(tmp_path / "here.toml")
    host = read_host()
    assert out.startswith(host.cpu)
    assert (table.manifest["host"]["cpu"], table.manifest["complete"]) == (host.cpu, True)
    assert fit_table(table, host, name="here").device == device
    kernels = {row.kernel for row in table.rows}
    assert kernels >= {"memory-read", "memory-copy", "numpy-dense", "torch-dense", "scipy-csr", "torch-csr"}
    assert kernels >= {f"numba-{one.encoding}" for one in FAMILIES}
    for kernel in kernels - {"memory-read", "memory-copy"}:
        assert kernel in out
        assert kernel in {one.name for one in device.kernels}
    report = run("digits", patterns=["unstructured"], sparsities=[0.75], devices=[str(tmp_path / "here.toml")],
                 dtype="fp32")  # fmt: skip
    sparse = [row for row in report.rows if row["encoding"] == "csr"]
    assert sparse
    assert all(row["latency_low_s"] < row["latency_s"] < row["latency_high_s"] for row in sparse)


@pytest.mark.usefixtures("tiny")
def test_every_product_is_measured_on_one_thread_and_threaded_libraries_on_those_asked_for(tmp_path: Path) -> None:
    if read_host().processors < 2:
        pytest.skip("one processor")
    done = calibrate(CalibrationRequest(out=tmp_path / "t.csv", quick=True, threads=2))
    threads: dict[str, set[int]] = {}
    for row in done.table.rows:
        threads.setdefault(row.kernel, set()).add(row.threads)
    assert {name for name, found in threads.items() if found == {1, 2}} == {
        "memory-read", "numpy-dense", "torch-dense", "torch-csr",
    }  # fmt: skip
    assert done.fit is not None
    assert done.fit.device.unit_count == 2


class StopsAfter:
    """A progress that is interrupted at a step, as by Ctrl-C."""

    def __init__(self, steps: int) -> None:
        self.left, self.stopped = steps, False

    def start(self, total: int, what: str) -> None:
        assert total > self.left

    def step(self, what: str) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt

    def stop(self) -> None:
        self.stopped = True


@pytest.mark.usefixtures("tiny")
def test_ctrl_c_leaves_the_rows_that_were_measured(tmp_path: Path) -> None:
    progress = StopsAfter(5)
    with pytest.raises(CalibrationStopped) as stopped:
        calibrate(CalibrationRequest(out=tmp_path / "t.csv", quick=True), progress)
    assert progress.stopped
    table = read_table(tmp_path / "t.csv")
    assert stopped.value.rows == len(table.rows) > 0
    assert table.manifest["complete"] is False
    assert {row.family for row in table.rows} >= {"memory", "dense"}
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def error_line(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        cli.main(["calibrate", *arguments])
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


def test_without_a_cuda_device_the_gpu_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    err = error_line(capsys, "--gpu", "-o", str(tmp_path / "t.csv"))
    assert f"no GPU was measured: torch {torch.__version__} (built " in err
    assert "finds no CUDA device" in err
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_asked_for_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = str(tmp_path / "t.csv")
    most = read_host().processors
    assert f"threads is {most + 1}, and must be 1 to {most}" in error_line(
        capsys, "-o", table, "--threads", str(most + 1)
    )
    assert "must end in .csv" in error_line(capsys, "-o", str(tmp_path / "t.txt"))
    assert "--seed is -1" in error_line(capsys, "-o", table, "--seed", "-1")


def test_the_full_grid_is_about_layers_and_keeps_each_product_short() -> None:
    weights = list(FULL.weights())
    assert {one.family for one in weights} == {"dense", *(one.name for one in FAMILIES)}
    for one in weights:
        assert all(one.m * one.k * one.density * p <= 4e8 for p in FULL.positions_of(one))
        assert FULL.positions_of(one)


def gpu_forms() -> Iterator[GpuCase]:
    for quick in (True, False):
        yield from gpu_cases(quick=quick)


def test_the_gpus_grid_has_every_family_and_data_type_and_only_shapes_they_take() -> None:
    cases = list(gpu_forms())
    assert {case.family for case in cases} == {"dense", "n_of_m", "bsr", "csr"}
    assert {case.dtype for case in cases} == {"fp16", "bf16", "fp32"}
    for case in cases:
        if case.family == "n_of_m":
            assert case.m % 32 == case.k % 64 == case.p % 8 == 0
            assert case.dtype != "fp32"
        if case.family == "bsr":
            assert case.m % case.block == case.k % case.block == 0


@pytest.mark.parametrize("family", ["dense", "csr", "bsr"])
def test_what_the_gpu_would_multiply_is_the_pruned_matrix(family: str) -> None:
    case = GpuCase(family=family, dtype="fp32", m=64, k=128, p=8, density=1.0 if family == "dense" else 0.25,
                   block=16 if family == "bsr" else 0)  # fmt: skip
    name, call, kept, slots, stored_bytes = prepared(case, seed=1, place="cpu")
    result = np.asarray(call())
    assert name == f"cuda-{family}"
    assert kept == slots == 64 * 128 * case.density
    index_bytes = {"dense": 0, "csr": 4 * (kept + 64 + 1), "bsr": 4 * (kept // 256 + 64 // 16 + 1)}[family]
    assert stored_bytes == 4 * kept + index_bytes
    again = np.asarray(prepared(case, seed=1, place="cpu")[1]())
    np.testing.assert_array_equal(result, again)
    dense = np.asarray(prepared(replace(case, family="dense", density=1.0, block=0), seed=1, place="cpu")[1]())
    assert result.shape == dense.shape
    assert family == "dense" or not np.allclose(result, dense)


def test_two_of_four_keeps_the_larger_pair() -> None:
    import torch

    values = torch.tensor([[1.0, -4.0, 3.0, 2.0, 0.0, 0.5, -0.25, 8.0]])
    assert two_of_four(values).tolist() == [[False, True, True, False, False, True, False, True]]


def test_the_tables_columns_carry_their_units() -> None:
    assert [name for name in COLUMNS if name.endswith(("_s", "_bytes"))] == [
        "stored_bytes", "footprint_bytes", "moved_bytes", "median_s", "p10_s", "p90_s",
    ]  # fmt: skip
    json.dumps(HOST.manifest())


def _window(kernel: int, size: int) -> Window:
    edge = kernel // 2
    return Window(kernel=(kernel, kernel), padding=(edge, edge, edge, edge), in_hw=(size, size), out_hw=(size, size))


LAYERS = (
    MatrixLayer(name="conv", kind="conv2d", groups=1, m=64, k=9 * 32, window=_window(3, 7)),
    MatrixLayer(name="grouped", kind="conv2d", groups=4, m=16, k=9 * 16, window=_window(3, 7)),
    MatrixLayer(name="depthwise", kind="depthwise", groups=32, m=1, k=9, window=_window(3, 7)),
    MatrixLayer(name="linear", kind="linear", groups=1, m=64, k=128, window=Window(in_hw=(1, 1), out_hw=(1, 1))),
    MatrixLayer(name="hidden", kind="lstm_hidden", groups=1, m=64, k=64, serial=True,
                window=Window(in_hw=(1, 5), out_hw=(1, 5))),
)  # fmt: skip


@pytest.mark.parametrize("kind", [kind for kind in ALL_PATTERNS if kind.name != "channel+"], ids=lambda kind: kind.name)
def test_a_calibrated_device_gives_every_layer_with_every_pattern_a_row(kind: PatternKind) -> None:
    fit = fit_host(HOST, POINTS, host_fit_rows(), clock_hz=3 * 10**9, threads=1, seed=0, name="host", date="2026-01-01")
    pattern = parse_pattern(kind.example)
    for layer in LAYERS:
        scores = np.random.default_rng(0).random((layer.groups, layer.m, layer.k), dtype=np.float32)
        rule = parse_pattern("unstructured") if layer.kind == "depthwise" else pattern
        mask = rule.project(scores, 0.75)
        result = estimate(LayerTrace(layer=layer, pattern=rule, mask=mask), fit.device, dtype="fp32")
        assert 0 < result.latency_s < 1
        assert 0 <= result.utilization <= 1
        assert result.counters.macs_issued >= result.counters.macs_effectual
        sparse = kind.name not in ("dense", "channel") and layer.kind != "depthwise"
        assert result.kernel == ("numba-csr" if sparse else "depthwise" if layer.kind == "depthwise" else "numpy-dense")
    scores_of_attention = ProductLayer(name="scores", instances=4, m=50, k=32, p=50)
    result = estimate(LayerTrace(layer=scores_of_attention, pattern=pattern), fit.device, dtype="fp32")
    assert result.latency_s > 0


@pytest.mark.usefixtures("tiny")
def test_a_library_that_fails_half_way_leaves_the_rows_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(asked: session.Plan) -> Iterator[tuple[str, list[Measurement]]]:
        yield "one", [product_row(64, 64, 8, 0.1)]
        raise CalibrationError("CUDA error: of the test")

    monkeypatch.setattr("gatherline.calibration.measure_products", failing)
    with pytest.raises(CalibrationError, match="of the test"):
        calibrate(CalibrationRequest(out=tmp_path / "t.csv", quick=True))
    table = read_table(tmp_path / "t.csv")
    assert table.manifest["complete"] is False
    assert table.rows[-1] == product_row(64, 64, 8, 0.1)


def test_the_table_that_the_repository_has_is_predicted_by_its_device_as_its_held_out_errors_say() -> None:
    folder = Path(__file__).parents[2] / "validation" / "calibrated"
    device = load_cost_device(folder / "xeon-avx512.toml")
    table = read_table(folder / "xeon-avx512.csv")
    assert table.manifest["complete"] is True
    rows = [row for row in table.rows if row.family != "memory"]
    chosen = rows[::41]
    found = compared(chosen, device)
    assert all(one.predicted_s is not None for one in found)
    stated = max(kernel.p90_error for kernel in device.kernels if isinstance(kernel, MeasuredKernel))
    off = [abs((one.predicted_s or 0) / one.row.median_s - 1) for one in found]
    assert sum(error <= stated for error in off) > 0.9 * len(off)
