"""Going through a sweep: each point in this process or another, each kept as soon as it is found.

A point's file is named for its settings and written whole, so that whatever kills the sweep, what
was finished is there, and the same sweep again does the rest. Processes are started afresh
(joblib's loky), since a fork with a solver's threads in it deadlocks.
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import json
import math
import os
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeplan.instances.document import Plain, parse_json, read_document, read_text, write_text
from edgeplan.instances.kept import keep
from edgeplan.instances.read import instance_from_tree, read_instance
from edgeplan.instances.units import cut, cut_path
from edgeplan.model.errors import EdgeplanError, Fault, InputError, SolverError
from edgeplan.solvers.children import be_child
from edgeplan.sweeps.parameters import Value, Varied, varied, with_value
from edgeplan.sweeps.points import (
    VALUES,
    SweepPoint,
    point_file,
    point_of,
    read_point,
    write_point,
)

MOST_POINTS = 1_000_000
HEADER_NAME, INSTANCE_NAME, CSV_NAME = "sweep.json", "sweep.instance.json", "sweep.csv"
POINTS_NAME = "points"
SWEEP_FORMAT = "edgeplan-sweep"
STOP_SECONDS = 0.1
"""How often other processes' work is looked at for a stop."""

Settings = Mapping[str, Value]


@dataclass(frozen=True, kw_only=True)
class Options:
    """How each point is planned; see `edgeplan.planner.plan`.

    Parameters
    ----------
    objective
        What to minimise instead of what the instance says.
    solver, time_limit, gap, seed
        Of the planner.
    """

    objective: str | None = None
    solver: str = "auto"
    time_limit: float | None = None
    gap: float = 1e-6
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A sweep, as far as it went.

    Parameters
    ----------
    varied
        What was varied.
    points
        What is known, in the order of the settings: the last parameter varies fastest.
    count
        How many settings there are.
    reused
        How many points were there already.
    failed
        Settings that could not be planned, with the reason.
    """

    varied: tuple[Varied, ...]
    points: tuple[SweepPoint, ...]
    count: int
    reused: int
    failed: tuple[tuple[Settings, str], ...]

    @property
    def complete(self) -> bool:
        """Whether every point is known."""
        return len(self.points) == self.count

    def as_json(self) -> dict[str, Any]:
        """Return the sweep for machines."""
        return {
            "varied": [{"name": each.name, "values": list(each.values)} for each in self.varied],
            "count": self.count,
            "reused": self.reused,
            "complete": self.complete,
            "points": [point.as_json() for point in self.points],
            "failed": [
                {"settings": dict(settings), "message": why} for settings, why in self.failed
            ],
        }


def sweep(
    path: Path,
    words: Sequence[str],
    folder: Path,
    *,
    options: Options | None = None,
    jobs: int = 1,
    on_point: Callable[[int, int], None] | None = None,
    stop: threading.Event | None = None,
) -> Sweep:
    """Plan an instance over ranges of its parameters.

    Parameters
    ----------
    path
        The instance file.
    words
        What is varied: ``PATH=VALUES`` each (see `edgeplan.sweeps.parameters`).
    folder
        Where points are kept, and from which the sweep goes on. Other values of parameters add to
        it. Made where it is missing.
    options
        How each point is planned.
    jobs
        Processes.
    on_point
        Called with the numbers of points known and wanted, after each.
    stop
        Setting it ends the sweep with what it has.

    Returns
    -------
    Sweep
        All of it, or what was found until it was stopped.

    Raises
    ------
    InputError
        Before any work: if a parameter is not one, a value is none for it, or the folder has
        points of another instance, or of other options.
    SolverError
        If a process died.
    """
    options = options or Options()
    base = read_instance(path)
    tree = read_document(path).value
    assert isinstance(tree, dict)
    parameters = _parameters(words, tree)
    count = math.prod(len(each.values) for each in parameters)
    if count > MOST_POINTS:
        raise InputError.at("--vary", f"these are {count:,} points; at most {MOST_POINTS:,}")
    _check_values(tree, parameters, path)
    base.problem.asked(options.objective)
    with _opened(folder, options) as points:
        keep(base, folder / INSTANCE_NAME)
        found: dict[Path, SweepPoint] = {}
        left: list[_Job] = []
        files: list[Path] = []
        for settings in _grid(parameters):
            file = point_file(points, settings)
            files.append(file)
            known = read_point(file, settings) if file.exists() else None
            if known is None:
                left.append(_Job(tree, parameters, settings, path, options, file))
            else:
                found[file] = known
        reused = len(found)
        failed: list[tuple[Settings, str]] = []
        with contextlib.closing(_results(left, jobs, stop)) as results:
            for job, outcome in results:
                if isinstance(outcome, str):
                    failed.append((job.settings, outcome))
                elif outcome is not None:
                    found[job.file] = outcome
                if on_point is not None:
                    on_point(len(found), count)
        done = Sweep(
            varied=parameters,
            points=tuple(found[file] for file in files if file in found),
            count=count,
            reused=reused,
            failed=tuple(failed),
        )
        write_text(folder / CSV_NAME, table_text(done))
    return done


def table_text(found: Sweep) -> str:
    """Return a sweep as CSV: settings, what came of them in SI units, each stream's routes."""
    from edgeplan.pareto.front import route_words

    names = [each.name for each in found.varied]
    streams = list(
        dict.fromkeys(name for point in found.points if point.plan for name in point.plan.routes)
    )
    head = ("status", "limit", "objective", "bound", "gap", *VALUES, "solver", "chosen", "seconds")
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow([*names, *head, *(f"route.{name}" for name in streams)])
    for point in found.points:
        routes = {} if point.plan is None else point.plan.routes
        table.writerow(
            [
                *(point.settings[name] for name in names),
                *(getattr(point, key) for key in head),
                *(route_words(routes.get(name, ())) for name in streams),
            ]
        )
    return text.getvalue()


