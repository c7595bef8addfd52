"""Graph attention layers, stacked."""

import torch.nn.functional as F
from torch import Tensor, nn

from attnlib._checks import check_positive, check_probability
from attnlib.graph._sparse import feature_dropout
from attnlib.graph.convolution import GATConv, GATv2Conv

__all__ = ["GAT"]


class GAT(nn.Module):
    """The graph attention network: layers with ELU between, dropout on features and weights.

    h_0 = x;  h_l = elu(layer_l(dropout(h_(l-1))));  the last layer averages its heads, without elu
    Each layer looks one edge further: an output depends on nodes up to `num_layers` edges away.

    Args:
        in_channels: F, width of the features.
        hidden_channels: width between layers, all heads together; a multiple of `heads`.
        num_layers: number of layers.
        out_channels: width of the output: the number of classes.
        heads: H of every layer but the last.
        dropout: probability of dropping a feature at the input of a layer, or a weight, while
            training, in [0, 1).
        output_heads: H of the last layer, which averages them; `heads` when omitted.
        edge_dim: D, width of the features of edges; None for none.
        v2: use GATv2Conv instead of GATConv.

    Raises:
        ValueError: sizes below 1, `hidden_channels` not divisible by `heads`, a bad probability.

    Differs from torch_geometric.nn.GAT:
        elu, not relu; dropout on the input too, as in the paper; heads of the last layer of their
        own; no norms or jumping knowledge. State dicts load both ways.

    Reference: Veličković et al. 2018, section 3.3, arXiv:1710.10903 (Cora: hidden_channels=64,
        heads=8, output_heads=1, dropout=0.6)

    >>> import torch
    >>> edge_index = torch.tensor([[0, 1, 2], [1, 2, 0]])
    >>> GAT(5, 14, 2, 3, heads=2)(torch.zeros(3, 5), edge_index).shape
    torch.Size([3, 3])
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        num_layers: int,
        out_channels: int,
        heads: int = 1,
        dropout: float = 0.0,
        *,
        output_heads: int | None = None,
        edge_dim: int | None = None,
        v2: bool = False,
    ) -> None:
        super().__init__()
        output_heads = heads if output_heads is None else output_heads
        check_positive("GAT", in_channels=in_channels, hidden_channels=hidden_channels)
        check_positive("GAT", num_layers=num_layers, out_channels=out_channels, heads=heads)
        check_positive("GAT", output_heads=output_heads)
        check_probability("GAT", "dropout", dropout)
        if hidden_channels % heads:
            raise ValueError(
                f"GAT: got hidden_channels={hidden_channels} and heads={heads}, expected a "
                f"multiple of heads; write hidden_channels={heads} * the width of a head"
            )
        self.dropout = dropout
        layer = GATv2Conv if v2 else GATConv
        widths = [in_channels] + [hidden_channels] * (num_layers - 1)
        self.convs = nn.ModuleList(
            layer(width, hidden_channels // heads, heads, dropout=dropout, edge_dim=edge_dim)
            for width in widths[:-1]
        )
        self.convs.append(
            layer(
                widths[-1],
                out_channels,
                output_heads,
                concat=False,
                dropout=dropout,
                edge_dim=edge_dim,
            )
        )

    def reset_parameters(self) -> None:
        """Draw new weights in all layers."""
        for conv in self.convs:
            conv.reset_parameters()

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor | None = None) -> Tensor:
        """Compute an output for every node.

        Args:
            x: (N, F), dense or sparse.
            edge_index: (2, E) integer, the source of each edge above its target.
            edge_attr: (E, D) features of the edges, if the model has `edge_dim`.

        Returns:
            (N, out_channels).

        Raises:
            TypeError: as the layers do.
            ValueError: as the layers do.
        """
        for number, conv in enumerate(self.convs):
            x = feature_dropout(x if number == 0 else F.elu(x), self.dropout, self.training)
            x = conv(x, edge_index, edge_attr)
        return x
