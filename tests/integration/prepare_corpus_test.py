import gzip
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tiny

from tinybert_tf.cli import parse_settings
from tinybert_tf.corpus import CorpusShards, beam_pipeline

CONTENT = "\n\n".join(f"{first} b c. This is it.\nAb {first}" for first in tiny.WORDS) + "\n"
RESULT = ("documents", "sentences", "tokens", "shards", "bytes", "unknown_share")
RESULT += ("skipped_lines", "tokens_per_second")


@pytest.fixture(name="source")
def write_source(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text(CONTENT)
    return path


@pytest.fixture(name="vocabulary")
def write_vocabulary(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(tiny.TOKENS))
    return path


@pytest.fixture(name="arguments")
def make_arguments(source, vocabulary):
    """The arguments of a prepare-corpus; flags given again count."""

    def arguments(output, *others):
        files = ("--input", source, "--vocabulary", vocabulary, "--output", output)
        return ("prepare-corpus", *files, "--shard-bytes", 150, "--workers", 1, *others)

    return arguments


def shards(folder):
    """Everything that a run leaves, but for its record."""
    found = tiny.snapshot(folder)
    assert "run.json" in found
    return {name: content for name, content in found.items() if name != "run.json"}


def test_tells_what_it_made(arguments, tmp_path):
    result = tiny.done(*arguments(tmp_path / "corpus"))
    corpus = CorpusShards(tmp_path / "corpus")
    ids = np.concatenate([corpus.read(index).ids for index in range(corpus.num_shards)])
    assert tuple(result) == RESULT
    assert (result["documents"], result["shards"]) == (26, corpus.num_shards)
    assert (result["sentences"], result["tokens"]) == (corpus.num_sentences, len(ids))
    assert result["unknown_share"] == pytest.approx((ids == 1).mean())
    assert result["bytes"] == sum(size.bytes for size in corpus.sizes)


def test_says_beforehand_how_much_it_writes(arguments, tmp_path):
    outcome = tiny.cli(*arguments(tmp_path / "corpus"))
    assert "corpus: about 0.00" in outcome.err
    assert "MB will be written\npreparing 1/1" in outcome.err
    assert not outcome.out


def test_a_second_run_makes_the_same_bytes(arguments, tmp_path):
    tiny.done(*arguments(tmp_path / "one"))
    tiny.done(*arguments(tmp_path / "two", "--workers", 2))
    assert shards(tmp_path / "one") == shards(tmp_path / "two")


def test_a_finished_run_gives_its_result_again(arguments, tmp_path):
    first = tiny.done(*arguments(tmp_path / "corpus"))
    before = tiny.snapshot(tmp_path / "corpus")
    assert tiny.done(*arguments(tmp_path / "corpus", "--workers", 2)) == first
    assert tiny.snapshot(tmp_path / "corpus") == before


@pytest.mark.parametrize(
    "damage", [lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:-9])]
)
@pytest.mark.parametrize("name", ["shard_00001.tfrecord", "corpus.json", "vocab.txt"])
def test_what_is_not_whole_is_made_again(arguments, tmp_path, name, damage):
    folder = tmp_path / "corpus"
    tiny.done(*arguments(folder))
    before, kept = shards(folder), (folder / "shard_00000.tfrecord").stat().st_mtime_ns
    damage(folder / name)
    tiny.done(*arguments(folder))
    assert shards(folder) == before
    assert (folder / "shard_00000.tfrecord").stat().st_mtime_ns == kept


def _edit(path):
    path.write_text(CONTENT + "\nB")


def _add(path):
    (path.parent / "b.txt").write_text("a\n\nb\n")


def _change_vocabulary(path):
    (path.parent / "vocab.txt").write_text("\n".join((*tiny.TOKENS, "word")))


@pytest.mark.parametrize("change", [_edit, _add, _change_vocabulary])
@pytest.mark.parametrize("shard_bytes", [150, 100_000])
def test_text_that_has_changed_is_refused_and_replaced(
    arguments, source, tmp_path, change, shard_bytes
):
    flags = ("--input", f"{tmp_path}/?.txt", "--shard-bytes", shard_bytes)
    tiny.done(*arguments(tmp_path / "corpus", *flags))
    before = tiny.snapshot(tmp_path / "corpus")
    change(source)
    message = tiny.refused(1, *arguments(tmp_path / "corpus", *flags))
    assert "have changed since. Choose another --output, or pass --overwrite" in message
    assert tiny.snapshot(tmp_path / "corpus") == before
    tiny.done(*arguments(tmp_path / "corpus", *flags, "--overwrite"))
    tiny.done(*arguments(tmp_path / "fresh", *flags))
    assert shards(tmp_path / "corpus") == shards(tmp_path / "fresh")


