"""Measure a profile on this machine: prepare, shortlist, time every span, put it together.

The times live in the store (`edgeplan.profiling.store`) from the moment that they are known,
so a run that is interrupted, even killed, is taken up where it ended by running it again.
"""

from __future__ import annotations

import itertools
import math
import platform
import statistics
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import edgeplan
from edgeplan.model.errors import Fault, InputError, InterruptedRunError, NetworkError
from edgeplan.model.graph import Graph
from edgeplan.model.network import Layer, Tensor
from edgeplan.model.profile import Machine, Profile, Timing
from edgeplan.networks import sandbox
from edgeplan.networks.grouping import group, part_io
from edgeplan.networks.preparing import Prepared, prepare
from edgeplan.profiling import energy, shortlist, store, timing
from edgeplan.profiling.machine import this_machine
from edgeplan.profiling.progress import ProfileProgress, Stage
from edgeplan.profiling.statistics import boundary, interpolate, summarise

DEFAULT_CUTS = 8
"""Inner cuts at most: nine layers, 45 spans."""

DEFAULT_REPEATS = 12
"""Timed runs of each span."""

MOST_SPANS = 120
"""Of more spans than this only layers, heads and tails are run; the others are interpolated."""

_METHOD = 1
"""Raised when times measured before no longer compare with those measured now."""

_LEAST_RUNS = 4
_WARMUP = 2
_PART_SECONDS = 2.0
_SHORT_SECONDS = 0.02
_OPEN_SECONDS = 60.0
_TOTAL_SECONDS = 7 * 24 * 3600.0
_BATCH_SECONDS = 10.0
"""Spans are timed together for about so long: drift of the machine then hits all alike, and
no more than this is lost to an interruption."""

_BATCH_SPANS = 16
"""Spans timed together where it is not known how long they take."""

_RUNTIME_BYTES = 2 * 2**30

OnProgress = Callable[[ProfileProgress], None]
Span = tuple[int, int]
"""First layer, stop."""


def profile(
    path: Path | str,
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,
    name: str | None = None,
    device: str = "this-machine",
    max_cuts: int = DEFAULT_CUTS,
    cuts: Sequence[int] | None = None,
    threads: int = 1,
    repeats: int | None = None,
    warmup: int = _WARMUP,
    seconds: float = sandbox.DEFAULT_SECONDS,
    memory_bytes: int | None = None,
    provider: str = "CPUExecutionProvider",
    cache: Path | None = None,
    fresh: bool = False,
    on_progress: OnProgress | None = None,
    stop: threading.Event | None = None,
) -> Profile:
    """Measure what the parts of a network cost on this machine.

    The network is parsed and run in child processes only. Every span between shortlisted
    cuts is cut out, opened at the deployed optimisation level and timed in rounds with the
    others (`edgeplan.profiling.timing`); so is the unsplit file.

    Parameters
    ----------
    path
        ONNX file.
    shapes
        Sizes by graph input; by default those of the file, with sensible ones for free sizes.
    name
        Of the network; by default the file's name without suffix.
    device
        Name for this machine, kept with the profile.
    max_cuts
        How many inner cuts to shortlist at most (`edgeplan.profiling.shortlist` has the rule).
    cuts
        Node positions to cut at, instead of the shortlist.
    threads
        Intra-op threads.
    repeats
        Timed runs of each span (default `DEFAULT_REPEATS`); fewer, but at least four, where
        they take over two seconds together, more where they take under 20 ms.
    warmup
        Runs thrown away before.
    seconds
        Limit on reading the file, and on one inference.
    memory_bytes
        Limit on the address space of the child; by default enough for some copies of the
        network, at most three quarters of this machine's memory.
    provider
        ONNX Runtime's execution provider.
    cache
        Folder of the store; by default in the user's cache folder.
    fresh
        Whether to forget what the store holds for these very settings.
    on_progress
        Called in this thread with every sign of life.
    stop
        When set, measuring ends at the next sign of life (within about half a second).

    Returns
    -------
    Profile
        Measured. Energy is that of the RAPL counters where they can be read; otherwise
        ``joules`` is ``None`` and the device's watts count (``power-model``).

    Raises
    ------
    InputError
        If an argument makes no sense, with every fault found.
    NetworkError
        If the file is unsafe or invalid, or the network crashes, or exceeds a limit.
    InterruptedRunError
        On Ctrl-C or `stop`; finished spans are kept, and the same call takes them up.
    """
    _check(max_cuts=max_cuts, threads=threads, repeats=repeats, warmup=warmup, seconds=seconds)
    run = _Run(
        path=Path(path),
        effort=timing.Effort(
            repeats=DEFAULT_REPEATS if repeats is None else repeats,
            least=min(_LEAST_RUNS, DEFAULT_REPEATS if repeats is None else repeats),
            warmup=warmup,
            part_seconds=_PART_SECONDS,
            short_seconds=_SHORT_SECONDS,
        ),
        machine=this_machine(provider=provider, threads=threads),
        seconds=seconds,
        memory_bytes=memory_bytes,
        on_progress=on_progress,
        stop=stop,
    )
    try:
        with tempfile.TemporaryDirectory(prefix="edgeplan-profile-") as folder:
            run.say("prepare", f"reading {run.path.name[:80]}")
            run.prepared = prepare(path, shapes=shapes, folder=Path(folder), seconds=seconds)
            explicit = None if cuts is None else shortlist.checked(run.graph, cuts)
            key = run.key(device, max_cuts if explicit is None else list(explicit))
            run.heed()
            with store.Store(
                store.default_folder() if cache is None else cache,
                key,
                on_wait=lambda: run.say("wait", "another process is measuring this network"),
                stop=stop,
            ) as kept:
                if fresh:
                    kept.clear()
                run.take_up(kept, key)
                run.choose(kept, Path(folder), explicit, max_cuts)
                run.tell_reuse(key)
                run.measure(kept, Path(folder))
                created = datetime.now(UTC).isoformat(timespec="seconds")
                result = run.result(run.path.stem if name is None else name, device, created)
            run.say("done", "every span is known")
            return result
    except KeyboardInterrupt:
        raise InterruptedRunError(run.ending()) from None


