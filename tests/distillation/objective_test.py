import numpy as np
import pytest
import scipy.special

from tinybert_tf.distillation import IntermediateObjective, PredictionObjective, Projection

RNG = np.random.default_rng(0)
MASK = np.array([[1, 1, 1, 0], [1, 1, 0, 0]])


def outputs(layers, width):
    return {
        "hidden_states": [RNG.normal(size=(2, 4, width)) for _ in range(layers + 1)],
        "attention_logits": [RNG.normal(size=(2, 3, 4, 4)) for _ in range(layers)],
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
        (lambda: PredictionObjective("ranking"), "classification, regression"),
        (lambda: PredictionObjective(label_weight=-1.0), "label_loss -1.0"),
        (lambda: PredictionObjective(prediction_weight=0.0), "All weights are 0"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(ValueError, match=message):
        make()
