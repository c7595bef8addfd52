"""Smaller models against the large ones they come from, and the reports of what they cost."""

import copy
import io
import math

import pytest
import torch
import torch.nn.functional as F
from errors import check_error
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import generator, normal
from torch import nn

from attnlib.attention import MultiHeadAttention
from attnlib.compression import (
    LowRankLinear,
    QuantizedLinear,
    compare,
    distill,
    distillation_loss,
    head_importance,
    low_rank,
    prune_heads,
    prune_magnitude,
    quantize_int8,
)
from attnlib.positional import RelativeAttentionBias, RotaryEmbedding
from attnlib.training import accuracy, cross_entropy, evaluate, fit

# examples, positions, width, heads, width of the hidden layer, classes
B, L, F_, H, W, C = 5, 7, 12, 3, 23, 2
D = F_ // H


class Classifier(nn.Module):
    """Two attention layers with different kinds of heads, and a hidden layer."""

    def __init__(self, **options):
        super().__init__()
        self.first = MultiHeadAttention(F_, H, dropout=0.1)
        self.second = MultiHeadAttention(F_, H, **options)
        self.hidden = nn.Linear(F_, W)
        self.classes = nn.Linear(W, C)

    def forward(self, x):
        x = x + self.first(x)
        x = x + self.second(x, causal=True)
        return self.classes(torch.relu(self.hidden(x)).mean(1))


def classifier(dtype=torch.float32, seed=0, **options):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Classifier(**options).to(dtype)
        for parameter in model.parameters():  # biases too
            nn.init.normal_(parameter, std=0.4)
    return model


def batch(dtype=torch.float32, rows=B, seed=0):
    x = normal(generator(seed), rows, L, F_, dtype=dtype)
    return x, (x[:, :, 0].sum(1) > 0).long()


LOADER = [batch(), batch(rows=3, seed=1)]
IMPORTANCE = {"first": torch.tensor([0.5, 0.1, 0.9]), "second": torch.tensor([0.3, 0.2, 0.7])}

METHODS = {
    "prune_heads": lambda model: prune_heads(model, IMPORTANCE, LOADER, accuracy, share=0.4),
    "prune_magnitude": lambda model: prune_magnitude(model, LOADER, accuracy, share=0.5),
    "low_rank": lambda model: low_rank(model, LOADER, accuracy, rank=2),
    "quantize_int8": lambda model: quantize_int8(model, LOADER, accuracy),
    "distill": lambda model: distill(
        classifier(seed=1), model, LOADER, LOADER, accuracy, epochs=1, progress=False
    ),
}
EACH = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


# --- what holds for all of them ----------------------------------------------------------------


@EACH
def test_the_original_stays_as_it_is(method):
    model = classifier()
    state = copy.deepcopy(model.state_dict())
    names = {name: type(module) for name, module in model.named_modules()}
    drawn = torch.get_rng_state()
    small, _ = method(model)
    torch.testing.assert_close(model.state_dict(), state, rtol=0, atol=0)
    assert {name: type(module) for name, module in model.named_modules()} == names
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not {id(p) for p in model.parameters()} & {id(p) for p in small.parameters()}
    if method is not METHODS["distill"]:  # which trains, with dropout
        assert torch.equal(torch.get_rng_state(), drawn)


@EACH
def test_modes_and_frozen_parts_are_kept(method):
    model = classifier()
    model.second.eval()
    model.hidden.requires_grad_(False)
    small, _ = method(model)
    assert small.training
    assert small.first.training
    assert not small.second.training
    assert not small.second.q_proj.training
    assert not any(parameter.requires_grad for parameter in small.hidden.parameters())
    assert not any(module.training for module in method(model.eval())[0].modules())


@EACH
def test_a_state_dict_goes_into_another_model_of_the_same_shape(method):
    small, other = (method(classifier(seed=seed))[0].eval() for seed in (0, 2))
    x, _ = batch()
    assert not torch.equal(other(x), small(x))
    file = io.BytesIO()
    torch.save(small.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file))
    torch.testing.assert_close(other(x), small(x), rtol=0, atol=0)
    torch.testing.assert_close(copy.deepcopy(small)(x), small(x), rtol=0, atol=0)


