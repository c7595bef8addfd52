"""The checker says what is wrong with an answer, loses nothing and leaves everything as it was."""

import collections
import functools
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from errors import check_error
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from torch import nn

from attnlib.checker import CheckFailed, Exercise, Result, _limit, _progress, check, progress
from attnlib.checker.__main__ import main
from attnlib.checker._compare import describe, difference
from attnlib.checker._limit import TimeLimit, run_within
from attnlib.checker._report import Diagnosis
from attnlib.checker._run import outcomes

L, S = 2, 3
NAME = "scaled-dot-product/masked-weights"


# ---------------------------------------------------------------- an exercise to answer


def masked_weights(scores, mask):
    return scores.masked_fill(~mask, float("-inf")).softmax(dim=-1)


def inverted(scores, mask):
    return masked_weights(scores, ~mask)


def over_queries(scores, mask):
    return scores.masked_fill(~mask, -1e9).softmax(dim=0)


def mask_after_softmax(scores, mask):
    return scores.softmax(dim=-1) * mask


def filled_with_zero(scores, mask):
    return (scores * mask).softmax(dim=-1)


MISTAKES = {
    "The mask is upside down.": inverted,
    "The softmax runs over the queries.": over_queries,
    "The mask comes *after* the softmax: use `masked_fill`.": mask_after_softmax,
    "A score of 0 is not small.": filled_with_zero,
}
HINTS = ("Which score has the exponential 0?", "scores (L, S)\nmask   (S,)")


def cases():
    generator = torch.Generator().manual_seed(0)
    for queries, keys in ((L, S), (3, 5), (5, 7)):
        yield torch.randn(queries, keys, generator=generator), torch.arange(keys) < keys - 1


def exercise(reference=masked_weights, cases=cases, mistakes=None, *, name=NAME, **changes):
    return Exercise(name, reference, cases, mistakes or MISTAKES, **{"hints": HINTS} | changes)


def returns(*values):
    """An exercise whose cases ask for these values, whatever the answer does to its input."""
    wrong = {f"Mistake {n}.": lambda i, n=n: f"mistake {n}" for n in range(4)}
    return exercise(lambda i: values[i % len(values)], [(0,), (1,), (2,)], wrong)


@pytest.fixture(autouse=True)
def progress_file(monkeypatch, tmp_path):
    path = tmp_path / "data" / "progress.json"
    monkeypatch.setenv("ATTNLIB_PROGRESS", str(path))
    monkeypatch.setattr(_progress, "_unsaved", {})
    return path


def diagnosis(answer, asked=None) -> str:
    with pytest.raises(CheckFailed) as failure:
        check(asked or exercise(), answer)
    return str(failure.value)


def heading(answer, asked=None) -> str:
    return diagnosis(answer, asked).split("\n")[0].removeprefix("masked-weights: ")


def kept(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))["exercises"]


# ---------------------------------------------------------------- the exercise


def test_an_exercise_knows_its_chapter_and_shows_its_name_only():
    asked = exercise()
    assert (asked.chapter, asked.title) == ("scaled-dot-product", "masked-weights")
    assert repr(asked) == f"Exercise('{NAME}')"


def test_cases_of_a_function_are_built_once_and_late():
    built = []

    def late():
        built.append(1)
        return [(1,), (2,), (3,)]

    asked = exercise(cases=late)
    assert not built
    assert len(asked.built_cases) == len(asked.built_cases) == 3
    assert built == [1]


class Scale(nn.Module):
    """Multiplies by a matrix, and by a number that is given."""

    def __init__(self, features, factor=1.0):
        super().__init__()
        self.proj = nn.Linear(features, features, bias=False)
        self.factor = factor

    def forward(self, x):
        return self.proj(x) * self.factor


def two_cases():
    return [(1,), (2,)]


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"name": "masked_weights"}, ValueError, "name is 'masked_weights'"),
        ({"name": "Part/Exercise"}, ValueError, "lower case"),
        ({"name": 3}, ValueError, "name is 3"),
        ({"mistakes": list(MISTAKES)}, TypeError, "is a list of 4, expected a dict"),
        ({"mistakes": {"No.": min}}, ValueError, "1 known mistakes, expected at least 4"),
        ({"mistakes": MISTAKES | {" ": min}}, TypeError, "a hint of .* is ' '"),
        ({"mistakes": MISTAKES | {"No.": 0.5}}, TypeError, "is a float, expected a function"),
        ({"reference": None}, TypeError, "is None, expected a function"),
        ({"hints": "nudge"}, TypeError, "is one string"),
        ({"hints": (3,)}, TypeError, "a hint of .* is 3"),
        ({"difficulty": 4}, ValueError, "is 4, expected 1, 2 or 3"),
        ({"minutes": 0}, ValueError, "minutes=0"),
        ({"time_limit": 0}, ValueError, "time_limit=0"),
        ({"cases": [(1,), (2,)]}, ValueError, "2 cases, expected at least 3"),
        ({"cases": cases()}, TypeError, "is a generator, expected a list or a function"),
        ({"cases": [1, 2, 3]}, TypeError, "is an int, expected a tuple or a dict"),
        ({"reference": Scale, "cases": [(1,), (2,), (3,)]}, TypeError, "expected a pair"),
    ],
)
def test_a_bad_exercise_is_refused_when_it_is_made(changes, kind, words):
    check_error(lambda: exercise(**changes), kind, words)


def test_bad_cases_of_a_function_are_refused_when_they_are_built():
    check_error(lambda: check(exercise(cases=two_cases), min), ValueError, "has 2 cases")


def test_what_is_no_exercise_is_refused():
    check_error(lambda: check(masked_weights, exercise()), TypeError, "first argument is a func")


