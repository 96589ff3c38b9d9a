"""Files as trees of plain values: YAML 1.2 and JSON in, strictly; the same out, atomically.

A file may come from anyone. So a tree is built from the YAML parser's events, never by a
constructor: aliases, anchors, tags, directives, duplicate keys, depth over 50 and large files
are refused before anything is built from them, and ``on`` is text while ``1e3`` is a number
(YAML 1.2's core schema). JSON is held to the same rules.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import secrets
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgeplan.instances.units import cut, cut_path
from edgeplan.model.errors import Fault, InputError

Place = tuple[str | int, ...]
Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]

MAX_BYTES = 10_000_000
"""Largest instance or plan file."""
MAX_DEPTH = 50
MAX_NODES = 100_000
"""Most values in a YAML file (JSON, parsed a hundred times faster, has no such limit)."""
MAX_LINE = 200_000
"""Longest line of a YAML file in characters: the parser's time on a scalar is not linear."""
_LINES_TO_DEPTH = 5
_MAX_FAULTS = 100


@dataclass(frozen=True)
class Document:
    """A file's content.

    Parameters
    ----------
    value
        The tree.
    lines
        Line numbers (from 1) of keys and items by place, where known.
    """

    value: Plain
    lines: Mapping[Place, int] = field(default_factory=dict)


def show_place(place: Place) -> str:
    """Return a place as messages have it.

    Examples
    --------
    >>> show_place(("streams", 3, "deadline"))
    'streams[3].deadline'
    """
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{cut(part)}" if text else cut(part)
    return text


def read_document(path: Path, *, max_bytes: int = MAX_BYTES) -> Document:
    """Read a YAML or (by its suffix ``.json``) JSON file.

    Parameters
    ----------
    path
        The file.
    max_bytes
        Larger files are refused unread.

    Raises
    ------
    InputError
        If it is missing, no regular file, too large or not valid, with the place or line.
    """
    text = read_text(path, max_bytes=max_bytes)
    return parse_json(text) if path.suffix.lower() == ".json" else parse_yaml(text)


