"""Numbers for people: three or four digits and a unit."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import ROUND_FLOOR, Context

MISSING = "–"


def _scaled(value: float | None, steps: tuple[tuple[float, str], ...]) -> str:
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == 0:
        return f"0 {steps[-1][1]}" if steps[-1][0] == 1 else f"0 {_base(steps)}"
    for factor, unit in steps:
        # 999.5 would be printed as 1000 of the smaller unit.
        if abs(value) >= factor * 0.9995:
            return f"{_digits(value / factor)} {unit}"
    factor, unit = steps[-1]
    return f"{_digits(value / factor)} {unit}"


def _base(steps: tuple[tuple[float, str], ...]) -> str:
    return next((unit for factor, unit in steps if factor == 1), steps[-1][1])


def _digits(value: float) -> str:
    size = abs(value)
    if 999.5 <= size < 1e6:
        return f"{value:.0f}"
    if 1e-3 <= size < 999.5:
        return f"{value:#.3g}".rstrip(".")
    return f"{value:.3g}"


def seconds(value: float | None) -> str:
    """Return a time.

    Examples
    --------
    >>> seconds(0.01234), seconds(2.5), seconds(0.0), seconds(None)
    ('12.3 ms', '2.50 s', '0 s', '–')
    """
    return _scaled(value, ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")))


def joules(value: float | None) -> str:
    """Return an energy.

    Examples
    --------
    >>> joules(0.0123)
    '12.3 mJ'
    """
    return _scaled(value, ((1e3, "kJ"), (1.0, "J"), (1e-3, "mJ"), (1e-6, "µJ"), (1e-9, "nJ")))


def watts(value: float | None) -> str:
    """Return a power."""
    return _scaled(value, ((1e3, "kW"), (1.0, "W"), (1e-3, "mW"), (1e-6, "µW")))


def dollars(value: float | None) -> str:
    """Return a sum of money; a millionth of a dollar is ``µ$``.

    Examples
    --------
    >>> dollars(0.0000123), dollars(1.5), dollars(0.0)
    ('12.3 µ$', '1.50 $', '0 $')
    """
    return _scaled(value, ((1.0, "$"), (1e-3, "m$"), (1e-6, "µ$"), (1e-9, "n$")))


def size(value: float | None) -> str:
    """Return a number of bytes in decimal units.

    Examples
    --------
    >>> size(4941984)
    '4.94 MB'
    """
    if value is not None and 0 <= value < 1000:
        return f"{value:.0f} B"
    return _scaled(value, ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")))


def bandwidth(value: float | None) -> str:
    """Return bytes per second as bits per second, as links are sold.

    Examples
    --------
    >>> bandwidth(12.5e6)
    '100 Mbit/s'
    """
    bits = None if value is None else value * 8
    return _scaled(bits, ((1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s"), (1.0, "bit/s")))


def rate(value: float | None) -> str:
    """Return a number of operations per second."""
    return _scaled(value, ((1e12, "T/s"), (1e9, "G/s"), (1e6, "M/s"), (1e3, "k/s"), (1.0, "/s")))


def request_rate(value: float | None) -> str:
    """Return requests per second, rounded down to four digits.

    Whoever asks for what is printed (``min_rate``) asks for no more than there is.

    Examples
    --------
    >>> request_rate(14.58333), request_rate(0.0123456), request_rate(99.99999999999)
    ('14.58 /s', '0.01234 /s', '100 /s')
    """
    if value is None or not math.isfinite(value):
        return MISSING if value is None or math.isnan(value) else "∞"
    # One part in a billion is a rounding error, far below what limits allow.
    down = Context(prec=4, rounding=ROUND_FLOOR).create_decimal_from_float(value * (1 + 1e-9))
    return f"{float(down):.12g} /s"


def count(value: float | None) -> str:
    """Return a whole number with separators.

    Examples
    --------
    >>> count(1235496)
    '1,235,496'
    """
    if value is None or not math.isfinite(value):
        return number(value)
    return f"{value:,.0f}"


def counted(number: object, noun: str) -> str:
    """Return a number with its noun in the right form.

    Examples
    --------
    >>> counted(1, "request"), counted(20, "request"), counted(0, "pin")
    ('1 request', '20 requests', '0 pins')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def percent(value: float | None) -> str:
    """Return a share; below a hundredth of a percent just that.

    Examples
    --------
    >>> percent(0.123), percent(0.0002), percent(2e-9), percent(0.0)
    ('12.3 %', '0.02 %', '<0.01 %', '0 %')
    """
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞"
    hundredths = value * 100
    if hundredths == 0:
        return "0 %"
    if abs(hundredths) < 0.01:
        return "<0.01 %" if hundredths > 0 else ">-0.01 %"
    return f"{hundredths:.1f} %" if abs(hundredths) >= 0.05 else f"{hundredths:.1g} %"


def gap(value: float | None) -> str:
    """Return a relative gap; up to 1e-8, which rounding errors make, it is none.

    Examples
    --------
    >>> gap(0.123), gap(1e-5), gap(1e-7), gap(1e-9), gap(None)
    ('12.3 %', '0.001 %', '<0.0001 %', '0 %', '–')
    """
    if value is None or not abs(value) < 1e-4:
        return percent(value)
    if 0 <= value <= 1e-8:
        return "0 %"
    # A negative gap is a contradiction, which must show.
    return "<0.0001 %" if 0 < value < 1e-6 else f"{value * 100:.1g} %"


def number(value: float | None) -> str:
    """Return a number without a unit, to six digits.

    Examples
    --------
    >>> number(0.01234567), number(float("inf")), number(None)
    ('0.0123457', '∞', '–')
    """
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    return f"{value:.6g}"


def limit(unit: Callable[[float | None], str], value: float) -> str:
    """Return a limit in a unit of this module, or the sign for none."""
    return MISSING if math.isinf(value) else unit(value)
