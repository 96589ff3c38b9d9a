"""Where workers are, and the tokens that they and their controllers share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from edgeplan.model.errors import Fault, InputError

TOKEN_CHARACTERS = 16
"""Shortest token: an eavesdropper may try guesses against a handshake that it saw."""


@dataclass(frozen=True, kw_only=True)
class WorkerAddress:
    """A worker that listens somewhere.

    Parameters
    ----------
    host, port
        Where; other workers connect there too, so it must be valid for them.
    token
        The shared secret. Never shown.
    """

    host: str
    port: int
    token: str = field(repr=False)

    def __str__(self) -> str:
        return show_address(self.host, self.port)


def show_address(host: str, port: int) -> str:
    """Return ``host:port``, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host[:80]}:{port}"


def parse_address(text: str, place: str = "address") -> tuple[str, int]:
    """Read ``HOST:PORT`` (an IPv6 host in brackets).

    Parameters
    ----------
    text
        The address.
    place
        Named by the error.

    Raises
    ------
    InputError
        If it is not an address.

    Examples
    --------
    >>> parse_address("127.0.0.1:9000")
    ('127.0.0.1', 9000)
    >>> parse_address("[::1]:0")
    ('::1', 0)
    """
    host, _, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if bracketed:
        host = host[1:-1]
    valid = port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535
    if not host or not valid or (":" in host) != bracketed:
        raise InputError.at(place, f"'{text[:80]}' is not HOST:PORT, for example 127.0.0.1:9000")
    return host, int(port)


def clean_token(text: str, place: str = "token") -> str:
    """Return a token file's content without the white space around it.

    Raises
    ------
    InputError
        If the token is too short or holds more than one line.
    """
    token = text.strip()
    if len(token) < TOKEN_CHARACTERS or len(token) > 4096 or not token.isprintable():
        raise InputError.at(
            place,
            f"a token is one line of at least {TOKEN_CHARACTERS} printable characters; "
            "python -c 'import secrets; print(secrets.token_hex())' makes one",
        )
    return token


def workers_from(content: object, read: Callable[[str], str]) -> Mapping[str, WorkerAddress]:
    """Read which worker stands for which device.

    Parameters
    ----------
    content
        ``{device: {"address": "HOST:PORT", "token_file": PATH}}`` as parsed from a file.
    read
        Returns the content of a token file.

    Returns
    -------
    Mapping
        Addresses by device name.

    Raises
    ------
    InputError
        With every fault found.

    Examples
    --------
    >>> item = {"edge": {"address": "10.0.0.7:9000", "token_file": "token"}}
    >>> workers_from(item, lambda path: "0123456789abcdef")
    {'edge': WorkerAddress(host='10.0.0.7', port=9000)}
    """
    if not isinstance(content, Mapping):
        raise InputError.at("workers", "must be a mapping from device names to workers")
    faults: list[Fault] = []
    workers: dict[str, WorkerAddress] = {}
    for device, item in content.items():
        place = f"workers.{str(device)[:80]}"
        if not isinstance(device, str) or not isinstance(item, Mapping):
            faults.append(Fault(place, "must be a mapping with address and token_file"))
            continue
        faults.extend(
            Fault(f"{place}.{key[:80]}", "unknown; known: address, token_file")
            for key in sorted(set(map(str, item)) - {"address", "token_file"})
        )
        address, token_file = item.get("address"), item.get("token_file")
        for key, value in (("address", address), ("token_file", token_file)):
            if not isinstance(value, str):
                faults.append(Fault(f"{place}.{key}", "must be a text"))
        if not isinstance(address, str) or not isinstance(token_file, str):
            continue
        try:
            host, port = parse_address(address, f"{place}.address")
            token = clean_token(read(token_file), f"{place}.token_file")
        except InputError as error:
            faults.extend(error.faults)
        except OSError as error:
            reason = error.strerror or "unreadable"
            faults.append(Fault(f"{place}.token_file", f"cannot be read: {reason}"))
        else:
            workers[device] = WorkerAddress(host=host, port=port, token=token)
    if faults:
        raise InputError(faults)
    return workers
