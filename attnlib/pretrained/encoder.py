"""The encoder: BERT's architecture from attnlib's modules, from strings to embeddings."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnlib._checks import check_mask, check_positive, check_sequence
from attnlib.masks import padding_mask
from attnlib.positional import LearnedEncoding
from attnlib.pretrained._names import weights_of_bert
from attnlib.transformer import TokenEmbedding, TransformerEncoderLayer

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

__all__ = ["SentenceEncoder"]


class SentenceEncoder(nn.Module):
    """BERT's encoder, and one vector of length 1 for each sentence.

    x = norm(word_i + position_i + segment_0);  states = layer_n(... layer_1(x))
    embedding = mean / |mean|,  mean = sum_i states_i / L over the real tokens
    The scalar product of two embeddings is the cosine of their angle: close meanings are near 1.
    The layers are in the paper's order (normalised after the addition), and there is no dropout.

    Args:
        tokenizer: a tokenizers.Tokenizer, of V tokens; it is copied.
        embed_dim: F, width of states and embeddings; a multiple of `num_heads`.
        num_heads: H.
        num_layers: number of layers.
        max_len: number of tokens after which `tokenize` and `embed` cut, [CLS] and [SEP]
            included; an attribute that may be set, up to `num_positions`.
        ffn_dim: hidden width of the feed-forward networks; 4 F when omitted.
        num_positions: number of learned positions; `max_len` when omitted.
        layer_norm_eps: added to the variance in every LayerNorm.

    Raises:
        TypeError: another kind of tokenizer, sizes that are not integers.
        ValueError: sizes below 1 or that do not divide.

    Differs from transformers.BertModel:
        takes a mask that is True where attention is allowed, and returns the states of the last
        layer only; the attention can be recorded. `load_bert` copies its weights over.

    Reference: Devlin et al. 2018, section 3, arXiv:1810.04805; the mean: Reimers and Gurevych
        2019, section 3, arXiv:1908.10084

    >>> from tokenizers import Tokenizer, models, pre_tokenizers
    >>> tokenizer = Tokenizer(models.WordLevel({"?": 0, "my": 1, "cat": 2}, "?"))
    >>> tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    >>> encoder = SentenceEncoder(tokenizer, 6, num_heads=3, num_layers=2, max_len=11)
    >>> encoder.embed(["my cat", "cat"]).shape
    torch.Size([2, 6])
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        embed_dim: int,
        num_heads: int,
        num_layers: int,
        max_len: int,
        *,
        ffn_dim: int | None = None,
        num_positions: int | None = None,
        layer_norm_eps: float = 1e-12,
    ) -> None:
        super().__init__()
        owner = "SentenceEncoder"
        num_positions = max_len if num_positions is None else num_positions
        check_positive(owner, embed_dim=embed_dim, num_heads=num_heads, num_layers=num_layers)
        check_positive(owner, max_len=max_len, num_positions=num_positions)
        if not hasattr(tokenizer, "encode_batch"):
            raise TypeError(
                f"{owner}: tokenizer is a {type(tokenizer).__name__}, expected a "
                f"tokenizers.Tokenizer; write tokenizer.backend_tokenizer for one of transformers"
            )
        self.tokenizer = copy.deepcopy(tokenizer)
        self.tokenizer.no_padding()  # a batch is filled up here, to its own longest sentence
        self.max_len = max_len
        self.words = TokenEmbedding(
            tokenizer.get_vocab_size(),
            embed_dim,
            encoding=LearnedEncoding(embed_dim, num_positions),
        )
        self.segments = nn.Embedding(2, embed_dim)
        self.norm = nn.LayerNorm(embed_dim, eps=layer_norm_eps)
        self.layers = nn.ModuleList(
            TransformerEncoderLayer(
                embed_dim, num_heads, ffn_dim, norm_first=False, layer_norm_eps=layer_norm_eps
            )
            for _ in range(num_layers)
        )

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Encode every token in its context.

        Args:
            tokens: (B, L) integer, as from `tokenize`.
            mask: bool (B, 1, 1, L), as from `tokenize`; True = may attend. All when omitted.

        Returns:
            (B, L, F): states of the last layer; those of padding mean nothing.

        Raises:
            TypeError: tokens that are not integers, or a mask that is not bool.
            ValueError: shapes that do not fit, tokens outside the vocabulary, more positions
                than were learned.
        """
        # Segments tell the two sentences of a pair apart; a sentence alone is the first.
        x = self.norm(self.words(tokens) + self.segments.weight[0])
        for layer in self.layers:
            x = layer(x, mask=mask)
        return x

    def pool(self, states: Tensor, mask: Tensor | None = None) -> Tensor:
        """Embeddings of sentences, from the states of their tokens; with a gradient.

        Args:
            states: (B, L, F), from `forward`.
            mask: bool (B, 1, 1, L), as for `forward`; True = a real token. All when omitted.

        Returns:
            (B, F): rows of length 1; zeros for a sentence without a real token.

        Raises:
            TypeError: states that are not floating point, or a mask that is not bool.
            ValueError: shapes that do not fit.
        """
        check_sequence("SentenceEncoder.pool", "states", states)
        B, L, _ = states.shape
        check_mask("SentenceEncoder.pool", mask, (B, 1, 1, L))
        if mask is not None:
            states = states.masked_fill(~mask.expand(B, 1, 1, L)[:, 0, 0, :, None], 0.0)
        # Only the direction counts, so the sum is as good as the mean. It may leave half precision.
        wide = torch.promote_types(states.dtype, torch.float32)
        return F.normalize(states.sum(1, dtype=wide), dim=-1).to(states.dtype)

    @torch.no_grad()
    def embed(self, sentences: Sequence[str], *, batch_size: int = 32) -> Tensor:
        """Embeddings of sentences, without a gradient.

        Sentences of like length are encoded together, so that little padding is computed. Batch
        size and order change nothing but rounding.

        Args:
            sentences: N strings; each is cut after `max_len` tokens.
            batch_size: number of sentences encoded at once.

        Returns:
            (N, F): rows of length 1, on the device and in the dtype of the encoder.

        Raises:
            TypeError: something else than a list of strings.
            ValueError: no sentence, half of a surrogate pair, a batch size below 1, or a
                `max_len` out of range.
        """
        check_positive("SentenceEncoder.embed", batch_size=batch_size)
        encodings = self._encode("SentenceEncoder.embed", sentences)
        order = sorted(range(len(encodings)), key=lambda i: len(encodings[i].ids))
        parts = []
        for start in range(0, len(order), batch_size):
            tokens, mask = self._fill_up([encodings[i] for i in order[start : start + batch_size]])
            parts.append(self.pool(self(tokens, mask), mask))
        return torch.cat(parts)[torch.tensor(order).argsort()]

    def tokenize(self, sentences: Sequence[str]) -> tuple[Tensor, Tensor, list[list[str]]]:
        """Numbers of tokens for `forward`, and their texts for the maps.

        Args:
            sentences: B strings; each is cut after `max_len` tokens.

        Returns:
            tokens (B, L), filled up at the end; mask (B, 1, 1, L), True = a real token; for each
            sentence the texts of its real tokens, to name the positions of a recorded map:
            `map.example(index, queries=texts[index])`.

        Raises:
            TypeError: something else than a list of strings.
            ValueError: no sentence, half of a surrogate pair, or a `max_len` out of range.
        """
        encodings = self._encode("SentenceEncoder.tokenize", sentences)
        return *self._fill_up(encodings), [encoding.tokens for encoding in encodings]

    def load_bert(self, weights: Mapping[str, Tensor]) -> SentenceEncoder:
        """Take over the weights of a BERT, under the names that Hugging Face gives them.

        Nothing may be missing and nothing may be left over, but for BERT's pooler and its list of
        positions, which no sentence embedding uses.

        Args:
            weights: tensors by name, as the state dict of a transformers.BertModel.

        Returns:
            The encoder itself, on its device and in its dtype.

        Raises:
            TypeError: something else than a dict, tensors that are not floating point.
            ValueError: names or shapes that do not fit.
        """
        own = self.state_dict()
        taken = weights_of_bert("SentenceEncoder.load_bert", weights, own, len(self.layers))
        self.load_state_dict(taken)
        return self

    def _encode(self, owner: str, sentences: Sequence[str]) -> list[Encoding]:
        """Tokens of each sentence, cut to `max_len`."""
        listed = isinstance(sentences, list | tuple)
        wrong = [s for s in sentences if not isinstance(s, str)] if listed else [sentences]
        if wrong:
            raise TypeError(
                f"{owner}: got a {type(wrong[0]).__name__}{' in the list' if listed else ''}, "
                f"expected a list of strings; write [sentence] for one sentence"
            )
        if not sentences:
            raise ValueError(
                f"{owner}: got an empty list, expected at least one sentence; "
                f"write [''] to encode an empty one"
            )
        least = self.tokenizer.num_special_tokens_to_add(False)
        most = len(self.words.encoding.weight)
        if not least <= self.max_len <= most:
            raise ValueError(
                f"{owner}: got max_len={self.max_len}, expected {least} (the special tokens) to "
                f"{most} (the learned positions); write encoder.max_len = {most}"
            )
        self.tokenizer.enable_truncation(self.max_len)
        try:
            return self.tokenizer.encode_batch(list(sentences))
        except TypeError:  # which says nothing about the cause
            raise ValueError(
                f"{owner}: got half of a surrogate pair in a sentence, expected text that UTF-8 "
                f"can hold; write text.encode('utf-8', 'replace').decode()"
            ) from None

    def _fill_up(self, encodings: list[Encoding]) -> tuple[Tensor, Tensor]:
        """A batch of tokens (B, L) and its mask (B, 1, 1, L), on the device of the encoder."""
        ids = [torch.tensor(encoding.ids, dtype=torch.int64) for encoding in encodings]
        tokens = nn.utils.rnn.pad_sequence(ids, batch_first=True)
        mask = padding_mask(torch.tensor([len(row) for row in ids]), tokens.shape[1])
        device = self.norm.weight.device
        return tokens.to(device), mask.to(device)
