"""Sockets, clocks and emulated links.

An emulated link is a token bucket at the sender (bandwidth) and a hold at the receiver: what was
sent at time t is released at t + latencies × latency + bytes ÷ bandwidth, or on arrival if that
is later. So the real cost of the loopback is absorbed in the emulated time, not added to it.
"""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from edgeplan.execution.addresses import show_address
from edgeplan.execution.protocol import CHUNK_BYTES, Channel
from edgeplan.model.errors import ExecutionError

SPIN_NS = 1_000_000
BURST_SECONDS = 0.01


def hold_until(deadline_ns: int) -> None:
    """Return at a time of the monotonic clock: sleep, then spin for the last millisecond."""
    while (left := deadline_ns - time.monotonic_ns()) > 0:
        if left > SPIN_NS:
            time.sleep((left - SPIN_NS) * 1e-9)


class TokenBucket:
    """Lets bytes pass at a bandwidth.

    Tokens (bytes) accrue at the bandwidth up to a burst; a sender takes as many as it sends and
    waits while the bucket is in debt. The burst is what passes in 10 ms, and no less than one
    chunk, so that a late wake-up of the sleeping sender costs nothing.

    Parameters
    ----------
    bytes_per_second
        Bandwidth.
    clock, sleep
        For tests: seconds now, and wait.
    """

    def __init__(
        self,
        bytes_per_second: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.bytes_per_second = bytes_per_second
        self.burst_bytes = max(float(CHUNK_BYTES), BURST_SECONDS * bytes_per_second)
        self._clock = clock
        self._sleep = sleep
        self._tokens = self.burst_bytes
        self._at = clock()
        self._lock = threading.Lock()

    def take(self, count: int) -> None:
        """Return when ``count`` bytes may be sent."""
        with self._lock:
            now = self._clock()
            self._tokens += (now - self._at) * self.bytes_per_second
            self._tokens = min(self._tokens, self.burst_bytes) - count
            self._at = now
            debt = -self._tokens
        if debt > 0:
            self._sleep(debt / self.bytes_per_second)


def clock_identity() -> str:
    """Return what processes share whose monotonic clocks agree, or an empty text if unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        space = Path("/proc/self/ns/time").readlink()
    except OSError:
        return ""
    return f"{boot} {space}"


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Parameters
    ----------
    host
        Name or address of an interface of this machine.
    port
        0 picks a free one.

    Raises
    ------
    ExecutionError
        If the port is taken or the address is not this machine's.
    """
    place = show_address(host, port)
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=64)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ExecutionError(
                f"{place} is in use: choose another port, or 0 for any free one"
            ) from None
        raise ExecutionError(f"cannot listen on {place}: {error.strerror or error}") from None


def connect(host: str, port: int, seconds: float = 10.0) -> Channel:
    """Connect to a worker.

    Parameters
    ----------
    host, port
        Where it listens.
    seconds
        How long to try.

    Raises
    ------
    ExecutionError
        If it cannot be reached.
    """
    place = show_address(host, port)
    try:
        return Channel(socket.create_connection((host, port), timeout=seconds))
    except TimeoutError:
        raise ExecutionError(f"{place} did not answer within {seconds:g} seconds") from None
    except OSError as error:
        raise ExecutionError(
            f"cannot reach {place}: {error.strerror or error}; is a worker listening there?"
        ) from None
