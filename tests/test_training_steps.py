"""Steps of fit made of several batches, in half precision, and with a schedule for each step."""

import copy
import functools
import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from errors import check_error
from oracles import generator, normal
from torch import nn
from torch.amp import GradScaler
from torch.optim.lr_scheduler import (
    ConstantLR,
    LambdaLR,
    LinearLR,
    OneCycleLR,
    ReduceLROnPlateau,
    SequentialLR,
)

from attnlib.training import cross_entropy, evaluate, fit

D, C = 7, 3  # features, classes
SIZES = (5, 2, 11, 3, 7, 1, 1, 5)  # rows of the batches
quiet = functools.partial(fit, progress=False)


def rows(count, seed=0, dtype=torch.float32):
    x = normal(generator(seed), count, D, dtype=dtype)
    return x, (x @ normal(generator(9), D, C, dtype=dtype)).argmax(1)


def batches(sizes=SIZES, dtype=torch.float32):
    x, y = rows(sum(sizes), dtype=dtype)
    return list(zip(x.split(sizes), y.split(sizes), strict=True))


def model_and_optimizer(dtype=torch.float32, dropout=0.0, lr=0.3):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(D, 13), nn.Tanh(), nn.Dropout(dropout), nn.Linear(13, C))
    model = model.to(dtype)
    return model, torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)


def assert_same(got, wanted):
    torch.testing.assert_close(got, wanted, rtol=0, atol=0)


# --- accumulation ------------------------------------------------------------------------------


@pytest.mark.parametrize("accumulate", [2, 3, 8, 9])
@pytest.mark.parametrize("clip", [None, 0.1])
def test_steps_of_several_batches_are_those_of_the_large_batches(accumulate, clip):
    parts = batches(dtype=torch.float64)
    parts[3][1][:] = -100  # a batch without items
    parts[2][1][4:] = -100
    large = [
        tuple(torch.cat(column) for column in zip(*parts[start : start + accumulate], strict=True))
        for start in range(0, len(parts), accumulate)
    ]
    (one, first), (other, second) = (model_and_optimizer(torch.float64) for _ in range(2))
    wanted = quiet(one, large, cross_entropy, first, epochs=3, grad_clip=clip)
    got = quiet(
        other, parts, cross_entropy, second, epochs=3, grad_clip=clip, accumulate=accumulate
    )
    torch.testing.assert_close(other.state_dict(), one.state_dict(), rtol=1e-12, atol=1e-12)
    for row, other_row in zip(got, wanted, strict=True):
        assert row["loss"] == pytest.approx(other_row["loss"], rel=1e-12)


def test_a_batch_whose_mean_is_over_nothing_is_nothing():
    def loss_fn(model, batch):
        x, y = batch
        return F.cross_entropy(model(x), y), len(y)  # NaN for no rows

    empty = rows(0)
    (one, first), (other, second) = (model_and_optimizer() for _ in range(2))
    wanted = quiet(one, batches((5, 3)), loss_fn, first, epochs=2, accumulate=2)
    parts = [batches((5, 3))[0], empty, batches((5, 3))[1]]
    assert quiet(other, parts, loss_fn, second, epochs=2, accumulate=3) == wanted
    assert_same(other.state_dict(), one.state_dict())


def test_one_batch_a_step_is_the_default_bit_for_bit():
    (one, first), (other, second) = (model_and_optimizer() for _ in range(2))
    wanted = quiet(one, batches(), cross_entropy, first, epochs=2)
    assert quiet(other, batches(), cross_entropy, second, epochs=2, accumulate=1) == wanted
    assert_same(other.state_dict(), one.state_dict())


def test_a_bad_number_in_the_middle_of_a_step_is_named():
    parts = batches()
    parts[4][0][0, 0] = math.nan
    model, optimizer = model_and_optimizer()
    check_error(
        lambda: quiet(model, parts, cross_entropy, optimizer, epochs=2, accumulate=3),
        RuntimeError,
        "in epoch 1 the loss or its gradient is nan in batch 5",
    )
    assert all(value.isfinite().all() for value in model.state_dict().values())


# --- schedules ---------------------------------------------------------------------------------

SCHEDULES = {
    "one cycle": lambda o: OneCycleLR(o, 0.5, total_steps=9),
    "warm-up": lambda o: LambdaLR(o, lambda step: min(1.0, (step + 1) / 4)),
    "warm-up, then constant": lambda o: SequentialLR(
        o, [LinearLR(o, 0.1, total_iters=3), ConstantLR(o, 0.5, total_iters=2)], milestones=[3]
    ),
}


