"""Every page of the built book in a real browser."""

import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml

from attnlib.data import Archive, fetch, read_member
from tests.site.browser import Watch

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
AXE = Archive(
    "axe-playwright-python",
    "0.1.8",
    "axe_playwright_python-0.1.8-py3-none-any.whl",
    "fdd263c998388f1a8e67cad02677e612d946248bd44d163be5e8650ea31f95f8",
    160_681,
)
WIDTHS = (1200, 390)  # the narrowest with both sidebars, and a phone
MEBIBYTE = 2**20


def _files(node):
    if isinstance(node, dict):
        for key, child in node.items():
            yield from [child] if key in ("file", "root") else _files(child)
    elif isinstance(node, list):
        for child in node:
            yield from _files(child)


TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
PAGES = [re.sub(r"\.\w+$", "", name) + ".html" for name in _files(TOC)]
CHAPTERS = [page for page in PAGES if re.match(r"chapters/(?!appendix/)\w+/", page)]


@cache
def axe() -> str:
    return read_member(fetch(AXE), "axe_playwright_python/axe.min.js").decode("utf-8")


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": WIDTHS[0], "height": 900})
    yield page
    page.close()


def use_theme(page, theme: str) -> None:
    # Colours that fade into the other theme would be measured half-way.
    page.add_style_tag(content="*, ::before, ::after { transition: none !important; }")
    page.evaluate(
        "theme => { document.documentElement.dataset.theme = theme;"
        " document.documentElement.dataset.mode = theme; }",
        theme,
    )


def violations(page) -> list[str]:
    # preload: axe would fetch the style sheets again, and look for their imports beside the page.
    options = {"resultTypes": ["violations"], "preload": False}
    found = page.evaluate("options => axe.run(document, options)", options)["violations"]
    return [
        f"{v['id']} ({v['impact']}): {v['help']}: {[n['target'] for n in v['nodes']][:4]}"
        for v in found
        if v["impact"] in ("serious", "critical")
    ]


def cut_off(page) -> list[str]:
    """Text that its box cuts off and that no scrolling brings back."""
    return page.evaluate(
        "() => [...document.querySelectorAll('article *, .page-toc *')].filter(e =>"
        " ['hidden', 'clip'].includes(getComputedStyle(e).overflowX)"
        " && e.clientWidth > 1 && e.scrollWidth > e.clientWidth + 1)"
        ".map(e => e.textContent.trim().slice(0, 80))"
    )


@pytest.mark.parametrize("name", PAGES)
def test_page_is_whole_local_fitting_and_accessible(page, home, name):
    watch = Watch(page, home)
    page.goto(home + name, wait_until="networkidle")
    watch.check()
    assert watch.bytes < MEBIBYTE, f"{watch.bytes / MEBIBYTE:.2f} MiB without its pictures"
    page.add_script_tag(content=axe())
    for theme in ("light", "dark"):
        use_theme(page, theme)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            over = page.evaluate(
                "() => document.scrollingElement.scrollWidth"
                " - document.scrollingElement.clientWidth"
            )
            assert over <= 0, f"{over} px too wide at {width} px, {theme}"
            assert not cut_off(page), f"out of reach at {width} px: {cut_off(page)}"
            found = violations(page)
            assert not found, f"at {width} px, {theme}:\n" + "\n".join(found)
    watch.check()  # neither the other width nor the other theme asked for anything


@pytest.mark.parametrize("name", CHAPTERS)
def test_code_fits_beside_the_sidebars_and_outputs_keep_their_lines(page, home, name):
    page.goto(home + name)
    wide = page.eval_on_selector_all(
        ".cell_input pre",
        "boxes => boxes.filter(b => b.scrollWidth > b.clientWidth).map(b => b.textContent)",
    )
    too_long = [code for code in wide if max(map(len, code.splitlines())) <= 79]
    assert not too_long, "79 characters do not fit:\n" + "\n".join(too_long)
    page.set_viewport_size({"width": WIDTHS[1], "height": 900})
    page.wait_for_timeout(300)  # course.js looks again when the article has its new size
    bad = page.eval_on_selector_all(
        ".cell_output pre, div.math",
        "boxes => boxes.filter(b => { const s = getComputedStyle(b);"
        " return s.overflowX !== 'auto' || b.matches('pre') && s.whiteSpace !== 'pre'"
        " || b.scrollWidth > b.clientWidth + 1"
        " && (b.tabIndex < 0 || s.backgroundImage === 'none') })"
        ".map(b => b.textContent.slice(0, 80))",
    )
    assert not bad, f"wrapped, or wide without a sign of it: {bad}"


