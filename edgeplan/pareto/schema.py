"""The published JSON Schema of front files."""

from __future__ import annotations

from edgeplan.instances.codec import json_schema
from edgeplan.instances.schema import schema, with_header
from edgeplan.pareto.files import FRONT_FORMAT, FrontHead
from edgeplan.pareto.objectives import CRITERIA


def front_schema() -> dict[str, object]:
    """Return the JSON Schema (draft 2020-12) of ``front.json``.

    Returns
    -------
    dict
        With descriptions, ready for JSON. A point has the value of each of the front's objectives;
        which these are is not said by the schema, but checked when a front is read.
    """
    body, plan = json_schema(FrontHead), schema("plan")
    definitions = body.setdefault("$defs", {})
    own = plan.pop("$defs", {})
    assert isinstance(definitions, dict)
    assert isinstance(own, dict)
    kept = {key: plan[key] for key in ("type", "description", "additionalProperties")}
    properties, required = plan["properties"], plan["required"]
    assert isinstance(properties, dict)
    assert isinstance(required, list)
    left_out = ("format", "version", "problem", "about", "claim")
    body["description"] = "Every plan that no other beats in all objectives."
    definitions |= {
        "Route": own["Route"],
        "Plan": {
            **kept,
            "properties": {key: part for key, part in properties.items() if key not in left_out},
            "required": [key for key in required if key not in left_out],
        },
        "Point": {
            "description": "A point of the front: its values, and the plan that has them.",
            "type": "object",
            "properties": {
                **{
                    each.key: {"type": "number", "description": f"{each.name}, in {each.unit}"}
                    for each in CRITERIA.values()
                },
                "plan": {"$ref": "#/$defs/Plan"},
            },
            "required": ["plan"],
            "additionalProperties": False,
        },
    }
    points = {
        "type": "array",
        "items": {"$ref": "#/$defs/Point"},
        "description": "In ascending order of their values.",
    }
    found = with_header(body, FRONT_FORMAT, "Pareto front of an instance", {"points": points})
    assert isinstance(found["required"], list)
    found["required"].append("points")
    return found
