"""Bugs to plant in attnlib.recurrent."""

from planting import Mutant

LOOP = "test_recurrent.test_a_padded_batch_equals_a_loop_over_examples_and_steps"
TORCH = "test_recurrent.test_annotations_equal_torch_packed_and_bidirectional"
PADDING = "test_recurrent.test_what_stands_in_padding_changes_nothing"
CUTS = "test_recurrent.test_any_cut_of_the_target_gives_what_teacher_forcing_gives"
GREEDY = "test_recurrent.test_greedy_says_the_likeliest_token_until_the_end"

MUTANTS = [
    Mutant(
        "padding read before the sentence",
        "recurrent",
        "torch.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)",
        "(S - 1 - steps).expand(B, S)",
        PADDING,
    ),
    Mutant(
        "backward annotations left turned around",
        "recurrent",
        "torch.cat([ahead, _take(back, turned)], dim=-1)",
        "torch.cat([ahead, back], dim=-1)",
        TORCH,
    ),
    Mutant(
        "the start is a padded state",
        "recurrent",
        "last = (lengths - 1).clamp(min=0)[:, None]",
        "last = lengths.new_full((B, 1), S - 1)",
        TORCH,
    ),
    Mutant(
        "padding attended by the decoder",
        "recurrent",
        "annotations, mask=state.mask,",
        "annotations,",
        PADDING,
    ),
    Mutant(
        "a decoder that reads the target backwards",
        "recurrent",
        "states, after = self.decoder(embedded, before)",
        "states, after = self.decoder(embedded.flip(1), before)",
        "test_recurrent.test_no_logit_depends_on_a_later_target_token_and_every_annotation_on_the"
        "_whole_source",
    ),
    Mutant(
        "the state of a step is forgotten",
        "recurrent",
        "replace(state, hidden=hidden, cell=cell)",
        "replace(state, cell=cell)",
        CUTS,
    ),
    Mutant(
        "the cell of an LSTM is forgotten",
        "recurrent",
        "replace(state, hidden=hidden, cell=cell)",
        "replace(state, hidden=hidden)",
        CUTS,
    ),
    Mutant(
        "a reordered state keeps the old sources",
        "recurrent",
        "            self.annotations[index],\n",
        "            self.annotations[torch.arange(len(index)) % len(self.annotations)],\n",
        "test_recurrent.test_a_reordered_state_goes_on_as_those_examples_do",
    ),
    Mutant(
        "a translation goes on after its end",
        "recurrent",
        "logits.argmax(-1).masked_fill(ended, end)",
        "logits.argmax(-1)",
        GREEDY,
    ),
    Mutant(
        "the context left out",
        "recurrent",
        "torch.cat([context, states], dim=-1)",
        "torch.cat([0 * context, states], dim=-1)",
        LOOP,
    ),
]