def test_a_reference_that_returns_what_cannot_be_compared_is_the_fault_of_the_exercise():
    check_error(
        lambda: check(returns(nn.Linear(2, 3)), lambda i: nn.Linear(2, 3)), TypeError, "Linear"
    )


# ---------------------------------------------------------------- open, right, wrong


def stub(scores, mask):
    raise NotImplementedError  # your code here


def test_a_stub_is_open_and_no_error(capsys, progress_file):
    result = check(exercise(minutes=8, difficulty=2), stub)
    assert result == Result(NAME, "open")
    printed = capsys.readouterr().out
    assert re.fullmatch(
        r"masked-weights is open \(about 8 minutes, .* 2 of 3\).*`stub`.*\n", printed
    )
    assert kept(progress_file)[NAME] == {
        "chapter": "scaled-dot-product",
        "status": "open",
        "tries": 0,
    }


def test_an_answer_that_calls_a_stub_is_open_and_names_it(capsys):
    def answer(scores, mask):
        return stub(scores, mask)

    assert check(exercise(), answer).status == "open"
    assert "`answer` calls `stub`, which is still to be written.\n" in capsys.readouterr().out


def test_the_reference_passes_in_one_line(capsys):
    result = check(exercise(), masked_weights)
    assert result == Result(NAME, "done", 3)
    printed = capsys.readouterr().out
    assert printed == "masked-weights is right in all 3 cases. Done in scaled-dot-product: 1.\n"


def test_the_number_of_exercises_done_counts_this_chapter_only(capsys):
    for name in ("self-attention/b", "scaled-dot-product/c", NAME):
        check(exercise(name=name), masked_weights)
    assert capsys.readouterr().out.endswith("Done in scaled-dot-product: 2.\n")


def test_not_implemented_with_a_message_is_an_error_of_the_answer():
    assert "softmax" in heading(lambda s, m: torch.zeros(2, dtype=torch.int64).softmax(0))


def test_a_stub_after_the_first_case_is_an_error_of_the_answer():
    def half(scores, mask):
        if len(mask) > S:
            raise NotImplementedError
        return masked_weights(scores, mask)

    text = diagnosis(half)
    assert "raises NotImplementedError (in `half`" in text
    assert "number 2 of 3" in text


@pytest.mark.parametrize("hint", MISTAKES)
def test_a_known_mistake_gets_its_own_hint(hint):
    text = diagnosis(MISTAKES[hint])
    assert [h for h in MISTAKES if h in text] == [hint]


def test_a_mistake_that_is_made_in_some_cases_only_gets_no_hint():
    def sometimes(scores, mask):
        return inverted(scores, mask) if len(mask) > S else masked_weights(scores, mask)

    text = diagnosis(sometimes)
    assert not [hint for hint in MISTAKES if hint in text]
    assert "number 2 of 3" in text


def test_mistakes_are_told_apart_by_their_errors_and_changes_too():
    def raises(scores, mask):
        if len(mask) > S:
            raise KeyError(S)
        return scores

    mistakes = MISTAKES | {
        "It raises.": raises,
        "It returns nothing.": lambda scores, mask: None,
        "It writes into the scores.": lambda s, m: s.masked_fill_(~m, -1e9).softmax(dim=-1),
        "It has another shape.": lambda scores, mask: masked_weights(scores, mask).T,
        "It has another dtype.": lambda scores, mask: masked_weights(scores, mask).double(),
    }
    for hint, mistake in mistakes.items():
        text = diagnosis(mistake, exercise(mistakes=mistakes))
        assert [h for h in mistakes if h in text] == [hint]


def test_a_mistake_that_only_raises_is_no_match_for_an_answer_that_raises():
    def never(scores, mask):
        raise ValueError("no")

    text = diagnosis(never, exercise(mistakes=MISTAKES | {"Forbidden.": never}))
    assert "Forbidden." not in text


def test_the_smallest_failing_case_shows_arguments_wanted_and_got():
    def planted(scores, mask):
        weights = masked_weights(scores, mask)
        weights[1, 0] += 0.5
        return weights

    text = diagnosis(planted)
    assert "the result at [1, 0] is 1.33929, wanted 0.83929\n" in text
    assert "number 1 of 3:\n  scores = a tensor of shape (2, 3), float32\n" in text
    assert "[[ 1.541 -0.293 -2.179]" in text
    assert "  1  0.8393  0.1607  0    1  *1.339  0.1607  0\n" in text


def test_an_exercise_may_want_an_exception():
    def root(x):
        if x < 0:
            raise ValueError(x)
        return x**0.5

    asked = exercise(root, [(4.0,), (9.0,), (-1.0,)])
    assert check(asked, root).status == "done"
    assert heading(
        lambda x: abs(x) ** 0.5, asked
    ) == "it returns a float, wanted the exception " + ("ValueError")


def test_keyword_arguments_and_default_values_work():
    asked = exercise(cases=[{"scores": s, "mask": m} for s, m in cases()])
    assert check(asked, masked_weights).cases == 3
    assert "unexpected keyword argument 'scores'" in heading(lambda a, mask: a, asked)


# ---------------------------------------------------------------- bad answers, one sentence each


def add_in_place(scores, mask):
    scores += 0
    scores[0, 0] = 7.0
    return scores


def unknown_dimension(scores, mask):
    scores = scores + 1
    return scores.softmax(dim=7)


def leaves(scores, mask):
    sys.exit(3)