@pytest.mark.parametrize("make", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.filterwarnings("ignore:The epoch parameter")  # torch's SequentialLR in itself
def test_a_schedule_can_follow_the_steps(make):
    model, optimizer = model_and_optimizer()
    scheduler = make(optimizer)
    rates = []

    def loss_fn(model, batch):
        rates.append(optimizer.param_groups[0]["lr"])
        return cross_entropy(model, batch)

    options = {"scheduler": scheduler, "schedule_every": "step", "accumulate": 3}
    quiet(model, batches(), loss_fn, optimizer, epochs=3, **options)
    _, plain = model_and_optimizer()
    plain_scheduler = make(plain)
    wanted = []
    for _ in range(9):  # ceil(8 / 3) steps in each of three epochs
        wanted.append(plain.param_groups[0]["lr"])
        plain.step()
        plain_scheduler.step()
    steps = [rates[start + first] for start in (0, 8, 16) for first in (0, 3, 6)]
    assert steps == pytest.approx(wanted, rel=1e-12)


# --- precision ---------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_equals_a_plain_loop_under_autocast_bit_for_bit(precision):
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    seen = []

    def loss_fn(model, batch):
        seen.append(model(batch[0]).dtype)
        return cross_entropy(model, batch)

    (one, first), (other, second) = (model_and_optimizer() for _ in range(2))
    scaler = GradScaler("cpu", enabled=precision == "fp16")
    for _ in range(2):
        for x, y in batches():
            first.zero_grad()
            with torch.autocast("cpu", dtype):
                loss = F.cross_entropy(one(x), y, reduction="sum") / len(y)
            scaler.scale(loss).backward()
            scaler.unscale_(first)
            nn.utils.clip_grad_norm_(one.parameters(), 0.2)
            scaler.step(first)
            scaler.update()
    history = quiet(
        other, batches(), loss_fn, second, epochs=2, grad_clip=0.2, precision=precision,
        val_loader=batches(), measures={"again": cross_entropy},
    )  # fmt: skip
    with torch.autocast("cpu", dtype):
        wanted = evaluate(other, batches(), {"loss": cross_entropy})["loss"]
    assert wanted == evaluate(other, batches(), {"_": cross_entropy}, precision=precision)["_"]
    best = min(history, key=lambda row: row["val_loss"])
    assert best["val_again"] == best["val_loss"] == wanted
    assert set(seen) == {dtype}
    assert {value.dtype for value in other.parameters()} == {torch.float32}
    if history[-1] is best:
        assert_same(other.state_dict(), one.state_dict())


def test_half_precision_learns():
    for precision in ("bf16", "fp16"):
        model, optimizer = model_and_optimizer()
        options = {"epochs": 9, "precision": precision, "accumulate": 2}
        history = quiet(model, batches(), cross_entropy, optimizer, **options)
        assert history[-1]["loss"] < 0.5 * history[0]["loss"]


def large_slopes(model, batch):
    """A finite loss whose gradient overflows in fp16 while the loss scale is above about 1,000."""
    loss, count = cross_entropy(model, batch)
    return 64 * loss, count


def test_steps_that_overflow_are_left_out_and_not_counted_by_the_schedule():
    (model, optimizer), (other, _) = (model_and_optimizer(lr=1e-3) for _ in range(2))
    scheduler = LambdaLR(optimizer, lambda step: 1 / (1 + step))
    weights = []

    def loss_fn(model, batch):
        weights.append(copy.deepcopy(model.state_dict()))
        return large_slopes(model, batch)

    optimizer.step()  # or torch would ask for one before the first step of the schedule
    options = {"precision": "fp16", "scheduler": scheduler, "schedule_every": "step"}
    quiet(model, batches(), loss_fn, optimizer, epochs=1, **options)
    assert_same(weights[1], other.state_dict())
    changed = sum(
        any(not torch.equal(one[name], two[name]) for name in one)
        for one, two in itertools.pairwise([*weights, model.state_dict()])
    )
    assert 0 < changed < len(SIZES)
    assert scheduler.last_epoch == changed


def test_a_gradient_that_is_never_finite_in_fp16_is_an_error():
    def loss_fn(model, batch):
        loss, count = cross_entropy(model, batch)
        return loss + (loss - loss.detach()).sqrt(), count

    model, optimizer = model_and_optimizer()
    before = copy.deepcopy(model.state_dict())
    words = "in epoch 5 the gradient is not finite at a loss scale of 6e-08, expected one"
    check_error(
        lambda: quiet(model, batches(), loss_fn, optimizer, epochs=9, precision="fp16"),
        RuntimeError,
        words,
    )
    assert_same(model.state_dict(), before)


@pytest.mark.parametrize("precision", [None, "bf16", "fp16"])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(precision, tmp_path):
    def run(epochs, path, seed, fails=False):
        model, optimizer = model_and_optimizer(dropout=0.5)
        scheduler = OneCycleLR(optimizer, 0.5, total_steps=12)
        calls = itertools.count(1)

        def loss_fn(model, batch):
            if fails and next(calls) > 19:  # in the third epoch
                raise ZeroDivisionError
            return large_slopes(model, batch)

        with torch.random.fork_rng():
            torch.manual_seed(seed)
            history = quiet(
                model, batches(), loss_fn, optimizer, epochs=epochs, scheduler=scheduler,
                schedule_every="step", accumulate=3, precision=precision, checkpoint=path,
            )  # fmt: skip
        return history, model.state_dict(), optimizer.state_dict(), scheduler.state_dict()

    wanted = run(4, None, 5)
    with pytest.raises(ZeroDivisionError):
        run(4, tmp_path / "run.pt", 5, fails=True)
    got = run(4, tmp_path / "run.pt", 99)
    assert got[0] == wanted[0]
    assert_same(got[1:3], wanted[1:3])
    assert got[3]["last_epoch"] == wanted[3]["last_epoch"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_on_a_gpu_learns_and_resumes(precision, tmp_path):
    results = []
    for path, stops in (("whole.pt", (4,)), ("parts.pt", (2, 4))):
        for epochs in stops:
            model, optimizer = model_and_optimizer()
            model.cuda()
            optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
            options = {"precision": precision, "accumulate": 3, "checkpoint": tmp_path / path}
            history = quiet(model, batches(), cross_entropy, optimizer, epochs=epochs, **options)
        results.append((history, model.state_dict()))
    assert results[0][0] == results[1][0]
    assert_same(results[0][1], results[1][1])
    assert history[-1]["loss"] < history[0]["loss"]


# --- errors ------------------------------------------------------------------------------------


def run(**options):
    model, optimizer = model_and_optimizer()
    make = options.pop("make", None)
    scheduler = make and make(optimizer)
    return quiet(
        model, batches(), cross_entropy, optimizer, epochs=2, scheduler=scheduler, **options
    )


def resumed(folder, **options):
    run(checkpoint=folder / "run.pt")
    return run(checkpoint=folder / "run.pt", **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"accumulate": 2}, "accumulate is 1, expected 2"),
        ({"precision": "bf16"}, "precision is None, expected bf16"),
        ({"make": SCHEDULES["warm-up"]}, "scheduler is None, expected LambdaLR"),
    ],
)
def test_the_file_of_a_run_of_other_steps_is_refused(options, words, tmp_path):
    check_error(lambda: resumed(tmp_path, **options), RuntimeError, f"of a run whose {words}")


