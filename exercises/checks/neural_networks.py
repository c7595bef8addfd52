"""Exercises of "A neural network by hand"."""

import numpy as np

from attnlib.checker import Exercise

Array = np.ndarray


def _normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


# ---------------------------------------------------------------- layer


layer = Exercise(
    "neural-networks/layer",
    lambda X, W, b: np.tanh(X @ W + b),
    [
        (np.array([[1.0, 0.0]]), np.array([[2.0], [2.0]]), np.array([-1.0])),
        (_normal(3, 2), _normal(2, 5, seed=1), _normal(5, seed=2)),
        (_normal(5, 5, seed=3), _normal(5, 5, seed=4), _normal(5, seed=5)),
    ],
    {
        "The bend is missing. Without it two layers are no more than one.": lambda X, W, b: (
            X @ W + b
        ),
        "The bias is added after the bend. It belongs into the sum: it decides where the bend "
        "lies.": lambda X, W, b: np.tanh(X @ W) + b,
        "The bias is missing: such a neuron can only cut through the origin.": lambda X, W, b: (
            np.tanh(X @ W)
        ),
        "W is turned round. That fits for as many neurons as inputs, and is another layer even "
        "then: a column of W belongs to one neuron.": lambda X, W, b: np.tanh(X @ W.T + b),
        "That is the logistic function, which bends into 0 to 1. The chapter's tanh bends into -1 "
        "to 1.": lambda X, W, b: 1 / (1 + np.exp(-(X @ W + b))),
    },
    hints=(
        "One product, one sum, one bend.",
        "X (N, D), W (D, H), b (H,) -> (N, H)",
        "return np.tanh(<X times W, plus b>)",
    ),
    minutes=5,
)


# ---------------------------------------------------------------- collapse


collapse = Exercise(
    "neural-networks/collapse",
    lambda W1, b1, W2, b2: (W1 @ W2, b1 @ W2 + b2),
    [
        (np.array([[2.0]]), np.array([1.0]), np.array([[3.0]]), np.array([5.0])),
        (_normal(3, 3), _normal(3, seed=1), _normal(3, 3, seed=2), _normal(3, seed=3)),
        (_normal(2, 5, seed=4), _normal(5, seed=5), _normal(5, 3, seed=6), _normal(3, seed=7)),
    ],
    {
        "The first bias does not go through the second layer. What W2 does to a sum, it does to "
        "each of its terms.": lambda W1, b1, W2, b2: (W1 @ W2, b1 + b2),
        "The first bias is lost on the way: it passes the second layer's weights like any other "
        "term.": lambda W1, b1, W2, b2: (W1 @ W2, b2),
        "The second bias is lost. It is added last and stays as it is.": lambda W1, b1, W2, b2: (
            W1 @ W2,
            b1 @ W2,
        ),
        "The order is turned round. Examples come from the left: they meet W1 first.": (
            lambda W1, b1, W2, b2: (W2 @ W1, b1 @ W2 + b2)
        ),
        "You add the two layers. They are composed: the second works on the result of the "
        "first.": lambda W1, b1, W2, b2: (W1 + W2, b1 + b2),
    },
    hints=(
        "Write (X W1 + b1) W2 + b2 and multiply out.",
        "W1 (D, H), W2 (H, C) -> one weight (D, C) and one bias (C,)",
        "return <W1 times W2>, <what becomes of b1> + b2",
    ),
    minutes=8,
)


# ---------------------------------------------------------------- cross-entropy


def _cross_entropy(logits: Array, y: Array) -> float:
    shifted = logits - logits.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return -log_p[np.arange(len(y)), y].mean()


def _with(logits: Array, y: Array, reduce) -> float:
    shifted = logits - logits.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return reduce(log_p, y)


def _naive(logits: Array, y: Array) -> float:
    with np.errstate(all="ignore"):
        p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        return -np.log(p[np.arange(len(y)), y]).mean()


def _by_one_maximum(logits: Array, y: Array) -> float:
    shifted = logits - logits.max()
    with np.errstate(all="ignore"):
        log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
        return -log_p[np.arange(len(y)), y].mean()


