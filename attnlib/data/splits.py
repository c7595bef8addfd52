"""Fixed splits that leak nothing: whole groups, and near duplicates together."""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Sequence

__all__ = ["group_split", "near_duplicates"]


def near_duplicates(texts: Sequence[str], similarity: float = 0.75) -> list[tuple[int, int]]:
    """Pairs of texts that consist of nearly the same words.

    |A & B| / |A | B| >= similarity, for the sets A and B of the words of two texts.
    Case, punctuation, user names and addresses do not count; a text without words has no pair.

    Args:
        texts: N texts.
        similarity: Jaccard similarity of the words, in (0, 1].

    Returns:
        pairs (i, j) of places with i < j

    Raises:
        ValueError: similarity outside (0, 1].

    Reference: Chaudhuri, Ganti & Kaushik 2006, "A primitive operator for similarity joins in data
    cleaning" (the prefix filter)

    >>> near_duplicates(["Yay. Another good interview", "YAY! Another GOOD interview!!", "Good"])
    [(0, 1)]
    """
    if not 0 < similarity <= 1:
        raise ValueError(
            f"near_duplicates: got similarity={similarity}, expected a share of common words in "
            f"(0, 1]; write similarity=0.75"
        )
    words = [
        frozenset(re.findall(r"\w+", re.sub(r"@\w+|https?://\S+", "", t.lower()))) for t in texts
    ]
    frequency = Counter(word for row in words for word in row)
    pairs = []
    rows_with = defaultdict(list)
    for j, row in enumerate(words):
        # Similar sets share at least one of these rarest words, so few pairs are compared.
        rarest = sorted(row, key=lambda word: (frequency[word], word))
        prefix = rarest[: int(len(row) * (1 - similarity) + 1e-9) + 1]
        for i in sorted({i for word in prefix for i in rows_with[word]}):
            if len(row & words[i]) >= similarity * len(row | words[i]):
                pairs.append((i, j))
        for word in prefix:
            rows_with[word].append(j)
    return pairs


def group_split(
    groups: Sequence[int], texts: Sequence[str], shares: Sequence[float] = (0.7, 0.1, 0.2)
) -> list[int]:
    """Part of each row, such that no group and no near duplicate lies in two parts.

    Groups are put in the order of a hash of their number and cut by their rows, so the split is
    random in effect and yet the same in every version of Python, torch and NumPy.

    Args:
        groups: N numbers of groups, such as the review a sentence comes from.
        texts: N texts; groups that share a near duplicate are treated as one.
        shares: fraction of the rows of each part, summing to 1; met up to the size of one group.

    Returns:
        N numbers of parts, from 0

    Raises:
        ValueError: unequal numbers of groups and texts, or shares that do not sum to 1.

    >>> group_split([1, 1, 2, 3], ["good film", "bad plot", "a joy", "Bad plot!"], [0.5, 0.5])
    [0, 0, 1, 0]
    """
    if len(groups) != len(texts):
        raise ValueError(
            f"group_split: got {len(groups)} groups and {len(texts)} texts, expected one group a "
            f"text; pass both from the same rows"
        )
    if min(shares, default=0) < 0 or abs(sum(shares) - 1) > 1e-6:
        raise ValueError(
            f"group_split: got shares={tuple(shares)}, expected fractions that sum to 1; "
            f"write (0.7, 0.1, 0.2)"
        )
    parent = {group: group for group in groups}

    def root(group: int) -> int:
        while parent[group] != group:
            parent[group] = group = parent[parent[group]]
        return group

    for i, j in near_duplicates(texts):
        a, b = root(groups[i]), root(groups[j])
        parent[max(a, b)] = min(a, b)
    rows = Counter(root(group) for group in groups)
    part_of, part, filled, full = {}, 0, 0, shares[0] * len(groups)
    for group in sorted(rows, key=_digest):
        # The group goes to the next part when its middle lies beyond the end of this one.
        while part < len(shares) - 1 and filled + rows[group] / 2 > full:
            part += 1
            full += shares[part] * len(groups)
        part_of[group] = part
        filled += rows[group]
    return [part_of[root(group)] for group in groups]


def _digest(group: int) -> bytes:
    return hashlib.sha256(str(group).encode()).digest()
