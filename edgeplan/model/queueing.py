r"""Waiting: queues at devices and shared links, by the rules of DESIGN §4.

A *job* is what a route brings to a queue in one visit: a stage at a device, or the bytes of one
boundary at a link, of one request or of a whole batch. With c replicas, jobs j that come λ_j
times a second and take S_j:

.. math::
    \rho = \tfrac1c \sum_j \lambda_j E[S_j], \qquad
    Q = \sum_j \lambda_j \bigl( E[S_j^2] + (c_{a,j}^2 - 1) E[S_j]^2 \bigr)

* ``random``: each replica is an M/G/1 queue with its share of the jobs, and waits
  :math:`w = (Q / c) / (2 (1 - \rho))` (Pollaczek–Khinchine; exact for independent Poisson
  streams). The second term of Q is Kingman's correction for bursts, stream by stream.
* ``shared``: :math:`w = Q\, C(c, c\rho) / (2 c^2 \rho (1 - \rho))` with Erlang's C: the wait of
  M/M/c times (1 + c²)/2 of the mixture (Lee and Longton, Operational Research Quarterly 10, 1959).
* Tails: with the largest θ such that
  :math:`\sum_j \lambda_j (E[e^{\theta S_j}] - 1) \le c\theta` the wait exceeds x with a
  probability of at most :math:`e^{-\theta x}` (Kingman, Proceedings of the Cambridge
  Philosophical Society 60, 1964). For bursts :math:`(c_{a,j}^2 - 1)(\theta E[S_j])^2 / 2` is added
  to each bracket; ``shared`` takes one queue of c-fold speed. Both are estimates.

Times of service are gamma distributed with the profile's mean and cv² (constant where that is 0,
exponential where it is 1); times of transfers are constant.
"""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from edgeplan.model.network import LARGEST
from edgeplan.model.plan import Plan
from edgeplan.model.price import RoutePrice, Transfer
from edgeplan.model.problem import Problem, Stream

QueueKey = tuple[Literal["device", "link"], str]
"""A device by its name, or a link by its name."""

Basis = Literal["exact", "approximate", "none"]
"""What a mean wait is: exact, an approximation, or nothing waits."""

PERCENTILES = (0.95, 0.99)
"""The percentiles that an evaluation states whether or not they have a deadline."""

CONSTANT = 1e-9
"""A service time with a smaller cv² counts as constant."""

DECAY_PRECISION = 1e-12
"""A decay is at most so much smaller, relatively, than it could be."""

LARGEST_EXPONENT = 700.0
"""e to the power of more than that is no floating-point number."""


@dataclass(frozen=True)
class Visit:
    """One job of a route at one queue.

    Parameters
    ----------
    queue
        Where.
    seconds, cv2
        Mean time of service of the job, and its squared coefficient of variation.
    """

    queue: QueueKey
    seconds: float
    cv2: float


@dataclass(frozen=True)
class Job:
    """Jobs of one kind at a queue.

    Parameters
    ----------
    per_second
        How often they come.
    seconds, cv2
        Mean time of service and its squared coefficient of variation.
    arrival_cv2
        Squared coefficient of variation of the time from one such job to the next.
    fresh
        Whether they come from no other queue and are independent of each other (Poisson): what
        makes the formulas exact.
    """

    per_second: float
    seconds: float
    cv2: float
    arrival_cv2: float = 1.0
    fresh: bool = True

    @property
    def second_moment(self) -> float:
        """E[S²] in s², with Kingman's correction for bursts."""
        return self.seconds**2 * (self.cv2 + self.arrival_cv2)

    def excess(self, theta: float) -> float:
        """Return E[e^{θS}] − 1 + (c_a² − 1)(θ E[S])² / 2; ``inf`` where there is no such number.

        The last term is Kingman's correction for bursts again: to the second order in θ the
        decay is then 2 (1 − ρ) / Q.
        """
        exponent = theta * self.seconds
        power = exponent
        if self.cv2 >= CONSTANT:
            if exponent * self.cv2 >= 1:
                return math.inf
            power = -math.log1p(-exponent * self.cv2) / self.cv2
        if power >= LARGEST_EXPONENT:
            return math.inf
        return math.expm1(power) + (self.arrival_cv2 - 1) * exponent**2 / 2


