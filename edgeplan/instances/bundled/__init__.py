"""Small instances that come with edgeplan, each with a proved optimum.

``optima.yaml`` records for each what its optimum is and how that was proved; the test suite
proves it again, through the evaluator alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from edgeplan.instances.document import parse_yaml
from edgeplan.instances.instance import Instance
from edgeplan.instances.read import read_instance
from edgeplan.instances.units import cut
from edgeplan.model.errors import InputError


@dataclass(frozen=True)
class Optimum:
    """What is known of a bundled instance's optimum.

    Parameters
    ----------
    objective
        Its price, in the units of the instance's objective.
    proof
        How it was proved, in words.
    """

    objective: float
    proof: str


def names() -> tuple[str, ...]:
    """Return the names of the bundled instances.

    Examples
    --------
    >>> names()[:3]
    ('chain-two-tier', 'dag-skip', 'multi-input-homes')
    """
    return tuple(_optima())


def load(name: str) -> Instance:
    """Return a bundled instance.

    Raises
    ------
    InputError
        If there is none of that name.

    Examples
    --------
    >>> load("privacy").problem.streams[0].privacy.zones
    ('home',)
    """
    _known(name)
    with resources.as_file(resources.files(__package__).joinpath(f"{name}.yaml")) as path:
        return read_instance(Path(path))


def optimum(name: str) -> float:
    """Return the price of a bundled instance's optimal plan.

    Raises
    ------
    InputError
        If there is none of that name.

    Examples
    --------
    >>> optimum("splittable-load")
    0.09496875
    """
    return record(name).objective


def record(name: str) -> Optimum:
    """Return what is known of a bundled instance's optimum.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    return _known(name)


def _known(name: str) -> Optimum:
    optima = _optima()
    if name not in optima:
        known = ", ".join(optima)
        raise InputError.at("name", f"no bundled instance '{cut(name)}'; known: {known}")
    return optima[name]


@cache
def _optima() -> dict[str, Optimum]:
    text = resources.files(__package__).joinpath("optima.yaml").read_text(encoding="utf-8")
    tree = parse_yaml(text).value
    assert isinstance(tree, dict)
    optima = {}
    for name, entry in tree.items():
        assert isinstance(entry, dict)
        objective, proof = entry["objective"], entry["proof"]
        assert isinstance(objective, float)
        assert isinstance(proof, str)
        optima[name] = Optimum(objective, proof)
    return optima