W = masked_weights


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "the answer is None; pass the function itself, and define it first"),
        (torch.zeros(2), r"the answer is a tensor of shape \(2,\); pass .* without brackets"),
        (lambda s, m: None, "it returns None; does every path end in `return`\\?"),
        (lambda s, m: 0.5, r"the result is a float, wanted a tensor of shape \(2, 3\)"),
        (lambda s, m: W(s, m).numpy(), "the result is a numpy array of .*, wanted a tensor.*"),
        (lambda s, m: (W(s, m), 1), "the result is a tuple of 2, wanted a tensor.*"),
        (lambda s, m: W(s, m)[:1], r"the result has shape \(1, 3\), wanted \(2, 3\)"),
        (lambda s, m: W(s, m).half(), "the result has dtype torch.float16, wanted torch.float32"),
        (lambda s, m: W(s, m).to("meta"), "the result is on device meta, wanted cpu"),
        (lambda s, m: W(s, m) * torch.nan, r"the result has NaN at \[0, 0\] and in 5 more places"),
        (add_in_place, "it changes its input `scores` in place; .*"),
        (lambda s: s, r"`<lambda>` raises TypeError: .* called as `<lambda>\(scores, mask\)`\)"),
        (lambda s, m: 1 / 0, r"`<lambda>` raises ZeroDivisionError: division by zero \(in .*"),
        (leaves, r"`leaves` raises SystemExit: 3 \(in `leaves`, line \d+: `sys.exit\(3\)`\)"),
        (
            unknown_dimension,
            r"`unknown_dimension` raises IndexError: .* \(in `unknown_dimension`, line "
            rf"{unknown_dimension.__code__.co_firstlineno + 2}: `return scores.softmax\(dim=7\)`\)",
        ),
        (functools.partial(unknown_dimension, mask=1), "`partial` raises TypeError: .*"),
    ],
)  # fmt: skip
def test_a_bad_answer_gets_one_clear_sentence(answer, words):
    assert re.fullmatch(words, heading(answer))


def test_the_line_of_an_error_inside_a_library_is_the_line_that_called_it():
    def asks_torch(scores, mask):
        return nn.functional.cross_entropy(scores, "target")

    first = asks_torch.__code__.co_firstlineno
    assert f"(in `asks_torch`, line {first + 1}: `return nn.f" in heading(asks_torch)


# ---------------------------------------------------------------- values of every kind

Pair = collections.namedtuple("Pair", "a b")
VECTOR, SPARSE = torch.tensor([1.0, 2.0, 3.0]), torch.eye(2).to_sparse()


@pytest.mark.parametrize(
    ("wanted", "got"),
    [
        (VECTOR, VECTOR + 1e-7),
        (VECTOR.double(), VECTOR.double() * (1 + 1e-9)),
        (VECTOR.half(), VECTOR.half() * 1.001),
        (VECTOR.bfloat16(), VECTOR.bfloat16() * 1.01),
        (torch.tensor([torch.nan, torch.inf]), torch.tensor([torch.nan, torch.inf])),
        (SPARSE, SPARSE),
        (torch.tensor(3), torch.tensor(3)),
        (np.arange(3), np.arange(3)),
        (np.arange(3.0), np.arange(3.0) + 1e-9),
        (np.array(["a", "b"]), np.array(["a", "b"])),
        (0.1 + 0.2, 0.3),
        (0.5, np.float32(0.5)),
        (2.0, 2),
        (3, np.int64(3)),
        (True, np.True_),
        (1j, 1j),
        (torch.nan, torch.nan),
        ("word", "word"),
        (None, None),
        (torch.float32, torch.float32),
        (VECTOR.shape, (3,)),
        ((1, "a"), Pair(1, "a")),
        ({"b": [VECTOR, 1], "a": ()}, {"a": (), "b": [VECTOR, 1]}),
        ({1, 2}, {2, 1}),
    ],
)
def test_equal_values_have_no_difference(wanted, got):
    assert difference(wanted, got) is None


@pytest.mark.parametrize(
    ("wanted", "got", "sentence"),
    [
        (VECTOR, VECTOR + 1e-3, "the result at [0] is 1.001, wanted 1; 3 of 3 elements differ"),
        (VECTOR, VECTOR + torch.inf, "the result at [0] is inf, wanted 1; 3 of 3 elements differ"),
        (VECTOR[:1].double(), VECTOR[:1].double() + 1e-5, "the result at [0] is 1.00001, wanted 1"),
        (VECTOR, VECTOR.long(), "the result has dtype torch.int64, wanted torch.float32"),
        (VECTOR > 1, VECTOR > 2, "the result at [1] is False, wanted True"),
        (torch.tensor(3), torch.tensor(4), "the result is 4, wanted 3"),
        (SPARSE, torch.eye(2), "the result has layout torch.strided, wanted torch.sparse_coo"),
        (np.arange(3), np.array([0, 1, 5]), "the result at [2] is 5, wanted 2"),
        (np.arange(3.0), np.arange(3), "the result has dtype int64, wanted float64"),
        (np.ones(1), 1.0, "the result is a float, wanted a numpy array of shape (1,)"),
        (np.array(["a", "b"]), np.array(["a", "c"]), "the result at [1] is 'c', wanted 'b'"),
        (0.5, 0.5000001234, None),
        (0.5, 0.5001234, "the result is 0.500123, wanted 0.5"),
        (1000.0, 1000.5, "the result is 1000.5, wanted 1000"),
        (123456.0, 123506.0, "the result is 123506, wanted 123456"),
        (1.0, torch.nan, "the result is NaN, wanted 1"),
        (1.0, VECTOR[0], "the result is a tensor of shape (), wanted a float; .item() turns a "
         "tensor of one element into a number"),
        (1, 1.0, "the result is a float, wanted an int"),
        (1, True, "the result is a bool, wanted an int"),
        (True, 1, "the result is an int, wanted a bool"),
        (1.0, "1.0", "the result is a str, wanted a float"),
        (3, 4, "the result is 4, wanted 3"),
        ("yes", "no", "the result is 'no', wanted 'yes'"),
        (None, 1, "the result is an int, wanted None"),
        ((1, 2), [1, 2], "the result is a list of 2, wanted a tuple of 2"),
        ((1, 2), (1, 2, 3), "the result is a tuple of 3, wanted a tuple of 2"),
        ((1, VECTOR), (1, VECTOR[:1]), "item 1 of the result has shape (1,), wanted (3,)"),
        ([1, (2, 3)], [1, (2, 4)], "item 1 of item 1 of the result is 4, wanted 3"),
        ({"a": 1}, {}, "the result lacks the key 'a'"),
        ({}, {"b": 1}, "the result has the key 'b' that was not asked for"),
        ({"a": 1}, {"a": 2}, "key 'a' of the result is 2, wanted 1"),
        ({"a": 1}, [1], "the result is a list of 1, wanted a dict of 1"),
    ],
)  # fmt: skip
def test_a_difference_is_one_sentence(wanted, got, sentence):
    found = difference(wanted, got)
    assert (found and found.sentence) == sentence


