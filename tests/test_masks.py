"""attnlib.masks against loops over i and j, and against the torch functions that read masks."""

import pytest
import torch
import torch.nn.functional as F
from errors import check_error
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import coin, generator, normal
from torch import nn

from attnlib.functional import attention
from attnlib.masks import (
    adjacency_mask,
    causal_mask,
    padding_mask,
    prefix_mask,
    sliding_window_mask,
    to_mha,
    to_sdpa,
)

B, H, L, S, D = 2, 3, 5, 7, 11

PROPERTY = settings(max_examples=50, deadline=None, derandomize=True, database=None)
sizes = st.integers(1, 6)


def table(length, size, allowed):
    return torch.tensor([[bool(allowed(i, j)) for j in range(size)] for i in range(length)])


@pytest.mark.parametrize(("length", "size"), [(L, S), (L, L), (1, S), (1, 1), (L, L + 1)])
def test_causal_mask_ends_at_the_last_query_and_key(length, size):
    expected = table(length, size, lambda i, j: j <= i + size - length)
    assert causal_mask(length, size).equal(expected)


def test_causal_mask_is_square_when_the_size_is_omitted():
    assert causal_mask(L).equal(causal_mask(L, L))
    assert causal_mask(L).equal(table(L, L, lambda i, j: j <= i))


@pytest.mark.parametrize("window", [1, 2, 3, S, S + 1])
@pytest.mark.parametrize(("length", "size"), [(L, S), (L, L), (1, S), (1, 1)])
def test_sliding_window_mask_shows_the_last_keys_up_to_the_query(length, size, window):
    shift = size - length
    expected = table(length, size, lambda i, j: i + shift - window < j <= i + shift)
    assert sliding_window_mask(length, window, size).equal(expected)


def test_sliding_window_mask_is_square_when_the_size_is_omitted():
    assert sliding_window_mask(L, 2).equal(sliding_window_mask(L, 2, L))


@pytest.mark.parametrize("prefix", [1, 2, L])
def test_prefix_mask_shows_the_prefix_to_all_and_the_rest_causally(prefix):
    assert prefix_mask(L, prefix).equal(table(L, L, lambda i, j: j < prefix or j <= i))


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8])
@pytest.mark.parametrize("size", [None, 3, S])
def test_padding_mask_shows_the_first_positions_of_each_sequence(size, dtype):
    lengths = [3, 0, 1]
    mask = padding_mask(torch.tensor(lengths, dtype=dtype), size)
    expected = table(3, size or 3, lambda b, j: j < lengths[b])
    assert mask.shape == (3, 1, 1, size or 3)
    assert mask[:, 0, 0].equal(expected)


def test_padding_mask_of_nothing_but_empty_sequences_keeps_one_position():
    assert padding_mask(torch.tensor([0, 0])).equal(torch.zeros(2, 1, 1, 1, dtype=torch.bool))


def test_padding_mask_broadcasts_over_heads_and_queries_even_when_batch_equals_length():
    x = normal(generator(), L, H, L, D)  # as many examples as positions: (B, S) would be misread
    lengths = torch.tensor([1, 2, 3, 4, 5])
    out = attention(x, x, x, padding_mask(lengths))
    for b, n in enumerate(lengths.tolist()):
        torch.testing.assert_close(out[b], attention(x[b], x[b, :, :n], x[b, :, :n]))


@pytest.mark.parametrize(
    "mask",
    [
        causal_mask(L, S),
        sliding_window_mask(L, 2),
        prefix_mask(L, 2),
        padding_mask(torch.tensor([1, 2])),
    ],
)
def test_masks_are_bool_and_may_be_combined(mask):
    assert mask.dtype == torch.bool
    assert (mask & ~mask).equal(torch.zeros_like(mask))
    assert (mask | ~mask).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda device: causal_mask(L, S, device=device),
        lambda device: sliding_window_mask(L, 2, S, device=device),
        lambda device: prefix_mask(L, 2, device=device),
        lambda device: adjacency_mask(torch.zeros(2, L, device=device).long(), L),
    ],
)
def test_masks_are_made_on_the_device_that_is_named(make):
    assert make("meta").device.type == "meta"
    assert make(torch.device("cpu")).device.type == "cpu"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_masks_on_a_gpu_equal_those_on_the_cpu():
    lengths = torch.tensor([3, 0, 1])
    assert padding_mask(lengths.cuda()).device.type == "cuda"
    assert padding_mask(lengths.cuda()).cpu().equal(padding_mask(lengths))
    assert causal_mask(L, S, device="cuda").cpu().equal(causal_mask(L, S))


