"""`simulate`: a plan under random arrivals, and what the run says about it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from edgeplan.model.errors import InputError, InterruptedRunError
from edgeplan.model.evaluate import RELATIVE_TOLERANCE
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Device, Problem, Stream
from edgeplan.simulation.arrivals import (
    MOST_CV2,
    POISSON_EXCESS,
    Arrivals,
    Floats,
    Mmpp,
    Renewal,
    Trace,
)
from edgeplan.simulation.engine import WARM_UP, Record, run
from edgeplan.simulation.simulation import (
    Engine,
    SimulatedDeadline,
    SimulatedLoad,
    SimulatedRoute,
    SimulatedStream,
    Simulation,
)
from edgeplan.simulation.statistics import BATCHES, Sample
from edgeplan.simulation.system import System
from edgeplan.simulation.translate import Translation, translate

PERCENTILES = (0.5, 0.95, 0.99)
"""What is reported of every stream."""

IN_TIME = 1 + RELATIVE_TOLERANCE
"""A request is in time up to this multiple of its deadline, as for the evaluator."""

FORGETS = 10.0
"""A batch of the batch means should be so many times longer than a queue remembers."""


def simulate(
    problem: Problem,
    plan: Plan,
    *,
    requests: int = 200_000,
    seed: int = 0,
    arrivals: Mapping[str, Arrivals] | None = None,
    warm_up: float = WARM_UP,
    on_progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Simulation:
    """Let random requests run through a plan, by discrete events.

    Requests arrive as their stream's ``arrival_cv2`` says (gamma-distributed times between
    them), flip a coin for their route and walk its stages and transfers. Devices and shared links
    serve jobs first come first served where ``problem.waiting`` is ``mg1``; where it is ``none``
    nobody waits. Times of service are gamma distributed with the profile's mean and cv².

    Parameters
    ----------
    problem, plan
        What is simulated.
    requests
        Requests of all streams together, warm-up included.
    seed
        Of everything random: the same seed gives the same numbers.
    arrivals
        By stream name, where requests arrive otherwise: bursts (`Mmpp`), a trace (`Trace`)…
    warm_up
        Share of the simulated time, at its start, that is not counted: queues are empty then.
    on_progress
        Called now and then with the requests so far and in all.
    stop
        Asked now and then: whether to end with the requests so far.

    Returns
    -------
    Simulation
        Latencies with confidence, loads and waits, energy and cost per request.

    Raises
    ------
    InputError
        If the plan does not fit the problem or cannot run, an option is out of range, arrivals
        are burstier than can be simulated, or too few requests were asked for to count any.
    InterruptedRunError
        If the run was stopped before any request was counted.
    """
    if requests < 1:
        raise InputError.at("requests", "must be at least 1")
    if not 0 <= warm_up < 1:
        raise InputError.at("warm_up", "must be at least 0 and below 1")
    translation = translate(problem, plan, arrivals or {})
    system = translation.system
    record = run(system, requests, seed=seed, warm_up=warm_up, on_progress=on_progress, stop=stop)
    if not any(values.size for values in record.latencies):
        if record.interrupted:
            raise InterruptedRunError(
                f"stopped within the warm-up, after {sum(record.requests)} of {requests} requests: "
                f"nothing was counted yet (the first {warm_up:.0%} of the time are not); fewer "
                "requests have a shorter warm-up"
            )
        raise InputError.at(
            "requests",
            f"of {requests} not one was counted: none arrived after the warm-up in a batch that "
            "was filled; take more",
        )
    report = _Report(problem, plan, translation, record)
    loads = report.devices(), report.links()
    streams = tuple(report.streams())
    # A stream without counted requests has no numbers: a note says that it is left out.
    counted = [stream for stream in streams if stream.requests]
    rate = math.fsum(stream.rate_per_second for stream in counted)
    weights = [
        1.0 if problem.objective.aggregate == "total" else stream.rate_per_second / rate
        for stream in counted
    ]
    latency, energy, cost = (
        math.fsum(weight * value for weight, value in zip(weights, values, strict=True))
        for values in zip(
            *((s.mean.value, s.energy_joules, s.cost_dollars) for s in counted), strict=True
        )
    )
    return Simulation(
        requests=sum(record.requests),
        seed=seed,
        seconds=record.seconds,
        warm_up_seconds=record.warm_up_seconds,
        latency_seconds=latency,
        energy_joules=energy,
        cost_dollars=cost,
        streams=streams,
        devices=loads[0],
        links=loads[1],
        engine=_engine(system),
        interrupted=record.interrupted,
        notes=tuple(_notes(problem, translation, record, loads, streams)),
    )


class _Report:
    """Turns what was seen into the words of the problem."""

    def __init__(
        self, problem: Problem, plan: Plan, translation: Translation, record: Record
    ) -> None:
        self.problem, self.plan = problem, plan
        self.translation, self.record = translation, record
        self.seconds = record.seconds - record.warm_up_seconds
        self.counts = np.zeros(len(translation.prices), dtype=np.int64)
        for taken in record.classes:
            self.counts += np.bincount(taken, minlength=self.counts.size)
        self.per_second = float(self.counts.sum()) / self.seconds if self.seconds > 0 else math.nan
        kept = plan.kept(problem)
        self.on = tuple(device for device in problem.devices if kept[device.name])

    def replicas(self, device: Device) -> int:
        return self.plan.replica_count(device)

    def devices(self) -> tuple[SimulatedLoad, ...]:
        """Return the load of every device."""
        occupied: dict[str, float] = defaultdict(float)
        for price, count in zip(self.translation.prices, self.counts.tolist(), strict=True):
            for name, seconds in price.occupied_seconds:
                occupied[name] += seconds * count
        return tuple(
            self._load(
                device.name,
                self.translation.devices.get(device.name),
                self.replicas(device),
                occupied[device.name],
            )
            for device in self.problem.devices
        )

    def links(self) -> tuple[SimulatedLoad, ...]:
        """Return the load of every link that carries bytes."""
        return tuple(
            self._load(link.name, self.translation.links.get((link.source, link.target)), 1, 0.0)
            for link in self.problem.links
        )

    def _load(
        self, name: str, queue: int | None, replicas: int, occupied_seconds: float
    ) -> SimulatedLoad:
        busy, offered, jobs, wait = occupied_seconds, 0.0, 0, None
        if queue is not None:
            seen, system = self.record.queues[queue], self.translation.system
            servers = system.queues[queue].servers
            busy += seen.busy_seconds
            offered = system.offered[queue] * (servers or 1) / replicas
            jobs = seen.jobs
            if servers is not None and jobs:
                wait = seen.wait_seconds / jobs
                # What is left where nobody waits comes of rounding the time of day.
                wait = 0.0 if wait < self.record.seconds * 2**-50 else wait
        share = busy / self.seconds / replicas if self.seconds > 0 else math.nan
        return SimulatedLoad(
            name=name,
            replicas=replicas,
            jobs=jobs,
            utilisation=share,
            offered=offered,
            mean_wait_seconds=wait,
        )

    def streams(self) -> Iterator[SimulatedStream]:
        """Yield what the requests of each stream found."""
        system = self.translation.system
        unstable = {
            index
            for index, (queue, offered) in enumerate(
                zip(system.queues, system.offered, strict=True)
            )
            if queue.servers is not None and offered >= 1
        }
        idle_joules, idle_dollars = self._idle()
        for number, stream in enumerate(self.problem.streams):
            values = self.record.latencies[number]
            sample = Sample(values)
            classes = [i for i, each in enumerate(system.classes) if each.source == number]
            # A stream with one route is spared the copy.
            parts = {
                index: values if len(classes) == 1 else values[self.record.classes[number] == index]
                for index in classes
            }
            energy = cost = math.nan
            if values.size:
                priced = [
                    (part.size / values.size, *self._price(stream, index, part))
                    for index, part in parts.items()
                    if part.size
                ]
                energy = math.fsum(share * joules for share, joules, _ in priced) + idle_joules
                cost = math.fsum(share * dollars for share, _, dollars in priced) + idle_dollars
            limit = _slo_seconds(stream)
            yield SimulatedStream(
                name=stream.name,
                arrivals=system.sources[number].arrivals.text,
                rate_per_second=system.sources[number].true_rate_per_second,
                requests=values.size,
                mean=sample.mean,
                percentiles=tuple(sample.percentile(p) for p in PERCENTILES),
                slo_seconds=limit,
                slo=None if limit is None else sample.within(limit * IN_TIME),
                energy_joules=energy,
                cost_dollars=cost,
                routes=tuple(
                    _route(stream, sample if len(classes) == 1 else Sample(part))
                    for part in parts.values()
                ),
                stable=not any(
                    visit.queue in unstable
                    for index in classes
                    for visit in system.classes[index].visits
                ),
            )

    def _idle(self) -> tuple[float, float]:
        """Return joules and dollars per request of devices that are on, whoever uses them."""
        joules = dollars = 0.0
        for device in self.on:
            dollars += self.replicas(device) * device.dollars_per_hour / 3600
            if device.charge_idle:
                watts = self.replicas(device) * device.idle_watts
                joules += watts
                dollars += watts * device.dollars_per_joule
        return joules / self.per_second, dollars / self.per_second

    def _price(self, stream: Stream, index: int, latencies: Floats) -> tuple[float, float]:
        """Return joules and dollars per request of a route, from its simulated times.

        A stage's joules and dollars go with its time, those of transfers with their bytes.
        """
        price = self.translation.prices[index]
        visits = self.translation.system.classes[index].visits
        work = self.record.work_seconds[index]
        joules: dict[str, float] = defaultdict(float)
        dollars = 0.0
        at_origin = 0.0
        for stage, visit in zip(price.stages, self.translation.stage_visits[index], strict=True):
            mean = visits[visit].mean_seconds
            ratio = work[visit] / mean if mean > 0 and math.isfinite(work[visit]) else 1.0
            joules[stage.device] += stage.joules * ratio
            dollars += stage.dollars * ratio
            dollars += self.problem.device[stage.device].dollars_per_request
            if stage.device == stream.origin:
                at_origin += mean * ratio
        for transfer in price.transfers:
            link = self.problem.link[transfer.source, transfer.target]
            joules[link.source] += transfer.bytes * link.send_joules_per_byte
            joules[link.target] += transfer.bytes * link.receive_joules_per_byte
            dollars += transfer.bytes * link.dollars_per_byte
        origin = self.problem.device[stream.origin]
        if stream.waits and not origin.charge_idle:
            joules[origin.name] += origin.idle_watts * (float(latencies.mean()) - at_origin)
        dollars += math.fsum(
            used * self.problem.device[name].dollars_per_joule for name, used in joules.items()
        )
        return math.fsum(joules.values()), dollars


def _route(stream: Stream, sample: Sample) -> SimulatedRoute:
    return SimulatedRoute(
        requests=sample.seconds.size,
        mean=sample.mean,
        percentiles=tuple(sample.percentile(p) for p in PERCENTILES),
        deadlines=tuple(
            SimulatedDeadline(
                statistic=tail.statistic,
                probability=tail.probability,
                limit_seconds=tail.seconds,
                attainment=sample.within(tail.seconds * IN_TIME),
            )
            for tail in stream.tail_deadlines
        ),
    )


def _slo_seconds(stream: Stream) -> float | None:
    """Return the limit that a stream's attainment is about."""
    if math.isfinite(stream.deadline_seconds):
        return stream.deadline_seconds
    return min((tail.seconds for tail in stream.tail_deadlines), default=None)


