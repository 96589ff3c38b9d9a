"""What a sweep varies: places of an instance file by dotted names, and the values set there.

==============================  ===============================================================
``devices.edge.memory``         a key of a named item, listed or by key
``links.edge->cloud.latency``   a link by its ends (also ``links.0.latency``); by the name of its
                                catalogue entry or of a device at one end: every such link
``streams.*.rate``              every item
``5..100 Mbit/s:10``            ten values, evenly spaced
``1..1000 ms:4:geometric``      four values, each the same multiple of the one before
``wifi,ethernet`` ``1,2,8``     these values; a unit at the end is every number's
==============================  ===============================================================
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from edgeplan.instances.document import Place, Plain, show_place
from edgeplan.instances.units import DIMENSIONS, NUMBER, Dimension, cut
from edgeplan.model.errors import InputError

MOST_VALUES = 100_000
Value = bool | int | float | str
_UNSTATED = ("objective", "objective.denominators", "budgets")
"""Sections that a file may leave out and that have no names of the user's in them."""
_NAMED = ("devices", "streams", "networks")
_QUANTITY = re.compile(rf"({NUMBER})\s*(.*)", re.DOTALL)
_SPACINGS = ("linear", "geometric")
_LIKE = "write it like 5..100Mbit/s:10, 1..1000ms:4:geometric or 1,2,8"


@dataclass(frozen=True)
class Varied:
    """A parameter of an instance and its values.

    Parameters
    ----------
    name
        Its path as the user wrote it.
    values
        What it is set to, as the file would have it (``5 Mbit/s``).
    places
        Where in the file: several where the path names several.
    """

    name: str
    values: tuple[Value, ...]
    places: tuple[Place, ...]


def varied(word: str, tree: Mapping[str, Plain]) -> Varied:
    """Return what a word of the command line varies.

    Parameters
    ----------
    word
        ``PATH=VALUES``; see the module.
    tree
        The file's content.

    Raises
    ------
    InputError
        If it is none, or there is no such place in the file.

    Examples
    --------
    >>> tree = {"devices": [{"name": "edge", "memory": "4 GB"}]}
    >>> varied("devices.edge.memory=1..4GB:4", tree)
    Varied(name='devices.edge.memory', values=('1 GB', '2 GB', '3 GB', '4 GB'), places=(('devices', 0, 'memory'),))
    """  # noqa: E501  # a line of output
    name, equals, text = (part.strip() for part in word.partition("="))
    if not equals or not name or not text:
        raise InputError.at(f"--vary {cut(word)}", f"must be PATH=VALUES; {_LIKE}")
    return Varied(name, parse_values(text, f"--vary {cut(name)}"), find_places(tree, name))


def parse_values(text: str, place: str) -> tuple[Value, ...]:
    """Return the values of a range or a list; see the module.

    Parameters
    ----------
    text
        The words.
    place
        For messages.

    Raises
    ------
    InputError
        If the text is neither, or has a value twice.

    Examples
    --------
    >>> parse_values("1..4ms:4", ""), parse_values("1..100 MB:3:geometric", "")
    (('1 ms', '2 ms', '3 ms', '4 ms'), ('1 MB', '10 MB', '100 MB'))
    >>> parse_values("1,2.5 , 8 s", ""), parse_values("1,8", ""), parse_values("random,shared", "")
    (('1 s', '2.5 s', '8 s'), (1, 8), ('random', 'shared'))
    """
    found = _range(text, place) if ".." in text else _list(text, place)
    if len(set(found)) < len(found):
        twice = next(value for value in found if found.count(value) > 1)
        raise InputError.at(place, f"'{cut(twice)}' is there twice")
    return found


