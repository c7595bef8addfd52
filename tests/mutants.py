"""Bugs to plant in a copy of attnlib, one line each, and the test that must catch each of them.

The copy has a name of its own and so has a copy of the test that reads it, so that a planted bug
lives in this process beside the real library and costs no second import of torch.
"""

import importlib
import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Mutant:
    """What goes wrong, where, the line as it is and as it is planted, and who must notice."""

    breaks: str
    module: str
    original: str
    planted: str
    caught_by: str


LOOP = "test_functional.test_attention_equals_a_loop_in_value_and_gradient"
EMPTY = "test_functional.test_an_empty_row_gives_zero_weights_zero_context_and_zero_gradient"
DROPOUT = "test_functional.test_dropout_drops_a_share_of_the_weights_and_scales_up_the_rest"
SOFTMAX = "test_functional.test_masked_softmax_equals_torch_over_what_is_left"
BEFORE = "test_functional.test_weights_are_returned_as_they_are_before_dropout"
CAUSAL = "test_functional.test_causal_attention_is_aligned_at_the_last_query_and_key"
COMBINED = "test_attention.test_causal_is_the_causal_mask_and_combines_with_a_mask"
COPY = "test_attention.test_a_copied_layer_equals_torch_in_value_weights_and_gradient"
HEADS = "test_attention.test_each_head_sees_its_own_block_of_the_projected_features"
ADDITIVE = "test_attention.test_additive_attention_equals_a_loop_in_value_and_gradient"
TRAINING = "test_attention.test_dropout_acts_in_training_only_and_the_weights_are_those_before_it"
ERRORS = "test_functional.test_errors_say_what_was_got_what_was_expected_and_what_to_write"
WINDOW = "test_masks.test_sliding_window_mask_shows_the_last_keys_up_to_the_query"
PADDING = "test_masks.test_padding_mask_shows_the_first_positions_of_each_sequence"
BLOCKED = "test_masks.test_to_mha_blocks_what_the_mask_does_not_allow"
RECORDED = "test_recording.test_every_layer_is_recorded_under_its_path_with_its_weights_and_kind"

SCALE = "scale = query.shape[-1] ** -0.5 if scale is None else scale"
SCORES = "scores = (query.to(wide) * scale) @ key.to(wide).transpose(-2, -1)"
HIDE = "scores = scores.masked_fill(~mask, -torch.inf)"
ROWS = "return torch.softmax(scores.masked_fill(empty, 0.0), dim).masked_fill(empty, 0.0)"
WEIGHTS = "return _masked_softmax(scores, mask).to(query.dtype)"
KERNEL = "attn_mask=mask, dropout_p=dropout_p, is_causal=square, scale=scale"
SQUARE = "square = causal and mask is None and bias is None and shape[-2] == shape[-1]"
SPLIT = "projection(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)"

