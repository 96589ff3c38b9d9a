"""Small instances that come with edgeplan.

``optima.yaml`` records for most what their optimum is and how that was proved; the test suite
proves it again, through the evaluator alone. Those under load (requests wait, the plan chooses
numbers of replicas or sizes of batches) are apart: few solvers know what they state, and those
whose requests may be dealt by fraction have no proved optimum.
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
        Its price, in the units of the instance's objective; ``None`` where none is proved.
    proof
        How it was proved, in words, or why not.
    load
        Whether the instance is one under load.
    """

    objective: float | None
    proof: str
    load: bool = False


def names() -> tuple[str, ...]:
    """Return the names of the bundled instances without load, each with a proved optimum.

    Examples
    --------
    >>> names()[:3]
    ('chain-two-tier', 'dag-skip', 'multi-input-homes')
    """
    return tuple(name for name, optimum_ in _optima().items() if not optimum_.load)


def load_names() -> tuple[str, ...]:
    """Return the names of the bundled instances under load.

    Examples
    --------
    >>> load_names()[:2]
    ('four-sites', 'four-sites-skewed')
    """
    return tuple(name for name, optimum_ in _optima().items() if optimum_.load)


def text(name: str) -> str:
    """Return the file of a bundled instance, with its comments.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    _known(name)
    return resources.files(__package__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")


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
        If there is none of that name, or its optimum is not proved.

    Examples
    --------
    >>> optimum("splittable-load")
    0.09496875
    """
    found = record(name)
    if found.objective is None:
        raise InputError.at("name", f"no optimum of '{name}' is proved: {found.proof}")
    return found.objective


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
        objective, proof, load_ = entry["objective"], entry["proof"], entry.get("load", False)
        assert objective is None or isinstance(objective, float)
        assert isinstance(proof, str)
        assert isinstance(load_, bool)
        optima[name] = Optimum(objective, proof, load_)
    return optima