def _parameters(words: Sequence[str], tree: Mapping[str, Plain]) -> tuple[Varied, ...]:
    """Return what is varied, with every fault of every word."""
    found: list[Varied] = []
    faults: list[Fault] = []
    for word in words:
        try:
            found.append(varied(word, tree))
        except InputError as error:
            faults += error.faults
    if not words:
        faults.append(Fault("--vary", "is missing: a sweep varies something"))
    places: dict[object, str] = {}
    for each in found:
        for place in each.places:
            if place in places:
                message = f"is the same as, or part of, {cut(places[place])}"
                faults.append(Fault(f"--vary {cut(each.name)}", message))
                break
            places[place] = each.name
    if faults:
        raise InputError(faults)
    return tuple(found)


def _grid(parameters: Sequence[Varied]) -> Iterator[Settings]:
    names = [each.name for each in parameters]
    for values in itertools.product(*(each.values for each in parameters)):
        yield dict(zip(names, values, strict=True))


def _with_settings(tree: Plain, parameters: Sequence[Varied], settings: Settings) -> Plain:
    for each in parameters:
        for place in each.places:
            tree = with_value(tree, place, settings[each.name])
    return tree


def _check_values(tree: Plain, parameters: Sequence[Varied], path: Path) -> None:
    """Read the instance with each value, the other parameters at their first."""
    first = {each.name: each.values[0] for each in parameters}
    faults: list[Fault] = []
    for each in parameters:
        for value in each.values:
            settings = {**first, each.name: value}
            try:
                instance_from_tree(_with_settings(tree, parameters, settings), path)
            except InputError as error:
                where = f"--vary {cut(each.name)}={cut(value)}"
                faults += [Fault(where, str(fault)) for fault in error.faults[:3]]
        if faults:
            raise InputError(faults[:20])


