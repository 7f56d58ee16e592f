"""What a model gives once it is served or exported, under names that tell what it is."""

import json

import tensorflow as tf

# A model's problem: function from its logits to its outputs by name.
SERVED_OUTPUTS = {
    "classification": lambda logits: {"probabilities": tf.nn.softmax(logits)},
    "regression": lambda logits: {"score": logits},
    "multilabel": lambda logits: {"probabilities": tf.nn.sigmoid(logits)},
    "spans": lambda logits: {"start_logits": logits[..., 0], "end_logits": logits[..., 1]},
    "tagging": lambda logits: {"tag_logits": logits},
}


def served_files(model, **settings):
    """What goes with a served or exported model, so that texts can be read and answers named.

    Args:
        model: a model with a head.
        **settings: what else `tinybert_tf.json` shall hold.

    Returns:
        Dict of file name to content, str: `tinybert_tf.json`, `labels.txt` and, where the model has
        a vocabulary, `vocab.txt`.
    """
    vocabulary = model.vocabulary
    values = {} if vocabulary is None else {"lower_case": vocabulary.lower_case}
    values["max_sequence_length"] = model.config.max_sequence_length
    values |= {"problem": model.problem, "head": model.head, **settings}
    files = {"tinybert_tf.json": json.dumps(values, indent=2)}
    files["labels.txt"] = "".join(f"{label}\n" for label in model.labels)
    return files if vocabulary is None else files | {"vocab.txt": vocabulary.to_text()}
