"""Distils a pre-trained teacher into a general student, on plain text: TinyBERT's first stage.

    tinybert-tf general-distill --corpus runs/corpus --teacher bert-base-uncased \\
        --student tinybert_4l_312d --output runs/general

The corpus is what prepare-corpus made with the teacher's word-pieces. The student learns attention
and hidden states of a teacher that was not fine-tuned, and is what task-distill's `--student`
starts from, with the projection that lies beside it. The losses of the whole course are in
`losses.csv`, and drawn in `losses.svg`.
"""

import dataclasses

from tinybert_tf.programs.corpus_training import CorpusTrainingSettings
from tinybert_tf.programs.distilling import DistillSettings, save_projection
from tinybert_tf.programs.settings import setting
from tinybert_tf.programs.training import TrainingRecord, train_stage

# Share of the first losses that is left after two passes over Wikipedia, for TinyBERT-4 under a
# BERT-base: attention 28.8 to 7.7, hidden states 2.0 to 1.1, as users of the released program
# report.
HEALTHY = {"attention_loss": 7.7 / 28.8, "hidden_loss": 1.1 / 2.0}


@dataclasses.dataclass(frozen=True, kw_only=True)
class GeneralDistillSettings(DistillSettings, CorpusTrainingSettings):
    """Settings of `general-distill`."""

    learning_rate: float = setting(1e-4, "the highest rate")
    curve_steps: int = setting(50, "steps between two rows of losses.csv", compared=False)

    def check(self):
        super().check()
        self.check_at_least(1, "curve_steps")
        self.optimizer(self.learning_rate, self.epochs)


def run(settings):
    """Distils; returns the losses of each epoch and what is left of the first ones."""
    record = TrainingRecord("general-distill", settings)
    if record.result is not None:
        return record.result

    import tinybert_tf as tb
    from tinybert_tf.callbacks.loss_curve import read_curve

    strategy = settings.begin()
    with strategy.scope():
        teacher = encoder_of(settings.load_teacher())
        student, projection_start = make_student(settings, teacher)
        batches = settings.train_batches(student)
        steps = settings.epochs * batches.steps_per_epoch
        record.start()
        distiller = tb.Distiller(teacher, student)
        distiller.compile(
            settings.intermediate_objective(),
            settings.optimizer(settings.learning_rate, steps),
            **settings.compile_options(),
        )
        distiller.prepare(batches)
    if projection_start is not None:
        projection_start(distiller.projection)
    curve = record.output / "losses.csv"
    logs = train_stage(
        settings,
        record,
        distiller,
        batches,
        "general distillation",
        settings.epochs,
        [
            tb.callbacks.DistillationMonitor(record.log_folder("general")),
            tb.callbacks.LossCurve(curve, settings.curve_steps, writes=record.writes),
        ],
    )
    stretches = read_curve(curve)
    if record.writes:
        draw(stretches, record.output / "losses.svg")
        tb.save(student, record.output / "best")
        save_projection(distiller.projection, record.output / "best")
    return record.finish_model(
        {
            "steps": steps,
            "sequences": steps * settings.batch_size,
            "teacher_dtype": teacher.dtype_policy.name,
            "losses_left": losses_left(stretches),
            "losses_left_when_healthy": HEALTHY,
            "epochs": logs,
        }
    )


def encoder_of(model):
    """A model without the head that general distillation has no use for."""
    return getattr(model, "encoder", model)


def make_student(settings, teacher):
    """The student, and a function that starts its projection, or `None`."""
    import tinybert_tf as tb

    if settings.makes_student:
        return settings.new_student(teacher, tb.BertEncoder)
    student, projection_start = settings.load_student()
    return encoder_of(student), projection_start


def losses_left(stretches):
    """What is left of each loss: the last stretch of the curve over the first.

    Returns:
        Dict of loss name to float; empty where the curve has one stretch only.
    """
    if len(stretches) < 2:
        return {}
    first, last = stretches[0], stretches[-1]
    return {name: last[name] / first[name] for name in first if name.endswith("_loss")}


def draw(stretches, path):
    """Draws a curve as an SVG file."""
    from tinybert_tf.atomic import atomic_file
    from tinybert_tf.report.figures import training_curve

    svg = training_curve(stretches, HEALTHY)
    with atomic_file(path) as temporary:
        temporary.write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    from tinybert_tf.cli import run_as_program

    run_as_program("general-distill")
