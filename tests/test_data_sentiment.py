"""The VADER sets: cleaning on a small archive, and facts of the real one."""

import ast
import copy
import io
import tarfile

import numpy as np
import pytest
import torch

from attnlib.data import (
    Vocabulary,
    fetch_set,
    find_sets,
    near_duplicates,
    read_member,
    sentiment,
    vader,
)

INNER = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
NAMES = ["movies", "tweets", "amazon", "nyt"]


# --- cleaning, without the real archive --------------------------------------------------------


def tar(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """Puts an archive with the given lines in place of the real one."""

    def build(name: str, *lines: str) -> None:
        file = f"hutto_ICWSM_2014/{sentiment._FILES[name]}_GroundTruth.txt"
        (tmp_path / "a").write_bytes(tar(INNER, tar(file, "\r\n".join(lines).encode())))
        found = find_sets(f"vader-{name}")[0], tmp_path / "a"
        monkeypatch.setattr(sentiment, "fetch_set", lambda _: found)

    return build


def test_a_line_becomes_text_score_label_and_group(archive):
    archive("amazon", "7_1\t-1.5\tbad  phone .", "7_2\t2\tgood &amp; cheap", "8_1\t1\tB&amp;amp;W")
    data = vader("amazon")
    assert data.name == "vader-amazon"
    assert data.texts == ("bad phone .", "good & cheap", "B&W")
    assert data.scores.tolist() == [-1.5, 2.0, 1.0]
    assert data.scores.dtype == torch.float32
    assert data.labels.tolist() == [0, 1, 1]
    assert data.labels.dtype == torch.int64
    assert data.groups.tolist() == [7, 7, 8]
    assert data.majority == pytest.approx(2 / 3)
    assert len(data) == 3


def test_repeated_and_wordless_and_neutral_rows_are_left_out_and_counted(archive):
    archive(
        "tweets",
        "1\t2\tgood", "2\t-2\tgood", "3\t1\tgood ", "4\t1\t!", "5\t1\t...", "6\t0.25\tso so",
        "7\t-0.1\tmeh", "8\t-0.26\tnot great", "9\t1\t:D",
    )  # fmt: skip
    data = vader("tweets")
    assert data.texts == ("good", "not great", ":D")
    assert data.groups.tolist() == [1, 8, 9]
    assert data.dropped == (2, 2, 2)
    assert data.dropped._fields == ("repeated", "wordless", "neutral")


@pytest.mark.parametrize(("neutral", "kept"), [(None, 4), (0, 3), (0.0, 3), (0.5, 2), (1, 0)])
def test_the_neutral_band_includes_its_ends(archive, neutral, kept):
    archive("tweets", "1\t0\ta", "2\t0.5\tb", "3\t-0.75\tc", "4\t1\td")
    data = vader("tweets", neutral=neutral)
    assert len(data) == kept
    assert data.dropped.neutral == 4 - kept


def test_zero_counts_as_negative_and_the_majority_may_be_negative(archive):
    archive("tweets", "1\t0\ta", "2\t0.5\tb", "3\t-0.75\tc")
    data = vader("tweets", neutral=None)
    assert data.labels.tolist() == [0, 1, 0]
    assert data.majority == pytest.approx(2 / 3)


def test_the_band_moves_no_row_to_another_part(archive):
    archive("tweets", *(f"{n}\t{n % 5 - 2}\ttext{n}" for n in range(100)))
    all_rows, outside = vader("tweets", neutral=None), vader("tweets", neutral=1)
    parts = dict(zip(all_rows.texts, all_rows.parts.tolist(), strict=True))
    assert [parts[text] for text in outside.texts] == outside.parts.tolist()
    assert (len(all_rows), len(outside)) == (100, 40)


def test_a_set_is_short_when_shown_and_can_be_copied_but_not_changed(archive):
    archive("nyt", "1_1\t2\tgood", "1_2\t-2\tbad", "2_1\t1\tfine")
    data = vader("nyt")
    assert repr(data) == "SentimentSet(vader-nyt: 3 texts, majority 0.667)"
    assert copy.deepcopy(data).texts == data.texts
    with pytest.raises(AttributeError, match="texts"):
        data.texts = ()


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("movie", {}, r"no set 'movie', expected one of movies, .*; write vader\('movies'\)"),
        ("vader-tweets", {}, r"no set 'vader-tweets'.*write vader\('tweets'\)"),
        (3, {}, "no set 3, expected one of movies, tweets, amazon, nyt"),
        ("movies", {"neutral": -0.1}, r"got neutral=-0.1, expected rating units in \[0, 4\)"),
        ("movies", {"neutral": 4}, r"got neutral=4, expected rating units in \[0, 4\)"),
    ],
)
def test_errors(name, options, words):
    with pytest.raises(ValueError, match=f"^vader: {words}"):
        vader(name, **options)


