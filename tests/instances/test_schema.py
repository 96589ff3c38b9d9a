"""The published schemas accept what the readers accept, and refuse what tools can refuse."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from edgeplan.instances import bundled
from edgeplan.instances.document import parse_yaml, to_json
from edgeplan.instances.generators import KINDS, random_problem
from edgeplan.instances.init import starter
from edgeplan.instances.instance import Instance
from edgeplan.instances.schema import KINDS as FILE_KINDS
from edgeplan.instances.schema import schema
from edgeplan.instances.write import instance_tree
from edgeplan.model.errors import InputError
from tests.instances.file_faults import good_instance, table, write_good


def validator(kind: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema(kind))


@pytest.mark.parametrize("kind", FILE_KINDS)
def test_it_is_a_schema_with_words(kind: str, tmp_path: Path) -> None:
    published = schema(kind)
    jsonschema.Draft202012Validator.check_schema(published)
    assert json.loads(json.dumps(published, allow_nan=False)) == published
    for name, part in published["properties"].items():
        assert part.get("description"), name
    good = write_good(tmp_path)[kind]
    tree = parse_yaml(good.read_text()).value
    assert not list(validator(kind).iter_errors(tree))


def test_every_field_of_an_instance_is_described() -> None:
    for name, part in schema("instance")["$defs"].items():
        assert part["description"], name
        for key, field in part["properties"].items():
            assert key == "name" or field.get("description"), (name, key)


def test_it_accepts_what_is_read() -> None:
    check = validator("instance")
    trees = [good_instance(), parse_yaml(starter()).value]
    folder = Path(bundled.__file__).parent
    trees += [parse_yaml((folder / f"{name}.yaml").read_text()).value for name in bundled.names()]
    trees += [
        instance_tree(
            Instance(random_problem(seed, kind=KINDS[seed % 4], spans=seed % 2 > 0)), Path()
        )
        for seed in range(12)
    ]
    as_list = good_instance()
    for kind in ("devices", "streams"):
        as_list[kind] = [{"name": name, **part} for name, part in as_list[kind].items()]
    trees.append(as_list)
    profiled = good_instance()
    profiled["networks"]["a"] = {"profiles": {"camera": "a.json"}, "onnx": "a.onnx"}
    profiled["networks"]["b"] = {"profiles": [{"file": "a.json", "devices": "camera"}]}
    profiled["devices"]["gateway"]["utilisation_cap"] = "90 %"
    profiled["streams"]["watch"]["privacy"]["zones"] = "home"
    trees.append(profiled)
    for tree in trees:
        errors = [f"{list(error.path)}: {error.message}" for error in check.iter_errors(tree)]
        assert not errors
        assert json.loads(to_json(tree)) == tree


def test_it_refuses_much_of_what_is_not(tmp_path: Path) -> None:
    """A tool cannot see everything, but unknown keys, wrong types and bare numbers it can."""
    check = validator("instance")
    refused = total = 0
    for case in table(0):
        named = case.name.startswith(("unknown key", "without "))
        if case.kind != "instance" or not named:
            continue
        folder = tmp_path / str(total)
        folder.mkdir()
        path = case.make(folder)
        total += 1
        if "bandwidth" in case.name:
            continue  # a catalogue entry may give it
        refused += not check.is_valid(parse_yaml(path.read_text()).value)
    assert total > 20
    assert refused >= total - 1


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(InputError, match="instance, profile, plan"):
        schema("picture")
