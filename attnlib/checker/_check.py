"""`check` and `progress`: what a learner calls in a notebook."""

import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from types import ModuleType
from typing import NoReturn

from attnlib.checker._compare import Difference, describe
from attnlib.checker._exercise import Exercise
from attnlib.checker._limit import TimeLimit
from attnlib.checker._progress import load, overview, record
from attnlib.checker._report import Diagnosis, where
from attnlib.checker._run import (
    Outcome,
    ParameterMismatch,
    departure,
    is_stub,
    learners_line,
    outcomes,
    summary,
)


@dataclass(frozen=True, repr=False)
class Result:
    """What `check` returns when nothing is wrong.

    Args:
        name: of the exercise.
        status: done or open.
        cases: how many cases the answer was right in.
    """

    name: str
    status: str
    cases: int = 0

    def __repr__(self):
        return f"Result({self.name!r}, {self.status!r}, cases={self.cases})"

    def _ipython_display_(self):
        """Show nothing: `check` has said it already."""


class CheckFailed(AssertionError):
    """An answer is wrong. The message is the whole diagnosis; a notebook shows one line of it."""

    def _render_traceback_(self):
        return [f"CheckFailed: {str(self).partition(chr(10))[0]}"]


def check(exercise: Exercise, answer: Callable) -> Result:
    """Say whether an answer is right, and if not, which mistake it makes.

    The answer runs on copies of the arguments of every case and is compared with the reference.
    An answer that still raises NotImplementedError is open: that is said, and is no error. The
    random state and the gradient mode are left alone.

    Args:
        exercise: the Exercise.
        answer: the function or class itself, without brackets.

    Returns:
        A Result whose status is done or open.

    Raises:
        CheckFailed: the answer is wrong; the diagnosis has been shown.
        TypeError: the first argument is no Exercise.
    """
    if not isinstance(exercise, Exercise):
        raise TypeError(
            f"check: the first argument is {describe(exercise)}, expected an Exercise; "
            f"write check(checks.some_exercise, your_function)"
        )
    mismatch = _wrong_kind(exercise, answer)
    if mismatch:
        _fail(exercise, Diagnosis(f"{exercise.title}: {mismatch}"))
    got = outcomes(exercise, answer)
    if is_stub(got[0]):
        return _leave_open(exercise, answer, got[0].error)
    wanted = outcomes(exercise, exercise.reference)
    found = first_departure(exercise, wanted, got)
    if found is None:
        return _succeed(exercise, len(wanted))
    _fail(exercise, _diagnose(exercise, answer, got, *found))


def progress(exercises: ModuleType | Iterable[Exercise], chapter: str | None = None) -> None:
    """Print which exercises are done and which are open.

    Args:
        exercises: a module that holds Exercise objects, or the objects.
        chapter: show only the exercises whose names begin with this chapter.
    """
    found = exercises_in(exercises) if isinstance(exercises, ModuleType) else list(exercises)
    names = [e.name for e in found if chapter in (None, e.chapter)]
    entries, note = load()
    _say(overview({name: entries[name] for name in names if name in entries}, names), note)


def exercises_in(module: ModuleType) -> list[Exercise]:
    """The Exercise objects of a module, or of all modules of a package, in the order written."""
    modules = [module]
    for info in pkgutil.iter_modules(getattr(module, "__path__", [])):
        modules.append(importlib.import_module(f"{module.__name__}.{info.name}"))
    found = [value for m in modules for value in vars(m).values() if isinstance(value, Exercise)]
    return list(dict.fromkeys(found))


def first_departure(
    exercise: Exercise, wanted: list[Outcome], got: list[Outcome]
) -> tuple[int, Difference] | None:
    """The first case in which two lists of outcomes differ, and how; None when they are alike."""
    for i, (a, b) in enumerate(zip(wanted, got, strict=False)):
        found = departure(a, b, exercise.tolerance)
        if found:
            return i, found
    return None


