"""The marked tasks: the truth must give the targets, and plain loops must give the same."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from attnlib.data import copy_task, lookup_task, reverse_task

quick = settings(deadline=None, max_examples=50)  # no timed assertion

TASKS = [copy_task, reverse_task, lookup_task]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@st.composite
def tasks(draw, functions=tuple(TASKS)):
    task = draw(st.sampled_from(functions))
    size = draw(st.integers(1, 6))
    shortest = draw(st.none() | st.integers(1, size))
    vocab_size = draw(st.integers(2 * size + 1 if task is lookup_task else 2, 23))
    limit = "min_pairs" if task is lookup_task else "min_length"
    seed = generator(draw(st.integers(0, 999)))
    return task(draw(st.integers(1, 5)), size, vocab_size, **{limit: shortest}, generator=seed)


@quick
@given(tasks())
def test_the_truth_applied_to_one_hot_inputs_gives_the_targets_exactly(task):
    answers = task.truth.double() @ F.one_hot(task.inputs, task.vocab_size).double()
    wanted = F.one_hot(task.targets, task.vocab_size).double()
    wanted[task.targets == 0] = 0  # nothing to produce: an empty row
    torch.testing.assert_close(answers, wanted, rtol=0, atol=0)


@quick
@given(tasks())
def test_rows_of_the_truth_sum_to_one_where_an_answer_is_wanted_and_else_to_zero(task):
    assert torch.equal(task.truth.sum(dim=-1), (task.targets != 0).long())


@quick
@given(tasks())
def test_padding_lies_behind_each_example_and_is_never_attended_to(task):
    inside = torch.arange(task.inputs.shape[1]) < task.lengths[:, None]
    assert torch.equal(task.inputs != 0, inside)
    assert task.inputs.max() < task.vocab_size
    assert not (task.truth & ~inside[:, :, None]).any()
    assert not (task.truth & ~inside[:, None, :]).any()


@quick
@given(tasks([copy_task]))
def test_copying_equals_a_loop(task):
    for row, length, target in zip(task.inputs, task.lengths, task.targets, strict=True):
        assert target[:length].tolist() == row[:length].tolist()


@quick
@given(tasks([reverse_task]))
def test_reversing_equals_a_loop(task):
    for row, length, target in zip(task.inputs, task.lengths, task.targets, strict=True):
        assert target[:length].tolist() == row[:length].tolist()[::-1]


@quick
@given(tasks([lookup_task]))
def test_looking_up_equals_a_dictionary(task):
    for row, length, target, truth in zip(
        task.inputs.tolist(), task.lengths.tolist(), task.targets, task.truth, strict=True
    ):
        keys, values, query = row[: length - 1 : 2], row[1 : length - 1 : 2], row[length - 1]
        assert len(set(keys)) == len(keys)
        assert not set(keys) & set(values)
        assert target[length - 1] == dict(zip(keys, values, strict=True))[query]
        assert truth[length - 1].nonzero().item() == 2 * keys.index(query) + 1
        assert target.count_nonzero() == 1


@pytest.mark.parametrize("task", TASKS)
def test_lengths_cover_the_whole_range(task):
    lengths = task(200, 5, 13, **{"min_pairs" if task is lookup_task else "min_length": 2})
    assert set(lengths.lengths.tolist()) == ({5, 7, 9, 11} if task is lookup_task else {2, 3, 4, 5})


@pytest.mark.parametrize("task", TASKS)
def test_without_a_least_length_all_are_equally_long(task):
    assert len(set(task(50, 5, 13).lengths.tolist())) == 1


def test_every_token_key_and_position_occurs():
    copy, lookup = copy_task(500, 5, 7), lookup_task(500, 3, 8)
    assert set(copy.inputs.flatten().tolist()) == set(range(1, 7))
    assert set(lookup.inputs[:, :-1:2].flatten().tolist()) == {1, 2, 3}
    assert set(lookup.inputs[:, 1::2].flatten().tolist()) == {4, 5, 6, 7}
    assert set(lookup.truth[:, -1].nonzero()[:, 1].tolist()) == {1, 3, 5}


@pytest.mark.parametrize("task", TASKS)
def test_the_generator_alone_decides(task):
    before = torch.get_rng_state()
    first, second = (task(7, 3, 13, generator=generator(1)) for _ in range(2))
    other = task(7, 3, 13, generator=generator(2))
    assert torch.equal(first.inputs, second.inputs)
    assert not torch.equal(first.inputs, other.inputs)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_task_says_what_it_is():
    task = reverse_task(3, 5, 7)
    assert repr(task) == "MarkedTask(give the sequence back in reverse: 3 examples, L = 5)"
    assert len(task) == 3
    with pytest.raises(AttributeError, match="inputs"):
        task.inputs = None


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: copy_task(0, 5, 7), ValueError, "copy_task: got num_examples=0.*at least 1"),
        (lambda: copy_task(3, 0, 7), ValueError, "copy_task: got length=0.*at least 1"),
        (
            lambda: reverse_task(3, 5.0, 7),
            TypeError,
            "reverse_task: length is a float, expected an int",
        ),
        (lambda: reverse_task(3, 5, 1), ValueError, "vocab_size=1, expected at least 2"),
        (
            lambda: reverse_task(3, 5, 7, min_length=6),
            ValueError,
            "min_length=6 above length=5, expected at most 5",
        ),
        (lambda: copy_task(3, 5, 7, min_length=0), ValueError, "min_length=0.*at least 1"),
        (lambda: lookup_task(3, 0, 7), ValueError, "lookup_task: got num_pairs=0.*at least 1"),
        (lambda: lookup_task(3, 5, 7, min_pairs=6), ValueError, "min_pairs=6 above num_pairs=5"),
        (lambda: lookup_task(3, 5, 10), ValueError, "10 with 4 keys.*vocab_size=11 or more"),
        (lambda: lookup_task(3, 5, "11"), TypeError, "vocab_size is a str, expected an int"),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()
