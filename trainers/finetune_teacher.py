"""Fine-tunes a BERT on a task, so that it can teach.

    tinybert-tf finetune-teacher --task sst2 --data-dir glue \\
        --teacher bert-base-uncased --output runs/sst2/teacher

`--teacher` is a model folder, or a preset to train from scratch with the word-pieces of
`--vocabulary`. The best epoch on the dev split is kept.
"""

import dataclasses

from tinybert_tf.programs.precision import TRAINED, check_dtype
from tinybert_tf.programs.settings import TaskTrainingSettings, setting
from tinybert_tf.programs.training import TrainingRecord, is_folder, task_head, train_stage


@dataclasses.dataclass(frozen=True, kw_only=True)
class FinetuneTeacherSettings(TaskTrainingSettings):
    """Settings of `finetune-teacher`."""

    teacher: str = setting(help="model folder to fine-tune, or a preset to train from scratch")
    vocabulary: str | None = setting(None, "vocab.txt for a preset")
    head: str = setting("bert", "bert, or tinybert_relu as in the released TinyBERT checkpoints")
    epochs: int = setting(3, "passes over the training split")
    learning_rate: float = setting(3e-5, "the highest rate")
    dtype: str = setting(
        "float32", "to compute in: float32, bfloat16 or float16; variables stay float32"
    )

    def check(self):
        super().check()
        self.check_at_least(1, "epochs")
        check_dtype("--dtype", self.dtype, TRAINED)

        if not is_folder(self.teacher) and self.vocabulary is None:
            raise ValueError(f"The preset {self.teacher} has no word-pieces; give --vocabulary.")
        self.optimizer(self.learning_rate, self.epochs)


def run(settings):
    """Fine-tunes; returns the dev metrics of the best epoch and the logs of all."""
    record = TrainingRecord("finetune-teacher", settings)
    if record.result is not None:
        return record.result

    import tinybert_tf as tb
    from tinybert_tf.evaluation import split_parts

    strategy = settings.begin()
    task = settings.load_task()
    for split in split_parts(task, "dev").values():
        task.examples(split)  # what cannot be read is said before anything is made
    with strategy.scope():
        model = make_model(settings, task)
        batches = settings.train_batches(task, model)
        record.start()
        distiller = tb.Distiller(None, model)
        distiller.compile(
            tb.PredictionObjective(task.problem, prediction_weight=0.0, label_weight=1.0),
            settings.optimizer(settings.learning_rate, settings.epochs * batches.steps_per_epoch),
            **settings.compile_options(),
        )
    best = tb.callbacks.BestStudent(
        record.output / "best", f"dev_{task.metrics[0]}", writes=record.writes
    )
    logs = train_stage(
        settings,
        record,
        distiller,
        batches,
        "fine-tuning",
        settings.epochs,
        [tb.callbacks.TaskEvaluator(task), tb.callbacks.DistillationMonitor(), best],
    )
    steps = settings.epochs * batches.steps_per_epoch
    return record.finish_model({"dev": best.metrics, "steps": steps, "epochs": logs})


def make_model(settings, task):
    """The model to fine-tune: a folder's encoder, or a preset's, under a head for the task."""
    import tinybert_tf as tb

    head_class, head = task_head(settings, task)
    head["dtype"] = TRAINED[settings.dtype]
    if is_folder(settings.teacher):
        return head_class.from_encoder(tb.load(settings.teacher), **head)
    vocabulary = tb.Vocabulary.from_file(settings.vocabulary)
    return head_class.from_preset(settings.teacher, vocabulary=vocabulary, **head)


if __name__ == "__main__":
    from tinybert_tf.cli import run_as_program

    run_as_program("finetune-teacher")
