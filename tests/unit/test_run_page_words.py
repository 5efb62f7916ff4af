"""What the lower sections of a run's page say: how sure, what coincides, what is gone, and what words mean."""

from __future__ import annotations

import numpy as np
import pytest

from costmodel.validation.bands import Band
from gatherline.mask_samples import MaskSample, MaskWindow
from gatherline.mask_statistics import load_summary
from gatherline.report.page.break_even_section import break_even_section
from gatherline.report.page.glossary_section import glossary_section
from gatherline.report.page.masks_section import masks_section
from gatherline.report.page.memory_section import memory_section
from gatherline.report.page.no_faster_section import no_faster_section
from gatherline.report.page.pareto_section import alike_names, pareto_section
from gatherline.report.page.results import by_device
from gatherline.report.page.totals_section import totals_section
from gatherline.report.page.trust_section import beside_dense, plain_words, trust_section
from tests.unit.report_rows import rows_of

Row = dict[str, object]


def total(pattern: str, asked: float | None, latency_s: float, **values: object) -> Row:
    kept = 1.0 if asked is None else 1.0 - asked
    return {
        "device": "chip", "layer": "total", "pattern": pattern, "sparsity_overall": asked, "sparsity_target": asked,
        "sparsity_reached": asked, "density": kept, "latency_s": latency_s, "peak_memory_bytes": 1_000 * latency_s,
        "weight_bytes": 4, "index_bytes": 3, "activation_peak_bytes": 2, **values,
    }  # fmt: skip


def banded(row: Row, low: float, high: float) -> Row:
    return {**row, "latency_low_s": row["latency_s"] * low, "latency_high_s": row["latency_s"] * high}  # type: ignore[operator]


def layer(pattern: str, asked: float | None, latency_s: float, name: str = "conv", **values: object) -> Row:
    of_layer: Row = {"layer": name, "layer_pattern": pattern, "m": 4, "k": 8, "sparsity_reached": None}
    return {**total(pattern, asked, latency_s), **of_layer, **values}


def test_what_validates_a_band_is_said_as_people_say_it() -> None:
    band = Band(
        device_kind="mobile_cpu", family="dense", dtype="fp16", rows=418, nets=9, devices=8, ratio_low=0.59,
        ratio_high=1.97, error_median=0.24, error_p90=0.5, macs_least=1, macs_most=2, density_least=1.0, threads_most=1,
    )  # fmt: skip
    assert plain_words(band.text) == (
        "Checked on 418 published times of 8 devices that were not used to fit: 9 of 10 lay between 0.59 and 1.97 "
        "times the prediction, and half of them within 24 % of it (each device weighs the same; dense kernels, fp16)."
    )
    assert plain_words("measured on this machine") == "measured on this machine"
    assert plain_words("").startswith(plain_words("not validated"))


@pytest.mark.parametrize(
    ("seconds", "ends", "said"),
    [
        (1.0, (0.5, 1.9), "faster, even where both bands are worst"),
        (1.0, (0.5, 2.1), "may be no faster: its band overlaps dense's"),
        (9.0, (0.5, 1.9), "slower, even where both bands are best"),
        (5.0, (0.5, 1.9), "may be no slower: its band overlaps dense's"),
        (4.0, (0.5, 1.9), "as fast as dense"),
        (1.0, None, "faster, but not validated: no error band of this variant"),
    ],
)
def test_an_error_band_is_told_in_words_beside_that_of_dense(
    seconds: float, ends: tuple[float, float] | None, said: str
) -> None:
    dense, row = banded(total("dense", None, 4.0), 0.5, 1.05), total("channel", 0.5, seconds)
    assert beside_dense(row if ends is None else banded(row, *ends), dense) == said


def test_the_fastest_within_each_limit_stands_first_in_how_sure() -> None:
    rows = [total("dense", None, 4.0), total("gs:16,1", 0.5, 5.0), total("gs:16,1", 0.9, 1.0)]
    (found,) = trust_section(by_device(rows, {}), rows)["devices"]  # type: ignore[misc]
    assert [(line["label"], line["limits"]) for line in found["lines"]] == [
        ("dense", "50 %"), ("gs:16,1, 90 % removed", "90 %"),
    ]  # fmt: skip
    assert [line["label"] for line in found["others"]] == ["gs:16,1, 50 % removed"]


def test_remarks_leave_out_what_other_sections_tell() -> None:
    rows = [total("dense", None, 4.0), layer("dense", None, 4.0), total("gs:16,1", 0.5, 4.0)]
    rows.append(layer("gs:16,1", 0.5, 4.0, reason="chip has no kernel for gs: dense kernel, zeros computed"))
    assert not any("no kernel" in line for line in trust_section(by_device(rows, {}), rows)["remarks"])  # type: ignore[attr-defined]
    rows = [row for row in rows if row["pattern"] != "dense"]
    assert any("no kernel" in line for line in trust_section(by_device(rows, {}), rows)["remarks"])  # type: ignore[attr-defined]


def test_curves_that_coincide_are_one_line_and_dense_has_its_band() -> None:
    rows = [banded(total("dense", None, 4.0), 0.5, 2.0)]
    for pattern, off in (("gs:16,1", 1.0), ("unstructured", 1.005), ("channel", 1.5)):
        rows += [total(pattern, 0.5, 6.0 * off), total(pattern, 0.9, 1.0 * off)]
    (found,) = break_even_section(by_device(rows, {}), [])
    assert [line["pattern"] for line in found["lines"]] == ["gs:16,1, unstructured", "channel"]  # type: ignore[attr-defined]
    assert {line["sure"] for line in found["lines"]} == {"not validated"}  # type: ignore[attr-defined]
    assert found["chart"]["levels"] == [{"y": 4e3, "label": "dense", "low": 4e3 * 0.5, "high": 4e3 * 2.0}]  # type: ignore[index]


