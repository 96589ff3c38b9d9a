"""The graph of an s-t cut, and the check of a flow that proves a cut to be the least.

Nodes are numbered; an arc is charged where its tail is on the near side and its head is not.
Charges are floats; `FlowNetwork` turns them into whole numbers that stand for them exactly, so
that a flow can be checked without any rounding, whoever found it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from edgeplan.model.errors import SolverError

NEAR, FAR = 0, 1
"""Sides of the cut: with the source, and with the sink. They index ``CutGraph.devices``."""
SOURCE, SINK = 0, 1
"""The terminals' nodes."""
SIDES = (NEAR, FAR)


ROUNDING = 1e-13
"""Taken off the bound, as a share of all charges that flow: a charge is a product and sum of a
dozen numbers, each rounded by at most 1.1e-16 of it. What follows is exact."""

Arc = tuple[int, int]


@dataclass
class CutGraph:
    """Nodes and arcs; an arc is charged where its tail is on the near side and its head is not.

    Parameters
    ----------
    devices
        Of the near side and of the far side.
    arcs
        (tail, head, charge); parallel arcs add up. Charges are not negative; ``inf`` forbids.
    offset
        Added to every cut, as terms to be summed exactly.
    nodes
        How many there are, terminals included.
    layers
        First node of each stream; its layers are consecutive.
    """

    devices: tuple[str, str]
    arcs: list[tuple[int, int, float]] = field(default_factory=list)
    offset: list[float] = field(default_factory=list)
    nodes: int = 2
    layers: dict[str, int] = field(default_factory=dict)

    def add(self, count: int = 1) -> int:
        """Add nodes; return the first."""
        self.nodes += count
        return self.nodes - count

    def apart(self, node: int, side: int, other: int, charge: float) -> None:
        """Charge where ``node`` is on a side and ``other`` is not."""
        if charge:
            tail, head = (node, other) if side == NEAR else (other, node)
            self.arcs.append((tail, head, charge))

    def when(self, node: int, side: int, charge: float) -> None:
        """Charge where a node is on a side."""
        self.apart(node, side, SINK if side == NEAR else SOURCE, charge)

    def always(self, charge: float) -> None:
        """Charge in every case."""
        self.apart(SOURCE, NEAR, SINK, charge)

    def when_any(self, nodes: Sequence[int], side: int, charge: float) -> None:
        """Charge once where any of the nodes is on a side."""
        if charge:
            self.when(self.any_of(nodes, side), side, charge)

    def any_apart(self, node: int, side: int, others: Sequence[int], charge: float) -> None:
        """Charge once where ``node`` is on a side and any of the others is not."""
        if charge and others:
            self.apart(node, side, self.any_of(others, 1 - side), charge)

    def any_of(self, nodes: Sequence[int], side: int) -> int:
        """Return a node that must be on a side where any of the nodes is."""
        if len(nodes) == 1:
            return nodes[0]
        auxiliary = self.add()
        for node in nodes:
            self.apart(node, side, auxiliary, math.inf)
        return auxiliary

    def largest(self) -> float:
        """Return what a cut that forbids nothing can add up to at the most (not the least such).

        Every arc between nodes counts; of a node's arcs to the terminals the larger one does.
        """
        ends: dict[tuple[int, int], list[float]] = defaultdict(list)
        for tail, head, charge in self.arcs:
            if math.isfinite(charge):
                ends[tail, head].append(charge)
        sums = {arc: math.fsum(charges) for arc, charges in ends.items()}
        return math.fsum(
            [
                *self.offset,
                *(total for arc, total in sums.items() if not _ends_at_one_terminal(arc)),
                *(
                    max(sums.get((node, SINK), 0.0), sums.get((SOURCE, node), 0.0))
                    for node in range(2, self.nodes)
                ),
            ]
        )


def _ends_at_one_terminal(arc: tuple[int, int]) -> bool:
    return (arc[0] == SOURCE) != (arc[1] == SINK)