def test_a_tolerance_replaces_that_of_the_dtype():
    assert difference(VECTOR, VECTOR + 1e-3, tolerance=1e-2) is None
    assert difference(VECTOR, VECTOR + 1e-7, tolerance=0.0) is not None
    assert difference(1.0, 1.001, tolerance=1e-2) is None
    asked = exercise(tolerance=0.5)
    assert check(asked, lambda s, m: masked_weights(s, m) + 0.1).status == "done"


def test_a_value_is_described_by_its_kind_and_size():
    assert describe({"a": 1}) == "a dict of 1"
    assert describe(Ellipsis) == "an ellipsis"


# ---------------------------------------------------------------- classes


class NoFactor(Scale):
    def forward(self, x):
        return self.proj(x)


class Transposed(Scale):
    def forward(self, x):
        return x @ self.proj.weight * self.factor


class Twice(Scale):
    def forward(self, x):
        return self.proj(self.proj(x)) * self.factor


class Added(Scale):
    def forward(self, x):
        return self.proj(x) + self.factor


def scale_exercise():
    mistakes = {"No factor.": NoFactor, "Transposed.": Transposed, "Twice.": Twice, "Sum.": Added}
    given = [((n, 2.5), (torch.arange(2.0 * n).view(2, n),)) for n in (2, 3, 5)]
    return exercise(Scale, given, mistakes)


class Other(nn.Module):
    """Another way to write it: other draws, other order, the same name of the parameter."""

    def __init__(self, features, factor=1.0):
        super().__init__()
        self.factor = factor
        torch.rand(3)
        self.proj = nn.Linear(features, features, bias=False)

    def forward(self, x):
        return (self.factor * x) @ self.proj.weight.T


def test_a_module_is_compared_with_the_parameters_of_the_reference():
    assert check(scale_exercise(), Other).cases == 3
    assert "Transposed." in diagnosis(Transposed, scale_exercise())
    assert "features = 2\n  factor = 2.5\n  x = a tensor" in diagnosis(Twice, scale_exercise())


def test_a_module_is_compared_in_evaluation_mode():
    class Drops(Scale):
        def forward(self, x):
            return nn.functional.dropout(super().forward(x), 0.5, self.training)

    assert check(scale_exercise(), Drops).status == "done"


class Renamed(nn.Module):
    def __init__(self, features, factor):
        super().__init__()
        self.linear = nn.Linear(features, features, bias=False)


class Wide(Renamed):
    def __init__(self, features, factor):
        nn.Module.__init__(self)
        self.proj = nn.Linear(features, 7, bias=False)


class Biased(Renamed):
    def __init__(self, features, factor):
        nn.Module.__init__(self)
        self.proj = nn.Linear(features, features)


class Unfinished(Scale):
    def forward(self, x):
        raise NotImplementedError  # your code here


class Headless(nn.Module):
    def __init__(self, features, factor):
        super().__init__()
        self.proj = nn.Linear(features, features, bias=False)


class Plain:
    def __init__(self, features, factor):
        pass


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Renamed, "the module has no parameter `proj.weight`; it has linear.weight"),
        (Wide, r"the parameter `proj.weight` has shape \(7, 2\), wanted \(2, 2\)"),
        (Biased, "the module has a parameter `proj.bias` that is not asked for"),
        (Plain, "the class is no subclass of nn.Module"),
        (Headless, r"`Headless` raises NotImplementedError: .* missing the required .forward.*"),
        (Scale(2), "the answer is a Scale, wanted a class; pass it without brackets"),
    ],
)
def test_a_module_that_does_not_fit_gets_one_clear_sentence(answer, words):
    assert re.fullmatch(words, heading(answer, scale_exercise()))


def test_a_mistake_in_the_parameters_of_a_module_gets_its_own_hint():
    asked = scale_exercise()
    asked = exercise(Scale, asked.cases, asked.mistakes | {"Too wide.": Wide, "A bias.": Biased})
    for answer, hint in ((Wide, "Too wide."), (Biased, "A bias."), (Renamed, None)):
        text = diagnosis(answer, asked)
        assert [known for known in asked.mistakes if known in text] == [hint] * (hint is not None)


def test_a_module_without_its_forward_is_open(capsys):
    assert check(scale_exercise(), Unfinished).status == "open"
    assert "write `Unfinished`, then run its cell" in capsys.readouterr().out


