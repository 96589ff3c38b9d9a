"""What an open loop is made of: arrivals, the generator, figures, the worker's station."""

from __future__ import annotations

import itertools
import math
import socket
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from edgeplan.execution import station as station_module
from edgeplan.execution.arrivals import Arrival, arrivals, at_rate
from edgeplan.execution.generator import Generator, Lag
from edgeplan.execution.open_report import BATCHES, Latencies
from edgeplan.execution.open_tally import slo_seconds
from edgeplan.execution.protocol import Channel, Frame, ProtocolError, TensorSpec
from edgeplan.execution.schedule import Compute, Schedule
from edgeplan.execution.station import Station
from edgeplan.model.errors import ExecutionError, InputError
from edgeplan.model.network import Layer, LayerCosts, Network
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Device, Problem, Stream, TailDeadline

COUNT = 40_000


def problem(*streams: Stream) -> Problem:
    network = Network("n", (Layer(name="l"),), (), dict.fromkeys("ab", LayerCosts(seconds=(0.1,))))
    devices = tuple(Device(name=name) for name in "ab")
    return Problem(networks=(network,), devices=devices, streams=streams)


def stream(name: str = "s", rate: float = 5.0, **fields: object) -> Stream:
    return Stream(
        **{"name": name, "network": "n", "origin": "a", "rate_per_second": rate, **fields}
    )


def whole(instance: Problem) -> Plan:
    return Plan(routes={each.name: (Route(devices=("a",)),) for each in instance.streams})


def drawn(instance: Problem, plan: Plan, seed: int = 1, count: int = COUNT) -> list[Arrival]:
    return list(itertools.islice(arrivals(instance, plan, seed), count))


@pytest.mark.parametrize("cv2", [0.25, 1.0, 4.0])
def test_gaps_have_the_streams_rate_and_spread(cv2: float) -> None:
    instance = problem(stream(arrival_cv2=cv2))
    gaps = np.diff([item.seconds for item in drawn(instance, whole(instance))])
    # Standard error of the mean: about sqrt(cv2 / count) of it, 1 % for 4.
    assert np.mean(gaps) == pytest.approx(0.2, rel=0.05)
    assert np.var(gaps) / np.mean(gaps) ** 2 == pytest.approx(cv2, rel=0.15)
    independent = np.corrcoef(gaps[:-1], gaps[1:])[0, 1]
    assert abs(independent) < 5 / math.sqrt(COUNT)


def test_a_clock_ticks_and_does_not_begin_at_zero() -> None:
    instance = problem(stream(arrival_cv2=0.0))
    times = [item.seconds for item in drawn(instance, whole(instance), count=100)]
    assert np.diff(times) == pytest.approx(0.2)
    assert 0 < times[0] < 0.2
    assert times[0] != drawn(instance, whole(instance), seed=2, count=1)[0].seconds


def test_streams_are_merged_in_order_and_each_keeps_its_own_draws() -> None:
    one, two = stream("one", 5.0), stream("two", 15.0)
    both = problem(one, two)
    found = drawn(both, whole(both))
    assert [item.seconds for item in found] == sorted(item.seconds for item in found)
    assert sum(item.stream for item in found) / COUNT == pytest.approx(0.75, abs=0.01)
    alone = problem(one)
    mine = [item for item in found if item.stream == 0]
    assert mine == drawn(alone, whole(alone), count=len(mine))
    assert found == drawn(both, whole(both))
    assert found != drawn(both, whole(both), seed=2)


def test_routes_are_independent_coin_flips() -> None:
    instance = problem(stream(splittable=True))
    routes = (Route(devices=("a",), fraction=0.3), Route(devices=("b",), fraction=0.7))
    taken = np.array([item.route for item in drawn(instance, Plan(routes={"s": routes}))])
    assert np.mean(taken) == pytest.approx(0.7, abs=0.012)
    assert abs(np.corrcoef(taken[:-1], taken[1:])[0, 1]) < 5 / math.sqrt(COUNT)


