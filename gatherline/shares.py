"""What ``--ratios`` means for a network: a method, a list in a file, or the shares of a published profile.

Left out: the methods and the reading of lists (``traces.ratios``), and the profiles (``traces.workloads``).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gatherline.request_error import RequestError
from patterns.names import nearest
from traces.layer import Network
from traces.ratios import (
    METHODS,
    LayerShares,
    RatioError,
    layer_sparsities,
    listed_sparsities,
    read_ratios,
)
from traces.workloads.profile import Profile, profile_sparsities, profile_weights
from traces.workloads.profile_catalog import ALL_PROFILES

KEPT_BY_NAME = "kept: --keep"  # how the reason begins of a layer that the user named
LISTS = (".toml", ".csv")


def check_ratios(ratios: str) -> None:
    """Raise RequestError unless ``ratios`` is a method, the path of a list, or the name of a profile."""
    if ratios in METHODS or Path(ratios).suffix in LISTS or _profiles(ratios):
        return
    known = [*METHODS, *(profile.name for profile in ALL_PROFILES), *(profile.column for profile in ALL_PROFILES)]
    hint = nearest(ratios, known)
    if not hint.startswith("did you mean"):  # there are too many to name
        hint = "simulate list models names the profiles"
    raise RequestError(
        f"ratios are {ratios!r}, and must be {', '.join(METHODS)}, a {' or '.join(LISTS)}, or a profile; {hint}"
    )


def is_listed(ratios: str) -> bool:
    """Return whether ``ratios`` name each layer's share themselves: a file or a profile."""
    return ratios not in METHODS


def is_profile(ratios: str) -> bool:
    return is_listed(ratios) and Path(ratios).suffix not in LISTS


def _profiles(name: str) -> list[Profile]:
    return [profile for profile in ALL_PROFILES if name in (profile.name, profile.column)]


def layer_shares(network: Network, ratios: str, sparsity: float | None, kept: Mapping[str, str]) -> LayerShares:
    """Return what each layer is to lose. ``kept``: layers that stay as they are unless a list names them, with why.

    A method makes ``sparsity`` of the layers that are pruned. A list says it itself; layers that it does not name take
    ``sparsity``, or stay where it is None. An exact name in a list or a profile beats ``kept``; a share of 0 means that
    the layer stays as it is. Raises RatioError for a list or a profile that does not fit the network, and RequestError
    where a list and ``--keep`` disagree.
    """
    reasons = dict(kept)
    where = Path(ratios).name if is_listed(ratios) and not is_profile(ratios) else ratios
    if is_listed(ratios):
        entries = _of_profile(network, ratios) if is_profile(ratios) else read_ratios(Path(ratios))
        shares = listed_sparsities(network, entries, kept, ratios)
        for name in [name for name in kept if name in shares]:
            if kept[name].startswith(KEPT_BY_NAME):
                raise RequestError(f"layer {name}: {ratios} gives it {shares[name]}, and --keep names it too")
            del reasons[name]
        others = [layer.name for layer in network.matrix_layers if layer.name not in {**shares, **reasons}]
        if sparsity is None:
            reasons |= dict.fromkeys(others, f"not in {where}")
        else:
            shares |= dict.fromkeys(others, sparsity)
    else:
        assert sparsity is not None
        method = next(method for method in METHODS if method == ratios)
        shares = layer_sparsities(network, method, sparsity, kept)
    zero = "a sparsity of 0 leaves it as it is" if sparsity == 0.0 else f"ratios {where} leave it as it is"
    reasons |= {name: zero for name, share in shares.items() if share == 0.0}
    return LayerShares(sparsities=shares, reasons=reasons)


def _of_profile(network: Network, name: str) -> dict[str, float]:
    """Return the shares of the profile ``name`` that is of this network, by layer. Raises RatioError."""
    found = _profiles(name)
    misfits = [_misfit(network, profile) for profile in found]
    for profile, misfit in zip(found, misfits, strict=True):
        if not misfit:
            return profile_sparsities(profile)
    raise RatioError(f"ratios {name} are of {found[0].base.name}, and {network.name} is another network: {misfits[0]}")


def _misfit(network: Network, profile: Profile) -> str:
    """Return the first layer of a profile that the network does not have as it is there, or ""."""
    sizes = {layer.name: layer.weight_elements for layer in network.matrix_layers}
    for layer, weights in profile_weights(profile).items():
        if layer not in sizes:
            return f"it has no layer {layer} with weights"
        if sizes[layer] != weights:
            return f"its layer {layer} has {sizes[layer]} weights, and the profile {weights}"
    return ""


def overall(network: Network, shares: LayerShares) -> float:
    """Return the share of the weights of all pruned layers that ``shares`` take; 0 where none is pruned."""
    sizes = {layer.name: layer.weight_elements for layer in network.matrix_layers}
    weights = sum(sizes[name] for name in shares.pruned)
    return sum(sizes[name] * share for name, share in shares.pruned.items()) / weights if weights else 0.0


def nothing_left(network: Network, reasons: Mapping[str, str]) -> RequestError:
    """Return the error of a request that prunes no layer."""
    return RequestError(
        f"no layer is left to prune: all {len(network.matrix_layers)} of {network.name} stay as they are "
        f"({'; '.join(sorted(set(reasons.values())))})"
    )
