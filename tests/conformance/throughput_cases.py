"""Fixed problems of the least period, each with its answer worked out by hand.

Pipelines: accelerators a0, a1, … (occupied by transfers) and cores c0, … (free ports); layer i
makes the tensor ti, which takes 1/4 s to move. A device's period is the sum of its layers'
seconds, and on accelerators 1/4 s for each tensor sent (once) or received.
"""

import math

from edgeplan.model.network import Layer, LayerCosts, Network, Tensor
from edgeplan.model.problem import Device, Link, Objective, Problem, Stream

PERIOD = Objective(latency=0.0, throughput=1.0)


def pipeline(
    seconds,
    arcs,
    *,
    accelerators=2,
    memory=math.inf,
    core_seconds=(),
    transfer=0.25,
    contiguous=True,
    together=(),
):
    """`arcs` lists, for each layer, those that read its tensor; each layer has 100 B of weights."""
    names = [f"a{i}" for i in range(accelerators)] + (["c0"] if core_seconds else [])
    network = Network(
        "n",
        tuple(Layer(name=f"l{i}", weight_bytes=100) for i in range(len(seconds))),
        tuple(
            Tensor(
                name=f"t{i}", bytes=0, producer=i, consumers=tuple(to), transfer_seconds=transfer
            )
            for i, to in enumerate(arcs)
        ),
        {
            name: LayerCosts(seconds=tuple(core_seconds if name == "c0" else seconds))
            for name in names
        },
    )
    return Problem(
        networks=(network,),
        devices=tuple(
            Device(name=name, transfers="free_port")
            if name == "c0"
            else Device(name=name, transfers="occupy", memory_bytes=memory)
            for name in names
        ),
        links=tuple(
            Link(source=a, target=b, bytes_per_second=math.inf, contention="none")
            for a in names
            for b in names
            if a != b
        ),
        streams=(Stream(name="s", network="n", origin=names[0], together=together),),
        objective=PERIOD,
        capacity="none",
        contiguous=contiguous,
    )


LINE = ((1,), (2,), ())
"""l0 → l1 → l2."""
FAN = ((1, 2), (), ())
"""l0 → l1, l2."""
CROSSED = ((3,), (2,), (), ())
"""l0 → l3 and l1 → l2."""

CASES = {
    # 1, 2, 1 s. {0,1} {2}: 3 + 1/4 sent. Alone each: {0} 1.25, {1,2} 3.25; all on one: 4.
    "two accelerators": (lambda: pipeline((1, 2, 1), LINE), 3.25),
    # {0,2} {1}: 2 + 1/4 sent + 1/4 received on each.
    "two accelerators, not contiguous": (lambda: pipeline((1, 2, 1), LINE, contiguous=False), 2.5),
    # {0} 1.25, {1} 2.5, {2} 1.25.
    "three accelerators": (lambda: pipeline((1, 2, 1), LINE, accelerators=3), 2.5),
    "one accelerator": (lambda: pipeline((1, 2, 1), LINE, accelerators=1), 4),
    "transfers that take no time": (lambda: pipeline((1, 2, 1), LINE, transfer=0.0), 3),
    # {0,1} and {2}, or {0} and {1,2}: 300 B in 2 × 200 B.
    "enough memory": (lambda: pipeline((1, 2, 1), LINE, memory=200), 3.25),
    "too little memory": (lambda: pipeline((1, 2, 1), LINE, memory=199), None),
    # The core takes 2 s for l2 and nothing for its transfers: {0} 1.25, {1} 2.5, core 2.
    "a core helps": (
        lambda: pipeline((1, 2, 1), LINE, memory=100, core_seconds=(8, 4, 2)),
        2.5,
    ),
    "a core has to do it all": (
        lambda: pipeline((1, 2, 1), LINE, memory=99, core_seconds=(8, 4, 2)),
        14,
    ),
    # l1 only on the core, 4 s; {0} and {2} 1 + 1/4 each.
    "what accelerators cannot run": (
        lambda: pipeline((1, math.inf, 1), LINE, core_seconds=(8, 4, 2)),
        4,
    ),
    # t0 goes to two and is sent once: 1 + 1/4 on each of the three.
    "sent once to two": (
        lambda: pipeline((1, 1, 1), FAN, accelerators=3),
        1.25,
    ),
    # {0} 1.5, {1,2} 2 + 1/2 received once; or {0,1} 2 + 1/2, {2} 1.5.
    "received once for two": (lambda: pipeline((1, 1, 1), FAN, transfer=0.5), 2.5),
    # l0 and l2 with l1 between them: only a device for all.
    "together across another layer": (
        lambda: pipeline((1, 2, 1), LINE, together=(("l0", "l2"),)),
        4,
    ),
    "together across another layer, not contiguous": (
        lambda: pipeline((1, 2, 1), LINE, together=(("l0", "l2"),), contiguous=False),
        2.5,
    ),
    # All in one by a layer in common.
    "groups with a layer in common": (
        lambda: pipeline((1, 2, 1), LINE, together=(("l0", "l1"), ("l1", "l2")), contiguous=False),
        4,
    ),
    # 1, 2, 3, 2 s: {0,2} {1,3} is 4 + 1/2 and convex, but each waits for the other. Else
    # {0,3} {1,2}: 5 without transfers; {0,1} {2,3}: 5 + 1/2; {0,1,3} {2}: 5 + 1/4.
    "convex parts that wait in a circle": (lambda: pipeline((1, 2, 3, 2), CROSSED), 5),
    "parts that wait in a circle, not contiguous": (
        lambda: pipeline((1, 2, 3, 2), CROSSED, contiguous=False),
        4.5,
    ),
}
