"""What rows say of a network beside its layers' results: samples in flight, and operators that are not counted."""

from __future__ import annotations

from traces.layer import Network, UnsupportedLayer


def batch_of(network: Network) -> int:
    """Return the samples in flight: the first dimension, or those of a recurrence, whose input may have time first."""
    serial = [layer.batch for layer in network.matrix_layers if layer.serial]
    shape = network.tensors[network.inputs[0]].shape
    return serial[0] if serial else (shape[0] if shape else 1)


def unsupported(network: Network) -> tuple[str, ...]:
    """Return the operators whose work is not counted, each with its layer."""
    return tuple(f"{layer.op} ({layer.name})" for layer in network.layers if isinstance(layer, UnsupportedLayer))
