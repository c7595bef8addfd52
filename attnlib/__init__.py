"""Attention layers that can be read, recorded and marked.

Sizes have one letter everywhere: B batch, H heads, L queries, S keys, D head width, F features.
Masks are boolean and True means "may attend". Weights are per head, before dropout, and only
when asked for. What needs more than torch and numpy (`data`, `viz`, `checker`) is imported by
its own name.
"""

from attnlib.attention import AdditiveAttention, MultiHeadAttention
from attnlib.functional import attention, attention_weights, masked_softmax
from attnlib.masks import (
    causal_mask,
    padding_mask,
    prefix_mask,
    sliding_window_mask,
    to_mha,
    to_sdpa,
)
from attnlib.recording import AttentionMap, record_attention

__all__ = [
    "AdditiveAttention",
    "AttentionMap",
    "MultiHeadAttention",
    "attention",
    "attention_weights",
    "causal_mask",
    "masked_softmax",
    "padding_mask",
    "prefix_mask",
    "record_attention",
    "sliding_window_mask",
    "to_mha",
    "to_sdpa",
]
