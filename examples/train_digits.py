"""Train a small network on scikit-learn's digits, prune it to GS(16,1) at 90 %, fine-tune it, and export it.

This is the whole path of a user's own model in one file: train, project, fine-tune with the mask held, export ONNX and
``.pt2``. Its output is the built-in model ``digits`` (``gatherline/models``). The first layer and the classifier stay
dense, as everywhere in Gatherline. Needs the ``test`` extra (torch, onnxscript, onnxruntime, scikit-learn).

Left out: a validation split (no hyperparameter is chosen by the test accuracy), data augmentation, quantization.

    python examples/train_digits.py --out out/digits
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional

from patterns.gs import GatherScatter
from traces.layer import MatrixLayer, Window
from traces.layout import column_banks
from traces.weights import flattened

BANKS = 16
PIXEL_MAX = 16.0  # scikit-learn's digits have 17 grey levels
BATCH = 64
TEST_FRACTION = 0.25
PACKAGES = ("torch", "onnx", "onnxscript", "scikit-learn", "numpy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Digits:
    """Images [n, 1, 8, 8] in 0 to 1 and their digits [n]."""

    train_x: torch.Tensor
    train_y: torch.Tensor
    test_x: torch.Tensor
    test_y: torch.Tensor


class DigitsNet(nn.Module):
    """Three 3 x 3 convolutions and a classifier; the two in the middle have channels in multiples of 16."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.conv3 = nn.Conv2d(64, 64, 3, padding=1)
        self.fc = nn.Linear(64 * 2 * 2, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.conv1(x))
        x = functional.max_pool2d(functional.relu(self.conv2(x)), 2)
        x = functional.max_pool2d(functional.relu(self.conv3(x)), 2)
        return self.fc(torch.flatten(x, 1))

    @property
    def prunable(self) -> dict[str, nn.Conv2d]:
        return {"conv2": self.conv2, "conv3": self.conv3}


def read_digits(seed: int) -> Digits:
    """Return the data set that comes with scikit-learn, split with equal shares of each digit."""
    data = load_digits()
    images = (data.images / PIXEL_MAX).astype(np.float32)[:, None]
    split = train_test_split(images, data.target, test_size=TEST_FRACTION, random_state=seed, stratify=data.target)
    train_x, test_x, train_y, test_y = (torch.from_numpy(part) for part in split)
    return Digits(train_x=train_x, train_y=train_y, test_x=test_x, test_y=test_y)


def gs_mask(conv: nn.Conv2d, sparsity: float) -> torch.Tensor:
    """Return the GS(16,1) mask [Co, Ci, Kh, Kw] of the paper's greedy projection at ``sparsity``."""
    weight = conv.weight.detach().numpy()
    co, ci, kh, kw = weight.shape
    scores = np.abs(flattened(weight, groups=1))  # (1, Co, Kh * Kw * Ci), Ci innermost
    layer = MatrixLayer(name="conv", kind="conv2d", m=co, k=kh * kw * ci, window=Window(kernel=(kh, kw)))
    rule = GatherScatter(banks=BANKS, k=1, projection="greedy")  # as when the built-in model was made
    mask = rule.project(scores, sparsity, banks=column_banks(layer, BANKS))
    return torch.from_numpy(np.ascontiguousarray(mask.reshape(co, kh, kw, ci).transpose(0, 3, 1, 2)))


def train(
    net: DigitsNet, data: Digits, epochs: int, learning_rate: float, masks: Mapping[str, torch.Tensor], seed: int
) -> None:
    """Train in place with Adam and a cosine schedule; masked weights are zero after every step."""
    order = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(net.parameters(), lr=learning_rate, weight_decay=1e-4)
    steps = -(-len(data.train_x) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=max(1, epochs * steps))
    hold(net, masks)
    for _ in range(epochs):
        for batch in torch.randperm(len(data.train_x), generator=order).split(BATCH):
            optimizer.zero_grad()
            functional.cross_entropy(net(data.train_x[batch]), data.train_y[batch]).backward()
            optimizer.step()
            schedule.step()
            hold(net, masks)


