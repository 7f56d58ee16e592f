import numpy as np
import pytest
from random_models import as_arrays, random_inputs, randomized, tiny_config, tiny_vocabulary

from tinybert_tf.models import BertClassifier, BertEncoder, BertSpanLabeler, BertTokenClassifier

TAGS = ("O", "B-x", "I-x")
MAKERS = {
    "spans": lambda **settings: BertSpanLabeler(tiny_config(), **settings),
    "tagging": lambda **settings: BertTokenClassifier(tiny_config(), TAGS, **settings),
}


@pytest.mark.parametrize("problem", MAKERS)
def test_logits_equal_the_formula(problem):
    model = randomized(MAKERS[problem](dtype="float64"))
    outputs = as_arrays(model(random_inputs()))
    kernel, bias = (variable.numpy() for variable in model.classifier.variables)
    expected = outputs["sequence_output"] @ kernel + bias
    np.testing.assert_allclose(outputs["logits"], expected, rtol=0, atol=1e-12)
    assert (model.problem, outputs["logits"].shape) == (problem, (3, 7, len(model.labels)))


@pytest.mark.parametrize("problem", MAKERS)
def test_no_pooler(problem):
    model = MAKERS[problem]()
    assert model.encoder.pooler is None
    assert "pooled_output" not in model(random_inputs())


def test_only_tags_drop_out():
    config = tiny_config(dropout=0.5, attention_dropout=0.0)
    for model in (BertSpanLabeler(config), BertTokenClassifier(config, TAGS)):
        outputs = randomized(model)(random_inputs(), training=True)
        same = np.allclose(outputs["logits"], model.classifier(outputs["sequence_output"]))
        assert same == (model.problem == "spans")


def test_a_span_has_a_start_and_an_end():
    with pytest.raises(ValueError, match=r"\('a', 'b'\), expected start, end"):
        BertSpanLabeler(tiny_config(), labels="ab")


def test_from_encoder_leaves_the_pooler_behind_and_back_makes_a_new_one():
    encoder = randomized(BertEncoder(tiny_config(), tiny_vocabulary()))
    tagger = BertTokenClassifier.from_encoder(encoder, TAGS)
    assert tagger.vocabulary == tiny_vocabulary()
    back = BertClassifier.from_encoder(tagger, "ab")
    assert back.config == encoder.config
    inputs = random_inputs()
    for model in (tagger, back):
        states = model(inputs)["hidden_states"]
        np.testing.assert_array_equal(np.stack(states), np.stack(encoder(inputs)["hidden_states"]))


def test_preset_has_its_own_labels():
    model = BertSpanLabeler.from_preset("bert_tiny", vocabulary=tiny_vocabulary())
    assert (model.labels, model.config.vocabulary_size) == (("start", "end"), 32)
