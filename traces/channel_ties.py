"""Sets of channels that go together or stay together, and the groups in which they compete.

A union of sets over numbers; number 0 stands for everything that stays. Knows nothing of what ties channels.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from traces.channel_labels import Indices
from traces.layer import MatrixLayer, Network

Signature = tuple[tuple[int, int], ...]  # (MAKER, place of a layer with weights) or (a tensor's number, part of it)
MAKER = -1


class Ties:
    """Numbers of channels, those tied to each other, and why some stay. ``starts[layer]``: number of its first one."""

    def __init__(self, network: Network) -> None:
        self.starts: dict[str, int] = {}
        total = 1  # 0 is FIXED
        for layer in network.matrix_layers:
            self.starts[layer.name] = total
            total += layer.groups * layer.m
        self._parent = np.arange(total, dtype=np.int64)
        self._texts = [""]
        self._why = np.zeros(total, dtype=np.int64)
        self.consumed = np.zeros(total, dtype=np.bool_)
        self.parts: list[tuple[Indices, Indices]] = []  # channels, and the part of a tensor that each lies in

    def rows(self, layer: MatrixLayer) -> Indices:
        """Return the numbers of a layer's output channels."""
        start = self.starts[layer.name]
        return np.arange(start, start + layer.groups * layer.m, dtype=np.int64)

    def roots(self, ids: Indices) -> Indices:
        """Return the lowest number that each channel is tied to, FIXED where it stays."""
        found = self._parent[ids]
        while (found != (above := self._parent[found])).any():
            found = above
        return found

    @property
    def every(self) -> Indices:
        """The root of every number."""
        return self.roots(np.arange(len(self._parent), dtype=np.int64))

    def freeze(self, ids: Indices, reason: str) -> None:
        """Let channels stay, and all that are tied to them."""
        roots = np.unique(self.roots(ids.reshape(-1)))
        roots = roots[roots > 0]
        if not len(roots):
            return
        self._texts.append(reason)
        self._why[np.isin(self.every, roots)] = len(self._texts) - 1
        self._parent[roots] = 0

    def tie(self, first: Indices, second: Indices, reason: str, *, together: bool) -> None:
        """Tie channels pairwise. Those that meet FIXED stay; without ``together`` all stay that meet others."""
        a, b = self.roots(first.reshape(-1)), self.roots(second.reshape(-1))
        differ = a != b
        held = differ & ((a == 0) | (b == 0)) if together else differ
        if held.any():
            self.freeze(np.concatenate([a[held], b[held]]), f"{reason} to channels that stay" if together else reason)
        for left, right in {(int(x), int(y)) for x, y in zip(a[differ], b[differ], strict=True)}:
            x, y = sorted(int(root) for root in self.roots(np.asarray([left, right])))
            if x:
                self._parent[y] = x

    def reasons(self, layer: MatrixLayer) -> dict[str, int]:
        """Return why output channels of a layer stay, and how many each reason holds."""
        found: dict[str, int] = {}
        for text in self._why[self.rows(layer)].tolist():
            if text:
                found[self._texts[text]] = found.get(self._texts[text], 0) + 1
        return found


def signatures(network: Network, ties: Ties) -> Mapping[Signature, list[int]]:
    """Group the channels that may go: those made by the same layers, in the same parts of the same tensors."""
    roots = ties.every
    marks: dict[int, set[tuple[int, int]]] = {int(root): set() for root in np.unique(roots) if root}
    for index, layer in enumerate(network.matrix_layers):
        for root in np.unique(roots[ties.rows(layer)]):
            if root:
                marks[int(root)].add((MAKER, index))
    for index, (ids, parts) in enumerate(ties.parts):
        for root, part in {(int(r), int(p)) for r, p in zip(roots[ids], parts, strict=True)}:
            if root:
                marks[root].add((index, part))
    groups: dict[Signature, list[int]] = {}
    for root, found in marks.items():
        groups.setdefault(tuple(sorted(found)), []).append(root)
    return groups
