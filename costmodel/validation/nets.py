"""The layers that a measurement is of, from the short text that names them.

    ncnn/NAME                  layers of ncnn's benchmark nets, from the folder's ``ncnn_model_layers.csv``
    built_in/NAME              a built-in network
    mobilenet_v1/WIDTH-PIXELS, mobilenet_v2/WIDTH-PIXELS, efficientnet_lite/N, vit/NAME-PIXELS
    zoo/NAME                   another network of ``model_zoo``
    gemm/MxNxK                 W[M, K] times X[K, N]
    conv/WxHxCxNxKxSxRxPWxPHxSWxSH   DeepBench's order: K filters of S x R over N images of W x H x C, padding, stride

Weights are never drawn: a mask is all that a cost model reads. Between ncnn's layers stand the operators of
``ncnn_operators.csv`` (pooling, concatenation, additions, activations that are not fused, shuffles, detection heads).
Left out: splits, which copy nothing, and the quantisation of an int8 net's inputs.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from costmodel.validation.folder import Row, rows_of
from costmodel.validation.measurement import ValidationError, number
from costmodel.validation.model_zoo import (
    EFFICIENTNET_LITE,
    TRANSFORMERS,
    efficientnet_lite,
    mobilenet_v1,
    mobilenet_v2,
    vit,
    zoo,
)
from traces.fusion import fuse
from traces.layer import Layer, MatrixKind, MatrixLayer, Network, ProductLayer, VectorKind, VectorLayer, Window
from traces.workloads.catalog import built_in

NCNN_LAYERS = "ncnn_model_layers.csv"
NCNN_OPERATORS = "ncnn_operators.csv"
KINDS: dict[str, VectorKind] = {  # of ncnn's operators without a matrix product
    "Pooling": "pool",
    "Reduction": "reduce",
    "Concat": "concat",
    "Eltwise": "add",
    "BinaryOp": "mul",
    "ReLU": "activation",
    "Swish": "activation",
    "HardSwish": "activation",
    "HardSigmoid": "activation",
    "Sigmoid": "activation",
    "Softmax": "softmax",
    "LRN": "norm",
    "BatchNorm": "mul",
    "Scale": "mul",
    "DeconvolutionDepthWise": "mul",
    "ShuffleChannel": "move",
    "Slice": "move",
    "Crop": "move",
    "Permute": "move",
    "Flatten": "move",
    "Reshape": "move",
    "Interp": "move",
    "PriorBox": "move",
    "DetectionOutput": "move",
    "YoloDetectionOutput": "move",
    "Yolov3DetectionOutput": "move",
}


@lru_cache(maxsize=256)
def layers_of(net: str, folder: Path, batch: int = 1) -> tuple[Layer, ...]:
    """Return the layers that ``net`` names, activations fused. Raises ValidationError for a text that names none."""
    family, _, rest = net.partition("/")
    match family:
        case "ncnn":
            return _ncnn(rest, folder)
        case "built_in":
            return fuse(built_in(rest, batch=batch)).layers
        case "gemm":
            return (_gemm(net, rest),)
        case "conv":
            return (_conv(net, rest),)
        case "mobilenet_v1" | "mobilenet_v2":
            width, _, pixels = rest.partition("-")
            build = mobilenet_v1 if family == "mobilenet_v1" else mobilenet_v2
            return _layers(build(number(width, net), int(number(pixels, net)), batch))
        case "efficientnet_lite" if rest in EFFICIENTNET_LITE:
            return _layers(efficientnet_lite(rest, batch))
        case "vit" if rest.partition("-")[0] in TRANSFORMERS:
            name, _, pixels = rest.partition("-")
            return _layers(vit(name, int(number(pixels, net)), batch))
        case "zoo":
            return _layers(zoo(rest, batch))
        case _:
            raise ValidationError(f"net {net!r} names no layers that are known")


def _layers(network: Network) -> tuple[Layer, ...]:
    return fuse(network).layers


def _numbers(net: str, text: str, count: int) -> list[int]:
    found = [int(number(part, f"net {net}")) for part in text.split("x")]
    if len(found) != count:
        raise ValidationError(f"net {net!r} has {len(found)} extents, and must have {count}")
    return found


def _gemm(net: str, text: str) -> MatrixLayer:
    m, n, k = _numbers(net, text, 3)
    window = Window(in_hw=(1, n), out_hw=(1, n))
    return MatrixLayer(name=net, kind="linear", m=m, k=k, window=window)


def _conv(net: str, text: str) -> MatrixLayer:
    w, h, c, n, k, s, r, pad_w, pad_h, stride_w, stride_h = _numbers(net, text, 11)
    # filters are S wide (along W) and R high
    window = Window(
        kernel=(r, s),
        stride=(stride_h, stride_w),
        padding=(pad_h, pad_w, pad_h, pad_w),
        in_hw=(h, w),
        out_hw=((h + 2 * pad_h - r) // stride_h + 1, (w + 2 * pad_w - s) // stride_w + 1),
    )
    return MatrixLayer(name=net, kind="conv2d", m=k, k=r * s * c, batch=n, window=window)


@lru_cache(maxsize=4)
def _ncnn_table(folder: Path) -> dict[str, list[tuple[int, Row]]]:
    columns = (
        "model",
        "layer",
        "type",
        "in_c",
        "in_w",
        "in_h",
        "out_c",
        "out_w",
        "out_h",
        "kw",
        "kh",
        "stride",
        "groups",
    )
    found: dict[str, list[tuple[int, Row]]] = {}
    for line, row in rows_of(folder / NCNN_LAYERS, columns):
        found.setdefault(row["model"], []).append((line, row))
    return found


def _ncnn(name: str, folder: Path) -> tuple[Layer, ...]:
    table = _ncnn_table(folder)
    if name not in table:
        raise ValidationError(f"{NCNN_LAYERS}: net {name!r} is not there")
    after = _ncnn_operators(folder).get(name.removesuffix("_int8"), {})
    layers: list[Layer] = []
    for line, row in table[name]:
        layers.append(_ncnn_layer(line, row))
        layers.extend(after.get(row["layer"], ()))
    return tuple(layers)


@lru_cache(maxsize=4)
def _ncnn_operators(folder: Path) -> dict[str, dict[str, list[VectorLayer]]]:
    """Return the operators without a product, by net and by the layer that they follow."""
    columns = ("model", "after", "operator", "operations", "in_elements", "out_elements", "basis")
    layers = {name: {row["layer"] for _, row in rows} for name, rows in _ncnn_table(folder).items()}
    found: dict[str, dict[str, list[VectorLayer]]] = {}
    for line, row in rows_of(folder / NCNN_OPERATORS, columns):
        where = f"{NCNN_OPERATORS} line {line}"
        if row["after"] not in layers.get(row["model"], ()):
            raise ValidationError(f"{where}: after is {row['after']!r}, and must be a layer of {row['model']}")
        if row["operator"] not in KINDS:
            raise ValidationError(f"{where}: operator {row['operator']!r} is unknown")
        follow = found.setdefault(row["model"], {}).setdefault(row["after"], [])
        work, read, written = (int(number(row[name], where)) for name in columns[3:6])
        follow.append(
            VectorLayer(
                name=f"{row['after']}+{len(follow)}",
                kind=KINDS[row["operator"]],
                op=row["operator"],
                elements=work,
                input_elements=read,
                output_elements=written,
            )
        )
    return found


def _ncnn_layer(line: int, row: Row) -> MatrixLayer:
    """Return one line as a layer; padding is what the sizes of the feature maps imply."""
    where = f"{NCNN_LAYERS} line {line}"
    names = ("in_c", "in_w", "in_h", "out_c", "out_w", "out_h", "kw", "kh", "stride", "groups")
    in_c, in_w, in_h, out_c, out_w, out_h, kw, kh, stride, groups = (int(number(row[name], where)) for name in names)
    if row["type"] == "InnerProduct":
        return MatrixLayer(name=row["layer"], kind="linear", m=out_c, k=in_c, window=Window())
    if not (in_w and in_h and out_w and out_h):
        raise ValidationError(f"{where}: layer {row['layer']} has no feature map size, and needs one")
    if row["type"] not in ("Convolution", "ConvolutionDepthWise"):
        raise ValidationError(f"{where}: type {row['type']!r} is unknown")
    kind: MatrixKind = "depthwise" if groups > 1 and in_c == groups else "conv2d"
    pad_h, pad_w = (max((out - 1) * stride + k - size, 0) for out, k, size in ((out_h, kh, in_h), (out_w, kw, in_w)))
    window = Window(
        kernel=(kh, kw),
        stride=(stride, stride),
        padding=(pad_h // 2, pad_w // 2, pad_h - pad_h // 2, pad_w - pad_w // 2),
        in_hw=(in_h, in_w),
        out_hw=(out_h, out_w),
    )
    return MatrixLayer(
        name=row["layer"], kind=kind, groups=groups, m=out_c // groups, k=kh * kw * in_c // groups, window=window
    )


def multiply_adds(layers: tuple[Layer, ...]) -> int:
    """Return the multiply-adds of ``layers`` with all weights."""
    return sum(layer.macs for layer in layers if isinstance(layer, MatrixLayer | ProductLayer))


def vector_layers(layers: tuple[Layer, ...]) -> int:
    """Return how many of ``layers`` have no product."""
    return sum(isinstance(layer, VectorLayer) for layer in layers)
