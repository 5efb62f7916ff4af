"""What a sweep's page says of all points before it shows any: how many, what became of them, what was looked for.

Left out: what to choose (``sweep_headline.py``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gatherline.report.front_table import within_text
from gatherline.report.measures import title_of
from gatherline.report.page.sweep_found import SweepFound, breaks, lacks
from gatherline.report.selection import printable
from gatherline.sweep.front import Fate
from gatherline.sweep.objective import Objective


def counts(found: SweepFound) -> str:
    """Return how many points there are and what became of them, in a few sentences."""
    points = found.points
    refused = int(np.count_nonzero(points.refused))
    parts = [f"{len(points.numbers) - refused:,} with numbers", f"{refused:,} refused"]
    if found.repeated:
        parts.append(f"{found.repeated:,} the same as others and counted once")
    if found.lacking:
        parts.append(f"{found.lacking:,} not computed")
    fates = np.concatenate([part.fates for part in found.parts]) if found.parts else np.empty(0)
    lacking = int(np.count_nonzero(fates == Fate.NO_FIGURE))
    if lacking:
        parts.append(f"{lacking:,} without one of the figures asked for{_broken_too(found)}")
    if found.constraints:
        broken = int(np.count_nonzero(fates == Fate.INFEASIBLE))
        parts.append(f"{broken:,}{' more' if lacking else ''} that break{'s' if broken == 1 else ''} a constraint")
    on_front = int(np.count_nonzero(fates == Fate.FRONT))
    beaten = f"No other point beats {on_front:,} of them." if on_front else "None can be chosen."
    whole = max(found.record.points or 0, found.computed)
    return f"{whole:,} point{'' if whole == 1 else 's'}, method {found.method}: {', '.join(parts)}. {beaten}"


def _broken_too(found: SweepFound) -> str:
    """Return how many points without a figure break a constraint, too, so that counts meet those of constraints."""
    both = int(np.count_nonzero(lacks(found.points) & breaks(found.points)))
    return f" ({both:,} of these break{'s' if both == 1 else ''} a constraint, too)" if both else ""


def left_out(found: SweepFound) -> tuple[str, str]:
    """Return which objectives no point has, and the command that leaves them out, too; "" where all have some."""
    if not found.left_out:
        return "", ""
    return f"Nothing can be chosen by a figure that no point has, so the rest decides: {'; '.join(found.left_out)}.", (
        front_command(found.folder, found.objectives)
    )


def front_command(folder: str, objectives: Sequence[Objective]) -> str:
    """Return the command that shows the front by some objectives."""
    asked = [f"--{'maximise' if each.direction == 'max' else 'objective'} {each.name}" for each in objectives]
    return f"simulate front {printable(folder)} {' '.join(asked)}"


def aims(found: SweepFound) -> str:
    """Return what was looked for, in a sentence."""
    wanted = [f"{'more' if each.direction == 'max' else 'less'} {title_of(each.name)}" for each in found.objectives]
    return f"{' and '.join(wanted)}{within_text(found.constraints)}"
