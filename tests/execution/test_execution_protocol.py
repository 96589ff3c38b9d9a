"""Frames, the handshake, and a worker that is sent nonsense."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from onnx import TensorProto, helper

from edgeplan.execution import protocol
from edgeplan.execution import worker as worker_module
from edgeplan.execution.addresses import WorkerAddress
from edgeplan.execution.controller import Controller
from edgeplan.execution.handshake import greet, welcome, wrap_secret
from edgeplan.execution.protocol import (
    HEADER_LIMIT_BYTES,
    PREFIX,
    WIRE_DTYPES,
    Channel,
    ConnectionLostError,
    Frame,
    ProtocolError,
    TensorSpec,
    parse_header,
    spec_from,
)
from edgeplan.execution.schedule import Compute, Move, Schedule, schedule_from
from edgeplan.execution.transport import connect, listen
from edgeplan.execution.worker import Worker
from edgeplan.model.errors import ExecutionError

TOKEN = "correct horse battery staple"


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel]]:
    """Two connected channels."""
    one, two = (Channel(sock, seconds=2.0) for sock in socket.socketpair())
    yield one, two
    one.close()
    two.close()


@given(
    array=st.sampled_from(sorted(WIRE_DTYPES)).flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0))
    )
)
def test_tensors_arrive_as_they_were_sent(array: np.ndarray) -> None:
    one, two = (Channel(sock, seconds=2.0) for sock in socket.socketpair())
    spec = TensorSpec("t", array.dtype.name, array.shape)
    try:
        one.send({"kind": "x", "n": 1}, [(spec, array)])
        frame = two.receive(2.0)
        back = two.receive_tensors(frame, [spec])["t"]
    finally:
        one.close()
        two.close()
    assert frame.kind == "x"
    assert frame.integer("n") == 1
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()


def test_large_tensors_arrive_while_they_are_sent(ends: tuple[Channel, Channel]) -> None:
    array = np.arange(3_000_000, dtype=np.float32).reshape(3, 1000, 1000)[:, ::-1]
    spec = TensorSpec("t", "float32", (3, 1000, 1000))
    sender = threading.Thread(target=ends[0].send, args=({"kind": "x"}, [(spec, array)]))
    sender.start()
    back = ends[1].receive_tensors(ends[1].receive(2.0), [spec])["t"]
    sender.join()
    assert np.array_equal(back, array)


@pytest.mark.parametrize(
    "sent",
    [
        TensorSpec("t", "float64", (2, 3)),
        TensorSpec("t", "float32", (3, 2)),
        TensorSpec("t", "float32", (6,)),
        TensorSpec("other", "float32", (2, 3)),
        TensorSpec("t", "float32", (1 << 38, 2)),
    ],
)
def test_other_tensors_than_planned_are_refused_before_anything_is_allocated(
    ends: tuple[Channel, Channel], sent: TensorSpec
) -> None:
    header = json.dumps({"kind": "move", "tensors": [sent.as_json()]}).encode()
    size = min(sent.bytes, protocol.PAYLOAD_LIMIT_BYTES)
    ends[0].socket.sendall(PREFIX.pack(b"EPL1", len(header), size) + header)
    frame = ends[1].receive(2.0)
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError, match=r"(than|but) the plan says"):
            ends[1].receive_tensors(frame, [TensorSpec("t", "float32", (2, 3))])
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_payload_of_another_size_than_its_tensors_is_refused(
    ends: tuple[Channel, Channel],
) -> None:
    spec = TensorSpec("t", "float32", (2, 3))
    header = json.dumps({"kind": "move", "tensors": [spec.as_json()]}).encode()
    ends[0].socket.sendall(PREFIX.pack(b"EPL1", len(header), 25) + header + bytes(25))
    with pytest.raises(ProtocolError, match="size"):
        ends[1].receive_tensors(ends[1].receive(2.0), [spec])


def test_a_sender_checks_its_own_tensors(ends: tuple[Channel, Channel]) -> None:
    with pytest.raises(ProtocolError, match="but the plan says"):
        ends[0].send({"kind": "x"}, [(TensorSpec("t", "float32", (2,)), np.zeros(3, np.float32))])


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "does not speak"),
        (PREFIX.pack(b"EPL1", HEADER_LIMIT_BYTES + 1, 0), "header of .* too long"),
        (PREFIX.pack(b"EPL1", 2, 1 << 40) + b"{}", "payload of .* too long"),
        (PREFIX.pack(b"EPL1", 2, 0) + b"{}", "'kind' must be a text"),
        (PREFIX.pack(b"EPL1", 2, 0) + b"[]", "must be a JSON object"),
        (PREFIX.pack(b"EPL1", 3, 0) + b"\xff{}", "not valid JSON"),
        (PREFIX.pack(b"EPL1", 100_000, 0) + b"[" * 100_000, "not valid JSON"),
        (PREFIX.pack(b"EPL1", 9, 0) + b'{"a":NaN}', "not valid JSON"),
    ],
)
def test_what_is_no_frame_is_refused(ends: tuple[Channel, Channel], raw: bytes, words: str) -> None:
    ends[0].socket.sendall(raw)
    with pytest.raises(ProtocolError, match=words):
        ends[1].receive(2.0)


def test_a_frame_that_ends_early_is_a_lost_connection(ends: tuple[Channel, Channel]) -> None:
    ends[0].socket.sendall(PREFIX.pack(b"EPL1", 50, 0) + b'{"kind"')
    ends[0].close()
    with pytest.raises(ConnectionLostError, match="closed"):
        ends[1].receive(2.0)


def test_silence_is_a_lost_connection(ends: tuple[Channel, Channel]) -> None:
    with pytest.raises(ConnectionLostError, match=r"no answer within 0\.05 seconds"):
        ends[1].receive(0.05)
    slow = Channel(ends[1].socket, seconds=0.05)
    ends[0].socket.sendall(b"EP")
    with pytest.raises(ConnectionLostError, match="broke"):
        slow.receive(2.0)


@given(st.binary(max_size=200))
def test_headers_are_objects_or_refused(raw: bytes) -> None:
    try:
        header = parse_header(raw)
    except ProtocolError:
        return
    assert isinstance(header, dict)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "name": _json | st.just("t"),
            "dtype": _json | st.sampled_from(["float32", "object", "str", "V8"]),
            "shape": _json | st.lists(st.integers(-2, 1 << 70), max_size=40),
        },
    )
    | _json
)
def test_specs_are_valid_or_refused(item: object) -> None:
    try:
        spec = spec_from(item)
    except ProtocolError:
        return
    assert spec.dtype in WIRE_DTYPES
    assert spec.bytes >= 0


@given(st.dictionaries(st.sampled_from(["number", "origin", "steps", "specs"]), _json))
def test_schedules_are_valid_or_refused(header: dict[str, object]) -> None:
    try:
        schedule = schedule_from(Frame(header, 0))
    except ProtocolError:
        return
    assert isinstance(schedule.steps, tuple)


def test_schedules_are_read_as_they_are_written() -> None:
    schedule = Schedule(
        number=3,
        origin="a",
        steps=(
            Move(source="a", target="b", tensors=("x",), seconds=0.5, bytes_per_second=10.0),
            Compute(device="b", part="p", inputs=("x",), outputs=("y",), hold_factor=2.0),
            Move(source="b", target="a", tensors=("y",)),
        ),
        specs={name: TensorSpec(name, "float32", (2, 3)) for name in "xy"},
    )
    text = json.dumps(schedule.as_json())
    assert schedule_from(Frame(json.loads(text), 0)) == schedule
    assert schedule.devices == ("a", "b")
    assert list(schedule.hops) == [("a", "b"), ("b", "a")]


def _shake(
    client: bytes, server: bytes | None, realm: str = "token"
) -> tuple[object, object, bytes]:
    """Return what either side of a handshake got, and all bytes that travelled."""
    left, right = socket.socketpair()
    seen = bytearray()
    plain = Channel(left, seconds=2.0)
    send = plain.socket.sendall

    class Spy:
        def __getattr__(self, name: str) -> object:
            return getattr(left, name)

        def sendall(self, data: bytes) -> None:
            seen.extend(data)
            send(data)

    plain.socket = Spy()  # type: ignore[assignment]
    results: list[object] = []

    def serve() -> None:
        try:
            results.append(welcome(Channel(right, seconds=2.0), lambda realm: server))
        except ExecutionError as error:
            results.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        mine: object = greet(plain, realm, client)
    except ExecutionError as error:
        mine = error
    thread.join()
    left.close()
    right.close()
    return mine, results[0], bytes(seen)


def test_a_handshake_gives_both_sides_one_key_and_never_shows_the_token() -> None:
    mine, theirs, seen = _shake(TOKEN.encode(), TOKEN.encode())
    assert isinstance(mine, bytes)
    assert theirs == ("token", mine)
    assert TOKEN.encode() not in seen
    again, _, _ = _shake(TOKEN.encode(), TOKEN.encode())
    assert again != mine


def test_a_wrong_token_and_an_unknown_realm_are_answered_alike() -> None:
    for server in (b"another token", None):
        mine, theirs, _ = _shake(TOKEN.encode(), server)
        assert "the token is wrong" in str(mine)
        assert isinstance(theirs, ExecutionError)


def test_a_worker_that_does_not_hold_the_token_is_found_out(
    ends: tuple[Channel, Channel],
) -> None:
    def impostor() -> None:
        ends[1].receive(2.0)
        ends[1].send({"kind": "challenge", "nonce": "00" * 32})
        ends[1].receive(2.0)
        ends[1].send({"kind": "welcome", "mac": "00" * 32})

    thread = threading.Thread(target=impostor)
    thread.start()
    with pytest.raises(ExecutionError, match="does not hold the token"):
        greet(ends[0], "token", TOKEN.encode())
    thread.join()


def test_a_secret_is_wrapped_and_brought_back() -> None:
    key, secret = b"k" * 32, bytes(range(32))
    wrapped = bytes.fromhex(wrap_secret(key, secret))
    assert wrapped != secret
    assert bytes.fromhex(wrap_secret(key, wrapped)) == secret


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[WorkerAddress]:
    """A worker in a thread of this process; afterwards its folder is empty."""
    folder = tmp_path / "worker"
    folder.mkdir()
    server = Worker(listen("127.0.0.1", 0), TOKEN, folder)
    stop = threading.Event()
    thread = threading.Thread(target=server.serve, args=(stop,))
    thread.start()
    host, port = server.address
    address = WorkerAddress(host=host, port=port, token=TOKEN)
    yield address
    with Controller({"d": address}, {}, threads=1):
        pass  # it lives still
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    assert list(folder.iterdir()) == []


def _closed(sock: socket.socket) -> bool:
    """Return whether the other side closes the connection, whatever it says before."""
    sock.settimeout(15)
    try:
        while sock.recv(4096):
            pass
    except ConnectionResetError:
        pass
    return True


def test_a_worker_survives_random_bytes(worker: WorkerAddress) -> None:
    generator = random.Random(7)
    for size in (1, 3, 16, 17, 64, 1000, 100_000):
        for magic in (b"", b"EPL1", PREFIX.pack(b"EPL1", 40, 0)):
            with socket.create_connection((worker.host, worker.port)) as sock:
                try:
                    sock.sendall(magic + generator.randbytes(size))
                    sock.shutdown(socket.SHUT_WR)
                except OSError:
                    pass  # refused already
                assert _closed(sock)


def test_a_worker_survives_handshakes_that_go_wrong(worker: WorkerAddress) -> None:
    hello = {"kind": "hello", "version": 1, "realm": "token", "nonce": "00" * 32}
    for first, second in (
        ({**hello, "nonce": "zz"}, None),
        ({**hello, "nonce": 3}, None),
        ({**hello, "nonce": "00"}, None),
        ({**hello, "version": 2}, None),
        ({**hello, "realm": ["token"]}, None),
        ({"kind": "open"}, None),
        (hello, {"kind": "proof", "mac": "00" * 32}),
        (hello, {"kind": "proof"}),
        ({**hello, "realm": "0" * 32}, {"kind": "proof", "mac": "00" * 32}),
    ):
        channel = connect(worker.host, worker.port)
        channel.send(first)
        if second is not None:
            assert channel.receive(5.0).kind == "challenge"
            channel.send(second)
        assert _closed(channel.socket)
        channel.close()
    # A handshake has no room for long headers.
    channel = connect(worker.host, worker.port)
    channel.send({**hello, "realm": "x" * 5000})
    assert _closed(channel.socket)
    channel.close()


@pytest.mark.parametrize(
    "header",
    [
        {"kind": "nonsense"},
        {"kind": "part", "sha256": "../../escape"},
        {"kind": "load", "level": "quick", "parts": []},
        {"kind": "schedule", "number": 0, "origin": "a", "steps": [{"step": "fly"}], "specs": []},
        {"kind": "begin", "route": 9, "request": 1, "names": []},
        {"kind": "start", "route": 9, "request": 1},
        {"kind": "collect", "route": 9, "request": 1, "names": []},
        {"kind": "measure", "device": "x", "bytes": 1 << 40, "samples": 1},
        {"kind": "clock", "offset_ns": "0"},
    ],
)
def test_a_worker_refuses_wrong_commands(worker: WorkerAddress, header: dict[str, object]) -> None:
    with (
        Controller({"d": worker}, {}, threads=1) as controller,
        pytest.raises(ExecutionError, match="the worker of 'd'"),
    ):
        controller.ask("d", header)


def test_a_worker_refuses_a_part_whose_hash_is_wrong(worker: WorkerAddress, tmp_path: Path) -> None:
    part = tmp_path / "part.onnx"
    part.write_bytes(b"something")
    with Controller({"d": worker}, {}, threads=1) as controller:
        with pytest.raises(ExecutionError, match="wrong hash"):
            controller.send_parts("d", {"0" * 64: part})
        with pytest.raises(ExecutionError, match="another hash than announced"):
            controller.ask("d", {"kind": "part", "sha256": "0" * 64}, payload=b"something")
        with pytest.raises(ExecutionError, match="was not sent"):
            controller.load("d", "strict", ["1" * 64], 5.0)


def _with_weights_of(location: str) -> bytes:
    """Return a network that would read its weights from a file."""
    weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4])
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=location)
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in "xy"]
    nodes = [helper.make_node("Add", ["x", "w"], ["y"])]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], [weights])
    content: bytes = helper.make_model(graph).SerializeToString()
    return content


def test_a_worker_reads_no_file_of_its_own_for_a_part(
    worker: WorkerAddress, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_bytes(bytes(16))
    (tmp_path / "worker" / "secret").write_bytes(bytes(16))
    for content, words in (
        (b"something", "is not an ONNX file"),
        (_with_weights_of("../secret"), "lies outside"),
        (_with_weights_of(str(tmp_path / "secret")), "lies outside"),
        (_with_weights_of("secret"), "external data; parts must hold their own weights"),
    ):
        sha256 = hashlib.sha256(content).hexdigest()
        with Controller({"d": worker}, {}, threads=1) as controller:
            with pytest.raises(ExecutionError, match=words):
                controller.ask("d", {"kind": "part", "sha256": sha256}, payload=content)
            # It is gone: nothing can open it.
            with pytest.raises(ExecutionError, match="was not sent"):
                controller.load("d", "strict", [sha256], 5.0)
    (tmp_path / "worker" / "secret").unlink()


class Grumbling:
    """A listener whose first `accept` fails, as one does whose client has left already."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.failed = False

    def __getattr__(self, name: str) -> object:
        return getattr(self.listener, name)

    def accept(self) -> tuple[socket.socket, object]:
        if not self.failed:
            self.failed = True
            raise ConnectionAbortedError
        return self.listener.accept()


