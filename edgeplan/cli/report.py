"""``edgeplan report``: a page that shows a front, a plan, a run, …, in one file."""

from __future__ import annotations

from pathlib import Path

import click

from edgeplan.cli.compare import LETTERS
from edgeplan.cli.load import with_names
from edgeplan.cli.options import input_option, json_option, output_option
from edgeplan.cli.output import note, print_json
from edgeplan.model.errors import InputError


@click.command("report")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE_OR_FOLDER…"
)
@output_option("PAGE", "Write the page here: report.html.", required=True)
@input_option("--instance", text="The instance that the files are of, if not beside them.")
@click.option(
    "--force",
    is_flag=True,
    help="Lay fronts of different instances, or with other objectives, over each other.",
)
@click.option("--open", "opened", is_flag=True, help="Open the page in the browser.")
@json_option
def command(
    files: tuple[Path, ...],
    output: Path,
    instance: Path | None,
    force: bool,
    opened: bool,
    as_json: bool,
) -> None:
    """Make a page of FILE_OR_FOLDER…: a file that any browser shows, without a network.

    A file may be whatever edgeplan writes: a front's folder (several are laid over each other; a
    CSV file may have another planner's points), a plan, a run, a simulation, a sweep.
    """
    from edgeplan.report.page import need_extra, write_page
    from edgeplan.report.read import build

    need_extra()
    try:
        page = build(files, instance, force=force)
    except InputError as error:
        raise with_names(error, dict(zip(LETTERS, map(str, files), strict=False))) from None
    size = write_page(page, output)
    if opened:
        import webbrowser

        if not webbrowser.open(output.absolute().as_uri()):
            note(f"note: there is no browser to open {output} in")
    if as_json:
        print_json({"file": output, "bytes": size, "kind": page.kind, **page.facts})
        return
    from edgeplan.cli import tables, units

    tables.say(f"page: {output} ({units.size(size)})")