def test_call_runs_a_class_with_state():
    class Total:
        def __init__(self):
            self.sum = 0

        def add(self, x):
            self.sum += x

    class Last(Total):
        def add(self, x):
            self.sum = x

    def add_all(cls, numbers):
        total = cls()
        for number in numbers:
            total.add(number)
        return total.sum

    wrong = {f"Mistake {i}.": Last for i in range(4)}
    asked = exercise(Total, [([2],), ([2, 3],), ([2, 3, 5],)], wrong, call=add_all)
    assert check(asked, Total).status == "done"
    text = diagnosis(Last, asked)
    assert "the result is 3, wanted 5" in text
    assert "numbers = [2, 3]" in text
    Last.add = lambda self, x: 1 / 0
    assert "(in `<lambda>`" in heading(Last, asked)
    Last.add = None
    assert "it is called as `Last(numbers)`" in heading(Last, asked)


# ---------------------------------------------------------------- nothing is disturbed


def test_the_cases_are_the_same_after_an_answer_that_changes_them():
    asked = exercise()
    before = [scores.clone() for scores, _ in asked.built_cases]
    diagnosis(add_in_place, asked)
    assert all(torch.equal(a, b) for a, (b, _) in zip(before, asked.built_cases, strict=True))
    assert check(asked, masked_weights).status == "done"


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x["rows"].append(1),
        lambda x: x["array"].__setitem__(0, 7),
        lambda x: x.pop("rows"),
        lambda x: x["tensor"].add_(1),
    ],
)
def test_a_change_inside_a_container_is_seen(change):
    def answer(x):
        change(x)
        return 1

    given = [({"rows": [0], "array": np.arange(3), "tensor": torch.ones(2), "net": Scale(2)},)] * 3
    assert "changes its input `x`" in heading(answer, exercise(lambda x: 1, given))


def test_an_exercise_may_want_its_input_changed():
    def push(rows):
        rows.append(1)
        return rows

    asked = exercise(push, [([],), ([2],), ([2, 3],)])
    assert check(asked, push).status == "done"
    assert heading(lambda rows: [*rows, 1], asked).startswith("it leaves `rows` as before")


def test_random_states_are_left_alone_and_every_implementation_draws_the_same():
    def noise(n):
        return torch.rand(n) + torch.from_numpy(np.random.rand(n)) + random.random()  # noqa: NPY002

    def wasteful(n):
        torch.rand(100), random.random()
        return torch.zeros(n).double()

    torch.manual_seed(3)
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002
    wanted = torch.rand(1), random.random(), np.random.rand()  # noqa: NPY002
    torch.manual_seed(3)
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002
    asked = exercise(noise, [(2,), (3,), (5,)])
    assert check(asked, noise).status == "done"
    diagnosis(wasteful, asked)
    assert wanted == (torch.rand(1), random.random(), np.random.rand())  # noqa: NPY002


@pytest.mark.parametrize("needs_grad", [False, True])
def test_gradients_are_off_unless_the_exercise_needs_them(needs_grad):
    seen = []

    def answer(x):
        seen.append(torch.is_grad_enabled())
        return 1

    assert check(exercise(lambda x: 1, [(1,)] * 3, needs_grad=needs_grad), answer).status == "done"
    assert seen == [needs_grad] * 3
    assert torch.is_grad_enabled()


def test_an_answer_may_call_backward_where_gradients_are_needed():
    def slope(x):
        (x**2).sum().backward()
        return x.grad

    given = [(torch.arange(float(n)).requires_grad_(),) for n in (1, 2, 3)]
    assert check(exercise(slope, given, needs_grad=True), lambda x: 2 * x.detach()).cases == 3


# ---------------------------------------------------------------- the time limit


def loops(scores, mask):
    while True:
        pass


def loops_and_catches(scores, mask):
    while True:
        try:
            time.sleep(0.001)
        except:  # noqa: E722
            mask = ~mask


def catches_and_returns(scores, mask):
    try:
        loops(scores, mask)
    except BaseException:
        return masked_weights(scores, mask)


def sleeps(scores, mask):
    time.sleep(60)


def waits(scores, mask):
    never = threading.Condition()
    with never:
        never.wait()


def looping_in_the_second_case(scores, mask):
    return masked_weights(scores, mask) if len(mask) == S else loops(scores, mask)


needs_alarm = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no alarm signal here")


@needs_alarm
@pytest.mark.parametrize(
    "answer",
    [loops, loops_and_catches, catches_and_returns, sleeps, waits],
    ids=lambda f: f.__name__,
)
def test_an_answer_that_never_ends_is_stopped(answer):
    handler = signal.getsignal(signal.SIGALRM)
    outer = signal.getitimer(signal.ITIMER_REAL)[0]
    wanted = f"`{answer.__name__}` still runs after 0.3 s; does a loop never end?"
    assert heading(answer, exercise(time_limit=0.3)) == wanted
    assert signal.getsignal(signal.SIGALRM) is handler
    assert (signal.getitimer(signal.ITIMER_REAL)[0] > 0) == (outer > 0)
    assert torch.is_grad_enabled()


def test_the_case_that_never_ends_is_named_and_a_wrong_case_before_it_comes_first():
    asked = exercise(time_limit=0.3)
    assert "number 2 of 3" in diagnosis(looping_in_the_second_case, asked)
    wrong_then_loops = heading(lambda s, m: s.T if len(m) == S else loops(s, m), asked)
    assert wrong_then_loops == "the result has shape (3, 2), wanted (2, 3)"


def test_an_answer_that_catches_the_limit_and_goes_on_is_still_too_slow():
    def answer(scores, mask):
        loop = len(mask) == 5
        return catches_and_returns(scores, mask) if loop else masked_weights(scores, mask)

    text = diagnosis(answer, exercise(time_limit=0.3))
    assert "`answer` still runs after 0.3 s" in text
    assert "number 2 of 3" in text


