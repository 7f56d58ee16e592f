import gzip

import numpy as np
import pytest
from random_models import randomized, tiny_config

from tinybert_tf.checkpoints import load, save
from tinybert_tf.data import BertTokenizer, Examples, Task
from tinybert_tf.export.vocabulary_trimming import (
    compare_vocabularies,
    corpus_texts,
    trim_positions,
    trim_vocabulary,
)
from tinybert_tf.models import (
    BertClassifier,
    BertEncoder,
    BertMaskedLM,
    BertSpanLabeler,
    BertTokenClassifier,
    Vocabulary,
)

LETTERS = [*"abcdefgh"]
WORDS = ["bead", "##ed", "cab", "##bed", "head", "fade"]
OTHERS = ["€", "’", "ж", "##ж", "я", "##я", "水", "½"]
SPECIAL = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
TOKENS = [*SPECIAL, *OTHERS, *WORDS, *LETTERS, *(f"##{letter}" for letter in LETTERS)]
TEXTS = ["a bead", "cab", "headed cab", "bad"]
MODELS = {
    "encoder": BertEncoder,
    "masked_lm": BertMaskedLM,
    "classifier": lambda config, **kwargs: BertClassifier(config, ("no", "yes"), **kwargs),
    "spans": BertSpanLabeler,
    "tags": lambda config, **kwargs: BertTokenClassifier(config, ("B", "O"), **kwargs),
}


def make_model(kind="classifier", **settings):
    config = tiny_config(vocabulary_size=len(TOKENS) + 3)
    settings = {"vocabulary": Vocabulary(tuple(TOKENS))} | settings
    return randomized(MODELS[kind](config, **settings))


def pieces(vocabulary, texts):
    ids = BertTokenizer(vocabulary).tokenize(texts).to_list()
    return [[vocabulary.tokens[number] for number in row] for row in ids]


def inputs(vocabulary, text):
    ids = np.array(BertTokenizer(vocabulary).encode([text], max_length=12)[0].to_list())
    return {"token_ids": ids, "segment_ids": 0 * ids, "padding_mask": 0 * ids + 1}


@pytest.fixture(scope="module", name="model")
def get_model():
    return make_model()


def test_keeps_what_the_texts_need_and_letters_in_the_old_order(model):
    small, report = trim_vocabulary(model, TEXTS)
    gone = {"[unused0]", "##bed", "fade", "ж", "##ж", "я", "##я", "水", "½"}
    assert small.vocabulary.tokens == tuple(token for token in TOKENS if token not in gone)
    assert report == {
        "num_pieces": len(TOKENS),
        "num_kept": len(TOKENS) - 9,
        "saved_weights": (9 + 3) * 16,
    }
    assert small.config.vocabulary_size == len(small.vocabulary)


def test_its_texts_are_split_as_before(model):
    small, _ = trim_vocabulary(model, TEXTS)
    assert pieces(small.vocabulary, TEXTS) == pieces(model.vocabulary, TEXTS)
    assert pieces(small.vocabulary, TEXTS)[2] == ["head", "##ed", "cab"]


@pytest.mark.parametrize("seed", range(3))
def test_random_texts_are_split_as_before(model, seed):
    random = np.random.default_rng(seed)
    texts = ["".join(random.choice([*"abcdefgh", " ", "ж", "!"], 30)) for _ in range(20)]
    small, _ = trim_vocabulary(model, texts)
    assert pieces(small.vocabulary, texts) == pieces(model.vocabulary, texts)


def test_other_words_are_spelled_out(model):
    small, _ = trim_vocabulary(model, TEXTS)
    found = pieces(small.vocabulary, ["faded", "5 €", "я"])
    assert found == [["f", "##a", "##d", "##ed"], ["[UNK]", "€"], ["[UNK]"]]


def test_the_scripts_of_the_texts_are_kept_whole(model):
    kept = trim_vocabulary(model, ["ж", "水 ½"])[0].vocabulary.tokens
    assert {"я", "##я", "ж", "水", "½"} <= set(kept)


def test_rare_pieces_go_when_asked_to(model):
    tokens = trim_vocabulary(model, TEXTS, min_count=2)[0].vocabulary.tokens
    assert [word for word in WORDS if word in tokens] == ["cab"]
    assert set(LETTERS) <= set(tokens)


