"""Data augmentation: variants of texts with words that a masked LM and word vectors propose."""

from tinybert_tf.augmentation.augmented_rows import AugmentedRows
from tinybert_tf.augmentation.candidates import Candidates, make_candidates
from tinybert_tf.augmentation.glove import GloveVectors
from tinybert_tf.augmentation.text_words import read_stop_words
from tinybert_tf.augmentation.variants import Variants

__all__ = ["AugmentedRows", "Candidates", "GloveVectors", "Variants", "make_candidates"]
__all__ += ["read_stop_words"]
