"""Where an activation lies in the scratchpad, as far as a mask must know it: the bank of each column. DESIGN 5a.

address = (y * pitch + x) * Cp + c, c global over convolution groups, Cp = Ci rounded up to a multiple of B (Ci itself
when Ci < B). Where Ci < B the mapper is free to choose the pitch, and takes one congruent to the window's width
modulo B (ADR 0002), so that the banks do not depend on the mapping.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from traces.layer import MatrixLayer, Window

IntArray = npt.NDArray[np.int64]


def channel_pitch(channels: int, banks: int) -> int:
    """Return Cp, the words that one pixel's channels occupy."""
    return channels if channels < banks else -(-channels // banks) * banks


def row_pitch(pixels: int, kernel_width: int, channels: int, banks: int) -> int:
    """Return the smallest pitch, in pixels, that holds a row of ``pixels`` and keeps the banks of ``column_banks``."""
    if channels >= banks:
        return pixels
    return pixels + (kernel_width - pixels) % banks


def window_offsets(window: Window, pitch: int, words: int, channels: IntArray) -> IntArray:
    """Return the address of each column [kernel x channels] relative to the window's first pixel.

    ``pitch``: pixels of a stored row; ``words`` of a pixel; ``channels``: places in a pixel, innermost in the result.
    """
    y = np.arange(window.kernel[0], dtype=np.int64)[:, None, None] * window.dilation[0]
    x = np.arange(window.kernel[1], dtype=np.int64)[None, :, None] * window.dilation[1]
    return ((y * pitch + x) * words + channels[None, None, :]).reshape(-1)


def column_banks(layer: MatrixLayer, banks: int) -> IntArray:
    """Return the bank of each column's activation, [groups, k], up to one rotation common to all columns."""
    total = layer.groups * layer.ci
    pitch, words = row_pitch(1, layer.window.kernel[1], total, banks), channel_pitch(total, banks)
    channels = np.arange(total, dtype=np.int64).reshape(layer.groups, layer.ci)
    return np.stack([window_offsets(layer.window, pitch, words, own) % banks for own in channels])
