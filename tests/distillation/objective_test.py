import numpy as np
import pytest
import scipy.special

from tinybert_tf.distillation import IntermediateObjective, PredictionObjective, Projection

RNG = np.random.default_rng(0)
MASK = np.array([[1, 1, 1, 0], [1, 1, 0, 0]])


def outputs(layers, width, heads=3):
    return {
        "hidden_states": [RNG.normal(size=(2, 4, width)) for _ in range(layers + 1)],
        "attention_logits": [RNG.normal(size=(2, heads, 4, 4)) for _ in range(layers)],
        "logits": RNG.normal(size=(2, 5)),
    }


def losses(objective, teacher, student, labels=None):
    projection = Projection("identity", 3, 6, 6, dtype="float64")
    inputs = {"padding_mask": MASK}
    return {
        name: np.asarray(value)
        for name, value in objective.losses(inputs, labels, teacher, student, projection).items()
    }


def test_intermediate_terms_equal_the_formulas():
    teacher, student = outputs(4, 6), outputs(2, 6)
    terms = losses(IntermediateObjective(projection="identity"), teacher, student)
    for example, length in enumerate((3, 2)):
        real = slice(0, length)
        attention = sum(
            np.mean(
                (student["attention_logits"][m] - teacher["attention_logits"][g])[example][
                    :, real, real
                ]
                ** 2
            )
            for m, g in ((0, 1), (1, 3))
        )
        hidden = [
            np.mean((student["hidden_states"][m] - teacher["hidden_states"][g])[example][real] ** 2)
            for m, g in ((0, 0), (1, 2), (2, 4))
        ]
        np.testing.assert_allclose(terms["attention_loss"][example], attention)
        np.testing.assert_allclose(terms["embedding_loss"][example], hidden[0])
        np.testing.assert_allclose(terms["hidden_loss"][example], sum(hidden[1:]))


@pytest.mark.parametrize(("teacher_heads", "student_heads"), [(6, 3), (2, 3), (4, 1)])
def test_attention_of_different_numbers_of_heads_is_that_of_their_means(
    teacher_heads, student_heads
):
    teacher, student = outputs(4, 6, teacher_heads), outputs(2, 6, student_heads)
    terms = losses(IntermediateObjective(projection="identity"), teacher, student)
    for example, length in enumerate((3, 2)):
        expected = 0
        for ours, theirs in ((0, 1), (1, 3)):
            means = [
                side["attention_logits"][layer][example].mean(axis=0)[:length, :length]
                for side, layer in ((student, ours), (teacher, theirs))
            ]
            expected += np.mean((means[0] - means[1]) ** 2)
        np.testing.assert_allclose(terms["attention_loss"][example], expected, rtol=1e-5)


def test_means_of_heads_bear_masked_logits_in_float16():
    teacher, student = outputs(2, 6, 16), outputs(2, 6, 8)
    for side in (teacher, student):
        maps = [np.where(MASK[:, None, None] > 0, x, -3e4) for x in side["attention_logits"]]
        side["attention_logits"] = [x.astype(np.float16) for x in maps]
    for compat in ("paper", "reference"):
        objective = IntermediateObjective(projection="identity", compat=compat)
        assert np.isfinite(losses(objective, teacher, student)["attention_loss"]).all()


@pytest.mark.parametrize("mapping", ["bottom", [1, 3]])
def test_layers_that_a_cache_leaves_out_do_not_matter(mapping):
    teacher, student = outputs(4, 6), outputs(2, 6)
    objective = IntermediateObjective(mapping, projection="identity")
    expected = losses(objective, teacher, student)
    kept = objective.teacher_outputs(2, 4)
    left = {
        name: [
            x if index in kept[name] else np.zeros((2, 0)) for index, x in enumerate(teacher[name])
        ]
        for name in kept
    }
    found = losses(objective, left, student)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


def test_term_without_weight_needs_no_output():
    teacher, student = outputs(4, 6), outputs(2, 6)
    del teacher["attention_logits"]
    objective = IntermediateObjective(attention_weight=0)
    assert set(losses(objective, teacher, student)) == {"hidden_loss", "embedding_loss"}
    assert not IntermediateObjective(hidden_weight=0, embedding_weight=0).needs_projection


def test_compat_chooses_the_projection_unless_told():
    assert IntermediateObjective().projection == "embedding_and_shared"
    assert IntermediateObjective(compat="reference").projection == "shared"
    assert IntermediateObjective(projection="per_layer", compat="reference").projection == (
        "per_layer"
    )


def test_prediction_is_cross_entropy_summed_over_classes():
    teacher, student = outputs(1, 6), outputs(1, 6)
    expected = -np.sum(
        scipy.special.softmax(teacher["logits"] / 2, axis=1)
        * scipy.special.log_softmax(student["logits"] / 2, axis=1),
        axis=1,
    )
    objective = PredictionObjective(temperature=2.0)
    np.testing.assert_allclose(losses(objective, teacher, student)["prediction_loss"], expected)
    objective = PredictionObjective(temperature=2.0, compat="reference")
    np.testing.assert_allclose(losses(objective, teacher, student)["prediction_loss"], expected / 5)


