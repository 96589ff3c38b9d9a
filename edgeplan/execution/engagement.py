"""What a worker does for one controller: parts, sessions, peers, and the relay of requests.

One thread reads the controller's commands, one runs what begins here, and one per peer takes
what that peer sends and goes on from there. Requests come one at a time, so at any moment one
of them works on the request and the others wait; in an open loop the requests are a `Station`'s.
"""

from __future__ import annotations

import contextlib
import hashlib
import queue
import string
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edgeplan.execution.handshake import greet, wrap_secret
from edgeplan.execution.protocol import (
    Array,
    Channel,
    ConnectionLostError,
    Frame,
    ProtocolError,
    TensorSpec,
    check_tensor,
)
from edgeplan.execution.schedule import Compute, Move, Schedule, schedule_from
from edgeplan.execution.station import Station, held_tensor, known, sleep_until, tensors_of
from edgeplan.execution.transport import TokenBucket, clock_identity, connect, hold_until
from edgeplan.model.errors import EdgeplanError, ExecutionError

if TYPE_CHECKING:
    import onnxruntime

STORAGE_LIMIT_BYTES = 8 << 30
PROBE_LIMIT_BYTES = 64 << 20
PROBE_SECONDS = 300.0


@dataclass
class _Request:
    schedule: Schedule
    number: int
    held: dict[str, Array]
    records: list[dict[str, object]] = field(default_factory=list)


