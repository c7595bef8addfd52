"""Every chapter has the same bones: what a reader may count on, checked in the source notebooks."""

import ast
import json
import re
import statistics
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("chapters", "exercises")
    for path in (ROOT / folder).rglob("*.ipynb")
    if ".ipynb_checkpoints" not in path.parts
)
PAGES = [path for path in NOTEBOOKS if path.startswith("chapters/")]
CHAPTERS = [path for path in PAGES if not path.startswith("chapters/appendix/")]
TEXTS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "chapters").rglob("*.md"))
# Numbers that are no results: the level of an interval, and places in papers and versions.
NO_RESULT = re.compile(
    r"95 % (?=interval)|(arXiv:\s*|sections? |equations? |version |Python |BY )[\d.]+", re.I
)
LONGEST_CELL, LONGEST_CLASS, WIDTH = 25, 30, 79


@cache
def notebook(path: str) -> dict:
    return json.loads((ROOT / path).read_text(encoding="utf-8"))


def sources(path: str, kind: str) -> list[str]:
    return ["".join(c["source"]) for c in notebook(path)["cells"] if c["cell_type"] == kind]


def code_cells(path: str) -> list[dict]:
    return [cell for cell in notebook(path)["cells"] if cell["cell_type"] == "code"]


def visible(cell: dict) -> bool:
    return "remove-cell" not in cell["metadata"].get("tags", [])


def prose(text: str) -> str:
    """Markdown without code, formulas, roles, addresses, directives and headings."""
    text = re.sub(r"```.*?```", " ", text, flags=re.S)
    text = re.sub(r"\$\$.*?\$\$(\s*\([\w-]+\))?", " ", text, flags=re.S)
    text = re.sub(r"\{[\w:]+\}`[^`]*`|`[^`]*`|\$[^$]*\$|\]\([^)]*\)", " ", text)
    return re.sub(r"(?m)^(:{3,}.*|#.*)$", " ", text)


def chapters(argument: str = "path"):
    return pytest.mark.parametrize(argument, CHAPTERS)


def test_there_are_chapters():
    assert len(CHAPTERS) >= 3


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_notebook_is_a_clean_source(path):
    text = (ROOT / path).read_text(encoding="utf-8")
    assert text.endswith("}\n")
    assert not text.endswith("\n\n")
    cells = notebook(path)["cells"]
    ids = [cell["id"] for cell in cells]
    assert len(ids) == len(set(ids))
    for cell in cells:
        assert not cell.get("outputs"), "clear the outputs: the build makes them"
        assert cell.get("execution_count") is None
    assert notebook(path)["metadata"]["kernelspec"]["name"] == "python3"


def test_table_of_contents_lists_every_page_and_nothing_else():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))

    def files(node):
        if isinstance(node, dict):
            for key, child in node.items():
                if key in ("file", "root"):
                    yield child
                else:
                    yield from files(child)
        elif isinstance(node, list):
            for child in node:
                yield from files(child)

    listed = [re.sub(r"\.(md|ipynb)$", "", name) for name in files(toc)]
    assert len(listed) == len(set(listed))
    exist = {re.sub(r"\.(md|ipynb)$", "", name) for name in NOTEBOOKS + TEXTS}
    assert set(listed) == exist


def test_names_of_figures_and_equations_are_given_once_in_the_whole_book():
    names = Counter()
    for path in PAGES:
        for cell in notebook(path)["cells"]:
            text = "".join(cell["source"])
            names.update(re.findall(r"(?m)^\$\$ \(([\w-]+)\)$", text))
            names.update([cell["metadata"].get("mystnb", {}).get("figure", {}).get("name")])
    assert len(names) > 30
    twice = [name for name, count in names.items() if name and count > 1]
    assert not twice


@chapters()
def test_metadata_holds_objectives_minutes_prerequisites_and_exercises(path):
    course = notebook(path)["metadata"]["course"]
    assert 3 <= len(course["objectives"]) <= 6
    assert all(len(sentence.split()) >= 5 for sentence in course["objectives"])
    assert 10 <= course["minutes"] <= 180
    assert course["prerequisites"]
    assert (ROOT / course["exercises"]).exists()
    assert course["budget_seconds"] in (60, 120)


@chapters()
def test_first_screen_asks_a_question_and_the_first_idea_comes_by_the_third_cell(path):
    cells = notebook(path)["cells"]
    opening = "".join(cells[0]["source"])
    assert opening.startswith("# ")
    assert "?" in opening
    kinds = [cell["cell_type"] for cell in cells[:4]]
    assert kinds[:3] == ["markdown", "code", "markdown"], "title, imports, then the idea"
    assert "code" in kinds[3:4], "the idea is run at once"


