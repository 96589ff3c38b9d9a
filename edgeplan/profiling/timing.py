"""The measuring process: opens the parts and times them. Runs in a child, as a sandbox target.

Parts are timed in batches, and within a batch in rounds: every round runs each part once, so a
slow second of the machine falls on all of them alike and the medians stay comparable. The
unsplit file runs along in every batch: its times say by how much the batches differ. Each
part gets as input what the parts before it really made from one seeded random input. Rounds
also mean that a part finds caches filled by other parts, as it will where it is deployed
among others; only the first `warmup` rounds are thrown away.

A part is finished after `repeats` runs, or after `least` runs once it has taken
`part_seconds`; a part of microseconds goes on, up to ten times `repeats`, until
`short_seconds` have been timed.
"""

from __future__ import annotations

import gc
import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgeplan.networks import sandbox
from edgeplan.profiling import energy

ORIGINAL = -1
"""Stands in a batch for the unsplit file."""

SEED = 0
"""Of the random inputs."""

_TICK_SECONDS = 0.5
_SHARE_RUNS = 3


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How long to measure.

    Parameters
    ----------
    repeats
        Timed runs of each part.
    least
        Fewest runs of a part that takes long.
    warmup
        Rounds thrown away.
    part_seconds
        After so much timed time, `least` runs are enough.
    short_seconds
        A part with less timed time goes on, up to ten times `repeats`.
    """

    repeats: int
    least: int
    warmup: int
    part_seconds: float
    short_seconds: float

    def finished(self, runs: int, seconds: float) -> bool:
        """Whether a part that ran so often and so long is done."""
        if seconds >= self.part_seconds:
            return runs >= self.least
        if seconds < self.short_seconds:
            return runs >= 10 * self.repeats
        return runs >= self.repeats


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part to be timed: layers ``first`` to ``stop - 1``, by the tensors at its ends."""

    first: int
    stop: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class _Voice:
    """Signs of life to the parent, and the limit on whatever is going on.

    A thread of its own speaks while the runtime is busy, and tells the parent when one step
    takes too long; the parent then ends this process.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._said = time.monotonic()
        self._step: tuple[str, float, float] | None = None
        threading.Thread(target=self._watch, daemon=True).start()

    def say(self, **data: object) -> None:
        with self._lock:
            self._said = time.monotonic()
            sandbox.report(data)

    def tick(self) -> None:
        """Say that work goes on, if nothing was said for a while."""
        if time.monotonic() - self._said > _TICK_SECONDS:
            self.say(event="tick")

    @contextmanager
    def step(self, what: str, seconds: float) -> Iterator[None]:
        """Limit the time of what is done inside."""
        self._step = (what, seconds, time.monotonic() + seconds)
        try:
            yield
        finally:
            self._step = None

    def _watch(self) -> None:
        while True:
            time.sleep(_TICK_SECONDS / 2)
            step = self._step
            if step is not None and time.monotonic() > step[2]:
                self.say(event="late", what=step[0], seconds=step[1])
                return
            self.tick()


@dataclass
class _Subject:
    """Something that is timed."""

    session: Any
    feed: Mapping[str, Any]
    first: int
    stop: int
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    joules: float = 0.0

    def run(self, counters: Sequence[energy.Counter]) -> None:
        before = energy.read(counters)
        cpu = time.process_time()
        wall = time.perf_counter()
        self.session.run(None, self.feed)
        seconds = time.perf_counter() - wall
        self.cpu.append(time.process_time() - cpu)
        self.wall.append(seconds)
        if counters:
            self.joules += energy.joules(counters, before, energy.read(counters))

    def forget(self) -> None:
        self.wall.clear()
        self.cpu.clear()
        self.joules = 0.0


def measure(
    folded: str,
    original: str,
    folder: str,
    parts: Sequence[Mapping[str, Any]],
    batches: Sequence[Sequence[int]],
    inputs: Sequence[tuple[str, str, Sequence[int]]],
    effort: Mapping[str, Any],
    threads: int,
    provider: str,
    run_seconds: float,
    open_seconds: float,
    powercap: str,
) -> None:
    """Time parts of a network and report each when it is finished; the target of a sandbox call.

    Parameters
    ----------
    folded, original
        The folded network that parts are cut from, and the file that it was folded from.
    folder
        Where parts are written while they are opened.
    parts
        Fields of :class:`Part`.
    batches
        Indices of the parts that are timed together, `ORIGINAL` for the unsplit file.
    inputs
        Name, type and shape of each graph input.
    effort
        Fields of :class:`Effort`.
    threads, provider
        Of the sessions.
    run_seconds, open_seconds
        Limits on one inference, and on cutting and opening one part.
    powercap
        Folder of the energy counters.
    """
    voice = _Voice()
    plan = Effort(**effort)
    wanted = [
        Part(
            first=int(part["first"]),
            stop=int(part["stop"]),
            inputs=tuple(part["inputs"]),
            outputs=tuple(part["outputs"]),
        )
        for part in parts
    ]
    opener = _Opener(
        voice, Path(folded), Path(original), Path(folder), threads, provider, open_seconds
    )
    with voice.step("making the inputs of the parts", open_seconds + run_seconds):
        tensors = opener.tensors(wanted, inputs)
    counters = energy.counters(Path(powercap))
    for batch in batches:
        subjects = [
            opener.original(tensors) if index == ORIGINAL else opener.part(wanted[index], tensors)
            for index in batch
        ]
        _time(subjects, plan, counters, voice, run_seconds)
        subjects.clear()
        gc.collect()


def shares(
    folded: str,
    folder: str,
    names: Sequence[str],
    inputs: Sequence[tuple[str, str, Sequence[int]]],
    threads: int,
    provider: str,
    run_seconds: float,
    open_seconds: float,
) -> list[float] | None:
    """Return the time of each node in seconds, by ONNX Runtime's profiler; a sandbox target.

    Nodes run one by one here (optimisation off), so that each can be told from the others:
    good enough to choose cuts, not to price parts.

    Parameters
    ----------
    folded
        The folded network.
    folder
        Where the profiler writes.
    names
        Of the nodes, in order of execution.
    inputs
        Name, type and shape of each graph input.
    threads, provider
        Of the session.
    run_seconds, open_seconds
        Limits on one inference, and on opening the network.

    Returns
    -------
    list of float or None
        ``None`` if the profiler's names are not those of the nodes.
    """
    import onnxruntime as ort

    from edgeplan.networks import sessions

    voice = _Voice()
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_profiling = True
    options.profile_file_prefix = str(Path(folder) / "nodes")
    options.log_severity_level = 4
    with voice.step("opening the network", open_seconds):
        session = ort.InferenceSession(folded, options, providers=[provider])
        feed = sessions.draw(inputs, SEED)
    for _ in range(1 + _SHARE_RUNS):
        with voice.step("one inference", run_seconds):
            session.run(None, feed)
    path = Path(session.end_profiling())
    try:
        events = json.loads(path.read_text())
    finally:
        path.unlink()
    times: dict[str, list[float]] = {name: [] for name in names}
    for event in events:
        name, _, kind = str(event.get("name", "")).rpartition("_kernel_time")
        if event.get("cat") == "Node" and not kind and name in times:
            times[name].append(float(event["dur"]) * 1e-6)
    if sum(map(bool, times.values())) < 0.5 * len(names):
        return None
    # The first run warms up; the least of the others is the least disturbed.
    return [min(found[1:] or found, default=0.0) for found in times.values()]


class _Opener:
    """Cuts and opens what is to be timed."""

    def __init__(
        self,
        voice: _Voice,
        folded: Path,
        original: Path,
        folder: Path,
        threads: int,
        provider: str,
        seconds: float,
    ) -> None:
        self._voice = voice
        self._folded = folded
        self._original = original
        self._folder = folder
        self._threads = threads
        self._provider = provider
        self._seconds = seconds

    def tensors(
        self, parts: Sequence[Part], inputs: Sequence[tuple[str, str, Sequence[int]]]
    ) -> dict[str, Any]:
        """Return seeded random graph inputs and what the parts' inputs are then."""
        from edgeplan.networks import sessions

        tensors: dict[str, Any] = dict(sessions.draw(inputs, SEED))
        made = sorted({name for part in parts for name in part.inputs} - tensors.keys())
        if made:
            path = self._extract(tuple(tensors), tuple(made))
            try:
                session = self._session(path)
                names = [value.name for value in session.get_inputs()]
                found = session.run(made, {name: tensors[name] for name in names})
            finally:
                path.unlink()
            tensors.update(zip(made, found, strict=True))
        return tensors

    def original(self, tensors: Mapping[str, Any]) -> _Subject:
        """Open the unsplit file."""
        return self._subject(self._original, tensors, ORIGINAL, ORIGINAL)

    def part(self, part: Part, tensors: Mapping[str, Any]) -> _Subject:
        """Cut out and open a part."""
        with self._voice.step("cutting a part", self._seconds):
            path = self._extract(part.inputs, part.outputs)
        try:
            return self._subject(path, tensors, part.first, part.stop)
        finally:
            path.unlink()

    def _extract(self, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> Path:
        from edgeplan.networks import parts

        return parts.extract(self._folded, inputs, outputs, self._folder / "part.onnx")

    def _subject(self, path: Path, tensors: Mapping[str, Any], first: int, stop: int) -> _Subject:
        with self._voice.step("opening a part", self._seconds):
            session = self._session(path)
        feed = {value.name: tensors[value.name] for value in session.get_inputs()}
        return _Subject(session, feed, first, stop)

    def _session(self, path: Path) -> Any:
        from edgeplan.networks import sessions

        return sessions.open_session(
            path, level="deployed", threads=self._threads, provider=self._provider
        )


def _time(
    subjects: Sequence[_Subject],
    plan: Effort,
    counters: Sequence[energy.Counter],
    voice: _Voice,
    run_seconds: float,
) -> None:
    for _ in range(plan.warmup):
        for subject in subjects:
            with voice.step("one inference", run_seconds):
                subject.run(())
            subject.forget()
    gc.collect()
    gc.disable()
    try:
        active = list(subjects)
        while active:
            for subject in tuple(active):
                with voice.step("one inference", run_seconds):
                    subject.run(counters)
                if plan.finished(len(subject.wall), sum(subject.wall)):
                    active.remove(subject)
                    voice.say(
                        event="part",
                        first=subject.first,
                        stop=subject.stop,
                        wall=subject.wall,
                        cpu=subject.cpu,
                        joules=subject.joules / len(subject.wall) if counters else None,
                    )
    finally:
        gc.enable()