@dataclass(frozen=True)
class Wait:
    """What waiting at a queue is.

    Parameters
    ----------
    seconds
        Mean wait of a job.
    decay_per_second
        θ: a wait exceeds x with a probability of at most e^{−θx}; ``inf`` where none waits.
    """

    seconds: float
    decay_per_second: float


Waits = Mapping[QueueKey, Wait]


@dataclass(frozen=True)
class Queue:
    """A device or a link with the jobs that come to it.

    Parameters
    ----------
    replicas
        Servers.
    dispatch
        How jobs are dealt to them.
    jobs
        What comes.
    """

    replicas: int
    dispatch: Literal["random", "shared"]
    jobs: tuple[Job, ...]

    @cached_property
    def utilisation(self) -> float:
        """ρ, the busy share of each server."""
        return math.fsum(job.per_second * job.seconds for job in self.jobs) / self.replicas

    @cached_property
    def moments(self) -> float:
        """Q, the sum of the jobs' rates times second moments, in seconds."""
        return math.fsum(job.per_second * job.second_moment for job in self.jobs)

    @cached_property
    def mean_wait_seconds(self) -> float:
        """The mean wait; ``inf`` where the queue grows without end."""
        if self.utilisation >= 1:
            return math.inf
        return self.moments * wait_factor(self.replicas, self.dispatch, self.utilisation)

    @cached_property
    def decay_per_second(self) -> float:
        """θ of the tail; 0 where the queue grows without end, ``inf`` where nothing waits."""
        if self.utilisation >= 1:
            return 0.0
        jobs = [job for job in self.jobs if job.seconds > 0]
        if not jobs:
            return math.inf
        speed = self.replicas if self.dispatch == "shared" else 1

        def drift(theta: float) -> float:
            excess = math.fsum(job.per_second * job.excess(theta / speed) for job in jobs)
            return excess * speed / self.replicas - theta

        # Convex, 0 at 0 and falling there: it is negative up to its only other zero.
        high = min(speed / max(job.seconds for job in jobs), LARGEST)
        while drift(high) <= 0:
            if high >= LARGEST:
                return high
            high *= 2
        low = 0.0
        while high - low > DECAY_PRECISION * high:
            middle = (low + high) / 2
            low, high = (middle, high) if drift(middle) <= 0 else (low, middle)
        return low

    @property
    def basis(self) -> Basis:
        """Whether the mean wait is exact."""
        if not self.jobs:
            return "none"
        servers = self.replicas == 1 or self.dispatch == "random"
        return "exact" if servers and all(job.fresh for job in self.jobs) else "approximate"


def wait_factor(replicas: int, dispatch: str, utilisation: float) -> float:
    """Return mean wait ÷ Q of a queue (see the module): rising in the utilisation.

    Parameters
    ----------
    replicas, dispatch
        Of the queue.
    utilisation
        ρ, of each server.

    Returns
    -------
    float
        ``inf`` from ρ = 1 on.

    Examples
    --------
    >>> wait_factor(1, "shared", 0.5), wait_factor(2, "random", 0.5)
    (1.0, 0.5)
    """
    if utilisation >= 1:
        return math.inf
    if dispatch == "random" or replicas == 1:
        return 1 / (replicas * 2 * (1 - utilisation))
    if utilisation <= 0:
        return 0.0
    return erlang_c(replicas, replicas * utilisation) / (
        2 * replicas**2 * utilisation * (1 - utilisation)
    )


