"""A plan drawn on the topology, as inline SVG: tiers as columns, stages as boxes, links as arrows.

`edgeplan.report.scene` says what is shown, `edgeplan.report.layout` where it goes; the template
writes it down. Colours come from the page's style sheet by class names, so that light, dark and
print need one picture. Every text goes through the template's escaping.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from edgeplan.report.layout import below_each_other, side_by_side
from edgeplan.report.scene import Scene, scene, scene_of_routes

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup

__all__ = ["Scene", "drawing", "scene", "scene_of_routes"]


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
    from markupsafe import Markup

    pictures = {"wide": side_by_side(shown), "narrow": below_each_other(shown)}
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