def _range(text: str, place: str) -> tuple[Value, ...]:
    ends, *rest = (part.strip() for part in text.split(":"))
    low, high = (_QUANTITY.fullmatch(end.strip()) for end in ends.split("..", 1))
    if low is None or high is None or not 1 <= len(rest) <= 2:
        raise InputError.at(place, f"'{cut(text)}' is not FROM..TO:COUNT; {_LIKE}")
    if not rest[0].isdecimal() or not 2 <= int(rest[0]) <= MOST_VALUES:
        raise InputError.at(place, f"the number of values must be 2 to {MOST_VALUES:,}; {_LIKE}")
    count = int(rest[0])
    spacing = rest[1] if len(rest) > 1 else _SPACINGS[0]
    if spacing not in _SPACINGS:
        choices = " or ".join(_SPACINGS)
        raise InputError.at(place, f"there is no spacing '{cut(spacing)}'; choose {choices}")
    start, stop, unit = _with_one_unit(low, high, place)
    if spacing == "geometric":
        if start <= 0 or stop <= 0:
            raise InputError.at(place, "geometric spacing needs values above 0")
        ratio = float(stop / start)
        steps = [float(start) * ratio ** (i / (count - 1)) for i in range(1, count - 1)]
        # Rounded, as a value is printed, kept and set as one and the same text.
        between = [Fraction(f"{step:.6g}") for step in steps]
        numbers = [start, *between, stop]
    else:
        numbers = [start + (stop - start) * i / (count - 1) for i in range(count)]
    return tuple(_value(number, unit) for number in numbers)


def _with_one_unit(
    low: re.Match[str], high: re.Match[str], place: str
) -> tuple[Fraction, Fraction, str]:
    """Return the ends in the unit of the upper one."""
    start, stop = Fraction(low[1]), Fraction(high[1])
    first, unit = (" ".join(match[2].split()) for match in (low, high))
    if first in ("", unit):
        return start, stop, unit
    dimension = _dimension(first, unit)
    if dimension is None:
        raise InputError.at(place, f"'{cut(first)}' and '{cut(unit)}' are not units of one kind")
    return start * dimension.units[first] / dimension.units[unit], stop, unit


def _dimension(*units: str) -> Dimension | None:
    return next((d for d in DIMENSIONS.values() if all(unit in d.units for unit in units)), None)


def _list(text: str, place: str) -> tuple[Value, ...]:
    words = [word.strip() for word in text.split(",")]
    if not all(words):
        raise InputError.at(place, f"'{cut(text)}' has an empty value; {_LIKE}")
    last = _QUANTITY.fullmatch(words[-1])
    unit = " ".join(last[2].split()) if last is not None else ""
    found: list[Value] = []
    for word in words:
        match = _QUANTITY.fullmatch(word)
        if match is None:
            found.append({"true": True, "false": False}.get(word, word))
        else:
            own = " ".join(match[2].split()) or unit
            # What begins with a digit but has no unit is text: a catalogue entry, say.
            known = not own or _dimension(own) is not None
            found.append(_value(Fraction(match[1]), own) if known else word)
    return tuple(found)


def _value(number: Fraction, unit: str) -> Value:
    """Return a number as a file has it: to twelve digits, with its unit."""
    if not unit:
        return int(number) if number.denominator == 1 else float(f"{float(number):.12g}")
    shown = str(int(number)) if number.denominator == 1 else f"{float(number):.12g}"
    return f"{shown}{'' if unit.startswith('/') else ' '}{unit}"


# --- places -------------------------------------------------------------------------------------


def find_places(tree: Mapping[str, Plain], path: str) -> tuple[Place, ...]:
    """Return the places that a path of dotted names means in a file's content.

    Parameters
    ----------
    tree
        The content.
    path
        See the module. Names may have dots; the last key may be missing in the file.

    Raises
    ------
    InputError
        If there is no such place, or it holds more than a single value.

    Examples
    --------
    >>> tree = {"links": [{"from": "a", "to": "b"}, {"from": "a", "to": "c", "catalog": "wifi"}]}
    >>> find_places(tree, "links.a->b.latency"), find_places(tree, "links.wifi.latency")
    ((('links', 0, 'latency'),), (('links', 1, 'latency'),))
    """
    words = [word for word in re.sub(r"\[(\d+)\]", r".\1", path).split(".") if word]
    if not words:
        raise InputError.at(f"--vary {cut(path)}", "names nothing")
    places = tuple(dict.fromkeys(_walk(dict(tree), (), words)))
    for place in places:
        value = value_at(dict(tree), place)
        if isinstance(value, dict | list):
            keys = list(value) if isinstance(value, dict) else range(len(value))
            inside = ", ".join(cut(key) for key in list(keys)[:12])
            message = f"holds several values; name one of {inside}"
            raise InputError.at(f"--vary {show_place(place)}", message)
    return places


