"""Bugs to plant in attnlib.pretrained."""

from planting import Mutant

TESTS = "test_pretrained."
BERT = f"{TESTS}test_an_encoder_equals_bert_in_value_gradient_and_attention"
ORDER = f"{TESTS}test_batch_size_and_order_change_no_embedding"
POOLED = f"{TESTS}test_states_of_padding_are_not_pooled_whatever_they_are"
LONG = f"{TESTS}test_the_mean_of_a_long_sentence_in_half_precision_neither_overflows_nor_stalls"
CUT = f"{TESTS}test_sentences_are_cut_after_max_len_tokens_with_the_last_one_kept"
MINILM = f"{TESTS}test_minilm_goes_where_it_is_asked_to_and_draws_no_random_number"

MUTANTS = [
    Mutant(
        "queries and keys change places",
        "pretrained._names",
        'attention.self.query",\n    "self_attention.k_proj": "attention.self.key"',
        'attention.self.key",\n    "self_attention.k_proj": "attention.self.query"',
        BERT,
    ),
    Mutant(
        "weights beyond those of the encoder are ignored",
        "pretrained._names",
        "weights.keys() - ours.keys() - UNUSED",
        "set()",
        f"{TESTS}test_errors_say_what_was_got_what_was_expected_and_what_to_write",
    ),
    Mutant(
        "BERT's layers with the norms first",
        "pretrained.encoder",
        "norm_first=False",
        "norm_first=True",
        BERT,
    ),
    Mutant(
        "torch's epsilon in the layers",
        "pretrained.encoder",
        "norm_first=False, layer_norm_eps=layer_norm_eps",
        "norm_first=False",
        BERT,
    ),
    Mutant(
        "torch's epsilon under the words",
        "pretrained.encoder",
        "nn.LayerNorm(embed_dim, eps=layer_norm_eps)",
        "nn.LayerNorm(embed_dim)",
        BERT,
    ),
    Mutant(
        "a sentence alone is the second of a pair",
        "pretrained.encoder",
        "self.segments.weight[0]",
        "self.segments.weight[1]",
        BERT,
    ),
    Mutant(
        "words are not normalised",
        "pretrained.encoder",
        "self.norm(self.words(tokens) + self.segments.weight[0])",
        "self.words(tokens) + self.segments.weight[0]",
        BERT,
    ),
    Mutant(
        "words attend to padding",
        "pretrained.encoder",
        "layer(x, mask=mask)",
        "layer(x)",
        f"{TESTS}test_padding_changes_nothing",
    ),
    Mutant(
        "padding is pooled",
        "pretrained.encoder",
        "states = states.masked_fill(",
        "_ = states.masked_fill(",
        POOLED,
    ),
    Mutant(
        "padding is pooled instead of the words",
        "pretrained.encoder",
        "masked_fill(~mask.expand",
        "masked_fill(mask.expand",
        POOLED,
    ),
    Mutant(
        "the state of the first token for that of the sentence",
        "pretrained.encoder",
        "states.sum(1, dtype=wide)",
        "states[:, 0].to(wide)",
        BERT,
    ),
    Mutant(
        "features normalised over the batch",
        "pretrained.encoder",
        "dtype=wide), dim=-1)",
        "dtype=wide), dim=0)",
        BERT,
    ),
    Mutant(
        "states summed in half precision",
        "pretrained.encoder",
        "states.sum(1, dtype=wide)",
        "states.sum(1)",
        LONG,
    ),
    Mutant(
        "sentences come back in the order of their lengths",
        "pretrained.encoder",
        "torch.cat(parts)[torch.tensor(order).argsort()]",
        "torch.cat(parts)",
        ORDER,
    ),
    Mutant(
        "the order of sentences applied twice",
        "pretrained.encoder",
        "torch.tensor(order).argsort()",
        "torch.tensor(order)",
        ORDER,
    ),
    Mutant(
        "sentences are cut where the tokenizer was told to before",
        "pretrained.encoder",
        "        self.tokenizer.enable_truncation(self.max_len)\n",
        "",
        CUT,
    ),
    Mutant(
        "the tokenizer fills up on its own",
        "pretrained.encoder",
        "        self.tokenizer.no_padding()",
        "        pass",
        CUT,
    ),
    Mutant(
        "the tokenizer of the caller is changed",
        "pretrained.encoder",
        "copy.deepcopy(tokenizer)",
        "tokenizer",
        f"{TESTS}test_the_tokenizer_of_the_caller_stays_as_it_was",
    ),
    Mutant(
        "MiniLM reads all its positions",
        "pretrained.minilm",
        'limits["max_seq_length"]',
        'config["max_position_embeddings"]',
        MINILM,
    ),
    Mutant(
        "MiniLM moves the program's generator",
        "pretrained.minilm",
        'torch.device("cpu"), torch.random.fork_rng(devices=[])',
        'torch.device("cpu")',
        MINILM,
    ),
]
