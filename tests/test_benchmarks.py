"""What the benchmarks measure with, and what they have left. No time is asserted."""

import doctest
import json
import statistics
from pathlib import Path

import pytest
import torch

from benchmarks import measure

RESULTS = sorted(measure.RESULTS.glob("*.json"))
SCRIPTS = {p.stem for p in Path(measure.__file__).parent.glob("*.py")} - {"__init__", "measure"}


def allocate(megabytes):
    """A call that holds so much memory at its highest point, and nothing before it."""
    return lambda: torch.ones(megabytes, 2**20, dtype=torch.uint8).amax()


def test_examples_are_true():
    assert doctest.testmod(measure).failed == 0


def test_candidates_take_turns_in_an_order_that_rotates():
    calls = []
    candidates = {name: (lambda name=name: calls.append(name)) for name in "abc"}
    row = measure.compare("nothing", candidates, "b", rounds=3)
    order = [name for name, before in zip(calls, [None, *calls], strict=False) if name != before]
    assert "".join(order).endswith("abcbcacab")
    assert row.ratio["b"] == (1.0, 1.0, 1.0)


def test_a_ratio_is_that_of_the_times_of_one_round(monkeypatch):
    times = iter([1.0, 1.0, *[2.0, 4.0, 6.0, 3.0, 5.0, 10.0]])
    monkeypatch.setattr(measure, "_seconds", lambda call, repeats: next(times))
    row = measure.compare("work", {"ours": int, "theirs": int}, "theirs", rounds=3)
    # rounds: ours 2 of 4, then theirs 6 and ours 3, then ours 5 of 10
    assert row.ratio["ours"] == (0.5, 0.5, 0.5)
    assert row.seconds == {"ours": 3.0, "theirs": 6.0}


@pytest.mark.parametrize("megabytes", [20, 100])
def test_peak_memory_is_what_a_call_holds(megabytes):
    peak = measure.peak_memory(allocate, megabytes)
    assert megabytes * 2**20 == pytest.approx(peak, rel=0.15, abs=4 * 2**20)


def test_a_process_that_dies_is_an_error():
    with pytest.raises(RuntimeError, match="the process of allocate"):
        measure.peak_memory(allocate, -1)


def test_every_script_has_left_results():
    assert {path.stem for path in RESULTS} >= SCRIPTS


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_results_name_their_machine_their_peers_and_what_was_aimed_at(path):
    content = json.loads(path.read_text(encoding="utf-8"))
    assert {"processor", "cores", "threads", "torch", "python", "date"} <= set(content["machine"])
    rows = [measure.Row(**row) for row in content["rows"]]
    assert rows
    for row in rows:
        assert row.peer in row.ratio
        assert set(row.target) <= set(row.ratio)
        for median, low, high in row.ratio.values():
            assert 0 < low <= median <= high
    assert statistics.median(len(row.ratio) for row in rows) >= 2
    assert all(row.work in measure.table(rows) for row in rows)