def test_points_of_a_front_that_tie_are_one_line_with_all_names() -> None:
    tied = [total("gs:16,1", 0.5, 2.0), total("unstructured", 0.5, 2.001), total("channel", 0.5, 2.0)]
    tied[2]["sparsity_reached"] = 0.6
    assert alike_names(tied) == "unstructured = gs:16,1, 50 % removed; channel, 60 % removed (50 % asked)"
    rows = [total("dense", None, 4.0), *tied[:2]]
    (device,) = pareto_section(by_device(rows, {}))
    density, memory = device["trades"]  # type: ignore[misc]
    assert [line["label"] for line in density["members"]] == ["unstructured = gs:16,1, 50 % removed", "dense"]
    assert (density["listed"], density["single"], memory["single"], memory["knee"]) == (3, False, True, "")


def test_variants_that_say_the_same_of_the_same_layers_are_one_line() -> None:
    rows = [total("dense", None, 4.0), layer("dense", None, 1.0), layer("dense", None, 2.0, "first")]
    for pattern, rule in (("gs:16,1", "gs:16,1 here (why: 1x1)"), ("block:4x1", "block:4x1 here (why: 1x1)")):
        for asked, seconds in ((0.5, 3.0), (0.7, 2.0)):
            rows.append(total(pattern, asked, 5.0))
            rows.append(
                layer(pattern, asked, seconds, reason=f"asked 0.9; chip has no kernel for {rule}: dense kernel")
            )
            rows.append(
                layer(pattern, asked, 2.0, "first", layer_pattern="dense", reason="the first layer stays dense")
            )
    found = no_faster_section(by_device(rows, {}))
    (line,) = found["lines"]  # type: ignore[misc]
    assert line["variant"] == "gs:16,1, block:4x1: 50 %, 70 % removed"
    assert line["reason"] == "chip has no kernel for it here (why: 1x1): dense kernel"
    assert (line["sparse"], line["lost"][0]) == (("2,000 to 3,000", 3.0), "+1,000 to +2,000")
    assert found["left_dense"] == "first (the first layer stays dense)"


def test_a_layer_that_only_became_smaller_says_what_is_gone_and_has_no_picture() -> None:
    rows = [layer("dense", None, 1.0), total("channel", 0.5, 1.0, sparsity_reached=0.75)]
    kept = np.ones((2, 4), dtype=np.bool_)
    sample = MaskSample(
        layer="conv", pattern="channel", sparsity=0.5, layer_pattern="channel", groups=1, m=2, k=4, kept=8, banks=16,
        row_load=load_summary(kept.sum(axis=1)), bank_load=load_summary(kept.sum(axis=0)),
        window=MaskWindow(kept=kept, density=np.ones((1, 1))),
    )  # fmt: skip
    (found,) = masks_section([sample], by_device(rows, {}))["layers"]  # type: ignore[misc]
    (picture,) = found["pictures"]
    assert picture["variant"] == "channel, 75 % removed (50 % asked)"
    assert picture["gone"] == (
        "Dense, 2 × 4 of 4 × 8: 2 output channels (rows) and 4 columns, those of input channels that went, are gone; "
        "of what is left every weight is kept."
    )
    assert "window" not in picture


def test_the_last_bin_of_a_histogram_ends_with_the_largest_load() -> None:
    loads = np.array([0, 17, 17, 33])  # bins of 3: the last would reach 35
    sample = MaskSample(
        layer="conv", pattern="gs:16,1", sparsity=0.5, layer_pattern="gs:16,1", groups=1, m=4, k=40, kept=67, banks=16,
        row_load=load_summary(loads), bank_load=load_summary(loads),
        window=MaskWindow(kept=np.eye(4, 8, dtype=np.bool_), density=np.full((1, 1), 0.5)),
    )  # fmt: skip
    (found,) = masks_section([sample])["layers"]  # type: ignore[misc]
    bars = found["pictures"][0]["row_chart"]["rows"]
    assert bars[-1]["label"] == "33"
    assert sum(bar["values"][0] for bar in bars) == len(loads)


def test_bars_of_memory_end_with_their_sum_and_totals_with_what_is_removed() -> None:
    devices = by_device([total("channel", 0.5, 1.0, sparsity_reached=0.75, peak_memory_bytes=10)], {})
    (found,) = memory_section(devices)
    (bar,) = found["chart"]["rows"]  # type: ignore[index]
    assert (bar["end"], sum(bar["values"])) == ("10 B", 4 + 3 + 2 + 1)
    (line,) = totals_section(devices)
    assert (line["variant"], line["numbers"][0]) == ("channel, 75 % removed (50 % asked)", ("75 %", 0.75))  # type: ignore[index]


def test_the_words_are_once_each_and_have_the_patterns_and_bounds_of_the_run() -> None:
    rows = [{**row, "bound": "texture"} for row in rows_of()]
    groups = {group["title"]: group["words"] for group in glossary_section(by_device(rows, {}))}
    words = [word for found in groups.values() for word in found]  # type: ignore[attr-defined]
    assert len({word.name for word in words}) == len(words)
    named = {word.word for word in words}
    assert {"gs:16,1", "block:1x16", "n_of_m:2,4", "kernel_pattern", "channel", "spmm", "csr", "M × K × P"} <= named
    assert [word.word for word in groups["What limits a layer (its bound)"]] == ["texture"]  # type: ignore[attr-defined]
