"""Several runs that differ in their random numbers only, and the model they make together."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from attnlib.training.evaluation import LossFn, evaluate
from attnlib.training.measures import interval

__all__ = ["Ensemble", "fit_seeds"]

History = list[dict[str, float]]


def fit_seeds(
    run: Callable[[int], tuple[nn.Module, History]], seeds: Iterable[int]
) -> tuple[list[nn.Module], list[History]]:
    """Call `run` once a seed: the numbers that torch draws inside follow from the seed alone.

    Afterwards torch's generators are as they were. Python's and NumPy's are not seeded.

    Args:
        run: seed -> (model, history): builds the model, its optimizer and its loader, and fits it.
            The seed is for names and own generators, such as checkpoint=f"run-{seed}.pt".
        seeds: different whole numbers, at least one.

    Returns:
        The models and the histories, in the order of the seeds.

    Raises:
        TypeError: a `run` that does not return the pair.
        ValueError: no seeds, or the same seed twice.

    >>> from attnlib.training import fit
    >>> def run(seed):
    ...     line = nn.Linear(1, 1)
    ...     def loss_fn(model, x):
    ...         return (model(x) - 2 * x).square().mean(), len(x)
    ...     optimizer = torch.optim.SGD(line.parameters(), lr=0.1)
    ...     return line, fit(line, [torch.ones(3, 1)], loss_fn, optimizer, epochs=9, progress=False)
    >>> models, histories = fit_seeds(run, seeds=range(3))
    >>> len(models), len(histories[0])
    (3, 9)
    """
    seeds = list(seeds)
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(
            f"fit_seeds: got seeds {seeds}, expected one or more different ones; "
            "write seeds=range(5)"
        )
    pairs = []
    for seed in seeds:
        with _seeded(seed):
            pair = run(seed)
        match pair:
            case (nn.Module(), list()):
                pairs.append(pair)
            case _:
                raise TypeError(
                    f"fit_seeds: run returned a {type(pair).__name__}, expected the model and its "
                    "history; end it with return model, fit(model, ...)"
                )
    models, histories = zip(*pairs, strict=True)
    return list(models), list(histories)


class Ensemble(nn.Module):
    """Several models that answer as one, by the mean of their answers.

    "probabilities": log(1/M sum_m softmax(logits_m)), so log-probabilities, which `cross_entropy`,
    `accuracy` and torch take as logits;  "outputs": 1/M sum_m output_m, for regression

    Args:
        models: M modules of the same input and output, such as `fit_seeds` returns.
        average: what the mean is of, "probabilities" (over the last dimension) or "outputs".

    Raises:
        TypeError: a member that is no module.
        ValueError: no models, or another `average`.

    Reference: Lakshminarayanan et al. 2017, section 2.4, arXiv:1612.01474

    >>> both = Ensemble([nn.Linear(3, 2), nn.Linear(3, 2)])
    >>> round(both(torch.zeros(1, 3)).exp().sum().item(), 4)
    1.0
    """

    def __init__(self, models: Sequence[nn.Module], *, average: str = "probabilities") -> None:
        super().__init__()
        models = list(models)
        wrong = [type(model).__name__ for model in models if not isinstance(model, nn.Module)]
        if wrong:
            raise TypeError(
                f"Ensemble: got members of kind {wrong}, expected modules; "
                "pass the models, not their histories or outputs"
            )
        if not models:
            raise ValueError("Ensemble: got no models, expected at least one; pass a list of them")
        if average not in ("probabilities", "outputs"):
            raise ValueError(
                f"Ensemble: got average={average!r}, expected 'probabilities' or 'outputs'; "
                "write 'outputs' for regression"
            )
        self.models = nn.ModuleList(models)
        self.average = average

    def forward(self, *inputs: Tensor) -> Tensor:
        """Run every model on the same input.

        Args:
            inputs: what each of the models takes.

        Returns:
            The shape of one model's output: log-probabilities, or the mean output.
        """
        outputs = torch.stack([model(*inputs) for model in self.models])
        if self.average == "outputs":
            return outputs.mean(0)
        return outputs.log_softmax(-1).logsumexp(0) - math.log(len(self.models))

    def intervals(
        self, loader: Iterable, measures: dict[str, LossFn]
    ) -> dict[str, tuple[float, float, float]]:
        """How a single member measures: name to (mean, low, high) over the members.

        Args:
            loader: batches that can be gone over once a member.
            measures: as in `evaluate`.

        Returns:
            The 95 % intervals of `attnlib.training.interval`, for two members or more.
        """
        rows = [evaluate(model, loader, measures) for model in self.models]
        return {name: interval(row[name] for row in rows) for name in measures}

    def extra_repr(self) -> str:
        return f"average={self.average!r}"


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """torch's generators start from `seed` inside the block, and go on as before after it."""
    generators = [torch.default_generator]
    if torch.cuda.is_available():
        torch.cuda.init()
        generators += torch.cuda.default_generators
    states = [generator.get_state() for generator in generators]
    try:
        for generator in generators:
            generator.manual_seed(seed)
        yield
    finally:
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)
