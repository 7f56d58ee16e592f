"""Which output of a model stands for which label, by name."""

import re


def match_labels(labels, model_labels):
    """Finds each label among a model's, whatever its place, letter case, spaces or hyphens.

    Args:
        labels: sequence of str, the labels of a task or of another model.
        model_labels: sequence of str, the names of a model's outputs.

    Returns:
        Tuple of int: the model's output for each of `labels`.

    Raises:
        ValueError: If the two do not name the same labels one by one.

    Example:
        match_labels(("entailment", "neutral"), ("NEUTRAL", "ENTAILMENT"))  # (1, 0)
    """
    for key in (str, _plain):  # names that differ in more than case go first
        places = {key(name): place for place, name in enumerate(model_labels)}
        wanted = [key(name) for name in labels]
        if len(places) == len(model_labels) == len(labels) and set(wanted) == set(places):
            return tuple(places[name] for name in wanted)
    raise ValueError(
        f"{_listed(model_labels)} cannot be matched with {_listed(labels)}.{advice(model_labels)}"
    )


def label_finder(labels):
    """Function from a name, however it is spelled, to its place among the labels, or -1.

    Args:
        labels: sequence of str.
    """
    exact = {name: place for place, name in enumerate(labels)}
    plain = {_plain(name): place for place, name in enumerate(labels)}
    loose = plain if len(plain) == len(exact) else {}
    return lambda name: exact[name] if name in exact else loose.get(_plain(name), -1)


def _plain(name):
    return re.sub(r"[\s_-]+", "_", name.strip().casefold())


def _listed(labels):
    return f"the labels {', '.join(labels)}"


def advice(model_labels):
    """What to do about outputs that have no names, a str; "" where they have."""
    if not all(re.fullmatch(r"(LABEL_)?\d+", name) for name in model_labels):
        return ""
    return (
        " The model does not say what its outputs mean: name them with `tinybert-tf "
        "convert-checkpoint --labels`, or in its config.json under id2label."
    )
