"""What travels between controller and workers: frames, the handshake, tensors.

A frame is a fixed prefix (magic, header length, payload length), a JSON header with a ``kind``,
and raw bytes. Nothing is ever unpickled. The header's size is capped before it is read; a
payload is read only by a caller that knows beforehand what it must be: tensors by their names,
types and shapes from the plan, a part by its size and hash.
"""

from __future__ import annotations

import contextlib
import json
import math
import select
import socket
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgeplan.model.errors import ExecutionError

Array = NDArray[np.generic]

MAGIC = b"EPL1"
PREFIX = struct.Struct("!4sIQ")
HEADER_LIMIT_BYTES = 1 << 20
PAYLOAD_LIMIT_BYTES = (1 << 31) - 1
CHUNK_BYTES = 1 << 16
LONGEST_SECONDS = 1e6
"""`poll` cannot wait much longer than this: its milliseconds are an int."""

WIRE_DTYPES = frozenset(
    f"{kind}{bits}" for kind in ("int", "uint", "float") for bits in (8, 16, 32, 64)
) - {"float8"} | {"bool"}


class ProtocolError(ExecutionError):
    """The other side sent what the protocol, or the plan, does not allow."""


class ConnectionLostError(ExecutionError):
    """The other side closed the connection, or was silent for too long within a frame."""


class Pace(Protocol):
    """Something that delays a sender: a token bucket."""

    def take(self, count: int) -> None:
        """Return when ``count`` bytes may be sent."""


@dataclass(frozen=True)
class TensorSpec:
    """What a tensor on the wire must be.

    Parameters
    ----------
    name
        In the folded graph.
    dtype
        numpy's name of its element type, one of `WIRE_DTYPES`.
    shape
        Its sizes, not negative.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """Size on the wire."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    def as_json(self) -> dict[str, object]:
        """Return the spec as a manifest or a header writes it."""
        return {"name": self.name, "dtype": self.dtype, "shape": list(self.shape)}


def spec_from(item: object) -> TensorSpec:
    """Read one tensor's spec from a header.

    Raises
    ------
    ProtocolError
        If the item is not a spec.
    """
    if not isinstance(item, dict) or set(item) != {"name", "dtype", "shape"}:
        raise ProtocolError("a tensor needs name, dtype and shape")
    name, dtype, shape = item["name"], item["dtype"], item["shape"]
    if not isinstance(name, str) or not isinstance(dtype, str) or not isinstance(shape, list):
        raise ProtocolError("a tensor's name and dtype must be texts, its shape a list")
    if dtype not in WIRE_DTYPES:
        raise ProtocolError("a tensor has a dtype that cannot be sent")
    if len(shape) > 32 or not all(type(size) is int and 0 <= size < 1 << 40 for size in shape):
        raise ProtocolError("a tensor has an impossible shape")
    return TensorSpec(name, dtype, tuple(shape))


def check_tensor(spec: TensorSpec, array: Array) -> None:
    """Check that an array is what a spec says.

    Raises
    ------
    ProtocolError
        If its type or shape differs.
    """
    if array.dtype.name != spec.dtype or array.shape != spec.shape:
        raise ProtocolError(
            f"tensor '{spec.name[:80]}' is {array.dtype.name}{list(array.shape)}, "
            f"but the plan says {spec.dtype}{list(spec.shape)}"
        )


