"""Where an activation lies in the scratchpad, as far as a mask must know it: the bank of each column. DESIGN 5a.

address = (y * pitch + x) * Cp + c, c global over convolution groups, Cp = Ci rounded up to a multiple of B (Ci itself
when Ci < B). Where Ci < B the mapper is free to choose the pitch, and takes one congruent to the window's width
modulo B (ADR 0002), so that the banks do not depend on the mapping.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from traces.layer import MatrixLayer


def channel_pitch(channels: int, banks: int) -> int:
    """Return Cp, the words that one pixel's channels occupy."""
    return channels if channels < banks else -(-channels // banks) * banks


def row_pitch(pixels: int, kernel_width: int, channels: int, banks: int) -> int:
    """Return the smallest pitch, in pixels, that holds a row of ``pixels`` and keeps the banks of ``column_banks``."""
    if channels >= banks:
        return pixels
    return pixels + (kernel_width - pixels) % banks


def column_offsets(layer: MatrixLayer, group: int, pitch: int, banks: int) -> npt.NDArray[np.int64]:
    """Return the address of each column [k] relative to the window's first pixel, at a row pitch in pixels."""
    kh, kw = layer.window.kernel
    cp = channel_pitch(layer.groups * layer.ci, banks)
    y = np.arange(kh, dtype=np.int64)[:, None, None] * layer.window.dilation[0]
    x = np.arange(kw, dtype=np.int64)[None, :, None] * layer.window.dilation[1]
    c = np.arange(layer.ci, dtype=np.int64)[None, None, :] + group * layer.ci
    return np.broadcast_to((y * pitch + x) * cp + c, (kh, kw, layer.ci)).reshape(-1)


def column_banks(layer: MatrixLayer, banks: int) -> npt.NDArray[np.int64]:
    """Return the bank of each column's activation, [groups, k], up to one rotation common to all columns."""
    pitch = row_pitch(1, layer.window.kernel[1], layer.groups * layer.ci, banks)
    return np.stack([column_offsets(layer, group, pitch, banks) % banks for group in range(layer.groups)])