def _check(
    *, max_cuts: int, threads: int, repeats: int | None, warmup: int, seconds: float
) -> None:
    faults = []
    if max_cuts < 0:
        faults.append(Fault("max_cuts", "must not be negative"))
    if threads < 1:
        faults.append(Fault("threads", "must be at least 1"))
    if repeats is not None and repeats < 1:
        faults.append(Fault("repeats", "must be at least 1"))
    if warmup < 0:
        faults.append(Fault("warmup", "must not be negative"))
    if not (math.isfinite(seconds) and seconds > 0):
        faults.append(Fault("seconds", "must be a positive number"))
    if faults:
        raise InputError(faults)


@dataclass
class _Samples:
    """Times of one span, or of the unsplit file in one batch."""

    wall: list[float]
    cpu: list[float]
    joules: float | None
    created: str


@dataclass
class _Run:
    """One profile in the making."""

    path: Path
    effort: timing.Effort
    machine: Machine
    seconds: float
    memory_bytes: int | None
    on_progress: OnProgress | None
    stop: threading.Event | None
    prepared: Prepared | None = None
    positions: tuple[int, ...] = ()
    layers: tuple[Layer, ...] = ()
    tensors: tuple[Tensor, ...] = ()
    guesses: tuple[float, ...] = ()
    wanted: list[Span] = field(default_factory=list)
    spans: dict[Span, _Samples] = field(default_factory=dict)
    whole: list[_Samples] = field(default_factory=list)
    torn: bool = False

    @property
    def graph(self) -> Graph:
        """The folded network."""
        assert self.prepared is not None
        return self.prepared.graph

    def say(self, stage: Stage, message: str) -> None:
        """Tell the one who watches."""
        if self.on_progress is not None:
            done = sum(span in self.spans for span in self.wanted)
            self.on_progress(
                ProfileProgress(stage=stage, done=done, total=len(self.wanted), message=message)
            )

    def heed(self) -> None:
        """End here if told to stop."""
        if self.stop is not None and self.stop.is_set():
            raise KeyboardInterrupt

    def ending(self) -> str:
        """Return what an interruption leaves behind, in words."""
        kept = sum(span in self.spans for span in self.wanted)
        if not kept:
            return "interrupted before any span was measured"
        return (
            f"interrupted: {kept} of {len(self.wanted)} spans are measured and kept; the same "
            "command goes on from there"
        )

    def key(self, device: str, cuts: int | list[int]) -> str:
        """Return the key of everything that the times depend on."""
        assert self.prepared is not None
        source = self.prepared.source
        return store.key_of(
            {
                "method": _METHOD,
                "edgeplan": edgeplan.__version__,
                "network": source.sha256,
                "shapes": [[name, list(shape)] for name, shape in source.shapes],
                "machine": asdict(self.machine),
                "host": platform.node(),
                "device": device,
                "cuts": cuts,
                "effort": asdict(self.effort),
            }
        )

    def take_up(self, kept: store.Store, key: str) -> None:
        """Take what the store holds."""
        for record in kept.records:
            kind = record.get("kind")
            if kind == "positions":
                positions = record.get("positions")
                valid = {cut.position for cut in self.graph.cuts}
                if not isinstance(positions, list) or not valid.issuperset(positions):
                    # Not of this network as it is read now: nothing here can be used.
                    kept.clear()
                    self.spans.clear()
                    self.whole.clear()
                    self.positions = ()
                    return
                self.positions = tuple(positions)
                guesses = record.get("seconds")
                if isinstance(guesses, list) and all(map(_is_time, guesses)):
                    self.guesses = tuple(guesses)
            elif kind == "part":
                self._take(record)
        if not kept.records:
            kept.append({"kind": "key", "key": key, "network": self.path.name[:80]})

    def choose(
        self, kept: store.Store, folder: Path, explicit: tuple[int, ...] | None, max_cuts: int
    ) -> None:
        """Settle where to cut, once for all runs with this key, and what to run."""
        if not any(record.get("kind") == "positions" for record in kept.records):
            times: Sequence[float] | None = None
            if self.graph.cuts and (explicit or max_cuts):
                self.say("shortlist", "timing nodes to choose cuts")
                times = self._node_seconds(folder)
            if explicit is not None:
                self.positions = explicit
            else:
                shares = shortlist.estimated_shares(self.graph) if times is None else times
                self.positions = shortlist.shortlist(self.graph, shares, max_cuts)
            if times is not None:
                edges = (0, *self.positions, len(times))
                self.guesses = tuple(
                    math.fsum(times[first:stop]) for first, stop in itertools.pairwise(edges)
                )
            kept.append({"kind": "positions", "positions": self.positions, "seconds": self.guesses})
        self.layers, self.tensors = group(self.graph, self.positions)
        self.wanted = _wanted(len(self.layers))

    def tell_reuse(self, key: str) -> None:
        """Say in one line what need not be measured again."""
        found = [self.spans[span] for span in self.wanted if span in self.spans]
        if found:
            days = sorted({samples.created[:10] for samples in found})
            when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
            self.say(
                "reuse",
                f"reused {len(found)} of {len(self.wanted)} spans measured on {when}, "
                f"key {key[:8]}",
            )

    def measure(self, kept: store.Store, folder: Path) -> None:
        """Run what is not known yet; every finished span goes to the store at once."""
        missing = [span for span in self.wanted if span not in self.spans]
        if not missing and self.whole:
            return
        self.heed()
        limit = self._memory()
        batches = self._batches(missing, limit) or [[]]
        parts = []
        for first, stop in missing:
            inputs, outputs = part_io(self.tensors, first, stop)
            parts.append({"first": first, "stop": stop, "inputs": inputs, "outputs": outputs})
        self.say("measure", f"timing {len(missing)} spans")
        assert self.prepared is not None

        def on_part(data: Mapping[str, Any]) -> None:
            record = {
                "kind": "part",
                **{key: data.get(key) for key in ("first", "stop", "wall", "cpu", "joules")},
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
            }
            self._take(record)
            kept.append(record)
            self.say("measure", self._said(int(data["first"]), int(data["stop"])))

        self._call(
            "edgeplan.profiling.timing:measure",
            on_part,
            limit,
            folded=self.prepared.folded,
            original=self.path.absolute(),
            folder=folder,
            parts=parts,
            batches=[[*batch, timing.ORIGINAL] for batch in batches],
            inputs=self._inputs(),
            effort=asdict(self.effort),
            powercap=energy.POWERCAP,
        )

    def result(self, name: str, device: str, created: str) -> Profile:
        """Put the profile together."""
        assert self.prepared is not None
        count = len(self.layers)
        known = {
            span: summarise(self.spans[span].wall, self.spans[span].cpu) for span in self.wanted
        }
        extra = boundary(
            [
                [
                    known.get((first, first + entry + 1), known[first, first + 1])
                    for entry in range(count - first)
                ]
                for first in range(count)
            ]
        )
        apart = [known[layer, layer + 1] for layer in range(count)]
        # A middle span that was not run is its layers joined; the boundary that they save is
        # what all layers apart take more than the whole, so that the ends meet.
        saved = (
            max(
                0.0,
                (math.fsum(part.mean_seconds for part in apart) - known[0, count].mean_seconds)
                / (count - 1),
            )
            if count > 1
            else 0.0
        )
        spans = tuple(
            tuple(
                known[first, stop]
                if (first, stop) in known
                else interpolate(apart[first:stop], saved)
                for stop in range(first + 1, count + 1)
            )
            for first in range(count)
        )
        joules = self._joules()
        return Profile(
            network=name,
            onnx=self.path.name,
            sha256=self.prepared.source.sha256,
            shapes=self.prepared.source.shapes,
            graph=self.graph,
            positions=self.positions,
            layers=self.layers,
            tensors=self.tensors,
            whole=self._whole(),
            spans=spans,
            boundary_seconds=extra,
            joules=joules,
            energy_basis="power-model" if joules is None else "rapl",
            device=device,
            basis="measured",
            basis_detail=self._detail(joules is not None),
            machine=self.machine,
            created=created,
        )

    def _take(self, record: Mapping[str, Any]) -> None:
        samples = _samples(record)
        first, stop = record.get("first"), record.get("stop")
        if samples is None or not isinstance(first, int) or not isinstance(stop, int):
            return
        if first == timing.ORIGINAL:
            self.whole.append(samples)
        else:
            self.spans[first, stop] = samples

    def _said(self, first: int, stop: int) -> str:
        if first == timing.ORIGINAL:
            return f"unsplit: {statistics.median(self.whole[-1].wall) * 1e3:.4g} ms"
        layers = f"layer {first + 1}" if stop == first + 1 else f"layers {first + 1} to {stop}"
        return f"{layers}: {statistics.median(self.spans[first, stop].wall) * 1e3:.4g} ms"

    def _inputs(self) -> list[tuple[str, str, list[int]]]:
        values = {value.name: value for value in self.graph.values}
        found = []
        for name in self.graph.inputs:
            shape = values[name].shape
            assert shape is not None, "preparing pins every graph input"
            found.append((name, values[name].dtype, list(shape)))
        return found

    def _node_seconds(self, folder: Path) -> Sequence[float] | None:
        assert self.prepared is not None
        times = self._call(
            "edgeplan.profiling.timing:shares",
            lambda data: None,
            self._memory(),
            folded=self.prepared.folded,
            folder=folder,
            names=[node.name for node in self.graph.nodes],
            inputs=self._inputs(),
        )
        usable = (
            isinstance(times, list)
            and len(times) == len(self.graph.nodes)
            and all(_is_time(value) for value in times)
            and sum(times) > 0
        )
        return times if usable else None

    def _call(
        self,
        target: str,
        on_part: Callable[[Mapping[str, Any]], None],
        memory_bytes: int,
        **job: object,
    ) -> Any:
        place = self.path.name[:80]

        def on_report(data: object) -> None:
            self.heed()
            if not isinstance(data, dict):
                return
            if data.get("event") == "late":
                raise NetworkError.at(
                    place,
                    f"{str(data.get('what'))[:80]} took longer than "
                    f"{float(data['seconds']):g} s and was stopped; a larger limit may help "
                    "if the file is trusted and merely slow",
                )
            if data.get("event") == "part":
                on_part(data)

        return sandbox.call(
            target,
            memory_bytes=memory_bytes,
            # Single steps are limited in the child; all of them together may take long.
            seconds=_TOTAL_SECONDS,
            place=place,
            on_report=on_report,
            threads=self.machine.threads,
            provider=self.machine.provider,
            run_seconds=self.seconds,
            open_seconds=max(_OPEN_SECONDS, 4 * self.seconds),
            **job,
        )

    def _memory(self) -> int:
        if self.memory_bytes is not None:
            return self.memory_bytes
        wished = 2 * sandbox.DEFAULT_MEMORY_BYTES + 12 * self.graph.weight_bytes
        return max(sandbox.DEFAULT_MEMORY_BYTES, min(wished, self.machine.memory_bytes * 3 // 4))

    def _batches(self, missing: Sequence[Span], limit: int) -> list[list[int]]:
        """Return indices into ``missing``: what is open and timed together.

        Not more than fits in memory, nor takes longer than `_BATCH_SECONDS`.
        """
        space = max(0, limit - _RUNTIME_BYTES - 4 * self.graph.weight_bytes)
        whole = self._guess(0, len(self.layers))
        batches: list[list[int]] = []
        free, left = 0, 0.0
        for index, (first, stop) in enumerate(missing):
            layers = self.layers[first:stop]
            bytes_ = 3 * sum(layer.weight_bytes for layer in layers) + 2 * max(
                layer.activation_bytes for layer in layers
            )
            seconds = self._guess(first, stop)
            if not batches or bytes_ > free or seconds > left:
                batches.append([])
                free, left = space, _BATCH_SECONDS - whole
            batches[-1].append(index)
            free -= bytes_
            left -= seconds
        return batches

    def _guess(self, first: int, stop: int) -> float:
        """Return about how long timing a span will take, all its runs together."""
        if len(self.guesses) != len(self.layers):
            return _BATCH_SECONDS / (_BATCH_SPANS + 1)
        once = math.fsum(self.guesses[first:stop])
        runs = self.effort.warmup + self.effort.repeats
        fewest = self.effort.warmup + self.effort.least
        return max(min(once * runs, _PART_SECONDS), once * fewest, _SHORT_SECONDS)

    def _whole(self) -> Timing:
        return summarise(
            [value for samples in self.whole for value in samples.wall],
            [value for samples in self.whole for value in samples.cpu],
        )

    def _joules(self) -> tuple[tuple[float, ...], ...] | None:
        known = {span: self.spans[span].joules for span in self.wanted}
        if any(value is None for value in known.values()):
            return None
        count = len(self.layers)

        def of(first: int, stop: int) -> float:
            value = known.get((first, stop))
            if value is not None:
                return value
            return math.fsum(known[layer, layer + 1] or 0.0 for layer in range(first, stop))

        return tuple(
            tuple(of(first, stop) for stop in range(first + 1, count + 1)) for first in range(count)
        )

    def _detail(self, rapl: bool) -> str:
        count = len(self.layers)
        total = count * (count + 1) // 2
        runs = [len(self.spans[span].wall) for span in self.wanted]
        medians = [statistics.median(samples.wall) for samples in self.whole]
        said = [
            f"{len(self.wanted)} of {total} spans run {min(runs)} to {max(runs)} times each "
            f"at the deployed optimisation level after {self.effort.warmup} warm-up runs, in "
            "rounds within batches, from seeded random input"
        ]
        if len(self.wanted) < total:
            said.append("the others joined from their layers (interpolated)")
        if len(medians) > 1:
            spread = (max(medians) - min(medians)) / min(medians)
            said.append(
                f"the unsplit file ran along in {len(medians)} batches, whose medians differ "
                f"by up to {spread:.1%}"
            )
        said.append(
            "energy by RAPL counters of the whole package, idle power included"
            if rapl
            else "energy left to the device's watts: no RAPL counter can be read here"
        )
        return "; ".join(said)


def _wanted(count: int) -> list[Span]:
    """Return the spans to run, the most telling first: layers, heads, tails, then the rest."""
    every = [(first, stop) for first in range(count) for stop in range(first + 1, count + 1)]
    ends = dict.fromkeys(
        [
            *((layer, layer + 1) for layer in range(count)),
            *((0, stop) for stop in range(count, 0, -1)),
            *((first, count) for first in range(count)),
        ]
    )
    if len(every) > MOST_SPANS:
        return list(ends)
    return list(dict.fromkeys([*ends, *every]))


def _samples(record: Mapping[str, Any]) -> _Samples | None:
    """Return the times of a record, or ``None`` if it holds none that make sense."""
    wall, cpu, joules = (record.get(key) for key in ("wall", "cpu", "joules"))
    if not isinstance(wall, list) or not isinstance(cpu, list) or not wall:
        return None
    if len(wall) != len(cpu) or not all(map(_is_time, [*wall, *cpu])):
        return None
    if joules is not None and not _is_time(joules):
        return None
    return _Samples(wall, cpu, joules, str(record.get("created", "")))


def _is_time(value: object) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and value >= 0
    )
