"""``--encoding best``: the fewest bytes of what holds a mask and a device reads; streams of coo, ell, run_length."""

from __future__ import annotations

import numpy as np
import pytest

from costmodel.devices.zcu102 import ZCU102
from costmodel.estimate import estimate
from gatherline.best_encoding import chosen_encoding
from gatherline.pipeline import run
from gatherline.request import RequestError, RunRequest
from patterns.base import Mask
from patterns.catalog import parse_pattern
from patterns.encodings.base import ByteWidths, EncodingError
from patterns.encodings.catalog import encoding
from simulator.devices.gs_tcm import GS_TCM
from simulator.schedule.sources import STREAMED, plan_streams, smallest_encoding
from simulator.simulate import simulate
from traces.layer import MatrixLayer
from traces.trace import LayerTrace

LAYER = MatrixLayer(name="fc", kind="linear", m=48, k=64, batch=20)
WIDTHS = ByteWidths(
    value=GS_TCM.widths.value_bytes, index=GS_TCM.widths.index_bytes, pointer=GS_TCM.widths.pointer_bytes
)
LEVELS = [("unstructured", 0.3), ("unstructured", 0.99), ("block:4x1", 0.9), ("gs:16,1", 0.5), ("n_of_m:1,4", 0.75)]


def traced(spelling: str, sparsity: float) -> LayerTrace:
    scores = np.random.default_rng(0).random((1, LAYER.m, LAYER.k), dtype=np.float32)
    mask: Mask = parse_pattern(spelling).project(scores, sparsity)
    return LayerTrace(layer=LAYER, pattern=parse_pattern(spelling), mask=mask)


def bytes_in(trace: LayerTrace, name: str) -> int | None:
    try:
        plan = plan_streams(trace, GS_TCM, name, "packed")
    except EncodingError:
        return None
    return plan.weight_bytes + plan.index_bytes


@pytest.mark.parametrize(("spelling", "sparsity"), LEVELS)
def test_the_best_takes_the_fewest_bytes_of_all_streams_of_the_machine(spelling: str, sparsity: float) -> None:
    trace = traced(spelling, sparsity)
    found = {name: size for name in STREAMED if (size := bytes_in(trace, name)) is not None}
    best = smallest_encoding(trace, GS_TCM)
    assert found[best] == min(found.values())
    assert len(found) > len(STREAMED) // 2
    assert chosen_encoding("best", trace, GS_TCM, dtype="fp16", threads=1) == best
    assert chosen_encoding("csr", trace, GS_TCM, dtype="fp16", threads=1) == "csr"


def test_what_is_best_depends_on_the_mask() -> None:
    found = {spelling_at: smallest_encoding(traced(*spelling_at), GS_TCM) for spelling_at in LEVELS}
    assert found["unstructured", 0.3] == "bitmap"
    assert found["unstructured", 0.99] in ("coo", "run_length")
    assert found["block:4x1", 0.9] == "bsr"
    assert found["n_of_m:1,4", 0.75] == "n_of_m"


def test_on_other_devices_the_best_is_one_that_a_kernel_reads() -> None:
    trace = traced("unstructured", 0.9)
    best = chosen_encoding("best", trace, ZCU102, dtype="fp16", threads=1)
    sizes = {}
    for name in {kernel.encoding for kernel in ZCU102.kernels}:
        try:
            result = estimate(trace, ZCU102, encoding=name)
        except EncodingError:
            continue
        sizes[result.encoding] = result.counters.weight_bytes + result.counters.index_bytes
    assert best is not None
    assert sizes[best] == min(sizes.values()) < sizes["dense"]


def test_a_run_names_the_choice_of_each_layer_and_takes_no_more_bytes_than_any_one_encoding() -> None:
    def stored(name: str | None) -> tuple[int, str, str]:
        rows = run(RunRequest(model="digits", devices=("gs-tcm",), encoding=name)).rows
        total = next(row for row in rows if row["layer"] == "total")
        conv3 = next(row for row in rows if row["layer"] == "conv3")
        size = int(str(total["weight_bytes"])) + int(str(total["index_bytes"]))
        return size, str(total["encoding"]), str(conv3["reason"])

    best, names, reason = stored("best")
    assert names == "dense, bitmap"
    assert "best" not in reason
    for name in (None, "csr", "bitmap", "run_length", "dense"):
        assert best <= stored(name)[0]


def test_best_is_no_encoding_elsewhere_and_a_wrong_name_is_still_refused() -> None:
    with pytest.raises(EncodingError, match="'best' is not known"):
        encoding("best")
    with pytest.raises((RequestError, EncodingError), match="'bets' is not known"):
        RunRequest(model="digits", encoding="bets")


def test_a_vector_unit_has_no_encoding_to_choose_and_the_row_says_so() -> None:
    layer = MatrixLayer(name="dw", kind="depthwise", m=1, k=9, groups=4)
    trace = LayerTrace(layer=layer, pattern=parse_pattern("unstructured"), mask=np.ones((4, 1, 9), dtype=np.bool_))
    assert chosen_encoding("best", trace, GS_TCM, dtype="fp16", threads=1) is None


@pytest.mark.parametrize("name", ["coo", "ell", "run_length"])
@pytest.mark.parametrize("sparsity", [0.0, 0.4, 0.97])
def test_a_layer_loads_the_bytes_that_its_encoding_stores(name: str, sparsity: float) -> None:
    mask = np.random.default_rng(1).random((1, LAYER.m, LAYER.k)) >= sparsity
    mask[0, 0, 0] = False
    trace = LayerTrace(layer=LAYER, pattern=parse_pattern("unstructured"), mask=mask)
    size = encoding(name).size(mask[0], trace.pattern, WIDTHS)
    plan = plan_streams(trace, GS_TCM, name, "packed")
    assert (plan.weight_bytes, plan.index_bytes, plan.slots) == (size.weight_bytes, size.index_bytes, size.slots)
    assert plan.row_bytes.sum() == pytest.approx(size.total_bytes)
    result = simulate(trace, GS_TCM, encoding=name)
    assert result.encoding == name
    assert result.counters.dram_read_bytes == size.total_bytes + LAYER.input_elements * GS_TCM.widths.value_bytes
    assert result.counters.macs_effectual == int(mask.sum()) * LAYER.p


@pytest.mark.parametrize("name", ["csc", "nested"])
def test_an_encoding_that_makes_no_stream_is_refused_by_name(name: str) -> None:
    with pytest.raises(EncodingError, match=f"encoding {name} makes no stream of groups on gs-tcm, which runs dense"):
        plan_streams(traced("unstructured", 0.9), GS_TCM, name, "packed")
