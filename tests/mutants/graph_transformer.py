"""Bugs to plant in attnlib.graph_transformer."""

from planting import Mutant

FORMULA = "test_graph_transformer.test_a_layer_equals_its_formula_node_by_node"

MUTANTS = [
    Mutant(
        "source and target swapped in the layer",
        "graph_transformer",
        "adjacency_mask(edge_index, len(x))",
        "adjacency_mask(edge_index.flip(0), len(x))",
        FORMULA,
    ),
    Mutant(
        "every node sees every node",
        "graph_transformer",
        "self.attention(x[None], mask=mask)",
        "self.attention(x[None])",
        FORMULA,
    ),
    Mutant(
        "no residual around the attention",
        "graph_transformer",
        "self.attention_norm(x + self.drop(attended))",
        "self.attention_norm(self.drop(attended))",
        FORMULA,
    ),
    Mutant(
        "dropout while the graph layer evaluates",
        "graph_transformer",
        "self.drop = nn.Dropout(dropout)",
        "self.drop = lambda z: nn.functional.dropout(z, dropout)",
        "test_graph_transformer.test_dropout_acts_while_training_only",
    ),
]
