"""Models: BERT shapes, the encoder and its heads."""

from tinybert_tf.models.bert_classifier import BertClassifier
from tinybert_tf.models.bert_config import PRESETS, BertConfig
from tinybert_tf.models.bert_encoder import BertEncoder
from tinybert_tf.models.masked_lm import BertMaskedLM
from tinybert_tf.models.teacher_pca import initialize_from_teacher_pca
from tinybert_tf.models.token_heads import BertSpanLabeler, BertTokenClassifier
from tinybert_tf.models.vocabulary import Vocabulary

# The class of the models that solve each kind of problem that a task can be.
HEAD_OF_PROBLEM = {
    problem: head
    for head in (BertClassifier, BertSpanLabeler, BertTokenClassifier)
    for problem in head.problems
}

__all__ = [
    "PRESETS",
    "BertClassifier",
    "BertConfig",
    "BertEncoder",
    "BertMaskedLM",
    "BertSpanLabeler",
    "BertTokenClassifier",
    "HEAD_OF_PROBLEM",
    "Vocabulary",
    "initialize_from_teacher_pca",
]
