"""Hugging Face's names for the parts of a BERT."""

import dataclasses

from tinybert_tf.models import BertClassifier, BertConfig

# config.json key: field of BertConfig
CONFIG_KEYS = {
    "vocab_size": "vocabulary_size",
    "num_hidden_layers": "num_layers",
    "hidden_size": "hidden_dim",
    "num_attention_heads": "num_heads",
    "intermediate_size": "intermediate_dim",
    "max_position_embeddings": "max_sequence_length",
    "type_vocab_size": "num_segments",
    "layer_norm_eps": "layer_norm_epsilon",
    "hidden_dropout_prob": "dropout",
    "attention_probs_dropout_prob": "attention_dropout",
    "hidden_act": "activation",
    "initializer_range": "initializer_range",
}
_ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
}
# config.json's problem_type: ours
_PROBLEMS = {"single_label_classification": "classification", "regression": "regression"}
_SIZES = ("vocab_size", "num_hidden_layers", "hidden_size", "num_attention_heads")
_SIZES += ("intermediate_size", "max_position_embeddings", "type_vocab_size")


def read_config(values, source):
    """A `BertConfig` from the content of a config.json.

    Args:
        values: dict, the parsed config.json.
        source: str, the file's name for messages.

    Returns:
        `BertConfig`.

    Raises:
        ValueError: If it is not a BERT, a size is missing or a value makes no sense.
    """
    if values.get("model_type", "bert") != "bert":
        raise ValueError(f'{source}: `model_type` is {values["model_type"]!r}, expected "bert".')
    if values.get("position_embedding_type", "absolute") != "absolute":
        raise ValueError(
            f"{source}: `position_embedding_type` is {values['position_embedding_type']!r}; "
            "only absolute positions are supported."
        )
    missing = [key for key in _SIZES if key not in values]
    if missing:
        raise ValueError(f"{source}: lacks {', '.join(missing)}; is it a BERT's config.json?")
    fields = {field: values[key] for key, field in CONFIG_KEYS.items() if key in values}
    activation = fields.get("activation", "gelu")
    if str(activation) not in _ACTIVATIONS:
        raise ValueError(
            f"{source}: `hidden_act` is {activation!r}, expected one of {', '.join(_ACTIVATIONS)}."
        )
    fields["activation"] = _ACTIVATIONS[activation]
    try:
        return BertConfig(**fields)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{source}: {error}") from error


def write_config(model):
    """The content of config.json for a `BertEncoder` or `BertClassifier`, as a dict."""
    fields = dataclasses.asdict(model.config)
    fields["activation"] = {"gelu_tanh": "gelu_new"}.get(fields["activation"], fields["activation"])
    values = {"model_type": "bert", "architectures": ["BertModel"]}
    values["pad_token_id"] = model.vocabulary.pad_id if model.vocabulary else 0
    values |= {key: fields[field] for key, field in CONFIG_KEYS.items()}
    if isinstance(model, BertClassifier):
        values["architectures"] = ["BertForSequenceClassification"]
        values["id2label"] = {str(index): label for index, label in enumerate(model.labels)}
        values["label2id"] = {label: index for index, label in enumerate(model.labels)}
        values["problem_type"] = {problem: kind for kind, problem in _PROBLEMS.items()}[
            model.problem
        ]
        values["head"] = model.head
    return values


def read_head(values, num_labels, source):
    """The head that a config.json describes.

    Args:
        values: dict, the parsed config.json.
        num_labels: int, rows of the classifier's weights.
        source: str, the file's name for messages.

    Returns:
        Dict of `labels`, `head` and `problem`, arguments of `BertClassifier`. Labels are `LABEL_0`,
        ... where the file names none, a score's "score". One output without a `problem_type` is a
        score, as in transformers.

    Raises:
        ValueError: If the names do not number the classifier's outputs, or it is of a kind that is
            not known here.
    """
    kind = values.get("problem_type") or (
        "regression" if num_labels == 1 else "single_label_classification"
    )
    if not isinstance(kind, str) or kind not in _PROBLEMS:
        raise ValueError(
            f"{source}: `problem_type` is {kind!r}, expected one of {', '.join(_PROBLEMS)}."
        )
    labels = _read_labels(values, num_labels, source)
    if kind == "regression" and labels == ("LABEL_0",):
        labels = ("score",)
    return {
        "labels": labels,
        "head": values.get("head", "bert"),
        "problem": _PROBLEMS[kind],
    }


