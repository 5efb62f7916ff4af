"""The headline in a terminal: its place, bars, narrow terminals, colours asked for or refused, plain text in pipes."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from gatherline.report.bars import bar
from gatherline.report.columns import Row, complete_row
from gatherline.report.table import console_for, print_report

BAND = {"latency_low_s": 0.5e-3, "latency_high_s": 8e-3}
NAMES = ("gs-tcm", "snapdragon-855")
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class AsciiTerminal(Terminal):
    encoding = "ascii"


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "140")
    return monkeypatch


def totals_of_a_run() -> list[Row]:
    """Two devices: the first gains 2x and is not validated, the second gains nothing and is validated."""
    rows = []
    for device, pruned_s, more in ((NAMES[0], 2e-3, {}), (NAMES[1], 5e-3, BAND)):
        for pattern, sparsity, seconds in (("dense", None, 4e-3), ("block:4x1", 0.9, pruned_s)):
            facts: dict[str, object] = {
                "model": "net", "layer": "total", "device": device, "device_kind": "mobile_cpu", "dtype": "fp16",
                "batch": 1, "pattern": pattern, "sparsity_target": sparsity, "latency_s": seconds, "density": 0.25,
                "cycles": 4000, "weight_bytes": 10**6, "peak_memory_bytes": 2 * 10**6, "bound": "compute",
            }  # fmt: skip
            rows.append(complete_row({**facts, **more}))
    return rows


def shown(stream: io.StringIO, rows: list[Row] | None = None) -> str:
    print_report(totals_of_a_run() if rows is None else rows, stream)
    return stream.getvalue()


def headline_of(text: str) -> list[str]:
    lines = ESCAPE.sub("", text).splitlines()
    return lines[next(at for at, line in enumerate(lines) if line.startswith("Fastest of what was tried")) :]


def test_the_headline_stands_at_the_end_with_a_row_for_each_device(screen: pytest.MonkeyPatch) -> None:
    told = headline_of(shown(Terminal()))
    gain, none = (next(line for line in told if line.startswith(name)) for name in NAMES)
    assert "block:4x1 at 90 %" in gain
    assert f"{4e-3 / 2e-3:.2f}x" in gain
    assert gain.rstrip().endswith("not validated")
    assert "dense" in none
    assert "0.500 to 8.00" in none
    assert told[-1].startswith("snapdragon-855: nothing that was tried is faster than dense")


def test_the_bar_of_a_speed_up_is_as_long_as_its_share_of_the_largest(screen: pytest.MonkeyPatch) -> None:
    gain, none = (next(line for line in headline_of(shown(Terminal())) if line.startswith(name)) for name in NAMES)
    assert gain.count("█") == 2 * none.count("█") > 0


def test_the_bar_of_a_latency_is_its_share_of_the_slowest(screen: pytest.MonkeyPatch) -> None:
    lines = ESCAPE.sub("", shown(Terminal())).splitlines()
    dense, pruned = (next(line for line in lines if line.startswith(name)) for name in ("dense", "block:4x1"))
    assert dense.count("█") == 2 * pruned.count("█") > 0


@pytest.mark.parametrize("width", [140, 80, 60, 40])
def test_no_name_and_no_number_is_cut_in_a_narrow_terminal(screen: pytest.MonkeyPatch, width: int) -> None:
    screen.setenv("COLUMNS", str(width))
    text = ESCAPE.sub("", shown(Terminal()))
    assert max(map(len, text.splitlines())) <= width
    assert "\u2026" not in text
    for whole in (*NAMES, "2.00x", "2.00", "block:4x1", "validated"):
        assert whole in " ".join(headline_of(text)), whole
    assert "Too narrow for: of slowest" not in text


def test_a_terminal_of_forty_columns_has_the_facts_below_each_other(screen: pytest.MonkeyPatch) -> None:
    screen.setenv("COLUMNS", "40")
    told = headline_of(shown(Terminal()))
    at = told.index(NAMES[0])
    assert told[at : at + 4] == [NAMES[0], "  block:4x1 at 90 %", "  2.00 ms, 2.00x dense", "  not validated"]


def test_a_pipe_has_neither_bars_nor_boxes_nor_colours_and_the_same_numbers(screen: pytest.MonkeyPatch) -> None:
    text = shown(io.StringIO())
    assert text.isascii()
    assert "\x1b" not in text
    assert "###" not in text
    gain = next(line for line in headline_of(text) if line.startswith(NAMES[0]))
    assert f"{4e-3 / 2e-3:.2f}x" in gain


def test_colours_follow_no_color_and_force_color(screen: pytest.MonkeyPatch) -> None:
    green = "\x1b[32m"
    assert green in shown(Terminal())
    screen.setenv("NO_COLOR", "1")
    assert green not in shown(Terminal())
    screen.delenv("NO_COLOR")
    screen.setenv("FORCE_COLOR", "1")
    forced = shown(io.StringIO())
    assert green in forced
    assert console_for(io.StringIO()).width > 140  # a file is wide, coloured or not


def test_a_dumb_terminal_gets_no_escape_codes_and_ascii_bars(screen: pytest.MonkeyPatch) -> None:
    screen.setenv("TERM", "dumb")
    text = shown(Terminal())
    assert "\x1b" not in text
    assert text.isascii()
    assert bar(1.0, 5, console_for(Terminal())) == "#####"


def test_a_terminal_without_unicode_gets_ascii_bars(screen: pytest.MonkeyPatch) -> None:
    assert "#####" in shown(AsciiTerminal())
    assert ESCAPE.sub("", shown(AsciiTerminal())).isascii()


def test_a_run_of_one_total_is_told_in_a_sentence(screen: pytest.MonkeyPatch) -> None:
    text = shown(Terminal(), totals_of_a_run()[:1])
    assert "Fastest of what was tried" not in text
    assert "gs-tcm: dense (density 0.2500): 4.00 ms (not validated)." in text


def test_variants_that_take_as_long_are_counted_in_the_table_and_named_below(screen: pytest.MonkeyPatch) -> None:
    pruned = totals_of_a_run()[1]
    told = headline_of(shown(Terminal(), [*totals_of_a_run()[:2], dict(pruned) | {"pattern": "gs:16,1"}]))
    assert any("block:4x1 at 90 % (+1 alike)" in line for line in told)
    assert told[-1].startswith("gs-tcm: fastest are, alike, block:4x1 at 90 %, gs:16,1 at 90 %: 2.00 ms, 2.00x dense")


def test_a_bar_shows_something_of_all_that_is_not_nothing() -> None:
    console = Console(file=Terminal(), force_terminal=True)
    assert bar(0.0, 8, console) == bar(float("inf"), 8, console) == bar(float("nan"), 8, console) == ""
    assert bar(1e-9, 8, console) == "▏"
    assert bar(0.5, 8, console) == "█" * 4
    assert bar(1.0, 8, console) == bar(7.0, 8, console) == "█" * 8


@pytest.mark.parametrize("width", [140, 60, 40])
def test_a_run_of_several_sparsities_answers_for_each_as_a_limit(screen: pytest.MonkeyPatch, width: int) -> None:
    screen.setenv("COLUMNS", str(width))
    dense, asked_90 = totals_of_a_run()[:2]
    asked_50 = {**asked_90, "sparsity_target": 0.5, "latency_s": 3.2e-3, "sparsity_reached": 0.7}
    told = headline_of(shown(Terminal(), [dense, asked_50, asked_90]))
    assert max(map(len, told)) <= width
    text = " ".join(" ".join(told).split())
    at_half, at_most = text.index("up to 50 %"), text.index("up to 90 %")
    assert at_half < text.index("4.00", at_half) < at_most < text.index("2.00x", at_half)
    assert "block" not in text[at_half:at_most]  # what was asked for half removes more
    assert "any" not in text


@pytest.mark.parametrize("width", [160, 80, 60, 40])
def test_the_band_of_a_speed_up_and_of_a_latency_is_told_or_said_to_be_left_out(
    screen: pytest.MonkeyPatch, width: int
) -> None:
    screen.setenv("COLUMNS", str(width))
    told = headline_of(shown(Terminal(), [{**row, **BAND} for row in totals_of_a_run()[:2]]))
    text = " ".join(" ".join(told).split())
    left_out = re.search(r"Too narrow for: [^.]*speed-up band", text)
    assert (f"{0.5 / 8:.2g}x to {8 / 0.5:.2f}x" in text) is (left_out is None)
    assert left_out is not None or "if errors are independent" in text
    assert "0.500 to 8.00" in text
    assert max(map(len, told)) <= width