MUTANTS = [
    # scores
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
    # masks in the computation
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
    # causal
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
    # bias and dropout
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
    # masks as tensors
    Mutant(
        "causal mask aligned at the start",
        "masks",
        "ones.tril(diagonal=size - length)",
        "ones.tril()",
        "test_masks.test_causal_mask_ends_at_the_last_query_and_key",
    ),
    Mutant(
        "causal mask hides the present",
        "masks",
        "ones.tril(diagonal=size - length)",
        "ones.tril(diagonal=size - length - 1)",
        "test_masks.test_causal_mask_ends_at_the_last_query_and_key",
    ),
    Mutant("window one too wide", "masks", "length - window)", "length - window - 1)", WINDOW),
    Mutant("window one too narrow", "masks", "length - window)", "length - window + 1)", WINDOW),
    Mutant(
        "prefix one too short",
        "masks",
        "mask[:, :prefix] = True",
        "mask[:, : prefix - 1] = True",
        "test_masks.test_prefix_mask_shows_the_prefix_to_all_and_the_rest_causally",
    ),
    Mutant(
        "padding mask inverted", "masks", "positions < lengths", "positions >= lengths", PADDING
    ),
    Mutant(
        "padding mask one too long", "masks", "positions < lengths", "positions <= lengths", PADDING
    ),
    Mutant(
        "torch's mask not inverted", "masks", "return ~mask.expand", "return mask.expand", BLOCKED
    ),
    Mutant(
        "torch's mask by head, then example",
        "masks",
        "mask.expand(B, H, L, S).reshape",
        "mask.expand(B, H, L, S).transpose(0, 1).reshape",
        BLOCKED,
    ),
    # layers
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
    # recording
    Mutant(
        "recording returns the pair",
        "recording",
        "return output if asked.pop() else result",
        "return output",
        "test_recording.test_a_caller_gets_weights_exactly_if_it_asked_for_them",
    ),
    Mutant(
        "recording keeps the weights that a caller asked for",
        "recording",
        "asked.append(bool(kwargs.get(flag, False)))",
        "asked.append(False)",
        "test_recording.test_a_caller_gets_weights_exactly_if_it_asked_for_them",
    ),
    Mutant(
        "hooks stay",
        "recording",
        "handle.remove()",
        "pass",
        "test_recording.test_hooks_are_gone_after_the_block_and_after_an_error_in_it",
    ),
    Mutant(
        "hooks of others see the pair",
        "recording",
        ", prepend=True",
        "",
        "test_recording.test_hooks_of_others_see_what_they_would_see_without_recording",
    ),
    Mutant(
        "maps keep the graph alive",
        "recording",
        "AttentionMap(weights.detach(), kind",
        "AttentionMap(weights, kind",
        "test_recording.test_nothing_is_kept_alive",
    ),
    Mutant(
        "a second call overwrites the first",
        "recording",
        "while path in maps:",
        "while False:",
        "test_recording.test_a_layer_that_is_called_again_is_recorded_again",
    ),
    Mutant(
        "kind is always self",
        "recording",
        'or key is query else "cross"',
        'or True else "cross"',
        RECORDED,
    ),
    Mutant(
        "entropy without the minus",
        "recording",
        "torch.special.entr(",
        "-torch.special.entr(",
        "test_recording.test_entropy_equals_that_of_torch",
    ),
    Mutant(
        "the first head for the mean of all",
        "recording",
        "weights.mean(0)",
        "weights[0]",
        "test_recording.test_dense_is_the_mean_over_heads",
    ),
    Mutant(
        "rows without truth count",
        "recording",
        ".sum(-1)[rows].mean()",
        ".sum(-1).mean()",
        "test_recording.test_mass_is_the_mean_share_on_the_truth_over_rows_that_have_one",
    ),
    # checks
    Mutant("float masks accepted", "_checks", "if mask.dtype != torch.bool:", "if False:", ERRORS),
    Mutant(
        "masks of three dimensions accepted",
        "_checks",
        "mask.ndim not in (2, len(shape)) or ",
        "",
        ERRORS,
    ),
    Mutant("more queries than keys accepted", "_checks", "if L > S:", "if False:", ERRORS),
    # pictures
    Mutant(
        "queries as columns",
        "viz",
        "ax.imshow(weights.numpy()",
        "ax.imshow(weights.T.numpy()",
        "test_viz.test_a_map_shows_the_weights_on_a_fixed_scale",
    ),
    Mutant(
        "a scale for each map",
        "viz",
        "vmin=0.0, vmax=1.0, ",
        "",
        "test_viz.test_a_map_shows_the_weights_on_a_fixed_scale",
    ),
    Mutant(
        "an image without its description",
        "viz",
        '{"alt": self.alt, ',
        "{",
        "test_viz.test_a_shown_figure_is_an_image_with_its_description",
    ),
]


def plant(folder: Path, package: str, mutant: Mutant | None = None) -> None:
    """Write a copy of the core of attnlib under another name, with a bug in it if there is one."""
    (folder / package).mkdir()
    for file in (ROOT / "attnlib").glob("*.py"):
        text = file.read_text(encoding="utf-8")
        if mutant is not None and file.stem == mutant.module:
            assert text.count(mutant.original) == 1, mutant.original
            text = text.replace(mutant.original, mutant.planted)
        target = folder / package / file.name
        target.write_text(text.replace("attnlib", package), encoding="utf-8")


def copied_test(folder: Path, package: str, name: str) -> FunctionType:
    """The test `module.function` from a copy of its module that reads `package`."""
    module, function = name.split(".")
    text = (ROOT / "tests" / f"{module}.py").read_text(encoding="utf-8")
    copy = f"{package}_{module}"
    (folder / f"{copy}.py").write_text(text.replace("attnlib", package), encoding="utf-8")
    return getattr(importlib.import_module(copy), function)


def forget(package: str) -> None:
    for name in [name for name in sys.modules if name.startswith(package)]:
        del sys.modules[name]


def cases(test: FunctionType) -> Iterator[dict]:
    """The arguments of every run of a test that is parametrised by nothing but marks."""
    axes = []
    for mark in getattr(test, "pytestmark", []):
        if mark.name == "parametrize":
            names, values = mark.args
            if isinstance(names, str):
                axes.append([{names: value} for value in values])
            else:
                axes.append([dict(zip(names, value, strict=True)) for value in values])
    for chosen in itertools.product(*axes):
        yield {name: value for one in chosen for name, value in one.items()}
