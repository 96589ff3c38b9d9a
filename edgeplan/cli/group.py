"""The click group: commands loaded when used, every exception turned into an exit code."""

from __future__ import annotations

import atexit
import difflib
import errno
import importlib
import keyword
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click

from edgeplan.cli import came_of_interrupt
from edgeplan.model.errors import (
    EdgeplanError,
    ExecutionError,
    Fault,
    InputError,
    InterruptedRunError,
    SolverError,
)

NOTHING_KEPT = "nothing was kept"
OK, FAILED, BAD_INPUT, INFEASIBLE, NO_PLAN, INTERRUPTED = 0, 1, 2, 3, 4, 130


class LazyGroup(click.Group):
    """A group whose help needs no command's module, and whose errors are exit codes.

    Parameters
    ----------
    commands_help
        Short help by command name, in the order of the listing. Command ``a-b`` is the object
        ``command`` of the module ``edgeplan.cli.a_b``; where that is a keyword of Python, of
        ``edgeplan.cli.a_b_``.
    """

    # `help` is click's own name for it.
    def __init__(self, *, name: str, commands_help: Mapping[str, str], help: str) -> None:  # noqa: A002
        super().__init__(
            name=name,
            help=help,
            context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
            params=[
                click.Option(
                    ["--debug"],
                    is_flag=True,
                    help="Show the traceback of an error (also EDGEPLAN_DEBUG=1).",
                ),
                click.Option(
                    ["--version"],
                    is_flag=True,
                    is_eager=True,
                    expose_value=False,
                    callback=_version,
                    help="Show the version and leave.",
                ),
            ],
            callback=_remember_debug,
        )
        self.commands_help = commands_help

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the words name; of an unknown one, tell what is close to it."""
        name = args[0]
        if name not in self.commands_help and not name.startswith("-"):
            close = difflib.get_close_matches(name, self.commands_help, 3)
            hint = f"did you mean {' or '.join(close)}?" if close else "see edgeplan --help"
            ctx.fail(f"there is no command '{name[:40]}'; {hint}")
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the command names in the order of use."""
        return list(self.commands_help)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command's module and return the command."""
        if cmd_name not in self.commands_help:
            return None
        name = cmd_name.replace("-", "_") + "_" * keyword.iskeyword(cmd_name)
        module = importlib.import_module(f"edgeplan.cli.{name}")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self.commands_help.items()))

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> NoReturn:
        """Run a command line and leave with its exit code.

        Raises
        ------
        SystemExit
            Always.
        """
        words = list(sys.argv[1:] if args is None else args)
        machine = "--json" in words
        wished = os.environ.get("EDGEPLAN_DEBUG", "").lower() not in ("", "0", "false", "no")
        debug = wished or "--debug" in words
        try:
            code = super().main(words, prog_name, complete_var, standalone_mode=False, **extra)
        except Exception as error:  # noqa: BLE001  # becomes an exit code
            code = _report(error, machine=machine, debug=debug)
        sys.exit(code if isinstance(code, int) else OK)


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from edgeplan import __version__

        click.echo(f"edgeplan {__version__}")
        ctx.exit()


def _remember_debug(debug: bool) -> None:
    """Accept the option; `LazyGroup.main` reads it from the words before anything can fail."""


def _report(error: Exception, *, machine: bool, debug: bool) -> int:
    """Print an error to stderr (and as JSON to stdout) and return its exit code."""
    from edgeplan.cli.output import clean_text, print_json
    from edgeplan.instances.units import cut_path

    if debug:
        import traceback

        click.echo("".join(traceback.format_exception(error)), err=True)
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return BAD_INPUT
    code, kind, faults = _classify(error)
    if isinstance(error, click.UsageError) and error.ctx is not None:
        click.echo(error.ctx.get_usage(), err=True)
    head = "interrupted" if code == INTERRUPTED else _HEADS.get(kind, "error")
    file, hint = getattr(error, "file", ""), getattr(error, "hint", "")
    if hint:
        click.echo(clean_text(f"{head}: {hint}", 2000), err=True)
    for fault in faults:
        # A fault of the file as a whole has it as its place, cut like every name.
        named = not file or fault.place in (file, cut_path(Path(file)))
        click.echo(clean_text(f"{head}: {fault if named else f'{file}: {fault}'}", 2000), err=True)
    if code == FAILED and kind == "internal" and not debug:
        click.echo("This is a defect of edgeplan: run with --debug for the traceback.", err=True)
    if machine:
        items = [{"place": fault.place, "message": fault.message} for fault in faults]
        about = {key: value for key, value in (("file", file), ("hint", hint)) if value}
        print_json({"error": {"kind": kind, **about, "faults": items}})
    return code


