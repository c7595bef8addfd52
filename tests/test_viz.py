"""attnlib.viz: what the figures hold, what they leave alone, and how they are displayed."""

import base64
import contextlib
import io
import math
import sys
from unittest import mock

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
import torch
from errors import check_error
from IPython.core.formatters import DisplayFormatter
from oracles import generator, normal

from attnlib import viz
from attnlib.functional import masked_softmax

H, L, S = 3, 5, 7
ALT = "Each query attends to its own key."
HISTORY = [
    {"epoch": 1, "loss": 3.0, "val_loss": 4.0},
    {"epoch": 2, "loss": 1.0, "val_loss": 2.0},
]


@pytest.fixture(autouse=True)
def _no_open_figures():
    plt.close("all")
    yield
    plt.close("all")


def shares(*shape):
    return masked_softmax(normal(generator(), *shape))


def labels(ax, axis):
    return [text.get_text() for text in getattr(ax, f"get_{axis}ticklabels")()]


# ---------------------------------------------------------------- maps


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_a_map_shows_the_weights_on_a_fixed_scale(dtype):
    weights = shares(L, S).to(dtype).requires_grad_()
    [image] = viz.plot_attention(weights).images
    assert torch.tensor(image.get_array()).equal(weights.detach().float())
    assert image.get_clim() == (0.0, 1.0)


def test_a_map_has_a_row_a_query_and_a_column_a_key():
    ax = viz.plot_attention(shares(2, 3), queries=["it", "was"], keys="xyz", title="a map")
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title()) == ("key", "query", "a map")
    assert labels(ax, "x") == ["x", "y", "z"]
    assert labels(ax, "y") == ["it", "was"]
    assert viz.plot_attention(shares(2, 3)).get_title() == ""


def test_positions_without_names_are_numbered():
    ax = viz.plot_attention(shares(2, 3))
    assert (labels(ax, "x"), labels(ax, "y")) == (["0", "1", "2"], ["0", "1"])
    wide = viz.plot_attention(shares(2, 40))
    assert len(wide.get_xticks()) < 40


def test_long_names_of_keys_are_turned():
    short = viz.plot_attention(shares(2, 2), keys=["the", "cat"])
    long = viz.plot_attention(shares(2, 2), keys=["the", "kitten"])
    assert {text.get_rotation() for text in short.get_xticklabels()} == {0.0}
    assert {text.get_rotation() for text in long.get_xticklabels()} == {45.0}
    assert {text.get_rotation() for text in long.get_yticklabels()} == {0.0}


def test_weights_are_written_into_the_cells_while_there_is_room():
    ax = viz.plot_attention(torch.tensor([[0.25, 0.75]]))
    assert [(t.get_text(), t.get_position()) for t in ax.texts] == [
        ("0.25", (0, 0)),
        ("0.75", (1, 0)),
    ]
    assert [t.get_color() for t in ax.texts] == ["black", "white"]  # both can be read
    assert len(viz.plot_attention(shares(8, 8)).texts) == 64
    assert not viz.plot_attention(shares(8, 9)).texts
    assert not viz.plot_attention(shares(9, 8)).texts


def test_a_map_may_be_drawn_into_given_axes():
    _, (left, right) = plt.subplots(1, 2)
    assert viz.plot_attention(shares(L, S), ax=right) is right
    assert not left.images
    assert len(plt.get_fignums()) == 1


