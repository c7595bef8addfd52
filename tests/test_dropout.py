"""attnlib._dropout against what dropout is: independent coins, one an element."""

import pytest
import torch
import torch.nn.functional as F
from oracles import generator, normal
from torch.autograd import gradcheck, gradgradcheck

from attnlib._dropout import dropout

MANY = 400_003  # prime: no multiple of the four elements that share a random word


def seeded(x, p, seed=0, training=True):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return dropout(x, p, training)


@pytest.mark.parametrize("p", [0.0001, 0.1, 0.5, 0.9, 0.9999])
def test_a_share_p_of_the_elements_is_dropped(p):
    dropped = (seeded(torch.ones(MANY), p) == 0).double()
    spread = (p * (1 - p) / MANY) ** 0.5
    assert abs(dropped.mean() - p) < 4 * spread


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("p", [0.1, 0.5, 0.75])
def test_what_is_kept_is_scaled_so_that_the_mean_stays(dtype, p):
    x = normal(generator(), 31, 37, dtype=dtype)
    result = seeded(x, p)
    assert result.dtype == dtype
    assert result.shape == x.shape
    kept = result != 0
    torch.testing.assert_close(result[kept], (x / (1 - p))[kept], rtol=1e-2, atol=1e-3)
    if dtype == torch.float64:
        torch.testing.assert_close(result[kept], (x / (1 - p))[kept], rtol=1e-4, atol=0.0)


@pytest.mark.parametrize("distance", [1, 2, 3, 4, 5, 64])
def test_elements_are_dropped_independently(distance):
    p = 0.3
    dropped = (seeded(torch.ones(MANY), p) == 0).double() - p
    correlation = (dropped[distance:] * dropped[:-distance]).mean() / (p * (1 - p))
    assert abs(correlation) < 4 / MANY**0.5


def test_a_seed_repeats_it_and_another_call_does_not():
    x = torch.ones(2, 3, 5, 7)
    torch.testing.assert_close(seeded(x, 0.5, seed=1), seeded(x, 0.5, seed=1))
    assert not torch.equal(seeded(x, 0.5, seed=1), seeded(x, 0.5, seed=2))
    with torch.random.fork_rng(devices=[]):
        assert not torch.equal(dropout(x, 0.5, True), dropout(x, 0.5, True))


def test_nothing_is_dropped_in_evaluation_or_with_probability_zero():
    x = torch.ones(3, 5)
    assert dropout(x, 0.5, False) is x
    assert dropout(x, 0.0, True) is x


def test_the_gradient_passes_where_the_value_did():
    x = torch.ones(MANY, requires_grad=True)
    result = seeded(x, 0.25)
    [gradient] = torch.autograd.grad(result.sum(), x)
    torch.testing.assert_close(gradient, result.detach())


def test_first_and_second_derivatives_are_right():
    x = normal(generator(), 3, 5).requires_grad_()

    def squared(x):
        return seeded(x, 0.4) ** 2

    assert gradcheck(squared, x)
    assert gradgradcheck(squared, x)


def test_views_and_empty_tensors_are_dropped_too():
    x = torch.ones(5, 7, 11).transpose(0, 2)
    result = seeded(x, 0.5)
    assert result.shape == (11, 7, 5)
    assert set(result.unique().tolist()) == {0.0, 2.0}
    assert dropout(torch.ones(0, 3), 0.5, True).shape == (0, 3)


def test_transforms_of_functions_fall_back_to_torch():
    x = torch.ones(3, 1000)
    with torch.random.fork_rng(devices=[]):
        each = torch.func.vmap(lambda row: dropout(row, 0.5, True), randomness="different")(x)
        same = torch.func.vmap(lambda row: dropout(row, 0.5, True), randomness="same")(x)
        slope = torch.func.grad(lambda row: dropout(row, 0.5, True).sum())(x[0])
    assert not torch.equal(each[0], each[1])
    assert torch.equal(same[0], same[1])
    assert set(slope.unique().tolist()) == {0.0, 2.0}


def test_tracing_for_a_compiler_sees_torchs_dropout():
    class Module(torch.nn.Module):
        def forward(self, x):
            return dropout(x, 0.5, True)

    graph = torch.export.export(Module(), (torch.ones(3, 5),)).graph
    assert any("dropout" in str(node.target) for node in graph.nodes)


def test_other_devices_use_torchs_dropout():
    assert dropout(torch.ones(3, 5, device="meta"), 0.5, True).device.type == "meta"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_it_is_torchs_dropout():
    x = torch.ones(3, 5, device="cuda")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        expected = F.dropout(x, 0.5)
        torch.manual_seed(0)
        torch.testing.assert_close(dropout(x, 0.5, True), expected)
