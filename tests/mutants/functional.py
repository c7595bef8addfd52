"""Bugs to plant in attnlib.functional."""

from planting import Mutant

LOOP = "test_functional.test_attention_equals_a_loop_in_value_and_gradient"
EMPTY = "test_functional.test_an_empty_row_gives_zero_weights_zero_context_and_zero_gradient"
DROPOUT = "test_functional.test_dropout_drops_a_share_of_the_weights_and_scales_up_the_rest"
SOFTMAX = "test_functional.test_masked_softmax_equals_torch_over_what_is_left"
BEFORE = "test_functional.test_weights_are_returned_as_they_are_before_dropout"
CAUSAL = "test_functional.test_causal_attention_is_aligned_at_the_last_query_and_key"
COMBINED = "test_attention.test_causal_is_the_causal_mask_and_combines_with_a_mask"
SCALE = "return 1 / math.sqrt(query.shape[-1]) if scale is None else scale"
SCORES = "scores = (query.to(wide) * scale) @ key.to(wide).transpose(-2, -1)"
HIDE = "scores = scores.masked_fill(~mask, -torch.inf)"
ROWS = "return torch.softmax(scores.masked_fill(empty, 0.0), dim).masked_fill(empty, 0.0)"
WEIGHTS = "return _masked_softmax(scores, mask).to(query.dtype)"
SQUARE = "square = causal and mask is None and bias is None and shape[0] == shape[1]"

EXACT = "test_functional_fast.test_every_way_is_exact_in_value_and_gradient"
WINDOW = (
    "test_functional_blocks.test_a_window_over_a_long_series_equals_torch_in_value_and_gradient"
)
CHUNKS = "test_functional_blocks.test_chunks_of_a_long_series_equal_torch_in_value_and_gradient"
BLOCKS_EMPTY = "test_functional_blocks.test_an_empty_row_gives_zero_context_and_zero_gradient"

