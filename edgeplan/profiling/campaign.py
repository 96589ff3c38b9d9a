"""One batch size of a profile in the making: what is known, what is missing, how it is run."""

from __future__ import annotations

import itertools
import math
import platform
import statistics
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import edgeplan
from edgeplan.model.errors import NetworkError
from edgeplan.model.graph import Graph
from edgeplan.model.network import Layer, Tensor
from edgeplan.model.profile import BatchTimes, Machine, Profile
from edgeplan.networks import sandbox
from edgeplan.networks.grouping import group, part_io
from edgeplan.networks.preparing import Prepared, blame_defaults
from edgeplan.profiling import energy, shortlist, store, tables, timing
from edgeplan.profiling.budget import CUT_SECONDS, SITTING_SECONDS, Estimate
from edgeplan.profiling.progress import ProfileProgress, Stage
from edgeplan.profiling.samples import Samples, Samplings, Span, is_time

_METHOD = 3
"""Raised when times measured before no longer compare with those measured now."""

_OPEN_SECONDS = 60.0
_TOTAL_SECONDS = 7 * 24 * 3600.0
_MEASURE = "edgeplan.profiling.timing:measure"
_RUNTIME_BYTES = 2 * 2**30

OnProgress = Callable[[ProfileProgress], None]
"""Is told every sign of life."""


