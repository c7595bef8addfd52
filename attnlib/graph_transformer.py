"""A transformer layer on a graph: dense attention that may go only along edges."""

from torch import Tensor, nn

from attnlib._checks import check_floating, check_positive, check_probability
from attnlib.attention import MultiHeadAttention
from attnlib.masks import adjacency_mask

__all__ = ["GraphTransformerLayer"]


class GraphTransformerLayer(nn.Module):
    """A transformer layer whose mask is the graph: each node attends to its neighbours.

    h' = norm(x + attention(x) under adjacency_mask);  out = norm(h' + W_2 relu(W_1 h'))
    A node without incoming edges attends to nothing: its attention is the bias of the output
    projection. Unlike in GAT the score is a product of two projections, scaled by the width. Work
    and memory grow with N^2, whatever the number of edges: for small graphs.

    Args:
        embed_dim: F, width of the features; a multiple of `num_heads`.
        num_heads: H.
        ffn_dim: width between W_1 and W_2; twice `embed_dim` when omitted, as in the paper.
        dropout: probability of dropping a weight or an output while training, in [0, 1).

    Raises:
        ValueError: sizes below 1, `embed_dim` not divisible by `num_heads`, a bad probability.

    Reference: Dwivedi and Bresson 2020, section 2.2, equations 4 to 8, arXiv:2012.09699

    >>> import torch
    >>> edge_index = torch.tensor([[0, 1, 2], [1, 2, 0]])
    >>> GraphTransformerLayer(6, 2)(torch.zeros(3, 6), edge_index).shape
    torch.Size([3, 6])
    """

    def __init__(
        self, embed_dim: int, num_heads: int, ffn_dim: int | None = None, *, dropout: float = 0.0
    ) -> None:
        super().__init__()
        owner = "GraphTransformerLayer"
        ffn_dim = 2 * embed_dim if ffn_dim is None else ffn_dim
        check_positive(owner, embed_dim=embed_dim, num_heads=num_heads, ffn_dim=ffn_dim)
        check_probability(owner, "dropout", dropout)
        self.attention = MultiHeadAttention(embed_dim, num_heads, dropout=dropout)
        self.ffn = nn.Sequential(
            nn.Linear(embed_dim, ffn_dim), nn.ReLU(), nn.Linear(ffn_dim, embed_dim)
        )
        self.attention_norm, self.ffn_norm = nn.LayerNorm(embed_dim), nn.LayerNorm(embed_dim)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Let every node attend to the nodes from which an edge leads to it.

        Args:
            x: (N, F).
            edge_index: (2, E) integer, the source of each edge above its target. A node sees
                itself only along an edge to itself.

        Returns:
            (N, F).

        Raises:
            TypeError: features not in the dtype of the layer, or edges that are not integer.
            ValueError: shapes that do not fit, or a node out of range.
        """
        check_floating("GraphTransformerLayer", "x", x)
        if x.ndim != 2 or x.shape[1] != self.attention.embed_dim:
            raise ValueError(
                f"GraphTransformerLayer: x has shape {tuple(x.shape)}, expected "
                f"(N, {self.attention.embed_dim}); write x.flatten(0, 1) for a batch, and shift "
                f"the node numbers of each graph"
            )
        mask = adjacency_mask(edge_index, len(x))
        attended = self.attention(x[None], mask=mask).squeeze(0)
        x = self.attention_norm(x + self.drop(attended))
        return self.ffn_norm(x + self.drop(self.ffn(x)))
