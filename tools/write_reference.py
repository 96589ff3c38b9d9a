"""Write the pages of reference (commands, files) and the list of decisions from their sources.

Usage: python tools/write_reference.py
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import file_symbols

from edgeplan.cli.commands import app as group
from edgeplan.cli.documents import schema
from edgeplan.cli.schema import KINDS
from edgeplan.instances.document import write_text

DOCS = Path(__file__).resolve().parent.parent / "docs"
WIDTH = 88


def commands() -> str:
    """Return the page of the command line."""
    context = click.Context(group, info_name="edgeplan", **group.context_settings)
    lines = [
        "# Command line",
        "",
        "Written by `tools/write_reference.py` from the commands. Every command has `--json`;",
        "results go to stdout, chatter to stderr. Exit codes: 0 an answer, 2 bad input,",
        "3 infeasible, 4 a limit reached without a plan, 1 a run that failed, 130 interrupted.",
    ]
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        own = click.Context(command, info_name=name, parent=context, terminal_width=WIDTH)
        lines += ["", f"## edgeplan {name}", "", "```text", command.get_help(own), "```"]
    return "\n".join(lines) + "\n"


def files() -> str:
    """Return the page of the file formats."""
    lines = [
        "# Files",
        "",
        "Written by `tools/write_reference.py` from the JSON Schemas, which `edgeplan schema KIND`",
        "prints. Instances are YAML or JSON; a quantity is a number with a unit (`20 Mbit/s`)",
        "or an SI number without one. Bold keys must be there. `run -o` and `simulate -o` write",
        "the last two; of `run --open-loop` there is no schema yet.",
    ]
    for kind in KINDS:
        tree: Any = schema(kind)
        lines += ["", f"## {kind.capitalize()}", "", *_text(tree.get("description"))]
        lines += _table(tree, kind, "")
        for name, part in sorted(tree.get("$defs", {}).items()):
            if "properties" in part and not name.startswith("Named"):
                lines += ["", f"### {kind}: {name}", "", *_text(part.get("description"))]
                lines += _table(part, kind, name)
    return "\n".join(lines) + "\n"


def _text(words: object) -> list[str]:
    return [_escaped(str(words)), ""] if words else []


def _table(part: Mapping[str, Any], kind: str, title: str) -> list[str]:
    rows = ["| key | type | means |", "|---|---|---|"]
    for key, field in part["properties"].items():
        name = f"**`{key}`**" if key in part.get("required", []) else f"`{key}`"
        anchor = f'<a id="{file_symbols.key_anchor(kind, title, key)}"></a>'
        words = _escaped(field.get("description", ""))
        if "default" in field and field["default"] not in (None, {}, []):
            words += f" Default: `{field['default']}`."
        rows.append(f"| {anchor}{name} | {_type(field, kind)} | {words} |")
    return rows


def _type(field: Mapping[str, Any], kind: str) -> str:
    if "$ref" in field:
        # A part of a list differs from that of a mapping by its name only: one table for both.
        name = field["$ref"].rsplit("/", 1)[1].removeprefix("Named")
        return f"[{name}](#{kind}-{name.lower()})"
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{each}`" for each in field["enum"])
    for key in ("anyOf", "oneOf"):
        if key in field:
            return " or ".join(dict.fromkeys(_type(each, kind) for each in field[key]))
    if isinstance(field.get("type"), list):
        return " or ".join(field["type"])
    if field.get("type") == "array":
        return f"list of {_type(field['items'], kind)}" if "items" in field else "list"
    inner = field.get("additionalProperties")
    if field.get("type") == "object" and isinstance(inner, Mapping):
        return f"mapping of {_type(inner, kind)}"
    return str(field.get("type", "any"))


def _escaped(words: str) -> str:
    words = re.sub(r"``(.+?)``", r"`\1`", " ".join(words.split()))
    return words.replace("|", "\\|").replace("<", "&lt;")


def decisions() -> str:
    """Return the list of decision records."""
    lines = ["# Decisions", "", "Why things are as they are, one page each.", ""]
    for file in sorted((DOCS / "decisions").glob("0*.md")):
        title = file.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
        lines.append(f"- [{title}]({file.name})")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the pages."""
    (DOCS / "reference").mkdir(exist_ok=True)
    write_text(DOCS / "reference" / "cli.md", commands())
    write_text(DOCS / "reference" / "files.md", files())
    write_text(DOCS / "decisions" / "index.md", decisions())


if __name__ == "__main__":
    main()
