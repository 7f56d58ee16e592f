import dataclasses
import functools
import re
import types

import numpy as np
import pytest
import tiny
from killing import before_changes
from tiny_augmentation import TOKENS, make_masked_lm

from tinybert_tf.augmentation import Candidates, GloveVectors, candidates, make_candidates
from tinybert_tf.checkpoints.weight_files import write_safetensors
from tinybert_tf.data import BertTokenizer

TEXTS = ["a B, the bcd", "c d e", "A Bcd xyz", "日a", "a B, the bcd", ""]
WORDS = ["bcd", "good", "bad", "x y", "abc"]
GLOVE = GloveVectors(WORDS, np.random.default_rng(0).normal(size=(5, 4)))


def options_of(found, text):
    """Dict of replaceable word to its options."""
    (index,) = found.index_of([text])
    words = found.words_of(index)
    return {text[start:end]: [found.strings[i] for i in ids] for _, start, end, ids in words}


def top_words(masked_lm, pieces, place, count):
    """The likeliest words by the definition, one word at a time and nothing padded."""
    vocabulary = masked_lm.vocabulary
    masked = [*pieces[:place], vocabulary.tokens.index("[MASK]"), *pieces[place + 1 :]]
    cls, sep = vocabulary.cls_id, vocabulary.sep_id
    ids = np.array([[cls, *masked, sep, *pieces, sep]])
    segments = np.array([[0] * (len(pieces) + 2) + [1] * (len(pieces) + 1)])
    inputs = {"token_ids": ids, "segment_ids": segments, "padding_mask": np.ones_like(ids)}
    logits = masked_lm(inputs)["logits"].numpy()[0, 1 + place, : len(vocabulary)]
    top = sorted(np.argsort(-logits)[:count])
    return [vocabulary.tokens[i] for i in top if not vocabulary.tokens[i].startswith("##")]


def assert_equal(actual, expected):
    for field in dataclasses.fields(Candidates):
        one, other = (getattr(each, field.name) for each in (actual, expected))
        assert np.array_equal(one, other), field.name
        assert type(one) is type(other)


@pytest.fixture(scope="module", name="found")
def make_found(masked_lm):
    return make_candidates(TEXTS, masked_lm, GLOVE, count=9)


def test_words_of_one_piece_get_the_masked_lms(masked_lm, found):
    pieces = BertTokenizer(masked_lm.vocabulary).tokenize(["c d e"]).to_list()[0]
    for place, word in enumerate("ce"):  # d is a stop word
        expected = [
            token
            for token in top_words(masked_lm, pieces, 2 * place, 9)
            if token not in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused0]")
        ]
        assert options_of(found, "c d e")[word] == expected


def test_words_of_several_pieces_get_their_neighbors(found):
    assert options_of(found, TEXTS[0])["bcd"] == ["good", "bad", "x y", "abc"]
    assert options_of(found, TEXTS[2])["Bcd"] == ["Good", "Bad", "X y", "Abc"]
    assert options_of(found, TEXTS[2])["xyz"] == ["xyz"]


def test_title_case(found):
    options = options_of(found, TEXTS[0])["B"]
    assert len(options) > 1
    assert all(option[0] == option[0].upper() for option in options)


def test_stop_words_have_no_candidates(masked_lm, found):
    assert options_of(found, TEXTS[0]).keys() == {"B", "bcd"}
    own = make_candidates(TEXTS, masked_lm, stop_words={"b", "bcd"})
    assert options_of(own, TEXTS[0]).keys() == {"a", "the"}


def test_without_vectors_words_of_several_pieces_stay(masked_lm):
    assert options_of(make_candidates(TEXTS, masked_lm), TEXTS[0])["bcd"] == ["bcd"]


def test_what_touches_stays_words(masked_lm):
    found = make_candidates(["日c,日 日"], masked_lm, count=len(TOKENS))
    options = [[found.strings[i] for i in ids] for _, _, _, ids in found.words_of(0)]
    assert options[:2] == [["日"], ["日"]]  # "日" beside "c": of the tokens it alone stays a word
    assert all(len(after) > 50 for after in options[2:])


