"""Where words go: results to stdout, chatter to stderr, text from files made harmless."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

import click


def note(text: str) -> None:
    """Say something to the person, on stderr."""
    click.echo(clean_text(text, 2000), err=True)


def clean_text(text: str, longest: int = 80) -> str:
    r"""Return text with control characters spelled out and cut to a length.

    Names come from files: an escape sequence in one must not reach the terminal.

    Examples
    --------
    >>> clean_text("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    if len(text) > longest:
        text = text[: longest - 1] + "…"
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text
    )


def plain(value: object) -> Any:
    """Return a value made of JSON's types; numbers that JSON has not become ``null``.

    Examples
    --------
    >>> plain({"a": float("inf"), "b": (1, 2)})
    {'a': None, 'b': [1, 2]}
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, PurePath):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if hasattr(value, "item"):  # a numpy scalar
        return plain(value.item())
    raise TypeError(f"no JSON for {type(value).__name__}")


def print_json(document: object) -> None:
    """Print one JSON document to stdout."""
    sys.stdout.write(json_text(document))
    sys.stdout.flush()


def json_text(document: object) -> str:
    """Return a document as indented JSON text, ASCII only, with a newline at its end."""
    return json.dumps(plain(document), indent=2, allow_nan=False) + "\n"


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
