"""Model folders and other checkpoints on disk."""

from tinybert_tf.checkpoints.checkpoint import Checkpoint
from tinybert_tf.checkpoints.model_folder import build_model, load, read_checkpoint, save

__all__ = ["Checkpoint", "build_model", "load", "read_checkpoint", "save"]
