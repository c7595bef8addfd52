"""A model that is writing: checks, mode, and the cache, for sampling and for beam search."""

from contextlib import ExitStack

import torch
from torch import Tensor

from attnlib._checks import check_positive
from attnlib.attention import MultiHeadAttention
from attnlib.transformer.language_model import LanguageModel
from attnlib.transformer.sequence_to_sequence import Transformer


class Decoding:
    """Reads tokens into a cache and says what may follow; a context in which dropout is off."""

    def __init__(
        self,
        owner: str,
        model: LanguageModel | Transformer,
        prompt: Tensor,
        max_new_tokens: int,
        end: int | None,
        source: Tensor | None,
        source_mask: Tensor | None,
    ) -> None:
        check_positive(owner, max_new_tokens=max_new_tokens)
        if not isinstance(model, LanguageModel | Transformer):
            raise TypeError(
                f"{owner}: model is a {type(model).__name__}, expected a LanguageModel or a "
                f"Transformer; pass the model itself, not a part or a wrapper of it"
            )
        translates = isinstance(model, Transformer)
        if translates != (source is not None) or (source_mask is not None and not translates):
            raise ValueError(
                f"{owner}: got {'no source' if source is None else 'a source'} for a "
                f"{type(model).__name__}, expected one for a Transformer only; "
                f"write source=tokens for a Transformer, and neither source nor mask else"
            )
        if not isinstance(prompt, Tensor) or prompt.ndim != 2 or prompt.numel() == 0:
            got = tuple(prompt.shape) if isinstance(prompt, Tensor) else type(prompt).__name__
            raise ValueError(
                f"{owner}: prompt is {got}, expected a tensor (B, L) with at least one token; "
                f"write torch.tensor([[start]]) to begin with a start token"
            )
        if prompt.shape[1] + max_new_tokens > model.max_len:
            raise ValueError(
                f"{owner}: got {prompt.shape[1]} tokens of prompt and max_new_tokens="
                f"{max_new_tokens}, expected at most max_len={model.max_len} in all; "
                f"write prompt[:, -n:] for its last n tokens, or build a longer model"
            )
        if source is not None and len(source) != len(prompt):
            raise ValueError(
                f"{owner}: got {len(prompt)} prompts for {len(source)} sources, expected one a "
                f"source; write prompt.expand(len(source), -1)"
            )
        if end is not None and not 0 <= end < model.head.out_features:
            raise ValueError(
                f"{owner}: got end={end}, expected a token from 0 to "
                f"{model.head.out_features - 1}; write end=None when no token ends a text"
            )
        self.owner = owner
        self.model = model
        self.cache: list | None = None  # built by the first `read`
        self.source = source
        self.source_mask = source_mask

    def __enter__(self) -> "Decoding":
        self.modes = [(module, module.training) for module in self.model.modules()]
        self.model.eval()
        self.contexts = ExitStack()
        for module, _ in self.modes:
            if isinstance(module, MultiHeadAttention):
                self.contexts.enter_context(module.stacked())
        return self

    def __exit__(self, *_error: object) -> None:
        self.contexts.close()
        for module, training in self.modes:  # a part may have been frozen in evaluation mode
            module.training = training

    def read(self, tokens: Tensor) -> Tensor:
        """Logits (B, V) of the token that follows `tokens` (B, L), which follow those before."""
        model = self.model
        translates = isinstance(model, Transformer)
        if self.cache is None and translates:
            self.cache = model.new_cache(self.source, source_mask=self.source_mask)
        elif self.cache is None:
            self.cache = model.new_cache(len(tokens))
        read = model.decode if translates else model
        logits = read(tokens, cache=self.cache)[:, -1]
        if bool(logits.isnan().any()):
            raise RuntimeError(
                f"{self.owner}: the model gives NaN, expected numbers; "
                f"look for NaN in its parameters, training may have diverged"
            )
        # Probabilities of half precision would not sum to 1.
        return logits.to(torch.promote_types(logits.dtype, torch.float32))

    def reorder(self, index: Tensor) -> None:
        """Continue from chosen examples (B',)."""
        for cache in self.cache:
            cache.reorder(index)
