"""Examples of named tasks from TensorFlow Datasets."""

from tinybert_tf.data.examples import Examples
from tinybert_tf.models.label_names import match_labels


def read_dataset(source, split):
    """Reads one split of a task.

    Args:
        source: `TaskSource` with a `dataset`.
        split: str, a key of its `splits`.

    Returns:
        `Examples`, those of GLUE in the order of its files; labels are the task's names. Where
        there are none, as in the test splits of GLUE, `labels` is `None`; examples that alone have
        none are left out.

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
    if "idx" in info.features:  # the line in GLUE's file; the dataset itself is shuffled
        rows.sort(key=lambda row: row["idx"])
    return _texts(rows, source, info.features)


def _texts(rows, source, features):
    own = (source.text_column, source.text_pair_column, source.label_column)
    text, pair, label = source.dataset_columns or own
    if any(row[label] >= 0 for row in rows):
        rows = [row for row in rows if row[label] >= 0]
        labels = [row[label].item() for row in rows]
    else:
        labels = None  # as in a test split
    if labels is not None and source.problem == "classification":
        places = match_labels(features[label].names, source.labels)
        labels = [source.labels[places[number]] for number in labels]
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
