"""Tiny torch models that tests export, each with the MACs of its layers counted by hand.

torch is imported inside the functions, so that listing ``ALL_MODELS`` costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Count = tuple[str, int]  # (kind of the layer, its MACs), in the order in which the layers run


@dataclass(frozen=True, slots=True, kw_only=True)
class TinyModel:
    """A model, the shape of its one input, and the hand count of every layer that does MACs.

    ``kept``: fraction of weights that a mask kept (1.0: none); the weights' density must equal it exactly.
    """

    name: str
    build: Callable[[], Any]
    input_shape: tuple[int, ...]
    counts: tuple[Count, ...]
    kept: float = 1.0

    @property
    def macs(self) -> int:
        return sum(macs for _, macs in self.counts)


def residual_net() -> Any:
    """A stem, a depthwise-separable residual block with batch norms, a grouped convolution, a classifier."""
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
            self.bn = nn.BatchNorm2d(8)
            self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False)
            self.bn2 = nn.BatchNorm2d(8)
            self.pointwise = nn.Conv2d(8, 8, 1)
            self.grouped = nn.Conv2d(8, 12, 3, groups=2, dilation=2)
            self.fc = nn.Linear(12 * 2 * 2, 10)

        def forward(self, x: Any) -> Any:
            x = torch.relu(self.bn(self.stem(x)))
            x = x + self.pointwise(nn.functional.relu6(self.bn2(self.depthwise(x))))
            x = nn.functional.max_pool2d(torch.relu(self.grouped(x)), 2)
            return self.fc(torch.flatten(x, 1))

    torch.manual_seed(0)
    return Net().eval()


def speech_net() -> Any:
    """1-D convolutions over time: strided, then depthwise, then dilated."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv1d(4, 6, 5, stride=2, padding=2), nn.ReLU(),
        nn.Conv1d(6, 6, 3, padding=1, groups=6), nn.ReLU(),
        nn.Conv1d(6, 7, 3, dilation=2), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(7, 3),
    ).eval()  # fmt: skip


def lstm_net() -> Any:
    """Two bidirectional LSTM layers and a classifier of the last step."""
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(5, 6, num_layers=2, bidirectional=True, batch_first=True)
            self.fc = nn.Linear(12, 3)

        def forward(self, x: Any) -> Any:
            y, _ = self.lstm(x)
            return self.fc(y[:, -1])

    torch.manual_seed(0)
    return Net().eval()


def gru_net() -> Any:
    """One GRU layer, time first, and a projection of every step."""
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gru = nn.GRU(5, 6)
            self.fc = nn.Linear(6, 4)

        def forward(self, x: Any) -> Any:
            y, _ = self.gru(x)
            return self.fc(y)

    torch.manual_seed(0)
    return Net().eval()


def attention_net() -> Any:
    """A block of a vision transformer: patches, two heads of attention, an MLP, the mean of the tokens."""
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patch = nn.Conv2d(3, 8, 4, stride=4)
            self.norm1 = nn.LayerNorm(8)
            self.qkv = nn.Linear(8, 24)
            self.proj = nn.Linear(8, 8)
            self.norm2 = nn.LayerNorm(8)
            self.up = nn.Linear(8, 16)
            self.down = nn.Linear(16, 8)
            self.head = nn.Linear(8, 5)

        def forward(self, x: Any) -> Any:
            x = self.patch(x).flatten(2).transpose(1, 2)
            n, tokens, width = x.shape
            qkv = self.qkv(self.norm1(x)).reshape(n, tokens, 3, 2, width // 2).permute(2, 0, 3, 1, 4)
            y = nn.functional.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2])
            x = x + self.proj(y.transpose(1, 2).reshape(n, tokens, width))
            x = x + self.down(nn.functional.gelu(self.up(self.norm2(x))))
            return self.head(x.mean(1))

    torch.manual_seed(0)
    return Net().eval()


def masked_mlp() -> Any:
    """Two linear layers that torch.nn.utils.prune has masked, masks not removed: 12 of 16 weights are zero."""
    import torch
    from torch import nn
    from torch.nn.utils import prune

    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 4))
    for layer in (net[0], net[2]):
        prune.l1_unstructured(layer, "weight", amount=0.75)
    return net.eval()


_PIXELS = 8 * 8  # of the stem's output
_STEPS = 7
_TOKENS = 2 * 2
_BATCH = 2

ALL_MODELS: tuple[TinyModel, ...] = (
    TinyModel(
        name="residual_net",
        build=residual_net,
        input_shape=(1, 3, 16, 16),
        counts=(
            ("conv2d", 8 * (3 * 3 * 3) * _PIXELS),
            ("depthwise", 8 * (3 * 3) * _PIXELS),
            ("conv2d", 8 * 8 * _PIXELS),
            ("conv2d", 12 * (3 * 3 * 4) * (4 * 4)),  # 8 - 2 * (3 - 1) = 4 pixels a side
            ("linear", 10 * (12 * 2 * 2)),
        ),
    ),
    TinyModel(
        name="speech_net",
        build=speech_net,
        input_shape=(_BATCH, 4, 20),
        counts=(
            ("conv1d", _BATCH * 6 * (5 * 4) * 10),
            ("depthwise", _BATCH * 6 * 3 * 10),
            ("conv1d", _BATCH * 7 * (3 * 6) * (10 - 2 * 2)),
            ("linear", _BATCH * 3 * 7),
        ),
    ),
    TinyModel(
        name="lstm_net",
        build=lstm_net,
        input_shape=(_BATCH, _STEPS, 5),
        counts=(
            ("lstm_input", _BATCH * _STEPS * (4 * 6) * 5),
            ("lstm_hidden", _BATCH * _STEPS * (4 * 6) * 6),
            ("lstm_input", _BATCH * _STEPS * (4 * 6) * 5),
            ("lstm_hidden", _BATCH * _STEPS * (4 * 6) * 6),
            ("lstm_input", _BATCH * _STEPS * (4 * 6) * 12),
            ("lstm_hidden", _BATCH * _STEPS * (4 * 6) * 6),
            ("lstm_input", _BATCH * _STEPS * (4 * 6) * 12),
            ("lstm_hidden", _BATCH * _STEPS * (4 * 6) * 6),
            ("linear", _BATCH * 3 * 12),
        ),
    ),
    TinyModel(
        name="gru_net",
        build=gru_net,
        input_shape=(_STEPS, _BATCH, 5),
        counts=(
            ("gru_input", _BATCH * _STEPS * (3 * 6) * 5),
            ("gru_hidden", _BATCH * _STEPS * (3 * 6) * 6),
            ("linear", _BATCH * _STEPS * 4 * 6),
        ),
    ),
    TinyModel(
        name="attention_net",
        build=attention_net,
        input_shape=(1, 3, 8, 8),
        counts=(
            ("conv2d", 8 * (4 * 4 * 3) * _TOKENS),
            ("linear", 24 * 8 * _TOKENS),
            ("product", 2 * _TOKENS * 4 * _TOKENS),  # scores: heads x tokens x head width x tokens
            ("product", 2 * _TOKENS * _TOKENS * 4),  # values
            ("linear", 8 * 8 * _TOKENS),
            ("linear", 16 * 8 * _TOKENS),
            ("linear", 8 * 16 * _TOKENS),
            ("linear", 5 * 8),
        ),
    ),
    TinyModel(
        name="masked_mlp",
        build=masked_mlp,
        input_shape=(3, 16),
        counts=(("linear", 3 * 8 * 16), ("linear", 3 * 4 * 8)),
        kept=0.25,
    ),
)
