"""The product that a layer asks of a kernel, freed of its names: sizes, steps, and what must move at least once."""

from __future__ import annotations

from dataclasses import dataclass

from traces.layer import MatrixLayer, ProductLayer


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """``groups`` products of [m, k] with [k, positions], ``steps`` times one after the other (1 unless serial).

    ``weighted``: the left operand is stored weights; otherwise it is one of the inputs. ``input_elements`` and
    ``output_elements`` count all steps and groups, each element once.
    """

    groups: int
    m: int
    k: int
    positions: int
    steps: int
    value_bytes: int
    input_elements: int
    output_elements: int
    weighted: bool

    @property
    def step_macs(self) -> int:
        return self.groups * self.m * self.k * self.positions

    @property
    def input_bytes(self) -> int:
        return self.input_elements * self.value_bytes

    @property
    def output_bytes(self) -> int:
        return self.output_elements * self.value_bytes


def problem_of(layer: MatrixLayer | ProductLayer, value_bytes: int) -> Problem:
    """Return the product that ``layer`` asks for, with operands of ``value_bytes`` an element."""
    if isinstance(layer, ProductLayer):
        return Problem(
            groups=layer.instances,
            m=layer.m,
            k=layer.k,
            positions=layer.p,
            steps=1,
            value_bytes=value_bytes,
            input_elements=layer.input_elements,
            output_elements=layer.output_elements,
            weighted=False,
        )
    steps = layer.p // layer.batch if layer.serial else 1
    return Problem(
        groups=layer.groups,
        m=layer.m,
        k=layer.k,
        positions=layer.p // steps,
        steps=steps,
        value_bytes=value_bytes,
        # a hidden product reads the state and leaves the gates to a layer of their own
        input_elements=layer.k * layer.p if layer.serial else layer.input_elements,
        output_elements=layer.groups * layer.m * layer.p,
        weighted=True,
    )
