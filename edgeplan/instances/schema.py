"""The published JSON Schemas of instance, profile and plan files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from edgeplan.instances import units
from edgeplan.instances.codec import json_schema
from edgeplan.instances.parts import InstanceFile
from edgeplan.model.certificate import Claim
from edgeplan.model.errors import InputError
from edgeplan.model.plan import Plan
from edgeplan.model.profile import Profile

INSTANCE_FORMAT = "edgeplan-instance"
PROFILE_FORMAT = "edgeplan-profile"
PLAN_FORMAT = "edgeplan-plan"
VERSION = 1
DRAFT = "https://json-schema.org/draft/2020-12/schema"
KINDS = ("instance", "profile", "plan")


def schema(kind: str) -> dict[str, object]:
    """Return the JSON Schema (draft 2020-12) of a kind of file.

    Parameters
    ----------
    kind
        ``instance``, ``profile`` or ``plan``.

    Returns
    -------
    dict
        With descriptions and examples, ready for JSON.

    Raises
    ------
    InputError
        If there is no such kind.
    """
    if kind == "instance":
        return _instance_schema()
    if kind == "profile":
        return with_header(json_schema(Profile), PROFILE_FORMAT, "Profile of a network", {})
    if kind == "plan":
        claim = json_schema(Claim)
        body, definitions = json_schema(Plan), claim.pop("$defs")
        assert isinstance(definitions, dict)
        body["$defs"] = {**cast("dict[str, object]", body.get("$defs", {})), **definitions}
        properties = claim["properties"]
        assert isinstance(properties, dict)
        properties["multipliers"] = {
            "type": "object",
            "description": "Prices of limits that the bound can be recomputed from.",
        }
        extras = {**_PLAN_EXTRAS, "claim": claim}
        return with_header(body, PLAN_FORMAT, "Plan of an instance", extras)
    raise InputError.at("kind", f"there is no '{units.cut(kind)}'; choose {', '.join(KINDS)}")


_PLAN_EXTRAS: Mapping[str, object] = {
    "problem": {
        "type": "object",
        "description": "The problem that the plan was made for.",
        "properties": {
            "name": {"type": "string"},
            "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        },
        "required": ["name", "fingerprint"],
        "additionalProperties": False,
    },
    "about": {
        "type": "object",
        "description": "For people: how the plan was found and what it was priced at.",
    },
}


def with_header(
    body: dict[str, object], name: str, title: str, extras: Mapping[str, object]
) -> dict[str, object]:
    """Return the schema of a file from that of its body: with its format, version and title."""
    properties = body["properties"]
    required = body["required"]
    assert isinstance(properties, dict)
    assert isinstance(required, list)
    header = {
        "format": {"const": name, "description": "Says what the file is."},
        "version": {"const": VERSION, "description": "Version of the format."},
    }
    return {
        "$schema": DRAFT,
        "title": title,
        **body,
        "properties": {**header, **properties, **extras},
        "required": [*header, *required],
    }


def _instance_schema() -> dict[str, object]:
    tree = InstanceFile.model_json_schema(by_alias=True)
    _tidy(tree)
    definitions = tree["$defs"]
    for key in ("devices", "streams"):
        entry = tree["properties"][key]
        item = entry.pop("additionalProperties")["$ref"]
        entry.pop("type")
        named = f"Named{item.rsplit('/', 1)[1]}"
        part = definitions[item.rsplit("/", 1)[1]]
        definitions[named] = {
            **part,
            "properties": {"name": {"type": "string", "minLength": 1}, **part["properties"]},
            "required": ["name", *part.get("required", [])],
        }
        entry["anyOf"] = [
            {"type": "object", "additionalProperties": {"$ref": item}},
            {"type": "array", "items": {"$ref": f"#/$defs/{named}"}},
        ]
    return {"$schema": DRAFT, **tree}


def _tidy(tree: object) -> None:
    """Write defaults as files do, and drop titles that only repeat the key."""
    if isinstance(tree, list):
        for item in tree:
            _tidy(item)
    if not isinstance(tree, dict):
        return
    if isinstance(tree.get("title"), str) and tree.keys() & {"type", "anyOf", "oneOf", "$ref"}:
        tree.pop("title")
    default = tree.get("default")
    forms = (tree, *tree.get("anyOf", ()), *tree.get("oneOf", ()))
    dimension = units.DIMENSIONS.get(
        next((f["x-dimension"] for f in forms if "x-dimension" in f), "")
    )
    if dimension is not None and isinstance(default, int | float):
        tree["default"] = dimension.format(default)
    elif default is None or isinstance(default, dict):
        tree.pop("default", None)
    # pydantic writes a union that was told apart by a function as oneOf; that holds here too.
    for key, item in list(tree.items()):
        if key == "properties" and isinstance(item, dict):
            for inner in item.values():
                _tidy(inner)
        elif key != "default":
            _tidy(item)
