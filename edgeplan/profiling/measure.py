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
from edgeplan.model.profile import Machine, Profile
from edgeplan.networks import sandbox
from edgeplan.networks.grouping import group, part_io
from edgeplan.networks.preparing import Prepared, prepare
from edgeplan.profiling import energy, shortlist, store, tables, timing
from edgeplan.profiling.machine import this_machine
from edgeplan.profiling.progress import ProfileProgress, Stage
from edgeplan.profiling.samples import Samples, Samplings, Span, is_time

DEFAULT_CUTS = 8
"""Inner cuts at most: nine layers, 45 spans."""

DEFAULT_REPEATS = 10
"""Timed runs of each span."""

_METHOD = 2
"""Raised when times measured before no longer compare with those measured now."""

_LEAST_RUNS = 5
_WARMUP = 2
_PART_SECONDS = 1.0
_SHORT_SECONDS = 0.02
_OPEN_SECONDS = 60.0
_TOTAL_SECONDS = 7 * 24 * 3600.0
_BATCH_SECONDS = 20.0
"""Spans are timed together for about so long: drift of the machine then hits all alike."""

_BATCH_SPANS = 16
"""Spans timed together where it is not known how long they take."""

_MEASURE = "edgeplan.profiling.timing:measure"
_RUNTIME_BYTES = 2 * 2**30

OnProgress = Callable[[ProfileProgress], None]


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
                result = run.result(run.path.stem if name is None else name, device)
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
    found: Samplings = field(default_factory=Samplings)

    @property
    def graph(self) -> Graph:
        """The folded network."""
        assert self.prepared is not None
        return self.prepared.graph

    def say(self, stage: Stage, message: str) -> None:
        """Tell the one who watches."""
        if self.on_progress is not None:
            done = sum(map(self.finished, self.wanted))
            self.on_progress(
                ProfileProgress(stage=stage, done=done, total=len(self.wanted), message=message)
            )

    def heed(self) -> None:
        """End here if told to stop."""
        if self.stop is not None and self.stop.is_set():
            raise KeyboardInterrupt

    def finished(self, span: Span) -> bool:
        """Whether a span was run often enough."""
        samples = self.found.spans.get(span)
        return samples is not None and self.effort.finished(
            len(samples.wall), math.fsum(samples.wall)
        )

    def counted(self) -> tuple[int, str]:
        """Return how many spans were run at all, and in words how many not often enough."""
        begun = [span for span in self.wanted if span in self.found.spans]
        part = sum(not self.finished(span) for span in begun)
        return len(begun), f" ({part} of them in part)" if part else ""

    def ending(self) -> str:
        """Return what an interruption leaves behind, in words."""
        kept, part = self.counted()
        if not kept:
            return "interrupted before any span was measured"
        return (
            f"interrupted: {kept} of {len(self.wanted)} spans are measured and kept{part}; the "
            "same command goes on from there"
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
                    self.found = Samplings()
                    return
                self.positions = tuple(positions)
                guesses = record.get("seconds")
                if isinstance(guesses, list) and all(map(is_time, guesses)):
                    self.guesses = tuple(guesses)
            elif kind == "runs":
                self.found.take(record)
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
        self.wanted = tables.wanted(len(self.layers))

    def tell_reuse(self, key: str) -> None:
        """Say in one line what need not be measured again."""
        kept, part = self.counted()
        if kept:
            days = sorted(
                set().union(
                    *(self.found.spans[s].days for s in self.wanted if s in self.found.spans)
                )
            )
            when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
            self.say(
                "reuse",
                f"reused {kept} of {len(self.wanted)} spans measured on {when}{part}, "
                f"key {key[:8]}",
            )

    def measure(self, kept: store.Store, folder: Path) -> None:
        """Run what is not known yet; runs go to the store about every second."""
        missing = [span for span in self.wanted if not self.finished(span)]
        if not missing and self.found.whole:
            return
        self.heed()
        limit = self._memory()
        batches = self._batches(missing, limit) or [[]]
        parts = []
        for first, stop in missing:
            inputs, outputs = part_io(self.tensors, first, stop)
            had = self.found.spans.get((first, stop), Samples())
            parts.append(
                {
                    "first": first,
                    "stop": stop,
                    "inputs": inputs,
                    "outputs": outputs,
                    "had": (len(had.wall), math.fsum(had.wall)),
                }
            )
        self.say("measure", f"timing {len(missing)} spans")
        assert self.prepared is not None
        began = _now()

        def on_runs(data: Mapping[str, Any]) -> None:
            record = {
                "kind": "runs",
                "batch": f"{began} {data.get('batch')}",
                "items": data.get("items"),
                "disturbed": data.get("disturbed"),
                "created": _now(),
            }
            kept.append(record)
            self.found.take(record)
            self.say("measure", self._said())

        self._call(
            _MEASURE,
            on_runs,
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

    def result(self, name: str, device: str) -> Profile:
        """Put the profile together."""
        assert self.prepared is not None
        count = len(self.layers)
        measured = {span: self.found.spans[span] for span in self.wanted}
        spans, boundary_seconds = tables.timings(measured, count)
        joules = tables.joules(measured, count)
        return Profile(
            network=name,
            onnx=self.path.name,
            sha256=self.prepared.source.sha256,
            shapes=self.prepared.source.shapes,
            graph=self.graph,
            positions=self.positions,
            layers=self.layers,
            tensors=self.tensors,
            whole=tables.whole(self.found.whole),
            spans=spans,
            boundary_seconds=boundary_seconds,
            joules=joules,
            energy_basis="power-model" if joules is None else "rapl",
            device=device,
            basis="measured",
            basis_detail=tables.detail(
                self.found,
                self.wanted,
                count,
                warmup=self.effort.warmup,
                rapl=joules is not None,
            ),
            machine=self.machine,
            created=_now(),
        )

    def _said(self) -> str:
        count = len(self.layers)
        samples = self.found.spans.get((0, count))
        runs = [len(found.wall) for found in self.found.spans.values()]
        so_far = f"{sum(runs)} runs of {len(runs)} spans"
        if samples is None:
            return so_far
        return f"{so_far}, all layers {statistics.median(samples.wall) * 1e3:.4g} ms"

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
            and all(is_time(value) for value in times)
            and sum(times) > 0
        )
        return times if usable else None

    def _call(
        self,
        target: str,
        on_runs: Callable[[Mapping[str, Any]], None],
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
            if data.get("event") == "runs":
                on_runs(data)
            elif isinstance(data.get("opened"), int):
                self.say("measure", f"opened {data['opened']} of {data.get('batch')} parts")

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


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