class Engagement:
    """One controller's use of a worker, from ``open`` until its connection ends.

    Parameters
    ----------
    channel
        The controller's connection.
    key
        The connection's key.
    opening
        The frame that opened it.
    folder
        Private folder for parts; emptied at the end.
    foreign_parts
        Whether parts may come from elsewhere and are checked before they are opened.
    """

    def __init__(
        self,
        channel: Channel,
        key: bytes,
        opening: Frame,
        folder: Path,
        *,
        foreign_parts: bool = True,
    ) -> None:
        self._foreign_parts = foreign_parts
        self.control = channel
        self.identity = opening.text("session", 64)
        self.device = opening.text("device")
        try:
            self.secret = bytes.fromhex(wrap_secret(key, bytes.fromhex(opening.text("secret", 64))))
        except ValueError:
            raise ProtocolError("'secret' must be 32 bytes, hexadecimal") from None
        self.threads = opening.integer("threads", 1, 1024)
        self._folder = folder
        self._stored: dict[str, Path] = {}
        self._stored_bytes = 0
        self._sessions: dict[str, onnxruntime.InferenceSession] = {}
        self._run_options: onnxruntime.RunOptions | None = None
        self._schedules: dict[int, Schedule] = {}
        self._peers: dict[str, Channel] = {}
        self._buckets: dict[tuple[str, float], TokenBucket] = {}
        self._offset_ns = 0
        self._request: _Request | None = None
        self._station: Station | None = None
        self._lock = threading.Lock()
        self._echoes: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()
        self._starts: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()

    # What the controller commands.

    def serve(self) -> None:
        """Carry out the controller's commands until its connection ends."""
        commands: Mapping[str, Callable[[Frame], Mapping[str, object] | None]] = {
            "part": self._part,
            "load": self._load,
            "schedule": self._schedule,
            "peer": self._peer,
            "ping": lambda frame: {"kind": "pong", "ns": time.monotonic_ns()},
            "clock": self._clock,
            "begin": self._begin,
            "start": self._start,
            "collect": self._collect,
            "measure": self._measure,
            "open loop": self._open_loop,
            "stock": lambda frame: self._at_station().stock(frame),
            "arrive": lambda frame: self._at_station().arrive(frame),
            "records": lambda frame: self._at_station().send_records(),
        }
        runner = threading.Thread(target=self._run_starts, name="runner", daemon=True)
        runner.start()
        try:
            self.control.send(
                {"kind": "opened", "clock": clock_identity(), "onnxruntime": _runtime_version()}
            )
            while True:
                frame = self.control.receive()
                command = commands.get(frame.kind)
                if command is None:
                    raise ProtocolError(f"there is no command '{frame.kind}'")
                try:
                    reply = command(frame)
                except (ProtocolError, ConnectionLostError):
                    raise
                except Exception as error:  # noqa: BLE001 - what fails here is told there
                    reply = {"kind": "failed", "why": _words(error)}
                if reply is not None:
                    self.control.send(reply)
        except ConnectionLostError:
            pass  # the usual end
        except ProtocolError as error:
            self._report(error)
        finally:
            self._starts.put(None)
            self.close()

    def close(self) -> None:
        """Stop what runs, close every connection and remove the parts."""
        if self._run_options is not None:
            self._run_options.terminate = True
        if self._station is not None:
            self._station.close()
        with self._lock:
            channels = [*self._peers.values(), self.control]
        for channel in channels:
            channel.close()
        self._sessions.clear()
        for path in self._stored.values():
            path.unlink(missing_ok=True)

    def _part(self, frame: Frame) -> Mapping[str, object]:
        sha256 = frame.text("sha256", 64)
        if len(sha256) != 64 or not set(sha256) <= set(string.hexdigits.lower()):
            raise ProtocolError("'sha256' must be hexadecimal")
        self._stored_bytes += frame.payload_bytes
        if self._stored_bytes > STORAGE_LIMIT_BYTES:
            raise ProtocolError(f"parts of more than {STORAGE_LIMIT_BYTES} bytes")
        path = self._folder / f"{sha256}.onnx"
        digest = hashlib.sha256()
        self._stored[sha256] = path
        with path.open("wb") as file:

            def sink(piece: memoryview) -> None:
                digest.update(piece)
                file.write(piece)

            self.control.receive_bytes(frame, sink)
        if digest.hexdigest() != sha256:
            self._stored.pop(sha256).unlink(missing_ok=True)
            raise ExecutionError("a part arrived with another hash than announced")
        if self._foreign_parts:
            try:
                _check_part(path)
            except EdgeplanError:
                self._stored.pop(sha256).unlink(missing_ok=True)
                raise
        return {"kind": "ok"}

    def _load(self, frame: Frame) -> Mapping[str, object]:
        import onnxruntime

        from edgeplan.networks.sessions import open_session

        level = frame.text("level")
        if level not in ("strict", "deployed"):
            raise ProtocolError("'level' must be strict or deployed")
        names = frame.texts("parts")
        self._sessions.clear()
        if self._run_options is None:
            self._run_options = onnxruntime.RunOptions()
        for name in names:
            if name not in self._stored:
                raise ExecutionError(f"part {name[:12]} was not sent")
            self._sessions[name] = open_session(
                self._stored[name],
                level="strict" if level == "strict" else "deployed",
                threads=self.threads,
            )
        return {"kind": "ok"}

    def _schedule(self, frame: Frame) -> Mapping[str, object]:
        schedule = schedule_from(frame)
        self._schedules[schedule.number] = schedule
        return {"kind": "ok"}

    def _peer(self, frame: Frame) -> Mapping[str, object]:
        device = frame.text("device")
        channel = connect(frame.text("host", 255), frame.integer("port", 1, 65535))
        try:
            greet(channel, self.identity, self.secret)
            channel.send({"kind": "peer", "device": self.device})
            if channel.receive(10.0).kind != "ok":
                raise ExecutionError("it takes no peers")
        except ExecutionError as error:
            channel.close()
            # Told to the controller, whose own connection is well.
            raise ExecutionError(f"cannot pair with worker '{device[:80]}': {error}") from None
        self._meet(channel, device)
        listener = threading.Thread(
            target=self._serve_peer, args=(channel, device), name=f"peer {device}", daemon=True
        )
        listener.start()
        return {"kind": "ok"}

    def _clock(self, frame: Frame) -> Mapping[str, object]:
        self._offset_ns = frame.integer("offset_ns", -(1 << 62))
        return {"kind": "ok"}

    def _begin(self, frame: Frame) -> Mapping[str, object]:
        schedule = self._schedules.get(frame.integer("route"))
        if schedule is None:
            raise ProtocolError("there is no such route")
        specs = [known(schedule.specs, name) for name in frame.texts("names")]
        held = self.control.receive_tensors(frame, specs)
        with self._lock:
            self._request = _Request(schedule, frame.integer("request"), held)
        return {"kind": "ok"}

    def _start(self, frame: Frame) -> None:
        self._starts.put(self._current(frame))

    def _collect(self, frame: Frame) -> None:
        if self._station is not None:
            self._station.collect(frame)
            return
        request = self._current(frame)
        names = frame.texts("names")
        tensors = tensors_of(request.schedule.specs, request.held, names)
        self.control.send({"kind": "collected", "records": request.records}, tensors)
        with self._lock:
            self._request = None

    # An open loop.

    def _open_loop(self, frame: Frame) -> Mapping[str, object]:
        """Begin an open loop on some of the routes; requests that are under way are forgotten."""
        if self._station is not None:
            self._station.close()
        self._station = Station(
            self.device, self.control, self._to, self._perform, self._now_ns, self._report
        )
        self._station.expect(frame, self._schedules)
        return {"kind": "ok"}

    def _at_station(self) -> Station:
        if self._station is None:
            raise ProtocolError("no open loop has begun")
        return self._station

    def _perform(
        self, step: Compute, held: Mapping[str, Array], specs: Mapping[str, TensorSpec]
    ) -> tuple[dict[str, Array], int]:
        """Run a stage for the station: its outputs, and the CPU time in nanoseconds."""
        outputs, _, cpu_ns = self._run_part(step, held, specs, sleep_until)
        return outputs, cpu_ns

    # The relay.

    def _run_starts(self) -> None:
        while (request := self._starts.get()) is not None:
            try:
                request.records.append({"step": -1, "start_ns": self._now_ns()})
                self._relay(request, 0)
            except Exception as error:  # noqa: BLE001 - what fails here is told there
                self._report(error)

    def welcome_peer(self, channel: Channel, device: str) -> None:
        """Take what a worker of the same session sends that connected here, until it ends."""
        self._meet(channel, device)
        with contextlib.suppress(ConnectionLostError):
            channel.send({"kind": "ok"})
        self._serve_peer(channel, device)

    def _meet(self, channel: Channel, device: str) -> None:
        """Note a connection: it serves both directions, whoever made it."""
        with self._lock:
            previous = self._peers.get(device)
            self._peers[device] = channel
        if previous is not None:
            previous.close()

    def _serve_peer(self, channel: Channel, device: str) -> None:
        try:
            while True:
                frame = channel.receive()
                if frame.kind == "move" and self._station is not None:
                    self._station.moved(channel, device, frame)
                elif frame.kind == "move":
                    self._arrive(channel, device, frame)
                elif frame.kind == "word":
                    if frame.payload_bytes:
                        raise ProtocolError("a word carries no payload")
                    if self._station is not None:
                        self._station.word(frame)
                        continue
                    self._relay(self._current(frame), frame.integer("step"))
                elif frame.kind == "probe":
                    self._echo(channel, frame)
                elif frame.kind == "echo":
                    self._echoes.put(frame)
                else:
                    raise ProtocolError(f"a peer sends no '{frame.kind}'")
        except ConnectionLostError:
            self._echoes.put(None)  # the controller sees by itself that the other worker died
        except Exception as error:  # noqa: BLE001 - what fails here is told there
            self._report(error)
        finally:
            channel.close()

    def _relay(self, request: _Request, index: int) -> None:
        """Do a request's steps from ``index`` on, as far as they are this device's."""
        steps = request.schedule.steps
        identity = {"route": request.schedule.number, "request": request.number}
        while index < len(steps):
            step = steps[index]
            if step.actor != self.device:
                self._to(step.actor).send({"kind": "word", **identity, "step": index})
                return
            if isinstance(step, Move):
                tensors = tensors_of(request.schedule.specs, request.held, step.tensors)
                start = self._now_ns()
                request.records.append({"step": index, "start_ns": start})
                self._to(step.target).send(
                    {"kind": "move", **identity, "step": index, "start_ns": start},
                    tensors,
                    pace=self._bucket(step.target, step.bytes_per_second),
                )
                return
            self._compute(request, index, step)
            index += 1
        self.control.send({"kind": "done", **identity, "at_ns": self._now_ns()})

    def _arrive(self, channel: Channel, device: str, frame: Frame) -> None:
        request = self._current(frame)
        index = frame.integer("step", 0, len(request.schedule.steps) - 1)
        step = request.schedule.steps[index]
        if not isinstance(step, Move) or (step.source, step.target) != (device, self.device):
            raise ProtocolError("a peer sent what the plan does not move here")
        start = frame.integer("start_ns", -(1 << 62))
        specs = [known(request.schedule.specs, name) for name in step.tensors]
        request.held.update(channel.receive_tensors(frame, specs))
        self._hold(start, step.seconds)
        request.records.append({"step": index, "end_ns": self._now_ns()})
        self._relay(request, index + 1)

    def _compute(self, request: _Request, index: int, step: Compute) -> None:
        specs = request.schedule.specs
        outputs, wall_ns, cpu_ns = self._run_part(step, request.held, specs, hold_until)
        request.held.update(outputs)
        request.records.append({"step": index, "wall_ns": wall_ns, "cpu_ns": cpu_ns})

    def _run_part(
        self,
        step: Compute,
        held: Mapping[str, Array],
        specs: Mapping[str, TensorSpec],
        wait_until: Callable[[int], None],
    ) -> tuple[dict[str, Array], int, int]:
        """Return a part's outputs by name, and its wall and CPU time in nanoseconds."""
        session = self._sessions.get(step.part)
        if session is None:
            raise ExecutionError(f"part {step.part[:12]} is not loaded")
        feed = {name: held_tensor(held, name) for name in step.inputs}
        # With one intra-op thread the runtime computes on the calling thread.
        cpu = time.thread_time_ns if self.threads == 1 else time.process_time_ns
        start, cpu_start = time.monotonic_ns(), cpu()
        arrays: list[Array] = session.run(list(step.outputs), feed, self._run_options)
        cpu_ns = cpu() - cpu_start
        real_ns = time.monotonic_ns() - start
        outputs = dict(zip(step.outputs, arrays, strict=True))
        for name, array in outputs.items():
            check_tensor(known(specs, name), array)
        least_ns = max((step.hold_seconds or 0.0) * 1e9, (step.hold_factor or 0.0) * real_ns)
        if least_ns > real_ns:
            wait_until(start + int(least_ns))
            real_ns = time.monotonic_ns() - start
        return outputs, real_ns, cpu_ns

    # Measuring a link.

    def _measure(self, frame: Frame) -> Mapping[str, object]:
        """Time probes to a peer and back; the round trips' times in seconds are the reply."""
        channel = self._to(frame.text("device"))
        size = frame.integer("bytes", 0, PROBE_LIMIT_BYTES)
        bandwidth, latency = frame.number("bytes_per_second"), frame.number("latency_seconds")
        seconds = None
        if bandwidth is not None or latency is not None:
            seconds = (latency or 0.0) + (size / bandwidth if bandwidth else 0.0)
        payload = memoryview(bytes(size))
        times = []
        for _ in range(frame.integer("samples", 1, 10_000)):
            start = self._now_ns()
            channel.send(
                {"kind": "probe", "start_ns": start, "seconds": seconds, "back_seconds": latency},
                payload=payload,
                pace=self._bucket("probe", bandwidth),
            )
            echo = self._echoes.get(timeout=PROBE_SECONDS)
            if echo is None:
                raise ExecutionError("the connection to the other worker broke")
            self._hold(echo.integer("start_ns", -(1 << 62)), latency)
            times.append((self._now_ns() - start) * 1e-9)
        return {"kind": "measured", "seconds": times}

    def _echo(self, channel: Channel, frame: Frame) -> None:
        if frame.payload_bytes > PROBE_LIMIT_BYTES:
            raise ProtocolError("a probe is too long")
        start, seconds = frame.integer("start_ns", -(1 << 62)), frame.number("seconds")
        channel.receive_bytes(frame, lambda piece: None)
        self._hold(start, seconds)
        channel.send({"kind": "echo", "start_ns": self._now_ns()})

    # Helpers.

    def _now_ns(self) -> int:
        """Return the time on the controller's clock."""
        return time.monotonic_ns() + self._offset_ns

    def _hold(self, start_ns: int, seconds: float | None) -> None:
        """Return when what was sent at ``start_ns`` may have arrived on the emulated link."""
        if seconds is not None:
            now = time.monotonic_ns()
            deadline = start_ns - self._offset_ns + int(seconds * 1e9)
            hold_until(min(deadline, now + int(seconds * 1e9)))

    def _bucket(self, target: str, bytes_per_second: float | None) -> TokenBucket | None:
        if bytes_per_second is None:
            return None
        return self._buckets.setdefault((target, bytes_per_second), TokenBucket(bytes_per_second))

    def _to(self, device: str) -> Channel:
        with self._lock:
            channel = self._peers.get(device)
        if channel is None:
            raise ExecutionError(f"there is no connection to '{device[:80]}'")
        return channel

    def _current(self, frame: Frame) -> _Request:
        with self._lock:
            request = self._request
        if (
            request is None
            or frame.integer("route") != request.schedule.number
            or frame.integer("request") != request.number
        ):
            raise ProtocolError("this request is not running")
        return request

    def _report(self, error: BaseException) -> None:
        with contextlib.suppress(ExecutionError):
            self.control.send({"kind": "failed", "why": _words(error)})


def _check_part(path: Path) -> None:
    """Refuse a part with external data: it would have this machine read a file of its own."""
    from edgeplan.networks._reading import read_structure

    _, external = read_structure(path)
    if external:
        raise ExecutionError("a part has external data; parts must hold their own weights")


def _words(error: BaseException) -> str:
    text = str(error)[:500]
    return text if isinstance(error, EdgeplanError) else f"{type(error).__name__}: {text}"


def _runtime_version() -> str:
    import onnxruntime

    return str(onnxruntime.__version__)
