"""Quantities as text (``5 ms``, ``20 Mbit/s``, ``0.09 USD/GB``) to SI floats and back, exactly.

A small table instead of pint: a file needs some hundred fixed unit names, a mismatch must name
the field's own units with an example, conversion must round correctly (a number is taken as an
exact fraction, so ``80 ms`` is the float nearest to 0.08 and ``parse(format(x)) == x`` for every
finite x), and importing pint costs more than ``edgeplan --help`` may take in all.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

UNLIMITED = "unlimited"
"""What a file says for infinity where a limit is optional."""

NUMBER = r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?"
"""A number as files have it (YAML 1.2 and JSON agree on these)."""

_QUANTITY = re.compile(rf"\s*({NUMBER})\s*(\S.*?)?\s*", re.DOTALL)
_LONGEST = 80


class UnitError(ValueError):
    """A text that is no quantity of the wanted dimension; the message says what would be."""


@dataclass(frozen=True, eq=False)
class Dimension:
    """What is measured, and in which units it may be written.

    Parameters
    ----------
    name
        For messages: ``a time``.
    base
        The unit of the float inside (SI; dollars for money).
    units
        Factor to the base by unit name.
    shown
        Units used for writing: the one with the shortest number wins, among equals the first.
    example
        For messages and the schema.
    """

    name: str
    base: str
    units: Mapping[str, Fraction]
    shown: tuple[str, ...]
    example: str

    def parse(self, text: object, *, limit: bool = False) -> float:
        """Return the quantity in the base unit.

        Parameters
        ----------
        text
            What the file has.
        limit
            Whether ``unlimited`` is allowed, meaning infinity.

        Raises
        ------
        UnitError
            If it is no text, has no unit, or a unit of something else.

        Examples
        --------
        >>> TIME.parse("80 ms")
        0.08
        >>> BANDWIDTH.parse("20 Mbit/s")
        2500000.0
        >>> TIME.parse(80)
        Traceback (most recent call last):
        ...
        edgeplan.instances.units.UnitError: needs a unit, for example '80 ms'
        >>> TIME.parse("5 GB")
        Traceback (most recent call last):
        ...
        edgeplan.instances.units.UnitError: 'GB' is not a unit of a time; write it like '80 ms'
        """
        if isinstance(text, str) and text.strip() == UNLIMITED:
            if limit:
                return math.inf
            raise UnitError(f"cannot be unlimited; write it like '{self.example}'")
        if isinstance(text, bool) or not isinstance(text, str | int | float):
            wanted = f"must be {self.name} like '{self.example}'"
            raise UnitError(wanted + (f" or '{UNLIMITED}'" if limit else ""))
        if not isinstance(text, str):
            raise UnitError(f"needs a unit, for example '{self.example}'")
        match = _QUANTITY.fullmatch(text) if len(text) <= _LONGEST else None
        if match is None:
            raise UnitError(f"'{cut(text)}' is not {self.name}; write it like '{self.example}'")
        number, unit = match[1], match[2]
        if unit is None:
            raise UnitError(f"needs a unit, for example '{self.example}'")
        return self.convert(number, unit)

    def convert(self, number: str, unit: str) -> float:
        """Return a number with a unit, both as text, in the base unit (correctly rounded)."""
        factor = self.units.get(" ".join(unit.split()))
        if factor is None:
            raise UnitError(
                f"'{cut(unit)}' is not a unit of {self.name}; write it like '{self.example}'"
                + self._hint(unit)
            )
        value = Fraction(number) * factor
        try:
            return float(value)
        except OverflowError:
            raise UnitError(f"'{cut(number)} {unit}' is too large") from None

    def _hint(self, unit: str) -> str:
        lower = "".join(unit.split()).lower()
        same = [name for name in self.units if name.lower() == lower]
        return f" (did you mean '{same[0]}'? Case matters)" if same else ""

    def format(self, value: float) -> str:
        """Return text that `parse` reads back to exactly the same float.

        Examples
        --------
        >>> TIME.format(0.08), TIME.format(0.1 + 0.2), BANDWIDTH.format(2.5e6)
        ('80 ms', '300.00000000000004 ms', '20 Mbit/s')
        >>> DATA.format(float("inf"))
        'unlimited'
        """
        if math.isinf(value) and value > 0:
            return UNLIMITED
        if not math.isfinite(value):
            raise UnitError(f"{value} cannot be written")
        exact = Fraction(Decimal(repr(float(value))))
        plain = _short(value)
        best: tuple[int, str] | None = None
        for unit in self.shown:
            scaled = exact / self.units[unit]
            number = _decimal(scaled) if 1 <= abs(scaled) < 1000 else None
            if number is not None and (best is None or len(number) < best[0]):
                best = len(number), f"{number}{_gap(unit)}{unit}"
        if best is not None and best[0] <= len(plain) + 2:
            return best[1]
        return f"{plain}{_gap(self.base)}{self.base}"


def cut(text: object) -> str:
    """Return a value's text for a message, at most 80 characters, on one line."""
    shown = text if isinstance(text, str) else repr(text)
    shown = " ".join(shown[:200].split())
    shown = "".join(c if c.isprintable() else "�" for c in shown)
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"


