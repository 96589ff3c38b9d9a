"""A worker's side of an open loop: many requests in flight, served first-come first-served.

One thread serves the device's stage jobs, one at a time, in the order in which they became
ready. One per peer sends to it, so that a transfer does not keep the device busy. What crosses
an emulated link is sent at once and let in at its time by a clock thread, which never spins: on
a machine with as many busy workers as cores, spinning would take the time that is measured.

Requests need no word beforehand: their inputs lie here already (``stock``), which of them a
request takes follows from its number, and times stay here until they are asked for.
"""

from __future__ import annotations

import contextlib
import functools
import heapq
import itertools
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from edgeplan.execution.protocol import Array, Channel, Frame, ProtocolError, TensorSpec
from edgeplan.execution.schedule import Compute, Move, Schedule
from edgeplan.model.errors import ExecutionError

HELD_LIMIT_BYTES = 1 << 30
"""Tensors of waiting requests that a worker holds at most."""
RECORD_FIELDS = ("request", "step", "ready_ns", "start_ns", "end_ns", "cpu_ns")
RECORD_LIMIT = 10_000_000


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What a station must know of a route before its first request.

    Parameters
    ----------
    schedule
        The route.
    stock
        Name of the inputs that its requests take.
    keep
        Outputs that end here, kept of some requests for comparison.
    last_step
        The last step in which this device takes part; -1 for none.
    """

    schedule: Schedule
    stock: str
    keep: tuple[str, ...]
    last_step: int


@dataclass
class Flying:
    """A request that is here."""

    traffic: Traffic
    number: int
    held: dict[str, Array]
    bytes: int = 0
    left: bool = False


Perform = Callable[
    [Compute, Mapping[str, Array], Mapping[str, TensorSpec]], tuple[dict[str, Array], int]
]


_Outbox = queue.SimpleQueue[Callable[[], None] | None]
"""What a thread of its own sends, in order, so that nobody else waits for it."""


@dataclass(order=True)
class _Alarm:
    at_ns: int
    order: int
    act: Callable[[], None] = field(compare=False)


class Station:
    """Serves the requests of an open loop at one device.

    Parameters
    ----------
    device
        Its name.
    control
        The controller's connection, told of every request that ends here.
    channel_to
        Returns the connection to a peer.
    perform
        Runs a stage: from its step, the tensors that are here and their specs to the outputs
        by name and the CPU time in nanoseconds.
    now_ns
        The time on the controller's clock.
    report
        Told of an error in one of the threads.
    """

    def __init__(
        self,
        device: str,
        control: Channel,
        channel_to: Callable[[str], Channel],
        perform: Perform,
        now_ns: Callable[[], int],
        report: Callable[[BaseException], object],
    ) -> None:
        self.device = device
        self._control = control
        self._channel_to = channel_to
        self._perform = perform
        self._now_ns = now_ns
        self._report = report
        self._stock: dict[str, dict[int, dict[str, Array]]] = {}
        self._traffic: dict[int, Traffic] = {}
        self._pool = 1
        self._keep_every = 1
        self._lock = threading.Lock()
        self._here: dict[int, Flying] = {}
        self._held_bytes = 0
        self._kept: dict[int, dict[str, Array]] = {}
        self._records: list[tuple[int, int, int, int, int, int]] = []
        self._free_ns: dict[str, int] = {}
        self._jobs: queue.SimpleQueue[tuple[Flying, int, int] | None] = queue.SimpleQueue()
        self._outboxes: dict[str, _Outbox] = {}
        self._news: _Outbox = queue.SimpleQueue()
        self._alarms: list[_Alarm] = []
        self._order = itertools.count()
        self._bell = threading.Condition()
        self._closed = False
        self._start(self._serve, "serving")
        self._start(self._ring, "clock")
        self._start(functools.partial(_empty, self._news), "to the controller")

    def close(self) -> None:
        """Let every thread end."""
        self._jobs.put(None)
        for box in (*self._outboxes.values(), self._news):
            box.put(None)
        with self._bell:
            self._closed = True
            self._bell.notify()

    # What the controller says.

    def expect(self, frame: Frame, schedules: Mapping[int, Schedule]) -> None:
        """Take the routes, the number of stocked inputs and how often outputs are kept.

        Raises
        ------
        ProtocolError
            If there is no such route or tensor.
        """
        for item in frame.items("routes"):
            route = Frame(item if isinstance(item, dict) else {}, 0)
            schedule = schedules.get(route.integer("route"))
            if schedule is None:
                raise ProtocolError("there is no such route")
            keep = tuple(route.texts("keep"))
            for name in keep:
                known(schedule.specs, name)
            self._traffic[schedule.number] = Traffic(
                schedule=schedule,
                stock=route.text("stock"),
                keep=keep,
                last_step=schedule.last_step(self.device),
            )
            for device in schedule.devices:
                if device != self.device and device not in self._outboxes:
                    box = self._outboxes[device] = queue.SimpleQueue()
                    self._start(functools.partial(_empty, box), f"to {device}")
        self._pool = frame.integer("pool", 1)
        self._keep_every = frame.integer("keep_every", 1)

    def stock(self, frame: Frame) -> Mapping[str, object]:
        """Keep inputs, of those that lie here, that requests take by their number."""
        specs = self._expected(frame).schedule.specs
        wanted = [known(specs, name) for name in frame.texts("names")]
        self._hold(None, sum(spec.bytes for spec in wanted))
        tensors = self._control.receive_tensors(frame, wanted)
        self._stock.setdefault(frame.text("stock"), {})[frame.integer("index")] = tensors
        return {"kind": "ok"}

    def arrive(self, frame: Frame) -> None:
        """Begin a request here."""
        self._advance(self._request(frame), 0)

    def collect(self, frame: Frame) -> None:
        """Send kept outputs of a request to the controller, and keep them no longer."""
        specs = self._expected(frame).schedule.specs
        with self._lock:
            kept = self._kept.pop(frame.integer("request"), {})
        names = frame.texts("names")
        tensors = tensors_of(specs, kept, names)
        self._control.send({"kind": "collected", "records": []}, tensors)

    def send_records(self) -> None:
        """Send what was noted so far, one row per step, in the order of `RECORD_FIELDS`.

        Of a computation: when it became ready, began and ended. Of a transfer, at its source:
        when it became ready and began; at its target: when it ended. What does not apply is 0.
        """
        with self._lock:
            rows, self._records = self._records, []
        table = np.array(rows, dtype=np.int64).reshape(len(rows), len(RECORD_FIELDS))
        header = {"kind": "records", "rows": len(rows)}
        self._control.send(header, [(records_spec(len(rows)), table)])

    # What peers say.

    def word(self, frame: Frame) -> None:
        """Take a request over from a peer."""
        self._advance(self._request(frame), frame.integer("step"))

    def moved(self, channel: Channel, source: str, frame: Frame) -> None:
        """Take tensors of a request from a peer; they count as here when the link lets them in."""
        request = self._request(frame)
        steps = request.traffic.schedule.steps
        index = frame.integer("step", 0, len(steps) - 1)
        step = steps[index]
        if not isinstance(step, Move) or (step.source, step.target) != (source, self.device):
            raise ProtocolError("a peer sent what the plan does not move here")
        specs = [known(request.traffic.schedule.specs, name) for name in step.tensors]
        self._hold(request, sum(spec.bytes for spec in specs))
        request.held.update(channel.receive_tensors(frame, specs))

        def enter() -> None:
            self._note(request, index, end_ns=self._now_ns())
            self._advance(request, index + 1)

        if step.seconds is None:
            enter()
        else:
            self._at(frame.integer("release_ns", -(1 << 62)), enter)

    # The relay.

    def _advance(self, request: Flying, index: int) -> None:
        """Do what comes next for a request, or leave it to who does."""
        schedule = request.traffic.schedule
        identity = {"route": schedule.number, "request": request.number}
        if index > request.traffic.last_step:
            self._drop(request)
        if index == len(schedule.steps):
            done = {"kind": "done", **identity, "at_ns": self._now_ns()}
            self._news.put(functools.partial(self._control.send, done))
            return
        step = schedule.steps[index]
        if step.actor != self.device:
            word = {"kind": "word", **identity, "step": index}
            self._post(step.actor, lambda: self._channel_to(step.actor).send(word))
        elif isinstance(step, Move):
            self._move(request, index, step, identity)
        else:
            self._jobs.put((request, index, self._now_ns()))

    def _move(self, request: Flying, index: int, step: Move, identity: dict[str, int]) -> None:
        tensors = tensors_of(request.traffic.schedule.specs, request.held, step.tensors)
        ready_ns = self._now_ns()
        header: dict[str, object] = {"kind": "move", **identity, "step": index}
        start_ns = 0
        if step.seconds is not None:
            # A link is a server of its own, with the bytes as its jobs; latencies come after.
            busy_ns = int((step.busy_seconds or 0.0) * 1e9)
            with self._lock:
                start_ns = ready_ns
                if busy_ns:
                    start_ns = max(ready_ns, self._free_ns.get(step.target, ready_ns))
                    self._free_ns[step.target] = start_ns + busy_ns
            header["release_ns"] = start_ns + int(step.seconds * 1e9)
        last = index >= request.traffic.last_step

        def send() -> None:
            began_ns = start_ns or self._now_ns()
            self._note(request, index, ready_ns=ready_ns, start_ns=began_ns)
            if last:
                self._drop(request)
            self._channel_to(step.target).send(header, tensors)

        self._post(step.target, send)

    def _serve(self) -> None:
        """Serve stage jobs one at a time, in the order in which they became ready."""
        _let_others_first()
        while (job := self._jobs.get()) is not None:
            request, index, ready_ns = job
            step = request.traffic.schedule.steps[index]
            assert isinstance(step, Compute)
            start_ns = self._now_ns()
            outputs, cpu_ns = self._perform(step, request.held, request.traffic.schedule.specs)
            self._hold(request, sum(array.nbytes for array in outputs.values()))
            request.held.update(outputs)
            end_ns = self._now_ns()
            self._note(request, index, ready_ns, start_ns, end_ns, cpu_ns)
            self._advance(request, index + 1)

    # What is here.

    def _expected(self, frame: Frame) -> Traffic:
        traffic = self._traffic.get(frame.integer("route"))
        if traffic is None:
            raise ProtocolError("no open loop expects this route")
        return traffic

    def _request(self, frame: Frame) -> Flying:
        traffic, number = self._expected(frame), frame.integer("request")
        with self._lock:
            request = self._here.get(number)
            if request is None:
                stock = self._stock.get(traffic.stock, {})
                request = Flying(traffic, number, dict(stock.get(number % self._pool, {})))
                self._here[number] = request
        if request.traffic is not traffic:
            raise ProtocolError("a request took two routes")
        return request

    def _hold(self, request: Flying | None, count: int) -> None:
        """Count bytes that are kept, for a request or for all; refuse too many."""
        with self._lock:
            if request is not None:
                request.bytes += count
            self._held_bytes += count
            over = self._held_bytes > HELD_LIMIT_BYTES
        if over:
            raise ExecutionError(
                f"requests hold more than {HELD_LIMIT_BYTES} bytes: where they come faster than "
                "they are served, lower the rate"
            )

    def _drop(self, request: Flying) -> None:
        """Forget a request that does not come back here, but for outputs to be compared."""
        with self._lock:
            if request.left:
                return
            request.left = True
            self._here.pop(request.number, None)
            self._held_bytes -= request.bytes
            if request.traffic.keep and request.number % self._keep_every == 0:
                self._kept[request.number] = {
                    name: held_tensor(request.held, name) for name in request.traffic.keep
                }

    def _note(
        self,
        request: Flying,
        index: int,
        ready_ns: int = 0,
        start_ns: int = 0,
        end_ns: int = 0,
        cpu_ns: int = 0,
    ) -> None:
        with self._lock:
            if len(self._records) >= RECORD_LIMIT:
                raise ExecutionError("more times than a worker notes: run fewer requests")
            self._records.append((request.number, index, ready_ns, start_ns, end_ns, cpu_ns))

    # Threads.

    def _start(self, work: Callable[[], None], name: str) -> None:
        def watched() -> None:
            try:
                work()
            except Exception as error:  # noqa: BLE001 - what fails here is told there
                self._report(error)

        threading.Thread(target=watched, name=f"station {name}", daemon=True).start()

    def _post(self, target: str, send: Callable[[], None]) -> None:
        """Have something sent to a peer, in order, by that peer's thread."""
        self._outboxes[target].put(send)

    def _at(self, at_ns: int, act: Callable[[], None]) -> None:
        with self._bell:
            alarm = _Alarm(at_ns, next(self._order), act)
            heapq.heappush(self._alarms, alarm)
            if self._alarms[0] is alarm:
                self._bell.notify()

    def _ring(self) -> None:
        """Let what waits for its time in."""
        while True:
            with self._bell:
                while True:
                    if self._closed:
                        return
                    left = self._alarms[0].at_ns - self._now_ns() if self._alarms else None
                    if left is not None and left <= 0:
                        break
                    self._bell.wait(None if left is None else min(left * 1e-9, 3600.0))
                alarm = heapq.heappop(self._alarms)
            alarm.act()


