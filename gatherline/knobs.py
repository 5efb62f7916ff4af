"""Says in a row which of the user's options could not move it, and why: no option is read and silently ignored.

Left out: options that every layer obeys (seed, batch, input shape, dtype, match, all, strict).
"""

from __future__ import annotations

from costmodel.spec import RooflineDevice
from gatherline.best_encoding import BEST
from simulator.spec import Device
from traces.layer import MatrixLayer
from traces.trace import LayerTrace


def readable(encoding: str | None, device: RooflineDevice) -> bool:
    """Return whether some kernel of ``device`` reads ``encoding`` (None: the pattern's own; "best": some)."""
    return encoding in (None, BEST) or encoding in {kernel.encoding for kernel in device.kernels}


def without_effect(
    trace: LayerTrace,
    device: Device | RooflineDevice,
    *,
    threads: int = 1,
    order: str = "packed",
    encoding: str | None = None,
    mapping: str | None = None,
    ran_as: str = "",
) -> tuple[str, ...]:
    """Return a note for each option that moves nothing for a layer with weights; ``ran_as``: its encoding."""
    layer = trace.layer
    if not isinstance(layer, MatrixLayer):
        return ()
    notes: list[str] = []
    if not isinstance(device, Device):  # what an encoding or threads cannot move, the cost models say themselves
        if not readable(encoding, device):
            notes.append(f"no kernel of {device.name} reads {encoding}: dense kernel, zeros computed")
        if order != "packed":
            notes.append(f"order {order} has no meaning on {device.name}: its kernel says how the weights lie")
        if mapping is not None:
            notes.append(f"a mapping has no meaning on {device.name}")
        return tuple(notes)
    if threads > 1:
        notes.append(f"threads has no meaning on {device.name}")
    if layer.kind == "depthwise":
        if mapping is not None:
            notes.append("a mapping has no meaning for the vector unit")
        if encoding not in (None, "dense"):
            notes.append(f"encoding {encoding} has no meaning for the vector unit")
        return tuple(notes)
    if encoding is not None and encoding != ran_as:
        notes.append(f"encoding {encoding} not used: the mask is dense")
    if order == "csr" and encoding is not None:
        notes.append(f"order csr has no meaning beside encoding {encoding}")
    elif order == "csr" and ran_as not in ("csr", "dense"):
        notes.append(f"order csr has no meaning for {trace.pattern.spelling}, which has groups of its own")
    return tuple(notes)