MUTANTS = [
    Mutant(
        "no scale",
        "functional._kernels",
        SCALE,
        "return 1.0 if scale is None else scale",
        LOOP,
    ),
    Mutant(
        "scaled by D",
        "functional._kernels",
        SCALE,
        "return 1 / query.shape[-1] if scale is None else scale",
        LOOP,
    ),
    Mutant(
        "scale given but ignored",
        "functional._kernels",
        SCALE,
        "return 1 / math.sqrt(query.shape[-1])",
        LOOP,
    ),
    Mutant(
        "scale ignored by the kernel",
        "functional.dense",
        "is_causal=square, scale=scale",
        "is_causal=square, scale=None",
        LOOP,
    ),
    Mutant(
        "scaled after the product, which overflows",
        "functional.dense",
        SCORES,
        "scores = query.to(wide) @ key.to(wide).transpose(-2, -1) * scale",
        "test_functional.test_products_that_overflow_before_scaling_are_finite",
    ),
    Mutant(
        "scores rounded to half precision",
        "functional.dense",
        "wide = torch.promote_types(query.dtype, torch.float32)",
        "wide = query.dtype",
        "test_functional.test_the_error_is_at_most_twice_that_of_torch",
    ),
    Mutant("inverted mask", "functional.dense", HIDE, HIDE.replace("~", ""), LOOP),
    Mutant(
        "a large number for infinity",
        "functional.dense",
        HIDE,
        HIDE.replace("torch.inf", "1e4"),
        EMPTY,
    ),
    Mutant(
        "inverted mask beside a bias",
        "functional.dense",
        "bias.masked_fill(~mask, -torch.inf)",
        "bias.masked_fill(mask, -torch.inf)",
        LOOP,
    ),
    Mutant(
        "mask after the softmax",
        "functional.dense",
        WEIGHTS,
        "return (torch.softmax(scores, -1) * (1 if mask is None else mask)).to(query.dtype)",
        LOOP,
    ),
    Mutant(
        "softmax over the queries",
        "functional.dense",
        WEIGHTS,
        WEIGHTS.replace("mask)", "mask, -2)"),
        LOOP,
    ),
    Mutant(
        "empty rows are NaN", "functional.dense", ROWS, "return torch.softmax(scores, dim)", EMPTY
    ),
    Mutant(
        "empty rows are uniform",
        "functional.dense",
        ROWS,
        "return torch.softmax(scores.masked_fill(empty, 0.0), dim)",
        EMPTY,
    ),
    Mutant(
        "empty rows have a gradient of NaN",
        "functional.dense",
        ROWS,
        "return torch.softmax(scores, dim).masked_fill(empty, 0.0)",
        "test_functional.test_a_bias_of_minus_infinity_hides_and_a_whole_row_of_it_is_empty",
    ),
    Mutant("empty along another dimension", "functional.dense", "amax(dim, ", "amax(-1, ", SOFTMAX),
    Mutant(
        "torch's flag where there are more keys than queries",
        "functional.dense",
        SQUARE,
        SQUARE.replace(" and shape[0] == shape[1]", ""),
        CAUSAL,
    ),
    Mutant(
        "causal forgotten by the kernel",
        "functional.dense",
        "if not square:",
        "if mask is not None:",
        CAUSAL,
    ),
    Mutant("causal or mask", "functional.dense", "mask & triangle", "mask | triangle", COMBINED),
    Mutant(
        "causal instead of the mask",
        "functional.dense",
        "else mask & triangle",
        "else triangle",
        COMBINED,
    ),
    Mutant(
        "bias ignored without weights",
        "functional.dense",
        "return bias if mask is None else bias.masked_fill(~mask, -torch.inf), square",
        "return mask, square",
        LOOP,
    ),
    Mutant(
        "bias ignored with weights",
        "functional.dense",
        "scores + bias.to(scores.dtype)",
        "scores",
        LOOP,
    ),
    Mutant(
        "bias added before scaling",
        "functional.dense",
        "scores + bias.to(scores.dtype)",
        "scores + scale * bias.to(scores.dtype)",
        LOOP,
    ),
    Mutant(
        "weights after dropout",
        "functional.dense",
        "return dropout(weights, dropout_p, True) @ value, weights",
        "weights = dropout(weights, dropout_p, True)\n        return weights @ value, weights",
        BEFORE,
    ),
    Mutant(
        "dropout ignored with weights",
        "functional.dense",
        "return dropout(weights, dropout_p, True) @ value, weights",
        "return weights @ value, weights",
        DROPOUT,
    ),
    Mutant(
        "dropout ignored without weights",
        "functional.dense",
        "            return dropout(weights, dropout_p, True) @ value\n",
        "            return weights @ value\n",
        DROPOUT,
    ),
    Mutant(
        "scores of dropped weights rounded by autocast",
        "functional.dense",
        'with plain_dtypes("cpu"):',
        "if True:",
        "test_functional_fast.test_dropout_under_autocast_rounds_no_scores",
    ),
    Mutant(
        "short triangle one too wide",
        "functional._short",
        ".triu(S - L + 1)",
        ".triu(S - L + 2)",
        EXACT,
    ),
    Mutant(
        "triangle of the weights one too wide",
        "functional.dense",
        ".triu(S - L + 1)",
        ".triu(S - L + 2)",
        LOOP,
    ),
    Mutant(
        "only the first heads of short rows",
        "functional._short",
        "for start in range(0, len(weights), size)",
        "for start in range(0, 1, size)",
        "test_functional_fast.test_many_heads_of_short_rows_are_exact",
    ),
    Mutant(
        "short rows forget the scale of the gradient",
        "functional._short",
        "key[heads], beta=0, alpha=self.scale)",
        "key[heads], beta=0)",
        EXACT,
    ),
    Mutant(
        "torch's kernel gets a mask of the wrong sign",
        "functional.dense",
        "query.new_zeros(()).where(term, -torch.inf)",
        "query.new_zeros(()).where(~term, -torch.inf)",
        EXACT,
    ),
    Mutant(
        "torch's kernel forgets the scale in its backward pass",
        "functional._flash",
        "gradient, query, key, value, *kept, 0.0, self.square, attn_mask=bias, scale=self.scale",
        "gradient, query, key, value, *kept, 0.0, self.square, attn_mask=bias",
        EXACT,
    ),
    Mutant(
        "second derivatives of what was computed without a graph",
        "functional._kernels",
        "if torch.is_grad_enabled():",
        "if False:",
        "test_functional_fast.test_second_derivatives_pass_gradcheck",
    ),
    Mutant(
        "gradients in the order of what is wanted",
        "functional._kernels",
        "leaves = [x for x, want in aliases if want]",
        "leaves = [x for x, want in aliases if want][::-1]",
        "test_functional_fast.test_second_derivatives_pass_gradcheck",
    ),
    Mutant(
        "scores of half precision not shifted",
        "functional._tiled",
        "return -largest if term is None else term - largest",
        "return largest * 0 if term is None else term",
        "test_functional_fast.test_large_scores_keep_their_digits_in_half_precision",
    ),
    Mutant(
        "keys of later tiles overwrite",
        "functional._tiled",
        "total.add_(torch.bmm(a, b), alpha=scale)",
        "total.copy_(torch.bmm(a, b) * scale)",
        "test_functional_fast.test_many_tiles_of_long_rows_are_exact",
    ),
    Mutant(
        "window one too wide at the border of a block",
        "functional._tiled",
        "sliding_window_mask(size[0], self.window, size[1], device=query.device)",
        "sliding_window_mask(size[0], self.window + 1, size[1], device=query.device)",
        WINDOW,
    ),
    Mutant(
        "first key of a block forgotten",
        "functional._tiled",
        "max(0, start + S - L - self.window + 1)",
        "max(0, start + S - L - self.window + 2)",
        WINDOW,
    ),
    Mutant(
        "window aligned at the first key",
        "functional._tiled",
        "keys = slice(low, rows.stop + S - L if self.causal else S)",
        "keys = slice(low, rows.stop if self.causal else S)",
        WINDOW,
    ),
    Mutant(
        "bias of the first rows for every tile",
        "functional._tiled",
        "        inner = part(term, rows, keys)[1:]",
        "        inner = part(term, slice(0, rows.stop - rows.start), keys)[1:]",
        WINDOW,
    ),
    Mutant(
        "bias of the first head for every head",
        "functional._tiled",
        "tuple(0 if size == 1 else at for",
        "tuple(0 for",
        WINDOW,
    ),
    Mutant(
        "empty rows of a tile are NaN",
        "functional._tiled",
        ".masked_fill_(empty, 0.0)",
        "",
        BLOCKS_EMPTY,
    ),
    Mutant(
        "online softmax forgets to rescale",
        "functional.chunked",
        "context = context * rescale + ",
        "context = context + ",
        CHUNKS,
    ),
    Mutant(
        "the sum is not rescaled",
        "functional.chunked",
        "total = total * rescale + ",
        "total = total + ",
        CHUNKS,
    ),
    Mutant(
        "the largest score of this block only",
        "functional.chunked",
        ".clamp(min=largest)",
        "",
        "test_functional_blocks.test_the_size_of_the_chunks_does_not_matter",
    ),
    Mutant(
        "the last key of a causal block hidden",
        "functional.chunked",
        "device=query.device) > positions[:, None]",
        "device=query.device) >= positions[:, None]",
        CHUNKS,
    ),
    Mutant(
        "a causal block that starts one key late is not looked at",
        "functional.chunked",
        "keys.stop > rows.start + S - L + 1",
        "keys.stop > rows.start + S - L + 2",
        "test_functional_blocks.test_blocks_equal_a_loop_in_value_and_gradient",
    ),
    Mutant(
        "causal chunks aligned at the start",
        "functional.chunked",
        "return rows.stop + S - L if self.causal else S",
        "return rows.stop if self.causal else S",
        CHUNKS,
    ),
    Mutant(
        "bias not cut into blocks in the backward pass",
        "functional._kernels",
        "keys if term.shape[-1] > 1 else whole",
        "slice(0, keys.stop - keys.start) if term.shape[-1] > 1 else whole",
        CHUNKS,
    ),
    Mutant(
        "the mean gradient forgotten in the softmax",
        "functional.chunked",
        "weights * (of_weights - mean[..., rows, :])",
        "weights * of_weights",
        CHUNKS,
    ),
    Mutant(
        "the gradient of the key forgets the scale",
        "functional.chunked",
        "_wide(query[..., rows, :]) * self.scale)\n                _add(grads[2]",
        "_wide(query[..., rows, :]))\n                _add(grads[2]",
        CHUNKS,
    ),
    Mutant(
        "empty rows of a chunk are NaN",
        "functional.chunked",
        "shift = higher.masked_fill(higher == -torch.inf, 0.0)",
        "shift = higher",
        BLOCKS_EMPTY,
    ),
    Mutant(
        "windowed attention ignores its mask where it cannot tile",
        "functional.windowed",
        "near if mask is None else mask & near",
        "near",
        "test_functional_blocks.test_only_the_gradients_that_are_wanted_are_given",
    ),
    Mutant(
        "edges of a node not shifted",
        "functional.edges",
        "shares = (wide - largest.index_select(0, index)).exp()",
        "shares = wide.exp()",
        "test_functional_edges.test_large_scores_and_many_edges_are_safe",
    ),
    Mutant(
        "one largest score for the whole graph",
        "functional.edges",
        'largest = none.scatter_reduce(0, whole, wide.detach(), "amax")',
        "largest = none * 0 + wide.detach().amax()",
        "test_functional_edges.test_nan_stays_at_its_node",
    ),
    Mutant(
        "softmax over all edges",
        "functional.edges",
        "(shares / sums.index_select(0, index))",
        "(shares / sums.sum(0))",
        "test_functional_edges.test_edge_softmax_equals_a_dense_masked_softmax",
    ),
    Mutant(
        "a node with hidden edges only is NaN",
        "functional.edges",
        "largest = largest.masked_fill(largest == -torch.inf, 0.0)",
        "pass",
        "test_functional_edges."
        "test_minus_infinity_is_no_edge_and_a_node_of_nothing_else_gives_zeros",
    ),
    Mutant(
        "one tensor in three places gets three times its second derivative",
        "functional._kernels",
        "(None if x is None else x.view_as(x) for x in inputs)",
        "inputs",
        "test_functional_fast.test_second_derivatives_of_self_attention_count_every_place_once",
    ),
]
