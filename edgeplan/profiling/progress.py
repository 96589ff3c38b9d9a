"""What a running profile tells the one who watches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Stage = Literal[
    "prepare", "shortlist", "reuse", "wait", "begin", "measure", "noise", "refuse", "done"
]


@dataclass(frozen=True, kw_only=True)
class ProfileProgress:
    """A sign of life of a running profile.

    Parameters
    ----------
    stage
        What is going on. For each batch size, ``reuse`` comes at most once and says what the
        store already held; ``begin``, at most once, how much is to be measured and about how
        long that takes; ``wait`` says that another process measures the same thing; ``noise``,
        after all is measured, that the machine was busy and the times are not to be relied on;
        ``refuse`` that the network cannot take this batch size.
    done, total
        Spans whose times are known, one that was run in part counted by its share, and spans
        to be known, over all batch sizes; 0 and 0 before the shortlist.
    message
        One line for people; it begins with the batch size where that is not 1.
    """

    stage: Stage
    done: float
    total: int
    message: str
