"""Hypothesis strategies: arbitrary valid problems, profiles and plans, odd names and numbers."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from hypothesis import strategies as st

from edgeplan.model.network import LARGEST, Costs, Layer, LayerCosts, Network, SpanCosts, Tensor
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import (
    Budgets,
    Device,
    LayerRule,
    Link,
    Objective,
    Privacy,
    Problem,
    Stream,
    TailDeadline,
)

names = st.one_of(
    st.sampled_from(
        ["a", "on", "1", "1e3", "null", "~", "a: b", "- x", "#", "x #y", "é", "<<", "="]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
)
amounts = st.one_of(
    st.sampled_from([0.0, 0.08, 1.0, 1e-9, 2.5e6, 4.0 * 2**30, 0.1 + 0.2]),
    st.floats(min_value=0, max_value=LARGEST, allow_nan=False),
)
positive = amounts.filter(lambda value: value >= 1 / LARGEST)
limits = st.one_of(st.just(math.inf), positive)
scales = st.floats(min_value=1e-9, max_value=1e9)
probabilities = st.sampled_from([0.5, 0.95, 0.99, 0.999]) | st.floats(
    min_value=0, max_value=1, exclude_min=True, exclude_max=True
)
tails = st.dictionaries(probabilities, limits, max_size=3).map(
    lambda found: tuple(TailDeadline(probability=p, seconds=s) for p, s in found.items())
)
shares = st.floats(min_value=0.01, max_value=0.99)
sizes = st.integers(min_value=0, max_value=2**53)


def _unique(draw: st.DrawFn, low: int, high: int) -> list[str]:
    return draw(st.lists(names, min_size=low, max_size=high, unique=True))


def _subset(draw: st.DrawFn, items: Sequence[str], low: int = 1) -> tuple[str, ...]:
    return tuple(draw(st.lists(st.sampled_from(items), min_size=low, max_size=3, unique=True)))


def _table(
    draw: st.DrawFn, count: int, values: st.SearchStrategy[float]
) -> tuple[tuple[float, ...], ...]:
    return tuple(
        tuple(draw(st.lists(values, min_size=count - first, max_size=count - first)))
        for first in range(count)
    )


def _span_job(draw: st.DrawFn, count: int) -> SpanCosts:
    return SpanCosts(
        seconds=_table(draw, count, amounts | st.just(math.inf)),
        cv2=_table(draw, count, amounts) if draw(st.booleans()) else (),
        joules=_table(draw, count, amounts) if draw(st.booleans()) else None,
        dollars=_table(draw, count, amounts) if draw(st.booleans()) else None,
    )


def _layer_job(draw: st.DrawFn, count: int) -> LayerCosts:
    row = st.lists(amounts, min_size=count, max_size=count).map(tuple)
    times = st.lists(amounts | st.just(math.inf), min_size=count, max_size=count)
    return LayerCosts(
        seconds=draw(times.map(tuple)),
        boundary_seconds=draw(amounts),
        cv2=draw(amounts),
        joules=draw(st.none() | row),
        dollars=draw(st.none() | row),
    )


@st.composite
def networks(draw: st.DrawFn, name: str, devices: list[str]) -> Network:
    """A network with costs on some of the devices."""
    layers = _unique(draw, 1, 3)
    count = len(layers)
    tensors = []
    for tensor in _unique(draw, 1, 4):
        producer = draw(st.one_of(st.none(), st.integers(0, count - 1)))
        later = range(0 if producer is None else producer + 1, count)
        consumers = draw(st.sets(st.sampled_from(list(later)))) if later else set()
        tensors.append(
            Tensor(
                name=tensor,
                bytes=draw(sizes),
                producer=producer,
                consumers=tuple(sorted(consumers)),
                output=producer is not None and draw(st.booleans()),
                transfer_seconds=draw(st.none() | amounts),
            )
        )
    spans = draw(st.booleans())
    jobs = st.lists(st.sampled_from([2, 3, 8, 999_999_999]), max_size=2, unique=True)
    costs: dict[str, Costs] = {}
    for device in draw(st.lists(st.sampled_from(devices), unique=True)):
        memory = draw(st.none() | st.lists(sizes, min_size=count, max_size=count).map(tuple))
        if spans:
            single = _span_job(draw, count)
            costs[device] = dataclasses.replace(
                single,
                memory_bytes=memory,
                batches={size: _span_job(draw, count) for size in draw(jobs)},
            )
        else:
            alone = _layer_job(draw, count)
            costs[device] = dataclasses.replace(
                alone,
                memory_bytes=memory,
                batches={size: _layer_job(draw, count) for size in draw(jobs)},
            )
    return Network(
        name,
        tuple(
            Layer(name=layer, weight_bytes=draw(sizes), activation_bytes=draw(sizes))
            for layer in layers
        ),
        tuple(tensors),
        costs,
    )


@st.composite
def devices(draw: st.DrawFn, name: str, zone: str, waiting: str = "none") -> Device:
    """A device; where requests wait, one that no transfer occupies."""
    idle, active = sorted([draw(amounts), draw(amounts)])
    fewest = draw(st.integers(1, 9))
    transfers = ["links", "free_port", *(["occupy"] if waiting == "none" else [])]
    return Device(
        name=name,
        tier=draw(names),
        zone=zone,
        memory_bytes=draw(limits),
        active_watts=active,
        idle_watts=idle,
        charge_idle=draw(st.booleans()),
        dollars_per_second=draw(amounts),
        dollars_per_hour=draw(amounts),
        dollars_per_request=draw(amounts),
        dollars_per_joule=draw(amounts),
        replicas=fewest,
        max_replicas=draw(st.none() | st.integers(fewest, 20)),
        dispatch=draw(st.sampled_from(["random", "shared"])),
        utilisation_cap=draw(shares),
        power_budget_watts=draw(limits),
        transfers=draw(st.sampled_from(transfers)),
    )


@st.composite
def streams(
    draw: st.DrawFn,
    name: str,
    network: Network,
    machines: list[Device],
    waiting: str = "none",
) -> Stream:
    """A stream of a network; with deadlines on percentiles only where requests wait."""
    where = [device.name for device in machines]
    layers = [layer.name for layer in network.layers]

    def rules() -> tuple[LayerRule, ...]:
        return tuple(
            LayerRule(
                devices=_subset(draw, where),
                layers=_subset(draw, layers) if draw(st.booleans()) else None,
            )
            for _ in range(draw(st.integers(0, 2)))
        )

    privacy = None
    if draw(st.booleans()):
        zones = tuple(dict.fromkeys(device.zone for device in machines))
        privacy = Privacy(zones=zones, before=draw(st.none() | st.sampled_from(layers)))
    homes = {
        tensor.name: draw(st.sampled_from(where))
        for tensor in network.inputs
        if draw(st.booleans())
    }
    return Stream(
        name=name,
        network=network.name,
        origin=draw(st.sampled_from(where)),
        rate_per_second=draw(positive),
        arrival_cv2=draw(amounts),
        deadline_seconds=draw(limits),
        tail_deadlines=draw(tails) if waiting != "none" else (),
        privacy=privacy,
        pins=rules(),
        bans=rules(),
        together=tuple(_subset(draw, layers) for _ in range(draw(st.integers(0, 2)))),
        homes=homes,
        returns=draw(st.booleans()),
        waits=draw(st.booleans()),
        splittable=draw(st.booleans()),
        max_routes=draw(st.integers(1, 5)),
        max_batch=draw(st.integers(1, 9)),
    )


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Any valid problem, however senseless."""
    waiting = draw(st.sampled_from(["none", "mg1"]))
    machines = [draw(devices(name, draw(names), waiting)) for name in _unique(draw, 1, 3)]
    where = [device.name for device in machines]
    nets = [draw(networks(name, where)) for name in _unique(draw, 1, 2)]
    pairs = [(a, b) for a in where for b in where if a != b]
    weights = [draw(st.just(0.0) | scales) for _ in range(4)]
    if not any(weights):
        weights[1] = 1.0
    return Problem(
        networks=tuple(nets),
        devices=tuple(machines),
        links=tuple(
            Link(
                source=source,
                target=target,
                bytes_per_second=draw(limits),
                latency_seconds=draw(amounts),
                send_joules_per_byte=draw(amounts),
                receive_joules_per_byte=draw(amounts),
                dollars_per_byte=draw(amounts),
                utilisation_cap=draw(shares),
                contention=draw(st.sampled_from(["shared", "none"])),
            )
            for source, target in pairs
            if draw(st.booleans())
        ),
        streams=tuple(
            draw(streams(name, draw(st.sampled_from(nets)), machines, waiting))
            for name in _unique(draw, 1, 2)
        ),
        objective=Objective(
            latency=weights[0],
            energy=weights[1],
            cost=weights[2],
            throughput=weights[3],
            latency_denominator_seconds=draw(scales),
            energy_denominator_joules=draw(scales),
            cost_denominator_dollars=draw(scales),
            throughput_denominator_seconds=draw(scales),
            aggregate=draw(st.sampled_from(["mean", "total"])),
        ),
        budgets=Budgets(
            power_watts=draw(limits),
            dollars_per_hour=draw(limits),
            min_rate_per_second=draw(st.just(0.0) | positive),
        ),
        capacity="utilisation"
        if waiting != "none"
        else draw(st.sampled_from(["none", "utilisation"])),
        waiting=waiting,
        contiguous=draw(st.booleans()),
        name=draw(names),
    )


plans = st.builds(
    Plan,
    routes=st.dictionaries(
        names,
        st.lists(
            st.builds(
                Route,
                devices=st.lists(names, max_size=4).map(tuple),
                fraction=st.floats(min_value=1e-6, max_value=1),
                batch=st.integers(1, 64),
            ),
            max_size=3,
        ).map(tuple),
        max_size=3,
    ),
    replicas=st.dictionaries(names, st.integers(1, 99), max_size=3),
)
