"""A commented starter instance that solves as it stands."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from edgeplan.instances.document import write_text
from edgeplan.instances.units import cut_path
from edgeplan.model.errors import Fault, InputError


def init(folder: Path, *, force: bool = False) -> tuple[Path, ...]:
    """Write a commented starter instance.

    Parameters
    ----------
    folder
        Where; made if it is not there.
    force
        Whether files of the same name may be overwritten.

    Returns
    -------
    tuple[Path, ...]
        The files written: ``instance.yaml``.

    Raises
    ------
    InputError
        If a file is there already or cannot be written.
    """
    texts = {"instance.yaml": starter()}
    faults = [
        Fault(
            cut_path(folder / name),
            "is there already; choose another folder, or --force to overwrite it",
        )
        for name in texts
        if (folder / name).exists() or (folder / name).is_symlink()
    ]
    if faults and not force:
        raise InputError(faults)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError.at(cut_path(folder), f"cannot be made: {error.strerror}") from None
    for name, text in texts.items():
        write_text(folder / name, text)
    return tuple(folder / name for name in texts)


def starter() -> str:
    """Return the text of the starter instance."""
    package = resources.files("edgeplan.instances")
    return package.joinpath("starter.yaml").read_text(encoding="utf-8")