def hold(net: DigitsNet, masks: Mapping[str, torch.Tensor]) -> None:
    """Set the weights outside their masks to zero."""
    with torch.no_grad():
        for name, mask in masks.items():
            net.prunable[name].weight.mul_(mask)


def correct(net: DigitsNet, data: Digits) -> int:
    """Return how many test images are classified right."""
    with torch.no_grad():
        return int((net(data.test_x).argmax(1) == data.test_y).sum())


def write(path: Path, content: bytes) -> None:
    """Write aside, then rename, so that no partial file has the final name."""
    aside = path.with_name(path.name + ".part")
    aside.write_bytes(content)
    aside.replace(path)


def export(net: DigitsNet, out: Path) -> None:
    """Write ``digits.onnx`` (weights inside) and ``digits.pt2``, batch 1, without source paths of this machine."""
    sample = (torch.zeros(1, 1, 8, 8),)
    program = torch.export.export(net, sample)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    write(out / "digits.pt2", buffer.getvalue())

    converted = torch.onnx.export(
        program, sample, dynamo=True, input_names=["image"], output_names=["logits"], verbose=False
    )
    assert converted is not None  # None is only for the TorchScript exporter
    model = converted.model_proto
    for onnx_node in model.graph.node:
        del onnx_node.metadata_props[:]
        onnx_node.doc_string = ""
    onnx.checker.check_model(model, full_check=True)
    write(out / "digits.onnx", model.SerializeToString())


def describe(
    net: DigitsNet, masks: Mapping[str, torch.Tensor], seed: int, right: Mapping[str, int], data: Digits
) -> dict[str, object]:
    """Return what ``digits.json`` says about the files beside it."""
    return {
        "model": "digits",
        "pattern": f"gs:{BANKS},1",
        "data": "scikit-learn load_digits, 8 x 8, stratified split",
        "train_images": len(data.train_x),
        "test_images": len(data.test_x),
        "test_fraction": TEST_FRACTION,
        "seed": seed,
        "correct": dict(right),
        "accuracy": {stage: count / len(data.test_x) for stage, count in right.items()},
        "parameters": sum(p.numel() for p in net.parameters()),
        "parameters_nonzero": sum(int(p.count_nonzero()) for p in net.parameters()),
        "layers": {name: {"weights": mask.numel(), "kept": int(mask.sum())} for name, mask in masks.items()},
        "versions": {package: importlib.metadata.version(package) for package in PACKAGES},
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, prune, fine-tune and export; print the accuracy after each."""
    parser = argparse.ArgumentParser(description="Train, prune to GS(16,1), fine-tune and export the digits model.")
    parser.add_argument("--out", type=Path, default=Path("out/digits"), help="folder of the exported files")
    parser.add_argument("--sparsity", type=float, default=0.9, help="fraction of weights removed, 0 to 1")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--fine-tune-epochs", type=int, default=40)
    options = parser.parse_args(arguments)

    torch.set_num_threads(1)  # sums in one order: the same seed gives the same weights
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(options.seed)
    data = read_digits(options.seed)
    net = DigitsNet()
    train(net, data, options.epochs, 2e-3, {}, options.seed)
    right = {"dense": correct(net, data)}
    masks = {name: gs_mask(conv, options.sparsity) for name, conv in net.prunable.items()}
    hold(net, masks)
    right["pruned"] = correct(net, data)
    train(net, data, options.fine_tune_epochs, 1e-3, masks, options.seed + 1)
    right["fine_tuned"] = correct(net, data)
    for stage, count in right.items():
        print(f"{stage:12} {count / len(data.test_x):.4f} ({count} of {len(data.test_x)} test images)")

    net.eval()
    options.out.mkdir(parents=True, exist_ok=True)
    export(net, options.out)
    card = describe(net, masks, options.seed, right, data)
    write(options.out / "digits.json", (json.dumps(card, indent=2) + "\n").encode())
    print(f"wrote digits.onnx, digits.pt2 and digits.json to {options.out}")


if __name__ == "__main__":
    main()
