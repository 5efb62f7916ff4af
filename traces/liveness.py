"""Peak of live activations over the order in which a network's layers run. DESIGN section 4.

A tensor lives from the layer that writes it to the last that reads it; an input from the start to its last reader, an
output to the end, a constant (a position table) all the time, as does a weight. No layer works in place: its inputs
and outputs are live together. What is fused is for the network to say (``traces.fusion``). Left out: fragmentation,
halo and padding.
"""

from __future__ import annotations

from dataclasses import dataclass

from traces.layer import Network


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveStep:
    """What is live while one layer runs: its inputs, its outputs and every tensor kept across it."""

    layer: str
    elements: int
    tensors: tuple[str, ...]


def activation_schedule(network: Network) -> tuple[LiveStep, ...]:
    """Return the live elements while each layer runs, in the network's own order."""
    last_use = _last_uses(network)
    written = {name for layer in network.layers for name in layer.outputs}
    live = {name: tensor.elements for name, tensor in network.tensors.items() if name not in written}
    # an input that nothing reads is never fetched
    live = {name: elements for name, elements in live.items() if name in last_use}
    ends: dict[int, list[str]] = {}
    for name, step in last_use.items():
        ends.setdefault(step, []).append(name)
    steps = []
    for step, layer in enumerate(network.layers):
        live.update((name, network.tensors[name].elements) for name in layer.outputs)
        steps.append(LiveStep(layer=layer.name, elements=sum(live.values()), tensors=tuple(live)))
        for name in ends.get(step, ()):
            del live[name]
    return tuple(steps)


def _last_uses(network: Network) -> dict[str, int]:
    """Return the last step at which each tensor must be there; an input that nothing reads is left out."""
    last_use: dict[str, int] = {}
    for step, layer in enumerate(network.layers):
        last_use.update((name, step) for name in (*layer.outputs, *layer.inputs))
    end = len(network.layers) - 1
    written = {name for layer in network.layers for name in layer.outputs}
    constants = network.tensors.keys() - written - set(network.inputs)
    last_use.update((name, end) for name in (*constants, *network.outputs))
    return last_use


def peak_activation_elements(network: Network) -> int:
    """Return the most elements that are live while any one layer runs."""
    return max(step.elements for step in activation_schedule(network))
