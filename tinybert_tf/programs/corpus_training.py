"""Training on a prepared corpus: settings and batches."""

import dataclasses

from tinybert_tf.programs.settings import TrainingSettings, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class CorpusTrainingSettings(TrainingSettings):
    """Settings of programs that train on a prepared corpus."""

    corpus: str = setting(help="folder that prepare-corpus made")
    epochs: int = setting(3, "passes over the corpus")
    steps_per_epoch: int | None = setting(
        None, "end a pass after so many steps; the next one begins with other texts"
    )
    max_length: int = setting(128, "word-pieces of a sequence")
    batch_size: int = setting(256, "sequences a step")
    masked_lm_prob: float = setting(0.0, "share of the tokens that are masked")

    def check(self):
        super().check()
        self.check_at_least(1, "epochs", "batch_size", "steps_per_epoch")
        self.check_at_least(8, "max_length")
        self.check_at_least(0, "seed")
        if not 0 <= self.masked_lm_prob < 1:
            raise ValueError(
                f"--masked-lm-prob is {self.masked_lm_prob}, expected 0 or more and less than 1."
            )
        self.read_corpus()

    def read_corpus(self):
        """The `CorpusShards` that the settings name."""
        from tinybert_tf.corpus import CorpusShards

        return CorpusShards(self.corpus)

    def train_batches(self, model, masked_lm_labels=False):
        """The corpus's `CorpusBatches` for a model, with or without the tokens that were masked.

        Raises:
            ValueError: If the model has other word-pieces or takes shorter sequences.
        """
        from tinybert_tf.corpus import CorpusBatches

        corpus = self.read_corpus()
        if model.vocabulary != corpus.vocabulary:
            raise ValueError(
                f"{self.corpus} was prepared with other word-pieces than the model has, or with "
                "another choice of lower-casing. Prepare it with --vocabulary naming the model's "
                "folder."
            )
        if self.max_length > model.config.max_sequence_length:
            raise ValueError(
                f"--max-length is {self.max_length}, but the model takes at most "
                f"{model.config.max_sequence_length} word-pieces."
            )
        return CorpusBatches(
            corpus,
            max_length=self.max_length,
            batch_size=self.batch_size,
            steps_per_epoch=self.steps_per_epoch,
            seed=self.seed,
            prefetch=self.prefetch,
            masked_lm_prob=self.masked_lm_prob,
            masked_lm_labels=masked_lm_labels,
        )
