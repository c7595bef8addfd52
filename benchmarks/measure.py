"""Measure candidates side by side, and keep what was found with the machine that found it.

Seconds of two runs on two days cannot be compared; the ratio of two candidates that took turns in
one process can. So every result is a ratio to a named peer, its median and quartiles over rounds.
"""

import json
import multiprocessing
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from importlib.metadata import version
from pathlib import Path
from unittest import mock

import torch

__all__ = ["Row", "compare", "machine", "peak_memory", "save", "slope", "table"]

RESULTS = Path(__file__).parent / "results"
# glibc keeps freed memory for later, and what a call takes from that hoard cannot be seen. So where
# memory is measured every larger block comes from the system, and goes back when it is freed.
NO_HOARD = {
    "MALLOC_MMAP_THRESHOLD_": "65536",
    "MALLOC_TRIM_THRESHOLD_": "65536",
    "MALLOC_TOP_PAD_": "0",
}
LEAST = 0.02  # seconds a timed stretch takes at least: shorter ones measure the clock


@dataclass
class Row:
    """One piece of work, and how several candidates did it.

    Args:
        work: what was done, with its sizes.
        peer: the candidate that the others are compared with.
        ratio: candidate to its time divided by the peer's: (median, lower, upper quartile).
        seconds: candidate to its median time.
        memory: candidate to its peak memory divided by the peer's, where that was measured.
        target: the largest ratio of time we want, candidate by candidate.
        memory_target: the same for memory.
    """

    work: str
    peer: str
    ratio: dict[str, tuple[float, float, float]]
    seconds: dict[str, float]
    memory: dict[str, float] = field(default_factory=dict)
    target: dict[str, float] = field(default_factory=dict)
    memory_target: dict[str, float] = field(default_factory=dict)


def compare(work: str, candidates: dict[str, Callable], peer: str, *, rounds: int = 9) -> Row:
    """Let the candidates take turns, `rounds` times, in an order that rotates.

    Each is called once before, to warm up. They must have been shown equal: that is for tests.

    Args:
        work: what is done, with its sizes.
        candidates: name to a call without arguments.
        peer: name of the candidate that the others are divided by.
        rounds: how often each is timed.

    >>> row = compare("nothing", {"ours": lambda: None, "theirs": lambda: None}, "theirs", rounds=3)
    >>> row.ratio["theirs"]
    (1.0, 1.0, 1.0)
    """
    names = list(candidates)
    repeats = {}
    for name, call in candidates.items():
        call()
        repeats[name] = max(1, round(LEAST / max(_seconds(call, 1), 1e-7)))
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            seconds[name].append(_seconds(candidates[name], repeats[name]))
    ratio = {}
    for name in names:
        pairs = zip(seconds[name], seconds[peer], strict=True)
        low, middle, high = statistics.quantiles([ours / theirs for ours, theirs in pairs], n=4)
        ratio[name] = (middle, low, high)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return Row(work, peer, ratio, medians)


def _seconds(call: Callable, repeats: int) -> float:
    cuda = torch.cuda.is_available()
    # The processor time of one thread does not count the turns that other programs take.
    clock = time.process_time if torch.get_num_threads() == 1 and not cuda else time.perf_counter
    if cuda:
        torch.cuda.synchronize()
    start = clock()
    for _ in range(repeats):
        call()
    if cuda:
        torch.cuda.synchronize()
    return (clock() - start) / repeats


