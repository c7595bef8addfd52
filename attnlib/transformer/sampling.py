"""Writing a text one token after the other, each drawn from what the model thinks comes next."""

import torch
import torch.nn.functional as F
from torch import Tensor

from attnlib._checks import check_floating, check_positive
from attnlib.transformer._decoding import Decoding
from attnlib.transformer.language_model import LanguageModel
from attnlib.transformer.sequence_to_sequence import Transformer

__all__ = ["generate", "sampling_distribution"]


def sampling_distribution(
    logits: Tensor,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Tensor:
    """The probabilities that the next token is drawn with.

    p = softmax(logits / temperature), of which the unlikely tail is cut and the rest rescaled
    First all but the `top_k` most likely tokens are dropped, then all but the fewest whose
    probabilities sum to at least `top_p`. Of equally likely tokens those of lower number stay.
    A token of logit minus infinity is never drawn; a row of nothing else, or with NaN, gives NaN.

    Args:
        logits: (..., V).
        temperature: divides the logits; below 1 sharpens, 0 leaves the most likely token only.
        top_k: number of tokens that may be drawn, at most V; all when omitted.
        top_p: share of the probability that may be drawn, in (0, 1]; all when omitted.

    Returns:
        (..., V): rows sum to 1.

    Raises:
        TypeError: logits that are not floating point, a `top_k` that is not an int.
        ValueError: a negative temperature, a `top_k` or `top_p` out of range.

    Reference: top-k: Fan et al. 2018, section 5.4, arXiv:1805.04833; top-p: Holtzman et al. 2020,
        section 3.1, arXiv:1904.09751

    >>> sampling_distribution(torch.tensor([0.5, 0.3, 0.2]).log(), top_k=2)
    tensor([0.6250, 0.3750, 0.0000])
    """
    check_floating("sampling_distribution", "logits", logits)
    _check(logits.shape[-1], temperature, top_k, top_p)
    return _distribution(logits, temperature, top_k, top_p)


def _check(V: int, temperature: float, top_k: int | None, top_p: float | None) -> None:
    owner = "sampling_distribution"
    if not 0.0 <= temperature < float("inf"):
        raise ValueError(
            f"{owner}: got temperature={temperature}, expected 0 or more; "
            f"write temperature=0 for the most likely token, 1 for the model's own probabilities"
        )
    if top_k is not None:
        check_positive(owner, top_k=top_k)
        if top_k > V:
            raise ValueError(
                f"{owner}: got top_k={top_k} for {V} tokens, expected at most {V}; "
                f"write top_k=None to keep all"
            )
    if top_p is not None and not 0.0 < top_p <= 1.0:
        raise ValueError(
            f"{owner}: got top_p={top_p}, expected a share in (0, 1]; "
            f"write top_p=0.9, or top_p=None to keep all"
        )


def _distribution(
    logits: Tensor, temperature: float, top_k: int | None, top_p: float | None
) -> Tensor:
    if temperature == 0.0:
        return F.one_hot(logits.argmax(-1), logits.shape[-1]).to(logits.dtype)
    # Subtracting the largest first keeps a small temperature from overflowing.
    scores = (logits - logits.amax(-1, keepdim=True)) / temperature
    scores, order = scores.sort(dim=-1, descending=True, stable=True)
    if top_k is not None:
        scores[..., top_k:] = -torch.inf
    p = scores.softmax(-1)
    if top_p is not None:
        before = p.cumsum(-1) - p  # what the more likely tokens sum to
        before[..., 0] = 0.0
        p = p.masked_fill(before >= top_p, 0.0)
        p = p / p.sum(-1, keepdim=True)
    return torch.zeros_like(p).scatter(-1, order, p)


def generate(
    model: LanguageModel | Transformer,
    prompt: Tensor,
    max_new_tokens: int,
    *,
    source: Tensor | None = None,
    source_mask: Tensor | None = None,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    end: int | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Continue a prompt, token by token, through a cache.

    token_i+1 ~ sampling_distribution(logits_i);  temperature=0 takes the most likely one
    The prompts of a batch have one length: group prompts by length, or give one at a time. Runs
    without gradients and without dropout, and leaves the model in the mode it was in.

    Args:
        model: a LanguageModel, or a Transformer with a `source`.
        prompt: (B, L) integer tokens; for a Transformer the start of the target.
        max_new_tokens: n, at most `model.max_len` - L.
        source: (B, S) integer tokens that a Transformer translates.
        source_mask: bool (B, 1, 1, S), `padding_mask(lengths, S)`; True = may attend.
        temperature: divides the logits; 0 is greedy.
        top_k: draw from this many tokens only.
        top_p: draw from the fewest tokens that sum to this share only.
        end: token that ends a text; it is repeated after the end, and generation stops early
            when all texts of the batch have ended.
        generator: source of randomness, on the device of the model; torch's own when omitted.

    Returns:
        (B, L + n), the prompt and what follows; fewer columns when all texts end before.

    Raises:
        RuntimeError: a model whose logits are NaN.
        TypeError: another kind of model, tokens that are not integers.
        ValueError: a prompt that is empty or too long, a source missing or superfluous, a bad
            temperature, `top_k`, `top_p` or `end`.

    Reference: Holtzman et al. 2020, arXiv:1904.09751

    >>> model = LanguageModel(11, embed_dim=6, num_heads=3, num_layers=2, max_len=7)
    >>> generate(model, torch.tensor([[1, 2, 3]]), 4).shape
    torch.Size([1, 7])
    """
    decoding = Decoding("generate", model, prompt, max_new_tokens, end, source, source_mask)
    _check(model.head.out_features, temperature, top_k, top_p)
    new, text = prompt, [prompt]
    ended = torch.zeros(len(prompt), dtype=torch.bool, device=prompt.device)
    with torch.inference_mode(), decoding:
        for _ in range(max_new_tokens):
            logits = decoding.read(new)
            if temperature == 0:  # one token has all of the probability: no random number
                new = logits.argmax(-1, keepdim=True)
            else:
                p = _distribution(logits, temperature, top_k, top_p)
                new = p.multinomial(1, generator=generator)
            if end is not None:
                new = new.masked_fill(ended[:, None], end)
                ended = ended | (new[:, 0] == end)
            text.append(new)
            if end is not None and bool(ended.all()):
                break
    return torch.cat(text, dim=1)
