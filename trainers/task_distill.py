"""Distils a fine-tuned teacher into a student: intermediate stage, then prediction stage.

    tinybert-tf task-distill --task sst2 --data-dir glue \\
        --teacher runs/sst2/teacher --student tinybert_4l_312d --output runs/sst2/student

`--student` is a preset, a config.json or a model folder. Of the prediction stage the best epoch on
the dev split is kept. `--intermediate-epochs 0 --prediction-weight 0 --label-weight 1` trains the
same student on labels alone. `--augment` learns from the variants that augment makes too; the
prediction stage of scores and spans takes the examples alone, as the paper's does. `--quantize
dynamic_wi4_afp32` lets the student learn with the rounded weights that this export recipe will give
it; its folder holds them.
"""

import dataclasses
import functools

from tinybert_tf.programs.distilling import DistillSettings
from tinybert_tf.programs.settings import TaskTrainingSettings, exists, setting
from tinybert_tf.programs.training import TrainingRecord, cache_teacher, task_head, train_stage

ON_THE_FLY = "on-the-fly"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskDistillSettings(DistillSettings, TaskTrainingSettings):
    """Settings of `task-distill`."""

    teacher: str = setting(help="model folder, fine-tuned on the task")
    head: str = setting("bert", "of a preset: bert or tinybert_relu")
    intermediate_epochs: int = setting(10, "passes of the intermediate stage")
    intermediate_learning_rate: float = setting(5e-5, "its constant rate")
    prediction_epochs: int = setting(3, "passes of the prediction stage")
    prediction_learning_rate: float = setting(3e-5, "its highest rate")
    temperature: float = setting(1.0, "divides both logits in the prediction loss")
    scale_by_temperature_squared: bool = setting(False, "multiply that loss by its square")
    prediction_weight: float = setting(1.0, "weight of the teacher's predictions")
    label_weight: float = setting(0.0, "weight of the true labels")
    augment: str | None = setting(
        None, "file that augment made, or on-the-fly: drawn from --candidates while training"
    )
    candidates: str | None = setting(None, "file of candidates that augment made")
    variants: int | None = setting(
        None, "variants to draw of a text on the fly; the task's own if unset"
    )
    augment_probability: float = setting(0.4, "of a word to be replaced on the fly")
    full_schedule: bool = setting(False, "the paper's passes for the task instead of those above")
    allow_weak_teacher: bool = setting(
        False, "go on with a teacher that is no better than guessing", compared=False
    )
    quantize: str | None = setting(
        None,
        "export recipe to learn for, with its rounded weights: dynamic_wi8_afp32, "
        "dynamic_wi8_afp32_emb4, dynamic_wi4_afp32 or static_wi8_ai8",
    )
    quantize_stage: str = setting("prediction", "stages that do: prediction or both")
    prune: str | float | None = setting(
        None,
        "share of zeros among the student's dense weights, or 2:4 (in YAML '2:4'): two of every "
        "four",
    )
    cluster: int | None = setting(
        None, "number of different values that the weights of a dense layer may have"
    )
    teacher_cache: str | None = setting(
        None,
        "folder that keeps the teacher's outputs for other runs; else they go with the run's state",
        compared=False,
    )
    run_teacher_always: bool = setting(
        False, "run the teacher in every prediction epoch, and keep nothing", compared=False
    )
    feature_cache_gb: float = setting(
        0.0,
        "keep its hidden states and attention of the intermediate stage too, up to this size",
        compared=False,
    )

    def check(self):
        self.make_strategy()  # before anything else: see `TrainingSettings`
        self.scheduled()
        super().check()
        self.check_at_least(0, "intermediate_epochs")
        self.check_at_least(1, "prediction_epochs")
        self._check_augmentation()
        self._check_compression()
        # What is wrong with the second stage is said before the first.
        prediction_objective(self, self.problem)
        self.optimizer(self.intermediate_learning_rate)
        self.optimizer(self.prediction_learning_rate, self.prediction_epochs)

    def _check_augmentation(self):
        from tinybert_tf.data import TextRows, rows_of

        problem = self.load_task().problem if self.task else self.problem
        if self.augment == ON_THE_FLY and rows_of(problem) is not TextRows:
            raise ValueError(
                f"--augment {ON_THE_FLY} is for texts with classes or scores; of {problem} let "
                "augment write a file, and give that."
            )
        for name in ("augment", "candidates"):
            path = getattr(self, name)
            if path not in (None, ON_THE_FLY) and not exists(path):
                raise FileNotFoundError(f"{path}: no such file, for --{name}.")
        if (self.augment == ON_THE_FLY) != (self.candidates is not None):
            raise ValueError(
                f"--augment {ON_THE_FLY} and --candidates FILE, which augment makes, go together."
            )
        if self.variants is not None and self.augment != ON_THE_FLY:
            raise ValueError(f"--variants is for --augment {ON_THE_FLY} only.")
        self.check_at_least(1, "variants")
        if not 0 <= self.augment_probability <= 1:
            raise ValueError(
                f"--augment-probability is {self.augment_probability}, expected 0 to 1."
            )

    def _check_compression(self):
        from tinybert_tf.quantization import scheme_of

        if self.quantize is not None:
            scheme_of(self.quantize)
        if self.quantize_stage not in ("prediction", "both"):
            raise ValueError(
                f"--quantize-stage is {self.quantize_stage}, expected prediction or both."
            )
        if self.quantize is None and self.quantize_stage != "prediction":
            raise ValueError(
                f"--quantize-stage {self.quantize_stage} needs a recipe; give --quantize."
            )
        for name in ("prune", "quantize"):
            if self.cluster is not None and getattr(self, name) is not None:
                raise ValueError(f"--{name} and --cluster do not go together; choose one.")
        kernel_rules(self, 1)

    def scheduled(self):
        """These settings, with the paper's passes for the task if `full_schedule` asks for them."""
        if not self.full_schedule:
            return self
        schedule = self.load_task().schedule
        if schedule is None:
            raise ValueError(
                f"The paper has no schedule for {self.task or 'files of your own'}; give "
                "--intermediate-epochs and --prediction-epochs instead of --full-schedule."
            )
        return dataclasses.replace(
            self,
            intermediate_epochs=schedule.intermediate_epochs,
            prediction_epochs=schedule.prediction_epochs,
        )


