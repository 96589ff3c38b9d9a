"""The measuring process: opens the parts and times them. Runs in a child, as a sandbox target.

Parts are timed in sittings, and within a sitting in rounds: every round runs each part once, so a
slow second of the machine falls on all of them alike and the medians stay comparable. The
unsplit network runs along in every sitting: its times say by how much the sittings differ. Each
part gets as input what the parts before it really made from one seeded random input, or, for a
job of several requests, from as many different ones stacked. Rounds
also mean that a part finds caches filled by other parts, as it will where it is deployed
among others; only the first `warmup` rounds are thrown away.

A run during which the system gave the processor to another process (an involuntary context
switch, and at least 5 % of the wall time without CPU time) is thrown away and repeated, as
long as not more than a third are: the times are those of the network, not of its neighbours.

Runs are reported about every second, so little is lost to an interruption; `had` says what
earlier reports hold, and measuring goes on from there.

A part is finished after `repeats` runs, or after `least` runs once it has taken
`part_seconds`; a part of microseconds goes on, up to ten times `repeats`, until
`short_seconds` have been timed.
"""

from __future__ import annotations

import gc
import json
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgeplan.profiling import energy
from edgeplan.profiling.voice import Voice

ORIGINAL = -1
"""Stands in a sitting for the unsplit network."""

SEED = 0
"""Of the random inputs."""

_REPORT_SECONDS = 1.0
_UNDISTURBED = 0.95
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
    """A part to be timed: layers ``first`` to ``stop - 1``, by the tensors at its ends.

    ``had`` is how many runs are known already, and how many seconds they took.
    """

    first: int
    stop: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    had: tuple[int, float]


def _process_seconds() -> float:
    """Return the CPU time of all threads.

    Not `time.process_time`, which ticks only every few milliseconds here: the sandbox limits
    CPU time, and Linux then samples that clock instead of reading it.
    """
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


@dataclass
class _Subject:
    """Something that is timed, and its runs that were not reported yet."""

    session: Any
    feed: Mapping[str, Any]
    first: int
    stop: int
    runs: int = 0
    seconds: float = 0.0
    disturbed: int = 0
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    joules: float = 0.0
    clock: Callable[[], float] = time.thread_time

    def warm(self) -> None:
        """Run untimed."""
        self.session.run(None, self.feed)

    def run(self, counters: Sequence[energy.Counter]) -> None:
        """Run timed."""
        before = energy.read(counters)
        switches = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
        cpu = self.clock()
        wall = time.perf_counter()
        self.session.run(None, self.feed)
        seconds = time.perf_counter() - wall
        busy = self.clock() - cpu
        switches = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw - switches
        if switches and busy < _UNDISTURBED * seconds and 2 * self.disturbed <= self.runs:
            self.disturbed += 1
            return
        self.runs += 1
        self.seconds += seconds
        self.wall.append(seconds)
        self.cpu.append(busy)
        if counters:
            self.joules += energy.joules(counters, before, energy.read(counters))

    def take(self, with_joules: bool) -> list[object]:
        """Return the runs that were not reported yet, and forget them."""
        taken = [
            self.first,
            self.stop,
            self.wall,
            self.cpu,
            self.joules if with_joules else None,
        ]
        self.wall, self.cpu, self.joules = [], [], 0.0
        return taken


