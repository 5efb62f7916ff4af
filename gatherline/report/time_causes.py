"""What the time of a layer is made of, as every picture and page shows it: six causes that add up to the latency.

The columns ``time_CAUSE_s`` of a row hold their seconds (``docs/adr/0030-time-by-cause.md`` says how they are told
apart). One place for names, words and colours, so that a cause looks the same in a page, a plot and a table. Colours
are Okabe and Ito's, told apart by colour-blind readers (jfly.uni-koeln.de/color).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeCause:
    """``name``: of the column ``time_NAME_s``. ``title``: in a legend. ``text``: what it means, a sentence's end."""

    name: str
    title: str
    colour: str
    text: str

    @property
    def column(self) -> str:
        return f"time_{self.name}_s"


TIME_CAUSES: tuple[TimeCause, ...] = (
    TimeCause(
        name="compute", title="compute", colour="#0072B2",
        text="multiply-adds with a kept weight, issuing them, vector work",
    ),
    TimeCause(name="conflict", title="conflicts", colour="#D55E00", text="banks that several lanes want at once"),
    TimeCause(
        name="imbalance", title="imbalance, padding", colour="#E69F00",
        text="units that wait for the fullest row, empty slots, removed weights that a dense kernel still multiplies",
    ),
    TimeCause(name="weights", title="weights", colour="#009E73", text="waiting for weights and their indices"),
    TimeCause(name="activations", title="activations", colour="#56B4E9", text="waiting for inputs and outputs"),
    TimeCause(name="overhead", title="overhead", colour="#767676", text="starting an operator, whatever its size"),
)  # fmt: skip
