"""Published per-layer sparsities: on the layers they belong to, as sparse as their sources say, with any pattern."""

from __future__ import annotations

import numpy as np
import pytest

from traces.layer import ModelError
from traces.masks import trace_network
from traces.trace import LayerTrace
from traces.workloads.catalog import ALL_PROFILES, ALL_WORKLOADS, built_in, built_in_names
from traces.workloads.profile import Profile, _table, overall_sparsity, profile_sparsities
from traces.workloads.resnet import RESNET50

NAMES = [profile.name for profile in ALL_PROFILES]
ROUNDING = 0.5e-4  # the sources print two decimals of a per cent


@pytest.fixture(params=ALL_PROFILES, ids=NAMES)
def profile(request: pytest.FixtureRequest) -> Profile:
    return request.param


def by_name(name: str) -> Profile:
    return next(each for each in ALL_PROFILES if each.name == name)


def test_a_profile_lists_layers_of_its_network_with_their_number_of_weights(profile: Profile) -> None:
    layers = {layer.name: layer.weight_elements for layer in built_in(profile.base.name).matrix_layers}
    listed = _table(profile.base.name)[profile.column]
    assert {name: weights for name, (weights, _) in listed.items()} == {name: layers[name] for name in listed}
    assert all(0 <= sparsity < 1 for sparsity in profile_sparsities(profile).values())


def test_a_profile_leaves_out_only_the_shared_output_projection(profile: Profile) -> None:
    layers = [layer.name for layer in built_in(profile.base.name).matrix_layers]
    left_out = ["decoder.output_projection"] if profile.base.name == "transformer_wmt_big" else []
    assert [name for name in layers if name not in profile_sparsities(profile)] == left_out


def test_its_layers_together_are_as_sparse_as_the_source_says() -> None:
    stated = [profile for profile in ALL_PROFILES if profile.sparsity is not None]
    assert len(stated) == 16 + 1 + 1  # STR levels, uniform, grow and prune
    for profile in stated:
        gap = 5e-4 if profile.column == "gap-90" else 2 * ROUNDING  # its name says 0.9, to one digit
        assert overall_sparsity(profile) == pytest.approx(profile.sparsity, abs=gap), profile.name


def test_two_tables_of_one_source_agree_where_they_overlap() -> None:
    columns = _table("resnet50")
    assert columns["uniform-90"]["fc"] == (2048 * 1000, 0.9)
    assert profile_sparsities(by_name("resnet50-str-90.23"))["fc"] == 0.6450  # table of budgets at 90 %, last row


@pytest.mark.parametrize(
    "name", ["resnet50-str-98.05", "mobilenet_v1-sparsezoo-moderate", "bert_base-sparsezoo-pruned80"]
)
def test_each_layer_has_as_many_zeros_as_the_profile_says(name: str) -> None:
    network, profile = built_in(name), by_name(name)
    for layer, sparsity in list(profile_sparsities(profile).items())[:12]:
        weight = network.weights[layer]
        kept = round(weight.size * (1 - sparsity))
        assert np.count_nonzero(weight) == kept
        dense = np.sort(np.abs(built_in(profile.base.name).weights[layer]).ravel())
        assert np.abs(weight[weight != 0]).min() == dense[-kept]  # those that are left are the largest


def test_a_run_without_a_pattern_takes_the_zeros_of_the_profile() -> None:
    from gatherline.request import RunRequest, levels

    network = built_in("mobilenet_v1-sparsezoo-moderate", input_shape=(1, 3, 32, 32))
    (level,) = levels(network, RunRequest(model=network.name))
    traces: list[LayerTrace] = list(trace_network(network, level).traces)
    found = {trace.layer.name: trace.density for trace in traces if trace.mask is not None}
    for layer, sparsity in profile_sparsities(by_name(network.name)).items():
        assert found[layer] == pytest.approx(1 - sparsity, abs=1e-6)


def test_a_profile_says_where_its_shares_come_from_and_that_places_are_synthetic() -> None:
    network = built_in("resnet50-erk-90")
    assert network.synthetic
    (note,) = [note for note in network.notes if "arXiv 2002.03231" in note]
    assert "90.07%" in note
    assert "synthetic" in note


def test_names_of_profiles_are_found_like_networks() -> None:
    assert len(set(built_in_names())) == len(ALL_WORKLOADS) + len(ALL_PROFILES)
    with pytest.raises(ModelError, match=r"did you mean resnet50-str-90\.23"):
        built_in("resnet50-str-90.32")


def test_a_profile_refuses_a_network_of_other_shapes() -> None:
    table = _table(RESNET50.name)
    layer, (weights, sparsity) = next(iter(table["erk-90"].items()))
    table["erk-90"][layer] = (weights + 1, sparsity)
    try:
        with pytest.raises(ModelError, match=r"resnet50-erk-90: tensor conv1\.weight has shape"):
            built_in("resnet50-erk-90")
    finally:
        table["erk-90"][layer] = (weights, sparsity)
