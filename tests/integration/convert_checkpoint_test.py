import numpy as np
import pytest
import tensorflow as tf
import tiny
from golden_checkpoints import FOLDER, largest_differences

import tinybert_tf as tb

FINETUNED = FOLDER / "google_tf1" / "finetuned"


def convert(output, *others, model=FINETUNED):
    return tiny.cli("convert-checkpoint", "--model", model, "--output", output, *others, "--json")


def test_a_google_checkpoint_becomes_a_hugging_face_folder_with_names(tmp_path):
    outcome = convert(tmp_path / "model", "--labels", "no", "yes")
    assert outcome.status == 0, outcome.err
    assert outcome.result["labels"] == ["no", "yes"]
    model = tb.load(tmp_path / "model")
    assert model.labels == ("no", "yes")
    assert largest_differences(model, "google_tf1", "logits")["logits"] <= 1e-4


def test_a_prefix_becomes_a_keras_hub_folder(tmp_path):
    prefix = FOLDER / "model_garden" / "encoder" / "bert_model.ckpt"
    outcome = convert(tmp_path / "model", "--format", "keras-hub", model=prefix)
    assert outcome.status == 0, outcome.err
    model = tb.load(tmp_path / "model")
    differences = largest_differences(model, "model_garden", "sequence_output", "pooled_output")
    assert max(differences.values()) <= 1e-4


def test_a_saved_model_answers_texts(tmp_path, teacher):
    outcome = convert(tmp_path / "model", "--format", "saved-model", model=teacher)
    assert outcome.status == 0, outcome.err
    served = tf.saved_model.load(str(tmp_path / "model")).signatures["text"]
    answer = served(text=tf.constant(["a b c"]))["probabilities"].numpy()
    np.testing.assert_allclose(answer.sum(), 1, atol=1e-6)


def test_a_difference_in_gelu_is_warned_of(tmp_path, teacher):
    outcome = convert(tmp_path / "model", "--format", "keras-hub", model=teacher)
    assert "warning: KerasHub computes GELU by its tanh approximation" in outcome.err


def test_again_is_the_result_and_other_settings_are_refused(tmp_path):
    first = convert(tmp_path / "model")
    assert convert(tmp_path / "model").result == first.result
    outcome = convert(tmp_path / "model", "--format", "saved-model")
    assert outcome.status == 1
    assert "--format was 'hugging-face' and is now 'saved-model'" in outcome.err
    assert convert(tmp_path / "model", "--format", "saved-model", "--overwrite").status == 0
    assert not (tmp_path / "model" / "config.json").exists()


@pytest.mark.parametrize(
    ("flags", "status", "message"),
    [
        (("--format", "kerashub"), 2, 'Unknown --format "kerashub". Did you mean "keras-hub"?'),
        (("--labels", "a", "b", "c"), 1, "--labels are 3 names, but the model has 2 classes"),
        (("--labels", "a", "a"), 1, "expected different names"),
    ],
)
def test_wrong_flags_are_told(tmp_path, flags, status, message):
    outcome = convert(tmp_path / "model", *flags)
    assert outcome.status == status
    assert message in outcome.err
    assert not (tmp_path / "model").exists()


def test_names_that_are_there_are_replaced(tmp_path, teacher):
    assert convert(tmp_path / "model", "--labels", "a", "b", model=teacher).status == 0
    assert tb.load(tmp_path / "model").labels == ("a", "b")


def test_an_encoder_has_no_classes_to_name(tmp_path):
    encoder = FOLDER / "google_tf1" / "pretrained"
    assert "the model has no head" in convert(tmp_path / "m", "--labels", "a", model=encoder).err


def test_a_missing_model_is_told(tmp_path):
    outcome = convert(tmp_path / "model", model=tmp_path / "nothing")
    assert outcome.status == 2
    assert "no such file or folder, for --model" in outcome.err