@EACH
def test_the_report_is_of_the_two_models(method):
    model = classifier().eval()
    small, report = method(model)
    whole = classifier(seed=1) if method is METHODS["distill"] else model
    for cost, measured in ((report.before, whole), (report.after, small)):
        assert cost.measure == evaluate(measured, LOADER, {"a": accuracy})["a"]
        assert cost.latency > 0
        assert 0 < cost.nonzero <= cost.parameters
    assert report.before.parameters == sum(p.numel() for p in whole.parameters())


@EACH
def test_the_new_model_runs_in_a_batch_of_one_and_without_gradient(method):
    small, _ = method(classifier())
    with torch.inference_mode():
        assert small.eval()(batch(rows=1)[0]).shape == (1, C)


# --- the report --------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [L, 131])  # long ones take the kernel that stores no weights
def test_flops_are_two_for_each_product_and_those_of_attention_are_counted(length):
    x, y = normal(generator(), B, length, F_, dtype=torch.float32), batch()[1]
    report = compare("none", classifier(), classifier(), [(x, y)], accuracy)
    projections = 2 * 4 * (2 * B * length * F_ * F_)
    products = 2 * 2 * (2 * B * length * length * F_)
    head = 2 * B * length * F_ * W + 2 * B * W * C
    assert report.before.flops == report.after.flops == projections + products + head


def test_a_report_is_a_table_in_text_and_in_a_notebook():
    _, report = prune_magnitude(classifier(), LOADER, accuracy, share=0.5)
    head, *lines = str(report).splitlines()
    assert head.split() == ["prune_magnitude", "before", "after", "after", "/", "before"]
    assert [line.split()[0] for line in lines] == [
        "measure", "parameters", "nonzero", "bytes", "flops", "latency",
    ]  # fmt: skip
    assert len({len(line) for line in [head, *lines]}) == 1
    rows = [line.strip("| ").split(" | ") for line in report._repr_markdown_().splitlines()]
    assert {len(row) for row in rows} == {4}
    assert rows[3] == ["parameters", "1,595", "1,595", "1.00"]


def test_the_bytes_are_those_of_the_saved_file(tmp_path):
    model = classifier()
    report = compare("none", model, nn.Linear(3, 2), [batch()], lambda m, b: (torch.ones(()), 1))
    torch.save(model.state_dict(), tmp_path / "model.pt")
    size = (tmp_path / "model.pt").stat().st_size
    assert report.before.bytes == pytest.approx(size, abs=500)  # the file holds its own name
    assert report.after.bytes < report.before.bytes
    assert (report.after.measure, report.after.flops) == (1.0, 0)
    assert "-" not in str(report).splitlines()[1]


# --- heads -------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"num_kv_heads": 1}, {"bias": False}])
def test_importance_is_the_mean_size_of_the_slope_of_each_example(options):
    # The output is linear in the columns of the output matrix that belong to a head, so the slope
    # of a gate is the product of these columns with their gradient, one example at a time.
    model = classifier(torch.float64, **options).eval()
    examples = [batch(torch.float64), batch(torch.float64, rows=3, seed=1)]
    wanted = {"first": torch.zeros(H), "second": torch.zeros(H)}
    for x, y in examples:
        for i in range(len(x)):
            loss = F.cross_entropy(model(x[i : i + 1]), y[i : i + 1])
            for path, total in wanted.items():
                weight = getattr(model, path).out_proj.weight
                [slope] = torch.autograd.grad(loss, weight, retain_graph=True)
                total += (slope * weight).unflatten(1, (H, D)).sum((0, 2)).abs()
    got = head_importance(model.train(), examples, cross_entropy)
    assert list(got) == ["first", "second"]
    for path, total in wanted.items():
        torch.testing.assert_close(got[path], total / total.norm(), rtol=1e-5, atol=1e-6)


