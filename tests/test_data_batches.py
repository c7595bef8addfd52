"""TensorBatches against a DataLoader, and what a trainer relies on."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, TensorDataset

from attnlib.data import TensorBatches

quick = settings(deadline=None, max_examples=50)  # no timed assertion


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@quick
@given(rows=st.integers(0, 20), batch_size=st.integers(1, 23))
def test_batches_equal_those_of_a_data_loader(rows, batch_size):
    inputs, targets = torch.rand(rows, 3), torch.arange(rows)
    ours = TensorBatches(inputs, targets, batch_size=batch_size)
    theirs = DataLoader(TensorDataset(inputs, targets), batch_size=batch_size)
    assert len(ours) == len(theirs)
    for (x, y), (wanted_x, wanted_y) in zip(ours, theirs, strict=True):
        torch.testing.assert_close(x, wanted_x, rtol=0, atol=0)
        torch.testing.assert_close(y, wanted_y, rtol=0, atol=0)


@quick
@given(rows=st.integers(1, 20), batch_size=st.integers(1, 23), seed=st.integers(0, 99))
def test_a_shuffled_pass_takes_every_row_once_and_keeps_rows_together(rows, batch_size, seed):
    inputs = torch.arange(rows)
    batches = TensorBatches(
        inputs, 10 * inputs, batch_size=batch_size, shuffle=True, generator=generator(seed)
    )
    seen = list(batches)
    assert len(seen) == len(batches)
    assert all(torch.equal(y, 10 * x) for x, y in seen)
    assert sorted(torch.cat([x for x, _ in seen]).tolist()) == inputs.tolist()


def order(batches: TensorBatches) -> list[int]:
    return torch.cat([x for (x,) in batches]).tolist()


def test_every_pass_has_a_new_order_that_the_generator_decides():
    batches = TensorBatches(torch.arange(101), batch_size=7, shuffle=True, generator=generator())
    again = TensorBatches(torch.arange(101), batch_size=13, shuffle=True, generator=generator())
    first, second = order(batches), order(batches)
    assert first != second
    assert (order(again), order(again)) == (first, second)


def test_a_restored_generator_resumes_with_the_same_orders():
    batches = TensorBatches(torch.arange(101), batch_size=7, shuffle=True, generator=generator())
    order(batches)
    state = batches.generator.get_state()
    wanted = order(batches), order(batches)
    batches.generator.set_state(state)
    assert (order(batches), order(batches)) == wanted


def test_the_own_generator_leaves_the_global_one_alone():
    before = torch.get_rng_state()
    order(TensorBatches(torch.arange(11), batch_size=3, shuffle=True, generator=generator()))
    assert torch.equal(torch.get_rng_state(), before)


def test_without_a_generator_the_global_seed_decides():
    batches = TensorBatches(torch.arange(101), batch_size=7, shuffle=True)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first = order(batches)
        torch.manual_seed(0)
        assert order(batches) == first
    assert first != list(range(101))


def test_two_passes_at_once_do_not_disturb_each_other():
    batches = TensorBatches(torch.arange(5), batch_size=2)
    assert [(x.tolist(), y.tolist()) for (x,), (y,) in zip(batches, batches, strict=True)] == [
        ([0, 1], [0, 1]),
        ([2, 3], [2, 3]),
        ([4], [4]),
    ]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_batches_stay_on_the_device_of_the_tensors():
    inputs = torch.arange(11, device="cuda")
    batches = TensorBatches(inputs, batch_size=3, shuffle=True, generator=generator())
    assert all(x.is_cuda for (x,) in batches)
    assert sorted(order(batches)) == list(range(11))


@pytest.mark.parametrize(
    ("tensors", "options", "error", "words"),
    [
        ((), {"batch_size": 2}, ValueError, "got no tensors.*pass inputs and targets"),
        (
            ([1, 2],),
            {"batch_size": 2},
            TypeError,
            r"tensors\[0\] is a list, expected a torch\.Tensor",
        ),
        (
            (torch.zeros(3), torch.zeros(5, 2)),
            {"batch_size": 2},
            ValueError,
            r"shapes \[\(3,\), \(5, 2\)\], expected the same number of rows",
        ),
        ((torch.tensor(1.0),), {"batch_size": 2}, ValueError, r"shapes \[\(\)\]"),
        ((torch.zeros(3),), {"batch_size": 0}, ValueError, "batch_size=0.*at least 1"),
        (
            (torch.zeros(3),),
            {"batch_size": 2.0},
            TypeError,
            "batch_size is a float, expected an int",
        ),
    ],
)
def test_errors(tensors, options, error, words):
    with pytest.raises(error, match=f"TensorBatches: .*{words}"):
        TensorBatches(*tensors, **options)
