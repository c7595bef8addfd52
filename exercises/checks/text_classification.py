"""Exercises of "Text classification"."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from attnlib import attention, padding_mask
from attnlib.checker import Exercise
from exercises.checks import normal

# ---------------------------------------------------------------- majority baseline


def _share(labels: Tensor, label: Tensor | int) -> float:
    return (labels == label).double().mean().item()


def _rarest(labels: Tensor) -> Tensor:
    kinds, counts = labels.unique(return_counts=True)
    return kinds[counts.argmin()]


def _rounded_mean(train_labels: Tensor, test_labels: Tensor) -> float:
    return _share(test_labels, train_labels.double().mean().round().long())


def _labels(train: list[int], test: list[int]) -> tuple[Tensor, Tensor]:
    return torch.tensor(train), torch.tensor(test)


majority_accuracy = Exercise(
    "text-classification/majority-accuracy",
    lambda train_labels, test_labels: _share(test_labels, train_labels.mode().values),
    [
        _labels([1, 1, 0], [0, 1, 0, 0]),
        _labels([0, 0, 1], [0, 0, 1, 0]),
        _labels([0, 0, 0, 0, 1], [1, 1, 0]),
        _labels([2, 0, 2, 0, 2, 0, 0], [2, 2, 0, 0, 2, 2, 1]),
    ],
    {
        "You take the most frequent label of the test part. Whoever predicts has not seen these "
        "labels; all choices come from the training part.": lambda train_labels, test_labels: (
            _share(test_labels, test_labels.mode().values)
        ),
        "The label is right, but you measure it on the training part. A baseline is reported on "
        "the same texts as the models it is compared "
        "with.": lambda train_labels, test_labels: _share(train_labels, train_labels.mode().values),
        "You choose the label from both parts together. The test part then has a say in its own "
        "prediction.": lambda train_labels, test_labels: _share(
            test_labels, torch.cat([train_labels, test_labels]).mode().values
        ),
        "You always say 1. Which label is the frequent one differs from data set to data set: "
        "count.": lambda train_labels, test_labels: _share(test_labels, 1),
        "You name the rarest label of the training part. Look at which end of the counts you "
        "take.": lambda train_labels, test_labels: _share(test_labels, _rarest(train_labels)),
        "You round the mean of the labels. With labels 0 and 1 that finds the majority; with the "
        "labels 0 and 2 it may name 1, which hardly anything "
        "has. Labels are names: count them.": _rounded_mean,
        "You return how many are right. An accuracy is a share, between 0 and "
        "1.": lambda train_labels, test_labels: float(
            (test_labels == train_labels.mode().values).sum()
        ),
    },
    hints=(
        "Two steps: choose one label from one part, then count it in the other.",
        "train_labels (N,) -> one label; test_labels (M,) == label -> (M,) booleans -> their mean",
        "label = <most frequent label of which part?>\nreturn (<which part?> == label)."
        "float().mean().item()",
    ),
    minutes=5,
)


# ---------------------------------------------------------------- split by review


def _by_review(reviews: Tensor, shuffled: Tensor, share: float) -> Tensor:
    return torch.isin(reviews, shuffled[: round(share * len(shuffled))])


def _marked(size: int, rows: Tensor) -> Tensor:
    mask = torch.zeros(size, dtype=torch.bool)
    mask[rows] = True
    return mask


def _cut_through(reviews: Tensor, shuffled: Tensor, share: float) -> Tensor:
    places = (reviews[:, None] == shuffled).int().argmax(1)
    order = places.argsort(stable=True)
    return _marked(len(reviews), order[: round(share * len(reviews))])


def _split_cases() -> list[tuple[Tensor, Tensor, float]]:
    cases = [
        (torch.tensor([0, 0, 0, 1]), torch.tensor([1, 0]), 0.5),
        (torch.tensor([2, 2, 2, 2, 0, 0, 1, 4, 4]), torch.tensor([4, 2, 0, 1]), 0.5),
    ]
    for seed, (count, size, share) in enumerate(((7, 23, 0.4), (11, 41, 0.25))):
        generator = torch.Generator().manual_seed(seed)
        reviews = torch.randint(count, (size,), generator=generator).sort().values
        reviews[:count] = torch.arange(count)  # every review has a sentence
        shuffled = torch.randperm(count, generator=generator)
        cases.append((reviews.sort().values, shuffled, share))
    return cases


split_by_review = Exercise(
    "text-classification/split-by-review",
    _by_review,
    _split_cases,
    {
        "You cut the rows. Where the cut falls inside a review, its sentences land on both sides: "
        "choose reviews, then look which row belongs to one of "
        "them.": lambda reviews, shuffled, share: _marked(
            len(reviews), torch.arange(round(share * len(reviews)))
        ),
        "You put the rows into the order of the reviews and then cut by rows. That is nearly it, "
        "but the last review may be torn in two: count reviews, not rows.": _cut_through,
        "You use the numbers of reviews as numbers of rows. `shuffled` says which reviews are "
        "tested; which rows have such a review is still to be "
        "found.": lambda reviews, shuffled, share: _marked(
            len(reviews), shuffled[: round(share * len(shuffled))]
        ),
        "The parts are exchanged: you mark the training part. True should mark what is "
        "tested.": lambda reviews, shuffled, share: ~_by_review(reviews, shuffled, share),
        "You take the reviews with the smallest numbers and ignore the shuffled order. Files are "
        "often sorted, by date, product or label; then the parts differ in "
        "kind.": lambda reviews, shuffled, share: _by_review(
            reviews, shuffled.sort().values, share
        ),
        "You take a share of the sentences, but of the list of reviews: there are fewer reviews "
        "than sentences, so too many are tested.": lambda reviews, shuffled, share: torch.isin(
            reviews, shuffled[: round(share * len(reviews))]
        ),
        "`int` cuts off, so the tested part comes out too small: two fifths of seven reviews are "
        "nearer to three than to two.": lambda reviews, shuffled, share: torch.isin(
            reviews, shuffled[: int(share * len(shuffled))]
        ),
    },
    hints=(
        "First a list of tested reviews, then a question to every row: is yours among them?",
        "tested (k,) review numbers\n"
        "reviews (N,)\n"
        "result (N,) booleans; torch.isin asks the question for all rows",
        "tested = shuffled[:<how many reviews?>]\nreturn torch.isin(<what>, <in what>)",
    ),
    minutes=10,
)


# ---------------------------------------------------------------- last state


def _state_at(position) -> Callable[[Tensor, Tensor], Tensor]:
    def pick(states: Tensor, lengths: Tensor) -> Tensor:
        return states[torch.arange(len(states)), position(lengths)]

    return pick


def _real(lengths: Tensor, size: int) -> Tensor:
    return torch.arange(size) < lengths[:, None]  # (B, S)


def _mean_of_real(states: Tensor, lengths: Tensor) -> Tensor:
    real = _real(lengths, states.shape[1])[:, :, None]
    return (states * real).sum(1) / lengths[:, None]


def _numbered(B: int, L: int, width: int) -> Tensor:
    """Every element tells where it stands: 100 times the text, 10 the step, 1 the feature."""
    text, step, feature = torch.arange(B), torch.arange(L), torch.arange(width)
    return (100 * text[:, None, None] + 10 * step[:, None] + feature).float()


last_state = Exercise(
    "text-classification/last-state",
    _state_at(lambda lengths: lengths - 1),
    [
        (_numbered(2, 4, 2), torch.tensor([3, 2])),
        (_numbered(3, 4, 2), torch.tensor([2, 4, 1])),
        (normal(2, 5, 7), torch.tensor([5, 1])),
        (normal(5, 7, 3), torch.tensor([1, 7, 4, 2, 6])),
    ],
    {
        "You take the last step of the batch. For a short text that is a state after padding: "
        "every text ends at its own length.": lambda states, lengths: states[:, -1],
        "One step too late: a text of length 3 has its states at 0, 1 and 2. Step number `length` "
        "is padding already, or does not exist.": _state_at(lambda lengths: lengths),
        "One step too early: the last word has not been read yet. And for a text of one word the "
        "index becomes −1, which is the end of the padding.": _state_at(
            lambda lengths: lengths - 2
        ),
        "That is the first state: it has read a single word.": lambda states, lengths: states[:, 0],
        "Your result has one dimension too many: every text is asked for the steps of all "
        "texts. A colon takes all rows; you want row 0 with length 0, row 1 with length 1: two "
        "lists of indices side by side.": lambda states, lengths: states[:, lengths - 1],
        "`gather` returns as many features as the index has, and yours has one. It must be "
        "expanded to the width of the states.": lambda states, lengths: states.gather(
            1, (lengths - 1)[:, None, None]
        ).squeeze(1),
        "You take the largest value over all steps. That is another summary (max pooling), and "
        "yours lets the padding compete.": lambda states, lengths: states.amax(1),
        "You average the real states. That is a fair summary, but not the one asked for: the last "
        "state alone has read everything.": _mean_of_real,
    },
    hints=(
        "In the first cases the numbers say where they come from: hundreds for the text, tens for "
        "the step. Which tens do you want for lengths 3 and 2?",
        "states (B, L, F); rows torch.arange(B); steps (B,); states[rows, steps] is (B, F)",
        "return states[torch.arange(len(states)), <the last real step of each>]",
    ),
    minutes=8,
)


# ---------------------------------------------------------------- attention pooling


def _pool(query: Tensor, words: Tensor, lengths: Tensor) -> Tensor:
    mask = padding_mask(lengths, words.shape[1])[:, 0]  # (B, 1, S)
    return attention(query.expand(len(words), 1, -1), words, words, mask)[:, 0]


def _scores(query: Tensor, words: Tensor) -> Tensor:
    return words @ query * len(query) ** -0.5  # (B, S)


def _mixed(weights: Callable) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """The sum of the words with weights (B, S) that are made from scores and real places."""

    def pool(query: Tensor, words: Tensor, lengths: Tensor) -> Tensor:
        real = _real(lengths, words.shape[1])
        return (weights(_scores(query, words), real)[:, :, None] * words).sum(1)

    return pool


def _hide(scores: Tensor, hidden: Tensor) -> Tensor:
    return scores.masked_fill(hidden, -torch.inf)


def _unscaled(query: Tensor, words: Tensor, lengths: Tensor) -> Tensor:
    return _pool(query * len(query) ** 0.5, words, lengths)


def _pool_cases() -> list[tuple[Tensor, Tensor, Tensor]]:
    small = torch.tensor([[1.0, 0.0], [0.0, 1.0], [3.0, 3.0]])
    texts = torch.stack((small, small.flip(0)))
    cases = [(torch.tensor([2.0, 0.0]), texts, torch.tensor([2, 3]))]
    for seed, (width, size, lengths) in enumerate(((3, 4, [4, 2]), (5, 7, [1, 7, 3]))):
        words = normal(len(lengths), size, width, seed=seed)
        cases.append((normal(width, seed=seed + 5), words, torch.tensor(lengths)))
    return cases


attention_pooling = Exercise(
    "text-classification/attention-pooling",
    _pool,
    _pool_cases,
    {
        "The padding is attended like any other word, so the summary of a text depends on the "
        "texts it shares a batch with: hide it before the softmax.": _mixed(
            lambda scores, real: scores.softmax(1)
        ),
        "The mask is upside down: you hide the words and keep the padding. A text without padding "
        "then has nothing left, and becomes NaN.": _mixed(
            lambda scores, real: _hide(scores, real).softmax(1)
        ),
        "The padding has weight 0, but the weights of a text no longer sum to one. Its share was "
        "given away in the softmax already: mask first.": _mixed(
            lambda scores, real: scores.softmax(1) * real
        ),
        "A score of 0 is not small: exp(0) is 1, and the padding keeps a share. Which score has "
        "the exponential 0?": _mixed(lambda scores, real: (scores * real).softmax(1)),
        "Your softmax runs over the texts of the batch: they compete for each place. The words of "
        "one text share out one whole.": _mixed(
            lambda scores, real: _hide(scores, ~real).softmax(0)
        ),
        "One padded place is still visible: a text of length 3 has the places 0, 1 and 2. Look at "
        "your comparison.": lambda query, words, lengths: _pool(
            query, words, (lengths + 1).clamp(max=words.shape[1])
        ),
        "You average the real words and never use the query. All words count alike; attention "
        "lets the query decide.": lambda query, words, lengths: _mean_of_real(words, lengths),
        "The scores are not divided by the root of the width. The softmax becomes too sure of "
        "itself, the more so the wider the vectors.": _unscaled,
        "You divide by the width itself. Scores spread like its square root; divided by more, the "
        "weights come out too even.": lambda query, words, lengths: _pool(
            query * len(query) ** -0.5, words, lengths
        ),
        "You divide by the root of the number of words. It is the width of the vectors that the "
        "product sums over.": lambda query, words, lengths: _pool(
            query * (len(query) / words.shape[1]) ** 0.5, words, lengths
        ),
        "These are the weights. They say how much of each word goes into the summary; the words "
        "are still to be mixed.": lambda query, words, lengths: _hide(
            _scores(query, words), ~_real(lengths, words.shape[1])
        ).softmax(1),
        "You multiply the words by their raw scores. Scores may be negative and sum to anything; "
        "the softmax turns them into shares.": _mixed(lambda scores, real: scores * real),
        "You hand over the one word with the highest score. That is a hard choice, which passes "
        "no gradient to the query; mix the words by their weights.": _mixed(
            lambda scores, real: F.one_hot(_hide(scores, ~real).argmax(1), scores.shape[1]).float()
        ),
    },
    hints=(
        "One query and S words give S scores a text. The rest is a masked softmax and a weighted "
        "sum.",
        "words @ query        (B, S, F) @ (F,) -> (B, S)\n"
        "real                 torch.arange(S) < lengths[:, None] -> (B, S)\n"
        "weights              (B, S), rows sum to 1\n"
        "weighted sum         (B, S, 1) * (B, S, F), summed over S -> (B, F)",
        "scores = <product> / math.sqrt(<width>)\n"
        "scores = scores.masked_fill(<where there is padding>, -torch.inf)\n"
        "weights = F.softmax(scores, dim=<the words>)\n"
        "return (weights[:, :, None] * words).sum(<the words>)",
    ),
    minutes=15,
    difficulty=2,
)


# ---------------------------------------------------------------- leave one out

_VERDICTS = {"good": 1.5, "funny": 1.0, "dull": -1.0, "fails": -2.0}


def praise(words: list[str]) -> float:
    """Probability of praise that a toy model gives: verdicts add up, "not" turns the next word."""
    total = 0.0
    for before, word in zip(["", *words], words, strict=False):
        sign = -1 if before in ("not", "never") else 1
        total += sign * _VERDICTS.get(word, 0.0)
    return 1 / (1 + math.exp(-total))


def _effects(praise: Callable, words: list[str]) -> list[float]:
    return [praise(words) - praise(words[:j] + words[j + 1 :]) for j in range(len(words))]


def _against(rest) -> Callable[[Callable, list[str]], list[float]]:
    """Effects that are measured against another rest of the text."""

    def effects(praise: Callable, words: list[str]) -> list[float]:
        return [praise(words) - praise(rest(words, j)) for j in range(len(words))]

    return effects


def _without_first_such(words: list[str], j: int) -> list[str]:
    first = words.index(words[j])
    return words[:first] + words[first + 1 :]


leave_one_out = Exercise(
    "text-classification/leave-one-out",
    _effects,
    [
        (["good"],),
        (["never", "dull"],),
        (["not", "really", "funny"],),
        (["good", "and", "never", "good"],),
        (["not", "funny", "but", "good", "and", "not", "dull"],),
        (["it", "never", "fails", "and", "never", "fails", "to", "fails"],),
    ],
    {
        "The sign is turned. A word that adds to praise should have a positive effect: the answer "
        "with it minus the answer without it.": lambda praise, words: [
            -effect for effect in _effects(praise, words)
        ],
        "You drop the sign. Whether a word speaks for or against is half of what leaving it out "
        "tells, and what attention cannot tell.": lambda praise, words: [
            abs(effect) for effect in _effects(praise, words)
        ],
        "You ask what the model says to the word alone. A word in its sentence is another matter: "
        'look at what "never" does to its neighbour.': lambda praise, words: [
            praise([word]) for word in words
        ],
        "You compare the word alone with the whole text. Wanted is the text without the "
        "word.": _against(lambda words, j: [words[j]]),
        "Every word that reads the same is removed with it. Leave out one place: the two "
        '"good" of a text are different parts of it.': _against(
            lambda words, j: [word for word in words if word != words[j]]
        ),
        "`remove` and `index` find the first word that reads so, which need not be the one at "
        "place j. Cut by place.": _against(_without_first_such),
        "You put something in the place of the word. Its neighbours stay apart, and the model "
        "reads as many words as before: the text should be one word shorter.": _against(
            lambda words, j: [*words[:j], "", *words[j + 1 :]]
        ),
        "You leave out the neighbour: the slice skips place j + 1 instead of place j.": _against(
            lambda words, j: words[: j + 1] + words[j + 2 :]
        ),
        "You never put a word back: the second text lacks two words, the third three. Begin from "
        "the whole text each time.": _against(lambda words, j: words[j + 1 :]),
        "You add the words one after the other and look at each step. What a word adds to the "
        "words before it ignores those that follow.": lambda praise, words: [
            praise(words[: j + 1]) - praise(words[:j]) for j in range(len(words))
        ],
        "You return the answers without each word. The effect is a difference: what was the answer "
        "before?": lambda praise, words: [
            praise(words[:j] + words[j + 1 :]) for j in range(len(words))
        ],
    },
    hints=(
        "Ask the model n + 1 times: once with everything, then once for every place that is left "
        "out.",
        "words[:j] + words[j + 1 :] is a new list without place j; the old one stays as it was.",
        "whole = praise(words)\nreturn [<one difference> for j in range(len(words))]",
    ),
    minutes=12,
    difficulty=2,
    call=lambda answer, words: answer(praise, words),
)