def test_a_client_that_left_does_not_end_a_worker(tmp_path: Path) -> None:
    listener = Grumbling(listen("127.0.0.1", 0))
    server = Worker(listener, TOKEN, tmp_path)  # type: ignore[arg-type]
    stop = threading.Event()
    thread = threading.Thread(target=server.serve, args=(stop,))
    thread.start()
    try:
        address = WorkerAddress(host="127.0.0.1", port=server.address[1], token=TOKEN)
        with Controller({"d": address}, {}, threads=1) as controller:
            assert controller.ask("d", {"kind": "ping"}, "pong").integer("ns") > 0
        assert listener.failed
    finally:
        stop.set()
        thread.join(10)


def test_inputs_that_are_not_planned_are_refused(worker: WorkerAddress) -> None:
    spec = TensorSpec("x", "float32", (2,))
    schedule = Schedule(number=1, origin="d", steps=(), specs={"x": spec})
    begin = {"kind": "begin", "route": 1, "request": 1}
    wrong: list[tuple[Callable[[], dict[str, object]], object]] = [
        (lambda: {**begin, "names": ["y"]}, (spec, np.zeros(2, np.float32))),
        (lambda: {**begin, "names": ["x"]}, (TensorSpec("x", "float32", (3,)), np.zeros(3, "f4"))),
        (lambda: {**begin, "names": ["x"]}, (TensorSpec("x", "int32", (2,)), np.zeros(2, "i4"))),
        (lambda: {**begin, "names": []}, (spec, np.zeros(2, np.float32))),
    ]
    for header, tensor in wrong:
        with Controller({"d": worker}, {}, threads=1) as controller:
            controller.install(schedule)
            with pytest.raises(ExecutionError):
                controller.ask("d", header(), tensors=[tensor])  # type: ignore[list-item]
    with Controller({"d": worker}, {}, threads=1) as controller:
        controller.install(schedule)
        inputs = {"x": np.ones(2, np.float32)}
        outcome = controller.request(schedule, {"x": "d"}, inputs, {"x": "d"}, 5.0)
    assert np.array_equal(outcome.outputs["x"], inputs["x"])