@dataclass(frozen=True)
class Frame:
    """A received header; its payload is still to be read from the channel.

    Parameters
    ----------
    header
        JSON object with text ``kind``.
    payload_bytes
        Bytes that follow it.
    """

    header: Mapping[str, object]
    payload_bytes: int

    @property
    def kind(self) -> str:
        """What the frame is for."""
        return self.text("kind")

    def text(self, key: str, limit: int = 4096) -> str:
        """Return a text of the header.

        Raises
        ------
        ProtocolError
            If it is absent, not a text, or longer than ``limit`` characters.
        """
        value = self.header.get(key)
        if not isinstance(value, str) or len(value) > limit:
            raise ProtocolError(f"'{key}' must be a text")
        return value

    def integer(self, key: str, low: int = 0, high: int = 1 << 62) -> int:
        """Return an integer of the header between ``low`` and ``high``.

        Raises
        ------
        ProtocolError
            If it is absent, no integer, or out of range.
        """
        value = self.header.get(key)
        if type(value) is not int or not low <= value <= high:
            raise ProtocolError(f"'{key}' must be an integer from {low} to {high}")
        return value

    def number(self, key: str) -> float | None:
        """Return a finite number, not negative, or ``None`` where the header has null.

        Raises
        ------
        ProtocolError
            If it is something else.
        """
        return number_from(self.header.get(key), key)

    def items(self, key: str) -> list[object]:
        """Return a list of the header.

        Raises
        ------
        ProtocolError
            If it is absent or no list.
        """
        value = self.header.get(key)
        if not isinstance(value, list):
            raise ProtocolError(f"'{key}' must be a list")
        return value

    def texts(self, key: str) -> list[str]:
        """Return a list of texts of the header.

        Raises
        ------
        ProtocolError
            If it is something else.
        """
        return texts_from(self.header.get(key), key)


