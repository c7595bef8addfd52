"""Bugs to plant in attnlib.functional."""

from planting import Mutant

LOOP = "test_functional.test_attention_equals_a_loop_in_value_and_gradient"
EMPTY = "test_functional.test_an_empty_row_gives_zero_weights_zero_context_and_zero_gradient"
DROPOUT = "test_functional.test_dropout_drops_a_share_of_the_weights_and_scales_up_the_rest"
SOFTMAX = "test_functional.test_masked_softmax_equals_torch_over_what_is_left"
BEFORE = "test_functional.test_weights_are_returned_as_they_are_before_dropout"
CAUSAL = "test_functional.test_causal_attention_is_aligned_at_the_last_query_and_key"
COMBINED = "test_attention.test_causal_is_the_causal_mask_and_combines_with_a_mask"
SCALE = "scale = query.shape[-1] ** -0.5 if scale is None else scale"
SCORES = "scores = (query.to(wide) * scale) @ key.to(wide).transpose(-2, -1)"
HIDE = "scores = scores.masked_fill(~mask, -torch.inf)"
ROWS = "return torch.softmax(scores.masked_fill(empty, 0.0), dim).masked_fill(empty, 0.0)"
WEIGHTS = "return _masked_softmax(scores, mask).to(query.dtype)"
KERNEL = "attn_mask=mask, dropout_p=dropout_p, is_causal=square, scale=scale"
SQUARE = "square = causal and mask is None and bias is None and shape[-2] == shape[-1]"

MUTANTS = [
    Mutant("no scale", "functional", SCALE, "scale = 1.0 if scale is None else scale", LOOP),
    Mutant("scaled by D", "functional", "** -0.5", "** -1.0", LOOP),
    Mutant("scale given but ignored", "functional", SCALE, "scale = query.shape[-1] ** -0.5", LOOP),
    Mutant("scale ignored by the kernel", "functional", "scale=scale\n", "scale=None\n", LOOP),
    Mutant(
        "scaled after the product, which overflows",
        "functional",
        SCORES,
        "scores = query.to(wide) @ key.to(wide).transpose(-2, -1) * scale",
        "test_functional.test_products_that_overflow_before_scaling_are_finite",
    ),
    Mutant(
        "scores rounded to half precision",
        "functional",
        "wide = torch.promote_types(query.dtype, torch.float32)",
        "wide = query.dtype",
        "test_functional.test_the_error_is_at_most_twice_that_of_torch",
    ),
    Mutant("inverted mask", "functional", HIDE, HIDE.replace("~", ""), LOOP),
    Mutant(
        "a large number for infinity", "functional", HIDE, HIDE.replace("torch.inf", "1e4"), EMPTY
    ),
    Mutant(
        "inverted mask beside a bias",
        "functional",
        "bias.masked_fill(~mask, -torch.inf)",
        "bias.masked_fill(mask, -torch.inf)",
        LOOP,
    ),
    Mutant(
        "mask after the softmax",
        "functional",
        WEIGHTS,
        "return (torch.softmax(scores, -1) * (1 if mask is None else mask)).to(query.dtype)",
        LOOP,
    ),
    Mutant(
        "softmax over the queries",
        "functional",
        WEIGHTS,
        WEIGHTS.replace("mask)", "mask, -2)"),
        LOOP,
    ),
    Mutant("empty rows are NaN", "functional", ROWS, "return torch.softmax(scores, dim)", EMPTY),
    Mutant(
        "empty rows are uniform",
        "functional",
        ROWS,
        "return torch.softmax(scores.masked_fill(empty, 0.0), dim)",
        EMPTY,
    ),
    Mutant(
        "empty rows have a gradient of NaN",
        "functional",
        ROWS,
        "return torch.softmax(scores, dim).masked_fill(empty, 0.0)",
        "test_functional.test_a_bias_of_minus_infinity_hides_and_a_whole_row_of_it_is_empty",
    ),
    Mutant("empty along another dimension", "functional", "amax(dim, ", "amax(-1, ", SOFTMAX),
    Mutant(
        "torch's flag where there are more keys than queries",
        "functional",
        SQUARE,
        SQUARE.replace(" and shape[-2] == shape[-1]", ""),
        CAUSAL,
    ),
    Mutant(
        "causal forgotten by the kernel",
        "functional",
        "if not square:",
        "if mask is not None:",
        CAUSAL,
    ),
    Mutant("causal or mask", "functional", "mask & triangle", "mask | triangle", COMBINED),
    Mutant(
        "causal instead of the mask",
        "functional",
        "else mask & triangle",
        "else triangle",
        COMBINED,
    ),
    Mutant(
        "bias ignored without weights",
        "functional",
        "mask = bias if mask is None else bias.masked_fill(~mask, -torch.inf)",
        "pass",
        LOOP,
    ),
    Mutant(
        "bias ignored with weights", "functional", "scores + bias.to(scores.dtype)", "scores", LOOP
    ),
    Mutant(
        "bias added before scaling",
        "functional",
        "scores + bias.to(scores.dtype)",
        "scores + scale * bias.to(scores.dtype)",
        LOOP,
    ),
    Mutant(
        "weights after dropout", "functional", "kept @ value, weights", "kept @ value, kept", BEFORE
    ),
    Mutant(
        "dropout ignored with weights",
        "functional",
        "kept = F.dropout(weights, dropout_p) if dropout_p > 0.0 else weights",
        "kept = weights",
        DROPOUT,
    ),
    Mutant(
        "dropout ignored by the kernel",
        "functional",
        KERNEL,
        KERNEL.replace("dropout_p=dropout_p", "dropout_p=0.0"),
        DROPOUT,
    ),
]
