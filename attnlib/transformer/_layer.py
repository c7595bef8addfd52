"""What encoder and decoder layers, and stacks of them, have in common."""

import copy
from collections.abc import Callable, Sequence

from torch import Tensor, nn

from attnlib._checks import check_sequence
from attnlib._dropout import dropout
from attnlib.attention import MultiHeadAttention
from attnlib.cache import KVCache
from attnlib.positional import RelativeAttentionBias, RotaryEmbedding
from attnlib.transformer.feed_forward import ACTIVATIONS, FeedForward


class Layer(nn.Module):
    """Self-attention, feed-forward, and the residual."""

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        ffn_dim: int | None = None,
        *,
        dropout: float = 0.0,
        norm_first: bool = True,
        activation: str = "gelu",
        layer_norm_eps: float = 1e-5,
        num_kv_heads: int | None = None,
        rotary: RotaryEmbedding | None = None,
        relative: RelativeAttentionBias | None = None,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.norm_first = norm_first
        self.self_attention = MultiHeadAttention(
            embed_dim,
            num_heads,
            num_kv_heads=num_kv_heads,
            dropout=dropout,
            rotary=rotary,
            relative=relative,
        )
        self.feed_forward = FeedForward(embed_dim, ffn_dim, dropout=dropout, activation=activation)
        self.norm1 = nn.LayerNorm(embed_dim, eps=layer_norm_eps)
        self.norm2 = nn.LayerNorm(embed_dim, eps=layer_norm_eps)

    def _residual(self, x: Tensor, norm: nn.LayerNorm, branch: Callable) -> Tensor:
        """x + branch(norm(x)), or norm(x + branch(x)) in the order of the paper."""
        y = branch(norm(x) if self.norm_first else x)
        x = x + dropout(y, self.dropout, self.training)
        return x if self.norm_first else norm(x)

    def _check(self, owner: str, x: Tensor, name: str = "x") -> None:
        """Raise unless `x` is (B, L, F) in the dtype of the layer."""
        layer = self.self_attention.q_proj  # compression may replace it by something else
        check_sequence(owner, name, x, layer if isinstance(layer, nn.Linear) else None)

    def _own_cache(self, batch_size: int, max_len: int) -> KVCache:
        """An empty cache that fits self-attention."""
        layer = self.self_attention
        heads = layer.k_proj.out_features // layer.head_dim
        like = self.norm1.weight  # also floating point when the projections are quantised
        return KVCache(
            batch_size, heads, max_len, layer.head_dim, device=like.device, dtype=like.dtype
        )

    def _copy_from(self, module: nn.Module) -> None:
        """Take over the parts that torch's two layers share."""
        self.self_attention = MultiHeadAttention.from_torch(module.self_attn)
        for name in ("linear1", "linear2"):
            setattr(self.feed_forward, name, copy.deepcopy(getattr(module, name)))
        for name in ("norm1", "norm2"):
            setattr(self, name, copy.deepcopy(getattr(module, name)))


def torch_options(kind: type, module: nn.Module) -> dict:
    """The arguments that build our layer like a layer of torch."""
    if not isinstance(module, getattr(nn, kind.__name__)):
        raise TypeError(
            f"{kind.__name__}.from_torch: got {type(module).__name__}, expected "
            f"torch.nn.{kind.__name__}; pass one layer, as stack.layers[0]"
        )
    activation = module.activation
    name = getattr(activation, "__name__", type(activation).__name__).lower()
    if name not in ACTIVATIONS or getattr(activation, "approximate", "none") != "none":
        raise ValueError(
            f"{kind.__name__}.from_torch: got activation {activation}, expected one of "
            f"{sorted(ACTIVATIONS)}; train a new layer with activation='gelu'"
        )
    return {
        "embed_dim": module.self_attn.embed_dim,
        "num_heads": module.self_attn.num_heads,
        "ffn_dim": module.linear1.out_features,
        "dropout": module.dropout.p,
        "norm_first": module.norm_first,
        "activation": name,
    }


def one_a_layer(owner: str, name: str, kept: Sequence | None, layers: nn.ModuleList) -> Sequence:
    if kept is None:
        return [None] * len(layers)
    if not isinstance(kept, list | tuple) or len(kept) != len(layers):
        got = len(kept) if isinstance(kept, list | tuple) else f"a {type(kept).__name__}"
        raise ValueError(
            f"{owner}: {name} has {got} for {len(layers)} layers, expected a list with one a "
            f"layer; build one for each layer, layers must not share"
        )
    return kept