def run(settings):
    """Distils; returns dev metrics of teacher and student and the logs of both stages."""
    record = TrainingRecord("task-distill", settings)
    if record.result is not None:
        return record.result

    import tinybert_tf as tb

    settings = settings.scheduled()
    strategy = settings.begin()
    task = settings.load_task()
    with strategy.scope():
        teacher = load_teacher(settings)
        student, projection_start = make_student(settings, teacher, task)
        shortest = min(task.max_length, teacher.config.max_sequence_length)
        first, second = stage_batches(settings, task, student, max_length=shortest)
        distiller = tb.Distiller(teacher, student)
        if settings.quantize_stage == "both":
            distiller = quantized(settings, distiller)
        teacher_dev = measure_teacher(settings, teacher, task)
        record.start()
        intermediate = run_intermediate(settings, record, distiller, first, projection_start)
        distiller = quantized(settings, distiller)
        prediction, best = run_prediction(settings, record, distiller, second, task)
    return record.finish_model(
        {
            "dev": best.metrics,
            "steps": len(intermediate) * first.steps_per_epoch
            + len(prediction) * second.steps_per_epoch,
            "rows": first.num_examples,
            "teacher_dev": teacher_dev,
            "teacher_dtype": teacher.dtype_policy.name,
            "intermediate_epochs": intermediate,
            "prediction_epochs": prediction,
        }
    )


def stage_batches(settings, task, model, **limits):
    """The batches of the intermediate and of the prediction stage."""
    if settings.augment is None:
        batches = settings.train_batches(task, model, **limits)
        return batches, batches
    augmented = augmented_batches(settings, task, model, **limits)
    if task.problem in ("regression", "spans"):
        return augmented, settings.train_batches(task, model, **limits)
    return augmented, augmented


def augmented_batches(settings, task, model, **limits):
    """The batches of the training examples and their variants."""
    if settings.augment != ON_THE_FLY:
        return settings.train_batches(task.with_train_file(settings.augment), model, **limits)

    from tinybert_tf.augmentation import AugmentedRows, Candidates

    rows = functools.partial(
        AugmentedRows,
        candidates=Candidates.load(settings.candidates),
        variants=settings.variants or task.variants,
        probability=settings.augment_probability,
        seed=settings.seed,
    )
    return settings.train_batches(task, model, rows=rows, **limits)


