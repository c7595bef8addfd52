"""Rules that hold for every module of attnlib: layers, names, texts, and what is not done."""

import ast
import contextlib
import doctest
import importlib
import inspect
import io
import re
import subprocess
import sys
from dataclasses import is_dataclass
from pathlib import Path

import pytest
import torch
from errors import raise_statements, raised_at

import attnlib

ROOT = Path(attnlib.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
NAMES = [".".join(f.relative_to(ROOT.parent).with_suffix("").parts) for f in FILES]
MODULES = [name.removesuffix(".__init__") for name in NAMES if not name.endswith("__main__")]
TREES = {file: ast.parse(file.read_text(encoding="utf-8")) for file in FILES}

# A module imports only from strictly lower levels (a package counts as one module).
LEVELS = {
    **dict.fromkeys(["_checks", "_dropout", "masks"], 0),
    **dict.fromkeys(["functional", "positional", "cache"], 1),
    **dict.fromkeys(["attention", "graph"], 2),
    **dict.fromkeys(["temporal", "transformer", "recurrent", "graph_transformer"], 3),
    **dict.fromkeys(["recording", "training", "data"], 4),
    **dict.fromkeys(["compression", "pretrained", "viz", "checker"], 5),
}
EXCEPTIONS = {
    ("masks", "_checks"),  # every message is written in _checks, the lowest of the lowest
    ("recording", "viz"),  # AttentionMap.plot, inside the function: drawing is optional
}
EXTRAS = ["matplotlib", "sklearn", "tqdm", "IPython", "pypi_simple", "platformdirs", "babel"]
EXTRAS += ["safetensors", "tokenizers", "transformers", "torch_geometric", "scipy"]
PRINTERS = {"checker", "data.__main__"}  # to print is what they are for
SEEDERS = {"checker._run"}  # answer and reference must draw alike; it puts the states back
NEED_DATA = {"cache_folder", "fetch_set", "read_member"}  # as all that may raise DataUnavailable
# Their tests show errors by what leads to them, such as a lost connection, and not by calls.
SHOWN_OTHERWISE = (
    "checker",
    "data.__main__",
    "data._pip",
    "data.archives",
    "data.batches",
    "data.catalogue",
    "data.sentiment",
    "data.splits",
    "data.text",
    "training",
)

EACH_FILE = pytest.mark.parametrize("file", FILES, ids=NAMES)
EACH_MODULE = pytest.mark.parametrize("name", MODULES)


def place(file):
    """`attnlib/data/text.py` is `data.text`."""
    return ".".join(file.relative_to(ROOT).with_suffix("").parts)


def imports(tree):
    """(module, name or None, whether at import time) of every import; not those for types only."""
    inner = {
        node
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.Lambda)
        for node in ast.walk(function)
    }
    typing = {
        node
        for test in ast.walk(tree)
        if isinstance(test, ast.If) and ast.unparse(test.test) == "TYPE_CHECKING"
        for node in ast.walk(test)
    }
    for node in ast.walk(tree):
        if node in typing:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, None, node not in inner
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "write absolute imports"
            for alias in node.names:
                yield node.module, alias.name, node not in inner


def calls(tree):
    """The function of every call, as text."""
    return [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]


# ---------------------------------------------------------------- structure


@EACH_FILE
def test_a_module_imports_only_from_lower_levels(file):
    owner = place(file).split(".")[0]
    if owner == "__init__":
        return  # the front door sees everything
    assert owner in LEVELS, f"give {owner} a level"
    for module, name, _ in imports(TREES[file]):
        root, *rest = module.split(".")
        if root != "attnlib":
            continue
        other = rest[0] if rest else name
        assert other in LEVELS, f"{owner} imports {other} from the front door"
        lower = LEVELS[other] < LEVELS[owner]
        assert lower or owner == other or (owner, other) in EXCEPTIONS, f"{owner} imports {other}"


def test_the_exceptions_are_needed():
    needed = {
        (place(file).split(".")[0], module.removeprefix("attnlib.") if name != "viz" else name)
        for file in FILES
        for module, name, _ in imports(TREES[file])
    }
    assert needed >= EXCEPTIONS


def test_the_one_upward_import_waits_until_a_map_is_drawn():
    tree = TREES[ROOT / "recording" / "maps.py"]
    [first] = [now for module, name, now in imports(tree) if (module, name) == ("attnlib", "viz")]
    assert not first


@EACH_FILE
def test_import_time_needs_torch_and_numpy_only(file):
    roots = {module.split(".")[0] for module, _, now in imports(TREES[file]) if now}
    assert roots <= {*sys.stdlib_module_names, "torch", "numpy", "attnlib"}


