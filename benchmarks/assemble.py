"""From a problem to the start of the solver: assembled arrays beside Pyomo and the raw hand-over.

Pyomo is timed on a smaller size only, where both matrices are asserted to be equal; ratios hold
within one run. Usage: python -m benchmarks.assemble [LAYERS DEVICES STREAMS]
"""

from __future__ import annotations

import dataclasses
import itertools
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from edgeplan.instances.generators import random_problem
from edgeplan.model.formulation import build
from edgeplan.model.formulation.arrays import Arrays, compile_arrays
from edgeplan.model.formulation.assemble import assemble
from edgeplan.model.problem import Objective, Problem
from edgeplan.solvers.highs import as_program, quiet_highs

SMALLER = (30, 6, 10)
LARGE = (100, 10, 50)


def full_problem(layers: int, devices: int, streams: int) -> Problem:
    """Return chains that may run anywhere, all links there, with all objectives and deadlines."""
    problem = random_problem(1, kind="chain", layers=layers, devices=devices, streams=streams)
    names = [device.name for device in problem.devices]
    links = tuple(
        problem.link.get(ends)
        or dataclasses.replace(problem.links[0], source=ends[0], target=ends[1])
        for ends in itertools.permutations(names, 2)
    )
    networks = []
    for network in problem.networks:
        some = next(iter(network.costs.values()))
        costs = {}
        for name in names:
            found: Any = network.costs.get(name, some)
            seconds = tuple(min(t, 1.0) for t in found.seconds)  # where it could not run: slowly
            costs[name] = dataclasses.replace(found, seconds=seconds)
        networks.append(dataclasses.replace(network, costs=costs))
    return dataclasses.replace(
        problem,
        networks=tuple(networks),
        links=links,
        devices=tuple(dataclasses.replace(d, memory_bytes=1e12) for d in problem.devices),
        streams=tuple(
            dataclasses.replace(
                stream,
                origin=names[number % devices],
                privacy=None,
                pins=(),
                bans=(),
                homes={},
                deadline_seconds=1e3,
            )
            for number, stream in enumerate(problem.streams)
        ),
        objective=Objective(latency=1.0, energy=0.1, cost=100.0),
        capacity="utilisation",
    )


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the CPU seconds of a piece of work, and what it returned."""
    began = time.process_time()
    found = work()
    return time.process_time() - began, found


def pass_arrays(arrays: Arrays) -> None:
    """Hand arrays to HiGHS as they are: nothing in Python is quicker."""
    import highspy

    quiet_highs().passModel(
        len(arrays.columns),
        len(arrays.row_lower),
        len(arrays.values),
        int(highspy.MatrixFormat.kRowwise),
        int(highspy.ObjSense.kMinimize),
        arrays.offset,
        arrays.cost,
        arrays.lower,
        arrays.upper,
        arrays.row_lower,
        arrays.row_upper,
        arrays.starts,
        arrays.indices,
        arrays.values,
        arrays.integral.astype(np.int32),
    )


def assert_same(ours: Arrays, theirs: Arrays) -> None:
    """Assert that two programs are the same, number by number and name by name."""
    for field in dataclasses.fields(Arrays):
        a, b = getattr(ours, field.name), getattr(theirs, field.name)
        if field.name.endswith("names"):
            assert list(a) == list(b), field.name
        elif field.name != "columns":
            assert np.array_equal(a, b), field.name


def measure(size: tuple[int, int, int], *, pyomo: bool) -> None:
    """Time one size and print ratios."""
    problem = full_problem(*size)
    seconds, assembled = timed(lambda: assemble(problem))
    arrays = assembled.arrays
    raw, _ = timed(lambda: pass_arrays(arrays))
    project, _ = timed(lambda: quiet_highs().passModel(as_program(arrays)))
    print(
        f"{size[0]} layers x {size[1]} devices x {size[2]} streams: {len(arrays.columns)} columns, "
        f"{len(arrays.row_lower)} rows, {len(arrays.values)} entries"
    )
    print(f"  raw hand-over as arrays {raw:.3f} s, as a HighsLp {project:.3f} s (CPU)")

    def show(name: str, took: float) -> None:
        print(
            f"  {name} to the solver's start {took + project:.2f} s: "
            f"{(took + raw) / raw:.0f} x the arrays, {(took + project) / project:.1f} x the HighsLp"
        )

    show("assembled", seconds)
    if pyomo:
        again = full_problem(*size)  # nothing that the first has looked up
        slow, theirs = timed(lambda: compile_arrays(build(again).model))
        assert_same(arrays, theirs)
        show("Pyomo", slow)
        print(f"  Pyomo / assembled {slow / seconds:.1f}, both programs equal")


def main(size: tuple[int, int, int] = LARGE) -> None:
    """Assert equal matrices on the smaller size; print the ratios of both."""
    measure(SMALLER, pyomo=True)
    measure(size, pyomo=False)


if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[1:]]
    main((numbers[0], numbers[1], numbers[2]) if len(numbers) == 3 else LARGE)
