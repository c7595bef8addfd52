"""Beam search: the texts that a model finds most likely, not one drawn by chance."""

import torch
import torch.nn.functional as F
from torch import Tensor

from attnlib._checks import check_positive
from attnlib.transformer._decoding import Decoding
from attnlib.transformer.language_model import LanguageModel
from attnlib.transformer.sequence_to_sequence import Transformer

__all__ = ["beam_search"]


@torch.no_grad()
def beam_search(
    model: LanguageModel | Transformer,
    prompt: Tensor,
    max_new_tokens: int,
    *,
    beams: int,
    end: int | None = None,
    length_penalty: float = 0.6,
    source: Tensor | None = None,
    source_mask: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Continue a prompt in the most likely ways, keeping the best `beams` beginnings at each step.

    score(Y) = log p(Y | prompt) / ((5 + |Y|) / 6)^length_penalty, with |Y| its new tokens
    At each step every beginning may end, which puts it among the results if its score is among
    the best, and the most likely beginnings that have not ended go on. Those that are left at
    the limit count as results too. It stops early when none can become better than the results.

    Args:
        model: a LanguageModel, or a Transformer with a `source`.
        prompt: (B, L) integer tokens; for a Transformer the start of the target.
        max_new_tokens: n, at most `model.max_len` - L.
        beams: K, how many beginnings are kept and results returned. 1 walks the greedy path but
            may end anywhere on it; with as many as there are texts the search is exhaustive.
        end: token that ends a text, counted in |Y|; none when omitted.
        length_penalty: 0 compares log-probabilities, which favours short texts; larger values
            favour long ones.
        source: (B, S) integer tokens that a Transformer translates.
        source_mask: bool (B, 1, 1, S), `padding_mask(lengths, S)`; True = may attend.

    Returns:
        The texts (B, K, L + n), best first, filled up with `end` after their end, with fewer
        columns when all end before; and their scores (B, K), minus infinity where there are
        fewer texts than beams.

    Raises:
        RuntimeError: a model whose logits are NaN.
        TypeError: another kind of model, tokens that are not integers.
        ValueError: a prompt that is empty or too long, a source missing or superfluous, no beam,
            a negative penalty, an `end` outside the vocabulary.

    Reference: Wu et al. 2016, equation 14 (without coverage), arXiv:1609.08144

    >>> model = LanguageModel(11, embed_dim=6, num_heads=3, num_layers=2, max_len=7)
    >>> texts, scores = beam_search(model, torch.tensor([[1, 2, 3]]), 4, beams=5)
    >>> texts.shape, scores.shape
    (torch.Size([1, 5, 7]), torch.Size([1, 5]))
    """
    check_positive("beam_search", beams=beams)
    if not 0.0 <= length_penalty < float("inf"):
        raise ValueError(
            f"beam_search: got length_penalty={length_penalty}, expected 0 or more; "
            f"write length_penalty=0.6, or 0 to compare log-probabilities"
        )
    decoding = Decoding("beam_search", model, prompt, max_new_tokens, end, source, source_mask)
    B, K = len(prompt), beams
    first = torch.arange(B, device=prompt.device)[:, None] * K  # number of each example's beam 0

    def normaliser(length: int) -> float:
        return ((5 + length) / 6) ** length_penalty

    with decoding:
        log_p = decoding.read(prompt).log_softmax(-1)[:, None]  # (B, 1, V)
        V = log_p.shape[-1]
        decoding.reorder((first // K).expand(B, K).flatten())
        texts = prompt[:, None].expand(B, K, -1)
        total = log_p.new_full((B, K), -torch.inf)  # log p of each beginning
        total[:, 0] = 0.0  # all beams are the same text still: one of them is enough
        results, scores = texts, torch.full_like(total, -torch.inf)
        for length in range(1, max_new_tokens + 1):
            joint = total[..., None] + log_p  # (B, K, V)
            if end is not None:
                results = F.pad(results, (0, 1), value=end)
                ended = joint[..., end] / normaliser(length)
                results, scores = _best(
                    (results, scores), (F.pad(texts, (0, 1), value=end), ended), K
                )
                joint[..., end] = -torch.inf
            total, index = joint.flatten(1).topk(K)
            parent, token = index // V, index % V
            texts = torch.cat([_pick(texts, parent), token[..., None]], dim=-1)
            # Every further token makes a text less likely and the normaliser at most this large.
            bound = total[:, 0] / normaliser(max_new_tokens)
            if length == max_new_tokens or bool((bound <= scores[:, -1]).all()):
                break
            decoding.reorder((first + parent).flatten())
            log_p = decoding.read(token.reshape(B * K, 1)).log_softmax(-1).unflatten(0, (B, K))
    if end is None:
        return texts, total / normaliser(length)
    return _best((results, scores), (texts, total / normaliser(length)), K)


def _best(
    some: tuple[Tensor, Tensor], others: tuple[Tensor, Tensor], count: int
) -> tuple[Tensor, Tensor]:
    """The best of two lists of texts (B, K, L) with scores (B, K), best first."""
    texts, scores = (torch.cat(pair, dim=1) for pair in zip(some, others, strict=True))
    scores, index = scores.topk(count)
    return _pick(texts, index), scores


def _pick(texts: Tensor, index: Tensor) -> Tensor:
    """Texts (B, K, L) at numbers (B, K') of their beams."""
    return texts.gather(1, index[..., None].expand(-1, -1, texts.shape[-1]))
