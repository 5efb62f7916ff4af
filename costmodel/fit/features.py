"""What a device's model is made of before efficiencies: the parts of each layer's time that they multiply.

The parts are taken from the model itself (``costmodel.estimate``), run on devices whose efficiencies are 1 and 1/2:
compute is linear in their inverses, so two runs give each part. Nothing of a kernel is written down twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from costmodel.cpu_device import compose
from costmodel.cpu_file import Core, Fitted, Runtime, Soc
from costmodel.estimate import dense_cost, estimate
from costmodel.spec import Dtype, RooflineDevice
from patterns.dense import Dense
from traces.layer import Layer, MatrixLayer, ProductLayer
from traces.trace import LayerTrace

Column = npt.NDArray[np.float64]
EFFICIENCIES = ("gemm", "winograd", "depthwise", "vector")  # a layer's kernel is one of these
UNITS: Mapping[str, float] = {
    "gemm": 1.0,
    "winograd": 1.0,
    "transform": 1.0,
    "depthwise": 1.0,
    "spmm": 1.0,
    "vector": 1.0,
    "epilogue": 1.0,
    "cache_share": 1.0,
    "memory_share": 1.0,
    "overhead_cycles": 1.0,
    "thread_cycles": 1.0,
    "thread_loss": 1e-12,
    "held_up": 1.0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Seconds of one net, layer by layer, at efficiencies of 1; ``kernel``: index into EFFICIENCIES.

    ``launched``: 1 where the layer pays an overhead. ``starts``: seconds of a cycle of the first core.
    """

    kernel: npt.NDArray[np.int64]
    work: Column
    transform: Column
    epilogue: Column
    rest: Column
    on_chip: Column
    memory: Column
    launched: Column
    cycle_s: float


def unit_numbers(**changed: float) -> tuple[Fitted, ...]:
    """Return numbers under which every efficiency is 1, but for those named."""
    return tuple(
        Fitted(runtime="", core="", dtype="", parameter=name, value=changed.get(name, value), source="unit of the fit")
        for name, value in UNITS.items()
    )


class Probe:
    """One SoC, cluster and runtime, taken apart for any net, data type and number of threads."""

    def __init__(self, soc: Soc, cores: Mapping[str, Core], runtime: Runtime, cluster: int) -> None:
        halved: tuple[dict[str, float], ...] = (
            {},
            dict.fromkeys(EFFICIENCIES, 0.5),
            {"transform": 0.5},
            {"epilogue": 2.0},
        )
        self._devices = [compose(soc.name, soc, cores, runtime, unit_numbers(**change), cluster) for change in halved]
        self._known: dict[object, tuple[float, ...]] = {}

    @property
    def device(self) -> RooflineDevice:
        return self._devices[0]

    def parts(self, layers: Sequence[Layer], dtype: Dtype, threads: int) -> Parts:
        """Return the parts of ``layers``; rows are layers in order."""
        rows = np.array([self._layer(layer, dtype, threads) for layer in layers], dtype=np.float64)
        return Parts(
            kernel=rows[:, 0].astype(np.int64),
            work=rows[:, 1],
            transform=rows[:, 2],
            epilogue=rows[:, 3],
            rest=rows[:, 4],
            on_chip=rows[:, 5],
            memory=rows[:, 6],
            launched=rows[:, 7],
            cycle_s=1 / self.device.units[0].clock_hz,
        )

    def _layer(self, layer: Layer, dtype: Dtype, threads: int) -> tuple[float, ...]:
        key = (replace(layer, name="", inputs=(), outputs=()), dtype, threads)
        if key not in self._known:
            self._known[key] = self._taken_apart(layer, dtype, threads)
        return self._known[key]

    def _taken_apart(self, layer: Layer, dtype: Dtype, threads: int) -> tuple[float, ...]:
        main = self.device.levels[-1].name
        if not isinstance(layer, MatrixLayer | ProductLayer):
            trace = LayerTrace(layer=layer, pattern=Dense())
            bounds = estimate(trace, self.device, dtype=dtype, threads=threads).bounds_s
            return (EFFICIENCIES.index("vector"), bounds.get("compute", 0.0), 0.0, 0.0, 0.0, *_moved(bounds, main))
        costs = [dense_cost(layer, device, dtype=dtype, threads=threads) for device in self._devices]
        base, halved, transformed, finished = (cost.bounds_s["compute"] for cost in costs)
        work, transform, epilogue = halved - base, transformed - base, finished - base
        kernel = EFFICIENCIES.index(costs[0].kernel.name.partition("-")[0])
        rest = base - work - transform - epilogue
        return (kernel, work, transform, epilogue, rest, *_moved(costs[0].bounds_s, main))


def _moved(bounds: Mapping[str, float], main: str) -> tuple[float, float, float]:
    levels = [value for name, value in bounds.items() if name not in ("compute", "overhead", main)]
    return max(levels, default=0.0), bounds.get(main, 0.0), float("overhead" in bounds)
