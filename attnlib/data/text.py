"""Words of short informal texts as numbers: a tokeniser and a vocabulary."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from attnlib._checks import check_positive

__all__ = ["Vocabulary", "tokenize"]

# Each line is one kind of token, tried in this order at every place of the text.
_TOKEN = re.compile(
    r"""
    https?://\S+ | [@#]\w+                        # addresses, user names, topics
  | [<>]?[:;=]['^-]?[()\[\]dp3o*/\\|]+(?!\w)      # :) ;-) =D :'(
  | (?<!\w)[(\[]['^-]?[:;=](?!\w)                 # (:
  | </?3+(?!\d) | \^_*\^ | -_+- | (?<!\w)[xd][:d]+(?!\w)   # <3 ^_^ -_- xD D:
  | \d+(?:[.,:/]\d+)+                             # 1,000  10:30
  | n't(?!\w) | '(?:s|m|d|re|ve|ll)(?!\w)         # the ends of don't, it's, we'll
  | [^\W\d_]+?(?=n't(?!\w))                       # the beginning of don't
  | (?:[^\W\d_]\.){2,} | [^\W_]+                  # u.s. and words
  | [!?]+ | \.{2,} | ''                           # emphasis, hesitation, quotation marks
  | \S                                            # any other mark, emoji among them
    """,
    re.VERBOSE,
)


def tokenize(text: str) -> list[str]:
    """Words, emoticons and punctuation of a text, in lower case.

    Signs of sentiment stay whole: `:-)`, `<3`, the `n't` of a negation, and up to three
    exclamation or question marks.

    Args:
        text: one sentence or tweet.

    Returns:
        list of tokens; empty for a text of white space

    >>> tokenize("Isn't it GREAT!!!! :-)")
    ['is', "n't", 'it', 'great', '!!!', ':-)']
    """
    tokens = _TOKEN.findall(text.lower().replace("’", "'"))
    return [token[:3] if token[0] in "!?." else token for token in tokens]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The numbers of the tokens of one training set.

    Number 0 pads short texts and number 1 stands for every token that training has not seen.
    Build it from the training part alone: a vocabulary that has seen the test part leaks.

    Args:
        tokens: all tokens; the place of a token is its number.

    >>> vocabulary = Vocabulary.build(["good film", "a good plot"], min_count=1)
    >>> vocabulary.tokens
    ('<pad>', '<unknown>', 'good', 'a', 'film', 'plot')
    >>> vocabulary.encode(["good film", "good bad plot"])
    (tensor([[2, 4, 0],
            [2, 1, 5]]), tensor([2, 3]))
    """

    tokens: tuple[str, ...]

    padding: ClassVar[int] = 0
    unknown: ClassVar[int] = 1

    @classmethod
    def build(cls, texts: Iterable[str], *, min_count: int = 2) -> Self:
        """Vocabulary of the tokens that occur at least `min_count` times, the most frequent first.

        Args:
            texts: the training part.
            min_count: occurrences a token needs.

        Returns:
            Vocabulary

        Raises:
            TypeError: texts is one string.
            ValueError: min_count below 1.
        """
        _check_texts("Vocabulary.build", texts)
        check_positive("Vocabulary.build", min_count=min_count)
        counts = Counter(token for text in texts for token in tokenize(text))
        kept = sorted(
            (token for token, count in counts.items() if count >= min_count),
            key=lambda token: (-counts[token], token),  # equal counts: alphabetical, so always so
        )
        return cls(("<pad>", "<unknown>", *kept))

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(
        self, texts: Sequence[str], *, max_length: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Numbers of the tokens of each text, padded to the longest.

        Args:
            texts: B texts.
            max_length: tokens kept of a longer text, from its beginning; None keeps all.

        Returns:
            (B, L) int64, the numbers, 0 behind the end of a text; (B,) int64, tokens of each text

        Raises:
            TypeError: texts is one string.
            ValueError: max_length below 1.
        """
        _check_texts("Vocabulary.encode", texts)
        if max_length is not None:
            check_positive("Vocabulary.encode", max_length=max_length)
        numbers = {token: number for number, token in enumerate(self.tokens)}
        rows = [
            [numbers.get(token, self.unknown) for token in tokenize(text)[:max_length]]
            for text in texts
        ]
        lengths = torch.tensor([len(row) for row in rows], dtype=torch.int64)
        width = max(map(len, rows), default=0)
        padded = [row + [self.padding] * (width - len(row)) for row in rows]
        return torch.tensor(padded, dtype=torch.int64).reshape(len(rows), width), lengths

    def decode(self, numbers: Iterable[int] | Tensor) -> list[str]:
        """Tokens of the numbers, without padding.

        Args:
            numbers: (L,)

        Returns:
            list of tokens
        """
        return [self.tokens[n] for n in map(int, numbers) if n != self.padding]


def _check_texts(owner: str, texts: object) -> None:
    if isinstance(texts, str):  # would be read as a list of letters, silently
        raise TypeError(f"{owner}: got one string, expected a list of texts; write [text]")
