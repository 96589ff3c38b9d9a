"""Which of a network's cuts are worth measuring.

The rule, for at most *K* cuts, given each node's share of the time:

1. *Candidates* are the cuts that at most `MOST_TENSORS` tensors cross, each of known size.
2. *Even parts.* The time is divided into windows around k / (K + 1), k = 1…K, each as wide as
   1 / (K + 1). From every window the candidate with the fewest bytes is taken (then the fewer
   tensors, then the one nearest the middle): parts of similar time, split where little crosses.
3. *The rest.* Places left over by empty windows go, one by one, to the longest stretch of
   time that still has a candidate inside, again to the one with the fewest bytes there.

A cut that would leave less than `LEAST_SHARE` of the time to one side of it (up to the next
cut chosen) is not taken: it would make a layer that is all boundary cost. Bytes are those of
the tensors that cross and of the graph inputs that are forwarded.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from edgeplan.model.errors import Fault, InputError
from edgeplan.model.graph import Cut, Graph

MOST_TENSORS = 4
"""More tensors than this make a cut of many messages, seldom worth a place."""

LEAST_SHARE = 0.02
"""Of the whole time: the least that a part between two chosen cuts may have."""


@dataclass(frozen=True)
class _Candidate:
    position: int
    time: float
    bytes: int
    tensors: int


def estimated_shares(graph: Graph) -> tuple[float, ...]:
    """Return each node's share of the time, judged by operations and bytes alone.

    A multiply–accumulate counts as much as a quarter of a byte moved, roughly the balance of
    a processor core. Used where the nodes cannot be timed.
    """
    sizes = {value.name: value.bytes or 0 for value in graph.values}
    efforts = [
        (node.macs or 0) / 4
        + node.weight_bytes
        + sum(sizes.get(name, 0) for name in (*node.inputs, *node.outputs))
        for node in graph.nodes
    ]
    total = sum(efforts) or 1.0
    return tuple(effort / total for effort in efforts)


def shortlist(graph: Graph, shares: Sequence[float], max_cuts: int) -> tuple[int, ...]:
    """Return the positions of the cuts to measure, ascending, by the rule of this module.

    Parameters
    ----------
    graph
        With all valid cuts.
    shares
        Each node's share of the time; they are scaled to sum to 1.
    max_cuts
        How many cuts at most; 0 for none.

    Returns
    -------
    tuple of int
        Node positions; empty where no cut is worth it.

    Examples
    --------
    >>> from edgeplan.model.graph import Cut, Graph, Node
    >>> cuts = [Cut(position=p, tensors=("t",), inputs=(), bytes=b)
    ...         for p, b in [(1, 40), (2, 10), (3, 40)]]
    >>> nodes = [Node(name=str(n), op_type="Relu", inputs=(), outputs=()) for n in range(4)]
    >>> chain = Graph(inputs=(), outputs=(), values=(), nodes=tuple(nodes), cuts=tuple(cuts),
    ...               parameters=0, weight_bytes=0, file_bytes=0)
    >>> shortlist(chain, [0.25] * 4, 1)
    (2,)
    """
    candidates = _candidates(graph, shares)
    chosen: list[_Candidate] = []
    width = 1.0 / (max_cuts + 1)
    for slot in range(1, max_cuts + 1):
        middle = slot * width
        best = _cheapest(
            [c for c in candidates if abs(c.time - middle) <= width / 2 and _fits(c, chosen)],
            middle,
        )
        if best is not None:
            chosen.append(best)
    while len(chosen) < max_cuts:
        edges = [0.0, *sorted(c.time for c in chosen), 1.0]
        gaps = sorted(itertools.pairwise(edges), key=lambda gap: gap[0] - gap[1])
        for low, high in gaps:
            inside = [c for c in candidates if low < c.time < high and _fits(c, chosen)]
            best = _cheapest(inside, (low + high) / 2)
            if best is not None:
                chosen.append(best)
                break
        else:
            break
    return tuple(sorted(c.position for c in chosen))


def checked(graph: Graph, positions: Sequence[int]) -> tuple[int, ...]:
    """Return the positions that the user names, ascending, if each is a valid cut.

    Raises
    ------
    InputError
        With every position that is none, and the nearest ones that are.
    """
    valid = sorted(cut.position for cut in graph.cuts)
    faults = []
    for index, position in enumerate(positions):
        if position not in valid:
            near = sorted(valid, key=lambda other: (abs(other - position), other))[:3]
            remedy = (
                f"the nearest valid positions are {', '.join(map(str, sorted(near)))}"
                if near
                else "this network has no valid cut"
            )
            faults.append(Fault(f"cuts[{index}]", f"position {position} cannot be cut: {remedy}"))
    if faults:
        raise InputError(faults)
    return tuple(sorted(set(positions)))


def _candidates(graph: Graph, shares: Sequence[float]) -> list[_Candidate]:
    sizes = {value.name: value.bytes for value in graph.values}
    total = sum(shares) or 1.0
    before = [0.0, *itertools.accumulate(share / total for share in shares)]

    def known(cut: Cut) -> bool:
        return all(sizes.get(name) is not None for name in (*cut.tensors, *cut.inputs))

    # A graph given without values (as in the example) states its cuts' bytes only.
    return [
        _Candidate(
            cut.position,
            before[cut.position],
            cut.bytes + sum(sizes.get(name) or 0 for name in cut.inputs),
            len(cut.tensors) + len(cut.inputs),
        )
        for cut in graph.cuts
        if len(cut.tensors) <= MOST_TENSORS and (not graph.values or known(cut))
    ]


def _fits(candidate: _Candidate, chosen: Sequence[_Candidate]) -> bool:
    edges = (0.0, 1.0, *(other.time for other in chosen))
    return all(abs(candidate.time - edge) >= LEAST_SHARE for edge in edges)


def _cheapest(candidates: Sequence[_Candidate], middle: float) -> _Candidate | None:
    return min(
        candidates,
        key=lambda c: (c.bytes, c.tensors, abs(c.time - middle), c.position),
        default=None,
    )
