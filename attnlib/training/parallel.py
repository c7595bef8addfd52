"""Train with several processes, one script for one or many: torchrun starts them.

    with distributed() as device:
        model = data_parallel(Classifier().to(device))
        optimizer = torch.optim.AdamW(model.parameters())
        fit(model, Shard(loader), cross_entropy, optimizer, epochs=9, checkpoint="run.pt")

    python script.py                                           # one process
    torchrun --nproc-per-node 4 --max-restarts 3 script.py     # four, on this machine

Each process takes its rows of every batch, so that a step is that of one process with whole
batches. When a process dies torchrun starts all of them again, and `fit` goes on from the file.
On several machines they need a file that all can read, and TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1.
"""

import os
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, RandomSampler

from attnlib.training._batches import device_of, map_batch
from attnlib.training.loop import best_device

__all__ = ["Shard", "data_parallel", "distributed"]

ENVIRONMENT = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


@contextmanager
def distributed(*, timeout: float = 600.0) -> Iterator[torch.device]:
    """Join the processes that torchrun has started, and leave them whatever happens inside.

    nccl between CUDA devices, one a process, else gloo; without torchrun there is nothing to join.

    Args:
        timeout: how long a process waits for the others before it fails, in seconds.

    Yields:
        The device of this process.

    Raises:
        ValueError: a timeout that is not above 0.
        RuntimeError: joined already, or only a part of torchrun's variables is set.

    >>> with distributed() as device:  # started by python, not by torchrun
    ...     dist.is_initialized()
    False
    """
    if not timeout > 0:
        raise ValueError(
            f"distributed: got timeout={timeout}, expected seconds above 0; write timeout=60"
        )
    missing = [name for name in ENVIRONMENT if name not in os.environ]
    if "RANK" in missing:
        yield best_device()
        return
    if missing:
        raise RuntimeError(
            f"distributed: the environment has RANK but not {missing}, expected all variables of "
            "torchrun; start the script as torchrun --nproc-per-node 2 script.py"
        )
    if dist.is_initialized():
        raise RuntimeError(
            "distributed: the process group exists already, expected none; "
            "enter distributed() once, around the whole run"
        )
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    _join("nccl" if cuda else "gloo", timedelta(seconds=timeout))
    try:
        yield device
    finally:
        dist.destroy_process_group()


def _join(backend: str, timeout: timedelta) -> None:
    store, rank, processes = next(dist.rendezvous("env://", timeout=timeout))
    if os.environ.get("LOCAL_WORLD_SIZE") == str(processes):
        # torchrun keeps its store over a restart, and in it the addresses of the processes that
        # died. On one machine the restarts are counted, so that each can have keys of its own.
        store = dist.PrefixStore(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"), store)
    dist.init_process_group(backend, store=store, rank=rank, world_size=processes, timeout=timeout)


def data_parallel(model: nn.Module) -> nn.Module:
    """Wrap a model for the processes of `distributed`; all begin with the weights of the first.

    gradient = 1/W sum_r gradient_r, over W processes, exchanged while the backward pass runs; `fit`
    turns it into the mean over the items of all of them.

    Args:
        model: on the device of this process; every parameter must take part in the loss.

    Returns:
        A torch DistributedDataParallel whose `module` is the model, or without `distributed` the
        model itself.

    >>> type(data_parallel(nn.Linear(2, 3))).__name__
    'Linear'
    """
    if not dist.is_initialized():
        return model
    device = device_of(model)
    return DistributedDataParallel(model, device_ids=[device] if device.type == "cuda" else None)


class Shard:
    """The rows of every batch that one process takes; all take the same number of steps.

    Process r of W takes the rows floor(n r / W) to floor(n (r + 1) / W) - 1 of n. The parts differ
    by one row at most, and are empty for some where n < W: `fit` counts an empty part as nothing.

    Args:
        loader: batches of tensors (in tuples, lists, dicts) whose first dimension is the items,
            with a length; in the same order in each process.
        rank: r; that of this process in `distributed` when omitted.
        processes: W; that of `distributed` when omitted.

    Raises:
        TypeError: a loader without length, a batch whose tensors have no rows.
        ValueError: a rank outside 0 to W - 1, shuffling by torch's global generator (the processes
            would see different orders), tensors with different numbers of rows.

    Differs from torch.utils.data.DistributedSampler:
        divides batches, not the data set, and repeats no row to make the parts equal, so that means
        and steps are those of one process; each process reads whole batches.

    >>> [x.tolist() for x in Shard([torch.arange(5), torch.arange(3)], rank=0, processes=2)]
    [[0, 1], [0]]
    """

    def __init__(
        self, loader: Iterable, *, rank: int | None = None, processes: int | None = None
    ) -> None:
        joined = dist.is_initialized()
        rank = (dist.get_rank() if joined else 0) if rank is None else rank
        processes = (dist.get_world_size() if joined else 1) if processes is None else processes
        if not 0 <= rank < processes:
            raise ValueError(
                f"Shard: got rank={rank} of processes={processes}, expected a rank from 0 to "
                f"{processes - 1}; leave both out inside distributed()"
            )
        if not isinstance(loader, Sized):
            got = type(loader).__name__
            raise TypeError(f"Shard: loader is a {got}, expected a length; pass a list of batches")
        self.loader = loader
        self.rank = rank
        self.processes = processes
        self.generator = getattr(loader, "generator", None)  # a checkpoint keeps its state
        shuffled = getattr(loader, "shuffle", False)
        if isinstance(loader, DataLoader):
            shuffled = isinstance(loader.sampler, RandomSampler)
        if shuffled and self.generator is None and processes > 1:
            raise ValueError(
                "Shard: the loader shuffles by torch's global generator, expected one of its own, "
                "equal in each process; write generator=torch.Generator().manual_seed(0)"
            )

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        for batch in self.loader:
            rows: list[int] = []
            map_batch(lambda part, seen=rows: seen.append(_rows(part)), batch)
            if len(set(rows)) != 1:
                raise ValueError(
                    f"Shard: the tensors of a batch have {rows} rows, expected one number; "
                    "make the items the first dimension of each"
                )
            start, stop = (rows[0] * r // self.processes for r in (self.rank, self.rank + 1))
            yield map_batch(lambda part, rows=slice(start, stop): part[rows], batch)


def _rows(part: Any) -> int:
    if not isinstance(part, Tensor) or part.ndim == 0:
        got = "a tensor without rows" if isinstance(part, Tensor) else f"a {type(part).__name__}"
        raise TypeError(
            f"Shard: a batch holds {got}, expected tensors with items in rows; "
            "collate the items into tensors"
        )
    return len(part)
