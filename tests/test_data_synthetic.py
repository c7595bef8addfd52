"""The marked tasks: the truth must give the targets, and plain loops must give the same."""

import pytest
import torch
import torch.nn.functional as F
from errors import check_error
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import generator

from attnlib.data import (
    alignment_task,
    context_feature_task,
    copy_task,
    lookup_task,
    planted_lag_task,
    planted_neighbour_task,
    reverse_task,
)

quick = settings(deadline=None, max_examples=50, derandomize=True, database=None)

TASKS = [copy_task, reverse_task, lookup_task]


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


@quick
@given(tasks())
def test_even_attention_to_all_tokens_finds_the_answer_once_in_their_number(task):
    wanted = task.truth.any(-1)
    shares = (1 / task.lengths)[:, None].expand(wanted.shape)[wanted]
    assert task.uniform_mass == pytest.approx(shares.mean().item())


# ---------------------------------------------------------------- alignment


@st.composite
def alignments(draw):
    size = draw(st.integers(1, 7))
    return alignment_task(
        draw(st.integers(1, 5)),
        size,
        draw(st.integers(2, 13)),
        permuted=draw(st.booleans()),
        min_length=draw(st.none() | st.integers(1, size)),
        generator=generator(draw(st.integers(0, 999))),
    )


@quick
@given(alignments())
def test_a_translation_equals_a_loop_over_its_tokens(task):
    permuted = "reverse" in task.description
    for row, length, target, truth in zip(
        task.inputs.tolist(), task.lengths.tolist(), task.targets, task.truth, strict=True
    ):
        order = list(range(length))
        if permuted:
            for i in range(0, length - 1, 2):
                order[i], order[i + 1] = i + 1, i
        places = [j for j in order for _ in range(2 - row[j] % 2)]
        assert [row[j] for j in places] == target.tolist()[: len(places)]
        assert truth.nonzero().tolist() == [[i, j] for i, j in enumerate(places)]
        assert not target[len(places) :].any()


@quick
@given(alignments())
def test_the_truth_of_an_alignment_gives_the_targets_and_never_attends_to_padding(task):
    answers = task.truth.double() @ F.one_hot(task.inputs, task.vocab_size).double()
    wanted = F.one_hot(task.targets, task.vocab_size).double()
    wanted[task.targets == 0] = 0
    torch.testing.assert_close(answers, wanted, rtol=0, atol=0)
    inside = torch.arange(task.inputs.shape[1]) < task.lengths[:, None]
    assert not (task.truth & ~inside[:, None]).any()
    assert task.targets.shape[1] == 2 * task.inputs.shape[1]


def test_an_alignment_in_order_never_goes_back_and_a_permuted_one_does():
    places = [
        alignment_task(50, 6, 13, permuted=permuted, generator=generator()).truth
        for permuted in (False, True)
    ]
    steps = [truth.float().argmax(-1)[:, :6].diff(dim=1) for truth in places]
    assert (steps[0] >= 0).all()
    assert (steps[1] < 0).any()


# ---------------------------------------------------------------- lags


@quick
@given(
    horizon=st.integers(1, 4),
    data=st.data(),
    min_length=st.none() | st.integers(9, 13),
    seed=st.integers(0, 99),
)
def test_a_planted_lag_equals_a_loop(horizon, data, min_length, seed):
    lags = data.draw(st.lists(st.integers(horizon, 9), min_size=1, max_size=3, unique=True))
    task = planted_lag_task(
        5, 13, lags, horizon=horizon, min_length=min_length, generator=generator(seed)
    )
    for b, length in enumerate(task.lengths.tolist()):
        values = task.inputs[b, :, 0]
        assert not values[length:].any()
        for k in range(horizon):
            places = sorted(length + k - lag for lag in lags)
            assert places[-1] < length  # known when the forecast is made
            assert task.truth[b, k].nonzero().flatten().tolist() == places
            torch.testing.assert_close(task.targets[b, k], values[places].mean())
    shares = (len(lags) / task.lengths).mean().item()
    assert task.uniform_mass == pytest.approx(shares)


