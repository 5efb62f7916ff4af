"""What one mask takes in each encoding, or why it does not go into one."""

from __future__ import annotations

from patterns.base import BankOfColumn, Mask, Pattern
from patterns.encodings.base import AnyWidths, EncodedSize, EncodingError
from patterns.encodings.catalog import ALL_ENCODINGS


def encoding_sizes(
    mask: Mask, pattern: Pattern, widths: AnyWidths, banks: BankOfColumn | None = None
) -> list[tuple[str, EncodedSize | str]]:
    """Return (name, size, or the reason why it cannot) of ``mask`` [m, k] for every encoding of the catalog.

    banks [k]: bank of each column's activation, None for column mod B. A size may be that of slots that hold more than
    the mask keeps: dense stores its zeros, bsr whole blocks.
    """
    found: list[tuple[str, EncodedSize | str]] = []
    for member in ALL_ENCODINGS:
        try:
            found.append((member.name, member.size(mask, pattern, widths, banks)))
        except EncodingError as error:
            found.append((member.name, str(error)))
    return found