def _log_of_softmax(logits: Array, y: Array, added: float) -> float:
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    p = exponentials / exponentials.sum(1, keepdims=True)
    with np.errstate(all="ignore"):
        return -np.log(p[np.arange(len(y)), y] + added).mean()


cross_entropy = Exercise(
    "neural-networks/cross-entropy",
    _cross_entropy,
    [
        (np.zeros((1, 2)), np.array([1])),
        (np.array([[2.0, 0.0, 1.0], [0.0, 3.0, 1.0]]), np.array([0, 2])),
        (_normal(5, 3), np.array([0, 1, 2, 2, 1])),
        (np.array([[1000.0, 0.0], [0.0, 1000.0]]), np.array([0, 0])),
        (np.array([[1000.0, 0.0], [0.0, 1.0]]), np.array([0, 0])),
    ],
    {
        "Right for small scores, but exp(1000) is infinite. Subtract each example's largest score "
        "first.": _naive,
        "You subtract one number from the whole batch. An example that lies far below it "
        "underflows: take each row's own largest score.": _by_one_maximum,
        "The softmax is safe, its logarithm is not: a probability that rounds to 0 has none. Do "
        "not leave log space: log p is the score less the log of the sum.": lambda logits, y: (
            _log_of_softmax(logits, y, 0.0)
        ),
        "A small number added to the probability hides the infinity and gives a wrong loss. Do "
        "not leave log space: log p is the score less the log of the sum.": lambda logits, y: (
            _log_of_softmax(logits, y, 1e-12)
        ),
        "The sign is missing: a loss is never negative, since a logarithm of a probability never "
        "is positive.": lambda logits, y: -_cross_entropy(logits, y),
        "You add up the examples. The mean keeps the loss, and with it the learning rate, "
        "independent of the batch.": lambda logits, y: _cross_entropy(logits, y) * len(y),
        "You average over all classes. Only the probability of the right one counts; the others "
        "are in it already, as they share one whole.": lambda logits, y: _with(
            logits, y, lambda log_p, y: -log_p.mean()
        ),
        "That is one minus the probability of the right class. The logarithm punishes to be sure "
        "and wrong much harder.": lambda logits, y: _with(
            logits, y, lambda log_p, y: 1 - np.exp(log_p[np.arange(len(y)), y]).mean()
        ),
        "You take the most probable class. The loss asks about the right one.": (
            lambda logits, y: _with(logits, y, lambda log_p, y: -log_p.max(1).mean())
        ),
    },
    hints=(
        "Softmax, the right class's probability, logarithm, minus, mean. Then try a score of 1000.",
        "logits (N, C) -> log-probabilities (N, C) -> those of the right classes (N,) -> a number",
        "shifted = <logits less each row's maximum>\nlog_p = shifted - <log of the sum of their "
        "exponentials>\nreturn -<mean of log_p at [n, y_n]>",
    ),
    minutes=10,
    difficulty=2,
)


# ---------------------------------------------------------------- backward


def _backward(
    X: Array,
    H: Array,
    W2: Array,
    G: Array,
    *,
    bend: str = "tanh",
    transpose: bool = True,
    mean_bias: bool = False,
    own_input: bool = True,
) -> tuple[Array, Array, Array]:
    of_H = G @ (W2.T if transpose else W2)
    slope = {"tanh": 1 - H * H, "none": 1.0, "logistic": H * (1 - H), "again": 1 - np.tanh(H) ** 2}
    G1 = of_H * slope[bend]
    of_b1 = G1.mean(0) if mean_bias else G1.sum(0)
    return (X if own_input else H).T @ G1, of_b1, H.T @ G


def _departs(**departure):
    return lambda X, H, W2, G: _backward(X, H, W2, G, **departure)