def erlang_c(servers: int, load: float) -> float:
    """Return the probability that a job must wait in M/M/c.

    By the recursion of Erlang's B, which neither overflows nor cancels.

    Parameters
    ----------
    servers
        c.
    load
        λ E[S], below c.

    Examples
    --------
    >>> erlang_c(1, 0.5)
    0.5
    >>> round(erlang_c(2, 1.0), 12)
    0.333333333333
    """
    blocked = 1.0
    for server in range(1, servers + 1):
        blocked = load * blocked / (server + load * blocked)
    return servers * blocked / (servers - load * (1 - blocked))


def visits(problem: Problem, price: RoutePrice) -> Iterator[Visit]:
    """Yield the jobs of a route in their order: transfers that load links, and stages.

    A transfer of no bytes, and one over a link without contention, is a delay and no job.
    """

    def links(transfers: Iterable[Transfer]) -> Iterator[Visit]:
        for transfer in transfers:
            queue = link_queue(problem, transfer)
            if queue is not None:
                yield Visit(queue, transfer.busy_seconds, 0.0)

    for stage in price.stages:
        yield from links(stage.transfers)
        yield Visit(("device", stage.device), stage.seconds, stage.cv2)
    yield from links(price.returned)


def link_queue(problem: Problem, transfer: Transfer) -> QueueKey | None:
    """Return the queue of a transfer, ``None`` where it is a mere delay."""
    link = problem.link.get((transfer.source, transfer.target))
    if link is None or not transfer.busy_seconds > 0 or not problem.loads(link):
        return None
    return ("link", link.name)


def jobs(
    problem: Problem, stream: Stream, price: RoutePrice, *, split: bool
) -> Iterator[tuple[QueueKey, Job]]:
    """Yield what a route brings to queues, visit by visit.

    Parameters
    ----------
    problem, stream
        Where rates and the burstiness come from.
    price
        The route's price, with its fraction and its batch.
    split
        Whether the stream is dealt over several routes: a coin flip for each request makes
        arrivals more like Poisson's, so that bursts below 1 count as 1.
    """
    per_second = stream.rate_per_second * price.fraction / price.batch
    burstiness = route_cv2(stream, split=split)
    for index, visit in enumerate(visits(problem, price)):
        yield (
            visit.queue,
            Job(
                per_second=per_second,
                seconds=visit.seconds,
                cv2=visit.cv2,
                arrival_cv2=burstiness / price.batch,
                # Not the corrected burstiness: a clock's requests are no more independent for
                # being counted as Poisson's once they are split.
                fresh=index == 0 and stream.arrival_cv2 == 1 and price.batch == 1,
            ),
        )


def route_cv2(stream: Stream, *, split: bool) -> float:
    """Return the squared coefficient of variation of the time between requests of a route."""
    return max(stream.arrival_cv2, 1.0) if split else stream.arrival_cv2


def queues(
    problem: Problem, plan: Plan, prices: Mapping[str, tuple[RoutePrice, ...]]
) -> dict[QueueKey, Queue]:
    """Return every device and every link that requests load, with the jobs that come to it.

    Parameters
    ----------
    problem, plan
        What is priced.
    prices
        Of the plan's routes, by stream.
    """
    coming: dict[QueueKey, list[Job]] = defaultdict(list)
    for stream in problem.streams:
        routes = prices[stream.name]
        for price in routes:
            for queue, job in jobs(problem, stream, price, split=len(routes) > 1):
                coming[queue].append(job)
    found: dict[QueueKey, Queue] = {}
    for device in problem.devices:
        key: QueueKey = ("device", device.name)
        found[key] = Queue(plan.replica_count(device), device.dispatch, tuple(coming[key]))
    for link in problem.links:
        if problem.loads(link):
            key = ("link", link.name)
            found[key] = Queue(1, "random", tuple(coming[key]))
    return found


