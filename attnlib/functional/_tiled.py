"""Attention one tile at a time: the scores of a few queries stay in the cache of the processor.

A tile is a block of queries against *all* keys that it may see, so its softmax is an ordinary one.
The backward pass computes the weights of a tile anew, which is cheaper than to fetch them from
memory, so nothing of size L x S is ever kept. Where a query sees few keys (a window, the causal
triangle) a tile leaves the others out: that is where the work is saved.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from attnlib.functional._kernels import part
from attnlib.masks import causal_mask, sliding_window_mask

# Scores of one tile, in bytes: what the second-level cache of a core holds.
TILE = 1 << 20
FEW = 1 << 16
HALF = (torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class Tiled:
    """Exact attention over query (G, L, D), key (G, S, D), value (G, S, Dv), G = product of `lead`.

    `window` is the number of keys up to the own position that a query sees, None for all of them;
    mask and bias have the dimensions (*lead, L, S), 1 where they broadcast. `slow` computes the
    same from tensors with their leading dimensions.
    """

    lead: tuple[int, ...]
    scale: float
    causal: bool
    window: int | None
    slow: Callable[..., Tensor]

    def reference(self, query, key, value, mask, bias):
        apart = (x.unflatten(0, self.lead) if self.lead else x[0] for x in (query, key, value))
        return self.slow(*apart, mask, bias).reshape(*query.shape[:2], value.shape[-1])

    def forward(self, query, key, value, mask, bias):
        power, scale = self.two_factors()
        context = query.new_empty(*query.shape[:2], value.shape[-1])
        kept = (query.new_empty(*query.shape[:2], 1),) if query.dtype in HALF else ()
        for heads, tiles in self.groups(query, key, mask, bias):
            for rows, keys, band, term in tiles:
                q, k, v = query[heads, rows] * power, key[heads, keys], value[heads, keys]
                if kept:
                    kept[0][heads, rows] = _largest(q, k, band, term, scale)
                    term = _shifted(term, kept[0][heads, rows])
                weights = self.weights(q, k, band, term, scale, mask, bias)
                context[heads, rows].baddbmm_(weights, v, beta=0)
        return context, kept

    def backward(self, gradient, inputs, kept):
        query, key, value, mask, bias = inputs
        power, scale = self.two_factors()
        of_query = torch.empty_like(query)
        of_key, of_value = torch.zeros_like(key), torch.zeros_like(value)
        of_bias = None if bias is None else torch.zeros_like(bias)
        for heads, tiles in self.groups(query, key, mask, bias, least=16):
            # Several tiles see a key: their sum would lose digits in half precision.
            sums = [total[heads].to(_wide(total.dtype)) for total in (of_key, of_value)]
            for rows, keys, band, term in tiles:
                q, k, v = query[heads, rows] * power, key[heads, keys], value[heads, keys]
                sent = gradient[heads, rows]
                if kept:
                    term = _shifted(term, kept[0][heads, rows])
                weights = self.weights(q, k, band, term, scale, mask, bias)
                of_weights = torch.bmm(sent, v.mT)
                # weights * (of_weights - their weighted mean), in one pass over the tile
                of_scores = torch._softmax_backward_data(
                    of_weights, weights, -1, weights.dtype, grad_input=of_weights
                )
                of_query[heads, rows].baddbmm_(of_scores, k, beta=0, alpha=self.scale)
                _add_product(sums[0][:, keys], of_scores.mT, q, scale)
                _add_product(sums[1][:, keys], weights.mT, sent)
                if bias is not None:
                    self.add_to_bias(of_bias, of_scores, heads, rows, keys)
            if kept:
                of_key[heads], of_value[heads] = sums
        return of_query, of_key, of_value, of_bias

    def two_factors(self) -> tuple[float, float]:
        """The scale as a power of 2 and a rest between 0.5 and 1 (signs aside).

        The power is multiplied into the query without rounding, so that query key^T does not
        overflow where the scaled product would not.
        """
        rest, exponent = math.frexp(self.scale)
        return 2.0**exponent, rest

    def weights(self, query, key, band, term, scale, mask, bias) -> Tensor:
        """Softmax of a tile of scores; zeros in rows where mask or bias hide everything."""
        scores = _scores(query, key, band, term, scale)
        if mask is None and bias is None:
            return torch.softmax(scores, -1, out=scores)
        empty = scores.amax(-1, keepdim=True) == -torch.inf
        return torch.softmax(scores, -1, out=scores).masked_fill_(empty, 0.0)

    def groups(self, query, key, mask, bias, least=4) -> Iterator[tuple[slice, Iterator]]:
        """Groups of heads, and the tiles of each: queries, the keys they may see, what is added."""
        (G, L, _), S = query.shape, key.shape[-2]
        # At least so many tiles: for short rows one would be larger than all inputs. The backward
        # pass holds several blocks of a tile's size at once, beside the gradients; but tiles of
        # less than FEW scores take longer to call for than to compute.
        pairs = G * L * S
        limit = min(TILE // query.element_size(), max(1, pairs // least, min(pairs // 4, FEW)))
        if self.window is None:
            block, width = min(L, max(32, limit // S)), S
            if self.causal:  # in four steps along the diagonal 3/8 of the pairs are left out
                block = min(block, max(64, -(-L // 4)))
        else:
            # A quarter of a window: a block is seen with all the keys that any of its queries
            # sees, and so with few in vain.
            block = min(L, max(64, self.window // 4))
            width = min(S, block + self.window)
        group = max(1, limit // (block * width))
        bands = {}  # most tiles hide the same keys
        for first in range(0, G, group):
            heads = slice(first, min(first + group, G))
            yield heads, self.tiles(block, query, key, mask, bias, heads, bands)

    def tiles(self, block, query, key, mask, bias, heads, bands):
        L, S = query.shape[-2], key.shape[-2]
        for start in range(0, L, block):
            rows = slice(start, min(start + block, L))
            low = 0 if self.window is None else max(0, start + S - L - self.window + 1)
            keys = slice(low, rows.stop + S - L if self.causal else S)
            band = self.band(rows, keys, query, bands) if self.causal else None
            yield rows, keys, band, self.term(mask, bias, heads, rows, keys, query)

    def band(self, rows, keys, query, bands) -> Tensor:
        """0 where a query of the tile sees a key by its position, else -inf."""
        size = rows.stop - rows.start, keys.stop - keys.start
        if size not in bands:
            if self.window is None:
                seen = causal_mask(*size, device=query.device)
            else:
                seen = sliding_window_mask(size[0], self.window, size[1], device=query.device)
            bands[size] = query.new_zeros(size).masked_fill_(~seen, -torch.inf)
        return bands[size]

    def term(self, mask, bias, heads, rows, keys, query) -> Tensor | None:
        """What is added to the scores of a tile: the bias, and -inf where the mask hides."""
        term = None if bias is None else self.cut(bias, heads, rows, keys)
        if mask is not None:
            term = query.new_zeros(()) if term is None else term
            term = torch.where(self.cut(mask, heads, rows, keys), term, -torch.inf)
        return term

    def cut(self, term: Tensor, heads: slice, rows: slice, keys: slice) -> Tensor:
        """The part of a mask or bias that belongs to a tile."""
        inner = part(term, rows, keys)[1:]
        return torch.stack([term[(*place, *inner)] for place in self.places(term)[heads]])

    def add_to_bias(self, of_bias, of_scores, heads, rows, keys) -> None:
        inner = part(of_bias, rows, keys)[1:]
        for place, block in zip(self.places(of_bias)[heads], of_scores, strict=True):
            total = of_bias[(*place, *inner)]
            total += block.sum_to_size(total.shape)

    def places(self, term: Tensor) -> list[tuple[int, ...]]:
        """Where each of the G heads finds its rows in a mask or bias."""
        sizes = term.shape[:-2]
        free = len(self.lead) - len(sizes)
        return [
            tuple(0 if size == 1 else at for at, size in zip(place[free:], sizes, strict=True))
            for place in itertools.product(*map(range, self.lead))
        ]


# Products of half precision are many times as fast as those of float32, but come out rounded to 3
# digits: too few for a large score. So the product is taken twice. The first gives the largest
# score of a row, roughly; in the second it is subtracted *before* rounding, so that the scores
# that matter, those near the largest, are near 0 and keep their digits. The softmax is the same
# whatever is subtracted from a row.


def _largest(query, key, band, term, scale) -> Tensor:
    largest = _scores(query, key, band, term, scale).float().amax(-1, keepdim=True)
    return largest.masked_fill_(largest == -torch.inf, 0.0)


def _shifted(term: Tensor | None, largest: Tensor) -> Tensor:
    return -largest if term is None else term - largest


def _scores(
    query: Tensor, key: Tensor, band: Tensor | None, term: Tensor | None, scale: float
) -> Tensor:
    if term is None:
        scores = torch.baddbmm(query.new_empty(()), query, key.mT, beta=0, alpha=scale)
    else:
        scores = torch.baddbmm(term, query, key.mT, alpha=scale)
    return scores if band is None else scores.add_(band)


def _add_product(total: Tensor, a: Tensor, b: Tensor, scale: float = 1.0) -> None:
    if total.dtype == a.dtype:
        total.baddbmm_(a, b, alpha=scale)
    else:
        total.add_(torch.bmm(a, b), alpha=scale)


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)
