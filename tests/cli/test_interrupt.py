"""Ctrl-C: the first sets the event, the second ends; also inside native code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from edgeplan.cli.interrupt import stop_on_interrupt
from tests.cli.cli_helpers import invoke


def test_first_interrupt_sets_the_event_and_the_handler_is_restored(capfd):
    before = signal.getsignal(signal.SIGINT)
    with stop_on_interrupt("the plan") as stop:
        assert not stop.is_set()
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.wait(5)
        deadline = time.monotonic() + 5
        said = ""
        while "keeping the plan" not in said and time.monotonic() < deadline:
            time.sleep(0.01)
            said += capfd.readouterr().err
        assert "keeping the plan" in said
    assert signal.getsignal(signal.SIGINT) is before


def test_second_interrupt_raises():
    def press_twice():
        with stop_on_interrupt("the plan") as stop:
            os.kill(os.getpid(), signal.SIGINT)
            assert stop.wait(5)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)

    with pytest.raises(KeyboardInterrupt):
        press_twice()


def test_event_is_set_and_process_ends_while_native_code_holds_the_main_thread():
    # A mutex locked twice: the call gives Python's lock back, and no handler runs in it.
    blocked = (
        "import ctypes, threading\n"
        "from edgeplan.cli import interrupt\n"
        "interrupt.GRACE_SECONDS = 0.5\n"
        "libc = ctypes.CDLL(None)\n"
        "mutex = ctypes.create_string_buffer(256)\n"
        "libc.pthread_mutex_lock(mutex)\n"
        "with interrupt.stop_on_interrupt('x') as stop:\n"
        "    def watch():\n"
        "        stop.wait(); print('set', flush=True)\n"
        "    threading.Thread(target=watch, daemon=True).start()\n"
        "    print('ready', flush=True)\n"
        "    libc.pthread_mutex_lock(mutex)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", blocked], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "set\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    finally:
        process.kill()
        process.communicate()


def test_an_interrupt_within_code_run_from_text_still_ends_with_130():
    # Python remembers such an interrupt, even one that was caught, and ends itself by SIGINT.
    code = (
        "from edgeplan.cli.group import guard_process\n"
        "with guard_process():\n"
        "    try:\n"
        "        exec('raise KeyboardInterrupt')\n"
        "    except KeyboardInterrupt:\n"
        "        print('kept', flush=False)\n"
        "        raise SystemExit(130)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (130, "kept\n")


# How the console script and `python -m edgeplan` begin.
ENTRIES = {
    "script": ["-c", "import sys\nfrom edgeplan.cli import main\nsys.exit(main())"],
    "module": ["-m", "edgeplan"],
}


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("module", ["click", "difflib", "decimal"])
def test_an_interrupt_while_modules_are_imported_ends_with_130_quietly(entry, module, tmp_path):
    """It comes within the import of one that the group or the command needs."""
    (tmp_path / f"{module}.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(20)\n"
    )
    instance = tmp_path / "instance.yaml"
    instance.write_text("format: edgeplan-instance\n")
    paths = [str(tmp_path), *(path for path in sys.path if path)]
    done = subprocess.run(
        [sys.executable, *ENTRIES[entry], "solve", instance],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr
    assert "KeyboardInterrupt" not in done.stderr


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_interrupt_while_a_class_is_made_is_one_too(entry, tmp_path):
    """Python makes another exception of it, for want of a way to tell."""
    lines = (
        "class Field:",
        "    def __set_name__(self, owner, name):",
        "        raise KeyboardInterrupt",
        "class Owner:",
        "    field = Field()",
    )
    (tmp_path / "difflib.py").write_text("\n".join(lines))
    paths = [str(tmp_path), *(path for path in sys.path if path)]
    done = subprocess.run(
        [sys.executable, *ENTRIES[entry], "schema", "instance"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_an_error_that_an_interrupt_made_within_a_command_is_told_as_one(monkeypatch):
    def made(*_):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as interrupt:
            raise RuntimeError("Error calling __set_name__") from interrupt

    monkeypatch.setattr("edgeplan.instances.schema.schema", made)
    result = invoke("schema", "instance")
    assert (result.exit_code, result.stderr) == (130, "interrupted: nothing was kept\n")