def test_the_map_of_a_lag_gives_the_target_and_no_other_step_tells_anything():
    task = planted_lag_task(20_000, 11, [4], generator=generator())
    values = task.inputs[..., 0]
    answers = (task.truth.float() @ task.inputs)[..., 0]
    assert torch.equal(answers, task.targets)
    columns = torch.cat([values, task.targets], 1).T
    told = columns.corrcoef()[-1, :-1]
    assert told[11 - 4] == pytest.approx(1, abs=1e-5)
    assert told[torch.arange(11) != 7].abs().max() < 0.04  # 5 standard deviations of chance


def test_noise_is_added_to_the_targets_alone():
    plain, noisy = (
        planted_lag_task(20_000, 5, [2], noise=noise, generator=generator()) for noise in (0, 0.5)
    )
    assert torch.equal(plain.inputs, noisy.inputs)
    assert (noisy.targets - plain.targets).std().item() == pytest.approx(0.5, rel=0.05)


# ---------------------------------------------------------------- features


def test_the_map_of_a_context_gives_the_target():
    task = context_feature_task(500, 7, generator=generator())
    features, context = task.inputs[:, :7], task.inputs[:, 7:]
    assert torch.equal((features * task.truth).sum(1), task.targets)
    assert torch.equal(context.bool(), task.truth)
    assert torch.equal(task.truth.sum(1), torch.ones(500, dtype=torch.long))
    assert task.truth.any(0).all()
    assert task.uniform_mass == pytest.approx(1 / 7)


def test_fixed_weights_cannot_solve_what_depends_on_the_context():
    task = context_feature_task(20_000, 5, generator=generator())
    features = task.inputs[:, :5]
    best = torch.linalg.lstsq(features, task.targets[:, None]).solution
    left = (features @ best - task.targets[:, None]).square().mean()
    assert left / task.targets.var() == pytest.approx(1 - 1 / 5, abs=0.03)


# ---------------------------------------------------------------- neighbours


@quick
@given(
    degree=st.integers(1, 5),
    more=st.integers(0, 20),
    num_classes=st.integers(1, 7),
    dynamic=st.booleans(),
    seed=st.integers(0, 99),
)
def test_a_planted_neighbour_equals_a_loop(degree, more, num_classes, dynamic, seed):
    N = 2 * degree + more
    task = planted_neighbour_task(
        N, degree, num_classes, dynamic=dynamic, generator=generator(seed)
    )
    classes = task.x[:, :num_classes].argmax(1)
    rest = task.x[:, num_classes:]
    marked = task.edge_index[:, task.truth]
    for node in range(N):
        neighbours = task.edge_index[0, task.edge_index[1] == node].tolist()
        assert len(set(neighbours)) == degree
        assert node not in neighbours
        if dynamic:
            own, wanted = rest[:, :degree].argmax(1), rest[node, degree:].argmax()
            [right] = [n for n in neighbours if own[n] == wanted]
        else:
            right = max(neighbours, key=lambda n: rest[n, 0].item())
        assert task.labels[node] == classes[right]
        assert marked[0, marked[1] == node].tolist() == [right]
    assert task.uniform_mass == pytest.approx(1 / degree)
    assert task.num_classes == num_classes


@pytest.mark.parametrize("dynamic", [False, True])
def test_the_map_of_a_graph_gives_the_labels_and_nothing_else_does(dynamic):
    task = planted_neighbour_task(6000, 3, 4, dynamic=dynamic, generator=generator())
    source, target = task.edge_index
    answers = torch.zeros(6000, 4).index_add(0, target, task.x[source, :4] * task.truth[:, None])
    assert torch.equal(answers, F.one_hot(task.labels, 4).float())
    own = task.x[:, :4].argmax(1)
    assert (own == task.labels).float().mean().item() == pytest.approx(1 / 4, abs=0.03)
    place = task.truth.nonzero().flatten().double() / len(task.truth)
    assert place.mean().item() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("dynamic", [False, True])
def test_every_node_can_be_a_neighbour(dynamic):
    task = planted_neighbour_task(40, 20, 3, dynamic=dynamic, generator=generator())
    assert set(task.edge_index[0].tolist()) == set(range(40))


