"""An exercise: a right implementation, cases to try it on, and the mistakes that people make."""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property

from torch import nn

from attnlib.checker._compare import describe

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*/[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, eq=False, repr=False)
class Exercise:
    """One function or class to write, and all that is needed to say what is wrong with an answer.

    Args:
        name: chapter/exercise in lower case with hyphens; no two exercises share one.
        reference: a right implementation: a function, or a class when the answer is one.
        cases: at least three, from the smallest to the largest: tuples of positional arguments or
            dicts of keyword arguments. When `reference` is a subclass of nn.Module, each case is
            a pair (arguments of the class, arguments of its forward). A function without
            arguments that returns or yields them is called when the first answer is checked.
        mistakes: at least four known mistakes, {hint: wrong implementation}.
        hints: further steps, which open one by one: a nudge, a shape trace, pseudo-code.
        minutes: how long it takes a learner.
        difficulty: 1, 2 or 3.
        call: call(answer, *case) runs an implementation on a case, for answers that cannot just
            be called, such as a class with state.
        needs_grad: leave gradients on.
        tolerance: relative and absolute, instead of the one that suits the dtype of the result.
        time_limit: seconds for all cases together.

    Raises:
        TypeError: a reference, mistake, case or hint of the wrong kind.
        ValueError: a name, number of cases or number of mistakes that is not allowed.

    >>> Exercise(
    ...     "arithmetic/double",
    ...     lambda x: 2 * x,
    ...     [(3,), (5,), (7,)],
    ...     {
    ...         "That squares.": lambda x: x * x,
    ...         "That halves.": lambda x: x / 2,
    ...         "That adds 2.": lambda x: x + 2,
    ...         "That changes nothing.": lambda x: x,
    ...     },
    ... )
    Exercise('arithmetic/double')
    """

    name: str
    reference: Callable
    cases: Sequence | Callable[[], Iterable]
    mistakes: Mapping[str, Callable]
    _: KW_ONLY
    hints: Sequence[str] = ()
    minutes: int = 10
    difficulty: int = 1
    call: Callable | None = None
    needs_grad: bool = False
    tolerance: float | None = None
    time_limit: float = 10.0

    def __post_init__(self):
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise ValueError(
                f"Exercise: name is {self.name!r}, expected chapter/exercise in lower case with "
                f"hyphens; write for example 'self-attention/split-heads'"
            )
        if not isinstance(self.mistakes, Mapping):
            raise TypeError(
                f"Exercise: mistakes of {self.name} is {describe(self.mistakes)}, expected a "
                f"dict; write {{hint: wrong implementation}}"
            )
        if len(self.mistakes) < 4:
            raise ValueError(
                f"Exercise: {self.name} has {len(self.mistakes)} known mistakes, expected at "
                f"least 4; write a wrong implementation for each thing that people get wrong"
            )
        if isinstance(self.hints, str):
            raise TypeError(
                f"Exercise: hints of {self.name} is one string, expected a tuple; "
                f"write hints=(hint,)"
            )
        for hint in (*self.mistakes, *self.hints):
            if not isinstance(hint, str) or not hint.strip():
                raise TypeError(
                    f"Exercise: a hint of {self.name} is {hint!r}, expected a sentence; "
                    f"write what is wrong and why"
                )
        for implementation in (self.reference, *self.mistakes.values()):
            if not callable(implementation):
                raise TypeError(
                    f"Exercise: an implementation in {self.name} is {describe(implementation)}, "
                    f"expected a function or a class; pass it without brackets"
                )
        if self.difficulty not in (1, 2, 3):
            raise ValueError(
                f"Exercise: difficulty of {self.name} is {self.difficulty!r}, expected 1, 2 or 3; "
                f"write difficulty=2 for one that needs an idea"
            )
        if self.minutes < 1 or self.time_limit <= 0:
            raise ValueError(
                f"Exercise: {self.name} has minutes={self.minutes} and "
                f"time_limit={self.time_limit}, expected both above 0; write minutes=10"
            )
        if isinstance(self.cases, Sequence):
            self._check_cases(self.cases)
        elif not callable(self.cases):
            raise TypeError(
                f"Exercise: cases of {self.name} is {describe(self.cases)}, expected a list or a "
                f"function that builds one; pass the function without brackets"
            )

    def __repr__(self):
        return f"Exercise({self.name!r})"

    @property
    def chapter(self) -> str:
        """The part of the name before the slash."""
        return self.name.split("/")[0]

    @property
    def title(self) -> str:
        """The part of the name after the slash."""
        return self.name.split("/")[1]

    @property
    def wants_module(self) -> bool:
        """Whether an answer is a subclass of nn.Module that `check` builds and runs itself."""
        reference = self.reference
        is_module = isinstance(reference, type) and issubclass(reference, nn.Module)
        return is_module and self.call is None

    @cached_property
    def built_cases(self) -> list:
        """The cases, built now if `cases` is a function."""
        cases = list(self.cases() if callable(self.cases) else self.cases)
        self._check_cases(cases)
        return cases

    def arguments(self, case) -> dict[str, object]:
        """The arguments of a case by the names that the reference gives them."""
        if self.wants_module:
            built, inputs = case
            return _named(self.reference.__init__, built, skip=1) | _named(
                self.reference.forward, inputs, skip=1
            )
        if self.call is not None:
            return _named(self.call, case, skip=1)
        return _named(self.reference, case, skip=0)

    def _check_cases(self, cases: Sequence):
        if len(cases) < 3:
            raise ValueError(
                f"Exercise: {self.name} has {len(cases)} cases, expected at least 3; "
                f"begin with the smallest one that can show a mistake"
            )
        for case in cases:
            if self.wants_module:
                good = isinstance(case, tuple) and len(case) == 2 and all(map(_is_case, case))
                wanted = "a pair (arguments of the class, arguments of forward)"
            else:
                good, wanted = _is_case(case), "a tuple or a dict of arguments"
            if not good:
                raise TypeError(
                    f"Exercise: a case of {self.name} is {describe(case)}, expected {wanted}; "
                    f"write (x,) for one argument"
                )


def _is_case(arguments) -> bool:
    return isinstance(arguments, tuple | dict)


def _named(function: Callable, arguments: tuple | dict, skip: int) -> dict[str, object]:
    if isinstance(arguments, dict):
        return dict(arguments)
    try:
        names = list(inspect.signature(function).parameters)[skip:]
    except ValueError:  # some builtins do not tell their signature
        names = []
    names += [f"argument {i}" for i in range(len(names), len(arguments))]
    return dict(zip(names, arguments, strict=False))
