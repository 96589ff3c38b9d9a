"""Frozen dataclasses as JSON trees and back, strictly, and their JSON Schema.

The type hints of the dataclasses are the format: unknown keys, wrong types, numbers that are
not finite are faults with their place; infinity is null. It is not pydantic's `TypeAdapter`,
because that one takes no configuration for a standard dataclass (so could not refuse unknown
keys without pydantic in the model's types), has no infinity ↔ null, and builds an object before
the faults of its siblings are known.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
import types
from collections.abc import Callable, Hashable, Mapping
from functools import cache
from typing import Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from edgeplan.instances.document import Place, Plain, show_place
from edgeplan.instances.units import cut
from edgeplan.model.errors import Fault, InputError

_T = TypeVar("_T")
_MAX_FAULTS = 100
_WHOLE = r"[1-9][0-9]{0,8}"
"""Keys of objects that are whole numbers: one way to write each."""


class _Bad:
    """What a decoder returns for a value with a fault."""


_BAD = _Bad()
_Faults = list[Fault]
_Decoder = Callable[[object, Place, _Faults], object]
_Encoder = Callable[[object], Plain]


def decode(kind: type[_T], value: object) -> _T:
    """Return a dataclass instance from a JSON tree.

    Parameters
    ----------
    kind
        The dataclass.
    value
        The tree.

    Raises
    ------
    InputError
        With (up to a hundred of) the faults found, the dataclass's own among them.
    """
    faults: _Faults = []
    result = _decoder(cast("Hashable", kind))(value, (), faults)
    if faults:
        raise InputError(faults[:_MAX_FAULTS])
    return cast("_T", result)


def encode(value: object) -> dict[str, Plain]:
    """Return a dataclass instance as a JSON tree."""
    return cast("dict[str, Plain]", _encoder(cast("Hashable", type(value)))(value))


def _expect(place: Place, faults: _Faults, wanted: str, value: object) -> _Bad:
    shown = "null" if value is None else type(value).__name__
    if isinstance(value, str | int | float):
        shown = cut(str(value).lower() if isinstance(value, bool) else value)
    names = {"list": "a list", "dict": "an object"}
    faults.append(Fault(show_place(place), f"must be {wanted}, not {names.get(shown, shown)}"))
    return _BAD


def _is_union(hint: object) -> bool:
    return get_origin(hint) in (Union, types.UnionType)


@cache
def _decoder(hint: object) -> _Decoder:
    if _is_union(hint):
        (inner,) = (arg for arg in get_args(hint) if arg is not type(None))
        decode_inner = _decoder(inner)
        return lambda value, place, faults: (
            None if value is None else decode_inner(value, place, faults)
        )
    origin = get_origin(hint)
    if origin is Literal:
        return _literal(get_args(hint))
    if origin is tuple:
        args = get_args(hint)
        return _list(args[0]) if args[-1] is Ellipsis else _fixed(args)
    if origin is Mapping or origin is dict:
        key, item = get_args(hint)
        return _mapping(item, numbered=key is int)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _dataclass(hint)
    scalars: dict[object, _Decoder] = {str: _text, int: _integer, float: _number, bool: _boolean}
    return scalars[hint]


def _text(value: object, place: Place, faults: _Faults) -> object:
    return value if isinstance(value, str) else _expect(place, faults, "text", value)


def _integer(value: object, place: Place, faults: _Faults) -> object:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        return value
    return _expect(place, faults, "a whole number", value)


def _number(value: object, place: Place, faults: _Faults) -> object:
    if value is None:
        return math.inf
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            if math.isfinite(number := float(value)):
                return number
        except OverflowError:
            pass
    return _expect(place, faults, "a finite number (or null for none)", value)


def _boolean(value: object, place: Place, faults: _Faults) -> object:
    return value if isinstance(value, bool) else _expect(place, faults, "true or false", value)


def _literal(choices: tuple[object, ...]) -> _Decoder:
    wanted = "one of " + ", ".join(map(str, choices))

    def decoder(value: object, place: Place, faults: _Faults) -> object:
        if isinstance(value, str) and value in choices:
            return value
        return _expect(place, faults, wanted, value)

    return decoder


def _list(item: object) -> _Decoder:
    decode_item = _decoder(item)

    def decoder(value: object, place: Place, faults: _Faults) -> object:
        if not isinstance(value, list):
            return _expect(place, faults, "a list", value)
        if item is str and all(type(entry) is str for entry in value):
            return tuple(value)  # the device of each layer, a million of them in a front
        return tuple(decode_item(entry, (*place, k), faults) for k, entry in enumerate(value))

    return decoder


def _fixed(items: tuple[object, ...]) -> _Decoder:
    decoders = [_decoder(item) for item in items]

    def decoder(value: object, place: Place, faults: _Faults) -> object:
        if not isinstance(value, list) or len(value) != len(decoders):
            return _expect(place, faults, f"a list of {len(decoders)}", value)
        return tuple(
            decode_item(entry, (*place, k), faults)
            for k, (decode_item, entry) in enumerate(zip(decoders, value, strict=True))
        )

    return decoder


def _mapping(item: object, *, numbered: bool) -> _Decoder:
    """Return a decoder of objects; the keys of one that is numbered are whole numbers."""

    def decoder(value: object, place: Place, faults: _Faults) -> object:
        if not isinstance(value, dict):
            return _expect(place, faults, "an object", value)
        if numbered:
            faults += [
                Fault(show_place((*place, key)), "the key must be a whole number, like 8")
                for key in value
                if not re.fullmatch(_WHOLE, key)
            ]
        decode_item = _decoder(item)
        return {
            int(key) if numbered else key: decode_item(entry, (*place, key), faults)
            for key, entry in value.items()
            if not numbered or re.fullmatch(_WHOLE, key)
        }

    return decoder


def _hints(kind: type) -> dict[str, object]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in _fields(kind)}


def _fields(kind: type) -> tuple[dataclasses.Field[object], ...]:
    assert dataclasses.is_dataclass(kind)
    return dataclasses.fields(kind)


def _required(field: dataclasses.Field[object]) -> bool:
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


def _dataclass(kind: type) -> _Decoder:
    decoders = {name: _decoder(hint) for name, hint in _hints(kind).items()}
    required = [field.name for field in _fields(kind) if _required(field)]

    def decoder(value: object, place: Place, faults: _Faults) -> object:
        if not isinstance(value, dict):
            return _expect(place, faults, "an object", value)
        before = len(faults)
        faults += [
            Fault(show_place((*place, key)), f"unknown key; known: {', '.join(decoders)}")
            for key in value
            if key not in decoders
        ]
        faults += [
            Fault(show_place((*place, name)), "is missing")
            for name in required
            if name not in value
        ]
        found = {
            name: decode_field(value[name], (*place, name), faults)
            for name, decode_field in decoders.items()
            if name in value
        }
        if len(faults) > before:
            return _BAD
        try:
            return kind(**found)
        except InputError as error:
            prefix = show_place(place)
            faults += [
                Fault(".".join(filter(None, (prefix, fault.place))), fault.message)
                for fault in error.faults
            ]
            return _BAD

    return decoder


@cache
def _encoder(hint: object) -> _Encoder:
    if _is_union(hint):
        inner = [arg for arg in get_args(hint) if arg is not type(None)]
        if len(inner) > 1:  # of dataclasses: each knows itself
            return lambda value: None if value is None else encode(value)
        encode_inner = _encoder(inner[0])
        return lambda value: None if value is None else encode_inner(value)
    origin = get_origin(hint)
    if origin is tuple:
        args = get_args(hint)
        if args[-1] is Ellipsis:
            encode_item = _encoder(args[0])
            return lambda value: [encode_item(item) for item in cast("tuple[object]", value)]
        encoders = [_encoder(arg) for arg in args]
        return lambda value: [
            encode_one(item)
            for encode_one, item in zip(encoders, cast("tuple[object]", value), strict=True)
        ]
    if origin is Mapping or origin is dict:
        # An entry's encoder is found only when there is one: a type may hold its own type.
        entry = cast("Hashable", get_args(hint)[1])
        return lambda value: {
            str(key): _encoder(entry)(item)
            for key, item in cast("Mapping[object, object]", value).items()
        }
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        parts = {name: _encoder(part) for name, part in _hints(hint).items()}
        return lambda value: {name: part(getattr(value, name)) for name, part in parts.items()}
    if hint is float:
        return _encode_number
    return lambda value: cast("Plain", value)


def _encode_number(value: object) -> Plain:
    number = float(cast("float", value))
    return None if math.isinf(number) else number


# --- JSON Schema --------------------------------------------------------------------------------


def json_schema(kind: type) -> dict[str, object]:
    """Return the JSON Schema of a dataclass, with the descriptions of its docstrings."""
    definitions: dict[str, object] = {}
    body = _object_schema(kind, definitions)
    return {**body, "$defs": definitions} if definitions else body


def _schema(hint: object, definitions: dict[str, object]) -> dict[str, object]:
    if _is_union(hint):
        (inner,) = (arg for arg in get_args(hint) if arg is not type(None))
        return {"anyOf": [_schema(inner, definitions), {"type": "null"}]}
    origin = get_origin(hint)
    if origin is Literal:
        return {"enum": list(get_args(hint))}
    if origin is tuple:
        args = get_args(hint)
        if args[-1] is Ellipsis:
            return {"type": "array", "items": _schema(args[0], definitions)}
        return {
            "type": "array",
            "prefixItems": [_schema(arg, definitions) for arg in args],
            "minItems": len(args),
            "maxItems": len(args),
        }
    if origin is Mapping or origin is dict:
        key, item = get_args(hint)
        return {
            "type": "object",
            **({"propertyNames": {"pattern": f"^{_WHOLE}$"}} if key is int else {}),
            "additionalProperties": _schema(item, definitions),
        }
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if hint.__name__ not in definitions:
            definitions[hint.__name__] = {}
            definitions[hint.__name__] = _object_schema(hint, definitions)
        return {"$ref": f"#/$defs/{hint.__name__}"}
    names: dict[object, object] = {str: "string", int: "integer", bool: "boolean"}
    return {"type": ["number", "null"] if hint is float else names[hint]}


def _object_schema(kind: type, definitions: dict[str, object]) -> dict[str, object]:
    texts = _described(kind)
    return {
        "description": (inspect.getdoc(kind) or "").split("\n\n")[0].replace("\n", " "),
        "type": "object",
        "properties": {
            name: {
                **_schema(hint, definitions),
                **({"description": texts[name]} if name in texts else {}),
            }
            for name, hint in _hints(kind).items()
        },
        "required": [field.name for field in _fields(kind) if _required(field)],
        "additionalProperties": False,
    }


def _described(kind: type) -> dict[str, str]:
    """Return the descriptions in a numpydoc section of parameters."""
    text = inspect.getdoc(kind) or ""
    section = re.search(r"Parameters\n-+\n(.*?)(?:\n\n[A-Z]\w+\n-+\n|\Z)", text, re.DOTALL)
    found: dict[str, str] = {}
    names: list[str] = []
    for line in section[1].splitlines() if section else ():
        if line and not line.startswith(" "):
            names = [name.strip() for name in line.split(",")]
        else:
            for name in names:
                found[name] = f"{found.get(name, '')} {line.strip()}".strip()
    return found