@pytest.mark.parametrize("answer", [loops, catches_and_returns], ids=lambda f: f.__name__)
@pytest.mark.parametrize("runner", ["run_within", "_run_with_watcher"])
def test_the_limit_holds_in_other_threads_and_without_signals(answer, runner):
    ended = []

    def work():
        ended.append(getattr(_limit, runner)(0.1, lambda: answer(*next(cases()))))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ended == [False]
    work()
    assert ended == [False, False]


@pytest.mark.parametrize("run", [run_within, _limit._run_with_watcher])
def test_the_limit_lets_quick_work_return_and_raise(run):
    trace, threads = sys.gettrace(), threading.active_count()
    assert run(5.0, lambda: None)
    with pytest.raises(ZeroDivisionError):
        run(5.0, lambda: 1 / 0)
    assert sys.gettrace() is trace
    assert threading.active_count() == threads


@needs_alarm
def test_an_alarm_that_was_set_before_still_rings():
    timer = signal.setitimer(signal.ITIMER_REAL, 60.0, 7.0)
    try:
        assert not run_within(0.1, lambda: loops(None, None))
        left, interval = signal.getitimer(signal.ITIMER_REAL)
        assert 0 < left <= 59.9
        assert interval == 7.0
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)


@pytest.mark.parametrize("run", [run_within, _limit._run_with_watcher])
def test_an_interrupt_from_the_keyboard_still_interrupts(run):
    def interrupted():
        signal.raise_signal(signal.SIGINT)
        loops(None, None)

    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background
    try:
        with pytest.raises(KeyboardInterrupt):
            run(5.0, interrupted)
    finally:
        signal.signal(signal.SIGINT, handler)


def test_an_interrupted_check_counts_as_no_try(progress_file):
    def interrupted(scores, mask):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check(exercise(), interrupted)
    assert not progress_file.exists()


def test_the_limit_is_no_exception_that_an_answer_would_catch():
    assert not issubclass(TimeLimit, Exception)


# ---------------------------------------------------------------- hints in steps


def test_each_further_failure_opens_one_more_hint():
    texts = [diagnosis(inverted) for _ in range(4)]
    assert "Hint" not in texts[0]
    assert texts[0].endswith("\n2 more hints will open, one with each further try.")
    assert "\nHint 1: Which score has the exponential 0?\n1 more hint will open" in texts[1]
    assert "\nHint 2:\n  scores (L, S)\n  mask   (S,)\nThe solution is in" in texts[2]
    assert texts[3] == texts[2]
    assert texts[3].endswith("The solution is in exercises/solutions/scaled-dot-product.ipynb.")


def test_a_stub_opens_no_hint_and_hints_of_two_exercises_are_apart():
    check(exercise(), stub)
    diagnosis(inverted, exercise(name="scaled-dot-product/other"))
    assert "Hint" not in diagnosis(inverted)


# ---------------------------------------------------------------- progress


def test_what_is_done_stays_done(progress_file):
    diagnosis(inverted)
    check(exercise(), masked_weights)
    diagnosis(inverted)
    check(exercise(), stub)
    assert kept(progress_file)[NAME]["status"] == "done"
    assert kept(progress_file)[NAME]["tries"] == 2
    assert list(progress_file.parent.iterdir()) == [progress_file]


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"\xff\xfe",
        b"[]",
        b'{"exercises": []}',
        b'{"exercises": {"a/b": {"status": "perfect", "tries": 1}}}',
        b'{"exercises": {"a/b": {"status": "done", "tries": "many"}}}',
        b'{"exercises": {"a/b": {"status": "done"}}}',
    ],
)
def test_a_damaged_file_is_kept_aside_and_said_once(content, progress_file, capsys):
    progress_file.parent.mkdir()
    for number in ("", "-2"):
        progress_file.write_bytes(content)
        check(exercise(), masked_weights)
        printed = capsys.readouterr().out.splitlines()
        aside = progress_file.with_name(f"progress.damaged{number}.json")
        assert printed[1:] == [
            f"The progress file was damaged: it is kept as {aside}, and a new one begins."
        ]
        assert aside.read_bytes() == content
        assert kept(progress_file)[NAME]["status"] == "done"
    check(exercise(), masked_weights)
    assert "damaged" not in capsys.readouterr().out


def test_a_file_that_cannot_be_written_fails_no_check_and_hints_still_open(
    monkeypatch, tmp_path, capsys
):
    blocker = tmp_path / "file"
    blocker.write_text("no folder")
    monkeypatch.setenv("ATTNLIB_PROGRESS", str(blocker / "progress.json"))
    check(exercise(), masked_weights)
    assert re.search(
        r"\nProgress is not kept \(.*\); set ATTNLIB_PROGRESS", capsys.readouterr().out
    )
    assert "Hint 1" not in diagnosis(inverted)
    text = diagnosis(inverted)
    assert "Hint 1" in text
    assert "Progress is not kept" in text.split("\n")[-1]
    writable = tmp_path / "later.json"
    monkeypatch.setenv("ATTNLIB_PROGRESS", str(writable))
    check(exercise(name="other/exercise"), masked_weights)
    assert kept(writable)[NAME] == {"chapter": "scaled-dot-product", "status": "done", "tries": 2}
    assert blocker.read_text() == "no folder"


