"""attnlib.viz: figures of graphs, of alignments, of time and of layers."""

import math

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
import torch
from errors import check_error
from oracles import generator, normal

from attnlib import viz
from attnlib.functional import masked_softmax
from attnlib.recording import AttentionMap, rollout

H, L, S, N = 3, 5, 7, 11
RING = torch.stack([torch.arange(N), (torch.arange(N) + 1) % N])  # each node to the next


@pytest.fixture(autouse=True)
def _no_open_figures():
    plt.close("all")
    yield
    plt.close("all")


def shares(*shape):
    return masked_softmax(normal(generator(), *shape))


# ---------------------------------------------------------------- graphs


def test_a_layout_is_always_the_same_and_fills_its_square():
    place = viz.graph_layout(RING, N)
    assert place.shape == (N, 2)
    assert place.equal(viz.graph_layout(RING, N))
    assert place.equal(viz.graph_layout(RING.flip(0), N))  # direction does not matter
    assert place.abs().max().item() == pytest.approx(1)


def test_a_layout_puts_neighbours_near_and_nothing_on_top_of_another():
    for edge_index, nodes in ((RING, N), (torch.tensor([[0, 1, 2], [1, 2, 0]]), 7)):
        place = viz.graph_layout(edge_index, nodes).double()
        distance = torch.cdist(place, place)
        linked = torch.zeros(nodes, nodes, dtype=torch.bool)
        linked[edge_index[0], edge_index[1]] = linked[edge_index[1], edge_index[0]] = True
        apart = ~linked & ~torch.eye(nodes, dtype=torch.bool)
        assert distance[linked].mean() < 0.7 * distance[apart].mean()
        assert distance[~torch.eye(nodes, dtype=torch.bool)].min() > 0.05


def test_a_graph_without_edges_or_with_one_node_has_a_layout_too():
    nothing = torch.zeros(2, 0, dtype=torch.int64)
    assert viz.graph_layout(nothing, 1).tolist() == [[0, 0]]
    assert viz.graph_layout(nothing, 3).isfinite().all()


def test_arrows_lead_from_the_source_to_the_target_and_are_as_wide_as_the_weight():
    edge_index = torch.tensor([[0, 2, 1], [1, 1, 1]])
    place = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    ax = viz.plot_graph_attention(
        torch.tensor([0.2, 0.7, 0.1]), edge_index, 3, names="abc", positions=place, title="one"
    )
    thin, wide = ax.patches
    assert thin._posA_posB == [[0, 0], [1, 0]]
    assert wide._posA_posB == [[1, 1], [1, 0]]
    assert thin.get_linewidth() < wide.get_linewidth()
    assert sum(thin.get_edgecolor()[:3]) > sum(wide.get_edgecolor()[:3])  # darker
    assert "-|>" in {name for name, style in mpl.patches.ArrowStyle.get_styles().items()
                     if isinstance(wide.get_arrowstyle(), style)}  # fmt: skip
    [nodes] = ax.collections
    assert nodes.get_array().tolist() == pytest.approx([0, 0.1, 0])  # what each gives to itself
    assert nodes.get_clim() == (0, 1)
    assert nodes.get_offsets().tolist() == place.tolist()
    assert [(t.get_text(), t.get_position()) for t in ax.texts] == [
        ("a", (0, 0)),
        ("b", (1, 0)),
        ("c", (1, 1)),
    ]
    assert ax.get_title() == "one"


def test_nodes_are_numbered_and_placed_when_nothing_is_said():
    ax = viz.plot_graph_attention(torch.ones(N), RING, N)
    assert [t.get_text() for t in ax.texts] == [str(n) for n in range(N)]
    assert torch.tensor(ax.collections[0].get_offsets()).allclose(
        viz.graph_layout(RING, N).double()
    )


# ---------------------------------------------------------------- alignment, layers