# --- the real archive --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sets():
    return {name: vader(name, neutral=None) for name in NAMES}


@pytest.mark.network
@pytest.mark.parametrize("name", NAMES)
def test_the_file_has_the_rows_of_the_catalogue(sets, name):
    data = sets[name]
    assert len(data) + sum(data.dropped) == find_sets(f"vader-{name}")[0].rows


@pytest.mark.network
@pytest.mark.parametrize(
    ("name", "dropped", "groups"),
    [
        ("movies", (2, 0, 245), 10_603),
        ("tweets", (0, 0, 430), 4_200),
        ("amazon", (9, 4, 529), 300),
        ("nyt", (72, 0, 1_457), 498),
    ],
)
def test_dropped_rows_and_groups_are_those_that_were_counted(sets, name, dropped, groups):
    assert vader(name).dropped == dropped
    assert len(sets[name].groups.unique()) == groups


@pytest.mark.network
@pytest.mark.parametrize("name", NAMES)
def test_scores_are_ratings_and_texts_are_clean(sets, name):
    data = sets[name]
    assert data.scores.abs().max() <= 4
    assert all(text == " ".join(text.split()) and "&amp;" not in text for text in data.texts)
    assert len(set(data.texts)) == len(data)


@pytest.mark.network
@pytest.mark.parametrize("name", NAMES)
def test_no_group_and_no_near_duplicate_lies_in_two_parts(sets, name):
    data = sets[name]
    parts = [set(part.groups.tolist()) for part in (data.train, data.validation, data.test)]
    assert parts[0].isdisjoint(parts[1] | parts[2])
    assert parts[1].isdisjoint(parts[2])
    assert all(data.parts[i] == data.parts[j] for i, j in near_duplicates(data.texts))


@pytest.mark.network
@pytest.mark.parametrize("name", NAMES)
def test_the_parts_make_up_the_whole_in_the_stated_shares(sets, name):
    data = sets[name]
    parts = data.train, data.validation, data.test
    assert sum(map(len, parts)) == len(data)
    for part, share in zip(parts, (0.7, 0.1, 0.2), strict=True):
        assert len(part) / len(data) == pytest.approx(share, abs=0.01)
        assert set(part.labels.tolist()) == {0, 1}
    assert torch.equal(data.test.scores, data.scores[data.parts == 2])


@pytest.mark.network
@pytest.mark.parametrize("name", ["amazon", "nyt"])
def test_with_the_default_band_a_second_panel_changes_fewer_than_one_label_in_a_hundred(name):
    _, path = fetch_set(f"vader-{name}")
    file = f"hutto_ICWSM_2014/{sentiment._FILES[name]}_anonDataRatings.txt"
    lines = read_member(path, INNER, file).decode("utf-8-sig").splitlines()
    ratings = np.array([ast.literal_eval(line.split("\t")[3]) for line in lines])
    means = ratings.mean(axis=1)
    assert ratings.shape[1] == 20
    random = np.random.default_rng(0)
    changed = np.zeros(len(means))
    for _ in range(50):
        panel = random.integers(0, 20, ratings.shape)
        changed += np.take_along_axis(ratings, panel, axis=1).mean(axis=1) * means <= 0
    outside = np.abs(means) > 0.25
    assert changed[outside].mean() / 50 < 0.01
    assert changed[means != 0].mean() / 50 > 0.02  # without a band, more


@pytest.mark.network
def test_most_tokens_of_the_test_part_are_known_from_training(sets):
    train, test = sets["movies"].train, sets["movies"].test
    vocabulary = Vocabulary.build(train.texts)
    tokens, lengths = vocabulary.encode(test.texts)
    assert (tokens == Vocabulary.unknown).sum() / lengths.sum() < 0.15
    assert lengths.min() >= 1
