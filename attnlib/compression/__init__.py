"""Smaller models from large ones: each function gives a new model and what it costs."""

from attnlib.compression.distillation import distill, distillation_loss
from attnlib.compression.factors import LowRankLinear, low_rank
from attnlib.compression.heads import head_importance, prune_heads
from attnlib.compression.quantised import QuantizedLinear, quantize_int8
from attnlib.compression.report import Cost, Report, compare
from attnlib.compression.sparse import prune_magnitude

__all__ = [
    "Cost",
    "LowRankLinear",
    "QuantizedLinear",
    "Report",
    "compare",
    "distill",
    "distillation_loss",
    "head_importance",
    "low_rank",
    "prune_heads",
    "prune_magnitude",
    "quantize_int8",
]
