"""attnlib.viz.explorer in a real Chromium: pointing, keys, choices, colours, and no scripts."""

import pytest
import torch
from oracles import generator, normal

from attnlib.functional import edge_softmax, masked_softmax
from attnlib.recording import AttentionMap
from attnlib.viz import explorer
from tests.site.browser import Watch

pytestmark = pytest.mark.browser

WORDS = ["it", "was", "<i>not</i>", "here"]
LIGHT, DARK = "rgb(255, 255, 255)", "rgb(18, 25, 28)"


def rounded(weights):
    """As the view rounds them, so that what it says can be compared."""
    step = weights.max() / 255
    return (weights / step).round() * step


def shares(*shape, seed=0):
    return rounded(masked_softmax(2 * normal(generator(seed), *shape)))


MAPS = {
    "first": AttentionMap(shares(3, 4, 4), WORDS, WORDS),
    "second": AttentionMap(shares(3, 4, 4, seed=1), WORDS, WORDS),
}
EDGES = torch.tensor([[0, 1, 2, 2, 0], [1, 2, 2, 0, 2]])
WEIGHTS = rounded(edge_softmax(normal(generator(), 5, 2), EDGES[1], 3))
NODES = AttentionMap(WEIGHTS, "abc", "abc", "graph", EDGES)
STEPS = AttentionMap(shares(2, 7), ["+1", "+2"], kind="temporal")
ALL = [explorer(MAPS, title="Words"), explorer(NODES), explorer(STEPS), explorer(MAPS)]


@pytest.fixture
def open_page(browser, tmp_path):
    """Opens several views on one page, from a file, and at the end sees that nothing went wrong."""
    contexts, watches = [], []

    def load(*views, width=800, theme="", **options):
        if len(views) == 1:
            views[0].save(tmp_path / "page.html")
        else:
            body = "".join(view.html for view in views)
            page = f"<!doctype html><html {theme}><meta charset=utf-8><title>x</title>{body}"
            (tmp_path / "page.html").write_text(page, encoding="utf-8")
        size = {"width": width, "height": 800}
        contexts.append(browser.new_context(viewport=size, **options))
        page = contexts[-1].new_page()
        watches.append(Watch(page, "file:"))
        page.goto((tmp_path / "page.html").as_uri())
        return page

    yield load
    for watch in watches:
        watch.check()
    for context in contexts:
        context.close()


def said(page, n=0):
    return page.locator(".said").nth(n).inner_text().replace("\u00a0", " ")


def sentence(m, query):
    """What the view must say about a query of a map of one head or several."""
    keys = [f"{key} ({100 * weight:.0f} %)" for key, weight in m.top(query, 3) if weight > 0]
    return f"{m.names()[0][query]} attends to {', '.join(keys)}."


def numbers(page, selector, attribute):
    script = f"all => all.map(one => Number(one.getAttribute('{attribute}')))"
    return page.locator(selector).evaluate_all(script)


def checked(page, n=0):
    group = page.locator("[role=radiogroup]").nth(n)
    return group.locator("[aria-checked=true]").get_attribute("aria-label")


def test_a_word_that_is_pointed_at_says_where_it_attends(open_page):
    page = open_page(ALL[0])
    assert said(page) == sentence(MAPS["first"], 0)
    page.locator(".query").nth(2).hover()
    assert said(page) == sentence(MAPS["first"], 2)
    assert checked(page) == "<i>not</i>"
    widths = page.locator(".key .bar").evaluate_all(
        "bars => bars.map(b => +b.getAttribute('width'))"
    )
    expected = (120 * MAPS["first"].dense()[2]).tolist()
    assert widths == pytest.approx(expected, abs=0.5)
    assert page.locator("svg i").count() == 0  # a name is text


def test_layers_and_heads_can_be_chosen(open_page):
    page = open_page(ALL[0])
    page.get_by_label("Layer").select_option("second")
    assert said(page) == sentence(MAPS["second"], 0)
    page.get_by_label("Head").select_option("1")
    assert said(page) == sentence(MAPS["second"].head(1), 0)
    page.get_by_label("Layer").select_option("first")
    assert said(page) == sentence(MAPS["first"].head(1), 0)
    page.get_by_label("Head").select_option("mean of 3")
    assert said(page) == sentence(MAPS["first"], 0)


def test_a_choice_of_one_is_no_choice(open_page):
    page = open_page(explorer(STEPS))
    assert not page.get_by_label("Layer").is_visible()
    assert not page.get_by_label("Head").is_visible()


def test_the_keyboard_reaches_and_moves_everything(open_page):
    page = open_page(ALL[0])
    reached = []
    for _ in range(5):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.className.baseVal"
                                     " || document.activeElement.className"
                                     " || document.activeElement.localName"))  # fmt: skip
    assert reached[:4] == ["layer", "head-choice", "query", "summary"]
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    for key, expected in (("ArrowDown", 1), ("ArrowRight", 2), ("ArrowUp", 1), ("End", 3),
                          ("ArrowDown", 0), ("ArrowLeft", 3), ("Home", 0)):  # fmt: skip
        page.keyboard.press(key)
        assert checked(page) == WORDS[expected]
        assert page.evaluate("document.activeElement.getAttribute('aria-label')") == WORDS[expected]
        assert said(page) == sentence(MAPS["first"], expected)
    outline = page.locator(".query .box").first.evaluate("box => getComputedStyle(box).strokeWidth")
    assert outline == "4px"  # the focus can be seen
    assert page.locator("[role=radio][tabindex='0']").count() == 1


