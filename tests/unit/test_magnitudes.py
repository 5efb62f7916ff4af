"""|w| of a layer, taken in place where the matrix was made for the call, and never where somebody else holds it."""

from __future__ import annotations

import numpy as np

from traces.weights import DeferredWeight, DeferredWeights, magnitudes, weight_matrix
from traces.workloads.profile import profiled
from traces.workloads.profile_catalog import ALL_PROFILES

SHAPE = (4, 6)


def draw(name: str, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(len(name)).standard_normal(shape, dtype=np.float32)


def weights(keep_bytes: int) -> DeferredWeights:
    matrix = weight_matrix(DeferredWeight(name="w", shape=SHAPE, make=draw))
    return DeferredWeights({"l": matrix}, "net", keep_bytes=keep_bytes)  # type: ignore[dict-item]


def test_magnitudes_are_those_of_the_weights_whether_these_are_kept_or_not() -> None:
    wanted = np.abs(draw("w", SHAPE)).reshape(1, *SHAPE)
    for keep_bytes in (0, 1 << 20):
        some = weights(keep_bytes)
        for _ in range(2):
            assert np.array_equal(magnitudes(some, "l"), wanted)
            assert np.array_equal(some["l"], draw("w", SHAPE).reshape(1, *SHAPE))


def test_weights_of_a_file_stay_as_they_are() -> None:
    held = {"l": draw("w", SHAPE).reshape(1, *SHAPE)}
    magnitudes(held, "l")[...] = 7
    assert np.array_equal(held["l"], draw("w", SHAPE).reshape(1, *SHAPE))


def test_a_profile_over_arrays_that_somebody_holds_leaves_them_alone() -> None:
    profile = next(profile for profile in ALL_PROFILES if profile.base.name == "mobilenet_v1")
    held: dict[str, np.ndarray] = {}

    def source(name: str, shape: tuple[int, ...]) -> np.ndarray:
        return held.setdefault(name, draw(name, shape))

    network = profiled(profile, source, 1, None)
    bounded = DeferredWeights(network.weights._weights, "net", keep_bytes=0)  # type: ignore[attr-defined]
    for layer in network.matrix_layers:
        magnitudes(bounded, layer.name)
    assert held
    assert all(np.array_equal(array, draw(name, array.shape)) for name, array in held.items())
