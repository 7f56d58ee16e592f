"""Callbacks for `Distiller.fit`."""

from tinybert_tf.callbacks.best_student import BestStudent
from tinybert_tf.callbacks.distillation_monitor import DistillationMonitor
from tinybert_tf.callbacks.loss_curve import LossCurve
from tinybert_tf.callbacks.progress import Progress
from tinybert_tf.callbacks.pruning import Pruning
from tinybert_tf.callbacks.task_evaluator import TaskEvaluator
from tinybert_tf.callbacks.training_backup import TrainingBackup, TrainingStopped
from tinybert_tf.callbacks.weight_clustering import WeightClustering

__all__ = [
    "BestStudent",
    "DistillationMonitor",
    "LossCurve",
    "Progress",
    "Pruning",
    "TaskEvaluator",
    "TrainingBackup",
    "TrainingStopped",
    "WeightClustering",
]