def test_reference_keeps_special_tokens(masked_lm):
    reference = make_candidates(["c e B"], masked_lm, count=len(TOKENS), compat="reference")
    options = options_of(reference, "c e B")
    assert options.keys() == {"c", "e"}
    assert {"[UNK]", "[unused0]"} <= set(options["c"])
    assert len(options["c"]) == sum(not token.startswith("##") for token in TOKENS)


def test_each_text_once(found):
    assert found.texts == [TEXTS[0], TEXTS[1], TEXTS[2], TEXTS[3], ""]
    assert found.num_words.tolist() == [5, 3, 3, 2, 0]
    assert found.index_of(["", TEXTS[0], ""]).tolist() == [4, 0, 4]


def test_a_text_without_candidates(found):
    with pytest.raises(ValueError, match="no candidates for the text 'new'"):
        found.index_of(["new"])


def test_order_and_company_of_texts_do_not_matter(masked_lm, found):
    other = make_candidates(["c d e e", *TEXTS[::-1]], masked_lm, GLOVE, count=9)
    for text in TEXTS:
        assert options_of(other, text) == options_of(found, text)


def test_save_and_load(found, tmp_path):
    found.save(tmp_path / "file")
    assert_equal(Candidates.load(tmp_path / "file"), found)


def test_nothing_to_save(masked_lm, tmp_path):
    nothing = make_candidates([], masked_lm, path=tmp_path / "file")
    assert_equal(Candidates.load(tmp_path / "file"), nothing)


@pytest.mark.parametrize(
    "change",
    [
        {"options": np.zeros(0, np.int32)},
        {"word_splits": np.array([0, 1])},
        {"starts": None},
        {"word_ids": None},
        {"ends": None},
        {"strings": ["a"]},
        {"texts": ["", "", "", "", ""]},
        {"num_words": np.zeros(2, np.int32)},
        {"option_splits": None},
    ],
    ids=lambda change: next(iter(change)),
)
def test_damaged_files_are_refused(found, tmp_path, change):
    change = {n: getattr(found, n) - 9 if v is None else v for n, v in change.items()}
    dataclasses.replace(found, **change).save(tmp_path / "file")
    with pytest.raises(ValueError, match="holds no candidates"):
        Candidates.load(tmp_path / "file")


def test_other_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="No file"):
        Candidates.load(tmp_path / "file")
    write_safetensors({"weights": np.ones(3)}, tmp_path / "file", {})
    with pytest.raises(ValueError, match="holds no candidates"):
        Candidates.load(tmp_path / "file")


class Interrupted(Exception):
    """Stands for a kill."""


def test_what_was_stopped_goes_on(masked_lm, tmp_path, monkeypatch):
    monkeypatch.setattr(candidates, "_SECONDS_BETWEEN_SAVES", 0)
    texts = [" ".join("bcefgh"[:size]) for size in range(1, 7)] * 2 + ["ab " * 20]
    whole, seen = make_candidates(texts, masked_lm, path=tmp_path / "whole"), []

    def stop(done, count):
        seen.append(done)
        if done == 2:
            raise Interrupted

    with pytest.raises(Interrupted):
        make_candidates(texts, masked_lm, path=tmp_path / "file", on_progress=stop)
    assert {path.name for path in tmp_path.iterdir()} == {"whole", "file.partial"}
    make_candidates(texts, masked_lm, path=tmp_path / "file", on_progress=stop)
    assert seen == [*range(1, 8)]
    assert (tmp_path / "file").read_bytes() == (tmp_path / "whole").read_bytes()
    assert not (tmp_path / "file.partial").exists()
    assert_equal(Candidates.load(tmp_path / "file"), whole)


