"""The most worthy set of whole items that fits: depth first, bounded by the fractional knapsack.

Method: Horowitz and Sahni, Journal of the ACM 21 (1974), with whole runs of items taken at once
(Martello and Toth, Knapsack Problems, 1990, chapter 2).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

FITS = 1e-12
"""A set may exceed the room by so much: rounding must not shut one out."""
MOST_NODES = 5_000
"""Largest number of steps of one search."""


def best_set(
    profit: Sequence[float],
    room: Sequence[float],
    size: Sequence[int],
    least: float = 0.0,
    most_nodes: int = MOST_NODES,
) -> tuple[float | None, list[tuple[int, int]] | None]:
    """Maximise Σ profit·x with Σ room·x ≤ 1 and 0 ≤ x ≤ size, whole.

    Parameters
    ----------
    profit, room
        Per item, positive, by falling profit ÷ room; each item fits by itself.
    size
        How many there are of each item.
    least
        Only sets worth more than that are looked for.
    most_nodes
        Steps after which it gives up.

    Returns
    -------
    tuple
        The largest worth (``least`` where none is larger; ``None`` where it gave up), and the
        set as (item, number), ``None`` where none is worth more than ``least``.

    Examples
    --------
    >>> best_set([6.0, 5.0, 5.0], [0.6, 0.5, 0.5], [1, 1, 1])
    (10.0, [(1, 1), (2, 1)])
    """
    count = len(profit)
    filled, worth = [0.0], [0.0]
    for p, r, n in zip(profit, room, size, strict=True):
        filled.append(filled[-1] + r * n)
        worth.append(worth[-1] + p * n)
    density = [p / r for p, r in zip(profit, room, strict=True)]
    best, found = least, None
    path: list[tuple[int, int]] = []
    item, left, value, nodes = 0, 1.0 + FITS, 0.0, 0
    while True:
        pruned = False
        while item < count:
            nodes += 1
            end = filled[item] + left
            stop = bisect_right(filled, end) - 1
            bound = value + worth[stop] - worth[item]
            if stop < count:
                bound += (end - filled[stop]) * density[stop]
            if bound <= best:
                pruned = True
                break
            if stop > item:  # these all fit
                path += [(k, size[k]) for k in range(item, stop)]
                value += worth[stop] - worth[item]
                left -= filled[stop] - filled[item]
                item = stop
                if item == count:
                    break
            taken = min(int(left / room[item]), size[item])
            if taken:
                path.append((item, taken))
                value += profit[item] * taken
                left -= room[item] * taken
            item += 1
        if not pruned and value > best:
            best, found = value, list(path)
        if nodes > most_nodes:
            return None, found
        if not path:
            return best, found
        item, taken = path.pop()
        value -= profit[item]
        left += room[item]
        if taken > 1:
            path.append((item, taken - 1))
        item += 1
