"""Contiguous throughput by dynamic programming over the ideals of the graph. Exact.

An *ideal* is a set of groups that holds whatever its groups read. In a contiguous plan the
devices can be ordered so that all tensors go forward; the groups of the first k devices are then
an ideal. So a plan is a chain of ideals ∅ = I₀ ⊂ I₁ ⊂ … ⊂ all, each step on one device, and

    best(J, used + d) = min over I ⊂ J of max(best(I, used), load(J ∖ I on d)),

where *used* says how many devices of each class of identical ones hold something. A state is left
out where the plan in hand is no worse than all that can follow: the step's load reaches its
value, or what remains is more than the unused devices can do within it.

The plan in hand comes from the same recursion over few ideals: the prefixes of some topological
orders. Method: Tarnawski et al., *Efficient Algorithms for Device Placement of DNN Graph
Operators*, NeurIPS 2020, section 4; the pruning is ours.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgeplan.solvers.pipeline.arrays import Floats, Ints, Pipeline
from edgeplan.solvers.pipeline.orders import topological_orders
from edgeplan.solvers.result import Stop
from edgeplan.solvers.watch import EndedError, Watch

Words = NDArray[np.uint64]

IDEALS_LIMIT = 200_000
"""So many ideals take about 3 s to list; the transitions between them take minutes."""
ROUNDING = 1e-12
"""Relative: what the same sum may be off when it is added up in another order."""
STATES_LIMIT = 50_000_000
"""Ideals × counts of used devices: 8 bytes each for the value, 4 for the way back."""


@dataclass(frozen=True, kw_only=True)
class ContiguousOutcome:
    """What the search found.

    Parameters
    ----------
    stop
        Why it stopped.
    assignment
        Device of each group of the pipeline given, or ``None``.
    value
        Seconds per request of the assignment; ``inf`` without one.
    bound
        Lower bound on the value of every contiguous plan.
    ideals, states, transitions
        Ideals listed, (ideal, used) pairs extended, steps priced.
    """

    stop: Stop
    assignment: Ints | None
    value: float
    bound: float
    ideals: int
    states: int
    transitions: int


def solve_contiguous(
    pipeline: Pipeline,
    *,
    hint: Ints | None = None,
    limit: int = IDEALS_LIMIT,
    time_limit: float | None = None,
    stop: threading.Event | None = None,
    on_progress: Callable[[float, float], None] | None = None,
) -> ContiguousOutcome:
    """Find the best contiguous plan.

    Parameters
    ----------
    pipeline
        The problem.
    hint
        Device of each group, to begin from; it counts if it is feasible and contiguous.
    limit
        Most ideals that it will list.
    time_limit
        Seconds of wall time; ``None`` for none.
    stop
        Setting it ends the search with what it has, as Ctrl-C does.
    on_progress
        Called with (value, bound) at each improvement.
    """
    search = _Search(pipeline, Watch(time_limit, stop), on_progress)
    try:
        if hint is not None:
            search.offer(np.asarray(hint))
        search.run(limit)
    except EndedError as ended:
        return search.outcome(ended.stop)
    except KeyboardInterrupt:
        return search.outcome(Stop.INTERRUPTED)
    return search.outcome(Stop.COMPLETED)


@dataclass
class _Search:
    pipeline: Pipeline
    clock: Watch
    on_progress: Callable[[float, float], None] | None
    assignment: Ints | None = None
    value: float = math.inf
    bound: float = field(init=False)
    ideals: int = 0
    states: int = 0
    transitions: int = 0

    def __post_init__(self) -> None:
        self.bound = self.pipeline.communication_free_bound()

    def run(self, limit: int) -> None:
        gathered = self.pipeline.gather(contiguous=True)
        self._chains(gathered)
        reduced = self.pipeline.below(self.value, contiguous=True)
        if reduced.groups < gathered.groups:
            self._chains(reduced)
            reduced = reduced.below(self.value, contiguous=True)
        elif reduced.groups > gathered.groups:
            # Memory binds: idle groups cannot be merged without loss. They can as a relaxation.
            self._chains(reduced)
            if not self._spilled(limit):
                return
            reduced = self.pipeline.below(self.value, contiguous=True)
        self._program(reduced, self._list(reduced, limit))
        self._raise_bound(self.value)

    def _spilled(self, limit: int) -> bool:
        """Bound by moving idle groups as if memory were free; say whether a gap remains.

        First with the memory limits, for a better plan; then each byte beyond a limit at what a
        plan saves at most by keeping it elsewhere, for the bound.
        """
        for spills in (False, True):
            gathered = self.pipeline.gather(self.value, contiguous=True)
            ideals = self._list(gathered, limit)
            least = self._program(gathered, ideals, spills=spills)
        if least >= self.value * (1 - ROUNDING):
            least = self.value
        self._raise_bound(least)
        return self.bound < self.value

    def _list(self, pipeline: Pipeline, limit: int) -> list[int]:
        ideals = list_ideals(pipeline, limit, self.clock.check)
        self.ideals += limit if ideals is None else len(ideals)
        if ideals is None:
            raise EndedError(Stop.WORK_LIMIT)
        return ideals

    def _raise_bound(self, bound: float) -> None:
        self.bound = max(self.bound, min(bound, self.value))
        self._report()

    def offer(self, assignment: Ints) -> None:
        """Take a plan of the whole pipeline if it is better; check all of it."""
        if not self.pipeline.fits(assignment) or not self.pipeline.contiguous(assignment):
            return
        value = self.pipeline.value(assignment)
        if value < self.value:
            self.assignment, self.value = assignment, value
            self._report()

    def outcome(self, stop: Stop) -> ContiguousOutcome:
        if self.assignment is not None:
            self.value = self.pipeline.value(self.assignment)
        return ContiguousOutcome(
            stop=stop,
            assignment=self.assignment,
            value=self.value,
            bound=min(self.bound, self.value),
            ideals=self.ideals,
            states=self.states,
            transitions=self.transitions,
        )

    def _report(self) -> None:
        if self.on_progress is not None:
            self.on_progress(self.value, min(self.bound, self.value))

    def _chains(self, pipeline: Pipeline) -> None:
        """Find a good plan among the prefixes of some topological orders."""
        orders = topological_orders(pipeline)
        sets = {0}
        for order in orders:
            members = 0
            for group in order:
                members |= 1 << group
                sets.add(members)
        self._program(pipeline, list(sets))

    def _program(self, pipeline: Pipeline, ideals: Sequence[int], *, spills: bool = False) -> float:
        """Run the recursion over the ideals given; keep the plan if it beats the one in hand.

        Returns
        -------
        float
            The least value in reach, or that of the plan in hand where there is nothing less.
        """
        if not np.isfinite(pipeline.least_seconds).all():
            # Some group runs nowhere, or on no device below the value in hand.
            return self.value
        before = self.value
        spill = pipeline.spill_seconds_per_byte if spills else math.inf
        table = _Table(pipeline, ideals, self.value, self.clock, spill)
        try:
            assignment = table.run()
        finally:
            self.states += table.states
            self.transitions += table.transitions
        if assignment is not None:
            self.offer(_lift(pipeline, assignment, self.pipeline))
        return min(before, table.least)


def _lift(pipeline: Pipeline, assignment: Ints, original: Pipeline) -> Ints:
    """Return the device of each group of the original pipeline."""
    placed = original.restrict(pipeline.expand(assignment))
    assert placed is not None, "reductions only merge groups"
    return placed


class _Table:
    """best(ideal, used), filled forward in the order of the ideals' least seconds."""

    def __init__(
        self,
        pipeline: Pipeline,
        ideals: Sequence[int],
        value: float,
        clock: Watch,
        spill: float,
    ) -> None:
        self.spill = spill
        self.pipeline, self.clock, self.value = pipeline, clock, value
        self.states = self.transitions = 0
        groups = pipeline.groups
        member = unpack(ideals, groups)
        work = member @ pipeline.least_seconds
        order = np.lexsort((member.sum(axis=1), work))
        self.member = np.ascontiguousarray(member[order])
        self.work = work[order]
        self.words = pack(self.member)
        self.classes = pipeline.classes
        sizes = [len(devices) for devices in self.classes]
        # A state's number: how many of each class are used, in mixed radix.
        self.strides = np.cumprod([1, *(size + 1 for size in sizes)]).astype(np.int64)
        count = int(self.strides[-1])
        if count * len(ideals) > STATES_LIMIT:
            raise EndedError(Stop.WORK_LIMIT)
        states = np.arange(count)
        used = np.stack(
            [
                states // stride % (size + 1)
                for stride, size in zip(self.strides, sizes, strict=False)
            ]
        )
        self.room = [np.flatnonzero(row < size) for row, size in zip(used, sizes, strict=True)]
        efficiency = np.array([pipeline.efficiency[devices[0]] for devices in self.classes])
        left = np.array(sizes)[:, None] - used
        self.least_done = np.full(count, -math.inf)
        if math.isfinite(value):
            self.least_done = work.max() - value * (efficiency @ left) * (1 + 1e-9)
        self.best = np.full((len(ideals), count), math.inf)
        self.origin = np.full((len(ideals), count), -1, dtype=np.int32)
        self.sums = [self._sums(devices[0]) for devices in self.classes]
        self.heavy = [tensor for tensor in pipeline.tensors if tensor.seconds > 0]
        self.open = self._open()
        self.cut = self.open @ np.array([tensor.seconds for tensor in self.heavy])

    def _sums(self, device: int) -> tuple[Floats, Floats | None, Floats | None]:
        """Return per ideal the seconds, the groups that cannot run, the bytes on a device."""
        seconds = self.pipeline.seconds[:, device]
        cannot = ~np.isfinite(seconds)
        memory = self.pipeline.memory_bytes[:, device]
        return (
            _total(self.member, np.where(cannot, 0.0, seconds)),
            _total(self.member, cannot.astype(float)) if cannot.any() else None,
            _total(self.member, memory) if self.pipeline.limits_memory[device] else None,
        )

    def _open(self) -> NDArray[np.bool_]:
        """Return ideals × tensors: whether the ideal makes the tensor for the rest."""
        open_tensors = np.zeros((len(self.member), len(self.heavy)), dtype=np.bool_)
        for column, tensor in enumerate(self.heavy):
            whole = self.member[:, list(tensor.consumers)].all(axis=1)
            open_tensors[:, column] = self.member[:, tensor.producer] & ~whole
        return open_tensors

    def run(self) -> Ints | None:
        self.best[0, 0] = 0.0
        longest = self.value * float(self.pipeline.replicas.max()) * (1 + 1e-9)
        ends = np.searchsorted(self.work, self.work + longest, side="right")
        for index in range(len(self.best) - 1):
            row = self.best[index]
            live = np.isfinite(row) & (self.work[index] >= self.least_done)
            if not live.any():
                continue
            if index % 64 == 0:
                self.clock.check()
            self._extend(index, int(ends[index]), np.where(live, row, math.inf))
        return self._plan()

    def _extend(self, index: int, end: int, row: Floats) -> None:
        """Take every step from an ideal."""
        after = slice(index + 1, end)
        larger = np.ones(end - index - 1, dtype=np.bool_)
        for word in range(self.words.shape[1]):
            bits = self.words[index, word]
            if bits:
                larger &= (self.words[after, word] & bits) == bits
        targets = np.flatnonzero(larger) + index + 1
        if not len(targets):
            return
        self.states += int(np.isfinite(row).sum())
        busy = self._transfers(index, targets)
        for number, devices in enumerate(self.classes):
            self._step(index, targets, busy, row, number, devices[0])

    def _transfers(self, index: int, targets: Ints) -> Floats:
        """Return the seconds of the tensors that each step J ∖ I cuts.

        Those that J makes for the rest, less those of them that I makes; and those that I makes
        for J ∖ I. Only the tensors that I makes for the rest matter.
        """
        here = self.member[index]
        busy = self.cut[targets]
        weights: dict[int, float] = {}
        constant = 0.0
        for number in np.flatnonzero(self.open[index]).tolist():
            tensor = self.heavy[number]
            ahead = [consumer for consumer in tensor.consumers if not here[consumer]]
            if len(ahead) == 1:
                # Read in the step: charged as taken. Not read: not of the step's making.
                weights[ahead[0]] = weights.get(ahead[0], 0.0) + 2 * tensor.seconds
                constant += tensor.seconds
            else:
                read = self.member[np.ix_(targets, np.array(ahead))]
                busy += tensor.seconds * read.any(axis=1) - tensor.seconds * ~read.all(axis=1)
        if weights:
            read = self.member[np.ix_(targets, np.array(list(weights)))]
            busy += _total(read, np.array(list(weights.values()))) - constant
        return np.asarray(busy)

    def _step(
        self, index: int, targets: Ints, busy: Floats, row: Floats, number: int, device: int
    ) -> None:
        """Put the steps on a device of one class."""
        seconds, cannot, memory = self.sums[number]
        load = seconds[targets] - seconds[index]
        if self.pipeline.occupy[device]:
            load = load + busy
        if memory is not None:
            over = memory[targets] - memory[index] - self.pipeline.capacity_bytes[device]
            if math.isinf(self.spill):
                load = np.where(over > 0, np.inf, load)
            elif self.pipeline.occupy[device]:
                load = load + np.maximum(over, 0.0) * self.spill
        load = load / self.pipeline.replicas[device]
        fits = load < self.value
        if cannot is not None:
            fits &= cannot[targets] == cannot[index]
        self.transitions += len(targets)
        targets, load = targets[fits], load[fits]
        origin = index * len(self.classes) + number
        states = self.room[number]
        states = states[np.isfinite(row[states])]
        stride = int(self.strides[number])
        for state in states.tolist():
            reached = np.maximum(load, row[state])
            better = reached < self.best[targets, state + stride]
            chosen = targets[better]
            self.best[chosen, state + stride] = reached[better]
            self.origin[chosen, state + stride] = origin

    @property
    def least(self) -> float:
        """The least value of all groups on the devices; ``inf`` where none is in reach."""
        return float(self.best[-1].min())

    def _plan(self) -> Ints | None:
        last = self.best[-1]
        state = int(np.argmin(last))
        if not math.isfinite(last[state]):
            return None
        assignment = np.zeros(self.pipeline.groups, dtype=np.int64)
        index = len(self.best) - 1
        taken = [0] * len(self.classes)
        while index:
            previous, number = divmod(int(self.origin[index, state]), len(self.classes))
            step = self.member[index] & ~self.member[previous]
            assignment[step] = self.classes[number][taken[number]]
            taken[number] += 1
            index, state = previous, state - int(self.strides[number])
        return assignment


