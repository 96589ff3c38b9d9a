"""Text for terminals and pipes whose encoding has fewer characters than ours."""

from __future__ import annotations

import codecs
import functools
import io
import sys
from collections.abc import Mapping

HANDLER = "edgeplan"
"""Name of the codec error handler that `make_safe` sets."""

# What edgeplan prints and ASCII has not. Of the first table the width stays, of the second not.
_SAME_WIDTH: Mapping[str, str] = {
    "–": "-", "—": "-", "−": "-", "│": "|", "─": "-", "└": "+", "┘": "+", "┐": "+", "┌": "+",
    "├": "+", "┤": "+", "┬": "+", "┴": "+", "┼": "+", "╶": "-", "╴": "-", "▶": ">", "◀": "<",
    "▼": "v", "•": "*", "·": "-", "×": "x", "µ": "u", "μ": "u", "✓": "+", "✗": "x", "○": "o",
    "●": "#", "◆": "#", "■": "#", "█": "#", "“": '"', "”": '"', "‘": "'", "’": "'", "°": "o",
    "\N{NO-BREAK SPACE}": " ",
}  # fmt: skip
_WIDER: Mapping[str, str] = {
    "…": "...", "→": "->", "←": "<-", "↔": "<->", "≤": "<=", "≥": ">=", "±": "+-", "∞": "inf",
    "ρ": "rho", "λ": "lambda", "θ": "theta", "Δ": "d", "δ": "delta", "ε": "eps", "²": "^2",
    "Σ": "sum", "≈": "~",
}  # fmt: skip
_PLAIN = {**_SAME_WIDTH, **_WIDER}


def in_encoding(text: str, encoding: str) -> str:
    r"""Return text with what an encoding cannot carry spelled by plainer characters.

    Parameters
    ----------
    text
        Any text.
    encoding
        Of the stream that it goes to; one that Python does not know counts as ASCII.

    Examples
    --------
    >>> in_encoding("2 → 3 … µs", "ascii"), in_encoding("2 → 3 … µs", "cp1252")
    ('2 -> 3 ... us', '2 -> 3 … µs')
    >>> in_encoding("é", "ascii")
    '\\xe9'
    """
    if text.isascii() or carries_all(encoding):
        return text
    return "".join(character if _carries(encoding, character) else _plain(character)
                   for character in text)  # fmt: skip


@functools.lru_cache(maxsize=16)
def carries_all(encoding: str) -> bool:
    """Say whether an encoding has every character."""
    try:
        return codecs.lookup(encoding).name.startswith("utf")
    except LookupError:
        return False


@functools.lru_cache(maxsize=4096)
def _carries(encoding: str, character: str) -> bool:
    try:
        character.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return character.isascii()
    return True


def _plain(character: str) -> str:
    return _PLAIN.get(character) or character.encode("unicode_escape").decode()


def make_safe() -> None:
    """Let no character that stdout cannot carry end a command.

    What is laid out in tables was spelled before (`in_encoding`); this is for all else.
    """
    codecs.register_error(HANDLER, _replace)
    if isinstance(sys.stdout, io.TextIOWrapper) and not carries_all(sys.stdout.encoding):
        sys.stdout.reconfigure(errors=HANDLER)


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_plain, error.object[error.start : error.end])), error.end
