"""Damaged files are read or refused, never anything else."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from edgeplan.instances.detect import detect
from edgeplan.instances.document import to_yaml
from edgeplan.instances.plans import read_plan
from edgeplan.instances.profiles import read_profile
from edgeplan.instances.read import read_instance
from edgeplan.model.errors import InputError
from tests.instances.file_faults import changed, good_instance, leaves, mappings, write_good

VALUES = [
    None, True, False, 0, -1, 7, 1e300, -0.0, 10**200, "", "x", "5 ms", "-5 ms", "unlimited",
    "5/s", [], {}, [[]], [None], {"name": "x"}, "camera", "detector", [1, "a", {}], "\u2028",
    "<times>", "100 %", "occupy", [["stem", "body"]], "3/s",
]  # fmt: skip
READERS = {"instance": read_instance, "profile": read_profile, "plan": read_plan}


def survive(kind: str, path: Path) -> bool:
    """Return whether a file was read; refuse every other end than that or `InputError`."""
    try:
        READERS[kind](path)
    except InputError as error:
        refused: InputError | None = error
    else:
        refused = None
    if refused is None:
        assert detect(path) == kind
        return True
    assert refused.faults
    assert all(len(str(fault)) < 1500 for fault in refused.faults)
    return False


def damaged(draw: random.Random, data: bytes) -> bytes:
    """Return bytes with a few random edits."""
    result = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(result))
        length = draw.randint(0, 12)
        choice = draw.random()
        if choice < 0.3:
            del result[at : at + length]
        elif choice < 0.6:
            result[at : at + length] = result[draw.randrange(len(result)) :][:length]
        elif choice < 0.8:
            result[at] = draw.randrange(256)
        else:
            result[at:at] = draw.choice(
                [
                    b"{",
                    b"[",
                    b": ",
                    b"\n",
                    b"- ",
                    b'"',
                    b"&a ",
                    b"*a",
                    b"!!x ",
                    b"#",
                    b"|\n",
                    b"%",
                    b"\t",
                ]
            )
    return bytes(result)


def mutated(draw: random.Random, tree: Any) -> Any:
    """Return a tree with a few values replaced, removed or added."""
    for _ in range(draw.randint(1, 3)):
        places = [path for path, _ in leaves(tree)] + [path for path, _ in mappings(tree) if path]
        if not places:
            break
        path = draw.choice(places)
        choice = draw.random()
        value = ... if choice < 0.2 else draw.choice(VALUES)
        if choice > 0.85:
            path = (*draw.choice([path for path, _ in mappings(tree)]), draw.choice(["x", "name"]))
        tree = changed(tree, path, value)
    return tree


def fuzz(folder: Path, seed: int, count: int) -> int:
    draw = random.Random(seed)
    paths = write_good(folder)
    texts = {kind: path.read_bytes() for kind, path in paths.items()}
    trees = {kind: json.loads(texts[kind]) for kind in ("profile", "plan")}
    trees["instance"] = good_instance()
    read = 0
    for number in range(count):
        kind = draw.choice(["instance", "instance", "profile", "plan"])
        path = paths[kind]
        if number % 2:
            path.write_bytes(damaged(draw, texts[kind]))
        elif kind == "instance":
            path.write_text(to_yaml(mutated(draw, trees[kind])))
        else:
            path.write_text(json.dumps(mutated(draw, trees[kind])))
        read += survive(kind, path)
    return read


def test_damaged_files(tmp_path: Path) -> None:
    assert 0 < fuzz(tmp_path, 0, 200) < 130


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1, 11))
def test_many_damaged_files(seed: int, tmp_path: Path) -> None:
    fuzz(tmp_path, seed, 1000)
