"""Bugs to plant in attnlib.cache."""

from planting import Mutant

JOIN = "test_cache.test_any_chunks_give_what_joining_gives"
ORDER = "test_cache.test_reordered_examples_continue_from_the_chosen_ones"
KEPT = "kept = self._memory[:, :, :, : self._length].index_select(1, index)"

MUTANTS = [
    Mutant("every chunk at the start", "cache", "self._length = end", "pass", JOIN),
    Mutant(
        "values written over keys",
        "cache",
        "values[:, :, self._length :] = value",
        "keys[:, :, self._length :] = value",
        JOIN,
    ),
    Mutant(
        "values returned as keys",
        "cache",
        "return keys, values",
        "return keys, keys",
        JOIN,
    ),
    Mutant(
        "the last position is lost",
        "cache",
        "return keys, values",
        "return keys[:, :, :-1], values[:, :, :-1]",
        JOIN,
    ),
    Mutant(
        "room for one less",
        "cache",
        "if end > self.max_len:",
        "if end >= self.max_len:",
        "test_cache.test_an_overflow_leaves_the_cache_as_it_was",
    ),
    Mutant(
        "a length that counts what did not fit",
        "cache",
        "if end > self.max_len:\n",
        "if end > self.max_len and not (self.__dict__.update(_length=end)):\n",
        "test_cache.test_an_overflow_leaves_the_cache_as_it_was",
    ),
    Mutant(
        "reset that forgets nothing",
        "cache",
        "        self._length = 0\n\n    @torch",
        "        self._length += 0\n\n    @torch",
        "test_cache.test_a_cache_that_is_reset_begins_again_in_the_same_memory",
    ),
    Mutant(
        "examples not reordered",
        "cache",
        KEPT,
        KEPT.replace("index)", "torch.arange(len(index)) % batch_size)"),
        ORDER,
    ),
    Mutant(
        "heads reordered for examples",
        "cache",
        "index_select(1, index)",
        "index_select(2, index)",
        ORDER,
    ),
    Mutant(
        "gradients silently cut",
        "cache",
        "if tensor.requires_grad:",
        "if False:",
        "test_cache.test_errors_say_what_was_got_what_was_expected_and_what_to_write",
    ),
    Mutant(
        "memory of inference mode",
        "cache",
        "torch.inference_mode(False)",
        "torch.inference_mode(torch.is_inference_mode_enabled())",
        "test_cache.test_a_cache_may_be_made_and_used_in_and_out_of_inference_mode",
    ),
]
