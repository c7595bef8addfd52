"""Bugs to plant in attnlib.graph."""

from planting import Mutant

PYG = "test_graph_convolution.test_values_weights_and_gradients_equal_those_of_pyg"
PAIR = "test_graph_convolution.test_bipartite_graphs_equal_those_of_pyg"
EXACT = (
    "test_graph_sampling."
    "test_with_all_neighbours_the_outputs_at_the_seeds_are_those_of_the_whole_graph"
)

MUTANTS = [
    Mutant(
        "source and target swapped",
        "graph._structure",
        "source, target = edge_index.index_select(1, order)",
        "target, source = edge_index.index_select(1, order)",
        PYG,
    ),
    Mutant(
        "loops that were there stay beside those that are added",
        "graph._structure",
        "kept = (edge_index[0] != edge_index[1]).nonzero()",
        "kept = (edge_index[0] >= 0).nonzero()",
        PYG,
    ),
    Mutant(
        "a loop for targets that are no sources",
        "graph._structure",
        "loops = min(num_sources, num_targets)",
        "loops = num_targets",
        PAIR,
    ),
    Mutant(
        "features of a loop are a sum",
        "graph._structure",
        "means = sums / counts[:, None].to(sums.dtype)",
        "means = sums",
        PYG,
    ),
    Mutant(
        "weights in sorted order",
        "graph._structure",
        "torch.empty_like(weights).index_copy(0, self.order, weights)",
        "weights",
        PYG,
    ),
    Mutant(
        "an old order for a graph that was written to",
        "graph._structure",
        "if version != edge_index._version:",
        "if version is None:",
        "test_graph_convolution.test_a_graph_is_sorted_once_and_again_when_it_is_written_to",
    ),
    Mutant(
        "softmax over the targets of a source",
        "graph._convolution",
        "edge_weights(part, edges.target)",
        "edge_weights(part, edges.source)",
        PYG,
    ),
    Mutant(
        "graph weights after dropout",
        "graph._convolution",
        "(edges.edge_index, shown)",
        "(edges.edge_index, edges.unsorted(kept))",
        "test_graph_convolution."
        "test_dropout_drops_weights_scales_up_the_rest_and_returns_them_before_it",
    ),
    Mutant(
        "one shift for all scores, whatever their spread",
        "graph._kernels",
        "if high - low < SPREAD:",
        "if True:",
        "test_graph_convolution.test_scores_of_any_spread_are_weighed_in_float32",
    ),
    Mutant(
        "the gradient of the softmax without its sum",
        "graph._kernels",
        "product.addcmul_(weights, sums, value=-1), None",
        "product, None",
        PYG,
    ),
    Mutant(
        "the bend after the weighing",
        "graph._additive",
        "(F.leaky_relu(hidden, slope) * att).sum(-1)",
        "F.leaky_relu((hidden * att).sum(-1), slope)",
        PYG,
    ),
    Mutant(
        "the slope on the wrong side",
        "graph._kernels",
        "torch.where(positive, grad, grad * ctx.slope)",
        "torch.where(positive, grad * ctx.slope, grad)",
        "test_graph_convolution.test_what_keeps_signs_alone_is_leaky_relu_to_the_second_derivative",
    ),
    Mutant(
        "features scored by the other vector",
        "graph.convolution",
        "worth = _worth(to_source, self.att_src, self.att_dst)",
        "worth = _worth(to_source, self.att_dst, self.att_src)",
        PYG,
    ),
    Mutant(
        "no features dropped at the input",
        "graph.models",
        "feature_dropout(x if number == 0 else F.elu(x), self.dropout, self.training)",
        "feature_dropout(x if number == 0 else F.elu(x), 0.0, self.training)",
        "test_graph_models.test_a_model_drops_features_and_weights_while_training_only",
    ),
    Mutant(
        "the first neighbours instead of any",
        "graph.sampling",
        "return found[shuffle[rank < fanout]]",
        "return found[rank < fanout]",
        "test_graph_sampling.test_every_edge_of_a_node_is_drawn_equally_often",
    ),
    Mutant(
        "new nodes numbered from the start again",
        "graph.sampling",
        "frontier = _number_new(number, sources, len(nodes))",
        "frontier = _number_new(number, sources, 0)",
        EXACT,
    ),
]
