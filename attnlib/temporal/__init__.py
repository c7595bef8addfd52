"""Attention over time, and a test that nothing looks into the future."""

from attnlib.temporal.causality import future_leak
from attnlib.temporal.layers import TemporalAttention, VariableAttention
from attnlib.temporal.network import TemporalAttentionNetwork

__all__ = ["TemporalAttention", "TemporalAttentionNetwork", "VariableAttention", "future_leak"]