@dataclass(frozen=True, kw_only=True)
class FlowNetwork:
    """A cut graph in whole numbers: each stands for a charge times 2^``shift``, exactly.

    Parameters
    ----------
    graph
        What it was made of.
    capacity
        By (tail, head).
    unlimited
        Capacity of arcs without limit: more than all others together, so that a flow as large
        proves every cut forbidden.
    shift
        Power of two by which charges were multiplied.
    offset
        Whole number to be added to every cut.
    """

    graph: CutGraph
    capacity: Mapping[Arc, int]
    unlimited: int
    shift: int
    offset: int

    @classmethod
    def of(cls, graph: CutGraph) -> FlowNetwork:
        """Return the network of a graph.

        Examples
        --------
        >>> graph = CutGraph(devices=("a", "b"), arcs=[(0, 1, 0.75), (0, 1, 1.0)])
        >>> network = FlowNetwork.of(graph)
        >>> network.capacity, network.shift, network.unlimited
        ({(0, 1): 7}, 2, 8)
        """
        charges = [charge for _, _, charge in graph.arcs if math.isfinite(charge)]
        denominators = (value.as_integer_ratio()[1] for value in (*charges, *graph.offset))
        shift = max(denominators, default=1).bit_length() - 1

        def whole(charge: float) -> int:
            numerator, denominator = charge.as_integer_ratio()
            return numerator << (shift - denominator.bit_length() + 1)

        unlimited = sum(map(whole, charges)) + 1
        capacity: dict[Arc, int] = defaultdict(int)
        for tail, head, charge in graph.arcs:
            capacity[tail, head] += whole(charge) if math.isfinite(charge) else unlimited
        return cls(
            graph=graph,
            capacity=dict(capacity),
            unlimited=unlimited,
            shift=shift,
            offset=sum(map(whole, graph.offset)),
        )

    @property
    def nodes(self) -> int:
        """Number of nodes, terminals included."""
        return self.graph.nodes

    def scaled(self, value: int) -> float:
        """Return a flow in the objective's units, without the offset."""
        return float(Fraction(value, 1 << self.shift))

    def amount(self, value: int) -> float:
        """Return a cut in the objective's units, with the offset."""
        return self.scaled(value + self.offset)

    def bound(self, value: int) -> float:
        """Return what no plan can be below, given a flow: all charges may be rounded up."""
        share = Fraction(ROUNDING) * (value - self.offset)
        return float(Fraction(value + self.offset - share) / (1 << self.shift))

    def check(self, flows: Mapping[Arc, int]) -> tuple[int, frozenset[int]]:
        """Check that a flow is one, and find the cut that equals it.

        Parameters
        ----------
        flows
            Net flow by (tail, head), each pair of nodes in both directions or in one.

        Returns
        -------
        tuple
            The flow's value, and the nodes on the near side of the cut: all that cannot pass
            more on to the sink.

        Raises
        ------
        SolverError
            If an arc carries more than it may, more flows into a node than out of it, or the
            flow is less than the cut.
        """
        surplus = [0] * self.nodes
        room: dict[int, list[int]] = defaultdict(list)  # by head: tails that can pass more on
        for (tail, head), capacity in self.capacity.items():
            flow = flows.get((tail, head), 0)
            if (head, tail) not in self.capacity:
                if not 0 <= flow <= capacity:
                    raise SolverError(f"the flow of arc {tail}->{head} is not within its capacity")
                if flow:
                    room[tail].append(head)
            elif not -self.capacity[head, tail] <= flow <= capacity or (
                flow != -flows.get((head, tail), 0)
            ):
                raise SolverError(f"the flow of arc {tail}->{head} is not within its capacity")
            if flow < capacity:
                room[head].append(tail)
            if (head, tail) not in self.capacity or tail < head:
                surplus[tail] -= flow
                surplus[head] += flow
        if any(surplus[2:]):
            node = next(node for node in range(2, self.nodes) if surplus[node])
            raise SolverError(f"the flow into node {node} is not the flow out of it")
        far, todo = {SINK}, [SINK]
        while todo:
            for tail in room[todo.pop()]:
                if tail not in far:
                    far.add(tail)
                    todo.append(tail)
        if SOURCE in far:
            raise SolverError("the flow is not a maximum")
        return surplus[SINK], frozenset(range(self.nodes)) - far


def maximum_flow(network: FlowNetwork) -> dict[Arc, int]:
    """Return the net flows of a maximum flow by networkx, by (tail, head).

    Highest-label preflow-push: on sparse graphs of 3,000 to 10,000 layers networkx's other exact
    methods for whole numbers took up to 60 times longer (Boykov-Kolmogorov) or more (Dinitz).
    """
    import networkx as nx
    from networkx.algorithms.flow import preflow_push

    graph: Any = nx.DiGraph()
    graph.add_nodes_from(range(network.nodes))
    graph.add_edges_from(
        (tail, head, {"capacity": capacity}) for (tail, head), capacity in network.capacity.items()
    )
    residual = preflow_push(graph, SOURCE, SINK)
    return {(tail, head): flow for tail, head, flow in residual.edges(data="flow")}
