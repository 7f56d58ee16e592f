"""The answers of a .tflite file to texts."""

import dataclasses

import numpy as np
import scipy.special
import tensorflow_text
from tensorflow.lite.python.interpreter import InterpreterWithCustomOps

from tinybert_tf.data import rows_of
from tinybert_tf.edge.interpreter import INPUT_NAMES
from tinybert_tf.models import Vocabulary

_ROWS_AT_ONCE = 4096
# Float32 has too few numbers nearer to 1 than this to tell how near a probability is.
_LEAST_ODDS = 1e-6


def predict_file(edge_model, examples, max_length=None):
    """Runs a .tflite file over examples, each at its true length, without padding.

    Args:
        edge_model: `tinybert_tf.edge.EdgeModel` of a file that holds its vocabulary.
        examples: `Examples`; labels are not looked at.
        max_length: int, the most tokens of an example; `None`, or more than the file takes, means
            all that the file takes.

    Returns:
        float32 array `(examples, columns)`: probabilities of the classes in the order of
        `edge_model.labels`, or scores `(examples, 1)`; for spans and tags logits `(rows, longest,
        columns)` as `predict_rows` gives them.

    Raises:
        ValueError: If the file holds no vocabulary, or there are no examples.

    Example:
        predict_file(EdgeModel("sst2.tflite"), Examples(["a fine film"]))
    """
    return predict_rows(edge_model, file_rows(edge_model, examples, max_length))


def predict_texts(path, texts):
    """Runs a .tflite file that takes text, as `to_tflite` makes them with `tokenizer_in_graph`.

    Args:
        path: path-like, the file.
        texts: sequence of str.

    Returns:
        float32 array `(texts, columns)`, the file's one output.
    """
    operators = tensorflow_text.tflite_registrar.SELECT_TFTEXT_OPS
    interpreter = InterpreterWithCustomOps(operators, model_path=str(path))
    run = interpreter.get_signature_runner()
    answers = [run(text=np.array([text.encode()])) for text in texts]
    return np.concatenate([answer for outputs in answers for answer in outputs.values()])


def file_rows(edge_model, examples, max_length=None):
    """Turns examples into the rows of tokens that a .tflite file reads.

    Args:
        edge_model: as for `predict_file`.
        examples: as for `predict_file`.
        max_length: as for `predict_file`.

    Returns:
        `TextRows`, `SpanRows` or `TagRows`, by what the file is for.

    Raises:
        ValueError: If the file holds no vocabulary or a damaged one, or there are no examples.
    """
    if edge_model.vocabulary_text is None:
        raise ValueError(
            f"{edge_model.path} holds no vocabulary, so it cannot read text. "
            "Export it with `tinybert-tf export`."
        )
    if not len(examples):
        raise ValueError("There are no examples to predict.")
    settings = edge_model.settings
    tokens = tuple(edge_model.vocabulary_text.removesuffix("\n").split("\n"))
    try:
        vocabulary = Vocabulary(tokens, settings["lower_case"])
    except ValueError as error:
        raise ValueError(f"{edge_model.path}: vocab.txt inside it: {error}") from error
    longest = settings["max_sequence_length"]
    return _rows(settings["problem"], examples, vocabulary, min(max_length or longest, longest))


def example_inputs(model, examples, max_length=None):
    """What a file of a model is fed for examples.

    Args:
        model: a model with a head and a vocabulary.
        examples: `Examples`; labels are not looked at.
        max_length: int, the most tokens of an example; `None` means all that the model takes.

    Yields:
        For each row of tokens a dict of int32 arrays `(1, length)`: `ids`, `mask`, `segment_ids`.
    """
    longest = max_length or model.config.max_sequence_length
    for ids, segment_ids in encode_rows(_rows(model.problem, examples, model.vocabulary, longest)):
        values = ids, np.ones_like(ids), segment_ids
        yield {name: row[np.newaxis] for name, row in zip(INPUT_NAMES, values, strict=True)}


def _rows(problem, examples, vocabulary, max_length):
    examples = dataclasses.replace(examples, labels=None)
    return rows_of(problem)(examples, vocabulary, max_length)


def predict_rows(edge_model, rows):
    """Runs a .tflite file over rows of tokens, each at its true length.

    Args:
        edge_model: as for `predict_file`.
        rows: as `file_rows` gives them.

    Returns:
        float32 array `(num_rows, columns)`; for spans, whose columns are starts and ends, and for
        tags `(num_rows, longest, columns)`, zero beyond the end of a row.
    """
    answers = [_answer(edge_model, *row) for row in encode_rows(rows)]
    if answers[0].ndim == 2:
        return np.concatenate(answers)
    longest = int(rows.lengths.max())
    outputs = np.zeros((len(answers), longest, answers[0].shape[-1]), np.float32)
    for output, answer in zip(outputs, answers, strict=True):
        output[: answer.shape[1]] = answer[0]
    return outputs


def to_logits(outputs, problem):
    """Turns outputs of a file into numbers that rounding moves about equally wherever they lie.

    Args:
        outputs: float array `(rows, columns)` or `(rows, length, columns)`.
        problem: str, what the file is for.

    Returns:
        float64 array of the same shape: log-probabilities less their mean over the columns for
        classification, log-odds, from -13.8 to 13.8, for several labels at once, else the outputs.
    """
    outputs = outputs.astype(np.float64)
    if problem == "multilabel":
        return scipy.special.logit(np.clip(outputs, _LEAST_ODDS, 1 - _LEAST_ODDS))
    if problem != "classification":
        return outputs
    logs = np.log(np.maximum(outputs, np.finfo(np.float32).tiny))
    return logs - logs.mean(axis=-1, keepdims=True)


def encode_rows(rows, numbers=None):
    """Puts rows of tokens together, one after another.

    Args:
        rows: as `file_rows` gives them.
        numbers: int array, which; `None` for all.

    Yields:
        Token ids and segment ids, int32 arrays `(length,)`.
    """
    numbers = np.arange(rows.num_rows) if numbers is None else numbers
    for start in range(0, len(numbers), _ROWS_AT_ONCE):
        ids, segment_ids, _ = rows.encode(numbers[start : start + _ROWS_AT_ONCE])
        yield from zip(_cut(ids), _cut(segment_ids), strict=True)


def _cut(ragged):
    return np.split(ragged.flat_values.numpy(), ragged.row_splits.numpy()[1:-1])


def _answer(edge_model, ids, segment_ids):
    """Float32 array `(1, columns)`, or `(1, length, columns)` where each token has an answer."""
    outputs = edge_model.run(ids, np.ones_like(ids), segment_ids)
    if "start_logits" in outputs:
        return np.stack([outputs["start_logits"], outputs["end_logits"]], axis=-1)
    (answer,) = outputs.values()
    return answer
