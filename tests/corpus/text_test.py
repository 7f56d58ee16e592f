import bz2
import gzip
import lzma
import os

import pytest

from tinybert_tf.corpus import text


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def read(parts, documents="blank-line", on_bad_line="error"):
    """The documents of all parts, each a list of lines."""
    found = {}
    for number, part in enumerate(parts):
        for key, line in text.read_paragraphs(part, documents, on_bad_line):
            found.setdefault((number, key), []).append(line)
    return list(found.values())


def read_file(path, documents="blank-line", on_bad_line="error", part_bytes=10**9):
    return read(text.plan_parts([path], documents, part_bytes), documents, on_bad_line)


def naive_documents(content, documents):
    """What the documents of a small file are, said in another way."""
    lines = [line.strip() for line in content.split("\n")]
    if documents == "line":
        return [[line] for line in lines if line]
    if documents == "file":
        return [[line for line in lines if line]]
    end = "\n= " if documents == "heading" else "\n\n"
    blocks = "\n".join(lines).split(end)
    return [[line for line in block.split("\n") if line] for block in blocks if block.strip()]


CONTENT = "\n\na b\nc\n\nd\n \t\n\n  e f  \ng\nh h h h\n\ni\n\n"


@pytest.mark.parametrize("documents", text.DOCUMENTS)
@pytest.mark.parametrize("part_bytes", [*range(1, 12), 100])
def test_documents_are_the_same_in_whatever_parts(tmp_path, documents, part_bytes):
    path = write(tmp_path / "a.txt", CONTENT)
    assert read_file(path, documents, part_bytes=part_bytes) == naive_documents(CONTENT, documents)


@pytest.mark.parametrize("part_bytes", [1, 5, 9, 100])
def test_parts_cover_each_byte_once(tmp_path, part_bytes):
    path = write(tmp_path / "a.txt", CONTENT)
    spans = [span for part in text.plan_parts([path], "line", part_bytes) for span in part]
    assert [span.start for span in spans] == [0, *(span.end for span in spans[:-1])]
    assert spans[-1].end == len(CONTENT)


def test_parts_are_as_large_as_asked(tmp_path):
    path = write(tmp_path / "a.txt", "abc\n" * 100)
    parts = text.plan_parts([path], "line", 40)
    assert [part[0].num_bytes for part in parts] == [44] * 9 + [4]


def test_small_files_share_a_part(tmp_path):
    paths = [write(tmp_path / name, "1234\n") for name in "abcde"]
    parts = text.plan_parts(paths, "file", 10)
    assert [[os.path.basename(span.path) for span in part] for part in parts] == [
        ["a", "b"],
        ["c", "d"],
        ["e"],
    ]
    assert len(read(parts, "file")) == 5


def test_a_document_does_not_go_on_in_the_next_file(tmp_path):
    paths = [write(tmp_path / name, f"{name}\n") for name in "ab"]
    assert read(text.plan_parts(paths, "blank-line", 100)) == [["a"], ["b"]]


@pytest.mark.parametrize(
    ("end", "compress"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)]
)
def test_compressed_files_are_read_whole(tmp_path, end, compress):
    path = write(tmp_path / f"a.txt.{end}", compress(CONTENT.encode()))
    assert read_file(path, part_bytes=1) == naive_documents(CONTENT, "blank-line")


@pytest.mark.parametrize("end", ["gz", "bz2", "xz"])
def test_a_damaged_compressed_file_is_told(tmp_path, end):
    compress = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}[end]
    path = write(tmp_path / f"a.{end}", compress(os.urandom(5000).hex().encode())[:-30])
    with pytest.raises(ValueError, match=f"a.{end}: the compressed file is damaged"):
        read_file(path)


@pytest.mark.parametrize("end", ["gz", "bz2", "xz"])
def test_a_file_that_is_not_compressed_is_told(tmp_path, end):
    with pytest.raises(ValueError, match="the compressed file is damaged"):
        read_file(write(tmp_path / f"a.{end}", "plain text " * 50))


