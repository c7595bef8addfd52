"""The build of the book, on a book of two pages: what must fail fails, every time."""

import json
import shutil
from pathlib import Path

import nbformat
import pytest
import yaml

from book.courseext import card
from book.execution import cache_folder
from book.running import KeptRun, build_book, over_budget

ROOT = Path(__file__).parents[1]
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "course": {
        "objectives": ["say why $x^2$ is **even**"],
        "minutes": 45,
        "prerequisites": ["[the start](../index.md)"],
        "exercises": "chapters/index.md",
    },
}
FORMULA = "$$a = \\frac{1}{\\sqrt{d}}$$ (eq-a)\n\nAs in {eq}`eq-a`."

QUIZ = """::::{admonition} Question 1
:class: quiz
One or two?

:::{dropdown} One.
**Right.** One is the number.
:::
:::{dropdown} Two.
**Not quite.** Two is one too many.
:::
::::"""
PICTURE = """from io import BytesIO
from IPython.display import display
from matplotlib.figure import Figure
png = BytesIO()
Figure(figsize=(1, 1)).savefig(png)
display({"image/png": png.getvalue()}, metadata={"image/png": {"alt": "an empty square"}}, raw=True)
"""


def write_notebook(book: Path, code: str = PICTURE) -> Path:
    cells = [
        nbformat.v4.new_markdown_cell("# A chapter\n\nThe first words.", id="title"),
        nbformat.v4.new_markdown_cell(FORMULA, id="formula"),
        nbformat.v4.new_code_cell(code, id="code"),
        nbformat.v4.new_markdown_cell(QUIZ, id="quiz"),
    ]
    path = book / "chapters" / "one" / "chapter.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=METADATA), path)
    return path


@pytest.fixture
def book(tmp_path):
    """A small book with the real configuration, style and extension."""
    for name in ("_config.yml", "references.bib", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "book", tmp_path / "book", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "attnlib").mkdir()
    (tmp_path / "attnlib" / "__init__.py").write_text("")
    (tmp_path / "chapters" / "one").mkdir(parents=True)
    (tmp_path / "chapters" / "index.md").write_text("# The start\n\nWords.\n")
    toc = {
        "format": "jb-book",
        "root": "chapters/index",
        "chapters": [{"file": "chapters/one/chapter"}],
    }
    (tmp_path / "_toc.yml").write_text(yaml.safe_dump(toc))
    write_notebook(tmp_path)
    return tmp_path


def executions(build) -> int:
    return build.stdout.count("Executing notebook")


@pytest.mark.slow
def test_pages_are_complete_and_only_an_edit_in_the_library_runs_a_notebook_again(book):
    first = build_book(book)
    assert first.returncode == 0, first.stdout
    assert executions(first) == 1
    page = (book / "_build/html/chapters/one/chapter.html").read_text()

    body = page[page.index("<article") : page.index("</article>")]
    assert body.index("A chapter") < body.index("course-card") < body.index("The first words")
    for part in ("say why", "<strong>even</strong>", "about 45 minutes", 'href="../index.html"'):
        assert part in body[: body.index("The first words")]

    assert '<img alt="an empty square"' in body
    right = body.index('class="right sd-card-text"')
    assert right < body.index('class="not-quite sd-card-text"')

    assert body.count("<math ") == 2
    assert 'href="#equation-eq-a">(1)</a>' in body
    assert "(1)" in body[body.index('class="eqno"') :]

    stamp = body[body.index("page-stamp") :]
    for part in ("Ran on 20", "seconds", "Python 3.1", "torch 2.", "numpy", "PU ("):
        assert part in stamp

    for source in ("unpkg", "cdnjs", "jsdelivr", "require.js", "thebe", "MathJax", "searchindex"):
        assert source not in page
    for button in ("mybinder", "colab", "fa-github", "Suggest edit"):
        assert button not in page

    again = build_book(book)
    assert again.returncode == 0
    assert executions(again) == 0
    assert "no targets are out of date" in again.stdout

    (book / "attnlib" / "__init__.py").write_text("CHANGED = True\n")
    assert executions(build_book(book)) == 1
    caches = list((book / "_build" / ".jupyter_cache").iterdir())
    assert caches == [cache_folder(book)], "the cache of the old library is still there"


@pytest.mark.slow
def test_one_setting_brings_the_buttons(book):
    config = yaml.safe_load((book / "_config.yml").read_text())
    config["repository"]["url"] = "https://github.com/someone/course"
    (book / "_config.yml").write_text(yaml.safe_dump(config))
    build = build_book(book)
    assert build.returncode == 0, build.stdout
    page = (book / "_build/html/chapters/one/chapter.html").read_text()
    for link in (
        "https://mybinder.org/v2/gh/someone/course/main",
        "https://colab.research.google.com/github/someone/course/blob/main/chapters/one/chapter.ipynb",
        'href="https://github.com/someone/course"',
        "https://github.com/someone/course/edit/main/chapters/one/chapter.ipynb",
        "https://github.com/someone/course/issues/new",
    ):
        assert link in page


@pytest.mark.slow
def test_warnings_fail_the_build_every_time(book):
    page = book / "chapters" / "index.md"
    page.write_text(
        "# The start\n\n[nowhere](nothing.md)\n\n{cite:p}`nobody1900`\n\n"
        "$$\\frac{a$$\n\nAn equation $\\sofmax x$.\n"
    )
    for _ in range(2):
        build = build_book(book)
        assert build.returncode != 0
        for said in ("nothing.md", "nobody1900", "braces do not match", "\\sofmax is not known"):
            assert said in build.stdout
    page.write_text("# The start\n\nGood words.\n")
    assert build_book(book).returncode == 0


@pytest.mark.slow
def test_failing_notebook_fails_the_build_every_time(book):
    write_notebook(book, "raise ValueError('the planted error')")
    for _ in range(2):
        build = build_book(book)
        assert build.returncode != 0
        assert "the planted error" in build.stdout


@pytest.mark.slow
def test_notebook_that_a_test_has_run_is_not_executed_by_the_build(book):
    path = write_notebook(book, "print('from', 'the', 'test')")
    assert KeptRun(path, 60).execute().error is None
    times = json.loads((book / "_build" / "times.json").read_text())
    assert times["chapters/one/chapter.ipynb"] > 0
    build = build_book(book)
    assert build.returncode == 0, build.stdout
    assert executions(build) == 0
    assert "from the test" in (book / "_build/html/chapters/one/chapter.html").read_text()


def test_time_budget_is_the_notebooks_own_and_counts_only_where_asked(monkeypatch):
    notebook = nbformat.v4.new_notebook(metadata={"course": {"budget_seconds": 120}})
    monkeypatch.delenv("ATTN_BUDGETS", raising=False)
    assert over_budget(notebook, 500) is None
    monkeypatch.setenv("ATTN_BUDGETS", "1")
    assert over_budget(notebook, 119) is None
    assert "ran for 121 s, its budget is 120 s" in over_budget(notebook, 121).summary
    assert over_budget(nbformat.v4.new_notebook(), 61) is not None


def test_card_leaves_out_what_the_metadata_does_not_say():
    assert "objective" not in card({"minutes": 5})
    assert "Time" not in card({"objectives": ["read"]})


def test_site_is_built_from_the_notebooks_that_the_tests_have_run(site_build, request):
    ran = {item.path for item in request.session.items if getattr(item, "nbmake", False)}
    executed = {
        Path(line.partition(": Executing notebook")[0])
        for line in site_build.stdout.splitlines()
        if ": Executing notebook" in line
    }
    assert not ran & executed
