"""Plan files: JSON with a header, the routes, and the fingerprint of the problem planned."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from edgeplan.instances.codec import decode, encode
from edgeplan.instances.document import Plain, parse_json, read_text, to_json, write_text
from edgeplan.instances.profiles import checked_body
from edgeplan.instances.schema import PLAN_FORMAT, VERSION
from edgeplan.model.certificate import Claim
from edgeplan.model.errors import Fault, InputError
from edgeplan.model.multipliers import Multipliers
from edgeplan.model.plan import Plan
from edgeplan.model.problem import OBJECTIVES, Problem


@dataclass(frozen=True)
class PlanFile:
    """What a plan file holds.

    Parameters
    ----------
    plan
        The plan.
    problem_name, fingerprint
        Of the problem that the plan was made for; empty where the file does not say.
    about
        For people: how the plan was found and what it was priced at. Never used to price it.
    claim
        Price and bound that the plan is said to have, for `edgeplan.model.verify.verify`; ``None``
        where the file claims nothing.
    multipliers
        What the claimed bound can be recomputed from (`Multipliers.from_json` reads it), or
        ``None``.
    same_problem
        Whether the fingerprint is that of the problem given to `read_plan`; ``None`` where no
        problem was given or the file has no fingerprint.
    """

    plan: Plan
    problem_name: str = ""
    fingerprint: str = ""
    about: Mapping[str, object] = field(default_factory=dict)
    claim: Claim | None = None
    multipliers: Plain = None
    same_problem: bool | None = None


def fingerprint(problem: Problem) -> str:
    """Return the SHA-256 of a problem's canonical form, in hexadecimal.

    Equal problems have equal fingerprints, whatever their name and however they were written;
    the order of devices, links and streams counts.
    """
    tree = _without_later(encode(problem))
    assert isinstance(tree, dict)
    del tree["name"]
    text = json.dumps(tree, sort_keys=True, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def made_for(problem: Problem, file: PlanFile) -> tuple[Problem, tuple[str, ...]]:
    """Return the problem with the options of ``solve`` under which a plan was made.

    Parameters
    ----------
    problem
        As its instance states it.
    file
        A plan file with a fingerprint.

    Returns
    -------
    tuple
        The problem, and the options; the problem itself and none where the file does not say, or
        was made for another problem.
    """
    if not file.fingerprint or fingerprint(problem) == file.fingerprint:
        return problem, ()
    for contiguous in (False, True):
        for objective in OBJECTIVES:
            variant = problem.asked(objective, contiguous=contiguous)
            if fingerprint(variant) == file.fingerprint:
                options = [f"--objective {objective}"] * (objective != "weighted")
                return variant, (*options, *["--contiguous"] * contiguous)
    return problem, ()


_LATER: Mapping[str, Plain] = {
    "arrival_cv2": 1.0,
    "batches": {},
    "dispatch": "random",
    "max_batch": 1,
    "max_replicas": None,
    "tail_deadlines": [],
}
"""Fields that problems did not have at first, with the defaults that say the same."""


def _without_later(tree: Plain) -> Plain:
    """Leave out later fields at their defaults: plans of old still are of the same problem."""
    if isinstance(tree, dict):
        return {
            key: _without_later(value)
            for key, value in tree.items()
            if key not in _LATER or value != _LATER[key]
        }
    return [_without_later(item) for item in tree] if isinstance(tree, list) else tree


def read_plan(path: Path, problem: Problem | None = None) -> PlanFile:
    """Read a plan.

    Parameters
    ----------
    path
        JSON file that `write_plan` wrote.
    problem
        If given, the plan must speak of its streams, layers and devices.

    Raises
    ------
    InputError
        With every fault found, placed in the file (``routes.camera[0].devices``).
    """
    body = checked_body(parse_json(read_text(path)).value, PLAN_FORMAT)
    faults: list[Fault] = []
    name, print_ = _problem_part(body.pop("problem", None), faults)
    about = body.pop("about", {})
    if not isinstance(about, dict):
        faults.append(Fault("about", "must be an object"))
        about = {}
    claim: Claim | None = None
    multipliers: Plain = None
    if isinstance(stated := body.get("claim"), dict):
        multipliers = stated.pop("multipliers", None)
    if "claim" in body:
        try:
            claim = decode(Claim, body.pop("claim"))
        except InputError as error:
            faults += [Fault(f"claim.{f.place}".rstrip("."), f.message) for f in error.faults]
    try:
        plan = plan_from_tree(body, problem)
    except InputError as error:
        raise InputError([*faults, *error.faults]) from None
    if faults:
        raise InputError(faults)
    same = None if problem is None or not print_ else print_ == fingerprint(problem)
    return PlanFile(plan, name, print_, about, claim, multipliers, same)


def plan_from_tree(tree: Plain, problem: Problem | None = None) -> Plan:
    """Return the plan of a JSON tree that `plan_tree` made.

    Parameters
    ----------
    tree
        A plan's fields, from anywhere.
    problem
        If given, the plan must speak of its streams, layers and devices.

    Raises
    ------
    InputError
        With every fault found, placed in the tree (``routes.camera[0].devices``).
    """
    plan = decode(Plan, tree)
    if problem is not None:
        plan.check(problem)
    elif faults := list(_faults_alone(plan)):
        raise InputError(faults)
    return plan


def _faults_alone(plan: Plan) -> Iterator[Fault]:
    """Yield what no plan may say, whatever its problem."""
    for stream, routes in plan.routes.items():
        for index, route in enumerate(routes):
            place = f"routes.{stream[:80]}[{index}]"
            if not 0 < route.fraction <= 1 + 1e-9:
                yield Fault(f"{place}.fraction", "must be above 0 and at most 1")
            if route.batch < 1:
                yield Fault(f"{place}.batch", "must be at least 1")
    for device, count in plan.replicas.items():
        if count < 1:
            yield Fault(f"replicas.{device[:80]}", "must be at least 1")


def plan_tree(plan: Plan) -> dict[str, Plain]:
    """Return a plan's fields; what is as always is left out, as it was in files of old."""
    tree = encode(plan)
    if not plan.replicas:
        del tree["replicas"]
    routes = tree["routes"]
    assert isinstance(routes, dict)
    for stated in routes.values():
        assert isinstance(stated, list)
        for route in stated:
            assert isinstance(route, dict)
            if route["batch"] == 1:
                del route["batch"]
    return tree


