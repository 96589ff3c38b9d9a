"""Objectives and their values as words of the command line: ``latency=50ms,cost=2mUSD``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from edgeplan.cli.output import clean_text
from edgeplan.model.errors import Fault, InputError

if TYPE_CHECKING:
    from edgeplan.pareto.objectives import Criterion


def objectives(text: str) -> tuple[str, ...]:
    """Return the names of a list with commas.

    Raises
    ------
    InputError
        If one is no objective, or named twice.

    Examples
    --------
    >>> objectives("latency, cost")
    ('latency', 'cost')
    """
    from edgeplan.pareto.objectives import criteria

    names = tuple(name.strip() for name in text.split(","))
    try:
        criteria(names)
    except InputError as error:
        raise InputError([Fault("--objectives", f.message) for f in error.faults]) from None
    return names


def values(option: str, words: Iterable[str], names: Sequence[str]) -> dict[str, float]:
    """Return quantities by objective, in SI units.

    Parameters
    ----------
    option
        Its name, for messages.
    words
        ``latency=50ms``, also several with commas between.
    names
        The objectives that may be named.

    Raises
    ------
    InputError
        With every part that is not an objective and a quantity of its kind.

    Examples
    --------
    >>> values("--max", ["latency=50ms,cost=2 m$"], ["latency", "cost"])
    {'latency': 0.05, 'cost': 0.002}
    """
    return _pairs(option, words, names, quantity)


def numbers(option: str, words: Iterable[str], names: Sequence[str]) -> dict[str, float]:
    """Return numbers without a unit by objective, as `values` does.

    Examples
    --------
    >>> numbers("--weights", ["latency=2,cost=1"], ["latency", "cost"])
    {'latency': 2.0, 'cost': 1.0}
    """
    return _pairs(option, words, names, lambda _, text: float(text))


def at_least(option: str, words: Iterable[str], names: Sequence[str]) -> dict[str, float]:
    """Return limits from below as limits from above on the objectives' values.

    Throughput alone is better where it is more: as a rate it limits the period from above.

    Examples
    --------
    >>> at_least("--min", ["throughput=20/s"], ["latency", "throughput"])
    {'throughput': 0.05}
    """

    def period(criterion: Criterion, text: str) -> float:
        from edgeplan.instances.units import RATE

        if criterion.name != "throughput":
            raise ValueError(f"less {criterion.name} is better: give the most with --max")
        rate = RATE.parse(text)
        if not rate > 0:
            raise ValueError("must be above 0")
        return 1 / rate

    return _pairs(option, words, names, period)


def quantity(criterion: Criterion, text: str) -> float:
    """Return a value of an objective in its SI unit.

    Raises
    ------
    ValueError
        If the text is no such quantity.
    """
    from edgeplan.instances.units import ENERGY, MONEY, TIME

    dimension = {"s": TIME, "J": ENERGY, "$": MONEY}[criterion.unit]
    # As the tables print money.
    return dimension.parse(text.replace("$", "USD"))


def _pairs(
    option: str,
    words: Iterable[str],
    names: Sequence[str],
    parse: Callable[[Criterion, str], float],
) -> dict[str, float]:
    from edgeplan.pareto.objectives import CRITERIA

    found: dict[str, float] = {}
    faults: list[Fault] = []
    for word in (part.strip() for text in words for part in text.split(",")):
        name, equals, text = (part.strip() for part in word.partition("="))
        place = f"{option} {clean_text(word, 60)}".rstrip()
        if name not in names:
            faults.append(Fault(place, f"must begin with one of {', '.join(names)}, and '='"))
        elif not equals or not text:
            faults.append(Fault(place, f"needs a value: {name}=…"))
        elif name in found:
            faults.append(Fault(place, f"{name} is there twice"))
        else:
            try:
                found[name] = value = parse(CRITERIA[name], text)
                if not math.isfinite(value):
                    raise ValueError("must be finite")
            except ValueError as error:
                faults.append(Fault(place, clean_text(str(error), 200)))
    if faults:
        raise InputError(faults)
    return found