@pytest.mark.parametrize("end", ["gz", "bz2", "xz"])
@pytest.mark.parametrize("content", [b"plain", None])
def test_a_damaged_file_is_told_when_its_size_is_estimated(tmp_path, end, content):
    compress = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}[end]
    path = write(tmp_path / f"a.{end}", content or compress(b"a b c " * 9)[:-9])
    (part,) = text.plan_parts([path], "line", 100)
    with pytest.raises(ValueError, match=f"a.{end}: the compressed file is damaged"):
        text.count_text_bytes(part)


def test_endings_count_in_capitals_too(tmp_path):
    path = write(tmp_path / "A.TXT.GZ", gzip.compress(b"a\n\nb\n"))
    assert read_file(path) == [["a"], ["b"]]


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("a.zst", ".zst"),
        ("a.ZIP", ".zip"),
        ("a.7z", ".7z"),
        ("a.tar", ".tar"),
        ("a.tgz", ".tgz"),
        ("a.tar.gz", ".tar"),
        ("a.txt.parquet", ".parquet"),
    ],
)
def test_other_compressed_files_are_refused(tmp_path, name, end):
    path = write(tmp_path / name, b"")
    with pytest.raises(ValueError, match=f"{name}: {end} files are not read.*Unpack it"):
        text.find_files([path])


def test_names_with_full_stops_are_text(tmp_path):
    paths = [write(tmp_path / name, b"") for name in ("a.zip.txt", "wiki")]
    assert text.find_files(paths) == paths


def test_long_compressed_files_are_found(tmp_path):
    content = b"a b c\n" * 1000
    packed = write(tmp_path / "a.gz", gzip.compress(content))
    plain, short = write(tmp_path / "b", content), write(tmp_path / "c.gz", gzip.compress(b"a"))
    parts = text.plan_parts([packed, plain, short], "line", 100)
    assert [span.path for span in text.find_long_compressed(parts, 5999)] == [packed]
    assert not text.find_long_compressed(parts, 6000)


def test_each_span_is_counted_once(tmp_path, monkeypatch):
    paths, asked = [write(tmp_path / name, "x") for name in "abcdefgh"], []
    monkeypatch.setattr(text.Span, "num_bytes", property(lambda span: asked.append(span) or 1))
    assert [len(part) for part in text.plan_parts(paths, "file", 5)] == [5, 3]
    assert len(asked) == len(paths)


def test_windows_line_ends_and_byte_order_mark(tmp_path):
    path = write(tmp_path / "a.txt", b"\xef\xbb\xbfa b\r\nc\r\n\r\nd\r\n")
    (first, *rest), second = read_file(path, part_bytes=3)
    assert first.lstrip("\ufeff") == "a b"
    assert (rest, second) == (["c"], ["d"])


def test_a_bad_line_is_named_in_its_file(tmp_path):
    path = write(tmp_path / "a.txt", b"a\n\n" * 50 + b"b\nc\xff\n\nd\n")
    with pytest.raises(ValueError, match=r"a.txt, line 102: not UTF-8 .* --on-bad-line skip"):
        read_file(path, part_bytes=20)


def test_a_bad_line_is_left_out(tmp_path):
    path = write(tmp_path / "a.txt", b"a\n\xff\nb\n")
    assert read_file(path, on_bad_line="skip") == [["a", None, "b"]]


@pytest.mark.parametrize("word", ["word ", "日本", "é", "x", "𝄞"])
def test_a_long_line_comes_in_pieces(tmp_path, word):
    line = word * (300_000 // len(word.encode()))
    (pieces,) = read_file(write(tmp_path / "a.txt", line + "\n"), "line")
    assert len(pieces) > 3
    assert max(len(piece.encode()) for piece in pieces) <= 2**17
    glue = " " if word == "word " else ""
    assert glue.join(pieces) == line.strip()


def test_lines_after_a_long_one_are_numbered_right(tmp_path):
    path = write(tmp_path / "a.txt", b"word " * 50_000 + b"\n\xff\n")
    with pytest.raises(ValueError, match="line 2:"):
        read_file(path)


@pytest.mark.parametrize("size", [2**16 - 1, 2**16, 2**16 + 1, 2**17])
def test_a_last_line_without_its_end_is_whole(tmp_path, size):
    (pieces,) = read_file(write(tmp_path / "a.txt", "x" * size), "line")
    assert "".join(pieces) == "x" * size


def test_globs_are_sorted_and_each_file_counts_once(tmp_path):
    for name in ("b.txt", "a.txt", "c.md"):
        write(tmp_path / name, "x")
    found = text.find_files([f"{tmp_path}/c.md", f"{tmp_path}/*.txt", f"{tmp_path}/a.txt"])
    assert [os.path.basename(path) for path in found] == ["c.md", "a.txt", "b.txt"]


def test_a_name_with_brackets_is_a_file_if_there_is_one(tmp_path):
    path = write(tmp_path / "a[1].txt", "x")
    assert text.find_files([path]) == [path]


def test_what_matches_nothing_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="matches no file, for --input"):
        text.find_files([f"{tmp_path}/*.txt"])
    with pytest.raises(FileNotFoundError, match="is a folder, for --input"):
        text.find_files([str(tmp_path)])


