"""Small pictures as PNG within a page: cells in one colour, more opaque where a value is higher.

The colour reads on light and on dark ground alike, so that one picture serves both. Written by hand, since a page of 90
masks must stay small and a plotting library's picture is not. Left out: every other kind of PNG.
"""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
import numpy.typing as npt

INK = (0x2F, 0x80, 0xC8)  # 4.1 : 1 on white, 4.3 : 1 on the dark ground of pages
LEVELS = 16  # of opacity: what four bits a cell hold


def data_uri(values: npt.NDArray[np.float64]) -> str:
    """Return a picture of values [rows, columns], 0 (clear) to 1 (full), a cell a pixel. Raises ValueError if empty."""
    if values.ndim != 2 or not values.size:
        raise ValueError(f"values have shape {values.shape}, and must be [rows, columns]")
    steps = np.ceil(np.clip(values, 0.0, 1.0) * (LEVELS - 1)).astype(np.uint8)  # nothing kept is shown as none
    height, width = steps.shape
    padded = np.zeros((height, width + width % 2), dtype=np.uint8)
    padded[:, :width] = steps
    packed = (padded[:, 0::2] << 4) | padded[:, 1::2]
    lines = b"".join(b"\0" + line.tobytes() for line in packed)  # filter 0: bytes as they are
    opacity = bytes(round(255 * step / (LEVELS - 1)) for step in range(LEVELS))
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(kind, body)
        for kind, body in (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 4, 3, 0, 0, 0)),
            (b"PLTE", bytes(INK) * LEVELS),
            (b"tRNS", opacity),
            (b"IDAT", zlib.compress(lines, 9)),
            (b"IEND", b""),
        )
    )
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
