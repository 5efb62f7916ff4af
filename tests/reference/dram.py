"""A DRAM by its rules, from the log of every command issued so far: slow, and what the kernel must equal.

No state beside the log. The time of a command is the latest of what any rule asks for, over all earlier commands of
its channel. Nothing here is shared with the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

from simulator.spec import DramTiming


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command of a channel; a refresh has no group, bank or row."""

    kind: str  # "precharge", "activate", "read", "write", "refresh"
    time: int
    group: int = -1
    bank: int = -1
    row: int = -1


class Channel:
    """The log of one channel and the rules over it."""

    def __init__(self, timing: DramTiming) -> None:
        self.timing = timing
        self.log: list[Command] = []
        self.columns: list[int] = []

    def open_row(self, group: int, bank: int) -> int | None:
        for command in reversed(self.log):
            if command.kind == "refresh":
                return None
            if command.kind == "activate" and (command.group, command.bank) == (group, bank):
                return command.row
        return None

    def gap(self, before: Command, kind: str, group: int, bank: int) -> int | None:
        """Cycles that must pass from an earlier command to one of this kind; None where no rule relates them."""
        t = self.timing
        same_group = before.group == group
        same_bank = same_group and before.bank == bank
        is_column = kind in ("read", "write")
        match before.kind:
            case "refresh":
                return t.rfc if kind == "activate" else None
            case "precharge":
                return t.rp if kind == "activate" and same_bank else None
            case "activate" if kind == "activate":
                return t.rrd_l if same_group else t.rrd_s
            case "activate" if kind == "precharge" and same_bank:
                return t.ras
            case "activate" if is_column and same_bank:
                return t.rcd
            case "read" if kind == "precharge" and same_bank:
                return t.rtp
            case "write" if kind == "precharge" and same_bank:
                return t.cwl + t.burst + t.wr
            case "read" if is_column:
                command = t.ccd_l if same_group else t.ccd_s
                bus = t.cl + t.burst - t.cl if kind == "read" else t.cl + t.burst + t.turnaround - t.cwl
                return max(command, bus)
            case "write" if kind == "write":
                return max(t.ccd_l if same_group else t.ccd_s, t.burst)
            case "write" if kind == "read":
                command = t.ccd_l if same_group else t.ccd_s
                turn = t.cwl + t.burst + (t.wtr_l if same_group else t.wtr_s)
                return max(command, turn, t.cwl + t.burst - t.cl)
        return None

    def earliest(self, kind: str, group: int, bank: int, since: int, extra: list[Command]) -> int:
        log = self.log + extra
        time = since
        for command in log:
            gap = self.gap(command, kind, group, bank)
            if gap is not None:
                time = max(time, command.time + gap)
        if kind == "activate":
            activates = [command.time for command in log if command.kind == "activate"]
            if len(activates) >= 4:
                time = max(time, activates[-4] + self.timing.faw)
        return time

    def commands(self, group: int, bank: int, row: int, is_write: bool, visible: int) -> list[Command]:
        """The commands of a burst as things stand."""
        issued: list[Command] = []
        opened = self.open_row(group, bank)
        if opened != row:
            since = visible
            if opened is not None:
                since = self.earliest("precharge", group, bank, visible, issued)
                issued.append(Command(kind="precharge", time=since, group=group, bank=bank))
            since = self.earliest("activate", group, bank, since, issued)
            issued.append(Command(kind="activate", time=since, group=group, bank=bank, row=row))
        kind = "write" if is_write else "read"
        time = self.earliest(kind, group, bank, visible, issued)
        return [*issued, Command(kind=kind, time=time, group=group, bank=bank, row=row)]

    def refresh(self, due: int) -> None:
        """Every open bank is precharged as soon as it may be, then all are refreshed, not before it is due."""
        start = due
        for group in range(self.timing.bank_groups):
            for bank in range(self.timing.banks_per_group):
                if self.open_row(group, bank) is not None:
                    start = max(start, self.earliest("precharge", group, bank, 0, []) + self.timing.rp)
        self.log.append(Command(kind="refresh", time=start))

    def serve(self, group: int, bank: int, row: int, is_write: bool, arrival: int) -> tuple[int, int]:
        depth = self.timing.queue
        visible = max(arrival, self.columns[-depth]) if len(self.columns) >= depth else arrival
        issued = self.commands(group, bank, row, is_write, visible)
        while True:
            due = self.timing.refi * (1 + sum(command.kind == "refresh" for command in self.log))
            if issued[-1].time < due:
                break
            self.refresh(due)
            issued = self.commands(group, bank, row, is_write, visible)
        self.log += issued
        self.columns.append(issued[-1].time)
        latency = self.timing.cwl if is_write else self.timing.cl
        return visible, issued[-1].time + latency + self.timing.burst


class ReferenceDram:
    """All channels, and where an address lies."""

    def __init__(self, timing: DramTiming) -> None:
        self.timing = timing
        self.channels = [Channel(timing) for _ in range(timing.channels)]

    def place(self, burst: int) -> tuple[int, int, int, int]:
        """(channel, group, bank, row) of a burst's number."""
        burst, channel = divmod(burst, self.timing.channels)
        burst, group = divmod(burst, self.timing.bank_groups)
        burst //= self.timing.row_bytes // self.timing.burst_bytes
        row, bank = divmod(burst, self.timing.banks_per_group)
        return channel, group, bank, row

    def serve(self, address: int, size_bytes: int, is_write: bool, arrival: int) -> tuple[int, int]:
        first = address // self.timing.burst_bytes
        last = (address + size_bytes - 1) // self.timing.burst_bytes
        taken, done = arrival, arrival
        for burst in range(first, last + 1):
            channel, group, bank, row = self.place(burst)
            seen, end = self.channels[channel].serve(group, bank, row, is_write, arrival)
            taken, done = max(taken, seen), max(done, end)
        return taken, done
