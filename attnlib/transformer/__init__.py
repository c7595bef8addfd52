"""Transformers: layers, stacks of them, models from tokens to logits, and how models write.

Padding goes to the end and is hidden by `padding_mask(lengths)`; decoding goes through a cache,
so that each position is computed once.
"""

from attnlib.transformer.beams import beam_search
from attnlib.transformer.decoder import TransformerDecoder, TransformerDecoderLayer
from attnlib.transformer.encoder import TransformerEncoder, TransformerEncoderLayer
from attnlib.transformer.feed_forward import FeedForward
from attnlib.transformer.language_model import LanguageModel
from attnlib.transformer.memory import DecoderCache, SegmentMemory
from attnlib.transformer.sampling import generate, sampling_distribution
from attnlib.transformer.sequence_to_sequence import Transformer
from attnlib.transformer.tokens import TokenEmbedding

__all__ = [
    "DecoderCache",
    "FeedForward",
    "LanguageModel",
    "SegmentMemory",
    "TokenEmbedding",
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
    "beam_search",
    "generate",
    "sampling_distribution",
]
