"""Four edge sites and a cloud: the experiment on where waiting makes edge and cloud worth mixing.

A site serves a request in 12 ms. The cloud is twice as fast, 40 ms away and back, and a request's
40 kB take 16 ms on the site's own uplink of 20 Mbit/s: 62 ms in all. So an idle site is five times
faster, and a site near its limit is slower; what is best between them is a matter of queues.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

from edgeplan.model.network import Layer, LayerCosts, Network, Tensor
from edgeplan.model.problem import Device, Link, Objective, Problem, Stream

SITES = ("north", "east", "south", "west")
SITE_SECONDS = 0.012
CLOUD_SECONDS = 0.006
CV2 = 0.1
"""Squared coefficient of variation of both times."""
INPUT_BYTES = 40_000
UPLINK_BYTES_PER_SECOND = 2.5e6
UPLINK_LATENCY_SECONDS = 0.02
LAN_BYTES_PER_SECOND = 12.5e6
LAN_LATENCY_SECONDS = 0.002
MOST_REPLICAS = 8
DOLLARS_PER_HOUR = 0.1
COST_WEIGHT = 300.0
"""Seconds per dollar: a copy in the cloud costs as much as 8.3 ms of waiting in a second."""
_CAP = 0.99


def four_sites(
    load: float | Sequence[float] = 0.7, *, contention: Literal["shared", "none"] = "shared"
) -> Problem:
    """Return the four-site experiment; the bundled instance ``four-sites`` is that at load 0.7.

    Each site is the origin of one stream, whose requests may be dealt over the site itself, the
    others over a local network, and a cloud of one to eight copies. With ``contention="none"``
    and the same load at each site, the mean latency of the best mix is 2 %, 33 %, 43 % and 42 %
    below that of the better pure choice (each site for itself, or all to the cloud) at loads of
    0.7, 0.85, 0.93 and 0.97.

    Parameters
    ----------
    load
        Busy share of a site that serves its own requests: one number for all sites, or one for
        each; below 1.
    contention
        Whether requests queue at uplinks and at the local network too.

    Raises
    ------
    ValueError
        If there are not four loads, or one is not between 0 and 1.

    Examples
    --------
    >>> problem = four_sites((0.95, 0.3, 0.3, 0.3))
    >>> [round(stream.rate_per_second, 2) for stream in problem.streams]
    [79.17, 25.0, 25.0, 25.0]
    """
    loads = (load,) * len(SITES) if isinstance(load, int | float) else tuple(load)
    if len(loads) != len(SITES) or not all(0 < value < 1 for value in loads):
        raise ValueError(f"four loads between 0 and 1 are needed, or one for all: not {load!r}")
    network = Network(
        "detector",
        (Layer(name="all", weight_bytes=20_000_000, activation_bytes=5_000_000),),
        (
            Tensor(name="image", bytes=INPUT_BYTES, producer=None, consumers=(0,)),
            Tensor(name="boxes", bytes=0, producer=0, output=True),
        ),
        {
            **{site: LayerCosts(seconds=(SITE_SECONDS,), cv2=CV2) for site in SITES},
            "cloud": LayerCosts(seconds=(CLOUD_SECONDS,), cv2=CV2),
        },
    )
    sites = tuple(Device(name=site, tier="edge", utilisation_cap=_CAP) for site in SITES)
    cloud = Device(
        name="cloud",
        tier="cloud",
        dollars_per_hour=DOLLARS_PER_HOUR,
        replicas=1,
        max_replicas=MOST_REPLICAS,
        utilisation_cap=_CAP,
    )

    def both_ways(one: str, other: str, speed: float, latency: float) -> tuple[Link, ...]:
        return tuple(
            Link(
                source=source,
                target=target,
                bytes_per_second=speed,
                latency_seconds=latency,
                utilisation_cap=_CAP,
                contention=contention,
            )
            for source, target in ((one, other), (other, one))
        )

    links = [
        link
        for site in SITES
        for link in both_ways(site, "cloud", UPLINK_BYTES_PER_SECOND, UPLINK_LATENCY_SECONDS)
    ]
    links += [
        link
        for index, site in enumerate(SITES)
        for other in SITES[index + 1 :]
        for link in both_ways(site, other, LAN_BYTES_PER_SECOND, LAN_LATENCY_SECONDS)
    ]
    return Problem(
        name="four-sites",
        networks=(network,),
        devices=(*sites, cloud),
        links=tuple(links),
        streams=tuple(
            Stream(
                name=site,
                network=network.name,
                origin=site,
                # As exact numbers: the quotient is the same however a file writes the rate.
                rate_per_second=float(Fraction(str(value)) / Fraction(str(SITE_SECONDS))),
                splittable=True,
                max_routes=len(SITES) + 1,
            )
            for site, value in zip(SITES, loads, strict=True)
        ),
        objective=Objective(latency=1.0, cost=COST_WEIGHT),
        waiting="mg1",
    )