def run_intermediate(settings, record, distiller, batches, projection_start):
    """Attention, hidden states and embeddings; returns the logs of its epochs."""
    from tinybert_tf.callbacks import DistillationMonitor

    if not settings.intermediate_epochs:
        return []
    objective = settings.intermediate_objective()
    distiller.compile(
        objective,
        settings.optimizer(settings.intermediate_learning_rate),
        **settings.compile_options(),
    )
    distiller.prepare(batches)
    if projection_start is not None:
        projection_start(distiller.projection)
    if settings.feature_cache_gb:
        teacher, student = distiller.teacher, distiller.student
        outputs = objective.teacher_outputs(student.config.num_layers, teacher.config.num_layers)
        limit = round(settings.feature_cache_gb * 1e9)
        batches = cache_teacher(settings, record, teacher, batches, outputs, limit)
    return train_stage(
        settings,
        record,
        distiller,
        batches,
        "intermediate stage",
        settings.intermediate_epochs,
        [DistillationMonitor(record.log_folder("intermediate"))],
    )


def quantized(settings, distiller):
    """The `Distiller` of a student with rounded weights, if the settings ask for one."""
    import tinybert_tf as tb
    from tinybert_tf.quantization import QuantizedStudent

    teacher, student = distiller.teacher, distiller.student
    if settings.quantize is None or isinstance(student, QuantizedStudent):
        return distiller
    return tb.Distiller(teacher, QuantizedStudent(student, settings.quantize))


def run_prediction(settings, record, distiller, batches, task):
    """The teacher's predictions; returns the logs of its epochs and the `BestStudent`."""
    from tinybert_tf.callbacks import BestStudent, DistillationMonitor, TaskEvaluator

    objective = prediction_objective(settings, task.problem)
    steps = settings.prediction_epochs * batches.steps_per_epoch
    distiller.compile(
        objective,
        settings.optimizer(settings.prediction_learning_rate, steps),
        **settings.compile_options(),
    )
    every_row_comes = steps >= len(batches.sizes)
    if objective.needs_teacher and every_row_comes and not settings.run_teacher_always:
        outputs = {"logits": None}
        batches = cache_teacher(settings, record, distiller.teacher, batches, outputs)
    monitor = DistillationMonitor(record.log_folder("prediction"))
    best = BestStudent(record.output / "best", f"dev_{task.metrics[0]}", writes=record.writes)
    logs = train_stage(
        settings,
        record,
        distiller,
        batches,
        "prediction stage",
        settings.prediction_epochs,
        [TaskEvaluator(task), *kernel_rules(settings, batches.steps_per_epoch), monitor, best],
    )
    return logs, best


def kernel_rules(settings, ramp_steps):
    """The callbacks that prune or cluster; `ramp_steps` as for `Pruning`."""
    from tinybert_tf.callbacks import Pruning, WeightClustering

    rules = [] if settings.prune is None else [Pruning(settings.prune, ramp_steps)]
    return rules if settings.cluster is None else [*rules, WeightClustering(settings.cluster)]


def load_teacher(settings):
    """The teacher, which must have a head."""
    teacher = settings.load_teacher()
    if not hasattr(teacher, "labels"):
        raise ValueError(
            f"{settings.teacher} has no classifier; fine-tune it with finetune-teacher first."
        )
    return teacher


def measure_teacher(settings, teacher, task):
    """The teacher's dev metrics; raises ValueError if they are at chance and may not be."""
    from tinybert_tf.evaluation import evaluate, weakness

    task.check_model(teacher)
    metrics = evaluate(teacher, task)
    complaint = weakness(task, metrics)
    if complaint and settings.prediction_weight and not settings.allow_weak_teacher:
        raise ValueError(f"{complaint} --allow-weak-teacher goes on all the same.")
    return metrics


def make_student(settings, teacher, task):
    """The student with the task's labels, and a function that starts its projection, or `None`."""
    head_class, head = task_head(settings, task)
    if settings.makes_student:
        return settings.new_student(teacher, head_class, **head)
    student, projection_start = settings.load_student()
    if not fits(student, task):
        student = head_class.from_encoder(student, **head, dtype=student.dtype_policy)
    return student, projection_start


def fits(model, task):
    """Whether a model has a head for the task's labels, in whatever order."""
    try:
        task.check_model(model)
    except ValueError:
        return False
    return True


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