def _engine(system: System) -> Engine:
    cyclic = [system.is_cyclic(block) for block in system.blocks]
    if not any(cyclic):
        return "vectorised"
    return "events" if all(cyclic) else "vectorised and events"


def _notes(
    problem: Problem,
    translation: Translation,
    record: Record,
    loads: tuple[tuple[SimulatedLoad, ...], ...],
    streams: tuple[SimulatedStream, ...],
) -> Iterator[str]:
    """Yield what must be known to read the numbers."""
    if record.interrupted:
        yield f"stopped after {sum(record.requests)} requests"
    if problem.waiting == "none":
        yield (
            "the problem has waiting: none, so nobody queues here either: latencies vary with "
            "the times of service only"
        )
    for kind, group in zip(("device", "link"), loads, strict=True):
        for load in group:
            if not load.stable:
                yield _unstable(kind, load)
    unstable = [stream.name for stream in streams if not stream.stable]
    if unstable:
        yield (
            f"latencies of {', '.join(name[:40] for name in unstable[:12])} grow with the number "
            "of requests simulated: they say nothing about a long run"
        )
    system = translation.system
    for source, count in zip(system.sources, record.requests, strict=True):
        trace = source.arrivals
        if isinstance(trace, Trace):
            if count > trace.times.size:
                yield (
                    f"the trace of '{source.name[:40]}' has {trace.times.size} arrivals and was "
                    f"repeated to make {count}"
                )
            own, asked = trace.own_rate_per_second, source.rate_per_second
            if not trace.scaled and not math.isclose(own, asked, rel_tol=0.05):
                yield (
                    f"the trace of '{source.name[:40]}' has {own:.4g} requests per second, the "
                    f"stream {asked:.4g}: predictions are for the stream's"
                )
        if (
            isinstance(trace, Mmpp)
            and trace.ratio > 1
            and trace.excess(source.rate_per_second) < POISSON_EXCESS
        ):
            yield (
                f"the bursts of '{source.name[:40]}' are so short that its requests arrive as if "
                "there were none: they are simulated as Poisson"
            )
    other = [
        source.name
        for source, stream in zip(system.sources, problem.streams, strict=True)
        if source.arrivals != Renewal(cv2=min(stream.arrival_cv2, MOST_CV2))
        or stream.arrival_cv2 > MOST_CV2
    ]
    if other:
        yield (
            f"requests of {', '.join(name[:40] for name in other[:12])} arrive otherwise than the "
            "problem says: predictions, exact and safe ones too, are for the problem's arrivals"
        )
    yield from _too_short(system, record)
    missing = [stream.name for stream in streams if not stream.requests]
    if missing:
        yield (
            f"no request of {', '.join(name[:40] for name in missing[:12])} was counted: latency, "
            "energy and cost of all streams together are without it"
        )
    few = [
        stream.name for stream in streams if stream.requests and stream.mean.standard_error is None
    ]
    if few:
        yield (
            f"too few requests of {', '.join(name[:40] for name in few[:12])} to say how sure "
            "the numbers are"
        )


