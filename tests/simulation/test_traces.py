"""Recorded arrivals: what is read, and what is refused with its line and a remedy."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from edgeplan.model.errors import InputError
from edgeplan.simulation import read_trace


def write(folder: Path, text: str) -> Path:
    path = folder / "arrivals.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("0\n1.5\n1.5\n4e0\n", [0.0, 1.5, 1.5, 4.0]),
        ("seconds\n10\n11\n", [10.0, 11.0]),
        ("\ufeffid,Time,size\n1,10,x\n2,11,y\n\n", [10.0, 11.0]),
        ("when,size\n10,x\n11,y\n", [10.0, 11.0]),
        (
            "TIMESTAMP,ContextTokens\n2023-11-16 18:15:46.6805900,374\n"
            "2023-11-16 18:15:50.9951690,396\n",
            [0.0, 4.314579],
        ),
        ("2024-03-31T23:59:59.5\n2024-04-01T00:00:01\n", [0.0, 1.5]),
        ("2024-03-31T01:30:00Z\n2024-03-31T04:00:00+02:00\n", [0.0, 1800.0]),
        # Clocks go forward that night somewhere: a trace without zones does not know.
        ("2024-03-31 01:30:00\n2024-03-31 03:30:00\n", [0.0, 7200.0]),
        ('"1","a, b"\n"2",c\n', [1.0, 2.0]),
    ],
)
def test_what_is_read(tmp_path: Path, text: str, times: list[float]) -> None:
    found = read_trace(write(tmp_path, text))
    np.testing.assert_allclose(found.times, times, atol=2e-6)
    assert (found.name, found.scaled) == ("arrivals.csv", False)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", None, "has no arrivals"),
        ("time\n", None, "has no arrivals"),
        ("time\n\n\n", None, "has no arrivals"),
        ("5\n", None, "two different times"),
        ("5\n5\n", None, "two different times"),
        ("0\n1\nsoon\n", 3, "'soon' is no time; write seconds"),
        ("time\nsoon\n1\n2\n", 2, "'soon' is no time"),
        ("0\n-1\n", 2, "is negative: count seconds from the start"),
        ("-1\n", 1, "is negative"),
        ("0\nnan\n", 2, "no finite number"),
        ("0\ninf\n", 2, "no finite number"),
        ("0\n2\n1\n", 3, "earlier than the row above: sort the rows"),
        ("0\n2024-01-01 00:00:00\n", 2, "dates, but seconds in the rows above"),
        ("2024-01-01\n2024-01-02Z\n", 2, "is no time"),
        ("2024-01-01 00:00\n2024-01-01 01:00Z\n", 2, "dates with a zone, but dates"),
        ("id,time\n1,0\n2\n", 3, "has no time"),
        ("2024-13-01 00:00:00\n2024-12-01 00:00:00\n", 1, "is no time"),
        ("nan\n1\n", 1, "no finite number"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, line: int | None, says: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InputError, match=says) as caught:
        read_trace(path)
    (fault,) = caught.value.faults
    assert fault.place == (str(path) if line is None else f"{path}, line {line}")


def test_every_faulty_row_is_told_up_to_a_number(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_trace(write(tmp_path, "0\nx\n1\n-1\n"))
    assert [fault.place.rpartition(" ")[2] for fault in caught.value.faults] == ["2", "4"]
    with pytest.raises(InputError) as caught:
        read_trace(write(tmp_path, "0\n" + "x\n" * 1000))
    assert len(caught.value.faults) == 11
    assert "reading ended" in caught.value.faults[-1].message


def test_no_value_is_printed_whole(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_trace(write(tmp_path, "0\n" + "9" * 30 + "x" * 5000 + "\n"))
    assert max(len(str(fault.message)) for fault in caught.value.faults) < 200


def test_what_is_no_csv_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_trace(tmp_path / "none.csv")
    with pytest.raises(InputError, match="is not a file"):
        read_trace(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="is not a file"):
        read_trace(tmp_path / "pipe")
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(InputError, match="not UTF-8"):
        read_trace(binary)
    with pytest.raises(InputError, match="line 2: is no CSV"):
        read_trace(write(tmp_path, "0\n" + "x" * 200_000 + "\n"))
