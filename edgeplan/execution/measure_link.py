"""Measure the link between two workers: latency and bandwidth, from one to the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgeplan.execution.addresses import WorkerAddress
from edgeplan.execution.controller import ANSWER_SECONDS, Controller
from edgeplan.execution.engagement import PROBE_LIMIT_BYTES
from edgeplan.execution.protocol import ProtocolError
from edgeplan.model.errors import ExecutionError, InputError

SMALLEST_BYTES = 1 << 16


@dataclass(frozen=True, kw_only=True)
class LinkMeasurement:
    """A link as measured.

    Parameters
    ----------
    latency_seconds, latency_mad_seconds
        Half of the round trip of an empty frame: median, and median absolute deviation.
    bytes_per_second, bytes_per_second_mad
        Bytes over the time beyond the round trip: median, and median absolute deviation.
    probe_bytes
        Size with which the bandwidth was measured.
    samples
        Round trips, and bulk transfers.
    emulated
        Whether a link was emulated on top of the real one.
    """

    latency_seconds: float
    latency_mad_seconds: float
    bytes_per_second: float
    bytes_per_second_mad: float
    probe_bytes: int
    samples: tuple[int, int]
    emulated: bool = False

    def as_json(self) -> dict[str, object]:
        """Return the measurement for ``--json``."""
        return {
            "latency_seconds": self.latency_seconds,
            "latency_mad_seconds": self.latency_mad_seconds,
            "bytes_per_second": self.bytes_per_second,
            "bytes_per_second_mad": self.bytes_per_second_mad,
            "probe_bytes": self.probe_bytes,
            "round_trips": self.samples[0],
            "bulk_transfers": self.samples[1],
            "emulated": self.emulated,
        }


def measure_link(
    source: WorkerAddress,
    target: WorkerAddress,
    *,
    round_trips: int = 50,
    bulk_transfers: int = 7,
    least_seconds: float = 0.2,
    emulated_latency_seconds: float | None = None,
    emulated_bytes_per_second: float | None = None,
) -> LinkMeasurement:
    """Measure the link from one worker to another.

    The source connects to the target, as in a run. The one-way latency is half of the round
    trip, so it is exact only where both ways are alike. The bulk grows until it takes
    ``least_seconds`` (or has 64 MiB); its bandwidth is bytes ÷ (time − round trip).

    Parameters
    ----------
    source, target
        Two different workers, neither in use.
    round_trips, bulk_transfers
        How often to measure.
    least_seconds
        How long a bulk transfer should take.
    emulated_latency_seconds, emulated_bytes_per_second
        Emulate such a link on top of the real one, to try the method.

    Returns
    -------
    LinkMeasurement
        Latency in seconds one way, bandwidth in bytes per second.

    Raises
    ------
    InputError
        If both are the same worker.
    ExecutionError
        If a worker cannot be reached, refuses the token, or is in use.
    """
    if (source.host, source.port) == (target.host, target.port):
        raise InputError.at("target", "a link joins two different workers")
    addresses = {"source": source, "target": target}
    with Controller(addresses, {}, threads=1) as controller:
        controller.join("source", "target")

        def times(size: int, samples: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
            frame = controller.ask(
                "source",
                {
                    "kind": "measure",
                    "device": "target",
                    "bytes": size,
                    "samples": samples,
                    "latency_seconds": emulated_latency_seconds,
                    "bytes_per_second": emulated_bytes_per_second,
                },
                "measured",
                seconds=ANSWER_SECONDS * 5,
            )
            seconds = frame.items("seconds")
            if len(seconds) != samples or not all(isinstance(item, float) for item in seconds):
                raise ProtocolError("a worker sent other times than it was asked for")
            return np.array(seconds, dtype=np.float64)

        times(0, 3)  # the first frames find buffers and caches cold
        trips = times(0, round_trips)
        trip = float(np.median(trips))
        size = SMALLEST_BYTES
        while (taken := float(times(size, 1)[0])) < least_seconds and size < PROBE_LIMIT_BYTES:
            size = min(PROBE_LIMIT_BYTES, size * (2 if taken > least_seconds / 4 else 4))
        beyond = times(size, bulk_transfers) - trip
    if float(beyond.min()) <= 0:
        raise ExecutionError("the link's bandwidth is beyond what 64 MiB can measure")
    rates = size / beyond
    rate = float(np.median(rates))
    return LinkMeasurement(
        latency_seconds=trip / 2,
        latency_mad_seconds=float(np.median(np.abs(trips - trip))) / 2,
        bytes_per_second=rate,
        bytes_per_second_mad=float(np.median(np.abs(rates - rate))),
        probe_bytes=size,
        samples=(round_trips, bulk_transfers),
        emulated=(emulated_latency_seconds, emulated_bytes_per_second) != (None, None),
    )