def with_waits(
    problem: Problem, stream: Stream, price: RoutePrice, waits: Waits, *, split: bool
) -> RoutePrice:
    """Return the price of a route with the waits in queues, and its percentiles.

    Parameters
    ----------
    problem, stream
        The stream and what it belongs to.
    price
        Of `route_price`, without queues.
    waits
        Of every queue that the route visits.
    split
        Whether the stream is dealt over several routes.
    """

    def waiting(transfers: tuple[Transfer, ...]) -> tuple[Transfer, ...]:
        return tuple(
            transfer
            if (queue := link_queue(problem, transfer)) is None
            else dataclasses.replace(transfer, wait_seconds=waits[queue].seconds)
            for transfer in transfers
        )

    stages = tuple(
        dataclasses.replace(
            stage,
            transfers=waiting(stage.transfers),
            wait_seconds=waits["device", stage.device].seconds,
        )
        for stage in price.stages
    )
    returned = waiting(price.returned)
    queued = math.fsum(waits[visit.queue].seconds for visit in visits(problem, price))
    joules = dict(price.device_joules)
    origin = problem.device[stream.origin]
    if stream.waits and not origin.charge_idle and origin.idle_watts:
        joules[origin.name] += origin.idle_watts * queued
    wanted = dict.fromkeys((*(t.probability for t in stream.tail_deadlines), *PERCENTILES))
    return dataclasses.replace(
        price,
        stages=stages,
        returned=returned,
        latency_seconds=price.latency_seconds + queued,
        wait_seconds=price.fill_seconds + queued,
        device_joules=tuple(joules.items()),
        tails=tuple(
            (probability, percentile(problem, stream, price, waits, probability, split=split))
            for probability in wanted
        ),
    )


def percentile(
    problem: Problem,
    stream: Stream,
    price: RoutePrice,
    waits: Waits,
    probability: float,
    *,
    split: bool,
) -> float:
    """Return a latency that a share of a route's requests does not exceed.

    Each of the n random terms (waits, stages whose time varies, the filling of a batch) is taken
    at its own quantile of (1 − probability) / n, and they are added: by the union bound safe
    whatever their dependence, where the decays are.

    Parameters
    ----------
    problem, stream, price, waits, split
        As for `with_waits`.
    probability
        0.95 for the 95th percentile.

    Returns
    -------
    float
        Seconds; ``inf`` where the route cannot run or a queue grows without end.
    """
    if not math.isfinite(price.latency_seconds):
        return math.inf
    terms = random_terms(stream, price, split=split)
    decays = [waits[visit.queue].decay_per_second for visit in visits(problem, price)]
    share = (1 - probability) / max(len(decays) + len(terms), 1)
    queued = (math.log(1 / share) / theta if theta > 0 else math.inf for theta in decays)
    return math.fsum(
        [
            price.latency_seconds,
            *(term.exceeded_with(share) - term.charged for term in terms),
            *queued,
        ]
    )


@dataclass(frozen=True)
class GammaTerm:
    """A part of a latency that varies: gamma distributed.

    Parameters
    ----------
    mean, cv2
        Mean in seconds and squared coefficient of variation.
    charged
        What the mean latency has for it, in seconds.
    """

    mean: float
    cv2: float
    charged: float

    def exceeded_with(self, share: float) -> float:
        """Return the time in seconds that it exceeds with a given probability."""
        if self.cv2 < CONSTANT:
            return self.mean
        from scipy.special import gammainccinv

        return float(gammainccinv(1 / self.cv2, share)) * self.mean * self.cv2


def random_terms(stream: Stream, price: RoutePrice, *, split: bool) -> list[GammaTerm]:
    """Return the parts of a route's latency that vary by themselves: stages, filling a batch.

    The filling is that of a batch's first request, which waits longest.
    """
    found = [
        GammaTerm(stage.seconds, stage.cv2, charged=stage.seconds)
        for stage in price.stages
        if stage.cv2 >= CONSTANT
    ]
    if price.batch > 1:
        # The mean over the batch is in the latency; the first request's fill is twice that, the
        # sum of batch − 1 times between requests.
        mean = 2 * price.fill_seconds
        cv2 = route_cv2(stream, split=split) / (price.batch - 1)
        found.append(GammaTerm(mean, cv2, charged=price.fill_seconds))
    return found
