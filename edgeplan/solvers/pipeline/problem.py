"""From a problem to its pipeline and back, where throughput is all that counts.

A problem becomes a `Pipeline` without loss where one stream on one route is to be served as fast
as possible, layer times add up, links carry no load, and each tensor takes the same time wherever
it goes. `reasons_against` says what else a problem asks for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from edgeplan.model.errors import SolverError
from edgeplan.model.evaluate import RELATIVE_TOLERANCE, evaluate
from edgeplan.model.network import LayerCosts, Network, Tensor
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Device, Link, Problem, Stream
from edgeplan.solvers.pipeline.arrays import Ints, Pipeline, SharedTensor, merged_tensors

_TOLERANT = 1 + RELATIVE_TOLERANCE


def reasons_against(problem: Problem) -> tuple[str, ...]:
    """Return why a problem is no pipeline, in the user's words; empty where it is one.

    Parameters
    ----------
    problem
        Any problem.
    """
    objective = problem.objective
    reasons = list(problem.load_features)
    if any(price > 0 for price in objective.prices) or not objective.period_price > 0:
        reasons.append("the objective is not throughput alone")
    if len(problem.streams) != 1:
        reasons.append(f"there are {len(problem.streams)} streams, not one")
        return tuple(reasons)
    (stream,) = problem.streams
    network = problem.network[stream.network]
    if stream.route_limit > 1:
        reasons.append("the stream may be dealt over several routes")
    if math.isfinite(stream.deadline_seconds):
        reasons.append("the stream has a deadline")
    if stream.privacy is not None:
        reasons.append("the stream has a privacy rule")
    if network.form != "layers":
        reasons.append("the network's costs are a table of spans, not layer times that add up")
    elif any(_boundary(network, device) for device in problem.devices):
        reasons.append("stages have boundary costs")
    if math.isfinite(problem.budgets.power_watts) or math.isfinite(
        problem.budgets.dollars_per_hour
    ):
        reasons.append("there is a power or money budget")
    if any(math.isfinite(device.power_budget_watts) for device in problem.devices):
        reasons.append("a device has a power budget")
    if len(_caps(problem)) > 1:
        reasons.append("devices have different utilisation caps")
    reasons += _link_reasons(problem, stream, network)
    if network.form == "layers":
        reasons += _activation_reasons(problem, network)
    return tuple(reasons)


def pipeline_of(problem: Problem) -> Pipeline:
    """Return the pipeline of a problem that has one; layers that share a device are one group.

    Memory limits are the evaluator's, with its tolerance. Limits on the period (utilisation
    caps, a minimum rate) are not part of it: see `largest_period`.

    Raises
    ------
    ValueError
        If there are reasons against it.
    """
    if reasons := reasons_against(problem):
        raise ValueError("; ".join(reasons))
    (stream,) = problem.streams
    network = problem.network[stream.network]
    layers = range(len(network.layers))
    allowed = problem.allowed(stream)
    seconds = np.full((len(layers), len(problem.devices)), np.inf)
    memory = np.zeros_like(seconds)
    for column, device in enumerate(problem.devices):
        costs = network.costs.get(device.name)
        if not isinstance(costs, LayerCosts):
            continue
        for layer in layers:
            if device.name in allowed[layer]:
                seconds[layer, column] = costs.seconds[layer]
            memory[layer, column] = float(network.memory_bytes(layer, device.name))
    # Exact sums: the whole of the evaluator's tolerance, as it reads the limits itself.
    capacity = np.array([device.memory_bytes for device in problem.devices]) * _TOLERANT
    capacity[memory.sum(axis=0) + _peak(network) <= capacity] = np.inf
    bandwidth = min(_bandwidths(problem), default=math.inf)
    labels = np.arange(len(layers))
    for group in problem.groups(stream):
        labels[list(group)] = group[0]
    return Pipeline(
        seconds=seconds,
        memory_bytes=memory,
        capacity_bytes=capacity,
        occupy=np.array([device.transfers == "occupy" for device in problem.devices]),
        replicas=np.array([float(device.replicas) for device in problem.devices]),
        tensors=merged_tensors(
            SharedTensor(tensor.producer, tensor.consumers, tensor.seconds_at(bandwidth))
            for tensor in network.tensors
            if tensor.producer is not None
        ),
        group_of=np.arange(len(layers)),
    ).contract(labels)


def largest_period(problem: Problem) -> float:
    """Return the most seconds per request that utilisation caps and a minimum rate allow."""
    (stream,) = problem.streams
    caps = min(_caps(problem), default=math.inf)
    return _TOLERANT * min(problem.budgets.period_seconds, caps / stream.rate_per_second)


def plan_of(problem: Problem, pipeline: Pipeline, assignment: Ints) -> Plan:
    """Return the plan of an assignment of the pipeline's groups to devices."""
    (stream,) = problem.streams
    names = [device.name for device in problem.devices]
    placed = tuple(names[device] for device in pipeline.expand(assignment))
    return Plan(routes={stream.name: (Route(devices=placed),)})


