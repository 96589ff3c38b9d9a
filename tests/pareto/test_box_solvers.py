"""Box programs are of a smaller problem with the same front."""

import dataclasses

import pytest

from edgeplan.instances.generators import random_problem
from edgeplan.model.problem import Link
from edgeplan.pareto.box_solvers import smaller
from edgeplan.pareto.engine import pareto
from edgeplan.pareto.program import program
from tests.pareto.small_fronts import brute_force, differences

NAMES = ("latency", "energy", "cost")


def with_twin(problem):
    """The problem with a second device like its last one."""
    old = problem.devices[-1]
    twin = dataclasses.replace(old, name=f"{old.name}-twin")
    links = list(problem.links)
    for link in problem.links:
        if link.source == old.name:
            links.append(dataclasses.replace(link, source=twin.name))
        elif link.target == old.name:
            links.append(dataclasses.replace(link, target=twin.name))
    between = next(link for link in problem.links if old.name in (link.source, link.target))
    links += [
        dataclasses.replace(between, source=a, target=b)
        for a, b in ((old.name, twin.name), (twin.name, old.name))
    ]
    networks = tuple(
        dataclasses.replace(
            network,
            costs={**network.costs, twin.name: network.costs[old.name]}
            if old.name in network.costs
            else network.costs,
        )
        for network in problem.networks
    )
    assert all(isinstance(link, Link) for link in links)
    return dataclasses.replace(
        problem, networks=networks, devices=(*problem.devices, twin), links=tuple(links)
    )


def twins(count=4):
    """Problems with a twin device whose programs get smaller."""
    found = 0
    for seed in range(400):
        problem = random_problem(seed, layers=2, devices=2, streams=2)
        plain = not any(
            stream.bans or stream.pins or stream.homes or stream.privacy or stream.route_limit > 1
            for stream in problem.streams
        )
        if not plain or problem.load_features or not problem.links:
            continue
        problem = with_twin(problem)
        less = smaller(problem, NAMES)
        if less != problem:
            found += 1
            yield problem, less
            if found == count:
                return


def test_programs_are_smaller_and_fronts_the_same():
    columns = []
    for problem, less in twins():
        before, after = program(problem, NAMES), program(less, NAMES)
        columns.append((len(before.lower), len(after.lower)))
        front = pareto(problem, NAMES, solver="highs")
        assert differences(front.values, brute_force(problem, NAMES)) == ([], [])
    assert len(columns) == 4
    assert all(after <= before for before, after in columns)
    assert sum(after < before for before, after in columns) >= 2


@pytest.mark.parametrize("seed", range(6))
def test_the_objective_stays(seed):
    problem = random_problem(seed)
    assert smaller(problem, NAMES).objective == problem.objective