@pytest.mark.parametrize("kind", MODELS)
def test_every_model_gives_the_same(kind):
    model = make_model(kind)
    small, _ = trim_vocabulary(model, TEXTS)
    name = "sequence_output" if kind == "encoder" else "logits"
    for text in TEXTS:
        before = model(inputs(model.vocabulary, text))[name].numpy()
        after = small(inputs(small.vocabulary, text))[name].numpy()
        if kind == "masked_lm":
            before = before[..., [TOKENS.index(token) for token in small.vocabulary.tokens]]
        np.testing.assert_allclose(after, before, rtol=1e-6, atol=1e-6)
    assert type(small) is type(model)


def test_settings_stay_and_the_model_is_untouched():
    model = make_model(
        vocabulary=Vocabulary(tuple(TOKENS), lower_case=False), dtype="mixed_bfloat16"
    )
    before = [weight.numpy() for weight in model.weights]
    small, _ = trim_vocabulary(model, TEXTS)
    assert (small.labels, small.vocabulary.lower_case) == (model.labels, False)
    assert small.dtype_policy.name == "mixed_bfloat16"
    assert len(model.vocabulary) == len(TOKENS)
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)


def test_a_trimmed_model_is_saved_and_loaded(model, tmp_path):
    small, _ = trim_vocabulary(model, TEXTS)
    save(small, tmp_path / "small")
    loaded = load(tmp_path / "small")
    assert loaded.vocabulary == small.vocabulary and loaded.config == small.config
    for mine, others in zip(loaded.weights, small.weights, strict=True):
        np.testing.assert_array_equal(mine.numpy(), others.numpy())


def test_the_loss_is_told_by_other_texts(model):
    dev = ["cab", "fade a", "水 水"]
    report = trim_vocabulary(model, TEXTS, dev_texts=dev)[1]["dev"]
    # before: cab | fade a | 水 水; after: cab | f ##a ##d ##e a | [UNK] [UNK]
    expected = {"same_texts": 1 / 3, "lost_pieces": 3 / 5}
    expected |= {"unknown_before": 0, "unknown_after": 2 / 8}
    assert report == pytest.approx(expected)


def test_the_same_vocabulary_loses_nothing(model):
    report = compare_vocabularies(model.vocabulary, model.vocabulary, ["fade", "", "я?"])
    assert report["same_texts"] == 1 and report["lost_pieces"] == 0
    assert report["unknown_before"] == report["unknown_after"] == 1 / 3


def test_fewer_positions_give_the_same(model):
    short = trim_positions(model, 5)
    assert short.config.max_sequence_length == 5
    assert short.vocabulary == model.vocabulary
    row = inputs(model.vocabulary, "a bead d")
    np.testing.assert_array_equal(short(row)["logits"], model(row)["logits"])


@pytest.mark.parametrize("length", [2, 13])
def test_positions_have_limits(model, length):
    with pytest.raises(ValueError, match=f"is {length}, expected 3 to the model's 12"):
        trim_positions(model, length)


@pytest.mark.parametrize(
    ("texts", "min_count", "message"),
    [([], 1, "There are no texts"), (["a"], 0, "`min_count` is 0, expected 1 or more")],
)
def test_what_cannot_be_trimmed_to(model, texts, min_count, message):
    with pytest.raises(ValueError, match=message):
        trim_vocabulary(model, texts, min_count)


def test_a_model_without_vocabulary_is_refused():
    with pytest.raises(ValueError, match="no vocabulary to trim. Put vocab.txt"):
        trim_vocabulary(make_model(vocabulary=None), TEXTS)


def pairs_task():
    return Task("p", ("x",), "classification", (), 9, lambda split: Examples(["a"], [split]))


def test_texts_of_a_task_and_of_a_file(tmp_path):
    assert corpus_texts("task", pairs_task()) == ["a", "train"]
    (tmp_path / "a.txt").write_bytes("one\r\n\r\n \ntwo é\n".encode())
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"three"))
    assert corpus_texts(tmp_path / "a.txt") == ["one", "two é"]
    assert corpus_texts(str(tmp_path / "b.txt.gz")) == ["three"]


def test_bad_bytes_are_told_with_file_and_line(tmp_path):
    (tmp_path / "bad.txt").write_bytes(b"one\ntw\xff\n")
    with pytest.raises(ValueError, match=r"bad.txt, line 2: byte 0xff is not UTF-8"):
        corpus_texts(tmp_path / "bad.txt")


def test_a_missing_corpus_or_task(tmp_path):
    with pytest.raises(FileNotFoundError, match="No file"):
        corpus_texts(tmp_path / "none.txt")
    with pytest.raises(ValueError, match="no task is given"):
        corpus_texts("task")
