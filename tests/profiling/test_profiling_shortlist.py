"""The rule that picks cuts, on graphs made for it."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeplan.model.errors import InputError
from edgeplan.model.graph import Cut, Graph, Node, Value
from edgeplan.profiling.shortlist import (
    LEAST_SHARE,
    checked,
    estimated_shares,
    shortlist,
)


def chain(sizes: list[int], tensors: dict[int, int] | None = None) -> Graph:
    """Return a chain; ``sizes[i]`` bytes lie between nodes i and i + 1."""
    count = len(sizes) + 1
    many = tensors or {}
    return Graph(
        inputs=("x",),
        outputs=(f"t{count}",),
        values=tuple(
            Value(name=name, dtype="float32", shape=(1,), bytes=bytes_)
            for name, bytes_ in zip(
                ("x", *(f"t{index}" for index in range(1, count + 1))), (4, *sizes, 4), strict=True
            )
        ),
        nodes=tuple(
            Node(
                name=f"n{index}",
                op_type="Relu",
                inputs=(f"t{index}" if index else "x",),
                outputs=(f"t{index + 1}",),
            )
            for index in range(count)
        ),
        cuts=tuple(
            Cut(
                position=index + 1,
                tensors=(f"t{index + 1}",) * many.get(index + 1, 1),
                inputs=(),
                bytes=bytes_,
            )
            for index, bytes_ in enumerate(sizes)
        ),
        parameters=0,
        weight_bytes=0,
        file_bytes=0,
    )


def test_equal_bytes_divide_the_time_evenly() -> None:
    assert shortlist(chain([8] * 11), [1.0] * 12, 3) == (3, 6, 9)


def test_fewest_bytes_win_in_each_window() -> None:
    sizes = [8] * 11
    sizes[3] = 4  # position 4, within the window around 3
    assert shortlist(chain(sizes), [1.0] * 12, 3) == (4, 6, 9)


def test_wide_live_sets_and_unknown_sizes_are_left_out() -> None:
    graph = chain([8] * 3, tensors={2: 5})
    assert shortlist(graph, [1.0] * 4, 3) == (1, 3)
    unknown = chain([8] * 3)
    values = tuple(
        Value(name=v.name, dtype=v.dtype, shape=None, bytes=None) if v.name == "t2" else v
        for v in unknown.values
    )
    graph = Graph(**{**vars(unknown), "values": values})
    assert shortlist(graph, [1.0] * 4, 3) == (1, 3)


def test_a_cut_that_leaves_nothing_to_one_side_is_not_taken() -> None:
    shares = [1.0, 1.0, 0.0, 0.0, 1.0]
    assert shortlist(chain([8, 8, 8, 8]), shares, 4) == (1, 2)


def test_places_of_empty_windows_go_to_the_longest_stretch() -> None:
    shares = [70.0, 10.0, 10.0, 10.0]  # every cut lies in the last 30 %
    assert shortlist(chain([8, 8, 8]), shares, 3) == (1, 2, 3)


def test_no_cuts_asked_or_none_there() -> None:
    assert shortlist(chain([8] * 5), [1.0] * 6, 0) == ()
    assert shortlist(chain([]), [1.0], 8) == ()


@given(
    st.lists(st.tuples(st.integers(1, 1000), st.floats(0.0, 10.0)), min_size=1, max_size=40),
    st.integers(0, 12),
)
def test_what_is_chosen_is_valid_small_enough_and_apart(
    nodes: list[tuple[int, float]], most: int
) -> None:
    graph = chain([size for size, _ in nodes])
    shares = [*(share for _, share in nodes), 1.0]
    found = shortlist(graph, shares, most)
    assert len(found) <= most
    assert list(found) == sorted(set(found))
    assert set(found) <= {cut.position for cut in graph.cuts}
    edges = [0, *found, len(shares)]
    for first, stop in itertools.pairwise(edges):
        if found:
            assert sum(shares[first:stop]) / sum(shares) >= LEAST_SHARE * (1 - 1e-9)


def test_estimated_shares_sum_to_one_and_grow_with_work() -> None:
    graph = chain([400, 4, 4])
    shares = estimated_shares(graph)
    assert sum(shares) == pytest.approx(1.0)
    assert shares[1] > shares[2]


def test_invalid_positions_are_all_named_with_neighbours() -> None:
    graph = chain([8] * 3)
    assert checked(graph, [3, 1, 3]) == (1, 3)
    with pytest.raises(InputError) as error:
        checked(graph, [0, 2, 9])
    assert [fault.place for fault in error.value.faults] == ["cuts[0]", "cuts[2]"]
    assert "1, 2, 3" in error.value.faults[0].message
    with pytest.raises(InputError, match="has no valid cut"):
        checked(chain([]), [1])
