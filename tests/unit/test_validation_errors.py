"""Errors, floors, speed-ups and bands: by hand, against SciPy, and never from rows that a model was fitted to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from costmodel.devices.a100 import A100
from costmodel.devices.cpus import SNAPDRAGON_855
from costmodel.spec import RooflineDevice
from costmodel.validation.bands import (
    LEAST_DEVICES,
    LEAST_NETS,
    LEAST_ROWS,
    Band,
    banded,
    bands_text,
    family_of,
    read_bands,
    stored_bands,
)
from costmodel.validation.compare import Point, errors_of
from costmodel.validation.drawn import drawn_mask
from costmodel.validation.floor import floor_of, floors
from costmodel.validation.folder import FOLDER, Use
from costmodel.validation.measurement import Key, Measurement, ValidationError
from costmodel.validation.metrics import anchored_error, errors, ranks, spearman, weighted_quantile
from costmodel.validation.predict import Prediction, Predictor, obstacle, predict
from costmodel.validation.speedup import speed_ups
from costmodel.validation.store_bands import bands_of
from patterns.catalog import parse_pattern
from simulator.result import Counters, LayerResult
from traces.layer import MatrixLayer, Window

KEY = Key(soc="chip", processor="a76", threads=1, dtype="fp32", runtime="ncnn")


def measured(seconds: float, **other: object) -> Measurement:
    row = Measurement(table="ncnn", line=2, machine="board", key=KEY, model="net", net="gemm/64x64x64", seconds=seconds)
    return replace(row, **other)  # type: ignore[arg-type]


def predicted(low_s: float, high_s: float | None = None, family: str = "dense") -> Prediction:
    return Prediction(low_s=low_s, high_s=high_s or low_s, family=family, macs_least=10, macs_most=1000, density=0.1)


def point(row: Measurement, seconds: float, use: Use = "held_out", device: RooflineDevice = SNAPDRAGON_855) -> Point:
    return Point(device=device, use=use, measured=row, prediction=predicted(seconds))


# Errors


def test_errors_are_those_of_three_nets_by_hand() -> None:
    found = errors([1.05, 1.0, 6.0], [1.0, 2.0, 4.0], ["a", "b", "c"])  # +5 %, -50 %, +50 %
    assert (found.rows, found.nets) == (3, 3)
    assert found.median == pytest.approx(0.5)
    assert found.bias == pytest.approx(0.05)
    assert found.within_10 == pytest.approx(1 / 3)
    assert found.p90 == pytest.approx(0.5)
    assert found.rank == pytest.approx(1 - 6 * (1 + 1 + 0) / (3 * 8))  # the two fastest have changed places


def test_ranks_of_a_net_measured_twice_count_once() -> None:
    found = errors([1.0, 3.0, 2.0, 3.0], [1.0, 1.0, 2.0, 3.0], ["a", "a", "b", "c"])
    assert found.nets == 3
    assert found.rank == spearman([2.0, 2.0, 3.0], [1.0, 2.0, 3.0])


@pytest.mark.parametrize("size", [3, 4, 10, 40])
def test_the_rank_correlation_equals_scipys(size: int) -> None:
    generator = np.random.default_rng(size)
    for spread in (2, 5, 1000):  # many ties, some, hardly any
        for _ in range(20):
            a, b = generator.integers(0, spread, (2, size))
            if np.ptp(a) == 0 or np.ptp(b) == 0:
                assert spearman(a, b) is None
            else:
                assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic, abs=1e-12)
    assert spearman([1, 2], [1, 2]) is None


def test_equal_values_share_their_ranks() -> None:
    assert ranks([5.0, 1.0, 5.0]).tolist() == [(2 + 3) / 2, 1, (2 + 3) / 2]


@pytest.mark.parametrize("factor", [0.3, 1.0, 7.0])
def test_a_model_that_is_off_by_one_factor_is_right_after_one_net(factor: float) -> None:
    times = [0.1, 2.0, 30.0, 4.0]
    assert anchored_error([time * factor for time in times], times) == pytest.approx(0, abs=1e-12)
    # the third net is twice too slow: as the anchor it halves the others, else it alone is off
    assert anchored_error([0.1, 2.0, 60.0, 4.0], times) == pytest.approx(0, abs=1e-12)
    assert anchored_error([0.1, 2.0, 60.0], times[:3]) == pytest.approx(np.median([0.5, 0.5, 0.5]))
    assert anchored_error([1.0, 2.0], [1.0, 2.0]) is None


def test_a_row_with_an_interval_of_density_errs_only_outside_it() -> None:
    row = measured(2.0)
    assert Point(device=A100, use="fit", measured=row, prediction=predicted(1.0, 3.0)).error == 0
    below = Point(device=A100, use="fit", measured=row, prediction=predicted(3.0, 4.0))
    assert below.error == pytest.approx(3.0 / 2.0 - 1)


def test_a_weighted_quantile_is_the_least_value_that_reaches_its_share() -> None:
    assert weighted_quantile([3.0, 1.0, 2.0], [1, 1, 2], 0.25) == 1.0
    assert weighted_quantile([3.0, 1.0, 2.0], [1, 1, 2], 0.75) == 2.0
    assert weighted_quantile([3.0, 1.0, 2.0], [1, 1, 2], 0.76) == 3.0


# Noise floor


def test_the_floor_is_what_the_centre_of_two_contributors_is_off_from_them() -> None:
    rows = [measured(1.0, machine="one"), measured(3.0, machine="two")]
    own, everywhere = floors(rows)
    centre = (1.0 + 3.0) / 2
    assert own.key == KEY
    assert own.median == pytest.approx(np.median([centre / 1.0 - 1, 1 - centre / 3.0]))
    assert own.pair_median == pytest.approx(np.median([3.0 / 1.0 - 1, 1 - 1.0 / 3.0]))
    assert (everywhere.key, everywhere.median) == (None, own.median)


def test_one_contributor_or_another_key_makes_no_floor() -> None:
    other = replace(KEY, threads=4)
    rows = [measured(1.0), measured(2.0), measured(3.0, machine="two", key=other)]
    assert floors(rows) == ()
    assert floor_of(KEY, (), is_cpu=True) is None


def test_the_floor_of_other_silicon_is_lent_to_cpus_only() -> None:
    known = floors([measured(1.0, machine="one"), measured(3.0, machine="two")])
    unknown = replace(KEY, soc="another")
    assert floor_of(unknown, known, is_cpu=True) == known[-1]
    assert floor_of(unknown, known, is_cpu=False) is None
    assert floor_of(KEY, known, is_cpu=False) == known[0]


# Sparse over dense


def sparse(seconds: float, **other: object) -> Measurement:
    return measured(seconds, pattern="unstructured", density_low=0.2, density_high=0.25, **other)


def test_a_speed_up_is_of_one_runtime_on_one_processor() -> None:
    dense = ("phone", "fit", measured(2.0), predicted(2.2))
    pruned = ("phone", "fit", sparse(1.0), predicted(1.0, 1.1))
    (ratio,) = speed_ups([dense, pruned])
    assert ratio.measured == 2.0
    assert (ratio.predicted_low, ratio.predicted_high) == (pytest.approx(2.2 / 1.1), pytest.approx(2.2 / 1.0))
    assert ratio.error == pytest.approx(0)
    for other in ({"runtime": "paddle_lite"}, {"dtype": "fp16"}, {"threads": 4}, {"soc": "another"}):
        elsewhere = ("phone", "fit", sparse(1.0, key=replace(KEY, **other)), predicted(1.0))
        assert speed_ups([dense, elsewhere]) == ()


def test_the_sign_is_wrong_where_slower_is_called_faster() -> None:
    dense = ("phone", "fit", measured(1.0), predicted(1.0))
    (ratio,) = speed_ups([dense, ("phone", "fit", sparse(1.25), predicted(0.5))])  # 0.8 times, called 2 times
    assert not ratio.sign_right
    (ratio,) = speed_ups([dense, ("phone", "fit", sparse(1.25), predicted(0.5, 1.1))])  # the interval reaches below 1
    assert ratio.sign_right


# Predictions


def test_a_prediction_is_the_sum_of_its_layers_on_the_device() -> None:
    predictor = Predictor(device=SNAPDRAGON_855, folder=FOLDER)
    row = measured(1e-3, net="mobilenet_v1/1.0-224")
    found = predict(predictor, row)
    assert (
        found.low_s
        == found.high_s
        == sum(result.latency_s for (layers,) in [predictor.nets.values()] for result in layers)
    )
    assert found.family == "dense"
    half = predict(predictor, replace(row, key=replace(KEY, dtype="fp16")))
    assert half.low_s < found.low_s


def test_a_sparse_row_is_predicted_at_both_ends_of_its_density() -> None:
    predictor = Predictor(device=SNAPDRAGON_855, folder=FOLDER)
    row = sparse(1e-3, net="mobilenet_v1/0.75-128", scope="pointwise")
    found = predict(predictor, row)
    assert found.family == "csr"
    assert found.low_s < found.high_s
    assert found == predict(Predictor(device=SNAPDRAGON_855, folder=FOLDER), row)  # masks come from a seed


def test_a_type_or_threads_that_the_device_has_not_are_said() -> None:
    predictor = Predictor(device=SNAPDRAGON_855, folder=FOLDER)
    assert obstacle(predictor, measured(1.0)) == ""
    cores = SNAPDRAGON_855.unit_count
    assert obstacle(predictor, measured(1.0, key=replace(KEY, threads=cores))) == ""
    assert f"has {cores} cores" in obstacle(predictor, measured(1.0, key=replace(KEY, threads=cores + 1)))
    no_int8 = Predictor(device=A100, folder=FOLDER)
    missing = {"fp32", "fp16", "int8", "int4"} - set(A100.dtypes)
    for dtype in missing:
        assert f"has no {dtype}" in obstacle(no_int8, measured(1.0, key=replace(KEY, dtype=dtype)))


@pytest.mark.parametrize("spelling", ["unstructured", "block:4x8", "n_of_m:2,4"])
def test_a_drawn_mask_obeys_its_rule_and_nearly_its_density(spelling: str) -> None:
    layer = MatrixLayer(name="x", kind="linear", m=256, k=512, window=Window())
    rule = parse_pattern(spelling)
    mask = drawn_mask(layer, rule, 0.5, seed=0)
    assert rule.check(mask) is None
    assert mask.mean() == pytest.approx(0.5, abs=0.03)
    assert np.array_equal(mask, drawn_mask(layer, rule, 0.5, seed=0))
    if spelling != "n_of_m:2,4":
        assert not np.array_equal(mask, drawn_mask(layer, rule, 0.5, seed=1))


# Bands

BAND = Band(
    device_kind="mobile_cpu", family="dense", dtype="fp32", rows=40, nets=10, devices=2, ratio_low=0.8, ratio_high=1.5,
    error_median=0.1, error_p90=0.3, macs_least=1000, macs_most=10_000, density_least=0.1, threads_most=4,
)  # fmt: skip
RESULT = LayerResult(
    layer="x", kind="linear", m=10, k=20, p=10, groups=1, density=1.0, device="phone", device_kind="mobile_cpu",
    model_kind="roofline", latency_s=2.0, counters=Counters(macs_dense=2000), encoding="dense",
)  # fmt: skip


def held_out(rows: int, nets: int, devices: int, use: Use = "held_out") -> list[Point]:
    chosen = [replace(SNAPDRAGON_855, name=f"phone-{number}") for number in range(devices)]
    return [
        point(measured(1.0, net=f"gemm/{1 + at % nets}x1x1"), 1.0 + at % 3 / 10, use, chosen[at % devices])
        for at in range(rows)
    ]


def test_a_row_inside_a_band_carries_its_ends_and_says_what_validates_it() -> None:
    found = banded(RESULT, "fp32", 1, [BAND])
    assert (found.latency_low_s, found.latency_high_s) == (2.0 * 0.8, 2.0 * 1.5)
    assert found.validated == BAND.text
    assert "40 rows of 2 devices left out of fitting: 90% of measured times were 0.80 to 1.50 of predicted" in (
        found.validated
    )
    assert not found.extrapolated


@pytest.mark.parametrize(
    "change",
    [{"device_kind": "server_gpu"}, {"encoding": "csr"}, {"model_kind": "cycle"}, {"kind": "unsupported"}],
)
def test_a_row_outside_every_band_stays_not_validated(change: dict[str, str]) -> None:
    other = replace(RESULT, **change)  # type: ignore[arg-type]
    assert banded(other, "fp32", 1, [BAND]) == other
    assert other.validated == "not validated"
    assert banded(RESULT, "fp16", 1, [BAND]) == RESULT


@pytest.mark.parametrize(
    ("macs", "threads", "beyond"), [(1000, 4, False), (999, 1, True), (10_001, 1, True), (2000, 5, True)]
)
def test_a_layer_beyond_the_range_of_the_measurements_is_extrapolated(macs: int, threads: int, beyond: bool) -> None:
    result = replace(RESULT, counters=Counters(macs_dense=macs))
    assert banded(result, "fp32", threads, [BAND]).extrapolated is beyond


def test_what_was_left_is_said_in_the_row_beside_its_reason() -> None:
    far = replace(RESULT, counters=Counters(macs_dense=BAND.macs_most + 1), reason="the first layer stays dense")
    found = banded(far, "fp32", BAND.threads_most + 1, [BAND])
    left = f"threads above {BAND.threads_most}, macs above {BAND.macs_most}"
    assert found.reason == f"the first layer stays dense; beyond what was validated: {left}"
    near = replace(RESULT, counters=Counters(macs_dense=BAND.macs_least - 1))
    assert banded(near, "fp32", 1, [BAND]).reason == f"beyond what was validated: macs below {BAND.macs_least}"


def test_a_row_that_was_calibrated_on_its_own_machine_keeps_that_band() -> None:
    own = replace(RESULT, latency_low_s=1.9, latency_high_s=2.1, validated="calibrated on one host")
    assert banded(own, "fp32", 1, [BAND]) == own


def test_a_sparser_layer_than_any_measured_is_extrapolated() -> None:
    csr = replace(BAND, family="csr")
    sparser = replace(RESULT, encoding="csr", density=0.09)
    assert family_of(sparser) == "csr"
    found = banded(sparser, "fp32", 1, [csr])
    assert found.extrapolated
    assert found.reason == f"beyond what was validated: density below {csr.density_least:.4g}"
    assert not banded(replace(sparser, density=0.1), "fp32", 1, [csr]).extrapolated


def test_a_layer_without_a_product_shares_the_dense_band() -> None:
    vector = replace(RESULT, kind="add", m=0, k=0, p=0, encoding="", counters=Counters())
    found = banded(vector, "fp32", 1, [BAND])
    assert found.validated == BAND.text
    assert not found.extrapolated


def test_a_band_comes_from_enough_rows_nets_and_devices_only() -> None:
    assert len(bands_of(held_out(LEAST_ROWS, LEAST_NETS, LEAST_DEVICES))) == 1
    assert bands_of(held_out(LEAST_ROWS - 1, LEAST_NETS, LEAST_DEVICES)) == ()
    assert bands_of(held_out(LEAST_ROWS, LEAST_NETS - 1, LEAST_DEVICES)) == ()
    assert bands_of(held_out(LEAST_ROWS, LEAST_NETS, LEAST_DEVICES - 1)) == ()


def test_rows_of_a_fitted_device_never_enter_a_band() -> None:
    assert bands_of(held_out(10 * LEAST_ROWS, LEAST_NETS, LEAST_DEVICES, use="fit")) == ()
    both = held_out(LEAST_ROWS, LEAST_NETS, LEAST_DEVICES)
    fitted = [replace(each, prediction=predicted(100.0)) for each in held_out(200, 5, 3, use="fit")]
    assert bands_of([*both, *fitted]) == bands_of(both)


def test_a_band_holds_the_middle_nine_tenths_of_measured_over_predicted() -> None:
    points = held_out(3 * LEAST_ROWS, LEAST_NETS, LEAST_DEVICES)
    (band,) = bands_of(points)
    inside = [band.ratio_low <= each.measured.seconds / each.predicted_s <= band.ratio_high for each in points]
    assert np.mean(inside) >= 0.9
    assert band.error_median == pytest.approx(errors_of(points).median)
    assert (band.device_kind, band.family, band.dtype, band.threads_most) == ("mobile_cpu", "dense", "fp32", 1)


def test_bands_survive_their_file() -> None:
    other = replace(BAND, device_kind="server_gpu", family="csr")
    assert read_bands(bands_text([other, BAND])) == (BAND, other)  # in order of kind
    assert read_bands(bands_text([])) == ()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("device_kind,", "kind,", "line 1: columns are"),
        ("0.8,1.5", "1.5,0.8", "must be above 0 and in order"),
        ("0.8,1.5", "0.0,1.5", "must be above 0 and in order"),
        ("0.8,1.5", "few,1.5", "bands.csv line 2"),
        (",4\n", "\n", "line 2: has 13 fields"),
    ],
)
def test_a_damaged_file_of_bands_is_refused(old: str, new: str, says: str) -> None:
    text = bands_text([BAND])
    assert old in text
    with pytest.raises(ValidationError, match=says):
        read_bands(text.replace(old, new))


@pytest.mark.slow
def test_the_stored_bands_are_those_of_the_measurements_and_models_of_today() -> None:
    from costmodel.devices.catalog import ALL_DEVICES
    from costmodel.validation.compare import validate
    from costmodel.validation.folder import open_folder

    now = bands_text(bands_of(validate(open_folder(), ALL_DEVICES).points))
    assert now == bands_text(stored_bands()), "run python -m costmodel.validation.store_bands"