def test_a_layer_without_influence_has_importance_zero_and_one_called_twice_adds_up():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.idle = MultiHeadAttention(F_, H)
            self.busy = MultiHeadAttention(F_, H)

        def forward(self, x):
            return self.busy(self.busy(x) + 0 * x).mean(1)

    model = Twice().double()
    importance = head_importance(model, [batch(torch.float64, rows=1)], cross_entropy)
    assert importance["idle"].tolist() == [0.0] * H
    x, y = batch(torch.float64, rows=1)
    weight = model.busy.out_proj.weight
    [slope] = torch.autograd.grad(F.cross_entropy(model(x), y), weight)
    wanted = (slope * weight).unflatten(1, (H, D)).sum((0, 2)).abs()
    torch.testing.assert_close(
        importance["busy"], (wanted / wanted.norm()).float(), rtol=1e-5, atol=1e-6
    )


def gates_closed(model, closed):
    """The same model, with the contexts of some heads set to zero."""
    model = copy.deepcopy(model)
    with torch.no_grad():
        for path, heads in closed.items():
            columns = getattr(model, path).out_proj.weight.unflatten(1, (-1, D))
            for head in heads:
                columns[:, head] = 0
    return model


@pytest.mark.parametrize(
    ("share", "closed"),
    [
        (0.0, {}),
        (0.17, {"first": [1]}),
        (0.34, {"first": [1], "second": [1]}),
        (0.5, {"first": [1], "second": [0, 1]}),
        (0.99, {"first": [0, 1], "second": [0, 1]}),  # the best of each layer stays
    ],
)
@pytest.mark.parametrize("options", [{}, {"bias": False}, {"temperature": True}, {"rotary": True}])
def test_removed_heads_are_those_of_least_importance_and_closed_gates(share, closed, options):
    if "rotary" in options:
        options = {"rotary": RotaryEmbedding(D)}
    model = classifier(torch.float64, **options).eval()
    loader = [batch(torch.float64)]
    small, report = prune_heads(model, IMPORTANCE, loader, accuracy, share=share)
    x, _ = loader[0]
    torch.testing.assert_close(small(x), gates_closed(model, closed)(x), rtol=1e-12, atol=1e-12)
    for path in ("first", "second"):
        layer, kept = getattr(small, path), H - len(closed.get(path, []))
        assert layer.num_heads == kept
        assert [layer.q_proj.out_features, layer.out_proj.in_features] == [kept * D] * 2
        assert layer.q_proj.weight.shape == layer.v_proj.weight.shape == (kept * D, F_)
        assert layer(x, need_weights=True)[1].shape == (B, kept, L, L)
    gone = sum(map(len, closed.values()))
    bias = options.get("bias", True)
    fewer = {1: 4 * F_ * D + 3 * D}  # numbers of one head
    if gone == 1:  # of the first layer
        assert report.before.parameters - report.after.parameters == fewer[1]
    assert bias or small.second.q_proj.bias is None
    assert (report.after.flops < report.before.flops) == (gone > 0)


def test_heads_that_share_keys_go_together():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = MultiHeadAttention(F_, 6, num_kv_heads=3)

        def forward(self, x):
            return self.attention(x).mean(1)

    model = Shared().double().eval()
    x, y = batch(torch.float64)
    importance = {"attention": torch.tensor([0.1, 0.6, 0.3, 0.3, 0.5, 0.4])}  # 0.7, 0.6, 0.9
    small, _ = prune_heads(model, importance, [(x, y)], accuracy, share=0.34)
    assert small.attention.num_heads == 4
    assert small.attention.k_proj.weight.shape == (4, F_)
    wanted = copy.deepcopy(model)
    with torch.no_grad():
        wanted.attention.out_proj.weight[:, 4:8] = 0
    torch.testing.assert_close(small(x), wanted(x), rtol=1e-12, atol=1e-12)


def test_a_model_without_heads_to_spare_can_be_trained_further():
    small, _ = METHODS["prune_heads"](classifier())
    optimizer = torch.optim.Adam(small.parameters(), lr=0.01)
    history = fit(small, LOADER, cross_entropy, optimizer, epochs=5, progress=False)
    assert history[-1]["loss"] < history[0]["loss"]


