"""Real networks: counts, and parts that compute what the whole computes."""

from __future__ import annotations

import onnx
import pytest

from edgeplan.networks import digest, extract, group, part_io, reweight, sessions

SINGLE_CUTS = {
    "squeezenet": 32,
    "inception_v1": 24,
    "resnet50": 38,
    "densenet121": 84,
    "ppocr_det": 48,
    "ppocr_rec": 210,
    "minilm": 3,
    "silero_vad": 0,
}
REAL = tuple(SINGLE_CUTS)[:-1]

# Elements of the files' own constants; the weightless copies and the re-weighted ones agree.
PARAMETERS = {"squeezenet": 1_235_496, "densenet121": 8_146_152, "resnet50": 25_610_152}

# In agreement with torchvision's table of its weights: squeezenet1_1 0.35, resnet50 4.09,
# densenet121 2.83, in billions.
MACS = {"squeezenet": 349_151_936, "resnet50": 4_089_184_256, "densenet121": 2_834_161_664}


@pytest.mark.parametrize("name", SINGLE_CUTS)
def test_single_tensor_cuts(prepared, name):
    assert len(prepared(name).graph.single_cuts) == SINGLE_CUTS[name]


@pytest.mark.long
def test_single_tensor_cuts_of_vgg19(prepared):
    assert len(prepared("light_vgg19").graph.single_cuts) == 43


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_counted_on_the_files_own_constants(prepared, name):
    assert prepared(name).graph.parameters == PARAMETERS[name]
    assert prepared(name).graph.weight_bytes == 4 * PARAMETERS[name]


def test_weightless_constants_count_although_folding_merges_equal_ones(prepared):
    graph = prepared("light_squeezenet").graph
    assert graph.parameters == 1_235_496
    shared = sum(constant.bytes * (len(constant.nodes) - 1) for constant in graph.shared)
    kept = sum(node.weight_bytes for node in graph.nodes) - shared
    assert kept == 4 * 926_568
    assert group(graph, [])[0][0].weight_bytes == kept


@pytest.mark.parametrize("name", MACS)
def test_multiply_accumulates(prepared, name):
    graph = prepared(name).graph
    assert graph.macs == MACS[name]
    assert graph.uncounted == ()


def test_multiply_accumulates_of_a_transformer(prepared):
    """Six layers of width 384 and inner width 1536 at 128 tokens, attention included."""
    tokens, width, inner = 128, 384, 1536
    projections = 4 * tokens * width * width + 2 * tokens * width * inner
    attention = 2 * tokens * tokens * width
    assert prepared("minilm").graph.macs == 6 * (projections + attention)


def test_what_branches_compute_is_named_as_not_counted(prepared):
    assert prepared("silero_vad").graph.uncounted == ("If",)


# Shares of the way through the network: a few here, `test_every_single_tensor_cut` takes all.
SAMPLED = {"squeezenet": (0, 0.6, 1), "ppocr_rec": (0.2, 0.9), "resnet50": (0.5,), "minilm": (1,)}


@pytest.mark.parametrize("name", REAL)
def test_sampled_cuts_compute_the_same(prepared, compare, name):
    network = prepared(name)
    cuts = network.graph.single_cuts
    for share in SAMPLED.get(name, (0.3,)):
        cut = cuts[round(share * (len(cuts) - 1))]
        equal, worst = compare(network, [cut.position])
        assert equal, f"cut {cut.position} is not equal bit by bit"
        assert worst <= 1e-6, f"cut {cut.position} is off by {worst:.2e} of the scale"


def test_cuts_before_a_pooling_that_is_plain_in_the_whole(prepared, compare):
    """Its sums cancel: pooled in the blocked layout, the output would be off by 1e-5."""
    network = prepared("ppocr_rec")
    nodes = network.graph.nodes
    before = [
        cut.position
        for cut in network.graph.single_cuts
        if nodes[cut.position].op_type == "GlobalAveragePool"
    ]
    assert len(before) == 2
    for position in before:
        equal, worst = compare(network, [position])
        assert equal
        assert worst <= 1e-6


