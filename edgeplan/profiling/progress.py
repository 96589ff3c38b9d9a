"""What a running profile tells the one who watches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Stage = Literal["prepare", "shortlist", "reuse", "wait", "measure", "done"]


@dataclass(frozen=True, kw_only=True)
class ProfileProgress:
    """A sign of life of a running profile.

    Parameters
    ----------
    stage
        What is going on. ``reuse`` comes at most once and says what the store already held;
        ``wait`` says that another process measures the same thing.
    done, total
        Spans whose times are known, and spans to be known; 0 and 0 before the shortlist.
    message
        One line for people.
    """

    stage: Stage
    done: int
    total: int
    message: str
