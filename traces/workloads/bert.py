"""BERT encoders, sized by the names and shapes of their weights: those of a file, or BERT-base for questions.

A head of the attention is taken to be 64 wide (assumed of a file; it moves only the softmax). Left out: dropout, and
padding of sentences. Weight names as in the transformers library.
Reference: Devlin et al. 2018, arXiv 1810.04805, section 3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from traces.builder import NetworkBuilder
from traces.layer import ModelError, Network
from traces.workloads.blocks import activated, added, attended, embedded, normed, projected
from traces.workloads.workload import WeightSource, Workload, resolve_shape

Shape = tuple[int, ...]

TOKENS = 128  # assumed, where no input shape is given
HEAD_WIDTH = 64  # assumed: BERT-base and BERT-large, Devlin et al. 2018, arXiv 1810.04805, section 3
LAYER = re.compile(r"encoder\.layer\.(\d+)\.attention\.self\.query\.weight$")
BASE_LAYERS, BASE_WIDTH, BASE_INNER, BASE_VOCABULARY, BASE_POSITIONS = 12, 768, 3072, 30_522, 512
QUESTION_SHAPE = (1, 384)  # samples, tokens of question and passage: SQuAD as the paper's authors ran it


def bert(
    name: str, where: str, shapes: Mapping[str, Shape], weights: WeightSource, batch: int, input_shape: Shape | None
) -> Network:
    """A BERT encoder by the names of the transformers library, with its pooler and classifier where there are any."""
    root = "bert." if any(tensor.startswith("bert.") for tensor in shapes) else ""
    layers = 1 + max((int(m.group(1)) for tensor in shapes if (m := LAYER.search(tensor))), default=-1)
    table = f"{root}embeddings.word_embeddings.weight"
    if not layers or len(shapes.get(table, ())) != 2:
        raise ModelError(
            f"{where}: --arch bert needs {table} and {root}encoder.layer.0.attention.self.query.weight, and the file "
            f"has {', '.join(list(shapes)[:3])} ..."
        )
    vocabulary, width = shapes[table]
    if width % HEAD_WIDTH:
        raise ModelError(f"{where}: tensor {table} has width {width}, and must be a multiple of a head's {HEAD_WIDTH}")
    net = NetworkBuilder(name, where)
    net.notes.append(f"heads of the attention are {HEAD_WIDTH} wide (assumed)")
    samples, tokens = resolve_shape(where, (1, TOKENS), batch, input_shape)
    x = _embeddings(net, root, shapes, (samples, tokens), vocabulary, width)
    for layer in range(layers):
        x = _encoder_layer(net, f"{root}encoder.layer.{layer}", shapes, weights, x, width)
    if f"{root}pooler.dense.weight" in shapes:
        x = net.vector("first_token", "move", "select", [x], "first_token", (samples, width))
        x = activated(net, projected(net, weights, f"{root}pooler.dense", x, width), "tanh")
    for head in ("classifier", "qa_outputs"):
        if f"{head}.weight" in shapes:
            x = projected(net, weights, head, x, shapes[f"{head}.weight"][0])
    return net.build([x])


def embedding_tables(shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    """Return the tables among the tensors of a BERT, each with the shape it must have: rows by the words' width."""
    tables = [name for name in shapes if re.search(r"embeddings\.(word|position|token_type)_embeddings\.weight$", name)]
    width = next((shapes[name][-1] for name in tables if "word" in name and shapes[name]), 0)
    return {name: (shapes[name][0] if shapes[name] else 0, width) for name in tables}


def _embeddings(
    net: NetworkBuilder,
    root: str,
    shapes: Mapping[str, Shape],
    ids: Shape,
    vocabulary: int,
    width: int,
) -> str:
    """Words, positions and segments, added and normalised; the tables are among the weights of the file."""
    source = net.input("input_ids", ids)
    base = f"{root}embeddings"
    x = embedded(net, f"{base}.word_embeddings", source, width, (ids[0], ids[1]), vocabulary * width)
    for part in ("position_embeddings", "token_type_embeddings"):
        rows = shapes.get(f"{base}.{part}.weight", (0, 0))[0]
        if rows:
            looked_up = ids[1] if part == "position_embeddings" else 1
            if rows < looked_up:
                raise ModelError(f"{net.where}: {looked_up} tokens, and {base}.{part}.weight has {rows} positions")
            out = f"{base}.{part}"
            x = net.vector(
                out, "add", "add", [x], out, (*ids, width),
                weight_elements=looked_up * width, stored_weight_elements=rows * width,
            )  # fmt: skip
    return normed(net, f"{base}.LayerNorm", x)


def _encoder_layer(
    net: NetworkBuilder, name: str, shapes: Mapping[str, Shape], weights: WeightSource, x: str, width: int
) -> str:
    parts = [projected(net, weights, f"{name}.attention.self.{part}", x, width) for part in ("query", "key", "value")]
    y = attended(net, f"{name}.attention.self", *parts, heads=width // HEAD_WIDTH, width=width)
    y = projected(net, weights, f"{name}.attention.output.dense", y, width)
    x = normed(net, f"{name}.attention.output.LayerNorm", added(net, f"{name}.attention.output.add", y, x))
    inner = shapes.get(f"{name}.intermediate.dense.weight", (0,))[0]
    if not inner:
        raise ModelError(f"{net.where}: tensor {name}.intermediate.dense.weight is needed and missing")
    y = activated(net, projected(net, weights, f"{name}.intermediate.dense", x, inner), "gelu")
    y = projected(net, weights, f"{name}.output.dense", y, width)
    return normed(net, f"{name}.output.LayerNorm", added(net, f"{name}.output.add", y, x))


def bert_base(weights: WeightSource, batch: int = 1, input_shape: Shape | None = None) -> Network:
    """Build BERT-base with the head that marks an answer in a passage."""
    name = "bert_base"
    shape = resolve_shape(name, QUESTION_SHAPE, batch, input_shape)
    return bert(name, name, _base_shapes(), weights, shape[0], shape)


def _base_shapes() -> dict[str, Shape]:
    embeddings, width = "bert.embeddings", BASE_WIDTH
    shapes: dict[str, Shape] = {
        f"{embeddings}.word_embeddings.weight": (BASE_VOCABULARY, width),
        f"{embeddings}.position_embeddings.weight": (BASE_POSITIONS, width),
        f"{embeddings}.token_type_embeddings.weight": (2, width),
    }
    for layer in range(BASE_LAYERS):
        name = f"bert.encoder.layer.{layer}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            shapes[f"{name}.attention.{part}.weight"] = (width, width)
        shapes[f"{name}.intermediate.dense.weight"] = (BASE_INNER, width)
        shapes[f"{name}.output.dense.weight"] = (width, BASE_INNER)
    return shapes | {"qa_outputs.weight": (2, width)}


BERT_BASE = Workload(
    name="bert_base",
    summary="reading comprehension (SQuAD), BERT-base, 12 layers of width 768, 384 tokens",
    source="Devlin et al. 2018, arXiv 1810.04805; 32.6155 G multiply-adds with weights in SparseZoo's",
    macs=None,
    input_shape=QUESTION_SHAPE,
    build=bert_base,
)
