"""Prints a calibration: the host, its memory levels, each kernel's error on matrices that its fit did not see."""

from __future__ import annotations

from typing import TextIO

from costmodel.calibrate.errors import Errors
from costmodel.calibrate.host_device import HostFit
from gatherline.calibration import Calibration
from gatherline.report.selection import printable


def print_calibration(done: Calibration, out: TextIO) -> None:
    """Write what was found to ``out``."""
    facts = done.table.manifest
    host = facts["host"]
    state = "in a virtual machine" if host["hypervisor"] else "on the metal"
    lines = [
        f"{printable(host['cpu'])}, {host['processors']} processors, {host['system']}, {state}, load {host['load']:.1f}"
    ]
    lines.append(", ".join(f"{name} {version}" for name, version in host["versions"].items()))
    if "gpu" in facts:
        lines.append(", ".join(f"{name} {value}" for name, value in facts["gpu"].items()))
    lines.append(f"{len(done.table.rows)} measurements, seed {facts['seed']}, {facts['date']}")
    if done.fit is not None:
        lines += ["", *_levels(done.fit, facts), "", *_kernels(done.fit)]
    if done.notes:
        lines += ["", *(f"note: {printable(note)}" for note in done.notes)]
    print("\n".join(lines), file=out)


def _levels(fit: HostFit, facts: object) -> list[str]:
    clock = fit.device.units[0].clock_hz
    lines = [f"clock {clock / 1e9:.2f} GHz"]
    lines.append("memory level       holds   GB/s, one thread" + ("   all" if fit.device.unit_count > 1 else ""))
    for level in fit.device.levels:
        holds = _bytes(level.bytes) if level.bytes is not None else "-"
        every = f" {level.total_bytes_per_s / 1e9:5.0f}" if fit.device.unit_count > 1 else ""
        lines.append(f"{level.name:12} {holds:>11}   {level.unit_bytes_per_s / 1e9:16.1f}{every}")
    knees = [f"{_bytes(one.bytes)}" for one in fit.plateaus if one.bytes is not None]
    lines.append(f"reads slow down past {', '.join(knees) or 'no footprint that was tried'}")
    return lines


def _kernels(fit: HostFit) -> list[str]:
    lines = [
        "Error of the fitted device on matrices it was not fitted on (spread: of the measurements themselves)",
        "kernel             fitted held out   median 90th pct within 10 %    bias  spread",
    ]
    for one in fit.kernels:
        found: Errors = one.held_out_errors
        lines.append(
            f"{one.kernel.name:18} {one.fitted_errors.rows:6} {found.rows:8} {found.median:8.1%} {found.p90:8.1%} "
            f"{found.within_tenth:11.0%} {found.bias:+7.1%} {found.spread:7.1%}"
        )
    return lines


def _bytes(count: int | None) -> str:
    if count is None:
        return "-"
    return f"{count / 1024:.0f} KiB" if count < 1 << 20 else f"{count / (1 << 20):.1f} MiB"
