"""A pretrained encoder of sentences in attnlib's own modules, so that its attention can be read.

The architecture is that of BERT and the weights are those of MiniLM, from an archive of the
package index. Reading them needs the extra `pretrained` (safetensors, tokenizers).
"""

from attnlib.pretrained.encoder import SentenceEncoder
from attnlib.pretrained.minilm import load_minilm

__all__ = ["SentenceEncoder", "load_minilm"]