def test_killed_anywhere_it_goes_on_and_leaves_nothing(masked_lm, tmp_path, monkeypatch):
    monkeypatch.setattr(candidates, "_SECONDS_BETWEEN_SAVES", 0)
    monkeypatch.setattr(candidates, "compute_top_tokens", made_up_tokens)
    texts = [" ".join("bcefgh"[:size]) for size in range(1, 7)] + ["ab " * 20]
    folder, states = tmp_path / "work", []
    folder.mkdir()
    make = functools.partial(make_candidates, texts, masked_lm, path=folder / "file")
    with before_changes(lambda: states.append(tiny.snapshot(folder))):
        make()
    whole = tiny.snapshot(folder)
    names = {name for state in states for name in state}
    assert names == {"file", "file.partial", ".file.new", ".file.partial.new"}
    states = [state for place, state in enumerate(states) if state not in states[:place]]
    assert {"file", "file.partial"} in [state.keys() for state in states]
    for state in states:
        for path in folder.iterdir():
            path.unlink()
        for name, content in state.items():
            (folder / name).write_bytes(content)
        make()
        assert tiny.snapshot(folder) == whole


def made_up_tokens(_, rows, count, first_batch):
    for number in range(first_batch, rows.num_batches):
        numbers, inputs = rows.batch(number)
        top = inputs["masked_positions"][: len(numbers)] + np.arange(count)
        yield numbers, top % len(TOKENS)


def test_what_was_made_of_the_same_is_read(masked_lm, tmp_path, monkeypatch):
    path = tmp_path / "file"
    first = make_candidates(TEXTS, masked_lm, GLOVE, path=path)
    monkeypatch.setattr(candidates, "compute_top_tokens", None)
    for overwrite in (False, True):
        again = make_candidates(TEXTS, masked_lm, GLOVE, path=path, overwrite=overwrite)
        assert_equal(again, first)


@pytest.mark.parametrize("name", ["file", "file.partial"])
def test_what_was_made_of_something_else_is_refused(masked_lm, tmp_path, monkeypatch, name):
    make_candidates(TEXTS, masked_lm, GLOVE, path=tmp_path / name)
    monkeypatch.setattr(candidates, "compute_top_tokens", None)
    before = tiny.snapshot(tmp_path)
    for other in ({"count": 3}, {"stop_words": {"a"}}, {"max_length": 9}):
        make = functools.partial(make_candidates, TEXTS, masked_lm, path=tmp_path / "file")
        with pytest.raises(FileExistsError, match=f"{name} holds candidates of other .* --overwr"):
            make(**other)
        with pytest.raises(TypeError, match="not callable"):
            make(**other, overwrite=True)
    assert tiny.snapshot(tmp_path) == before


def test_half_precision(found):
    masked_lm = make_masked_lm(dtype="bfloat16")
    half = make_candidates(TEXTS, masked_lm, GLOVE, count=9)
    assert half.key != found.key
    same = set(options_of(half, "c d e")["c"]) & set(options_of(found, "c d e")["c"])
    assert len(same) >= 4


def refused(message, *arguments, **settings):
    with pytest.raises(ValueError, match=re.escape(message)):
        make_candidates(TEXTS, *arguments, **settings)


def test_errors(masked_lm):
    refused("adapt one with adapt-mlm", types.SimpleNamespace(problem="classification"))
    refused("the token [MASK]", make_masked_lm(tuple(t for t in TOKENS if t != "[MASK]")))
    refused("`count` is 0", masked_lm, count=0)
    refused('`compat` is "x"', masked_lm, compat="x")
    refused("`max_length` is 4, expected 5 to the model's 64", masked_lm, max_length=4)
    refused("`max_length` is 65", masked_lm, max_length=65)


def test_vectors_of_another_language_are_found_out_at_once(masked_lm, monkeypatch):
    monkeypatch.setattr(candidates, "compute_top_tokens", None)
    unknown = GloveVectors(["q"], np.ones([1, 3]))
    refused('none of the 3 words of several word-pieces, such as "bcd"', masked_lm, unknown)
