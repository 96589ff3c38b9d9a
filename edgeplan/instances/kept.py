"""The instance that a folder of results is of: a copy beside them, and what differs from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from edgeplan.instances.document import Place, Plain, read_document, show_place, to_json, write_text
from edgeplan.instances.instance import Instance
from edgeplan.instances.units import cut, cut_path
from edgeplan.instances.write import instance_tree
from edgeplan.model.errors import Fault, InputError

MAX_KEPT_BYTES = 500_000_000
"""Largest copy that is read back: everything is written out in it, profiles too."""
_MAX_FAULTS = 20
_NOT_THE_PROBLEM = ("onnx", "sha256", "shapes")
"""Keys of a network that say where its file is, and nothing of what is planned."""


def keep(instance: Instance, file: Path) -> None:
    """Write a copy of an instance, or check that the copy which is there is of the same problem.

    Parameters
    ----------
    instance
        The instance.
    file
        Its copy: JSON, with everything that came from profiles and the catalogue written out.

    Raises
    ------
    InputError
        With the statements that differ (up to twenty), if the copy is of another problem.
    """
    tree = instance_tree(instance, file.parent)
    if not file.exists():
        write_text(file, to_json(tree))
        return
    kept = read_document(file, max_bytes=MAX_KEPT_BYTES).value
    # Through text and back, as the copy went.
    found = list(_differences((), _comparable(kept), _comparable(tree)))
    if not found:
        return
    more = len(found) - _MAX_FAULTS
    first, *rest = found[:_MAX_FAULTS]
    folder = cut_path(file.parent)
    head = f"{first.message}; {folder} has results of another instance: choose another folder"
    tail = [Fault("", f"and {more} more differences")] if more > 0 else []
    raise InputError([Fault(first.place, head), *rest, *tail])


def _comparable(tree: Plain) -> Plain:
    """Return an instance's content without what is no part of its problem, links by their ends."""
    if not isinstance(tree, dict):
        return tree
    copy = {key: value for key, value in tree.items() if key != "name"}
    networks = copy.get("networks")
    if isinstance(networks, dict):
        copy["networks"] = {
            name: {key: value for key, value in part.items() if key not in _NOT_THE_PROBLEM}
            if isinstance(part, dict)
            else part
            for name, part in networks.items()
        }
    links = copy.get("links")
    if isinstance(links, list):
        named: dict[str, Plain] = {}
        for link in links:
            ends = f"{link.get('from')}->{link.get('to')}" if isinstance(link, dict) else "?"
            named[ends] = link
        copy["links"] = named
    return copy


def _differences(place: Place, old: Plain, new: Plain) -> Iterator[Fault]:
    """Yield what two trees disagree about, where they do."""
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _of_mappings(place, old, new)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _differences((*place, index), before, after)
    elif old != new:
        yield Fault(show_place(place), f"was {_shown(old)} and is {_shown(new)}")


def _of_mappings(
    place: Place, old: Mapping[str, Plain], new: Mapping[str, Plain]
) -> Iterator[Fault]:
    for key, value in old.items():
        if key in new:
            yield from _differences((*place, key), value, new[key])
        else:
            yield Fault(show_place((*place, key)), f"was {_shown(value)} and is not stated now")
    for key, value in new.items():
        if key not in old:
            yield Fault(show_place((*place, key)), f"was not stated and is {_shown(value)}")
    if list(old) != list(new) and set(old) == set(new) and len(place) == 1:
        yield Fault(show_place(place), "are in another order")


def _shown(value: Plain) -> str:
    if isinstance(value, dict):
        return "a mapping"
    return f"a list of {len(value)}" if isinstance(value, list) else f"'{cut(value)}'"
