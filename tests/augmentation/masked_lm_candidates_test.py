import numpy as np
import pytest
from tiny_augmentation import make_masked_lm

from tinybert_tf.augmentation import masked_lm_candidates
from tinybert_tf.augmentation.masked_lm_candidates import MaskedWords, compute_top_tokens, is_word
from tinybert_tf.augmentation.text_words import find_words
from tinybert_tf.data import BertTokenizer
from tinybert_tf.models import Vocabulary

TEXTS = ["a b, c", "d", "ab ba cd a b c d e f g h", "E f (g) H"] + [" ".join("abcdefghij" * 5)]


def asked_words(masked_lm, texts=TEXTS, max_length=64):
    words = find_words(texts, masked_lm.vocabulary, ())
    asked = np.flatnonzero(words.replaceable & (words.num_pieces == 1))
    return words, asked, MaskedWords(words, asked, masked_lm.vocabulary, max_length)


def alone(masked_lm, pieces, place, max_length):
    """Logits of one masked piece of a text, as the definition says it."""
    room = (max_length - 3) // 2
    start = min(max(place - room // 2, 0), max(len(pieces) - room, 0))
    window, vocabulary = pieces[start : start + room], masked_lm.vocabulary
    masked = list(window)
    masked[place - start] = vocabulary.tokens.index("[MASK]")
    first = [vocabulary.cls_id, *masked, vocabulary.sep_id]
    second = [*window, vocabulary.sep_id]
    ids = np.array([[*first, *second]])
    segments = np.array([[0] * len(first) + [1] * len(second)])
    inputs = {"token_ids": ids, "segment_ids": segments, "padding_mask": np.ones_like(ids)}
    return masked_lm(inputs)["logits"].numpy()[0, 1 + place - start]


def all_alone(masked_lm, words, asked, max_length):
    """Logits of each word asked for, one at a time."""
    text_pieces = BertTokenizer(masked_lm.vocabulary).tokenize(TEXTS).to_list()
    found = []
    for word in asked:
        text = words.text[word]
        before = words.num_pieces[:word][words.text[:word] == text].sum()
        found.append(alone(masked_lm, text_pieces[text], int(before), max_length))
    return np.array(found)[:, : len(masked_lm.vocabulary)]


@pytest.mark.parametrize("max_length", [64, 15, 6])
def test_top_tokens_are_those_of_each_word_alone(masked_lm, max_length, monkeypatch):
    monkeypatch.setattr(masked_lm_candidates, "_TOKENS_AT_ONCE", 100)
    words, asked, rows = asked_words(masked_lm, max_length=max_length)
    logits = all_alone(masked_lm, words, asked, max_length)
    found = np.full([len(asked), 9], -1)
    for numbers, top in compute_top_tokens(masked_lm, rows, 9):
        found[numbers] = top
    assert rows.num_batches > 2
    np.testing.assert_array_equal(found, np.argsort(-logits, axis=1)[:, :9])


def test_masked_tokens_are_those_of_the_whole_model():
    masked_lm, random = make_masked_lm(), np.random.default_rng(0)
    inputs = {name: random.integers(0, 2, (3, 9)) for name in ("segment_ids", "padding_mask")}
    inputs |= {"token_ids": random.integers(0, 50, (3, 9))}
    inputs |= {"masked_positions": np.array([[0, 5], [8, 8], [3, 1]])}
    logits, actual = masked_lm(inputs)["logits"], masked_lm.predict_masked(inputs)
    np.testing.assert_allclose(actual, logits, rtol=0, atol=1e-5)
    assert actual.shape == (3, 2, masked_lm.config.vocabulary_size)
    assert np.abs(logits).max() > 0.1


def test_batches_have_no_padding(masked_lm, monkeypatch):
    monkeypatch.setattr(masked_lm_candidates, "_TOKENS_AT_ONCE", 64)
    _, asked, rows = asked_words(masked_lm)
    batches = [rows.batch(number) for number in range(rows.num_batches)]
    assert sorted(np.concatenate([rows for rows, _ in batches])) == [*range(len(asked))]
    ids = [inputs["token_ids"] for _, inputs in batches]
    assert not any((row == masked_lm.vocabulary.pad_id).any() for row in ids)
    assert all(len(row) == 1 or row.size <= 64 for row in ids)
    assert len({row.shape[1] for row in ids}) == len({len(text.split()) for text in TEXTS})


def test_weights_beyond_what_a_graph_holds(masked_lm, monkeypatch):
    rows = asked_words(masked_lm)[-1]
    constant = [top for _, top in compute_top_tokens(masked_lm, rows, 3)]
    monkeypatch.setattr(masked_lm_candidates, "_MOST_CONSTANT_BYTES", 1)
    for top, expected in zip(compute_top_tokens(masked_lm, rows, 3), constant, strict=True):
        np.testing.assert_array_equal(top[1], expected)


def test_weights_of_today(masked_lm):
    rows = asked_words(masked_lm)[-1]
    before = np.concatenate([top for _, top in compute_top_tokens(masked_lm, rows, 3)])
    table = masked_lm.encoder.embeddings.token_embedding.embeddings
    old = table.numpy()
    table.assign(old[::-1])
    after = np.concatenate([top for _, top in compute_top_tokens(masked_lm, rows, 3)])
    table.assign(old)
    assert (before != after).any()


def test_computing_goes_on(masked_lm, monkeypatch):
    monkeypatch.setattr(masked_lm_candidates, "_TOKENS_AT_ONCE", 100)
    rows = asked_words(masked_lm)[-1]
    whole = [top for _, top in compute_top_tokens(masked_lm, rows, 3)]
    rest = [top for _, top in compute_top_tokens(masked_lm, rows, 3, first_batch=2)]
    assert len(whole) == len(rest) + 2
    for actual, expected in zip(rest, whole[2:], strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_no_words(masked_lm):
    rows = asked_words(masked_lm, ["12, 3"])[-1]
    assert rows.num_batches == 0
    assert list(compute_top_tokens(masked_lm, rows, 3)) == []


def test_which_tokens_are_words():
    tokens = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##b", "[unused0]", "[", "]")
    kept = [token in ("a", "[", "]") for token in tokens]
    assert is_word(Vocabulary(tokens)).tolist() == kept
    assert is_word(Vocabulary(tokens), keep_special=True).tolist() == [t != "##b" for t in tokens]
