"""Where a token stands: encodings that are added, vectors that are turned, biases on the scores.

Attention alone sees a set. Each module here tells it the order, or the time, in one of three ways.
"""

from attnlib.positional.absolute import LearnedEncoding, SinusoidalEncoding, TimeEncoding
from attnlib.positional.relative import ALiBi, RelativeAttentionBias, RelativeBias
from attnlib.positional.rotary import RotaryEmbedding

__all__ = [
    "ALiBi",
    "LearnedEncoding",
    "RelativeAttentionBias",
    "RelativeBias",
    "RotaryEmbedding",
    "SinusoidalEncoding",
    "TimeEncoding",
]
