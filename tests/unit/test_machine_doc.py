"""``docs/machine.md`` says what the machine does: its tables are made again, and the kernels give their numbers."""

from __future__ import annotations

import importlib.util
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from simulator.machine import granted, run_stream, schedule
from simulator.schedule.mapping import parse_mapping
from tests.machine_document import (
    DOCUMENT,
    GROUPS,
    IN_ORDER,
    LOCKSTEP,
    MACHINES,
    OUT_OF_ORDER,
    STREAM,
    TABLE,
    TABLES,
    device,
    play,
    request_stream,
    rewritten,
)
from traces.stream import check_stream

TEXT = DOCUMENT.read_text(encoding="utf-8")
SENTENCES = " ".join(TEXT.split())


def test_every_table_of_the_document_is_what_the_twin_makes() -> None:
    found = [name for _, name, _ in TABLE.findall(TEXT)]
    assert sorted(found) == sorted(TABLES)
    assert rewritten(TEXT) == TEXT, "run python -m tests.machine_document"


def test_a_wrong_number_in_the_document_is_noticed() -> None:
    row = re.search(r"^\| `window = 1` \| 10 \| .*$", TEXT, re.MULTILINE)
    assert row is not None
    assert rewritten(TEXT.replace(row[0], row[0].replace("10", "11"))) == TEXT


@pytest.mark.parametrize("name", list(MACHINES))
def test_the_kernels_give_the_times_of_the_document(name: str) -> None:
    machine = MACHINES[name]
    _, twin = play(machine)
    stream, built = request_stream(), device(machine)
    check_stream(stream, machine.lanes)
    units = (built.gather, built.scratchpad, built.mac, built.scatter)
    times = schedule(stream, *units, interval=Fraction(1))
    for kernel, expected in zip(times, (twin.granted, twin.consumed, twin.start, twin.end), strict=True):
        np.testing.assert_array_equal(kernel, expected)
    np.testing.assert_array_equal(granted(stream, *units[:2], interval=Fraction(1)), twin.granted)
    cycles = run_stream(stream, *units, interval=Fraction(1))
    assert (cycles.gather, cycles.cycles, cycles.waiting_words) == (twin.gather_cycles, twin.cycles, twin.waiting)


def test_what_the_text_says_of_the_example_is_so() -> None:
    parameters = (LOCKSTEP.latency, LOCKSTEP.mac_latency, LOCKSTEP.rmw_cycles, LOCKSTEP.interval_num)
    assert "`latency` {}, `mac_latency` {}, `rmw_cycles` {}, interval {}.".format(*parameters) in SENTENCES
    banks = [[address % LOCKSTEP.banks for _, address in group] for group in GROUPS]
    costs = [max(map(in_group.count, in_group)) for in_group in banks]
    assert f"take {' + '.join(map(str, costs))} cycles" in SENTENCES
    (_, lockstep), (in_order, windowed), (out_of_order, free) = map(play, (LOCKSTEP, IN_ORDER, OUT_OF_ORDER))
    assert lockstep.gather_cycles == sum(costs)
    blocked = (1, 3, 13)
    hidden = [t for t, cycle in enumerate(in_order) if blocked in cycle.visible and blocked not in cycle.offered]
    assert hidden == [1, 2]
    bank = blocked[2] % LOCKSTEP.banks
    assert all(address % LOCKSTEP.banks != bank for _, _, address in in_order[1].granted)
    assert blocked in in_order[3].granted
    assert "request 1.3 is hidden behind 0.3 on lane 3 until cycle 3, although bank 1 is free in cycle 1" in SENTENCES
    assert blocked in out_of_order[1].granted
    assert free.granted[1] < free.granted[0]
    assert free.gather_cycles == windowed.gather_cycles - 1
    assert free.cycles == windowed.cycles
    ready = windowed.consumed[-1] + IN_ORDER.mac_latency
    assert f"bundle 1 is ready in cycle {ready} and starts in cycle {windowed.start[1]}:" in SENTENCES
    assert windowed.start[1] > ready == free.consumed[-1] + OUT_OF_ORDER.mac_latency
    assert lockstep.start[1] == lockstep.consumed[-1] + LOCKSTEP.mac_latency
    assert {address % LOCKSTEP.banks for address in STREAM.scatter[0]} == {0}
    assert f"the {sum(map(len, GROUPS))} multiply-adds over {LOCKSTEP.lanes} lanes" in SENTENCES


def test_the_mapping_that_the_text_explains_reads_as_it_says() -> None:
    found = re.search(r"`(rows=[^`]*)`", SENTENCES)
    assert found is not None
    mapping = parse_mapping(found[1])
    (height, width), (samples, *grid) = mapping.tile, mapping.strips
    assert f"a tile is {mapping.rows} output channels at {height}x{width} positions of every strip" in SENTENCES
    assert f"with {mapping.channels} input channels; strips are {samples} sample" in SENTENCES
    assert f"a grid of {grid[0]}x{grid[1]}" in SENTENCES
    assert mapping.order == "rpc"
    assert "over rows, positions and channels" in SENTENCES


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\]\((?!http)([^)#]+)\)", TEXT))))
def test_a_file_that_the_document_links_to_exists(name: str) -> None:
    assert (DOCUMENT.parent / name).exists()


def test_the_drawing_is_made_by_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = DOCUMENT.parent / "draw_machine.py"
    spec = importlib.util.spec_from_file_location("draw_machine", source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr("sys.argv", ["draw_machine.py", str(tmp_path / "machine.png")])
    module.main()
    from matplotlib.image import imread

    made, kept = imread(tmp_path / "machine.png"), imread(DOCUMENT.parent / "images" / "machine.png")
    assert made.shape == kept.shape
    assert float(np.abs(made - kept).mean()) < 0.01  # fonts are drawn a little differently elsewhere
