"""Distillation losses: pure functions, one value per example."""

from tinybert_tf.losses.attention import attention_loss, zero_masked_logits
from tinybert_tf.losses.hidden import embedding_loss, hidden_loss
from tinybert_tf.losses.prediction import label_loss, regression_loss, soft_cross_entropy

__all__ = [
    "attention_loss",
    "embedding_loss",
    "hidden_loss",
    "label_loss",
    "regression_loss",
    "soft_cross_entropy",
    "zero_masked_logits",
]
