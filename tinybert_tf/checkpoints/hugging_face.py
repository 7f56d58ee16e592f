"""Hugging Face's names for the parts of a BERT."""

import dataclasses
import warnings

import numpy as np

from tinybert_tf.models import (
    BertClassifier,
    BertConfig,
    BertEncoder,
    BertMaskedLM,
    BertSpanLabeler,
    BertTokenClassifier,
)

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
_PROBLEMS = {
    "single_label_classification": "classification",
    "multi_label_classification": "multilabel",
    "regression": "regression",
}
# Class of ours: (what transformers' class ends in, its dense layer)
_HEADS = {
    BertClassifier: ("ForSequenceClassification", "classifier"),
    BertTokenClassifier: ("ForTokenClassification", "classifier"),
    BertSpanLabeler: ("ForQuestionAnswering", "qa_outputs"),
}
# What the names of transformers' classes without one of these heads end in: encoders, or with a
# masked-LM head, which only the tensors tell.
_HEADLESS = ("Model", "ForPreTraining", "ForMaskedLM", "ForNextSentencePrediction")
_MASKED_LM = "cls.predictions"
_MASKED_LM_PARTS = ("transform.dense.weight", "transform.dense.bias")
_MASKED_LM_PARTS += ("transform.LayerNorm.weight", "transform.LayerNorm.bias", "bias")
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
    fields["pooler"] = values.get("pooler", "tanh")
    try:
        return BertConfig(**fields)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{source}: {error}") from error


def write_config(model):
    """The content of config.json for a `BertEncoder` or a model with a head, as a dict.

    Note:
        `head` and `pooler` are keys of ours, which other programs overlook: in transformers a
        classifier with the head "tinybert_relu" or the pooler "relu" gives other logits.
    """
    fields = dataclasses.asdict(model.config)
    fields["activation"] = {"gelu_tanh": "gelu_new"}.get(fields["activation"], fields["activation"])
    values = {"model_type": "bert", "architectures": [architecture(type(model))]}
    values["pad_token_id"] = model.vocabulary.pad_id if model.vocabulary else 0
    values |= {key: fields[field] for key, field in CONFIG_KEYS.items()}
    if fields["pooler"] != "tanh":
        values["pooler"] = fields["pooler"]
    if isinstance(model, BertClassifier | BertTokenClassifier):
        values["id2label"] = {str(index): label for index, label in enumerate(model.labels)}
        values["label2id"] = {label: index for index, label in enumerate(model.labels)}
    if isinstance(model, BertClassifier):
        kinds = {problem: kind for kind, problem in _PROBLEMS.items()}
        values |= {"problem_type": kinds[model.problem], "head": model.head}
    return values


def architecture(model_class):
    """The name of transformers' class for one of ours."""
    endings = {BertEncoder: "Model", BertMaskedLM: "ForMaskedLM"}
    return f"Bert{endings.get(model_class) or _HEADS[model_class][0]}"


def head_tensors(model_class):
    """Bare names of the tensors without which a model is not one of this class."""
    if model_class is BertMaskedLM:
        return [f"{_MASKED_LM}.{part}" for part in _MASKED_LM_PARTS]
    names = [f"{dense}.weight" for kind, (_, dense) in _HEADS.items() if kind is model_class]
    return names + ["pooler.dense.weight"] * (model_class is BertClassifier)


def _has_masked_lm(tensors):
    """Whether a masked LM's head is there, tied to the embeddings; warns of one that is not."""
    if not all(name in tensors for name in head_tensors(BertMaskedLM)):
        return False
    name, tied = f"{_MASKED_LM}.decoder.weight", "embeddings.word_embeddings.weight"
    if name not in tensors or np.array_equal(tensors[name], tensors[tied], equal_nan=True):
        return True
    warnings.warn(
        f"The masked-LM head is left out: {name} differs from {tied}, and only heads that share "
        "them are supported.",
        stacklevel=2,
    )
    return False