def _total(member: NDArray[np.bool_], amounts: Floats) -> Floats:
    """Return for each row the sum of its members' amounts."""
    return np.asarray(member @ amounts)


def unpack(ideals: Iterable[int], groups: int) -> NDArray[np.bool_]:
    """Return sets of groups, given as the bits of whole numbers, as rows of booleans."""
    width = (groups + 7) // 8
    raw = b"".join(ideal.to_bytes(width, "little") for ideal in ideals)
    packed = np.frombuffer(raw, dtype=np.uint8).reshape(-1, width)
    bits = np.unpackbits(packed, axis=1, count=groups, bitorder="little")
    return np.asarray(bits.astype(np.bool_))


def pack(member: NDArray[np.bool_]) -> Words:
    """Return rows of booleans as rows of 64-bit words."""
    packed = np.packbits(member, axis=1, bitorder="little")
    padded = np.zeros((len(member), -(-packed.shape[1] // 8) * 8), dtype=np.uint8)
    padded[:, : packed.shape[1]] = packed
    return padded.view(np.uint64)


def list_ideals(
    pipeline: Pipeline, limit: int, check: Callable[[], None] | None = None
) -> list[int] | None:
    """List all ideals as bit sets, or return ``None`` where there are more than the limit."""
    needs = [sum(1 << group for group in before) for before in pipeline.before]
    sources = [group for group in range(pipeline.groups) if not needs[group]]
    found: dict[int, tuple[int, ...]] = {0: tuple(sources)}
    level = [0]
    while level:
        if check is not None:
            check()
        larger: list[int] = []
        for ideal in level:
            addable = found[ideal]
            for group in addable:
                bigger = ideal | 1 << group
                if bigger in found:
                    continue
                new = tuple(
                    after
                    for after in pipeline.after[group]
                    if needs[after] & bigger == needs[after]
                )
                found[bigger] = tuple(other for other in addable if other != group) + new
                larger.append(bigger)
            if len(found) > limit:
                return None
        level = larger
    return list(found)
