"""Train a model and measure it: `fit`, `evaluate`, and what they need."""

from attnlib.training.loop import LossFn, best_device, evaluate, fit
from attnlib.training.measures import accuracy, cross_entropy, interval

__all__ = ["LossFn", "accuracy", "best_device", "cross_entropy", "evaluate", "fit", "interval"]
