"""Every known mistake gets its own hint, and student notebooks are in sync with solutions."""

import ast
import copy
import json
import subprocess
import sys
from functools import cache
from itertools import combinations
from pathlib import Path

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnlib.checker import CheckFailed, Exercise, _progress, check, exercises_in
from attnlib.checker._check import first_departure
from attnlib.checker._limit import TimeLimit
from attnlib.checker._run import outcomes
from exercises import checks, generate

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "exercises"
EXERCISES = exercises_in(checks)
MISTAKES = [(exercise, hint) for exercise in EXERCISES for hint in exercise.mistakes]
NOTEBOOKS = sorted(path.stem for path in (FOLDER / "solutions").glob("*.ipynb"))

each_exercise = pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.name)
each_notebook = pytest.mark.parametrize("name", NOTEBOOKS)


@pytest.fixture(autouse=True)
def progress_file(monkeypatch, tmp_path):
    monkeypatch.setenv("ATTNLIB_PROGRESS", str(tmp_path / "progress.json"))
    monkeypatch.setattr(_progress, "_unsaved", {})


# ---------------------------------------------------------------- exercise objects


@cache
def behaviour(exercise: Exercise) -> dict:
    """What the reference (under the name None) and each known mistake do."""
    known = {None: exercise.reference} | dict(exercise.mistakes)
    return {hint: outcomes(exercise, implementation) for hint, implementation in known.items()}


def alike(exercise: Exercise, one: str | None, other: str | None) -> bool:
    known = behaviour(exercise)
    return first_departure(exercise, known[one], known[other]) is None


def test_every_module_of_checks_holds_exercises_and_no_two_share_a_name():
    modules = [path.stem for path in (FOLDER / "checks").glob("*.py") if path.stem != "__init__"]
    assert bool(modules) == bool(EXERCISES)
    names = [exercise.name for exercise in EXERCISES]
    assert len(names) == len(set(names))


@each_exercise
def test_exercise_has_mistakes_cases_and_hints_enough(exercise):
    assert len(exercise.mistakes) >= 4
    assert len(exercise.built_cases) >= 3
    assert len(exercise.hints) >= 2
    assert 5 <= exercise.minutes <= 15


@each_exercise
def test_reference_passes_and_returns_in_at_least_three_cases(exercise):
    assert check(exercise, exercise.reference).status == "done"
    errors = [outcome.error for outcome in behaviour(exercise)[None]]
    assert errors.count(None) >= 3
    assert not any(isinstance(error, TimeLimit) for error in errors)


@pytest.mark.parametrize(
    ("exercise", "hint"), MISTAKES, ids=[f"{e.name}: {hint[:40]}" for e, hint in MISTAKES]
)
def test_known_mistake_fails_with_its_own_hint(exercise, hint):
    with pytest.raises(CheckFailed) as failure:
        check(exercise, exercise.mistakes[hint])
    assert [known for known in exercise.mistakes if known in str(failure.value)] == [hint]


@each_exercise
def test_no_mistake_is_right_and_no_two_mistakes_are_alike(exercise):
    pairs = combinations(behaviour(exercise), 2)
    assert [pair for pair in pairs if alike(exercise, *pair)] == []


@each_exercise
def test_running_an_exercise_again_gives_the_same(exercise):
    again = outcomes(exercise, exercise.reference)
    assert first_departure(exercise, behaviour(exercise)[None], again) is None


# ---------------------------------------------------------------- notebooks


@cache
def notebook(path: str) -> list[dict]:
    return json.loads((FOLDER / path).read_text(encoding="utf-8"))["cells"]


def text(cell: dict) -> str:
    return "".join(cell["source"])


def checked(path: str) -> list[tuple[int, Exercise, str]]:
    """The cells that hold a check alone: place, exercise and name of the answer."""
    modules, found = {}, []
    for place, cell in enumerate(notebook(path)):
        if cell["cell_type"] != "code":
            continue
        for statement in ast.parse(text(cell)).body:
            match statement:
                case ast.ImportFrom(module="exercises.checks", names=names):
                    known = {module.__name__.split(".")[-1]: module for module in check_modules()}
                    modules |= {name.asname or name.name: known[name.name] for name in names}
                case ast.Expr(
                    ast.Call(ast.Name("check"), [ast.Attribute() as one, ast.Name(answer)])
                ):
                    assert len(ast.parse(text(cell)).body) == 1, text(cell)
                    found.append((place, getattr(modules[one.value.id], one.attr), answer))
    return found


def check_modules():
    return [value for value in vars(checks).values() if getattr(value, "__file__", None)]


def test_student_notebooks_are_in_sync_with_their_solutions():
    assert {name: why for name, (why, _) in generate.plan(FOLDER).items()} == {}