def read_class(values, tensors, source):
    """The class of the model that a checkpoint holds.

    Args:
        values: dict, the parsed config.json.
        tensors: dict of bare name to array.
        source: str, the file's name for messages.

    Returns:
        The class whose head `architectures` names; where it names none of them, the one whose
        tensors are there: `BertEncoder` where there are none, or a masked LM's in part or not
        tied to the embeddings.

    Raises:
        ValueError: If `architectures` names another head, and the tensors of one are there.
    """
    architectures = values.get("architectures")
    architectures = architectures if isinstance(architectures, list) else []
    for model_class, (ending, _) in _HEADS.items():
        if any(str(name).endswith(ending) for name in architectures):
            return model_class
    unknown = [name for name in map(str, architectures) if not name.endswith(_HEADLESS)]
    for model_class, (_, dense) in _HEADS.items():
        if f"{dense}.weight" in tensors:
            if unknown:
                raise ValueError(
                    f"{source}: a model of the kind {unknown[0]} has a head not known here; "
                    f"known: {', '.join(ending for ending, _ in _HEADS.values())}."
                )
            return model_class
    return BertMaskedLM if not unknown and _has_masked_lm(tensors) else BertEncoder


def read_head(model_class, config, values, tensors, source):
    """What the constructor of a model needs beside a config.

    Args:
        model_class: class, what `read_class` found.
        config: `BertConfig`.
        values: dict, the parsed config.json.
        tensors: dict of bare name to array.
        source: str, the file's name for messages.

    Returns:
        Dict of arguments. Labels are `LABEL_0`, ... where the file names none, a score's "score".
        One output without a `problem_type` is a score, as in transformers.

    Raises:
        ValueError: If the names do not number the classifier's outputs, or it is of a kind that is
            not known here.
    """
    if model_class not in (BertClassifier, BertTokenClassifier):
        return {}
    # By its size, which the file bounds: of shape (10**12, 0) it would have as many outputs.
    num_labels = tensors["classifier.weight"].size // config.hidden_dim
    labels = _read_labels(values, num_labels, source)
    if model_class is BertTokenClassifier:
        return {"labels": labels}
    kind = values.get("problem_type") or (
        "regression" if num_labels == 1 else "single_label_classification"
    )
    if not isinstance(kind, str) or kind not in _PROBLEMS:
        raise ValueError(
            f"{source}: `problem_type` is {kind!r}, expected one of {', '.join(_PROBLEMS)}."
        )
    if kind == "regression" and labels == ("LABEL_0",):
        labels = ("score",)
    return {"labels": labels, "head": values.get("head", "bert"), "problem": _PROBLEMS[kind]}


def _read_labels(values, num_labels, source):
    id2label = values.get("id2label") or {str(i): f"LABEL_{i}" for i in range(num_labels)}
    if not isinstance(id2label, dict):
        raise ValueError(f"{source}: `id2label` is {id2label!r}, expected an object.")
    if sorted(id2label) != sorted(str(i) for i in range(num_labels)):
        raise ValueError(
            f"{source}: `id2label` names the outputs {', '.join(sorted(id2label))}, but the "
            f"classifier's weights have {num_labels} outputs, 0 to {num_labels - 1}."
        )
    labels = tuple(str(id2label[str(i)]) for i in range(num_labels))
    for label in labels:
        if label != label.encode("utf-8", "replace").decode("utf-8"):
            raise ValueError(f"{source}: `id2label` holds {label!a}, with half of a character.")
    return labels


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
    }
    if encoder.pooler is not None:
        names |= _dense("pooler.dense", encoder.pooler)
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
    """Every variable of a `BertEncoder` or a model with a head under its full Hugging Face name."""
    if isinstance(model, BertEncoder):
        return encoder_variables(model)
    names = {f"bert.{name}": value for name, value in encoder_variables(model.encoder).items()}
    if isinstance(model, BertMaskedLM):
        names |= _dense(f"{_MASKED_LM}.transform.dense", model.transform)
        names |= _norm(f"{_MASKED_LM}.transform.LayerNorm", model.transform_norm)
        return names | {f"{_MASKED_LM}.bias": model.output_bias}
    return names | _dense(_HEADS[type(model)][1], model.classifier)


def bare_name(name):
    """A tensor's name as `encoder_variables` has it, whichever way a file spells it.

    Files differ in the `bert.` prefix, and early ones, `bert-base-uncased` among them, call a layer
    norm's weight and bias gamma and beta. A masked LM's bias is also its decoder's.
    """
    name = name.replace(f"{_MASKED_LM}.decoder.bias", f"{_MASKED_LM}.bias")
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