def test_a_total_rate_keeps_the_streams_proportions() -> None:
    instance = problem(stream("one", 1.0), stream("two", 3.0))
    assert at_rate(instance, None) is instance
    assert [each.rate_per_second for each in at_rate(instance, 20.0).streams] == [5.0, 15.0]
    with pytest.raises(InputError, match="rate_per_second"):
        at_rate(instance, -1.0)


class Clock:
    """A clock that runs only while somebody sleeps or works."""

    def __init__(self) -> None:
        self.ns = 0

    def now(self) -> int:
        return self.ns

    def sleep(self, seconds: float) -> None:
        self.ns += max(1, round(seconds * 1e9))


def sent_late(work_seconds: float, gap_seconds: float = 0.01, count: int = 100) -> list[float]:
    """Return how late a generator is whose sends take some time."""
    clock = Clock()
    coming = (Arrival((n + 1) * gap_seconds, 0, 0) for n in range(count))
    generator = Generator(
        arrivals=coming,
        send=lambda number, arrival: clock.sleep(work_seconds),
        start_ns=0,
        clock_ns=clock.now,
        sleep=clock.sleep,
    )
    generator.run()
    assert [item.due_ns for item in generator.sent] == [
        int((n + 1) * gap_seconds * 1e9) for n in range(count)
    ]
    return [(item.sent_ns - item.due_ns) * 1e-9 for item in generator.sent]


def test_a_generator_that_keeps_up_is_not_late() -> None:
    late = sent_late(work_seconds=0.002)
    assert max(late) < 1e-6
    assert not Lag.of(late, 0.05).fell_behind


def test_a_generator_that_falls_behind_is_found_out() -> None:
    late = sent_late(work_seconds=0.015)
    # Each request comes 5 ms later than the one before.
    assert late == pytest.approx([0.005 * n for n in range(100)], abs=1e-6)
    lag = Lag.of(late, 0.4)
    assert lag.fell_behind
    assert lag.share == pytest.approx(0.2475 / 0.4, rel=1e-3)
    assert lag.max_seconds == pytest.approx(0.495, rel=1e-3)
    assert lag.as_json()["fell_behind"] is True


def test_a_generator_stops_and_keeps_its_error() -> None:
    def fail(number: int, arrival: Arrival) -> None:
        raise ExecutionError("gone")

    generator = Generator(arrivals=iter([Arrival(0.0, 0, 0)]), send=fail, start_ns=0)
    with generator:
        assert generator._thread is not None
        generator._thread.join(10)
    assert isinstance(generator.error, ExecutionError)
    never = Generator(arrivals=iter([Arrival(1e9, 0, 0)]), send=fail, start_ns=0)
    with never:
        pass  # it ends although the request is years away
    assert never.sent == []


def test_latencies_have_batch_errors_and_attainment() -> None:
    # Batches of equal requests: the mean's error comes from their spread alone.
    values = np.repeat(np.arange(1.0, BATCHES + 1), BATCHES)
    found = Latencies.of(values.tolist(), limit_seconds=5.0)
    assert found.batches == BATCHES
    assert found.mean_seconds == (BATCHES + 1) / 2
    spread = np.std(np.arange(1.0, BATCHES + 1), ddof=1) / math.sqrt(BATCHES)
    assert found.standard_error == pytest.approx(spread)
    assert found.slo_attainment == 5 / BATCHES
    assert "seconds" not in found.as_json()
    few = Latencies.of([1.0, 2.0, 3.0])
    assert few.standard_error is None
    assert few.slo_attainment is None
    assert (few.p50, few.batches) == (2.0, 0)


def test_what_counts_as_in_time() -> None:
    tails = (TailDeadline(probability=0.95, seconds=3.0), TailDeadline(probability=0.9, seconds=2))
    assert slo_seconds(stream(deadline_seconds=1.0, tail_deadlines=tails)) == 1.0
    assert slo_seconds(stream(tail_deadlines=tails)) == 2.0
    assert slo_seconds(stream()) == math.inf


SPEC = TensorSpec("x", "float32", (2,))
SCHEDULE = Schedule(
    number=7,
    origin="a",
    steps=(Compute(device="a", part="p", inputs=("x",), outputs=("y",)),),
    specs={"x": SPEC, "y": TensorSpec("y", "float32", (2,))},
)
Served = tuple[Station, Channel, list[BaseException]]


