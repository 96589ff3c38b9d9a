"""``edgeplan worker``: this machine serves stages to a run that is started elsewhere."""

from __future__ import annotations

from pathlib import Path

import click

from edgeplan.cli.interrupt import stop_on_interrupt
from edgeplan.cli.options import input_option, json_option
from edgeplan.cli.output import note


@click.command("worker")
@click.option(
    "--listen",
    metavar="HOST:PORT",
    default="127.0.0.1:0",
    show_default=True,
    help="Where to listen; port 0 picks a free one.",
)
@input_option("--token-file", required=True, text="The secret that runs must hold too.")
@json_option
def command(listen: str, token_file: Path, as_json: bool) -> None:
    """Serve stages until Ctrl-C: takes ONNX parts and tensors from whoever holds the token.

    Prints one line of JSON, {"listening": "HOST:PORT"}, once it listens. The traffic is
    authenticated, not encrypted: use it within a network that you trust, or through a tunnel.
    """
    from edgeplan.execution.worker import serve

    with stop_on_interrupt("nothing") as stop:
        serve(listen, token_file, announce=click.echo, stop=stop, warn=note)
    note("the worker has stopped")
