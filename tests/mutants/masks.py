"""Bugs to plant in attnlib.masks."""

from planting import Mutant

WINDOW = "test_masks.test_sliding_window_mask_shows_the_last_keys_up_to_the_query"
PADDING = "test_masks.test_padding_mask_shows_the_first_positions_of_each_sequence"
BLOCKED = "test_masks.test_to_mha_blocks_what_the_mask_does_not_allow"

MUTANTS = [
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
    Mutant(
        "sources see their targets",
        "masks",
        "mask[target, source] = True",
        "mask[source, target] = True",
        "test_masks.test_adjacency_mask_lets_a_target_see_its_sources",
    ),
]
