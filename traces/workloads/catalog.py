"""The built-in networks and profiles, by name. Real weights enter by ``Workload.build``; ``built_in`` draws them."""

from __future__ import annotations

import dataclasses
import hashlib

from patterns.names import nearest
from traces.layer import ModelError, Network
from traces.workloads.bert import BERT_BASE
from traces.workloads.deit import DEIT_SMALL, DEIT_SMALL_TOKENS, DEIT_TINY, DEIT_TINY_TOKENS
from traces.workloads.gather_scatter import CONV3X3_128, SPMV1024
from traces.workloads.gnmt import GNMT
from traces.workloads.jasper import JASPER
from traces.workloads.mobilenet import MOBILENET_V1, MOBILENET_V2
from traces.workloads.profile import Profile, overall_sparsity, profiled
from traces.workloads.profile_catalog import ALL_PROFILES
from traces.workloads.resnet import RESNET50
from traces.workloads.transformer import TRANSFORMER_WMT, TRANSFORMER_WMT_BIG
from traces.workloads.vgg import VGG16
from traces.workloads.workload import SyntheticWeights, WeightSource, Workload

__all__ = ["ALL_PROFILES", "ALL_WORKLOADS", "WeightSource", "Workload", "built_in", "built_in_names", "workload"]

ALL_WORKLOADS: tuple[Workload, ...] = (
    RESNET50,
    MOBILENET_V1,
    MOBILENET_V2,
    VGG16,
    DEIT_TINY,
    DEIT_SMALL,
    DEIT_TINY_TOKENS,
    DEIT_SMALL_TOKENS,
    GNMT,
    JASPER,
    TRANSFORMER_WMT,
    TRANSFORMER_WMT_BIG,
    BERT_BASE,
    SPMV1024,
    CONV3X3_128,
)


def built_in_names() -> list[str]:
    """Return the names that ``built_in`` takes: networks, and profiles as NETWORK-PROFILE."""
    return [*(member.name for member in ALL_WORKLOADS), *(profile.name for profile in ALL_PROFILES)]


def _profiled_workload(profile: Profile) -> Workload:
    return Workload(
        name=profile.name,
        summary=profile.summary,
        source=profile.source,
        macs=profile.base.macs,
        input_shape=profile.base.input_shape,
        build=lambda weights, batch, input_shape: profiled(profile, weights, batch, input_shape),
    )


def workload(name: str) -> Workload:
    """Return the built-in network called ``name``. Raises ModelError that names the nearest one."""
    for member in (*ALL_WORKLOADS, *(_profiled_workload(profile) for profile in ALL_PROFILES)):
        if member.name == name:
            return member
    hint = nearest(name, built_in_names())
    raise ModelError(f"model {name}: no built-in network has this name; {hint}")


def built_in(name: str, *, seed: int = 0, batch: int = 1, input_shape: tuple[int, ...] | None = None) -> Network:
    """Build a network with synthetic weights, which are made on access.

    ``input_shape`` includes the batch. Raises ModelError for an unknown name, a seed below 0, a shape that doesn't fit.
    """
    chosen = workload(name)
    if seed < 0:
        raise ModelError(f"model {name}: seed is {seed}, and must be at least 0")
    network = dataclasses.replace(chosen.build(SyntheticWeights(seed=seed), batch, input_shape), name=name)
    shapes = sorted((tensor.name, tensor.shape) for tensor in network.tensors.values())
    description = repr((name, "philox, he normal", seed, network.layers, shapes))  # shapes hold the batch
    return dataclasses.replace(
        network,
        synthetic=True,
        source=f"built-in {name}, synthetic weights, seed {seed}",
        digest=hashlib.sha256(description.encode()).hexdigest(),
        notes=(
            *network.notes,
            "batch norm is folded; biases of convolutions and linear layers are not counted",
            *(_zeros_of(profile) for profile in ALL_PROFILES if profile.name == name),
        ),
    )


def _zeros_of(profile: Profile) -> str:
    share = overall_sparsity(profile)
    return f"share of zeros of each layer ({share:.2%} of those listed) from {profile.source}; which ones is synthetic"
