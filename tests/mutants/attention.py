"""Bugs to plant in attnlib.attention."""

from planting import Mutant

COMBINED = "test_attention.test_causal_is_the_causal_mask_and_combines_with_a_mask"
COPY = "test_attention.test_a_copied_layer_equals_torch_in_value_weights_and_gradient"
HEADS = "test_attention.test_each_head_sees_its_own_block_of_the_projected_features"
ADDITIVE = "test_attention.test_additive_attention_equals_a_loop_in_value_and_gradient"
PRODUCT = "test_attention.test_multiplicative_attention_equals_a_loop_in_value_and_gradient"
TRAINING = "test_attention.test_dropout_acts_in_training_only_and_the_weights_are_those_before_it"
SHARED = "test_attention_multihead.test_neighbouring_heads_share_keys_and_values"
CHUNKS = "test_attention_multihead.test_a_cache_works_under_autocast_and_in_half_precision"
PLACES = "test_attention_multihead.test_with_rotary_the_last_query_stands_at_the_last_key"
TURNED = "test_attention_multihead.test_rotary_turns_queries_and_keys_before_they_are_compared"
COOLED = "test_attention_multihead.test_a_temperature_divides_the_scores_of_its_head"
CHANGED = "test_attention_multihead.test_a_projection_that_was_changed_is_called"
BOTH = "test_attention_cross.test_co_attention_equals_two_layers_of_torch"
GATE = "test_attention_cross.test_feature_attention_equals_a_loop_in_value_and_gradient"
SHARE = "test_attention_adaptive.test_the_bias_is_the_logarithm_of_the_share"
SPLIT = "x.unflatten(-1, (-1, head_dim)).transpose(1, 2)"
REPEAT = "x.repeat_interleave(sharing, dim=1)"

