"""attnlib.training against plain loops written out here, bit for bit."""

import copy
import functools
import io
import itertools
import math
import os
import pickle
import statistics
import sys
from collections import namedtuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from errors import check_error
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.optim.lr_scheduler import ExponentialLR, ReduceLROnPlateau, StepLR
from torch.utils.data import DataLoader, TensorDataset

from attnlib.data import TensorBatches
from attnlib.training import (
    _epoch,
    accuracy,
    best_device,
    cross_entropy,
    evaluate,
    fit,
    interval,
    loop,
)

# rows, features, classes, rows of a batch (the last batch has 3), length of a sequence
N, D, C, B, L = 23, 7, 3, 5, 11
quiet = functools.partial(fit, progress=False)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """On models this small two threads wait for each other, on a busy machine ten times as long."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def rows(count=N, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, D, generator=generator)
    return x, (x @ torch.randn(D, C, generator=generator)).argmax(dim=1)


# who shuffles, and whether with a generator of its own or with torch's global one
SHUFFLES = ["no", "own", "global", "DataLoader, own", "DataLoader, global"]


class Run:
    """All that one call of fit needs, made anew: nothing of an interrupted run survives in it."""

    def __init__(self, seed=0, shuffle="own"):
        torch.manual_seed(seed)
        self.model = nn.Sequential(nn.Linear(D, 13), nn.Dropout(0.5), nn.Linear(13, C))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.02)
        self.scheduler = StepLR(self.optimizer, 2, gamma=0.5)
        data = rows()
        options = {"batch_size": B, "shuffle": shuffle != "no"}
        if "own" in shuffle:
            options["generator"] = torch.Generator().manual_seed(seed)
        if "DataLoader" in shuffle:
            self.loader = DataLoader(TensorDataset(*data), **options)
        else:
            self.loader = TensorBatches(*data, **options)
        self.val_loader = TensorBatches(*rows(17, seed=1), batch_size=B)

    def fit(self, epochs=4, loss_fn=cross_entropy, **options):
        scheduler = options.pop("scheduler", self.scheduler)
        return quiet(
            self.model, self.loader, loss_fn, self.optimizer,
            epochs=epochs, scheduler=scheduler, **options,
        )  # fmt: skip

    def state(self):
        return copy.deepcopy((self.model.state_dict(), self.optimizer.state_dict()))


def assert_same(got, wanted):
    torch.testing.assert_close(got, wanted, rtol=0, atol=0)


def plain_loop(run, epochs, clip=None, scheduler=None):
    """What fit must do, without any of its comforts: (states after each epoch, mean losses)."""
    states, losses = [], []
    for _ in range(epochs):
        run.model.train()
        total = 0.0
        for x, y in run.loader:
            run.optimizer.zero_grad()
            loss = F.cross_entropy(run.model(x), y, reduction="sum") / len(y)
            loss.backward()
            if clip is not None:
                nn.utils.clip_grad_norm_(run.model.parameters(), clip)
            run.optimizer.step()
            total += loss.item() * len(y)
        if scheduler is not None:
            scheduler.step()
        states.append(copy.deepcopy(run.model.state_dict()))
        losses.append(total / N)
    return states, losses


@pytest.mark.parametrize("clip", [None, 0.3, 1e6])
@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_fit_equals_a_plain_loop_bit_for_bit(clip, shuffle):
    plain, run = Run(shuffle=shuffle), Run(shuffle=shuffle)
    torch.manual_seed(5)
    states, losses = plain_loop(plain, 3, clip, plain.scheduler)
    torch.manual_seed(5)
    history = run.fit(3, grad_clip=clip)
    assert_same(run.model.state_dict(), states[-1])
    assert [row["epoch"] for row in history] == [1, 2, 3]
    assert [row["loss"] for row in history] == pytest.approx(losses, rel=1e-6)
    assert [list(row) for row in history] == [["epoch", "loss"]] * 3
    assert all(type(value) in (int, float) for row in history for value in row.values())


def test_a_checkpoint_changes_nothing_of_the_run(tmp_path):
    with_file, without = Run(), Run()
    torch.manual_seed(5)
    wanted = without.fit(grad_clip=1.0)
    torch.manual_seed(5)
    assert with_file.fit(grad_clip=1.0, checkpoint=tmp_path / "run.pt") == wanted
    assert_same(with_file.state(), without.state())


def test_validation_changes_nothing_of_the_training():
    plain, run = Run(), Run()
    torch.manual_seed(5)
    states, _ = plain_loop(plain, 4, scheduler=plain.scheduler)
    torch.manual_seed(5)
    measures = {"accuracy": accuracy}
    history = run.fit(4, val_loader=run.val_loader, measures=measures)
    for row, state in zip(history, states, strict=True):
        plain.model.load_state_dict(state)
        wanted = evaluate(plain.model, plain.val_loader, {"loss": cross_entropy, **measures})
        assert row["val_loss"] == wanted["loss"]
        assert row["val_accuracy"] == wanted["accuracy"]
    best = min(range(4), key=lambda epoch: history[epoch]["val_loss"])
    assert_same(run.model.state_dict(), states[best])


def test_a_measure_named_loss_takes_the_place_of_the_loss_in_the_validation():
    run = Run()
    history = run.fit(1, val_loader=run.val_loader, measures={"loss": accuracy})
    assert history[0]["val_loss"] == evaluate(run.model, run.val_loader, {"_": accuracy})["_"]


def scripted(values):
    """A measure that tells a given story: one value a call, so one batch for validation."""
    story = iter(values)
    return lambda model, batch: (torch.tensor(next(story)), 1)


@pytest.mark.parametrize(
    ("mode", "patience", "values", "epochs", "best"),
    [
        ("max", 2, [1.0, 3.0, 2.0, 2.5, 9.0], 4, 2),
        ("min", 2, [5.0, 3.0, 4.0, 3.5, 0.0], 4, 2),
        ("max", 2, [1.0, 3.0, 3.0, 3.0, 9.0], 4, 2),  # as good as the best is no improvement
        ("max", 1, [1.0, 2.0, 3.0, 2.0, 9.0], 4, 3),
        ("max", 3, [1.0, 0.0, 0.0, 2.0, 0.0], 5, 4),  # improved in the last moment
        ("min", None, [1.0, 2.0, 3.0, 4.0, 5.0], 5, 1),
        ("max", 2, [-1.0, -3.0, -2.0, 5.0, 5.0], 3, 1),
    ],
)
def test_patience_stops_and_the_best_weights_come_back(mode, patience, values, epochs, best):
    plain, run = Run(), Run()
    torch.manual_seed(5)
    states, _ = plain_loop(plain, 5)
    torch.manual_seed(5)
    history = run.fit(
        5, scheduler=None, val_loader=[rows(2)], measures={"score": scripted(values)},
        monitor="val_score", mode=mode, patience=patience,
    )  # fmt: skip
    assert [row["val_score"] for row in history] == values[:epochs]
    assert_same(run.model.state_dict(), states[best - 1])


def test_the_scheduler_steps_once_an_epoch():
    run = Run()
    run.fit(5)
    assert run.optimizer.param_groups[0]["lr"] == pytest.approx(0.02 * 0.5**2)


def test_reduce_on_plateau_is_given_the_monitored_value():
    run = Run()
    plateau = ReduceLROnPlateau(run.optimizer, mode="max", factor=0.1, patience=0)
    run.fit(
        4, scheduler=plateau, val_loader=[rows(2)], monitor="val_score", mode="max",
        measures={"score": scripted([1.0, 2.0, 1.5, 3.0])},
    )  # fmt: skip
    assert run.optimizer.param_groups[0]["lr"] == pytest.approx(0.02 * 0.1)
    assert plateau.best == 3.0


def test_reduce_on_plateau_is_given_the_loss_where_nothing_is_validated():
    run = Run()
    plateau = ReduceLROnPlateau(run.optimizer)
    history = run.fit(2, scheduler=plateau)
    assert plateau.best == min(row["loss"] for row in history)


def test_batches_may_be_tensors_lists_dicts_and_named_tuples():
    Pair = namedtuple("Pair", "x y")
    x, y = rows()
    line = nn.Linear(D, C)
    seen = []

    def loss_fn(model, batch):
        seen.append(type(batch).__name__)
        values = batch["xs"][0] if isinstance(batch, dict) else batch[0]
        return model(values.reshape(-1, D)).square().mean(), 1

    batches = [x, [x, y], (x, y), Pair(x, y), {"xs": [x], "names": ["a"]}]
    quiet(line, batches, loss_fn, torch.optim.SGD(line.parameters(), lr=0.1), epochs=1)
    assert seen == ["Tensor", "list", "tuple", "Pair", "dict"]


def test_every_tensor_of_a_batch_goes_to_the_device_of_the_model():
    class Parcel:
        def to(self, device):
            return device

    buffered = nn.BatchNorm1d(D, affine=False).to("meta")  # no parameter, only buffers
    seen = []

    def measure(model, batch):
        seen.append(batch)
        return torch.tensor(1.0), 1

    batch = (Parcel(), [Parcel(), {"deep": Parcel(), "text": "left alone"}])
    evaluate(buffered, [batch], {"m": measure})
    meta = torch.device("meta")
    assert seen == [(meta, [meta, {"deep": meta, "text": "left alone"}])]


def test_modes_are_right_inside_and_put_back_afterwards():
    run = Run()
    run.model[1].eval()  # a part frozen on purpose, in a model that is in train mode
    modes = []

    def loss_fn(model, batch):
        modes.append([module.training for module in model.modules()])
        return cross_entropy(model, batch)

    before = [module.training for module in run.model.modules()]
    run.fit(1, loss_fn, val_loader=run.val_loader)
    assert modes == [[True] * 4] * len(run.loader) + [[False] * 4] * len(run.val_loader)
    assert [module.training for module in run.model.modules()] == before
    evaluate(run.model.eval(), run.val_loader, {"loss": cross_entropy})
    assert not run.model.training


@pytest.mark.parametrize(
    "call", [Run.fit, lambda run, loss_fn: evaluate(run.model, [rows()], {"m": loss_fn})]
)
def test_modes_are_put_back_after_an_error(call):
    run = Run()
    run.model.eval()
    run.model[0].train()

    def loss_fn(model, batch):
        raise ZeroDivisionError("planted")

    with pytest.raises(ZeroDivisionError, match="planted"):
        call(run, loss_fn=loss_fn)
    assert [module.training for module in run.model.modules()] == [False, True, False, False]


# --- numbers that are not finite ---------------------------------------------------------------


def spoiled(epoch, batch, spoil):
    """A loss function that goes wrong in one batch of one epoch."""
    calls = itertools.count()

    def loss_fn(model, data):
        loss, count = cross_entropy(model, data)
        at = next(calls) == (epoch - 1) * 5 + batch - 1
        return (spoil(loss) if at else loss), count

    return loss_fn


SPOILS = {
    "nan": lambda loss: loss * math.nan,
    "inf": lambda loss: loss * math.inf,
    "finite loss, gradient inf": lambda loss: loss + (loss - loss.detach()).sqrt(),
}


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS)
@pytest.mark.parametrize("clip", [None, 1.0])
def test_a_number_that_is_not_finite_is_named_and_the_weights_are_not_spoiled(
    spoil, clip, tmp_path
):
    wanted, run, path = Run(), Run(), tmp_path / "run.pt"
    torch.manual_seed(5)
    wanted.fit(1, grad_clip=clip, checkpoint=path)
    whole = path.read_bytes()
    path.unlink()
    torch.manual_seed(5)
    words = r"in epoch 2 the loss .* is (nan|inf) in batch 3"
    options = {"grad_clip": clip, "checkpoint": path}
    check_error(lambda: run.fit(4, spoiled(2, 3, spoil), **options), RuntimeError, words)
    assert all(value.isfinite().all() for value in run.model.state_dict().values())
    assert torch.load(path)["history"] == torch.load(io.BytesIO(whole))["history"]
    assert_same(torch.load(path)["model"], torch.load(io.BytesIO(whole))["model"])
    uninterrupted, resumed = Run(), Run(seed=1)
    torch.manual_seed(5)
    history = uninterrupted.fit(grad_clip=clip)
    assert resumed.fit(checkpoint=path, grad_clip=clip) == history


def test_nan_in_the_input_is_an_error_with_its_epoch_and_batch():
    run = Run(shuffle="no")
    x, y = rows()
    x[12, 3] = math.nan
    run.loader = TensorBatches(x, y, batch_size=B)
    check_error(run.fit, RuntimeError, "in epoch 1 the loss or its gradient is nan in batch 3")


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS)
def test_a_gpu_is_asked_once_an_epoch_and_the_batch_is_still_named(spoil, monkeypatch):
    monkeypatch.setattr(loop, "device_of", lambda model: torch.device("cuda"))
    monkeypatch.setattr(_epoch, "to_device", lambda batch, device: batch)
    run, calls = Run(), []
    loss_fn = spoiled(1, 2, spoil)

    def counted(model, batch):
        calls.append(batch)
        return loss_fn(model, batch)

    words = r"in epoch 1 the loss .* is (nan|inf) in batch 2"
    check_error(lambda: run.fit(loss_fn=counted), RuntimeError, words)
    assert len(calls) == 5


# --- checkpoints -------------------------------------------------------------------------------


class Stop(Exception):
    pass


def stopping(after, error):
    calls = itertools.count(1)

    def loss_fn(model, batch):
        if model.training and next(calls) > after:
            raise error
        return cross_entropy(model, batch)

    return loss_fn


@pytest.mark.parametrize("shuffle", SHUFFLES)
@pytest.mark.parametrize(
    ("after", "error"),
    [(0, Stop), (3, KeyboardInterrupt), (5, KeyboardInterrupt), (12, Stop), (19, Stop)],
)
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tmp_path, after, shuffle, error):
    measures = {"accuracy": accuracy, "first": lambda model, batch: (batch[0][0, 0], 1)}
    options = {"patience": 3, "measures": measures, "grad_clip": 0.5}
    wanted, first, second = runs = Run(0, shuffle), Run(0, shuffle), Run(7, shuffle)
    for seed, run in zip((0, 0, 7), runs, strict=True):  # a validation can have an order as well
        run.val_loader.shuffle = True
        run.val_loader.generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(5)
    history = wanted.fit(val_loader=wanted.val_loader, **options)
    drawn = torch.rand(2)
    options["checkpoint"] = str(tmp_path / "run.pt")
    torch.manual_seed(5)
    with pytest.raises(error):
        first.fit(loss_fn=stopping(after, error), val_loader=first.val_loader, **options)
    torch.manual_seed(99)  # another process, with other weights and other random numbers
    assert second.fit(val_loader=second.val_loader, **options) == history
    assert_same(second.state(), wanted.state())
    assert second.scheduler.state_dict() == wanted.scheduler.state_dict()
    assert_same(torch.rand(2), drawn)
    assert os.listdir(tmp_path) == ["run.pt"]


def test_the_same_objects_can_resume_too(tmp_path):
    wanted, run, path = Run(), Run(), tmp_path / "run.pt"
    torch.manual_seed(5)
    history = wanted.fit()
    torch.manual_seed(5)
    with pytest.raises(Stop):
        run.fit(loss_fn=stopping(7, Stop), checkpoint=path)
    assert run.fit(checkpoint=path) == history
    assert_same(run.state(), wanted.state())


def test_an_interruption_says_where_and_how_to_go_on(tmp_path):
    run, path = Run(), tmp_path / "run.pt"
    run.model.eval()
    with pytest.raises(KeyboardInterrupt, match=r"epoch 3 of 4; .*run.pt holds .* continues there"):
        run.fit(loss_fn=stopping(12, KeyboardInterrupt), checkpoint=path)
    assert len(torch.load(path)["history"]) == 2
    assert not run.model.training
    with pytest.raises(
        KeyboardInterrupt, match=r"epoch 1 of 4; the model keeps .* pass checkpoint="
    ):
        Run().fit(loss_fn=stopping(2, KeyboardInterrupt))


def test_a_run_asked_for_more_epochs_goes_on(tmp_path):
    wanted, run, path = Run(), Run(), tmp_path / "run.pt"
    torch.manual_seed(5)
    history = wanted.fit(4, val_loader=wanted.val_loader)
    torch.manual_seed(5)
    assert run.fit(2, val_loader=run.val_loader, checkpoint=path) == history[:2]
    assert run.fit(4, val_loader=run.val_loader, checkpoint=path) == history
    assert_same(run.state(), wanted.state())


def never(model, batch):
    raise AssertionError("the model must not run")


@pytest.mark.parametrize("epochs", [2, 3])
def test_a_finished_run_is_not_trained_again(tmp_path, epochs):
    first, second, path = Run(), Run(seed=3), tmp_path / "run.pt"
    score = {"score": scripted([1.0, 3.0, 2.0])}
    options = {"monitor": "val_score", "mode": "max", "checkpoint": path}
    history = first.fit(3, val_loader=[rows(2)], measures=score, **options)
    whole = path.read_bytes()
    again = second.fit(epochs, never, val_loader=[rows(2)], measures={"score": never}, **options)
    assert again == history
    assert_same(second.model.state_dict(), first.model.state_dict())
    assert path.read_bytes() == whole


def test_a_run_that_stopped_early_stays_stopped_until_it_gets_more_patience(tmp_path):
    first, second, path = Run(), Run(seed=3), tmp_path / "run.pt"
    options = {"val_loader": [rows(2)], "monitor": "val_score", "mode": "max", "checkpoint": path}
    history = first.fit(
        9, measures={"score": scripted([1.0, 3.0, 2.0, 1.0])}, patience=2, **options
    )
    assert len(history) == 4
    assert second.fit(9, never, measures={"score": never}, patience=2, **options) == history
    assert_same(second.model.state_dict(), first.model.state_dict())
    score = {"score": scripted([5.0, 4.0, 3.0, 2.0])}
    more = second.fit(9, measures=score, patience=3, **options)
    assert more[:4] == history
    assert [row["val_score"] for row in more[4:]] == [5.0, 4.0, 3.0, 2.0]


@pytest.mark.parametrize("when", ["save", "fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file_whole(tmp_path, monkeypatch, when):
    run, path = Run(), tmp_path / "run.pt"
    run.fit(2, checkpoint=path)
    whole = path.read_bytes()
    owner, name = (torch, "save") if when == "save" else (os, when)
    writes, real = itertools.count(1), getattr(owner, name)

    def full(*arguments):
        if next(writes) == 1:  # the first is the trial before the training starts
            return real(*arguments)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(owner, name, full)
    words = r"cannot write .*run.pt \(No space left on device\), expected a folder that"
    check_error(lambda: run.fit(4, checkpoint=path), RuntimeError, words)
    assert torch.load(path)["history"] == torch.load(io.BytesIO(whole))["history"]
    assert os.listdir(tmp_path) == ["run.pt"]
    monkeypatch.undo()
    assert len(run.fit(4, checkpoint=path)) == 4


def test_an_interruption_while_writing_leaves_the_old_file_whole(tmp_path, monkeypatch):
    run, path = Run(), tmp_path / "run.pt"
    wanted = Run()
    torch.manual_seed(5)
    history = wanted.fit()
    writes, replace = itertools.count(1), os.replace

    def interrupted(*arguments):
        if next(writes) == 3:
            raise KeyboardInterrupt
        replace(*arguments)

    torch.manual_seed(5)
    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt, match="epoch 2 of 4"):
        run.fit(checkpoint=path)
    assert os.listdir(tmp_path) == ["run.pt"]
    assert run.fit(checkpoint=path) == history


@pytest.mark.parametrize("exists", [False, True])
def test_a_folder_that_cannot_be_written_to_is_found_before_training(tmp_path, monkeypatch, exists):
    run, path = Run(), tmp_path / "run.pt"
    if exists:
        run.fit(1, checkpoint=path)

    def refused(source, target):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refused)
    words = r"cannot write .*run.pt \(Permission denied\), expected a folder that"
    check_error(lambda: run.fit(2, never, checkpoint=path), RuntimeError, words)


@pytest.mark.parametrize("folder", ["missing", "a_file"])
def test_a_folder_that_is_none_is_found_before_training(tmp_path, folder):
    (tmp_path / "a_file").write_text("mine")
    path = tmp_path / folder / "run.pt"
    run = Run()
    before = run.state()
    words = r"cannot write .*run.pt \((No such file or|Not a) directory\), expected a folder that"
    check_error(lambda: run.fit(2, never, checkpoint=path), RuntimeError, words)
    assert_same(run.state(), before)
    assert os.listdir(tmp_path) == ["a_file"]


def test_a_state_that_could_not_be_read_back_is_found_before_training(tmp_path):
    run = Run()
    run.optimizer = torch.optim.SGD(run.model.parameters(), lr=np.float64(0.1))
    options = {"scheduler": None, "checkpoint": tmp_path / "run.pt"}
    check_error(lambda: run.fit(2, never, **options), RuntimeError, DAMAGED)


DAMAGED = (
    "run.pt is damaged, foreign or holds .*, expected .* delete it to start again, or pass another"
)


class Bomb:
    def __reduce__(self):
        return exec, ("import os; os.environ['ATTNLIB_BOMB'] = 'exploded'",)


def torch_file(content):
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def change_a_byte(whole):
    middle = len(whole) // 2
    return whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :]


DAMAGE = {
    "empty": lambda whole: b"",
    "truncated": lambda whole: whole[: len(whole) // 2],
    "last byte missing": lambda whole: whole[:-1],
    "random": lambda whole: np.random.default_rng(0).bytes(len(whole)),
    "text": lambda whole: b"epoch,loss\n1,0.5\n",
    "a changed byte": change_a_byte,
    "code": lambda whole: pickle.dumps(Bomb()),
    "code in a torch file": lambda whole: torch_file({"run": Bomb()}),
    "foreign": lambda whole: torch_file({"epoch": 3, "weights": torch.ones(2)}),
    "foreign run": lambda whole: torch_file({"run": 5, "history": []}),
    "foreign tensor": lambda whole: torch_file(torch.ones(2)),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_or_foreign_file_is_refused_and_left_alone(tmp_path, damage):
    first, path = Run(), tmp_path / "run.pt"
    first.fit(2, checkpoint=path)
    content = damage(path.read_bytes())
    path.write_bytes(content)
    run = Run(seed=3)
    before, drawn = run.state(), torch.get_rng_state()
    check_error(lambda: run.fit(4, never, checkpoint=path), RuntimeError, DAMAGED)
    assert path.read_bytes() == content
    assert_same(run.state(), before)
    assert_same(torch.get_rng_state(), drawn)
    assert "ATTNLIB_BOMB" not in os.environ
    assert os.listdir(tmp_path) == ["run.pt"]


def test_a_folder_as_checkpoint_is_refused(tmp_path):
    check_error(
        lambda: Run().fit(4, never, checkpoint=tmp_path), RuntimeError, "is damaged, foreign or"
    )


def other(width=13, bias=True, kind=torch.optim.AdamW, lr=0.02, groups=1, scheduler=StepLR):
    """A run like all others but for what is said."""
    run = Run(seed=3)
    run.model = nn.Sequential(nn.Linear(D, width), nn.Dropout(0.5), nn.Linear(width, C, bias=bias))
    parts = [run.model] if groups == 1 else [run.model[0], run.model[2]]
    run.optimizer = kind([{"params": list(part.parameters())} for part in parts], lr=lr)
    run.scheduler = scheduler and scheduler(run.optimizer, 2)
    return run


OTHERS = [
    ({"width": 11}, {}, r"shape of 0.weight is \[13, 7\], expected \[11, 7\]"),
    ({"bias": False}, {}, r"parameters is \[4\], expected \[3\]"),
    ({"kind": torch.optim.SGD}, {}, "optimizer is AdamW, expected SGD"),
    ({"lr": 0.3}, {}, "learning rate is 0.02, expected 0.3"),
    ({"groups": 2}, {}, r"parameters is \[4\], expected \[2, 2\]"),
    ({"scheduler": ExponentialLR}, {}, "scheduler is StepLR, expected ExponentialLR"),
    ({"scheduler": None}, {}, "scheduler is StepLR, expected None"),
    ({}, {"loader": [rows()]}, "batches is 5, expected 1"),
    ({}, {"grad_clip": 1.0}, "grad_clip is None, expected 1.0"),
    ({}, {"mode": "max"}, "monitor is min of val_loss.*, expected max of val_loss.*"),
    ({}, {"measures": {"a": accuracy}}, r"monitor is .*, expected .* \['loss', 'a'\]"),
    ({}, {"val_loader": None}, "monitor is min of val_loss.*, expected None"),
]


@pytest.mark.parametrize(("change", "options", "words"), OTHERS)
def test_the_file_of_another_run_is_refused_and_nothing_changes(tmp_path, change, options, words):
    first, run, path = Run(), other(**change), tmp_path / "run.pt"
    first.fit(2, val_loader=first.val_loader, checkpoint=path)
    whole, before = path.read_bytes(), run.state()
    options = {"checkpoint": path, "val_loader": run.val_loader, **options}
    run.loader = options.pop("loader", run.loader)
    words = f"run.pt is of a run whose {words}; repeat"
    check_error(lambda: run.fit(4, never, **options), RuntimeError, words)
    assert path.read_bytes() == whole
    assert_same(run.state(), before)


def test_a_scheduler_that_the_file_does_not_know_is_refused(tmp_path):
    path = tmp_path / "run.pt"
    Run().fit(2, scheduler=None, checkpoint=path)
    words = "whose scheduler is None, expected StepLR"
    check_error(lambda: Run().fit(4, never, checkpoint=path), RuntimeError, words)


@pytest.mark.parametrize(
    "make",
    [
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 4),
        lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=9),
        lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [1, 3]),
        lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda epoch: 1 / (1 + epoch)),
        lambda o: ReduceLROnPlateau(o, patience=0),
    ],
)
def test_the_schedulers_of_torch_survive_a_resume(tmp_path, make):
    runs = Run(), Run(), Run(seed=7)
    for run in runs:
        run.optimizer = torch.optim.SGD(run.model.parameters(), lr=0.1, momentum=0.9)
        run.scheduler = make(run.optimizer)
    wanted, first, second = runs
    torch.manual_seed(5)
    history = wanted.fit()
    torch.manual_seed(5)
    with pytest.raises(Stop):
        first.fit(loss_fn=stopping(12, Stop), checkpoint=tmp_path / "run.pt")
    assert second.fit(checkpoint=tmp_path / "run.pt") == history
    assert_same(second.state(), wanted.state())


def test_the_generator_of_a_gpu_is_kept_too(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "device_of", lambda model: torch.device("cuda", 1))
    monkeypatch.setattr(_epoch, "to_device", lambda batch, device: batch)
    on_the_gpu = torch.Generator()  # stands for the one that draws the dropout there
    monkeypatch.setattr(torch.cuda, "default_generators", (None, on_the_gpu))

    def noisy(loss_fn):
        def noise(model, batch):
            loss, count = loss_fn(model, batch)
            return loss * torch.rand((), generator=on_the_gpu), count

        return noise

    history = Run().fit(3, noisy(cross_entropy), checkpoint=tmp_path / "whole.pt")
    on_the_gpu.manual_seed(on_the_gpu.initial_seed())
    torch.manual_seed(0)
    with pytest.raises(Stop):
        Run().fit(3, noisy(stopping(7, Stop)), checkpoint=tmp_path / "run.pt")
    on_the_gpu.manual_seed(99)
    assert Run(7).fit(3, noisy(cross_entropy), checkpoint=tmp_path / "run.pt") == history


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_run_on_a_gpu_resumes_with_the_same_dropout(tmp_path):
    runs = Run(), Run(), Run(seed=7)
    for run in runs:
        run.model.cuda()
        run.optimizer = torch.optim.SGD(run.model.parameters(), lr=0.1, momentum=0.9)
    wanted, first, second = runs
    torch.manual_seed(5)
    history = wanted.fit(scheduler=None)
    torch.manual_seed(5)
    options = {"scheduler": None, "checkpoint": tmp_path / "run.pt"}
    with pytest.raises(Stop):
        first.fit(loss_fn=stopping(12, Stop), **options)
    torch.manual_seed(99)
    assert second.fit(**options) == history
    assert_same(second.state(), wanted.state())


# --- the bar -----------------------------------------------------------------------------------


class Bar:
    made: list["Bar"]

    def __init__(self, *, initial, total, unit):
        self.initial, self.n, self.total, self.postfix = initial, initial, total, []
        self.made.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.closed = True

    def update(self):
        self.n += 1

    def set_postfix(self, row):
        self.postfix.append(dict(row))


@pytest.fixture
def bars(monkeypatch):
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    monkeypatch.setattr("tqdm.auto.tqdm", Bar)
    monkeypatch.setattr(Bar, "made", [], raising=False)
    return Bar.made


def test_one_bar_counts_the_batches_of_all_epochs_and_shows_the_last_values(bars, tmp_path):
    run = Run()
    options = {"val_loader": run.val_loader, "checkpoint": tmp_path / "run.pt", "progress": True}
    history = run.fit(2, **options)
    (bar,) = bars
    assert (bar.initial, bar.n, bar.total, bar.closed) == (0, 10, 10, True)
    assert bar.postfix == history
    run.fit(2, **options)
    assert len(bars) == 1  # nothing to do, nothing to show
    run.fit(3, **options)
    assert (bars[1].initial, bars[1].n, bars[1].total) == (10, 15, 15)


def test_the_bar_of_a_run_that_stopped_early_is_full(bars):
    score = {"score": scripted([1.0, 2.0])}
    Run().fit(
        9, val_loader=[rows(2)], measures=score, monitor="val_score", patience=1, progress=True
    )
    assert (bars[0].n, bars[0].total) == (10, 10)


def test_there_is_no_bar_when_it_is_not_wanted_or_cannot_be(bars, monkeypatch, capsys):
    Run().fit(1)
    monkeypatch.setenv("TQDM_DISABLE", "1")
    Run().fit(1, progress=True)
    monkeypatch.delenv("TQDM_DISABLE")
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    assert len(Run().fit(1, progress=True)) == 1
    assert bars == []
    assert capsys.readouterr() == ("", "")


def test_the_bar_is_tqdms(monkeypatch, capsys):
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    Run().fit(2, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "10/10" in err
    assert "epoch=2" in err


# --- evaluate ----------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=7))
def test_evaluate_does_not_depend_on_the_size_of_the_batches(sizes):
    total = sum(sizes)
    x, y = rows(total)
    model = nn.Linear(D, C, dtype=torch.float64)
    x = x.double()
    measures = {"loss": cross_entropy, "accuracy": accuracy}
    got = evaluate(model, list(zip(x.split(sizes), y.split(sizes), strict=True)), measures)
    logits = model(x)
    assert list(got) == ["loss", "accuracy"]
    assert got["loss"] == pytest.approx(F.cross_entropy(logits, y).item(), rel=1e-12)
    assert got["accuracy"] == pytest.approx(
        (logits.argmax(1) == y).double().mean().item(), rel=1e-6
    )


def test_evaluate_weighs_by_the_number_that_the_measure_says():
    values = [(torch.tensor(2.0), 3), (torch.tensor(5.0), torch.tensor(1)), (torch.tensor(9.0), 0)]
    assert evaluate(nn.Identity(), iter(values), {"m": lambda model, pair: pair}) == {"m": 2.75}


def test_evaluate_takes_no_gradient_and_leaves_the_random_numbers_alone():
    run = Run()
    enabled = []

    def measure(model, batch):
        enabled.append(torch.is_grad_enabled())
        return cross_entropy(model, batch)

    drawn = torch.get_rng_state()
    first = evaluate(run.model, run.val_loader, {"m": measure})
    assert_same(torch.get_rng_state(), drawn)  # no dropout
    assert evaluate(run.model, run.val_loader, {"m": measure}) == first
    assert not any(enabled)
    assert torch.is_grad_enabled()


# --- the two measures --------------------------------------------------------------------------


def test_cross_entropy_and_accuracy_ignore_padding_in_sequences():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(B, L, C, generator=generator, dtype=torch.float64)
    targets = torch.randint(C, (B, L), generator=generator)
    targets[1:, 4:] = -100
    flat, kept = logits.reshape(-1, C), targets.flatten() != -100
    loss, count = cross_entropy(nn.Identity(), (logits, targets))
    torch.testing.assert_close(loss, F.cross_entropy(flat, targets.flatten()))
    assert count == kept.sum() == L + (B - 1) * 4
    share, count = accuracy(nn.Identity(), (logits, targets))
    right = [int(row.argmax()) == int(t) for row, t in zip(flat, targets.flatten(), strict=True)]
    assert share.item() == pytest.approx(sum(right) / int(kept.sum()))
    assert count == kept.sum()


@pytest.mark.parametrize("measure", [cross_entropy, accuracy])
def test_the_ignored_index_can_be_chosen_and_a_batch_of_padding_gives_zero(measure):
    logits = torch.tensor([[1.0, 3.0, 0.0], [0.0, 0.0, 2.0]])  # padding that looks right
    some = measure(nn.Identity(), (logits, torch.tensor([1, 2])), ignore_index=2)
    assert_same(some, measure(nn.Identity(), (logits[:1], torch.tensor([1]))))
    none = measure(nn.Identity(), (logits, torch.tensor([2, 2])), ignore_index=2)
    assert_same(none, (torch.tensor(0.0), torch.tensor(0)))


def test_all_but_the_last_of_a_batch_are_inputs_of_the_model():
    class Sum(nn.Module):
        def forward(self, first, second):
            return first + second

    x, y = rows()
    batch = (x[:, :C], x[:, C : 2 * C], y)
    assert_same(accuracy(Sum(), batch), accuracy(nn.Identity(), (batch[0] + batch[1], y)))
    assert_same(cross_entropy(Sum(), batch), cross_entropy(nn.Identity(), (batch[0] + batch[1], y)))


def test_cross_entropy_has_the_gradient_of_torchs():
    x, y = rows()
    mine, torchs = x[:, :C].clone().requires_grad_(), x[:, :C].clone().requires_grad_()
    cross_entropy(nn.Identity(), (mine, y))[0].backward()
    F.cross_entropy(torchs, y).backward()
    torch.testing.assert_close(mine.grad, torchs.grad)


# --- interval and device -----------------------------------------------------------------------


# Two-sided 95 % points of Student's t, from the tables of the NIST handbook.
@pytest.mark.parametrize(
    ("freedom", "t"),
    [
        *[(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (9, 2.262), (29, 2.045), (99, 1.984)],
        (100_000, 1.960),
    ],
)
def test_interval_agrees_with_the_published_table(freedom, t):
    values = [0.25 * (i % 5) + i % 3 for i in range(freedom + 1)]
    mean, low, high = interval(values)
    assert mean == pytest.approx(statistics.fmean(values))
    margin = t * statistics.stdev(values) / math.sqrt(freedom + 1)
    assert (high - low) / 2 == pytest.approx(margin, abs=6e-4 * margin / t)
    assert mean - low == pytest.approx(high - mean)


def test_interval_takes_tensors_and_arrays_and_gives_floats():
    values = [0.5, 0.75, 0.625]
    assert interval(torch.tensor(values)) == interval(np.array(values)) == interval(values)
    assert all(type(end) is float for end in interval(torch.tensor(values)))
    assert interval([0.5, 0.5]) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("cuda", "mps", "wanted"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_best_device_prefers_cuda_then_mps(monkeypatch, cuda, mps, wanted):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert best_device() == torch.device(wanted)


# --- errors ------------------------------------------------------------------------------------


def with_loader(loader):
    run = Run()
    run.loader = loader
    return run.fit(loss_fn=never)


def val(**options):
    run = Run()
    return run.fit(loss_fn=never, val_loader=run.val_loader, **options)


def detached(model, batch):
    loss, count = cross_entropy(model, batch)
    return loss.detach(), count


def stale_optimizer():
    run = Run()
    run.optimizer = torch.optim.SGD(Run().model.parameters(), lr=0.1)
    return run.fit(scheduler=None)


def per_item(model, batch):
    x, y = batch
    return F.cross_entropy(model(x), y, reduction="none"), len(y)


def plateau_max():
    run = Run()
    plateau = ReduceLROnPlateau(run.optimizer, mode="max")
    return run.fit(loss_fn=never, scheduler=plateau)


def measured(measure, batches=None):
    return evaluate(nn.Identity(), [rows()] if batches is None else batches, {"m": measure})


ERRORS = [
    (lambda: Run().fit(0), ValueError, "fit: .*epochs=0.* at least 1"),
    (lambda: Run().fit(-2), ValueError, "fit: .*epochs=-2.* at least 1"),
    (lambda: Run().fit(2.0), TypeError, "fit: epochs .* float, .* int"),
    (lambda: val(patience=0), ValueError, "fit: .*patience=0.* at least 1"),
    (lambda: Run().fit(patience=2), ValueError, "no val_loader, expected one for .*patience"),
    (lambda: Run().fit(measures={"a": accuracy}), ValueError, "no val_loader, expected one for m"),
    (lambda: Run().fit(monitor="val_a"), ValueError, "no val_loader, expected one for .*monitor"),
    (lambda: val(monitor="loss"), ValueError, r"monitor='loss', expected one of \['val_loss'\]"),
    (lambda: val(monitor="val_a"), ValueError, r"monitor='val_a', expected one of \['val_loss'\]"),
    (lambda: val(mode="higher"), ValueError, "mode='higher', expected 'min' or 'max'"),
    (plateau_max, ValueError, "ReduceLROnPlateau has mode='max', expected 'min'"),
    (lambda: Run().fit(grad_clip=0), ValueError, "grad_clip=0, expected a norm above 0"),
    (lambda: Run().fit(grad_clip=-1.0), ValueError, "grad_clip=-1.0, expected a norm above 0"),
    (lambda: Run().fit(grad_clip=math.nan), ValueError, "grad_clip=nan, expected a norm above 0"),
    (lambda: with_loader([]), ValueError, r"\['loader'\] without data, expected at least one"),
    (lambda: Run().fit(loss_fn=never, val_loader=[]), ValueError, r"\['val_loader'\] without data"),
    (lambda: with_loader(iter([rows()])), TypeError, "loader is a list_iterator, expected batches"),
    (lambda: Run().fit(loss_fn=detached), RuntimeError, "the loss has no gradient for the opt"),
    (stale_optimizer, RuntimeError, "build the optimizer from this model's parameters"),
    (lambda: Run().fit(loss_fn=per_item), TypeError, r"fit: loss_fn returned \[\[5\], 'int'\]"),
    (
        lambda: Run().fit(loss_fn=lambda model, batch: cross_entropy(model, batch)[0]),
        TypeError,
        r"fit: loss_fn returned \[\[\]\], expected the mean.* return loss.mean\(\), len",
    ),
    (lambda: Run().fit(loss_fn=lambda *_: None), TypeError, r"returned \['NoneType'\]"),
    (lambda: evaluate(nn.Identity(), [], accuracy), TypeError, "measures is a function, expected"),
    (lambda: measured(lambda *_: (0.5, 2)), TypeError, r"evaluate: m returned \['float', 'int'\]"),
    (lambda: measured(lambda *_: (torch.tensor(1.0), 2.5)), TypeError, r"\[\[\], 'float'\]"),
    (lambda: measured(accuracy, []), ValueError, "evaluate: m has no items in 0 batches"),
    (lambda: measured(lambda *_: (torch.tensor(0.0), 0)), ValueError, "no items in 1 batches"),
    (
        lambda: measured(lambda _, b: (b, 1), [torch.tensor(1.0), torch.tensor(math.nan)]),
        RuntimeError,
        "evaluate: m is nan in batch 2, expected a finite number",
    ),
    (
        lambda: measured(accuracy, [(torch.zeros(5, 3), torch.zeros(5, 1, dtype=torch.int64))]),
        ValueError,
        r"accuracy: targets have shape \[5, 1\], expected \[5\]; reshape them",
    ),
    (lambda: interval([0.5]), ValueError, r"interval: got \[0.5\], expected two or more finite"),
    (lambda: interval([]), ValueError, r"interval: got \[\], expected two or more finite values"),
    (lambda: interval([1.0, math.nan]), ValueError, r"interval: got \[1.0, nan\]"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "words"), ERRORS)
def test_errors_say_what_was_got_what_was_expected_and_what_to_write(call, error, words):
    check_error(call, error, words)