# ---------------------------------------------------------------- all of them

MAKERS = [
    lambda g: alignment_task(7, 5, 13, generator=g),
    lambda g: planted_lag_task(7, 5, [2, 3], noise=1.0, generator=g),
    lambda g: context_feature_task(7, 5, generator=g),
    lambda g: planted_neighbour_task(7, 3, 5, generator=g),
    lambda g: planted_neighbour_task(7, 3, 5, dynamic=True, generator=g),
]


@pytest.mark.parametrize("make", MAKERS)
def test_the_generator_alone_decides_about_every_task(make):
    before = torch.get_rng_state()
    first, second, other = (make(generator(seed)) for seed in (1, 1, 2))
    content = "x" if hasattr(first, "x") else "inputs"
    assert torch.equal(getattr(first, content), getattr(second, content))
    assert torch.equal(first.truth, second.truth)
    assert not torch.equal(getattr(first, content), getattr(other, content))
    assert torch.equal(torch.get_rng_state(), before)
    assert len(first) == 7
    with pytest.raises(AttributeError, match="truth"):
        first.truth = None


def test_every_task_says_what_it_is():
    assert [repr(make(generator())) for make in MAKERS] == [
        "MarkedTask(give even tokens twice and odd ones once, in order: 7 examples, L = 10)",
        "LagTask(give the mean of the values 2 and 3 steps before: 7 examples, T = 5)",
        "FeatureTask(give the feature that the context names: 7 examples, F = 5)",
        "NeighbourTask(give the class of the most trusted neighbour: 7 nodes, 21 edges)",
        "NeighbourTask(give the class of the neighbour with the wanted key: 7 nodes, 21 edges)",
    ]
    permuted = alignment_task(7, 5, 13, permuted=True)
    assert permuted.description.endswith("in pairs told in reverse")


ERRORS = [
    (lambda: copy_task(0, 5, 7), ValueError, "copy_task: got num_examples=0.*at least 1"),
    (lambda: copy_task(3, 0, 7), ValueError, "copy_task: got length=0.*at least 1"),
    (lambda: reverse_task(3, 5.0, 7), TypeError, "length is a float, expected an int"),
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
    (lambda: alignment_task(3, 5, 1), ValueError, "alignment_task: got vocab_size=1"),
    (lambda: alignment_task(3, 5, 7, min_length=6), ValueError, "min_length=6 above length=5"),
    (lambda: planted_lag_task(0, 5, [2]), ValueError, "num_examples=0"),
    (lambda: planted_lag_task(3, 5, [2], horizon=0), ValueError, "horizon=0"),
    (lambda: planted_lag_task(3, 5, [0]), ValueError, r"lags\[0\]=0"),
    (lambda: planted_lag_task(3, 5, [2, 1.5]), TypeError, r"lags\[1\] is a float"),
    (lambda: planted_lag_task(3, 5, []), ValueError, r"lags=\[\] with horizon=1"),
    (lambda: planted_lag_task(3, 5, [2, 2]), ValueError, "expected different ones from 1 to 5"),
    (lambda: planted_lag_task(3, 5, [6]), ValueError, "from 1 to 5"),
    (lambda: planted_lag_task(3, 5, [4], min_length=3), ValueError, "from 1 to 3"),
    (lambda: planted_lag_task(3, 5, [2], horizon=3), ValueError, "from 3 to 5"),
    (lambda: planted_lag_task(3, 5, [2], noise=-1.0), ValueError, "noise=-1.0"),
    (lambda: context_feature_task(0, 5), ValueError, "num_examples=0"),
    (lambda: context_feature_task(3, 0), ValueError, "num_features=0"),
    (lambda: planted_neighbour_task(0, 1, 2), ValueError, "num_nodes=0"),
    (lambda: planted_neighbour_task(7, 0, 2), ValueError, "degree=0"),
    (lambda: planted_neighbour_task(7, 2, 0), ValueError, "num_classes=0"),
    (lambda: planted_neighbour_task(7, 4, 2), ValueError, "write num_nodes=8 or more"),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_say_what_to_write_instead(call, kind, words):
    check_error(call, kind, words)
