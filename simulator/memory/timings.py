"""DRAM timings: frozen presets, each value from a published configuration unless its line says "assumed".

Sources: configurations of DRAMsim3 (umd-memsys/DRAMsim3, ``configs/``), rows copied into
``validation/dram_timing.csv``, and of Ramulator 2 for LPDDR5. Clocks are half the data rate in the name, as the files'
tCK is rounded. Leaves out: per-bank refresh, temperature, power-down.
"""

from __future__ import annotations

from dataclasses import replace

from simulator.spec import DramTiming

LPDDR4_2400 = DramTiming(  # DRAMsim3 LPDDR4_8Gb_x16_2400.ini
    name="lpddr4-2400",
    clock_hz=1_200_000_000,
    channels=4,  # the file runs four x16 devices in lockstep; a channel of LPDDR4 is x16. The peak is the same
    bank_groups=2,
    banks_per_group=4,
    row_bytes=1024 * 16 // 8,  # columns x width
    burst_bytes=16 * 16 // 8,  # BL x width
    burst=16 // 2,  # two data a cycle
    queue=32,  # assumed
    cl=17,
    cwl=14,
    rcd=15,
    rp=15,
    ras=32,
    rrd_s=8,
    rrd_l=8,
    faw=32,
    ccd_s=4,
    ccd_l=6,
    wr=30,
    rtp=12,
    wtr_s=8,
    wtr_l=16,
    turnaround=1,  # assumed
    refi=8660,
    rfc=392,
)
DDR4_3200 = DramTiming(  # DRAMsim3 DDR4_8Gb_x8_3200.ini
    name="ddr4-3200",
    clock_hz=1_600_000_000,
    channels=1,
    bank_groups=4,
    banks_per_group=4,
    row_bytes=1024 * 64 // 8,
    burst_bytes=8 * 64 // 8,
    burst=8 // 2,
    queue=32,  # assumed
    cl=22,
    cwl=16,
    rcd=22,
    rp=22,
    ras=52,
    rrd_s=4,
    rrd_l=8,
    faw=34,
    ccd_s=4,
    ccd_l=8,
    wr=24,
    rtp=12,
    wtr_s=4,
    wtr_l=12,
    turnaround=1,  # assumed
    refi=12480,
    rfc=560,
)
HBM2 = DramTiming(  # DRAMsim3 HBM2_8Gb_x128.ini
    name="hbm2",
    clock_hz=1_000_000_000,
    channels=8,
    bank_groups=4,
    banks_per_group=4,
    row_bytes=64 * 128 // 8,
    burst_bytes=4 * 128 // 8,
    burst=4 // 2,
    queue=32,  # assumed
    cl=14,
    cwl=4,
    rcd=14,  # tRCDRD and tRCDWR of the file
    rp=14,
    ras=34,
    rrd_s=4,
    rrd_l=6,
    faw=30,
    ccd_s=1,
    ccd_l=2,
    wr=16,
    rtp=6,  # tRTP_L of the file, the longer of two
    wtr_s=6,
    wtr_l=8,
    turnaround=1,  # assumed
    refi=3900,
    rfc=260,
)
LPDDR5_6400 = DramTiming(  # Ramulator 2 lpddr5.py, which cites JESD209-5B; 800 MHz CK, 4:1 WCK
    name="lpddr5-6400",
    clock_hz=800_000_000,
    channels=4,  # 4 x 16 bit, 51.2 GB/s, as on a Snapdragon 888
    bank_groups=4,
    banks_per_group=4,  # assumed: bank-group mode
    row_bytes=2048,  # assumed
    burst_bytes=16 * 16 // 8,
    burst=2,
    queue=32,  # assumed
    cl=17,
    cwl=9,
    rcd=15,
    rp=15,
    ras=34,
    rrd_s=4,  # assumed: 5 ns
    rrd_l=4,  # assumed
    faw=16,  # 20 ns
    ccd_s=2,
    ccd_l=4,
    wr=28,  # assumed: 34 ns
    rtp=4,  # assumed
    wtr_s=5,  # assumed: 6.25 ns
    wtr_l=10,  # assumed: 12 ns
    turnaround=1,  # assumed
    refi=3124,  # 3906 ns, rounded down
    rfc=224,  # 280 ns, all banks, 16 Gb
)

# analogue times, which a faster clock does not shorten; bursts, ccd and turnaround belong to the interface
_ANALOGUE = ("cl", "cwl", "rcd", "rp", "ras", "rrd_s", "rrd_l", "faw", "wr", "rtp", "wtr_s", "wtr_l", "rfc")


def at_clock(timing: DramTiming, *, name: str, clock_hz: int, channels: int) -> DramTiming:
    """Return ``timing`` at another clock: times stay, in cycles rounded up; the refresh interval is rounded down."""
    cycles = {field: -(-getattr(timing, field) * clock_hz // timing.clock_hz) for field in _ANALOGUE}
    refi = timing.refi * clock_hz // timing.clock_hz
    return replace(timing, name=name, clock_hz=clock_hz, channels=channels, refi=refi, **cycles)


# 4.267 GT/s on 2 x 16 bit: 17.07 GB/s. Times are those of LPDDR4-2400, scaled: assumed
LPDDR4X_4267 = at_clock(LPDDR4_2400, name="lpddr4x-4267", clock_hz=2_133_500_000, channels=2)

ALL_TIMINGS: tuple[DramTiming, ...] = (LPDDR4_2400, LPDDR4X_4267, LPDDR5_6400, DDR4_3200, HBM2)