def measure(
    folded: str,
    original: str,
    folder: str,
    parts: Sequence[Mapping[str, Any]],
    sittings: Sequence[Sequence[int]],
    inputs: Sequence[tuple[str, str, Sequence[int]]],
    requests: int,
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
        The folded network that parts are cut from, and what runs along as the unsplit network.
    folder
        Where parts are written while they are opened.
    parts
        Fields of :class:`Part`.
    sittings
        Indices of the parts that are timed together, `ORIGINAL` for the unsplit network.
    inputs
        Name, type and shape of each graph input, for a single request.
    requests
        How many are stacked along the first dimension.
    effort
        Fields of :class:`Effort`.
    threads, provider
        Of the sessions.
    run_seconds, open_seconds
        Limits on one inference, and on cutting and opening one part.
    powercap
        Folder of the energy counters.
    """
    voice = Voice()
    plan = Effort(**effort)
    wanted = [
        Part(
            first=int(part["first"]),
            stop=int(part["stop"]),
            inputs=tuple(part["inputs"]),
            outputs=tuple(part["outputs"]),
            had=(int(part["had"][0]), float(part["had"][1])),
        )
        for part in parts
    ]
    opener = _Opener(
        voice, Path(folded), Path(original), Path(folder), threads, provider, open_seconds
    )
    with voice.step("making the inputs of the parts", open_seconds + run_seconds):
        tensors = opener.tensors(wanted, inputs, requests)
    counters = energy.counters(Path(powercap))
    for number, sitting in enumerate(sittings):
        subjects: list[_Subject] = []
        for index in sitting:
            voice.tick(opened=len(subjects), sitting=len(sitting))
            subjects.append(
                opener.original(tensors)
                if index == ORIGINAL
                else opener.part(wanted[index], tensors)
            )
        _time(subjects, plan, counters, voice, run_seconds, number)
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
        ``None`` if the profiler's names are not those of the nodes, or the provider is not
        there.
    """
    import onnxruntime as ort

    from edgeplan.networks import sessions

    if provider not in ort.get_available_providers():
        return None  # opening the parts says so to the user
    voice = Voice()
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
        voice: Voice,
        folded: Path,
        original: Path,
        folder: Path,
        threads: int,
        provider: str,
        seconds: float,
    ) -> None:
        self._voice = voice
        from edgeplan.networks import parts

        self._splitter = parts.Splitter(folded)
        self._original = original
        self._folder = folder
        self._threads = threads
        self._provider = provider
        self._seconds = seconds

    def tensors(
        self,
        parts: Sequence[Part],
        inputs: Sequence[tuple[str, str, Sequence[int]]],
        requests: int,
    ) -> dict[str, Any]:
        """Return seeded random graph inputs and what the parts' inputs are then."""
        from edgeplan.networks import sessions

        tensors: dict[str, Any] = dict(sessions.draw_stacked(inputs, SEED, requests))
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
        """Open the unsplit network."""
        return self._subject(self._original, tensors, ORIGINAL, ORIGINAL)

    def part(self, part: Part, tensors: Mapping[str, Any]) -> _Subject:
        """Cut out and open a part."""
        with self._voice.step("cutting a part", self._seconds):
            path = self._extract(part.inputs, part.outputs)
        try:
            subject = self._subject(path, tensors, part.first, part.stop)
        finally:
            path.unlink()
        subject.runs, subject.seconds = part.had
        return subject

    def _extract(self, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> Path:
        # Opening the part at once finds whatever the checker would.
        return self._splitter.extract(inputs, outputs, self._folder / "part.onnx", check=False)

    def _subject(self, path: Path, tensors: Mapping[str, Any], first: int, stop: int) -> _Subject:
        with self._voice.step("opening a part", self._seconds):
            session = self._session(path)
        feed = {value.name: tensors[value.name] for value in session.get_inputs()}
        # With one intra-op thread the runtime computes on the calling thread.
        clock = time.thread_time if self._threads == 1 else _process_seconds
        return _Subject(session, feed, first, stop, clock=clock)

    def _session(self, path: Path) -> Any:
        from edgeplan.networks import sessions

        return sessions.open_session(
            path, level="deployed", threads=self._threads, provider=self._provider
        )


def _time(
    subjects: Sequence[_Subject],
    plan: Effort,
    counters: Sequence[energy.Counter],
    voice: Voice,
    run_seconds: float,
    sitting: int,
) -> None:
    for _ in range(plan.warmup):
        for subject in subjects:
            voice.tick()
            with voice.step("one inference", run_seconds):
                subject.warm()

    told = 0

    def report() -> None:
        nonlocal told
        items = [subject.take(bool(counters)) for subject in subjects if subject.wall]
        disturbed = sum(subject.disturbed for subject in subjects)
        voice.say(event="runs", sitting=sitting, items=items, disturbed=disturbed - told)
        told = disturbed

    gc.collect()
    gc.disable()
    try:
        reported = time.monotonic()
        active = list(subjects)
        while active:
            for subject in active:
                with voice.step("one inference", run_seconds):
                    subject.run(counters)
            active = [
                subject for subject in active if not plan.finished(subject.runs, subject.seconds)
            ]
            if time.monotonic() - reported > _REPORT_SECONDS:
                report()
                reported = time.monotonic()
        report()
    finally:
        gc.enable()
