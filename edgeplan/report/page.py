"""A page: one HTML file that needs nothing else, made from sections.

Text is escaped by jinja2, always. Numbers and names for the page's own code go into JSON blocks,
which no browser runs, with ``<``, ``>`` and ``&`` written as escapes. What may run is named by its
SHA-256 in the page's content security policy, which also forbids every request.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib.util
import json
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeplan.instances.document import write_text
from edgeplan.model.errors import InputError

if TYPE_CHECKING:
    import jinja2

    from edgeplan.report.figures import Figure

HERE = Path(__file__).parent
PACK_CHARACTERS = 20_000
"""Longer JSON is compressed; the browser unpacks it (DecompressionStream)."""
PAGE_STYLES, PAGE_SCRIPTS = ("page.css",), ("units.js", "page.js")
EXTRA = "pip install 'edgeplan[report]'"


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of a page, with a heading.

    Parameters
    ----------
    id
        Name of its place in the page: letters and hyphens.
    title, lead
        Heading, and what it shows in a sentence or two.
    template
        File in ``templates/`` that makes its content from ``context``; none for figures alone.
    context
        What the template is given, beside ``section`` and ``page``. Only `markupsafe.Markup` is
        not escaped.
    figures
        Charts: those that the template does not place stand below it.
    data
        By name, what the section's own code reads with ``edgeplan.data(name)``: JSON values.
    styles, scripts
        Files in ``static/`` that it needs beside those of every page.
    listed
        Whether the page's list of sections names it.
    """

    id: str
    title: str
    lead: str = ""
    template: str = ""
    context: Mapping[str, Any] = field(default_factory=dict)
    figures: tuple[Figure, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    styles: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()
    listed: bool = True


@dataclass(frozen=True, kw_only=True)
class Page:
    """What a page says.

    Parameters
    ----------
    kind
        What it shows: ``front``, ``plan``, ``run``, ….
    title, subtitle
        Heading, and what it is in a sentence.
    sections
        In order.
    sources
        Names of the files that it was made from.
    facts
        What the command says of it with ``--json``, beside file, bytes and kind.
    """

    kind: str
    title: str
    subtitle: str
    sections: tuple[Section, ...]
    sources: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


def need_extra() -> None:
    """Check that what pages are made with is installed.

    Raises
    ------
    InputError
        With the command that installs it.
    """
    missing = [name for name in ("jinja2", "plotly") if importlib.util.find_spec(name) is None]
    if missing:
        message = f"needs {' and '.join(missing)}; install with: {EXTRA}"
        raise InputError.at("report", message)


def render(page: Page) -> str:
    """Return a page as HTML text; equal pages give equal texts.

    Raises
    ------
    InputError
        If the extra ``report`` is not installed.
    """
    need_extra()
    scripts = _texts((*PAGE_SCRIPTS, *_named(page, "scripts")))
    figures = {figure.id: figure for section in page.sections for figure in section.figures}
    data = {key: value for section in page.sections for key, value in section.data.items()}
    if figures:
        data["figures"] = {key: figure.spec() for key, figure in figures.items()}
    # The library is unpacked by the page's own code, after the text is there to be read.
    charts = bool(figures or any(section.scripts for section in page.sections))
    library = _library() if charts else ""
    allowed = [_allowed(scripts)] + ([_allowed(library)] if library else [])
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            page=page,
            policy=(
                # plotly makes functions of text that it wrote itself (regl, for WebGL).
                f"default-src 'none'; script-src 'unsafe-eval' {' '.join(allowed)}; "
                "style-src 'unsafe-inline'; "
                "img-src data: blob:; font-src data:; base-uri 'none'; form-action 'none'"
            ),
            styles=_markup(_texts((*PAGE_STYLES, *_named(page, "styles")))),
            scripts=_markup(scripts),
            data=[(key, *_block(value)) for key, value in data.items()],
            library=_packed_library() if library else "",
            library_name=library_name() if library else "",
        )
    )


def write_page(page: Page, file: Path) -> int:
    """Write a page whole or not at all; return how many bytes it has.

    Raises
    ------
    InputError
        If the file cannot be written, or the extra ``report`` is not installed.
    """
    text = render(page)
    write_text(file, text)
    return len(text.encode())


def json_text(value: Any) -> str:
    r"""Return JSON that can stand in an HTML script element.

    Numbers that are not finite become ``null``; floats keep nine digits, which is more than a
    picture shows.

    Examples
    --------
    >>> json_text({"<b>": [0.1, float("inf")]})
    '{"\\u003cb\\u003e":[0.1,null]}'
    """
    text = json.dumps(_plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return float(f"{value:.9g}") if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):  # of numpy
        return _plain(value.tolist())
    raise TypeError(f"no JSON for {type(value).__name__}")


def pack(text: str) -> str:
    """Return a text deflated, in base64."""
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def _block(value: Any) -> tuple[bool, Any]:
    """Return whether a value is packed, and its text."""
    text = json_text(value)
    if len(text) > PACK_CHARACTERS:
        return True, pack(text)
    return False, _markup(text)


@functools.cache
def _library() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


@functools.cache
def _packed_library() -> str:
    return pack(_library())


def library_name() -> str:
    """Return the name and version of the charts' library, as its text says it.

    Examples
    --------
    >>> library_name().startswith("plotly.js v")
    True
    """
    line = _library()[:200].split("\n")[1]
    return line.strip("* ")


def _allowed(script: str) -> str:
    """Return the name of a script in a content security policy."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _named(page: Page, kind: str) -> list[str]:
    """Return the files of all sections, each once, in order."""
    return list(dict.fromkeys(name for each in page.sections for name in getattr(each, kind)))


def _texts(names: Sequence[str]) -> str:
    """Return files of ``static/`` one after the other."""
    return "\n".join((HERE / "static" / name).read_text(encoding="utf-8") for name in names)


def _markup(text: str) -> Any:
    from markupsafe import Markup

    # Only our own files and JSON whose special characters are written as escapes come here.
    return Markup(text)  # noqa: S704


@functools.cache
def _environment() -> jinja2.Environment:
    import jinja2

    from edgeplan.report import figures
    from edgeplan.report.words import FILTERS

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(FILTERS)
    environment.globals["series_colours"] = figures.SERIES
    return environment