def test_a_file_that_cannot_be_read_is_not_written_over(progress_file, monkeypatch, capsys):
    check(exercise(), masked_weights)
    before = progress_file.read_bytes()

    def denied(path):
        raise PermissionError(f"no access to {path}")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", denied)
        check(exercise(name="other/exercise"), masked_weights)
        assert "Progress is not kept (no access to" in capsys.readouterr().out
        progress([exercise()])
        assert "Progress cannot be read (no access to" in capsys.readouterr().out
    assert progress_file.read_bytes() == before


def test_a_folder_in_the_place_of_the_file_is_left_alone(progress_file, capsys):
    progress_file.mkdir(parents=True)
    check(exercise(), masked_weights)
    assert "Progress is not kept" in capsys.readouterr().out
    assert list(progress_file.parent.iterdir()) == [progress_file]


def test_an_interrupted_write_leaves_the_old_file(progress_file, monkeypatch):
    check(exercise(), masked_weights)
    before = progress_file.read_bytes()

    def interrupted(*paths):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        diagnosis(inverted)
    assert progress_file.read_bytes() == before
    assert list(progress_file.parent.iterdir()) == [progress_file]


def test_the_place_of_the_file_has_a_default_and_one_without_platformdirs(monkeypatch, tmp_path):
    monkeypatch.delenv("ATTNLIB_PROGRESS")
    import platformdirs

    folder = platformdirs.user_data_dir("attnlib", appauthor=False)
    assert _progress.progress_path() == Path(folder) / "progress.json"
    monkeypatch.setitem(sys.modules, "platformdirs", None)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert _progress.progress_path() == tmp_path / ".attnlib" / "progress.json"


def test_progress_of_a_chapter_lists_what_is_open(capsys):
    asked = [exercise(), exercise(name="self-attention/heads"), exercise(name="self-attention/map")]
    diagnosis(inverted, asked[1])
    check(asked[0], masked_weights)
    capsys.readouterr()
    progress(asked, "self-attention")
    assert capsys.readouterr().out == (
        "self-attention: 0 of 2 done\n  [~] heads: tried, 1 wrong answer\n  [ ] map: open\n"
    )
    progress(asked)
    assert capsys.readouterr().out.startswith("scaled-dot-product: 1 of 1 done\n  [x] masked")


def test_the_command_prints_progress_by_chapter(capsys):
    assert main([]) == 0
    assert capsys.readouterr().out.startswith("Nothing has been tried yet (")
    check(exercise(), masked_weights)
    capsys.readouterr()
    assert main([]) == 0
    assert (
        capsys.readouterr().out == "scaled-dot-product: 1 of 1 done\n  [x] masked-weights: done\n"
    )


