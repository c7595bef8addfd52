"""The papers around the code say what is true: versions, commands, links, examples, pictures."""

import contextlib
import importlib
import inspect
import io
import re
import subprocess
import sys
import tomllib
import warnings
from pathlib import Path
from urllib.parse import unquote

import pytest
import torch.nn.functional as F
import yaml

import attnlib
from attnlib.checker import CheckFailed, check
from book.docstrings import convert
from book.pictures import TARGET, picture

ROOT = Path(__file__).parents[1]
WORKFLOW = ROOT / ".github" / "workflows" / "book.yml"
PAPERS = sorted(path.name for path in ROOT.glob("*.md"))
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "chapters").rglob("*.md"))
NOT_OURS = (".git", ".venv", "_build")


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def code(text: str) -> str:
    """What stands in code spans and code blocks of a Markdown text."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S)
    return "\n".join(blocks + re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text))


def block(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def against_schema(schema: str, path: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


# ---------------------------------------------------------------- workflow


@pytest.mark.parametrize(
    "schema", ["vendor.github-workflows", "custom.github-workflows-require-timeout"]
)
def test_workflow_is_valid(schema):
    result = against_schema(schema, WORKFLOW)
    assert result.returncode == 0, result.stdout


def test_a_misspelt_key_of_the_workflow_is_found(tmp_path):
    broken = tmp_path / "book.yml"
    broken.write_text(WORKFLOW.read_text().replace("runs-on:", "run-on:"))
    assert against_schema("vendor.github-workflows", broken).returncode == 1


def test_workflow_tests_every_supported_version_of_python_and_publishes_only_what_passed():
    # YAML 1.1 reads the key `on` as True
    jobs = yaml.safe_load(WORKFLOW.read_text())["jobs"]
    supported = tomllib.loads(read("pyproject.toml"))["project"]["requires-python"]
    low, high = (int(minor) for minor in re.findall(r"3\.(\d+)", supported))
    assert jobs["test"]["strategy"]["matrix"]["python"] == [f"3.{m}" for m in range(low, high)]
    assert (jobs["build"]["needs"], jobs["deploy"]["needs"]) == ("test", "build")
    uploads = [step["with"]["path"] for step in jobs["build"]["steps"] if "pages" in str(step)]
    assert uploads == ["_build/html"]


def test_workflow_asks_for_no_more_rights_than_it_needs_and_pins_its_actions():
    workflow = yaml.safe_load(WORKFLOW.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    rights = {name: job.get("permissions") for name, job in workflow["jobs"].items()}
    assert rights == {
        "test": None,
        "build": None,
        "deploy": {"pages": "write", "id-token": "write"},
    }
    used = re.findall(r"uses: (\S+)", WORKFLOW.read_text())
    assert used
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+", action) for action in used)


# ---------------------------------------------------------------- versions


def test_citation_is_valid():
    result = against_schema("vendor.citation-file-format", ROOT / "CITATION.cff")
    assert result.returncode == 0, result.stdout


def test_version_and_date_are_the_same_everywhere():
    project = tomllib.loads(read("pyproject.toml"))["project"]
    citation = yaml.safe_load(read("CITATION.cff"))
    newest = re.search(r"(?m)^## \[(\S+)\] - (\S+)$", read("CHANGELOG.md"))
    assert newest.groups() == (project["version"], citation["date-released"])
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]
    assert f"Version {project['version']}" in read("README.md")


def test_title_is_the_same_everywhere():
    title = yaml.safe_load(read("_config.yml"))["title"]
    assert yaml.safe_load(read("CITATION.cff"))["title"] == title
    for path in ("README.md", "chapters/index.md"):
        assert read(path).startswith(f"# {title}\n")


@pytest.mark.parametrize("path", ["README.md", "chapters/how-to-run.md"])
def test_pages_name_the_torch_that_is_pinned(path):
    pinned = re.search(r"(?m)^torch==\S+$", read("constraints.txt"))[0]
    assert set(re.findall(r"torch==[\w.]+", read(path))) == {pinned}


def test_conda_installs_what_pip_does():
    environment = yaml.safe_load(read("environment.yml"))
    [pip] = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    text = " ".join(pip)
    assert ".[all]" in text
    assert "constraints.txt" in text
    for path in ("README.md", "chapters/how-to-run.md"):
        assert f"conda activate {environment['name']}\n" in read(path)


# ---------------------------------------------------------------- commands, links, paths


@pytest.mark.parametrize("path", PAPERS + PAGES)
def test_make_targets_that_are_named_exist(path):
    targets = set(re.findall(r"(?m)^(\w+):", read("Makefile")))
    named = set(re.findall(r"\bmake ([a-z]+)\b", code(read(path))))
    assert named <= targets


@pytest.mark.parametrize("path", ["README.md", "chapters/how-to-run.md"])
def test_make_targets_have_their_plain_commands_beside_them(path):
    text = code(read(path))
    for command in (
        'python -m pip install -c constraints.txt -e ".[all]"',
        "python -m attnlib.data fetch",
        "jupyter-book build . -W -n --keep-going",
        "python -m pytest",
        "python -m exercises.generate",
        "jupyter lab exercises",
    ):
        assert command in text


def test_both_platforms_get_the_same_commands():
    text = read("chapters/how-to-run.md")
    [unix] = [tab for tab in block(text, "shell") if "-m venv" in tab]
    [windows] = block(text, "powershell")
    assert unix.splitlines()[2:] == windows.splitlines()[2:]


@pytest.mark.parametrize("path", [*PAPERS, "exercises/README.md"])
def test_links_of_the_papers_lead_somewhere(path):
    folder = (ROOT / path).parent
    for link in re.findall(r"\]\(([^)#\s]+)", read(path)):
        if "://" not in link:
            assert (folder / unquote(link)).exists(), link


@pytest.mark.parametrize("path", PAPERS)
def test_files_that_the_papers_name_exist(path):
    for name in re.findall(r"[\w./-]+/[\w./-]+\.(?:py|ipynb|md)\b", code(read(path))):
        assert (ROOT / name).exists(), name


def test_landing_page_lists_every_chapter():
    text = read("chapters/index.md")
    folder = ROOT / "chapters"
    notebooks = (p for p in folder.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
    paths = (path.relative_to(folder) for path in notebooks)
    found = [path for path in paths if path.parts[0] != "appendix"]
    assert len(found) >= 3
    for path in found:
        assert f"({path.as_posix()})" in text


def test_no_file_mentions_a_path_of_somebodys_machine():
    private = re.compile(r"""(?<![\w.~})])/(work|tmp|root|home/\w+|Users/\w+)/|[A-Z]:\\Users\\""")
    for path in ROOT.rglob("*"):
        parts = path.relative_to(ROOT).parts
        if parts[0] in NOT_OURS or any(p.startswith(".") and p != ".github" for p in parts[:-1]):
            continue
        if path.is_file() and path.suffix not in (".woff2", ".pyc", ".png"):
            found = private.search(path.read_text(encoding="utf-8"))
            assert found is None, f"{path}: {found[0]}"


def test_messages_in_the_troubleshooting_table_are_those_of_the_code():
    table = read("chapters/how-to-run.md").split("## When something goes wrong")[1]
    seen = [line.split(" | ")[0] for line in table.splitlines() if line.startswith("| ")]
    ours = [message for row in seen for message in re.findall(r"`([^`]*\w+ \w+[^`]*)`", row)]
    sources = [
        ROOT / "Makefile",
        ROOT / "conftest.py",
        *(ROOT / "attnlib").rglob("*.py"),
        *(ROOT / "tests").rglob("*.py"),
    ]
    text = "\n".join(path.read_text() for path in sources if path != Path(__file__))
    foreign = {"ensurepip is not available", "ModuleNotFoundError: No module named 'exercises'"}
    assert len(ours) >= 7
    for message in set(ours) - foreign:
        parts = re.split(r"\s*\.\.\.\s*|Python 3\.10", message)
        assert all(part.strip(" ,") in text for part in parts), message


# ---------------------------------------------------------------- examples


def test_example_of_the_readme_prints_what_it_says():
    [example] = block(read("README.md"), "python")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(example, {})
    promised = re.findall(r"print\(.*?\)\s+# (.+?): ", example)
    assert printed.getvalue().splitlines() == promised
    assert len(example.splitlines()) <= 10


def test_example_of_a_hint_is_what_the_checker_says(monkeypatch, tmp_path):
    from exercises.checks import scaled_dot_product as checks

    monkeypatch.setenv("ATTNLIB_PROGRESS", str(tmp_path / "progress.json"))
    text = read("chapters/how-to-run.md")
    [answer] = [part for part in block(text, "python") if "check(" in part]
    [shown] = block(text, "text")
    names = {"F": F, "check": check, "checks": checks}
    with pytest.raises(CheckFailed) as failure:
        exec(answer, names)
    assert str(failure.value).startswith(shown.rstrip())


# ---------------------------------------------------------------- API


def test_api_pages_document_every_part_of_the_library_once():
    pages = sorted((ROOT / "chapters" / "appendix" / "api").glob("*.md"))
    named = [
        part
        for page in pages
        for part in re.findall(r"automodule:: attnlib\.(\w+)$", page.read_text(), re.M)
    ]
    parts = {path.stem for path in (ROOT / "attnlib").iterdir() if path.stem[0] != "_"}
    assert sorted(named) == sorted(parts)


def test_names_of_the_swap_tables_exist():
    rows = re.findall(
        r"(?m)^\| `?([^|]+?)`? \| `([\w.]+)` \| ", read("chapters/appendix/api/index.md")
    )
    assert len(rows) >= 10
    for theirs, ours in rows:
        assert hasattr(attnlib, ours.removeprefix("attnlib.")), ours
        module, _, name = theirs.rpartition(".")
        if module.startswith("torch") and " " not in module:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # PyG's own
                assert hasattr(importlib.import_module(module), name), theirs


def test_docstrings_become_markup_that_says_the_same():
    text = """Mean of `x` over y_i and *every other* z, not 2*z*3; see `attnlib.mean` and `mean()`.

    mean_i = sum_j x_ij / n
    An empty row gives 0.
    x' = x - mean;  y' = y

    Args:
        x: (B, S) numbers
            in metres.
        y, z: (B,) others.
        size: H.

    Raises:
        ValueError: no `x`.

    Differs from numpy.mean: it is ours.

    Reference: Student 1908, arXiv:1706.03762

    >>> 1 + 1
    2
    """
    lines = convert(inspect.cleandoc(text).splitlines())
    for line in (
        r"Mean of ``x`` over y\_i and *every other* z, not 2\*z\*3; see "
        ":py:obj:`attnlib.mean` and :py:meth:`mean()`.",
        "    mean_i = sum_j x_ij / n",
        "    x' = x - mean;  y' = y",
        ":param x: (B, S) numbers in metres.",
        ":param y, z: (B,) others.",
        r":param size: H\.",
        ":raises ValueError: no ``x``.",
        ".. admonition:: Differs from numpy.mean",
        "   it is ours.",
        "*Reference:* Student 1908, `arXiv:1706.03762 <https://arxiv.org/abs/1706.03762>`__",
        ">>> 1 + 1",
    ):
        assert line in lines


# ---------------------------------------------------------------- glossary and picture


def glossary() -> dict[str, str]:
    """Term to definition."""
    body = read("chapters/appendix/glossary.md").split(":::{glossary}\n")[1].split("\n:::")[0]
    entries: dict[str, str] = {}
    for entry in body.split("\n\n"):
        *terms, definition = entry.split("\n")
        entries |= dict.fromkeys(terms, definition)
    return entries


def test_every_term_is_given_in_chinese_and_defined_once():
    for term, definition in glossary().items():
        chinese = re.match(r'  <strong lang="zh-Hans">(.+?)</strong>\. \S', definition)
        assert chinese, term
        assert re.search(r"[\u4e00-\u9fff]", chinese[1]), term
    terms = [term.lower() for term in glossary()]
    assert terms == sorted(set(terms))


def test_every_term_that_is_used_is_in_the_glossary():
    known = {term.lower() for term in glossary()}
    for folder in ("chapters", "exercises"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".md", ".ipynb") and ".ipynb_checkpoints" not in path.parts:
                text = path.read_text(encoding="utf-8")
                used = re.findall(r"\{term\}`(?:[^`<]*<)?([^`<>]+)>?`", text)
                missing = {term.lower() for term in used} - known
                assert not missing, f"{path.name}: {missing}"


def test_picture_is_what_the_script_draws():
    number = re.compile(r"-?\d+(?:\.\d+)?")
    drawn, kept = picture(), TARGET.read_text(encoding="utf-8")
    assert number.sub("0", drawn) == number.sub("0", kept), "write python -m book.pictures"
    got, wanted = ([float(n) for n in number.findall(text)] for text in (drawn, kept))
    # Machines round differently: a width may differ by 0.1 and a percentage by 1.
    assert got == pytest.approx(wanted, abs=1.01)


def test_picture_shows_a_map_that_gets_better():
    shares = [int(share) for share in re.findall(r">[^<>]*?(\d+) % right<", picture())]
    assert len(shares) == 3
    assert shares == sorted(shares)
    assert shares[0] < 40
    assert shares[-1] > 95
