"""Bugs to plant in attnlib.positional."""

from planting import Mutant

WAVES = "test_positional.test_the_sinusoidal_encoding_equals_the_formula"
COMPLEX = "test_positional.test_rotary_is_a_product_of_complex_numbers"
LOOP = "test_positional.test_the_relative_term_equals_a_loop_over_pairs"
PAPER = "test_positional.test_alibi_equals_the_paper_for_every_number_of_heads"
BUCKETS = "test_positional.test_the_buckets_equal_those_of_the_transformers_library"
TREND = "test_positional.test_the_time_encoding_is_a_trend_and_waves"
ROWS = "return table[offset:end].to(x.dtype)"

MUTANTS = [
    Mutant(
        "sine and cosine swapped",
        "positional.absolute",
        "(angles.sin(), angles.cos()), dim=-1).flatten(1)\n        self",
        "(angles.cos(), angles.sin()), dim=-1).flatten(1)\n        self",
        WAVES,
    ),
    Mutant(
        "all sines before all cosines",
        "positional.absolute",
        "dim=-1).flatten(1)\n        self",
        "dim=1).flatten(1)\n        self",
        WAVES,
    ),
    Mutant(
        "wavelengths too long by a factor of two in the exponent",
        "positional.absolute",
        "dtype=torch.float64) / embed_dim",
        "dtype=torch.float64) * 2 / embed_dim",
        WAVES,
    ),
    Mutant(
        "angles rounded to single precision",
        "positional.absolute",
        "torch.arange(max_len, dtype=torch.float64)[:, None] * 10000.0**-exponents",
        "torch.arange(max_len)[:, None] * 10000.0 ** -exponents.float() * 1.0000001",
        "test_positional.test_far_positions_lose_no_digit_in_the_angle",
    ),
    Mutant(
        "every chunk at position 0",
        "positional.absolute",
        ROWS,
        "return table[: x.shape[1]].to(x.dtype)",
        "test_positional.test_a_chunk_with_its_offset_is_encoded_as_in_the_whole",
    ),
    Mutant(
        "no trend", "positional.absolute", "(angles[..., :1], ", "(angles[..., :1].sin(), ", TREND
    ),
    Mutant(
        "times rounded before they are multiplied",
        "positional.absolute",
        "wide = torch.promote_types(times.dtype, torch.promote_types(dtype, torch.float32))",
        "wide = dtype",
        "test_positional.test_times_may_be_integers_and_are_multiplied_before_they_are_rounded",
    ),
    Mutant(
        "turned the other way",
        "positional.rotary",
        "(real * cosine - imaginary * sine, real * sine + imaginary * cosine)",
        "(real * cosine + imaginary * sine, imaginary * cosine - real * sine)",
        COMPLEX,
    ),
    Mutant(
        "halves paired instead of neighbours",
        "positional.rotary",
        "x[..., 0::2], x[..., 1::2]",
        "x.chunk(2, dim=-1)",
        COMPLEX,
    ),
    Mutant(
        "turned halves left apart",
        "positional.rotary",
        "torch.stack(turned, dim=-1).flatten(-2)",
        "torch.cat(turned, dim=-1)",
        COMPLEX,
    ),
    Mutant(
        "every chunk turned from position 0",
        "positional.rotary",
        "torch.arange(offset, offset + x.shape[2]",
        "torch.arange(0, x.shape[2]",
        COMPLEX,
    ),
    Mutant(
        "angles in half precision",
        "positional.rotary",
        "wide = torch.promote_types(x.dtype, torch.float32)",
        "wide = x.dtype",
        "test_positional.test_rotary_in_half_precision_turns_far_positions_as_in_full",
    ),
    Mutant(
        "buckets of the query minus the key",
        "positional.relative",
        "distance = -_distances(",
        "distance = _distances(",
        BUCKETS,
    ),
    Mutant(
        "all buckets one distance wide",
        "positional.relative",
        "torch.where(distance < exact, distance, wide)",
        "distance.clamp(max=buckets - 1)",
        BUCKETS,
    ),
    Mutant(
        "queries aligned at the first key",
        "positional.relative",
        "queries = torch.arange(size - length, size, device=device)",
        "queries = torch.arange(length, device=device)",
        PAPER,
    ),
    Mutant(
        "slopes of the next power of two in order",
        "positional.relative",
        "_slopes(2 * power)[0::2]",
        "_slopes(2 * power)",
        PAPER,
    ),
    Mutant("far keys preferred", "positional.relative", "* -distance", "* distance", PAPER),
    Mutant(
        "scores by distance shifted by one",
        "positional.relative",
        "[..., L - 1 : L - 1 + L * (W - 1)]",
        "[..., L : L + L * (W - 1)]",
        LOOP,
    ),
    Mutant(
        "scores by distance not shifted at all",
        "positional.relative",
        "return scores.flatten(-2)[..., L - 1 : L - 1 + L * (W - 1)]"
        ".unflatten(-1, (L, W - 1))[..., :S]",
        "return scores[..., :S]",
        LOOP,
    ),
    Mutant(
        "no bias for positions",
        "positional.relative",
        "(query + self.position_bias) @ turned",
        "query @ turned",
        LOOP,
    ),
    Mutant(
        "the relative term without the scale",
        "positional.relative",
        "(_shift(by_distance, S) + content) * D**-0.5",
        "_shift(by_distance, S) + content",
        LOOP,
    ),
]