@dataclass
class Campaign:
    """One batch size of a profile: the methods are called in the order in which they stand here.

    Single requests come first and settle the cuts; each other batch size follows them.

    Parameters
    ----------
    path
        ONNX file.
    effort
        How long to measure each span.
    budget_seconds
        About how long to measure all of them: where that is more, each gets fewer runs.
    machine
        This one.
    seconds
        Limit on one inference.
    memory_bytes
        Limit of the child; ``None`` for one that fits the network.
    on_progress, stop
        Whom to tell, and when to end.
    requests
        In a job: what is timed is one job.
    prepared
        The network, once it is read, pinned for a job.
    single
        The same pinned for a single request, where a job holds several.
    spans_before, sizes
        For progress: spans of the batch sizes before this one, and how many sizes there are.
    positions, layers, tensors
        Where it is cut, and into what, once that is settled.
    guesses
        Roughly the seconds of each layer; empty where not known.
    wanted
        Spans to run.
    found
        Runs so far, those of the store included.
    """

    path: Path
    effort: timing.Effort
    budget_seconds: float
    machine: Machine
    seconds: float
    memory_bytes: int | None
    on_progress: OnProgress | None
    stop: threading.Event | None
    requests: int = 1
    prepared: Prepared | None = None
    single: Prepared | None = None
    spans_before: int = 0
    sizes: int = 1
    positions: tuple[int, ...] = ()
    layers: tuple[Layer, ...] = ()
    tensors: tuple[Tensor, ...] = ()
    guesses: tuple[float, ...] = ()
    wanted: list[Span] = field(default_factory=list)
    found: Samplings = field(default_factory=Samplings)

    @property
    def graph(self) -> Graph:
        """The folded network, for a single request."""
        prepared = self.single or self.prepared
        assert prepared is not None
        return prepared.graph

    @property
    def _estimate(self) -> Estimate:
        return Estimate(len(self.layers), self.guesses, self.effort)

    def say(self, stage: Stage, message: str) -> None:
        """Tell the one who watches."""
        if self.on_progress is not None:
            done = self.spans_before + sum(map(self.share, self.wanted))
            total = self.sizes * len(self.wanted)
            if self.requests > 1:
                message = f"batch {self.requests}: {message}"
            self.on_progress(ProfileProgress(stage=stage, done=done, total=total, message=message))

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

    def share(self, span: Span) -> float:
        """Return how much of a span's runs there are."""
        if self.finished(span):
            return 1.0
        samples = self.found.spans.get(span)
        return 0.0 if samples is None else min(0.99, len(samples.wall) / self.effort.repeats)

    def counted(self) -> tuple[int, str]:
        """Return how many spans were run at all, and in words how many not often enough."""
        begun = [span for span in self.wanted if span in self.found.spans]
        part = sum(not self.finished(span) for span in begun)
        return len(begun), f" ({part} of them in part)" if part else ""

    def ending(self) -> str:
        """Return what an interruption leaves behind, in words."""
        kept, part = self.counted()
        kept += self.spans_before
        if not kept:
            return "interrupted before any span was measured"
        return (
            f"interrupted: {kept} of {self.sizes * len(self.wanted)} spans are measured and "
            f"kept{part}; the same command goes on from there"
        )

    def key(self, device: str, cuts: int | list[int]) -> str:
        """Return the key of everything that the times depend on."""
        assert self.prepared is not None
        source = self.prepared.source
        # Single requests have the key that they had before there were jobs of several.
        jobs = {} if self.requests == 1 else {"requests": self.requests}
        return store.key_of(
            {
                **jobs,
                "method": _METHOD,
                "edgeplan": edgeplan.__version__,
                "network": source.sha256,
                "shapes": [[name, list(shape)] for name, shape in source.shapes],
                "machine": asdict(self.machine),
                "host": platform.node(),
                "device": device,
                "cuts": cuts,
                "effort": asdict(self.effort),
                "budget": self.budget_seconds,
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
        self._keep_to_budget()

    def follow(self, kept: store.Store, single: Campaign) -> None:
        """Settle instead of `choose`: cut and run what the single requests were."""
        if not any(record.get("kind") == "positions" for record in kept.records):
            # A job takes at most about as long as its requests one by one.
            self.guesses = tuple(
                self.requests * statistics.median(single.found.spans[layer, layer + 1].wall)
                for layer in range(len(single.layers))
            )
            kept.append(
                {"kind": "positions", "positions": single.positions, "seconds": self.guesses}
            )
        self.positions = single.positions
        self.layers, self.tensors = single.layers, single.tensors
        self.wanted = single.wanted
        self._keep_to_budget()

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
        limit = self.memory()
        sittings = self._sittings(missing, limit) or [[]]
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
        self.say("begin", self._announcement(missing, len(sittings)))
        self.say("measure", f"timing {len(missing)} spans")
        assert self.prepared is not None
        began = _now()

        def on_runs(data: Mapping[str, Any]) -> None:
            record = {
                "kind": "runs",
                "sitting": f"{began} {data.get('sitting')}",
                "items": data.get("items"),
                "disturbed": data.get("disturbed"),
                "created": _now(),
            }
            kept.append(record)
            self.found.take(record)
            self.say("measure", self._said())

        self.call(
            _MEASURE,
            on_runs,
            limit,
            folded=self.prepared.folded,
            # The file itself may fix its sizes, and those of a single request.
            original=self.path.absolute() if self.requests == 1 else self.prepared.folded,
            folder=folder,
            parts=parts,
            sittings=[[*sitting, timing.ORIGINAL] for sitting in sittings],
            inputs=self.inputs(),
            requests=self.requests,
            effort=asdict(self.effort),
            powercap=energy.POWERCAP,
        )

    def result(self, name: str, device: str) -> Profile:
        """Put the profile of single requests together."""
        assert self.prepared is not None
        times = self.times()
        return Profile(
            network=name,
            onnx=self.path.name,
            sha256=self.prepared.source.sha256,
            shapes=self.prepared.source.shapes,
            graph=self.graph,
            positions=self.positions,
            layers=self.layers,
            tensors=self.tensors,
            whole=times.whole,
            spans=times.spans,
            boundary_seconds=times.boundary_seconds,
            joules=times.joules,
            energy_basis="power-model" if times.joules is None else "rapl",
            device=device,
            basis="measured",
            basis_detail=times.detail,
            machine=self.machine,
            created=_now(),
        )

    def times(self) -> BatchTimes:
        """Return what was measured of a job."""
        count = len(self.layers)
        measured = {span: self.found.spans[span] for span in self.wanted}
        spans, boundary_seconds = tables.timings(measured, count)
        joules = tables.joules(measured, count)
        return BatchTimes(
            requests=self.requests,
            whole=tables.whole(self.found.whole),
            spans=spans,
            boundary_seconds=boundary_seconds,
            joules=joules,
            detail=tables.detail(
                self.found,
                self.wanted,
                count,
                warmup=self.effort.warmup,
                rapl=joules is not None,
            ),
        )

    def inputs(self) -> list[tuple[str, str, list[int]]]:
        """Return name, type and shape of each graph input of a single request."""
        values = {value.name: value for value in self.graph.values}
        found = []
        for name in self.graph.inputs:
            shape = values[name].shape
            assert shape is not None, "preparing pins every graph input"
            found.append((name, values[name].dtype, list(shape)))
        return found

    def _said(self) -> str:
        count = len(self.layers)
        samples = self.found.spans.get((0, count))
        runs = [len(found.wall) for found in self.found.spans.values()]
        so_far = f"{sum(runs)} runs of {len(runs)} spans"
        if samples is None:
            return so_far
        return f"{so_far}, all layers {statistics.median(samples.wall) * 1e3:.4g} ms"

    def _node_seconds(self, folder: Path) -> Sequence[float] | None:
        assert self.prepared is not None
        times = self.call(
            "edgeplan.profiling.timing:shares",
            lambda data: None,
            self.memory(),
            folded=self.prepared.folded,
            folder=folder,
            names=[node.name for node in self.graph.nodes],
            inputs=self.inputs(),
        )
        usable = (
            isinstance(times, list)
            and len(times) == len(self.graph.nodes)
            and all(is_time(value) for value in times)
            and sum(times) > 0
        )
        return times if usable else None

    def call(
        self,
        target: str,
        on_runs: Callable[[Mapping[str, Any]], None],
        memory_bytes: int,
        **job: object,
    ) -> Any:
        """Run a target in the sandbox under this campaign's limits, and heed what it reports."""
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
                self.say("measure", f"opened {data['opened']} of {data.get('sitting')} parts")

        try:
            return sandbox.call(
                target,
                memory_bytes=memory_bytes,
                # Single steps are limited in the child; all of them together may take long.
                seconds=_TOTAL_SECONDS,
                place=place,
                on_report=on_report,
                threads=self.machine.threads,
                provider=self.machine.provider,
                run_seconds=self.requests * self.seconds,
                open_seconds=max(_OPEN_SECONDS, 4 * self.seconds * self.requests),
                **job,
            )
        except NetworkError as error:
            assert self.prepared is not None
            if self.found.spans or self.requests > 1:  # it runs with these sizes
                raise
            raise blame_defaults(error, self.prepared.defaults) from None

    def memory(self) -> int:
        """Return the limit on the child's address space in bytes."""
        if self.memory_bytes is not None:
            return self.memory_bytes
        wished = 2 * sandbox.DEFAULT_MEMORY_BYTES + 12 * self.graph.weight_bytes
        return max(sandbox.DEFAULT_MEMORY_BYTES, min(wished, self.machine.memory_bytes * 3 // 4))

    def _sittings(self, missing: Sequence[Span], limit: int) -> list[list[int]]:
        """Return indices into ``missing``: what is open and timed together.

        Not more than fits in memory, nor takes longer than `SITTING_SECONDS`.
        """
        space = max(0, limit - _RUNTIME_BYTES - 4 * self.graph.weight_bytes)
        estimate = self._estimate
        sittings: list[list[int]] = []
        free, left = 0, 0.0
        for index, (first, stop) in enumerate(missing):
            layers = self.layers[first:stop]
            bytes_ = 3 * sum(layer.weight_bytes for layer in layers)
            bytes_ += 2 * self.requests * max(layer.activation_bytes for layer in layers)
            seconds = estimate.span(first, stop)
            if not sittings or bytes_ > free or seconds > left:
                sittings.append([])
                free, left = space, SITTING_SECONDS - estimate.whole()
            sittings[-1].append(index)
            free -= bytes_
            left -= seconds
        return sittings

    def _announcement(self, missing: Sequence[Span], sittings: int) -> str:
        """Return what lies ahead, in words."""
        about = ""
        estimate = self._estimate
        if estimate.known:
            seconds = math.fsum(estimate.span(*span) * (1 - self.share(span)) for span in missing)
            seconds += sittings * estimate.whole() + len(missing) * CUT_SECONDS
            about = f", about {max(1, round(seconds))} s on a quiet machine"
        spans = "1 span" if len(missing) == 1 else f"{len(missing)} spans"
        return f"{spans} of {self.path.stem[:80]}{about}; Ctrl-C keeps what is measured"

    def _keep_to_budget(self) -> None:
        self.effort = self._estimate.effort_within(self.budget_seconds, self.wanted)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
