"""Two processes of torchrun train like one, and a run survives a process that is killed."""

import os
import runpy
import subprocess
import sys
from collections import namedtuple

import pytest
import torch
import torch.distributed as dist
from errors import check_error
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from attnlib.data import TensorBatches
from attnlib.training import Shard, data_parallel, distributed

# The same script for one process and for two. 23 rows in batches of 11: the last has one row, so
# that one of two processes has none.
SCRIPT = """
import os, signal, sys
import torch
from torch import nn
from attnlib.data import TensorBatches
from attnlib.training import (
    Shard, accuracy, cross_entropy, data_parallel, distributed, evaluate, fit,
)

restarts = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
rank = int(os.environ.get("RANK", 0))

def rows(count, seed):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 7, generator=g)
    return x, (x @ torch.randn(7, 3, generator=g)).argmax(1)

def run(name, dropout, killed_at=None):
    torch.manual_seed(rank)  # other weights and another dropout in each process
    model = nn.Sequential(nn.Linear(7, 13), nn.Tanh(), nn.Dropout(dropout), nn.Linear(13, 3))
    model = data_parallel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.3, total_steps=8)
    g = torch.Generator().manual_seed(3)
    loader = Shard(TensorBatches(*rows(23, 1), batch_size=11, shuffle=True, generator=g))
    val_loader = Shard(TensorBatches(*rows(17, 2), batch_size=5))
    batches = 0

    def loss_fn(model, batch):
        nonlocal batches
        batches += model.training
        if batches == killed_at and rank == 1 and restarts == "0":
            os.kill(os.getpid(), signal.SIGKILL)
        return cross_entropy(model, batch)

    history = fit(
        model, loader, loss_fn, optimizer, epochs=4, val_loader=val_loader, grad_clip=0.5,
        measures={"accuracy": accuracy}, accumulate=2, checkpoint=name + ".pt", progress=False,
        scheduler=schedule, schedule_every="step",
    )
    again = evaluate(model, TensorBatches(*rows(17, 2), batch_size=17), {"loss": cross_entropy})
    inner = getattr(model, "module", model)
    torch.save((history, again, inner.state_dict()), f"{name}-{rank}-{restarts}.out")

with distributed(timeout=30):
    if sys.argv[1:] == ["killed"]:
        run("dropout", 0.5, killed_at=8)  # in the third epoch of four
    else:
        run("plain", 0.0)
        run("dropout", 0.5)
"""


