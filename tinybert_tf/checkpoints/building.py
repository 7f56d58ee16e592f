"""A model made of a checkpoint, whatever its format was."""

import dataclasses

from tinybert_tf.checkpoints import hugging_face
from tinybert_tf.short_errors import short_errors


@short_errors()
def build_model(checkpoint, dtype=None):
    """The model of a checkpoint.

    Args:
        checkpoint: `Checkpoint`.
        dtype: a Keras dtype policy for the model; the variables are converted to it.

    Returns:
        `BertClassifier`, `BertSpanLabeler`, `BertTokenClassifier` or `BertMaskedLM` if the
        checkpoint has such a head, else `BertEncoder`; the last two without a pooler where the
        checkpoint has none.

    Raises:
        ValueError: If the config makes no sense, a tensor is missing or has another shape than it
            says, there are more layers than it says or more tokens than the model has.
    """
    source, values, tensors = checkpoint.source, checkpoint.values, checkpoint.tensors
    config = hugging_face.read_config(values, source)
    _check_sizes(config, tensors, checkpoint.weights_source)
    model_class = hugging_face.read_class(values, tensors, source)
    _check_head(model_class, tensors, checkpoint.weights_source)
    if not any(name.startswith("pooler.") for name in tensors):
        config = dataclasses.replace(config, pooler="none")
    arguments = {"config": config, "vocabulary": checkpoint.vocabulary, "dtype": dtype}
    arguments["name"] = "bert"  # Keras' own would count the models of the process
    arguments |= hugging_face.read_head(model_class, config, values, tensors, source)
    try:
        model = model_class(**arguments)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
    _assign(model, tensors, checkpoint.weights_source)
    return model


def _check_head(model_class, tensors, path):
    """Refuses a model without its head, or a classifier of texts without the pooler below it."""
    for name in hugging_face.head_tensors(model_class):
        if name not in tensors:
            raise ValueError(
                f"{path}: lacks the tensor {name}, which a {hugging_face.architecture(model_class)}"
                " has. If it is another model, config.json's `architectures` has to say so."
            )


def _check_sizes(config, tensors, path):
    """Holds the config's sizes to the weights', before a model of absurd size is made."""
    for name, shape in hugging_face.body_shapes(config).items():
        _tensor(tensors, name, shape, path)
    if f"encoder.layer.{config.num_layers}.output.dense.weight" in tensors:
        raise ValueError(f"{path}: has more layers than config.json's {config.num_layers}.")


def _tensor(tensors, name, shape, path):
    """A tensor of the file, which has to have this shape."""
    if name not in tensors:
        raise ValueError(f"{path}: lacks the tensor {name}.")
    if tensors[name].shape != shape:
        raise ValueError(
            f"{path}: {name} has shape {tensors[name].shape}, but config.json asks for {shape}."
        )
    return tensors[name]


def _assign(model, tensors, path):
    """Sets every variable of the model, after all of them have been found to fit."""
    found = []
    for name, variable in hugging_face.model_variables(model).items():
        bare, shape = hugging_face.bare_name(name), tuple(variable.shape)
        if hugging_face.is_transposed(name):
            found.append((variable, _tensor(tensors, bare, shape[::-1], path).T))
        else:
            found.append((variable, _tensor(tensors, bare, shape, path)))
    for variable, value in found:
        variable.assign(value)
