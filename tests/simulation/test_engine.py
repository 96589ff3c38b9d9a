"""The engine against simpy with the same draws, against itself, and its bookkeeping."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.simpy_engine import run_recorded, simpy_latencies
from edgeplan.model.errors import InputError
from edgeplan.simulation.arrivals import Mmpp, Renewal
from edgeplan.simulation.engine import run
from edgeplan.simulation.system import JobClass, Queue, Source, System, Visit
from tests.simulation.systems import line, loops, mixed, single

SYSTEMS = {
    "one server": single(0.9),
    "constant": single(0.95, cv2=0.0),
    "three random": single(2.7, servers=3),
    "three shared": single(2.8, servers=3, dispatch="shared"),
    "bursts": single(0.8, arrivals=Renewal(cv2=5.0)),
    "mmpp": single(0.7, arrivals=Mmpp(ratio=5.0, burst_seconds=20.0, share=0.2)),
    "batches": single(3.0, batch=4),
    "tandem": line(0.9, (1.0, 1.0), (0.9, 0.0), (1.0, 1.0)),
    "mixed": mixed(),
    "revisit": line(0.45, (1.0, 1.0), (1.0, 1.0), queues=(0, 0)),
    "loops": loops(),
    "unstable": line(1.2, (1.0, 1.0), (1.0, 1.0)),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_same_departures_as_simpy(name: str) -> None:
    system = SYSTEMS[name]
    record, drawn = run_recorded(system, 3000, seed=5, warm_up=0.0, chunk=700)
    expected, waits = simpy_latencies(system, drawn)
    for ours, theirs in zip(record.latencies, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)
    # simpy's waits have those of jobs that came after the last request too.
    for queue, seen, wait in zip(system.queues, record.queues, waits, strict=True):
        if queue.servers is not None and seen.jobs:
            assert seen.wait_seconds / seen.jobs == pytest.approx(wait, rel=0.05, abs=0.02)


@pytest.mark.parametrize("name", ["mixed", "loops", "three shared", "batches", "mmpp"])
def test_the_size_of_the_chunks_changes_nothing(name: str) -> None:
    whole = run(SYSTEMS[name], 4000, seed=2)
    parts = run(SYSTEMS[name], 4000, seed=2, chunk=90)
    for one, other in zip(whole.latencies, parts.latencies, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)
    for one, other in zip(whole.classes, parts.classes, strict=True):
        np.testing.assert_array_equal(one, other)
    for mine, yours in zip(whole.queues, parts.queues, strict=True):
        assert mine.jobs == yours.jobs
        assert mine.wait_seconds == pytest.approx(yours.wait_seconds, rel=1e-9, abs=1e-9)
        assert mine.busy_seconds == pytest.approx(yours.busy_seconds, rel=1e-9)
    for one_class, other_class in zip(whole.work_seconds, parts.work_seconds, strict=True):
        assert one_class == pytest.approx(other_class)


@pytest.mark.parametrize("name", ["mixed", "tandem", "three shared", "three random"])
def test_events_and_arrays_agree(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = run(SYSTEMS[name], 4000, seed=3)
    monkeypatch.setattr(System, "is_cyclic", lambda self, block: True)
    events = run(SYSTEMS[name], 4000, seed=3)
    for one, other in zip(arrays.latencies, events.latencies, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)
    for mine, yours in zip(arrays.queues, events.queues, strict=True):
        assert mine.jobs == yours.jobs
        assert mine.busy_seconds == pytest.approx(yours.busy_seconds, rel=1e-9)


def test_blocks_are_passed_in_their_order() -> None:
    system = loops()
    blocks = system.blocks
    assert sorted(queue for block in blocks for queue in block) == [0, 1, 2, 3, 5]
    assert (0, 1, 2) in blocks
    assert [system.is_cyclic(block) for block in blocks] == [len(b) > 1 for b in blocks]
    assert blocks.index((3,)) < blocks.index((0, 1, 2)) < blocks.index((5,))
    assert system.is_cyclic((0,))


def test_exactly_the_requests_asked_for() -> None:
    for requests in (1, 7, 1000, 12_345):
        assert sum(run(mixed(), requests, chunk=1000).requests) == requests


def test_the_same_seed_is_the_same_run_and_another_is_not() -> None:
    first, again, other = (run(single(0.7), 500, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.latencies[0], again.latencies[0])
    assert first.latencies[0].mean() != other.latencies[0].mean()


def test_batches_that_are_not_full_are_left_out() -> None:
    record = run(single(1.0, batch=4), 4 * 250 + 3, warm_up=0.0)
    assert record.requests == (1003,)
    assert record.latencies[0].size == 1000
    assert np.isfinite(record.latencies[0]).all()


def test_busy_time_is_cut_at_both_ends() -> None:
    # At twice the load a server is busy all the time that is counted, and not more.
    record = run(single(2.0, cv2=0.0), 20_000, chunk=500)
    assert record.queues[0].busy_seconds == pytest.approx(record.seconds - record.warm_up_seconds)


def test_stopping_early_keeps_what_there_is() -> None:
    calls = []

    def stop() -> bool:
        calls.append(1)
        return len(calls) > 3

    record = run(single(0.5), 100_000, chunk=1000, stop=stop)
    assert record.interrupted
    assert 2000 < record.requests[0] < 4000
    assert record.latencies[0].size == 0  # all of it within the warm-up of the run asked for


def test_progress_is_told() -> None:
    seen: list[tuple[int, int]] = []
    run(single(0.5), 5000, chunk=1000, on_progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (0, 5000)
    assert seen[-1] == (5000, 5000)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_malformed_system_is_refused_with_every_fault() -> None:
    with pytest.raises(InputError) as caught:
        System(
            sources=(Source(name="s", rate_per_second=-1.0),),
            classes=(
                JobClass(
                    source=0,
                    fraction=0.5,
                    batch=0,
                    visits=(Visit(queue=3, mean_seconds=-1.0, cv2=float("nan")),),
                ),
            ),
            queues=(Queue(name="q", servers=0),),
        )
    assert len(caught.value.faults) == 7