@pytest.mark.parametrize("path", PAGES)
def test_imports_stand_in_the_first_code_cell_only(path):
    for i, cell in enumerate(sources(path, "code")):
        nodes = ast.walk(ast.parse(cell))
        imports = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
        assert bool(imports) == (i == 0), f"code cell {i} of {path}"


@chapters()
def test_one_seed_is_set_at_the_start(path):
    assert re.search(r"torch\.manual_seed\(|np\.random\.default_rng\(", sources(path, "code")[0])


@pytest.mark.parametrize("path", PAGES)
def test_code_cells_are_short_and_narrow(path):
    sizes = []
    for cell in filter(visible, code_cells(path)):
        source = "".join(cell["source"])
        lines = [line for line in source.splitlines() if line.strip()]
        sizes.append(len(lines))
        limit = LONGEST_CLASS if re.search(r"(?m)^class ", source) else LONGEST_CELL
        assert len(lines) <= limit, f"{len(lines)} lines:\n{source}"
        wide = [line for line in lines if len(line) > WIDTH]
        assert not wide, f"wider than {WIDTH}: {wide}"
    assert statistics.median(sizes) <= 10


@chapters()
def test_prose_cells_are_short(path):
    sizes = []
    for text in sources(path, "markdown"):
        if ":class: quiz" not in text:
            sizes.append(len(prose(text).split()))
            assert sizes[-1] <= 160, f"{sizes[-1]} words:\n{text}"
    assert 25 <= statistics.median(sizes) <= 80
    assert sum(sizes) >= 600


@pytest.mark.parametrize("path", PAGES + TEXTS)
def test_no_result_is_typed_into_prose(path):
    texts = (
        sources(path, "markdown")
        if path.endswith(".ipynb")
        else [(ROOT / path).read_text(encoding="utf-8")]
    )
    for text in texts:
        clean = NO_RESULT.sub(" ", prose(text))
        typed = re.findall(r"\d+[.,]\d+(?!\d*,)\b(?<!,\d{3})|\d+ ?(?:%|percent)", clean)
        assert not typed, f"{typed} in:\n{text}"


@chapters()
def test_a_number_is_glued_under_a_name_of_its_own(path):
    code = "\n".join(sources(path, "code"))
    keys = re.findall(r"(?m)^glue\(\s*\"([^\"]+)\"", code)
    assert len(keys) == len(set(keys))
    assert not re.findall(r"(?m)^ +glue\(\s*\"([^\"]+)\"", code), "one name, in a loop"


@pytest.mark.parametrize("path", PAGES)
def test_glued_numbers_are_shown_and_shown_numbers_are_glued(path):
    text, code = "\n".join(sources(path, "markdown")), "\n".join(sources(path, "code"))
    shown = set(re.findall(r"\{glue:\w*\}`([\w-]+)", text))
    plain = set(re.findall(r"""glue\(\s*"([^"{]+)\"""", code))
    patterns = re.findall(r"""glue\(\s*f"([^"]+)\"""", code)
    made = [re.sub(r"\\\{[^}]*\\\}", r"[\\w.-]+", re.escape(pattern)) for pattern in patterns]
    of_intervals = re.findall(r"""(?m)^ *glue_interval\(\s*(?:f?"([^"]+)"|\w+)""", code)
    names = [
        re.sub(r"\\\{[^}]*\\\}", r"[\\w.-]+", re.escape(name or "{name}")) for name in of_intervals
    ]
    made += [f"{name}-(mean|low|high)" for name in names]
    for name in shown - plain:
        assert any(re.fullmatch(pattern, name) for pattern in made), f"{name} is never glued"
    assert plain <= shown, f"glued and never shown: {sorted(plain - shown)}"
    for pattern in made:
        assert any(re.fullmatch(pattern, name) for name in shown), f"never shown: {pattern}"


@pytest.mark.parametrize("path", PAGES)
def test_figures_have_alt_text_a_name_and_a_caption(path):
    for cell in code_cells(path):
        calls = [
            node
            for node in ast.walk(ast.parse("".join(cell["source"])))
            if isinstance(node, ast.Call)
        ]
        names = [ast.unparse(call.func) for call in calls]
        assert "plt.show" not in names, "use attnlib.viz.show, which carries the alt text"
        figures = [name for name in names if name == "show" or name.endswith(".plot_map")]
        draws = [
            call for call in calls if ast.unparse(call.func).endswith(".plot") and _has_alt(call)
        ]
        if figures or draws:
            assert len(figures) + len(draws) == 1, "one figure a cell"
            figure = cell["metadata"].get("mystnb", {}).get("figure", {})
            assert re.fullmatch(r"fig-[\w-]+", figure.get("name", "")), "".join(cell["source"])
            assert len(figure.get("caption", "").split()) >= 5


