"""The period and what loads it, by hand. Sums of powers of two: `==` is exact.

Seconds per layer: o 1, b 1/2, c 1/4. Links carry 64 B/s and have a latency of 1/8 s, which
loads nothing. in 64 B, t0 32 B, t1 16 B, out 8 B: 1, 1/2, 1/4 and 1/8 s.
"""

import dataclasses
import math

import pytest

from edgeplan.model.errors import InputError
from edgeplan.model.evaluate import RELATIVE_TOLERANCE, evaluate, with_tolerance
from edgeplan.model.network import LayerCosts
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Budgets, Objective
from edgeplan.model.verify import verify
from tests.model.throughput_helpers import CHAIN, SKIP, build, periods, priced, tensor


class TestPeriod:
    def test_the_most_loaded_device_decides(self):
        """O 1 + 1 s, b 1/2 s; o->b 1/4 s, b->o 1/8 s."""
        price = priced(build(), "oob")
        assert periods(price) == {"o": 2.0, "b": 0.5, "c": 0.0, "o->b": 0.25, "b->o": 0.125}
        assert price.period_seconds == 2.0
        assert price.bottleneck == "o"

    def test_a_link_may_be_the_most_loaded(self):
        """On c 3/4 s; in takes 1 s without its latency, out 1/8 s."""
        price = priced(build(), "ccc")
        assert periods(price) == {"o": 0.0, "b": 0.0, "c": 0.75, "o->c": 1.0, "c->o": 0.125}
        assert price.period_seconds == 1.0
        assert price.bottleneck == "o->c"

    def test_streams_count_by_their_rates(self):
        """Three requests in four go to b: 3/4 × 3/2 s; one in four to o: 1/4 × 3 s."""
        price = priced(build(streams=2), "bbb", "ooo")
        assert periods(price) == {"o": 0.75, "b": 1.125, "c": 0.0, "o->b": 0.75, "b->o": 0.09375}
        assert (price.period_seconds, price.bottleneck) == (1.125, "b")

    def test_replicas_share_the_load(self):
        """1.125 s of b over four replicas: now o (and o->b) with 3/4 s each is first."""
        price = priced(build(streams=2, devices={"b": {"replicas": 4}}), "bbb", "ooo")
        assert periods(price)["b"] == 0.28125
        assert (price.period_seconds, price.bottleneck) == (0.75, "o")

    def test_only_the_proportions_of_the_rates_count(self):
        slow = build(streams=2)
        fast = dataclasses.replace(
            slow,
            streams=tuple(
                dataclasses.replace(s, rate_per_second=8 * s.rate_per_second) for s in slow.streams
            ),
        )
        assert (
            priced(fast, "obc", "bbb").period_seconds == priced(slow, "obc", "bbb").period_seconds
        )
        busy = [load.utilisation for load in priced(fast, "obc", "bbb").devices]
        assert busy == [8 * load.utilisation for load in priced(slow, "obc", "bbb").devices]

    def test_the_aggregate_does_not_bear_on_it(self):
        mean, total = (
            build(streams=2, objective=Objective(latency=0.0, throughput=1.0, aggregate=how))
            for how in ("mean", "total")
        )
        assert priced(mean, "bbb", "ooo").objective == 1.125
        assert priced(total, "bbb", "ooo").objective == 1.125

    def test_a_split_stream_loads_by_its_fractions(self):
        """A quarter of the requests on o: 1/4 × 3 s; the rest on b: 3/4 × 3/2 s."""
        problem = build(splittable=True)
        routes = (
            Route(devices=("o",) * 3, fraction=0.25),
            Route(devices=("b",) * 3, fraction=0.75),
        )
        price = evaluate(problem, Plan(routes={"s0": routes}))
        assert periods(price) == {"o": 0.75, "b": 1.125, "c": 0.0, "o->b": 0.75, "b->o": 0.09375}

    def test_a_link_without_contention_is_not_loaded(self):
        """The link is as busy as ever, but only the device counts."""
        price = priced(build(links={"oc": {"contention": "none"}}), "ccc")
        assert periods(price)["o->c"] == 1.0
        assert (price.period_seconds, price.bottleneck) == (0.75, "c")

    def test_where_nothing_is_loaded_nothing_is_the_bottleneck(self):
        problem = build(tensors=())
        network = dataclasses.replace(
            problem.networks[0], costs={"o": LayerCosts(seconds=(0.0, 0.0, 0.0))}
        )
        price = priced(dataclasses.replace(problem, networks=(network,)), "ooo")
        assert (price.period_seconds, price.bottleneck) == (0.0, None)

    def test_a_route_that_cannot_run_has_no_finite_period(self):
        problem = build()
        network = dataclasses.replace(
            problem.networks[0], costs={"o": LayerCosts(seconds=(1.0, math.inf, 1.0))}
        )
        price = priced(dataclasses.replace(problem, networks=(network,)), "ooo")
        assert (price.period_seconds, price.bottleneck) == (math.inf, "o")
        assert [v.kind for v in price.violations] == ["cannot run"]


