import numpy as np
import pytest
import sklearn.linear_model
from random_models import randomized, tiny_config

from tinybert_tf.models import BertClassifier, BertEncoder, initialize_from_teacher_pca


def make_pair(dim, **changes):
    teacher = randomized(BertEncoder(tiny_config()))
    return BertClassifier(tiny_config(hidden_dim=dim, **changes), "ab"), teacher


def embedding_outputs(student, teacher, count=4000, length=12):
    random = np.random.default_rng(1)
    token_ids = random.integers(0, 40, size=(count // length, length))
    segment_ids = random.integers(0, 2, size=token_ids.shape)
    models = (student.encoder, teacher)
    return tuple(
        model.embeddings(token_ids, segment_ids).numpy().reshape(-1, model.config.hidden_dim)
        for model in models
    )


def test_student_as_wide_as_the_teacher_loses_nothing():
    student, teacher = make_pair(16)
    kernel, bias = initialize_from_teacher_pca(student, teacher)
    inputs, outputs = embedding_outputs(student, teacher)
    np.testing.assert_allclose(inputs @ kernel + bias, outputs, rtol=0, atol=1e-4)


@pytest.mark.parametrize("dim", [4, 10])
def test_map_is_as_good_as_least_squares(dim):
    student, teacher = make_pair(dim)
    kernel, bias = initialize_from_teacher_pca(student, teacher)
    inputs, outputs = embedding_outputs(student, teacher)
    best = sklearn.linear_model.LinearRegression().fit(inputs, outputs).predict(inputs)
    error, least = (np.mean((x - outputs) ** 2) for x in (inputs @ kernel + bias, best))
    assert least <= error < 1.05 * least
    assert error < np.var(outputs)


def test_tables_keep_the_largest_part_of_the_teacher():
    student, teacher = make_pair(6)
    initialize_from_teacher_pca(student, teacher)
    tables = [
        model.embeddings.token_embedding.embeddings.numpy().astype(np.float64)
        for model in (student.encoder, teacher)
    ]
    centred = tables[1] - tables[1].mean(axis=1, keepdims=True)
    largest = np.linalg.svd(centred)[1][:5]
    np.testing.assert_allclose(np.linalg.svd(tables[0])[1][:5], largest, rtol=1e-5)
    np.testing.assert_allclose(tables[0].mean(axis=1), 0, atol=1e-6)


def test_positions_that_the_teacher_lacks_stay():
    student, teacher = make_pair(6, max_sequence_length=15)
    before = student.encoder.embeddings.position_embedding.numpy()
    initialize_from_teacher_pca(student, teacher)
    after = student.encoder.embeddings.position_embedding.numpy()
    np.testing.assert_array_equal(after[12:], before[12:])
    assert np.abs(after[:12] - before[:12]).min(axis=1).max() > 0


def test_same_seed_same_map():
    maps = [initialize_from_teacher_pca(*make_pair(6), num_samples=64, seed=s) for s in (1, 1, 2)]
    np.testing.assert_array_equal(maps[0][0], maps[1][0])
    assert np.abs(maps[0][0] - maps[2][0]).max() > 1e-3
    assert {array.dtype for pair in maps for array in pair} == {np.dtype(np.float32)}


def test_students_that_do_not_fit():
    with pytest.raises(ValueError, match="student is 18 wide and the teacher 16"):
        initialize_from_teacher_pca(*make_pair(18))
    with pytest.raises(ValueError, match="student has 41 tokens and the teacher 40"):
        initialize_from_teacher_pca(*make_pair(6, vocabulary_size=41))
