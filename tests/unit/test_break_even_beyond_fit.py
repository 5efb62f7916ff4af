"""A break-even that stands on times outside what a kernel was fitted to says so, of a layer and of the network."""

from __future__ import annotations

import numpy as np

import gatherline as gl
from costmodel.estimate import KERNEL_GAP
from costmodel.sparse import OUTSIDE_FIT
from traces.layer import MatrixLayer, Network, Tensor, Window

M, K, POSITIONS = 192, 768, 197


def test_blocks_that_gain_at_every_density_on_a_gpu_are_told_as_a_gap_between_two_kernel_models() -> None:
    window = Window(in_hw=(1, POSITIONS), out_hw=(1, POSITIONS))
    layer = MatrixLayer(name="fc", kind="linear", m=M, k=K, window=window, inputs=("x",), outputs=("y",))
    network = Network(
        name="one",
        layers=(layer,),
        tensors={name: Tensor(name=name, shape=(1, POSITIONS, width)) for name, width in (("x", K), ("y", M))},
        inputs=("x",),
        outputs=("y",),
        weights={"fc": np.random.default_rng(7).standard_normal((1, M, K), dtype=np.float32)},
    )
    report = gl.break_even(network, ["a100"], patterns=["block:16x16"], prune_all=True)
    layer_row, total_row = (report.of(name, "block:16x16", "a100").row() for name in ("fc", "total"))
    assert layer_row["extrapolated"] is total_row["extrapolated"] is True
    for row, end in ((layer_row, ""), (total_row, ": 1 of 1 pruned layers")):
        assert f"{KERNEL_GAP}{end}" in str(row["reason"])
        assert f"{OUTSIDE_FIT}: blocks other than 64x64" in str(row["reason"])