class TestOccupied:
    def test_both_ends_of_a_transfer(self):
        """O, l0 | b, l1 l2: o computes 1 s and sends t0 1/2 s; b receives it and sends out."""
        price = priced(build(transfers={"o": "occupy", "b": "occupy"}), "obb")
        assert periods(price)["o"] == 1 + 1 / 2 + 1 / 8
        assert periods(price)["b"] == 1 + 1 / 2 + 1 / 8

    def test_only_devices_that_say_so(self):
        price = priced(build(transfers={"b": "occupy"}), "obb")
        assert periods(price)["o"] == 1.0
        assert periods(price)["b"] == 1 + 1 / 2 + 1 / 8

    def test_links_stay_loaded(self):
        price = priced(build(transfers={"o": "occupy", "b": "occupy"}), "obb")
        assert periods(price)["o->b"] == 0.5
        assert periods(price)["b->o"] == 0.125

    def test_a_tensor_is_sent_once_for_the_slowest_link(self):
        """t0 goes to b (1/2 s) and c (32 B at 16 B/s: 2 s): o is busy 2 s with it, not 2 1/2."""
        every = dict.fromkeys("obc", "occupy")
        price = priced(build(SKIP, transfers=every, bandwidth={"oc": 16.0}, returns=False), "obc")
        assert periods(price)["o"] == 1 + 2
        assert periods(price)["b"] == 1 / 2 + 1 / 2 + 1 / 4
        assert periods(price)["c"] == 1 / 4 + 2 + 1 / 4

    def test_a_tensor_is_received_once_for_several_layers(self):
        """t0 is read by l1 and l2, both on b."""
        price = priced(build(SKIP, transfers={"b": "occupy"}, returns=False), "obb")
        assert periods(price)["b"] == 1 + 1 / 2

    def test_a_graph_input_is_sent_by_its_home(self):
        """On b: o, where `in` lies, sends it for 1 s; b receives it, computes, sends out."""
        price = priced(build(transfers=dict.fromkeys("ob", "occupy")), "bbb")
        assert periods(price)["o"] == 1 + 1 / 8
        assert periods(price)["b"] == 1 + 3 / 2 + 1 / 8

    def test_a_graph_input_at_another_home(self):
        """`in` lies on c: c sends it 1 s to b; o receives only the result."""
        problem = build(transfers=dict.fromkeys("obc", "occupy"), homes={"in": "c"})
        price = priced(problem, "bbb")
        assert periods(price)["o"] == 1 / 8
        assert periods(price)["c"] == 1.0

    def test_a_result_that_others_read_is_still_sent_once(self):
        """T1 goes from b to c (1/4 s) and, as a result, to o (16 B at 8 B/s: 2 s)."""
        tensors = (*CHAIN[:2], tensor("t1", 16, 1, 2, output=True))
        every = dict.fromkeys("obc", "occupy")
        price = priced(build(tensors, transfers=every, bandwidth={"bo": 8.0}), "obc")
        assert periods(price)["b"] == 1 / 2 + 1 / 2 + 2
        assert periods(price)["o"] == 1 + 1 / 2 + 2
        assert periods(price)["c"] == 1 / 4 + 1 / 4

    def test_each_tensor_counts_by_itself(self):
        """b, o, b: in, t0, t1 and out cross in turn."""
        price = priced(build(transfers=dict.fromkeys("ob", "occupy")), "bob")
        assert periods(price)["o"] == 1 + 1 + 1 / 2 + 1 / 4 + 1 / 8
        assert periods(price)["b"] == 1 + 1 + 1 / 2 + 1 / 4 + 1 / 8

    def test_staying_at_home_occupies_nothing(self):
        assert periods(priced(build(transfers={"o": "occupy"}), "ooo"))["o"] == 3.0

    def test_replicas_share_transfers_too(self):
        """(1 + 3/2 + 1/8) / 2."""
        problem = build(devices={"b": {"replicas": 2, "transfers": "occupy"}})
        assert periods(priced(problem, "bbb"))["b"] == 2.625 / 2

    def test_it_counts_into_the_utilisation_and_its_cap(self):
        """At 1/4 request/s b is busy 3/8 with layers, and 9/32 with transfers: 21/32."""
        cap = {"transfers": "occupy", "utilisation_cap": 0.625}
        problem = build(devices={"b": cap}, capacity="utilisation", rate_per_second=0.25)
        price = priced(problem, "bbb")
        assert price.devices[1].utilisation == 0.65625
        (violation,) = price.violations
        assert (violation.kind, violation.place) == ("device capacity", "device b")
        assert (violation.value, violation.limit) == (0.65625, 0.625)

    def test_it_costs_no_time_energy_or_money(self):
        power = {name: {"active_watts": 8.0, "dollars_per_second": 1.0} for name in "ob"}
        plain = priced(build(devices=power), "obb")
        busy = priced(build(devices=power, transfers=dict.fromkeys("ob", "occupy")), "obb")
        for key in ("latency_seconds", "energy_joules", "cost_dollars"):
            assert getattr(plain, key) == getattr(busy, key)

    def test_a_missing_link_occupies_forever(self):
        price = priced(build(transfers={"b": "occupy"}, without=("ob",)), "bbb")
        assert [v.kind for v in price.violations] == ["no link"]
        assert (price.period_seconds, price.bottleneck) == (math.inf, "b")