MUTANTS = [
    Mutant(
        "heads interleaved",
        "attention.multihead",
        SPLIT,
        "x.unflatten(-1, (head_dim, -1)).movedim(-1, 1)",
        HEADS,
    ),
    Mutant(
        "heads split along the positions",
        "attention.multihead",
        SPLIT,
        "x.reshape(x.shape[0], -1, x.shape[1], head_dim)",
        HEADS,
    ),
    Mutant(
        "heads joined without turning them back",
        "attention.multihead",
        "context.transpose(1, 2).flatten(2)",
        "context.reshape(context.shape[0], context.shape[2], -1)",
        HEADS,
    ),
    Mutant(
        "key and value swapped",
        "attention.multihead",
        "                keys,\n                values,\n",
        "                values,\n                keys,\n",
        COPY,
    ),
    Mutant(
        "values projected as keys",
        "attention.multihead",
        "return self.q_proj, self.k_proj, self.v_proj",
        "return self.q_proj, self.k_proj, self.k_proj",
        COPY,
    ),
    Mutant(
        "copied query and key swapped",
        "attention.multihead",
        'zip("qkv", projections',
        'zip("kqv", projections',
        COPY,
    ),
    Mutant(
        "copied without the output's bias",
        "attention.multihead",
        "copy.out_proj.bias.copy_(module.out_proj.bias)",
        "pass",
        COPY,
    ),
    Mutant(
        "bias ignored by the layer",
        "attention.multihead",
        "bias=bias,\n",
        "bias=None,\n",
        "test_attention.test_bias_is_added_to_the_scores_of_every_head",
    ),
    Mutant(
        "causal ignored by the layer",
        "attention.multihead",
        "causal = causal and queries.shape[2] > 1",
        "causal = False",
        COMBINED,
    ),
    Mutant(
        "matrices of before are multiplied with after a text was written",
        "attention.multihead",
        "            self._stacked = None",
        "            pass",
        "test_attention_multihead.test_stacked_projections_give_the_same_and_are_forgotten",
    ),
    Mutant(
        "one new position that a mask hides nothing from",
        "attention.multihead",
        "bare = mask is None and bias is None and not",
        "bare = not",
        "test_attention_multihead.test_a_mask_and_a_bias_hold_for_one_new_position",
    ),
    Mutant(
        "dropout while evaluating",
        "attention.multihead",
        "self.dropout if self.training else 0.0",
        "self.dropout",
        TRAINING,
    ),
    Mutant(
        "groups of heads in turn instead of side by side",
        "attention.multihead",
        REPEAT,
        "x.repeat(1, sharing, 1, 1)",
        SHARED,
    ),
    Mutant(
        "later chunks turned from position 0",
        "attention.multihead",
        "start = 0 if cache is None else cache.length",
        "start = 0",
        CHUNKS,
    ),
    Mutant(
        "cached keys forgotten",
        "attention.multihead",
        "keys, values = cache.append(keys, values)",
        "cache.append(keys, values)",
        CHUNKS,
    ),
    Mutant(
        "late queries turned from the first key",
        "attention.multihead",
        "offset=end - queries.shape[2]",
        "offset=start",
        PLACES,
    ),
    Mutant(
        "keys not turned",
        "attention.multihead",
        "keys = self.rotary(keys, offset=start)",
        "pass",
        TURNED,
    ),
    Mutant(
        "temperature the wrong way up",
        "attention.multihead",
        "(-self.log_temperature).exp()",
        "self.log_temperature.exp()",
        COOLED,
    ),
    Mutant(
        "the relative term left warm",
        "attention.multihead",
        "term * cooling.to(term.dtype)",
        "term",
        COOLED,
    ),
    Mutant(
        "a bias replaced by the relative term",
        "attention.multihead",
        "term if bias is None else term + bias",
        "term",
        "test_attention_multihead.test_the_relative_term_is_added_to_the_scores",
    ),
    Mutant(
        "hooks of a projection skipped",
        "attention.multihead",
        "and type(layer.weight) is nn.Parameter and not hooked",
        "and type(layer.weight) is nn.Parameter",
        CHANGED,
    ),
    Mutant("additive without tanh", "attention.additive", "torch.tanh(", "(", ADDITIVE),
    Mutant(
        "additive over the queries",
        "attention.additive",
        "(-1, 1), mask)",
        "(-1, 1), mask, -2)",
        ADDITIVE,
    ),
    Mutant(
        "additive without the mask", "attention.additive", "(-1, 1), mask)", "(-1, 1))", ADDITIVE
    ),
    Mutant(
        "additive dropout while evaluating",
        "attention.additive",
        "self.dropout, self.training)",
        "self.dropout, True)",
        TRAINING,
    ),
    Mutant(
        "additive weights after dropout",
        "attention.additive",
        "kept.squeeze(1) @ value\n        return (context, weights) if",
        "kept.squeeze(1) @ value\n        return (context, kept) if",
        TRAINING,
    ),
    Mutant(
        "multiplicative with the scale of a dot product",
        "attention.additive",
        "scale=1.0,",
        "scale=None,",
        PRODUCT,
    ),
    Mutant(
        "multiplicative mixes the keys",
        "attention.additive",
        "value[:, None],",
        "key[:, None],",
        PRODUCT,
    ),
    Mutant(
        "masks of the two sequences swapped",
        "attention.cross",
        "to_y = self.x_attention(x, y, mask=y_mask, ",
        "to_y = self.x_attention(x, y, mask=None if x_mask is None else x_mask.mT, ",
        BOTH,
    ),
    Mutant(
        "the second reads what the first has written",
        "attention.cross",
        "self.y_attention(y, x, mask=x_mask, need_weights=need_weights)",
        "self.y_attention(y, to_y[0] if need_weights else to_y, mask=x_mask, "
        "need_weights=need_weights)",
        BOTH,
    ),
    Mutant(
        "one layer for both directions",
        "attention.cross",
        "to_x = self.y_attention(",
        "to_x = self.x_attention(",
        BOTH,
    ),
    Mutant(
        "gates that compete",
        "attention.feature",
        ".relu()).sigmoid()",
        ".relu()).softmax(-1)",
        GATE,
    ),
    Mutant(
        "padding counted in the mean",
        "attention.feature",
        "total / counts.sum(1).clamp(min=1)",
        "total / positions.shape[1]",
        GATE,
    ),
    Mutant(
        "shares added to the scores as they are",
        "attention.adaptive",
        ".clamp(max=1.0).log().masked_fill(hidden, -torch.inf)",
        ".clamp(max=1.0).masked_fill(hidden, -torch.inf)",
        SHARE,
    ),
    Mutant(
        "a span without its ramp",
        "attention.adaptive",
        "(self.ramp + self.spans()[:, None, None] - distance) / self.ramp",
        "(self.spans()[:, None, None] - distance) / self.ramp",
        SHARE,
    ),
    Mutant(
        "the gradient of a logarithm of zero",
        "attention.adaptive",
        "share.masked_fill(hidden, 1.0).clamp(max=1.0).log()",
        "share.clamp(0.0, 1.0).log()",
        "test_attention_adaptive.test_gradients_are_finite_and_come_from_the_ramp_alone",
    ),
    Mutant(
        "a span that never comes back",
        "attention.adaptive",
        "return (self.fraction + beyond) * self.max_span",
        "return self.fraction.clamp(0, 1) * self.max_span",
        "test_attention_adaptive.test_a_span_beyond_its_range_stays_at_the_edge_and_can_come_back",
    ),
]
