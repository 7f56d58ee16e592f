"""Files of every head: spans and tags beside classes, of a fixed length, and with a tokenizer."""

import json
import zipfile

import keras
import numpy as np
import pytest
import scipy.special
import tensorflow as tf
import tensorflow_text
import tiny
from tensorflow.lite.python import interpreter as tf_interpreter
from tensorflow.lite.python import schema_py_generated as schema

import tinybert_tf as tb
from tinybert_tf.data import BertTokenizer, Examples, SpanRows, Task
from tinybert_tf.edge import EdgeModel
from tinybert_tf.evaluation import evaluate, predict, to_answers
from tinybert_tf.export import predict_file, to_tflite, verifier, verify
from tinybert_tf.export.predictor import file_rows, predict_rows
from tinybert_tf.models import BertConfig, BertSpanLabeler, BertTokenClassifier, Vocabulary

TAGS = ("O", "B-X", "I-X")
OUTPUTS = {"spans": ["start_logits", "end_logits"], "tagging": ["tag_logits"]}
QUESTIONS = Examples(
    ["a b", "c", "d d d"],
    ["e f g h i j k l m n o p q r s t", "a, b", "c d e f " * 9],
    labels=[(("f g", 2),), (("b", 3),), ()],
)
SENTENCES = Examples(
    ["a bc, d", "e f g h i", "z"], labels=[("O", "B-X", "O"), ("O",) * 3 + ("B-X", "I-X"), ("O",)]
)
EXAMPLES = {"spans": QUESTIONS, "tagging": SENTENCES}


def make_token_model(problem, **changes):
    sizes = {"num_layers": 2, "hidden_dim": 24, "num_heads": 2, "intermediate_dim": 48}
    config = BertConfig(
        len(tiny.TOKENS), max_sequence_length=16, initializer_range=0.3, **sizes | changes
    )
    keras.utils.set_random_seed(0)
    vocabulary = Vocabulary(tiny.TOKENS)
    if problem == "spans":
        return BertSpanLabeler(config, vocabulary=vocabulary)
    return BertTokenClassifier(config, TAGS, vocabulary=vocabulary)


@pytest.fixture(scope="module", name="exported")
def make_files(tmp_path_factory):
    """Dict from problem to a model and its file."""
    made = {}
    for problem in OUTPUTS:
        model = make_token_model(problem)
        path = tmp_path_factory.mktemp(problem) / "model.tflite"
        to_tflite(model, path, "float32")
        made[problem] = model, path
    return made


@pytest.fixture(params=OUTPUTS, name="problem")
def choose_problem(request):
    return request.param


def make_task(problem):
    labels = ("start", "end") if problem == "spans" else TAGS
    metrics = ("answer_f1", "exact_match") if problem == "spans" else ("entity_f1",)
    return Task(problem, labels, problem, metrics, 12, lambda split: EXAMPLES[problem])


