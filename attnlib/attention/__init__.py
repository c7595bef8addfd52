"""Attention as modules: parameters around the functions of `attnlib.functional`.

Every module that computes weights names its weights keyword in `weights_flag`, which is all that
`attnlib.recording.record_attention` needs to know.
"""

from attnlib.attention.adaptive import AdaptiveSpan
from attnlib.attention.additive import AdditiveAttention, MultiplicativeAttention
from attnlib.attention.cross import CoAttention, CrossAttention
from attnlib.attention.feature import FeatureAttention
from attnlib.attention.multihead import MultiHeadAttention

__all__ = [
    "AdaptiveSpan",
    "AdditiveAttention",
    "CoAttention",
    "CrossAttention",
    "FeatureAttention",
    "MultiHeadAttention",
    "MultiplicativeAttention",
]
