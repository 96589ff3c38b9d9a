"""Hooks of mkdocs: equations as MathML, so that pages need nothing from elsewhere."""

from __future__ import annotations

import re
from typing import Any

from latex2mathml.converter import convert

FENCED = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^\$\$\n(.*?)\n\$\$$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<![\\$\w])\$([^$\n]+?(?:\n[^$\n]+?)?)\$(?![\w$])")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace equations outside of code."""
    parts = FENCED.split(markdown)
    for index in range(0, len(parts), 2):
        block = BLOCK.sub(lambda found: _math(found[1], "block"), parts[index])
        parts[index] = INLINE.sub(lambda found: _math(found[1], "inline"), block)
    return "".join(parts)


def _math(text: str, display: str) -> str:
    return str(convert(text.replace("\n", " "), display=display)).replace("\n", " ")
