"""Tiny torch models whose channels meet in every way that channel pruning follows.

torch is imported inside the functions, so that listing ``ALL_PRUNED`` costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def _conv(*args: int, **options: int) -> Any:
    """A convolution and a batch norm whose statistics are not the identity."""
    import torch
    from torch import nn

    class ConvNorm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(*args, bias=False, **options)
            self.norm = nn.BatchNorm2d(args[1])
            with torch.no_grad():
                self.norm.running_mean.normal_()
                self.norm.running_var.uniform_(0.5, 2.0)
                self.norm.weight.normal_(1.0, 0.3)
                self.norm.bias.normal_()

        def forward(self, x: Any) -> Any:
            return self.norm(self.conv(x))

    return ConvNorm()


def resnet() -> Any:
    """A basic block and a bottleneck with a downsample, as in ResNet; the classifier after a global pool."""
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = _conv(3, 8, 3, padding=1)
            self.a1, self.a2 = _conv(8, 8, 3, padding=1), _conv(8, 8, 3, padding=1)
            self.b1, self.b2, self.b3 = _conv(8, 4, 1), _conv(4, 4, 3, stride=2, padding=1), _conv(4, 12, 1)
            self.down = _conv(8, 12, 1, stride=2)
            self.fc = nn.Linear(12, 5)

        def forward(self, x: Any) -> Any:
            x = torch.max_pool2d(torch.relu(self.stem(x)), 2)
            x = torch.relu(x + self.a2(torch.relu(self.a1(x))))
            y = self.b3(torch.relu(self.b2(torch.relu(self.b1(x)))))
            x = torch.relu(y + self.down(x))
            return self.fc(nn.functional.adaptive_avg_pool2d(x, 1).flatten(1))

    return Net()


def inception() -> Any:
    """Three branches joined by a concat, a dense layer on top of it, and a gate of squeeze and excitation."""
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Conv2d(3, 6, 1), nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 8, 5, padding=2)
            self.dense = nn.Conv2d(18, 6, 3, padding=1)
            self.squeeze, self.excite = nn.Linear(24, 6), nn.Linear(6, 24)
            self.slope = nn.PReLU(24)
            self.out = nn.Conv2d(24, 7, 1)

        def forward(self, x: Any) -> Any:
            x = torch.relu(torch.cat([self.a(x), self.b(x), self.c(x)], 1))
            x = torch.cat([x, self.dense(x)], 1)
            gate = torch.sigmoid(self.excite(torch.relu(self.squeeze(x.mean((2, 3))))))
            return self.out(self.slope(x * gate[:, :, None, None]))

    return Net()


def mobilenet() -> Any:
    """An inverted residual with a depthwise layer, then a map flattened into two linear layers."""
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = _conv(3, 6, 3, stride=2, padding=1)
            self.expand, self.depthwise = _conv(6, 12, 1), _conv(12, 12, 3, padding=1, groups=12)
            self.project = _conv(12, 6, 1)
            self.fc1, self.fc2 = nn.Linear(6 * 4 * 4, 10), nn.Linear(10, 5)

        def forward(self, x: Any) -> Any:
            x = nn.functional.hardswish(self.stem(x))
            y = nn.functional.relu6(self.depthwise(nn.functional.relu6(self.expand(x))))
            x = x + self.project(y)
            return self.fc2(torch.relu(self.fc1(x.flatten(1))))

    return Net()


def resnext() -> Any:
    """A bottleneck whose middle is a grouped convolution, and a depthwise layer with two outputs a channel."""
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 8, 3, padding=1)
            self.a, self.grouped, self.b = (
                nn.Conv2d(8, 12, 1),
                _conv(12, 24, 3, padding=1, groups=3),
                nn.Conv2d(24, 8, 1),
            )
            self.pair = nn.Conv2d(8, 16, 3, groups=8)
            self.out = nn.Conv2d(16, 5, 1)

        def forward(self, x: Any) -> Any:
            x = self.stem(x)
            x = x + self.b(torch.relu(self.grouped(torch.relu(self.a(x)))))
            return self.out(torch.relu(self.pair(x)))

    return Net()


def shufflenet() -> Any:
    """Grouped convolutions with a channel shuffle between them, then a map split in two halves and joined again."""
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 8, 1)
            self.g1, self.g2 = nn.Conv2d(8, 16, 1, groups=2), nn.Conv2d(16, 16, 1, groups=2)
            self.right = nn.Conv2d(8, 6, 3, padding=1)
            self.out = nn.Conv2d(14, 5, 1)

        def forward(self, x: Any) -> Any:
            x = torch.relu(self.g1(torch.relu(self.stem(x))))
            n, c, h, w = x.shape
            x = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
            left, right = torch.relu(self.g2(x)).chunk(2, 1)
            return self.out(torch.cat([left, torch.relu(self.right(right))], 1))

    return Net()


def vit() -> Any:
    """Tokens, a norm over features, an MLP and a residual: the hidden features of the MLP go, the trunk stays."""
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patch = nn.Conv2d(3, 8, 4, stride=4)
            self.norm, self.qkv, self.proj = nn.LayerNorm(8), nn.Linear(8, 24), nn.Linear(8, 8)
            self.up, self.gate, self.down = nn.Linear(8, 16), nn.Linear(8, 16), nn.Linear(16, 8)
            self.head = nn.Linear(8, 5)

        def forward(self, x: Any) -> Any:
            x = self.patch(x).flatten(2).transpose(1, 2)
            q, k, v = self.qkv(self.norm(x)).chunk(3, -1)
            x = x + self.proj(torch.softmax(q @ k.transpose(1, 2), -1) @ v)
            y = self.norm(x)
            x = x + self.down(nn.functional.gelu(self.up(y)) * self.gate(y))
            return self.head(x.mean(1))

    return Net()


# name, how to build it, the shape of its input
ALL_PRUNED: tuple[tuple[str, Callable[[], Any], tuple[int, ...]], ...] = (
    ("resnet", resnet, (2, 3, 8, 8)),
    ("inception", inception, (1, 3, 6, 6)),
    ("mobilenet", mobilenet, (2, 3, 8, 8)),
    ("resnext", resnext, (1, 3, 6, 6)),
    ("shufflenet", shufflenet, (1, 3, 5, 5)),
    ("vit", vit, (1, 3, 8, 8)),
)