def test_a_node_shows_arrows_from_those_it_attends_to(open_page):
    page = open_page(explorer(NODES))
    page.locator(".query").nth(2).hover()
    assert said(page) == sentence(NODES, 2)
    assert page.locator(".links .head").count() == 2  # from 1 and 0; the loop is its own shade
    shade = page.locator(".shade").nth(2).evaluate("disc => +disc.style.opacity")
    assert shade == pytest.approx(0.15 + 0.85 * NODES.edge(2, 2), abs=0.01)
    page.get_by_label("Head").select_option("1")
    assert said(page) == sentence(NODES.head(1), 2)


def test_an_arrow_ends_at_the_node_that_attends(open_page):
    page = open_page(explorer(NODES))
    page.locator(".query").nth(1).hover()  # only 0 -> 1
    tip = page.locator(".links .head").get_attribute("d")[1:].split("L")[0].split()
    at = page.locator(".query").nth(1).get_attribute("data-at").split()
    distance = sum((float(a) - float(b)) ** 2 for a, b in zip(tip, at, strict=True)) ** 0.5
    assert distance == pytest.approx(13, abs=0.1)


def test_a_step_shows_bars_under_the_series(open_page):
    page = open_page(explorer(STEPS, series=torch.arange(7.0)))
    page.locator(".query").nth(1).hover()
    assert said(page) == sentence(STEPS, 1)
    row = STEPS.dense()[1]
    heights = numbers(page, ".bar", "height")
    assert heights == pytest.approx((56 * row / row.max()).tolist(), abs=0.5)
    assert page.locator(".scale").inner_html().endswith(f"{100 * row.max():.0f}&nbsp;%")


def test_several_views_on_a_page_do_not_disturb_one_another(open_page):
    page = open_page(*ALL)
    before = [said(page, n) for n in range(4)]
    page.locator(".attn-explorer").nth(3).locator(".query").nth(2).hover()
    page.locator(".attn-explorer").nth(3).get_by_label("Layer").select_option("second")
    assert [said(page, n) for n in range(3)] == before[:3]
    assert said(page, 3) == sentence(MAPS["second"], 2)
    empty = open_page().evaluate("Object.keys(window)")
    assert set(page.evaluate("Object.keys(window)")) == set(empty)


def test_a_view_that_is_inserted_later_works(open_page):
    page = open_page(ALL[0])  # as JupyterLab does it: scripts are made anew, then inserted
    page.evaluate(
        """html => {
          const host = document.createElement("div");
          host.innerHTML = html;
          host.querySelectorAll("script").forEach(script => {
            const copy = document.createElement("script");
            for (const { name, value } of script.attributes) copy.setAttribute(name, value);
            copy.textContent = script.textContent;
            script.replaceWith(copy);
          });
          document.body.append(host);
        }""",
        ALL[1].html,
    )
    page.locator(".attn-explorer").nth(1).locator(".query").nth(2).hover()
    assert said(page, 1) == sentence(NODES, 2)


@pytest.mark.parametrize("width", [390, 1200])
def test_nothing_is_wider_than_the_page(open_page, width):
    page = open_page(*ALL, width=width)
    page.locator("summary").first.click()
    assert page.locator("table").first.is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    small = page.locator("svg text").evaluate_all(
        "texts => texts.filter(t => t.textContent && t.getBoundingClientRect().height < 8).length"
    )
    assert small == 0


@pytest.mark.parametrize("theme", ["", "data-theme=light", "data-theme=dark"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_follow_the_page_and_else_the_system(open_page, scheme, theme):
    page = open_page(*ALL, color_scheme=scheme, theme=theme)
    dark = theme.endswith("dark") or (not theme and scheme == "dark")
    paper = page.locator(".attn-explorer").first.evaluate(
        "e => getComputedStyle(e).backgroundColor"
    )
    ink = page.locator("svg text").first.evaluate("e => getComputedStyle(e).fill")
    assert paper == (DARK if dark else LIGHT)
    assert (sum(map(int, ink[4:-1].split(","))) > 3 * 128) == dark


def test_without_scripts_there_is_a_table(open_page):
    page = open_page(*ALL, java_script_enabled=False)
    assert page.locator("table").count() == 4
    assert all(table.is_visible() for table in page.locator("table").all())
    assert page.locator("svg, select, .hint").count() == 0
    assert "<i>not</i>" in page.locator("table").first.inner_text()


def test_roles_and_names_are_there_for_screen_readers(open_page):
    page = open_page(ALL[0])
    assert page.get_by_role("radiogroup", name="Query").count() == 1
    assert page.get_by_role("radio", name="here").count() == 1
    assert page.get_by_role("radio", checked=True).count() == 1
    assert page.get_by_role("status").count() == 1
    assert page.get_by_role("combobox").count() == 2
