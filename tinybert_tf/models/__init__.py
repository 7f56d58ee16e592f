"""Models: BERT shapes, the encoder and its heads."""

from tinybert_tf.models.bert_classifier import BertClassifier
from tinybert_tf.models.bert_config import PRESETS, BertConfig
from tinybert_tf.models.bert_encoder import BertEncoder
from tinybert_tf.models.teacher_pca import initialize_from_teacher_pca
from tinybert_tf.models.vocabulary import Vocabulary

__all__ = [
    "PRESETS",
    "BertClassifier",
    "BertConfig",
    "BertEncoder",
    "Vocabulary",
    "initialize_from_teacher_pca",
]
