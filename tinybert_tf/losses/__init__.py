"""Distillation losses: pure functions, one value per example."""

from tinybert_tf.losses.attention import attention_loss, zero_masked_logits
from tinybert_tf.losses.hidden import embedding_loss, hidden_loss
from tinybert_tf.losses.prediction import (
    binary_label_loss,
    label_loss,
    regression_loss,
    soft_binary_cross_entropy,
    soft_cross_entropy,
)
from tinybert_tf.losses.tokens import (
    soft_span_cross_entropy,
    soft_tag_cross_entropy,
    span_label_loss,
    tag_label_loss,
)

__all__ = [
    "attention_loss",
    "binary_label_loss",
    "embedding_loss",
    "hidden_loss",
    "label_loss",
    "regression_loss",
    "soft_binary_cross_entropy",
    "soft_cross_entropy",
    "soft_span_cross_entropy",
    "soft_tag_cross_entropy",
    "span_label_loss",
    "tag_label_loss",
    "zero_masked_logits",
]
