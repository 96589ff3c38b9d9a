"""Text and numbers: what reaches the terminal and what reaches a machine."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeplan.cli import tables, units
from edgeplan.cli.output import clean_text, json_text, plain, write_text


@settings(max_examples=40)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_json_is_always_strict(value):
    def refuse(name):
        raise AssertionError(name)

    json.loads(json_text(value), parse_constant=refuse)


def test_plain_reaches_into_everything():
    @dataclass
    class Point:
        x: float
        y: object

    given_ = {"a": Point(math.inf, (Path("b"), np.float32(0.5), np.int64(3))), "c": {1}}
    assert plain(given_) == {"a": {"x": None, "y": ["b", 0.5, 3]}, "c": [1]}
    with pytest.raises(TypeError):
        plain(object())


@given(st.text(max_size=300))
def test_clean_text_is_printable_and_short(text):
    cleaned = clean_text(text)
    assert all(c.isprintable() or c == "\n" for c in cleaned)
    assert clean_text(text[:60]).count("\x1b") == 0


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "out.json"
    write_text(path, "new")
    assert path.read_text() == "new"
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "\ud800")
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["out.json"]


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        (units.seconds, 0.9996, "1.00 s"),
        (units.seconds, 0.9990, "999 ms"),
        (units.seconds, 12.34e-6, "12.3 µs"),
        (units.seconds, 123.4, "123 s"),
        (units.seconds, math.inf, "∞"),
        (units.seconds, math.nan, "–"),
        (units.size, 0, "0 B"),
        (units.size, 999, "999 B"),
        (units.size, 4.1e9, "4.10 GB"),
        (units.bandwidth, 2.5e6, "20.0 Mbit/s"),
        (units.dollars, 1.2e-9, "1.20 n$"),
        (units.percent, math.inf, "∞"),
        (units.number, None, "–"),
    ],
)
def test_units(unit, value, text):
    assert unit(value) == text


@given(st.floats(min_value=1e-12, max_value=1e12))
def test_units_keep_three_digits(value):
    text, unit = units.seconds(value).split()
    factor = {"s": 1, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}[unit]
    assert float(text) * factor == pytest.approx(value, rel=6e-3)


def test_markup_in_names_is_text(capsys):
    tables.show("[bold]t[/bold]", ("[red]h", ">n"), [("[link=x]name[/]", "1"), ("\x1b[2J", 2)])
    out = capsys.readouterr().out
    for text in ("[bold]t[/bold]", "[link=x]name[/]"):
        assert text in out
    assert "\x1b" not in out


def test_long_tables_are_cut_and_say_so(capsys):
    tables.show("t", ("a",), [(str(i),) for i in range(1000)])
    out = capsys.readouterr().out
    assert len(out.splitlines()) < 80
    assert "940 more" in out


@pytest.mark.parametrize("width", [60, 80, 100])
def test_numbers_are_whole_in_a_narrow_terminal(width, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    rows = [(f"device-number-{n}", "words " * 20, "123.4 Mbit/s", "56.7 ms", "8.9 J") for n in "12"]
    tables.show("t", ("name", "?what", ">bandwidth", "?>latency", "?>energy"), rows)
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= width
    assert out.count("device-number-1 ") == 1
    assert out.count("123.4 Mbit/s") == 2
    assert "…" not in out
