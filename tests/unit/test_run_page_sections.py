"""Parts of a run's page that are small enough to be worked out by hand."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
import pytest

from gatherline.mask_samples import MaskSample, MaskWindow
from gatherline.mask_statistics import load_summary
from gatherline.report.page.bitmap import LEVELS, data_uri
from gatherline.report.page.break_even_section import crossing
from gatherline.report.page.headline_section import preset
from gatherline.report.page.heat_section import SAME, STEPS, factor_words, step
from gatherline.report.page.manifest_section import command, manifest_section
from gatherline.report.page.masks_section import bars, masks_section
from gatherline.report.page.memory_section import parts
from gatherline.report.page.no_faster_section import no_faster_section
from gatherline.report.page.results import by_device, change, times


def test_a_crossing_is_straight_between_the_two_levels_beside_it() -> None:
    words, found = crossing([(0.1, 1.0), (0.2, 2.0), (0.5, 6.0)], 3.0)
    assert found == pytest.approx(0.2 + (3.0 - 2.0) / (6.0 - 2.0) * (0.5 - 0.2))
    assert words == "below about 0.275, between the levels of 0.2 and 0.5"


@pytest.mark.parametrize(
    ("seconds", "said"), [((4.0, 5.0), "never"), ((1.0, 2.0), "always"), ((4.0, 2.0), "some"), ((3.0, 3.0), "never")]
)
def test_a_pattern_that_never_crosses_says_on_which_side_it_stays(seconds: tuple[float, float], said: str) -> None:
    words, found = crossing([(0.1, seconds[0]), (0.5, seconds[1])], 3.0)
    assert words.startswith(said)
    assert found is None


def test_colours_of_a_speed_up_mirror_those_of_a_slow_down() -> None:
    for place, start in enumerate(STEPS, start=1):
        assert step(start * 1.001) == f"f{place}"
        assert step(1 / (start * 1.001)) == f"s{place}"
    assert step(1.0) == step(1.005) == SAME
    assert step(None) == step(0.0) == ""


def test_a_cell_that_is_slower_says_so() -> None:
    assert [factor_words(one) for one in (2.0, 1.0, 0.625, None)] == ["2.00×", "as dense", "1.60× slower", ""]


def test_a_page_begins_with_the_middle_limit() -> None:
    assert [preset([0.1 * one for one in range(many)]) for many in (0, 1, 2, 3, 4, 5)] == [0, 0, 0, 1, 1, 2]


def test_a_speed_up_that_is_not_one_never_reads_as_one() -> None:
    assert (times(1.0), times(1.004), times(0.9996), times(2.5), times(None)) == (
        "1.00×", "1.004×", "0.9996×", "2.50×", "-",
    )  # fmt: skip


def test_a_change_has_its_sign_and_what_is_equal_says_so() -> None:
    assert change(100.0, 150.0) == "+50% against dense"
    assert change(100.0, 50.0) == "-50% against dense"
    assert change(100.0, 100.0) == "as dense"
    assert change(100.0, 100.4) == "+0.4% against dense"
    assert change(None, 1.0) == change(0.0, 1.0) == ""


def test_parts_of_memory_add_up_to_the_peak() -> None:
    row = {"weight_bytes": 7, "index_bytes": 5, "activation_peak_bytes": 3, "peak_memory_bytes": 20}
    found = parts(row)
    assert found == (7, 5, 3, 20 - 7 - 5 - 3)
    assert parts({**row, "activation_peak_bytes": None}) is None


def test_a_bitmap_holds_each_cell_as_opacity() -> None:
    values = np.array([[0.0, 1.0, 0.5], [0.001, 0.0, 1.0]])
    png = base64.b64decode(data_uri(values).partition(",")[2])
    width, height, depth = struct.unpack(">IIB", png[16:25])
    assert (width, height, depth) == (3, 2, 4)
    start = png.index(b"IDAT")
    lines = zlib.decompress(png[start + 4 : start + 4 + struct.unpack(">I", png[start - 4 : start])[0]])
    full = LEVELS - 1
    half = -(-full // 2)  # up: what keeps anything is never shown as empty
    assert list(lines) == [0, 0 << 4 | full, half << 4, 0, 1 << 4 | 0, full << 4]
    with pytest.raises(ValueError, match="must be"):
        data_uri(np.zeros((0, 3)))


def test_bars_of_a_histogram_show_that_something_is_there() -> None:
    assert bars([0, 1, 800, 400]) == " ▁█▄"
    assert bars([]) == bars([0, 0]) == ""


def sample(*, window: bool = True) -> MaskSample:
    kept = np.eye(4, 8, dtype=np.bool_)
    return MaskSample(
        layer="<conv>", pattern="gs:16,1", sparsity=0.9, layer_pattern="gs:16,1", groups=1, m=4, k=8, kept=4, banks=16,
        row_load=load_summary(kept.sum(axis=1)), bank_load=load_summary(kept.sum(axis=0)),
        window=MaskWindow(kept=kept, density=np.full((2, 2), 0.25)) if window else None,
    )  # fmt: skip


def test_the_text_of_a_mask_says_what_its_picture_shows() -> None:
    (layer,) = masks_section([sample(), sample(window=False)])["layers"]  # type: ignore[misc]
    (picture,) = layer["pictures"]
    assert (layer["layer"], picture["variant"]) == ("<conv>", "gs:16,1, 90 % removed")
    assert picture["density"]["scale"].startswith("no colour where nothing is kept, full colour where 25 % is kept")
    assert picture["window"]["alt"] == ("The first 4 rows and 8 columns: 4 of 32 weights are kept, 1 to 1 in a row.")
    assert picture["facts"] == f"4 rows × 8 columns, density {4 / 32:.3g}"
    assert picture["row_chart"]["rows"] == [{"label": "1", "values": [4], "tip": "1 kept weights: 4 rows"}]


def test_the_command_has_what_is_not_the_default_and_quotes_what_a_shell_would_read() -> None:
    request = {"model": "a b; rm.onnx", "patterns": ["gs:16,1"], "sparsities": [0.5], "devices": ["a100"], "seed": 3}
    request |= {"prune_all": True, "dtype": "fp16", "batch": None, "strict": False}
    assert command({"request": request}) == (
        "simulate run 'a b; rm.onnx' --pattern gs:16,1 --sparsity 0.5 --device a100 --seed 3 --all --out DIR"
    )
    assert command({}) == command({"request": 3}) == command({"request": request, "plan": {"differs": []}}) == ""


def test_a_manifest_of_anything_is_told_line_by_line() -> None:
    found = manifest_section({"a": {"b": [1, None], "c": {}}, "d": True, "e": "x" * 10_000})
    assert found["lines"][:3] == [("a.b", "1, None"), ("a.c", "{}"), ("d", "yes")]  # type: ignore[index]
    assert len(found["lines"][3][1]) < 1_000  # type: ignore[index]


def layer_row(
    pattern: str, sparsity: float | None, latency_s: float, name: str = "conv", **values: object
) -> dict[str, object]:
    return {
        "device": "chip", "layer": name, "pattern": pattern, "sparsity_target": sparsity, "latency_s": latency_s,
        "density": 1.0 if sparsity is None else 1 - sparsity, "layer_pattern": pattern, **values,
    }  # fmt: skip


def test_sparsities_at_which_layers_take_the_same_time_are_one_line() -> None:
    rows = [layer_row("dense", None, 1.0), layer_row("dense", None, 2.0, "fc")]
    for sparsity in (0.5, 0.9):
        rows += [layer_row("gs:16,1", sparsity, 1.0, reason="no kernel"), layer_row("gs:16,1", sparsity, 1.0, "fc")]
    found = no_faster_section(by_device(rows, {}))
    (line,) = found["lines"]  # type: ignore[misc]
    assert (line["variant"], line["layers"], line["reason"], line["lost"][0]) == (
        "gs:16,1: 50 %, 90 % removed", "conv", "no kernel", "0",
    )  # fmt: skip
    assert (found["compared"], found["slow"]) == (4, 2)


def test_layers_that_were_kept_dense_are_not_said_to_be_no_faster() -> None:
    rows = [layer_row("dense", None, 1.0), layer_row("gs:16,1", 0.5, 1.0, layer_pattern="dense")]
    assert no_faster_section(by_device(rows, {}))["compared"] == 0


def test_causes_that_grew_are_told_from_the_largest() -> None:
    dense = layer_row("dense", None, 1.0, time_compute_s=1.0, time_conflict_s=0.0, time_weights_s=0.0)
    slow = layer_row("gs:16,1", 0.5, 1.2, time_compute_s=0.5, time_conflict_s=0.2, time_weights_s=0.5)
    (line,) = no_faster_section(by_device([dense, slow], {}))["lines"]  # type: ignore[misc]
    assert line["causes"] == "weights +500 ms, conflicts +200 ms"
