from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from edgeplan.model.errors import InputError, NetworkError
from edgeplan.networks import sandbox

pytestmark = pytest.mark.usefixtures("nothing_left")


def test_the_result_comes_back_as_data():
    assert sandbox.call("builtins:sorted", [3, 1, 2], reverse=True) == [3, 2, 1]


def test_it_runs_in_another_process():
    assert sandbox.call("os:getpid") != os.getpid()


def test_files_of_the_current_folder_do_not_stand_for_libraries(tmp_path):
    (tmp_path / "colorsys.py").write_text("def rgb_to_hsv(r, g, b):\n    return 'a stray file'\n")
    code = (
        "from edgeplan.networks import sandbox; print(sandbox.call('colorsys:rgb_to_hsv', 0, 0, 0))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert run.stdout.strip() == "[0.0, 0.0, 0]", run.stderr


def test_a_function_that_sleeps_is_stopped_at_the_limit():
    start = time.monotonic()
    with pytest.raises(NetworkError, match=r"net\.onnx: took longer than 1 s"):
        sandbox.call("time:sleep", 60, seconds=1, place="net.onnx")
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    ("target", "args", "message"),
    [
        ("os:abort", [], "SIGABRT"),
        ("ctypes:string_at", [0], "SIGSEGV"),
        ("signal:raise_signal", [9], "SIGKILL"),
        ("os:_exit", [3], "exit code 3"),
        ("os:_exit", [0], "exit code 0"),
        ("builtins:bytearray", [2**45], "needs more than the 4 GiB"),
        ("builtins:int", ["x"], "cannot be used: ValueError: invalid literal"),
        ("builtins:object", [], "not JSON serializable"),
        ("os:open", ["/nowhere/at/all", 0], "FileNotFoundError"),
    ],
)
def test_a_failure_is_a_network_error(target, args, message):
    with pytest.raises(NetworkError, match=message) as caught:
        sandbox.call(target, *args, place="net.onnx")
    assert caught.value.faults[0].place == "net.onnx"


def test_an_input_error_keeps_its_class_and_faults():
    with pytest.raises(InputError) as caught:
        sandbox.call("edgeplan.networks.grouping:group", None, None, place="x")
    assert isinstance(caught.value, NetworkError)  # an AttributeError of ours, told as data
    with pytest.raises(InputError) as caught:
        sandbox.call("edgeplan.networks.parts:extract", "a.onnx", [], [], "b.onnx")
    assert type(caught.value) is InputError
    assert caught.value.faults[0].place == "a.onnx"


def test_the_place_is_the_file_among_the_arguments():
    with pytest.raises(NetworkError, match=r"^net\.onnx: "):
        sandbox.call("os:listdir", "/no/such/folder/net.onnx")


def test_a_write_beyond_the_limit_is_an_error(tmp_path):
    target = tmp_path / "large"
    with pytest.raises(NetworkError):
        sandbox.call("os:truncate", str(target), 2**40)
    target.touch()
    with pytest.raises(NetworkError, match=r"File too large|SIGXFSZ"):
        sandbox.call("os:truncate", str(target), 2**40)


def test_reports_arrive_while_it_runs():
    seen: list[object] = []
    sandbox.call("edgeplan.networks.sandbox:report", {"done": 1}, on_report=seen.append)
    assert seen == [{"done": 1}]


def test_outside_a_child_a_report_does_nothing(capfd):
    sandbox.report("nobody listens")
    assert capfd.readouterr() == ("", "")


def test_environment_limits_are_in_force():
    soft, hard = sandbox.call("resource:getrlimit", 4)  # RLIMIT_CORE
    assert (soft, hard) == (0, 0)
    soft, _ = sandbox.call("resource:getrlimit", 9, memory_bytes=2**31)  # RLIMIT_AS
    assert soft == 2**31


def _sleeping_parent() -> tuple[subprocess.Popen[bytes], psutil.Process]:
    # Where the tests run in the background of a shell, interrupts are ignored by inheritance.
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from edgeplan.networks import sandbox; sandbox.call('time:sleep', 60, seconds=60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        children = psutil.Process(parent.pid).children()
        # Give the child time to come through its start: the limits must be in place.
        if children and time.time() - children[0].create_time() > 1:
            return parent, children[0]
        time.sleep(0.05)
    parent.kill()
    raise AssertionError("no child was started")


def _gone(process: psutil.Process) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGKILL])
def test_the_child_goes_with_its_parent(kind):
    parent, child = _sleeping_parent()
    parent.send_signal(kind)
    _, text = parent.communicate(timeout=10)
    assert parent.returncode != 0
    assert _gone(child)
    if kind == signal.SIGINT:
        assert b"KeyboardInterrupt" in text