@pytest.mark.parametrize("name", ["squeezenet", "inception_v1", "ppocr_rec", "minilm"])
def test_many_parts_with_cuts_of_several_tensors(prepared, compare, name):
    network = prepared(name)
    positions = [cut.position for cut in network.graph.cuts[5 :: len(network.graph.cuts) // 4]]
    widest = max(network.graph.cuts, key=lambda cut: len(cut.tensors))
    assert len(widest.tensors) > 1
    positions = sorted({*positions, widest.position})
    assert compare(network, positions)[0]


def test_a_mask_is_forwarded_and_what_derives_from_it_made_anew(prepared, compare):
    network = prepared("minilm")
    graph = network.graph
    replicated = {name for node in graph.nodes if node.replicated for name in node.outputs}
    assert replicated
    forwarded = [
        cut for cut in graph.cuts if len(cut.tensors) == 1 and cut.inputs == ("attention_mask",)
    ]
    assert len(forwarded) == 23
    positions = [cut.position for cut in forwarded[::11]]
    layers, tensors = group(graph, positions)
    mask = next(tensor for tensor in tensors if tensor.name == "attention_mask")
    assert mask.consumers == tuple(range(1, len(layers)))  # attention starts after the first
    assert replicated.isdisjoint(tensor.name for tensor in tensors)
    equal, worst = compare(network, positions)
    assert equal
    assert worst <= 1e-6


def test_token_numbers_are_not_forwarded_past_the_embedding(prepared):
    """The embedding's table is large: its rows are shipped, the table is not copied."""
    graph = prepared("minilm").graph
    gathers = [node for node in graph.nodes if node.op_type == "Gather" and node.parameters > 1e6]
    assert gathers
    assert not any(node.replicated for node in gathers)


def test_branches_that_capture_outer_values_can_be_extracted(prepared, tmp_path):
    """The If of silero-vad reads the sound and the state from outside of its branches."""
    network = prepared("silero_vad")
    graph = network.graph
    branch = next(node for node in graph.nodes if node.op_type == "If")
    assert {"input", "state"} <= set(branch.inputs)
    part = extract(network.folded, graph.inputs, graph.outputs, tmp_path / "part.onnx")
    inputs = sessions.random_inputs(graph, 3)
    assert inputs["sr"] == 16_000
    whole = sessions.open_session(network.folded, level="strict").run(None, inputs)
    again = sessions.open_session(part, level="strict").run(None, inputs)
    assert [array.tobytes() for array in whole] == [array.tobytes() for array in again]
    condition = next(name for name in branch.inputs if name not in graph.inputs)
    second = extract(
        network.folded, ["input", "state", condition], branch.outputs, tmp_path / "second.onnx"
    )
    held = {name: inputs[name] for name in ("input", "state")}
    import numpy as np

    results = sessions.open_session(second, level="strict").run(
        None, {**held, condition: np.array(True)}
    )
    assert [array.tobytes() for array in results] == [array.tobytes() for array in whole]


def test_values_have_the_sizes_of_a_real_run(prepared):
    values = {value.name: value for value in prepared("silero_vad").graph.values}
    assert values["output"].shape == (1, 1)
    assert values["stateN"].shape == (2, 1, 128)
    assert values["stateN"].bytes == 1024
    for name in REAL:
        assert all(value.bytes is not None for value in prepared(name).graph.values)


def test_a_part_keeps_versions_and_is_small(prepared, tmp_path):
    network = prepared("ppocr_rec")
    cut = network.graph.single_cuts[100]
    _, tensors = group(network.graph, [cut.position])
    head = extract(network.folded, *part_io(tensors, 0, 1), tmp_path / "head.onnx")
    tail = extract(network.folded, *part_io(tensors, 1, 2), tmp_path / "tail.onnx")
    whole, first = onnx.load(network.folded), onnx.load(head)
    assert first.ir_version == whole.ir_version
    assert list(first.opset_import) == list(whole.opset_import)
    size = network.folded.stat().st_size
    assert head.stat().st_size + tail.stat().st_size < 1.05 * size
    assert sorted(path.name for path in tmp_path.iterdir()) == ["head.onnx", "tail.onnx"]


def test_preparing_twice_gives_the_same_bytes(prepared, zoo, tmp_path):
    from edgeplan.networks import prepare

    network = prepared("squeezenet")
    again = prepare(zoo / "squeezenet.onnx", folder=tmp_path, seconds=60)
    assert again.folded.name == network.folded.name
    assert again.folded.read_bytes() == network.folded.read_bytes()
    assert again.graph == network.graph
    assert again.source.sha256 == digest(zoo / "squeezenet.onnx")
    assert [path.name for path in tmp_path.iterdir()] == [again.folded.name]


def test_reweighting_follows_its_seed(zoo, tmp_path):
    source = zoo / "light_squeezenet.onnx"
    first = reweight(source, tmp_path / "a.onnx", 1).read_bytes()
    assert reweight(source, tmp_path / "b.onnx", 1).read_bytes() == first
    assert reweight(source, tmp_path / "c.onnx", 2).read_bytes() != first


@pytest.mark.parametrize(
    "name", ["squeezenet", "inception_v1", "inception_v2", "densenet121", "resnet50", "shufflenet"]
)
def test_reweighted_networks_tell_inputs_apart(prepared, name):
    """Neither constant, nor saturated, nor deaf to the input: a wrong tensor would show."""
    import numpy as np

    network = prepared(name)
    session = sessions.open_session(network.folded, level="strict")
    first, second = (
        session.run(None, sessions.random_inputs(network.graph, seed))[0] for seed in (1, 2)
    )
    assert np.isfinite(first).all()
    scale = np.abs(first).max()
    assert first.std() > 0.02 * scale
    assert np.sort(first.ravel())[-1] < 0.5 or scale > 1  # no probability takes all
    assert np.abs(first - second).max() > 1e-3 * scale


@pytest.mark.long
@pytest.mark.parametrize("name", REAL)
def test_every_single_tensor_cut(prepared, compare, name, capsys):
    network = prepared(name)
    cuts = network.graph.single_cuts
    equal, worst, failed = 0, {}, []
    for cut in cuts:
        try:
            same, error_share = compare(network, [cut.position])
            equal += same
            worst[cut.position] = error_share
        except Exception as error:  # noqa: BLE001  (counted and shown below)
            failed.append(f"{cut.position}: {type(error).__name__}: {error}")
    within = sum(value <= 1e-6 for value in worst.values())
    with capsys.disabled():
        print(  # noqa: T201
            f"\n{name:14} cuts {len(cuts):4}  strict equal {equal:4}  deployed within 1e-6 "
            f"{within:4}  worst {max(worst.values(), default=0):.1e}  failures {len(failed)}"
        )
    assert not failed
    assert equal == len(cuts)
    assert max(worst.values()) <= 1e-6
