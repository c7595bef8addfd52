"""Bugs to plant in attnlib.attention."""

from planting import Mutant

COMBINED = "test_attention.test_causal_is_the_causal_mask_and_combines_with_a_mask"
COPY = "test_attention.test_a_copied_layer_equals_torch_in_value_weights_and_gradient"
HEADS = "test_attention.test_each_head_sees_its_own_block_of_the_projected_features"
ADDITIVE = "test_attention.test_additive_attention_equals_a_loop_in_value_and_gradient"
TRAINING = "test_attention.test_dropout_acts_in_training_only_and_the_weights_are_those_before_it"
SPLIT = "projection(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)"

MUTANTS = [
    Mutant(
        "heads interleaved",
        "attention",
        SPLIT,
        "projection(x).unflatten(-1, (-1, self.num_heads)).movedim(-1, 1)",
        HEADS,
    ),
    Mutant(
        "heads split along the positions",
        "attention",
        SPLIT,
        "projection(x).reshape(x.shape[0], self.num_heads, x.shape[1], -1)",
        HEADS,
    ),
    Mutant(
        "heads joined without turning them back",
        "attention",
        "context.transpose(1, 2).flatten(2)",
        "context.reshape(context.shape[0], context.shape[2], -1)",
        HEADS,
    ),
    Mutant(
        "key and value swapped", "attention", "*heads,\n", "heads[0], heads[2], heads[1],\n", COPY
    ),
    Mutant(
        "values projected as keys", "attention", "value, self.v_proj", "value, self.k_proj", COPY
    ),
    Mutant(
        "copied query and key swapped",
        "attention",
        'zip("qkv", projections',
        'zip("kqv", projections',
        COPY,
    ),
    Mutant(
        "copied without the output's bias",
        "attention",
        "copy.out_proj.bias.copy_(module.out_proj.bias)",
        "pass",
        COPY,
    ),
    Mutant(
        "bias ignored by the layer",
        "attention",
        "bias=bias,\n",
        "bias=None,\n",
        "test_attention.test_bias_is_added_to_the_scores_of_every_head",
    ),
    Mutant(
        "causal ignored by the layer",
        "attention",
        "causal=causal,\n",
        "causal=False,\n",
        COMBINED,
    ),
    Mutant(
        "dropout while evaluating",
        "attention",
        "self.dropout if self.training else 0.0",
        "self.dropout",
        TRAINING,
    ),
    Mutant("additive without tanh", "attention", "torch.tanh(", "(", ADDITIVE),
    Mutant(
        "additive over the queries", "attention", "(-1, 1), mask)", "(-1, 1), mask, -2)", ADDITIVE
    ),
    Mutant("additive without the mask", "attention", "(-1, 1), mask)", "(-1, 1))", ADDITIVE),
    Mutant(
        "additive dropout while evaluating",
        "attention",
        "self.dropout, self.training)",
        "self.dropout)",
        TRAINING,
    ),
    Mutant(
        "additive weights after dropout",
        "attention",
        "(context, weights) if",
        "(context, kept) if",
        TRAINING,
    ),
]
