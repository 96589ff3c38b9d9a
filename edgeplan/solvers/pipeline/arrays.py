"""The throughput problem as arrays: groups of layers, identical devices, shared tensors.

A device that holds the set S of groups is busy for Σ seconds, plus, where it is occupied by
transfers, once the seconds of each tensor that it makes for others or takes from others. For a
tensor with producer p and consumers C both cases together say: the set {p} ∪ C is split by S.
So the load of S is a sum over its groups plus the weight of the hyperedges that S cuts. The
problem is to deal all groups to devices so that the largest load per replica is least.

*Contiguous* plans have an acyclic quotient: the devices can be ordered so that every tensor goes
forward. Every device's set is then convex.

The reductions at the end of `Pipeline` are exact. Each returns a smaller pipeline that carries
the way back (`expand`). Some hold for all plans; some for the plans below a limit, for use with
the value of a plan in hand. Method and data: Tarnawski et al., *Efficient Algorithms for Device
Placement of DNN Graph Operators*, NeurIPS 2020.
"""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgeplan.solvers.pipeline.orders import cycles

if TYPE_CHECKING:
    from edgeplan.model.problem import Problem

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_SLACK = 1e-9
"""Relative: what is excluded by a limit must exceed it by more than sums may be off."""


@dataclass(frozen=True)
class SharedTensor:
    """A tensor that leaves the group that makes it.

    Parameters
    ----------
    producer
        Group that makes it.
    consumers
        Groups that read it, ascending, without the producer.
    seconds
        Time that it keeps each occupied device busy that sends or receives it.
    """

    producer: int
    consumers: tuple[int, ...]
    seconds: float

    @property
    def groups(self) -> tuple[int, ...]:
        """Producer and consumers."""
        return (self.producer, *self.consumers)


