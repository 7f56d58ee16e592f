import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

import tinybert_tf as tb
from tinybert_tf.distillation import TeacherCache
from tinybert_tf.programs.strategies import make_strategy

LENGTH = 6


def make_model(num_layers=2, hidden_dim=8, seed=0, dropout=0.0, labels=("a", "b"), **kwargs):
    keras.utils.set_random_seed(seed)
    config = tb.BertConfig(
        vocabulary_size=20,
        num_layers=num_layers,
        hidden_dim=hidden_dim,
        num_heads=2,
        intermediate_dim=16,
        max_sequence_length=LENGTH,
        dropout=dropout,
        attention_dropout=dropout,
        initializer_range=0.5,
    )
    return tb.BertClassifier(config, labels, **kwargs)


def make_dataset(examples=10, batch=4):
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, LENGTH + 1, size=examples)
    inputs = {
        "token_ids": rng.integers(1, 20, size=(examples, LENGTH)).astype("int32"),
        "segment_ids": np.zeros((examples, LENGTH), "int32"),
        "padding_mask": (np.arange(LENGTH) < lengths[:, None]).astype("int32"),
    }
    labels = rng.integers(0, 2, size=examples).astype("int32")
    return tf.data.Dataset.from_tensor_slices((inputs, labels)).batch(batch)


def make_distiller(objective, dropout=0.0, **kwargs):
    teacher = make_model(4, 12, seed=1, dropout=dropout)
    distiller = tb.Distiller(teacher, make_model(seed=2, dropout=dropout, **kwargs))
    distiller.compile(objective, tb.adamw(1e-2, warmup=0.2, total_steps=20))
    return distiller


OBJECTIVES = {
    "intermediate": tb.IntermediateObjective,
    "prediction": lambda: tb.PredictionObjective(label_weight=0.5),
}


