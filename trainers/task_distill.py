"""Distils a fine-tuned teacher into a student: intermediate stage, then prediction stage.

    tinybert-tf task-distill --task sst2 --data-dir glue \\
        --teacher runs/sst2/teacher --student tinybert_4l_312d --output runs/sst2/student

`--student` is a preset or a model folder. Of the prediction stage the best epoch on the dev split
is kept. `--intermediate-epochs 0 --prediction-weight 0 --label-weight 1` trains the same student on
labels alone.
"""

import dataclasses
import pathlib

from tinybert_tf.programs.run_record import RunRecord
from tinybert_tf.programs.settings import TrainingSettings, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskDistillSettings(TrainingSettings):
    """Settings of `task-distill`."""

    teacher: str = setting(help="model folder, fine-tuned on the task")
    student: str = setting("tinybert_4l_312d", "preset, or model folder to go on from")
    initialize: str = setting(
        "teacher_pca", "start of a preset's embeddings: teacher_pca or random"
    )
    head: str = setting("bert", "of a preset: bert or tinybert_relu")
    layer_mapping: str = setting("uniform", "uniform, top, bottom, or teacher layers like 3,6,9,12")
    projection: str | None = setting(
        None, "embedding_and_shared, shared, per_layer or identity; by --compat if unset"
    )
    intermediate_epochs: int = setting(10, "passes of the intermediate stage")
    intermediate_learning_rate: float = setting(5e-5, "its constant rate")
    prediction_epochs: int = setting(3, "passes of the prediction stage")
    prediction_learning_rate: float = setting(3e-5, "its highest rate")
    temperature: float = setting(1.0, "divides both logits in the prediction loss")
    scale_by_temperature_squared: bool = setting(False, "multiply that loss by its square")
    prediction_weight: float = setting(1.0, "weight of the teacher's predictions")
    label_weight: float = setting(0.0, "weight of the true labels")

    def check(self):
        super().check()
        if self.initialize not in ("teacher_pca", "random"):
            raise ValueError(f"--initialize is {self.initialize}, expected teacher_pca or random.")
        self.check_at_least(0, "intermediate_epochs")
        self.check_at_least(1, "prediction_epochs")

        from tinybert_tf.programs.training import is_folder

        if not pathlib.Path(self.teacher).is_dir():
            raise FileNotFoundError(f"{self.teacher}: no such folder, for --teacher.")
        is_folder(self.student)
        # What is wrong with the second stage is said before the first.
        intermediate_objective(self)
        prediction_objective(self, self.problem)
        self.optimizer(self.intermediate_learning_rate)
        self.optimizer(self.prediction_learning_rate, self.prediction_epochs)


def run(settings):
    """Distils; returns dev metrics of teacher and student and the logs of both stages."""
    record = RunRecord("task-distill", settings)
    if record.result is not None:
        return record.result

    import keras

    import tinybert_tf as tb

    keras.utils.set_random_seed(settings.seed)
    task = settings.load_task()
    teacher = tb.load(settings.teacher)
    if not hasattr(teacher, "labels"):
        raise ValueError(
            f"{settings.teacher} has no classifier; fine-tune it with finetune-teacher first."
        )
    student, projection_start = make_student(settings, teacher)
    batches = settings.train_batches(task, student)
    distiller = tb.Distiller(teacher, student)
    teacher_dev = tb.callbacks.DistillationMonitor(task=task).measure_teacher(teacher)
    record.start()
    intermediate = run_intermediate(settings, record, distiller, batches, projection_start)
    prediction, best = run_prediction(settings, record, distiller, batches, task)
    return record.finish_model(
        {
            "dev": best.metrics,
            "teacher_dev": teacher_dev,
            "intermediate_epochs": intermediate,
            "prediction_epochs": prediction,
        }
    )


def run_intermediate(settings, record, distiller, batches, projection_start):
    """Attention, hidden states and embeddings; returns the logs of its epochs."""
    from tinybert_tf.callbacks import DistillationMonitor
    from tinybert_tf.programs.training import train_stage

    if not settings.intermediate_epochs:
        return []
    distiller.compile(
        intermediate_objective(settings), settings.optimizer(settings.intermediate_learning_rate)
    )
    distiller.prepare(batches.epoch(0).element_spec[0])
    if projection_start is not None:
        distiller.projection.set_affine(*projection_start)
    return train_stage(
        distiller,
        batches,
        "intermediate stage",
        settings.intermediate_epochs,
        record.output / "state" / "intermediate",
        [DistillationMonitor(record.output / "logs" / "intermediate")],
    )


def run_prediction(settings, record, distiller, batches, task):
    """The teacher's predictions; returns the logs of its epochs and the `BestStudent`."""
    from tinybert_tf.callbacks import BestStudent, DistillationMonitor, TaskEvaluator
    from tinybert_tf.programs.training import train_stage

    distiller.compile(
        prediction_objective(settings, task.problem),
        settings.optimizer(
            settings.prediction_learning_rate,
            settings.prediction_epochs * batches.steps_per_epoch,
        ),
    )
    monitor = DistillationMonitor(record.output / "logs" / "prediction")
    best = BestStudent(record.output / "best", f"dev_{task.metrics[0]}")
    logs = train_stage(
        distiller,
        batches,
        "prediction stage",
        settings.prediction_epochs,
        record.output / "state" / "prediction",
        [TaskEvaluator(task), monitor, best],
    )
    return logs, best


def make_student(settings, teacher):
    """The student with the teacher's labels, and where its projection should start (or `None`)."""
    import tinybert_tf as tb
    from tinybert_tf.programs.training import is_folder

    head = {"labels": teacher.labels, "problem": teacher.problem}
    if is_folder(settings.student):
        student = tb.load(settings.student)
        if getattr(student, "labels", None) != teacher.labels:
            student = tb.BertClassifier.from_encoder(student, **head)
        return student, None
    student = tb.BertClassifier.from_preset(
        settings.student, vocabulary=teacher.vocabulary, head=settings.head, **head
    )
    if settings.initialize == "random":
        return student, None
    return student, tb.initialize_from_teacher_pca(student, teacher)


def intermediate_objective(settings):
    """The objective of the first stage."""
    import tinybert_tf as tb

    mapping = settings.layer_mapping
    layers = mapping.split(",")
    if all(layer.strip().isdigit() for layer in layers):
        mapping = [int(layer) for layer in layers]
    return tb.IntermediateObjective(mapping, settings.projection, compat=settings.compat)


def prediction_objective(settings, problem):
    """The objective of the second stage."""
    import tinybert_tf as tb

    return tb.PredictionObjective(
        problem,
        temperature=settings.temperature,
        scale_by_temperature_squared=settings.scale_by_temperature_squared,
        prediction_weight=settings.prediction_weight,
        label_weight=settings.label_weight,
        compat=settings.compat,
    )


if __name__ == "__main__":
    from tinybert_tf.cli import run_as_program

    run_as_program("task-distill")
