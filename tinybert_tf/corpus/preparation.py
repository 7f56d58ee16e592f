"""Text to shards: each part of a plan becomes one shard, wherever and in whatever order."""

import collections
import concurrent.futures
import dataclasses
import functools
import hashlib
import itertools
import json
import multiprocessing
import operator
import os
import pathlib
import signal
import threading

import tensorflow as tf

from tinybert_tf.atomic import leftovers, remove
from tinybert_tf.corpus.shards import (
    MAX_SENTENCE_TOKENS,
    ShardSize,
    id_dtype,
    shard_name,
    write_corpus,
    write_shard,
    written_file,
)
from tinybert_tf.corpus.text import count_text_bytes, read_paragraphs, split_sentences
from tinybert_tf.data.tokenizer import BertTokenizer
from tinybert_tf.models import Vocabulary

# How a paragraph becomes sentences.
SENTENCES = {"split": split_sentences, "line": lambda paragraph: [paragraph]}

_NOTES = "shard_notes"  # in the corpus folder: a note for each shard that is whole
_BATCH_CHARACTERS = 2**18  # that are tokenized at once
_SAMPLE_CHARACTERS = 2**16  # of a part, that a corpus's size is estimated from
_RECORD_OVERHEAD = 16  # bytes of a TFRecord beside its content