_HEADS = {
    "internal": "internal error",
    "solver": "the solver failed",
    "execution": "the run failed",
}


def _classify(error: Exception) -> tuple[int, str, Sequence[Fault]]:
    """Return exit code, kind and faults of an exception."""
    text = str(error) or type(error).__name__
    match error:
        case click.Abort() | InterruptedRunError():
            message = text if isinstance(error, InterruptedRunError) else NOTHING_KEPT
            return INTERRUPTED, "interrupted", [Fault("", message)]
        case click.MissingParameter() if error.param is not None:
            name = error.param.make_metavar(error.ctx or click.Context(click.Command(None)))
            if isinstance(error.param, click.Option):
                name = error.param.opts[-1]
            return BAD_INPUT, "usage", [Fault(name, "is missing; --help says what it is")]
        case click.UsageError():
            place = ""
            if isinstance(error, click.BadParameter) and error.param is not None:
                place = error.param.human_readable_name
            return BAD_INPUT, "usage", [Fault(place, error.format_message())]
        case click.ClickException():
            return BAD_INPUT, "input", [Fault("", error.format_message())]
        case InputError():
            return BAD_INPUT, "input", error.faults
        case SolverError():
            return FAILED, "solver", [Fault("", text)]
        case ExecutionError():
            return FAILED, "execution", [Fault("", text)]
        case EdgeplanError():
            return FAILED, "edgeplan", [Fault("", text)]
        case OSError() if error.filename is not None and error.errno in _USERS_FILES:
            return BAD_INPUT, "input", [Fault(str(error.filename), error.strerror or text)]
        case _ if came_of_interrupt(error):
            return INTERRUPTED, "interrupted", [Fault("", NOTHING_KEPT)]
        case _:
            return FAILED, "internal", [Fault("", f"{type(error).__name__}: {text}")]


# What the user can mend: a path that is not there, not allowed, not of the right type, or full.
_USERS_FILES = frozenset(
    {
        errno.ENOENT,
        errno.EACCES,
        errno.EPERM,
        errno.EISDIR,
        errno.ENOTDIR,
        errno.EEXIST,
        errno.ENOSPC,
        errno.EROFS,
        errno.ENAMETOOLONG,
        errno.ELOOP,
    }
)


@contextmanager
def guard_process() -> Iterator[None]:
    """Keep stdout clean under ``--json``, and let SIGTERM unwind so that nothing is left.

    Native libraries may print to file descriptor 1 behind Python's back: it is pointed to
    stderr, while `sys.stdout` keeps the real one.
    """
    from edgeplan.cli.encodings import make_safe

    signal.signal(signal.SIGTERM, _terminate)
    make_safe()
    if "--json" in sys.argv[1:]:
        sys.stdout.flush()
        real = os.dup(1)
        os.dup2(2, 1)
        sys.stdout = os.fdopen(real, "w", encoding="utf-8", newline="\n")
    try:
        yield
    except SystemExit as leave:
        if leave.code == INTERRUPTED:
            # A Ctrl-C within code run from text (dataclasses make their methods so) leaves a
            # mark in Python: at its end it would kill itself by SIGINT instead of this code.
            atexit._run_exitfuncs()
            _flush()
            os._exit(INTERRUPTED)
        raise
    finally:
        _flush()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            # The reader left: what remains in the buffer has nowhere to go.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _terminate(number: int, _: object) -> None:
    raise SystemExit(128 + number)
