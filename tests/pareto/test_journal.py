"""A search that is cut off at any moment goes on from its journal to the same front."""

import dataclasses
import itertools
import json
import os
import random
import signal
import struct
import subprocess
import sys
import textwrap
import time
import zlib
from pathlib import Path

import pytest

from edgeplan.model.errors import InputError
from edgeplan.pareto.engine import pareto
from edgeplan.pareto.journal import Journal, header, read_entries
from tests.pareto.assignments import assignment

NAMES = ("latency", "energy", "cost")
ROOT = Path(__file__).resolve().parents[2]


def ends(data):
    """Where each record ends."""
    found, at = [], 0
    while at < len(data):
        at += 8 + int.from_bytes(data[at : at + 4], "big")
        found.append(at)
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A problem, its front, and the journal of a finished search."""
    path = tmp_path_factory.mktemp("journal") / "journal.log"
    problem = assignment(4, 0)
    front = pareto(problem, NAMES, journal=path, solver="highs")
    assert front.exact
    return problem, front, path.read_bytes()


def resumed(problem, data, path, **options):
    path.write_bytes(data)
    return pareto(problem, NAMES, journal=path, **options)


def test_a_finished_journal_is_not_searched_again(whole, tmp_path):
    problem, front, data = whole
    path = tmp_path / "journal.log"
    again = resumed(problem, data, path, solver="highs")
    assert again.points == front.points
    assert again.exact
    assert again.mips == front.mips
    assert path.read_bytes() == data


def cuts(data):
    """Every length that ends in one of the last three records, or in the first."""
    marks = [0, *ends(data)]
    return [*range(marks[1] + 1), *range(marks[-4], len(data))]


def hold_cut(whole, tmp_path, length):
    problem, front, data = whole
    again = resumed(problem, data[:length], tmp_path / "journal.log")
    assert again.values == front.values, length
    assert again.exact


def test_a_torn_tail_is_cut_off(whole, tmp_path):
    data = whole[2]
    for length in random.Random(0).sample(cuts(data), 12):
        hold_cut(whole, tmp_path, length)


@pytest.mark.long
def test_every_torn_tail_is_cut_off(whole, tmp_path):
    for length in cuts(whole[2]):
        hold_cut(whole, tmp_path, length)


def test_a_broken_byte_ends_the_journal(whole, tmp_path):
    problem, front, data = whole
    for place in random.Random(1).sample(range(ends(data)[0], len(data)), 8):
        broken = data[:place] + bytes([data[place] ^ 0x20]) + data[place + 1 :]
        again = resumed(problem, broken, tmp_path / "journal.log")
        assert again.values == front.values, place


def test_what_a_limit_cut_off_goes_on(tmp_path):
    problem, path = assignment(5, 3), tmp_path / "journal.log"
    first = pareto(problem, NAMES, journal=path, points=5, solver="highs")
    assert not first.complete
    second = pareto(problem, NAMES, journal=path, solver="highs")
    assert second.exact
    assert second.mips > first.mips
    assert second.values == pareto(problem, NAMES).values
    assert set(first.values) <= set(second.values)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"problem": assignment(4, 1)}, "instance has changed"),
        ({"objectives": ("latency", "cost")}, "objectives was latency, energy, cost"),
        ({"resolution": (1.0, 1.0, 1.0)}, "resolution"),
    ],
)
def test_a_journal_of_something_else_is_refused(whole, tmp_path, other, said):
    problem, _, data = whole
    path = tmp_path / "journal.log"
    path.write_bytes(data)
    options = {"problem": problem, "objectives": NAMES, **other}
    with pytest.raises(InputError, match=said):
        pareto(options.pop("problem"), options.pop("objectives"), journal=path, **options)
    assert path.read_bytes() == data


def records(data):
    """The records' JSON."""
    marks = [0, *ends(data)]
    return [json.loads(data[a + 8 : b]) for a, b in itertools.pairwise(marks)]


def packed(trees):
    """A journal of records."""
    bodies = [json.dumps(tree).encode() for tree in trees]
    return b"".join(struct.pack(">II", len(b), zlib.crc32(b)) + b for b in bodies)


def test_a_search_that_goes_on_counts_its_time_on(whole, tmp_path):
    problem, _, data = whole
    trees = records(data)
    seconds = [tree["seconds"] for tree in trees[1:]]
    assert seconds == sorted(seconds)
    assert seconds[0] > 0
    half = len(trees) // 2
    trees[half]["seconds"] = 1000.0  # so long the first process is made to have taken
    path = tmp_path / "journal.log"
    resumed(problem, packed(trees[: half + 1]), path, solver="highs")
    times = [entry.seconds for entry in read_entries(path)]
    assert len(times) > half
    assert times[:half] == [*seconds[: half - 1], 1000.0]
    assert times[half:] == sorted(times[half:])
    assert 1000 < times[half] < 1000 + seconds[-1] + 60


def test_a_journal_without_times_goes_on_without(whole, tmp_path):
    problem, front, data = whole
    trees = records(data)
    for tree in trees:
        tree.pop("seconds", None)
    path = tmp_path / "journal.log"
    again = resumed(problem, packed(trees[: len(trees) // 2]), path, solver="highs")
    assert again.values == front.values
    assert {entry.seconds for entry in read_entries(path)} == {None}


def test_a_problem_with_another_name_is_the_same(whole, tmp_path):
    problem, front, data = whole
    path = tmp_path / "journal.log"
    again = resumed(dataclasses.replace(problem, name="moved"), data, path, solver="highs")
    assert again.points == front.points
    assert path.read_bytes() == data


def test_one_process_at_a_time(tmp_path):
    problem = assignment(3, 0)
    stated = header(problem, NAMES, 1e-9, None)
    with (
        Journal(tmp_path / "journal.log", stated),
        pytest.raises(InputError, match="another process"),
    ):
        Journal(tmp_path / "journal.log", stated)


SEARCH = textwrap.dedent("""
    import sys
    from pathlib import Path
    from edgeplan.pareto.engine import pareto
    from tests.pareto.assignments import assignment
    print("ready", flush=True)
    pareto(assignment(4, 0), ("latency", "energy", "cost"), journal=Path(sys.argv[1]),
           solver="highs")
    print("done", flush=True)
""")


def killed(path, seconds):
    """Search in another process and kill it after a while; say whether it was done."""
    process = subprocess.Popen(
        [sys.executable, "-c", SEARCH, str(path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    rest, _ = process.communicate()
    return "done" in rest


def hold_kills(whole, path, moments):
    problem, front, _ = whole
    done = sum(killed(path, seconds) for seconds in moments)
    again = pareto(problem, NAMES, journal=path, solver="highs")
    assert again.values == front.values
    assert again.exact
    return done


def test_killed_and_resumed(whole, tmp_path):
    hold_kills(whole, tmp_path / "journal.log", [0.45, 0.5])


@pytest.mark.long
def test_killed_a_hundred_times(whole, tmp_path):
    draw = random.Random(0)
    done = 0
    for number in range(100):
        done += hold_kills(whole, tmp_path / f"{number}.log", [draw.uniform(0.0, 1.5)])
    assert done < 100
