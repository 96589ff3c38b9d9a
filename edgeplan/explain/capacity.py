r"""Whether devices and links can carry the load at all: a linear program over whole routes.

Requests may be dealt over all routes that rules and deadlines allow, in any fractions, nobody
waits, and each device has its most replicas (`edgeplan.explain.relaxed`). The least possible
largest load, as a share of what is given,

.. math::
    t^* = \min\ t \quad\text{s.t.}\quad
    \sum_{s,r} \lambda_s\, b_{r,d}\, x_{s,r} \le t\, \text{cap}_d, \quad \sum_r x_{s,r} = 1

is a lower bound for every plan: above 1 there is none. For any prices u ≥ 0 of the devices and
links, :math:`\sum_s \lambda_s \min_r \sum_d u_d b_{r,d} / \text{cap}_d \le t^* \sum_d u_d`: by that
the answer is recomputed from the prices that the solver returned, and does not rest on its word.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgeplan.explain.relaxed import unloaded
from edgeplan.model.certificate import Certificate
from edgeplan.model.evaluate import RELATIVE_TOLERANCE
from edgeplan.model.plan import Plan, Route
from edgeplan.model.price import route_price
from edgeplan.model.problem import Problem, Stream
from edgeplan.solvers.elastic import Key
from edgeplan.solvers.route_lists import count_routes, enumerate_routes

if TYPE_CHECKING:
    import numpy as np

MOST_ROUTES = 30_000
"""With more routes than that the program is left out."""

_TOLERANT = 1 + 2 * RELATIVE_TOLERANCE
"""Above that, a load is above what the evaluator allows, rounding included."""
_NO_PRICE = 1e-9
_MOVES = 200
"""Most times that a stream is moved to make a whole plan of a fractional one."""


@dataclass(frozen=True)
class Way:
    """A route and what it asks of devices and links, per request.

    Parameters
    ----------
    devices
        By layer.
    seconds
        Latency without waits.
    busy
        Busy seconds by device (``("device capacity", name)``) and link.
    """

    devices: tuple[str, ...]
    seconds: float
    busy: tuple[tuple[Key, float], ...]


@dataclass(frozen=True, kw_only=True)
class Load:
    """The least possible largest load.

    Parameters
    ----------
    share
        t*: of what is given; a proved lower bound. ``inf`` where a stream has no route.
    plan
        A whole plan with a small largest load.
    prices
        u by device and link; those at which it is scarce.
    streams
        The streams that pay any: without the others the bound is the same.
    certificate
        On what it stands.
    """

    share: float
    plan: Plan | None
    prices: Mapping[Key, float]
    streams: frozenset[str]
    certificate: Certificate

    @property
    def too_much(self) -> bool:
        """Whether there is no plan."""
        return self.share > _TOLERANT


@dataclass
class Capacity:
    """Asks whether loads can be carried; remembers what routes ask for."""

    _known: dict[tuple[object, ...], Way] = field(default_factory=dict)
    _facts: object = None

    def find(self, problem: Problem) -> Load | None:
        """Return the least possible largest load; ``None`` where there are too many routes.

        Parameters
        ----------
        problem
            With capacity by utilisation; its deadlines on means count where a stream has one
            route.
        """
        easier = unloaded(problem)
        ways = self.ways(easier)
        if ways is None:
            return None
        count = sum(map(len, ways.values()))
        if empty := [name for name, some in ways.items() if not some]:
            return Load(
                share=math.inf,
                plan=None,
                prices={},
                streams=frozenset(empty[:1]),
                certificate=_certificate(f"all routes of stream '{empty[0]}'", count, "enumerated"),
            )
        given = dict(capacities(easier))
        fractions, raw = _balanced(easier, ways, given)
        total = math.fsum(raw.values())
        share, payers = 0.0, set()
        for stream in easier.streams:
            least = min(
                math.fsum(raw[key] * busy / given[key] for key, busy in way.busy if key in raw)
                for way in ways[stream.name]
            )
            if least > 0:
                payers.add(stream.name)
                share += stream.rate_per_second * least
        share = share / total if total > 0 else 0.0
        bounded = (
            f"load in fractions over {count:,} routes, without waits, of '{problem.name[:80]}'"
        )
        return Load(
            share=share,
            plan=_whole(easier, ways, given, fractions),
            prices={key: price / total for key, price in raw.items()},
            streams=frozenset(payers),
            certificate=_certificate(bounded, None, "dual"),
        )

    def ways(self, easier: Problem) -> dict[str, list[Way]] | None:
        """Return the routes of each stream that can run in time; ``None`` for too many."""
        if sum(count_routes(easier, stream) for stream in easier.streams) > MOST_ROUTES:
            return None
        facts = (easier.networks, [_facts(link) for link in easier.links])
        if facts != self._facts:
            self._facts = facts
            self._known.clear()
        return {stream.name: list(self._in_time(easier, stream)) for stream in easier.streams}

    def _in_time(self, easier: Problem, stream: Stream) -> Iterator[Way]:
        latest = stream.deadline_seconds * _TOLERANT if stream.route_limit == 1 else math.inf
        like = (stream.network, stream.origin, tuple(stream.homes.items()), stream.returns)
        for devices in enumerate_routes(easier, stream):
            way = self._known.get((like, devices))
            if way is None:
                way = self._known[like, devices] = _way(easier, stream, devices)
            if math.isfinite(way.seconds) and way.seconds <= latest:
                yield way


def capacities(easier: Problem) -> Iterator[tuple[Key, float]]:
    """Yield what devices and shared links give, in busy seconds per second."""
    for device in easier.devices:
        yield ("device capacity", device.name), device.utilisation_cap * device.replicas
    for link in easier.links:
        if easier.loads(link):
            yield ("link capacity", link.source, link.target), link.utilisation_cap


def _facts(link: Any) -> tuple[object, ...]:
    return (link.source, link.target, link.bytes_per_second, link.latency_seconds)


def _way(easier: Problem, stream: Stream, devices: tuple[str, ...]) -> Way:
    price = route_price(easier, stream, Route(devices=devices))
    busy: dict[Key, float] = {}
    for stage in price.stages:
        key: Key = ("device capacity", stage.device)
        busy[key] = busy.get(key, 0.0) + stage.seconds
    for transfer in price.transfers:
        key = ("link capacity", transfer.source, transfer.target)
        busy[key] = busy.get(key, 0.0) + transfer.busy_seconds
    some = tuple((key, seconds) for key, seconds in busy.items() if seconds > 0)
    return Way(devices, price.latency_seconds, some)


def _certificate(bounded: str, states: int | None, basis: Any) -> Certificate:
    return Certificate(
        basis=basis,
        witnesses=("capacity 1",),
        bounded=bounded,
        states=states,
        tolerances=(("limits, relative", RELATIVE_TOLERANCE),),
    )


@dataclass(frozen=True)
class _Columns:
    """The program's columns: one for each stream and route."""

    rows: Sequence[Key]
    loads: Any
    streams: Any
    begins: Mapping[str, int]


