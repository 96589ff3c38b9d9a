"""``edgeplan measure-link``: latency and bandwidth between two workers."""

from __future__ import annotations

from pathlib import Path

import click

from edgeplan.cli.options import input_option, json_option
from edgeplan.cli.output import print_json


@click.command("measure-link")
@click.argument("source", metavar="SOURCE")
@click.argument("target", metavar="TARGET")
@input_option("--token-file", required=True, text="The secret of the first worker.")
@input_option("--target-token-file", text="The secret of the second one, where it differs.")
@json_option
def command(
    source: str, target: str, token_file: Path, target_token_file: Path | None, as_json: bool
) -> None:
    """Measure latency and bandwidth of the link from the first worker to the second.

    SOURCE and TARGET are HOST:PORT. The latency is half of the round trip: exact where both
    ways are alike.
    """
    from edgeplan.execution.addresses import WorkerAddress, clean_token, parse_address
    from edgeplan.execution.measure_link import measure_link
    from edgeplan.instances.document import read_text

    def address(text: str, place: str, file: Path, option: str) -> WorkerAddress:
        host, port = parse_address(text, place)
        token = clean_token(read_text(file, max_bytes=8192), option)
        return WorkerAddress(host=host, port=port, token=token)

    second = (token_file, "--token-file")
    if target_token_file is not None:
        second = (target_token_file, "--target-token-file")
    measured = measure_link(
        address(source, "SOURCE", token_file, "--token-file"), address(target, "TARGET", *second)
    )
    if as_json:
        print_json({"source": source, "target": target, **measured.as_json()})
        return
    from edgeplan.cli import tables, units

    tables.facts(
        f"Link {source} -> {target}",
        {
            "latency": f"{units.seconds(measured.latency_seconds)} one way, "
            f"MAD {units.seconds(measured.latency_mad_seconds)}",
            "bandwidth": f"{units.bandwidth(measured.bytes_per_second)}, "
            f"MAD {units.bandwidth(measured.bytes_per_second_mad)}",
            "from": f"{measured.samples[0]} round trips, {measured.samples[1]} transfers of "
            f"{units.size(measured.probe_bytes)}",
        },
    )
