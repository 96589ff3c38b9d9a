"""Charges as whole numbers, and the check of a flow."""

import math

import pytest

from edgeplan.model.errors import SolverError
from edgeplan.solvers.mincut.graph import CutGraph, FlowNetwork, maximum_flow


def small_network():
    """Source 0, sink 1: 0-2 of 3 and 2-1 of 2, 0-3 of 1, 2-3 and 3-2 of 1, 3-1 of 4."""
    arcs = [(0, 2, 3.0), (2, 1, 2.0), (0, 3, 1.0), (2, 3, 1.0), (3, 2, 1.0), (3, 1, 4.0)]
    return FlowNetwork.of(CutGraph(devices=("a", "b"), arcs=arcs, nodes=4))


BEST = {(0, 2): 3, (2, 1): 2, (0, 3): 1, (2, 3): 1, (3, 2): -1, (3, 1): 2}


def test_a_maximum_flow_is_accepted():
    value, near = small_network().check(BEST)
    assert value == 4
    assert near == {0, 2}  # as is {0}, but the most nodes stay near
    value, near = small_network().check(maximum_flow(small_network()))
    assert value == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({(2, 3): 0, (3, 2): 0}, "into node"),
        ({(2, 1): 3, (0, 2): 4}, "within its capacity"),
        ({(0, 2): 4, (2, 3): 2, (3, 2): -2, (3, 1): 3}, "within its capacity"),
        ({(3, 2): 0}, "within its capacity"),
        ({(0, 3): -1, (3, 1): 0}, "within its capacity"),
        ({(0, 2): 2, (2, 1): 1}, "not a maximum"),
    ],
)
def test_a_wrong_flow_is_refused(change, message):
    with pytest.raises(SolverError, match=message):
        small_network().check(BEST | change)


def test_charges_are_kept_to_the_last_bit():
    charges = (0.1, 1e-300, 3e25, 1 / 3)
    graph = CutGraph(devices=("a", "b"), arcs=[(0, 1, charge) for charge in charges])
    network = FlowNetwork.of(graph)
    assert network.amount(network.capacity[0, 1]) == math.fsum(charges)
    assert network.bound(network.capacity[0, 1]) < math.fsum(charges)
