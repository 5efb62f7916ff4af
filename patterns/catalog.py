"""Every pattern of this version as data, and the spellings that the command line takes. DESIGN sections 3 and 7."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from patterns.bank_balanced import BankBalanced
from patterns.base import Pattern, PatternError
from patterns.block import Block
from patterns.block_punched import DEFAULT_TAPS, BlockPunched
from patterns.channel import Channel
from patterns.channel_then import ChannelThen
from patterns.dense import Dense
from patterns.filter_balanced import FilterBalanced
from patterns.gs import GatherScatter
from patterns.gs_scatter import GatherScatterPermuted
from patterns.kernel_pattern import KernelPattern
from patterns.n_of_m import NOfM
from patterns.n_of_m_both import NOfMBoth
from patterns.names import nearest
from patterns.unstructured import Unstructured


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternKind:
    """One family of patterns: its name, how it is spelled, an example, what it does and where it comes from.

    ``arguments``: a regular expression of what may follow the colon ("" for nothing); ``make`` takes its groups. A
    ``joined`` kind is two rules with a plus between them; the expression is of the whole spelling.
    """

    name: str
    syntax: str
    example: str
    summary: str
    source: str
    arguments: str
    make: Callable[..., Pattern]
    joined: bool = False


def _unstructured(scope: str) -> Pattern:
    return Unstructured(scope="global" if scope else "layer")


def _n_of_m(n: str, m: str) -> Pattern:
    return NOfM(n=int(n), m=int(m))


def _n_of_m_both(n: str, m: str) -> Pattern:
    return NOfMBoth(n=int(n), m=int(m))


def _block_punched(height: str, width: str, taps: str) -> Pattern:
    return BlockPunched(height=int(height), width=int(width) if width else None, taps=int(taps or DEFAULT_TAPS))


def _channel_then(ratio: str, rule: str) -> Pattern:
    return ChannelThen(ratio=float(ratio) if ratio else None, rule=parse_pattern(rule))


def _block(height: str, width: str) -> Pattern:
    return Block(height=int(height), width=int(width))


def _gs(banks: str, k: str, greedy: str) -> Pattern:
    return GatherScatter(banks=int(banks), k=int(k), projection="greedy" if greedy else "optimal")


def _gs_scatter(banks: str, k: str, greedy: str) -> Pattern:
    return GatherScatterPermuted(banks=int(banks), k=int(k), projection="greedy" if greedy else "optimal")


def _kernel_pattern(last_shape: str) -> Pattern:
    return KernelPattern(last_shape="mest" if last_shape else "centred")


def _bank_balanced(segments: str) -> Pattern:
    return BankBalanced(segments=int(segments))


ALL_PATTERNS: tuple[PatternKind, ...] = (
    PatternKind(
        name="dense",
        syntax="dense",
        example="dense",
        summary="every weight kept",
        source="definition",
        arguments="",
        make=Dense,
    ),
    PatternKind(
        name="unstructured",
        syntax="unstructured[:global]",
        example="unstructured",
        summary="the largest weights of each layer, or of the whole model (:global)",
        source="Han et al., Learning both weights and connections, NeurIPS 2015, arXiv 1506.02626",
        arguments="(global)?",
        make=_unstructured,
    ),
    PatternKind(
        name="n_of_m",
        syntax="n_of_m:N,M",
        example="n_of_m:2,4",
        summary="the N largest of every M consecutive weights of a row; N and M fix the density",
        source="Mishra et al., Accelerating sparse deep neural networks, 2021, arXiv 2104.08378",
        arguments=r"(\d{1,9}),(\d{1,9})",
        make=_n_of_m,
    ),
    PatternKind(
        name="n_of_m_both",
        syntax="n_of_m_both:N,M",
        example="n_of_m_both:2,4",
        summary="N of every M along rows and columns at once: each MxM tile keeps N in each row and column",
        source="Hubara et al., Accelerated sparse neural training, NeurIPS 2021, arXiv 2102.08124",
        arguments=r"(\d{1,9}),(\d{1,9})",
        make=_n_of_m_both,
    ),
    PatternKind(
        name="block",
        syntax="block:HxW",
        example="block:4x1",
        summary="whole blocks of H rows by W columns, by L2 norm (1xB horizontal, Bx1 vertical)",
        source="Narang et al., Block-sparse recurrent neural networks, 2017, arXiv 1711.02782",
        arguments=r"(\d{1,9})x(\d{1,9})",
        make=_block,
    ),
    PatternKind(
        name="block_punched",
        syntax="block_punched:H[xW][,T]",
        example="block_punched:8x4",
        summary="kernels of H filters by W channels (default all) keep the same of their T positions (default 9)",
        source="Cai et al., YOLObile, AAAI 2021, arXiv 2009.05697",
        arguments=r"(\d{1,9})(?:x(\d{1,9}))?(?:,(\d{1,9}))?",
        make=_block_punched,
    ),
    PatternKind(
        name="channel",
        syntax="channel",
        example="channel",
        summary="whole output channels by L2 norm; layers become smaller and dense",
        source="Li et al., Pruning filters for efficient ConvNets, ICLR 2017, arXiv 1608.08710",
        arguments="",
        make=Channel,
    ),
    PatternKind(
        name="channel+",
        syntax="channel[:R]+P",
        example="channel+gs:16,16",
        summary="channels first (R of them, default 1 - (1 - sparsity)^(1/4)), then pattern P on what remains",
        source="Li et al., arXiv 1608.08710, for the channels; the source of P",
        arguments=r"channel(?::(0?\.\d{1,9}|0))?\+(.+)",
        make=_channel_then,
        joined=True,
    ),
    PatternKind(
        name="kernel_pattern",
        syntax="kernel_pattern[:mest]",
        example="kernel_pattern",
        summary="3x3 kernels keep 4 of 9 in one of 8 shapes, filters the same number of kernels; others unstructured",
        source="Niu et al., PatDNN, ASPLOS 2020, arXiv 2001.00138; Yuan et al., MEST, NeurIPS 2021, arXiv 2110.14032",
        arguments="(mest)?",
        make=_kernel_pattern,
    ),
    PatternKind(
        name="bank_balanced",
        syntax="bank_balanced:S",
        example="bank_balanced:16",
        summary="each row cut in S equal segments, the same count kept in each",
        source="Cao et al., Bank-balanced sparsity, FPGA 2019, doi 10.1145/3289602.3293898",
        arguments=r"(\d{1,9})",
        make=_bank_balanced,
    ),
    PatternKind(
        name="filter_balanced",
        syntax="filter_balanced",
        example="filter_balanced",
        summary="every row of a layer keeps the same count",
        source="Han et al., ESE, FPGA 2017, arXiv 1612.00694",
        arguments="",
        make=FilterBalanced,
    ),
    PatternKind(
        name="gs",
        syntax="gs:B,k[,greedy]",
        example="gs:16,1",
        summary="conflict-free groups of B weights from B banks, at most k of a row, B/k rows a bundle",
        source="Sun et al., Load-balanced gather-scatter patterns, 2021, arXiv 2112.10898",
        arguments=r"(\d{1,9}),(\d{1,9})(,greedy)?",
        make=_gs,
    ),
    PatternKind(
        name="gs_scatter",
        syntax="gs_scatter:B,k[,greedy]",
        example="gs_scatter:16,1",
        summary="gs:B,k after sorting the rows by what they keep",
        source="Sun et al., Load-balanced gather-scatter patterns, 2021, arXiv 2112.10898",
        arguments=r"(\d{1,9}),(\d{1,9})(,greedy)?",
        make=_gs_scatter,
    ),
)


def kind_of(text: str) -> PatternKind:
    """Return the family of the pattern that ``text`` spells. Raises PatternError for a name that is not known."""
    name = text.strip().partition(":")[0]
    joined = "+" in text
    kind = next((kind for kind in ALL_PATTERNS if kind.joined == joined and (joined or kind.name == name)), None)
    if kind is None:
        raise PatternError(f"pattern {text!r} is not known; {nearest(name, [kind.name for kind in ALL_PATTERNS])}")
    return kind


def parse_pattern(text: str) -> Pattern:
    """Return the pattern that ``text`` spells, as in ``gs:16,1``. Raises PatternError."""
    kind = kind_of(text)
    _, colon, arguments = text.strip().partition(":")
    if kind.joined:
        colon, arguments = "joined", text.strip()
    found = re.fullmatch(kind.arguments, arguments, flags=re.ASCII)
    if found is None or bool(colon) != bool(arguments):
        raise PatternError(f"pattern {text!r}: must be spelled {kind.syntax}, as in {kind.example}")
    return kind.make(*found.groups(default=""))
