"""Profiles with batch sizes: written and read back, checked, and carried to other devices."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeplan.instances.profiles import read_profile, write_profile
from edgeplan.instances.schema import schema
from edgeplan.model.errors import InputError
from edgeplan.model.profile import BatchTimes, RefusedBatch, Timing
from edgeplan.profiling.predict import predict
from tests.profiling.test_profiling_predict import REFERENCE, device, sample, timing

SECONDS = st.floats(0, 1e6, allow_nan=False)
TIMINGS = st.builds(
    Timing,
    mean_seconds=SECONDS,
    median_seconds=SECONDS,
    mad_seconds=SECONDS,
    cv2=SECONDS,
    cpu_seconds=SECONDS,
    runs=st.integers(0, 10**6),
    basis=st.sampled_from(["measured", "interpolated", "predicted"]),
)


def tables(entries: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return tables for the sample's three layers."""
    return st.tuples(*(st.tuples(*[entries] * length) for length in (3, 2, 1)))


def batch(requests: int, scale: float = 1.0) -> BatchTimes:
    """Return a batch size of the sample profile, its times those of the single requests scaled."""
    profile = sample()
    return BatchTimes(
        requests=requests,
        whole=timing(scale * profile.whole.mean_seconds),
        spans=tuple(
            tuple(timing(scale * entry.mean_seconds) for entry in row) for row in profile.spans
        ),
        boundary_seconds=profile.boundary_seconds,
        joules=None,
        detail="",
    )


@st.composite
def profiles(draw: st.DrawFn) -> Any:
    sizes = draw(st.lists(st.integers(2, 10**6), unique=True, max_size=3).map(sorted))
    batches = tuple(
        BatchTimes(
            requests=requests,
            whole=draw(TIMINGS),
            spans=draw(tables(TIMINGS)),
            boundary_seconds=draw(SECONDS),
            joules=draw(st.none() | tables(SECONDS)),
            detail=draw(st.text(max_size=20)),
        )
        for requests in sizes
    )
    refused = draw(
        st.lists(
            st.builds(RefusedBatch, requests=st.integers(2, 99), reason=st.text(max_size=20)),
            max_size=2,
        )
    )
    return replace(sample(), batches=batches, refused_batches=tuple(refused))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(profiles())
def test_what_is_written_is_read_back(tmp_path: Path, profile: Any) -> None:
    path = tmp_path / "profile.json"
    write_profile(profile, path)
    assert read_profile(path) == profile
    assert read_profile(path).costs().batches.keys() == {b.requests for b in profile.batches}


def test_a_file_without_batches_is_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    write_profile(sample(), path)
    tree = json.loads(path.read_text())
    assert not {"batches", "refused_batches"} & tree.keys()
    assert read_profile(path) == sample()


def test_the_schema_takes_files_with_batches(tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    write_profile(replace(sample(), batches=(batch(2),)), path)
    tree = json.loads(path.read_text())
    jsonschema.validate(tree, schema("profile"))
    tree["batches"][0]["size"] = 2
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tree, schema("profile"))


def one(tree: dict[str, Any], **changes: object) -> None:
    tree["batches"][1].update(changes)


FAULTS: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "one request": (
        lambda tree: tree["batches"][0].update(requests=1),
        "batches[0].requests: a batch has 2 requests or more",
    ),
    "twice": (lambda tree: one(tree, requests=2), "batches: must ascend"),
    "short table": (
        lambda tree: tree["batches"][1]["spans"].pop(),
        "batches[1].spans: needs rows of 3, 2, … 1 entries",
    ),
    "negative": (
        lambda tree: tree["batches"][1]["spans"][0][1].update(mean_seconds=-1.0),
        "batches[1].spans: must be numbers, not negative",
    ),
    "negative median": (
        lambda tree: tree["batches"][1]["spans"][0][1].update(median_seconds=-1.0),
        "batches[1].spans[0][1].median_seconds: must not be negative",
    ),
    "negative whole": (
        lambda tree: tree["batches"][1]["whole"].update(cpu_seconds=-1.0),
        "batches[1].whole.cpu_seconds: must not be negative",
    ),
    "joules": (
        lambda tree: one(tree, joules=[[1.0]]),
        "batches[1].joules: needs rows of 3, 2, … 1 entries",
    ),
    "boundary": (
        lambda tree: one(tree, boundary_seconds=-1.0),
        "batches[1].boundary_seconds: must be a finite number",
    ),
    "unknown key": (lambda tree: one(tree, size=4), "batches[1].size: unknown key"),
    "text": (lambda tree: one(tree, requests="4"), "batches[1].requests: must be a whole number"),
    "refused": (
        lambda tree: tree.update(refused_batches=[{"requests": 1, "reason": ""}]),
        "refused_batches[0].requests: must be at least 2",
    ),
    "device with dots": (
        lambda tree: (tree.update(device="a.batches.9"), tree["spans"].pop()),
        "spans: needs rows of 3, 2, … 1 entries",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_have_their_place(name: str, tmp_path: Path) -> None:
    damage, says = FAULTS[name]
    path = tmp_path / "profile.json"
    write_profile(replace(sample(), batches=(batch(2), batch(4))), path)
    tree = json.loads(path.read_text())
    damage(tree)
    path.write_text(json.dumps(tree))
    with pytest.raises(InputError) as error:
        read_profile(path)
    assert says in str(error.value)


@pytest.mark.parametrize("overhead", [None, 0.0])
def test_the_calibrated_figures_give_jobs_back(overhead: float | None) -> None:
    profile = replace(sample(0.0), batches=(batch(2, 1.7), batch(8, 5.0)))
    found = predict(profile, device(5e10, 1e10, overhead), reference=REFERENCE)
    for there, here in zip(found.batches, profile.batches, strict=True):
        assert there.requests == here.requests
        for row, expected in zip(there.spans, here.spans, strict=True):
            assert [t.mean_seconds for t in row] == [t.mean_seconds for t in expected]
            assert {t.basis for t in row} == {"predicted"}


def test_a_job_moves_its_weights_once() -> None:
    # The last layer reads 4 MB of weights and does 2 Mflop for each request: bound by memory
    # alone, by arithmetic in a job of sixteen. A device ten times slower at arithmetic alone is
    # then ten times slower at the job, and hardly so at the single request.
    profile = replace(sample(0.0), batches=(batch(16, 10.0),))
    found = predict(profile, device(5e9, 1e10), reference=REFERENCE)
    last = profile.spans[2][0].mean_seconds
    assert found.spans[2][0].mean_seconds == pytest.approx(last, rel=0.01)
    assert found.batches[0].spans[2][0].mean_seconds == pytest.approx(10 * 10.0 * last, rel=0.01)


def test_refused_sizes_stay_with_a_prediction() -> None:
    refused = (RefusedBatch(requests=2, reason="it mixes them"),)
    found = predict(
        replace(sample(), refused_batches=refused), device(5e10, 1e10), reference=REFERENCE
    )
    assert found.refused_batches == refused
