"""Each kind of line against the plainest loop that one would write."""

from __future__ import annotations

import numpy as np
import pytest

from edgeplan.simulation.queues import Line, RandomLines, SharedLine, SingleLine, line
from edgeplan.simulation.system import Queue


def plain(at: np.ndarray, work: np.ndarray, servers: np.ndarray | None, count: int) -> np.ndarray:
    """Departures, one job after the other."""
    free = [0.0] * count
    ends = []
    for index, (arrival, service) in enumerate(zip(at, work, strict=True)):
        server = int(np.argmin(free)) if servers is None else int(servers[index])
        free[server] = max(arrival, free[server]) + service
        ends.append(free[server])
    return np.array(ends)


@pytest.mark.parametrize(
    ("make", "count", "coins"),
    [
        (SingleLine, 1, False),
        (lambda: RandomLines(4), 4, True),
        (lambda: SharedLine(4), 4, False),
        (lambda: SharedLine(1), 1, False),
    ],
)
def test_lines_in_several_calls(make, count: int, coins: bool) -> None:
    generator = np.random.default_rng(8)
    at = np.cumsum(generator.exponential(1.0, 2000))
    work = generator.exponential(0.95 * count, 2000)
    servers = generator.integers(count, size=2000) if coins else None
    of: Line = make()
    starts, ends = [], []
    for part in np.array_split(np.arange(2000), [1, 2, 700, 701, 1500]):
        begun, done = of.serve(at[part], work[part], None if servers is None else servers[part])
        starts.append(begun)
        ends.append(done)
    expected = plain(at, work, servers, count)
    np.testing.assert_allclose(np.concatenate(ends), expected, rtol=1e-12)
    np.testing.assert_allclose(np.concatenate(starts), expected - work, rtol=1e-9, atol=1e-9)
    assert np.all(np.concatenate(starts) >= at)


def test_no_jobs_are_no_trouble() -> None:
    nothing = np.empty(0)
    for of in (SingleLine(), RandomLines(3), SharedLine(3)):
        starts, ends = of.serve(nothing, nothing, np.empty(0, dtype=np.int64))
        assert starts.size == ends.size == 0


def test_the_line_of_a_queue() -> None:
    assert isinstance(line(Queue(name="q", servers=1, dispatch="shared")), SingleLine)
    assert isinstance(line(Queue(name="q", servers=2, dispatch="shared")), SharedLine)
    assert isinstance(line(Queue(name="q", servers=2, dispatch="random")), RandomLines)
