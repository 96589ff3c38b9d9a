"""Predicted times: identity, monotonicity, what is refused. Nothing is measured here."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeplan.model.catalogue import CatalogueDevice, Figure
from edgeplan.model.errors import InputError
from edgeplan.model.graph import Cut, Graph, Node, Value
from edgeplan.model.network import Layer, Tensor
from edgeplan.model.profile import Machine, Profile, Timing
from edgeplan.profiling.calibrate import Calibration
from edgeplan.profiling.predict import predict

REFERENCE = Calibration(
    flops_per_second=5e10, bytes_per_second=1e10, cpu="cpu", threads=1, created="2026-01-01"
)


def figure(value: float) -> Figure:
    return Figure(value=value, source="a page", year=2026, kind="datasheet")


def device(flops: float, bandwidth: float, overhead: float | None = None) -> CatalogueDevice:
    return CatalogueDevice(
        name="board",
        title="A board",
        tier="edge",
        flops_per_second=figure(flops),
        memory_bytes_per_second=figure(bandwidth),
        overhead_seconds=None if overhead is None else figure(overhead),
    )


def timing(seconds: float) -> Timing:
    return Timing(
        mean_seconds=seconds,
        median_seconds=seconds * 0.98,
        mad_seconds=seconds * 0.01,
        cv2=0.002,
        cpu_seconds=seconds * 0.97,
        runs=10,
    )


def sample(boundary_seconds: float = 20e-6) -> Profile:
    """Return a compute-bound node, a memory-bound one, and one of a type that is not counted."""
    sizes = {"x": 4000, "a": 8000, "b": 8000, "c": 400}
    return Profile(
        network="net",
        onnx="net.onnx",
        sha256="0" * 64,
        shapes=(("x", (1, 1000)),),
        graph=Graph(
            inputs=("x",),
            outputs=("c",),
            values=tuple(
                Value(name=n, dtype="float32", shape=(size // 4,), bytes=size)
                for n, size in sizes.items()
            ),
            nodes=(
                Node(name="conv", op_type="Conv", inputs=("x",), outputs=("a",), macs=10**8),
                Node(name="relu", op_type="Relu", inputs=("a",), outputs=("b",)),
                Node(name="lstm", op_type="LSTM", inputs=("b",), outputs=("c",), parameters=10**6,
                     weight_bytes=4 * 10**6),
            ),
            cuts=(
                Cut(position=1, tensors=("a",), inputs=(), bytes=8000),
                Cut(position=2, tensors=("b",), inputs=(), bytes=8000),
            ),
            parameters=10**6,
            weight_bytes=4 * 10**6,
            file_bytes=4 * 10**6,
            uncounted=("LSTM",),
        ),
        positions=(1, 2),
        layers=tuple(Layer(name=name) for name in ("conv", "relu", "lstm")),
        tensors=(
            Tensor(name="x", bytes=4000, producer=None, consumers=(0,)),
            Tensor(name="a", bytes=8000, producer=0, consumers=(1,)),
            Tensor(name="b", bytes=8000, producer=1, consumers=(2,)),
            Tensor(name="c", bytes=400, producer=2, output=True),
        ),
        whole=timing(5e-3),
        spans=(
            (timing(4e-3), timing(4.1e-3), timing(5e-3)),
            (timing(10e-6), timing(1e-3)),
            (timing(0.9e-3),),
        ),
        boundary_seconds=boundary_seconds,
        joules=None,
        energy_basis="power-model",
        device="this-machine",
        basis="measured",
        basis_detail="",
        machine=Machine(
            cpu="cpu", cores=2, memory_bytes=2**30, system="s", python="3", onnxruntime="1",
            onnx="1", provider="CPUExecutionProvider", threads=1,
        ),
        created="2026-01-01T00:00:00+00:00",
    )  # fmt: skip


def means(profile: Profile) -> list[float]:
    return [value.mean_seconds for row in (*profile.spans, (profile.whole,)) for value in row]


@pytest.mark.parametrize("overhead", [None, 20e-6])
def test_the_calibrated_figures_give_the_measured_times_back(overhead: float | None) -> None:
    profile = sample()
    found = predict(profile, device(5e10, 1e10, overhead), reference=REFERENCE)
    # No part takes less than the overhead of entering it.
    assert means(found) == [max(value, overhead or 0.0) for value in means(profile)]
    assert found.boundary_seconds == profile.boundary_seconds


FACTORS = st.floats(1e-4, 1e4)


@given(FACTORS, FACTORS, st.floats(1.0, 100.0), st.sampled_from([None, 0.0, 5e-6, 1e-3]))
def test_more_compute_or_bandwidth_never_predicts_more_time(
    compute: float, memory: float, more: float, overhead: float | None
) -> None:
    profile = sample()

    def at(flops: float, bandwidth: float) -> list[float]:
        return means(predict(profile, device(flops, bandwidth, overhead), reference=REFERENCE))

    base = at(5e10 * compute, 1e10 * memory)
    for better in (
        at(5e10 * compute * more, 1e10 * memory),
        at(5e10 * compute, 1e10 * memory * more),
    ):
        assert all(b <= a * (1 + 1e-12) for a, b in zip(base, better, strict=True))
    assert all(value >= 0 for value in base)


def test_each_span_scales_with_the_roof_that_binds_it() -> None:
    profile = sample(boundary_seconds=0.0)
    found = predict(profile, device(2.5e10, 1e10), reference=REFERENCE)
    assert found.spans[0][0].mean_seconds == pytest.approx(8e-3)  # compute-bound: twice
    assert found.spans[1][0].mean_seconds == pytest.approx(10e-6)  # memory-bound: the same
    found = predict(profile, device(5e10, 0.5e10), reference=REFERENCE)
    assert found.spans[0][0].mean_seconds == pytest.approx(4e-3)
    assert found.spans[1][0].mean_seconds == pytest.approx(20e-6)


def test_overhead_replaces_the_boundary_once_per_span() -> None:
    profile = sample(boundary_seconds=100e-6)
    found = predict(profile, device(2.5e10, 0.5e10, 1e-3), reference=REFERENCE)
    assert found.spans[0][0].mean_seconds == pytest.approx((4e-3 - 100e-6) * 2 + 1e-3)
    assert found.boundary_seconds == 1e-3


@given(st.floats(0.0, 1e-2), st.floats(0.0, 1e-2))
def test_a_noisy_boundary_never_makes_a_part_cheap(boundary: float, overhead: float) -> None:
    """Else plans that split a network would win by noise."""
    target = device(2.5e10, 0.5e10, overhead)  # half of either roof: every time doubles
    found = predict(sample(boundary_seconds=boundary), target, reference=REFERENCE)
    for there, here in zip(means(found), means(sample()), strict=True):
        assert there >= 2 * here * (1 - 1e-12)


@given(FACTORS, FACTORS, st.sampled_from([None, 0.0, 20e-6, 1e-3]), st.floats(0.0, 2e-3))
def test_layers_apart_never_take_less_than_the_whole_there(
    compute: float, memory: float, overhead: float | None, boundary: float
) -> None:
    """They take no less here, so a split must not win by the prediction."""
    profile = sample(boundary_seconds=boundary)
    profile = replace(profile, whole=timing(4.9e-3))
    profile = replace(profile, spans=((*profile.spans[0][:2], timing(4.9e-3)), *profile.spans[1:]))
    target = device(5e10 * compute, 1e10 * memory, overhead)
    found = predict(profile, target, reference=REFERENCE)
    apart = sum(row[0].mean_seconds for row in found.spans)
    assert apart >= found.whole.mean_seconds * (1 - 1e-9)
    assert apart >= found.spans[0][2].mean_seconds * (1 - 1e-9)


def test_a_prediction_is_labelled_and_compatible() -> None:
    profile = sample()
    found = predict(profile, device(1e9, 1e9), reference=REFERENCE)
    assert (found.basis, found.device, found.energy_basis) == ("predicted", "board", "power-model")
    assert found.joules is None
    assert {value.basis for row in found.spans for value in row} == {"predicted"}
    assert all(value.runs == 0 and value.cv2 == 0.002 for row in found.spans for value in row)
    for same in ("network", "sha256", "graph", "positions", "layers", "tensors", "machine"):
        assert getattr(found, same) == getattr(profile, same)
    for said in ("this-machine", "cpu", "50 Gflop/s", "1 Gflop/s", "datasheet", "LSTM", "assuming"):
        assert said in found.basis_detail
    assert "\n" not in found.basis_detail


def test_every_missing_figure_is_named() -> None:
    bare = CatalogueDevice(name="board", title="A board", tier="edge")
    with pytest.raises(InputError) as error:
        predict(sample(), bare, reference=REFERENCE)
    assert [fault.place for fault in error.value.faults] == [
        "catalogue.board.flops_per_second",
        "catalogue.board.memory_bytes_per_second",
    ]


def test_predictions_and_foreign_calibrations_are_no_basis() -> None:
    profile = sample()
    there = predict(profile, device(1e9, 1e9), reference=REFERENCE)
    with pytest.raises(InputError, match="is itself predicted"):
        predict(there, device(1e9, 1e9), reference=REFERENCE)
    with pytest.raises(InputError, match="calibrate on that machine"):
        predict(profile, device(1e9, 1e9), reference=replace(REFERENCE, threads=4))


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_senseless_figures_are_refused(value: float) -> None:
    with pytest.raises(InputError, match="must be a positive number"):
        predict(sample(), device(value, 1e9), reference=REFERENCE)
