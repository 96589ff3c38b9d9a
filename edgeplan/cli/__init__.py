"""The command line: one file per command; each parses and prints, nothing else.

Results go to stdout, chatter and errors to stderr. With ``--json`` stdout is one JSON document
and nothing else, an error included. Exit codes: 0 an answer (also a limit reached with a plan),
1 a run or a solver failed or edgeplan has a defect, 2 bad input, 3 infeasible, 4 a limit reached
without a plan, 130 interrupted.
"""

from __future__ import annotations

import os

# The program begins here: what is imported before `main`, not even typing, cannot be
# interrupted in peace. Type checkers know the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from edgeplan.cli.commands import COMMANDS, app

__all__ = ["COMMANDS", "app", "came_of_interrupt", "main"]


def __getattr__(name: str) -> Any:
    if name not in ("COMMANDS", "app"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from edgeplan.cli import commands

    return getattr(commands, name)


def main() -> NoReturn:
    """Run the command line of this process; never returns.

    A Ctrl-C that no command heeds, while modules are imported for one, ends with 130 quietly.
    """
    try:
        from edgeplan.cli.commands import app
        from edgeplan.cli.group import guard_process

        with guard_process():
            app.main(prog_name="edgeplan")
    except Exception as error:
        if came_of_interrupt(error):
            os._exit(130)
        raise
    except KeyboardInterrupt:
        # At a normal end Python would kill itself by SIGINT if the interrupt came within code
        # run from text, as dataclasses make their methods.
        os._exit(130)


def came_of_interrupt(error: BaseException) -> bool:
    """Return whether an exception is a Ctrl-C, or was raised because of one.

    Python makes a `RuntimeError` of an interrupt that comes while a class is made.
    """
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, KeyboardInterrupt):
            return True
        found = found.__cause__ or found.__context__
    return False
