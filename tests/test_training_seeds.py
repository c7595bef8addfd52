"""Several seeds, and the ensemble of their models."""

import copy

import pytest
import torch
from errors import check_error
from oracles import generator, normal
from torch import nn

from attnlib.training import Ensemble, accuracy, cross_entropy, evaluate, fit, fit_seeds, interval

D, C, N, M = 7, 3, 11, 5  # features, classes, rows, models
X = normal(generator(0), N, D, dtype=torch.float32)
Y = (X @ normal(generator(1), D, C, dtype=torch.float32)).argmax(1)
LOADER = [(X[:5], Y[:5]), (X[5:], Y[5:])]


def classifier(seed=None):
    return nn.Sequential(nn.Linear(D, 13), nn.Dropout(0.5), nn.Linear(13, C))


def run(seed):
    model = classifier()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    return model, fit(model, LOADER, cross_entropy, optimizer, epochs=3, progress=False)


def test_each_run_follows_from_its_seed_alone():
    with torch.random.fork_rng():
        wanted = []
        for seed in (3, 5):
            torch.manual_seed(seed)
            model, history = run(seed)
            wanted.append((model.state_dict(), history))
        torch.manual_seed(8)
        models, histories = fit_seeds(run, seeds=[5, 3])
    assert histories == [wanted[1][1], wanted[0][1]]
    assert histories[0] != histories[1]
    for model, (state, _) in zip(models, reversed(wanted), strict=True):
        torch.testing.assert_close(model.state_dict(), state, rtol=0, atol=0)


def test_the_numbers_drawn_afterwards_are_those_without_the_runs():
    def failing(seed):
        torch.rand(seed)
        raise ZeroDivisionError("planted")

    with torch.random.fork_rng():
        torch.manual_seed(2)
        wanted = torch.rand(3)
        torch.manual_seed(2)
        fit_seeds(run, seeds=range(2))
        with pytest.raises(ZeroDivisionError, match="planted"):
            fit_seeds(failing, seeds=[3])
        torch.testing.assert_close(torch.rand(3), wanted, rtol=0, atol=0)


def members(count=M):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return [classifier().eval() for _ in range(count)]


def test_an_ensemble_of_probabilities_is_the_log_of_their_mean():
    models = members()
    ensemble = Ensemble(models)
    wanted = sum(model(X).double().softmax(1) for model in models) / M
    torch.testing.assert_close(ensemble(X).double(), wanted.log(), rtol=1e-5, atol=1e-6)
    measured = evaluate(ensemble, LOADER, {"loss": cross_entropy, "accuracy": accuracy})
    likelihood = wanted[torch.arange(N), Y].log().mean()
    assert measured["loss"] == pytest.approx(-likelihood.item(), rel=1e-5)
    right = (wanted.argmax(1) == Y).double().mean()
    assert measured["accuracy"] == pytest.approx(right.item(), rel=1e-6)


def test_an_ensemble_of_outputs_is_their_mean_and_takes_several_inputs():
    class Sum(nn.Module):
        def __init__(self, factor):
            super().__init__()
            self.factor = factor

        def forward(self, first, second):
            return self.factor * first + second

    ensemble = Ensemble([Sum(2.0), Sum(5.0)], average="outputs")
    torch.testing.assert_close(ensemble(X, 1 - X), 2.5 * X + 1)


def test_an_ensemble_of_one_is_that_one():
    [model] = members(1)
    torch.testing.assert_close(Ensemble([model])(X), model(X).log_softmax(1))
    torch.testing.assert_close(Ensemble([model], average="outputs")(X), model(X))


def test_logits_of_minus_infinity_and_half_precision_are_fine():
    class Half(nn.Module):
        def forward(self, x):
            return x.masked_fill(torch.arange(D) == 2, -torch.inf)

    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        logs = Ensemble([Half(), nn.Identity()])(1000 * X.to(dtype))
        assert logs.dtype == dtype
        torch.testing.assert_close(logs.exp().sum(1).float(), torch.ones(N), rtol=0, atol=0.02)


def test_an_ensemble_trains_loads_and_shows_its_state():
    ensemble, other = Ensemble(members()), Ensemble(members())
    for parameter in other.parameters():
        nn.init.zeros_(parameter)
    other.load_state_dict(copy.deepcopy(ensemble.state_dict()))
    torch.testing.assert_close(other(X), ensemble(X), rtol=0, atol=0)
    ensemble(X).sum().backward()
    assert all(parameter.grad is not None for parameter in ensemble.parameters())
    assert "average='probabilities'" in repr(ensemble)


def test_the_interval_over_the_members_is_that_of_their_measures():
    models = members()
    values = [evaluate(model, LOADER, {"a": accuracy})["a"] for model in models]
    assert Ensemble(models).intervals(LOADER, {"a": accuracy}) == {"a": interval(values)}


ERRORS = [
    (lambda: fit_seeds(run, []), ValueError, r"fit_seeds: got seeds \[\], expected one or more"),
    (lambda: fit_seeds(run, [1, 1]), ValueError, r"got seeds \[1, 1\], expected .* different ones"),
    (lambda: fit_seeds(classifier, [1]), TypeError, "run returned a Sequential, expected the mod"),
    (lambda: Ensemble([]), ValueError, "Ensemble: got no models, expected at least one"),
    (lambda: Ensemble([[]]), TypeError, r"members of kind \['list'\], expected modules"),
    (lambda: Ensemble(members(1), average="votes"), ValueError, "average='votes', expected 'prob"),
    (
        lambda: Ensemble(members(1)).intervals(LOADER, {"a": accuracy}),
        ValueError,
        r"interval: got \[.*\], expected two or more finite values",
    ),
]


@pytest.mark.parametrize(("call", "error", "words"), ERRORS)
def test_errors_say_what_was_got_what_was_expected_and_what_to_write(call, error, words):
    check_error(call, error, words)
