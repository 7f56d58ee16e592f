"""Turns plain text into shards of token ids, for general distillation and masked-LM training.

    tinybert-tf prepare-corpus --input wiki.txt "books/*.txt.gz" \\
        --vocabulary bert-base-uncased --output corpus

Text is UTF-8, one paragraph a line with a blank line between documents, or as `--documents` and
`--sentences` tell; .gz, .bz2 and .xz are read too. The same text makes the same bytes with any
number of `--workers` and any `--runner` of Apache Beam. An interrupted run goes on with the same
command, which makes shards again that are missing too, and refuses text that has changed.
"""

import dataclasses
import os
import pathlib
import shutil
import sys
import time
import warnings

from tinybert_tf.programs.run_record import RunRecord
from tinybert_tf.programs.settings import Settings, setting

# Text of a compressed file, in shards: it becomes one, which more than this make unwieldy.
_LONG_SHARDS = 50


@dataclasses.dataclass(frozen=True, kw_only=True)
class PrepareCorpusSettings(Settings):
    """Settings of `prepare-corpus`."""

    input: tuple[str, ...] = setting(help='text files, or globs in quotes: "wiki/*.txt.gz"')
    vocabulary: str = setting(help="vocab.txt, or a model folder")
    output: str = setting(help="folder to write; a run that is there is continued")
    documents: str = setting(
        "blank-line",
        "what a document is: blank-line (what is between them), heading (what WikiText's = Title = "
        "begins), line or file",
    )
    sentences: str = setting("split", "split each line into sentences, or take it as one: line")
    on_bad_line: str = setting("error", "what to do about a line that is not UTF-8: error or skip")
    shard_bytes: int = setting(4_000_000, "bytes of text that make a shard")
    workers: int | None = setting(
        None, "processes; as many as there are processors if unset", compared=False
    )
    runner: str | None = setting(
        None,
        "of Apache Beam, instead of processes of this machine: direct, portable, prism, flink, "
        "spark or dataflow",
        compared=False,
    )
    beam_options: tuple[str, ...] = setting(
        (), "Beam's options, without dashes: flink_master=host:8081 parallelism=8", compared=False
    )
    overwrite: bool = setting(False, "replace the run that is in the output folder")

    def check(self):
        from tinybert_tf.corpus.preparation import SENTENCES
        from tinybert_tf.corpus.text import DOCUMENTS, find_files

        if not pathlib.Path(self.vocabulary).exists():
            raise FileNotFoundError(f"{self.vocabulary}: no such file or folder, for --vocabulary.")
        _check_choice("--documents", self.documents, DOCUMENTS)
        _check_choice("--sentences", self.sentences, SENTENCES)
        _check_choice("--on-bad-line", self.on_bad_line, ("error", "skip"))
        self.check_at_least(1, "shard_bytes", "workers")
        self._check_output_is_elsewhere(find_files(self.input))
        self._check_runner()

    def is_current(self):
        """Whether the corpus of a finished run is whole and of the text that is there now.

        Text or vocabulary that has been removed since does not count.
        """
        try:
            maker, numbered_parts = plan(self)
        except FileNotFoundError:
            return True
        return _is_whole(maker, numbered_parts) and not maker.is_of_other_text(numbered_parts)

    def _check_runner(self):
        from tinybert_tf.corpus.beam_pipeline import RUNNERS, import_beam

        if self.runner is None:
            if self.beam_options:
                raise ValueError("--beam-options are for Apache Beam: name its --runner too.")
            return
        if not self.runner.endswith("Runner"):  # Beam's own name of one
            _check_choice("--runner", self.runner, tuple(RUNNERS))
        import_beam()

    def _check_output_is_elsewhere(self, files):
        output = os.path.realpath(self.output)
        for path in files:
            if os.path.realpath(path).startswith(f"{output}{os.sep}"):
                raise ValueError(
                    f"{path} of --input lies in {self.output}, which --output names. Choose "
                    "another --output."
                )


def run(settings):
    """Prepares; returns how much text the corpus holds and how fast it was made."""
    from tinybert_tf.corpus.preparation import finish_corpus
    from tinybert_tf.corpus.text import check_documents

    record = RunRecord("prepare-corpus", settings)
    maker, numbered_parts = plan(settings)
    if record.result is not None:
        _check_is_of_this_text(maker, numbered_parts)
        if _is_whole(maker, numbered_parts):
            return record.result
    parts = [part for _, part in numbered_parts]
    check_documents(parts, settings.documents, settings.on_bad_line)
    warn_of_long_files(parts, settings.shard_bytes)
    check_space(settings.output, maker.estimate_bytes(parts))
    record.start()
    missing = [part for part in numbered_parts if maker.note_of(part) is None]
    start = time.monotonic()
    make(settings, maker, missing)
    notes = finish_corpus(maker, numbered_parts)
    tokens = sum(notes[index]["tokens"] for index, _ in missing)
    result = summary(notes) | {"tokens_per_second": tokens / (time.monotonic() - start)}
    if result["skipped_lines"]:
        warnings.warn(
            f"{result['skipped_lines']} lines are not UTF-8 and were left out.", stacklevel=2
        )
    return record.finish(result)


