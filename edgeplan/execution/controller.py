"""The controller's side: connections to workers, and requests sent through them.

One thread does everything: it asks a worker and waits for that worker's answer, watching the
others for the news that they failed or died. In an open loop another one sends arrivals, while
this one reads which requests ended.
"""

from __future__ import annotations

import hashlib
import secrets
import select
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeplan.execution.addresses import WorkerAddress
from edgeplan.execution.handshake import SECRET_BYTES, greet, wrap_secret
from edgeplan.execution.local import LocalWorker
from edgeplan.execution.protocol import (
    LONGEST_SECONDS,
    Array,
    ConnectionLostError,
    Frame,
    ProtocolError,
    TensorSpec,
)
from edgeplan.execution.schedule import Schedule
from edgeplan.execution.station import RECORD_LIMIT, records_spec
from edgeplan.execution.transport import clock_identity, connect
from edgeplan.model.errors import ExecutionError

ANSWER_SECONDS = 120.0
CLOCK_SAMPLES = 25


@dataclass(frozen=True, kw_only=True)
class StepTime:
    """What one step of one request took.

    Parameters
    ----------
    wall_seconds
        Wall time: of a transfer from its start at the source to its end at the target.
    cpu_seconds
        CPU time of the computation; 0 for a transfer.
    """

    wall_seconds: float
    cpu_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One request.

    Parameters
    ----------
    wall_seconds
        From its start at the origin until the results were back (or, where they do not
        return, made).
    steps
        Times of the schedule's steps.
    outputs
        The network's outputs by name.
    """

    wall_seconds: float
    steps: tuple[StepTime, ...]
    outputs: Mapping[str, Array]


class _Remote:
    """A worker in use."""

    def __init__(self, device: str, address: WorkerAddress, process: LocalWorker | None) -> None:
        self.device = device
        self.address = address
        self.process = process
        self.channel = connect(address.host, address.port)
        self.sent: set[str] = set()
        self.offset_ns = 0
        self.same_clock = False

    def words(self, error: ExecutionError) -> str:
        """Return what to say of an error of this worker."""
        fate = ""
        if self.process is not None and isinstance(error, ConnectionLostError):
            fate = self.process.fate()
        if fate:
            return f"the worker of '{self.device[:80]}' died{fate}"
        return f"the worker of '{self.device[:80]}' at {self.address}: {error}"


class Controller:
    """Connections to the workers of a run; a context manager that closes them.

    Parameters
    ----------
    addresses
        Workers by device name.
    processes
        Those of them that were started here.
    threads
        Intra-op threads of each session.

    Raises
    ------
    ExecutionError
        If a worker cannot be reached, refuses the token, or serves somebody else.
    """

    def __init__(
        self,
        addresses: Mapping[str, WorkerAddress],
        processes: Mapping[str, LocalWorker],
        *,
        threads: int,
    ) -> None:
        self._remotes: dict[str, _Remote] = {}
        self._session = secrets.token_hex(16)
        secret = secrets.token_bytes(SECRET_BYTES)
        self._joined: set[frozenset[str]] = set()
        self._request = 0
        try:
            for device, address in addresses.items():
                try:
                    remote = _Remote(device, address, processes.get(device))
                except ExecutionError as error:
                    raise ExecutionError(f"the worker of '{device[:80]}': {error}") from None
                self._remotes[device] = remote
                try:
                    key = greet(remote.channel, "token", address.token.encode())
                    remote.channel.send(
                        {
                            "kind": "open",
                            "session": self._session,
                            "secret": wrap_secret(key, secret),
                            "device": device,
                            "threads": threads,
                        }
                    )
                except ExecutionError as error:
                    raise ExecutionError(remote.words(error)) from None
                opened = self._answer(device, "opened")
                identity = clock_identity()
                remote.same_clock = bool(identity) and opened.text("clock") == identity
            self.synchronise()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Controller:
        """Return the controller."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close all connections; workers then forget the session."""
        self.close()

    def close(self) -> None:
        """Close all connections."""
        for remote in self._remotes.values():
            remote.channel.close()

    def release(self, device: str) -> None:
        """Close the connection to one worker."""
        self._remotes.pop(device).channel.close()

    def synchronise(self) -> None:
        """Measure how far each worker's clock is from the one here.

        As the Network Time Protocol does: half of the quickest round trip is taken for one
        way. Workers on this machine share its clock.
        """
        for device, remote in self._remotes.items():
            if remote.same_clock:
                continue
            samples = []
            for _ in range(CLOCK_SAMPLES):
                before = time.monotonic_ns()
                there = self.ask(device, {"kind": "ping"}, "pong").integer("ns")
                after = time.monotonic_ns()
                samples.append((after - before, (before + after) // 2 - there))
            remote.offset_ns = min(samples)[1]
            self.ask(device, {"kind": "clock", "offset_ns": remote.offset_ns})

    def ask(
        self,
        device: str,
        header: Mapping[str, object],
        kind: str = "ok",
        *,
        tensors: Sequence[tuple[TensorSpec, Array]] = (),
        payload: bytes | memoryview = b"",
        seconds: float = ANSWER_SECONDS,
    ) -> Frame:
        """Send a command and return the answer.

        Raises
        ------
        ExecutionError
            If the worker says that it failed, does not answer in time, or any worker died.
        """
        remote = self._remotes[device]
        try:
            remote.channel.send(header, tensors, payload=payload)
        except ConnectionLostError as error:
            raise ExecutionError(remote.words(error)) from None
        return self._answer(device, kind, seconds)

    def send_parts(self, device: str, parts: Mapping[str, Path]) -> None:
        """Send ONNX files, by SHA-256, that the worker does not have yet.

        Raises
        ------
        ExecutionError
            If a file changed on disk, or the worker refuses it.
        """
        remote = self._remotes[device]
        for sha256, path in parts.items():
            if sha256 in remote.sent:
                continue
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() != sha256:
                raise ExecutionError(f"{path.name[:80]} changed after the split: wrong hash")
            self.ask(device, {"kind": "part", "sha256": sha256}, payload=content)
            remote.sent.add(sha256)

    def load(self, device: str, level: str, parts: Iterable[str], seconds: float) -> None:
        """Open sessions of the named parts at a level, and forget all others."""
        header = {"kind": "load", "level": level, "parts": sorted(set(parts))}
        self.ask(device, header, seconds=seconds)

    def install(self, schedule: Schedule) -> None:
        """Tell a route to the workers that take part, and connect them to each other."""
        for device in schedule.devices:
            self.ask(device, {"kind": "schedule", **schedule.as_json()})
        for source, target in schedule.hops:
            self.join(source, target)

    def join(self, source: str, target: str) -> None:
        """Connect two workers, once: a connection serves both directions."""
        pair = frozenset((source, target))
        if pair in self._joined:
            return
        # Workers started here listen on the loopback only, where others cannot reach them.
        if self._remotes[target].process is not None and self._remotes[source].process is None:
            source, target = target, source
        address = self._remotes[target].address
        header = {"kind": "peer", "device": target, "host": address.host, "port": address.port}
        self.ask(source, header)
        self._joined.add(pair)

    def request(
        self,
        schedule: Schedule,
        homes: Mapping[str, str],
        inputs: Mapping[str, Array],
        outputs: Mapping[str, str],
        seconds: float,
    ) -> Outcome:
        """Send one request along a route and wait for its end.

        Parameters
        ----------
        schedule
            The route, installed before.
        homes
            Where each graph input lies.
        inputs
            The graph inputs.
        outputs
            For each graph output, the device that holds it in the end.
        seconds
            How long to wait for the end.

        Raises
        ------
        ExecutionError
            If a worker failed or died, or the time ran out.
        """
        self._request += 1
        identity = {"route": schedule.number, "request": self._request}
        for device in schedule.devices:
            names = [name for name in inputs if homes[name] == device]
            self.ask(
                device,
                {"kind": "begin", **identity, "names": names},
                tensors=[(schedule.specs[name], inputs[name]) for name in names],
            )
        origin = self._remotes[schedule.origin]
        try:
            origin.channel.send({"kind": "start", **identity})
        except ConnectionLostError as error:
            raise ExecutionError(origin.words(error)) from None
        done = self._answer(None, "done", seconds)
        if done.integer("request") != self._request:
            raise ProtocolError("a worker ended a request that is not running")
        end_ns = done.integer("at_ns", -(1 << 62))
        records: list[object] = []
        arrays: dict[str, Array] = {}
        for device in schedule.devices:
            names = [name for name, holder in outputs.items() if holder == device]
            frame = self.ask(device, {"kind": "collect", **identity, "names": names}, "collected")
            records.extend(frame.items("records"))
            specs = [schedule.specs[name] for name in names]
            arrays.update(self._remotes[device].channel.receive_tensors(frame, specs))
        begun_ns, steps = _step_times(records, len(schedule.steps))
        return Outcome(wall_seconds=(end_ns - begun_ns) * 1e-9, steps=steps, outputs=arrays)

    def arrive(self, schedule: Schedule, number: int) -> None:
        """Let a request of an open loop arrive at its origin, and wait for nothing."""
        origin = self._remotes[schedule.origin]
        try:
            origin.channel.send({"kind": "arrive", "route": schedule.number, "request": number})
        except ConnectionLostError as error:
            raise ExecutionError(origin.words(error)) from None

    def ended(self, seconds: float) -> list[tuple[int, int]]:
        """Wait for requests of an open loop to end.

        Parameters
        ----------
        seconds
            How long to wait at most.

        Returns
        -------
        list
            Number of each, and when it ended in nanoseconds of the clock here.

        Raises
        ------
        ExecutionError
            If a worker failed or died.
        """
        found = []
        for remote, frame in self._frames(seconds):
            if frame.kind != "done":
                raise _out_of_turn(remote, frame)
            found.append((frame.integer("request"), frame.integer("at_ns", -(1 << 62))))
        return found

    def records(self, device: str) -> NDArray[np.int64]:
        """Return the table of times that a worker noted in an open loop."""
        frame = self.ask(device, {"kind": "records"}, "records")
        spec = records_spec(frame.integer("rows", 0, RECORD_LIMIT))
        table = self._remotes[device].channel.receive_tensors(frame, [spec])[spec.name]
        return table.astype(np.int64, copy=False)

    def collect(
        self, schedule: Schedule, number: int, outputs: Mapping[str, str]
    ) -> dict[str, Array]:
        """Return the outputs of a request of an open loop that were kept for comparison.

        Parameters
        ----------
        schedule, number
            Its route and number.
        outputs
            For each graph output, the device that holds it in the end.
        """
        arrays: dict[str, Array] = {}
        for device in dict.fromkeys(outputs.values()):
            names = [name for name, holder in outputs.items() if holder == device]
            header = {"kind": "collect", "route": schedule.number, "request": number}
            frame = self.ask(device, {**header, "names": names}, "collected")
            specs = [schedule.specs[name] for name in names]
            arrays.update(self._remotes[device].channel.receive_tensors(frame, specs))
        return arrays

    def _answer(self, device: str | None, kind: str, seconds: float = ANSWER_SECONDS) -> Frame:
        """Wait for an answer of one worker, or of any."""
        frames = self._frames(seconds)
        if not frames:
            who = "any worker" if device is None else f"the worker of '{device[:80]}'"
            raise ExecutionError(f"no answer from {who} within {seconds:g} seconds")
        remote, frame = frames[0]
        if len(frames) > 1 or frame.kind != kind or device not in (None, remote.device):
            raise _out_of_turn(remote, frame)
        return frame

    def _frames(self, seconds: float) -> list[tuple[_Remote, Frame]]:
        """Wait for what workers say, at most one frame of each; raise if one failed or died."""
        poll = select.poll()
        by_number: dict[int, _Remote] = {}
        for remote in self._remotes.values():
            number = remote.channel.socket.fileno()
            by_number[number] = remote
            poll.register(number, select.POLLIN)
        frames: list[tuple[_Remote, Frame]] = []
        for number, _ in poll.poll(min(seconds, LONGEST_SECONDS) * 1000):
            remote = by_number[number]
            try:
                frame = remote.channel.receive(seconds)
                if frame.kind == "failed":
                    raise ExecutionError(frame.text("why"))
            except ExecutionError as error:
                raise ExecutionError(remote.words(error)) from None
            frames.append((remote, frame))
        return frames


def _out_of_turn(remote: _Remote, frame: Frame) -> ProtocolError:
    return ProtocolError(f"the worker of '{remote.device[:80]}' said '{frame.kind}' out of turn")


def _step_times(records: list[object], count: int) -> tuple[int, tuple[StepTime, ...]]:
    begun = None
    fields: list[dict[str, int]] = [{} for _ in range(count)]
    for record in records:
        if not isinstance(record, dict) or not all(type(v) is int for v in record.values()):
            raise ProtocolError("a record must hold integers")
        index = record.pop("step", None)
        if index == -1:
            begun = record.get("start_ns")
        elif isinstance(index, int) and 0 <= index < count:
            fields[index].update(record)
    try:
        times = tuple(
            StepTime(wall_seconds=item["wall_ns"] * 1e-9, cpu_seconds=item["cpu_ns"] * 1e-9)
            if "wall_ns" in item
            else StepTime(wall_seconds=(item["end_ns"] - item["start_ns"]) * 1e-9)
            for item in fields
        )
    except KeyError:
        raise ProtocolError("a worker left out the time of a step") from None
    if begun is None:
        raise ProtocolError("a worker left out the start")
    return begun, times
