"""Writing an imported problem so that it can be read back."""

from __future__ import annotations

from pathlib import Path

from edgeplan.instances.document import MAX_LINE, MAX_NODES, Plain, to_yaml
from edgeplan.instances.instance import Instance
from edgeplan.instances.units import cut_path
from edgeplan.instances.write import instance_tree, write_instance
from edgeplan.model.errors import InputError
from edgeplan.model.problem import Problem


def save(problem: Problem, path: Path) -> None:
    """Write a problem as an instance, atomically, after checking that it can be read back.

    Parameters
    ----------
    problem
        Made by an importer.
    path
        YAML, or by its suffix JSON, which may be larger.

    Raises
    ------
    InputError
        If it cannot be written, or would have more values or longer lines than a YAML file may;
        JSON is then the remedy.
    """
    if path.suffix.lower() != ".json":
        tree = instance_tree(Instance(problem), path.parent)
        count = count_values(tree)
        excess = f"{count:,} values, and {MAX_NODES:,} are" if count > MAX_NODES else ""
        if not excess:
            longest = max(map(len, to_yaml(tree).splitlines()))
            excess = f"a line of {longest:,} characters, and {MAX_LINE:,} are"
            excess = excess if longest > MAX_LINE else ""
        if excess:
            remedy = cut_path(path.with_suffix(".json"))
            raise InputError.at(
                cut_path(path), f"would have {excess} the most in YAML: write {remedy} instead"
            )
    write_instance(problem, path)


def count_values(tree: Plain) -> int:
    """Return how many values a tree has as `parse_yaml` counts them: keys and containers too.

    Examples
    --------
    >>> count_values({"a": [1, 2]})
    5
    """
    count = 0
    waiting = [tree]
    while waiting:
        value = waiting.pop()
        count += 1
        if isinstance(value, dict):
            count += len(value)
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return count
