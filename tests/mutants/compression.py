"""Bugs to plant in attnlib.compression."""

from planting import Mutant

IMPORTANCE = "test_compression.test_importance_is_the_mean_size_of_the_slope_of_each_example"
CLOSED = "test_compression.test_removed_heads_are_those_of_least_importance_and_closed_gates"
ENERGY = "test_compression.test_energy_gives_the_least_rank_that_keeps_it"
PAPER = "test_compression.test_the_loss_is_the_formula_of_the_paper"
LOADS = "test_compression.test_a_state_dict_goes_into_another_model_of_the_same_shape"

MUTANTS = [
    Mutant(
        "slopes of a whole batch",
        "compression.heads",
        "context.new_ones(len(context), 1, heads, 1)",
        "context.new_ones(1, 1, heads, 1)",
        IMPORTANCE,
    ),
    Mutant(
        "slopes that cancel", "compression.heads", "slope.abs().sum(0)", "slope.sum(0)", IMPORTANCE
    ),
    Mutant(
        "importance of a model that drops",
        "compression.heads",
        'copied("head_importance", model).eval()',
        'copied("head_importance", model)',
        IMPORTANCE,
    ),
    Mutant(
        "the most important heads removed",
        "compression.heads",
        "ranked[:removed]",
        "ranked[::-1][:removed]",
        CLOSED,
    ),
    Mutant(
        "a layer may lose all its heads",
        "compression.heads",
        "if group != slopes.argmax()",
        "if slopes.numel()",
        CLOSED,
    ),
    Mutant(
        "columns of the output in another order",
        "compression.heads",
        "_cut(layer.out_proj, 1, features(heads))",
        "_cut(layer.out_proj, 1, features(heads.flip(0)))",
        CLOSED,
    ),
    Mutant(
        "heads and features mixed up",
        "compression.heads",
        "(numbers[:, None] * layer.head_dim + each)",
        "(numbers[:, None] + layer.num_heads * each)",
        CLOSED,
    ),
    Mutant(
        "any weights removed",
        "compression.sparse",
        "prune.L1Unstructured",
        "prune.RandomUnstructured",
        "test_compression.test_the_smallest_weights_of_all_layers_are_zero_and_no_others_change",
    ),
    Mutant(
        "energy without the square",
        "compression.factors",
        "singular.square().cumsum(0)",
        "singular.cumsum(0)",
        ENERGY,
    ),
    Mutant("one factor too many", "compression.factors", ".sum()) + 1", ".sum()) + 2", ENERGY),
    Mutant(
        "integers that are loaded but not used",
        "compression.quantised",
        "self.register_load_state_dict_post_hook(_pack_again)",
        "pass",
        LOADS,
    ),
    Mutant(
        "a soft loss without T squared",
        "compression.distillation",
        "share * temperature**2 * soft",
        "share * soft",
        PAPER,
    ),
    Mutant(
        "hard targets at the temperature of the soft ones",
        "compression.distillation",
        "F.cross_entropy(logits,",
        "F.cross_entropy(logits / temperature,",
        PAPER,
    ),
    Mutant(
        "padding distilled",
        "compression.distillation",
        "kept = targets != ignore_index",
        "kept = targets == targets",
        PAPER,
    ),
    Mutant(
        "a teacher that drops",
        "compression.distillation",
        ".eval().requires_grad_(False)",
        ".requires_grad_(False)",
        "test_compression.test_the_teacher_is_in_eval_mode_without_gradient_and_stays_as_it_is",
    ),
    Mutant(
        "attention costs nothing",
        "compression.report",
        "with sdpa_kernel(SDPBackend.MATH):",
        "if True:",
        "test_compression.test_flops_are_two_for_each_product_and_those_of_attention_are_counted",
    ),
]
