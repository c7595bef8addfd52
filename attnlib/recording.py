"""Attention as an object: record the weights of every attention layer of a model, then read them.

Recording is done by hooks on the real forward pass: there is no second pass that could differ,
and no layer keeps its weights alive.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from attnlib._checks import check_floating, check_names, check_tensor

__all__ = ["AttentionMap", "record_attention"]

KINDS = ("self", "cross", "graph", "temporal")


@dataclass(frozen=True, eq=False)
class AttentionMap:
    """Who attends to whom, and how much, with names for the positions.

    weights[..., i, j] is the share of its attention that query i gives to key j.
    An empty row (nothing may be attended) has weights 0 and entropy 0.

    Args:
        weights: (L, S), (H, L, S) or (B, H, L, S): probabilities, rows sum to 1 or 0.
        queries: L names of the queries; their numbers when omitted.
        keys: S names of the keys; their numbers when omitted.
        kind: one of self, cross, graph, temporal.

    Raises:
        TypeError: weights that are not a floating point tensor.
        ValueError: other dimensions, NaN or negative weights, names that do not fit.

    >>> m = AttentionMap(torch.tensor([[0.25, 0.75], [1.0, 0.0]]), keys=["the", "cat"])
    >>> m.top(0)
    [('cat', 0.75)]
    """

    weights: Tensor
    queries: Sequence[str] | None = None
    keys: Sequence[str] | None = None
    kind: str = "self"

    def __post_init__(self) -> None:
        check_floating("AttentionMap", "weights", self.weights)
        if not 2 <= self.weights.ndim <= 4 or 0 in self.weights.shape:
            raise ValueError(
                f"AttentionMap: weights has shape {tuple(self.weights.shape)}, expected (L, S), "
                f"(H, L, S) or (B, H, L, S), none empty; index the tensor first"
            )
        if not bool((self.weights >= 0).all()):
            raise ValueError(
                "AttentionMap: weights has NaN or negative entries, expected probabilities; "
                "look for NaN in the input of the layer, or apply masked_softmax to scores first"
            )
        if self.kind not in KINDS:
            raise ValueError(
                f"AttentionMap: got kind={self.kind!r}, expected one of {KINDS}; "
                f"write kind='self' when queries and keys are the same positions"
            )
        check_names("AttentionMap", self.weights.shape, self.queries, self.keys)

    def example(
        self,
        index: int,
        *,
        queries: Sequence[str] | None = None,
        keys: Sequence[str] | None = None,
    ) -> "AttentionMap":
        """The map of one example of a batch, cut to the named positions.

        Args:
            index: which example.
            queries: names of its first positions; the rest is padding and is cut off.
            keys: the same for the keys; for self-attention the queries when omitted.

        Returns:
            A map (H, L, S).

        >>> AttentionMap(torch.ones(2, 3, 4, 4) / 4).example(0, queries=["a", "b"]).weights.shape
        torch.Size([3, 2, 2])
        """
        if self.weights.ndim != 4:
            raise ValueError(
                f"AttentionMap.example: weights has shape {tuple(self.weights.shape)}, expected "
                f"a batch (B, H, L, S); this map already is one example"
            )
        _check_index("AttentionMap.example", index, len(self.weights))
        if keys is None and self.kind == "self":
            keys = queries
        queries = self.queries if queries is None else queries
        keys = self.keys if keys is None else keys
        rows = None if queries is None else len(queries)
        columns = None if keys is None else len(keys)
        return AttentionMap(self.weights[index, :, :rows, :columns], queries, keys, self.kind)

    def head(self, index: int) -> "AttentionMap":
        """The map of one head: (L, S), or (B, 1, L, S) of a batch.

        >>> AttentionMap(torch.ones(3, 4, 4) / 4).head(0).weights.shape
        torch.Size([4, 4])
        """
        if self.weights.ndim == 2:
            raise ValueError(
                f"AttentionMap.head: weights has shape {tuple(self.weights.shape)}, "
                f"expected (H, L, S) or (B, H, L, S); use the map as it is, it is one head"
            )
        _check_index("AttentionMap.head", index, self.weights.shape[-3])
        weights = self.weights.select(-3, index)
        return replace(self, weights=weights[:, None] if weights.ndim == 3 else weights)

    def dense(self) -> Tensor:
        """The weights of one example as a matrix (L, S), averaged over heads.

        >>> AttentionMap(torch.ones(3, 2, 5) / 5).dense().shape
        torch.Size([2, 5])
        """
        weights = self._one_example()
        return weights if weights.ndim == 2 else weights.mean(0)

    def edge(self, query: int, key: int) -> float:
        """The weight that query number `query` gives to key number `key`, averaged over heads.

        >>> AttentionMap(torch.tensor([[0.25, 0.75]])).edge(0, 1)
        0.75
        """
        return self.dense()[query, key].item()

    def top(self, query: int, count: int = 1) -> list[tuple[str, float]]:
        """The keys that a query attends to most, averaged over heads, largest first.

        Args:
            query: number of the query.
            count: how many keys; all of them when there are fewer.

        Returns:
            Pairs of the name of a key and its weight.

        >>> AttentionMap(torch.tensor([[0.25, 0.75]])).top(0, count=2)
        [('1', 0.75), ('0', 0.25)]
        """
        weights, index = self.dense()[query].topk(min(count, self.weights.shape[-1]))
        names = self._names(self.keys, self.weights.shape[-1])
        return [(names[j], w) for j, w in zip(index.tolist(), weights.tolist(), strict=True)]

    def entropy(self) -> Tensor:
        """How widely each query spreads its attention: 0 on one key, log(S) when uniform.

        entropy_i = -sum_j weights_ij log(weights_ij), in nats

        Returns:
            The shape of the weights without keys: (L,), (H, L) or (B, H, L).

        >>> AttentionMap(torch.tensor([[0.5, 0.5], [1.0, 0.0]])).entropy()
        tensor([0.6931, 0.0000])
        """
        return torch.special.entr(self.weights).sum(-1)

    def mass_on(self, truth: Tensor) -> float:
        """The share of attention that lies where it should, over the rows that have a truth.

        Args:
            truth: broadcastable to the weights; True (or positive) where attention is right.
                Rows without any such entry do not count.

        Returns:
            A share in [0, 1]. Uniform attention over S keys with one right key gives 1 / S.

        >>> AttentionMap(torch.tensor([[0.2, 0.8]])).mass_on(torch.tensor([[False, True]]))
        0.800000011920929
        """
        check_tensor("AttentionMap.mass_on", "truth", truth)
        try:
            right = (truth > 0).expand_as(self.weights)
        except RuntimeError:
            raise ValueError(
                f"AttentionMap.mass_on: truth has shape {tuple(truth.shape)}, expected one that "
                f"broadcasts to {tuple(self.weights.shape)}; write truth[:, None] to add heads"
            ) from None
        rows = right.any(-1)
        if not bool(rows.any()):
            raise ValueError(
                "AttentionMap.mass_on: truth marks no entry, expected at least one; "
                "pass True where attention is right"
            )
        return (self.weights * right).sum(-1)[rows].mean().item()

    def describe(self, rows: int = 3) -> str:
        """One sentence a row for the first rows: the text alternative of a picture.

        Args:
            rows: how many rows to describe; the others are counted.

        Returns:
            Text. The weights of several heads are averaged.

        >>> AttentionMap(torch.tensor([[0.25, 0.75]]), ["it"], ["the", "cat"]).describe()
        'it attends most to cat (75 %).'
        """
        names = self._names(self.queries, self.weights.shape[-2])
        sentences = []
        for i, name in enumerate(names[:rows]):
            [(key, weight)] = self.top(i)
            most = f"most to {key} ({100 * weight:.0f} %)"
            sentences.append(f"{name} attends {most if weight > 0 else 'to nothing'}.")
        more = len(names) - rows
        if more > 0:
            sentences.append(f"{more} more row{'s' if more > 1 else ''}.")
        return " ".join(sentences)

    def plot(self, alt: str | None = None) -> None:
        """Show one example as a heat map, or as one heat map a head.

        Args:
            alt: what the picture shows, in words; `describe()` when omitted.

        >>> AttentionMap(torch.eye(2)).plot()
        0 attends most to 0 (100 %). 1 attends most to 1 (100 %).
        """
        from attnlib import viz  # the one upward import: drawing is optional and comes last

        alt = self.describe() if alt is None else alt
        weights = self._one_example()
        if weights.ndim == 3 and len(weights) > 1:
            viz.show(viz.plot_heads(weights, queries=self.queries, keys=self.keys), alt)
        else:
            axes = viz.plot_attention(self.dense(), queries=self.queries, keys=self.keys)
            viz.show(axes.figure, alt)

    def _one_example(self) -> Tensor:
        if self.weights.ndim == 4 and len(self.weights) > 1:
            raise ValueError(
                f"AttentionMap: got a batch of {len(self.weights)}, expected one example; "
                f"write .example(0) first"
            )
        return self.weights[0] if self.weights.ndim == 4 else self.weights

    @staticmethod
    def _names(names: Sequence[str] | None, size: int) -> list[str]:
        return [str(i) for i in range(size)] if names is None else [str(name) for name in names]


def _check_index(owner: str, index: int, size: int) -> None:
    if not -size <= index < size:
        raise ValueError(f"{owner}: got index={index}, expected 0 to {size - 1}; count from 0")


@contextmanager
def record_attention(model: nn.Module) -> Iterator[dict[str, AttentionMap]]:
    """Record the weights of every attention layer while the block runs.

    The outputs of the model are unchanged, up to rounding (torch's kernel returns no weights, so
    they are computed openly), and the hooks are removed however the block ends. A layer that is
    called again (a second batch, shared weights) is kept under `name#2`.

    Args:
        model: a module; every submodule with a `weights_flag` is recorded.

    Yields:
        A dict that fills up: dotted path of the layer ("" for the model itself) to the map,
        weights (B, H, L, S) detached, before dropout, on the device of the model.

    Raises:
        TypeError: something that is not a module.
        ValueError: a model without any attention layer of this library.

    >>> from attnlib.attention import MultiHeadAttention
    >>> layer = MultiHeadAttention(6, num_heads=2)
    >>> with record_attention(layer) as maps:
    ...     _ = layer(torch.zeros(1, 5, 6))
    >>> maps[""].weights.shape
    torch.Size([1, 2, 5, 5])
    """
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"record_attention: got {type(model).__name__}, expected a torch.nn.Module; "
            f"pass the model, not its output"
        )
    layers = {name: m for name, m in model.named_modules() if hasattr(m, "weights_flag")}
    if not layers:
        raise ValueError(
            f"record_attention: got a {type(model).__name__} without attention layers of attnlib, "
            f"expected at least one; convert torch layers with MultiHeadAttention.from_torch"
        )
    maps: dict[str, AttentionMap] = {}
    handles = []
    try:
        for name, layer in layers.items():
            handles += _record_layer(name, layer, maps)
        yield maps
    finally:
        for handle in handles:
            handle.remove()


def _record_layer(name: str, layer: nn.Module, maps: dict[str, AttentionMap]) -> list:
    flag = layer.weights_flag
    asked: list[bool] = []  # a stack: did the caller of this call want the weights as well?

    def ask(_module: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        asked.append(bool(kwargs.get(flag, False)))
        return args, {**kwargs, flag: True}

    def keep(_module: nn.Module, args: tuple, kwargs: dict, output: tuple) -> Tensor | tuple:
        result, weights = output
        path, calls = name, 1
        while path in maps:
            calls += 1
            path = f"{name}#{calls}"
        key = kwargs.get("key", args[1] if len(args) > 1 else None)
        query = kwargs.get("query", args[0] if args else None)
        kind = "self" if key is None or key is query else "cross"
        maps[path] = AttentionMap(weights.detach(), kind=kind)
        return output if asked.pop() else result

    return [
        layer.register_forward_pre_hook(ask, with_kwargs=True),
        # Before the hooks of others: they see the output that they would see without recording.
        layer.register_forward_hook(keep, with_kwargs=True, prepend=True),
    ]
