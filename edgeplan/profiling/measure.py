"""Measure a profile on this machine: prepare, shortlist, time every span, put it together.

The times live in the store (`edgeplan.profiling.store`) from the moment that they are known,
so a run that is interrupted, even killed, is taken up where it ended by running it again.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from edgeplan.model.errors import Fault, InputError, InterruptedRunError, NetworkError
from edgeplan.model.profile import BatchTimes, Profile, RefusedBatch
from edgeplan.networks import sandbox
from edgeplan.networks.preparing import prepare
from edgeplan.profiling import columns, noise, scratch, shortlist, store, timing
from edgeplan.profiling.campaign import Campaign, OnProgress
from edgeplan.profiling.machine import this_machine

DEFAULT_CUTS = 8
"""Inner cuts at most: nine layers, 45 spans."""

DEFAULT_REPEATS = 10
"""Timed runs of each span."""

DEFAULT_BUDGET_SECONDS = 60.0
"""For all spans together."""

_LEAST_RUNS = 5
_WARMUP = 2
_PART_SECONDS = 1.0
_SHORT_SECONDS = 0.02


def profile(
    path: Path | str,
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,
    name: str | None = None,
    device: str = "this-machine",
    max_cuts: int = DEFAULT_CUTS,
    cuts: Sequence[int] | None = None,
    like: Profile | None = None,
    batches: Sequence[int] = (),
    threads: int = 1,
    repeats: int | None = None,
    budget_seconds: float = DEFAULT_BUDGET_SECONDS,
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
    like
        Profile of the same file, from another run or machine: its cuts and its shapes are taken,
        so that both profiles can be used in one instance (a shortlist depends on times, and so
        on the machine). It takes the place of `cuts`, and of `shapes`, which may only agree.
    batches
        Batch sizes: jobs of so many requests are measured beside single requests, which always
        are. A size that the network cannot take is refused and the others are measured: the
        profile says why (`edgeplan.profiling.columns` has the rules).
    threads
        Intra-op threads.
    repeats
        Timed runs of each span (default `DEFAULT_REPEATS`); fewer, but at least four, where
        they take over two seconds together, more where they take under 20 ms.
    budget_seconds
        About how long all spans of a batch size together may take: where it would be more
        (judged by one timing of the nodes), spans get fewer runs, but at least five, or
        `repeats` if that is less. So it is a wish, not a limit.
    warmup
        Runs thrown away before.
    seconds
        Limit on reading the file, and on one inference of a single request.
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
        If an argument makes no sense, with every fault found, or `like` is of another network.
    NetworkError
        If the file is unsafe or invalid, or the network crashes, or exceeds a limit, with
        single requests.
    InterruptedRunError
        On Ctrl-C or `stop`; finished spans are kept, and the same call takes them up.
    """
    _check(
        max_cuts=max_cuts,
        threads=threads,
        repeats=repeats,
        budget_seconds=budget_seconds,
        warmup=warmup,
        seconds=seconds,
        memory_bytes=memory_bytes,
        batches=batches,
    )
    if like is not None:
        shapes, cuts = _taken(like, shapes, cuts)
    effort = timing.Effort(
        repeats=DEFAULT_REPEATS if repeats is None else repeats,
        least=min(_LEAST_RUNS, DEFAULT_REPEATS if repeats is None else repeats),
        warmup=warmup,
        part_seconds=_PART_SECONDS,
        short_seconds=_SHORT_SECONDS,
    )
    several = sorted(set(batches) - {1})
    cache = store.default_folder() if cache is None else cache
    run = Campaign(
        path=Path(path),
        effort=effort,
        budget_seconds=budget_seconds,
        machine=this_machine(provider=provider, threads=threads),
        seconds=seconds,
        memory_bytes=memory_bytes,
        on_progress=on_progress,
        stop=stop,
        sizes=1 + len(several),
    )
    current = run
    try:
        with scratch.folder() as folder:
            run.say("prepare", f"reading {run.path.name[:80]}")
            run.prepared = prepare(path, shapes=shapes, folder=folder, seconds=seconds)
            if like is not None:
                _check_file(like, run)
            explicit = None if cuts is None else shortlist.checked(run.graph, cuts)
            key = run.key(device, max_cuts if explicit is None else list(explicit))
            run.heed()
            with store.Store(
                cache,
                key,
                on_wait=lambda: run.say("wait", "another process is measuring this network"),
                stop=stop,
            ) as kept:
                if fresh:
                    kept.clear()
                run.take_up(kept, key)
                run.choose(kept, folder, explicit, max_cuts)
                if like is not None:
                    _check_layers(like, run)
                run.tell_reuse(key)
                run.measure(kept, folder)
                result = run.result(run.path.stem if name is None else name, device)
            warning = noise.warning(result.whole, run.machine)
            if warning is not None:
                run.say("noise", warning)
            known: list[BatchTimes] = []
            refused: list[RefusedBatch] = []
            for requests in several:
                sizes = 1 + len(several) - len(refused)
                before = (1 + len(known)) * len(run.wanted)
                current = columns.beside(run, requests, effort, sizes, before)
                try:
                    columns.measure(
                        current, run, folder=folder, cache=cache, device=device, fresh=fresh
                    )
                except NetworkError as error:
                    refused.append(RefusedBatch(requests=requests, reason=columns.refusal(error)))
                    current.say("refuse", f"refused: {refused[-1].reason}")
                else:
                    known.append(current.times())
            run.sizes, run.spans_before = 1 + len(known), len(known) * len(run.wanted)
            run.say("done", "every span is known")
            return replace(result, batches=tuple(known), refused_batches=tuple(refused))
    except KeyboardInterrupt:
        raise InterruptedRunError(current.ending()) from None