def plan(settings):
    """The `ShardMaker`, and a list of tuples of index and part: all of the text."""
    from tinybert_tf.corpus.preparation import ShardMaker
    from tinybert_tf.corpus.text import find_files, plan_parts

    maker = ShardMaker(
        os.path.abspath(settings.output),
        read_vocabulary(settings.vocabulary),
        settings.documents,
        settings.sentences,
        settings.on_bad_line,
    )
    files = find_files(settings.input)
    return maker, list(enumerate(plan_parts(files, settings.documents, settings.shard_bytes)))


def warn_of_long_files(parts, shard_bytes):
    """Warns of compressed files so long that their shards, one each, are unwieldy."""
    from tinybert_tf.corpus.text import find_long_compressed

    spans = find_long_compressed(parts, _LONG_SHARDS * shard_bytes)
    if spans:
        others = f" and {len(spans) - 1} others" if spans[1:] else ""
        warnings.warn(
            f"{spans[0].path}{others}: a compressed file becomes one shard, made by one process, "
            f"and this holds more text than {_LONG_SHARDS} of --shard-bytes. Decompress or split "
            "it.",
            stacklevel=3,
        )


def read_vocabulary(path):
    """The vocabulary of a file, or of a model folder of any format; raises ValueError for none."""
    from tinybert_tf.checkpoints import read_checkpoint
    from tinybert_tf.checkpoints.tokenizer_files import read_vocabulary
    from tinybert_tf.models import Vocabulary

    path = pathlib.Path(path)
    if path.is_file():
        return Vocabulary.from_file(path)
    vocabulary = read_vocabulary(path, None) or read_checkpoint(path).vocabulary
    if vocabulary is None:
        raise ValueError(f"{path} has no vocabulary; name a vocab.txt with --vocabulary.")
    return vocabulary


def check_space(output, num_bytes):
    """Says how many bytes will be written; raises OSError if the disk has less room.

    Args:
        output: str, the folder; what it holds makes room, or need not be written again.
        num_bytes: int.
    """
    output = pathlib.Path(output).absolute()
    there = next(path for path in (output, *output.parents) if path.exists())
    room = shutil.disk_usage(there).free
    room += sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
    sys.stderr.write(f"{output}: about {num_bytes / 1e6:.3g} MB will be written\n")
    if room < num_bytes:
        raise OSError(
            f"The corpus needs about {num_bytes / 1e6:.3g} MB, but the disk of {output} has "
            f"{room / 1e6:.3g} MB left. Make room or choose another --output."
        )


def make(settings, maker, numbered_parts):
    """Makes shards, by processes with a progress bar or by Beam."""
    from tinybert_tf.atomic import remove
    from tinybert_tf.callbacks.progress import counting
    from tinybert_tf.corpus.beam_pipeline import make_shards_with_beam
    from tinybert_tf.corpus.preparation import make_shards

    if not numbered_parts:
        return
    remove(pathlib.Path(maker.folder) / "corpus.json")  # not finished any more
    if settings.runner is not None:
        make_shards_with_beam(maker, numbered_parts, settings.runner, settings.beam_options)
        return
    start, tokens = time.monotonic(), 0
    with counting("preparing", len(numbered_parts)) as show:
        for done, note in enumerate(make_shards(maker, numbered_parts, settings.workers), 1):
            tokens += note["tokens"]
            show(done, {"tokens_per_second": tokens / (time.monotonic() - start)})


def summary(notes):
    """The sums of shards' notes."""
    total = {
        name: sum(note[name] for note in notes)
        for name in ("documents", "sentences", "tokens", "bytes", "unknown", "skipped")
    }
    return {
        "documents": total["documents"],
        "sentences": total["sentences"],
        "tokens": total["tokens"],
        "shards": sum(note["documents"] > 0 for note in notes),
        "bytes": total["bytes"],
        "unknown_share": total["unknown"] / total["tokens"],
        "skipped_lines": total["skipped"],
    }


def _is_whole(maker, numbered_parts):
    """Whether all is there that the corpus consists of, and can be read."""
    from tinybert_tf.corpus import CorpusShards

    try:
        vocabulary = CorpusShards(maker.folder).vocabulary
    except (OSError, ValueError):
        return False
    shards_are_whole = all(maker.note_of(part) is not None for part in numbered_parts)
    return shards_are_whole and vocabulary == maker.vocabulary


def _check_is_of_this_text(maker, numbered_parts):
    if maker.is_of_other_text(numbered_parts):
        raise FileExistsError(
            f"{maker.folder} holds a corpus of other text: files of --input, or --vocabulary, have "
            "changed since. Choose another --output, or pass --overwrite to replace it."
        )


def _check_choice(flag, value, choices):
    if value not in choices:
        from tinybert_tf.suggestions import did_you_mean

        advice = did_you_mean(value, choices)
        raise ValueError(f'Unknown {flag} "{value}".{advice} Choices: {", ".join(choices)}.')


if __name__ == "__main__":
    from tinybert_tf.cli import run_as_program

    run_as_program("prepare-corpus")
