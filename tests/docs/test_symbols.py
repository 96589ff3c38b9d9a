"""Every symbol of the equations is a variable of the program, or data with a key in the file."""

from __future__ import annotations

import inspect
import re

import file_symbols
import pytest

from edgeplan.model.formulation import EQUATIONS, TERMS, queueing, variables
from edgeplan.model.formulation.queueing import variables as queue_variables

INDICES = set("abcdgijklnqrst")
"""Letters that number things; data and variables with the same letter have subscripts."""

LAYOUT = re.compile(
    r"\\(?:sum|frac|le|ge|ne|[Bb]ig[lr]|q?quad|cdot|iff|ln|text\{[^{}]*\}|(?:begin|end)\{\w+\})"
    r"(?![A-Za-z])"
)

OWN = {
    "W": "an end of a state's waits",
    "H": "defined beside its equation",
    "Q": "second moment of a box",
    "rho": "utilisation of a box",
    "theta": "a level of decay",
    "E": "an expectation",
    "v": "visits",
    "e": "the base of exponentials",
}
"""What the program under load chooses or derives itself."""


def signs(module: object) -> set[str]:
    """Return the symbols of a table of variables."""
    rows = re.findall(r"(?m)^(\w) +``\w+(?:\[|``)", inspect.getdoc(module) or "")
    return {{"φ": "varphi"}.get(sign, sign) for sign in rows}


def unknown(
    equation: str, words: str, symbols: tuple[file_symbols.Symbol, ...], known: set[str]
) -> set[str]:
    """Return what an equation has that is neither data of the file nor known."""
    rest = file_symbols.mathematics(words)
    for symbol in symbols:
        if symbol.occurs(equation, rest):
            rest = re.sub(f"(?:{symbol.pattern})", " ", rest)
    rest = LAYOUT.sub(" ", rest)
    while (bare := re.sub(r"_\{[^{}]*\}|_\\?\w|\bstarts\b|\bmoved\b", " ", rest)) != rest:
        rest = bare
    found = re.findall(r"\\([A-Za-z]+)|([A-Za-z])", rest)
    return {macro or letter for macro, letter in found} - INDICES - known


CASES = [
    (item.name, inspect.cleandoc(item.words), file_symbols.PROGRAM, signs(variables))
    for item in (*EQUATIONS.values(), *TERMS.values())
] + [
    (name, inspect.getdoc(rule), file_symbols.LOAD, signs(queue_variables) | set(OWN))
    for register in (queueing.EQUATIONS, queueing.TERMS)
    for name, rule in register.items()
]


@pytest.mark.parametrize(("name", "words", "symbols", "known"), CASES, ids=[c[0] for c in CASES])
def test_symbols_are_explained(name, words, symbols, known):
    assert file_symbols.mathematics(words)
    assert unknown(name, words, symbols, known) == set()


@pytest.mark.parametrize("symbols", [file_symbols.PROGRAM, file_symbols.LOAD])
def test_every_symbol_occurs_somewhere(symbols):
    idle = [
        symbol.sign
        for symbol in symbols
        if not any(
            symbol.occurs(name, file_symbols.mathematics(words)) for name, words, *_ in CASES
        )
    ]
    assert idle == []


def test_a_symbol_without_a_key_is_found():
    words = ".. math:: L_s \\le D_s + \\zeta_s Y_d"
    assert unknown("punctual", words, file_symbols.PROGRAM, {"L"}) == {"zeta", "Y"}


def test_a_key_that_files_do_not_have_is_refused():
    with pytest.raises(KeyError, match="horsepower"):
        file_symbols.link("DevicePart.horsepower")