def test_every_exercise_is_used_in_exactly_one_notebook():
    used = [exercise.name for name in NOTEBOOKS for _, exercise, _ in checked(f"{name}.ipynb")]
    assert sorted(used) == sorted(exercise.name for exercise in EXERCISES)


@each_notebook
def test_notebook_has_three_to_six_exercises_of_its_chapter(name):
    found = checked(f"{name}.ipynb")
    assert 3 <= len(found) <= 6
    assert {exercise.chapter for _, exercise, _ in found} == {name}
    assert [e for _, e, _ in found] == [e for _, e, _ in checked(f"solutions/{name}.ipynb")]


@each_notebook
def test_every_check_of_a_student_notebook_has_a_stub_before_it(name):
    cells = notebook(f"{name}.ipynb")
    stubs = set()
    for place, _, answer in checked(f"{name}.ipynb"):
        [cell] = [c for c in cells[:place] if f" {answer}(" in text(c) and generate.STUB in text(c)]
        stubs.add(cell["id"])
    assert stubs == {cell["id"] for cell in cells if generate.STUB in text(cell)}


@each_notebook
def test_text_before_a_stub_says_how_long_it_takes(name):
    cells = notebook(f"{name}.ipynb")
    before = 0
    for place, exercise, _ in checked(f"{name}.ipynb"):
        prose = "".join(text(c) for c in cells[before:place] if c["cell_type"] == "markdown")
        assert f"{exercise.minutes} minutes" in prose, exercise
        before = place


@each_notebook
def test_titles_say_exercises_and_solutions_and_no_solution_is_missing(name):
    cells = notebook(f"solutions/{name}.ipynb")
    assert text(cells[0]).split("\n")[0].endswith(": solutions")
    assert text(notebook(f"{name}.ipynb")[0]).split("\n")[0].endswith(": exercises")
    assert not any("NotImplementedError" in text(cell) for cell in cells)
    assert not any("SOLUTION" in text(cell) for cell in notebook(f"{name}.ipynb"))


# ---------------------------------------------------------------- the generator


def code(source: str, cell_id: str = "c0de", **metadata) -> dict:
    return {
        "cell_type": "code",
        "execution_count": 3,
        "id": cell_id,
        "metadata": metadata,
        "outputs": [{"name": "stdout", "output_type": "stream", "text": ["4\n"]}],
        "source": source.splitlines(keepends=True),
    }


def markdown(source: str, cell_id: str, **metadata) -> dict:
    return {"cell_type": "markdown", "id": cell_id, "metadata": metadata, "source": [source]}


SOLUTION = """\
class Scale:
    def __init__(self, factor):
        ### BEGIN SOLUTION
        self.factor = factor
        ### END SOLUTION

    def forward(self, x):
        y = x
        if y:
            ### BEGIN SOLUTION
            y = y * self.factor

            y = y + 0
            ### END SOLUTION
        return y"""

STUB = """\
class Scale:
    def __init__(self, factor):
        raise NotImplementedError  # your code here

    def forward(self, x):
        y = x
        if y:
            raise NotImplementedError  # your code here
        return y"""


def source() -> dict:
    return {
        "cells": [
            markdown("# Sums: solutions", "aa", tags=["solution"]),
            markdown("# Sums: exercises", "bb", tags=["student", "remove-cell"]),
            code(SOLUTION, "cc", tags=["keep"], collapsed=True, mystnb={"image": {"alt": "A"}}),
            markdown("Because.", "dd", tags=["solution"]),
            code("check(checks.scale, Scale)", "ee", tags=[]),
        ],
        "metadata": {
            "kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"},
            "language_info": {"name": "python", "version": "3.11.7"},
            "course": {"minutes": 10},
            "widgets": {"state": 1},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def test_a_student_notebook_is_the_source_without_solutions_outputs_and_noise():
    made = generate.student_notebook(source())
    nbformat.validate(made)
    assert [cell.id for cell in made.cells] == ["bb", "cc", "ee"]
    title, stub, last = made.cells
    assert (title.source, title.metadata) == ("# Sums: exercises", {})
    assert (stub.source, stub.outputs, stub.execution_count) == (STUB, [], None)
    assert stub.metadata == {"tags": ["keep"], "mystnb": {"image": {"alt": "A"}}}
    assert last.metadata == {}
    assert made.metadata == {
        "course": {"minutes": 10},
        "kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"},
        "language_info": {"name": "python"},
    }


def test_the_text_is_the_same_every_time_and_ends_in_one_newline():
    first = source()
    again = copy.deepcopy(first)
    again["metadata"] = dict(reversed(again["metadata"].items()))
    again["cells"][2] = dict(reversed(again["cells"][2].items()))
    made = generate.text_of(generate.student_notebook(first))
    assert made == generate.text_of(generate.student_notebook(again))
    assert made.endswith("}\n")
    assert not made.endswith("\n\n")
    assert first == source()
    assert json.loads(made)["cells"][1]["source"] == STUB.splitlines(keepends=True)