def cut_path(path: Path) -> str:
    """Return a path for a message: the end of a long one, which tells files apart."""
    shown = str(path)
    return cut(shown if len(shown) <= _LONGEST else "…" + shown[1 - _LONGEST :])


def _gap(unit: str) -> str:
    return "" if unit.startswith("/") else " "


def _decimal(value: Fraction) -> str | None:
    """Return a finite decimal exactly, or ``None`` where there is none of moderate length."""
    denominator = value.denominator
    twos = (denominator & -denominator).bit_length() - 1
    rest, fives = denominator >> twos, 0
    while rest % 5 == 0:
        rest //= 5
        fives += 1
    places = max(twos, fives)
    if rest != 1 or places > 25:
        return None
    if not places:
        return str(value.numerator) if abs(value.numerator) < 10**21 else None
    digits = str(abs(value.numerator) * 10**places // denominator).rjust(places + 1, "0")
    sign = "-" if value < 0 else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}"


def _short(value: float) -> str:
    text = repr(float(value))
    return text.removesuffix(".0")


_DECIMAL = {"": 0, "k": 3, "M": 6, "G": 9, "T": 12}
_SMALL = {"n": -9, "µ": -6, "m": -3}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40}


def _ten(exponent: int) -> Fraction:
    return Fraction(10) ** exponent


_TIMES = {
    "ns": _ten(-9),
    "us": _ten(-6),
    "µs": _ten(-6),  # micro sign
    "μs": _ten(-6),  # Greek mu
    "ms": _ten(-3),
    "s": Fraction(1),
    "min": Fraction(60),
    "h": Fraction(3600),
    "d": Fraction(86400),
}
_DATA = {
    **{f"{prefix}B": _ten(power) for prefix, power in _DECIMAL.items()},
    **{f"{prefix}B": Fraction(2**power) for prefix, power in _BINARY.items()},
    **{f"{prefix}bit": _ten(power) / 8 for prefix, power in _DECIMAL.items()},
    **{f"{prefix}bit": Fraction(2**power, 8) for prefix, power in _BINARY.items()},
}
_POWER = {
    **{f"{prefix}W": _ten(power) for prefix, power in {**_SMALL, **_DECIMAL}.items()},
    "uW": _ten(-6),
}
_ENERGY = {
    **{f"{prefix}J": _ten(power) for prefix, power in {**_SMALL, **_DECIMAL}.items()},
    "pJ": _ten(-12),
    "uJ": _ten(-6),
    "mWh": Fraction(36, 10),
    "Wh": Fraction(3600),
    "kWh": Fraction(3_600_000),
    "MWh": Fraction(3_600_000_000),
}
_MONEY = {"USD": Fraction(1), "mUSD": _ten(-3), "µUSD": _ten(-6), "uUSD": _ten(-6)}

