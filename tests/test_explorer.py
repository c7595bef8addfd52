"""attnlib.viz.explorer: what the HTML holds, without a browser."""

import base64
import html
import itertools
import json
import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from errors import check_error
from IPython.core.formatters import DisplayFormatter
from oracles import generator, normal

from attnlib.functional import edge_softmax, masked_softmax
from attnlib.recording import AttentionMap
from attnlib.viz import Explorer, explorer

B, H, L, S, N = 2, 3, 5, 7, 11
EDGES = torch.stack([torch.arange(N).repeat(2), torch.arange(2 * N) * 3 % N])


def shares(*shape, seed=0):
    return masked_softmax(normal(generator(seed), *shape))


def graph(**options):
    weights = edge_softmax(normal(generator(), 2 * N, H), EDGES[1], N)
    return AttentionMap(weights, kind="graph", edge_index=EDGES, num_nodes=N, **options)


class Elements(HTMLParser):
    """Every element with its attributes, and all text, once the script has unfolded the picture."""

    def __init__(self, text):
        super().__init__()
        self.found, self.words, self.open = [], [], []
        self.feed(re.sub('data-picture="(.*?)">', lambda m: f">{html.unescape(m[1])}", text))

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.words.append(data)

    def all(self, name):
        return [a for tag, a in self.found if tag == name or name in a.get("class", "").split()]


def data_of(view):
    return json.loads(Elements(view.html).all("attn-explorer")[0]["data-explorer"])


def decoded(layer, *shape):
    raw = np.frombuffer(base64.b64decode(layer["weights"]), dtype=np.uint8)
    return torch.tensor(raw.astype(np.float64)).view(layer["heads"], *shape) * layer["scale"] / 255


# ---------------------------------------------------------------- numbers


