"""The table of spans: what is run, what is joined, what is said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeplan.profiling.samples import Samples, Samplings
from edgeplan.profiling.tables import MOST_SPANS, detail, joules, timings, wanted, whole


def runs(seconds: float, energy: float | None = None) -> Samples:
    return Samples(
        wall=[seconds] * 3,
        cpu=[seconds] * 3,
        joules=None if energy is None else 3 * energy,
        days={"2026-01-01"},
    )


@given(st.integers(1, 40))
def test_layers_heads_and_tails_are_always_run(count: int) -> None:
    spans = wanted(count)
    total = count * (count + 1) // 2
    assert len(set(spans)) == len(spans)
    ends = {(layer, layer + 1) for layer in range(count)}
    ends |= {(0, stop) for stop in range(1, count + 1)}
    ends |= {(first, count) for first in range(count)}
    assert ends <= set(spans)
    assert len(spans) == (total if total <= MOST_SPANS else len(ends))


@given(
    st.lists(st.floats(1e-4, 1.0), min_size=2, max_size=8),
    st.floats(0.0, 1e-4),
)
def test_times_that_add_up_are_restored_by_joining(layers: list[float], extra: float) -> None:
    """Where a span is its layers plus one boundary, what was not run is found exactly."""
    count = len(layers)

    def true(first: int, stop: int) -> float:
        return sum(layers[first:stop]) + extra

    ends = [
        span for span in wanted(count) if span[1] - span[0] == 1 or 0 in span or span[1] == count
    ]
    table, boundary = timings({span: runs(true(*span)) for span in ends}, count)
    assert boundary == pytest.approx(extra, abs=1e-12)
    for first, row in enumerate(table):
        for entry, value in enumerate(row):
            stop = first + entry + 1
            assert value.mean_seconds == pytest.approx(true(first, stop), rel=1e-9)
            assert value.basis == ("measured" if (first, stop) in ends else "interpolated")


def test_energies_are_per_run_and_joined_where_not_run() -> None:
    spans = {span: runs(1.0, 2.0) for span in wanted(4) if span != (1, 3)}
    assert joules(spans, 4) == (
        (2.0, 2.0, 2.0, 2.0),
        (2.0, 4.0, 2.0),
        (2.0, 2.0),
        (2.0,),
    )
    spans[0, 1] = runs(1.0)
    assert joules(spans, 4) is None


def test_the_unsplit_file_is_taken_over_all_sittings_and_their_drift_is_said() -> None:
    found = Samplings(
        spans={(0, 1): runs(1.0)}, whole={"a": runs(1.0), "b": runs(1.25)}, disturbed=4
    )
    assert whole(found.whole).mean_seconds == pytest.approx(1.125)
    assert whole(found.whole).runs == 6
    said = detail(found, [(0, 1)], 1, warmup=2, rapl=False)
    assert "2 sittings, whose medians differ by up to 25.0%" in said
    assert "4 more runs left out" in said
    assert "1 of 1 spans run 3 to 3 times" in said