def _unstable(kind: str, load: SimulatedLoad) -> str:
    needed = math.floor(load.offered * load.replicas) + 1
    more = f"{needed} replicas or " if kind == "device" else ""
    return (
        f"{kind} '{load.name[:80]}' is unstable: {load.offered * load.replicas:.3g} s of work "
        f"arrive per second for {load.replicas}; it needs {more}more than "
        f"{100 * (1 - 1 / load.offered):.2g} % less work"
    )


def _too_short(system: System, record: Record) -> Iterator[str]:
    """Yield a warning where a queue remembers for longer than a batch of the batch means lasts.

    In heavy traffic a queue forgets in about 2 Q / (1 − ρ)², with Q = λ E[S²] (M/M/1:
    4 / (μ (1 − ρ)²), the relaxation time of Cohen, The Single Server Queue, at ρ near 1).
    """
    second = [0.0] * len(system.queues)
    for each in system.classes:
        source = system.sources[each.source]
        jobs = source.true_rate_per_second * each.fraction / each.batch
        for visit in each.visits:
            if visit.queue is not None:
                second[visit.queue] += jobs * visit.mean_seconds**2 * (1 + visit.cv2)
    batch = (record.seconds - record.warm_up_seconds) / BATCHES
    worst: tuple[float, str, float] | None = None
    for queue, load, moment in zip(system.queues, system.offered, second, strict=True):
        if queue.servers is None or not 0 < load < 1:
            continue
        memory = 2 * moment / queue.servers / (1 - load) ** 2
        if FORGETS * memory > batch > 0 and (worst is None or memory > worst[0]):
            worst = memory, queue.name, load
    if worst is not None:
        memory, name, load = worst
        needed = FORGETS * memory * BATCHES / (1 - WARM_UP) * system.rate_per_second
        yield (
            f"the run is short for a load of {load:.3g} at '{name[:80]}': half-widths may be too "
            f"small; {math.ceil(1.1 * needed / 1000) * 1000} requests would do"
        )