@pytest.mark.parametrize("heads", [1, 3, 4, 5, 8])
def test_heads_are_drawn_four_a_row_on_one_scale(heads):
    weights = shares(heads, 2, 3)
    figure = viz.plot_heads(weights, queries="ab", keys="xyz")
    assert [ax.get_title() for ax in figure.axes] == [f"head {h}" for h in range(heads)]
    for h, ax in enumerate(figure.axes):
        assert torch.tensor(ax.images[0].get_array()).equal(weights[h].float())
        assert ax.images[0].get_clim() == (0.0, 1.0)
        assert not ax.texts  # numbers would not fit into cells that small
        spec = ax.get_subplotspec()
        assert (spec.rowspan.start, spec.colspan.start) == (h // 4, h % 4)
        assert ax.get_ylabel() == ("query" if h % 4 == 0 else "")
        assert ax.get_xlabel() == ("key" if h + 4 >= heads else "")  # nothing below it


def test_names_of_heads_are_written_at_the_outer_maps():
    figure = viz.plot_heads(shares(5, 2, 3), queries="ab", keys="xyz")
    figure.canvas.draw()
    visible = [
        (ax.xaxis.get_tick_params()["labelbottom"], ax.yaxis.get_tick_params()["labelleft"])
        for ax in figure.axes
    ]
    assert visible == [(False, True), (True, False), (True, False), (True, False), (True, True)]


def test_heads_take_titles_and_a_number_of_columns():
    figure = viz.plot_heads(shares(3, 2, 3), titles=("one", "two", "three"), columns=2)
    assert [ax.get_title() for ax in figure.axes] == ["one", "two", "three"]
    spans = [ax.get_subplotspec() for ax in figure.axes]
    assert [(s.rowspan.start, s.colspan.start) for s in spans] == [(0, 0), (0, 1), (1, 0)]


# ---------------------------------------------------------------- training


def test_a_history_draws_every_quantity_against_the_epoch():
    ax = viz.plot_history(HISTORY)
    drawn = {line.get_label(): line.get_xydata().tolist() for line in ax.lines}
    assert drawn == {"loss": [[1, 3], [2, 1]], "val_loss": [[1, 4], [2, 2]]}
    assert ax.get_xlabel() == "epoch"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["loss", "val_loss"]


def test_curves_draw_the_mean_over_seeds_and_shade_the_range():
    longer = [{"epoch": e, "loss": 5.0} for e in (1, 2, 3)]
    ax = viz.plot_curves({"LSTM": [HISTORY, longer], "mean": [HISTORY]}, "loss")
    lstm, mean = ax.lines
    assert lstm.get_xydata().tolist() == [[1, 4], [2, 3]]  # as far as the shortest run goes
    assert mean.get_xydata().tolist() == [[1, 3], [2, 1]]
    band = ax.collections[0].get_paths()[0].vertices.tolist()
    assert {(x, y) for x, y in band} == {(1, 3), (1, 5), (2, 1), (2, 5)}
    assert ax.collections[0].get_facecolor()[0][:3] == pytest.approx(
        mpl.colors.to_rgb(lstm.get_color())
    )
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "loss")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["LSTM", "mean"]


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax: viz.plot_history(HISTORY, ax),
        lambda ax: viz.plot_curves({"LSTM": [HISTORY]}, "loss", ax),
    ],
)
def test_curves_may_be_drawn_into_given_axes(draw):
    _, (left, right) = plt.subplots(1, 2)
    assert draw(right) is right
    assert not left.lines
    assert len(plt.get_fignums()) == 1


# ---------------------------------------------------------------- show


def displayed(figure, alt=ALT):
    """The data and metadata that a notebook stores for a figure."""
    with mock.patch("IPython.display.display") as display:
        viz.show(figure, alt)
    [picture] = display.call_args.args
    return DisplayFormatter().format(picture)


def test_a_shown_figure_is_an_image_with_its_description():
    figure = viz.plot_attention(torch.eye(2)).figure
    width, height = figure.get_size_inches()
    data, metadata = displayed(figure)
    assert set(data) == {"image/png", "text/plain"}
    assert data["text/plain"] == ALT
    size = {"width": round(96 * width), "height": round(96 * height)}
    assert metadata == {"image/png": {"alt": ALT, **size}}
    pixels = plt.imread(io.BytesIO(base64.b64decode(data["image/png"])), format="png")
    assert pixels.shape[:2] == pytest.approx((144 * height, 144 * width), abs=1)
    assert pixels[0, 0].tolist() == [1, 1, 1, 1]  # white, on dark pages too


def test_the_same_figure_gives_the_same_bytes():
    first, second = (displayed(viz.plot_attention(torch.eye(2)).figure) for _ in range(2))
    assert first == second


def test_a_shown_figure_is_closed():
    displayed(viz.plot_heads(shares(H, L, S)))
    assert plt.get_fignums() == []


def test_outside_of_a_notebook_the_description_is_printed():
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        viz.show(viz.plot_attention(torch.eye(2)).figure, ALT)
    assert out.getvalue() == f"{ALT}\n"


