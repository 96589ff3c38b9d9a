"""Layers that share a device, and contiguous routes: by hand and against the words themselves."""

import itertools
import random

import pytest

from edgeplan.model.errors import InputError
from edgeplan.model.evaluate import evaluate
from edgeplan.model.network import Layer, Network, quotient_cycle
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import LayerRule
from tests.model.throughput_helpers import build, priced, tensor


class TestTogether:
    def test_layers_apart_in_words(self):
        price = priced(build(together=(("l0", "l2"),)), "oob")
        (violation,) = price.violations
        assert (violation.kind, violation.place) == ("together", "stream s0")
        assert violation.message == "layers 'l0' and 'l2' must share a device, but do not"
        assert priced(build(together=(("l0", "l2"),)), "obo").feasible

    def test_groups_with_a_layer_in_common_are_one(self):
        problem = build((), layers=6, together=(("l4", "l1"), ("l5", "l0"), ("l1", "l3"), ("l2",)))
        assert problem.groups(problem.streams[0]) == ((0, 5), (1, 3, 4))

    def test_a_later_group_may_join_two(self):
        problem = build((), layers=5, together=(("l0", "l1"), ("l3", "l4"), ("l1", "l3")))
        assert problem.groups(problem.streams[0]) == ((0, 1, 3, 4),)

    def test_the_merged_group_holds(self):
        """l0 with l1 and l1 with l2: all three, so that l2 apart is one fault."""
        problem = build(together=(("l0", "l1"), ("l1", "l2")))
        assert len(priced(problem, "oob").violations) == 1
        assert priced(problem, "bbb").feasible

    def test_a_split_stream_holds_on_every_route(self):
        """Routes may choose different devices; each keeps the group together."""
        problem = build(together=(("l0", "l1"),), splittable=True)
        good, bad = (
            (Route(devices=tuple("ooc"), fraction=0.5), Route(devices=tuple(two), fraction=0.5))
            for two in ("bbb", "obb")
        )
        assert evaluate(problem, Plan(routes={"s0": good})).feasible
        kinds = [v.kind for v in evaluate(problem, Plan(routes={"s0": bad})).violations]
        assert kinds == ["together"]

    def test_a_layer_may_run_where_all_of_its_group_may(self):
        rule = LayerRule(devices=("b",), layers=("l2",))
        problem = build(together=(("l0", "l2"),), bans=(rule,))
        assert problem.allowed(problem.streams[0]) == (("o", "c"), ("o", "b", "c"), ("o", "c"))

    def test_an_unknown_layer_is_refused(self):
        with pytest.raises(InputError, match=r"together\[0\]"):
            build(together=(("l0", "l9"),))


class TestContiguous:
    def test_a_circle_in_words(self):
        (violation,) = priced(build(contiguous=True), "obo").violations
        assert (violation.kind, violation.place) == ("contiguous", "stream s0")
        words, circle = violation.message.split(": ")
        assert words == "tensors go round in a circle of devices"
        assert circle in ("o -> b -> o", "b -> o -> b")

    def test_only_where_it_is_asked(self):
        assert priced(build(), "obo").feasible
        assert priced(build(contiguous=True), "obc").feasible
        assert priced(build(contiguous=True), "obb").feasible

    def test_layers_that_do_not_wait_for_each_other_may_alternate(self):
        """l0 → l2 only: l1 elsewhere closes no circle, though the request goes o, b, o."""
        tensors = (tensor("t0", 32, 0, 2),)
        assert priced(build(tensors, contiguous=True), "obo").feasible

    def test_convex_parts_are_not_enough(self):
        """l0 → l3 on o → b and l1 → l2 on b → o: each part is convex, but they wait in a circle."""
        tensors = (tensor("t0", 32, 0, 3), tensor("t1", 32, 1, 2))
        network = build(tensors, layers=4).networks[0]
        assert convex(network, "obob")
        price = priced(build(tensors, layers=4, contiguous=True), "obob")
        assert [v.kind for v in price.violations] == ["contiguous"]

    def test_inputs_and_results_close_no_circle(self):
        """`in` comes from o and out returns to o; both are no dependence of layers."""
        assert priced(build(contiguous=True), "bbc").feasible

    def test_each_stream_by_itself(self):
        """One goes o, b, c, the other c, b, o: together a circle, but of no route."""
        assert priced(build(contiguous=True, streams=2), "obc", "cbo").feasible


def arcs(network, devices):
    return {
        (devices[t.producer], devices[c])
        for t in network.tensors
        if t.producer is not None
        for c in t.consumers
        if devices[c] != devices[t.producer]
    }


def orderable(network, devices):
    """Whether some order of the devices lets every tensor move forward: the words themselves."""
    return any(
        all(order.index(a) < order.index(b) for a, b in arcs(network, devices))
        for order in itertools.permutations(sorted(set(devices)))
    )


def convex(network, devices):
    """Whether no path between two layers of a device passes through another device."""
    count = len(network.layers)
    reach = [{i} for i in range(count)]
    for i in reversed(range(count)):
        for t in network.tensors:
            if t.producer == i:
                for consumer in t.consumers:
                    reach[i] |= reach[consumer]
    return not any(
        devices[first] == devices[last] != devices[middle]
        and middle in reach[first]
        and last in reach[middle]
        for first, middle, last in itertools.combinations(range(count), 3)
    )


def random_network(draw):
    count = draw.randint(2, 7)
    tensors = tuple(
        tensor(
            f"t{i}",
            1,
            i,
            *[k for k in range(i + 1, count) if draw.random() < draw.choice([0.2, 0.6])],
        )
        for i in range(count)
    )
    return Network("n", tuple(Layer(name=f"l{i}") for i in range(count)), tensors)


def test_the_quotient_has_a_circle_just_where_no_order_exists():
    draw = random.Random(7)
    found = {"contiguous": 0, "circle": 0, "convex but a circle": 0}
    for _ in range(3000):
        network = random_network(draw)
        devices = [draw.choice("abcd") for _ in network.layers]
        circle = quotient_cycle(network, devices)
        assert bool(circle) != orderable(network, devices)
        if circle:
            # What is named is a circle indeed, of distinct devices.
            ways = arcs(network, devices)
            assert all(way in ways for way in zip(circle, (*circle[1:], circle[0]), strict=True))
            assert len(set(circle)) == len(circle) >= 2
            found["circle"] += 1
            found["convex but a circle"] += convex(network, devices)
        else:
            assert convex(network, devices)
            found["contiguous"] += 1
    assert min(found.values()) > 50