@pytest.mark.parametrize(
    ("content", "documents", "message"),
    [
        ("", "blank-line", "hold no text"),
        (" \n\n", "line", "hold no text"),
        ("a\nb\n", "blank-line", "are one document.*--documents line"),
        ("a\n\nb\n", "file", "are one document"),
        ("a\n\n\n", "line", "are one document"),
    ],
)
def test_less_than_two_documents_are_refused(tmp_path, content, documents, message):
    parts = text.plan_parts([write(tmp_path / "a", content)], documents, 100)
    with pytest.raises(ValueError, match=message):
        text.check_documents(parts, documents, "error")


@pytest.mark.parametrize(("content", "documents"), [("a\n\nb", "blank-line"), ("a\nb", "line")])
def test_two_documents_are_enough(tmp_path, content, documents):
    parts = text.plan_parts([write(tmp_path / "a", content)], documents, 100)
    assert text.check_documents(parts, documents, "error") is None


def test_text_bytes_of_a_compressed_file_are_estimated(tmp_path):
    content = os.urandom(300_000).hex().encode()
    plain = write(tmp_path / "a.txt", content)
    packed = write(tmp_path / "a.txt.gz", gzip.compress(content))
    ((plain_part,), (packed_part,)) = (text.plan_parts([p], "line", 10**9) for p in (plain, packed))
    assert text.count_text_bytes(plain_part) == len(content)
    assert text.count_text_bytes(packed_part) == pytest.approx(len(content), rel=0.05)


@pytest.mark.parametrize(
    "sentences",
    [
        ["An end.", "Yes!", "No?", "F"],
        ["Dr. Smith went to the U.S. on Jan. 5, 1999.", "He left."],
        ['He said: "I am here."', "Then he left!", "“Why?”", "“So.”"],
        ["It cost $3.50 (e.g. at J. R. Ltd. in town).", "Nice."],
        ["No. 5 is here... and more...", "Yes?!", "(No.)"],
        ["他来了。", "她走了！", "真的？", "是的。"],
        ["Élan.", "Été.", "Ωμέγα."],
        ["a. b. c"],
    ],
)
def test_sentences(sentences):
    glue = "" if "。" in sentences[0] else "  "
    assert text.split_sentences(glue.join(sentences)) == sentences


@pytest.mark.parametrize("blank", ["", " ", "\t \n"])
def test_blank_text_has_no_sentences(blank):
    assert text.split_sentences(blank) == []


def test_sentences_hold_all_of_the_text():
    paragraph = "It is. So? Mr. X. said (a.b.) no! 3.5 and... Yes" * 20
    assert "".join(text.split_sentences(paragraph)).replace(" ", "") == paragraph.replace(" ", "")


@pytest.mark.parametrize("part_bytes", [1, 12, 20, 1000])
def test_a_heading_begins_a_document(tmp_path, part_bytes):
    content = " = One = \n a \n \n = = Part = = \n b \n = Two = \n c = d = e \n = Three = \n"
    path = write(tmp_path / "wiki.txt", content)
    expected = [["= One =", "a", "= = Part = =", "b"], ["= Two =", "c = d = e"], ["= Three ="]]
    assert read_file(path, "heading", part_bytes=part_bytes) == expected