TIME = Dimension("a time", "s", _TIMES, ("s", "ms", "µs", "ns", "min", "h", "d"), "80 ms")
DATA = Dimension(
    "an amount of data",
    "B",
    _DATA,
    ("TB", "GB", "MB", "kB", "B", "TiB", "GiB", "MiB", "KiB"),
    "4 GiB",
)
BANDWIDTH = Dimension(
    "a bandwidth",
    "B/s",
    {
        **{f"{unit}/s": factor for unit, factor in _DATA.items()},
        **{f"{prefix}bps": _ten(power) / 8 for prefix, power in _DECIMAL.items()},
    },
    ("Gbit/s", "Mbit/s", "kbit/s", "bit/s", "B/s"),
    "20 Mbit/s",
)
POWER = Dimension("a power", "W", _POWER, ("kW", "W", "mW", "µW"), "6 W")
ENERGY = Dimension("an energy", "J", _ENERGY, ("kJ", "J", "mJ", "µJ", "nJ"), "50 mJ")
RATE = Dimension(
    "a rate",
    "/s",
    {
        **{
            f"{what}{per}": 1 / factor
            for unit, factor in _TIMES.items()
            for what in ("", "1", "req", "requests", "request")
            for per in (f"/{unit}", f" / {unit}", f" per {unit}")
        },
        **{
            f"{what}per {word}": 1 / factor
            for word, factor in (
                ("second", Fraction(1)),
                ("minute", Fraction(60)),
                ("hour", Fraction(3600)),
                ("day", Fraction(86400)),
            )
            for what in ("", "requests ", "request ")
        },
        "Hz": Fraction(1),
    },
    ("/s",),
    "5/s",
)
ENERGY_PER_BYTE = Dimension(
    "an energy per amount of data",
    "J/B",
    {
        f"{energy}/{data}": factor / size
        for energy, factor in _ENERGY.items()
        for data, size in _DATA.items()
    },
    ("J/B", "mJ/B", "µJ/B", "nJ/B", "pJ/B"),
    "50 nJ/B",
)
MONEY = Dimension("a sum of money", "USD", _MONEY, ("USD", "mUSD", "µUSD"), "0.05 USD")
PRICE_PER_BYTE = Dimension(
    "a price of data",
    "USD/B",
    {f"USD/{unit}": 1 / size for unit, size in _DATA.items()},
    ("USD/B", "USD/kB", "USD/MB", "USD/GB", "USD/TB"),
    "0.09 USD/GB",
)
PRICE_PER_HOUR = Dimension(
    "a price of time",
    "USD/h",
    {f"USD/{unit}": Fraction(3600) / factor for unit, factor in _TIMES.items()},
    ("USD/h",),
    "0.526 USD/h",
)
PRICE_PER_SECOND = Dimension(
    "a price of time",
    "USD/s",
    {f"USD/{unit}": 1 / factor for unit, factor in _TIMES.items()},
    ("USD/s",),
    "0.00002 USD/s",
)
PRICE_PER_JOULE = Dimension(
    "a price of energy",
    "USD/J",
    {f"USD/{unit}": 1 / factor for unit, factor in _ENERGY.items()},
    ("USD/J", "USD/kJ", "USD/kWh", "USD/MWh"),
    "0.3 USD/kWh",
)
PRICE_PER_REQUEST = Dimension(
    "a price of requests",
    "USD/request",
    {
        "USD": Fraction(1),
        **{
            f"USD{per}{count}{gap}{word}": Fraction(1, number)
            for per in ("/", " per ")
            for count, number in (
                ("", 1),
                ("1k", 1000),
                ("1000", 1000),
                ("1M", 1_000_000),
                ("million", 1_000_000),
                ("1000000", 1_000_000),
            )
            for gap in ((" ",) if count else ("",))
            for word in ("request", "requests")
        },
    },
    ("USD/request", "USD/1k requests", "USD/1M requests"),
    "0.2 USD/1M requests",
)
DIMENSIONS: Mapping[str, Dimension] = {
    "time": TIME,
    "data": DATA,
    "bandwidth": BANDWIDTH,
    "power": POWER,
    "energy": ENERGY,
    "rate": RATE,
    "energy per byte": ENERGY_PER_BYTE,
    "money": MONEY,
    "price per byte": PRICE_PER_BYTE,
    "price per hour": PRICE_PER_HOUR,
    "price per second": PRICE_PER_SECOND,
    "price per joule": PRICE_PER_JOULE,
    "price per request": PRICE_PER_REQUEST,
}


def split_row(text: str, dimension: Dimension) -> list[str]:
    """Split a row of numbers with one unit at its end into quantities.

    ``unlimited`` among them stands alone (a device that cannot run the layer).

    Raises
    ------
    UnitError
        If the text is no such row.

    Examples
    --------
    >>> split_row("5 8 unlimited 12.5 ms", TIME)
    ['5 ms', '8 ms', 'unlimited', '12.5 ms']
    """
    words = text.split()
    count = 0
    while count < len(words) and (words[count] == UNLIMITED or re.fullmatch(NUMBER, words[count])):
        count += 1
    numbers, unit = words[:count], " ".join(words[count:])
    bare = unit not in dimension.units and all(word == UNLIMITED for word in numbers)
    if not numbers or bool(unit) == bare:
        raise UnitError(
            f"'{cut(text)}' is no row of numbers and one unit; write it like '5 8 12 "
            f"{dimension.shown[0]}'"
        )
    return [word if word == UNLIMITED else f"{word} {unit}" for word in numbers]


def format_row(values: Sequence[float], dimension: Dimension) -> str:
    """Return a row that `split_row` and `Dimension.parse` read back to exactly the same floats.

    Examples
    --------
    >>> format_row([0.005, math.inf, 0.0125], TIME)
    '5 unlimited 12.5 ms'
    """
    finite = [value for value in values if math.isfinite(value)]
    exact = [Fraction(Decimal(repr(float(value)))) for value in finite]
    best = [_short(value) for value in finite], dimension.base
    for unit in dimension.shown:
        factor = dimension.units[unit]
        numbers = [_decimal(value / factor) for value in exact]
        written = [number for number in numbers if number is not None]
        if len(written) == len(numbers) and sum(map(len, written)) < sum(map(len, best[0])):
            best = written, unit
    words = iter(best[0])
    row = [next(words) if math.isfinite(value) else UNLIMITED for value in values]
    return " ".join([*row, *([best[1]] if finite else [])])