def _columns(
    easier: Problem, ways: Mapping[str, Sequence[Way]], given: Mapping[Key, float]
) -> _Columns:
    from scipy.sparse import csr_matrix

    rows = list(given)
    number = {key: index for index, key in enumerate(rows)}
    values: list[float] = []
    at: list[int] = []
    column_of: list[int] = []
    owner: list[int] = []
    begins: dict[str, int] = {}
    column = 0
    for index, stream in enumerate(easier.streams):
        begins[stream.name] = column
        for way in ways[stream.name]:
            for key, busy in way.busy:
                if key in number:
                    values.append(stream.rate_per_second * busy / given[key])
                    at.append(number[key])
                    column_of.append(column)
            owner.append(index)
            column += 1
    loads = csr_matrix((values, (at, column_of)), shape=(len(rows), column))
    streams = csr_matrix(
        ([1.0] * column, (owner, range(column))), shape=(len(easier.streams), column)
    )
    return _Columns(rows, loads, streams, begins)


def _balanced(
    easier: Problem, ways: Mapping[str, Sequence[Way]], given: Mapping[Key, float]
) -> tuple[np.ndarray, dict[Key, float]]:
    """Return the fractions of the best dealing out, and the prices of devices and links."""
    import numpy as np
    from scipy.optimize import linprog
    from scipy.sparse import csr_matrix, hstack

    columns = _columns(easier, ways, given)
    rows, count = columns.loads.shape
    found = linprog(
        np.append(np.zeros(count), 1.0),
        A_ub=hstack([columns.loads, csr_matrix(-np.ones((rows, 1)))]),
        b_ub=np.zeros(rows),
        A_eq=hstack([columns.streams, csr_matrix((len(easier.streams), 1))]),
        b_eq=np.ones(len(easier.streams)),
        method="highs",
    )
    if found.x is None:  # no prices: the bound is 0
        return np.ones(count), {}
    marginals = np.maximum(-found.ineqlin.marginals, 0.0)
    prices = {key: float(u) for key, u in zip(columns.rows, marginals, strict=True)}
    return found.x[:-1], {key: u for key, u in prices.items() if u > _NO_PRICE}


