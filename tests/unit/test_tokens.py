"""Token pruning: fewer positions after each stage, smaller attention, a predictor that costs, the published count."""

from __future__ import annotations

import pytest

from costmodel.devices.zcu102 import ZCU102
from costmodel.spec import RooflineDevice
from gatherline.fpga_engine import built_for
from gatherline.request import RunRequest
from patterns.dense import Dense
from traces.layer import MatrixLayer, ProductLayer, VectorLayer
from traces.masks import Level
from traces.tokens import TOKEN_SELECT
from traces.workloads.catalog import built_in

KEPT = [196, int(196 * 0.7), int(196 * 0.7**2), int(196 * 0.7**3)]  # after none, one, two and three stages


@pytest.mark.parametrize("name", ["deit_tiny", "deit_small"])
def test_tokens_shrink_before_blocks_3_6_and_9(name: str) -> None:
    network = built_in(f"{name}-tokens-0.7")
    for layer in network.layers:
        block = int(layer.name.split(".")[1]) if layer.name.startswith("blocks.") else None
        if block is None:
            continue
        tokens = 1 + KEPT[block // 3]
        if isinstance(layer, MatrixLayer):
            assert layer.p == tokens
        elif isinstance(layer, ProductLayer):
            assert (layer.m, layer.k, layer.p) in ((tokens, 64, tokens), (tokens, tokens, 64))


def test_a_selection_reads_scores_and_moves_the_tokens_that_stay() -> None:
    network = built_in("deit_tiny-tokens-0.7")
    selections = [one for one in network.layers if isinstance(one, VectorLayer) and one.op == TOKEN_SELECT]
    assert len(selections) == 3
    for before, after, layer in zip(KEPT, KEPT[1:], selections, strict=False):
        assert layer.output_elements == (1 + after) * 192
        assert layer.elements == (1 + before) + (1 + after) * 192


def test_without_its_predictors_deit_small_has_the_published_multiply_adds() -> None:
    network = built_in("deit_small-tokens-0.7")
    predictors = sum(
        layer.macs
        for layer in network.layers
        if isinstance(layer, MatrixLayer) and layer.name.startswith("score_predictor")
    )
    width = 384
    per_token = width * width + width * (width // 2) + (width // 2) * (width // 4) + (width // 4) * 2
    assert predictors == sum(1 + kept for kept in KEPT[:3]) * per_token
    assert round((network.macs - predictors) / 1e9, 1) == 2.9  # raoyongming/DynamicViT README.md: DeiT-S/0.7
    assert network.macs < built_in("deit_small").macs * 0.66


def test_an_fpga_gets_a_token_unit_for_the_longest_list_and_none_without_one() -> None:
    request = RunRequest(dtype="int8")
    level = Level(pattern=Dense(), sparsity=None)
    for name, tokens in (("deit_tiny", 0), ("deit_tiny-tokens-0.7", 197)):
        device = built_for(ZCU102, built_in(name), level, request)
        assert isinstance(device, RooflineDevice)
        assert device.fabric is not None
        assert device.fabric.engine is not None
        assert device.fabric.engine.tokens == tokens