def test_who_dribbles_bytes_is_cut_off(
    worker: WorkerAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "HANDSHAKE_SECONDS", 0.3)
    with socket.create_connection((worker.host, worker.port)) as sock:
        sock.settimeout(0.05)
        answer = None
        deadline = time.monotonic() + 20
        while answer is None and time.monotonic() < deadline:
            with contextlib.suppress(TimeoutError):
                try:
                    sock.sendall(b"E")
                    answer = sock.recv(10)
                except ConnectionError:
                    answer = b""
    assert answer == b""


def test_strangers_who_wait_keep_nobody_out(worker: WorkerAddress) -> None:
    before = threading.active_count()
    with contextlib.ExitStack() as stack:
        strangers = [
            stack.enter_context(socket.create_connection((worker.host, worker.port)))
            for _ in range(worker_module.STRANGERS + 10)
        ]
        with Controller({"d": worker}, {}, threads=1) as controller:
            assert controller.ask("d", {"kind": "ping"}, "pong").integer("ns") > 0
            # The first ones were sent away for it; no more threads than that wait for the rest.
            assert _closed(strangers[0])
            assert threading.active_count() <= before + 2 * (worker_module.STRANGERS + 15)


def test_more_than_a_message_may_carry_is_not_sent(
    ends: tuple[Channel, Channel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "PAYLOAD_LIMIT_BYTES", 10)
    with pytest.raises(ProtocolError, match="more than one message may carry"):
        ends[0].send({"kind": "part"}, payload=bytes(11))


def test_a_peer_that_hangs_up_is_told(worker: WorkerAddress) -> None:
    with (
        listen("127.0.0.1", 0) as peer,
        Controller({"d": worker}, {}, threads=1) as controller,
    ):

        def hang_up() -> None:
            peer.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        port = peer.getsockname()[1]
        header = {"kind": "peer", "device": "e", "host": "127.0.0.1", "port": port}
        with pytest.raises(ExecutionError, match="cannot pair with worker 'e'"):
            controller.ask("d", header)
        thread.join()
        # The controller may go on.
        assert controller.ask("d", {"kind": "ping"}, "pong").integer("ns") > 0
