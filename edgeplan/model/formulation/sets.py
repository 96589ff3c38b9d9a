"""Which variables exist: the index sets of the program, without Pyomo.

`RouteSets` has those of routes; here are sums over streams, what loads, orders and limits need.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property

from edgeplan.model.formulation.route_sets import Keep, Place, RouteSets
from edgeplan.model.problem import Device, Link


@dataclass(frozen=True)
class Sets(RouteSets):
    """Index sets of the program of a problem.

    Parameters
    ----------
    problem
        The problem.
    """

    # -- sums over a stream ------------------------------------------------------------------

    @cached_property
    def stream_devices(self) -> tuple[tuple[str, str], ...]:
        """(stream, device) where some layer of the stream may run."""
        return tuple(
            (s, device.name)
            for s in self.streams
            for device in self.problem.devices
            if any(device.name in devices for devices in self.permitted[s])
        )

    @cached_property
    def crossed(self) -> tuple[tuple[str, str, str], ...]:
        """(stream, from, to) of links with latency that requests of the stream may cross."""
        return tuple(
            (s, link.source, link.target)
            for s in self.streams
            for link in self.problem.links
            if link.latency_seconds > 0 and self._crosses(s, link)
        )

    def _crosses(self, stream: str, link: Link) -> bool:
        ends = (link.source, link.target)
        permitted = self.permitted[stream]
        first = link.source == self.problem.stream[stream].origin and link.target in permitted[0]
        return (
            first
            or ends in self.moves_over[stream]
            or any(ends in passage.known for passage in self.passages[stream])
        )

    @cached_property
    def carried(self) -> tuple[tuple[str, str, str], ...]:
        """(stream, from, to) of links that bytes of the stream may cross."""
        return tuple((s, a, b) for s in self.streams for a, b in self.carrying[s])

    @cached_property
    def carrying(self) -> dict[str, tuple[tuple[str, str], ...]]:
        """(from, to) of links that bytes of a stream may cross, by stream."""
        heavy = {
            s: {t.name for t in self.network(s).tensors if t.bytes > 0 or t.transfer_seconds}
            for s in self.streams
        }
        return {
            s: tuple(
                (link.source, link.target)
                for link in self.problem.links
                if any(
                    name in heavy[s]
                    for name in self.moves_over[s].get((link.source, link.target), ())
                )
            )
            for s in self.streams
        }

    # -- contiguity and what transfers occupy -----------------------------------------------

    @cached_property
    def ordered_pairs(self) -> tuple[tuple[str, int, str, str], ...]:
        """(stream, slot, device, later device) to be ordered where routes must be contiguous."""
        if not self.problem.contiguous:
            return ()
        return tuple(
            (s, r, a, b) for s, r in self.slots for a, b in itertools.combinations(self.used(s), 2)
        )

    @cached_property
    def ordered_triples(self) -> tuple[tuple[str, int, str, str, str], ...]:
        """(stream, slot, three devices): both ways round a circle of three."""
        if not self.problem.contiguous:
            return ()
        return tuple(
            (s, r, *circle)
            for s, r in self.slots
            for a, b, c in itertools.combinations(self.used(s), 3)
            for circle in ((a, b, c), (a, c, b))
        )

    @cached_property
    def forward(self) -> tuple[tuple[str, int, str, int, str, str], ...]:
        """(stream, slot, tensor, reading layer, from, to): flows that order two devices."""
        if not self.problem.contiguous:
            return ()
        return tuple(
            (s, r, tensor.name, consumer, a, b)
            for s, r in self.slots
            for tensor in self.network(s).tensors
            if tensor.producer is not None
            for consumer in tensor.consumers
            for a in self.permitted[s][tensor.producer]
            for b in self.permitted[s][consumer]
            if a != b and self.linked(a, b)
        )

    def used(self, stream: str) -> tuple[str, ...]:
        """Return the devices where some layer of a stream may run."""
        return tuple(d for s, d in self.stream_devices if s == stream)

    @cached_property
    def loads_matter(self) -> bool:
        """Whether the busy time of devices is limited or priced."""
        return self.problem.capacity == "utilisation" or bool(self.period)

    @cached_property
    def period(self) -> tuple[str, ...]:
        """The one period of all streams, where it is priced or limited."""
        limited = math.isfinite(self.problem.budgets.period_seconds)
        return ("all",) if limited or self.problem.objective.period_price > 0 else ()

    @cached_property
    def rate_limited(self) -> tuple[str, ...]:
        """The one minimum rate, where there is one."""
        return ("all",) if math.isfinite(self.problem.budgets.period_seconds) else ()

    @cached_property
    def occupied(self) -> tuple[tuple[str, str], ...]:
        """(stream, device) that transfers of the stream may keep busy, where that matters."""
        if not self.loads_matter:
            return ()
        return tuple(
            (s, device.name)
            for s in self.streams
            for device in self.problem.devices
            if device.transfers == "occupy"
            and any(device.name in ends for ends in self.moves_over[s])
        )

    @cached_property
    def sent(self) -> tuple[tuple[str, int, str, str], ...]:
        """(stream, slot, tensor, from): sending it may keep a device busy."""
        return tuple(
            (s, r, name, d)
            for s, d in self.occupied
            for name in dict.fromkeys(t for t, a, _ in self.moves[s] if a == d)
            for t, r in self.slots
            if t == s
        )

    @cached_property
    def sent_to_read(self) -> tuple[tuple[str, int, str, int, str], ...]:
        """(stream, slot, tensor, layer that reads it, from)."""
        return tuple(
            (s, r, name, consumer, a)
            for s, r, name, a in self.sent
            for consumer in self.tensor[s, name].consumers
            if any(b != a and self.linked(a, b) for b in self.permitted[s][consumer])
        )

    @cached_property
    def sent_back(self) -> tuple[tuple[str, int, str, str], ...]:
        """(stream, slot, result, from off the origin)."""
        return tuple(
            (s, r, name, a)
            for s, r, name, a in self.sent
            if a != self.problem.stream[s].origin
            and self.lands(s, self.tensor[s, name], self.problem.stream[s].origin)
        )

    def seconds_over(self, stream: str, tensor: str, source: str, target: str) -> float:
        """Return the time that a tensor keeps a link busy."""
        link = self.problem.link[source, target]
        return self.tensor[stream, tensor].seconds_at(link.bytes_per_second)

    def busies(self, source: str, target: str) -> bool:
        """Whether the link's load counts and bytes that may cross it take time."""
        return self.problem.loads(self.problem.link[source, target]) and any(
            self.seconds_over(s, name, source, target) > 0
            for s, over in self.moves_over.items()
            for name in over.get((source, target), ())
        )

    @cached_property
    def loaded_devices(self) -> tuple[str, ...]:
        """Devices whose busy time the period covers."""
        return self._busy_devices if self.period else ()

    @cached_property
    def loaded_links(self) -> tuple[tuple[str, str], ...]:
        """Links whose busy time the period covers."""
        return self._busy_links if self.period else ()

    @cached_property
    def _busy_devices(self) -> tuple[str, ...]:
        usable = {d for _, d in (*self.stream_devices, *self.occupied)}
        return tuple(device.name for device in self.problem.devices if device.name in usable)

    @cached_property
    def _busy_links(self) -> tuple[tuple[str, str], ...]:
        return tuple(
            (link.source, link.target)
            for link in self.problem.links
            if self.busies(link.source, link.target)
        )

    # -- which totals matter ------------------------------------------------------------------

    @cached_property
    def money_matters(self) -> bool:
        """Whether dollars are priced or limited."""
        return self.problem.objective.prices[2] > 0 or math.isfinite(
            self.problem.budgets.dollars_per_hour
        )

    @cached_property
    def power_matters(self) -> bool:
        """Whether the energy of all devices is priced or limited."""
        return self.problem.objective.prices[1] > 0 or math.isfinite(
            self.problem.budgets.power_watts
        )

    @cached_property
    def powered(self) -> tuple[tuple[str, str], ...]:
        """(stream, device) whose energy matters."""
        drawing = {
            *self.stream_devices,
            *((s, a) for s, a, _ in self.carried),
            *((s, b) for s, _, b in self.carried),
            *(
                (s, d.name)
                for s in self.streams
                for d in self.problem.devices
                if self.waits_idle(s, d.name)
            ),
        }
        return tuple(
            (s, device.name)
            for s in self.streams
            for device in self.problem.devices
            if (s, device.name) in drawing
            if self.power_matters
            or math.isfinite(device.power_budget_watts)
            or (self.money_matters and device.dollars_per_joule > 0)
        )

    @cached_property
    def paid(self) -> tuple[str, ...]:
        """Streams whose dollars matter: all or none."""
        return self.streams if self.money_matters else ()

    def waits_idle(self, stream: str, device: str) -> bool:
        """Whether the device is the stream's origin and idles, at a charge, while it waits."""
        item = self.problem.stream[stream]
        origin = self.problem.device[device]
        return (
            item.waits
            and device == item.origin
            and not origin.charge_idle
            and origin.idle_watts > 0
        )

    @cached_property
    def timed(self) -> tuple[str, ...]:
        """Streams whose latency matters."""
        return tuple(
            stream.name
            for stream in self.problem.streams
            if self.problem.objective.prices[0] > 0
            or math.isfinite(stream.deadline_seconds)
            or any(s == stream.name and self.waits_idle(s, d) for s, d in self.powered)
        )

    @cached_property
    def due(self) -> tuple[str, ...]:
        """Streams with a deadline."""
        return tuple(s.name for s in self.problem.streams if math.isfinite(s.deadline_seconds))

    # -- devices and links ------------------------------------------------------------------

    @cached_property
    def candidates(self) -> dict[Keep, tuple[tuple[str, int], ...]]:
        """Slots that may put (network, layer) on a device."""
        found: dict[Keep, list[tuple[str, int]]] = {}
        for s, r, layer, d in self.places:
            found.setdefault((self.network(s).name, layer, d), []).append((s, r))
        return {key: tuple(slots) for key, slots in found.items()}

    @cached_property
    def cramped(self) -> tuple[str, ...]:
        """Devices whose memory could not hold everything that may run there."""
        return tuple(device.name for device in self.problem.devices if self._cramped(device))

    def _cramped(self, device: Device) -> bool:
        here = [(n, layer) for n, layer, d in self.candidates if d == device.name]
        weights = sum(self.problem.network[n].memory_bytes(k, device.name) for n, k in here)
        peak = max((self.problem.network[n].layers[k].activation_bytes for n, k in here), default=0)
        return weights + peak > device.memory_bytes

    @cached_property
    def keeps(self) -> tuple[Keep, ...]:
        """(network, layer, device) that memory must be counted for."""
        return tuple(key for key in self.candidates if key[2] in self.cramped)

    @cached_property
    def kept(self) -> tuple[tuple[str, int, str, str, int], ...]:
        """(network, layer, device, stream, slot): a slot that needs what is kept."""
        return tuple((n, k, d, s, r) for n, k, d in self.keeps for s, r in self.candidates[n, k, d])

    @cached_property
    def switched(self) -> tuple[str, ...]:
        """Devices whose being on has a price."""
        usable = {d for _, d in self.stream_devices}
        return tuple(
            device.name
            for device in self.problem.devices
            if device.name in usable
            and (
                (self.money_matters and device.dollars_per_hour > 0)
                or (
                    device.charge_idle
                    and device.idle_watts > 0
                    and any(d == device.name for _, d in self.powered)
                )
            )
        )

    @cached_property
    def switching(self) -> tuple[Place, ...]:
        """Places on the devices whose being on has a price."""
        return tuple(place for place in self.places if place[3] in self.switched)

    @cached_property
    def limited_devices(self) -> tuple[str, ...]:
        """Devices whose load is limited."""
        return () if self.problem.capacity == "none" else self._busy_devices

    @cached_property
    def limited_links(self) -> tuple[tuple[str, str], ...]:
        """Links whose load is limited."""
        return () if self.problem.capacity == "none" else self._busy_links

    @cached_property
    def power_limited(self) -> tuple[str, ...]:
        """Devices with a power budget."""
        return tuple(
            device.name
            for device in self.problem.devices
            if math.isfinite(device.power_budget_watts)
        )

    @cached_property
    def power_budget(self) -> tuple[str, ...]:
        """The one budget of power, where there is one."""
        return ("all",) if math.isfinite(self.problem.budgets.power_watts) else ()

    @cached_property
    def money_budget(self) -> tuple[str, ...]:
        """The one budget of money, where there is one."""
        return ("all",) if math.isfinite(self.problem.budgets.dollars_per_hour) else ()
