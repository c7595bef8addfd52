"""Attention layers that can be read, recorded and marked.

Sizes have one letter everywhere: B batch, H heads, L queries, S keys, D head width, F features.
Masks are boolean and True means "may attend". Weights are per head, before dropout, and only
when asked for. What needs more than torch and numpy (`data`, `viz`, `checker`) is imported by
its own name.
"""

from attnlib.attention import (
    AdaptiveSpan,
    AdditiveAttention,
    CoAttention,
    CrossAttention,
    FeatureAttention,
    MultiHeadAttention,
    MultiplicativeAttention,
)
from attnlib.cache import (
    KVCache,
)
from attnlib.functional import (
    attention,
    attention_weights,
    chunked_attention,
    edge_softmax,
    masked_softmax,
    windowed_attention,
)
from attnlib.graph import (
    GAT,
    GATConv,
    GATv2Conv,
    Neighbourhood,
    NeighbourLoader,
    sample_neighbours,
)
from attnlib.graph_transformer import (
    GraphTransformerLayer,
)
from attnlib.masks import (
    adjacency_mask,
    causal_mask,
    padding_mask,
    prefix_mask,
    sliding_window_mask,
    to_mha,
    to_sdpa,
)
from attnlib.positional import (
    ALiBi,
    LearnedEncoding,
    RelativeAttentionBias,
    RelativeBias,
    RotaryEmbedding,
    SinusoidalEncoding,
    TimeEncoding,
)
from attnlib.recording import (
    AttentionMap,
    record_attention,
)
from attnlib.recurrent import (
    DecoderState,
    Seq2Seq,
)
from attnlib.temporal import (
    TemporalAttention,
    TemporalAttentionNetwork,
    VariableAttention,
    future_leak,
)
from attnlib.transformer import (
    DecoderCache,
    FeedForward,
    LanguageModel,
    SegmentMemory,
    TokenEmbedding,
    Transformer,
    TransformerDecoder,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
    beam_search,
    generate,
    sampling_distribution,
)

__all__ = [
    "GAT",
    "ALiBi",
    "AdaptiveSpan",
    "AdditiveAttention",
    "AttentionMap",
    "CoAttention",
    "CrossAttention",
    "DecoderCache",
    "DecoderState",
    "FeatureAttention",
    "FeedForward",
    "GATConv",
    "GATv2Conv",
    "GraphTransformerLayer",
    "KVCache",
    "LanguageModel",
    "LearnedEncoding",
    "MultiHeadAttention",
    "MultiplicativeAttention",
    "NeighbourLoader",
    "Neighbourhood",
    "RelativeAttentionBias",
    "RelativeBias",
    "RotaryEmbedding",
    "SegmentMemory",
    "Seq2Seq",
    "SinusoidalEncoding",
    "TemporalAttention",
    "TemporalAttentionNetwork",
    "TimeEncoding",
    "TokenEmbedding",
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
    "VariableAttention",
    "adjacency_mask",
    "attention",
    "attention_weights",
    "beam_search",
    "causal_mask",
    "chunked_attention",
    "edge_softmax",
    "future_leak",
    "generate",
    "masked_softmax",
    "padding_mask",
    "prefix_mask",
    "record_attention",
    "sample_neighbours",
    "sampling_distribution",
    "sliding_window_mask",
    "to_mha",
    "to_sdpa",
    "windowed_attention",
]