def test_pictures_pasted_into_a_cell_are_kept():
    given = source()
    given["cells"][1]["attachments"] = {"a.png": {"image/png": "AAAA"}}
    assert generate.student_notebook(given).cells[0].attachments == {"a.png": {"image/png": "AAAA"}}


@given(st.lists(st.sampled_from(["x = 1", "", "    y = 2", "# note"]), max_size=8))
def test_code_without_a_solution_is_unchanged(lines):
    assert generate.strip_solutions("\n".join(lines)) == "\n".join(lines)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("x\n### BEGIN SOLUTION\ny", "solution that begins in line 2 does not end"),
        ("x\n### END SOLUTION", "line 2 ends a solution that did not begin"),
        ("### BEGIN SOLUTION\n### BEGIN SOLUTION\n### END SOLUTION", "line 2 begins a solution in"),
        ("## BEGIN SOLUTION", "a marker stands alone"),
        ("x = 1  ### END SOLUTION", "a marker stands alone"),
    ],
)
def test_a_bad_marker_is_one_clear_sentence(lines, words):
    with pytest.raises(generate.SourceError, match=words):
        generate.strip_solutions(lines)


def spoil(key: str, value) -> dict:
    return source() | {key: value}


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (spoil("nbformat_minor", 4), "older than 4.5"),
        (spoil("nbformat", 3), "older than 4.5"),
        (spoil("metadata", 3), "no valid notebook: 3 is not of type 'object'"),
        (
            spoil("cells", [markdown("#", "aa"), markdown("#", "aa")]),
            "cell id 'aa' is there twice",
        ),
        (spoil("cells", [code("### BEGIN SOLUTION", "ff")]), "cell ff: the solution that begins"),
        (spoil("cells", [markdown("#", "gg", tags=["student"])]), "cell gg .* remove-cell too"),
        (spoil("cells", [code("#", "hh", tags=["student", "remove-cell"])]), "must be markdown"),
    ],
)
def test_a_bad_source_is_one_clear_sentence(bad, words):
    with pytest.raises(generate.SourceError, match=words):
        generate.student_notebook(bad)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "solutions").mkdir()
    (tmp_path / "solutions" / "sums.ipynb").write_text(json.dumps(source()), encoding="utf-8")
    return tmp_path


def test_check_names_what_is_stale_and_changes_nothing(folder, capsys):
    def says(arguments):
        code = generate.main(arguments, folder)
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    assert says(["--check"]) == (
        1,
        "exercises/sums.ipynb is missing\nrun: python -m exercises.generate\n",
    )
    assert not (folder / "sums.ipynb").exists()
    assert says([]) == (0, "exercises/sums.ipynb written\n")
    assert says(["--check"]) == says([]) == (0, "")
    before = (folder / "sums.ipynb").read_bytes()
    (folder / "sums.ipynb").write_bytes(before + b"\n")
    (folder / "orphan.ipynb").write_text("{}")
    code, printed = says(["--check"])
    assert code == 1
    assert "exercises/sums.ipynb differs from what" in printed
    assert "exercises/orphan.ipynb has no solutions notebook" in printed
    assert (folder / "sums.ipynb").read_bytes() == before + b"\n"
    assert says([])[0] == 1
    assert (folder / "sums.ipynb").read_bytes() == before
    assert (folder / "orphan.ipynb").read_text() == "{}"


def test_a_notebook_in_which_somebody_works_is_not_overwritten(folder, capsys):
    generate.main([], folder)
    worked = json.loads((folder / "sums.ipynb").read_text())
    worked["cells"][1] |= {"source": "answer = 1", "execution_count": 1}
    (folder / "sums.ipynb").write_text(json.dumps(worked))
    assert generate.main([], folder) == 1
    assert "exercises/sums.ipynb holds outputs" in capsys.readouterr().err
    assert json.loads((folder / "sums.ipynb").read_text()) == worked


def test_a_damaged_student_notebook_is_written_anew(folder):
    (folder / "sums.ipynb").write_text("{")
    assert generate.main([], folder) == 0
    assert generate.main(["--check"], folder) == 0


@pytest.mark.parametrize("content", ["{", json.dumps(spoil("nbformat", 3))])
def test_a_bad_source_is_named_and_nothing_is_written(folder, capsys, content):
    (folder / "solutions" / "broken.ipynb").write_text(content)
    assert generate.main([], folder) == 1
    assert capsys.readouterr().err.startswith("exercises/solutions/broken.ipynb: ")
    assert not (folder / "sums.ipynb").exists()


def test_the_command_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "exercises.generate", "--help"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0
    assert "--check" in done.stdout
