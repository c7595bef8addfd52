"""Bugs to plant in attnlib.transformer."""

from planting import Mutant

LAYERS = "test_transformer_layers."
MODELS = "test_transformer_models."
DECODING = "test_transformer_decoding."
ENCODER_EQUALS = f"{LAYERS}test_a_copied_encoder_layer_equals_torch_in_value_and_gradient"
DECODER_EQUALS = f"{LAYERS}test_a_copied_decoder_layer_equals_torch_in_value_and_gradient"
DROPOUT = f"{LAYERS}test_dropout_drops_in_all_three_places_while_training"
SEGMENTS = f"{LAYERS}test_a_memory_of_all_earlier_segments_equals_one_pass"
REORDERED = f"{LAYERS}test_a_reordered_decoder_cache_continues_the_chosen_examples"
DEFINITION = f"{DECODING}test_a_sampling_distribution_is_its_definition"
EXHAUSTIVE = f"{DECODING}test_with_enough_beams_the_search_is_exhaustive"
FEW_BEAMS = f"{DECODING}test_few_beams_find_what_a_loop_finds"

MUTANTS = [
    Mutant(
        "pre-norm without the norm",
        "transformer._layer",
        "branch(norm(x) if self.norm_first else x)",
        "branch(x)",
        ENCODER_EQUALS,
    ),
    Mutant(
        "post-norm before the addition",
        "transformer._layer",
        "return x if self.norm_first else norm(x)",
        "return x",
        ENCODER_EQUALS,
    ),
    Mutant(
        "what is added to the input is never dropped",
        "transformer._layer",
        "x + dropout(y, self.dropout, self.training)",
        "x + y",
        DROPOUT,
    ),
    Mutant(
        "hidden values are never dropped",
        "transformer.feed_forward",
        "dropout(activation(self.linear1(x)), self.dropout, self.training)",
        "activation(self.linear1(x))",
        DROPOUT,
    ),
    Mutant(
        "a stack with norms first has no last norm",
        "transformer.encoder",
        "nn.LayerNorm(embed_dim) if norm_first else nn.Identity()",
        "nn.Identity()",
        f"{LAYERS}test_a_stack_equals_torchs_stack_of_the_same_layers",
    ),
    Mutant(
        "earlier segments are not normalised",
        "transformer.encoder",
        "key is not None and self.norm_first",
        "False",
        SEGMENTS,
    ),
    Mutant(
        "the gradient runs into earlier segments",
        "transformer.memory",
        ".detach()",
        "",
        f"{LAYERS}test_no_gradient_reaches_an_earlier_segment",
    ),
    Mutant(
        "the first positions are kept instead of the last",
        "transformer.memory",
        "context[:, -self.max_len :]",
        "context[:, : self.max_len]",
        f"{LAYERS}test_a_short_memory_holds_the_last_positions_only",
    ),
    Mutant(
        "beams keep the sources of others",
        "transformer.memory",
        "x.index_select(0, index) for x in",
        "x[torch.arange(len(index)) % len(x)] for x in",
        REORDERED,
    ),
    Mutant(
        "cross-attention sees padding",
        "transformer.decoder",
        "self.cross_attention(y, memory, mask=memory_mask)",
        "self.cross_attention(y, memory)",
        DECODER_EQUALS,
    ),
    Mutant(
        "cross-attention through a cache sees padding",
        "transformer.decoder",
        "cache.keys, cache.values, cache.mask",
        "cache.keys, cache.values",
        f"{MODELS}test_any_chunking_of_the_target_equals_teacher_forcing",
    ),
    Mutant(
        "a language model that sees the future",
        "transformer.language_model",
        "causal=True, cache=cache",
        "causal=cache is not None, cache=cache",
        f"{MODELS}test_no_position_sees_a_later_token",
    ),
    Mutant(
        "positions start again after a cache",
        "transformer.language_model",
        "self.embedding(tokens, offset=offset)",
        "self.embedding(tokens)",
        f"{MODELS}test_any_chunking_through_the_cache_equals_one_pass",
    ),
    Mutant(
        "distances ignore earlier segments",
        "transformer.language_model",
        "offset = before[0].length if before else 0",
        "offset = before[0].length if cache else 0",
        f"{MODELS}test_any_segments_with_a_memory_of_everything_equal_one_pass",
    ),
    Mutant(
        "positions of the target start again after a cache",
        "transformer.sequence_to_sequence",
        "offset=cache[0].length if cache else 0",
        "offset=0",
        f"{MODELS}test_any_chunking_of_the_target_equals_teacher_forcing",
    ),
    Mutant(
        "the encoder sees padding",
        "transformer.sequence_to_sequence",
        "self.encoder(self.source_embedding(source), mask=source_mask)",
        "self.encoder(self.source_embedding(source))",
        f"{MODELS}test_padding_of_source_and_target_never_changes_real_logits",
    ),
    Mutant(
        "no position added to a token",
        "transformer.tokens",
        "x = self.encoding(x, offset=offset)",
        "pass",
        f"{MODELS}test_an_embedding_is_a_row_a_token_plus_its_position",
    ),
    Mutant(
        "temperature multiplies",
        "transformer.sampling",
        "keepdim=True)) / temperature",
        "keepdim=True)) * temperature",
        DEFINITION,
    ),
    Mutant(
        "top-p leaves out the token that reaches the share",
        "transformer.sampling",
        "before = p.cumsum(-1) - p ",
        "before = p.cumsum(-1) ",
        DEFINITION,
    ),
    Mutant(
        "top-k keeps one more",
        "transformer.sampling",
        "scores[..., top_k:]",
        "scores[..., top_k + 1 :]",
        DEFINITION,
    ),
    Mutant(
        "probabilities stay in sorted order",
        "transformer.sampling",
        "torch.zeros_like(p).scatter(-1, order, p)",
        "p",
        DEFINITION,
    ),
    Mutant(
        "a text goes on after its end",
        "transformer.sampling",
        "new = new.masked_fill(ended[:, None], end)",
        "pass",
        f"{DECODING}test_drawn_texts_stand_still_after_their_end",
    ),
    Mutant(
        "a model is put into training mode after writing",
        "transformer._decoding",
        "module.training = training",
        "module.training = True",
        f"{DECODING}test_writing_needs_no_gradient_and_no_dropout_and_leaves_the_mode",
    ),
    Mutant(
        "beams forget whose continuation they are",
        "transformer.beams",
        "_pick(texts, parent)",
        "texts",
        EXHAUSTIVE,
    ),
    Mutant(
        "beams go on from the caches of others",
        "transformer.beams",
        "(first + parent).flatten()",
        "(first + torch.arange(K)).flatten()",
        EXHAUSTIVE,
    ),
    Mutant(
        "every beam begins as the same text",
        "transformer.beams",
        "total[:, 0] = 0.0",
        "total[:] = 0.0",
        FEW_BEAMS,
    ),
    Mutant(
        "an ended text goes on",
        "transformer.beams",
        "joint[..., end] = -torch.inf",
        "pass",
        EXHAUSTIVE,
    ),
    Mutant(
        "the score is divided by the length",
        "transformer.beams",
        "((5 + length) / 6) ** length_penalty",
        "length**length_penalty",
        EXHAUSTIVE,
    ),
    Mutant(
        "the search stops although a longer text may be better",
        "transformer.beams",
        "bound = total[:, 0] / normaliser(max_new_tokens)",
        "bound = total[:, 0] / normaliser(length)",
        f"{DECODING}test_a_search_goes_on_while_a_longer_text_may_become_better",
    ),
]
