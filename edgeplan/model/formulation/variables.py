"""All variables of the program.

=============  =====================================  ======================================
symbol         name in the program                    means
=============  =====================================  ======================================
φ              ``fraction[s, r]``                     share of a stream's requests on a route
x              ``place[s, r, l, d]``                  … whose layer l runs on device d
u              ``choose[s, r, l, d]``                 whether route r runs layer l on d (0/1)
z              ``step[s, r, l, a, b]``                … that go from a to b before layer l
y              ``run[s, r, i, j, d]``                 … that run the stage i … j−1 on d
f              ``flow[s, r, t, c, a, b]``             … whose tensor t goes from a to layer c on b
t              ``ship[s, r, t, a, b]``                … whose tensor t is shipped from a to b
q              ``reply[s, r, a]``                     … to whose origin results return from a
w              ``keep[n, l, d]``                      whether d keeps the weights of layer l
A              ``peak[d]``                            largest peak activation on d, of its memory
o              ``on[d]``                              whether d is on
T              ``compute[s, d]``                      compute time on d per request
h              ``cross[s, a, b]``                     latencies of link a→b charged per request
v              ``volume[s, a, b]``                    bytes over link a→b per request
L              ``latency[s]``                         mean latency
E              ``energy[s, d]``                       energy drawn at d per request
C              ``cost[s]``                            dollars per request, devices that are on aside
b              ``before[s, r, a, b]``                 whether a comes before b on the route (0/1)
g              ``sending[s, r, t, a]``                time that sending tensor t keeps a busy
G              ``engaged[s, d]``                      time that transfers keep d busy per request
P              ``period``                             seconds per request of the busiest resource
=============  =====================================  ======================================

For a stream with one route, x itself is 0/1 and φ = 1: fraction and choice do not exist.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import pyomo.environ as pyo

from edgeplan.model.formulation.sets import Sets
from edgeplan.model.formulation.units import Units
from edgeplan.model.network import Tensor
from edgeplan.model.problem import Problem


@dataclass(frozen=True)
class Program:
    """What an equation sees: the problem, its sets and units, and the variables.

    Parameters
    ----------
    model
        Holds the variables: a Pyomo model, or a stand-in (see ``assemble.py``).
    problem, sets, units
        Data.
    """

    model: Any
    problem: Problem
    sets: Sets
    units: Units

    def fraction(self, s: str, r: int) -> Any:
        """Return φ: a variable for streams that may be split, else 1."""
        return self.model.fraction[s, r] if s in self.sets.split else 1.0

    def chosen(self, s: str, r: int, layer: int, d: str) -> Any:
        """Return the 0/1 choice of a place: u for streams that may be split, else x."""
        model = self.model
        return (model.choose if s in self.sets.split else model.place)[s, r, layer, d]

    def arrives(self, s: str, r: int, tensor: Tensor, consumer: int, a: str, b: str) -> Any:
        """Return the share whose tensor gets from a to a reading layer on b.

        A graph input: as the layer is placed. The layer right after the producer: the step.
        """
        if tensor.producer is None:
            return self.model.place[s, r, consumer, b]
        if consumer == tensor.producer + 1:
            return self.model.step[s, r, consumer, a, b]
        return self.model.flow[s, r, tensor.name, consumer, a, b]

    def fetched(self, s: str, r: int, tensor: Tensor, a: str, b: str) -> Any:
        """Return the share whose tensor some layer on b reads after it came from a, by a link."""
        readers = self.sets.reading[s, tensor.name][b]
        if len(readers) == 1:
            return self.arrives(s, r, tensor, readers[0], a, b)
        return self.model.ship[s, r, tensor.name, a, b]

    def precedes(self, s: str, r: int, a: str, b: str) -> Any:
        """Return whether a comes before b: one variable for each pair, whichever way round."""
        before = self.model.before
        return before[s, r, a, b] if (s, r, a, b) in before else 1 - before[s, r, b, a]

    def moved(self, s: str, r: int, tensor: Tensor, a: str, b: str) -> Any:
        """Return the share whose tensor moves from a to b: to be read, or as a result."""
        if not tensor.output or not self.sets.lands(s, tensor, b):
            return self.fetched(s, r, tensor, a, b)
        if tensor.producer is None:
            return self.fraction(s, r)
        return self.model.place[s, r, tensor.producer, a]


@dataclass(frozen=True)
class Family:
    """A family of variables, none of them below 0.

    Parameters
    ----------
    name
        Its name in the program.
    over
        The attribute of `Sets` that it ranges over.
    upper
        The largest value of each.
    whole
        Whether they are 0 or 1; ``unsplit``: those of streams that cannot be split.
    """

    name: str
    over: str
    upper: float = math.inf
    whole: bool | Literal["unsplit"] = False

    def indices(self, sets: Sets) -> tuple[Any, ...]:
        """Return the indices of the variables."""
        found: tuple[Any, ...] = getattr(sets, self.over)
        return found


FAMILIES = (
    Family("fraction", "split_slots", upper=1),
    Family("place", "places", upper=1, whole="unsplit"),
    Family("choose", "split_places", upper=1, whole=True),
    Family("step", "steps", upper=1),
    Family("run", "runs", upper=1),
    Family("flow", "flows", upper=1),
    Family("ship", "shipments", upper=1),
    Family("reply", "replies", upper=1),
    Family("keep", "keeps", upper=1),
    Family("peak", "cramped"),
    Family("on", "switched", upper=1),
    Family("compute", "stream_devices"),
    Family("cross", "crossed"),
    Family("volume", "carried"),
    Family("latency", "timed"),
    Family("energy", "powered"),
    Family("cost", "paid"),
    Family("before", "ordered_pairs", upper=1, whole=True),
    Family("sending", "sent"),
    Family("engaged", "occupied"),
    Family("period", "period"),
)
"""Every variable, in the order of the columns."""


def add_variables(model: Any, sets: Sets) -> None:
    """Add every variable of the program to a Pyomo model."""
    split = set(sets.split)

    def kind(_: Any, s: str, *rest: object) -> Any:
        return pyo.NonNegativeReals if s in split else pyo.Binary

    for family in FAMILIES:
        domain: Any = pyo.Binary if family.whole else pyo.NonNegativeReals
        if family.whole == "unsplit":
            domain = kind
        upper = family.upper if math.isfinite(family.upper) else None
        model.add_component(
            family.name, pyo.Var(family.indices(sets), domain=domain, bounds=(0, upper))
        )