def test_a_recipe_can_ask_whether_a_corpus_is_current(arguments, source, vocabulary, tmp_path):
    tiny.done(*arguments(tmp_path / "corpus"))
    values = {"input": [str(source)], "vocabulary": str(vocabulary), "shard_bytes": 150}
    settings = parse_settings("prepare-corpus", values | {"output": str(tmp_path / "corpus")})
    assert settings.is_current()
    shard = tmp_path / "corpus" / "shard_00000.tfrecord"
    shard.rename(tmp_path / "aside")
    assert not settings.is_current()
    (tmp_path / "aside").rename(shard)
    source.write_text(CONTENT)
    assert not settings.is_current()
    source.unlink()
    assert settings.is_current()


def test_an_unfinished_corpus_is_told_by_inspect(arguments, tmp_path):
    tiny.done(*arguments(tmp_path / "corpus"))
    (tmp_path / "corpus" / "corpus.json").unlink()
    message = tiny.refused(1, "inspect", tmp_path / "corpus")
    assert "corpus is an unfinished corpus. The same prepare-corpus command goes on" in message


def test_long_compressed_files_are_warned_of_once(arguments, tmp_path):
    for name in ("a.gz", "b.GZ"):
        (tmp_path / name).write_bytes(gzip.compress(b"a\n\n" * 3000))
    flags = ("--input", tmp_path / "a.gz", tmp_path / "b.GZ")
    outcome = tiny.cli(*arguments(tmp_path / "corpus", *flags))
    message = " ".join(outcome.err.split())
    assert outcome.status == 0
    assert message.count("warning:") == 1
    assert f"{tmp_path}/a.gz and 1 others: a compressed file becomes one shard" in message


def test_other_settings_are_refused_and_replaced(arguments, tmp_path):
    tiny.done(*arguments(tmp_path / "corpus"))
    other = arguments(tmp_path / "corpus", "--documents", "line")
    assert "--documents was 'blank-line' and is now 'line'" in tiny.refused(1, *other)
    assert tiny.done(*other, "--overwrite")["documents"] == 52
    tiny.done(*arguments(tmp_path / "fresh", "--documents", "line"))
    assert shards(tmp_path / "corpus") == shards(tmp_path / "fresh")


def test_an_interrupted_run_goes_on(arguments, tmp_path, monkeypatch):
    tiny.done(*arguments(tmp_path / "whole"))
    stopped = tmp_path / "stopped"
    with monkeypatch.context() as patch:
        patch.setattr("tinybert_tf.corpus.preparation.make_shards", _interrupted)
        assert tiny.cli(*arguments(stopped)).status == 130
    kept = (stopped / "shard_00000.tfrecord").stat().st_mtime_ns
    assert not (stopped / "corpus.json").exists()
    tiny.done(*arguments(stopped))
    assert shards(tmp_path / "whole") == shards(stopped)
    assert (stopped / "shard_00000.tfrecord").stat().st_mtime_ns == kept


def _interrupted(maker, numbered_parts, workers):
    yield maker(numbered_parts[0])
    raise KeyboardInterrupt


def test_a_model_folder_has_a_vocabulary(arguments, tmp_path, teacher):
    tiny.done(*arguments(tmp_path / "corpus", "--vocabulary", teacher))
    assert CorpusShards(tmp_path / "corpus").vocabulary.tokens == tiny.TOKENS


def test_skipped_lines_are_warned_of(arguments, source, tmp_path):
    source.write_bytes(b"a\n\xff\n\nb\n")
    outcome = tiny.cli(*arguments(tmp_path / "corpus", "--on-bad-line", "skip"), "--json")
    assert outcome.result["skipped_lines"] == 1
    assert "warning: 1 lines are not UTF-8 and were left out" in outcome.err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--documents", "lines"), 'Unknown --documents "lines". Did you mean "line"?'),
        (("--sentences", "none"), 'Unknown --sentences "none".'),
        (("--on-bad-line", "ignore"), 'Unknown --on-bad-line "ignore".'),
        (("--input", "nothing*.txt"), "nothing*.txt: matches no file, for --input"),
        (("--vocabulary", "nothing"), "nothing: no such file or folder, for --vocabulary"),
        (("--shard-bytes", "0"), "--shard-bytes is 0, expected 1 or more"),
        (("--workers", "0"), "--workers is 0, expected 1 or more"),
        (("--beam-options", "parallelism=8"), "--beam-options are for Apache Beam: name its"),
        (("--runner", "flik"), 'Unknown --runner "flik". Did you mean "flink"? Choices: direct,'),
    ],
)
def test_wrong_flags_are_told(arguments, tmp_path, flags, message):
    assert message in tiny.refused(2, *arguments(tmp_path / "corpus", *flags))
    assert not (tmp_path / "corpus").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "hold no text"),
        (b"a\nb", "are one document"),
        (b"a\n\n\xff", "a.txt, line 3: not UTF-8"),
    ],
)
def test_a_wrong_text_is_told_before_anything_is_made(
    arguments, source, tmp_path, content, message
):
    source.write_bytes(content)
    assert message in tiny.refused(1, *arguments(tmp_path / "corpus"))
    assert not (tmp_path / "corpus").exists()