class TestFreePort:
    def test_neither_the_device_nor_the_links_at_it_are_loaded(self):
        """All on c: in and out cross links at c."""
        price = priced(build(transfers={"c": "free_port"}), "ccc")
        assert periods(price)["c"] == 0.75
        assert price.period_seconds == 0.75
        assert price.bottleneck == "c"

    def test_both_directions_are_free_and_others_are_not(self):
        problem = build(transfers={"c": "free_port"})
        free = {link.name for link in problem.links if not problem.loads(link)}
        assert free == {"o->c", "c->o", "b->c", "c->b"}

    def test_the_other_end_may_be_occupied(self):
        """O computes 1 s and sends t0 for 1/2 s to c, which is free."""
        price = priced(build(transfers={"o": "occupy", "c": "free_port"}, returns=False), "occ")
        assert periods(price)["o"] == 1.5
        assert periods(price)["c"] == 0.5

    def test_its_links_have_no_capacity_to_exceed(self):
        """`in` would keep o->c busy all the time at 1 request/s."""
        stream = {"rate_per_second": 1.0, "capacity": "utilisation"}
        held = priced(build(**stream), "ccc")
        assert [v.place for v in held.violations] == ["link o->c"]
        assert priced(build(transfers={"c": "free_port"}, **stream), "ccc").feasible

    def test_latency_and_traffic_are_paid_all_the_same(self):
        traffic = {"oc": {"dollars_per_byte": 1 / 64, "send_joules_per_byte": 1 / 32}}
        plain = priced(build(links=traffic), "ccc")
        free = priced(build(links=traffic, transfers={"c": "free_port"}), "ccc")
        assert plain.latency_seconds == free.latency_seconds == 1 / 8 + 1 + 3 / 4 + 1 / 8 + 1 / 8
        assert plain.cost_dollars == free.cost_dollars == 1.0
        assert plain.energy_joules == free.energy_joules == 2.0


class TestTransferSeconds:
    def test_they_replace_bytes_by_bandwidth(self):
        """t0 takes 4 s on any link instead of 1/2 s: latency 1 + 1/8 + 4 + 1 + 1/8 + 1/8."""
        tensors = (CHAIN[0], tensor("t0", 32, 0, 1, seconds=4.0), *CHAIN[2:])
        price = priced(build(tensors, transfers={"b": "occupy"}), "obb")
        assert price.latency_seconds == 6.375
        assert periods(price) == {"o": 1.0, "b": 1 + 4 + 1 / 8, "c": 0, "o->b": 4.0, "b->o": 0.125}

    def test_the_bytes_are_still_paid_for(self):
        tensors = (CHAIN[0], tensor("t0", 32, 0, 1, seconds=4.0), *CHAIN[2:])
        traffic = {"ob": {"dollars_per_byte": 1 / 64, "receive_joules_per_byte": 1 / 32}}
        price = priced(build(tensors, links=traffic), "obb")
        assert (price.cost_dollars, price.energy_joules) == (0.5, 1.0)
        assert price.links[0].bytes_per_second == 3 * 32

    def test_stated_and_computed_times_add_on_one_link(self):
        """t0 (stated 2 s) and the mask (16 B: 1/4 s) cross together, with one latency."""
        mask = tensor("mask", 16, None, 1)
        tensors = (CHAIN[0], mask, tensor("t0", 32, 0, 1, seconds=2.0), *CHAIN[2:])
        (first, *_) = priced(build(tensors), "obb").streams[0].routes[0].transfers
        assert (first.seconds, first.busy_seconds, first.bytes) == (2.375, 2.25, 48)

    def test_zero_is_a_time(self):
        tensors = (CHAIN[0], tensor("t0", 32, 0, 1, seconds=0.0), *CHAIN[2:])
        price = priced(build(tensors, transfers={"b": "occupy"}, returns=False), "obb")
        assert price.latency_seconds == 1 + 1 / 8 + 1
        assert periods(price)["b"] == 1.0

    def test_the_slowest_link_is_as_fast_as_any(self):
        tensors = (SKIP[0], tensor("t0", 32, 0, 1, 2, seconds=0.5), *SKIP[2:])
        problem = build(tensors, transfers={"o": "occupy"}, bandwidth={"oc": 1.0}, returns=False)
        assert periods(priced(problem, "obc"))["o"] == 1.5

    def test_a_negative_time_is_refused(self):
        with pytest.raises(InputError, match="transfer_seconds"):
            build((tensor("t0", 1, 0, 1, seconds=-1.0),))