# --- magnitude ---------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None, derandomize=True, database=None)
@given(st.floats(0.0, 0.99))
def test_the_smallest_weights_of_all_layers_are_zero_and_no_others_change(share):
    model = nn.Sequential(nn.Linear(7, 11), nn.Unflatten(1, (1, 11)), nn.Conv1d(1, 2, 3))
    nn.init.constant_(model[0].weight, 0.01)  # small, as a whole
    with torch.no_grad():
        model[0].weight += 1e-4 * normal(generator(0), 11, 7, dtype=torch.float32)
    small, report = prune_magnitude(
        model, [torch.ones(3, 7)], lambda model, x: (model(x).mean(), len(x)), share=share
    )
    whole = torch.cat([model[0].weight.flatten(), model[2].weight.flatten()])
    left = torch.cat([small[0].weight.flatten(), small[2].weight.flatten()])
    gone = left == 0
    assert int(gone.sum()) == round(share * len(whole))
    torch.testing.assert_close(left[~gone], whole[~gone], rtol=0, atol=0)
    if gone.any():
        assert whole[gone].abs().max() <= whole[~gone].abs().min()
    torch.testing.assert_close(small[0].bias, model[0].bias, rtol=0, atol=0)
    assert report.after.nonzero == report.before.nonzero - int(gone.sum())
    assert set(small.state_dict()) == set(model.state_dict())  # no mask stays behind
    assert not any(module._forward_pre_hooks for module in small.modules())


