"""The tests of the core can fail: each planted bug is caught by the test that is named for it."""

import importlib
import itertools
import pkgutil
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import mutants
import pytest
from planting import cases, copied_test, forget, plant

LISTS = [
    importlib.import_module(f"mutants.{m.name}") for m in pkgutil.iter_modules(mutants.__path__)
]
MUTANTS = [mutant for module in LISTS for mutant in module.MUTANTS]
ROOT = Path(__file__).parents[1] / "attnlib"
# The checker's tests plant wrong answers of learners instead.
PARTS = {path.stem for path in ROOT.iterdir() if path.stem[:2] != "__"} - {"checker"}
CAUGHT = (Exception, pytest.fail.Exception)
BROKEN = (ImportError, NameError, SyntaxError)  # a bug must be wrong, not unable to run

counter = itertools.count()


@contextmanager
def planted(folder, mutant=None):
    """Loads the test of a name, reading a copy of attnlib with a bug in it if there is one."""
    package = f"planted_{next(counter)}_"
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        plant(folder, package, mutant)
        yield lambda name: copied_test(folder, package, name)
    finally:
        sys.path.remove(str(folder))
        forget(package)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """One copy without a bug serves all tests."""
    with planted(tmp_path_factory.mktemp("sound")) as load:
        yield load


def first_failure(test):
    for arguments in cases(test):
        try:
            test(**arguments)
        except CAUGHT as failure:
            return failure
    return None


@pytest.mark.parametrize("name", sorted({mutant.caught_by for mutant in MUTANTS}))
def test_a_copy_without_a_bug_passes(name, sound):
    failure = first_failure(sound(name))
    if failure is not None:
        raise failure


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.breaks)
def test_a_planted_bug_is_caught(mutant, tmp_path):
    with planted(tmp_path, mutant) as load:
        failure = first_failure(load(mutant.caught_by))
    assert failure is not None, f"{mutant.caught_by} does not notice: {mutant.breaks}"
    assert not isinstance(failure, BROKEN)


def test_every_part_of_the_library_has_planted_bugs():
    counts = Counter(mutant.module.split(".")[0] for mutant in MUTANTS)
    assert set(counts) == PARTS
    assert min(counts.values()) >= 3
    assert len(MUTANTS) >= 60


def test_no_bug_is_planted_twice():
    for one, other in itertools.combinations(MUTANTS, 2):
        assert one.breaks != other.breaks
        assert (one.module, one.original, one.planted) != (
            other.module,
            other.original,
            other.planted,
        )
