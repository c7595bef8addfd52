"""The tests of the core can fail: each planted bug is caught by the test that is named for it."""

import importlib
import itertools
import pkgutil

import mutants
import pytest
from planting import cases, copied_test, forget, plant

LISTS = [
    importlib.import_module(f"mutants.{m.name}") for m in pkgutil.iter_modules(mutants.__path__)
]
MUTANTS = [mutant for module in LISTS for mutant in module.MUTANTS]
CORE = {"_checks", "masks", "functional", "attention", "recording", "viz"}
CAUGHT = (Exception, pytest.fail.Exception)
BROKEN = (ImportError, NameError, SyntaxError)  # a bug must be wrong, not unable to run

counter = itertools.count()


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """Loads the test of a name, reading a copy of attnlib with a bug in it."""
    package = f"planted_{next(counter)}_"
    monkeypatch.syspath_prepend(tmp_path)

    def load(name, mutant=None):
        plant(tmp_path, package, mutant)
        return copied_test(tmp_path, package, name)

    yield load
    forget(package)


def first_failure(test):
    for arguments in cases(test):
        try:
            test(**arguments)
        except CAUGHT as failure:
            return failure
    return None


@pytest.mark.parametrize("name", sorted({mutant.caught_by for mutant in MUTANTS}))
def test_a_copy_without_a_bug_passes(name, copied):
    failure = first_failure(copied(name))
    if failure is not None:
        raise failure


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.breaks)
def test_a_planted_bug_is_caught(mutant, copied):
    failure = first_failure(copied(mutant.caught_by, mutant))
    assert failure is not None, f"{mutant.caught_by} does not notice: {mutant.breaks}"
    assert not isinstance(failure, BROKEN)


def test_every_module_of_the_core_has_planted_bugs():
    assert {mutant.module for mutant in MUTANTS} == CORE
    for one, other in itertools.combinations(MUTANTS, 2):
        assert one.breaks != other.breaks
        assert (one.module, one.original, one.planted) != (
            other.module,
            other.original,
            other.planted,
        )