def random_row(length, seed=0):
    random = np.random.default_rng(seed)
    mask = np.ones(length, int)
    mask[length - length // 4 :] = 0
    return random.integers(0, 31, length), mask, (np.arange(length) > length // 2).astype(int)


def keras_logits(model, row):
    inputs = dict(zip(("token_ids", "padding_mask", "segment_ids"), row, strict=True))
    logits = model({name: np.array([values]) for name, values in inputs.items()})["logits"]
    return keras.ops.convert_to_numpy(logits)


def as_logits(problem, outputs):
    if problem == "tagging":
        return outputs["tag_logits"]
    return np.stack([outputs["start_logits"], outputs["end_logits"]], axis=-1)


def test_names_order_and_shapes(exported, problem):
    _, path = exported[problem]
    graph = schema.Model.GetRootAs(path.read_bytes()).Subgraphs(0)
    names = [graph.Tensors(index).Name().decode() for index in graph.OutputsAsNumpy()]
    assert names == OUTPUTS[problem]
    outputs = EdgeModel(path).run(*random_row(7))
    assert sorted(outputs) == sorted(OUTPUTS[problem])
    shape = (1, 7) if problem == "spans" else (1, 7, 3)
    assert {value.shape for value in outputs.values()} == {shape}


def test_logits_equal_keras_at_any_length(exported, problem):
    model, path = exported[problem]
    edge_model = EdgeModel(path)
    for length in (5, 16, 2, 9):
        row = random_row(length, seed=length)
        actual = as_logits(problem, edge_model.run(*row))
        np.testing.assert_allclose(actual, keras_logits(model, row), rtol=1e-5, atol=1e-5)


def test_predictions_equal_keras(exported, problem):
    model, path = exported[problem]
    edge_model, task = EdgeModel(path), make_task(problem)
    rows = file_rows(edge_model, EXAMPLES[problem], task.max_length)
    outputs = predict_rows(edge_model, rows)
    expected = predict(model, task.dev(model))
    assert outputs.shape == (rows.num_rows, rows.lengths.max(), expected.shape[2])
    for output, logits, length in zip(outputs, expected, rows.lengths, strict=True):
        np.testing.assert_allclose(output[:length], logits[:length], rtol=1e-5, atol=2e-5)
        assert not output[length:].any()
    np.testing.assert_array_equal(predict_file(edge_model, EXAMPLES[problem], 12), outputs)


def test_contexts_are_read_in_windows(exported):
    rows = file_rows(EdgeModel(exported["spans"][1]), QUESTIONS, 12)
    assert isinstance(rows, SpanRows)
    assert rows.num_rows > len(QUESTIONS) and rows.max_length == 12


def test_an_exact_file_agrees(exported, problem):
    model, path = exported[problem]
    task = make_task(problem)
    result = verify(model, path, task)
    assert (result["agreement"], result["num_examples"]) == (1, 3)
    assert result["largest_logit_difference"] < 1e-4
    expected = evaluate(model, task)
    assert {name: values["file"] for name, values in result["metrics"].items()} == expected
    worst = result["worst_examples"][0]
    assert worst["model_label"] == worst["file_label"] and worst["file_outputs"] is None
    assert json.loads(json.dumps(result, allow_nan=False))["split"] == "dev"


def write_dev_file(problem, folder):
    if problem == "tagging":
        path = folder / "dev.conll"
        path.write_text("a O\nbc B-X\n, O\n\ne O\nf I-X\n")
        return path
    answer = {"text": "f g", "answer_start": 2}
    question = {"id": "1", "question": "a b", "answers": [answer]}
    paragraph = {"context": "e f g h i j k l m n o p", "qas": [question]}
    path = folder / "dev.json"
    path.write_text(json.dumps({"data": [{"title": "", "paragraphs": [paragraph]}]}))
    return path


def test_the_commands_answer_alike_for_model_and_file(exported, problem, tmp_path):
    model, path = exported[problem]
    tb.save(model, tmp_path / "model")
    dev = write_dev_file(problem, tmp_path)
    ending = "json" if problem == "spans" else "tsv"
    files, measured = [], []
    for source in (tmp_path / "model", path):
        files.append(tmp_path / f"{source.stem}{len(files)}.{ending}")
        tiny.done("predict", "--model", source, "--input", dev, "--output", files[-1])
        shared = ("--dev", dev, "--problem", problem, "--max-length", 12)
        measured.append(tiny.done("evaluate", "--model", source, *shared))
    assert files[0].read_text() == files[1].read_text() != ""
    for result in measured:
        del result["model"]
    assert measured[0] == measured[1]
    verified = tiny.done("verify", "--model", tmp_path / "model", "--tflite", path, *shared)
    assert verified["agreement"] == 1


def test_a_file_of_other_weights_disagrees(exported, problem):
    """By as much as the two Keras models differ at real tokens."""
    model, path = exported[problem]
    keras.utils.set_random_seed(7)
    other, task = model.from_config(model.get_config()), make_task(problem)
    batches = task.dev(other)
    logits = [predict(each, batches) for each in (model, other)]
    rows = batches.rows
    real = np.arange(logits[0].shape[1]) < rows.lengths[:, None]
    expected = np.abs((logits[0] - logits[1])[real]).max()
    answers = [to_answers(each, problem, model.labels, rows) for each in logits]
    result = verify(other, path, task)
    assert result["largest_logit_difference"] == pytest.approx(expected, rel=1e-4)
    share = np.mean([first == second for first, second in zip(*answers, strict=True)])
    assert result["agreement"] == share


def test_an_example_differs_as_its_worst_window_does(exported):
    rows = file_rows(EdgeModel(exported["spans"][1]), QUESTIONS, 12)
    values = np.random.default_rng(0).random(rows.num_rows)
    expected = [values[rows.example_of == index].max() for index in range(3)]
    assert verifier._of_examples(values, rows).tolist() == expected


def test_int8_spans_are_built_in(tmp_path):
    path = tmp_path / "int8.tflite"
    to_tflite(make_token_model("spans", hidden_dim=64), path)
    codes = schema.ModelT.InitFromPackedBuf(path.read_bytes()).operatorCodes
    used = {code.builtinCode for code in codes}
    assert schema.BuiltinOperator.CUSTOM not in used
    assert EdgeModel(path).run(*random_row(5))["end_logits"].shape == (1, 5)


@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh"])
def test_gelu_is_one_operator(activation, tmp_path):
    path = tmp_path / "gelu.tflite"
    model = make_token_model("tagging", activation=activation)
    to_tflite(model, path, "float32")
    content = schema.ModelT.InitFromPackedBuf(path.read_bytes())
    codes = [code.builtinCode for code in content.operatorCodes]
    used = [codes[operator.opcodeIndex] for operator in content.subgraphs[0].operators]
    assert used.count(schema.BuiltinOperator.GELU) == 2
    assert schema.BuiltinOperator.TANH not in used


def test_a_static_length_pads_and_cuts_back(exported, problem, tmp_path):
    model, _ = exported[problem]
    path = tmp_path / "static.tflite"
    to_tflite(model, path, "float32", static_length=9)
    edge_model = EdgeModel(path)
    for length in (9, 4):
        row = random_row(length)
        actual = as_logits(problem, edge_model.run(*row))
        np.testing.assert_allclose(actual, keras_logits(model, row), rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="Received 10 tokens; .* is fixed at 9"):
        edge_model.run(*random_row(10))
    assert file_rows(edge_model, EXAMPLES[problem]).max_length == 9


def test_a_static_file_has_no_shape_to_compute(model, answer, tmp_path):
    path = tmp_path / "static.tflite"
    to_tflite(model, path, "float32", static_length=16)
    with zipfile.ZipFile(path) as archive:
        assert json.loads(archive.read("tinybert_tf.json"))["max_sequence_length"] == 16
    content = schema.ModelT.InitFromPackedBuf(path.read_bytes())
    graph, codes = content.subgraphs[0], [code.builtinCode for code in content.operatorCodes]
    assert [list(graph.tensors[index].shape) for index in graph.inputs] == [[1, 16]] * 3
    assert schema.BuiltinOperator.SHAPE not in codes
    row = random_row(16)
    output = EdgeModel(path).run(*row)["probabilities"]
    np.testing.assert_allclose(output, answer(model, *row), atol=1e-5)


@pytest.mark.parametrize("length", [2, 17])
def test_a_static_length_out_of_range_is_refused(model, length, tmp_path):
    with pytest.raises(ValueError, match=f"`static_length` is {length}, expected 3 to 16"):
        to_tflite(model, tmp_path / "x.tflite", static_length=length)


def test_several_labels_at_once(make_model, tmp_path):
    model = make_model(3, labels=("a", "b", "c", "d"), problem="multilabel")
    path = tmp_path / "labels.tflite"
    to_tflite(model, path, "float32")
    row = random_row(8)
    expected = scipy.special.expit(keras_logits(model, row))
    output = EdgeModel(path).run(*row)["probabilities"]
    np.testing.assert_allclose(output, expected, atol=1e-5)


@pytest.fixture(scope="module", name="text_file")
def make_text_file(tmp_path_factory):
    """A model with a lower-casing vocabulary and its file that takes text."""
    model = tiny.make_model()
    path = tmp_path_factory.mktemp("text") / "text.tflite"
    to_tflite(model, path, "float32", tokenizer_in_graph=True)
    return model, path


@pytest.mark.parametrize(
    "text", ["", "a bc d", "A, b?! Cc", "café É", "e\tf\n g" * 9, "a" * 101, "日 a 本", "# ~^`|"]
)
def test_text_is_tokenized_in_the_file(text_file, text):
    model, path = text_file
    ids, segment_ids = BertTokenizer(model.vocabulary).encode([text], max_length=16)
    inputs = {"token_ids": ids, "padding_mask": tf.ones_like(ids), "segment_ids": segment_ids}
    inputs = {name: value.to_tensor() for name, value in inputs.items()}
    interpreter = tf_interpreter.InterpreterWithCustomOps(
        model_path=str(path),
        custom_op_registerers=tensorflow_text.tflite_registrar.SELECT_TFTEXT_OPS,
    )
    assert interpreter.get_signature_list() == {
        "serving_default": {"inputs": ["text"], "outputs": ["probabilities"]}
    }
    run = interpreter.get_signature_runner()
    actual = run(text=np.array([text.encode()]))["probabilities"]
    expected = scipy.special.softmax(np.asarray(model(inputs)["logits"]), axis=-1)
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_a_file_that_takes_text_says_where_it_runs(text_file):
    _, path = text_file
    with zipfile.ZipFile(path) as archive:
        assert json.loads(archive.read("tinybert_tf.json"))["tokenizer_in_graph"] is True
    with pytest.raises(ValueError, match="takes text .*InterpreterWithCustomOps.*SELECT_TFTEXT"):
        EdgeModel(path)


def test_places_among_tokens_need_the_callers_tokens(exported, problem, tmp_path):
    with pytest.raises(ValueError, match=f"for {problem}, whose answers are places"):
        to_tflite(exported[problem][0], tmp_path / "x.tflite", tokenizer_in_graph=True)


def test_a_tokenizer_and_a_static_length_exclude_each_other(model, tmp_path):
    with pytest.raises(ValueError, match="Leave out one of `static_length` and"):
        to_tflite(model, tmp_path / "x.tflite", static_length=8, tokenizer_in_graph=True)
    with pytest.raises(ValueError, match='Recipe "static_wi8_ai8" fixes the length.* another'):
        to_tflite(model, tmp_path / "x.tflite", "static_wi8_ai8", tokenizer_in_graph=True)
