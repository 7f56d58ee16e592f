"""TinyBERT distillation on Keras 3, from a large BERT to a quantized TFLite file.

Names are loaded when first used, so importing this package does not import TensorFlow.
"""

import importlib

from tinybert_tf.version import __version__

_ROOMS = ("augmentation", "callbacks", "checkpoints", "corpus", "data", "distillation", "edge")
_ROOMS += ("evaluation", "export", "losses", "metrics", "models", "report")
_PUBLIC = {
    "BertClassifier": "models",
    "BertConfig": "models",
    "BertEncoder": "models",
    "BertMaskedLM": "models",
    "BertSpanLabeler": "models",
    "BertTokenClassifier": "models",
    "PRESETS": "models",
    "Vocabulary": "models",
    "load": "checkpoints",
    "save": "checkpoints",
    "Distiller": "distillation",
    "IntermediateObjective": "distillation",
    "PredictionObjective": "distillation",
    "adamw": "distillation",
    "initialize_from_teacher_pca": "models",
    "evaluate": "evaluation",
    "predict": "evaluation",
}

__all__ = ["__version__", *_ROOMS, *_PUBLIC]


def __getattr__(name):
    if name in _ROOMS:
        return importlib.import_module(f"tinybert_tf.{name}")
    if name in _PUBLIC:
        return getattr(importlib.import_module(f"tinybert_tf.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module 'tinybert_tf' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