def two_processes(folder, *arguments):
    (folder / "script.py").write_text(SCRIPT, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "RANK"}
    environment |= {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "PYTHONWARNINGS": "ignore"}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    torchrun = ["torch.distributed.run", "--standalone", "--local-addr=127.0.0.1"]
    torchrun += ["--nproc-per-node=2", "--max-restarts=1", "--monitor-interval=0.1"]
    done = subprocess.run(
        [sys.executable, "-m", *torchrun, "script.py", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What two processes save that nobody disturbs."""
    folder = tmp_path_factory.mktemp("undisturbed")
    two_processes(folder)
    return {path.name: path for path in folder.iterdir()}


def test_two_processes_train_and_measure_like_one(undisturbed, tmp_path, monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setattr(sys, "argv", ["script.py"])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    with torch.random.fork_rng():
        runpy.run_path("script.py")
    one = torch.load("plain-0-0.out")
    first, second = (torch.load(undisturbed[f"plain-{rank}-0.out"]) for rank in (0, 1))
    torch.testing.assert_close(second, first, rtol=0, atol=0)
    torch.testing.assert_close(first, one, rtol=1e-6, atol=1e-6)
    assert [name for name in sorted(undisturbed) if ".pt" in name] == ["dropout.pt", "plain.pt"]


@pytest.mark.slow
def test_a_run_whose_process_is_killed_goes_on_from_its_file_and_ends_the_same(
    undisturbed, tmp_path
):
    two_processes(tmp_path, "killed")
    assert not list(tmp_path.glob("*-0.out"))  # the first start has not come to its end
    for rank in (0, 1):
        got = torch.load(tmp_path / f"dropout-{rank}-1.out")
        wanted = torch.load(undisturbed[f"dropout-{rank}-0.out"])
        torch.testing.assert_close(got, wanted, rtol=0, atol=0)


# --- in one process ----------------------------------------------------------------------------


def test_without_torchrun_nothing_is_joined_and_nothing_is_wrapped(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    line = nn.Linear(2, 3)
    with distributed() as device:
        assert device.type in ("cpu", "cuda", "mps")
        assert not dist.is_initialized()
        assert data_parallel(line) is line
        assert [x.tolist() for x in Shard([torch.arange(3)])] == [[0, 1, 2]]


def alone(monkeypatch):
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    for name, value in {"RANK": 0, "WORLD_SIZE": 1, "LOCAL_RANK": 0, "MASTER_PORT": 0}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")


def test_the_processes_are_left_after_an_error(monkeypatch):
    alone(monkeypatch)

    def fail():
        with distributed(timeout=20):
            assert dist.is_initialized()
            raise ZeroDivisionError("planted")

    with pytest.raises(ZeroDivisionError, match="planted"):
        fail()
    assert not dist.is_initialized()


@settings(max_examples=50, deadline=None, derandomize=True, database=None)
@given(st.lists(st.integers(1, 13), min_size=1, max_size=5), st.integers(1, 5))
def test_the_shards_of_all_processes_are_the_batches(sizes, processes):
    batches = list(torch.arange(sum(sizes)).split(sizes))
    shards = [list(Shard(batches, rank=r, processes=processes)) for r in range(processes)]
    assert [len(shard) for shard in shards] == [len(batches)] * processes
    for batch, *parts in zip(batches, *shards, strict=True):
        assert torch.cat(parts).tolist() == batch.tolist()
        rows = [len(part) for part in parts]
        assert max(rows) - min(rows) <= 1


def test_a_shard_keeps_the_shape_of_a_batch():
    Pair = namedtuple("Pair", "x y")
    x, y = torch.arange(15.0).reshape(5, 3), torch.arange(5)
    [pair, mapping] = Shard([Pair(x, y), {"xs": [x, x], "name": "left whole"}], rank=1, processes=2)
    assert type(pair) is Pair
    torch.testing.assert_close(pair.x, x[2:])
    assert pair.y.tolist() == [2, 3, 4]
    torch.testing.assert_close(mapping["xs"], [x[2:], x[2:]])
    assert mapping["name"] == "left whole"


def test_a_shard_shows_the_generator_of_its_loader_for_the_checkpoint():
    g = torch.Generator()
    loader = TensorBatches(torch.arange(5), batch_size=2, shuffle=True, generator=g)
    assert Shard(loader, rank=0, processes=2).generator is g
    assert len(Shard(loader, rank=0, processes=2)) == 3


# --- errors ------------------------------------------------------------------------------------


def entered(timeout=20, **environment):
    with pytest.MonkeyPatch.context() as patch:
        alone(patch)
        for name, value in environment.items():
            patch.delenv(name) if value is None else patch.setenv(name, value)
        with distributed(timeout=timeout), distributed():
            pass


def shard(batch, **options):
    return list(Shard([batch], **{"rank": 0, "processes": 2, **options}))


DATA = torch.arange(5)
SHUFFLED = DataLoader(TensorDataset(DATA), batch_size=2, shuffle=True)
ERRORS = [
    (lambda: entered(timeout=0), ValueError, "got timeout=0, expected seconds above 0"),
    (lambda: entered(timeout=float("nan")), ValueError, "got timeout=nan, expected seconds"),
    (lambda: entered(MASTER_PORT=None), RuntimeError, r"RANK but not \['MASTER_PORT'\], expected"),
    (entered, RuntimeError, "the process group exists already, expected none"),
    (lambda: shard(DATA, rank=2), ValueError, "rank=2 of processes=2, expected a rank from 0 to 1"),
    (lambda: shard(DATA, rank=-1), ValueError, "rank=-1 of processes=2, expected a rank from 0"),
    (lambda: Shard(iter([DATA])), TypeError, "loader is a list_iterator, expected a length"),
    (lambda: Shard(SHUFFLED, rank=0, processes=2), ValueError, "shuffles by torch's global gener"),
    (
        lambda: Shard(TensorBatches(DATA, batch_size=2, shuffle=True), rank=0, processes=2),
        ValueError,
        "shuffles by torch's global generator, expected one of its own, equal in each process",
    ),
    (lambda: shard((DATA, DATA[:3])), ValueError, r"a batch have \[5, 3\] rows, expected one numb"),
    (lambda: shard({"names": ["a"]}), ValueError, r"a batch have \[\] rows, expected one number"),
    (lambda: shard(torch.tensor(1.0)), TypeError, "holds a tensor without rows, expected tensors"),
    (lambda: shard([DATA, nn.Linear(2, 3)]), TypeError, "a batch holds a Linear, expected tensors"),
]


@pytest.mark.parametrize(("call", "error", "words"), ERRORS)
def test_errors_say_what_was_got_what_was_expected_and_what_to_write(call, error, words):
    check_error(call, error, words)