@pytest.mark.parametrize("stage", list(OBJECTIVES))
def test_training_lowers_the_loss_and_leaves_the_teacher(stage):
    distiller = make_distiller(OBJECTIVES[stage]())
    before = distiller.teacher.get_weights()
    losses = distiller.fit(make_dataset(), epochs=6, verbose=0).history["loss"]
    assert losses[-1] < 0.97 * losses[0]
    for old, new in zip(before, distiller.teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_one_pass_of_each_model_a_step():
    distiller = make_distiller(tb.IntermediateObjective())
    calls = []
    for name in ("teacher", "student"):
        model = getattr(distiller, name)
        model.call = _counting(model.call, name, calls)
    (batch,) = make_dataset(4).take(1)
    distiller.prepare(batch[0])
    calls.clear()
    distiller.train_step(batch)
    assert sorted(calls) == [("student", True), ("teacher", False)]
    calls.clear()
    distiller.test_step(batch)
    assert sorted(calls) == [("student", False), ("teacher", False)]


def _counting(call, name, calls):
    def counting(inputs, training=None):
        calls.append((name, training))
        return call(inputs, training=training)

    return counting


def test_labels_alone_need_no_teacher():
    distiller = tb.Distiller(None, make_model())
    distiller.compile(
        tb.PredictionObjective(prediction_weight=0.0, label_weight=1.0), tb.adamw(1e-2)
    )
    losses = distiller.fit(make_dataset(), epochs=20, verbose=0).history["label_loss"]
    assert losses[-1] < 0.5 * losses[0]
    with pytest.raises(ValueError, match="the Distiller has none"):
        distiller.compile(tb.PredictionObjective(), tb.adamw(1e-2))


def test_reported_loss_is_the_mean_over_examples():
    distiller = make_distiller(tb.PredictionObjective())
    logs = distiller.evaluate(make_dataset(), return_dict=True, verbose=0)
    terms = []
    for inputs, _ in make_dataset():
        teacher, student = distiller.teacher(inputs)["logits"], distiller.student(inputs)["logits"]
        terms.append(tf.nn.softmax_cross_entropy_with_logits(tf.nn.softmax(teacher), student))
    np.testing.assert_allclose(logs["prediction_loss"], np.mean(np.concatenate(terms)), rtol=1e-5)


def test_teacher_is_deterministic_under_dropout():
    distiller = make_distiller(tb.PredictionObjective(), dropout=0.5)
    (batch,) = make_dataset(4).take(1)
    first, second = (distiller._teach(batch[0])["logits"] for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_projection_outlives_the_stages_and_stays_out_of_the_student():
    distiller = make_distiller(tb.IntermediateObjective())
    student_weights = len(distiller.student.weights)
    distiller.fit(make_dataset(), verbose=0)
    projection = distiller.projection
    distiller.compile(tb.PredictionObjective(), tb.adamw(1e-2))
    before = projection.get_weights()
    distiller.fit(make_dataset(), verbose=0)
    assert distiller.projection is projection
    np.testing.assert_array_equal(before[0], projection.get_weights()[0])
    assert len(distiller.student.weights) == student_weights


def train(strategy, stage, clip_norm=1.0, compat="paper"):
    """Losses and weights after 8 steps; the last batch of an epoch is smaller."""
    with strategy.scope():
        teacher, student = make_model(4, 12, seed=1), make_model(seed=2)
        distiller = tb.Distiller(teacher, student)
        optimizer = tb.adamw(1e-2, warmup=0.2, total_steps=10, clip_norm=clip_norm, compat=compat)
        distiller.compile(OBJECTIVES[stage](), optimizer)
    history = distiller.fit(make_dataset(11, batch=3), epochs=2, verbose=0).history
    return history["loss"], student.get_weights()


@pytest.fixture(scope="module")
def two_devices():
    # One for all tests: a second one would count its collectives from the start again.
    return make_strategy("mirrored")


@pytest.mark.parametrize(
    ("stage", "compat"),
    [("intermediate", "paper"), ("prediction", "paper"), ("intermediate", "reference")],
)
def test_two_replicas_take_the_steps_of_one(two_devices, stage, compat):
    one = train(tf.distribute.get_strategy(), stage, 0.1, compat)
    two = train(two_devices, stage, 0.1, compat)
    np.testing.assert_allclose(one[0], two[0], rtol=1e-5)
    for a, b in zip(one[1], two[1], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_low_precision_student_learns(policy):
    distiller = make_distiller(tb.IntermediateObjective(), dtype=policy)
    losses = distiller.fit(make_dataset(), epochs=6, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert all(variable.dtype == "float32" for variable in distiller.student.trainable_variables)


def test_xla_computes_the_same():
    losses = []
    for jit_compile in (False, True):
        distiller = make_distiller(tb.IntermediateObjective())
        distiller.compile(tb.IntermediateObjective(), tb.adamw(1e-2), jit_compile=jit_compile)
        keras.utils.set_random_seed(3)
        losses.append(distiller.fit(make_dataset(8), verbose=0).history["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-4)


def test_any_keras_model_can_teach_and_learn():
    def encoder(width, layers):
        tokens = keras.Input((LENGTH,), dtype="int32", name="token_ids")
        states = [keras.layers.Embedding(20, width)(tokens)]
        for _ in range(layers):
            states.append(keras.layers.Dense(width, activation="tanh")(states[-1]))
        return keras.Model({"token_ids": tokens}, {"hidden_states": states})

    distiller = tb.Distiller(encoder(12, 4), encoder(8, 2))
    distiller.compile(tb.IntermediateObjective(attention_weight=0), keras.optimizers.Adam(1e-2))
    dataset = make_dataset().map(lambda inputs, _: {"token_ids": inputs["token_ids"]})
    losses = distiller.fit(dataset, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


@pytest.fixture(name="batches")
def make_batches():
    """Batches of 1 to 3 examples of a few lengths."""
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(list("abcdefgh"), rng.integers(1, 5))) for _ in range(13)]
    examples = tb.data.Examples(texts, labels=[index % 2 for index in range(13)])
    return tb.data.ExampleBatches(examples, LETTERS, max_length=LENGTH, batch_size=3, seed=0)


LETTERS = tb.Vocabulary(("[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghijklmnop"))


def fit_batches(batches, stage="intermediate", dropout=0.0, **settings):
    """Logs of each epoch, weights and batch ends after two epochs."""
    distiller = make_distiller(OBJECTIVES[stage](), dropout, vocabulary=LETTERS)
    distiller.compile(distiller.objective, tb.adamw(1e-2), **settings)
    ends = []
    note = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: ends.append(batch))
    history = distiller.fit(batches, epochs=2, callbacks=[note], verbose=0).history
    return history, distiller.student.get_weights(), ends


def assert_close(ours, theirs, atol):
    for name in ours[0]:
        np.testing.assert_allclose(ours[0][name], theirs[0][name], rtol=1e-5)
    for a, b in zip(ours[1], theirs[1], strict=True):
        np.testing.assert_allclose(a, b, atol=atol)


@pytest.mark.parametrize("stage", list(OBJECTIVES))
@pytest.mark.parametrize("parts", [2, 4])
def test_a_batch_in_parts_gives_the_same_step(batches, stage, parts):
    whole = fit_batches(batches, stage)
    assert_close(fit_batches(batches, stage, accumulation_steps=parts), whole, 1e-5)


def test_several_steps_a_call_never_leave_the_epoch(batches):
    one = fit_batches(batches)
    several = fit_batches(batches, steps_per_execution=4)
    assert_close(several, one, 1e-6)
    assert len(one[2]) == 2 * batches.steps_per_epoch
    assert len(several[2]) == 2 * -(-batches.steps_per_epoch // 4)


def test_an_epoch_from_its_middle_shows_callbacks_its_true_steps(batches):
    distiller = make_distiller(tb.IntermediateObjective(), vocabulary=LETTERS)
    ends, begun = [], []
    note = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: ends.append(batch),
        on_train_begin=lambda logs: begun.append(True),
    )
    distiller.fit(batches, epochs=3, initial_epoch=1, initial_step=2, callbacks=[note], verbose=0)
    steps = batches.steps_per_epoch
    assert ends == [*range(2, steps), *range(steps)]
    assert begun == [True]
    assert int(distiller.optimizer.iterations) == 2 * steps - 2


def test_two_replicas_share_the_batches_of_one(two_devices, batches):
    distiller = make_distiller(tb.IntermediateObjective(), vocabulary=LETTERS)
    one = distiller.fit(batches, epochs=2, verbose=0).history, distiller.student.get_weights()
    with two_devices.scope():
        distiller = make_distiller(tb.IntermediateObjective(), vocabulary=LETTERS)
    two = distiller.fit(batches, epochs=2, verbose=0).history, distiller.student.get_weights()
    assert_close(two, one, 1e-4)


def test_several_steps_a_call_on_two_replicas(two_devices, batches):
    one = fit_batches(batches)
    with two_devices.scope():
        several = fit_batches(batches, steps_per_execution=4)
    assert_close(several, one, 1e-4)
    assert len(several[2]) == 2 * -(-batches.steps_per_epoch // 4)


def test_xla_is_refused_on_two_replicas(two_devices):
    with (
        two_devices.scope(),
        pytest.raises(ValueError, match="XLA cannot compile a step of 2 replicas"),
    ):
        distiller = make_distiller(tb.PredictionObjective())
        distiller.compile(tb.PredictionObjective(), tb.adamw(1e-2), jit_compile=True)


@pytest.mark.parametrize("stage", list(OBJECTIVES))
def test_what_the_data_bring_of_the_teacher_is_not_computed(batches, stage):
    distiller = make_distiller(OBJECTIVES[stage](), vocabulary=LETTERS)
    teacher = distiller.teacher

    def bring(inputs, labels):
        outputs = teacher(inputs, training=False)
        lists = {name: tuple(value) for name, value in outputs.items() if isinstance(value, list)}
        return {**inputs, "teacher": outputs | lists}, labels

    with_outputs = batches.epoch(0).map(bring)
    expected = distiller.evaluate(batches, return_dict=True, verbose=0)
    teacher.call = None
    found = distiller.evaluate(with_outputs, return_dict=True, verbose=0)
    assert found == pytest.approx(expected, rel=1e-5)


def test_parts_of_less_than_one_are_refused():
    with pytest.raises(ValueError, match="`accumulation_steps` is 0, expected 1 or more"):
        make_distiller(tb.IntermediateObjective()).compile(
            tb.IntermediateObjective(), tb.adamw(1e-2), accumulation_steps=0
        )


def test_a_teacher_in_bfloat16_teaches_a_float32_student(batches):
    losses = []
    for dtype in ("float32", "bfloat16"):
        teacher = make_model(4, 12, seed=1, vocabulary=LETTERS, dtype=dtype)
        teacher.set_weights(make_model(4, 12, seed=1, vocabulary=LETTERS).get_weights())
        distiller = tb.Distiller(teacher, make_model(seed=2, vocabulary=LETTERS))
        distiller.compile(tb.IntermediateObjective(), tb.adamw(1e-2))
        losses.append(distiller.fit(batches, verbose=0).history["loss"][-1])
    assert losses[1] == pytest.approx(losses[0], rel=2e-2)
    assert losses[1] != losses[0]


def test_different_vocabularies_are_refused():
    tokens = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "one")
    teacher = make_model(vocabulary=tb.Vocabulary((*tokens, "two")))
    student = make_model(vocabulary=tb.Vocabulary((*tokens, "three")))
    with pytest.raises(ValueError, match="different vocabularies .*id 5 is 'two' and 'three'"):
        tb.Distiller(teacher, student)


def test_different_labels_are_refused_where_they_are_compared():
    distiller = tb.Distiller(make_model(labels=("b", "c")), make_model())
    distiller.compile(tb.IntermediateObjective(), tb.adamw(1e-2))
    with pytest.raises(ValueError, match="the labels b, c cannot be matched with the labels a, b"):
        distiller.compile(tb.PredictionObjective(), tb.adamw(1e-2))


CLASSES = ("entailment", "neutral", "contradiction")
REORDERED = ("Contradiction", "Entailment", "Neutral")


def fit_with_labels(batches, teacher_labels, cache_folder=None):
    """Logs and weights of a student of three classes; all teachers are the same but for names."""
    teacher = make_model(3, 12, seed=1, labels=CLASSES, vocabulary=LETTERS)
    kernel, bias = teacher.classifier.get_weights()
    order = [CLASSES.index(name.lower()) for name in teacher_labels]
    named = make_model(3, 12, seed=1, labels=teacher_labels, vocabulary=LETTERS)
    named.set_weights(teacher.get_weights())
    named.classifier.set_weights([kernel[:, order], bias[order]])
    student = make_model(1, seed=2, labels=CLASSES, vocabulary=LETTERS)
    distiller = tb.Distiller(named, student)
    distiller.compile(tb.PredictionObjective(label_weight=0.5), tb.adamw(1e-2))
    if cache_folder is not None:
        cache = TeacherCache(cache_folder, named, batches, {"logits": None})
        cache.fill()
        batches = batches.with_teacher(cache)
    # The head's weights alone: Adam makes much of the rounding in gradients that are zero, as those
    # of the biases of keys are.
    return distiller.fit(batches, epochs=2, verbose=0).history, student.classifier.get_weights()


def test_a_teacher_with_its_labels_in_another_order_teaches_the_same(batches, tmp_path):
    expected = fit_with_labels(batches, CLASSES)
    assert_close(fit_with_labels(batches, REORDERED), expected, 1e-4)
    assert_close(fit_with_labels(batches, REORDERED, tmp_path), expected, 1e-4)


def test_the_score_of_a_regression_may_have_any_name():
    make = functools.partial(make_model, problem="regression")
    distiller = tb.Distiller(make(seed=1, labels=("LABEL_0",)), make(labels=("score",)))
    distiller.compile(tb.PredictionObjective("regression"), tb.adamw(1e-2))
    inputs = make_dataset().map(lambda inputs, _: inputs)
    expected = [
        np.mean((distiller.teacher(batch)["logits"] - distiller.student(batch)["logits"]) ** 2)
        for batch in inputs.unbatch().batch(1)
    ]
    logs = distiller.evaluate(inputs, return_dict=True, verbose=0)
    assert logs["prediction_loss"] == pytest.approx(np.mean(expected), rel=1e-5)


def make_token_batches(problem):
    """Eleven questions or tagged texts, in batches of three."""
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(list("abcdefgh"), rng.integers(1, 4))) for _ in range(11)]
    if problem == "tagging":
        labels = [tuple(rng.integers(0, 2, len(text.split()))) for text in texts]
        examples = tb.data.Examples(texts, labels=labels)
    else:
        labels = [((text[-1], len(text) - 1),) for text in texts]
        examples = tb.data.Examples(["a"] * 11, texts, labels)
    rows = tb.data.rows_of(problem)
    settings = {"rows": rows, "max_length": LENGTH, "batch_size": 3, "seed": 0}
    return tb.data.ExampleBatches(examples, LETTERS, **settings)


def fit_tokens(problem, batches):
    def make(num_layers, hidden_dim, seed):
        encoder = make_model(num_layers, hidden_dim, seed, vocabulary=LETTERS)
        if problem == "spans":
            return tb.BertSpanLabeler.from_encoder(encoder)
        return tb.BertTokenClassifier.from_encoder(encoder, ("O", "B"))

    distiller = tb.Distiller(make(2, 12, 1), make(1, 8, 2))
    distiller.compile(tb.PredictionObjective(problem, label_weight=0.5), tb.adamw(1e-2))
    history = distiller.fit(batches, epochs=2, verbose=0).history
    return history, distiller.student.classifier.get_weights()


@pytest.mark.parametrize("problem", ["spans", "tagging"])
def test_two_replicas_learn_about_tokens_what_one_learns(two_devices, problem):
    batches = make_token_batches(problem)
    one = fit_tokens(problem, batches)
    with two_devices.scope():
        two = fit_tokens(problem, batches)
    assert_close(two, one, 1e-4)


def test_another_projection_is_made_when_asked_for():
    distiller = make_distiller(tb.IntermediateObjective(projection="shared"))
    logs = distiller.evaluate(make_dataset(), return_dict=True, verbose=0)
    assert np.isfinite(logs["loss"])
    distiller.compile(tb.IntermediateObjective(projection="per_layer"), tb.adamw(1e-2))
    distiller.fit(make_dataset(4), verbose=0)
    assert distiller.projection.mode == "per_layer"


def test_batches_of_examples_are_taken_as_they_are():
    vocabulary = tb.Vocabulary(("[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghijklmnop"))
    examples = tb.data.Examples(["a b", "c d e", "f"], labels=[0, 1, 0])
    batches = tb.data.ExampleBatches(examples, vocabulary, max_length=LENGTH, batch_size=2, seed=0)
    distiller = make_distiller(tb.PredictionObjective(), vocabulary=vocabulary)
    history = distiller.fit(batches, validation_data=batches, epochs=2, verbose=0).history
    assert len(history["val_loss"]) == 2
    logs = distiller.evaluate(batches, return_dict=True, verbose=0)
    assert logs["loss"] == pytest.approx(history["val_loss"][-1], rel=1e-5)


def test_sample_weights_are_refused_rather_than_ignored():
    distiller = make_distiller(tb.PredictionObjective())
    weighted = make_dataset(4).map(lambda inputs, labels: (inputs, labels, tf.ones(4)))
    with pytest.raises(ValueError, match="not supported"):
        distiller.fit(weighted, verbose=0)