def _read_labels(values, num_labels, source):
    id2label = values.get("id2label") or {str(i): f"LABEL_{i}" for i in range(num_labels)}
    if not isinstance(id2label, dict):
        raise ValueError(f"{source}: `id2label` is {id2label!r}, expected an object.")
    if sorted(id2label) != sorted(str(i) for i in range(num_labels)):
        raise ValueError(
            f"{source}: `id2label` names the outputs {', '.join(sorted(id2label))}, but the "
            f"classifier's weights have {num_labels} outputs, 0 to {num_labels - 1}."
        )
    return tuple(str(id2label[str(i)]) for i in range(num_labels))


def encoder_variables(encoder):
    """Every variable of a `BertEncoder` under its Hugging Face name.

    Returns:
        Dict of name (without the `bert.` prefix) to Keras variable. Names that end in
        `dense.weight` and the like hold matrices as (out, in): see `is_transposed`.
    """
    table = encoder.embeddings
    names = {
        "embeddings.word_embeddings.weight": table.token_embedding.embeddings,
        "embeddings.position_embeddings.weight": table.position_embedding,
        "embeddings.token_type_embeddings.weight": table.segment_embedding.embeddings,
        **_norm("embeddings.LayerNorm", table.layer_norm),
        **_dense("pooler.dense", encoder.pooler),
    }
    for index, layer in enumerate(encoder.encoder_layers):
        prefix, attention = f"encoder.layer.{index}", layer.attention
        names |= {
            **_dense(f"{prefix}.attention.self.query", attention.query),
            **_dense(f"{prefix}.attention.self.key", attention.key),
            **_dense(f"{prefix}.attention.self.value", attention.value),
            **_dense(f"{prefix}.attention.output.dense", attention.output_dense),
            **_norm(f"{prefix}.attention.output.LayerNorm", layer.attention_norm),
            **_dense(f"{prefix}.intermediate.dense", layer.intermediate_dense),
            **_dense(f"{prefix}.output.dense", layer.output_dense),
            **_norm(f"{prefix}.output.LayerNorm", layer.output_norm),
        }
    return names


def model_variables(model):
    """Every variable of a `BertEncoder` or `BertClassifier` under its full Hugging Face name."""
    if not isinstance(model, BertClassifier):
        return encoder_variables(model)
    names = {f"bert.{name}": value for name, value in encoder_variables(model.encoder).items()}
    return names | _dense("classifier", model.classifier)


def bare_name(name):
    """A tensor's name as `encoder_variables` has it, whichever way a file spells it.

    Files differ in the `bert.` prefix, and early ones, `bert-base-uncased` among them, call a layer
    norm's weight and bias gamma and beta.
    """
    name = name.removeprefix("bert.")
    name = name.replace("LayerNorm.gamma", "LayerNorm.weight")
    return name.replace("LayerNorm.beta", "LayerNorm.bias")


def body_shapes(config):
    """Names and shapes of the tensors that have every size of the config in them, as a dict."""
    width, last = config.hidden_dim, config.num_layers - 1
    return {
        "embeddings.word_embeddings.weight": (config.vocabulary_size, width),
        "embeddings.position_embeddings.weight": (config.max_sequence_length, width),
        "embeddings.token_type_embeddings.weight": (config.num_segments, width),
        f"encoder.layer.{last}.intermediate.dense.weight": (config.intermediate_dim, width),
    }


def is_transposed(name):
    """Whether Hugging Face stores this tensor as (out, in) where Keras has (in, out)."""
    return name.endswith(".weight") and "LayerNorm" not in name and "_embeddings" not in name


def _dense(prefix, layer):
    return {f"{prefix}.weight": layer.kernel, f"{prefix}.bias": layer.bias}


def _norm(prefix, layer):
    return {f"{prefix}.weight": layer.gamma, f"{prefix}.bias": layer.beta}
