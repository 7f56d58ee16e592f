import zipfile

import numpy as np
import pytest
import scipy.special

from tinybert_tf.data import Examples
from tinybert_tf.edge import EdgeModel
from tinybert_tf.export import predict_file
from tinybert_tf.export.predictor import to_logits

CLS, SEP, A = 2, 3, 4


def by_hand(model, answer, ids, first_length):
    segment_ids = [int(position >= first_length) for position in range(len(ids))]
    return answer(model, ids, [1] * len(ids), segment_ids)[0]


def test_texts(files, model, answer):
    output = predict_file(EdgeModel(files["float32"]), Examples(["c A", "", "b"]))
    rows = [[CLS, A + 2, A, SEP], [CLS, SEP], [CLS, A + 1, SEP]]
    expected = [by_hand(model, answer, row, len(row)) for row in rows]
    np.testing.assert_allclose(output, expected, atol=1e-5)


def test_pairs(files, model, answer):
    output = predict_file(EdgeModel(files["float32"]), Examples(["c", "a b"], ["a b", "?"]))
    rows = [[CLS, A + 2, SEP, A, A + 1, SEP], [CLS, A, A + 1, SEP, 1, SEP]]
    expected = [by_hand(model, answer, rows[0], 3), by_hand(model, answer, rows[1], 4)]
    np.testing.assert_allclose(output, expected, atol=1e-5)


@pytest.mark.parametrize(("max_length", "kept"), [(5, 3), (None, 14), (400, 14)])
def test_cut_to_what_model_and_caller_take(files, model, answer, max_length, kept):
    examples = Examples(["a " * 30])
    output = predict_file(EdgeModel(files["float32"]), examples, max_length)
    row = [CLS, *[A] * kept, SEP]
    np.testing.assert_allclose(output, [by_hand(model, answer, row, len(row))], atol=1e-5)


def test_a_file_without_vocabulary_is_refused(files, tmp_path):
    path = tmp_path / "bare.tflite"
    with open(files["float32"], "rb") as file, zipfile.ZipFile(file) as archive:
        start = min(entry.header_offset for entry in archive.infolist())
        file.seek(0)
        path.write_bytes(file.read(start))
    with pytest.raises(ValueError, match="bare.tflite holds no vocabulary"):
        predict_file(EdgeModel(path), Examples(["a"]))


def test_a_file_with_a_damaged_vocabulary_is_refused(files):
    model = EdgeModel(files["float32"])
    model.vocabulary_text += "[CLS]\n"
    with pytest.raises(ValueError, match=r"\.tflite: vocab.txt inside it: .* '\[CLS\]' stands"):
        predict_file(model, Examples(["a"]))


def test_no_examples_are_refused(files):
    with pytest.raises(ValueError, match="no examples"):
        predict_file(EdgeModel(files["float32"]), Examples([]))


def test_logits_of_probabilities():
    logits = np.random.default_rng(0).normal(size=(4, 3))
    centred = logits - logits.mean(axis=1, keepdims=True)
    found = to_logits(scipy.special.softmax(logits, axis=1), "classification")
    np.testing.assert_allclose(found, centred, atol=1e-12)
    found = to_logits(scipy.special.expit(logits), "multilabel")
    np.testing.assert_allclose(found, logits, atol=1e-12)


@pytest.mark.parametrize("problem", ["classification", "multilabel"])
def test_certain_answers_have_finite_logits(problem):
    outputs = np.array([[1, 0]], np.float32)
    assert np.isfinite(to_logits(outputs, problem)).all()


def test_near_certainty_both_sides_are_alike():
    probabilities = scipy.special.expit(np.array([[18, -18, 30, -30, 13]], np.float32))
    (logits,) = to_logits(probabilities, "multilabel")
    limit = np.log(1e6 - 1)
    np.testing.assert_allclose(logits[:4], [limit, -limit, limit, -limit], rtol=1e-9)
    assert logits[4] == pytest.approx(13, abs=0.05)


@pytest.mark.parametrize("problem", ["regression", "spans", "tagging"])
def test_other_outputs_stay(problem):
    outputs = np.array([[-1.5, 2]], np.float32)
    np.testing.assert_array_equal(to_logits(outputs, problem), outputs)