def test_only_use_style_changes_the_defaults_of_matplotlib():
    before = mpl.rcParams.copy()
    viz.plot_attention(shares(L, S))
    viz.plot_heads(shares(H, L, S))
    viz.plot_history(HISTORY)
    displayed(viz.plot_curves({"LSTM": [HISTORY]}, "loss").figure)
    assert mpl.rcParams == before
    with mpl.rc_context():
        viz.use_style()
        assert mpl.rcParams["axes.prop_cycle"].by_key()["color"] == list(viz.COLORS)
        changed = {key for key, value in mpl.rcParams.items() if value != before[key]}
    assert "figure.dpi" in changed
    assert "backend" not in changed


def test_colours_are_distinct():
    assert len({mpl.colors.to_hex(color) for color in viz.COLORS}) == len(viz.COLORS) == 7


# ---------------------------------------------------------------- errors


def without(module, call):
    """The call in an environment where a module cannot be imported."""

    def attempt():
        with mock.patch.dict(sys.modules, {module: None}):
            call()

    return attempt


def show(alt):
    return lambda: viz.show(plt.figure(), alt)


ERRORS = [
    (lambda: viz.plot_attention([[1.0]]), TypeError, "plot_attention: weights is a list"),
    (lambda: viz.plot_attention(shares(H, L, S)), ValueError, r"\(3, 5, 7\), expected \(L, S\)"),
    (lambda: viz.plot_attention(torch.zeros(L, 0)), ValueError, "none empty"),
    (lambda: viz.plot_attention(torch.full((2, 2), math.nan)), ValueError, "NaN or infinite"),
    (lambda: viz.plot_attention(shares(L, S), queries="abc"), ValueError, "3 names of queries"),
    (lambda: viz.plot_attention(shares(L, S), keys="abc"), ValueError, "3 names of keys"),
    (lambda: viz.plot_heads(None), TypeError, "plot_heads: weights is a NoneType"),
    (lambda: viz.plot_heads(shares(L, S)), ValueError, r"\(5, 7\), expected \(H, L, S\)"),
    (lambda: viz.plot_heads(torch.full((1, 2, 2), math.inf)), ValueError, "plot_heads: weights"),
    (lambda: viz.plot_heads(shares(H, L, S), keys="a"), ValueError, "plot_heads: got 1 names"),
    (lambda: viz.plot_heads(shares(H, L, S), titles="ab"), ValueError, "got 2 titles, expected 3"),
    (lambda: viz.plot_heads(shares(H, L, S), columns=0), ValueError, "plot_heads: got columns=0"),
    (lambda: viz.plot_heads(shares(H, L, S), columns=2.0), TypeError, "plot_heads: columns is a"),
    (lambda: viz.plot_history([]), ValueError, "plot_history: got no epochs"),
    (lambda: viz.plot_curves({}, "loss"), ValueError, "plot_curves: got no epochs"),
    (lambda: viz.plot_curves({"a": [HISTORY], "b": []}, "loss"), ValueError, "got no epochs"),
    (lambda: viz.plot_curves({"a": [HISTORY, []]}, "loss"), ValueError, "got no epochs"),
    (lambda: viz.plot_curves({"a": [HISTORY]}, "f1"), ValueError, "expected 'f1' among them"),
    (show(""), ValueError, "show: alt is '', expected a sentence"),
    (show("a heat map"), ValueError, "say in words what the figure shows"),
    (show(None), ValueError, "alt is None"),
    (without("matplotlib", viz.use_style), ImportError, "write pip install matplotlib"),
    (
        without("matplotlib.pyplot", lambda: viz.plot_history(HISTORY)),
        ImportError,
        "matplotlib is not installed",
    ),
    (without("IPython.display", show(ALT)), ImportError, "IPython is not installed"),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_say_what_was_got_what_was_expected_and_what_to_write(call, kind, words):
    check_error(call, kind, words)


DRAWN = [call for call, *_ in ERRORS if any("plot_" in name for name in call.__code__.co_names)]


@pytest.mark.parametrize("call", DRAWN)
def test_an_error_leaves_no_figure_open(call):
    with contextlib.suppress(TypeError, ValueError):
        call()
    assert plt.get_fignums() == []