def lacking(
    easier: Problem,
    ways: Mapping[str, Sequence[Way]],
    scarce: Mapping[Key, float],
) -> tuple[float, dict[Key, float]]:
    """Return the busy seconds per second that are missing at the least, and the loads then.

    Parameters
    ----------
    easier
        A problem without waits.
    ways
        The routes of each of its streams.
    scarce
        What the devices and links give of which more may be had; all others hold.

    Returns
    -------
    tuple
        What is missing in all (``inf`` where the others do not hold), and the busy seconds per
        second of each of the scarce.
    """
    import numpy as np
    from scipy.optimize import linprog
    from scipy.sparse import csr_matrix, hstack

    given = dict(capacities(easier)) | dict(scarce)
    columns = _columns(easier, ways, given)
    rows, count = columns.loads.shape
    free = [index for index, key in enumerate(columns.rows) if key in scarce]
    excess = csr_matrix(
        ([-1.0 / given[columns.rows[i]] for i in free], (free, range(len(free)))),
        shape=(rows, len(free)),
    )
    found = linprog(
        np.append(np.zeros(count), np.ones(len(free))),
        A_ub=hstack([columns.loads, excess]),
        b_ub=np.ones(rows),
        A_eq=hstack([columns.streams, csr_matrix((len(easier.streams), len(free)))]),
        b_eq=np.ones(len(easier.streams)),
        method="highs",
    )
    if found.x is None:
        return math.inf, {}
    loads = columns.loads @ found.x[:count]
    return float(found.fun), {
        columns.rows[i]: float(loads[i]) * given[columns.rows[i]] for i in free
    }


def _whole(
    easier: Problem,
    ways: Mapping[str, Sequence[Way]],
    given: Mapping[Key, float],
    fractions: np.ndarray,
) -> Plan:
    """Round fractions to one route for each stream, and move streams while that helps."""
    import numpy as np

    columns = _columns(easier, ways, given)
    loads = columns.loads.tocsc()
    chosen: list[int] = []
    for stream in easier.streams:
        begin = columns.begins[stream.name]
        end = begin + len(ways[stream.name])
        chosen.append(begin + int(np.argmax(fractions[begin:end])))
    total = np.asarray(loads[:, chosen].sum(axis=1)).ravel()
    for _ in range(_MOVES):
        worst = int(np.argmax(total))
        best = None
        for index, stream in enumerate(easier.streams):
            column = chosen[index]
            if not loads[worst, column]:
                continue
            begin = columns.begins[stream.name]
            block = loads[:, begin : begin + len(ways[stream.name])].toarray()
            rest = total - loads[:, [column]].toarray().ravel()
            highest = (rest[:, None] + block).max(axis=0)
            other = int(np.argmin(highest))
            if highest[other] < total[worst] * (1 - 1e-9) and (
                best is None or highest[other] < best[0]
            ):
                best = (highest[other], index, begin + other, rest + block[:, other])
        if best is None:
            break
        _, index, chosen[index], total = best
    return Plan(
        routes={
            stream.name: (
                Route(devices=ways[stream.name][column - columns.begins[stream.name]].devices),
            )
            for stream, column in zip(easier.streams, chosen, strict=True)
        }
    )