def read_text(path: Path, *, max_bytes: int = MAX_BYTES) -> str:
    """Return a regular file's UTF-8 text.

    Raises
    ------
    InputError
        If it is missing, unreadable, no regular file, too large or not UTF-8.
    """
    place = cut_path(path)
    try:
        check_file(path, max_bytes=max_bytes)
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise InputError.at(place, f"cannot be read: {error.strerror}") from None
    if len(data) > max_bytes:
        raise InputError.at(place, f"is larger than {max_bytes:,} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError.at(place, f"is not UTF-8 text (byte {error.start})") from None


def check_file(path: Path, *, max_bytes: int | None = None) -> None:
    """Check that a regular file is there and not too large, without opening it.

    Raises
    ------
    InputError
        If it is not.
    """
    place = cut_path(path)
    try:
        status = path.stat()
    except FileNotFoundError:
        raise InputError.at(place, "there is no such file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a valid path"
        raise InputError.at(place, f"cannot be read: {reason}") from None
    if stat.S_ISDIR(status.st_mode):
        raise InputError.at(place, "is a folder, not a file")
    if not stat.S_ISREG(status.st_mode):
        raise InputError.at(place, "is not a regular file")
    if max_bytes is not None and status.st_size > max_bytes:
        raise InputError.at(place, f"is larger than {max_bytes:,} bytes")


# --- JSON ---------------------------------------------------------------------------------------

# A string that does not end swallows the rest: scanning stays linear.
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_LONGEST_INTEGER = 300


class _Object(dict[str, Plain]):
    """A JSON object that remembers the keys it had twice."""

    def __init__(self, pairs: list[tuple[str, Plain]]) -> None:
        super().__init__(pairs)
        counts = Counter(key for key, _ in pairs)
        self.repeated = [key for key, count in counts.items() if count > 1]


def parse_json(text: str) -> Document:
    """Parse JSON strictly: no duplicate keys, NaN or infinities, and depth at most 50.

    Raises
    ------
    InputError
        With every fault found.
    """
    depth = 0
    for match in _BRACKETS.finditer(text):
        if match[0] in ("[", "{"):
            depth += 1
            if depth > MAX_DEPTH:
                line = text.count("\n", 0, match.start()) + 1
                raise InputError.at("", f"nested deeper than {MAX_DEPTH} levels (line {line})")
        elif match[0] in ("]", "}"):
            depth -= 1
    doubts = [True] if _SURROGATE.search(text) else []

    def mapping(pairs: list[tuple[str, Plain]]) -> Plain:
        value = dict(pairs)
        if len(value) < len(pairs):
            doubts.append(True)
            return _Object(pairs)
        return value

    def number(digits: str) -> float:
        value = float(digits)
        if not math.isfinite(value):
            doubts.append(True)
        return value

    try:
        value: Plain = json.loads(
            text,
            object_pairs_hook=mapping,
            parse_int=_json_int,
            parse_float=number,
            parse_constant=number,
        )
    except json.JSONDecodeError as error:
        message = f"is not valid JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        raise InputError.at("", message) from None
    except (ValueError, RecursionError) as error:
        raise InputError.at("", f"is not valid JSON: {cut(str(error))}") from None
    faults: list[Fault] = []
    for place, item in _walk(value) if doubts else ():
        if isinstance(item, _Object):
            faults += [Fault(show_place((*place, key)), "is there twice") for key in item.repeated]
        faults += _scalar_faults(place, item)
        if len(faults) >= _MAX_FAULTS:
            break
    if faults:
        raise InputError(faults[:_MAX_FAULTS])
    return Document(value)


def _json_int(text: str) -> int:
    if len(text) > _LONGEST_INTEGER:
        raise ValueError("a number with more than 300 digits")
    return int(text)


def _walk(value: Plain) -> Iterator[tuple[Place, Plain]]:
    waiting: list[tuple[Place, Plain]] = [((), value)]
    while waiting:
        place, item = waiting.pop()
        yield place, item
        if isinstance(item, dict):
            waiting += [((*place, key), inner) for key, inner in reversed(item.items())]
        elif isinstance(item, list):
            waiting += [((*place, index), item[index]) for index in reversed(range(len(item)))]


def _scalar_faults(place: Place, item: Plain) -> Iterator[Fault]:
    if isinstance(item, float) and not math.isfinite(item):
        yield Fault(
            show_place(place), "must be a finite number (JSON null or 'unlimited' for none)"
        )
    texts = [item] if isinstance(item, str) else list(item) if isinstance(item, dict) else []
    if any("\ud800" <= character <= "\udfff" for text in texts for character in text):
        yield Fault(show_place(place), "has half of a surrogate pair, which is no character")


# --- YAML ---------------------------------------------------------------------------------------

_INTEGER = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_WORDS: dict[str, Plain] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def parse_yaml(text: str) -> Document:
    """Parse YAML 1.2 strictly.

    Raises
    ------
    InputError
        With the first syntax fault, or every duplicate key and unfit value found.
    """
    if any(len(line) > MAX_LINE for line in text.splitlines()):
        raise InputError.at("", f"has a line longer than {MAX_LINE:,} characters")
    builder = _Builder()
    for event in _events(text):
        builder.take(event)
    if builder.faults:
        raise InputError(builder.faults[:_MAX_FAULTS])
    return Document(builder.root, builder.lines)


def _events(text: str) -> Iterator[object]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError

    parser = YAML(typ="safe", pure=True)
    try:
        yield from parser.parse(text)
    except InputError:
        raise
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise InputError.at("", f"is not valid YAML: {cut(error.problem or '')}{where}") from None
    except Exception as error:  # noqa: BLE001  # whatever the parser makes of foreign text
        raise InputError.at("", f"is not valid YAML: {cut(str(error))}") from None


@dataclass
class _Open:
    """A container that is being filled."""

    value: dict[str, Plain] | list[Plain]
    place: Place
    key: str | None = None


class _Builder:
    """Builds the tree from parser events and refuses what files may not have."""

    def __init__(self) -> None:
        self.root: Plain = None
        self.lines: dict[Place, int] = {}
        self.faults: list[Fault] = []
        self._open: list[_Open] = []
        self._documents = 0
        self._nodes = 0

    def take(self, event: object) -> None:
        """Take the next event."""
        kind = type(event).__name__
        line: int = getattr(event, "start_mark").line + 1 if hasattr(event, "start_mark") else 0  # noqa: B009  # typed as object
        if kind == "DocumentStartEvent":
            self._documents += 1
            if self._documents > 1:
                raise InputError.at("", f"has more than one YAML document (line {line})")
            if getattr(event, "version", None) or getattr(event, "tags", None):
                raise InputError.at("", f"has a YAML directive, which is refused (line {line})")
        elif kind == "AliasEvent" or getattr(event, "anchor", None) is not None:
            raise self._refuse("an anchor or alias (& or *)", line)
        elif kind in ("MappingStartEvent", "SequenceStartEvent", "ScalarEvent"):
            if getattr(event, "tag", None) is not None:
                raise self._refuse("a tag (!)", line)
            self._nodes += 1
            if self._nodes > MAX_NODES:
                raise InputError.at(
                    "",
                    f"has more than {MAX_NODES:,} values: write it as JSON, or put large tables "
                    "into profiles",
                )
            self._node(kind, event, line)
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            self._open.pop()

    def _refuse(self, what: str, line: int) -> InputError:
        place = self._place() if self._open else ()
        return InputError.at(show_place(place), f"{what} is refused: write it out (line {line})")

    def _place(self) -> Place:
        top = self._open[-1]
        if isinstance(top.value, list):
            return (*top.place, len(top.value))
        return top.place if top.key is None else (*top.place, top.key)

    def _node(self, kind: str, event: object, line: int) -> None:
        top = self._open[-1] if self._open else None
        if top is not None and isinstance(top.value, dict) and top.key is None:
            self._key(top, kind, event, line)
            return
        place = self._place() if self._open else ()
        if len(place) <= _LINES_TO_DEPTH:
            self.lines.setdefault(place, line)
        value: Plain
        if kind == "ScalarEvent":
            value = self._scalar(event, place, line)
        else:
            value = {} if kind == "MappingStartEvent" else []
            if len(self._open) >= MAX_DEPTH:
                shown = show_place(place[:6])
                raise InputError.at(shown, f"nested deeper than {MAX_DEPTH} levels (line {line})")
        if top is None:
            self.root = value
        elif isinstance(top.value, list):
            top.value.append(value)
        else:
            assert top.key is not None
            top.value[top.key] = value
            top.key = None
        if isinstance(value, dict | list):
            self._open.append(_Open(value, place))

    def _key(self, top: _Open, kind: str, event: object, line: int) -> None:
        if kind != "ScalarEvent":
            raise InputError.at(show_place(top.place), f"keys must be plain text (line {line})")
        assert isinstance(top.value, dict)
        key = str(getattr(event, "value", ""))
        place = (*top.place, key)
        if key in top.value:
            self.faults.append(Fault(show_place(place), f"is there twice (line {line})"))
        self.faults += _scalar_faults(top.place, key)
        if len(place) <= _LINES_TO_DEPTH:
            self.lines[place] = line
        top.key = key

    def _scalar(self, event: object, place: Place, line: int) -> Plain:
        text = str(getattr(event, "value", ""))
        if getattr(event, "style", None):  # quoted or block: text
            self.faults += _scalar_faults(place, text)
            return text
        if text in _WORDS:
            return _WORDS[text]
        number = bool(_INTEGER.fullmatch(text))
        if number and len(text) <= _LONGEST_INTEGER:
            return int(text)
        if len(text) <= _LONGEST_INTEGER and _OCTAL.fullmatch(text):
            return int(text[2:], 8)
        if len(text) <= _LONGEST_INTEGER and _HEXADECIMAL.fullmatch(text):
            return int(text[2:], 16)
        if number or _SPECIAL.fullmatch(text) or _FLOAT.fullmatch(text):
            value = math.nan if "n" in text.lower() else float(text)
            if not math.isfinite(value):
                message = f"must be a finite number ('unlimited' for no limit) (line {line})"
                self.faults.append(Fault(show_place(place), message))
            return value
        return text


# --- writing ------------------------------------------------------------------------------------

_WIDTH = 96
_LONGEST_KEY = 900
_PLAIN = re.compile(r"[A-Za-z_/](?:[A-Za-z0-9_./+-]| (?=[A-Za-z0-9_(]))*")
_QUANTITY = re.compile(
    r"(?:[0-9][0-9.]*(?:e[-+]?[0-9]+)?|unlimited)(?: (?:[0-9][0-9.]*(?:e[-+]?[0-9]+)?|unlimited))*"
    r"(?: [A-Za-zµ/][A-Za-z0-9/µ ]*|/[a-z]+)"
)


def to_json(value: Plain) -> str:
    """Return JSON text, short containers on one line.

    Raises
    ------
    ValueError
        If a number is not finite.
    """
    return "".join(_json_lines(value, 0)) + "\n"


def _json_lines(value: Plain, indent: int) -> Iterator[str]:
    if not isinstance(value, dict | list) or not value:
        yield json.dumps(value, allow_nan=False, ensure_ascii=False)
        return
    if _shallow(value):
        flat = json.dumps(value, allow_nan=False, ensure_ascii=False)
        if len(flat) <= _WIDTH:
            yield flat
            return
    pad = " " * (indent + 1)
    mapping = isinstance(value, dict)
    if not isinstance(value, dict) and not any(isinstance(item, dict | list) for item in value):
        words = (json.dumps(item, allow_nan=False, ensure_ascii=False) for item in value)
        yield "[\n" + ",\n".join(_filled(words, pad)) + "\n" + " " * indent + "]"
        return
    yield "{" if mapping else "["
    items = value.items() if isinstance(value, dict) else ((None, item) for item in value)
    for number, (key, item) in enumerate(items):
        yield ("," if number else "") + "\n" + pad
        if key is not None:
            yield json.dumps(key, ensure_ascii=False) + ": "
        yield from _json_lines(item, indent + 1)
    yield "\n" + " " * indent + ("}" if mapping else "]")


def _filled(words: Iterable[str], pad: str) -> Iterator[str]:
    """Yield lines of as many comma-separated words as fit."""
    line = ""
    for word in words:
        if line and len(pad) + len(line) + len(word) + 2 > _WIDTH:
            yield pad + line
            line = ""
        line += f", {word}" if line else word
    yield pad + line


def _shallow(value: Plain) -> bool:
    """Say whether a container is worth trying on one line: small and not much nested."""
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return len(value) <= 40 and all(
            not isinstance(item, dict | list)
            or (len(item) <= 20 and not any(isinstance(x, dict | list) for x in item))
            for item in inner
        )
    return True


def to_yaml(value: dict[str, Plain]) -> str:
    """Return YAML 1.2 text that `parse_yaml` reads back to an equal tree.

    Raises
    ------
    InputError
        If a number is not finite or a text holds half of a surrogate pair.
    """
    return "".join(f"{line}\n" for line in _yaml_lines(value, "")) or "{}\n"


def _yaml_lines(value: Plain, pad: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            name = _yaml_scalar(key, key=True)
            # A key before its colon must be short; a longer one is said to be one.
            head = f"{pad}{name}:" if len(name) <= _LONGEST_KEY else f"{pad}? {name}\n{pad}:"
            flat = _flow(item)
            if flat is not None and (
                len(pad) + len(name) + len(flat) < _WIDTH or flat in ("{}", "[]")
            ):
                yield f"{head} {flat}"
            elif isinstance(item, dict | list):
                yield head
                yield from _yaml_lines(item, pad + "  ")
            else:
                yield f"{head} {flat}"
    elif isinstance(value, list):
        for item in value:
            flat = _flow(item)
            if flat is not None and (len(pad) + len(flat) < _WIDTH or not isinstance(item, dict)):
                yield f"{pad}- {flat}"
            else:
                lines = list(_yaml_lines(item, pad + "  "))
                yield f"{pad}- {lines[0].lstrip(' ')}"
                yield from lines[1:]
    else:
        yield f"{pad}{_yaml_scalar(value)}"


def _flow(value: Plain) -> str | None:
    """Return a value on one line, or ``None`` where it is too much for that."""
    if isinstance(value, dict | list) and value:
        if not _shallow(value):
            return None
        mapping = isinstance(value, dict)
        inner = [_flow(item) for item in (value.values() if isinstance(value, dict) else value)]
        parts = [part for part in inner if part is not None]
        if len(parts) < len(inner):
            return None
        if mapping:
            keys = [_yaml_scalar(key, key=True) for key in value]
            if any(len(key) > _LONGEST_KEY for key in keys):
                return None
            parts = [f"{key}: {part}" for key, part in zip(keys, parts, strict=True)]
        return ("{%s}" if mapping else "[%s]") % ", ".join(parts)
    return "{}" if value == {} else "[]" if value == [] else _yaml_scalar(value)


def _yaml_scalar(value: Plain, *, key: bool = False) -> str:
    if isinstance(value, str):
        safe = _PLAIN.fullmatch(value) is not None and value not in _WORDS
        if safe or (not key and _QUANTITY.fullmatch(value)):
            return value
        return '"' + "".join(_escape(character) for character in value) + '"'
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError.at("", "a number that is not finite cannot be written")
    return json.dumps(value)


def _escape(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    code = ord(character)
    if 0xD800 <= code <= 0xDFFF:
        raise InputError.at("", "a text with half of a surrogate pair cannot be written")
    return f"\\x{code:02x}" if code < 256 else f"\\U{code:08x}"


def write_text(path: Path, text: str) -> None:
    """Write a file atomically: readers see the old file or the new one, never a part.

    Raises
    ------
    InputError
        If the folder is missing or not writable, or the path is a folder.
    """
    temporary = path.with_name(f".{path.name[:80]}.{secrets.token_hex(6)}.tmp")
    try:
        data = text.encode()
        # Opened here, not by tempfile, so that the user's umask decides who may read it.
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except UnicodeEncodeError:
        message = "cannot be written: a text holds half of a surrogate pair"
        raise InputError.at(cut_path(path), message) from None
    except OSError as error:
        reason = f"cannot be written: {error.strerror}"
        raise InputError.at(cut_path(path), reason) from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
