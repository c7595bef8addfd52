"""attnlib.cache against joining tensors."""

import copy

import pytest
import torch
from errors import check_error
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import generator, normal

from attnlib.cache import KVCache

B, H, D, MAX = 2, 3, 5, 11

PROPERTY = settings(max_examples=50, deadline=None, derandomize=True, database=None)


def new_cache(batch_size=B, dtype=torch.float64):
    return KVCache(batch_size, H, MAX, D, dtype=dtype)


def pair(length, batch_size=B, seed=0, dtype=torch.float64):
    g = generator(seed)
    return [normal(g, batch_size, H, length, D, dtype=dtype) for _ in range(2)]


def chunks(count):
    """Ways to cut a number of positions into chunks."""
    return st.lists(st.integers(1, 4), min_size=1, max_size=count).map(
        lambda sizes: [n for i, n in enumerate(sizes) if sum(sizes[: i + 1]) <= count]
    )


@PROPERTY
@given(sizes=chunks(MAX), seed=st.integers(0, 10**6))
def test_any_chunks_give_what_joining_gives(sizes, seed):
    cache = new_cache()
    key, value = pair(sum(sizes), seed=seed)
    end = 0
    for size in sizes:
        start, end = end, end + size
        keys, values = cache.append(key[:, :, start:end], value[:, :, start:end])
        assert cache.length == end
        assert keys.equal(key[:, :, :end])
        assert values.equal(value[:, :, :end])


def test_what_comes_back_is_a_view_of_memory_that_is_taken_once():
    cache = new_cache()
    keys, values = cache.append(*pair(2))
    more_keys, more_values = cache.append(*pair(3, seed=1))
    assert keys.data_ptr() == more_keys.data_ptr()
    assert values.data_ptr() == more_values.data_ptr()
    assert keys.untyped_storage().nbytes() == 2 * B * H * MAX * D * 8


def test_a_cache_that_is_reset_begins_again_in_the_same_memory():
    cache = new_cache()
    before, _ = cache.append(*pair(MAX))
    cache.reset()
    assert cache.length == 0
    key, value = pair(2, seed=1)
    keys, values = cache.append(key, value)
    assert keys.data_ptr() == before.data_ptr()
    assert keys.equal(key)
    assert values.equal(value)


@PROPERTY
@given(index=st.lists(st.integers(0, B - 1), min_size=1, max_size=7), seed=st.integers(0, 10**6))
def test_reordered_examples_continue_from_the_chosen_ones(index, seed):
    cache = new_cache()
    key, value = pair(3, seed=seed)
    cache.append(key, value)
    cache.reorder(torch.tensor(index))
    assert cache.length == 3
    more_key, more_value = pair(2, batch_size=len(index), seed=seed + 1)
    keys, values = cache.append(more_key, more_value)
    assert keys.equal(torch.cat([key[index], more_key], 2))
    assert values.equal(torch.cat([value[index], more_value], 2))


def test_a_reordered_cache_has_room_for_as_many_positions_as_before():
    cache = new_cache()
    cache.append(*pair(3))
    cache.reorder(torch.tensor([1, 0, 1], dtype=torch.int32))
    keys, _ = cache.append(*pair(MAX - 3, batch_size=3))
    assert keys.shape == (3, H, MAX, D)


def test_an_overflow_leaves_the_cache_as_it_was():
    cache = new_cache()
    key, _ = pair(MAX - 1)
    cache.append(key, key)
    with pytest.raises(ValueError, match="max_len=11"):
        cache.append(*pair(2))
    keys, _ = cache.append(*pair(1))
    assert keys[:, :, :-1].equal(key)


def test_a_cache_may_be_made_and_used_in_and_out_of_inference_mode():
    with torch.inference_mode():
        inside = new_cache()
        inside.append(*pair(2))
    outside = new_cache()
    outside.append(*pair(2))
    with torch.inference_mode():
        outside.append(*pair(3))
        outside.reorder(torch.tensor([1, 0, 0]))
    inside.append(*pair(3))
    keys, _ = outside.append(*pair(1, batch_size=3))
    assert keys.shape == (3, H, 6, D)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_a_cache_has_the_dtype_it_is_built_with(dtype):
    keys, values = new_cache(dtype=dtype).append(*pair(2, dtype=dtype))
    assert {keys.dtype, values.dtype} == {dtype}


def test_without_a_dtype_it_is_that_of_new_parameters():
    keys, _ = KVCache(B, H, MAX, D).append(*pair(2, dtype=torch.float32))
    assert keys.dtype == torch.get_default_dtype()