def test_regression_learns_from_the_teacher_or_as_released_from_the_label():
    teacher, student = {"logits": np.array([[1.0], [2.0]])}, {"logits": np.array([[3.0], [3.0]])}
    labels = np.array([3.0, 5.0])
    paper = PredictionObjective("regression")
    assert losses(paper, teacher, student, labels)["prediction_loss"].tolist() == [4.0, 1.0]
    released = PredictionObjective("regression", compat="reference")
    assert losses(released, teacher, student, labels)["prediction_loss"].tolist() == [0.0, 4.0]
    assert not released.needs_teacher


def test_multilabel_terms():
    teacher, student, held = outputs(1, 6), outputs(1, 6), RNG.integers(0, 2, size=(2, 5))
    both = {"prediction_weight": 1.0, "label_weight": 1.0}
    logs = [scipy.special.log_expit(sign * student["logits"] / 2) for sign in (1, -1)]
    targets = scipy.special.expit(teacher["logits"] / 2)
    expected = -4 * np.sum(targets * logs[0] + (1 - targets) * logs[1], axis=1)
    for compat in ("paper", "reference"):
        objective = PredictionObjective("multilabel", 2.0, True, **both, compat=compat)
        terms = losses(objective, teacher, student, held)
        np.testing.assert_allclose(terms["prediction_loss"], expected)
    logs = [scipy.special.log_expit(sign * student["logits"]) for sign in (1, -1)]
    expected = -np.sum(np.where(held, *logs), axis=1)
    np.testing.assert_allclose(terms["label_loss"], expected)


def test_span_terms_do_not_count_padding():
    teacher, student = ({"logits": RNG.normal(size=(2, 4, 2))} for _ in range(2))
    labels = np.array([[1, 2], [0, 0]])
    objective = PredictionObjective("spans", 2.0, label_weight=1.0)
    terms = losses(objective, teacher, student, labels)
    for example, length in enumerate((3, 2)):
        theirs, ours = (side["logits"][example, :length] for side in (teacher, student))
        targets = scipy.special.softmax(theirs / 2, axis=0)
        expected = -np.sum(targets * scipy.special.log_softmax(ours / 2, axis=0))
        np.testing.assert_allclose(terms["prediction_loss"][example], expected)
        logs = scipy.special.log_softmax(ours, axis=0)[labels[example], [0, 1]]
        np.testing.assert_allclose(terms["label_loss"][example], -logs.sum())


def test_tagging_terms_count_the_first_word_pieces():
    teacher, student = ({"logits": RNG.normal(size=(2, 4, 5))} for _ in range(2))
    labels = np.array([[-1, 3, 0, -1], [-1, 4, -1, -1]])
    terms = losses(PredictionObjective("tagging", label_weight=1.0), teacher, student, labels)
    logs = scipy.special.log_softmax(student["logits"], axis=-1)
    soft = -np.sum(scipy.special.softmax(teacher["logits"], axis=-1) * logs, axis=-1)
    expected = [soft[0, 1:3].mean(), soft[1, 1]]
    np.testing.assert_allclose(terms["prediction_loss"], expected)
    expected = [-(logs[0, 1, 3] + logs[0, 2, 0]) / 2, -logs[1, 1, 4]]
    np.testing.assert_allclose(terms["label_loss"], expected)


def test_tags_of_texts_without_labels_count_every_real_token():
    teacher, student = ({"logits": RNG.normal(size=(2, 4, 5))} for _ in range(2))
    terms = losses(PredictionObjective("tagging"), teacher, student)
    logs = scipy.special.log_softmax(student["logits"], axis=-1)
    soft = -np.sum(scipy.special.softmax(teacher["logits"], axis=-1) * logs, axis=-1)
    expected = [soft[0, :3].mean(), soft[1, :2].mean()]
    np.testing.assert_allclose(terms["prediction_loss"], expected)


def test_label_term():
    student = outputs(1, 6)
    objective = PredictionObjective(prediction_weight=0.0, label_weight=1.0)
    assert not objective.needs_teacher
    terms = losses(objective, None, student, np.array([4, 0]))
    expected = -scipy.special.log_softmax(student["logits"], axis=1)[[0, 1], [4, 0]]
    np.testing.assert_allclose(terms["label_loss"], expected)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: IntermediateObjective(compat="authors"), "paper, reference"),
        (lambda: PredictionObjective("ranking"), "classification, multilabel, regression"),
        (lambda: PredictionObjective(label_weight=-1.0), "label_loss -1.0"),
        (lambda: PredictionObjective(prediction_weight=0.0), "All weights are 0"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(ValueError, match=message):
        make()
