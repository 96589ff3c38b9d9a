"""How two sides prove that they hold the same secret, before anything else is read.

A challenge and response with HMAC-SHA256 (RFC 2104) on nonces of both sides: the token never
travels, and both sides prove that they hold it. What follows is not encrypted.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable

from edgeplan.execution.protocol import HEADER_LIMIT_BYTES, Channel, Frame, ProtocolError
from edgeplan.model.errors import ExecutionError

VERSION = 1
HANDSHAKE_LIMIT_BYTES = 4096
SECRET_BYTES = 32


def _proof(secret: bytes, role: bytes, nonces: bytes) -> bytes:
    return hmac.new(secret, b"edgeplan " + role + b"\0" + nonces, hashlib.sha256).digest()


def wrap_secret(key: bytes, secret: bytes) -> str:
    """Hide a secret of 32 bytes under a connection's key, or bring it back (hexadecimal).

    The pad is HMAC-SHA256 under a key that only this connection's two ends hold; it is used
    once per connection.
    """
    pad = _proof(key, b"pad", b"")
    return bytes(a ^ b for a, b in zip(secret, pad, strict=True)).hex()


def greet(channel: Channel, realm: str, secret: bytes, patience_seconds: float = 10.0) -> bytes:
    """Authenticate as the side that connected.

    Parameters
    ----------
    channel
        A fresh connection.
    realm
        Which secret: ``token`` for the token file's, else the identity of a session.
    secret
        The shared secret.
    patience_seconds
        How long to wait for each answer.

    Returns
    -------
    bytes
        A key that only the two ends of this connection hold.

    Raises
    ------
    ExecutionError
        If the other side refuses the secret, or does not hold it itself.
    """
    mine = secrets.token_bytes(SECRET_BYTES)
    channel.send({"kind": "hello", "version": VERSION, "realm": realm, "nonce": mine.hex()})
    answer = _handshake_frame(channel, patience_seconds)
    nonces = mine + _hexadecimal(answer, "challenge", "nonce")
    channel.send({"kind": "proof", "mac": _proof(secret, b"client", nonces).hex()})
    answer = _handshake_frame(channel, patience_seconds)
    mac = _hexadecimal(answer, "welcome", "mac")
    if not hmac.compare_digest(mac, _proof(secret, b"server", nonces)):
        raise ExecutionError("the worker does not hold the token that it should")
    return _proof(secret, b"key", nonces)


def welcome(
    channel: Channel, secret_of: Callable[[str], bytes | None], patience_seconds: float = 10.0
) -> tuple[str, bytes]:
    """Authenticate a side that connected here.

    Parameters
    ----------
    channel
        A fresh connection.
    secret_of
        The secret of a realm, or ``None`` where there is no such realm.
    patience_seconds
        How long to wait for each answer.

    Returns
    -------
    tuple
        The realm and a key that only the two ends of this connection hold.

    Raises
    ------
    ExecutionError
        If the other side does not hold the secret.
    """
    channel.header_limit = HANDSHAKE_LIMIT_BYTES
    hello = _handshake_frame(channel, patience_seconds)
    theirs = _hexadecimal(hello, "hello", "nonce")
    if hello.integer("version") != VERSION:
        channel.send({"kind": "refused", "why": f"this worker speaks version {VERSION}"})
        raise ProtocolError("the other side speaks another version of the protocol")
    realm = hello.text("realm", 80)
    mine = secrets.token_bytes(SECRET_BYTES)
    channel.send({"kind": "challenge", "nonce": mine.hex()})
    answer = _handshake_frame(channel, patience_seconds)
    mac = _hexadecimal(answer, "proof", "mac")
    secret = secret_of(realm)
    # An unknown realm costs as much as a wrong token and is answered alike.
    expected = _proof(secret or secrets.token_bytes(SECRET_BYTES), b"client", theirs + mine)
    if not hmac.compare_digest(mac, expected) or secret is None:
        channel.send({"kind": "refused", "why": "the token is wrong"})
        raise ExecutionError("the other side does not hold the token")
    channel.send({"kind": "welcome", "mac": _proof(secret, b"server", theirs + mine).hex()})
    channel.header_limit = HEADER_LIMIT_BYTES
    return realm, _proof(secret, b"key", theirs + mine)


def _handshake_frame(channel: Channel, patience_seconds: float) -> Frame:
    frame = channel.receive(patience_seconds)
    if frame.payload_bytes:
        raise ProtocolError("a handshake carries no payload")
    if frame.kind == "refused":
        raise ExecutionError(f"the worker refused: {frame.text('why')[:200]}")
    return frame


def _hexadecimal(frame: Frame, kind: str, key: str) -> bytes:
    if frame.kind != kind:
        raise ProtocolError(f"'{kind}' was expected, '{frame.kind}' came")
    try:
        value = bytes.fromhex(frame.text(key, 2 * SECRET_BYTES))
    except ValueError:
        raise ProtocolError(f"'{key}' must be hexadecimal") from None
    if len(value) != SECRET_BYTES:
        raise ProtocolError(f"'{key}' must have {SECRET_BYTES} bytes")
    return value