@pytest.mark.parametrize("name", PAGES)
def test_formulas_are_drawn_and_no_markup_is_left_over(page, home, name):
    page.goto(home + name)
    sizes = page.evaluate(
        "() => [...document.querySelectorAll('math')]"
        ".filter(m => !m.closest('details:not([open])'))"
        ".map(m => { const b = m.getBoundingClientRect(); return b.width * b.height })"
    )
    assert all(size > 0 for size in sizes)
    if name in CHAPTERS:
        assert len(sizes) >= 3
    assert page.locator("merror").count() == 0
    text = page.evaluate(
        "() => { const body = document.querySelector('article').cloneNode(true);"
        " body.querySelectorAll('pre, code, math, script, style').forEach(e => e.remove());"
        " return body.textContent }"
    )
    left = re.findall(r"\$\$|\\\(|\\frac|\{\w+(?::\w+)?\}`|:::|\*\*\w|None\b.{0,20}glue", text)
    assert not left, f"raw markup on the page: {left}"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_code_leaves_unmarked_is_drawn_like_any_text(site, theme):
    css = (site / "_static" / "pygments.css").read_text(encoding="utf-8")
    rule = rf'\[data-theme="{theme}"\] \.highlight%s {{[^}}]*?\bcolor: (#\w+)'
    text = re.search(rule % "", css)[1]
    for kind in "npw":  # book.courseext.PLAIN_CODE takes these marks away
        assert re.search(rule % rf" \.{kind}", css)[1] == text


@pytest.mark.parametrize("name", PAGES)
def test_pictures_have_alt_text(page, home, name):
    page.goto(home + name)
    alts = page.eval_on_selector_all("article img", "images => images.map(i => i.alt)")
    assert all(len(alt.split()) >= 4 for alt in alts), alts


@pytest.mark.parametrize("name", CHAPTERS)
def test_quiz_answers_by_mouse_and_keyboard(page, home, name):
    page.goto(home + name)
    options = page.locator(".quiz details")
    assert options.count() >= 9
    first, second = options.nth(0), options.nth(1)
    assert not first.evaluate("e => e.open")
    first.locator("summary").click()
    assert first.evaluate("e => e.open")
    assert first.get_by_text(re.compile(r"^(Right|Not quite)\.")).is_visible()
    second.locator("summary").focus()
    page.keyboard.press("Enter")
    assert second.evaluate("e => e.open")
    assert page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle") != "none"


@pytest.mark.parametrize("name", CHAPTERS)
def test_chapter_reads_without_javascript(browser, home, name):
    context = browser.new_context(java_script_enabled=False)
    try:
        page = context.new_page()
        watch = Watch(page, home)
        page.goto(home + name)
        assert not watch.foreign
        assert not watch.errors
        assert page.locator("article h1").is_visible()
        assert page.locator("article math:not(details math)").first.is_visible()
        assert page.locator("article img").first.is_visible()
        assert page.locator(".course-card").is_visible()
        assert page.locator(".page-stamp").is_visible()
        option = page.locator(".quiz details").first
        option.locator("summary").click()
        assert option.get_by_text(re.compile(r"^(Right|Not quite)\.")).is_visible()
    finally:
        context.close()


@pytest.mark.parametrize("name", CHAPTERS[:1])
def test_chapter_reads_from_disk(page, site, name):
    page.goto((site / name).as_uri())
    assert page.locator("article h1").is_visible()
    assert page.locator("article math:not(details math)").first.is_visible()


def test_search_finds_a_chapter(page, home):
    page.goto(home + "search.html?q=softmax", wait_until="networkidle")
    page.locator("#search-results a").first.wait_for()
    found = page.eval_on_selector_all("#search-results a", "links => links.map(l => l.href)")
    assert any("scaled-dot-product" in link for link in found)


class _Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.anchors.update(filter(None, (attributes.get("id"), attributes.get("name"))))
        self.links += [attributes[key] for key in ("href", "src") if attributes.get(key)]


@cache
def links(path: Path) -> _Links:
    parser = _Links()
    parser.feed(path.read_text(encoding="utf-8"))
    return parser


@pytest.mark.parametrize("name", PAGES)
def test_links_within_the_site_lead_somewhere(site, name):
    for link in links(site / name).links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (site / name).parent / unquote(parts.path) if parts.path else site / name
        assert target.exists(), link
        if parts.fragment and target.suffix == ".html":
            assert unquote(parts.fragment) in links(target.resolve()).anchors | {"top"}, link