def _taken(
    like: Profile, shapes: Mapping[str, Sequence[int]] | None, cuts: Sequence[int] | None
) -> tuple[dict[str, tuple[int, ...]], tuple[int, ...]]:
    """Return the shapes and cuts of a profile, if nothing else is asked for beside."""
    faults = []
    if cuts is not None:
        faults.append(Fault("cuts", "are taken from the other profile: leave one of the two out"))
    own = dict(like.shapes)
    for name, shape in (shapes or {}).items():
        if name not in own:
            faults.append(
                Fault(f"shape {name[:80]}", "the profile that the cuts come from has no such input")
            )
        elif tuple(shape) != own[name]:
            text = ",".join(map(str, own[name]))
            faults.append(
                Fault(
                    f"shape {name[:80]}",
                    f"the profile that the cuts come from was measured with {text}: leave the "
                    "shape out, or measure both profiles anew with the shape that you want",
                )
            )
    if faults:
        raise InputError(faults)
    return own, like.positions


def _check_file(like: Profile, run: Campaign) -> None:
    assert run.prepared is not None
    if like.sha256 != run.prepared.source.sha256:
        raise InputError.at(
            "cuts",
            f"the profile that they come from is of another file ({like.onnx[:80]}, sha256 "
            f"{like.sha256[:12]}…; {run.path.name[:80]} has "
            f"{run.prepared.source.sha256[:12]}…): give a profile of this file, or the file "
            "that it was measured on",
        )


def _check_layers(like: Profile, run: Campaign) -> None:
    if (like.layers, like.tensors) != (run.layers, run.tensors):
        raise InputError.at(
            "cuts",
            "the same positions make other layers here than in the profile that they come from: "
            f"it was made with onnxruntime {like.machine.onnxruntime[:40]} and onnx "
            f"{like.machine.onnx[:40]}, here are {run.machine.onnxruntime} and "
            f"{run.machine.onnx}; install the same versions, or measure both profiles anew",
        )


def _check(
    *,
    max_cuts: int,
    threads: int,
    repeats: int | None,
    budget_seconds: float,
    warmup: int,
    seconds: float,
    memory_bytes: int | None,
    batches: Sequence[int],
) -> None:
    faults = []
    if max_cuts < 0:
        faults.append(Fault("max_cuts", "must not be negative"))
    if threads < 1:
        faults.append(Fault("threads", "must be at least 1"))
    if repeats is not None and repeats < 1:
        faults.append(Fault("repeats", "must be at least 1"))
    if not (math.isfinite(budget_seconds) and budget_seconds > 0):
        faults.append(Fault("budget_seconds", "must be a positive number"))
    if warmup < 0:
        faults.append(Fault("warmup", "must not be negative"))
    if not (math.isfinite(seconds) and seconds > 0):
        faults.append(Fault("seconds", "must be a positive number"))
    if memory_bytes is not None and memory_bytes < 1:
        faults.append(Fault("memory_bytes", "must be at least 1"))
    if not all(1 <= requests <= columns.MOST_REQUESTS for requests in batches):
        faults.append(
            Fault("batches", f"must be numbers of requests from 1 to {columns.MOST_REQUESTS}")
        )
    if faults:
        raise InputError(faults)