def _walk(value: Plain, place: Place, words: list[str]) -> Iterator[Place]:
    if not words:
        yield place
    elif isinstance(value, dict):
        yield from _into_mapping(value, place, words)
    elif isinstance(value, list):
        yield from _into_list(value, place, words)
    else:
        raise InputError.at(
            f"--vary {show_place(place)}", f"is a single value and has no '{cut('.'.join(words))}'"
        )


def _into_mapping(value: dict[str, Plain], place: Place, words: list[str]) -> Iterator[Place]:
    if words[0] == "*":
        for key, item in value.items():
            yield from _walk(item, (*place, key), words[1:])
        return
    # The longest key first: names may have dots.
    for length in range(len(words), 0, -1):
        key = ".".join(words[:length])
        if key in value:
            yield from _walk(value[key], (*place, key), words[length:])
            return
    key, rest = words[0], words[1:]
    named = len(place) == 1 and place[0] in _NAMED
    if not rest and not named and place:
        yield (*place, key)
    elif rest and show_place((*place, key)) in _UNSTATED:
        yield from _walk({}, (*place, key), rest)
    else:
        known = ", ".join(cut(each) for each in list(value)[:12]) or "nothing"
        where = show_place(place) or "the instance"
        raise InputError.at(f"--vary {show_place((*place, key))}", f"{where} has only {known}")


def _into_list(value: list[Plain], place: Place, words: list[str]) -> Iterator[Place]:
    for length in range(len(words), 0, -1):
        key = ".".join(words[:length])
        rows = _rows(value, key)
        for row in rows:
            yield from _walk(value[row], (*place, row), words[length:])
        if rows:
            return
    known = ", ".join(cut(kinds[0][0]) for item in value[:12] if (kinds := _names(item)))
    message = f"there is no such item; there are {known or len(value)}"
    raise InputError.at(f"--vary {show_place((*place, words[0]))}", message)


def _rows(value: list[Plain], key: str) -> list[int]:
    """Return the items of a list that a word means: by the narrowest kind of name that fits."""
    if key == "*":
        return list(range(len(value)))
    if key.isdecimal():
        return [int(key)] if int(key) < len(value) else []
    names = [_names(item) for item in value]
    for kind in range(max(map(len, names), default=0)):
        rows = [row for row, kinds in enumerate(names) if kind < len(kinds) and key in kinds[kind]]
        if rows:
            return rows
    return []


def _names(item: Plain) -> list[list[str]]:
    """Return what an item of a list may be called, by kind, the narrowest first.

    Of a link: its ends, its catalogue entry, its devices.
    """
    if not isinstance(item, dict):
        return []
    if "name" in item:
        return [[str(item["name"])]]
    if "from" not in item or "to" not in item:
        return []
    source, target = str(item["from"]), str(item["to"])
    ends = [f"{source}->{target}", *([f"{target}->{source}"] if item.get("both") is True else [])]
    return [ends, [str(item["catalog"])] if "catalog" in item else [], [source, target]]


def value_at(tree: Plain, place: Place) -> Plain:
    """Return what a tree has at a place; ``None`` where it has nothing."""
    for part in place:
        if isinstance(tree, dict):
            tree = tree.get(str(part))
        elif isinstance(tree, list) and isinstance(part, int):
            tree = tree[part]
        else:
            return None
    return tree


def with_value(tree: Plain, place: Place, value: Value) -> Plain:
    """Return a tree with another value at a place; what is not on the way is shared.

    Examples
    --------
    >>> with_value({"a": [{"b": 1}, 2]}, ("a", 0, "b"), 5)
    {'a': [{'b': 5}, 2]}
    """
    if not place:
        return value
    head, *rest = place
    if isinstance(tree, list) and isinstance(head, int):
        return [
            with_value(item, tuple(rest), value) if row == head else item
            for row, item in enumerate(tree)
        ]
    held = tree if isinstance(tree, dict) else {}
    return {**held, str(head): with_value(held.get(str(head)), tuple(rest), value)}
