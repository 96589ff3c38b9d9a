from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from edgeplan.networks import Prepared, group, part_io, prepare, sessions
from edgeplan.networks.parts import Splitter

SHAPES = {"ppocr_det": {"x": (1, 3, 320, 320)}, "ppocr_rec": {"x": (1, 3, 48, 320)}}


@pytest.fixture(scope="session")
def prepared(zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Prepared]:
    """A network of the zoo, prepared once."""
    folder = tmp_path_factory.mktemp("prepared")
    made: dict[str, Prepared] = {}

    def get(name: str) -> Prepared:
        if name not in made:
            made[name] = prepare(
                zoo / f"{name}.onnx", shapes=SHAPES.get(name), folder=folder, seconds=60
            )
        return made[name]

    return get


@pytest.fixture(scope="session")
def whole() -> Callable[..., list[Any]]:
    """Outputs of an unsplit network on random inputs, at a level, computed once."""
    made: dict[tuple[Path, str], list[Any]] = {}

    def get(network: Prepared, level: Any) -> list[Any]:
        key = network.folded, level
        if key not in made:
            session = sessions.open_session(network.folded, level=level)
            made[key] = session.run(
                list(network.graph.outputs), sessions.random_inputs(network.graph, 7)
            )
        return made[key]

    return get


@pytest.fixture
def compare(
    tmp_path: Path, whole: Callable[..., list[Any]]
) -> Callable[[Prepared, Sequence[int]], tuple[bool, float]]:
    """Split at positions, run the parts one after another, compare with the whole.

    Returns whether all outputs are equal bit by bit without optimisation (strict), and the
    largest error with it (deployed) as a share of the output's scale.
    """
    splitters: dict[Path, Splitter] = {}

    def run(network: Prepared, positions: Sequence[int]) -> tuple[bool, float]:
        layers, tensors = group(network.graph, positions)
        if network.folded not in splitters:
            splitters[network.folded] = Splitter(network.folded)
        splitter = splitters[network.folded]
        borders = [part_io(tensors, index, index + 1) for index in range(len(layers))]
        parts = [
            splitter.extract(inputs, outputs, tmp_path / f"part{index}.onnx")
            for index, (inputs, outputs) in enumerate(borders)
        ]
        return one(network, borders, parts, "strict")[0], one(network, borders, parts, "deployed")[
            1
        ]

    def one(network: Prepared, borders: Any, parts: list[Path], level: Any) -> tuple[bool, float]:
        held: dict[str, Any] = dict(sessions.random_inputs(network.graph, 7))
        for part, (inputs, outputs) in zip(parts, borders, strict=True):
            session = sessions.open_session(part, level=level)
            results = session.run(list(outputs), {name: held[name] for name in inputs})
            held.update(zip(outputs, results, strict=True))
        equal, worst = True, 0.0
        for name, expected in zip(network.graph.outputs, whole(network, level), strict=True):
            assert np.isfinite(expected).all()
            assert expected.std() > 0, "a test on constant outputs proves nothing"
            equal &= bool(np.array_equal(held[name], expected))
            worst = max(worst, float(np.abs(held[name] - expected).max() / np.abs(expected).max()))
        return equal, worst

    return run


@pytest.fixture
def nothing_left() -> Any:
    """Check that no child process outlives the test."""
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    yield
    after = {child.pid for child in psutil.Process().children(recursive=True)}
    assert after <= before
