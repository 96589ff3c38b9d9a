"""Quantities with units: what is read, what is refused and what is said."""

from __future__ import annotations

import math

import pytest

from edgeplan.instances import units
from edgeplan.instances.units import UnitError

GOOD = [
    (units.TIME, "5 ns", 5e-9),
    (units.TIME, "5 us", 5e-6),
    (units.TIME, "5 µs", 5e-6),
    (units.TIME, "5 \u03bcs", 5e-6),
    (units.TIME, "80ms", 0.08),
    (units.TIME, "  1.5   s ", 1.5),
    (units.TIME, "2 min", 120.0),
    (units.TIME, "1e-3 h", 3.6),
    (units.DATA, "12 B", 12.0),
    (units.DATA, "1.5 kB", 1500.0),
    (units.DATA, "4 GiB", 4.0 * 2**30),
    (units.DATA, "3 MiB", 3.0 * 2**20),
    (units.DATA, "2 KiB", 2048.0),
    (units.DATA, "16 bit", 2.0),
    (units.DATA, "8 Mbit", 1e6),
    (units.BANDWIDTH, "20 Mbit/s", 2.5e6),
    (units.BANDWIDTH, "1 Gbit/s", 1.25e8),
    (units.BANDWIDTH, "9.6 kbit/s", 1200.0),
    (units.BANDWIDTH, "8 bit/s", 1.0),
    (units.BANDWIDTH, "3 MB/s", 3e6),
    (units.BANDWIDTH, "1 MiB/s", 2.0**20),
    (units.BANDWIDTH, "8 Mbps", 1e6),
    (units.POWER, "500 mW", 0.5),
    (units.POWER, "1.2 kW", 1200.0),
    (units.ENERGY, "3 nJ", 3e-9),
    (units.ENERGY, "2 mJ", 0.002),
    (units.ENERGY, "1 Wh", 3600.0),
    (units.ENERGY, "1 kWh", 3.6e6),
    (units.RATE, "5/s", 5.0),
    (units.RATE, "5 1/s", 5.0),
    (units.RATE, "30 per minute", 0.5),
    (units.RATE, "30/min", 0.5),
    (units.RATE, "3600/h", 1.0),
    (units.RATE, "2 requests/s", 2.0),
    (units.RATE, "2 Hz", 2.0),
    (units.ENERGY_PER_BYTE, "100 nJ/B", 1e-7),
    (units.ENERGY_PER_BYTE, "5 J/GB", 5e-9),
    (units.ENERGY_PER_BYTE, "1 nJ/bit", 8e-9),
    (units.PRICE_PER_BYTE, "0.09 USD/GB", 9e-11),
    (units.PRICE_PER_HOUR, "0.5 USD/h", 0.5),
    (units.PRICE_PER_HOUR, "0.0001 USD/s", 0.36),
    (units.PRICE_PER_SECOND, "0.36 USD/h", 0.0001),
    (units.PRICE_PER_SECOND, "0.00001667 USD/s", 0.00001667),
    (units.PRICE_PER_JOULE, "0.36 USD/kWh", 1e-7),
    (units.PRICE_PER_REQUEST, "0.2 USD/1M requests", 2e-7),
    (units.PRICE_PER_REQUEST, "0.2 USD per 1M requests", 2e-7),
    (units.PRICE_PER_REQUEST, "0.01 USD/request", 0.01),
    (units.MONEY, "3 USD", 3.0),
]


@pytest.mark.parametrize(("dimension", "text", "value"), GOOD, ids=lambda x: str(x)[:20])
def test_quantities(dimension: units.Dimension, text: str, value: float) -> None:
    assert dimension.parse(text) == value


@pytest.mark.parametrize(
    "bad",
    [
        "", " ", "ms", "5", 5, 5.0, True, None, [], {}, "5 GB", "5 Ms", "5 m s", "5,5 ms", "0x5 ms",
        "1_000 ms", "nan ms", "inf ms", "1e ms", "five ms", "5 ms ms", "--5 ms", "1" * 90 + " ms",
        "5 ms\n6", "５ ms", "1e9999 ms", "unlimited", "Unlimited",
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_no_time(bad: object) -> None:
    with pytest.raises(UnitError) as caught:
        units.TIME.parse(bad)
    assert "80 ms" in str(caught.value)
    assert len(str(caught.value)) < 250


def test_case_is_hinted_at() -> None:
    with pytest.raises(UnitError, match="did you mean 'GB'"):
        units.DATA.parse("5 gb")


def test_too_large_is_refused() -> None:
    with pytest.raises(UnitError, match="too large"):
        units.DATA.parse("1e308 TB")


def test_unlimited_only_where_a_limit_is() -> None:
    assert units.TIME.parse("unlimited", limit=True) == math.inf
    with pytest.raises(UnitError, match="unlimited"):
        units.TIME.parse("unlimited")
    with pytest.raises(UnitError, match="'unlimited'"):
        units.TIME.parse(None, limit=True)


@pytest.mark.parametrize("dimension", units.DIMENSIONS.values(), ids=units.DIMENSIONS)
def test_examples_and_shown_units_are_valid(dimension: units.Dimension) -> None:
    assert dimension.parse(dimension.example) > 0
    assert set(dimension.shown) <= set(dimension.units)
    assert dimension.parse(dimension.format(0.0)) == 0
    with pytest.raises(UnitError):
        dimension.format(math.nan)
    with pytest.raises(UnitError):
        dimension.format(-math.inf)


@pytest.mark.parametrize("bad", ["", "ms", "5 8", "5 x ms", "unlimited ms 5", "unlimited 5"])
def test_rows_that_are_none(bad: str) -> None:
    def parsed() -> list[float]:
        return [units.TIME.parse(w, limit=True) for w in units.split_row(bad, units.TIME)]

    with pytest.raises(UnitError):
        parsed()


def test_cut_is_one_short_line() -> None:
    assert units.cut("a\nb\x00c") == "a b�c"
    assert len(units.cut("x" * 10_000)) == 80
    assert len(units.cut(["x" * 10_000])) == 80