def _problem_part(value: Plain, faults: list[Fault]) -> tuple[str, str]:
    """Return name and fingerprint."""
    if value is None:
        return "", ""
    if not isinstance(value, dict):
        faults.append(Fault("problem", "must be an object"))
        return "", ""
    name, print_ = value.get("name", ""), value.get("fingerprint", "")
    faults += [
        Fault(f"problem.{key[:80]}", "unknown key; known: name, fingerprint")
        for key in value
        if key not in ("name", "fingerprint")
    ]
    if not isinstance(name, str):
        faults.append(Fault("problem.name", "must be text"))
    if not isinstance(print_, str) or not re.fullmatch(r"[0-9a-f]{64}|", print_):
        faults.append(Fault("problem.fingerprint", "must be 64 hexadecimal digits"))
    return str(name), str(print_)


def write_plan(
    plan: Plan,
    path: Path,
    *,
    problem: Problem | None = None,
    about: Mapping[str, object] | None = None,
    claim: Claim | None = None,
    multipliers: Multipliers | None = None,
) -> None:
    """Write a plan atomically; `read_plan` returns an equal one.

    Parameters
    ----------
    plan
        The plan.
    path
        The new file.
    problem
        The problem that it was made for: its name and fingerprint are kept.
    about
        For people: anything JSON can hold (objective, bound, basis, solver, …).
    claim
        Price, bound and certificate, to be verified by whoever reads the file.
    multipliers
        What the bound can be recomputed from, where there is such a thing.

    Raises
    ------
    InputError
        If the file cannot be written or ``about`` cannot be JSON.
    """
    tree: dict[str, Plain] = {"format": PLAN_FORMAT, "version": VERSION}
    if problem is not None:
        tree["problem"] = {"name": problem.name, "fingerprint": fingerprint(problem)}
    tree.update(plan_tree(plan))
    if claim is not None:
        stated = encode(claim)
        if multipliers is not None:
            stated["multipliers"] = cast("Plain", multipliers.as_json())
        tree["claim"] = stated
    if about:
        try:
            tree["about"] = json.loads(json.dumps(dict(about), allow_nan=False))
        except (TypeError, ValueError) as error:
            raise InputError.at("about", f"cannot be written as JSON: {error}") from None
    write_text(path, to_json(tree))