class Tied(nn.Module):
    """A language model whose output has the weight of its embedding."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(13, F_)
        self.hidden = nn.Linear(F_, F_)
        self.output = nn.Linear(F_, 13, bias=False)
        self.output.weight = self.embedding.weight

    def forward(self, tokens):
        return self.output(self.hidden(self.embedding(tokens)))


@pytest.mark.parametrize("method", ["prune_magnitude", "low_rank", "quantize_int8"])
def test_a_shared_weight_stays_shared(method):
    tokens = torch.randint(13, (3, 5), generator=generator(0))
    loader = [(tokens, tokens)]
    if method == "prune_magnitude":
        small, _ = prune_magnitude(Tied(), loader, accuracy, share=0.5)
        assert bool((small.embedding.weight == 0).any())
    elif method == "low_rank":
        small, _ = low_rank(Tied(), loader, accuracy, rank=1)
        assert isinstance(small.hidden, LowRankLinear)
    else:
        small, _ = quantize_int8(Tied(), loader, accuracy)
        assert isinstance(small.hidden, QuantizedLinear)
    assert small.output.weight is small.embedding.weight


# --- low rank ----------------------------------------------------------------------------------


def spectrum(values, rows, columns, dtype=torch.float64):
    """A matrix with these singular values."""
    left, _ = torch.linalg.qr(normal(generator(0), rows, len(values)))
    right, _ = torch.linalg.qr(normal(generator(1), columns, len(values)))
    return ((left * torch.tensor(values).double()) @ right.T).to(dtype)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_the_factors_are_the_best_of_their_rank(rank, bias):
    linear = nn.Linear(17, 11, bias=bias, dtype=torch.float64)
    with torch.no_grad():
        linear.weight.copy_(spectrum([4.0, 3.0, 2.0, 1.0], 11, 17))
    loader = [(normal(generator(2), 5, 17), torch.tensor([0, 1, 2, 3, 4]))]
    thin, report = low_rank(linear, loader, accuracy, rank=rank)
    error = torch.linalg.matrix_norm(thin.weight - linear.weight)
    left_out = [4.0, 3.0, 2.0, 1.0][rank:]
    assert error.item() == pytest.approx(math.hypot(*left_out), rel=1e-9)  # Eckart and Young
    x = loader[0][0]
    wanted = x @ thin.weight.T + (linear.bias if bias else 0)
    torch.testing.assert_close(thin(x), wanted)
    assert report.after.parameters == rank * (17 + 11) + 11 * bias
    assert report.after.flops == 2 * 5 * rank * (17 + 11)
    assert repr(thin) == f"LowRankLinear(17, 11, rank={rank})"


@pytest.mark.parametrize(
    ("energy", "rank"), [(0.5, 1), (0.54, 2), (0.83, 2), (0.84, 3), (0.97, 4), (1.0, 4)]
)
def test_energy_gives_the_least_rank_that_keeps_it(energy, rank):
    linear = nn.Linear(17, 11)
    with torch.no_grad():  # squares 16, 9, 4, 1: shares 0.533, 0.833.., 0.967, 1
        linear.weight.copy_(spectrum([4.0, 3.0, 2.0, 1.0], 11, 17, dtype=torch.float32))
    loader = [(torch.ones(1, 17), torch.tensor([0]))]
    thin, _ = low_rank(linear, loader, accuracy, energy=energy - 1e-6 * (energy == 1.0))
    assert thin.up.shape == (11, rank)


def test_a_layer_that_would_not_become_smaller_stays():
    model = classifier()
    small, report = low_rank(model, LOADER, accuracy, rank=6)  # 6 (12 + 12) = 12 * 12
    assert type(small.first.q_proj) is nn.Linear
    assert type(small.classes) is nn.Linear
    assert type(small.hidden) is LowRankLinear  # 6 (12 + 23) < 12 * 23
    assert report.after.parameters == report.before.parameters - F_ * W + 6 * (F_ + W)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_factors_have_the_dtype_of_the_layer(dtype):
    thin, _ = low_rank(
        nn.Linear(17, 11, dtype=dtype), [(torch.ones(1, 17, dtype=dtype), torch.tensor([0]))],
        accuracy, rank=2,
    )  # fmt: skip
    assert {parameter.dtype for parameter in thin.parameters()} == {dtype}


# --- 8 bits ------------------------------------------------------------------------------------


def test_products_of_integers_are_near_those_of_numbers():
    linear = nn.Linear(F_, W)
    x = normal(generator(0), 5, L, F_, dtype=torch.float32)
    quantised = QuantizedLinear(linear)
    step = linear.weight.abs().amax(1, keepdim=True) / 127
    assert bool(((quantised.weight - linear.weight).abs() <= 0.51 * step).all())
    # The input has 256 steps between its ends (torch's engine for older CPUs: 128).
    grain = (x.max() - x.min()) / 127
    bound = 0.5 * grain * quantised.weight.abs().sum(1)
    error = (quantised(x) - F.linear(x, quantised.weight, linear.bias)).abs()
    assert bool((error <= 1.01 * bound + 1e-6).all())
    torch.testing.assert_close(quantised.bias, linear.bias, rtol=0, atol=0)


def test_a_quantised_model_answers_alike_in_fewer_bytes():
    model = nn.Sequential(nn.Linear(67, 331), nn.ReLU(), nn.Linear(331, C)).eval()
    x = normal(generator(0), 23, 67, dtype=torch.float32)
    small, report = quantize_int8(model, [(x, model(x).argmax(1))], accuracy)
    assert report.before.measure == 1.0
    assert report.after.measure > 0.8
    assert report.after.bytes < report.before.bytes / 2.5
    assert report.after.parameters == report.before.parameters
    assert report.after.flops == report.before.flops
    assert repr(small[0]) == "QuantizedLinear(67, 331, bias=True)"


def test_a_quantised_layer_has_no_bias_where_there_was_none_and_takes_any_dtype():
    quantised = QuantizedLinear(nn.Linear(F_, W, bias=False))
    assert quantised.bias is None
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        assert quantised(torch.ones(F_, dtype=dtype)).dtype == dtype
    assert quantised(torch.ones(0, F_)).shape == (0, W)


def test_attention_runs_on_quantised_and_on_thin_projections():
    model, (x, _) = classifier().eval(), batch()
    for small, tolerance in (
        (quantize_int8(model, LOADER, accuracy)[0], 0.2),
        (low_rank(model, LOADER, accuracy, rank=5)[0], None),
    ):
        assert type(small.first.q_proj) is not nn.Linear
        _, weights = small.first(x, need_weights=True)
        torch.testing.assert_close(weights.sum(-1), torch.ones(B, H, L))
        if tolerance:
            torch.testing.assert_close(small(x), model(x), rtol=0.1, atol=tolerance)


# --- distillation ------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [1.0, 3.0])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_loss_is_the_formula_of_the_paper(temperature, share):
    teacher, student = (normal(generator(seed), B, L, C) for seed in (0, 1))
    targets = torch.randint(C, (B, L), generator=generator(2))
    targets[2:, 3:] = -1

    class Lookup(nn.Module):
        def __init__(self, table):
            super().__init__()
            self.table = nn.Parameter(table)

        def forward(self, rows):
            return self.table[rows]

    loss_fn = distillation_loss(
        Lookup(teacher), temperature=temperature, share=share, ignore_index=-1
    )
    loss, count = loss_fn(Lookup(student), (torch.arange(B), targets))
    total = 0.0
    for i in range(B):
        for j in range(L):
            if targets[i, j] >= 0:
                p = (teacher[i, j] / temperature).softmax(0)
                q = (student[i, j] / temperature).softmax(0)
                divergence = (p * (p / q).log()).sum()
                surprise = -student[i, j].softmax(0)[targets[i, j]].log()
                total += share * temperature**2 * divergence + (1 - share) * surprise
    assert count == 2 * L + 3 * 3
    torch.testing.assert_close(loss, total / count)


def test_the_teacher_is_in_eval_mode_without_gradient_and_stays_as_it_is():
    teacher = nn.Sequential(nn.Linear(F_, C), nn.Dropout(0.9)).train()
    x = normal(generator(0), B, F_, dtype=torch.float32)
    loss_fn = distillation_loss(teacher, share=1.0)
    student = copy.deepcopy(teacher[0])
    loss, _ = loss_fn(student, (x, torch.zeros(B, dtype=torch.int64)))
    loss.backward()
    assert loss.item() == pytest.approx(0.0, abs=1e-6)
    assert teacher.training
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert all(parameter.requires_grad for parameter in teacher.parameters())


def test_a_batch_of_padding_has_loss_zero():
    loss, count = distillation_loss(nn.Identity())(
        nn.Identity(), (torch.ones(3, C), torch.full((3,), -100))
    )
    assert (loss.item(), count.item()) == (0.0, 0)


def test_a_student_learns_what_the_teacher_says_and_not_what_is_wrong_in_the_labels():
    x = normal(generator(0), 67, F_, dtype=torch.float32)
    teacher = nn.Linear(F_, C)
    nn.init.normal_(teacher.weight, std=2.0, generator=generator(1))
    right = teacher(x).argmax(1)
    student = nn.Linear(F_, C)
    nn.init.zeros_(student.weight)
    options = {"epochs": 40, "lr": 0.05, "temperature": 1.5, "share": 1.0, "progress": False}
    small, report = distill(teacher, student, [(x, 1 - right)], [(x, right)], accuracy, **options)
    assert report.before.measure == 1.0
    assert report.after.measure > 0.9
    assert bool((student.weight == 0).all())
    torch.testing.assert_close(
        evaluate(small, [(x, right)], {"a": accuracy})["a"], 1.0, atol=0.1, rtol=0
    )


# --- errors ------------------------------------------------------------------------------------


def refused_importance(importance):
    return prune_heads(classifier(), importance, LOADER, accuracy, share=0.5)


def relative():
    model = classifier(relative=RelativeAttentionBias(H, D))
    return prune_heads(model, IMPORTANCE, LOADER, accuracy, share=0.5)


def detached(model, batch):
    loss, count = cross_entropy(model, batch)
    return loss.detach(), count


SMALL = nn.Linear(F_, C)
FLAT = [(torch.ones(B, F_), torch.zeros(B, dtype=torch.int64))]
ERRORS = [
    (lambda: compare("none", SMALL, [], FLAT, accuracy), TypeError, "after is a list, expected"),
    (lambda: compare("none", SMALL, SMALL, [], accuracy), ValueError, "loader has no batches, exp"),
    (
        lambda: compare("none", SMALL, SMALL, FLAT, lambda model, batch: 1.0),
        TypeError,
        r"evaluate: measure returned \['float'\], expected the mean",
    ),
    (lambda: prune_magnitude(5, FLAT, accuracy, share=0.5), TypeError, "model is a int, expected"),
    (lambda: prune_magnitude(SMALL, FLAT, accuracy, share=1.0), ValueError, "share=1.0, expected"),
    (lambda: prune_magnitude(SMALL, FLAT, accuracy, share=-0.1), ValueError, "share=-0.1, expect"),
    (lambda: prune_magnitude(SMALL, FLAT, accuracy, share=math.nan), ValueError, "share=nan, expe"),
    (
        lambda: prune_magnitude(nn.Identity(), FLAT, accuracy, share=0.5),
        ValueError,
        "Identity has no linear or convolution layer, expected at least one",
    ),
    (lambda: low_rank(SMALL, FLAT, accuracy), ValueError, "rank=None and energy=None, expected"),
    (lambda: low_rank(SMALL, FLAT, accuracy, rank=2, energy=0.5), ValueError, "rank=2 and energy"),
    (lambda: low_rank(SMALL, FLAT, accuracy, rank=0), ValueError, "got rank=0, expected at"),
    (lambda: low_rank(SMALL, FLAT, accuracy, rank=2.0), TypeError, "rank is a float, expected"),
    (lambda: low_rank(SMALL, FLAT, accuracy, energy=0.0), ValueError, "energy=0.0, expected a sha"),
    (lambda: low_rank(SMALL, FLAT, accuracy, energy=1.1), ValueError, "energy=1.1, expected a sha"),
    (lambda: low_rank(nn.Identity(), FLAT, accuracy, rank=1), ValueError, "low_rank: Identity has"),
    (
        lambda: LowRankLinear(torch.ones(2, 7), torch.ones(5, 3)),
        ValueError,
        r"got shapes \[\(2, 7\), \(5, 3\)\], expected \(R, F\), \(F', R\) and \(F',\)",
    ),
    (
        lambda: LowRankLinear(torch.ones(2, 7), torch.ones(5, 2), torch.ones(7)),
        ValueError,
        r"got shapes \[\(2, 7\), \(5, 2\), \(7,\)\], expected",
    ),
    (
        lambda: LowRankLinear(torch.ones(2, 7).long(), torch.ones(5, 2)),
        TypeError,
        "LowRankLinear: down is torch.int64, expected floating point",
    ),
    (
        lambda: quantize_int8(classifier(torch.float64), LOADER, accuracy),
        TypeError,
        "QuantizedLinear: got a Linear in torch.float64, expected nn.Linear in torch.float32",
    ),
    (lambda: QuantizedLinear(nn.Identity()), TypeError, "got a Identity, expected nn.Linear"),
    (
        lambda: QuantizedLinear(nn.Linear(2, 3, device="meta")),
        ValueError,
        "got a layer on meta, expected the CPU",
    ),
    (lambda: quantize_int8(nn.ReLU(), FLAT, accuracy), ValueError, "quantize_int8: ReLU has no"),
    (lambda: head_importance(SMALL, FLAT, cross_entropy), ValueError, "Linear has no attention"),
    (lambda: head_importance(classifier(), [], cross_entropy), ValueError, "loader has no batches"),
    (
        lambda: head_importance(classifier(), LOADER, detached),
        RuntimeError,
        "the loss does not depend on any head, expected one that has a gradient",
    ),
    (lambda: refused_importance({}), ValueError, r"and shapes {}, expected {'first': \(3,\)"),
    (
        lambda: refused_importance(IMPORTANCE | {"first": torch.ones(4)}),
        ValueError,
        r"shapes {'first': \(4,\), .*, expected {'first': \(3,\), 'second': \(3,\)}",
    ),
    (relative, ValueError, "layer 'second' has a relative term, expected none"),
    (
        lambda: METHODS["prune_heads"](METHODS["quantize_int8"](classifier())[0]),
        TypeError,
        "layer 'first' has projections of kind .'QuantizedLinear', .*, expected nn.Linear",
    ),
    (lambda: distillation_loss(5), TypeError, "distillation_loss: model is a int, expected a mod"),
    (lambda: distillation_loss(SMALL, temperature=0), ValueError, "temperature=0, expected a num"),
    (lambda: distillation_loss(SMALL, share=1.5), ValueError, r"share=1.5, expected a number in"),
    (
        lambda: distill(SMALL, nn.Linear(F_, 5), FLAT, FLAT, accuracy, epochs=1, progress=False),
        ValueError,
        r"the student gives logits \(5, 5\), expected \(5, 2\), those of the teacher",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "words"), ERRORS)
def test_errors_say_what_was_got_what_was_expected_and_what_to_write(call, error, words):
    check_error(call, error, words)
