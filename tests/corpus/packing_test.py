import dataclasses

import numpy as np
import pytest

from tinybert_tf.corpus.packing import _trim, pack

MOST = 37
LENGTH = MOST + 3


@dataclasses.dataclass
class Text:
    """Stands in for `Shard`; ids count from 0, so that a token's id is its place."""

    sentence_lengths: np.ndarray
    document_sizes: np.ndarray

    @property
    def documents(self):
        """The lengths of the sentences, document by document."""
        return np.split(self.sentence_lengths, np.cumsum(self.document_sizes)[:-1])

    @property
    def ids(self):
        return np.arange(self.sentence_lengths.sum())

    def document_of(self, token):
        ends = np.cumsum([document.sum() for document in self.documents])
        return np.searchsorted(ends, token, side="right")


def make_text(seed=0, documents=60, longest=15, most_sentences=40):
    random = np.random.default_rng(seed)
    sizes = random.integers(1, most_sentences + 1, documents)
    return Text(random.integers(1, longest + 1, sizes.sum()), sizes)


def one_each(*sizes):
    """Documents of sentences of one token."""
    return Text(np.ones(sum(sizes), int), np.array(sizes, int))


def packed(text, seed=0, max_length=LENGTH, **settings):
    """Pairs in the order of their segments A."""
    pairs = pack(text, max_length, np.random.default_rng(seed), **settings)
    return pairs[np.argsort(pairs[:, 0])]


def trim_by_token(a, b, most, random):
    while len(a) + len(b) > most:
        longer = a if len(a) > len(b) else b
        longer.pop(0 if random.random() < 0.5 else -1)


def pack_by_token(text, most, random, short_probability=0.1):
    """The definition, read word for word: lists of tokens, with what was drawn for each pair."""
    tokens = iter(range(text.sentence_lengths.sum()))
    documents = [
        [[next(tokens) for _ in range(length)] for length in document]
        for document in text.documents
    ]
    for index, document in enumerate(documents):
        target = most
        if random.random() < short_probability:
            target = random.integers(2, most, endpoint=True)
        chunk, place = [], 0
        while place < len(document):
            chunk.append(document[place])
            if place == len(document) - 1 or sum(map(len, chunk)) >= target:
                split = random.integers(1, len(chunk) - 1, endpoint=True) if chunk[1:] else 1
                a = sum(chunk[:split], [])
                b = sum(chunk[split:], [])
                is_random = not b or random.random() < 0.5
                if is_random:
                    other = index
                    while other == index:
                        other = random.integers(len(documents))
                    b = []
                    for sentence in documents[other][random.integers(len(documents[other])) :]:
                        b += sentence
                        if len(b) >= target - len(a):
                            break
                    place -= len(chunk) - split
                trim_by_token(a, b, most, random)
                yield a, b, is_random
                chunk = []
            place += 1


