"""Token bucket, precise holds, addresses, and measured links."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeplan.execution.addresses import (
    WorkerAddress,
    clean_token,
    parse_address,
    show_address,
    workers_from,
)
from edgeplan.execution.local import LocalWorkers
from edgeplan.execution.measure_link import measure_link
from edgeplan.execution.protocol import CHUNK_BYTES
from edgeplan.execution.transport import TokenBucket, connect, hold_until, listen
from edgeplan.model.errors import ExecutionError, InputError


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@given(
    rate=st.floats(1e3, 1e10),
    sizes=st.lists(st.integers(0, CHUNK_BYTES), min_size=1, max_size=50),
    gaps=st.lists(st.floats(0, 0.1), min_size=50, max_size=50),
)
def test_a_bucket_passes_no_more_than_its_rate_and_one_burst(
    rate: float, sizes: list[int], gaps: list[float]
) -> None:
    clock = Clock()
    bucket = TokenBucket(rate, clock=clock, sleep=clock.sleep)
    passed = 0
    for size, gap in zip(sizes, gaps, strict=False):
        clock.now += gap
        bucket.take(size)
        passed += size
        assert passed <= bucket.burst_bytes + rate * clock.now * (1 + 1e-9) + 1


@given(rate=st.floats(1e4, 1e9), count=st.integers(1, 200))
def test_a_bucket_that_is_never_left_idle_runs_at_its_rate(rate: float, count: int) -> None:
    clock = Clock()
    bucket = TokenBucket(rate, clock=clock, sleep=clock.sleep)
    for _ in range(count):
        bucket.take(CHUNK_BYTES)
    expected = max(0.0, count * CHUNK_BYTES - bucket.burst_bytes) / rate
    assert clock.now == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_a_hold_ends_no_sooner_than_asked() -> None:
    late = []
    for _ in range(20):
        deadline = time.monotonic_ns() + 3_000_000
        hold_until(deadline)
        late.append(time.monotonic_ns() - deadline)
    assert min(late) >= 0
    start = time.monotonic_ns()
    hold_until(start - 1)
    assert time.monotonic_ns() - start < 1_000_000_000


@pytest.mark.parametrize(
    "text", ["", "host", "host:", ":80", "host:99999", "host:-1", "::1:80", "[::1:80", "host:８０"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="HOST:PORT"):
        parse_address(text, "--listen")


@given(
    host=st.sampled_from(["localhost", "10.0.0.1", "::1", "fe80::1"]), port=st.integers(0, 65535)
)
def test_addresses_are_read_as_they_are_shown(host: str, port: int) -> None:
    assert parse_address(show_address(host, port)) == (host, port)


def test_a_token_is_never_shown() -> None:
    address = WorkerAddress(host="h", port=1, token="s" * 20)
    assert "sss" not in repr(address) + str(address)


@pytest.mark.parametrize("text", ["", "short", "two\nlines-of-a-token-file", "x" * 5000])
def test_weak_tokens_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="one line of at least 16"):
        clean_token(text)


def test_faults_of_a_workers_file_are_gathered() -> None:
    def read(path: str) -> str:
        if path == "none":
            raise FileNotFoundError(2, "No such file or directory")
        return "0123456789abcdef\n"

    content = {
        "good": {"address": "h:1", "token_file": "t"},
        "address": {"address": "h", "token_file": "t"},
        "file": {"address": "h:1", "token_file": "none"},
        "type": {"address": 3},
        "key": {"address": "h:1", "token_file": "t", "colour": "red"},
        "text": "h:1",
    }
    with pytest.raises(InputError) as caught:
        workers_from(content, read)
    assert [fault.place for fault in caught.value.faults] == [
        "workers.address.address",
        "workers.file.token_file",
        "workers.type.address",
        "workers.type.token_file",
        "workers.key.colour",
        "workers.text",
    ]
    good = workers_from({"good": content["good"]}, read)
    assert good["good"] == WorkerAddress(host="h", port=1, token="0123456789abcdef")
    with pytest.raises(InputError, match="must be a mapping"):
        workers_from(["a"], read)


def test_a_port_in_use_is_told() -> None:
    with (
        listen("127.0.0.1", 0) as first,
        pytest.raises(ExecutionError, match=r"127\.0\.0\.1:\d+ is in use"),
    ):
        listen("127.0.0.1", first.getsockname()[1])


def test_an_address_of_another_machine_is_told() -> None:
    with pytest.raises(ExecutionError, match="cannot listen on"):
        listen("192.0.2.1", 0)


def test_a_port_where_nobody_listens_is_told() -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ExecutionError, match=r"cannot reach .* is a worker listening there"):
        connect("127.0.0.1", port)


def test_a_worker_that_does_not_answer_is_told() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        address = silent.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        try:
            with pytest.raises(ExecutionError, match="did not answer within"):
                connect(*address, seconds=0.3)
        finally:
            for filler in fillers:
                filler.close()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[WorkerAddress, WorkerAddress]]:
    """Two workers on this machine."""
    with LocalWorkers(("one", "two"), tmp_path_factory.mktemp("pair")) as workers:
        yield workers["one"].address, workers["two"].address


def test_an_emulated_link_is_measured_as_what_it_is(
    pair: tuple[WorkerAddress, WorkerAddress],
) -> None:
    for latency, rate in ((0.005, 2e6), (0.02, 2e7)):
        found = measure_link(
            *pair,
            round_trips=10,
            bulk_transfers=3,
            emulated_latency_seconds=latency,
            emulated_bytes_per_second=rate,
        )
        assert found.emulated
        # Loose on the slow side only: the machine may be busy, the link is never quicker.
        assert latency * 0.999 <= found.latency_seconds < latency * 3
        assert rate * 0.3 < found.bytes_per_second < rate * 1.02


def test_the_real_loopback_is_quick(pair: tuple[WorkerAddress, WorkerAddress]) -> None:
    found = measure_link(*pair, round_trips=20, bulk_transfers=3, least_seconds=0.02)
    assert not found.emulated
    assert 0 < found.latency_seconds < 0.05
    assert found.bytes_per_second > 1e7
    assert set(found.as_json()) >= {"latency_seconds", "bytes_per_second"}


def test_a_link_to_itself_or_with_a_wrong_token_is_refused(
    pair: tuple[WorkerAddress, WorkerAddress],
) -> None:
    one, two = pair
    with pytest.raises(InputError, match="two different workers"):
        measure_link(one, one)
    wrong = WorkerAddress(host=two.host, port=two.port, token="0" * 64)
    with pytest.raises(ExecutionError, match="token is wrong"):
        measure_link(one, wrong)
    # Neither worker minds.
    measure_link(one, two, round_trips=2, bulk_transfers=1, least_seconds=0.001)


def test_a_worker_in_use_says_so(pair: tuple[WorkerAddress, WorkerAddress]) -> None:
    from edgeplan.execution.controller import Controller

    one, two = pair
    with (
        Controller({"d": one}, {}, threads=1),
        pytest.raises(ExecutionError, match="serves another controller"),
    ):
        measure_link(one, two)
