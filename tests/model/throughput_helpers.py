"""Three layers on three devices, whose periods are sums of powers of two: `==` is exact.

Seconds per layer: o 1, b 1/2, c 1/4. Links carry 64 B/s and have a latency of 1/8 s, which
loads nothing. in 64 B, t0 32 B, t1 16 B, out 8 B: 1, 1/2, 1/4 and 1/8 s.
"""

import itertools

from edgeplan.model.evaluate import evaluate
from edgeplan.model.network import Layer, LayerCosts, Network, Tensor
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Budgets, Device, Link, Objective, Problem, Stream

SECONDS = {"o": 1.0, "b": 1 / 2, "c": 1 / 4}


def tensor(name, size, producer, *consumers, output=False, seconds=None):
    return Tensor(
        name=name,
        bytes=size,
        producer=producer,
        consumers=consumers,
        output=output,
        transfer_seconds=seconds,
    )


CHAIN = (
    tensor("in", 64, None, 0),
    tensor("t0", 32, 0, 1),
    tensor("t1", 16, 1, 2),
    tensor("out", 8, 2, output=True),
)
SKIP = (*CHAIN[:1], tensor("t0", 32, 0, 1, 2), *CHAIN[2:])


def build(
    tensors=CHAIN,
    *,
    transfers=None,
    bandwidth=None,
    without=(),
    devices=None,
    links=None,
    streams=1,
    objective=None,
    budgets=None,
    capacity="none",
    contiguous=False,
    layers=3,
    **stream,
):
    """`transfers`, `bandwidth` and `devices` are by device or link; `stream` holds for all."""
    network = Network(
        "n",
        tuple(Layer(name=f"l{i}") for i in range(layers)),
        tensors,
        {name: LayerCosts(seconds=(seconds,) * layers) for name, seconds in SECONDS.items()},
    )
    return Problem(
        networks=(network,),
        devices=tuple(
            Device(
                name=name,
                **{
                    "transfers": (transfers or {}).get(name, "links"),
                    **(devices or {}).get(name, {}),
                },
            )
            for name in SECONDS
        ),
        links=tuple(
            Link(
                source=source,
                target=target,
                bytes_per_second=(bandwidth or {}).get(source + target, 64.0),
                latency_seconds=1 / 8,
                **((links or {}).get(source + target, {})),
            )
            for source, target in itertools.permutations(SECONDS, 2)
            if source + target not in without
        ),
        streams=tuple(
            Stream(
                **{
                    "name": f"s{i}",
                    "network": "n",
                    "origin": "o",
                    "rate_per_second": (3.0, 1.0)[i],
                    **stream,
                }
            )
            for i in range(streams)
        ),
        objective=objective or Objective(),
        budgets=budgets or Budgets(),
        capacity=capacity,
        contiguous=contiguous,
    )


def priced(problem, *routes):
    return evaluate(
        problem, Plan(routes={f"s{i}": (Route(devices=tuple(r)),) for i, r in enumerate(routes)})
    )


def periods(evaluation):
    """Seconds per average request of each device and each loaded or unloaded link in use."""
    loads = {load.name: load.period_seconds for load in evaluation.devices}
    loads |= {load.name: load.period_seconds for load in evaluation.links if load.period_seconds}
    return loads