@pytest.fixture
def served() -> Iterator[Served]:
    """A station whose stage doubles x, the controller's end of its connection, its errors."""
    near, far = socket.socketpair()
    control, errors = Channel(near), []
    there = Channel(far)
    station = Station(
        "a",
        there,
        channel_to=lambda device: pytest.fail("nobody else takes part"),
        perform=lambda step, held, specs: ({"y": 2 * held["x"]}, 5),
        now_ns=itertools.count(1).__next__,
        report=errors.append,
    )
    route = {"route": 7, "stock": "x", "keep": ["y"]}
    station.expect(Frame({"routes": [route], "pool": 2, "keep_every": 2}, 0), {7: SCHEDULE})
    yield station, control, errors
    station.close()
    control.close()
    there.close()


def stock(served: Served, index: int, value: float) -> None:
    station, control, _ = served
    header = {"kind": "stock", "route": 7, "stock": "x", "index": index, "names": ["x"]}
    control.send(header, [(SPEC, np.full(2, value, np.float32))])
    station.stock(station._control.receive(5.0))


def test_a_station_serves_in_order_and_keeps_what_is_to_be_compared(served: Served) -> None:
    station, control, errors = served
    stock(served, 0, 10.0)
    stock(served, 1, 20.0)
    for number in range(4):
        station.arrive(Frame({"kind": "arrive", "route": 7, "request": number}, 0))
    assert [control.receive(5.0).integer("request") for _ in range(4)] == [0, 1, 2, 3]
    station.send_records()
    frame = control.receive(5.0)
    assert frame.integer("rows") == 4
    table = control.receive_tensors(frame, [station_module.records_spec(4)])["records"]
    request, step, ready, start, end, cpu = table.T
    assert list(request) == [0, 1, 2, 3]
    assert set(step) == {0}
    assert set(cpu) == {5}
    # One at a time: nobody begins before the one before has ended, nor before being ready.
    assert all(ready < start)
    assert all(start < end)
    assert all(start[1:] > end[:-1])
    for number, expected in ((0, 20.0), (2, 20.0)):
        station.collect(Frame({"route": 7, "request": number, "names": ["y"]}, 0))
        frame = control.receive(5.0)
        found = control.receive_tensors(frame, [SCHEDULE.specs["y"]])
        assert list(found["y"]) == [expected, expected]
    with pytest.raises(ExecutionError, match="'y' is not here"):
        station.collect(Frame({"route": 7, "request": 1, "names": ["y"]}, 0))
    assert errors == []


@pytest.mark.parametrize(
    "call",
    [
        lambda station: station.arrive(Frame({"route": 8, "request": 0}, 0)),
        lambda station: station.word(Frame({"route": 8, "request": 0, "step": 0}, 0)),
        lambda station: station.stock(Frame({"route": 8, "names": []}, 0)),
        lambda station: station.stock(Frame({"route": 7, "names": ["z"]}, 0)),
        lambda station: station.collect(Frame({"route": 8, "request": 0, "names": []}, 0)),
        lambda station: station.moved(station._control, "b", Frame(
            {"route": 7, "request": 0, "step": 0}, 0)),
        lambda station: station.expect(Frame({"routes": [{"route": 9}]}, 0), {7: SCHEDULE}),
        lambda station: station.expect(Frame({"routes": [5]}, 0), {7: SCHEDULE}),
        lambda station: station.expect(
            Frame({"routes": [{"route": 7, "keep": ["z"], "stock": "x"}]}, 0), {7: SCHEDULE}),
    ],
)  # fmt: skip
def test_a_station_refuses_what_the_plan_does_not_say(
    call: Callable[[Station], object], served: Served
) -> None:
    with pytest.raises(ProtocolError):
        call(served[0])


def test_a_station_holds_no_more_than_it_may(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = served[2]
    monkeypatch.setattr(station_module, "HELD_LIMIT_BYTES", 12)
    stock(served, 0, 1.0)
    with pytest.raises(ExecutionError, match="more than 12 bytes"):
        stock(served, 1, 1.0)
    assert errors == []
