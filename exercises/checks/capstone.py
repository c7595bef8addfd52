"""A rubric that tests a project, and the exercises of "A project of your own"."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from attnlib.checker import Exercise
from attnlib.data import Scaler, check_no_overlap, look_ahead
from attnlib.recording import AttentionMap
from attnlib.temporal import future_leak
from attnlib.training import interval
from exercises.checks import normal

# ---------------------------------------------------------------- a project


@dataclass
class Pipeline:
    """How a project goes from its data to what a model sees and must say.

    Args:
        data: (T, F) a series in the order of time, or (N,) the labels of the nodes of a graph.
        parts: rows of "train", "validation" and "test", (n,) int64 each: first steps of windows,
            or numbers of nodes.
        length: steps that a model sees of a row; 0 for a graph.
        span: steps that a row covers, from its first input to its last target; 1 for a node.
        features: data -> (T, F') or (N, F'), not scaled.
        scaler: features -> Scaler; None where nothing is scaled.
        inputs: scaled features and rows -> the inputs of these rows.
        truth: rows -> what came, in the unit of the report.
        loss: forecasts (S, n, ...) of S seeds and truth (n, ...) -> (S, n).
    """

    data: Tensor
    parts: dict[str, Tensor]
    length: int
    span: int
    features: Callable[[Tensor], Tensor]
    scaler: Callable[[Tensor], Scaler] | None
    inputs: Callable[[Tensor, Tensor], Tensor]
    truth: Callable[[Tensor], Tensor]
    loss: Callable[[Tensor, Tensor], Tensor]
    opened: Counter = field(default_factory=Counter)

    def open(self, part: str) -> Tensor:
        """The rows of a part; `opened` counts how often they were asked for."""
        self.opened[part] += 1
        return self.parts[part]


@dataclass
class Report:
    """What a finished project says.

    Args:
        title: of the project.
        unit: of the scores.
        model: name of the model with attention.
        rival: name of the baseline that it is compared with.
        rows: name of each model -> (n,) the rows on which it was scored.
        forecasts: name -> (S, n, ...), one entry for each seed; "even weights" is the control.
        scores: name -> mean loss.
        intervals: "seeds" and "stretches" -> (mean, low, high) of model minus rival.
        attention: the map that was recorded.
        conclusion: "better", "worse" or "not shown".
    """

    title: str
    unit: str
    model: str
    rival: str
    rows: dict[str, Tensor]
    forecasts: dict[str, Tensor]
    scores: dict[str, float]
    intervals: dict[str, tuple[float, float, float]]
    attention: AttentionMap | None
    conclusion: str

    def __str__(self) -> str:
        lines = [f"{self.title}; mean loss in {self.unit}"]
        for name, score in sorted(self.scores.items(), key=lambda pair: pair[1]):
            rows, seeds = len(self.rows[name]), len(self.forecasts[name])
            lines.append(f"  {name:20}{score:7.3f}  {rows} rows, {seeds} seed(s)")
        lines.append(f"{self.model} minus {self.rival},\nmean and 95 % interval")
        for name, (mean, low, high) in self.intervals.items():
            lines.append(f"  over {name:10}{mean:+8.3f}  {low:+.3f} to {high:+.3f}")
        return "\n".join([*lines, f"conclusion: {self.conclusion}"])


def paired_intervals(
    model: Tensor, rival: Tensor, stretches: int = 12
) -> dict[str, tuple[float, float, float]]:
    """Intervals of model minus rival, losses (S, n) and (S or 1, n), over seeds and stretches.

    The stretches are neighbouring rows, as equal in number as can be; no more than there are rows.
    """
    difference = model - rival
    found = {"seeds": interval(difference.mean(1).tolist())} if len(difference) > 1 else {}
    pieces = difference.mean(0).tensor_split(min(stretches, difference.shape[1]))
    blocks = [piece.mean().item() for piece in pieces]
    return found | {"stretches": interval(blocks)}


def verdict(*intervals: tuple[float, float, float]) -> str:
    """Of differences of losses, model minus rival: "better", "worse" or "not shown"."""
    if intervals and all(high < 0 for _, _, high in intervals):
        return "better"
    return "worse" if intervals and all(low > 0 for _, low, _ in intervals) else "not shown"


# ---------------------------------------------------------------- the rubric


def rubric(pipeline: Pipeline, report: Report, *, steps: int = 90) -> dict[str, str]:
    """Test a project: a line says "pass", or what to do.

    It replaces what must not be read and looks what moves, and computes the numbers again. It
    finds what goes through the pipeline and the report, no other leak: a test part that was looked
    at on another day, say, or a leak from further than `steps` steps.
    """
    lines = {}
    for name, test in _LINES.items():
        try:
            lines[name] = test(pipeline, report, steps) or "pass"
        except Exception as error:  # a line that cannot be tested is no pass
            lines[name] = f"could not be tested: {error}"
    return lines


def _features(p: Pipeline, _: Report, steps: int) -> str | None:
    if p.length:
        leak = look_ahead(p.features, p.data[:steps])
        return leak and f"the features of step {leak[0]} change with step {leak[1]}: use the past"
    spoilt = p.data.clone()
    spoilt[p.parts["test"]] = p.data[p.parts["train"][0]]
    moved = not torch.equal(_dense(p.features(p.data)), _dense(p.features(spoilt)))
    return "the features hold labels of the test part: take them out" if moved else None


def _inputs(p: Pipeline, _: Report, steps: int) -> str | None:
    if not p.length:
        return None

    def newest(prepared: Tensor) -> Tensor:  # (1, T, F) -> (1, T, ...): inputs by their last step
        rows = torch.arange(prepared.shape[1] - p.span + 1)
        known = p.inputs(prepared[0], rows).flatten(1)
        result = known.new_zeros(prepared.shape[1], known.shape[1])
        result[rows + p.length - 1] = known
        return result[None]

    # Enough steps for some windows, however long: all but the first `span - 1` begin one.
    prepared = p.features(p.data)[None, : p.span + steps // 2]
    leak = future_leak(newest, prepared, gradients=False)
    return leak and (
        f"what is known at step {leak[0]} changes with step {leak[1]}: end the window earlier"
    )


def _parts(p: Pipeline, *_) -> str | None:
    train, validation, test = (p.parts[name] for name in ("train", "validation", "test"))
    if p.length:
        try:
            check_no_overlap(train, validation, test, span=p.span)
        except ValueError as problem:
            return f"split in the order of time: {str(problem).split(': ')[1].split(',')[0]}"
        return None
    shared = len(train) + len(validation) + len(test) - len(torch.cat([*p.parts.values()]).unique())
    return f"{shared} nodes are in two parts: split again" if shared else None


def _scaler(p: Pipeline, *_) -> str | None:
    if p.scaler is None:
        return None
    known = int(p.parts["train"].max()) + p.span
    known = max(known, min(int(p.parts[name].min()) for name in ("validation", "test")))
    prepared = p.features(p.data)
    spoilt = prepared.clone()
    spoilt[known:] = 3 * spoilt[known:] + 100
    one, other = p.scaler(prepared), p.scaler(spoilt)
    moved = not (torch.equal(one.mean, other.mean) and torch.equal(one.scale, other.scale))
    return "the scaler moves with later steps: fit it on the training part" if moved else None


def _baseline(_: Pipeline, r: Report, *__) -> str | None:
    if r.rival not in r.forecasts or r.rival in (r.model, "even weights"):
        return "there is no baseline: score one that has no attention"
    same = torch.equal(r.rows[r.rival], r.rows[r.model])
    return None if same else f"{r.rival} was scored on other rows: score both on the same ones"


def _seeds(p: Pipeline, r: Report, *_) -> str | None:
    runs = len(r.forecasts[r.model].flatten(1).unique(dim=0))
    if runs < 3:
        return f"the model has {runs} different run(s): train at least three seeds"
    if not {"seeds", "stretches"} <= set(r.intervals):
        return "an interval is missing: give one over seeds and one over stretches"
    if _baseline(p, r) is None:
        losses = [_losses(p, r, name) for name in (r.model, r.rival)]
        right, given = paired_intervals(*losses), r.intervals
        pairs = [pair for k in right for pair in zip(right[k], given[k], strict=True)]
        if any(abs(a - b) > 1e-3 * (abs(a) + 1e-3) for a, b in pairs):
            return "the intervals are not those of the paired differences: compute them again"
    return None


def _test_rows(p: Pipeline, r: Report, *_) -> str | None:
    rows = r.rows[r.model]
    outside = int((~torch.isin(rows, p.parts["test"])).sum())
    if outside or len(rows) < len(p.parts["test"]):
        return f"{outside} of {len(rows)} rows are not of the test part: score it all, and it alone"
    score = _losses(p, r, r.model).mean().item()
    wrong = abs(score - r.scores[r.model]) > 1e-3 * abs(score)
    return f"the score is {score:.3f} when computed again: correct it" if wrong else None


def _once(p: Pipeline, *_) -> str | None:
    times = p.opened["test"]
    return f"the test part was opened {times} times: choose on the validation part" * (times > 1)


def _map(_: Pipeline, r: Report, *__) -> str | None:
    if r.attention is None:
        return "no map was recorded: use record_attention"
    even = r.forecasts.get("even weights")
    fair = even is not None and len(even) == len(r.forecasts[r.model])
    fair = fair and torch.equal(r.rows["even weights"], r.rows[r.model])
    return None if fair else "compare with even weights, on the same rows and seeds"


def _conclusion(_: Pipeline, r: Report, *__) -> str | None:
    right = verdict(*r.intervals.values())
    return None if r.conclusion == right else f'the intervals say "{right}", not "{r.conclusion}"'


def _losses(p: Pipeline, r: Report, name: str) -> Tensor:
    return p.loss(r.forecasts[name], p.truth(r.rows[name]))


def _dense(x: Tensor) -> Tensor:
    return x.to_dense() if x.is_sparse else x


_LINES = {
    "features": _features,
    "inputs": _inputs,
    "parts": _parts,
    "scaler": _scaler,
    "baseline": _baseline,
    "seeds": _seeds,
    "test rows": _test_rows,
    "opened once": _once,
    "map": _map,
    "conclusion": _conclusion,
}


# ---------------------------------------------------------------- rows of parts


def _rows(count: int, ends: tuple[int, int], span: int, gap: int) -> tuple[Tensor, Tensor, Tensor]:
    first, second = ends
    borders = ((0, first), (first + gap, second), (second + gap, count))
    return tuple(torch.arange(start, stop - span + 1) for start, stop in borders)


def _rows_with(start=lambda before, gap: before + gap, stop=lambda end, span, gap: end - span + 1):
    """The same rows, but a part begins or ends elsewhere."""

    def rows(count: int, ends: tuple[int, int], span: int, gap: int):
        borders = ((None, ends[0]), (ends[0], ends[1]), (ends[1], count))
        return tuple(
            torch.arange(0 if before is None else start(before, gap), stop(end, span, gap))
            for before, end in borders
        )

    return rows


def _rows_in_the_end(count, ends, span, gap):
    parts = _rows_with(stop=lambda end, span, gap: end)(count, ends, span, gap)
    return (*parts[:2], _rows(count, ends, span, gap)[2])


def _rows_shuffled(count, ends, span, gap):
    parts = _rows(count, ends, span, gap)
    order = torch.cat(parts)[normal(sum(map(len, parts))).argsort()]
    return order.split([len(part) for part in parts])


def _rows_gap_inside(count, ends, span, gap):
    a, b = ends
    borders = ((0, a - gap), (a, b - gap), (b, count))
    return tuple(torch.arange(start, stop - span + 1) for start, stop in borders)


def _rows_gap_first(count, ends, span, gap):
    train, *others = _rows(count, ends, span, gap)
    return (train[gap:], *others)


rows_of_parts = Exercise(
    "capstone/rows-of-parts",
    _rows,
    [(20, (10, 15), 3, 1), (40, (20, 30), 4, 2), (61, (33, 47), 7, 3), (50, (30, 40), 1, 2)],
    {
        "The last window of each part is missing. The row `end - span` still fits: its last step "
        "is `end - 1`.": _rows_with(stop=lambda end, span, gap: end - span),
        "Your windows of training and validation reach over the end of their part, into what must "
        "not be seen yet. Only the last part is cut right.": _rows_in_the_end,
        "All your windows may reach over the end of their part, and in the last one beyond the "
        "series. A row is a *first* step.": _rows_with(stop=lambda end, span, gap: end),
        "The pause is missing: the first window of a part begins where the part before it "
        "ended.": _rows_with(start=lambda before, gap: before),
        "You take the pause from the end of a part. It stands before validation and test, and the "
        "training part and the end of the series lose nothing.": _rows_with(
            start=lambda before, gap: before, stop=lambda end, span, gap: end - span + 1 - gap
        ),
        "You leave the pause out twice: before a part and at the end of each.": _rows_with(
            stop=lambda end, span, gap: end - span + 1 - gap
        ),
        "The windows are shuffled before they are dealt out. Neighbours that share nearly all "
        "steps then sit in different parts.": _rows_shuffled,
        "One step too few between the parts: the pause is `gap` whole steps, and the next one "
        "begins a part.": _rows_with(start=lambda before, gap: before + gap - 1),
        "One window too many at the end of each part: it reaches one step over the border. "
        "`arange` stops before its second argument, so one is added once, not twice.": _rows_with(
            stop=lambda end, span, gap: end - span + 2
        ),
        "The pause is cut from the end of training and of validation. It stands after `a` and "
        "after `b`, at the cost of the part that follows.": _rows_gap_inside,
        "The training part begins with a pause, too. Nothing stands before it, so it begins at "
        "step 0.": _rows_gap_first,
        "You leave out a whole window's span before each part. Wanted are `gap` steps: the windows "
        "lie inside their part already.": (
            lambda count, ends, span, gap: _rows(count, ends, span, span)
        ),
    },
    hints=(
        "Draw a part as a row of boxes. Which is the first box of the last window that fits?",
        "training [0, a), validation [a + gap, b), test [b + gap, count); a window covers the "
        "steps row .. row + span - 1",
        "torch.arange(<begin of the part>, <end of the part> - span + 1), three times",
    ),
    minutes=10,
)


# ---------------------------------------------------------------- baseline on the same rows


def _naive(series: Tensor, rows: Tensor, length: int, horizon: int, season: int) -> Tensor:
    now = rows[:, None] + length
    steps = torch.arange(horizon)
    forecast = series[now + steps % season - season]
    return (series[now + steps] - forecast).abs().mean(1)


def _naive_with(places, truth=lambda now, steps: now + steps, of=lambda e: e.abs().mean(1)):
    """The same losses; the forecast, the truth or the error is another one."""

    def naive(series: Tensor, rows: Tensor, length: int, horizon: int, season: int) -> Tensor:
        steps, now = torch.arange(horizon), rows[:, None] + length
        forecast = series[places(now, steps, season)]
        return of(series[truth(now, steps)] - forecast)

    return naive


def _ago(now: Tensor, steps: Tensor, season: int) -> Tensor:
    return now + steps % season - season


def _naive_everywhere(series, rows, length, horizon, season):
    every = torch.arange(len(series) - length - horizon + 1)
    return _naive(series, every, length, horizon, season)


naive_losses = Exercise(
    "capstone/naive-losses",
    _naive,
    [
        (torch.tensor([0.0, 1.0, 4.0, 9.0, 16.0, 25.0]), torch.tensor([0, 1]), 3, 2, 2),
        (normal(30), torch.tensor([3, 8, 13]), 7, 5, 4),
        (normal(40, seed=1) + 3, torch.tensor([20, 4, 11, 2]), 6, 3, 5),
        (normal(50, seed=2), torch.arange(0, 35, 5), 8, 7, 3),
    ],
    {
        "With a horizon longer than the season you take values that are not known yet. Beyond one "
        "season the same last season is repeated.": _naive_with(
            lambda now, steps, season: now + steps - season
        ),
        "You repeat the last value. The season may be longer than one step.": _naive_with(
            lambda now, steps, season: now - 1 + 0 * steps
        ),
        "You repeat the *first* season of the window. The newest one is wanted.": (
            lambda series, rows, length, horizon, season: (
                (
                    series[rows[:, None] + length + torch.arange(horizon)]
                    - series[rows[:, None] + torch.arange(horizon) % season]
                )
                .abs()
                .mean(1)
            )
        ),
        "Your season is one step off: k steps ahead is compared with k steps ahead, one season "
        "before.": _naive_with(lambda now, steps, season: _ago(now, steps, season) - 1),
        "These are the squared errors. Wanted are absolute ones, in the unit of the "
        "series.": _naive_with(_ago, of=lambda e: e.square().mean(1)),
        "Errors of both signs cancel. Take the absolute value before the mean.": _naive_with(
            _ago, of=lambda e: e.mean(1)
        ),
        "This is one number for all rows. A paired comparison needs the loss of each "
        "row.": _naive_with(_ago, of=lambda e: e.abs().mean()),
        "These are the errors of every step of the horizon. Wanted is their mean, one loss a "
        "row.": _naive_with(_ago, of=lambda e: e.abs()),
        "You score all windows of the series instead of the given rows. The model was scored on "
        "these rows, in this order.": _naive_everywhere,
        "Your target begins one step early, with the last step of the window.": _naive_with(
            _ago, truth=lambda now, steps: now + steps - 1
        ),
    },
    hints=(
        "The first step to forecast is row + length. Which step is one season before it?",
        "rows (n,) -> rows[:, None] + length (n, 1), plus steps (horizon,) -> (n, horizon); the "
        "mean over the last dimension gives (n,)",
        "forecast = series[<first step> + steps % season - season]",
    ),
    minutes=12,
    difficulty=2,
)


# ---------------------------------------------------------------- paired intervals


def _two(model: Tensor, rival: Tensor, stretches: int) -> tuple[tuple, tuple]:
    found = paired_intervals(model, rival[None], stretches)
    return found["seeds"], found["stretches"]


def _two_of(seeds, blocks):
    """Intervals of something else: both arguments read (model - rival, stretches)."""
    return lambda model, rival, stretches: (
        interval(seeds(model - rival, stretches).tolist()),
        interval(blocks(model - rival, stretches).tolist()),
    )


def _over_seeds(d: Tensor, _: int) -> Tensor:
    return d.mean(1)


def _over_blocks(d: Tensor, stretches: int) -> Tensor:
    return torch.stack([block.mean() for block in d.mean(0).tensor_split(stretches)])


def _two_unpaired(model, rival, stretches):
    (_, *one), (_, *other) = interval(model.mean(1).tolist()), interval(rival.tolist())
    middle = (model.mean() - rival.mean()).item()
    return (middle, one[0] - other[1], one[1] - other[0]), _two(model, rival, stretches)[1]


def _two_level_rival(model, rival, stretches):
    level = rival.mean().expand_as(rival)
    return _two(model, level, stretches)


two_intervals = Exercise(
    "capstone/two-intervals",
    _two,
    [
        (torch.tensor([[1.0, 3.0, 2.0, 4.0], [1.5, 2.5, 2.5, 3.5]]), torch.full((4,), 2.0), 2),
        (normal(3, 24).abs(), normal(24, seed=1).abs(), 4),
        (normal(5, 30, seed=2).exp(), normal(30, seed=3).exp(), 6),
        (normal(4, 36, seed=4).square(), normal(36, seed=5).square(), 12),
        (normal(3, 25, seed=6).abs(), normal(25, seed=7).abs(), 12),
    ],
    {
        "Your sign is turned round: the difference is model minus rival, so below zero the model "
        "is better.": lambda model, rival, stretches: _two(-model, -rival, stretches),
        "The two intervals are swapped: seeds first, stretches second.": (
            lambda model, rival, stretches: _two(model, rival, stretches)[::-1]
        ),
        "These are the intervals of the model alone. Subtract the rival, row by row, "
        "first.": lambda model, rival, stretches: _two(model, 0 * rival, stretches),
        "Over seeds you compare the ends of two intervals. Subtract first: the rows are the same "
        "for both.": _two_unpaired,
        "Each row of each seed counts as a run of its own, so the interval over seeds is far too "
        "narrow. One seed gives one mean.": _two_of(lambda d, _: d.flatten(), _over_blocks),
        "Every row counts as a stretch. Neighbouring rows are alike; the mean of a stretch is one "
        "value.": _two_of(_over_seeds, lambda d, _: d.mean(0)),
        "Each stretch of each seed counts. All seeds saw the same stretches, so average over the "
        "seeds first.": _two_of(
            _over_seeds, lambda d, n: torch.cat([b.mean(1) for b in d.tensor_split(n, 1)])
        ),
        "Your stretches are made of every n-th row. A stretch is a piece of time: neighbouring "
        "rows.": _two_of(
            _over_seeds, lambda d, n: torch.stack([d.mean(0)[i::n].mean() for i in range(n)])
        ),
        "Your pieces are fewer than `stretches` when the rows are no multiple of it: `chunk` fixes "
        "the length of a piece and not how many there are.": _two_of(
            _over_seeds, lambda d, n: torch.stack([b.mean() for b in d.mean(0).chunk(n)])
        ),
        "You subtract the rival's mean over all rows. A hard row is hard for both: subtract row by "
        "row, as the stretches differ in difficulty.": _two_level_rival,
        "The stretches are those of the first seed alone.": _two_of(
            _over_seeds, lambda d, n: _over_blocks(d[:1], n)
        ),
        "You compare the best seed instead of all of them: over stretches the seed with the lowest "
        "mean loss is no fair picture.": _two_of(
            _over_seeds, lambda d, n: _over_blocks(d[d.mean(1).argmin()][None], n)
        ),
    },
    hints=(
        "One table of differences, seeds by rows. One interval needs its row means, the other the "
        "means of its pieces.",
        "model (S, n) - rival (n,) -> (S, n); mean over dim 1 -> (S,) for the seeds; mean over dim "
        "0 -> (n,), cut into stretches",
        "pieces = difference.mean(0).tensor_split(stretches); interval([<mean of each piece>])",
    ),
    minutes=12,
    difficulty=2,
)


# ---------------------------------------------------------------- verdict


def _says(better, worse):
    return lambda intervals: (
        "better" if better(intervals) else "worse" if worse(intervals) else "not shown"
    )


def _below(intervals) -> bool:
    return all(high < 0 for _, _, high in intervals)


def _above(intervals) -> bool:
    return all(low > 0 for _, low, _ in intervals)


_TWICE = (-0.5, -0.8, -0.2)

conclude = Exercise(
    "capstone/conclude",
    lambda intervals: verdict(*intervals),
    [
        ([_TWICE],),
        ([_TWICE, (-0.5, -1.1, 0.1)],),
        ([(-0.5, -1.1, 0.1), _TWICE],),
        ([(0.3, 0.1, 0.5), (0.3, 0.2, 0.4)],),
        ([(0.3, 0.1, 0.5), (0.3, -0.2, 0.8)],),
        ([(-0.3, -0.6, -0.1), (0.2, 0.1, 0.3)],),
        ([(-0.2, -0.4, 0.0)],),
        ([(0.1, -0.3, 0.5)],),
        ([(0.4, 0.0, 0.8)],),
        ([_TWICE, (-0.3, -0.4, -0.2), (0.1, -0.2, 0.4)],),
        ([(0.3, 0.1, 0.5), (0.4, 0.2, 0.6), (-0.3, -0.5, -0.1)],),
    ],
    {
        "Turned round: these are differences of losses, model minus rival. Below zero the model "
        "errs less.": _says(_above, _below),
        "You look at the mean alone. A mean is nearly never zero; the interval says how far it can "
        "be trusted.": _says(
            lambda i: all(mean < 0 for mean, _, _ in i), lambda i: all(mean > 0 for mean, _, _ in i)
        ),
        "One interval that excludes zero is enough for you. All of them must.": _says(
            lambda i: any(high < 0 for _, _, high in i), lambda i: any(low > 0 for _, low, _ in i)
        ),
        "You read the first interval only. The second one asks about other days, and has its "
        "say.": _says(lambda i: _below(i[:1]), lambda i: _above(i[:1])),
        "You read two intervals and no more. The list may hold any number of them.": _says(
            lambda i: _below(i[:2]), lambda i: _above(i[:2])
        ),
        "An interval that ends at zero still holds zero: the difference may be none.": _says(
            lambda i: all(high <= 0 for _, _, high in i), lambda i: all(low >= 0 for _, low, _ in i)
        ),
        'All that is not "better" is "worse" for you. An interval may also leave it open.': _says(
            _below, lambda i: not _below(i)
        ),
        'You never say "worse". If all intervals lie above zero, that is a result, too.': _says(
            _below, lambda i: False
        ),
        "You ask for the lower end to be below zero. The whole interval must be: look at the "
        "upper end.": _says(
            lambda i: all(low < 0 for _, low, _ in i), lambda i: all(high > 0 for _, _, high in i)
        ),
    },
    hints=(
        "Where must a whole interval lie so that the model is better? Which end do you ask?",
        "intervals: a list of (mean, low, high). Three answers: better, worse, not shown.",
        'if all(<upper end> < 0 ...): return "better"; then the same for the lower end',
    ),
    minutes=6,
)
