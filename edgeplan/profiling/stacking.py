"""Try whether a network keeps stacked requests apart. Runs in a child, as a sandbox target.

A first dimension need not be a batch: a network may mix what lies along it (a normalisation or
a quantisation over the whole tensor, attention across it), and sizes alone do not show that. So
as many different requests as a job holds are run one by one and then as one job, and what they
make is compared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeplan.profiling.timing import SEED
from edgeplan.profiling.voice import Voice


def compare(
    single: str,
    stacked: str,
    inputs: Sequence[tuple[str, str, Sequence[int]]],
    outputs: Sequence[str],
    requests: int,
    threads: int,
    provider: str,
    run_seconds: float,
    open_seconds: float,
) -> list[tuple[str, float | None, bool]]:
    """Return for each output how far a job's differs from the single requests' stacked.

    Parameters
    ----------
    single, stacked
        The network pinned for one request, and for the job.
    inputs
        Name, type and shape of each graph input, for a single request.
    outputs
        Names of the graph outputs.
    requests
        In the job.
    threads, provider
        Of the sessions.
    run_seconds, open_seconds
        Limits on one inference of a job, and on opening the network.

    Returns
    -------
    list of (str, float or None, bool)
        Name; largest difference over the scale of the single requests' output, ``None`` where
        type or shape differ; whether that output differs between requests, so that the
        comparison can tell them apart.
    """
    from edgeplan.networks import sessions
    from edgeplan.networks.comparing import scaled_error

    voice = Voice()

    def run(path: str, feeds: Sequence[dict[str, Any]]) -> list[list[Any]]:
        with voice.step("opening the network", open_seconds):
            session = sessions.open_session(
                Path(path), level="deployed", threads=threads, provider=provider
            )
        made = []
        for feed in feeds:
            with voice.step("one inference", run_seconds):
                made.append(list(session.run(outputs, feed)))
            voice.tick()
        return made

    singles = run(single, [sessions.draw(inputs, SEED + number) for number in range(requests)])
    (job,) = run(stacked, [sessions.draw_stacked(inputs, SEED, requests)])
    found: list[tuple[str, float | None, bool]] = []
    for index, name in enumerate(outputs):
        parts = [made[index] for made in singles]
        varies = any(not _same(part, parts[0]) for part in parts[1:])
        error = math.inf
        if all(np.ndim(part) and part.shape[1:] == parts[0].shape[1:] for part in parts):
            error = scaled_error(job[index], np.concatenate(parts))
        found.append((name, error if math.isfinite(error) else None, varies))
    return found


def _same(one: Any, other: Any) -> bool:
    return bool(np.shape(one) == np.shape(other) and np.all(one == other))