def peak_memory(build: Callable, *arguments: object) -> int:
    """Bytes that a call needs at its highest point, beyond what its inputs take.

    In a fresh process, so that nothing is left over from other work.

    Args:
        build: a function of a module (not a lambda) that makes the inputs and returns the call to
            measure. The call is made twice and must leave nothing behind, such as gradients.
        arguments: what `build` is given: numbers and texts.

    Returns:
        Bytes: of the process on a CPU (Linux), of the device where CUDA is used.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(
        target=_measure_peak, args=(theirs, torch.get_num_threads(), build, arguments)
    )
    with mock.patch.dict(os.environ, NO_HOARD):
        child.start()
    theirs.close()
    try:
        return ours.recv()
    except EOFError:
        raise RuntimeError(
            f"peak_memory: the process of {build.__name__}{arguments} died, expected a number; "
            f"look at what it printed"
        ) from None
    finally:
        child.join()


def _measure_peak(pipe, threads: int, build: Callable, arguments: tuple) -> None:
    torch.set_num_threads(threads)
    call = build(*arguments)
    call()  # what is loaded, compiled or cached once is not this call's memory
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        torch.cuda.synchronize()
        pipe.send(torch.cuda.max_memory_allocated() - before)
        return
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts again from now
    before = _status("VmRSS")
    call()
    pipe.send(_status("VmHWM") - before)


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    [line] = [line for line in lines if line.startswith(f"{name}:")]
    return int(line.split()[1]) * 1024


def slope(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Exponent p of seconds ~ size^p: the slope of the line through the logarithms.

    >>> round(slope([1, 2, 4], [3, 12, 48]), 2)
    2.0
    """
    x = torch.tensor(sizes, dtype=torch.float64).log()
    y = torch.tensor(seconds, dtype=torch.float64).log()
    x = x - x.mean()
    return float((x * y).sum() / (x * x).sum())


def machine() -> dict[str, str | int]:
    """What a result depends on: processor, threads, versions, date."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [x for x in cpuinfo.read_text().splitlines() if x.startswith("model name")]
        name = models[0].partition(":")[2].strip() if models else name
    found = {
        "processor": name,
        "cores": os.cpu_count() or 0,
        "threads": torch.get_num_threads(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "date": date.today().isoformat(),
    }
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
    if "torch_geometric" in sys.modules:
        found["torch_geometric"] = version("torch_geometric")
    return found


def save(name: str, rows: Sequence[Row], growth: dict[str, float] | None = None) -> Path:
    """Write results/<name>.json (on a GPU results/<name>-<gpu>.json), and print the rows.

    Args:
        name: of the benchmark.
        rows: what `compare` returned.
        growth: name of a candidate to the fitted slope of its time.

    Returns:
        The path of the file.
    """
    where = machine()
    gpu = "-" + str(where["gpu"]).replace(" ", "-") if "gpu" in where else ""
    content = {"machine": where, "rows": [asdict(row) for row in rows], "growth": growth or {}}
    path = RESULTS / f"{name}{gpu}.json"
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)
    print(table(rows))
    for candidate, exponent in (growth or {}).items():
        print(f"{candidate}: time grows as size^{exponent:.2f}")
    return path


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table, one line a candidate; a missed target is marked.

    >>> print(table([Row("sum", "torch", {"ours": (0.5, 0.4, 0.6)}, {"ours": 0.002})]))
    | work | candidate | peer | time | of | memory | of |
    | --- | --- | --- | --- | --- | --- | --- |
    | sum | ours (2.00 ms) | torch | 0.50 (0.40 to 0.60) |  |  |  |
    """
    lines = ["| work | candidate | peer | time | of | memory | of |", "| --- " * 7 + "|"]
    for row in rows:
        for name, (middle, low, high) in row.ratio.items():
            if name == row.peer:
                continue
            time_cells = _against(middle, row.target.get(name), f" ({low:.2f} to {high:.2f})")
            memory_cells = _against(row.memory.get(name), row.memory_target.get(name), "")
            took = f"{name} ({1000 * row.seconds[name]:.2f} ms)"
            lines.append(f"| {row.work} | {took} | {row.peer} | {time_cells} | {memory_cells} |")
    return "\n".join(lines)


def _against(value: float | None, target: float | None, spread: str) -> str:
    got = "" if value is None else f"{value:.2f}{spread}"
    wanted = "" if target is None else f"{target:.2f}"
    missed = value is not None and target is not None and value > target
    return f"{got} | {wanted}{' missed' if missed else ''}"
