"""Model folders and other checkpoints on disk."""

from tinybert_tf.checkpoints.building import build_model
from tinybert_tf.checkpoints.checkpoint import Checkpoint
from tinybert_tf.checkpoints.keras_hub import from_keras_hub, save_keras_hub
from tinybert_tf.checkpoints.model_folder import load, read_checkpoint, save
from tinybert_tf.checkpoints.model_garden import from_model_garden
from tinybert_tf.checkpoints.saved_model import save_saved_model

__all__ = [
    "Checkpoint",
    "build_model",
    "from_keras_hub",
    "from_model_garden",
    "load",
    "read_checkpoint",
    "save",
    "save_keras_hub",
    "save_saved_model",
]
