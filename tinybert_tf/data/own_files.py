"""Your own files of a task: what reads them, and what they say of its labels."""

import functools

from tinybert_tf.data.examples import Examples
from tinybert_tf.data.label_cells import name_reader, names_reader, to_score
from tinybert_tf.data.squad_files import read_squad
from tinybert_tf.data.tag_files import read_tags
from tinybert_tf.data.text_files import read_split


def own_reader(problem, columns, separator):
    """Function from a split, its file and the labels that there may be to `Examples`."""
    if problem == "spans":
        read = functools.cache(read_squad)
        return lambda split, path, labels: read(path)
    if problem == "tagging":
        return lambda split, path, labels: read_tags(path, name_reader(labels))
    to_label = {
        "classification": name_reader,
        "regression": lambda labels: to_score,
        "multilabel": lambda labels: names_reader(labels, separator),
    }[problem]
    return lambda split, path, labels: read_split(split, path, columns, to_label(labels))


def own_labels(problem, files, reader):
    """The labels that your files hold, or those that every task of the problem has."""
    if problem in ("regression", "spans"):
        return ("score",) if problem == "regression" else ("start", "end")
    paths = list(files.items()) if problem == "tagging" else list(files.items())[:1]
    read = [reader(split, path, None).labels or [] for split, path in paths]
    if problem == "classification":
        names = sorted({name for labels in read for name in labels})
    else:
        names = sorted({name for labels in read for held in labels for name in held})
    if len(names) < 2 and problem != "multilabel" or not names:
        found = f'one label only, "{names[0]}"' if names else "no labels"
        raise ValueError(f"{paths[0][1]} has {found}; expected two or more.")
    return names


def lacks_answers(files, reader):
    """Whether a question of your files has no answer."""
    read = [reader(split, path, None).labels or [True] for split, path in files.items()]
    return not all(map(all, read))


def out_of_scope_fields(files, columns):
    """The fields of a `Task` that tell of texts of none of the classes."""
    if not columns["unlabeled"]:
        return {}
    (label,) = columns["unlabeled"]

    def read(split):
        every = read_split(split, file_given(files, split), columns | {"unlabeled": ()}, str)
        kept = [place for place, name in enumerate(every.labels or ()) if name == label]
        parts = every.texts, every.text_pairs
        texts, pairs = (part and [part[place] for place in kept] for part in parts)
        return Examples(texts, pairs) if kept else None

    return {"out_of_scope_label": label, "read_out_of_scope": functools.cache(read)}


def file_given(files, split):
    """The path of a split among your files."""
    if split not in files:
        raise ValueError(f"This task has no {split} file; it was made of {', '.join(files)} only.")
    return files[split]
