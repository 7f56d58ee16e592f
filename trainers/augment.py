"""Makes more training examples: variants of texts in which other words stand.

    tinybert-tf augment --task mrpc --data-dir glue --masked-lm bert-base-uncased \\
        --glove glove.6B.300d.txt --output glue/MRPC/train_augmented.tsv

A masked LM proposes words for those of one word-piece, GloVe's vectors for the others. The output
has the columns of the training file; of SQuAD the contexts are varied and the output is JSON. What
is proposed is kept beside the output, so that a run that was stopped goes on, and another seed or
number of variants asks for nothing again.
"""

import contextlib
import dataclasses
import pathlib
import time
import typing

from tinybert_tf.atomic import atomic_file
from tinybert_tf.programs.precision import FROZEN, check_dtype
from tinybert_tf.programs.run_record import RunRecord
from tinybert_tf.programs.settings import FileSettings, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class AugmentSettings(FileSettings):
    """Settings of `augment`."""

    json_is_record: typing.ClassVar[bool] = False

    masked_lm: str = setting(help="model folder of a BERT with its masked-LM head")
    glove: str | None = setting(
        None, "GloVe's text file, also .gz; without it words of several word-pieces stay"
    )
    output: str = setting(
        help="file to write: .tsv, of spans .json; or .candidates, for variants on the fly"
    )
    variants: int | None = setting(None, "variants to draw of a text; the task's own if unset")
    candidates_per_word: int = setting(15, "words that may stand in the place of one")
    probability: float = setting(0.4, "of a word to be replaced")
    seed: int = setting(0, "of what is drawn")
    max_length: int | None = setting(
        None, "most word-pieces that the masked LM reads at once; what it takes if unset"
    )
    compat: str = setting("paper", "whose choices: paper, or reference (the released program)")
    dtype: str = setting(
        "auto", "of the masked LM: float32, bfloat16, float16, or auto: the fastest that serves"
    )
    stop_words: str | None = setting(
        None, "file of words that are never replaced, one a line; English's if unset"
    )
    candidates: str | None = setting(
        None, "file that keeps what the models propose; beside the output if unset", compared=False
    )
    overwrite: bool = setting(False, "replace the file that is there")

    def check(self):
        super().check()
        problem = self.load_task().problem if self.task else self.problem
        if problem == "tagging":
            raise ValueError("Tagging has no texts to vary: a tag belongs to its word.")
        self.check_at_least(1, "candidates_per_word", "variants")
        self.check_at_least(0, "seed")
        if not 0 <= self.probability <= 1:
            raise ValueError(f"--probability is {self.probability}, expected 0 to 1.")
        check_dtype("--dtype", self.dtype, FROZEN)
        check_dtype("--compat", self.compat, ("paper", "reference"))
        if self.compat == "reference":
            self._check_reference(problem)

    def _check_reference(self, problem):
        """Raises ValueError for what the released program's choices do not go with."""
        if problem == "spans":
            raise ValueError(
                "--compat reference does not go with SQuAD: the released program augments none, "
                "and in texts made lower case answers are not found again."
            )
        if self.only_candidates:
            raise ValueError(
                "--compat reference does not go with an --output of candidates: on the fly, texts "
                "stay as they are written. Give an --output that ends in .tsv."
            )

    @property
    def candidates_path(self):
        """The file of what the models propose."""
        if self.only_candidates:
            return self.output
        return self.candidates or f"{self.output}.candidates"

    @property
    def only_candidates(self):
        """Whether nothing is drawn."""
        return self.output.endswith(".candidates")

    def num_variants(self):
        """Variants to draw of a text."""
        from tinybert_tf.data.task_table import PAPER_VARIANTS

        return self.variants or (self.load_task().variants if self.task else PAPER_VARIANTS)


def run(settings):
    """Augments; returns how many rows there are and what was replaced in them."""
    record = RunRecord("augment", settings)
    if record.result is not None:
        return record.result

    from tinybert_tf.augmentation.augmented_examples import Tally

    file, tally = read_file(settings), Tally()
    candidates, speed = find_candidates(settings, file.texts(settings.compat), record)
    result = {
        "output": settings.output,
        "num_examples": file.num_examples,
        "num_words": int(candidates.num_words.sum()),
        "num_candidate_words": len(candidates.starts),
        "sentences_per_second": speed,
    }
    if not settings.only_candidates:
        drawn = {name: getattr(settings, name) for name in ("probability", "seed", "compat")}
        with atomic_file(settings.output) as temporary:
            file.write(temporary, candidates, tally, count=settings.num_variants(), **drawn)
        result |= {"num_rows": tally.rows, **tally.shares()}
    return record.finish(result)


def read_file(settings):
    """The training file; raises ValueError if the output's name does not fit it."""
    from tinybert_tf import data
    from tinybert_tf.augmentation.augmented_files import training_file

    source = data.TASKS.get(settings.task, settings)
    kinds = (".json" if source.problem == "spans" else ".tsv", ".candidates")
    if source.problem != "tagging" and not settings.output.endswith(kinds):
        raise ValueError(
            f"--output is {settings.output}, expected a name that ends in {' or '.join(kinds)}."
        )
    columns = [source.text_column, source.text_pair_column]
    return training_file(
        find_file(settings, source),
        source.problem,
        [name for name in columns if name is not None],
        getattr(source, "columns", ()),
        settings.on_bad_line,
    )


def find_file(settings, source):
    """Path of the training file."""
    from tinybert_tf import data

    if settings.train:
        return pathlib.Path(settings.train)
    if settings.task is None:
        raise ValueError("Give --train, the file to augment, or --task with --data-dir.")
    folder = settings.data_dir or (source.bundled and data.__path__[0])
    if not folder:
        raise ValueError(f"Give --data-dir, the folder of {settings.task}'s training file.")
    return source.find_file(data.task_folder(folder, source.folder), "train")


def find_candidates(settings, texts, record):
    """What may stand in the place of each word, read or computed.

    Also the texts a second; `None` where this process has not computed all that the masked LM says.
    """
    import tinybert_tf as tb
    from tinybert_tf.augmentation import GloveVectors, make_candidates, read_stop_words
    from tinybert_tf.callbacks.progress import counting
    from tinybert_tf.programs.precision import frozen_dtype

    masked_lm = tb.load(settings.masked_lm, dtype=frozen_dtype(settings.dtype))
    glove = settings.glove and GloveVectors.from_file(settings.glove)
    stop_words = read_stop_words(settings.stop_words)
    record.start()
    start, shown = time.monotonic(), {}
    with contextlib.ExitStack() as stack:

        def on_progress(done, count):
            if not shown:
                bar = stack.enter_context(counting("candidates", count))
                shown.update(first=done, bar=bar)
            shown["bar"](done)

        candidates = make_candidates(
            texts,
            masked_lm,
            glove,
            path=settings.candidates_path,
            overwrite=settings.overwrite,
            stop_words=stop_words,
            count=settings.candidates_per_word,
            compat=settings.compat,
            max_length=settings.max_length,
            on_progress=on_progress,
        )
    speed = len(candidates.texts) / (time.monotonic() - start)
    return candidates, speed if shown.get("first") == 1 else None


if __name__ == "__main__":
    from tinybert_tf.cli import run_as_program

    run_as_program("augment")