def test_under_autocast_the_cache_converts():
    key, value = pair(2, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        keys, values = new_cache(dtype=torch.float32).append(key, value)
    assert keys.dtype == torch.float32
    assert keys.equal(key.float())
    assert values.equal(value.float())


def test_a_cache_is_where_it_is_built():
    cache = KVCache(B, H, MAX, D, device="meta")
    keys, _ = cache.append(*(x.float().to("meta") for x in pair(2)))
    assert (keys.device.type, keys.shape) == ("meta", (B, H, 2, D))
    cache.reorder(torch.zeros(7, dtype=torch.int64, device="meta"))
    assert cache.append(*(torch.zeros(7, H, 1, D, device="meta"),) * 2)[0].shape[0] == 7


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_cache_on_a_gpu_equals_that_on_the_cpu():
    here, there = new_cache(), KVCache(B, H, MAX, D, device="cuda", dtype=torch.float64)
    for cache in (here, there):
        cache.append(*(x.to(cache._memory.device) for x in pair(3)))
        cache.reorder(torch.tensor([1, 1, 0], device=cache._memory.device))
    key, value = pair(1, batch_size=3)
    assert there.append(key.cuda(), value.cuda())[0].cpu().equal(here.append(key, value)[0])


def test_a_copy_goes_its_own_way():
    cache = new_cache()
    key, value = pair(2)
    cache.append(key, value)
    other = copy.deepcopy(cache)
    other.reset()
    other.append(*pair(3, seed=1))
    keys, _ = cache.append(*pair(1))
    assert keys[:, :, :2].equal(key)


def test_a_key_that_needs_no_gradient_is_fine_while_gradients_are_on():
    key, value = pair(2)
    leaf = key.clone().requires_grad_()
    keys, _ = new_cache().append(leaf.detach(), value)
    assert not keys.requires_grad
    with torch.no_grad():
        keys, _ = new_cache().append(leaf * 1, value)
    assert keys.equal(key)


def test_a_cache_says_how_full_it_is():
    cache = new_cache()
    cache.append(*pair(2))
    assert repr(cache) == "KVCache(2 of 11 positions)"


# ---------------------------------------------------------------- errors


def append(key, value=None, **options):
    """A call on a new cache in float32."""
    return lambda: KVCache(B, H, MAX, D, **options).append(key, key if value is None else value)


def reorder(index):
    return lambda: KVCache(B, H, MAX, D).reorder(index)


x = torch.zeros(B, H, 3, D)

ERRORS = [
    (lambda: KVCache(0, H, MAX, D), ValueError, "KVCache: got batch_size=0, expected at least 1"),
    (lambda: KVCache(B, -1, MAX, D), ValueError, "got num_heads=-1"),
    (lambda: KVCache(B, H, 0, D), ValueError, "got max_len=0"),
    (lambda: KVCache(B, H, MAX, 2.5), TypeError, "head_dim is a float"),
    (lambda: KVCache(B, H, MAX, D, dtype=torch.int64), TypeError, "dtype is torch.int64, expected"),
    (append([0.0]), TypeError, "KVCache.append: key is a list"),
    (append(x.long()), TypeError, "key is torch.int64, expected floating point"),
    (append(x, x.bool()), TypeError, "value is torch.bool"),
    (append(x[0]), ValueError, r"key has shape \(3, 3, 5\), expected \(2, 3, n, 5\)"),
    (append(x[:1]), ValueError, r"key has shape \(1, 3, 3, 5\)"),
    (append(x[:, :2]), ValueError, r"key has shape \(2, 2, 3, 5\)"),
    (append(x[..., :4]), ValueError, r"key has shape \(2, 3, 3, 4\)"),
    (append(x, x[..., :4]), ValueError, r"value has shape \(2, 3, 3, 4\)"),
    (append(x[:, :, :0]), ValueError, "with n >= 1"),
    (append(x, x[:, :, :2]), ValueError, "got 3 keys and 2 values, expected one value a key"),
    (append(x.repeat(1, 1, 4, 1)), ValueError, "got 12 positions after 0, expected at most"),
    (append(x.to("meta")), ValueError, "key is on meta, expected cpu"),
    (append(x.half()), TypeError, "key is torch.float16, expected torch.float32"),
    (append(x, dtype=torch.float64), TypeError, "key is torch.float32, expected torch.float64"),
    (append(x.clone().requires_grad_()), RuntimeError, "key needs a gradient, expected inference"),
    (append(x, x.clone().requires_grad_()), RuntimeError, "value needs a gradient"),
    (reorder([0]), TypeError, "KVCache.reorder: index is a list"),
    (reorder(torch.zeros(2)), TypeError, "index is torch.float32, expected integers"),
    (reorder(torch.ones(2, dtype=torch.bool)), TypeError, "index is torch.bool"),
    (reorder(torch.tensor(0)), ValueError, r"an index of shape \(\), expected"),
    (reorder(torch.zeros(1, 2, dtype=torch.int64)), ValueError, r"an index of shape \(1, 2\)"),
    (reorder(torch.zeros(0, dtype=torch.int64)), ValueError, "from 0 to 1"),
    (reorder(torch.tensor([0, 2])), ValueError, "from 0 to 1"),
    (reorder(torch.tensor([-1, 0])), ValueError, "from 0 to 1"),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_say_what_was_got_what_was_expected_and_what_to_write(call, kind, words):
    check_error(call, kind, words)
