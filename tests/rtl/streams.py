"""Streams with data for the hardware: random, GS, strided and adversarial ones, and the sums that must come out.

A stream of DESIGN section 5 says which words are asked for; here each request also has a weight and names the output of
its bundle that its product is added to. Lanes hold whole words of ``VECTOR`` elements.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.reference.machine import Machine
from tests.rtl.build import LATENCY_MOST, PORTS_MOST, SUMS, VECTOR, WINDOW_MOST, WORDS
from traces.stream import RequestStream, check_stream

Ints = npt.NDArray[np.int64]
Rng = np.random.Generator

WINDOWS = (1, 1, 2, 3, 4, 5, 8, 13, 16, 31, WINDOW_MOST)
INTERVALS = ((1, 1), (1, 1), (1, 1), (1, 2), (2, 3), (5, 4), (3, 2), (2, 1), (7, 3), (4, 1), (1, 9), (11, 10))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """One run of the hardware: a parameter set, a stream, its data and the words that the output banks hold after.

    ``weight``, ``target`` [requests of one repeat]; ``activation``, ``output``, ``expected`` [WORDS, VECTOR].
    """

    name: str
    machine: Machine
    stream: RequestStream
    weight: Ints
    target: Ints
    activation: Ints
    output: Ints
    expected: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Flat:
    """A stream with its repeats laid end to end: what the hardware is fed."""

    group_ptr: Ints
    lane: Ints
    address: Ints
    weight: Ints
    target: Ints
    bundle_end: Ints
    scatter_ptr: Ints
    scatter_address: Ints


def flatten(stream: RequestStream, weight: Ints, target: Ints) -> Flat:
    """Concatenate the repeats, each moved by its offset."""
    repeats = range(stream.repeats)

    def ends(pointer: Ints) -> Ints:
        return np.concatenate([[0], *(pointer[1:] + j * pointer[-1] for j in repeats)])

    return Flat(
        group_ptr=ends(stream.group_ptr),
        lane=np.tile(stream.lane.astype(np.int64), stream.repeats),
        address=np.concatenate([stream.address + offset for offset in stream.offsets()]),
        weight=np.tile(weight, stream.repeats),
        target=np.tile(target, stream.repeats),
        bundle_end=np.concatenate([stream.bundle_end + j * stream.groups for j in repeats]),
        scatter_ptr=ends(stream.scatter_ptr),
        scatter_address=np.concatenate([stream.scatter_address + j * stream.scatter_stride for j in repeats]),
    )


def product(flat: Flat, activation: Ints, output: Ints) -> Ints:
    """``output`` plus the sparse matrix times ``activation``: request i is the entry (its output, its address)."""
    group = np.repeat(np.arange(len(flat.group_ptr) - 1), np.diff(flat.group_ptr))
    bundle = np.searchsorted(flat.bundle_end, group, side="right")
    kept = flat.scatter_ptr[bundle + 1] > flat.scatter_ptr[bundle]  # a bundle without addresses writes nothing
    entry = np.flatnonzero(kept)
    row = flat.scatter_address[flat.scatter_ptr[bundle[entry]] + flat.target[entry]]
    total = output.copy()
    np.add.at(total, row, flat.weight[entry, None] * activation[flat.address[entry]])
    return total


def random_machine(rng: Rng, lanes: int, banks: int) -> Machine:
    """A parameter set: everything that is an input of the hardware at run time."""
    num, den = INTERVALS[rng.integers(len(INTERVALS))]
    hashed = banks & (banks - 1) == 0 and rng.random() < 0.4
    return Machine(
        lanes=lanes,
        banks=banks,
        window=int(rng.choice(WINDOWS)),
        interval_num=num,
        interval_den=den,
        order=str(rng.choice(["in_order", "out_of_order"])),
        ports=int(rng.choice([1, 1, 2, 3, PORTS_MOST])),
        coalesce=bool(rng.random() < 0.5),
        latency=int(rng.choice([1, 2, 3, 7, LATENCY_MOST])),
        hash="xor" if hashed else "none",
        mac_latency=int(rng.choice([1, 2, 5, LATENCY_MOST])),
        rmw_cycles=int(rng.choice([1, 1, 2, 3, 5])),
        scatter_ports=int(rng.choice([1, 1, 2, PORTS_MOST])),
    )


def _data(rng: Rng) -> tuple[Ints, Ints]:
    """Words of both scratchpads. Small: no sum of a run leaves 32 bits."""
    return rng.integers(-128, 128, (WORDS, VECTOR)), rng.integers(-(2**20), 2**20, (WORDS, VECTOR))


def _repeats(rng: Rng, repeats: int, address: Ints, scatter_address: Ints) -> dict[str, Any]:
    """How far each repeat is moved: addresses of every repeat stay below WORDS."""
    if repeats == 1:
        return {}
    room = WORDS - 1 - int(address.max())
    scatter_room = WORDS - 1 - int(scatter_address.max(initial=0))
    moved: dict[str, Any] = {"repeats": repeats, "scatter_stride": int(rng.integers(0, scatter_room // repeats + 1))}
    if rng.random() < 0.5:
        return {**moved, "repeat_stride": int(rng.integers(0, room // repeats + 1))}
    return {**moved, "repeat_offset": rng.integers(0, room + 1, repeats)}


def _case(
    rng: Rng,
    name: str,
    machine: Machine,
    repeats: int,
    asked: npt.NDArray[np.bool_],
    at: Ints,
    ends: Ints,
    scatter: list[Ints],
) -> Case:
    """A case from a table of groups and lanes: ``asked`` and ``at`` [groups, lanes], output addresses per bundle."""
    group, lane = np.nonzero(asked)
    order = np.lexsort((rng.random(len(group)), group))  # lanes of a group are listed in any order
    group, lane = group[order], lane[order]
    scatter_ptr = np.concatenate([[0], np.cumsum([len(addresses) for addresses in scatter])]).astype(np.int64)
    scatter_address = np.concatenate([*scatter, np.empty(0, np.int64)]).astype(np.int64)
    address = at[group, lane]
    stream = RequestStream(
        name=name,
        group_ptr=np.concatenate([[0], np.cumsum(asked.sum(axis=1))]).astype(np.int64),
        lane=lane.astype(np.int16),
        address=address,
        bundle_end=ends,
        scatter_ptr=scatter_ptr,
        scatter_address=scatter_address,
        **_repeats(rng, repeats, address, scatter_address),
    )
    check_stream(stream, machine.lanes)
    counts = np.diff(scatter_ptr)[np.searchsorted(ends, group, side="right")]
    weight = rng.integers(-128, 128, len(group))
    target = rng.integers(0, np.maximum(counts, 1))
    activation, output = _data(rng)
    expected = product(flatten(stream, weight, target), activation, output)
    return Case(
        name=name,
        machine=machine,
        stream=stream,
        weight=weight,
        target=target,
        activation=activation,
        output=output,
        expected=expected,
    )


def _ends(rng: Rng, groups: int, mean: float) -> Ints:
    """Ends of bundles of ``mean`` groups, at random places."""
    ends = np.flatnonzero(rng.random(groups) < 1 / mean) + 1
    return np.union1d(ends, [groups]).astype(np.int64)


def random_case(rng: Rng, machine: Machine, groups: int, repeats: int) -> Case:
    """Any lanes, any addresses of a small or large range, bundles of any length with 0 to SUMS outputs."""
    span = int(rng.choice([machine.banks, 3 * machine.banks + 1, WORDS // 2]))
    asked = rng.random((groups, machine.lanes)) < rng.choice([0.3, 0.8, 1.0])
    asked[np.arange(groups), rng.integers(0, machine.lanes, groups)] = True
    ends = _ends(rng, groups, float(rng.choice([1.5, 4, 20])))
    most, outputs = int(rng.choice([2, machine.lanes, SUMS])), int(rng.choice([4, WORDS // 2]))
    scatter = [rng.integers(0, outputs, rng.integers(0, most + 1)) for _ in ends]
    return _case(rng, "random", machine, repeats, asked, rng.integers(0, span, asked.shape), ends, scatter)


def strided_case(rng: Rng, machine: Machine, groups: int, repeats: int) -> Case:
    """A dense loop nest: lane l of group g asks for base + g * step + l * stride, outputs follow a stride too."""
    banks = machine.banks
    strides = [0, 1, 2, banks // 2, banks - 1, banks, banks + 1, 2 * banks]
    stride, step, scatter_stride = (int(rng.choice(strides)) for _ in range(3))
    group, lane = np.mgrid[:groups, : machine.lanes]
    at = (int(rng.integers(0, 99)) + group * step + lane * stride) % (WORDS // 2)
    asked = np.broadcast_to(np.arange(machine.lanes) < rng.integers(1, machine.lanes + 1), at.shape)
    length, outputs = int(rng.integers(1, 30)), int(rng.integers(1, SUMS + 1))
    ends = np.union1d(np.arange(length, groups, length), [groups]).astype(np.int64)
    scatter = [(b + np.arange(outputs) * scatter_stride) % (WORDS // 2) for b in range(len(ends))]
    return _case(rng, "strided", machine, repeats, asked, at, ends, scatter)


def adversarial_case(rng: Rng, machine: Machine, groups: int, repeats: int) -> Case:
    """Short stretches, each against one thing: a single bank, one hot address, one busy lane, a burst that retires at
    once; bundles of one group whose outputs share a bank or an address, and bundles without outputs."""
    lanes, banks = machine.lanes, machine.banks
    asked, at = np.ones((groups, lanes), bool), np.zeros((groups, lanes), np.int64)
    first = 0
    while first < groups:
        rows = slice(first, first + int(rng.integers(1, 80)))
        shape = at[rows].shape
        free = np.arange(lanes) + np.arange(shape[0])[:, None]
        far = rng.integers(0, WORDS // (2 * banks), shape) * banks
        match rng.integers(6):
            case 0:  # every lane wants one bank
                at[rows] = far + rng.integers(banks)
            case 1:  # every lane wants one word, or one of two words of a bank
                at[rows] = rng.integers(WORDS // 4) + banks * rng.integers(0, 2, shape)
            case 2:  # one lane, alone
                at[rows] = far
                asked[rows] = np.arange(lanes) == rng.integers(lanes)
            case 3:  # lane 0 always meets bank 0, the others are free
                at[rows] = far + free % banks
                at[rows, 0] = far[:, 0]
            case 4:  # one slow group in front of fast ones: they retire together
                at[rows] = free % banks
                at[rows][:: int(rng.integers(2, 12))] = banks * np.arange(lanes)
            case _:  # two groups fight for each bank, alternating
                at[rows] = far + (free + np.arange(shape[0])[:, None] % 2) % banks
        first = rows.stop
    ends = _ends(rng, groups, float(rng.choice([1, 1.2, 3])))
    kind, base = rng.choice(4, len(ends), p=[0.6, 0.1, 0.2, 0.1]), rng.integers(0, WORDS // 4, len(ends))
    count = np.arange(SUMS)
    made = ([], count * banks, count * 0, count // 2 * banks)  # none, one bank, one address, pairs
    scatter = [
        np.asarray(made[k], np.int64)[: rng.integers(1, SUMS + 1)] + start for k, start in zip(kind, base, strict=True)
    ]
    return _case(rng, "adversarial", machine, repeats, asked, at, ends, scatter)


def gs_case(rng: Rng, machine: Machine, groups: int, repeats: int) -> Case:
    """A GS matrix times a block of vectors: each group takes k entries of each row of a bundle, spread over the banks.

    The matrix is dense in memory and the expected sums are its product: nothing of the stream's order enters.
    """
    lanes, banks = machine.lanes, machine.banks
    k = int(rng.choice([d for d in range(1, lanes + 1) if lanes % d == 0 and lanes // d <= SUMS]))
    rows_of_bundle = lanes // k
    depth = 1 << int(np.log2(WORDS // 2 // banks))  # columns of a bank
    length = int(rng.integers(1, max(2, min(24, depth // (k * -(-lanes // banks))))))
    bundles = max(1, min(groups // length, WORDS // 4 // rows_of_bundle))
    groups = bundles * length
    lane = np.arange(lanes)
    bank = rng.permuted(np.tile(lane % banks, (groups, 1)), axis=1)
    if banks > lanes:
        bank = rng.permuted(np.tile(np.arange(banks), (groups, 1)), axis=1)[:, :lanes]
    row = np.arange(groups)[:, None] // length * rows_of_bundle + lane // k
    key = (row * banks + bank).ravel()  # the n-th entry of a row in a bank gets the bank's n-th column of an odd walk
    order = np.argsort(key, kind="stable")
    _, counts = np.unique(key, return_counts=True)
    nth = np.empty(len(key), np.int64)
    nth[order] = np.arange(len(key)) - np.repeat(np.cumsum(counts) - counts, counts)
    walk = (nth * int(rng.integers(0, depth // 2) * 2 + 1) + key * 7) % depth
    column = bank + banks * walk.reshape(bank.shape)
    base, out = int(rng.integers(0, 9)) * banks, int(rng.integers(0, WORDS // 4))
    scatter = [out + b * rows_of_bundle + np.arange(rows_of_bundle) for b in range(bundles)]
    ends = np.arange(1, bundles + 1, dtype=np.int64) * length
    case = _case(rng, "gs", machine, repeats, np.ones_like(bank, bool), base + column, ends, scatter)
    stream = case.stream
    group = np.repeat(np.arange(groups), lanes)
    matrix = np.zeros((bundles * rows_of_bundle, depth * banks), np.int64)
    at = (row[group, stream.lane], column[group, stream.lane])
    assert len(np.unique(at[0] * WORDS + at[1])) == len(case.weight), "a matrix has one entry at a place"
    matrix[at] = case.weight
    expected = case.output.copy()
    for j, offset in enumerate(stream.offsets()):
        first = base + int(offset)
        start = out + j * stream.scatter_stride
        expected[start : start + len(matrix)] += matrix @ case.activation[first : first + matrix.shape[1]]
    return replace(case, target=(stream.lane // k).astype(np.int64), expected=expected)


FAMILIES: tuple[Callable[[Rng, Machine, int, int], Case], ...] = (random_case, gs_case, strided_case, adversarial_case)


def cases(rng: Rng, lanes: int, banks: int, groups: int) -> list[Case]:
    """One parameter set on a stream of each family, of about ``groups`` groups with all repeats."""
    machine = random_machine(rng, lanes, banks)
    made = []
    for family in FAMILIES:
        repeats = int(rng.choice([1, 1, 2, 3, 5]))
        made.append(family(rng, machine, max(1, groups // repeats), repeats))
    return made