def test_adjacency_mask_lets_a_target_see_its_sources():
    edges = [(0, 1), (2, 1), (3, 3), (0, 1), (4, 0)]
    for dtype in (torch.int64, torch.int32, torch.uint8):
        mask = adjacency_mask(torch.tensor(edges, dtype=dtype).T, 6)
        assert mask.equal(table(6, 6, lambda i, j: (j, i) in edges))


def test_a_graph_without_edges_lets_nobody_see():
    edge_index = torch.zeros(2, 0, dtype=torch.long)
    assert adjacency_mask(edge_index, 3).equal(torch.zeros(3, 3, dtype=torch.bool))


def test_attention_under_an_adjacency_mask_averages_the_neighbours():
    x = normal(generator(), 4, D)
    mask = adjacency_mask(torch.tensor([[0, 1, 3], [2, 2, 0]]), 4)
    out = attention(x, x, x, mask)
    torch.testing.assert_close(out[2:3], attention(x[2:3], x[:2], x[:2]))
    torch.testing.assert_close(out[0], x[3])
    assert not out[[1, 3]].any()


def test_to_sdpa_gives_torch_the_same_tensor_and_the_same_meaning():
    g = generator()
    query, key, value = normal(g, B, H, L, D), normal(g, B, H, S, D), normal(g, B, H, S, D)
    for mask in (coin(g, L, S), coin(g, B, 1, 1, S), coin(g, B, H, L, S)):
        assert to_sdpa(mask) is mask
        theirs = F.scaled_dot_product_attention(query, key, value, attn_mask=to_sdpa(mask))
        torch.testing.assert_close(theirs, attention(query, key, value, mask))


@pytest.mark.parametrize("shape", [(L, S), (1, S), (B, 1, 1, S), (1, H, L, S), (B, H, L, S)])
def test_to_mha_blocks_what_the_mask_does_not_allow(shape):
    mask = coin(generator(), *shape)
    blocked = to_mha(mask, (B, H, L, S))
    assert blocked.shape == (B * H, L, S)
    full = mask.expand(B, H, L, S)
    for b in range(B):
        for h in range(H):
            assert blocked[b * H + h].equal(~full[b, h])  # torch counts heads within examples


def test_to_mha_hides_from_torch_what_the_mask_hides():
    g = generator()
    layer = nn.MultiheadAttention(6, H, batch_first=True, dtype=torch.float64)
    query, key = normal(g, B, L, 6), normal(g, B, S, 6)
    mask = coin(g, B, H, L, S)
    mask[..., 0] = True  # torch gives NaN for a row with nothing to attend
    blocked = to_mha(mask, (B, H, L, S))
    _, weights = layer(query, key, key, attn_mask=blocked, average_attn_weights=False)
    assert (weights > 0).equal(mask)


@PROPERTY
@given(length=sizes, extra=st.integers(0, 5), window=sizes)
def test_a_window_is_causal_and_shows_at_most_so_many_keys(length, extra, window):
    size = length + extra
    mask = sliding_window_mask(length, window, size)
    assert not (mask & ~causal_mask(length, size)).any()
    assert mask.sum(-1).equal(causal_mask(length, size).sum(-1).clamp(max=window))
    assert mask[:, extra:].diagonal().all()  # every query sees its own position


@PROPERTY
@given(length=sizes, data=st.data())
def test_a_prefix_is_the_causal_mask_or_the_first_keys(length, data):
    prefix = data.draw(st.integers(1, length))
    first = torch.arange(length) < prefix
    assert prefix_mask(length, prefix).equal(causal_mask(length) | first)


