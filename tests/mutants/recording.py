"""Bugs to plant in attnlib.recording."""

from planting import Mutant

RECORDED = "test_recording.test_every_layer_is_recorded_under_its_path_with_its_weights_and_kind"
ASKED = "test_recording.test_a_caller_gets_weights_exactly_if_it_asked_for_them"
MATRIX = "test_recording_maps.test_the_row_of_a_graph_map_is_a_target_and_the_column_a_source"
NODES = "test_recording_maps.test_the_entropy_of_a_node_is_that_of_the_edges_into_it"
ROLLED = "test_recording_faithfulness.test_rollout_multiplies_the_mixed_maps_of_all_layers"
POSITIVE = (
    "test_recording_faithfulness."
    "test_relevance_of_an_answer_that_is_the_weight_itself_is_the_weight"
)
CURVE = "test_recording_faithfulness.test_a_curve_erases_or_keeps_one_position_more_at_each_step"
SHARES = "test_recording_faithfulness.test_comprehensiveness_and_sufficiency_are_means_over_shares"

MUTANTS = [
    Mutant(
        "recording returns the pair",
        "recording.hooks",
        "return output if asked.pop() else result",
        "return output",
        ASKED,
    ),
    Mutant(
        "recording keeps the weights that a caller asked for",
        "recording.hooks",
        "asked.append(bool(kwargs.get(flag, False)))",
        "asked.append(False)",
        ASKED,
    ),
    Mutant(
        "hooks stay",
        "recording.hooks",
        "handle.remove()",
        "pass",
        "test_recording.test_hooks_are_gone_after_the_block_and_after_an_error_in_it",
    ),
    Mutant(
        "hooks of others see the pair",
        "recording.hooks",
        ", prepend=True",
        "",
        "test_recording.test_hooks_of_others_see_what_they_would_see_without_recording",
    ),
    Mutant(
        "maps keep the graph alive",
        "recording.hooks",
        "AttentionMap(weights.detach() if detach else weights, kind",
        "AttentionMap(weights, kind",
        "test_recording.test_nothing_is_kept_alive",
    ),
    Mutant(
        "a second call overwrites the first",
        "recording.hooks",
        "while path in maps:",
        "while False:",
        "test_recording.test_a_layer_that_is_called_again_is_recorded_again",
    ),
    Mutant(
        "kind is always self",
        "recording.hooks",
        'or key is query else "cross"',
        'or True else "cross"',
        RECORDED,
    ),
    Mutant(
        "a kind that a layer names is ignored",
        "recording.hooks",
        'kind = getattr(layer, "map_kind", kind)',
        "pass",
        "test_recording_maps.test_a_layer_may_name_the_kind_of_its_maps",
    ),
    Mutant(
        "sources and targets of a bipartite graph swapped",
        "recording.hooks",
        "(result.shape[0], sources.shape[0])",
        "(sources.shape[0], result.shape[0])",
        "test_recording_maps.test_a_bipartite_graph_layer_is_recorded_with_both_sizes",
    ),
    Mutant(
        "entropy without the minus",
        "recording.maps",
        "torch.special.entr(",
        "-torch.special.entr(",
        "test_recording.test_entropy_equals_that_of_torch",
    ),
    Mutant(
        "the first head for the mean of all",
        "recording.maps",
        "weights if weights.ndim == 2 else weights.mean(0)",
        "weights if weights.ndim == 2 else weights[0]",
        "test_recording.test_dense_is_the_mean_over_heads",
    ),
    Mutant(
        "rows without truth count",
        "recording.maps",
        "mass[rows].mean()",
        "mass.mean()",
        "test_recording.test_mass_is_the_mean_share_on_the_truth_over_rows_that_have_one",
    ),
    Mutant(
        "a graph turned around",
        "recording._edges",
        "index_put((target, source)",
        "index_put((source, target)",
        MATRIX,
    ),
    Mutant(
        "edges between the same nodes overwrite one another",
        "recording._edges",
        "accumulate=True",
        "accumulate=False",
        "test_recording_maps.test_a_graph_map_reads_like_the_matrix_that_it_stands_for",
    ),
    Mutant(
        "entropy of what a node sends",
        "recording._edges",
        "edge_index[1], values",
        "edge_index[0], values",
        NODES,
    ),
    Mutant(
        "reach looks one way only",
        "recording._measures",
        "(query_times[:, None] - times).abs()",
        "(query_times[:, None] - times).clamp_min(0)",
        "test_recording_maps.test_reach_is_the_mean_distance_of_what_is_attended",
    ),
    Mutant(
        "rollout in the wrong order",
        "recording.rollout",
        "mixed @ rolled",
        "rolled @ mixed",
        ROLLED,
    ),
    Mutant(
        "rollout without the residual path",
        "recording.rollout",
        "(1 - residual) * weights + residual * identity",
        "weights",
        ROLLED,
    ),
    Mutant(
        "an empty row of a rollout loses its position",
        "recording.rollout",
        "torch.where(empty, identity, ",
        "torch.where(empty, 1 / len(identity), ",
        "test_recording_faithfulness."
        "test_rows_of_a_rollout_are_shares_and_an_empty_row_passes_its_position_on",
    ),
    Mutant(
        "negative relevance is kept as an amount",
        "recording.gradients",
        ".clamp_min(0.0)",
        ".abs()",
        POSITIVE,
    ),
    Mutant(
        "the gradient alone",
        "recording.gradients",
        "(slope * one.weights)",
        "slope",
        POSITIVE,
    ),
    Mutant(
        "even weights stay",
        "recording.even",
        "p.copy_(value)",
        "pass",
        "test_recording_faithfulness.test_after_even_weights_the_model_is_what_it_was",
    ),
    Mutant(
        "even weights are trained away",
        "recording.even",
        "p.requires_grad_(False).zero_()",
        "p.data.zero_()",
        "test_recording_faithfulness.test_a_model_may_be_trained_with_even_weights",
    ),
    Mutant(
        "ties are forgotten by the rank correlation",
        "recording.ranking",
        "untied = one.abs().sum() * other.abs().sum()",
        "untied = torch.tensor((len(first) * (len(first) - 1.0)) ** 2)",
        "test_recording_faithfulness.test_kendalls_tau_equals_that_of_scipy_with_ties",
    ),
    Mutant(
        "ties count as won by the curve",
        "recording.ranking",
        "(smaller + not_larger)",
        "(2 * not_larger)",
        "test_recording_faithfulness.test_the_area_takes_maps_of_any_shape",
    ),
    Mutant(
        "leaving out with the sign turned",
        "recording.erasure",
        "return full - _ask(",
        "return -full + _ask(",
        "test_recording_faithfulness.test_leaving_a_position_out_costs_what_it_gave",
    ),
    Mutant(
        "the least important is erased first",
        "recording.erasure",
        "descending=True",
        "descending=False",
        CURVE,
    ),
    Mutant(
        "positions are taken for ranks",
        "recording.erasure",
        "rank = order.argsort(-1)",
        "rank = order",
        CURVE,
    ),
    Mutant(
        "sufficiency measured from the empty input",
        "recording.erasure",
        "curve[..., -1:]",
        "curve[..., :1]",
        SHARES,
    ),
]