def test_text_in_the_output_folder_is_refused(arguments, source, tmp_path):
    assert "lies in" in tiny.refused(2, *arguments(tmp_path, "--overwrite"))
    assert source.exists()


def test_a_folder_of_something_else_is_refused(arguments, tmp_path):
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "thesis.txt").write_text("x")
    assert "holds no run of this package" in tiny.refused(1, *arguments(tmp_path / "corpus"))


def test_too_little_room_is_told_before_anything_is_made(arguments, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert "has 0.0001 MB left. Make room" in tiny.refused(1, *arguments(tmp_path / "corpus"))
    assert not (tmp_path / "corpus").exists()


def test_beam_that_is_not_installed_is_told(arguments, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    message = tiny.refused(2, *arguments(tmp_path / "corpus", "--runner", "direct"))
    assert 'pip install "tinybert-tf[beam]"' in message


@pytest.mark.skipif(not importlib.util.find_spec("apache_beam"), reason="needs Apache Beam")
@pytest.mark.parametrize("runner", ["direct", "portable"])
def test_beam_makes_the_same_bytes(arguments, tmp_path, runner):
    tiny.done(*arguments(tmp_path / "one"))
    tiny.done(*arguments(tmp_path / "two", "--runner", runner))
    assert shards(tmp_path / "one") == shards(tmp_path / "two")


@pytest.mark.skipif(not importlib.util.find_spec("apache_beam"), reason="needs Apache Beam")
@pytest.mark.parametrize("mode", ["in_memory", "multi_processing"])
def test_a_bad_line_is_named_from_a_worker_of_beam(arguments, source, tmp_path, mode):
    source.write_bytes(CONTENT.encode() + b"\xff\n")
    flags = ("--runner", "direct", "--beam-options", f"direct_running_mode={mode}")
    outcome = tiny.cli(*arguments(tmp_path / "corpus", *flags))
    message = " ".join(outcome.err.split()).rpartition("tinybert-tf: ")[2]
    assert outcome.status == 1
    assert message.startswith(f"{source}, line {CONTENT.count(chr(10)) + 1}: not UTF-8")
    assert message.endswith("--on-bad-line skip.")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("/a.txt, line 3: not UTF-8. [while running 'Shards']", "/a.txt, line 3: not UTF-8."),
        ("Trace\nValueError: /a: b\nX\nValueError: /a: b [while running 'Shards-7']\n", "/a: b"),
        ("no such runner", None),
    ],
)
def test_what_a_worker_of_beam_said_is_found(text, message):
    assert beam_pipeline.worker_message(text) == message


def test_flags_of_beam_are_completed_and_can_be_given():
    assert beam_pipeline.beam_flags("flink", ["parallelism=8", "streaming"]) == [
        "--runner=FlinkRunner",
        "--parallelism=8",
        "--streaming",
    ]
    assert beam_pipeline.beam_flags("direct", ["direct_num_workers=2"]) == [
        "--runner=DirectRunner",
        "--direct_running_mode=multi_processing",
        "--direct_num_workers=2",
    ]
    assert beam_pipeline.beam_flags("OtherRunner") == ["--runner=OtherRunner"]
    assert beam_pipeline.beam_flags("portable", ["job_endpoint=host:1"]) == [
        "--runner=PortableRunner",
        "--environment_type=LOOPBACK",
        "--job_endpoint=host:1",
    ]


@pytest.mark.slow
def test_a_killed_run_leaves_no_process_and_goes_on(arguments, source, tmp_path):
    source.write_text(CONTENT * 30_000)
    flags = ("--shard-bytes", 500_000, "--workers", 2)
    tiny.done(*arguments(tmp_path / "whole", *flags))
    output = tmp_path / "killed"
    command = [sys.executable, "-m", "tinybert_tf.cli", *arguments(output, *flags)]
    process = subprocess.Popen([*map(str, command)], stderr=subprocess.DEVNULL)
    while process.poll() is None and not list(output.glob("shard_*")):
        time.sleep(0.1)
    children = _children(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(children) >= 2
    time.sleep(5)
    assert not [child for child in children if os.path.exists(f"/proc/{child}")]
    assert not (output / "corpus.json").exists()
    tiny.done(*arguments(output, *flags))
    assert shards(tmp_path / "whole") == shards(output)


def _children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]