backward = Exercise(
    "neural-networks/backward",
    _backward,
    [
        (np.array([[1.0]]), np.array([[0.5]]), np.array([[2.0]]), np.array([[0.3]])),
        (_normal(5, 3), np.tanh(_normal(5, 3, seed=1)), _normal(3, 3, seed=2), _normal(5, 3)),
        (_normal(7, 2), np.tanh(_normal(7, 5, seed=3)), _normal(5, 3, seed=4), _normal(7, 3)),
    ],
    {
        "The bend is forgotten on the way back: where tanh is flat, nothing passes.": _departs(
            bend="none"
        ),
        "That is the derivative of the logistic function. The derivative of tanh is 1 minus its "
        "square.": _departs(bend="logistic"),
        "H has been bent already. Its slope is 1 - H * H, without another tanh.": _departs(
            bend="again"
        ),
        "W2 is not turned round. With as many classes as neurons the shapes hide it.": _departs(
            transpose=False
        ),
        "The bias of the batch is averaged. The 1/N is in G already: add the examples up.": (
            _departs(mean_bias=True)
        ),
        "The batch is averaged twice: the 1/N is in G already.": lambda X, H, W2, G: tuple(
            g / len(G) for g in _backward(X, H, W2, G)
        ),
        "The gradient of W1 is made with the hidden layer. W1 stood between the *input* and the "
        "hidden layer.": _departs(own_input=False),
    },
    hints=(
        "Walk backwards: through W2, through the bend, through W1. Each product gives two "
        "gradients.",
        "G (N, C) -> of H (N, H) -> G1 (N, H) -> of W1 (D, H), of b1 (H,); of W2 (H, C)",
        "G1 = <G times W2 turned round> * <slope of tanh>\n"
        "return <X turned round> @ G1, <sum of G1 over the examples>, <H turned round> @ G",
    ),
    minutes=15,
    difficulty=3,
)


# ---------------------------------------------------------------- numerical gradient


def _slopes(f, x: Array, h: float = 1e-5, sides: int = 2) -> Array:
    result = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        moved = x.copy()
        moved[place] += h
        back = x.copy()
        back[place] -= h if sides == 2 else 0
        result[place] = (f(moved) - f(back)) / (sides * h)
    return result


def _accumulating(f, x: Array) -> Array:
    result, moved = np.zeros_like(x), x.copy()
    for place in np.ndindex(x.shape):
        before = f(moved)
        moved[place] += 1e-5  # never put back
        result[place] = (f(moved) - before) / 1e-5
    return result


def _cubes(x: Array) -> float:
    return float((x**3).sum())


def _product(x: Array) -> float:
    return float(x.prod())


def _wave(x: Array) -> float:
    return float(np.sin(x).sum() ** 2)


numerical_gradient = Exercise(
    "neural-networks/numerical-gradient",
    _slopes,
    [
        (_cubes, np.array([2.0])),
        (_product, np.array([1.5, -2.0, 3.0])),
        (_wave, _normal(3, 2)),
    ],
    {
        "The difference is one-sided: its error is of the order of the step, a hundred thousand "
        "times that of the two-sided one. Step to both sides.": lambda f, x: _slopes(f, x, sides=1),
        "You divide by the step, but the two points lie two steps apart.": lambda f, x: (
            2 * _slopes(f, x)
        ),
        "The difference is not divided by the distance of the two points.": lambda f, x: (
            _slopes(f, x) * 2e-5
        ),
        "All entries are moved together, which gives one number: the sum of the gradient. Move "
        "one entry at a time.": lambda f, x: np.full_like(x, (f(x + 1e-5) - f(x - 1e-5)) / 2e-5),
        "The step is far too small: the two values share nearly all their digits, and the "
        "difference is rounding.": lambda f, x: _slopes(f, x, h=1e-13),
        "The step is a little too long for the digits that are asked: take one near 1e-5.": (
            lambda f, x: _slopes(f, x, h=1e-3)
        ),
        "The step is far too large: the function bends over such a distance.": lambda f, x: _slopes(
            f, x, h=0.5
        ),
    },
    hints=(
        "One entry at a time: a little up, a little down, and the difference over the distance.",
        "x of any shape -> an array of that shape; f gives a number",
        "for place in np.ndindex(x.shape):\n    up, down = <two copies of x, moved at that place>\n"
        "    result[place] = (f(up) - f(down)) / <their distance>",
    ),
    minutes=10,
    difficulty=2,
    tolerance=1e-7,
)