def test_an_alignment_is_a_line_a_pair_that_has_weight():
    weights = torch.tensor([[0.96, 0.04, 0.0], [0.0, 0.3, 0.7]])
    ax = viz.plot_alignment(
        weights, source=["das", "alte", "Haus"], target=["the", "house"], title="words"
    )
    drawn = [(line.get_ydata(), line.get_linewidth()) for line in ax.lines]
    assert [list(ys) for ys, _ in drawn] == [[0, 0], [1, 1], [2, 1]]  # from source to target
    assert [width for _, width in drawn] == pytest.approx([4.8, 1.5, 3.5])
    words = {t.get_text(): t.get_position()[1] for t in ax.texts}
    assert words == {"das": 0, "alte": 1, "Haus": 2, "the": 0, "house": 1, "source": -1,
                     "target": -1}  # fmt: skip
    assert ax.get_title() == "words"
    low, high = ax.get_ylim()
    assert low > high  # the first word is on top
    assert [t.get_text() for t in viz.plot_alignment(torch.eye(2)).texts][:2] == ["0", "1"]


def test_layers_of_a_rollout_stand_side_by_side():
    maps = rollout([AttentionMap(shares(H, L, L)) for _ in range(3)])
    weights = [m.weights for m in maps]
    for given in (weights, torch.stack(weights)):
        figure = viz.plot_rollout(given, queries="abcde", keys="vwxyz", columns=2)
        assert [ax.get_title() for ax in figure.axes] == [f"after layer {n}" for n in (1, 2, 3)]
        for ax, one in zip(figure.axes, weights, strict=True):
            assert torch.tensor(ax.images[0].get_array()).equal(one.float())
        assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == list("abcde")
        assert [t.get_text() for t in figure.axes[2].get_xticklabels()] == list("vwxyz")
        spans = [ax.get_subplotspec() for ax in figure.axes]
        assert [(s.rowspan.start, s.colspan.start) for s in spans] == [(0, 0), (0, 1), (1, 0)]


# ---------------------------------------------------------------- time


def test_the_weights_of_one_query_are_bars_under_the_series():
    series, weights = normal(generator(), S), shares(S)
    times = torch.tensor([0.0, 1.0, 1.5, 4.0, 6.0, 7.0, 9.0])
    figure = viz.plot_time_attention(series, weights, times=times, unit="days")
    above, below = figure.axes
    assert above.lines[0].get_xdata().tolist() == times.tolist()
    assert above.lines[0].get_ydata().tolist() == series.float().tolist()
    middles = [bar.get_x() + bar.get_width() / 2 for bar in below.patches]
    assert middles == pytest.approx(times.tolist())
    assert [bar.get_height() for bar in below.patches] == pytest.approx(weights.tolist())
    assert below.get_xlabel() == "days"
    assert above.get_shared_x_axes().joined(above, below)


def test_the_weights_of_several_queries_are_rows_on_one_scale():
    weights = shares(L, S)
    figure = viz.plot_time_attention(
        normal(generator(), S, 2), weights, queries="abcde", labels=["price", "demand"]
    )
    above, below = figure.axes
    assert [line.get_label() for line in above.lines] == ["price", "demand"]
    assert [t.get_text() for t in above.get_legend().get_texts()] == ["price", "demand"]
    [rows] = below.collections
    assert torch.tensor(rows.get_array().data).reshape(L, S).equal(weights.float())
    assert rows.get_clim() == (0, 1)
    assert [t.get_text() for t in below.get_yticklabels()] == list("abcde")
    low, high = below.get_ylim()
    assert low > high  # the first query is on top
    assert below.get_xlabel() == "step"


def test_a_single_step_can_be_drawn():
    assert len(viz.plot_time_attention(torch.ones(1), torch.ones(1)).axes[1].patches) == 1


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax: viz.plot_graph_attention(torch.ones(N), RING, N, ax=ax),
        lambda ax: viz.plot_alignment(torch.eye(2), ax=ax),
    ],
)
def test_figures_may_be_drawn_into_given_axes(draw):
    _, (left, right) = plt.subplots(1, 2)
    assert draw(right) is right
    assert not left.texts
    assert len(plt.get_fignums()) == 1