def describe(pairs, from_elsewhere):
    """Mean properties of pairs `(start, length, start, length)`."""
    lengths = pairs[:, 1] + pairs[:, 3]
    return {
        "pairs": len(pairs),
        "random": np.mean(from_elsewhere),
        "length": np.mean(lengths),
        "spread": np.std(lengths),
        "full": np.mean(lengths == MOST),
        "short": np.mean(lengths < MOST // 2),
        "a": np.mean(pairs[:, 1]),
        "a_spread": np.std(pairs[:, 1]),
        "b": np.mean(pairs[:, 3]),
        "b_of_random": np.mean(pairs[from_elsewhere, 3]),
        "start_b": np.mean(pairs[from_elsewhere, 2]),
    }


def packed_properties(text, seed):
    pairs = packed(text, seed)
    return describe(pairs, text.document_of(pairs[:, 0]) != text.document_of(pairs[:, 2]))


def properties_by_token(text, seed):
    found = list(pack_by_token(text, MOST, np.random.default_rng(seed)))
    pairs = np.array([(a[0], len(a), b[0], len(b)) for a, b, _ in found])
    return describe(pairs, np.array([is_random for _, _, is_random in found]))


def test_pairs_are_distributed_as_the_definition_says():
    text = make_text(longest=12)
    ours, expected = (
        [list(describe_one(text, seed).values()) for seed in range(60)]
        for describe_one in (packed_properties, properties_by_token)
    )
    error = np.sqrt((np.var(ours, axis=0) + np.var(expected, axis=0)) / 60)
    assert np.all(error > 0)
    difference = (np.mean(ours, axis=0) - np.mean(expected, axis=0)) / error
    assert np.abs(difference).max() < 4, difference


@pytest.mark.parametrize("most", [5, 6, 13])
def test_trimming_is_that_of_one_token_at_a_time(most):
    sizes = np.stack(np.meshgrid(np.arange(1, 30), np.arange(1, 30)), axis=-1).reshape(-1, 2)
    random = np.random.default_rng(0)
    trimmed = _trim(0 * sizes[:, 0], sizes[:, 0], 0 * sizes[:, 1], sizes[:, 1], most, random)
    for (length_a, length_b), pair in zip(sizes, trimmed, strict=True):
        a, b = list(range(length_a)), list(range(length_b))
        trim_by_token(a, b, most, random)
        assert (len(a), len(b)) == (pair[1], pair[3])


def test_trimming_takes_from_front_and_back_alike():
    many = np.ones(4000, int)
    start_a, _, start_b, _ = _trim(0 * many, 25 * many, 0 * many, 16 * many, 20, np_random()).T
    for start, lost in ((start_a, 15), (start_b, 6)):
        counts = np.bincount(start, minlength=lost + 1)
        assert len(counts) == lost + 1
        assert start.mean() == pytest.approx(lost / 2, abs=0.1)
        assert start.var() == pytest.approx(lost / 4, rel=0.1)


def np_random():
    return np.random.default_rng(0)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("longest", [1, 4, 15, 90])
def test_pairs_fit_and_no_segment_is_empty(seed, longest):
    pairs = packed(make_text(seed, longest=longest), seed)
    assert pairs.dtype == np.int64
    assert pairs[:, [1, 3]].min() >= 1
    assert (pairs[:, 1] + pairs[:, 3]).max() == MOST


@pytest.mark.parametrize("longest", [1, 15, 90])
def test_a_segment_stays_in_its_document(longest):
    text = make_text(longest=longest)
    for start, length in (packed(text)[:, :2].T, packed(text)[:, 2:].T):
        np.testing.assert_array_equal(text.document_of(start), text.document_of(start + length - 1))


def test_every_sentence_is_in_one_pair():
    """Sentences of one token: nothing is trimmed."""
    text = make_text(longest=1)
    pairs = packed(text)
    follows = pairs[:, 2] == pairs[:, 0] + pairs[:, 1]
    uses = np.zeros(len(text.ids), int)
    for a, length_a, b, length_b in pairs:
        uses[a : a + length_a] += 1
        if text.document_of(a) == text.document_of(b):
            uses[b : b + length_b] += 1
    assert 0.3 < follows.mean() < 0.7
    assert set(uses) == {1}


def test_sentences_longer_than_a_pair_are_cut_in_the_middle_too():
    text = Text(np.full(400, 100), np.full(40, 10))
    pairs = packed(text)
    assert set(pairs[:, 1]) == {19} and set(pairs[:, 3]) == {18}
    assert 60 > np.median(pairs[:, 0] % 100) > 20


def test_a_next_segment_follows_its_first():
    text = one_each(*[50] * 30)
    pairs = packed(text)
    same = text.document_of(pairs[:, 0]) == text.document_of(pairs[:, 2])
    np.testing.assert_array_equal(pairs[same, 2], pairs[same, 0] + pairs[same, 1])


def test_other_documents_and_their_sentences_are_equally_likely():
    text = one_each(20, 20, 20, 20)
    starts = np.concatenate([other_starts(text, seed) for seed in range(300)])
    counts = np.bincount(starts, minlength=60)
    assert len(counts) == 60  # the three others' sentences
    chi_square = np.sum((counts - counts.mean()) ** 2) / counts.mean()
    assert chi_square < 59 + 4 * np.sqrt(2 * 59)


def other_starts(text, seed):
    """Where segments from elsewhere start, for pairs of the first document, without it."""
    pairs = packed(text, seed)
    return pairs[(pairs[:, 0] < 20) & (pairs[:, 2] >= 20), 2] - 20


def test_without_short_targets_only_the_ends_of_documents_are_short():
    text = one_each(*[1000] * 5)
    pairs = packed(text, short_probability=0)
    lengths = pairs[:, 1] + pairs[:, 3]
    near_an_end = 1000 - np.maximum(pairs[:, 0] % 1000, pairs[:, 2] % 1000) <= MOST
    assert set(lengths[~near_an_end]) == {MOST}


def test_short_targets_are_those_of_whole_documents_and_reach_from_two():
    text = one_each(*[200] * 300)
    pairs = packed(text, short_probability=1)
    document = text.document_of(pairs[:, 0])
    length = pairs[:, 1] + pairs[:, 3]
    targets = [int(np.max(length[document == index])) for index in range(300)]
    assert set(targets) == set(range(2, MOST + 1))
    shares = [np.median(length[document == index]) == targets[index] for index in range(300)]
    assert np.mean(shares) > 0.95


def test_documents_come_in_random_order():
    starts = pack(make_text(), LENGTH, np_random())[:, 0]
    assert abs(np.corrcoef(starts, np.arange(len(starts)))[0, 1]) < 0.2


def test_chance_alone_decides():
    text = make_text()
    np.testing.assert_array_equal(packed(text, 3), packed(text, 3))
    assert not np.array_equal(packed(text, 3), packed(text, 4))


@pytest.mark.parametrize("max_length", [8, 9, 128])
def test_documents_of_one_short_sentence(max_length):
    pairs = packed(one_each(1, 1, 1), max_length=max_length)
    assert pairs[:, [0, 1, 3]].tolist() == [[0, 1, 1], [1, 1, 1], [2, 1, 1]]
    assert not np.any(pairs[:, 0] == pairs[:, 2])


def test_the_only_document_gives_both_segments():
    text = one_each(300)
    pairs = packed(text)
    follows = pairs[:, 2] == pairs[:, 0] + pairs[:, 1]
    assert 0 < follows.mean() < 1
    assert (pairs[:, 2] + pairs[:, 3]).max() <= 300


def test_the_only_sentence_is_both_segments():
    assert packed(Text(np.array([4]), np.array([1]))).tolist() == [[0, 4, 0, 4]]


def test_no_document_gives_no_pair():
    assert packed(one_each()).shape == (0, 4)
