"""What a model folder or a .tflite file answers: one interface for both."""

import pathlib


def answers(path, examples, max_length):
    """Outputs of a model for examples.

    Args:
        path: str or path-like, a model folder or a .tflite file.
        examples: `Examples`; labels are not looked at.
        max_length: int, most word-pieces of an example.

    Returns:
        `(outputs, labels)`: float array `(num_examples, num_labels)` of probabilities, or of
        scores for regression, and the tuple of the columns' names.

    Raises:
        FileNotFoundError: If there is neither.
        ValueError: If the folder or file is damaged, or is no classifier.
    """
    path = pathlib.Path(path)
    if path.suffix == ".tflite":
        from tinybert_tf.edge import EdgeModel
        from tinybert_tf.export import predict_file

        model = EdgeModel(path)
        return predict_file(model, examples, max_length), model.labels
    return _folder_answers(path, examples, max_length)


def _folder_answers(path, examples, max_length):
    import dataclasses

    import tinybert_tf as tb
    from tinybert_tf.evaluation import to_outputs

    model = tb.load(path)
    if not hasattr(model, "labels") or model.vocabulary is None:
        raise ValueError(f"{path} has no classifier or no vocab.txt, so it cannot answer.")
    batches = tb.data.ExampleBatches(
        dataclasses.replace(examples, labels=None),
        model.vocabulary,
        max_length=min(max_length, model.config.max_sequence_length),
        batch_size=32,
    )
    return to_outputs(tb.predict(model, batches), model.problem), model.labels
