"""Tiny random pipelines and their best plans by trying all: the oracle of the pipeline solvers."""

from __future__ import annotations

import itertools
import math

import numpy as np

from edgeplan.solvers.pipeline.arrays import Pipeline, SharedTensor, merged_tensors


def small(seed: int) -> Pipeline:
    """Up to 7 groups, 3 devices; zeros, limits, like devices and colours are frequent.

    Groups are numbered in a random order; about one in three has cycles from merged colours.
    """
    rng = np.random.default_rng(seed)
    layers, devices = int(rng.integers(1, 10)), int(rng.integers(1, 4))
    colours = rng.integers(0, 7, layers) if rng.random() < 0.5 or layers > 7 else np.arange(layers)
    seconds = rng.integers(0, 9, (layers, devices)).astype(float)
    seconds[rng.random(layers) < 0.3] = 0.0
    memory = rng.integers(0, 5, (layers, devices)).astype(float)
    memory[rng.random(layers) < 0.3] = 0.0
    capacity = rng.choice([np.inf, 4.0, 8.0, 12.0], devices)
    occupy = rng.random(devices) < 0.7
    replicas = rng.integers(1, 3, devices).astype(float)
    if rng.random() < 0.6:
        # Like devices, and perhaps another one.
        for device in range(1, max(devices - int(rng.integers(0, 2)), 1)):
            seconds[:, device], memory[:, device] = seconds[:, 0], memory[:, 0]
            capacity[device], occupy[device] = capacity[0], occupy[0]
            replicas[device] = replicas[0]
    if rng.random() < 0.3:
        seconds[rng.random((layers, devices)) < 0.15] = np.inf
    tensors = []
    for producer in range(layers - 1):
        consumers = producer + 1 + np.flatnonzero(rng.random(layers - producer - 1) < 0.35)
        if len(consumers):
            tensors.append(
                SharedTensor(
                    producer, tuple(map(int, consumers)), float(rng.choice([0.0, 1.0, 2.5, 6.0]))
                )
            )
    shuffle = rng.permutation(layers)
    whole = Pipeline(
        seconds=seconds[np.argsort(shuffle)],
        memory_bytes=memory[np.argsort(shuffle)],
        capacity_bytes=capacity,
        occupy=occupy,
        replicas=replicas,
        tensors=merged_tensors(
            SharedTensor(
                int(shuffle[tensor.producer]),
                tuple(sorted(int(shuffle[consumer]) for consumer in tensor.consumers)),
                tensor.seconds,
            )
            for tensor in tensors
        ),
        group_of=np.arange(layers),
    )
    return whole.contract(colours[np.argsort(shuffle)])


def best(pipeline: Pipeline, *, contiguous: bool) -> float:
    """Return the least value of all plans, ``inf`` where there is none."""
    value = math.inf
    for plan in itertools.product(range(pipeline.devices), repeat=pipeline.groups):
        if pipeline.fits(plan) and (not contiguous or pipeline.contiguous(plan)):
            value = min(value, pipeline.value(plan))
    return value
