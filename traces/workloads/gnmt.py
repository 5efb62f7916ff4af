"""GNMT v2 of MLPerf: 8 LSTM layers of 1024 (4 in the encoder, the first of them in both directions, 4 in the decoder).

Additive attention reads the first decoder layer; its context joins the input of every later one. Embedding (shared by
both sides) and classifier have 32,320 rows: 32,317 tokens, padded to a multiple of 8. That makes MLPerf's 160,671,297
parameters. The decoder is run as in scoring: the target tokens are known, so its input products take all steps at
once. Left out: beam search, and the token-by-token dependence of generation.
Reference: Wu et al. 2016, arXiv 1609.08144; NVIDIA DeepLearningExamples, PyTorch/Translation/GNMT, whose names it uses.
"""

from __future__ import annotations

from traces.builder import NetworkBuilder
from traces.layer import Network
from traces.workloads.blocks import added, embedded, projected
from traces.workloads.workload import WeightSource, Workload, resolve_shape

SHAPE = (1, 32)  # sentences, tokens of source and of target; 32 tokens are assumed
HIDDEN = 1024
VOCABULARY = 32_320
ENCODER_LAYERS = 4
DECODER_LAYERS = 4


def gnmt(weights: WeightSource, batch: int = 1, input_shape: tuple[int, ...] | None = None) -> Network:
    """Build GNMT v2."""
    net = NetworkBuilder("gnmt")
    batch, steps = resolve_shape("gnmt", SHAPE, batch, input_shape)
    memory = _encoder(net, weights, batch, steps)
    x = embedded(
        net, "decoder.embedder", net.input("target", (batch, steps)), HIDDEN, (steps, batch), 0
    )  # the encoder's table
    x = _lstm(net, weights, "decoder.att_rnn.rnn", x)
    context = _attention(net, weights, x, memory)
    for index in range(DECODER_LAYERS - 1):
        joined = _joined(net, f"decoder.rnn_layers.{index}.concat", x, context)
        y = _lstm(net, weights, f"decoder.rnn_layers.{index}", joined)
        x = y if index == 0 else added(net, f"decoder.rnn_layers.{index}.add", y, x)
    return net.build([projected(net, weights, "decoder.classifier.classifier", _batch_first(net, x), VOCABULARY)])


def _encoder(net: NetworkBuilder, weights: WeightSource, batch: int, steps: int) -> str:
    source = net.input("source", (batch, steps))
    x = embedded(net, "encoder.embedder", source, HIDDEN, (steps, batch), VOCABULARY * HIDDEN)
    forward = _lstm(net, weights, "encoder.rnn_layers.0", x)
    backward = _lstm(net, weights, "encoder.rnn_layers.0", x, "_reverse")
    x = _lstm(net, weights, "encoder.rnn_layers.1", _joined(net, "encoder.rnn_layers.0.concat", forward, backward))
    for index in range(2, ENCODER_LAYERS):
        x = added(net, f"encoder.rnn_layers.{index}.add", _lstm(net, weights, f"encoder.rnn_layers.{index}", x), x)
    return x


def _lstm(net: NetworkBuilder, weights: WeightSource, name: str, x: str, direction: str = "") -> str:
    steps, batch, features = net.shape(x)
    out = f"{name}{direction}"
    return net.recurrent(
        out,
        x,
        weights(f"{name}.weight_ih_l0{direction}", (4 * HIDDEN, features)),
        weights(f"{name}.weight_hh_l0{direction}", (4 * HIDDEN, HIDDEN)),
        out,
        cell="lstm",
        steps=steps,
        batch=batch,
        parameters=2 * 4 * HIDDEN,
    )


def _joined(net: NetworkBuilder, name: str, a: str, b: str) -> str:
    steps, batch, features = net.shape(a)
    return net.vector(name, "concat", "concat", [a, b], name, (steps, batch, features + net.shape(b)[-1]))


def _batch_first(net: NetworkBuilder, x: str) -> str:
    """Return a view whose first axis is the batch: which axis runs first is the layout's business, no bytes move."""
    steps, batch, features = net.shape(x)
    return net.view(f"{x}.batch_first", x, (batch, steps, features))


def _attention(net: NetworkBuilder, weights: WeightSource, query: str, memory: str) -> str:
    """Normalised additive attention: v . tanh(W_q q + W_k k + b) for every pair, softmax, weighted sum of memory."""
    name = "decoder.att_rnn.attn"
    steps, batch, _ = net.shape(query)
    q = projected(net, weights, f"{name}.linear_q", _batch_first(net, query), HIDDEN)
    k = projected(net, weights, f"{name}.linear_k", _batch_first(net, memory), HIDDEN)
    pairs = (batch, steps, net.shape(memory)[0])
    scores = net.vector(
        f"{name}.scores",
        "reduce",
        "additive_score",
        [q, k],
        f"{name}.scores",
        pairs,
        elements=3 * pairs[0] * pairs[1] * pairs[2] * HIDDEN,  # add, tanh, multiply-accumulate with v
        weight_elements=2 * HIDDEN + 1,  # v, b and the norm of v
    )
    softmax = net.vector(f"{name}.softmax", "softmax", "softmax", [scores], f"{name}.softmax", pairs)
    return net.product(
        f"{name}.context",
        softmax,
        memory,
        f"{name}.context",
        (steps, batch, HIDDEN),
        m=pairs[1],
        k=pairs[2],
        p=HIDDEN,
    )


GNMT = Workload(
    name="gnmt",
    summary="translation, 8 LSTM layers of 1024 (4 encoder, 4 decoder), additive attention, 32 tokens each side",
    source="Wu et al. 2016, arXiv 1609.08144; GNMT v2 of MLPerf and NVIDIA DeepLearningExamples",
    macs=None,
    input_shape=SHAPE,
    build=gnmt,
)
