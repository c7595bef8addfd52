"""The course's own Sphinx extension: what Jupyter Book leaves to us.

Outputs that follow the library, formulas without scripts, a card of objectives, a page stamp, a
site that asks no other server for anything, and a build that fails every time it should.
"""

import hashlib
import json
import os
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

from docutils import nodes
from myst_nb.core.render import NbElementRenderer
from sphinx.util import logging

from book import mathml
from book.execution import KERNELS, cache_folder, environment, forget_progress

logger = logging.getLogger(__name__)


def prepare_execution(app, config):
    """Choose the cache of executed notebooks, drop older ones, and set the kernels' environment."""
    folder = cache_folder(Path(app.srcdir))
    config.nb_execution_cache_path = str(folder)  # a new value makes Sphinx read every page again
    for old in folder.parent.glob("*"):
        if old != folder:
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    os.environ.update(KERNELS)


def forget_unclean_build(app, config):
    """Read every page again unless the last build ended without a warning.

    Sphinx reports a page when it reads or writes it, and an unchanged page is neither: a second
    build would pass. The mark survives even a build that was killed.
    """
    mark = Path(app.doctreedir) / "unclean"
    if mark.exists():
        (mark.parent / "environment.pickle").unlink(missing_ok=True)
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()


def end_build(app, exception):
    forget_progress()
    if exception is None and app._warncount == 0:
        (Path(app.doctreedir) / "unclean").unlink()


def choose_buttons(app, config):
    """Show launch, source and issue buttons if `repository.url` is set, and none of them if not."""
    options = config.html_theme_options
    known = bool(options.get("repository_url"))
    for button in ("use_repository_button", "use_edit_page_button", "use_issues_button"):
        options[button] = known
    if not known:
        options.pop("launch_buttons", None)


def remove_thebe(app, config):
    """Take off what Jupyter Book 1 puts on every page and what loads scripts from elsewhere."""
    for listeners in app.events.listeners.values():
        listeners[:] = [one for one in listeners if one.handler.__module__ != "sphinx_thebe"]
    app.registry.css_files[:] = [one for one in app.registry.css_files if "thebe" not in one[0]]


def start_page(app, docname, source):
    forget_progress()


def add_card(app, docname, source):
    """Put the course card, made from the notebook's metadata, under the page's title."""
    if not app.env.doc2path(docname).endswith(".ipynb"):
        return
    notebook = json.loads(source[0])
    course = notebook["metadata"].get("course")
    if not course or not notebook["cells"]:
        return
    first = notebook["cells"][0]
    title, _, rest = "".join(first["source"]).partition("\n")
    if first["cell_type"] != "markdown" or not title.startswith("# "):
        logger.warning("the first cell must begin with a '# Title' line", location=docname)
        return
    first["source"] = f"{title}\n\n{card(course)}\n\n{rest}"
    source[0] = json.dumps(notebook)


def card(course: dict) -> str:
    """The course card in MyST.

    >>> print(card({"minutes": 45, "prerequisites": ["Softmax"]}))
    ::::{div} course-card
    :::{div} course-facts
    - **Time:** about 45 minutes
    - **Before you start:** Softmax
    :::
    ::::
    """
    lines = ["::::{div} course-card"]
    if objectives := course.get("objectives"):
        lines += ["**What you will be able to do**", ""]
        lines += [*(f"- {objective}" for objective in objectives), ""]
    lines.append(":::{div} course-facts")
    if minutes := course.get("minutes"):
        lines.append(f"- **Time:** about {minutes} minutes")
    if prerequisites := course.get("prerequisites"):
        lines.append(f"- **Before you start:** {'; '.join(prerequisites)}")
    if exercises := course.get("exercises"):
        lines.append(f"- **Practice:** [the exercises](/{exercises})")
    return "\n".join([*lines, ":::", "::::"])


def mark_answers(app, doctree):
    """Give each reason in a quiz the class `right` or `not-quite`, the words it begins with."""
    for quiz in doctree.findall(nodes.admonition):
        if "quiz" not in quiz["classes"]:
            continue
        for reason in quiz.findall(nodes.paragraph):
            words = [child for child in reason if child.astext()]  # an empty text may lead
            first = words[0] if words else None
            if isinstance(first, nodes.strong):
                reason["classes"].append(nodes.make_id(first.astext()))


