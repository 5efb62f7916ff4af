"""Networks that are built from their papers do the multiply-adds, and have the weights, that are published."""

from __future__ import annotations

import pytest

from costmodel.validation.folder import FOLDER
from costmodel.validation.measurement import ValidationError
from costmodel.validation.nets import layers_of, multiply_adds
from traces.layer import MatrixLayer

PUBLISHED = {  # net: millions of multiply-adds, millions of weights, source
    "mobilenet_v3-large": (217, 5.4),  # tensorflow/models research/slim/nets/mobilenet/README.md
    "mobilenet_v3-large-minimal": (209, 3.9),  # the same
    "mobilenet_v3-small": (56, 2.5),  # arXiv 1905.02244v5, table 3
    "ghostnet": (141, 5.2),  # arXiv 1911.11907, table 7
    "efficientnet-b0": (390, 5.3),  # arXiv 1905.11946, table 2
    "efficientnet-b1": (700, 7.8),  # the same
    "squeezenet-1.0": (819, 1.25),  # torchvision's table of models: 0.82 G, 1.248 M
    "squeezenet-1.1": (349, 1.24),  # 0.35 G, 1.236 M
    "densenet121": (2834, 7.98),  # 2.83 G, 7.979 M with its norms
    "inception_v3": (5713, 23.8),  # 5.71 G; weights without the auxiliary classifier
    "picodet_m-320": (740, 2.15),  # PaddleDetection configs/picodet/README.md: 1.48 G operations, norms counted
    "inception_v4": (12_270, 42.7),  # timm's table: 12.3 G, 42.68 M
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_net_does_the_published_multiply_adds(name: str) -> None:
    macs, weights = PUBLISHED[name]
    layers = layers_of(f"zoo/{name}", FOLDER)
    assert multiply_adds(layers) / 1e6 == pytest.approx(macs, rel=0.035)
    stored = sum(layer.groups * layer.m * layer.k for layer in layers if isinstance(layer, MatrixLayer))
    assert stored / 1e6 == pytest.approx(weights, rel=0.025)  # biases and norms are not counted


def test_bert_base_has_the_layers_of_its_configuration() -> None:
    tokens, width, inner = 256, 768, 3072
    weighted = 12 * (4 * width * width + 2 * width * inner)
    scores = 12 * 2 * tokens * tokens * width  # scores and context of all heads
    head = 2 * width  # start and end of an answer
    assert multiply_adds(layers_of("zoo/bert_base-256", FOLDER)) == tokens * (weighted + head) + scores
    assert weighted == pytest.approx(110e6 - 24e6, rel=0.02)  # 110 M in the paper, 24 M of them embeddings


@pytest.mark.parametrize(
    "name", ["mobilenet_v3", "mobilenet_v3-huge", "bert_base", "bert_base-x", "squeezenet-1.2", ""]
)
def test_a_net_that_is_not_in_the_zoo_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="names no network that is known"):
        layers_of(f"zoo/{name}", FOLDER)
