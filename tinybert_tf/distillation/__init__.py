"""Distillation: objectives, the Distiller, and the optimizer it learns with."""

from tinybert_tf.distillation.distiller import Distiller
from tinybert_tf.distillation.layer_mapping import LAYER_MAPPINGS, resolve_layer_mapping
from tinybert_tf.distillation.objective import (
    IntermediateObjective,
    MaskedLMObjective,
    PredictionObjective,
)
from tinybert_tf.distillation.optimizer import BertAdamW, WarmupLinearDecay, adamw
from tinybert_tf.distillation.projection import PROJECTIONS, Projection
from tinybert_tf.distillation.teacher_cache import TeacherCache

__all__ = [
    "LAYER_MAPPINGS",
    "PROJECTIONS",
    "BertAdamW",
    "Distiller",
    "IntermediateObjective",
    "MaskedLMObjective",
    "PredictionObjective",
    "Projection",
    "TeacherCache",
    "WarmupLinearDecay",
    "adamw",
    "resolve_layer_mapping",
]
