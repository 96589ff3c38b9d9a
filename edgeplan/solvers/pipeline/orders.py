"""Orders and cycles of a pipeline's graph."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeplan.solvers.pipeline.arrays import Pipeline


def topological_orders(pipeline: Pipeline) -> Iterator[list[int]]:
    """Yield some topological orders of an acyclic pipeline.

    Layer order, depth first, breadth first, and the one that always cuts the least seconds;
    depth and breadth first from the other end too.
    """
    cut = _least_cut(pipeline)
    yield _order(pipeline.before, pipeline.after, lambda group, _: group)
    yield _order(pipeline.before, pipeline.after, lambda _, clock: -clock)
    yield _order(pipeline.before, pipeline.after, lambda _, clock: clock)
    yield _order(pipeline.after, pipeline.before, lambda _, clock: -clock)[::-1]
    yield _order(pipeline.after, pipeline.before, lambda _, clock: clock)[::-1]
    yield cut


def _order(
    before: Sequence[frozenset[int]],
    after: Sequence[frozenset[int]],
    rank: Callable[[int, int], int],
) -> list[int]:
    """Return the order that takes of the groups that can come next the one of least rank.

    ``rank`` is given the group and the moment at which it became ready.
    """
    missing = [len(groups) for groups in before]
    ready = [(rank(group, 0), group) for group, count in enumerate(missing) if not count]
    heapq.heapify(ready)
    order: list[int] = []
    while ready:
        _, group = heapq.heappop(ready)
        order.append(group)
        for following in sorted(after[group]):
            missing[following] -= 1
            if not missing[following]:
                heapq.heappush(ready, (rank(following, len(order)), following))
    return order


def _least_cut(pipeline: Pipeline) -> list[int]:
    """Return the order that adds the group after which the least seconds are cut."""
    missing = [len(groups) for groups in pipeline.before]
    unread = [set(tensor.consumers) for tensor in pipeline.tensors]
    made: list[list[int]] = [[] for _ in range(pipeline.groups)]
    read: list[list[int]] = [[] for _ in range(pipeline.groups)]
    for index, tensor in enumerate(pipeline.tensors):
        made[tensor.producer].append(index)
        for consumer in tensor.consumers:
            read[consumer].append(index)

    def change(group: int) -> float:
        opened = sum(pipeline.tensors[index].seconds for index in made[group])
        closed = sum(
            pipeline.tensors[index].seconds for index in read[group] if unread[index] == {group}
        )
        return opened - closed

    ready = {group for group, count in enumerate(missing) if not count}
    order: list[int] = []
    while ready:
        group = min(sorted(ready), key=change)
        ready.remove(group)
        order.append(group)
        for index in read[group]:
            unread[index].discard(group)
        for following in pipeline.after[group]:
            missing[following] -= 1
            if not missing[following]:
                ready.add(following)
    return order


def cycles(count: int, edges: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Return the strongly connected components with more than one node.

    Tarjan's algorithm, *Depth-first search and linear graph algorithms*, SIAM Journal on
    Computing 1, 1972, without recursion.

    Parameters
    ----------
    count
        Number of nodes.
    edges
        Pairs of nodes.

    Examples
    --------
    >>> [sorted(component) for component in cycles(4, [(0, 1), (1, 2), (2, 1), (2, 3)])]
    [[1, 2]]
    """
    after: list[list[int]] = [[] for _ in range(count)]
    for source, target in edges:
        after[source].append(target)
    index = [-1] * count
    low = [0] * count
    on_stack = [False] * count
    stack: list[int] = []
    found: list[list[int]] = []
    clock = 0
    for start in range(count):
        if index[start] >= 0:
            continue
        work = [(start, iter(after[start]))]
        index[start] = low[start] = clock
        clock += 1
        stack.append(start)
        on_stack[start] = True
        while work:
            node, rest = work[-1]
            for target in rest:
                if index[target] < 0:
                    index[target] = low[target] = clock
                    clock += 1
                    stack.append(target)
                    on_stack[target] = True
                    work.append((target, iter(after[target])))
                    break
                if on_stack[target]:
                    low[node] = min(low[node], index[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    component = []
                    while True:
                        top = stack.pop()
                        on_stack[top] = False
                        component.append(top)
                        if top == node:
                            break
                    if len(component) > 1:
                        found.append(component)
    return found