def assignment_of(problem: Problem, pipeline: Pipeline, plan: Plan) -> Ints | None:
    """Return the device of each group in a plan, or ``None`` where layers of one are apart."""
    (stream,) = problem.streams
    index = {device.name: number for number, device in enumerate(problem.devices)}
    (route,) = plan.routes[stream.name]
    return pipeline.restrict([index[name] for name in route.devices])


def check(problem: Problem, plan: Plan, value: float) -> None:
    """Let the evaluator have the last word on a plan; limits on the period apart.

    Raises
    ------
    SolverError
        If its period is not the value found, or it breaks a limit that the pipeline knows.
    """
    evaluation = evaluate(problem, plan)
    if abs(evaluation.period_seconds - value) > 1e-9 * value:
        raise SolverError(
            f"the pipeline's period is {value:.17g} s, the evaluator's "
            f"{evaluation.period_seconds:.17g} s"
        )
    for violation in evaluation.violations:
        if violation.kind not in ("device capacity", "min rate"):
            raise SolverError(f"{violation.place}: {violation.message}")


def _boundary(network: Network, device: Device) -> float:
    costs = network.costs.get(device.name)
    return costs.boundary_seconds if isinstance(costs, LayerCosts) else 0.0


def _caps(problem: Problem) -> set[float]:
    if problem.capacity == "none":
        return set()
    return {device.utilisation_cap for device in problem.devices}


def _occupies(problem: Problem, link: Link) -> bool:
    ends = (problem.device[link.source], problem.device[link.target])
    return any(end.transfers == "occupy" for end in ends)


def _bandwidths(problem: Problem) -> set[float]:
    return {link.bytes_per_second for link in problem.links if _occupies(problem, link)}


def _link_reasons(problem: Problem, stream: Stream, network: Network) -> Iterator[str]:
    moved = [tensor for tensor in network.tensors if tensor.transfer_seconds is None]
    if any(problem.loads(link) for link in problem.links) and any(
        map(_takes_time, network.tensors)
    ):
        yield "links carry load"
    if any(tensor.bytes for tensor in moved) and len(_bandwidths(problem)) > 1:
        yield "tensors take different times over different links"
    used = {name for names in problem.allowed(stream) for name in names}
    used |= {stream.origin, *stream.homes.values()}
    if any((a, b) not in problem.link for a in used for b in used if a != b):
        yield "not every two devices are linked both ways"
    ends = network.inputs + (network.outputs if stream.returns else ())
    if any(map(_takes_time, ends)) and any(d.transfers == "occupy" for d in problem.devices):
        yield "graph inputs or outputs keep devices busy"


def _takes_time(tensor: Tensor) -> bool:
    return bool(tensor.bytes if tensor.transfer_seconds is None else tensor.transfer_seconds)


def _peak(network: Network) -> int:
    return max(layer.activation_bytes for layer in network.layers)


def _activation_reasons(problem: Problem, network: Network) -> Iterator[str]:
    peak = _peak(network)
    for device in problem.devices:
        weights = sum(
            network.memory_bytes(layer, device.name) for layer in range(len(network.layers))
        )
        if peak and weights + peak > device.memory_bytes:
            yield "peak activations count against a memory limit"
            return
