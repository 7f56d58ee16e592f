"""Examples of named tasks from TensorFlow Datasets."""

from tinybert_tf.data.examples import Examples


def read_dataset(source, split):
    """Reads one split of a task.

    Args:
        source: `TaskSource` with a `dataset`.
        split: str, a key of its `splits`.

    Returns:
        `Examples`; labels are the names that the dataset gives them. Where there are none, as in
        the test splits of GLUE, `labels` is `None`; examples that alone have none are left out.

    Raises:
        ImportError: If the package is not installed.
        ValueError: If the labels there have other names than the task's.
    """
    try:
        import tensorflow_datasets
    except ImportError as error:
        raise ImportError(
            f"Without `data_dir`, {source.dataset} comes from TensorFlow Datasets: "
            "pip install tensorflow-datasets."
        ) from error
    name = source.splits[split][1]
    data, info = tensorflow_datasets.load(source.dataset, split=name, with_info=True)
    rows = list(tensorflow_datasets.as_numpy(data))
    if source.problem == "spans":
        return _questions(rows)
    own = (source.text_column, source.text_pair_column, source.label_column)
    return _texts(rows, source.dataset_columns or own, info.features, source.problem)


def _texts(rows, columns, features, problem):
    text, pair, label = columns
    labels = [row[label].item() for row in rows]
    if problem == "classification":
        keep = [number >= 0 for number in labels]
        if any(keep):
            rows = [row for row, kept in zip(rows, keep, strict=True) if kept]
            labels = [features[label].int2str(number) for number in labels if number >= 0]
        else:
            labels = None  # as in a test split
    elif all(score < 0 for score in labels):
        labels = None
    texts, pairs = (
        None if column is None else [row[column].decode("utf-8") for row in rows]
        for column in (text, pair)
    )
    return Examples(texts, pairs, labels)


def _questions(rows):
    def decoded(column):
        return [row[column].decode("utf-8") for row in rows]

    answers = [
        tuple(
            (text.decode("utf-8"), int(start))
            for text, start in zip(
                row["answers"]["text"], row["answers"]["answer_start"], strict=True
            )
        )
        for row in rows
    ]
    return Examples(decoded("question"), decoded("context"), answers, ids=decoded("id"))
