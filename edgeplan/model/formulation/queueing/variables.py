"""All variables of the program of queues and routes.

=======  ==========================  ===========================================================
symbol   name in the program         means
=======  ==========================  ===========================================================
y        ``route[g, r]``             how many streams of group g take route r; the share φ of a
                                     stream that is dealt over several routes
u        ``use[g, r]``               whether a stream that is dealt out uses route r (0/1)
n        ``count[q, c]``             whether queue q is served by c replicas (0/1)
z        ``state[q, k]``             whether queue q is in state k: replicas and waits (0/1)
p        ``at[g, r, q, k]``          y where q is in state k, else 0
x        ``decay[q, k]``             whether queue q is at level k of decay (0/1)
v        ``tail[g, r, q, k]``        y where q is at level k of decay, else 0
w        ``keep[n, l, b, d]``        whether d runs layer l in batches of b (0: keeps its weights)
A        ``peak[d]``                 largest peak activation on d, of its memory
P        ``period``                  seconds per request of the busiest resource
e        ``excess[q, k]``            what the moments of q exceed the low end of state k by
=======  ==========================  ===========================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edgeplan.model.formulation.queueing.sets import PART, Floats, Ints, Sets

LARGEST_LOAD = 1e9
"""A stream of which less than the inverse of it fits does not fit."""
ROUNDING = 1e-9
"""A whole stream that is larger than a state's room by less than this share fits."""