@contextlib.contextmanager
def _opened(folder: Path, options: Options) -> Iterator[Path]:
    """Yield the folder of points, held against other processes."""
    import filelock

    points = folder / POINTS_NAME
    try:
        points.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        place = cut_path(folder)
        raise InputError.at(place, f"cannot be made: {error.strerror}") from None
    lock = filelock.FileLock(folder / f"{HEADER_NAME}.lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        message = "another process is writing this sweep"
        raise InputError.at(cut_path(folder), message) from None
    try:
        _agree(folder, options)
        for torn in points.glob(".*.tmp"):  # of a process that was killed as it wrote
            torn.unlink(missing_ok=True)
        yield points
    finally:
        lock.release()


def _agree(folder: Path, options: Options) -> None:
    """Write the header, or check that the one which is there says the same."""
    file = folder / HEADER_NAME
    stated: dict[str, Any] = {"format": SWEEP_FORMAT, "version": 1, **vars(options)}
    if not file.exists():
        write_text(file, json.dumps(stated, indent=1) + "\n")
        return
    found = parse_json(read_text(file)).value
    if not isinstance(found, dict) or found.get("format") != SWEEP_FORMAT:
        raise InputError.at(cut_path(file), "is not the header of a sweep")
    differing = [key for key in stated if found.get(key) != stated[key]]
    if differing:
        said = "; ".join(
            f"{key} was {_said(found.get(key))} and is {_said(stated[key])}" for key in differing
        )
        message = f"has points planned otherwise: {said}; choose another folder"
        raise InputError.at(cut_path(folder), message)


def _said(value: object) -> str:
    return "not stated" if value is None else cut(value)


# --- the work -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Job:
    """A point to be planned."""

    tree: Plain
    parameters: tuple[Varied, ...]
    settings: Settings
    path: Path
    options: Options
    file: Path


_Outcome = SweepPoint | str | None
"""A point, or why there is none; ``None`` where it was interrupted."""


def _plan(job: _Job, stop: threading.Event | None = None) -> _Outcome:
    """Plan a point and keep it."""
    from edgeplan.planner import plan

    try:
        tree = _with_settings(job.tree, job.parameters, job.settings)
        problem = instance_from_tree(tree, job.path).problem.asked(job.options.objective)
        result = plan(
            problem,
            solver=job.options.solver,
            time_limit=job.options.time_limit,
            gap=job.options.gap,
            seed=job.options.seed,
            stop=stop,
        )
    except EdgeplanError as error:
        return str(error)
    if result.limit == "interrupted":
        return None
    point = point_of(job.settings, result)
    write_point(point, job.file)
    return point


def _results(
    left: Sequence[_Job], jobs: int, stop: threading.Event | None
) -> Generator[tuple[_Job, _Outcome], None, None]:
    """Yield points in the order in which they are finished."""
    if min(jobs, len(left)) <= 1:
        for job in left:
            if stop is not None and stop.is_set():
                return
            yield job, _plan(job, stop)
        return
    from joblib.externals.loky import ProcessPoolExecutor

    pool = ProcessPoolExecutor(
        max_workers=min(jobs, len(left)), initializer=be_child, initargs=(os.getpid(),)
    )
    waiting = iter(left)
    busy: dict[Any, _Job] = {}
    whole = False
    try:
        while True:
            # One more than there are processes, so that none waits for this one.
            for job in itertools.islice(waiting, jobs + 1 - len(busy)):
                busy[pool.submit(_plan, job)] = job
            if not busy:
                whole = True
                return
            done, _ = wait(busy, timeout=STOP_SECONDS, return_when=FIRST_COMPLETED)
            if stop is not None and stop.is_set():
                return
            for future in done:
                yield busy.pop(future), _outcome(future)
    finally:
        # What is not finished is left: a point is there whole or not at all.
        pool.shutdown(wait=True, kill_workers=not whole)


def _outcome(future: Any) -> _Outcome:
    from concurrent.futures.process import BrokenProcessPool

    try:
        outcome: _Outcome = future.result()
    except BrokenProcessPool as error:
        message = f"a process of the sweep died ({cut(error)}); what is done is kept"
        raise SolverError(message) from None
    return outcome
