"""Where a statement of a problem stands in the user's file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgeplan.explain.items import Part
    from edgeplan.instances.document import Place, Plain
    from edgeplan.model.problem import Problem


@dataclass(frozen=True)
class FilePlaces:
    """Translates the places of a problem's statements into those of its file.

    A file may list devices and streams instead of naming them, one of its links may stand for
    both directions, and a deadline on the mean stands alone or beside those on percentiles.

    Parameters
    ----------
    tree
        The file's content.
    lines
        Line numbers by place, where known.
    """

    tree: Mapping[str, Plain] = field(default_factory=dict)
    lines: Mapping[Place, int] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> FilePlaces:
        """Return the places of an instance file that was read without a fault."""
        from edgeplan.instances.document import read_document

        document = read_document(path)
        tree = document.value if isinstance(document.value, dict) else {}
        return cls(tree, document.lines)

    def place(self, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        """Return a place as the file has it."""
        kind, *rest = parts
        section = self.tree.get(str(kind))
        if kind in ("devices", "streams") and rest:
            key, item = _named(section, rest[0])
            if kind == "streams" and rest[1:2] == ["deadline"]:
                rest[1:] = _deadline(item, rest[2:])
            return (kind, key, *rest[1:])
        if kind == "links" and rest and (stated := self._links()):
            return (kind, stated[int(rest[0])], *rest[1:])
        if kind == "networks" and isinstance(section, dict) and rest:
            network = section.get(str(rest[0]))
            if isinstance(network, dict) and "profiles" in network:
                return (kind, rest[0], "profiles")
        return parts

    def _links(self) -> list[int]:
        """Return, for each link of the problem, the index of the file's that makes it."""
        section = self.tree.get("links")
        return [
            index
            for index, item in enumerate(section if isinstance(section, list) else [])
            for _ in range(2 if isinstance(item, dict) and item.get("both") is True else 1)
        ]

    def two_way(self, problem: Problem) -> frozenset[tuple[str, str]]:
        """Return the links, as (source, target), that the file states for both directions."""
        stated = self._links()
        return frozenset(
            (link.source, link.target)
            for link, index, following in zip(problem.links, stated, stated[1:], strict=False)
            if index == following
        )

    def where(self, parts: tuple[Part, ...]) -> str:
        """Return a place of the file as text.

        Examples
        --------
        >>> FilePlaces({"devices": [{"name": "cam"}]}).where(("devices", "cam", "memory"))
        'devices[0].memory'
        """
        from edgeplan.instances.document import show_place

        return show_place(self.place(parts))

    def line(self, parts: tuple[Part, ...]) -> int | None:
        """Return the line of a place; of what it is part of where the file does not state it."""
        place = self.place(parts)
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines[place] if place else None


def _named(section: Plain, name: Part) -> tuple[Part, Plain]:
    """Return the key or index of a device or stream of a file, and what the file says of it."""
    if isinstance(section, list):
        for index, item in enumerate(section):
            if isinstance(item, dict) and item.get("name") == name:
                return index, item
    return name, section.get(str(name)) if isinstance(section, dict) else None


def _deadline(stream: Plain, statistic: list[Part]) -> list[Part]:
    """Return where a stream of a file has its deadline on the mean, or on a percentile."""
    from edgeplan.instances.parts import probability_of

    stated = stream.get("deadline") if isinstance(stream, dict) else None
    if not isinstance(stated, dict):
        return ["deadline", *statistic]
    if not statistic:
        return ["deadline", "mean"]
    probability = probability_of(str(statistic[0]))
    written = (key for key in stated if probability_of(str(key)) == probability)
    return ["deadline", next(written, str(statistic[0]))]
