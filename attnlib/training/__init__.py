"""Train a model and measure it: `fit`, `evaluate`, and what they need."""

from attnlib.training.evaluation import LossFn, evaluate
from attnlib.training.loop import best_device, fit
from attnlib.training.measures import accuracy, cross_entropy, interval
from attnlib.training.parallel import Shard, data_parallel, distributed
from attnlib.training.seeds import Ensemble, fit_seeds

__all__ = [
    "Ensemble",
    "LossFn",
    "Shard",
    "accuracy",
    "best_device",
    "cross_entropy",
    "data_parallel",
    "distributed",
    "evaluate",
    "fit",
    "fit_seeds",
    "interval",
]
