import gzip
import multiprocessing
import os
import signal

import pytest
import tiny

from tinybert_tf.corpus import CorpusShards, preparation
from tinybert_tf.corpus.preparation import ShardMaker, finish_corpus, make_shards
from tinybert_tf.corpus.shards import MAX_SENTENCE_TOKENS
from tinybert_tf.corpus.text import find_files, plan_parts
from tinybert_tf.models import Vocabulary

VOCABULARY = Vocabulary(tiny.TOKENS)
CONTENT = "\n\n".join(f"{first} b c. D e.\nAb {first} ?!" for first in tiny.WORDS) + "\n"


def plan(files, documents="blank-line", part_bytes=80):
    return list(enumerate(plan_parts(find_files(map(str, files)), documents, part_bytes)))


@pytest.fixture(name="source")
def write_source(tmp_path):
    path = tmp_path / "texts" / "a.txt"
    path.parent.mkdir()
    path.write_text(CONTENT)
    return path


def make(folder, parts, **settings):
    """Makes a corpus in this process; returns the notes of its shards."""
    maker = ShardMaker(str(folder), VOCABULARY, **settings)
    list(make_shards(maker, parts, workers=1))
    return finish_corpus(maker, parts)


def shards(folder):
    """The content of what makes a corpus."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def sentences(folder):
    """The sentences of all documents of a corpus, as lists of tokens."""
    corpus, found = CorpusShards(folder), []
    for index in range(corpus.num_shards):
        shard = corpus.read(index)
        ids, lengths = iter(shard.ids), iter(shard.sentence_lengths)
        found += [
            [[tiny.TOKENS[next(ids)] for _ in range(next(lengths))] for _ in range(size)]
            for size in shard.document_sizes
        ]
    return found


def test_text_becomes_sentences_of_tokens(source, tmp_path):
    make(tmp_path / "corpus", plan([source]))
    expected = [
        [[first, "b", "c", "[UNK]"], ["d", "e", "[UNK]"], ["a", "##b", first, "[UNK]", "[UNK]"]]
        for first in tiny.WORDS
    ]
    # "c." ends no sentence: a letter with a full stop is taken for an initial.
    expected = [[one + two, three] for one, two, three in expected]
    assert sentences(tmp_path / "corpus") == expected


def test_a_line_may_be_a_sentence(source, tmp_path):
    source.write_text("This is it. So? Yes.\n\nB\n")
    make(tmp_path / "lines", plan([source]), sentences="line")
    make(tmp_path / "split", plan([source]))
    assert [len(document) for document in sentences(tmp_path / "lines")] == [1, 1]
    assert [len(document) for document in sentences(tmp_path / "split")] == [3, 1]


def test_notes_count_what_is_in_a_shard(source, tmp_path):
    source.write_bytes(b"a b\n\nc ?\n\xff\n")
    (note,) = make(tmp_path / "corpus", plan([source]), on_bad_line="skip")
    counts = ("documents", "sentences", "tokens", "unknown", "skipped")
    assert [note[name] for name in counts] == [2, 2, 4, 1, 1]
    assert note["bytes"] == (tmp_path / "corpus" / "shard_00000.tfrecord").stat().st_size


def test_a_bad_line_stops_the_work(source, tmp_path):
    source.write_bytes(b"a\n\nc\n\xff\n")
    with pytest.raises(ValueError, match="a.txt, line 4: not UTF-8"):
        make(tmp_path / "corpus", plan([source]))
    assert not list((tmp_path / "corpus").iterdir())


@pytest.mark.parametrize("documents", ["blank-line", "line", "file"])
def test_documents_do_not_depend_on_the_shards(source, tmp_path, documents):
    (source.parent / "b.txt").write_text("z\n")
    files = sorted(source.parent.iterdir())
    found = []
    for part_bytes in (1, 100, 10**6):
        folder = tmp_path / str(part_bytes)
        make(folder, plan(files, documents, part_bytes), documents=documents)
        found.append(sentences(folder))
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == {"blank-line": 27, "line": 53, "file": 2}[documents]


def test_several_processes_make_the_same_bytes(source, tmp_path):
    parts = plan([source], part_bytes=150)
    make(tmp_path / "one", parts)
    maker = ShardMaker(str(tmp_path / "two"), VOCABULARY)
    notes = list(make_shards(maker, parts, workers=2))
    finish_corpus(maker, parts)
    assert len(notes) == len(parts) > 2
    assert shards(tmp_path / "one") == shards(tmp_path / "two")
    assert not multiprocessing.active_children()


def test_an_error_in_a_process_is_told_and_ends_all(source, tmp_path):
    source.write_bytes(CONTENT.encode() + b"\n\xff\n")
    maker = ShardMaker(str(tmp_path / "corpus"), VOCABULARY)
    with pytest.raises(ValueError, match="not UTF-8"):
        list(make_shards(maker, plan([source], part_bytes=300), workers=2))
    assert not multiprocessing.active_children()
    assert not list((tmp_path / "corpus").rglob("*.new"))


def test_a_shard_that_is_there_is_not_made_again(source, tmp_path):
    parts, maker = plan([source]), ShardMaker(str(tmp_path), VOCABULARY)
    note = maker(parts[0])
    written = maker.shard_path(0).stat().st_mtime_ns
    assert maker(parts[0]) == maker.note_of(parts[0]) == note
    assert maker.shard_path(0).stat().st_mtime_ns == written


@pytest.mark.parametrize(
    "changed",
    [
        {"documents": "line"},
        {"sentences": "line"},
        {"on_bad_line": "skip"},
        {"vocabulary": Vocabulary(tiny.TOKENS, lower_case=False)},
    ],
)
def test_a_shard_of_other_settings_does_not_count(source, tmp_path, changed):
    (part, *_), settings = plan([source]), {"vocabulary": VOCABULARY}
    ShardMaker(str(tmp_path), **settings)(part)
    assert ShardMaker(str(tmp_path), **settings).note_of(part) is not None
    assert ShardMaker(str(tmp_path), **settings | changed).note_of(part) is None


def test_a_shard_of_another_plan_does_not_count(source, tmp_path):
    maker = ShardMaker(str(tmp_path), VOCABULARY)
    maker(plan([source])[0])
    assert maker.note_of(plan([source], part_bytes=20)[0]) is None


def test_a_shard_of_a_file_that_has_changed_does_not_count(source, tmp_path):
    maker = ShardMaker(str(tmp_path), VOCABULARY)
    maker(plan([source])[0])
    source.write_text(CONTENT.upper())
    assert maker.note_of(plan([source])[0]) is None


@pytest.mark.parametrize("damage", [lambda p: p.unlink(), lambda p: p.write_bytes(b"")])
def test_a_shard_that_is_not_whole_does_not_count(source, tmp_path, damage):
    maker, part = ShardMaker(str(tmp_path), VOCABULARY), plan([source])[0]
    maker(part)
    damage(maker.shard_path(0))
    assert maker.note_of(part) is None


def test_shards_of_an_earlier_plan_are_removed(source, tmp_path):
    make(tmp_path / "corpus", plan([source], part_bytes=20))
    make(tmp_path / "corpus", plan([source], part_bytes=200))
    make(tmp_path / "fresh", plan([source], part_bytes=200))
    assert shards(tmp_path / "corpus") == shards(tmp_path / "fresh")


def test_notes_of_an_earlier_plan_are_removed(source, tmp_path):
    make(tmp_path, plan([source], part_bytes=20))
    notes = make(tmp_path, plan([source], part_bytes=200))
    assert len(list((tmp_path / "shard_notes").iterdir())) == len(notes)


def test_what_killed_processes_were_writing_is_removed(source, tmp_path):
    (tmp_path / "corpus" / "shard_notes").mkdir(parents=True)
    for name in (".shard_00000.tfrecord.host-1.new", "shard_notes/.a.json.host-1.new"):
        (tmp_path / "corpus" / name).write_text("half")
    make(tmp_path / "corpus", plan([source]))
    assert not list((tmp_path / "corpus").rglob(".*"))


def test_a_corpus_of_other_text_is_known(source, tmp_path):
    maker, parts = ShardMaker(str(tmp_path), VOCABULARY), plan([source], part_bytes=200)
    assert not maker.is_of_other_text(parts)  # of none at all
    make(tmp_path, parts)
    assert not maker.is_of_other_text(parts)
    assert maker.is_of_other_text(parts[:-1])
    assert maker.is_of_other_text([*parts, (len(parts), parts[0][1])])
    assert maker.is_of_other_text(plan([source], part_bytes=100))
    assert ShardMaker(str(tmp_path), VOCABULARY, "line").is_of_other_text(parts)


def test_workers_are_as_many_as_the_processors_of_this_process(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {5}, raising=False)
    assert preparation._num_processors() == 1
    monkeypatch.delattr(os, "sched_getaffinity")
    assert preparation._num_processors() == 3


def test_a_part_without_text_makes_no_shard(source, tmp_path):
    (source.parent / "b.txt").write_text("\n" * 100)
    (source.parent / "c.txt").write_text(CONTENT)
    make(tmp_path / "corpus", plan(sorted(source.parent.iterdir()), "file"), documents="file")
    assert [path.name for path in CorpusShards(tmp_path / "corpus").paths] == [
        "shard_00000.tfrecord",
        "shard_00002.tfrecord",
    ]


def test_a_corpus_of_one_document_is_refused(source, tmp_path):
    source.write_text("a\n\n\x01\n")
    with pytest.raises(ValueError, match="less than two documents with tokens"):
        make(tmp_path / "corpus", plan([source]))


def test_shards_that_were_made_elsewhere_are_told(source, tmp_path):
    maker = ShardMaker(str(tmp_path), VOCABULARY)
    with pytest.raises(FileNotFoundError, match="shard_00000.tfrecord was made, but not in"):
        finish_corpus(maker, plan([source]))


def test_long_sentences_are_cut(source, tmp_path):
    source.write_text("a " * 1100 + "\n\nb\n")
    make(tmp_path / "corpus", plan([source]))
    long, short = sentences(tmp_path / "corpus")
    assert [len(sentence) for sentence in long] == [MAX_SENTENCE_TOKENS] * 2 + [76]
    assert short == [["b"]]


def test_a_very_long_line_is_one_document(source, tmp_path):
    source.write_text("a b " * 200_000 + "\n\nb\n")
    make(tmp_path / "corpus", plan([source]))
    long, _ = sentences(tmp_path / "corpus")
    assert sum(long, []) == ["a", "b"] * 200_000


@pytest.mark.parametrize("is_compressed", [False, True])
def test_the_size_is_estimated(source, tmp_path, is_compressed):
    content = CONTENT * 3000
    source.write_text(content)
    files = [source]
    if is_compressed:
        files = [tmp_path / "a.txt.gz"]
        files[0].write_bytes(gzip.compress(content.encode()))
    parts = plan(files, part_bytes=10**6)
    estimate = ShardMaker("", VOCABULARY).estimate_bytes([part for _, part in parts])
    size = sum(note["bytes"] for note in make(tmp_path / "corpus", parts))
    # What repeats so often is compressed better the more there is of it.
    assert estimate == pytest.approx(size, rel=0.5 if is_compressed else 0.1)


class Killed(ShardMaker):
    """As for want of memory."""

    def __call__(self, numbered_part):
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_process_is_told(source, tmp_path):
    with pytest.raises(ChildProcessError, match="fewer --workers"):
        list(make_shards(Killed(str(tmp_path), VOCABULARY), plan([source]), workers=2))
    assert not multiprocessing.active_children()
