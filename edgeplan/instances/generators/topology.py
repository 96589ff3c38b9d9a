"""Random devices of three tiers and the links between them."""

from __future__ import annotations

from edgeplan.instances.generators.draw import Draw, round3
from edgeplan.model.problem import Device, Link

_TIERS = ("device", "edge", "cloud")
_ZONES = {"device": "home", "edge": "site", "cloud": "public"}


def random_devices(draw: Draw, count: int, *, plain: bool) -> tuple[Device, ...]:
    """Return devices from the origin's tier to the cloud.

    Parameters
    ----------
    draw
        The random choices.
    count
        How many.
    plain
        Whether no device costs anything for being on or for each stage.
    """
    machines = []
    for index in range(count):
        level = 0 if index == 0 else 2 if index == count - 1 else 1
        if count > 3 and index == count - 2 and draw.chance(0.3):
            level = 2
        tier = _TIERS[level]
        active = draw.log(*((2, 10), (15, 80), (60, 300))[level])
        idle = round3(active * draw.uniform(0.1, 0.6))
        provisioned = level > 0 and draw.chance(0.4) and not plain
        serverless = level > 0 and not provisioned
        machines.append(
            Device(
                name=f"{tier}{index}",
                tier=tier,
                zone=_ZONES[tier],
                active_watts=active,
                idle_watts=idle,
                charge_idle=draw.chance(0.3) and not plain,
                dollars_per_second=draw.log(1e-5, 4e-4) if serverless else 0.0,
                dollars_per_hour=draw.log(0.05, 1.5) if provisioned else 0.0,
                dollars_per_request=(
                    draw.log(2e-7, 5e-6) if serverless and draw.chance(0.4) and not plain else 0.0
                ),
                dollars_per_joule=draw.log(3e-8, 1e-7) if draw.chance(0.3) else 0.0,
                replicas=draw.integer(2, 3) if level > 0 and draw.chance(0.2) else 1,
                utilisation_cap=draw.pick((0.95, 0.9, 0.8)),
            )
        )
    return tuple(machines)


def random_links(draw: Draw, machines: tuple[Device, ...]) -> tuple[Link, ...]:
    """Return links both ways between most of the devices."""
    links = []
    missing = 0.1 if len(machines) > 2 else 0.02
    for source in machines:
        for target in machines:
            if source is target or draw.chance(missing):
                continue
            wan = "cloud" in (source.tier, target.tier)
            wireless = "device" in (source.tier, target.tier)
            links.append(
                Link(
                    source=source.name,
                    target=target.name,
                    bytes_per_second=draw.log(1e6, 2e7) if wireless else draw.log(1e7, 1.2e8),
                    latency_seconds=draw.log(5e-3, 4e-2) if wan else draw.log(2e-4, 4e-3),
                    send_joules_per_byte=draw.log(2e-8, 5e-7) if wireless else 0.0,
                    receive_joules_per_byte=draw.log(1e-8, 2e-7) if draw.chance(0.4) else 0.0,
                    dollars_per_byte=(
                        draw.log(2e-11, 9e-11)
                        if source.tier == "cloud" or draw.chance(0.2)
                        else 0.0
                    ),
                    utilisation_cap=draw.pick((0.95, 0.9, 0.7)),
                    contention="none" if draw.chance(0.2) else "shared",
                )
            )
    return tuple(links)