def number_from(value: object, key: str) -> float | None:
    """Return a finite number, not negative, or ``None`` for null.

    Raises
    ------
    ProtocolError
        If it is something else.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ProtocolError(f"'{key}' must be a number")
    if not (0 <= value < 1e18):
        raise ProtocolError(f"'{key}' must be a finite number, not negative")
    return float(value)


def texts_from(value: object, key: str) -> list[str]:
    """Return a list of texts.

    Raises
    ------
    ProtocolError
        If it is something else.
    """
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ProtocolError(f"'{key}' must be a list of texts")
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(name)


def parse_header(raw: bytes) -> Mapping[str, object]:
    """Parse a header.

    Raises
    ------
    ProtocolError
        If it is not a JSON object (NaN and infinities are not JSON).
    """
    try:
        header = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise ProtocolError("a header is not valid JSON") from None
    if not isinstance(header, dict):
        raise ProtocolError("a header must be a JSON object")
    return header


class Channel:
    """A connection that carries frames; several threads may send, one receives.

    Parameters
    ----------
    sock
        A connected TCP socket, owned by the channel from now on.
    seconds
        Longest silence within a frame, and longest stall of a send.
    """

    def __init__(self, sock: socket.socket, seconds: float = 30.0) -> None:
        sock.settimeout(seconds)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            # A peer that vanished without a word is noticed after 10 + 3 × 5 seconds.
            for option, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
                if hasattr(socket, option):
                    sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
        self.socket = sock
        self.header_limit = HEADER_LIMIT_BYTES
        self._sending = threading.Lock()

    def close(self) -> None:
        """Close the connection, waking a thread that waits on it."""
        with contextlib.suppress(OSError):  # closed by the other side
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def send(
        self,
        header: Mapping[str, object],
        tensors: Sequence[tuple[TensorSpec, Array]] = (),
        *,
        pace: Pace | None = None,
        payload: bytes | memoryview = b"",
    ) -> None:
        """Send a frame whose payload is either tensors or bytes.

        Parameters
        ----------
        header
            JSON object; the tensors' specs are added as ``tensors``.
        tensors
            Arrays and what they must be.
        pace
            Delays the payload to a bandwidth.
        payload
            Bytes instead of tensors.

        Raises
        ------
        ProtocolError
            If an array is not what its spec says, or the message is too long.
        ConnectionLostError
            If the connection broke or stalled.
        """
        views: list[memoryview] = []
        if tensors:
            header = {**header, "tensors": [spec.as_json() for spec, _ in tensors]}
            for spec, array in tensors:
                check_tensor(spec, array)
                if array.nbytes:
                    flat = np.ascontiguousarray(array).reshape(-1)
                    views.append(flat.view(np.uint8).data)
        elif len(payload):
            views.append(memoryview(payload).cast("B"))
        raw = json.dumps(header, allow_nan=False).encode()
        if len(raw) > HEADER_LIMIT_BYTES:
            raise ProtocolError(f"a header of {len(raw)} bytes is too long")
        size = sum(view.nbytes for view in views)
        if size > PAYLOAD_LIMIT_BYTES:
            raise ProtocolError(f"{size} bytes are more than one message may carry")
        start = PREFIX.pack(MAGIC, len(raw), size) + raw
        with self._sending:
            try:
                if size <= CHUNK_BYTES and pace is None:
                    self.socket.sendall(b"".join([start, *views]))
                    return
                self.socket.sendall(start)
                for view in views:
                    for first in range(0, view.nbytes, CHUNK_BYTES):
                        chunk = view[first : first + CHUNK_BYTES]
                        if pace is not None:
                            pace.take(chunk.nbytes)
                        self.socket.sendall(chunk)
            except OSError as error:
                raise ConnectionLostError(f"the connection broke while sending: {error}") from None

    def receive(self, patience_seconds: float | None = None) -> Frame:
        """Wait for a frame and read its header.

        Parameters
        ----------
        patience_seconds
            How long to wait for its first byte; ``None`` for ever.

        Raises
        ------
        ProtocolError
            If what came is not a frame, or is too long.
        ConnectionLostError
            If the connection ended or nothing came in time.
        """
        self._wait(patience_seconds)
        prefix = bytearray(PREFIX.size)
        self._fill(memoryview(prefix))
        magic, header_bytes, payload_bytes = PREFIX.unpack(prefix)
        if magic != MAGIC:
            raise ProtocolError("the other side does not speak this protocol")
        if header_bytes > self.header_limit:
            raise ProtocolError(f"a header of {header_bytes} bytes is too long")
        if payload_bytes > PAYLOAD_LIMIT_BYTES:
            raise ProtocolError(f"a payload of {payload_bytes} bytes is too long")
        raw = bytearray(header_bytes)
        self._fill(memoryview(raw))
        frame = Frame(parse_header(bytes(raw)), payload_bytes)
        frame.text("kind", 40)
        return frame

    def receive_tensors(self, frame: Frame, specs: Sequence[TensorSpec]) -> dict[str, Array]:
        """Read a frame's payload as exactly the expected tensors.

        Nothing is allocated before names, types, shapes and sizes were found equal.

        Raises
        ------
        ProtocolError
            If the frame announces something else.
        """
        announced = [spec_from(item) for item in frame.items("tensors")] if specs else []
        if announced != list(specs):
            raise ProtocolError(_difference(specs, announced))
        if frame.payload_bytes != sum(spec.bytes for spec in specs):
            raise ProtocolError("a payload's size is not that of its tensors")
        arrays: dict[str, Array] = {}
        for spec in specs:
            array = np.empty(spec.shape, dtype=spec.dtype)
            if array.nbytes:
                self._fill(array.reshape(-1).view(np.uint8).data)
            arrays[spec.name] = array
        return arrays

    def receive_bytes(self, frame: Frame, sink: Callable[[memoryview], object]) -> None:
        """Pass a frame's payload to ``sink`` piece by piece."""
        buffer = memoryview(bytearray(min(frame.payload_bytes, 1 << 20)))
        left = frame.payload_bytes
        while left:
            piece = buffer[: min(left, len(buffer))]
            self._fill(piece)
            sink(piece)
            left -= len(piece)

    def _wait(self, patience_seconds: float | None) -> None:
        poll = select.poll()
        try:
            poll.register(self.socket, select.POLLIN)
            longest = None if patience_seconds is None else min(patience_seconds, LONGEST_SECONDS)
            ready = poll.poll(None if longest is None else longest * 1000)
        except (OSError, ValueError):
            raise ConnectionLostError("the connection was closed") from None
        if not ready:
            raise ConnectionLostError(f"no answer within {patience_seconds:g} seconds")

    def _fill(self, view: memoryview) -> None:
        while view.nbytes:
            try:
                count = self.socket.recv_into(view)
            except OSError as error:
                raise ConnectionLostError(f"the connection broke: {error}") from None
            if count == 0:
                raise ConnectionLostError("the other side closed the connection")
            view = view[count:]


def _difference(specs: Sequence[TensorSpec], announced: Sequence[TensorSpec]) -> str:
    if [spec.name for spec in specs] != [spec.name for spec in announced]:
        return "other tensors were sent than the plan says"
    for spec, other in zip(specs, announced, strict=True):
        if spec != other:
            return (
                f"tensor '{spec.name[:80]}' was sent as {other.dtype}{list(other.shape)}, "
                f"but the plan says {spec.dtype}{list(spec.shape)}"
            )
    return "other tensors were sent than the plan says"