@pytest.mark.parametrize("lead", [(), (H,), (1, H)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_weights_travel_as_bytes_close_to_what_they_are(lead, dtype):
    weights = shares(*lead, L, S).to(dtype)
    [layer] = data_of(explorer(AttentionMap(weights, kind="cross")))["layers"]
    restored = decoded(layer, L, S)
    assert restored.shape == (lead[-1] if lead else 1, L, S)
    expected = weights.double().reshape(-1, L, S)
    torch.testing.assert_close(restored, expected, atol=layer["scale"] / 509, rtol=0)
    assert layer["scale"] == pytest.approx(expected.max().item())


def test_weights_on_edges_travel_head_after_head():
    m = graph()
    data = data_of(explorer(m))
    assert data["edges"] == EDGES.tolist()
    restored = decoded(data["layers"][0], 2 * N)
    torch.testing.assert_close(restored, m.weights.T, atol=1 / 509, rtol=0)


def test_a_map_of_nothing_is_zeros():
    view = explorer(AttentionMap(torch.zeros(2, 3), kind="cross"))
    assert decoded(data_of(view)["layers"][0], 2, 3).abs().max() == 0
    assert "<td>nothing</td>" in view.html


def test_a_sentence_in_six_layers_of_twelve_heads_stays_below_60_kilobytes():
    words = [f"word{i:02}" for i in range(16)]
    maps = {
        f"encoder.layers.{n}.attention": AttentionMap(shares(12, 16, 16, seed=n), words, words)
        for n in range(6)
    }
    assert len(explorer(maps, title="A sentence").html.encode()) < 60_000


# ---------------------------------------------------------------- views


def test_words_are_two_columns():
    view = explorer(AttentionMap(shares(2, 3), ["it", "is"], ["das", "ist", "es"], "cross"))
    elements = Elements(view.html)
    assert data_of(view)["view"] == "words"
    assert [a["aria-label"] for a in elements.all("query")] == ["it", "is"]
    assert [a["data-name"] for a in elements.all("key")] == ["das", "ist", "es"]


@pytest.mark.parametrize("dense", [False, True])
def test_a_graph_is_a_picture_of_its_nodes(dense):
    m = graph(queries="abcdefghijk", keys="abcdefghijk")
    m = AttentionMap(m.dense(), m.queries, m.keys, "graph") if dense else m
    place = normal(generator(), N, 2)
    for view in (explorer(m), explorer(m, positions=place)):
        assert data_of(view)["view"] == "graph"
        nodes = Elements(view.html).all("query")
        assert [a["aria-label"] for a in nodes] == list("abcdefghijk")
        assert all("key" in a["class"].split() for a in nodes)
    at = torch.tensor([[float(x) for x in a["data-at"].split()] for a in nodes])
    order = place[:, 0].argsort()
    assert (at[order, 0].diff() >= 0).all()
    assert (at[place[:, 1].argsort(), 1].diff() <= 0).all()  # up is up


def test_a_bipartite_graph_is_two_columns():
    edge_index = torch.tensor([[4, 0], [0, 1]])
    m = AttentionMap(torch.ones(2), "ab", "vwxyz", "graph", edge_index, (2, 5))
    assert data_of(explorer(m))["view"] == "words"
    assert data_of(explorer(m))["edges"] == edge_index.tolist()


def test_steps_in_time_are_queries_where_there_are_as_many():
    times = torch.tensor([0.0, 1.0, 4.0, 5.0, 6.0])
    m = AttentionMap(shares(L, L), kind="temporal")
    view = explorer(m, series=normal(generator(), L), times=times)
    elements = Elements(view.html)
    assert data_of(view)["view"] == "time"
    at = [float(a["data-at"].split()[0]) for a in elements.all("key")]
    assert at == pytest.approx([14 + 332 * t / 6 for t in times.tolist()], abs=0.06)
    queries = [float(a["data-at"].split()[0]) for a in elements.all("query")]
    assert queries == pytest.approx(at, abs=0.06)


def test_a_forecast_has_a_row_of_queries_of_its_own():
    names = ["+1 h", "+2 h"]
    view = explorer(AttentionMap(shares(H, 2, S), names, kind="temporal"))
    elements = Elements(view.html)
    assert [a["aria-label"] for a in elements.all("query")] == names
    assert len(elements.all("key")) == S
    at = [float(a["data-at"].split()[0]) for a in elements.all("key")]
    assert torch.tensor(at).diff().std() < 0.1  # evenly, where nothing is said


@pytest.mark.parametrize("names", [["-24 h", "-6 h"] * 12, ["a rather long name"] * 24, ["1"] * 24])
def test_names_under_a_series_neither_touch_nor_leave_the_picture(names):
    shown = AttentionMap(shares(1, len(names)), keys=names, queries=["next hour"], kind="temporal")
    labels = [a for a in Elements(explorer(shown).html).all("text") if a["y"] == "180"]
    # The width of a letter is 0.6 of its height, 10, at most; twelve are written.
    half = 3 * min(max(map(len, names)), 12)
    middles = [float(a["x"]) for a in labels]
    assert middles
    assert all(half - 0.1 <= x <= 360 - half + 0.1 for x in middles)
    assert all(b - a >= 2 * half for a, b in itertools.pairwise(middles))


@pytest.mark.parametrize("size", [1, 2])
def test_one_or_two_positions_can_be_explored(size):
    ones = torch.ones(size, size) / size
    for kind in ("self", "graph", "temporal"):
        view = explorer(AttentionMap(ones, kind=kind), series=None)
        assert len(Elements(view.html).all("query")) == size
        assert "nan" not in view.html.lower().replace("keyname", "")


# ---------------------------------------------------------------- choices, table, words


def test_layers_and_heads_can_be_chosen_where_there_are_several():
    maps = {"a": AttentionMap(shares(H, L, L)), "b": AttentionMap(shares(H, L, L))}
    text = html.unescape(explorer(maps).html)
    assert '<option value="0">a</option><option value="1">b</option>' in text
    assert "<label>Layer" in text
    assert "<label>R&amp;D" in html.unescape(explorer(maps, choice="R&D").html)
    assert "<label hidden>Layer" in html.unescape(explorer(maps["a"]).html)


def test_the_table_says_what_each_query_attends_to_most_in_every_layer():
    first = torch.tensor([[0.25, 0.75, 0.0], [0.0, 0.0, 0.0]])
    second = torch.tensor([[1.0, 0.0, 0.0], [0.125, 0.375, 0.5]])
    maps = {
        name: AttentionMap(weights, ["it", "is"], ["x", "y", "z"], "cross")
        for name, weights in (("one", first), ("two", second))
    }
    table = re.search("<table>.*</table>", explorer(maps).html)[0]
    rows = [re.sub("<[^>]*>", "|", row) for row in table.split("</tr>")]
    cells = [[cell for cell in row.split("|") if cell] for row in rows[:-1]]
    assert cells == [
        ["query", "one", "two"],
        ["it", "y 75 %, x 25 %", "x 100 %"],
        ["is", "nothing", "z 50 %, y 38 %"],
    ]


def test_without_scripts_the_table_is_open_and_there_is_no_picture():
    text = explorer(AttentionMap(shares(L, L))).html
    assert "open" in Elements(text).all("details")[0]
    visible = re.sub(r"<(script|style)\b.*?</\1>", "", text, flags=re.DOTALL)
    visible = re.sub("<[^>]*>", lambda tag: tag[0].split()[0], visible)
    assert "<table" in visible
    assert not re.search("<svg|<select|Point at", visible)


def test_a_notebook_gets_the_view_and_its_words():
    m = AttentionMap(torch.eye(2), ["it", "is"], ["it", "is"])
    view = explorer(m, title="Two words")
    data, _ = DisplayFormatter().format(view)
    assert data["text/html"] == view.html
    assert data["text/plain"] == f"Two words. {m.describe()}"
    assert repr(explorer(m)) == m.describe()
    assert isinstance(view, Explorer)
    assert explorer(m).html == explorer(m).html  # the same bytes at every build


def test_a_view_is_saved_as_a_page_that_needs_nothing_else(tmp_path):
    view = explorer(AttentionMap(shares(L, L)))
    view.save(tmp_path / "view.html")
    text = (tmp_path / "view.html").read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert view.html in text
    outside = re.sub(r"http://www\.w3\.org/2000/svg", "", text)
    assert not re.search(r"https?:|//\w+\.|@import|\bsrc=|\bhref=|url\(", outside)


# ---------------------------------------------------------------- safety

EVIL = ["</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\" onclick='x' &"]


@pytest.mark.parametrize("kind", ["self", "graph", "temporal"])
def test_no_name_becomes_markup(kind):
    m = AttentionMap(shares(3, 3), EVIL, EVIL, kind)
    view = explorer({EVIL[0]: m, EVIL[2]: m}, title=EVIL[1])
    elements = Elements(view.html)
    assert not elements.open  # every element that begins ends
    assert len(elements.all("script")) == 1
    assert not elements.all("img")
    assert not [a for _, a in elements.found if any(name.startswith("on") for name in a)]
    assert [a["aria-label"] for a in elements.all("query")] == EVIL
    assert EVIL[1] in elements.words
    assert html.escape(EVIL[0]) in view.html


def test_nothing_in_the_view_has_a_name_that_another_view_could_share():
    elements = Elements(explorer(graph()).html)
    assert not [a for _, a in elements.found if "id" in a or "name" in a or "for" in a]


# ---------------------------------------------------------------- errors


def view(maps, **options):
    return lambda: explorer(maps, **options)


words, other = AttentionMap(shares(L, L)), AttentionMap(shares(S, S))
named = AttentionMap(shares(L, L), "abcde", "abcde")
over_time = AttentionMap(shares(L, S), kind="temporal")
turned = AttentionMap(graph().weights, None, None, "graph", EDGES.flip(0), N)

ERRORS = [
    (view(torch.eye(2)), TypeError, "explorer: got Tensor, expected an AttentionMap"),
    (view({"a": words, "b": 3}), TypeError, "explorer: got int"),
    (view({}), TypeError, "explorer: got no maps"),
    (view({"a": words, "b": other}), ValueError, r"\[\(5, 5\), \(7, 7\)\] that differ"),
    (view({"a": words, "b": named}), ValueError, "make an explorer of each sort"),
    (view({"a": graph(), "b": turned}), ValueError, "that differ in shape, kind, names or edges"),
    (
        view({"a": graph(), "b": AttentionMap(graph().dense(), kind="graph")}),
        ValueError,
        "that differ in shape, kind, names or edges",
    ),
    (view(AttentionMap(torch.eye(201))), ValueError, r"got \(201, 201\) queries and keys"),
    (view(AttentionMap(shares(B, H, L, L))), ValueError, "got maps of a batch"),
    (view(graph(), positions=torch.ones(N)), ValueError, r"positions has shape \(11,\), expected"),
    (view(graph(), positions=[0]), TypeError, "explorer: positions is a list"),
    (view(over_time, series=torch.ones(L)), ValueError, r"series has shape \(5,\), expected \(7"),
    (view(over_time, series=torch.ones(S) * math.nan), ValueError, "all finite"),
    (view(over_time, times=torch.ones(S)), ValueError, "got times that do not ascend"),
    (view(over_time, times=torch.ones(2)), ValueError, r"times has shape \(2,\)"),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_say_what_was_got_what_was_expected_and_what_to_write(call, kind, words):
    check_error(call, kind, words)
