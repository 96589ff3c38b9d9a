"""Made-up operator graphs of real shapes, to test the pipeline solvers beyond the shared files."""

from __future__ import annotations

import numpy as np

from edgeplan.solvers.pipeline.arrays import Pipeline, SharedTensor, merged_tensors


class _Graph:
    """Operators with a time, bytes and one output each."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.seconds: list[float] = []
        self.bytes: list[float] = []
        self.output: list[float] = []
        self.consumers: list[set[int]] = []
        self.colour: list[int] = []

    def add(
        self,
        seconds: float,
        output: float,
        *inputs: int,
        weights: int = 0,
        colour: int | None = None,
    ) -> int:
        node = self._node(seconds * self.rng.uniform(0.8, 1.25), 0.0, output, colour)
        for source in inputs:
            self.consumers[source].add(node)
        for _ in range(weights):
            constant = self._node(0.0, self.rng.uniform(1e5, 1e7), seconds / 5, colour)
            self.consumers[constant].add(node)
        return node

    def _node(self, seconds: float, size: float, output: float, colour: int | None) -> int:
        self.seconds.append(seconds)
        self.bytes.append(size + output * 1e6)
        self.output.append(output)
        self.consumers.append(set())
        self.colour.append(len(self.colour) + 10**6 if colour is None else colour)
        return len(self.seconds) - 1

    def pipeline(
        self, accelerators: int, cores: int, capacity: float, slowdown: float = 12.0
    ) -> Pipeline:
        count = len(self.seconds)
        rank = self._topological()
        seconds = np.array(self.seconds)[rank]
        memory = np.array(self.bytes)[rank]
        position = np.empty(count, dtype=int)
        position[rank] = np.arange(count)
        devices = accelerators + cores
        whole = Pipeline(
            seconds=np.column_stack([seconds] * accelerators + [seconds * slowdown] * cores),
            memory_bytes=np.column_stack([memory] * accelerators + [memory * 0] * cores),
            capacity_bytes=np.array([capacity] * accelerators + [np.inf] * cores),
            occupy=np.array([True] * accelerators + [False] * cores),
            replicas=np.ones(devices),
            tensors=merged_tensors(
                SharedTensor(
                    int(position[node]),
                    tuple(sorted(int(position[consumer]) for consumer in consumers)),
                    self.output[node],
                )
                for node, consumers in enumerate(self.consumers)
                if consumers
            ),
            group_of=np.arange(count),
        )
        return whole.contract(np.array(self.colour)[rank])

    def _topological(self) -> list[int]:
        missing = [0] * len(self.seconds)
        for consumers in self.consumers:
            for consumer in consumers:
                missing[consumer] += 1
        ready = [node for node, count in enumerate(missing) if not count]
        order = []
        while ready:
            node = ready.pop()
            order.append(node)
            for consumer in sorted(self.consumers[node]):
                missing[consumer] -= 1
                if not missing[consumer]:
                    ready.append(consumer)
        return order


def bert(blocks: int, seed: int = 0, *, colours: bool = False, **size: float) -> Pipeline:
    """A transformer encoder: about 50 operators a block with weights as nodes of their own.

    Colours join each bias to its product, as real files do.
    """
    graph = _Graph(np.random.default_rng(seed))
    colour = iter(range(10**5))

    def paint() -> int | None:
        return next(colour) if colours else None

    mask = graph.add(0.001, 0.01)
    mask = graph.add(0.001, 0.01, mask)
    x = graph.add(0.5, 0.7, weights=2)
    x = graph.add(0.2, 0.7, x, weights=2)
    for _ in range(blocks):
        heads = []
        for _ in range(3):
            y = graph.add(0.5, 0.7, x, weights=1, colour=(c := paint()))
            y = graph.add(0.05, 0.7, y, weights=1, colour=c)
            y = graph.add(0.03, 0.7, y)
            heads.append(graph.add(0.03, 0.7, y))
        query, key, values = heads
        key = graph.add(0.03, 0.7, key)
        y = graph.add(0.3, 2.0, query, key)
        y = graph.add(0.3, 2.0, y, weights=1)
        y = graph.add(0.3, 2.0, y, mask)
        y = graph.add(0.5, 2.0, y)
        y = graph.add(0.4, 0.7, y, values)
        y = graph.add(0.05, 0.7, y)
        y = graph.add(0.4, 0.7, y, weights=1, colour=(c := paint()))
        y = graph.add(0.05, 0.7, y, weights=1, colour=c)
        y = graph.add(0.05, 0.7, y, x)
        x = _normalise(graph, y, 0.7)
        y = graph.add(1.5, 2.8, x, weights=1, colour=(c := paint()))
        y = graph.add(0.2, 2.8, y, weights=1, colour=c)
        y = graph.add(0.6, 2.8, y)
        y = graph.add(1.5, 0.7, y, weights=1, colour=(c := paint()))
        y = graph.add(0.05, 0.7, y, weights=1, colour=c)
        y = graph.add(0.05, 0.7, y, x)
        x = _normalise(graph, y, 0.7)
    graph.add(2.0, 0.01, x, weights=2)
    return graph.pipeline(**_sizes(size))


def _normalise(graph: _Graph, x: int, output: float) -> int:
    mean = graph.add(0.05, 0.01, x)
    centred = graph.add(0.05, output, x, mean)
    square = graph.add(0.05, output, centred)
    spread = graph.add(0.05, 0.01, square)
    scaled = graph.add(0.05, output, centred, spread)
    return graph.add(0.05, output, scaled, weights=2)


def resnet(blocks: int, seed: int = 0, **size: float) -> Pipeline:
    """Residual blocks of three convolutions, each with normalisation and weights as nodes."""
    graph = _Graph(np.random.default_rng(seed))
    x = graph.add(3.0, 1.0, weights=1)
    for block in range(blocks):
        wide = 1.0 / 2 ** (4 * block // blocks)
        y = x
        for step in range(3):
            output = wide if step == 2 else wide / 4
            y = graph.add(1.0, output, y, weights=1)
            y = graph.add(0.2, output, y, weights=4)
            if step < 2:
                y = graph.add(0.1, output, y)
        if block % max(1, blocks // 4) == 0:
            x = graph.add(0.8, wide, x, weights=1)
            x = graph.add(0.2, wide, x, weights=4)
        x = graph.add(0.1, wide, x, y)
        x = graph.add(0.1, wide, x)
    graph.add(0.5, 0.01, x, weights=2)
    return graph.pipeline(**_sizes(size))


def inception(blocks: int, seed: int = 0, *, branches: int = 4, **size: float) -> Pipeline:
    """Blocks of parallel branches of one to three convolutions, joined at the end."""
    graph = _Graph(np.random.default_rng(seed))
    x = graph.add(3.0, 1.0, weights=1)
    for _ in range(blocks):
        ends = []
        for branch in range(branches):
            y = x
            for _ in range(branch % 3 + 1):
                y = graph.add(0.7, 0.3, y, weights=1)
                y = graph.add(0.1, 0.3, y, weights=4)
                y = graph.add(0.05, 0.3, y)
            ends.append(y)
        x = graph.add(0.1, 1.0, *ends)
    graph.add(0.5, 0.01, x, weights=2)
    return graph.pipeline(**_sizes(size))


def _sizes(size: dict[str, float]) -> dict[str, float]:
    return {"accelerators": 6, "cores": 1, "capacity": 2e9} | size
