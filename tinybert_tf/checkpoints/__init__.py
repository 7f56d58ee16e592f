"""Model folders on disk."""

from tinybert_tf.checkpoints.model_folder import load, save

__all__ = ["load", "save"]