PLATEAU = {"make": ReduceLROnPlateau, "schedule_every": "step"}
UNKNOWN = "precision='fp8', expected one of .None, 'bf16', 'fp16'."
ERRORS = [
    (lambda: run(accumulate=0), ValueError, "got accumulate=0, expected at least 1"),
    (lambda: run(accumulate=-1), ValueError, "got accumulate=-1, expected at least 1"),
    (lambda: run(accumulate=2.0), TypeError, "accumulate is a float, expected an int"),
    (lambda: run(precision="fp8"), ValueError, f"fit: got {UNKNOWN}"),
    (
        lambda: evaluate(nn.Identity(), [], {}, precision="fp8"),
        ValueError,
        f"evaluate: got {UNKNOWN}",
    ),
    (lambda: run(schedule_every="batch"), ValueError, "schedule_every='batch', expected 'epoch'"),
    (lambda: run(schedule_every="step"), ValueError, "'step' with NoneType, expected a schedule"),
    (lambda: run(**PLATEAU), ValueError, "'step' with ReduceLROnPlateau, expected a schedule"),
]


@pytest.mark.parametrize(("call", "error", "words"), ERRORS)
def test_errors_say_what_was_got_what_was_expected_and_what_to_write(call, error, words):
    check_error(call, error, words)