def add_stamp(app, doctree):
    """End a notebook's page with when it ran, for how long, and on what."""
    run = app.env.nb_metadata.get(app.env.docname, {}).get("exec_data")
    if not run or not run.get("succeeded"):
        return
    day = datetime.fromtimestamp(run["mtime"], UTC).date()
    ran = environment()
    versions = ", ".join(f"{name} {ran[name]}" for name in ("Python", "torch", "numpy"))
    text = f"Ran on {day} in {run['runtime']:.1f} seconds: {ran['device']}, {versions}."
    stamp = nodes.container("", nodes.paragraph("", text), classes=["page-stamp"])
    doctree.next_node(nodes.section).append(stamp)


# Names, punctuation and blanks of code, which both themes draw like any other text: unmarked they
# save a quarter of a page that has much code.
PLAIN_CODE = re.compile(r'<span class="[npw]">([^<]*)</span>')


def mend_page(app, pagename, templatename, context, doctree):
    """Mend for assistive technology what the theme and the bibliography leave undone."""
    body = PLAIN_CODE.sub(r"\1", context.get("body", ""))
    body = body.replace('<div role="list" class="citation-list">', '<div class="citation-list">')
    context["body"] = body.replace(' role="doc-biblioentry"', "")  # deprecated, not allowed here

    def contents(*arguments, **options):
        drawn = str(draw(*arguments, **options))
        return drawn.replace("<summary>", '<summary aria-label="Pages of this chapter">')

    draw = context["generate_toctree_html"]
    context["generate_toctree_html"] = contents


# Parts of Bootstrap that come with the theme; the site has few of them or none.
COMPONENTS = re.compile(
    r"(accordion|carousel|form|modal|placeholder|popover|progress|spinner|toast)"
)


def shrink_theme(app, exception):
    """Take out what makes the theme heavy: two drawings of two thousand icons, parts that no page
    uses, and source maps.
    """
    if exception is not None:
        return
    static = Path(app.outdir) / "_static"
    # The style sheet draws the icons too; of its rules we keep those that a page needs.
    (static / "scripts" / "fontawesome.js").write_text("// the style sheet draws the icons\n")
    pages = "".join(page.read_text(encoding="utf-8") for page in Path(app.outdir).rglob("*.html"))
    used = set(" ".join(re.findall(r'class="([^"]*)"', pages)).split())
    used |= set(re.findall(r"fa-[a-z0-9-]+", pages))  # also those that stand in scripts

    def useless(selector):
        classes = re.findall(r"\.([a-z][a-z0-9-]*)", selector)
        return any((COMPONENTS.match(c) or c.startswith("fa-")) and c not in used for c in classes)

    def kept(rule):
        return "" if all(map(useless, rule[1].split(","))) else rule[0]

    styles = static / "styles" / "pydata-sphinx-theme.css"
    rules = re.sub(r"([^{}@;/]+)\{[^{}]*\}", kept, styles.read_text("utf-8"))
    styles.write_text(rules, encoding="utf-8")
    for source_map in static.rglob("*.map"):
        source_map.unlink()


def give_alt_text():
    """Let figures that code draws keep the text alternative of their output's metadata."""
    render = NbElementRenderer.render_image

    def render_image(self, data):
        images = render(self, data)
        if alt := data.output_metadata.get(data.mime_type, {}).get("alt"):
            images[0]["alt"] = alt
        return images

    NbElementRenderer.render_image = render_image


def digest_of(folder: Path) -> str:
    """Digest of the files of a folder: a page depends on this extension and on the style, too."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(path.read_bytes())
    return digest.hexdigest()


def setup(app):
    app.connect("config-inited", forget_unclean_build)
    app.connect("config-inited", prepare_execution)
    app.connect("config-inited", choose_buttons)
    app.connect("config-inited", remove_thebe)
    app.connect("source-read", start_page)
    app.connect("source-read", add_card)
    app.connect("doctree-read", mark_answers)
    app.connect("doctree-read", add_stamp)
    app.connect("html-page-context", mend_page, priority=900)  # after the theme
    app.connect("build-finished", shrink_theme)
    app.connect("build-finished", end_build)
    give_alt_text()
    mathml.setup(app)
    app.add_config_value("course_digest", digest_of(Path(__file__).parent), "env")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
