"""The store keeps every whole record, whatever happens to the last one or to its owner."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeplan.model.errors import InputError
from edgeplan.profiling.store import MAGIC, Store, decode, encode, key_of

RECORDS = [{"kind": "span", "first": index, "wall": [0.1 * index, 1e-7]} for index in range(4)]


def write(folder: Path, key: str = "k") -> Path:
    with Store(folder, key) as store:
        for record in RECORDS:
            store.append(record)
        return store.path


def read(folder: Path, key: str = "k") -> list[dict[str, object]]:
    with Store(folder, key) as store:
        return list(store.records)


def test_what_was_appended_is_read_back(tmp_path: Path) -> None:
    write(tmp_path)
    assert read(tmp_path) == RECORDS


def test_a_tail_torn_at_any_byte_costs_the_last_record_only(tmp_path: Path) -> None:
    path = write(tmp_path)
    data = path.read_bytes()
    start = len(data) - len(encode(RECORDS[-1]))
    for size in range(start, len(data)):
        path.write_bytes(data[:size])
        assert read(tmp_path) == RECORDS[:-1], size
        assert path.stat().st_size == start  # the tail is gone
        with Store(tmp_path, "k") as store:  # and the next record can be read again
            store.append(RECORDS[-1])
        assert path.read_bytes() == data


def test_a_flipped_byte_anywhere_in_a_record_ends_the_list_before_it(tmp_path: Path) -> None:
    path = write(tmp_path)
    data = path.read_bytes()
    start = len(data) - len(encode(RECORDS[-1]))
    for place in range(start, len(data)):
        broken = bytearray(data)
        broken[place] ^= 0x41
        path.write_bytes(bytes(broken))
        assert read(tmp_path) == RECORDS[:-1], place


@given(st.binary(max_size=200))
def test_any_bytes_can_be_decoded(tail: bytes) -> None:
    head = MAGIC + encode(RECORDS[0])
    records, size = decode(head + tail)
    assert records[:1] == RECORDS[:1]
    assert len(head) <= size <= len(head) + len(tail)
    assert decode(tail)[1] <= len(tail)


def test_another_format_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "k.records").write_bytes(b"something else")
    assert read(tmp_path) == []
    write(tmp_path)
    assert read(tmp_path) == RECORDS


def test_clear_forgets_on_disk_too(tmp_path: Path) -> None:
    write(tmp_path)
    with Store(tmp_path, "k") as store:
        store.clear()
        store.append(RECORDS[2])
    assert read(tmp_path) == RECORDS[2:3]


def test_keys_depend_on_every_part_and_not_on_their_order() -> None:
    parts = {"model": "ab", "threads": 1, "shapes": [["x", [1, 2]]]}
    assert key_of(parts) == key_of(dict(reversed(parts.items())))
    assert (
        len({key_of(parts), key_of({**parts, "threads": 2}), key_of({**parts, "model": "a"})}) == 3
    )


def test_a_folder_that_cannot_be_made_is_the_users_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(InputError, match="cache: the folder of measured times"),
        Store(tmp_path / "file" / "below", "k"),
    ):
        pass


WRITER = """
import sys
from pathlib import Path
from edgeplan.profiling.store import Store
with Store(Path(sys.argv[1]), "k") as store:
    index = len(store.records)
    while True:
        store.append({"index": index, "text": "x" * 1000})
        index += 1
        print(index, flush=True)
"""


def test_kill_minus_nine_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    kept = 0
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        with process.stdout:
            for _ in range(5):
                acknowledged = int(process.stdout.readline())
            process.send_signal(signal.SIGKILL)
            process.wait()
        records = read(tmp_path)  # the lock went with its owner
        assert len(records) >= acknowledged > kept
        assert [record["index"] for record in records] == list(range(len(records)))
        kept = len(records)


HOLDER = """
import sys
from pathlib import Path
from edgeplan.profiling.store import Store
with Store(Path(sys.argv[1]), "k") as store:
    print("held", flush=True)
    sys.stdin.readline()
    store.append({"from": "the other"})
"""


def test_a_second_process_waits_and_then_sees_what_the_first_wrote(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        waited: list[bool] = []
        stdin = process.stdin

        def told() -> None:
            waited.append(True)
            stdin.write("go\n")
            stdin.flush()

        with Store(tmp_path, "k", on_wait=told) as store:
            assert store.records == [{"from": "the other"}]
        assert waited == [True]


def test_waiting_ends_when_told_to_stop(tmp_path: Path) -> None:
    stop = threading.Event()
    with Store(tmp_path, "k"):
        second = Store(tmp_path, "k", on_wait=stop.set, stop=stop)
        with pytest.raises(KeyboardInterrupt):
            second.__enter__()


def test_no_other_file_is_left(tmp_path: Path) -> None:
    write(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} <= {"k.records", "k.lock"}