# ---------------------------------------------------------------- errors


def graph(weights=None, edge_index=RING, nodes=N, **options):
    weights = torch.ones(N) if weights is None else weights
    return lambda: viz.plot_graph_attention(weights, edge_index, nodes, **options)


def time(series=S, weights=S, **options):
    return lambda: viz.plot_time_attention(torch.ones(series), torch.ones(weights), **options)


back = torch.arange(S).flip(0)

ERRORS = [
    (lambda: viz.graph_layout(RING, 0), ValueError, "graph_layout: got num_nodes=0"),
    (lambda: viz.graph_layout(RING, 2.0), TypeError, "graph_layout: num_nodes is a float"),
    (lambda: viz.graph_layout([[0]], 2), TypeError, "graph_layout: edge_index is a list"),
    (lambda: viz.graph_layout(RING.int(), N), TypeError, "edge_index is torch.int32"),
    (lambda: viz.graph_layout(RING.T, N), ValueError, r"edge_index has shape \(11, 2\)"),
    (lambda: viz.graph_layout(RING, N - 1), ValueError, "numbers from 0 to 9"),
    (graph([1.0]), TypeError, "plot_graph_attention: weights is a list"),
    (graph(torch.ones(N, H)), ValueError, r"weights has shape \(11, 3\), expected \(E\)"),
    (graph(torch.ones(N) * math.nan), ValueError, "NaN or infinite"),
    (graph(edge_index=RING + 1), ValueError, "plot_graph_attention: edge_index has shape"),
    (graph(torch.ones(3)), ValueError, "got 3 weights, 11 names"),
    (graph(names="ab"), ValueError, "got 11 weights, 2 names"),
    (graph(positions=torch.ones(2, N)), ValueError, r"positions \(2, 11\), expected"),
    (lambda: viz.plot_alignment(shares(H, L, S)), ValueError, r"\(3, 5, 7\), expected \(L, S\)"),
    (lambda: viz.plot_alignment(shares(L, S), source="ab"), ValueError, "2 names of keys"),
    (lambda: viz.plot_alignment(shares(L, S), target="ab"), ValueError, "2 names of queries"),
    (lambda: viz.plot_rollout(shares(L, S)), ValueError, r"\(5, 7\), expected \(layers, L, S\)"),
    (lambda: viz.plot_rollout([shares(L)]), ValueError, r"\(5,\), expected \(L, S\)"),
    (lambda: viz.plot_rollout([]), ValueError, r"got shapes \[\], expected one map"),
    (lambda: viz.plot_rollout([shares(L, S), shares(S, L)]), ValueError, "all of one shape"),
    (lambda: viz.plot_rollout([shares(2, 2)], columns=0), ValueError, "got columns=0"),
    (lambda: viz.plot_time_attention([1.0], torch.ones(1)), TypeError, "series is a list"),
    (lambda: viz.plot_time_attention(torch.ones(1), [1.0]), TypeError, "weights is a list"),
    (time(weights=L), ValueError, r"got a series \(7,\), weights \(5,\) and times \(5,\)"),
    (time(series=(S, 2, 2)), ValueError, r"got a series \(7, 2, 2\)"),
    (time(weights=(L, S, 2)), ValueError, r"weights has shape \(5, 7, 2\), expected \(L, T\)"),
    (time(times=torch.ones(3)), ValueError, r"times \(3,\), expected one time T"),
    (time(times=back), ValueError, "got times that do not ascend"),
    (time(weights=(L, S), queries="ab"), ValueError, "2 names of queries"),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_say_what_was_got_what_was_expected_and_what_to_write(call, kind, words):
    check_error(call, kind, words)
    assert plt.get_fignums() == []