class TestMinRate:
    @staticmethod
    def violations(rate):
        """On o the period is 3 s."""
        return priced(build(budgets=Budgets(min_rate_per_second=rate)), "ooo").violations

    def test_a_period_that_is_too_long(self):
        (violation,) = self.violations(0.5)
        assert (violation.kind, violation.place) == ("min rate", "all streams")
        assert (violation.value, violation.limit) == (3.0, 2.0)
        assert violation.message == "3 s per request, but at most 2 s per request allowed"

    def test_just_enough(self):
        assert self.violations(1 / 3) == ()
        assert self.violations(0.0) == ()

    @pytest.mark.parametrize("share", [1e-9, 0.9 * RELATIVE_TOLERANCE])
    def test_within_the_tolerance(self, share):
        assert self.violations((1 + share) / 3) == ()

    def test_beyond_the_tolerance(self):
        assert len(self.violations((1 + 1.1 * RELATIVE_TOLERANCE) / 3)) == 1

    def test_the_rates_of_streams_do_not_bear_on_it(self):
        """It is what the resources could carry, not what they are asked to."""
        problem = build(budgets=Budgets(min_rate_per_second=0.5), rate_per_second=1e-3)
        assert [v.kind for v in priced(problem, "ooo").violations] == ["min rate"]

    def test_a_link_counts(self):
        """`in` keeps o->c busy for 1 s, c is busy 3/4 s."""
        problem = build(budgets=Budgets(min_rate_per_second=1.25))
        assert [v.value for v in priced(problem, "ccc").violations] == [1.0]
        free = build(budgets=Budgets(min_rate_per_second=1.25), transfers={"c": "free_port"})
        assert priced(free, "ccc").feasible

    def test_the_problem_with_tolerance_allows_as_much_more(self):
        problem = build(budgets=Budgets(min_rate_per_second=0.5))
        wider = with_tolerance(problem).budgets.period_seconds
        assert wider == pytest.approx(2 * (1 + 0.99 * RELATIVE_TOLERANCE), rel=1e-12)

    def test_the_verifier_sees_it(self):
        problem = build(budgets=Budgets(min_rate_per_second=0.5))
        plan = Plan(routes={"s0": (Route(devices=("o",) * 3),)})
        claim = verify(problem, plan, bound=None, certificate=None, objective=3.0)
        (contradiction,) = claim.contradictions
        assert contradiction.startswith("the plan breaks a limit (min rate, all streams)")


class TestObjective:
    def test_the_period_alone(self):
        assert priced(build().with_objective("throughput"), "ooo").objective == 3.0

    def test_the_period_among_others(self):
        """Latency 2.75 s at 2 per s; period 1 s at 8 / 4 per s."""
        objective = Objective(latency=2.0, throughput=8.0, throughput_denominator_seconds=4.0)
        problem = build(objective=objective, returns=False)
        price = priced(problem, "obc")
        assert price.latency_seconds == 1 + 1 / 8 + 1 / 2 + 1 / 2 + 1 / 8 + 1 / 4 + 1 / 4
        assert price.period_seconds == 1.0
        assert price.objective == 2 * 2.75 + 2.0

    def test_its_denominator_must_be_positive(self):
        with pytest.raises(InputError, match="throughput_denominator_seconds"):
            build(objective=Objective(throughput=1.0, throughput_denominator_seconds=0.0))

    def test_its_weight_alone_is_enough_but_must_not_be_negative(self):
        build(objective=Objective(latency=0.0, throughput=0.5))
        with pytest.raises(InputError, match="throughput"):
            build(objective=Objective(throughput=-1.0))
