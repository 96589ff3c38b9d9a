"""Small problems with plans whose queues are textbook queues, for `benchmarks.simulation`.

All services have a mean of 1 s at the queue in question, so that times read as multiples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from edgeplan.model.network import Layer, LayerCosts, Network, Tensor
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Device, Link, Problem, Stream
from edgeplan.simulation.system import System
from edgeplan.simulation.translate import translate


@dataclass(frozen=True)
class Case:
    """A problem with a plan, and what books say of its mean latencies.

    Parameters
    ----------
    name
        For the table.
    problem, plan
        What is priced and simulated.
    means
        Of each stream in seconds; empty where there is no closed form.
    """

    name: str
    problem: Problem
    plan: Plan
    means: tuple[float, ...] = ()


def system_of(case: Case) -> System:
    """Return a case as queues."""
    return translate(case.problem, case.plan, {}).system


def one_device(
    name: str,
    streams: Sequence[tuple[str, float, float, float]],
    *,
    replicas: int = 1,
    dispatch: Literal["random", "shared"] = "random",
    arrival_cv2: float = 1.0,
    batch: int = 1,
    means: tuple[float, ...] = (),
) -> Case:
    """Return streams (name, rate, mean service, cv²) at one device.

    A batch takes as long as a single request.
    """
    networks, asked = [], []
    for stream, rate, seconds, cv2 in streams:
        single = LayerCosts(seconds=(seconds,), cv2=cv2)
        costs = LayerCosts(
            seconds=(seconds,), cv2=cv2, batches={batch: single} if batch > 1 else {}
        )
        networks.append(Network(stream, (Layer(name="l"),), (), {"d": costs}))
        asked.append(
            Stream(
                name=stream,
                network=stream,
                origin="d",
                rate_per_second=rate,
                arrival_cv2=arrival_cv2,
                max_batch=batch,
            )
        )
    problem = Problem(
        networks=tuple(networks),
        devices=(Device(name="d", replicas=replicas, dispatch=dispatch),),
        streams=tuple(asked),
        waiting="mg1",
    )
    routes = {stream.name: (Route(devices=("d",), batch=batch),) for stream in asked}
    return Case(name, problem, Plan(routes=routes), means)


def _walk(name: str, rate: float, cv2: float, devices: Sequence[str], mean: float) -> Case:
    """Return one stream whose layers run on a row of devices, with links that take no time."""
    count = len(devices)
    layers = tuple(Layer(name=f"l{index}") for index in range(count))
    tensors = tuple(
        Tensor(name=f"t{index}", bytes=0, producer=index, consumers=(index + 1,))
        for index in range(count - 1)
    )
    names = tuple(dict.fromkeys(devices))
    # A device named 0 takes no time: it is there to be left for.
    costs = {
        device: LayerCosts(seconds=((0.0 if device == "0" else mean),) * count, cv2=cv2)
        for device in names
    }
    problem = Problem(
        networks=(Network("n", layers, tensors, costs),),
        devices=tuple(Device(name=device) for device in names),
        links=tuple(
            Link(source=a, target=b, bytes_per_second=float("inf"))
            for a in names
            for b in names
            if a != b
        ),
        streams=(
            Stream(name="s", network="n", origin=names[0], rate_per_second=rate, returns=False),
        ),
        waiting="mg1",
    )
    return Case(name, problem, Plan(routes={"s": (Route(devices=tuple(devices)),)}))


def tandem(rho: float, cv2: float, stages: int = 2) -> Case:
    """Return equal queues in a row."""
    return _walk("tandem", rho, cv2, [f"d{index}" for index in range(stages)], 1.0)


def revisit(rho: float, cv2: float) -> Case:
    """Return a queue that every request visits twice, at once."""
    return _walk("revisit", rho / 2, cv2, ("d", "0", "d"), 1.0)


def shared(rho: float, servers: int, cv2: float) -> Case:
    """Return one line before several servers."""
    return one_device(
        "shared", [("s", rho * servers, 1.0, cv2)], replicas=servers, dispatch="shared"
    )


def bursts(rho: float, arrival_cv2: float) -> Case:
    """Return gamma-distributed times between requests at an exponential server."""
    return one_device("bursts", [("s", rho, 1.0, 1.0)], arrival_cv2=arrival_cv2)


def batches(rho: float, cv2: float, size: int = 4) -> Case:
    """Return requests served four at a time."""
    return one_device("batches", [("s", rho * size, 1.0, cv2)], batch=size)


def exact_cases(rho: float) -> Iterator[Case]:
    """Yield queues whose means are in every book."""
    yield one_device("M/M/1", [("s", rho, 1.0, 1.0)], means=(1 / (1 - rho),))
    yield one_device("M/D/1", [("s", rho, 1.0, 0.0)], means=(1 + rho / (2 * (1 - rho)),))
    # Nine short jobs to each long one, half of the load each: hyperexponential together.
    short, long = (0.5 * rho / 0.5, 0.5, 1.0), (0.5 * rho / 4.5, 4.5, 1.0)
    second = sum(rate * mean**2 * 2 for rate, mean, _ in (short, long))
    wait = second / (2 * (1 - rho))
    yield one_device("hyper", [("short", *short), ("long", *long)], means=(0.5 + wait, 4.5 + wait))
    found = tandem(rho, 1.0)
    yield Case("M/M/1 tandem", found.problem, found.plan, (2 / (1 - rho),))
    yield one_device(
        "3 random replicas", [("s", 3 * rho, 1.0, 1.0)], replicas=3, means=(1 / (1 - rho),)
    )


def tail_cases(rho: float) -> Iterator[Case]:
    """Yield queues whose percentiles are predicted."""
    yield from exact_cases(rho)
    yield one_device("cv² 4", [("s", rho, 1.0, 4.0)])
    yield one_device("cv² 0.25", [("s", rho, 1.0, 0.25)])
    yield one_device("constant mix", [("short", rho, 0.5, 0.0), ("long", rho / 5, 2.5, 0.0)])
    yield tandem(rho, 0.0)
    yield shared(rho, 4, 1.0)
    yield batches(rho, 0.0)
