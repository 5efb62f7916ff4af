"""The built-in networks, by name. Real weights enter through ``Workload.build``; ``built_in`` draws synthetic ones."""

from __future__ import annotations

import dataclasses
import hashlib

from patterns.names import nearest
from traces.layer import ModelError, Network
from traces.workloads.deit import DEIT_SMALL, DEIT_TINY
from traces.workloads.gather_scatter import CONV3X3_128, SPMV1024
from traces.workloads.gnmt import GNMT
from traces.workloads.jasper import JASPER
from traces.workloads.mobilenet import MOBILENET_V1, MOBILENET_V2
from traces.workloads.resnet import RESNET50
from traces.workloads.transformer import TRANSFORMER_WMT
from traces.workloads.vgg import VGG16
from traces.workloads.workload import SyntheticWeights, WeightSource, Workload

__all__ = ["ALL_WORKLOADS", "WeightSource", "Workload", "built_in", "workload"]

ALL_WORKLOADS: tuple[Workload, ...] = (
    RESNET50,
    MOBILENET_V1,
    MOBILENET_V2,
    VGG16,
    DEIT_TINY,
    DEIT_SMALL,
    GNMT,
    JASPER,
    TRANSFORMER_WMT,
    SPMV1024,
    CONV3X3_128,
)


def workload(name: str) -> Workload:
    """Return the built-in network called ``name``. Raises ModelError that names the nearest one."""
    for member in ALL_WORKLOADS:
        if member.name == name:
            return member
    hint = nearest(name, [member.name for member in ALL_WORKLOADS])
    raise ModelError(f"model {name}: no built-in network has this name; {hint}")


def built_in(name: str, *, seed: int = 0, batch: int = 1, input_shape: tuple[int, ...] | None = None) -> Network:
    """Build a network with synthetic weights, which are made on access.

    ``input_shape`` includes the batch. Raises ModelError for an unknown name, a seed below 0, a shape that doesn't fit.
    """
    chosen = workload(name)
    if seed < 0:
        raise ModelError(f"model {name}: seed is {seed}, and must be at least 0")
    network = chosen.build(SyntheticWeights(seed=seed), batch, input_shape)
    shapes = sorted((tensor.name, tensor.shape) for tensor in network.tensors.values())
    description = repr((name, "philox, he normal", seed, network.layers, shapes))  # shapes hold the batch
    return dataclasses.replace(
        network,
        synthetic=True,
        source=f"built-in {name}, synthetic weights, seed {seed}",
        digest=hashlib.sha256(description.encode()).hexdigest(),
        notes=(*network.notes, "batch norm is folded; biases of convolutions and linear layers are not counted"),
    )