@dataclass(frozen=True)
class Variables:
    """Where the variables are among all columns of the program.

    Parameters
    ----------
    sets
        The index sets.
    """

    sets: Sets

    @cached_property
    def _families(self) -> dict[str, int]:
        sets = self.sets
        return {
            "route": len(sets.columns),
            "use": len(sets.parts),
            "count": len(sets.counts),
            "state": len(sets.state),
            "at": len(sets.pairs[0]),
            "decay": len(sets.decay),
            "tail": len(sets.decay_pairs[0]),
            "keep": len(sets.keeps),
            "peak": len(sets.cramped),
            "period": int(sets.periodic),
            "excess": len(sets.state) if sets.steep is not None else 0,
        }

    @cached_property
    def _first(self) -> dict[str, int]:
        first, found = 0, {}
        for name, size in self._families.items():
            found[name] = first
            first += size
        return found

    def __getitem__(self, family: str) -> Ints:
        """Return the positions of a family's variables."""
        first = self._first[family]
        return np.arange(first, first + self._families[family], dtype=np.int64)

    @cached_property
    def count(self) -> int:
        """How many there are."""
        return sum(self._families.values())

    @cached_property
    def use_of(self) -> Ints:
        """Position of the use of each route, -1 where it has none."""
        found = np.full(len(self.sets.columns), -1, dtype=np.int64)
        found[self.sets.parts] = self["use"]
        return found

    @cached_property
    def bounds(self) -> tuple[Floats, Floats]:
        """Lower and upper bound of every variable."""
        sets = self.sets
        lower, upper = np.zeros(self.count), np.ones(self.count)
        upper[self["route"]] = sets.columns.upper
        open_state = np.isfinite(sets.waits)
        upper[self["state"]] = open_state
        incidence, state = sets.pairs
        top = sets.columns.upper[sets.columns.column]
        upper[self["at"]] = (
            top[incidence]
            * open_state[state]
            * self._fitting(incidence, self.loads.max(axis=1, initial=0.0))
        )
        incidence, _level = sets.decay_pairs
        open_level = self._fitting(incidence, self.decay_moments) & ~self._unpriced
        upper[self["tail"]] = top[incidence] * open_level
        upper[self["peak"]] = 1.0
        upper[self["period"]] = min(sets.problem.budgets.period_seconds, np.inf)
        upper[self["excess"]] = np.inf
        return lower, upper

    @cached_property
    def whole(self) -> NDArray[np.bool_]:
        """Which of them are whole numbers."""
        sets = self.sets
        found = np.zeros(self.count, dtype=np.bool_)
        found[self["route"]] = sets.columns.kind != PART
        for family in ("use", "count", "state", "decay", "keep"):
            found[self[family]] = True
        return found

    def _fitting(self, incidence: Ints, load: Floats) -> NDArray[np.bool_]:
        """Return which routes fit a state at all: one stream, or the least share of one."""
        columns = self.sets.columns
        part = columns.kind[columns.column[incidence]] == PART
        found: NDArray[np.bool_] = load <= np.where(part, LARGEST_LOAD, 1 + ROUNDING)
        return found

    @cached_property
    def factors(self) -> Floats:
        """Factors of Σλ E[S] and Σλ E[S²] in each row of each state; 0 where it has fewer rows."""
        sets = self.sets
        depth = max((len(s.rows) for states in sets.states for s in states), default=0)
        found = np.zeros((len(sets.state), depth, 2))
        for index, (q, k) in enumerate(sets.state):
            for number, row in enumerate(sets.states[q][k].rows):
                found[index, number] = row
        return found

    @cached_property
    def loads(self) -> Floats:
        """Share of each row of its state that each pair of ``at`` takes."""
        incidence, state = self.sets.pairs
        columns = self.sets.columns
        found: Floats = (
            columns.busy[incidence][:, None] * self.factors[state, :, 0]
            + columns.moment[incidence][:, None] * self.factors[state, :, 1]
        )
        return found

    @cached_property
    def decay_moments(self) -> Floats:
        """Share of a level's room that each pair of ``tail`` takes; ``inf`` where it cannot."""
        sets = self.sets
        incidences, levels = sets.decay_pairs
        found = np.zeros(len(incidences))
        for index, (incidence, level) in enumerate(zip(incidences, levels, strict=True)):
            q, k = sets.decay[int(level)]
            decay = sets.decays[q][k]
            if decay.low > 0:
                speed = decay.replicas if sets.shared[q] else 1
                found[index] = sum(
                    job.per_second * job.excess(decay.low / speed)
                    for job in sets.columns.jobs[int(incidence)]
                ) * (speed / (decay.replicas * decay.low))
        return found

    @cached_property
    def _unpriced(self) -> NDArray[np.bool_]:
        """Pairs of ``tail`` for which the plan program has no price: no decay is known."""
        sets = self.sets
        incidences, levels = sets.decay_pairs
        if sets.side == "bound":
            return np.zeros(len(incidences), dtype=np.bool_)
        bottom = np.array([sets.decays[q][k].low == 0 for q, k in sets.decay], dtype=np.bool_)
        tailed = np.zeros(len(sets.columns), dtype=np.bool_)
        tailed[[tail.column for tail in sets.columns.tails]] = True
        found: NDArray[np.bool_] = bottom[levels] & tailed[sets.columns.column[incidences]]
        return found

    def names(self) -> list[str]:
        """Return the name of every variable."""
        sets = self.sets
        columns = sets.columns

        def route(index: int) -> str:
            name = columns.groups[int(columns.group[index])].streams[0]
            batch = f"*{int(columns.batch[index])}" if columns.batch[index] > 1 else ""
            kind = ("", "!", "~")[int(columns.kind[index])]
            return f"{name},{'.'.join(columns.devices[index])}{batch}{kind}"

        def queue(index: int) -> str:
            return columns.queues[index][1]

        incidence, state = sets.pairs
        tailed, level = sets.decay_pairs
        column, at = columns.column, columns.queue
        found = {
            "route": [route(r) for r in range(len(columns))],
            "use": [route(int(r)) for r in sets.parts],
            "count": [f"{queue(q)},{c}" for q, c in sets.counts],
            "state": [f"{queue(q)},{k}" for q, k in sets.state],
            "at": [
                f"{route(int(column[i]))},{queue(int(at[i]))},{sets.state[int(k)][1]}"
                for i, k in zip(incidence, state, strict=True)
            ],
            "decay": [f"{queue(q)},{k}" for q, k in sets.decay],
            "tail": [
                f"{route(int(column[i]))},{queue(int(at[i]))},{sets.decay[int(k)][1]}"
                for i, k in zip(tailed, level, strict=True)
            ],
            "keep": [f"{n},{layer},{b},{d}" for n, layer, b, d in sets.keeps],
            "peak": list(sets.cramped),
            "period": [""] * int(sets.periodic),
            "excess": [f"{queue(q)},{k}" for q, k in sets.state],
        }
        return [
            f"{family}[{label}]" if label else family
            for family, size in self._families.items()
            for label in found[family][:size]
        ]