def _has_alt(call: ast.Call) -> bool:
    return any(keyword.arg == "alt" for keyword in call.keywords)


@pytest.mark.parametrize("path", CHAPTERS)
def test_chapter_has_figures(path):
    assert sum("show(" in source for source in sources(path, "code")) >= 2


@pytest.mark.parametrize("path", PAGES + TEXTS)
def test_static_images_have_alt_text(path):
    text = (
        "\n".join(sources(path, "markdown"))
        if path.endswith(".ipynb")
        else (ROOT / path).read_text(encoding="utf-8")
    )
    for alt in re.findall(r"!\[([^\]]*)\]\(", text):
        assert len(alt.split()) >= 4
    for options in re.findall(
        r"(?:```|:::)\{(?:image|figure)\}[^\n]*\n(.*?)(?:```|:::)", text, re.S
    ):
        assert re.search(r":alt: (\S+\s+){3,}\S+", options)
    for tag in re.findall(r"<img\b[^>]*>", text):
        assert re.search(r'alt="[^"]{10,}"', tag)


@chapters()
def test_quiz_has_one_right_answer_a_question_and_a_reason_for_every_option(path):
    [quiz] = [text for text in sources(path, "markdown") if ":class: quiz" in text]
    questions = re.findall(
        r"::::\{admonition\} Question \d\n:class: quiz\n(.*?)\n::::\n?", quiz, re.S
    )
    assert 3 <= len(questions) <= 5
    for question in questions:
        options = re.findall(r":::\{dropdown\} (.+?)\n(.*?)\n:::", question, re.S)
        assert 3 <= len(options) <= 5
        verdicts = [body.split("**")[1] for _, body in options]
        assert sorted(set(verdicts)) == ["Not quite.", "Right."]
        assert verdicts.count("Right.") == 1
        for _, body in options:
            assert len(body.split("**")[2].split()) >= 8, f"a reason, please: {body}"


@chapters()
def test_right_answers_do_not_always_stand_in_the_same_place(path):
    [quiz] = [text for text in sources(path, "markdown") if ":class: quiz" in text]
    questions = quiz.split(":class: quiz")[1:]
    verdicts = [re.findall(r"\*\*(Right|Not quite)\.", question) for question in questions]
    places = {options.index("Right") for options in verdicts}
    assert len(places) > 1


@chapters()
def test_chapter_ends_with_limits_takeaway_quiz_exercises_and_references(path):
    text = "\n".join(sources(path, "markdown"))
    headings = re.findall(r"(?m)^## (.+)$", text)
    wanted = ["Where it fails", "Take-away", "Quiz", "Exercises and references"]
    assert [heading for heading in headings if heading in wanted] == wanted
    takeaway = text.split("## Take-away")[1].split("## ")[0]
    assert 4 <= len(re.findall(r"[.!?](?:\s|$)", prose(takeaway).strip())) <= 6
    course = notebook(path)["metadata"]["course"]
    depth = "../" * (len(Path(path).parts) - 1)
    assert f"({depth}{course['exercises']})" in text
    references = text.split("## Exercises and references")[1]
    assert len(re.findall(r"(?m)^- \{cite:t\}`\w+`[^\n]{20,}", references)) >= 2, "why to read each"


def test_citations_and_bibliography_agree():
    known = re.findall(r"(?m)^@\w+\{(\w+),", (ROOT / "references.bib").read_text(encoding="utf-8"))
    assert len(known) == len(set(known))
    text = "".join("\n".join(sources(path, "markdown")) for path in NOTEBOOKS)
    text += "".join((ROOT / path).read_text(encoding="utf-8") for path in TEXTS)
    cited = {
        key.strip()
        for keys in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", text)
        for key in keys.split(",")
    }
    assert cited == set(known)


@chapters()
def test_results_are_intervals_over_seeds_and_asserted(path):
    code = "\n".join(sources(path, "code"))
    calls = [ast.unparse(n.func) for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Call)]
    assert "interval" in calls
    assert len(re.findall(r"(?m)^\s*(?:assert |assert_close\()", code)) >= 5
