"""The fit of the CPU models: what it reads, that it can be made again, and that it finds numbers that were put in."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest

from costmodel.cpu_device import compose
from costmodel.cpu_file import Fitted, load_core, load_fitted, load_runtime, load_soc, named
from costmodel.devices.cpus import listed
from costmodel.fit.cross_validate import cross_validate, errors, report
from costmodel.fit.features import Probe
from costmodel.fit.layout import BY_DTYPE, BY_RUNTIME, Layout, Row, keys_of, machine_of
from costmodel.fit.rows import dense_rows
from costmodel.fit.solve import START, solve
from costmodel.fit.split import held_out
from costmodel.fit.table import fitted_rows, write_fitted
from costmodel.fit.unequal import held_up
from costmodel.validation.folder import open_folder
from costmodel.validation.measurement import Key, Measurement
from costmodel.validation.nets import layers_of
from costmodel.validation.predict import Predictor, predict

FOLDER = open_folder()
SLICE = frozenset({"snapdragon-835-xnnpack", "snapdragon-865"})


def test_the_split_that_is_stored_is_the_seeded_one_and_never_cuts_a_soc() -> None:
    entries = {entry.device: entry for entry in listed()}
    uses = [line for line in FOLDER.devices if line.device in entries]
    cores = {
        entries[line.device].soc: load_soc(named("socs", entries[line.device].soc)).clusters[0].core for line in uses
    }
    held = held_out(cores)
    assert held
    for line in uses:
        assert (line.use == "held_out") == (entries[line.device].soc in held), line.device
    assert held_out(cores, seed=1) != held


def test_the_fit_reads_no_row_of_a_device_that_is_held_out() -> None:
    held = {line.device for line in FOLDER.devices if line.use == "held_out"}
    assert dense_rows(FOLDER, "fit", frozenset(sorted(held)[:3])) == []
    fitted_socs = {line.soc for line in FOLDER.devices if line.use == "fit"}
    for row in load_fitted():
        if row.source.startswith("fitted"):
            named_socs = set(row.source.partition(" of ")[2].split(", "))
            validation_names = {"snapdragon-835", "snapdragon-855"}
            assert named_socs <= fitted_socs | validation_names, row


def synthetic(numbers: dict[str, float]) -> list[Row]:
    """Times that the model itself gives nets of one device under ``numbers``."""
    soc, core, runtime = (
        load_soc(named("socs", "raspberry-pi-3")),
        load_core(named("cores", "cortex-a53")),
        load_runtime(named("runtimes", "ncnn")),
    )
    given = [
        Fitted(runtime="", core="", dtype="", parameter=name, value=value, source="test")
        for name, value in numbers.items()
    ]
    predictor = Predictor(device=compose("x", soc, {"cortex-a53": core}, runtime, given), folder=FOLDER.path)
    probe, found = Probe(soc, {"cortex-a53": core}, runtime, 0), []
    for net in ("squeezenet", "mobilenet", "resnet18", "alexnet", "mobilenet_v2", "resnet50"):
        for threads in (1, 2, 4):
            layers = layers_of(f"ncnn/{net}", FOLDER.path)
            key = Key(soc="x", processor="a53", threads=threads, dtype="fp32", runtime="ncnn")
            row = Measurement(table="made", line=1, machine="m", key=key, model=net, net=f"ncnn/{net}", seconds=1.0)
            row = replace(row, seconds=predict(predictor, row).low_s)
            parts = probe.parts(layers, "fp32", threads)
            found.append(Row(measured=row, runtime="ncnn", core="cortex-a53", parts=parts))
    return found


TRUE = {
    "gemm": 0.5,
    "winograd": 0.45,
    "transform": 0.3,
    "depthwise": 0.3,
    "spmm": 0.5,
    "vector": 0.3,
    "epilogue": 3.0,
    "cache_share": 0.8,
    "memory_share": 0.6,
    "overhead_cycles": 5e4,
    "thread_cycles": 5e3,
    "thread_loss": 0.06,
}


def test_times_that_the_model_made_are_met_again_through_their_parts() -> None:
    """The parts, put together again by the fit, are the model: every row within a percent once it has run."""
    rows = synthetic(TRUE)
    solution = solve(rows, evaluations=30)
    assert solution.error_median < 0.01
    own = solution.numbers[("ncnn", "", "fp32", "gemm")] * solution.numbers[("", "cortex-a53", "", "gemm")]
    assert own == pytest.approx(TRUE["gemm"], rel=0.1)
    assert solution.numbers[("ncnn", "", "", "thread_loss")] == pytest.approx(TRUE["thread_loss"], rel=0.25)


def test_a_quick_slice_of_the_fit_gives_the_same_bytes_twice(tmp_path) -> None:  # type: ignore[no-untyped-def]
    paths = []
    for name in ("one.csv", "two.csv"):
        rows = dense_rows(FOLDER, "fit", SLICE)
        write_fitted(tmp_path / name, fitted_rows(rows, solve(rows, evaluations=4), "2000-01-01"))
        paths.append(tmp_path / name)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert load_fitted(paths[0])


def test_a_machine_that_is_twice_as_slow_bends_no_number_much() -> None:
    rows = synthetic(TRUE)
    slow = [
        replace(row, measured=replace(row.measured, machine="slow", seconds=2 * row.measured.seconds))
        for row in rows[:6]
    ]
    plain, mixed = solve(rows, evaluations=15), solve([*rows, *slow], evaluations=15)
    assert mixed.offsets["made slow"] > mixed.offsets["made m"]
    gemm = ("ncnn", "", "fp32", "gemm")
    assert mixed.numbers[gemm] == pytest.approx(plain.numbers[gemm], rel=0.25)


def test_the_stored_table_has_every_number_of_every_runtime_that_was_fitted() -> None:
    rows = load_fitted()
    have = {(row.runtime, row.dtype, row.parameter) for row in rows if not row.core}
    assert {("ncnn", dtype, name) for dtype in ("fp32", "fp16", "int8") for name in BY_DTYPE} <= have
    for runtime in ("ncnn", "ncnn-2020", "paddle-lite", "xnnpack"):
        assert {(runtime, "", name) for name in BY_RUNTIME} <= have
    values = np.array([row.value for row in rows])
    assert np.isfinite(values).all()
    with (FOLDER.path / "devices.csv").open(encoding="utf-8", newline="") as file:
        assert {"fit", "held_out"} == {row["use"] for row in csv.DictReader(file)}


def test_the_derivatives_that_are_written_out_are_those_of_the_residuals() -> None:
    rows = synthetic(TRUE)[::3] + dense_rows(FOLDER, "fit", SLICE)
    keys, machines = keys_of(rows), sorted({machine_of(row) for row in rows})
    layout = Layout(rows, keys, machines)
    point = np.array([0.0 if core else np.log(START[name]) for _, core, _, name in keys] + [0.1] * len(machines))
    written, step = layout.jacobian(point), 1e-6
    for column in range(len(point)):
        ahead, behind = point.copy(), point.copy()
        ahead[column] += step
        behind[column] -= step
        slope = (layout.residuals(ahead) - layout.residuals(behind)) / (2 * step)
        assert written[:, column] == pytest.approx(slope, abs=1e-5)


def test_rows_over_cores_of_unequal_designs_fit_nothing() -> None:
    rows = dense_rows(FOLDER, "fit", frozenset({"rk3399"}))
    assert {row.measured.key.threads for row in rows if row.unequal} == {6}  # two A72 and four A53 cores
    alone = [row for row in rows if not row.unequal]
    assert solve(rows, evaluations=3).numbers == solve(alone, evaluations=3).numbers


def test_a_soc_that_is_left_out_is_predicted_from_the_others_alone() -> None:
    rows = dense_rows(FOLDER, "fit", SLICE)
    socs = {row.measured.key.soc for row in rows}
    found = cross_validate(rows, evaluations=4)
    assert len(found) == len(rows)
    one = min(socs)
    others = [row for row in rows if row.measured.key.soc != one]
    own = [row for row in rows if row.measured.key.soc == one]
    expected = errors(own, fitted_rows(others, solve(others, 4), "of a fold"))
    assert [each.error for each in found if each.row.measured.key.soc == one] == expected
    slow = [replace(row, measured=replace(row.measured, seconds=2 * row.measured.seconds)) for row in own]
    halved = [each.error for each in cross_validate([*others, *slow], 4) if each.row.measured.key.soc == one]
    assert [1 + error for error in halved] == pytest.approx([(1 + error) / 2 for error in expected])
    assert any(one in line for line in report(found))


def test_the_exponent_of_unequal_cores_is_the_one_under_which_the_times_were_made() -> None:
    rows = [row for row in dense_rows(FOLDER, "fit", frozenset({"rk3399"})) if row.unequal][::8]
    fitted = [row for row in load_fitted() if row.parameter != "held_up"]
    entry = next(each for each in listed() if each.device == "rk3399")
    soc = load_soc(named("socs", entry.soc))
    cores = {part.core: load_core(named("cores", part.core)) for part in soc.clusters}
    true = Fitted(runtime="", core="", dtype="", parameter="held_up", value=0.7, source="test")
    device = compose("x", soc, cores, load_runtime(named("runtimes", entry.runtime)), [*fitted, true])
    predictor = Predictor(device=device, folder=FOLDER.path)
    made = [
        replace(row, measured=replace(row.measured, seconds=predict(predictor, row.measured).low_s)) for row in rows
    ]
    assert [each.value for each in held_up(FOLDER, fitted, made, "2000-01-01")] == [true.value]
    assert held_up(FOLDER, fitted, [row for row in made if not row.unequal], "2000-01-01") == []