def test_attnlib_works_without_any_extra():
    code = f"""
import importlib, sys
import torch, numpy
for extra in {EXTRAS}:
    sys.modules[extra] = None
before = set(sys.modules)
import attnlib
roots = {{name.split(".")[0] for name in set(sys.modules) - before}}
print(sorted(roots - sys.stdlib_module_names - {{"attnlib", "torch", "numpy"}}))
x = torch.zeros(1, 2, 6)
layer = attnlib.MultiHeadAttention(6, 2)
with attnlib.record_attention(layer) as maps:
    layer(x)
maps[""].describe()
for name in {MODULES}:
    importlib.import_module(name)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert done.stdout == "[]\n"


@EACH_FILE
def test_a_module_can_be_held_in_the_head(file):
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 330


# ---------------------------------------------------------------- names


def in_order(name):
    """Constants, classes, functions: the order that ruff asks for."""
    return (not name.isupper(), not name[0].isupper(), name)


@EACH_MODULE
def test_all_lists_exactly_what_is_public(name):
    module = importlib.import_module(name)
    tree = TREES[Path(module.__file__)]
    if name.rpartition(".")[2].startswith("_"):
        assert not hasattr(module, "__all__"), "a private module has no public names"
        return
    listed = list(module.__all__)
    assert listed == sorted(set(listed), key=in_order)
    assert all(hasattr(module, public) for public in listed)
    defined = {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    assert {public for public in defined if not public.startswith("_")} <= set(listed)
    if Path(module.__file__).name == "__init__.py":
        assert set(listed) == {name for module, name, _ in imports(tree)}


def test_the_front_door_offers_what_its_modules_list():
    for module, name, _ in imports(TREES[ROOT / "__init__.py"]):
        assert name in importlib.import_module(module).__all__


# ---------------------------------------------------------------- what is not done


@EACH_FILE
def test_no_module_prints_unless_that_is_its_purpose(file):
    if not any(place(file) == p or place(file).startswith(f"{p}.") for p in PRINTERS):
        assert "print" not in calls(TREES[file])


@EACH_FILE
def test_no_module_seeds_global_generators_or_chooses_a_gpu(file):
    forbidden = re.compile(r"(torch|np\.random|random|torch\.cuda)\.(manual_seed|seed)|.*\.cuda")
    if place(file) not in SEEDERS:
        assert not [call for call in calls(TREES[file]) if forbidden.fullmatch(call)]


@EACH_FILE
def test_a_forward_pass_never_waits_for_the_device(file):
    whole = place(file).split(".")[0] in ("_checks", "functional", "attention")
    for node in ast.walk(TREES[file]):
        if isinstance(node, ast.FunctionDef) and (whole or node.name == "forward"):
            assert not [c for c in calls(node) if re.search(r"\.(item|tolist|cpu|numpy)$", c)]


@EACH_FILE
def test_no_star_imports_and_no_catch_all_arguments(file):
    assert "*" not in {name for _, name, _ in imports(TREES[file])}
    for node in ast.walk(TREES[file]):
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            private = place(file).rpartition(".")[2].startswith("_")
            assert private or node.args.kwarg is None, node.name


# ---------------------------------------------------------------- texts


def public_callables():
    for name in MODULES:
        module = importlib.import_module(name)
        for public in getattr(module, "__all__", []):
            thing = getattr(module, public)
            callable_here = inspect.isfunction(thing) or inspect.isclass(thing)
            if callable_here and thing.__module__ == name:
                yield pytest.param(thing, id=f"{name}.{public}")


PUBLIC = list(public_callables())


def shown_elsewhere(thing):
    """Exceptions are raised and records are returned: what makes them shows them."""
    made = inspect.isclass(thing) and (issubclass(thing, Exception | tuple) or is_dataclass(thing))
    return made and thing is not attnlib.AttentionMap


@pytest.mark.parametrize("thing", PUBLIC)
def test_a_public_callable_says_in_a_line_what_it_does_and_shows_it(thing):
    text = inspect.getdoc(thing)
    assert text
    assert re.fullmatch(r".+[.:]", text.split("\n\n")[0])
    needs_data = "DataUnavailable" in text or thing.__name__ in NEED_DATA
    assert ">>> " in text or shown_elsewhere(thing) or needs_data


@pytest.mark.parametrize("thing", PUBLIC)
def test_a_public_callable_explains_every_argument_and_what_it_returns(thing):
    text = inspect.getdoc(thing)
    if shown_elsewhere(thing) or "all else as in `" in text:
        return
    signature = inspect.signature(thing)
    if not signature.parameters:
        return
    arguments = text.partition("\nArgs:\n")[2].partition("\n\n")[0]
    for name in signature.parameters:
        assert re.search(rf"^ +([\w, ]+, )?{name}(, [\w, ]+)?: ", arguments, re.M), name
    if inspect.isfunction(thing) and signature.return_annotation not in (None, "None"):
        assert re.search(r"\n(Returns|Yields):\n", text)


@pytest.mark.parametrize("thing", PUBLIC)
def test_a_public_method_has_a_text(thing):
    methods = vars(thing).items() if inspect.isclass(thing) else ()
    for name, method in methods:
        inherited = any(hasattr(base, name) for base in thing.__mro__[1:])
        if inspect.isfunction(method) and not name.startswith("_") and not inherited:
            assert inspect.getdoc(method), name


@EACH_MODULE
def test_a_module_says_what_it_is_for(name):
    assert importlib.import_module(name).__doc__


@EACH_MODULE
def test_every_example_in_a_text_is_true(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mpl = pytest.importorskip("matplotlib")
    pyplot = pytest.importorskip("matplotlib.pyplot")
    report = io.StringIO()
    with mpl.rc_context(), torch.random.fork_rng(), contextlib.redirect_stdout(report):
        result = doctest.testmod(importlib.import_module(name))
    pyplot.close("all")
    assert result.failed == 0, report.getvalue()


def test_every_raise_is_in_a_table_of_errors():
    """A module of tests may hold ERRORS: rows of a call, the kind of its error, and its words."""
    tables = [
        getattr(importlib.import_module(test.stem), "ERRORS", [])
        for test in sorted(Path(__file__).parent.glob("test_*.py"))
        if test != Path(__file__) and "ERRORS" in test.read_text(encoding="utf-8")
    ]
    ends = {raised_at(call) for table in tables for call, *_ in table}
    missing = [
        f"{place(file)}:{lines.start}"
        for file in FILES
        if not f"{place(file)}.".startswith(tuple(f"{name}." for name in SHOWN_OTHERWISE))
        for lines in raise_statements(file)
        if not any((str(file), line) in ends for line in lines)
    ]
    assert not missing
