"""Give the weightless example networks seeded random weights."""

from __future__ import annotations

from pathlib import Path

from edgeplan.networks import sandbox
from edgeplan.networks.files import memory_for, replacing


def reweight(
    source: Path | str, destination: Path | str, seed: int, *, seconds: float = 120.0
) -> Path:
    """Write a copy of a network whose constant weights are replaced by seeded random ones.

    A test on constant outputs proves nothing, so networks whose weights come from
    ConstantOfShape get real ones: kernels are normal with variance 2 / fan-in (He et al.,
    "Delving deep into rectifiers", 2015), then every layer is scaled by a power of two to unit
    deviation on a random input (Mishkin and Matas, "All you need is a good init", 2016), so that
    outputs neither vanish, explode nor saturate through a hundred layers.

    Parameters
    ----------
    source
        ONNX file; other constants stay.
    destination
        File to write.
    seed
        Equal seeds give equal files.
    seconds
        Limit on the time.

    Returns
    -------
    Path
        ``destination``.

    Raises
    ------
    NetworkError
        If the file is unsafe, invalid or too large, or a weight's use is not known.
    """
    file, target = Path(source).absolute(), Path(destination).absolute()
    with replacing(target, durable=False) as temporary:
        sandbox.call(
            "edgeplan.networks._reweighting:reweight",
            str(file),
            str(temporary),
            seed,
            seconds=seconds,
            memory_bytes=2 * memory_for(file),
        )
    return target
