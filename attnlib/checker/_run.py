"""Run an implementation on the cases of an exercise, and compare what two of them did."""

import copy
import random
import sysconfig
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from attnlib.checker._compare import Difference, describe, difference
from attnlib.checker._exercise import Exercise
from attnlib.checker._limit import TimeLimit, run_within

_SEED = 20170612  # the same draws for every implementation of one case


@dataclass(frozen=True, eq=False)
class Outcome:
    """What an implementation did on one case: it returned a value or raised an error."""

    value: object = None
    error: BaseException | None = None
    changed: tuple[str, ...] = ()  # names of the arguments that it changed in place


class ParameterMismatch(Exception):
    """The parameters of a module are not those that the exercise asks for."""


def outcomes(exercise: Exercise, implementation: Callable) -> list[Outcome]:
    """Run an implementation on copies of all cases; on a time-out the last outcome says so.

    The global random state and the gradient mode are as before when this returns.
    """
    results: list[Outcome] = []
    cases, deadline = exercise.built_cases, time.monotonic() + exercise.time_limit

    def run_all():
        for case in cases:
            outcome = _run(exercise, implementation, case)
            if time.monotonic() > deadline:  # the implementation caught what should stop it
                raise TimeLimit
            results.append(outcome)

    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    try:
        with torch.set_grad_enabled(exercise.needs_grad):
            in_time = run_within(exercise.time_limit, run_all)
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.set_rng_state(states[2])
    if not in_time:
        results.append(Outcome(error=TimeLimit()))
    return results


def departure(wanted: Outcome, got: Outcome, tolerance: float | None) -> Difference | None:
    """How one outcome differs from another, or None when they are alike."""
    if got.error is not None:
        same = wanted.error is not None and isinstance(got.error, type(wanted.error))
        if isinstance(got.error, ParameterMismatch):
            same = same and str(got.error) == str(wanted.error)
            return None if same else Difference(str(got.error))
        return None if same else Difference(f"it raises {summary(got.error)}")
    if wanted.error is not None:
        name = type(wanted.error).__name__
        return Difference(f"it returns {describe(got.value)}, wanted the exception {name}")
    if got.changed != wanted.changed:
        names = ", ".join(f"`{name}`" for name in got.changed)
        if not names:
            names = ", ".join(f"`{name}`" for name in wanted.changed)
            return Difference(f"it leaves {names} as before, wanted it changed in place")
        return Difference(
            f"it changes its input {names} in place; work on a copy, or avoid `+=`, item "
            f"assignment and methods that end in `_`"
        )
    if got.value is None and wanted.value is not None:
        return Difference("it returns None; does every path end in `return`?")
    return difference(wanted.value, got.value, tolerance)


def summary(error: BaseException) -> str:
    """The type and the first line of the message of an exception."""
    message = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def is_stub(outcome: Outcome) -> bool:
    """Whether the implementation is still to be written.

    A stub raises NotImplementedError without a message; torch says what it does not implement.
    """
    return isinstance(outcome.error, NotImplementedError) and not outcome.error.args


def learners_line(error: BaseException, exercise: Exercise) -> tuple[str, int, str] | None:
    """Function, line number and file of the innermost line of an error that is the learner's."""
    attnlib, standard = Path(__file__).resolve().parents[1], sysconfig.get_paths()["stdlib"]
    found = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        code, file = frame.f_code, Path(frame.f_code.co_filename)
        foreign = (
            file.is_relative_to(attnlib)
            or file.is_relative_to(standard)
            or {"site-packages", "dist-packages"} & set(file.parts)
            or code.co_filename.startswith("<frozen")
            or code is getattr(exercise.call, "__code__", None)
        )
        if not foreign:
            found = (code.co_name, line, code.co_filename)
    return found


def _run(exercise: Exercise, implementation: Callable, case) -> Outcome:
    given = copy.deepcopy(case)
    random.seed(_SEED)
    np.random.seed(_SEED)  # noqa: NPY002
    torch.default_generator.manual_seed(_SEED)  # the CPU's only: no other device is touched
    try:
        value = _call(exercise, implementation, given)
    except (Exception, SystemExit) as error:
        return Outcome(error=error)
    before, after = exercise.arguments(case), exercise.arguments(given)
    changed = tuple(name for name in before if _has_changed(before[name], after[name]))
    return Outcome(value=value, changed=changed)


def _call(exercise: Exercise, implementation: Callable, case):
    if exercise.call is not None:
        return _apply(lambda *a, **k: exercise.call(implementation, *a, **k), case)
    if not exercise.wants_module:
        return _apply(implementation, case)
    built, inputs = case
    wanted = _apply(exercise.reference, built).state_dict()
    module = _apply(implementation, built)
    _check_parameters(wanted, module)
    module.load_state_dict(wanted)
    return _apply(module.eval(), inputs)


def _check_parameters(wanted: dict, module: nn.Module):
    """Answers are compared with the same parameters, so they must have the same names."""
    if not isinstance(module, nn.Module):
        raise ParameterMismatch("the class is no subclass of nn.Module")
    got = module.state_dict()
    for name in wanted:
        if name not in got:
            raise ParameterMismatch(
                f"the module has no parameter `{name}`; it has {', '.join(got) or 'none'}"
            )
        if got[name].shape != wanted[name].shape:
            raise ParameterMismatch(
                f"the parameter `{name}` has shape {tuple(got[name].shape)}, "
                f"wanted {tuple(wanted[name].shape)}"
            )
    for name in got:
        if name not in wanted:
            raise ParameterMismatch(f"the module has a parameter `{name}` that is not asked for")


def _apply(function: Callable, arguments: tuple | dict):
    return function(**arguments) if isinstance(arguments, dict) else function(*arguments)


def _has_changed(before, after) -> bool:
    try:
        return difference(before, after, 0.0) is not None
    except (TypeError, ValueError):  # an object without equality: nothing to compare
        return False