def matching_mistakes(exercise: Exercise, got: list[Outcome]) -> list[str]:
    """The hints of the known mistakes that behave like these outcomes in every case."""
    hints = []
    for hint, mistake in exercise.mistakes.items():
        made = outcomes(exercise, mistake)
        # Errors of one type in every case say too little to recognise a mistake by.
        telling = any(o.error is None or isinstance(o.error, ParameterMismatch) for o in made)
        if telling and len(made) == len(got) and not first_departure(exercise, made, got):
            hints.append(hint)
    return hints


def _wrong_kind(exercise: Exercise, answer) -> str:
    if answer is None:
        return "the answer is None; pass the function itself, and define it first"
    if not callable(answer):
        return f"the answer is {describe(answer)}; pass the function itself, without brackets"
    if isinstance(exercise.reference, type) and not isinstance(answer, type):
        return f"the answer is {describe(answer)}, wanted a class; pass it without brackets"
    return ""


def _diagnose(exercise, answer, got, i, found) -> Diagnosis:
    error, name = got[i].error, _name(answer)
    arguments = exercise.arguments(exercise.built_cases[i])
    hints = matching_mistakes(exercise, got)
    sentence = found.sentence
    if isinstance(error, TimeLimit):
        limit = exercise.time_limit
        sentence = f"`{name}` still runs after {limit:g} s; does a loop never end?"
    elif error is not None and not isinstance(error, ParameterMismatch):
        line = learners_line(error, exercise)
        said = where(line) if line else f"it is called as `{name}({', '.join(arguments)})`"
        sentence = f"`{name}` raises {summary(error)} ({said})"
    return Diagnosis(
        f"{exercise.title}: {sentence}",
        hint=hints[0] if hints else "",
        case=f"The smallest case that fails is number {i + 1} of {len(exercise.built_cases)}:",
        arguments=arguments,
        difference=found,
    )


def _leave_open(exercise: Exercise, answer, error: BaseException) -> Result:
    _, note = record(exercise.name, "open")
    name, line = _name(answer), learners_line(error, exercise)
    task = f"write `{name}`, then run its cell and this one again"
    if line and line[0] != name and not (isinstance(answer, type) and hasattr(answer, line[0])):
        task = f"`{name}` calls `{line[0]}`, which is still to be written"
    _say(
        f"{exercise.title} is open (about {exercise.minutes} minutes, difficulty "
        f"{exercise.difficulty} of 3): {task}.",
        note,
    )
    return Result(exercise.name, "open")


def _succeed(exercise: Exercise, count: int) -> Result:
    entries, note = record(exercise.name, "done")
    done = sum(
        entry["chapter"] == exercise.chapter and entry["status"] == "done"
        for entry in entries.values()
    )
    _say(
        f"{exercise.title} is right in all {count} cases. Done in {exercise.chapter}: {done}.",
        note,
    )
    return Result(exercise.name, "done", count)


def _fail(exercise: Exercise, diagnosis: Diagnosis) -> NoReturn:
    entries, note = record(exercise.name, "tried")
    opened = exercise.hints[: max(entries[exercise.name]["tries"] - 1, 0)]
    left = len(exercise.hints) - len(opened)
    if left:
        more = f"{left} more hint{'s' if left > 1 else ''} will open, one with each further try."
    else:
        more = f"The solution is in exercises/solutions/{exercise.chapter}.ipynb."
    notes = (more, note) if note else (more,)
    diagnosis = replace(diagnosis, steps=tuple(opened), notes=notes)
    if _in_ipython():
        from IPython.display import display

        display(diagnosis)
    raise CheckFailed(repr(diagnosis)) from None


def _say(*sentences: str):
    print("\n".join(sentence for sentence in sentences if sentence))


def _name(answer) -> str:
    return getattr(answer, "__name__", type(answer).__name__)


def _in_ipython() -> bool:
    ipython = sys.modules.get("IPython")  # not imported just to ask
    return ipython is not None and ipython.get_ipython() is not None
