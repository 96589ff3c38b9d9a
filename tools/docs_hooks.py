"""Hooks of mkdocs.

Equations become MathML, so that pages need nothing from elsewhere, and the search gets a name, so
that screen readers can say it.
"""

from __future__ import annotations

import re
from typing import Any

from latex2mathml.converter import convert

FENCED = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^\$\$\n(.*?)\n\$\$$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<![\\$\w])\$([^$\n]+?(?:\n[^$\n]+?)?)\$(?![\w$])")

SEARCH = '<div class="md-search" data-md-component="search" role="dialog"'


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace equations outside of code."""
    parts = FENCED.split(markdown)
    for index in range(0, len(parts), 2):
        block = BLOCK.sub(_display, parts[index])
        parts[index] = INLINE.sub(lambda found: _math(found[1], "inline"), block)
    return "".join(parts)


def on_post_page(output: str, **_: Any) -> str:
    """Name the dialog of the search, which the theme leaves without a name."""
    return output.replace(SEARCH, f'{SEARCH} aria-label="Search"')


def on_post_template(output_content: str, **_: Any) -> str:
    """Do the same on the page that says that there is no such page."""
    return on_post_page(output_content)


def _display(found: re.Match[str]) -> str:
    # In a block of its own, which scrolls where the equation is wider than the page.
    return f'<div class="equation" tabindex="0">{_math(found[1], "block")}</div>'


def _math(text: str, display: str) -> str:
    return str(convert(text.replace("\n", " "), display=display)).replace("\n", " ")
