"""A plan drawn on the topology, as inline SVG: tiers as columns, stages as boxes, links as arrows.

`edgeplan.report.scene` says what is shown, `edgeplan.report.layout` where it goes; the template
writes it down. Colours come from the page's style sheet by class names, so that light, dark and
print need one picture. Every text goes through the template's escaping.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

from edgeplan.report.layout import Drawing, below_each_other, side_by_side
from edgeplan.report.scene import Scene, scene, scene_of_routes, without_idle

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup

__all__ = ["Scene", "drawing", "drawings", "scene", "scene_of_routes", "without_idle"]

_WORDS_OF_MANY = "The stages of the plan at their devices; the table All stages lists them"


def drawing(shown: Scene) -> Markup:
    """Return a scene as HTML: the picture for wide screens and that for narrow ones.

    Parameters
    ----------
    shown
        What is drawn.

    Returns
    -------
    Markup
        Two ``svg`` elements of which the style sheet shows one.
    """
    return _markup({"wide": side_by_side(shown), "narrow": below_each_other(shown)})


def drawings(scenes: Iterable[Scene]) -> dict[str, Any]:
    """Return the drawings of many plans for a narrow place, small enough for thousands.

    Parameters
    ----------
    scenes
        What is drawn; devices that do nothing are left out.

    Returns
    -------
    dict
        ``lines``: HTML, each once, since drawings have most of their lines in common; ``plans``:
        for each scene the numbers of its lines, in order.
    """
    from markupsafe import Markup

    number: dict[str, int] = {}
    plans = []
    for each in scenes:
        shown = without_idle(each)
        placed = dataclasses.replace(below_each_other(shown), words=_WORDS_OF_MANY)
        text = _markup({"front": placed})
        if shown.left_out:
            text += Markup("<figcaption>Not drawn: {}.</figcaption>").format(
                ", ".join(shown.left_out)
            )
        plans.append([number.setdefault(line, len(number)) for line in text.split("\n")])
    return {"lines": list(number), "plans": plans}


def _markup(pictures: dict[str, Drawing]) -> Markup:
    from markupsafe import Markup

    text = _template().render(pictures=pictures)
    return Markup(text)  # noqa: S704  # the template escapes every value


@cache
def _template() -> jinja2.Template:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("edgeplan.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("drawing.svg.j2")