@dataclass(frozen=True, kw_only=True, eq=False)
class Pipeline:
    """Groups of layers to be dealt to devices for the highest throughput.

    Parameters
    ----------
    seconds
        Groups × devices; ``inf`` where a group cannot run.
    memory_bytes
        Groups × devices.
    capacity_bytes
        Per device; ``inf`` for no limit.
    occupy
        Per device: whether transfers keep it busy.
    replicas
        Per device: the load is shared by so many.
    tensors
        What crosses between groups; no two with the same producer and the same consumers.
    group_of
        For each layer of the original problem its group: the way back.
    spill_seconds_per_byte
        Where idle groups were merged as if memory were free (`gather`): a plan that kept bytes
        of them elsewhere, against a memory limit, had at least so much load on that device for
        each byte. ``inf`` where nothing was.

    Examples
    --------
    Two layers on two like devices, joined by a tensor of half a second:

    >>> import numpy as np
    >>> pipeline = Pipeline(
    ...     seconds=np.ones((2, 2)),
    ...     memory_bytes=np.zeros((2, 2)),
    ...     capacity_bytes=np.full(2, np.inf),
    ...     occupy=np.array([True, True]),
    ...     replicas=np.ones(2),
    ...     tensors=(SharedTensor(0, (1,), 0.5),),
    ...     group_of=np.arange(2),
    ... )
    >>> [float(load) for load in pipeline.loads(np.array([0, 1]))]
    [1.5, 1.5]
    """

    seconds: Floats
    memory_bytes: Floats
    capacity_bytes: Floats
    occupy: Bools
    replicas: Floats
    tensors: tuple[SharedTensor, ...]
    group_of: Ints = field(repr=False)
    spill_seconds_per_byte: float = math.inf

    @staticmethod
    def of(problem: Problem) -> Pipeline:
        """Return the pipeline of a problem; see `edgeplan.solvers.pipeline.problem`."""
        from edgeplan.solvers.pipeline.problem import pipeline_of

        return pipeline_of(problem)

    @property
    def groups(self) -> int:
        """Number of groups."""
        return len(self.seconds)

    @property
    def devices(self) -> int:
        """Number of devices."""
        return len(self.capacity_bytes)

    @cached_property
    def classes(self) -> tuple[tuple[int, ...], ...]:
        """Devices that are identical in all that counts here, class by class."""
        alike: dict[tuple[object, ...], list[int]] = defaultdict(list)
        for device in range(self.devices):
            key = (
                self.seconds[:, device].tobytes(),
                self.memory_bytes[:, device].tobytes() if self.limits_memory[device] else b"",
                float(self.capacity_bytes[device]),
                bool(self.occupy[device]),
                float(self.replicas[device]),
            )
            alike[key].append(device)
        return tuple(tuple(devices) for devices in alike.values())

    @cached_property
    def limits_memory(self) -> Bools:
        """Per device: whether there are plans that its memory forbids."""
        return np.asarray(self.memory_bytes.sum(axis=0) > self.capacity_bytes)

    @cached_property
    def before(self) -> tuple[frozenset[int], ...]:
        """For each group the groups whose tensors it reads."""
        before: list[set[int]] = [set() for _ in range(self.groups)]
        for tensor in self.tensors:
            for consumer in tensor.consumers:
                before[consumer].add(tensor.producer)
        return tuple(map(frozenset, before))

    @cached_property
    def after(self) -> tuple[frozenset[int], ...]:
        """For each group the groups that read its tensors."""
        after: list[set[int]] = [set() for _ in range(self.groups)]
        for group, before in enumerate(self.before):
            for producer in before:
                after[producer].add(group)
        return tuple(map(frozenset, after))

    def loads(self, assignment: Sequence[int] | Ints) -> Floats:
        """Return each device's seconds per request and replica.

        Parameters
        ----------
        assignment
            Device of each group.
        """
        terms: list[list[float]] = [[] for _ in range(self.devices)]
        for group, device in enumerate(assignment):
            terms[device].append(float(self.seconds[group, device]))
        for tensor in self.tensors:
            touched = {int(assignment[group]) for group in tensor.groups}
            if len(touched) > 1:
                for device in touched:
                    if self.occupy[device]:
                        terms[device].append(tensor.seconds)
        return np.array([math.fsum(row) for row in terms]) / self.replicas

    def value(self, assignment: Sequence[int] | Ints) -> float:
        """Return the seconds per request of the most loaded device; memory is not looked at."""
        return float(self.loads(assignment).max())

    def fits(self, assignment: Sequence[int] | Ints) -> bool:
        """Say whether each device can run and keep what it is given."""
        placed = np.asarray(assignment)
        rows = np.arange(self.groups)
        used = np.bincount(placed, self.memory_bytes[rows, placed], self.devices)
        return bool(np.isfinite(self.seconds[rows, placed]).all()) and bool(
            (used <= self.capacity_bytes).all()
        )

    def contiguous(self, assignment: Sequence[int] | Ints) -> bool:
        """Say whether the devices can be ordered so that every tensor goes forward."""
        edges = {
            (int(assignment[tensor.producer]), int(assignment[consumer]))
            for tensor in self.tensors
            for consumer in tensor.consumers
        }
        return not cycles(self.devices, ((a, b) for a, b in edges if a != b))

    def expand(self, assignment: Sequence[int] | Ints) -> Ints:
        """Return the device of each layer of the original problem."""
        return np.asarray(assignment, dtype=np.int64)[self.group_of]

    def restrict(self, devices_of_layers: Sequence[int] | Ints) -> Ints | None:
        """Return the device of each group, or ``None`` where layers of a group are apart."""
        assignment = np.full(self.groups, -1, dtype=np.int64)
        placed = np.asarray(devices_of_layers, dtype=np.int64)
        assignment[self.group_of] = placed
        return assignment if bool((assignment[self.group_of] == placed).all()) else None

    @cached_property
    def least_seconds(self) -> Floats:
        """Per group: the least seconds per replica that it takes on any device."""
        return np.asarray((self.seconds / self.replicas).min(axis=1))

    @cached_property
    def efficiency(self) -> Floats:
        """Per device: the most `least_seconds` that it can do in one of its seconds."""
        least = self.least_seconds
        paid = (least > 0) & np.isfinite(least)
        if not paid.any():
            return np.ones(self.devices)
        return np.asarray((least[paid, None] / (self.seconds[paid] / self.replicas)).max(axis=0))

    def communication_free_bound(self) -> float:
        """Return a lower bound on any plan's value: work shared evenly, nothing transferred.

        Each group takes `least_seconds` at the least; in T seconds a device does at most
        ``efficiency × T`` of it. A group also fits on no device in less than its least.
        """
        if not np.isfinite(self.least_seconds).all():
            return math.inf
        work = math.fsum(self.least_seconds)
        even = work / math.fsum(self.efficiency) if work else 0.0
        return max(even, float(self.least_seconds.max(initial=0.0))) * (1 - _SLACK)

    # Reductions.

    def contract(self, labels: Sequence[int] | Ints) -> Pipeline:
        """Return the pipeline in which the groups with equal labels are one.

        Tensors within a group vanish; tensors with the same producer and the same consumers are
        split by the same sets, so they are one tensor with the sum of their seconds.
        """
        _, numbers = np.unique(np.asarray(labels), return_inverse=True)
        count = int(numbers.max(initial=-1)) + 1
        seconds = np.zeros((count, self.devices))
        memory = np.zeros((count, self.devices))
        np.add.at(seconds, numbers, self.seconds)
        np.add.at(memory, numbers, self.memory_bytes)
        return dataclasses.replace(
            self,
            seconds=seconds,
            memory_bytes=memory,
            tensors=merged_tensors(
                SharedTensor(
                    int(numbers[tensor.producer]),
                    tuple(int(numbers[consumer]) for consumer in tensor.consumers),
                    tensor.seconds,
                )
                for tensor in self.tensors
            ),
            group_of=numbers[self.group_of],
        )

    def merge_cycles(self) -> Pipeline:
        """Merge groups that lie on a common cycle; exact for contiguous plans.

        Each edge of the cycle goes forward in the order of the devices or stays on one device;
        around a cycle it must stay.
        """
        labels = np.arange(self.groups)
        for cycle in cycles(
            self.groups, ((a, b) for b, before in enumerate(self.before) for a in before)
        ):
            labels[list(cycle)] = cycle[0]
        return self.contract(labels)

    def below(self, limit: float, *, contiguous: bool) -> Pipeline:
        """Apply every reduction that keeps the best plan, if it is below a limit.

        Parameters
        ----------
        limit
            The value of a plan in hand: seconds per request.
        contiguous
            Whether plans must be contiguous.

        Returns
        -------
        Pipeline
            Its plans expand to plans of the same value. If this pipeline has a plan below the
            limit, then its best plan is also one of the reduced pipeline's. A plan of the
            reduced pipeline at or above the limit may break this one's memory limits.
        """
        reduced = self.without_idle_memory(limit)._merge(limit, contiguous=contiguous)
        if not np.isfinite(reduced.capacity_bytes).any():
            return reduced
        # Move idle groups as if memory were free. No load grows, so a plan below the limit
        # stays below it; if no plan of the merged groups below it can reach a memory limit,
        # the moved plan keeps all of them too.
        free = reduced.gather(limit, contiguous=contiguous).without_idle_memory(limit)
        return reduced if np.isfinite(free.capacity_bytes).any() else free

    def gather(self, limit: float = math.inf, *, contiguous: bool) -> Pipeline:
        """Do as `below`, as if memory were free; its limits then apply to the merged groups.

        Not exact where memory binds: plans that keep an idle group away from its neighbour to
        save memory there are lost. Every plan that is left is one of this pipeline. What such
        a plan would have paid is kept as `spill_seconds_per_byte`: moving idle groups to their
        neighbours brings bytes to a device, and takes at least so much load off it.
        """
        free = dataclasses.replace(self, capacity_bytes=np.full(self.devices, math.inf))
        free = free._merge(limit, contiguous=contiguous)
        return dataclasses.replace(free, capacity_bytes=self.capacity_bytes)

    def _merge(self, limit: float, *, contiguous: bool) -> Pipeline:
        reduced = self.merge_cycles() if contiguous else self
        while True:
            count = reduced.groups
            reduced = reduced.merge_heavy(limit)
            if contiguous:
                reduced = reduced.merge_cycles()
            reduced = reduced.merge_idle()
            if reduced.groups == count:
                return reduced

    def without_idle_memory(self, limit: float) -> Pipeline:
        """Lift the memory limits that no plan below a limit can reach.

        The most bytes that groups of at most ``limit`` seconds can take on a device is at most
        the value of the fractional knapsack: the groups by bytes per second, the last in part.
        """
        capacity = self.capacity_bytes.copy()
        for device in np.flatnonzero(np.isfinite(capacity)):
            seconds, memory = self.seconds[:, device], self.memory_bytes[:, device]
            can = np.isfinite(seconds)
            seconds, memory = seconds[can], memory[can]
            with np.errstate(divide="ignore", invalid="ignore"):
                order = np.argsort(-np.where(seconds > 0, memory / seconds, np.inf))
            spent = np.cumsum(seconds[order])
            room = limit * float(self.replicas[device]) * (1 + _SLACK)
            before = spent - seconds[order]
            with np.errstate(divide="ignore", invalid="ignore"):
                part = np.where(
                    seconds[order] > 0, np.clip((room - before) / seconds[order], 0.0, 1.0), 1.0
                )
            if float((part * memory[order]).sum()) * (1 + _SLACK) <= capacity[device]:
                capacity[device] = math.inf
        return dataclasses.replace(self, capacity_bytes=capacity)

    def merge_heavy(self, limit: float) -> Pipeline:
        """Merge producer and consumer where parting them costs more than a limit.

        Apart, on devices a ≠ b, each bears its group's seconds and, if occupied, the tensor's.
        If one of them exceeds the limit for all a ≠ b, plans below the limit keep both together.
        """
        label = _Labels(self.groups)
        most = limit * self.replicas * (1 + _SLACK)
        between: dict[tuple[int, int], float] = defaultdict(float)
        for tensor in self.tensors:
            for consumer in tensor.consumers:
                between[tensor.producer, consumer] += tensor.seconds
        for (producer, consumer), seconds in between.items():
            busy = np.where(self.occupy, seconds, 0.0)
            here = np.flatnonzero(self.seconds[producer] + busy <= most)
            there = np.flatnonzero(self.seconds[consumer] + busy <= most)
            if len(np.union1d(here, there)) < 2 or not (len(here) and len(there)):
                label.join(producer, consumer)
        return self.contract(label.roots())

    def merge_idle(self) -> Pipeline:
        """Merge groups that take no time into the neighbour that needs them most.

        Let u take no time on any device on which q can run, and no memory that counts.

        * All that u makes goes to q alone, and what u reads takes no longer than what it makes.
          Moving u from its device X to q's device Y frees X and Y of u's tensors to q; each of
          the tensors that u reads may now be charged to Y, and to X where it was made there: no
          more than what was freed. No other device gains anything.
        * All that u reads comes from q and goes to u alone, and what u makes takes no longer:
          the same with the roles of making and reading exchanged. Where what u makes takes no
          time at all, nothing can be gained by any device, and others may read along.

        In both cases u's edge to q made X → Y (or Y → X) an edge of the quotient, so moving u
        makes no cycle, and the plan stays contiguous if it was.
        """
        light = ~np.isfinite(self.capacity_bytes) | (self.memory_bytes == 0)
        able = np.isfinite(self.seconds)
        idle = np.where(able, self.seconds, 0.0).max(axis=1) == 0
        made: list[list[SharedTensor]] = [[] for _ in range(self.groups)]
        read: list[list[SharedTensor]] = [[] for _ in range(self.groups)]
        for tensor in self.tensors:
            made[tensor.producer].append(tensor)
            for consumer in tensor.consumers:
                read[consumer].append(tensor)
        label = _Labels(self.groups)
        spill = self.spill_seconds_per_byte
        touched: set[int] = set()
        for group in np.flatnonzero(idle & light.all(axis=1)).tolist():
            partner, saved = _partner(group, made[group], read[group])
            # One merge at a time around each group: the next round sees the new neighbours.
            around = {group, *self.before[group], *self.after[group]}
            if partner is None or around & touched or not (able[group] >= able[partner]).all():
                continue
            label.join(partner, group)
            touched |= around
            if size := float(self.memory_bytes[group].max()):
                spill = min(spill, saved / size)
        return dataclasses.replace(self.contract(label.roots()), spill_seconds_per_byte=spill)


