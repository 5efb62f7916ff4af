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
from costmodel.validation.measurement import ValidationError, number, whole
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
from traces.layer import (
    Layer,
    MatrixKind,
    MatrixLayer,
    ModelError,
    Network,
    ProductLayer,
    VectorKind,
    VectorLayer,
    Window,
)
from traces.workloads.catalog import built_in

MOST_WEIGHTS = 1 << 30  # of a layer: a mask of that many is drawn in 1 GiB
LONGEST_ROW = 4_000_000  # of a layer's weights: masks repeat after a little more (``drawn.py``)
MOST_MACS = 1 << 62  # of a layer, so that counts fit 64 bits
WIDEST, MOST_PIXELS = 8.0, 1 << 14  # of a net at a width and a size of its input

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


@lru_cache(maxsize=1024)
def layers_of(net: str, folder: Path, batch: int = 1) -> tuple[Layer, ...]:
    """Return the layers that ``net`` names, activations fused. Raises ValidationError for a text that names none."""
    if batch < 1:
        raise ValidationError(f"net {net!r}: batch is {batch}, and must be at least 1")
    try:
        layers = _named(net, folder, batch)
    except ModelError as error:
        raise ValidationError(f"net {net!r:.100} names no layers that can be: {error}") from None
    for layer in layers:
        if isinstance(layer, MatrixLayer):
            _check_size(net, layer)
    return layers


def _check_size(net: str, layer: MatrixLayer) -> None:
    for what, value, most in (
        ("weights", layer.groups * layer.m * layer.k, MOST_WEIGHTS),
        ("weights in a row", layer.k, LONGEST_ROW),
        ("multiply-adds", layer.macs, MOST_MACS),
    ):
        if not 0 < value <= most:
            raise ValidationError(
                f"net {net!r:.100}: layer {layer.name!r:.100} has {value} {what}, and must have 1 to {most}"
            )


def _named(net: str, folder: Path, batch: int) -> tuple[Layer, ...]:
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
            text, _, pixels = rest.partition("-")
            width = number(text, net)
            if not 0 < width <= WIDEST:
                raise ValidationError(f"net {net!r}: width is {text!r}, and must be above 0 and at most {WIDEST:g}")
            build = mobilenet_v1 if family == "mobilenet_v1" else mobilenet_v2
            return _layers(build(width, _pixels(net, pixels), batch))
        case "efficientnet_lite" if rest in EFFICIENTNET_LITE:
            return _layers(efficientnet_lite(rest, batch))
        case "vit" if rest.partition("-")[0] in TRANSFORMERS:
            name, _, pixels = rest.partition("-")
            return _layers(vit(name, _pixels(net, pixels), batch))
        case "zoo":
            return _layers(zoo(rest, batch))
        case _:
            raise ValidationError(f"net {net!r:.100} names no layers that are known")


def _pixels(net: str, text: str) -> int:
    return whole(text, f"net {net!r:.100}", "pixels", 1, MOST_PIXELS)


def _layers(network: Network) -> tuple[Layer, ...]:
    return fuse(network).layers


def _extents(net: str, text: str, names: str) -> list[int]:
    """Return the numbers of ``text``, one for each of ``names``; all but padding are at least 1."""
    fields, parts = names.split(), text.split("x")
    if len(parts) != len(fields):
        raise ValidationError(f"net {net!r:.100} has {len(parts)} extents, and must have {len(fields)}")
    where = f"net {net!r:.100}"
    return [
        whole(part, where, field, 0 if field in ("PW", "PH") else 1) for field, part in zip(fields, parts, strict=True)
    ]


def _gemm(net: str, text: str) -> MatrixLayer:
    m, n, k = _extents(net, text, "M N K")
    window = Window(in_hw=(1, n), out_hw=(1, n))
    return MatrixLayer(name=net, kind="linear", m=m, k=k, window=window)


def _conv(net: str, text: str) -> MatrixLayer:
    w, h, c, n, k, s, r, pad_w, pad_h, stride_w, stride_h = _extents(net, text, "W H C N K S R PW PH SW SH")
    if s > w + 2 * pad_w or r > h + 2 * pad_h:
        raise ValidationError(f"net {net!r}: S x R is {s} x {r}, and must fit into the padded input")
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
        work, read, written = (whole(row[name], where, name, 0) for name in columns[3:6])
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
    in_c, in_w, in_h, out_c, out_w, out_h, kw, kh, stride, groups = (whole(row[name], where, name, 0) for name in names)
    if row["type"] == "InnerProduct":
        return _matrix(where, name=row["layer"], kind="linear", groups=1, m=out_c, k=in_c, window=Window())
    if not (in_w and in_h and out_w and out_h):
        raise ValidationError(f"{where}: layer {row['layer']} has no feature map size, and needs one")
    if row["type"] not in ("Convolution", "ConvolutionDepthWise"):
        raise ValidationError(f"{where}: type {row['type']!r} is unknown")
    if not (kw and kh and stride and groups) or in_c % groups or out_c % groups:
        raise ValidationError(
            f"{where}: kw, kh, stride and groups are {kw}, {kh}, {stride} and {groups}, and must be at least 1, and "
            f"groups divide in_c and out_c"
        )
    kind: MatrixKind = "depthwise" if groups > 1 and in_c == groups else "conv2d"
    pad_h, pad_w = (max((out - 1) * stride + k - size, 0) for out, k, size in ((out_h, kh, in_h), (out_w, kw, in_w)))
    window = Window(
        kernel=(kh, kw),
        stride=(stride, stride),
        padding=(pad_h // 2, pad_w // 2, pad_h - pad_h // 2, pad_w - pad_w // 2),
        in_hw=(in_h, in_w),
        out_hw=(out_h, out_w),
    )
    k = kh * kw * in_c // groups
    return _matrix(where, name=row["layer"], kind=kind, groups=groups, m=out_c // groups, k=k, window=window)


def _matrix(where: str, *, name: str, kind: MatrixKind, groups: int, m: int, k: int, window: Window) -> MatrixLayer:
    try:
        return MatrixLayer(name=name, kind=kind, groups=groups, m=m, k=k, window=window)
    except ModelError as error:
        raise ValidationError(f"{where}: {error}") from None


def multiply_adds(layers: tuple[Layer, ...]) -> int:
    """Return the multiply-adds of ``layers`` with all weights."""
    return sum(layer.macs for layer in layers if isinstance(layer, MatrixLayer | ProductLayer))


def vector_layers(layers: tuple[Layer, ...]) -> int:
    """Return how many of ``layers`` have no product."""
    return sum(isinstance(layer, VectorLayer) for layer in layers)
