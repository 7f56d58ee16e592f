"""Trains a BERT as a masked language model on plain text.

    tinybert-tf adapt-mlm --model bert-base-uncased --corpus runs/corpus --output runs/masked_lm

Gives an encoder without a masked-LM head one, as augment needs it, or adapts one that has it to a
domain. The corpus is what prepare-corpus made with the model's word-pieces.
"""

import dataclasses

from tinybert_tf.programs.corpus_training import CorpusTrainingSettings
from tinybert_tf.programs.precision import TRAINED, check_dtype
from tinybert_tf.programs.settings import setting
from tinybert_tf.programs.training import TrainingRecord, train_stage


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdaptMLMSettings(CorpusTrainingSettings):
    """Settings of `adapt-mlm`."""

    model: str = setting(help="model folder, with a masked-LM head or without")
    epochs: int = setting(1, "passes over the corpus")
    batch_size: int = setting(32, "sequences a step")
    learning_rate: float = setting(1e-4, "the highest rate")
    masked_lm_prob: float = setting(0.15, "share of the tokens that are masked")
    dtype: str = setting(
        "float32", "to compute in: float32, bfloat16 or float16; variables stay float32"
    )

    def check(self):
        super().check()
        check_dtype("--dtype", self.dtype, TRAINED)
        if not self.masked_lm_prob:
            raise ValueError("--masked-lm-prob is 0, which leaves nothing to learn. Raise it.")
        self.optimizer(self.learning_rate, self.epochs)


def run(settings):
    """Trains; returns the loss of each epoch."""
    record = TrainingRecord("adapt-mlm", settings)
    if record.result is not None:
        return record.result

    import tinybert_tf as tb

    strategy = settings.begin()
    with strategy.scope():
        model = make_model(settings)
        batches = settings.train_batches(model, masked_lm_labels=True)
        steps = settings.epochs * batches.steps_per_epoch
        record.start()
        distiller = tb.Distiller(None, model)
        distiller.compile(
            tb.distillation.MaskedLMObjective(),
            settings.optimizer(settings.learning_rate, steps),
            **settings.compile_options(),
        )
    logs = train_stage(
        settings,
        record,
        distiller,
        batches,
        "masked LM",
        settings.epochs,
        [tb.callbacks.DistillationMonitor(record.log_folder("masked_lm"))],
    )
    if record.writes:
        tb.save(model, record.output / "best")
    return record.finish_model({"steps": steps, "epochs": logs})


def make_model(settings):
    """The folder's masked LM, or its encoder under a new head."""
    import tinybert_tf as tb

    dtype = TRAINED[settings.dtype]
    model = tb.load(settings.model, dtype=dtype)
    if isinstance(model, tb.BertMaskedLM):
        return model
    return tb.BertMaskedLM.from_encoder(model, dtype=dtype)


if __name__ == "__main__":
    from tinybert_tf.cli import run_as_program

    run_as_program("adapt-mlm")