@dataclasses.dataclass(frozen=True)
class ShardMaker:
    """Makes shards from parts of a plan; the same bytes from the same part in every process.

    Beside each shard that is whole lies a note of what it was made from, so that it is not made
    again. Notes and maker can be pickled and sent to other machines that see the same files.

    Args:
        folder: str, absolute, the folder of the corpus.
        vocabulary: `Vocabulary`.
        documents: str, one of `tinybert_tf.corpus.text.DOCUMENTS`.
        sentences: str, a key of `SENTENCES`.
        on_bad_line: str, `error` or `skip`: what to do about lines that are not UTF-8.

    Example:
        maker = ShardMaker("/data/corpus", vocabulary)
        parts = list(enumerate(plan_parts(find_files(["wiki/*.txt"]), "blank-line", 4_000_000)))
        notes = list(make_shards(maker, parts))
        finish_corpus(maker, parts)
    """

    folder: str
    vocabulary: Vocabulary
    documents: str = "blank-line"
    sentences: str = "split"
    on_bad_line: str = "error"

    def __call__(self, numbered_part):
        """Makes a shard unless it is there.

        Args:
            numbered_part: tuple of the shard's index and a sequence of `Span`.

        Returns:
            Dict of ints, all of the shard: `documents`, `sentences`, `tokens`, `bytes`, `unknown`
            tokens, and `skipped` lines; and `key`, a str that stands for what it was made from.

        Raises:
            ValueError: If a file is damaged, or a line is not UTF-8.
            OSError: If a file cannot be read or the shard not be written.
        """
        return self.note_of(numbered_part) or self._make(*numbered_part)

    def note_of(self, numbered_part):
        """What `__call__` returned for a shard that is there and whole, else `None`."""
        index, part = numbered_part
        try:
            note = json.loads(self._note_path(index).read_text(encoding="utf-8"))
            num_bytes = self.shard_path(index).stat().st_size if note["documents"] else 0
        except FileNotFoundError:
            return None
        return note if (note["key"], note["bytes"]) == (self._key(part), num_bytes) else None

    def is_of_other_text(self, numbered_parts):
        """Whether the folder holds shards of other parts, or made with other settings.

        Args:
            numbered_parts: list of tuples of index and part, all of the plan.
        """
        keys = {self._note_path(index).name: self._key(part) for index, part in numbered_parts}
        notes = {
            path.name: json.loads(path.read_text(encoding="utf-8"))["key"]
            for path in self._note_path(0).parent.glob("*.json")
        }
        return bool(notes) and notes != keys

    def shard_path(self, index):
        """Where a shard lies; one without documents is not written."""
        return pathlib.Path(self.folder) / shard_name(index)

    def estimate_bytes(self, parts):
        """About how many bytes the shards of these parts need, judged by the beginnings of three.

        Args:
            parts: list of sequences of `Span`, at least one.
        """
        text = written = 0
        for place in sorted({0, len(parts) // 2, len(parts) - 1}):
            sample = _head(self._paragraphs(parts[place]), _SAMPLE_CHARACTERS)
            text += sum(len(line.encode()) + 1 for _, line in sample if line is not None)
            for document in self._documents(sample, collections.Counter()):
                num_ids = len(document) + sum(map(len, document))
                written += _RECORD_OVERHEAD + 4 + self._dtype.itemsize * num_ids
        return int(sum(map(count_text_bytes, parts)) * written / max(1, text))

    @property
    def _dtype(self):
        return id_dtype(len(self.vocabulary))

    @functools.cached_property
    def _settings_key(self):
        values = [dataclasses.astuple(self.vocabulary), self.documents, self.sentences]
        return _digest([*values, self.on_bad_line, MAX_SENTENCE_TOKENS])

    def _key(self, part):
        return _digest([self._settings_key, [dataclasses.astuple(span) for span in part]])

    def _note_path(self, index):
        return pathlib.Path(self.folder) / _NOTES / f"{shard_name(index)}.json"

    def _make(self, index, part):
        path, tally = self.shard_path(index), collections.Counter()
        write_shard(path, self._documents(self._paragraphs(part), tally), self._dtype)
        if not tally["documents"]:
            remove(path)
        counted = ("documents", "sentences", "tokens", "unknown", "skipped")
        note = {name: tally[name] for name in counted}
        note["bytes"] = path.stat().st_size if tally["documents"] else 0
        note["key"] = self._key(part)
        with written_file(self._note_path(index)) as temporary:
            temporary.write_text(json.dumps(note), encoding="utf-8")
        return note

    def _paragraphs(self, part):
        return read_paragraphs(part, self.documents, self.on_bad_line)

    def _documents(self, paragraphs, tally):
        """Yields lists of arrays, one a sentence; adds up in `tally` what they hold."""
        sentences = self._sentences(paragraphs, tally)
        for _, group in itertools.groupby(sentences, operator.itemgetter(0)):
            document = [ids for _, ids in group]
            tally["documents"] += 1
            tally["sentences"] += len(document)
            yield document

    def _sentences(self, paragraphs, tally):
        """Yields the document and the ids of each sentence that has any."""
        split, unknown_id = SENTENCES[self.sentences], self.vocabulary.unknown_id
        for batch in _batches(paragraphs, tally):
            texts = [(document, text) for document, line in batch for text in split(line)]
            with tf.device("CPU"):
                rows = _tokenizer(self.vocabulary).tokenize([text for _, text in texts])
            ids = rows.flat_values.numpy().astype(self._dtype)
            ends = rows.row_splits.numpy().tolist()
            tally["tokens"] += len(ids)
            tally["unknown"] += int((ids == unknown_id).sum())
            for (document, _), start, end in zip(texts, ends[:-1], ends[1:], strict=True):
                for place in range(start, end, MAX_SENTENCE_TOKENS):
                    yield document, ids[place : min(end, place + MAX_SENTENCE_TOKENS)]


def make_shards(maker, numbered_parts, workers=None):
    """Makes shards in several processes.

    A failure or an interruption leaves those that are whole, and no process.

    Args:
        maker: `ShardMaker`.
        numbered_parts: list of tuples of index and part.
        workers: int, processes; `None` takes as many as there are processors for this one.

    Yields:
        What the maker returned, as it comes.

    Raises:
        ChildProcessError: If a process was killed.
        ValueError, OSError: As `ShardMaker.__call__`.
    """
    workers = min(workers or _num_processors(), len(numbered_parts))
    if workers < 2:
        yield from map(maker, numbered_parts)
        return
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")  # TensorFlow does not survive a fork
    with concurrent.futures.ProcessPoolExecutor(workers, context, _begin_worker) as pool:
        try:
            futures = [pool.submit(maker, part) for part in numbered_parts]
            for future in concurrent.futures.as_completed(futures):
                yield future.result()
        except BaseException as error:
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
            pool.shutdown(cancel_futures=True)
            _remove_leftovers(maker.folder)
            if isinstance(error, concurrent.futures.BrokenExecutor):
                raise ChildProcessError(
                    "A worker process was killed, mostly for want of memory. The same command goes "
                    "on; fewer --workers or a smaller --shard-bytes need less."
                ) from error
            raise


def finish_corpus(maker, numbered_parts):
    """Makes the folder a corpus, once every shard is there.

    Args:
        maker: `ShardMaker` that has made them.
        numbered_parts: list of tuples of index and part, all of the plan.

    Returns:
        List of the shards' notes, as `ShardMaker.__call__` returns them.

    Raises:
        FileNotFoundError: If a shard is not there.
        ValueError: If there are less than two documents.
    """
    notes = {part[0]: maker.note_of(part) for part in numbered_parts}
    missing = [shard_name(index) for index, note in notes.items() if note is None]
    if missing:
        raise FileNotFoundError(
            f"{missing[0]} was made, but not in {maker.folder}. All workers must see the same "
            "disk under the same name."
        )
    if sum(note["documents"] for note in notes.values()) < 2:
        raise ValueError("The files of --input hold less than two documents with tokens in them.")
    names = [field.name for field in dataclasses.fields(ShardSize)]
    sizes = {
        shard_name(index): ShardSize(**{name: note[name] for name in names})
        for index, note in notes.items()
        if note["documents"]
    }
    kept = {*sizes, *(f"{shard_name(index)}.json" for index in notes)}
    folder = pathlib.Path(maker.folder)
    for path in (*folder.glob("shard_*.tfrecord"), *folder.glob(f"{_NOTES}/*.json")):
        if path.name not in kept:
            remove(path)  # of an earlier plan
    _remove_leftovers(folder)
    write_corpus(folder, maker.vocabulary, sizes)
    return list(notes.values())


def _num_processors():
    """How many this process may use, where the system tells; else all."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _remove_leftovers(folder):
    """Removes what killed processes were writing."""
    for path in (*leftovers(folder), *leftovers(pathlib.Path(folder) / _NOTES)):
        remove(path)


def _begin_worker():
    """Makes this process end with its parent, stay alone with its core and leave Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.set_visible_devices([], "GPU")


def _end_with_parent():
    multiprocessing.parent_process().join()
    os._exit(1)


@functools.lru_cache(1)
def _tokenizer(vocabulary):
    return BertTokenizer(vocabulary)


def _batches(paragraphs, tally):
    """Yields lists of paragraphs; counts lines that are left out."""
    batch, characters = [], 0
    for document, text in paragraphs:
        if text is None:
            tally["skipped"] += 1
            continue
        batch.append((document, text))
        characters += len(text)
        if characters >= _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _head(paragraphs, characters):
    """The first paragraphs, up to so many characters."""
    head = []
    for document, text in paragraphs:
        head.append((document, text))
        characters -= len(text or "")
        if characters <= 0:
            break
    return head


def _digest(values):
    return hashlib.blake2b(json.dumps(values).encode(), digest_size=16).hexdigest()
