import numpy as np
import pytest
import tiny

import tinybert_tf as tb
from tinybert_tf.data import Examples
from tinybert_tf.programs.answers import Answered, Answerer

TEXTS = ["a b", "c", "d e f g h i j k l m n o p q r s t"]


def save(folder, head=None, **settings):
    model = tiny.make_model(hidden_dim=16, num_layers=1, **settings)
    tb.save(model if head is None else head.from_encoder(model), folder)
    return tb.load(folder)


def outputs_of(model, texts, max_length):
    """A model's logits of each text alone."""
    tokenizer = tb.data.BertTokenizer(model.vocabulary)
    for text in texts:
        ids = tokenizer.encode([text], max_length=max_length)[0].to_tensor()
        inputs = {"token_ids": ids, "segment_ids": 0 * ids, "padding_mask": 0 * ids + 1}
        yield model(inputs)["logits"].numpy()[0]


def test_probabilities_of_classes(tmp_path):
    model = save(tmp_path / "model")
    found = Answerer(tmp_path / "model").ask(Examples(TEXTS, labels=["whatever"] * 3))
    powers = np.exp([*outputs_of(model, TEXTS, 16)])
    np.testing.assert_allclose(found.outputs, powers / powers.sum(axis=1, keepdims=True), atol=1e-6)
    assert (found.labels, found.problem) == (tiny.LABELS, "classification")
    assert found.answers() == [tiny.LABELS[place] for place in powers.argmax(axis=1)]


@pytest.mark.parametrize("max_length", [4, 100])
def test_texts_are_cut_where_asked_and_where_the_model_ends(tmp_path, max_length):
    model = save(tmp_path / "model", problem="multilabel")
    found = Answerer(tmp_path / "model").ask(Examples(TEXTS), max_length)
    logits = np.array([*outputs_of(model, TEXTS, min(max_length, 16))])
    np.testing.assert_allclose(found.outputs, 1 / (1 + np.exp(-logits)), atol=1e-6)


def test_windows_of_long_contexts_give_one_answer_a_question(tmp_path):
    save(tmp_path / "model", tb.BertSpanLabeler)
    examples = Examples(["a", "b"], [TEXTS[2], TEXTS[1]])
    found = Answerer(tmp_path / "model").ask(examples)
    assert found.outputs.shape == (found.rows.num_rows, 16, 2) and found.rows.num_rows > 2
    answers = found.answers()
    assert len(answers) == 2 and answers[1] == "c"
    assert answers[0] and answers[0] in TEXTS[2]


def test_what_may_have_no_answer():
    rows = tb.data.rows_of("spans")(
        Examples(["a", "b"], ["c", "d"]), tb.Vocabulary(tiny.TOKENS), 16
    )
    logits = np.zeros((2, 5, 2))
    logits[0, 0] = 9
    found = Answered(logits, ("start", "end"), "spans", rows)
    assert found.answers() == ["c", "d"]
    assert found.answers(allows_no_answer=True) == ["", "d"]


@pytest.mark.parametrize("vocabulary", [True, False])
def test_what_cannot_answer(tmp_path, vocabulary):
    model = tiny.make_model(hidden_dim=16, num_layers=1)
    if vocabulary:
        model = model.encoder
    tb.save(model, tmp_path)
    if not vocabulary:
        (tmp_path / "vocab.txt").unlink()
    with pytest.raises(ValueError, match="has no classifier or no vocab.txt, so it cannot answer"):
        Answerer(tmp_path).ask(Examples(["a"]))


def test_texts_below_the_threshold_have_the_name_for_them():
    outputs = np.array([[0.2, 0.8], [0.45, 0.55], [0.6, 0.4]])
    found = Answered(outputs, ("no", "yes"), "classification", None, 0.6, "oos")
    assert found.answers() == ["yes", "yes", "no"]
    assert found.scoped_answers() == ["yes", "oos", "no"]
    np.testing.assert_array_equal(found.confidences, [0.8, 0.55, 0.6])


def test_without_threshold_all_are_answered():
    found = Answered(np.array([[0.45, 0.55]]), ("no", "yes"), "classification")
    assert found.scoped_answers() == ["yes"]