def sleep_until(deadline_ns: int) -> None:
    """Return at a time of the monotonic clock, without spinning."""
    while (left := deadline_ns - time.monotonic_ns()) > 0:
        time.sleep(left * 1e-9)


def _let_others_first() -> None:
    """Where this process has a real-time priority, lower this thread's by one.

    The threads that pass requests on need an instant only, the one that computes all it can get:
    at the same priority it would make them wait.
    """
    if not hasattr(os, "sched_getscheduler"):
        return
    with contextlib.suppress(OSError):  # where the system forbids it, it stays as it is
        policy, priority = os.sched_getscheduler(0), os.sched_getparam(0).sched_priority
        if policy in (os.SCHED_FIFO, os.SCHED_RR) and priority > 1:
            os.sched_setscheduler(0, policy, os.sched_param(priority - 1))


def _empty(box: _Outbox) -> None:
    while (send := box.get()) is not None:
        send()


def records_spec(rows: int) -> TensorSpec:
    """Return what a table of so many records is on the wire."""
    return TensorSpec("records", "int64", (rows, len(RECORD_FIELDS)))


def known(specs: Mapping[str, TensorSpec], name: str) -> TensorSpec:
    """Return the spec of a tensor that a plan has.

    Raises
    ------
    ProtocolError
        If it has no such tensor.
    """
    spec = specs.get(name)
    if spec is None:
        raise ProtocolError(f"the plan has no tensor '{name[:80]}'")
    return spec


def held_tensor(held: Mapping[str, Array], name: str) -> Array:
    """Return a tensor that is here.

    Raises
    ------
    ExecutionError
        If it is not.
    """
    array = held.get(name)
    if array is None:
        raise ExecutionError(f"tensor '{name[:80]}' is not here")
    return array


def tensors_of(
    specs: Mapping[str, TensorSpec], held: Mapping[str, Array], names: Iterable[str]
) -> list[tuple[TensorSpec, Array]]:
    """Return tensors that are here, each with its spec."""
    return [(known(specs, name), held_tensor(held, name)) for name in names]