def merged_tensors(tensors: Iterable[SharedTensor]) -> tuple[SharedTensor, ...]:
    """Drop what stays within a group and add up tensors between the same groups."""
    seconds: dict[tuple[int, tuple[int, ...]], float] = defaultdict(float)
    for tensor in tensors:
        consumers = tuple(sorted(set(tensor.consumers) - {tensor.producer}))
        if consumers:
            seconds[tensor.producer, consumers] += tensor.seconds
    return tuple(
        SharedTensor(producer, consumers, total) for (producer, consumers), total in seconds.items()
    )


def _partner(
    group: int, made: list[SharedTensor], read: list[SharedTensor]
) -> tuple[int | None, float]:
    """Return the neighbour that an idle group may join, and what that saves; see `merge_idle`."""
    makes = math.fsum(tensor.seconds for tensor in made)
    reads = math.fsum(tensor.seconds for tensor in read)
    consumers = {consumer for tensor in made for consumer in tensor.consumers}
    if len(consumers) == 1 and reads <= makes:
        return consumers.pop(), makes - reads
    producers = {tensor.producer for tensor in read}
    if len(producers) == 1:
        if all(tensor.consumers == (group,) for tensor in read) and makes <= reads:
            return producers.pop(), reads - makes
        if makes == 0:
            return producers.pop(), 0.0
    return None, 0.0


class _Labels:
    """Which groups are joined."""

    def __init__(self, count: int) -> None:
        self.parent = list(range(count))

    def root(self, group: int) -> int:
        while self.parent[group] != group:
            self.parent[group] = self.parent[self.parent[group]]
            group = self.parent[group]
        return group

    def join(self, one: int, other: int) -> None:
        self.parent[self.root(other)] = self.root(one)

    def roots(self) -> list[int]:
        return [self.root(group) for group in range(len(self.parent))]