@PROPERTY
@given(lengths=st.lists(st.integers(0, 6), min_size=1, max_size=6), extra=st.integers(1, 5))
def test_padding_counts_the_real_positions(lengths, extra):
    mask = padding_mask(torch.tensor(lengths), max(lengths) + extra)
    assert mask.sum((1, 2, 3)).tolist() == lengths
    assert mask[:, 0, 0].int().diff(dim=-1).le(0).all()  # real positions come first


ERRORS = [
    (lambda: causal_mask(0), ValueError, "causal_mask: got length=0"),
    (lambda: causal_mask(L, 0), ValueError, "causal_mask: got size=0"),
    (lambda: causal_mask(2.0), TypeError, "length is a float"),
    (lambda: causal_mask(True), TypeError, "length is a bool"),
    (lambda: causal_mask(S, L), ValueError, "causal_mask: got 7 queries and 5 keys"),
    (lambda: sliding_window_mask(L, 0), ValueError, "sliding_window_mask: got window=0"),
    (lambda: sliding_window_mask(0, 1), ValueError, "sliding_window_mask: got length=0"),
    (lambda: sliding_window_mask(S, 2, L), ValueError, "sliding_window_mask: got 7 queries"),
    (lambda: prefix_mask(L, 0), ValueError, "prefix_mask: got prefix=0"),
    (lambda: prefix_mask(0, 1), ValueError, "prefix_mask: got length=0"),
    (lambda: prefix_mask(L, 6), ValueError, "got prefix=6, expected at most length=5"),
    (lambda: padding_mask([1, 2]), TypeError, "lengths is a list, expected a torch.Tensor"),
    (lambda: padding_mask(torch.ones(2)), TypeError, "lengths is torch.float32"),
    (lambda: padding_mask(torch.ones(2, 3, dtype=torch.bool)), TypeError, "~mask"),
    (lambda: padding_mask(torch.ones(2, 3).long()), ValueError, r"lengths has shape \(2, 3\)"),
    (lambda: padding_mask(torch.ones(0).long()), ValueError, r"lengths has shape \(0,\)"),
    (lambda: padding_mask(torch.tensor([-1, 2])), ValueError, "from -1 to 2"),
    (lambda: padding_mask(torch.tensor([1, 4]), 3), ValueError, "expected 0 to size=3"),
    (lambda: padding_mask(torch.tensor([0]), 0), ValueError, "got size=0"),
    (lambda: adjacency_mask([[0], [1]], 2), TypeError, "edge_index is a list"),
    (lambda: adjacency_mask(torch.zeros(2, 3), 2), TypeError, "edge_index is torch.float32"),
    (lambda: adjacency_mask(torch.zeros(3, 2).long(), 2), ValueError, r"write edge_index\.T"),
    (lambda: adjacency_mask(torch.zeros(2).long(), 2), ValueError, r"edge_index has shape \(2,\)"),
    (lambda: adjacency_mask(torch.tensor([[0], [2]]), 2), ValueError, "from 0 to 2, expected 0 to"),
    (lambda: adjacency_mask(torch.tensor([[0], [-1]]), 2), ValueError, "from -1 to 0"),
    (lambda: adjacency_mask(torch.zeros(2, 3).long(), 0), ValueError, "got num_nodes=0"),
    (lambda: to_sdpa(None), TypeError, "mask is a NoneType"),
    (lambda: to_sdpa(torch.zeros(L, S)), TypeError, r"pass additive scores as bias="),
    (lambda: to_sdpa(causal_mask(L)[None]), ValueError, r"expected \(L, S\) or \(B, H, L, S\)"),
    (lambda: to_mha(torch.ones(L, S), (B, H, L, S)), TypeError, "to_mha: mask is torch.float32"),
    (lambda: to_mha([[True]], (1, 1, 1, 1)), TypeError, "mask is a list"),
    (lambda: to_mha(causal_mask(L), (B, H, L, S)), ValueError, r"mask has shape \(5, 5\)"),
    (lambda: to_mha(causal_mask(L), (B, L, L)), ValueError, "pass four sizes"),
    (lambda: to_mha(causal_mask(L), (B, 0, L, L)), ValueError, "got H=0"),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_say_what_was_got_what_was_expected_and_what_to_write(call, kind, words):
    check_error(call, kind, words)
