"""Attention as functions, without parameters.

`attention` is what to call; `attention_weights` is the specification, a few lines that can be
read. `chunked_attention` and `windowed_attention` give the same numbers with less memory or work,
and `edge_softmax` is the softmax of a graph.
"""

from attnlib.functional.chunked import chunked_attention
from attnlib.functional.dense import attention, attention_weights, masked_softmax
from attnlib.functional.edges import edge_softmax
from attnlib.functional.windowed import windowed_attention

__all__ = [
    "attention",
    "attention_weights",
    "chunked_attention",
    "edge_softmax",
    "masked_softmax",
    "windowed_attention",
]
