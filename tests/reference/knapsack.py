"""What ``gatherline.advice.programme`` must find, twice: by trying every choice, and by an exact dynamic programme."""

from __future__ import annotations

from itertools import product

from gatherline.advice.programme import Programme


def by_trying_all(programme: Programme) -> float | None:
    """Return the least loss of all choices that keep the limits, None where none does."""
    kept = [items for items in product(*(range(len(group)) for group in programme.losses)) if programme.keeps(items)]
    return min((programme.loss(items) for items in kept), default=None)


def by_labels(programme: Programme) -> float | None:
    """Return the same for a programme of whole numbers: partial choices group by group, the dominated ones dropped.

    A label is (what each limit takes, the largest peak, the loss).
    """
    labels = {(tuple(limit.fixed for limit in programme.limits), programme.fixed_peak): 0.0}
    for group, losses in enumerate(programme.losses):
        after: dict[tuple[tuple[float, ...], float], float] = {}
        for (used, peak), loss in labels.items():
            for item, more in enumerate(losses):
                takes = tuple(
                    sum_ + limit.costs[group][item] for sum_, limit in zip(used, programme.limits, strict=True)
                )
                highest = max(peak, programme.peaks[group][item]) if programme.peaks else peak
                key = takes, highest
                after[key] = min(loss + more, after.get(key, loss + more))
        labels = {
            key: loss
            for key, loss in after.items()
            if not any(other != key and beats(other, after[other], key, loss) for other in after)
        }
    met = [
        loss
        for (used, peak), loss in labels.items()
        if all(
            sum_ + (peak if limit.with_peak else 0.0) <= limit.most
            for sum_, limit in zip(used, programme.limits, strict=True)
        )
    ]
    return min(met, default=None)


def beats(
    one: tuple[tuple[float, ...], float], one_loss: float, other: tuple[tuple[float, ...], float], other_loss: float
) -> bool:
    """Return whether label ``one`` is no worse than ``other`` in everything; labels differ, so it is better in one."""
    no_more = all(a <= b for a, b in zip(one[0], other[0], strict=True))
    return no_more and one[1] <= other[1] and one_loss <= other_loss