def test_the_command_lists_exercises_of_a_package_that_were_never_tried(
    monkeypatch, tmp_path, capsys
):
    package = tmp_path / "lessons"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "part.py").write_text(
        "from attnlib.checker import Exercise\n"
        "wrong = {'a': abs, 'b': min, 'c': max, 'd': sum}\n"
        "double = Exercise('sums/double', lambda x: 2 * x, [(1,), (2,), (3,)], wrong)\n"
        "again = double\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["lessons"]) == 0
    assert capsys.readouterr().out == "sums: 0 of 1 done\n  [ ] double: open\n"
    assert main(["lessons.none"]) == 1
    assert "run this in the folder that holds lessons.none" in capsys.readouterr().err


def test_the_command_resets_with_a_backup(capsys, progress_file):
    assert main(["--reset"]) == 0
    check(exercise(), masked_weights)
    before = progress_file.read_bytes()
    assert main(["--reset"]) == 0
    backup = progress_file.with_name("progress.backup.json")
    assert str(backup) in capsys.readouterr().out
    assert backup.read_bytes() == before
    assert not progress_file.exists()
    assert _progress.load() == ({}, "")


def test_the_command_says_when_the_file_is_damaged(capsys, progress_file):
    progress_file.parent.mkdir()
    progress_file.write_text("{")
    assert main([]) == 0
    assert "damaged" in capsys.readouterr().err


def test_the_command_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "attnlib.checker", "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "--reset" in done.stdout


# ---------------------------------------------------------------- how it looks


class Tags(HTMLParser):
    """Fails unless every tag is closed; collects tags with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.open, self.found = [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.found.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def html_of(answer, asked=None) -> str:
    shown = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("attnlib.checker._check._in_ipython", lambda: True)
        patch.setattr("IPython.display.display", shown.append)
        diagnosis(answer, asked)
    [found] = shown
    assert isinstance(found, Diagnosis)
    return found._repr_html_()


def test_outside_a_notebook_nothing_is_printed_beside_the_exception(capsys):
    diagnosis(inverted)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("answer", [*MISTAKES.values(), None, loops_and_catches, unknown_dimension])
def test_html_is_well_formed_and_needs_neither_script_nor_request(answer):
    text = html_of(answer, exercise(time_limit=0.1))
    tags = Tags(text)
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in tags.found}
    assert "http" not in text
    assert "<lambda>" not in text


def test_html_marks_what_differs_by_a_sign_and_an_outline_too():
    def planted(scores, mask):
        weights = masked_weights(scores, mask)
        weights[1, 0] = 0.5
        return weights

    text = html_of(planted)
    marked = re.findall(r'<td style="[^"]*outline[^"]*font-weight:bold">≠ ([^<]+)</td>', text)
    assert marked == ["0.5"]
    assert text.count("≠") == text.count("outline:") == 1
    assert len(re.findall("<table", text)) == 2
    assert re.findall(r"<caption [^>]*>(\w+)</caption>", text) == ["wanted", "got"]


def luminance(red, green, blue):
    parts = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)
    ]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def test_text_of_a_cell_can_be_read_on_every_colour_of_a_cell():
    import colorsys

    text = html_of(lambda s, m: masked_weights(s, m) * 2)
    cells = [a["style"] for tag, a in Tags(text).found if tag == "td" and "style" in a]
    assert all("color:#111" in style for style in cells)
    ink = luminance(*[0x11 / 255] * 3)
    colors = [tuple(map(int, c)) for c in re.findall(r"hsl\((\d+),(\d+)%,(\d+)%\)", text)]
    assert len(set(colors)) > 2
    for hue, saturation, lightness in colors:
        rgb = colorsys.hls_to_rgb(hue / 360, lightness / 100, saturation / 100)
        assert (luminance(*rgb) + 0.05) / (ink + 0.05) >= 7


def test_code_and_emphasis_in_hints_are_marked_up_and_the_rest_is_escaped():
    text = html_of(mask_after_softmax)
    assert "The mask comes <em>after</em> the softmax: use <code>masked_fill</code>." in text
    shown = Diagnosis("a < b & `c < d` and 2 * 3 * 4")._repr_html_()
    assert "a &lt; b &amp; <code>c &lt; d</code> and 2 * 3 * 4" in shown
    assert "one ` alone" in Diagnosis("one ` alone")._repr_html_()


@pytest.mark.parametrize("shape", [(13,), (17, 19), (2, 3, 17), (2, 3, 5, 7), (0,), (2, 0)])
def test_a_picture_is_a_small_window_that_holds_the_first_difference(shape):
    wanted = torch.zeros(shape)
    got = wanted.clone()
    if got.numel():
        got.view(-1)[-1] = 0.25
        text = diagnosis(lambda i: got, returns(wanted))
        index = ", ".join(str(n - 1) for n in shape[:-2])
        assert f"got[{index}] (* differs)" in text if index else "got (* differs)" in text
    else:
        got = torch.zeros(5)
        text = diagnosis(lambda i: got, returns(wanted))
        assert "(no elements)" in text
    assert text.count("*0.25") == bool(wanted.numel())
    assert max(map(len, text.split("\n"))) <= 110
    assert len(text.split("\n")) < 40


def test_numbers_that_round_to_the_same_are_told_apart_in_the_sentence():
    wanted, got = torch.tensor([0.123456]), torch.tensor([0.123486])
    assert (
        heading(lambda i: got, returns(wanted)) == "the result at [0] is 0.123486, wanted 0.123456"
    )


@pytest.mark.parametrize(
    "values",
    [
        (torch.ones(2, dtype=torch.bfloat16), torch.zeros(2, dtype=torch.bfloat16)),
        (torch.tensor([True, False]), torch.tensor([True, True])),
        (np.array(["<a>", "<b>"]), np.array(["<a>", "<c>"])),
        (torch.tensor([torch.inf, 1.0]), torch.tensor([torch.nan, 1.0])),
        (torch.ones(2, dtype=torch.complex64), torch.zeros(2, dtype=torch.complex64)),
        (SPARSE, SPARSE * 0),
        ([VECTOR], [VECTOR + 1]),
    ],
)
def test_every_kind_of_array_can_be_shown(values):
    wanted, got = values
    assert "(* differs)" in diagnosis(lambda i: got, returns(wanted))
    assert "<b>" not in html_of(lambda i: got, returns(wanted))


def test_arguments_of_every_kind_are_shown_briefly():
    given = (
        [VECTOR, 2],
        {"a": 1},
        0.1 + 0.2,
        "word",
        torch.zeros(100, 100),
        [0] * 1000,
        np.ones(2),
    )

    def five(items, table, number, *rest):
        return 5

    text = diagnosis(lambda *a: 6, exercise(five, [given] * 3))
    assert "items = a list of 2\n          a tensor of shape (3,), float32" in text
    assert "number = 0.3\n" in text
    assert len(text) < 2000


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # of the shell's history
def test_a_notebook_shows_the_diagnosis_as_html_and_one_line_of_the_exception(
    monkeypatch, tmp_path
):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])  # the shell replaces it
    names = {"check": check, "asked": exercise(), "inverted": inverted, "stub": stub}
    shell = InteractiveShell.instance(user_ns=names, colors="nocolor")
    seen = []
    try:
        for answer in ("inverted", "asked.reference", "stub"):
            with capture_output() as captured:
                shell.run_cell(f"check(asked, {answer})")
            seen.append(captured)
    finally:
        shell.history_manager.end_session()
        InteractiveShell.clear_instance()
    wrong, right, opened = seen
    [shown] = wrong.outputs
    assert "upside down" in shown.data["text/html"]
    assert "upside down" in shown.data["text/plain"]
    assert re.fullmatch(r"CheckFailed: masked-weights: the result at \[0, 0\].*\n", wrong.stdout)
    assert wrong.stderr == ""
    assert right.outputs == opened.outputs == []
    prompt = r"(Out\[\d+\]: )?"  # of a terminal, not of a notebook
    assert re.fullmatch(rf"masked-weights is right.*\n{prompt}", right.stdout)
    assert re.fullmatch(rf"masked-weights is open.*\n{prompt}", opened.stdout)


def test_a_result_has_a_short_repr_and_shows_nothing_in_a_notebook():
    result = check(exercise(), masked_weights)
    assert repr(result) == f"Result('{NAME}', 'done', cases=3)"
    assert result._ipython_display_() is None


# ---------------------------------------------------------------- the checks of a checker


def test_outcomes_of_an_answer_come_one_for_each_case():
    assert [o.error for o in outcomes(exercise(), masked_weights)] == [None] * 3
    slow = outcomes(exercise(time_limit=0.1), looping_in_the_second_case)
    assert [type(o.error) for o in slow] == [type(None), TimeLimit]
