"""Files of weights by name written again: .safetensors from .safetensors and from .pt2."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatherline.api import prune
from gatherline.request import RequestError
from tests.models import lstm_net, masked_mlp
from traces.layer import ModelError
from traces.lower.read import read_model
from traces.lower.state_source import hidden_weights, open_state


def header_of(path: Path) -> bytes:
    raw = path.read_bytes()
    return raw[: 8 + int.from_bytes(raw[:8], "little")]


def save(path: Path, tensors: dict[str, Any]) -> Path:
    from safetensors.torch import save_file

    save_file(tensors, path, metadata={"format": "pt", "made": "here"})
    return path


def chain(dtype: Any) -> dict[str, Any]:
    import torch

    torch.manual_seed(0)
    return {
        "0.weight": torch.randn(16, 12).to(dtype), "0.bias": torch.randn(16).to(dtype),
        "2.weight": torch.randn(8, 16).to(dtype), "steps": torch.tensor(3),
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["float32", "float16", "bfloat16", "float64"])
def test_names_types_metadata_and_all_other_bits_stay(kind: str, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    source = save(tmp_path / "a.safetensors", chain(getattr(torch, kind)))
    out = tmp_path / "b.safetensors"
    prune(source, out, pattern="block:4x4", sparsity=0.5, prune_all=True, arch="sequential")
    assert header_of(out) == header_of(source)
    old, new = load_file(source), load_file(out)
    for name in ("0.bias", "steps"):
        assert torch.equal(old[name], new[name])
    for name in ("0.weight", "2.weight"):
        kept = new[name] != 0
        assert int(kept.sum()) == old[name].numel() // 2
        assert torch.equal(new[name][kept], old[name][kept])


def test_what_is_written_is_what_the_reader_reads_back(tmp_path: Path) -> None:
    import torch

    source, out = save(tmp_path / "a.safetensors", chain(torch.float32)), tmp_path / "b.safetensors"
    report = prune(source, out, pattern="gs:4,1", sparsity=0.75, prune_all=True, arch="sequential")
    after = read_model(out, arch="sequential").weights
    for row in report.rows[:-1]:
        weights = after[str(row["layer"])]
        assert row["density"] == np.count_nonzero(weights) / weights.size


def test_a_mask_that_is_stored_apart_changes_and_the_values_behind_it_stay(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    source = save(tmp_path / "a.safetensors", dict(masked_mlp().state_dict()))
    out, repacked = tmp_path / "b.safetensors", tmp_path / "c.safetensors"
    prune(source, out, pattern="unstructured", sparsity=0.875, prune_all=True, arch="sequential")
    prune(source, repacked, pattern="unstructured", sparsity=0.5, prune_all=True, arch="sequential", repack=True)
    old, new, again = load_file(source), load_file(out), load_file(repacked)
    for layer in ("0", "2"):
        weights, mask = old[f"{layer}.weight_orig"], new[f"{layer}.weight_mask"]
        assert torch.equal(new[f"{layer}.weight_orig"], weights)
        assert not ((mask == 1) & (old[f"{layer}.weight_mask"] == 0)).any()
        assert int(mask.sum()) == weights.numel() // 8
        ranked = weights.abs().flatten().sort(descending=True).values
        assert torch.equal(again[f"{layer}.weight_mask"] == 1, weights.abs() >= ranked[weights.numel() // 2 - 1])


pytestmark = pytest.mark.filterwarnings("ignore:The tensor attributes")


def export(module: Any, inputs: tuple[Any, ...], path: Path) -> Path:
    import torch

    torch.export.save(torch.export.export(module, inputs), path)
    return path


def test_an_export_becomes_the_state_dict_of_its_module(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    net = lstm_net()
    source, out = export(net, (torch.zeros(2, 7, 5),), tmp_path / "a.pt2"), tmp_path / "b.safetensors"
    report = prune(source, out, pattern="unstructured", sparsity=0.5, prune_all=True)
    state = load_file(out)
    assert set(state) == set(net.state_dict())
    for name, before in net.state_dict().items():
        kept = state[name] != 0
        assert torch.equal(state[name][kept], before[kept])
        assert int(kept.sum()) == (before.numel() // 2 if "weight" in name else before.numel())
    assert report.rows[-1]["sparsity"] == 0.5
    net.load_state_dict(state)


def test_an_export_in_bfloat16_stays_in_bfloat16(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file
    from torch import nn

    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 8, dtype=torch.bfloat16), nn.Linear(8, 4, dtype=torch.bfloat16))
    source = export(net, (torch.zeros(1, 8, dtype=torch.bfloat16),), tmp_path / "a.pt2")
    prune(source, tmp_path / "b.safetensors", pattern="n_of_m:2,4", prune_all=True)
    state = load_file(tmp_path / "b.safetensors")
    kept = state["0.weight"] != 0
    assert state["0.weight"].dtype == torch.bfloat16
    assert torch.equal(state["0.weight"][kept], net.state_dict()["0.weight"][kept])


def test_layers_that_share_a_tensor_of_an_export_must_agree(tmp_path: Path) -> None:
    import torch
    from torch import nn

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(8, 8)

        def forward(self, x: Any) -> Any:
            return self.fc(torch.relu(self.fc(x)))

    source = export(Twice(), (torch.zeros(1, 8),), tmp_path / "a.pt2")
    report = prune(source, tmp_path / "b.safetensors", pattern="unstructured", sparsity=0.5, prune_all=True)
    assert [row["sparsity"] for row in report.rows] == [0.5, 0.5, 0.5]
    with pytest.raises(ModelError, match=r"shares the tensor fc.weight .* keep both dense"):
        prune(
            source, tmp_path / "c.safetensors", pattern="unstructured", sparsity=0.5, prune_all=True, keep=["first"]
        )  # fmt: skip
    assert not (tmp_path / "c.safetensors").exists()


def test_a_weight_that_is_no_tensor_of_the_file_is_refused_by_name_and_may_be_kept(tmp_path: Path) -> None:
    import torch
    from torch import nn
    from torch.nn.utils.parametrizations import weight_norm

    net = nn.Sequential(weight_norm(nn.Linear(8, 8)), nn.Linear(8, 8), nn.Linear(8, 4))
    source, out = export(net, (torch.zeros(1, 8),), tmp_path / "a.pt2"), tmp_path / "b.safetensors"
    with pytest.raises(ModelError, match=r"layer 0: its weight is no tensor of the file"):
        prune(source, out, pattern="unstructured", sparsity=0.5, prune_all=True)
    prune(source, out, pattern="unstructured", sparsity=0.5)
    assert out.is_file()


def test_hidden_weights_are_those_of_layers_with_a_mask(tmp_path: Path) -> None:
    import torch

    net = masked_mlp()
    source = open_state(export(net, (torch.zeros(3, 16),), tmp_path / "a.pt2"))
    assert np.array_equal(hidden_weights(source)["0"][0], net[0].weight_orig.detach().numpy())


def test_torch_alone_makes_onnx_of_an_export(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"export \.onnx where you train"):
        prune(tmp_path / "a.pt2", tmp_path / "b.onnx", pattern="n_of_m:2,4")


def test_pruning_imports_no_torch(tmp_path: Path) -> None:
    import subprocess
    import sys

    import torch

    source = save(tmp_path / "a.safetensors", chain(torch.float32))
    code = (
        "import sys, gatherline as gl; source, one, two = sys.argv[1:];"
        "gl.prune(source, one, pattern='n_of_m:2,4', prune_all=True, arch='sequential');"
        "gl.prune('digits', two, pattern='n_of_m:2,4');"
        "sys.exit('torch' in sys.modules)"
    )
    arguments = [str(source), str(tmp_path / "b.safetensors"), str(tmp_path / "b.onnx")]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(header_of(tmp_path / "b.safetensors")[8:])["__metadata__"]["made"] == "here"
