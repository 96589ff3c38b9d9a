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

from dataclasses import dataclass
from typing import Any

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
        The Pyomo model that holds the variables.
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
        """Return the share whose tensor some layer on b reads after it came from a."""
        readers = self.sets.readers(s, tensor, a, b)
        if len(readers) == 1:
            return self.arrives(s, r, tensor, readers[0], a, b)
        return self.model.ship[s, r, tensor.name, a, b]

    def precedes(self, s: str, r: int, a: str, b: str) -> Any:
        """Return whether a comes before b: one variable for each pair, whichever way round."""
        before = self.model.before
        return before[s, r, a, b] if (s, r, a, b) in before else 1 - before[s, r, b, a]

    def moved(self, s: str, r: int, tensor: Tensor, a: str, b: str) -> Any:
        """Return the share whose tensor moves from a to b: to be read, or as a result."""
        if not self.sets.lands(s, tensor, b):
            return self.fetched(s, r, tensor, a, b)
        if tensor.producer is None:
            return self.fraction(s, r)
        return self.model.place[s, r, tensor.producer, a]


def add_variables(model: Any, sets: Sets) -> None:
    """Add every variable of the program to a Pyomo model."""
    share = {"domain": pyo.NonNegativeReals, "bounds": (0, 1)}
    split = set(sets.split)

    def kind(_: Any, s: str, *rest: object) -> Any:
        return pyo.NonNegativeReals if s in split else pyo.Binary

    model.fraction = pyo.Var(sets.split_slots, **share)
    model.place = pyo.Var(sets.places, domain=kind, bounds=(0, 1))
    model.choose = pyo.Var(sets.split_places, domain=pyo.Binary)
    model.step = pyo.Var(sets.steps, **share)
    model.run = pyo.Var(sets.runs, **share)
    model.flow = pyo.Var(sets.flows, **share)
    model.ship = pyo.Var(sets.shipments, **share)
    model.reply = pyo.Var(sets.replies, **share)
    model.keep = pyo.Var(sets.keeps, **share)
    model.peak = pyo.Var(sets.cramped, domain=pyo.NonNegativeReals)
    model.on = pyo.Var(sets.switched, **share)
    model.compute = pyo.Var(sets.stream_devices, domain=pyo.NonNegativeReals)
    model.cross = pyo.Var(sets.crossed, domain=pyo.NonNegativeReals)
    model.volume = pyo.Var(sets.carried, domain=pyo.NonNegativeReals)
    model.latency = pyo.Var(sets.timed, domain=pyo.NonNegativeReals)
    model.energy = pyo.Var(sets.powered, domain=pyo.NonNegativeReals)
    model.cost = pyo.Var(sets.paid, domain=pyo.NonNegativeReals)
    model.before = pyo.Var(sets.ordered_pairs, domain=pyo.Binary)
    model.sending = pyo.Var(sets.sent, domain=pyo.NonNegativeReals)
    model.engaged = pyo.Var(sets.occupied, domain=pyo.NonNegativeReals)
    model.period = pyo.Var(sets.period, domain=pyo.NonNegativeReals)
