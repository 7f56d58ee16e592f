"""Plain text in files: cut into parts of about the same size, read paragraph by paragraph."""

import bz2
import contextlib
import dataclasses
import glob
import gzip
import lzma
import os
import re
import zlib

# What is a document: what stands between blank lines, what a line like WikiText's "= Title ="
# begins, a line, or a whole file.
DOCUMENTS = ("blank-line", "heading", "line", "file")

_DECOMPRESSORS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_NOT_READ = (".zst", ".zip", ".7z", ".rar", ".lz4", ".tar", ".tgz", ".tbz2", ".txz", ".parquet")
_LONGEST_PIECE = 2**16  # bytes of a line that are read at once
_SAMPLE = 2**20  # bytes of text that a compressed file is judged by

_HEADING = re.compile(rb"\s*= [^=].* =\s*")
_SENTENCE_END = re.compile(
    r"""([.!?…]+)["'”’»)\]]*\s+(?=["'“‘«(\[¿¡]*(\S))|[。！？｡]+["'”’」』）]*"""
)
# A word whose full stop ends no sentence: an initial, one with a stop inside, an abbreviation.
_ABBREVIATION = re.compile(
    r"[^\W\d_]|.*\..*|(?:adm|approx|apr|aug|ave|bros|ca|capt|cf|ch|co|col|corp|dec|dept|dr|ed|eds|"
    r"est|etc|feb|figs?|fr|gen|gov|hon|inc|jan|jr|jul|jun|lt|ltd|maj|mar|mrs?|ms|mt|nos?|nov|oct|"
    r"op|pp|pres|prof|rep|rev|sen|sept?|sgt|sr|st|vols?|vs)",
    re.IGNORECASE,
)
_LONGEST_ABBREVIATION = 12


@dataclasses.dataclass(frozen=True)
class Span:
    """A piece of a file that ends where a document ends.

    Args:
        path: str, absolute.
        start: int, its first byte.
        end: int, the byte after its last; of a compressed file all of it, in compressed bytes.
        modified_ns: int, when the file was changed last, in nanoseconds.
    """

    path: str
    start: int
    end: int
    modified_ns: int

    @property
    def is_compressed(self):
        """Whether the file has to be decompressed, by its name."""
        return _ending(self.path) in _DECOMPRESSORS

    @property
    def num_bytes(self):
        """Number of bytes in the file."""
        return self.end - self.start


def find_files(patterns):
    """The files that names and globs stand for.

    Args:
        patterns: sequence of str, as `wiki/*.txt` or `wiki/**/*.gz`.

    Returns:
        List of str: absolute paths, each once, in the order of the patterns, those of a glob
        sorted.

    Raises:
        FileNotFoundError: If a pattern matches no file.
        ValueError: If a file is an archive, or compressed in a way that is not read.
    """
    found = {}
    for pattern in patterns:
        paths = [pattern] if os.path.exists(pattern) else glob.glob(pattern, recursive=True)
        files = sorted(os.path.abspath(path) for path in paths if os.path.isfile(path))
        if not files:
            what = "is a folder" if os.path.isdir(pattern) else "matches no file"
            raise FileNotFoundError(
                f'{pattern}: {what}, for --input. Name files, or a glob in quotes: "texts/*.txt".'
            )
        found |= dict.fromkeys(files)
    for path in found:
        _check_is_read(path)
    return list(found)


def plan_parts(files, documents, part_bytes):
    """Cuts files into parts; depends on nothing but the files.

    Args:
        files: sequence of str.
        documents: str, one of `DOCUMENTS`; parts end where documents do.
        part_bytes: int, the least size of a part but the last, in bytes of its files. A compressed
            file is not cut.

    Returns:
        List of tuples of `Span`: the spans of a part follow one another, as the parts do.
    """
    parts, spans, num_bytes = [], [], 0
    for span in (span for path in files for span in _cut_file(path, documents, part_bytes)):
        spans.append(span)
        num_bytes += span.num_bytes
        if num_bytes >= part_bytes:
            parts.append(tuple(spans))
            spans, num_bytes = [], 0
    return [*parts, tuple(spans)] if spans else parts


def read_paragraphs(part, documents, on_bad_line):
    """Reads the lines of a part that are not blank.

    Args:
        part: sequence of `Span`.
        documents: str, one of `DOCUMENTS`.
        on_bad_line: str, `error` or `skip`: what to do about a line that is not UTF-8.

    Yields:
        A hashable that the lines of a document share, and the line: str, or `None` for one that is
        left out. A line of more than 64 KiB comes in pieces, cut at white space if it has any.

    Raises:
        ValueError: If a line is not UTF-8, or a compressed file is damaged.
    """
    for number, span in enumerate(part):
        ends = 0
        for line, piece in _pieces(span):
            text = _decode(piece, span, line, on_bad_line)
            ends += _HEADING.fullmatch(piece) is not None if documents == "heading" else text == ""
            document = {"line": line, "file": 0}.get(documents, ends)
            if text != "":
                yield (number, document), text


def check_documents(parts, documents, on_bad_line):
    """Raises ValueError unless there are two documents, which pairs of sentences are taken from."""
    found = set()
    for number, part in enumerate(parts):
        for document, text in read_paragraphs(part, documents, on_bad_line):
            if text is not None:
                found.add((number, document))
            if len(found) == 2:
                return
    if not found:
        raise ValueError("The files of --input hold no text.")
    raise ValueError(
        "The files of --input are one document, but sentences of one are paired with those of "
        "another. Put a blank line between documents, or pass --documents line (each line is one), "
        "--documents file (each file is one) or --documents heading (a line = Title = begins one)."
    )


def count_text_bytes(part):
    """About how many bytes of text a part holds, compressed files judged by their beginning."""
    return sum(map(_text_bytes, part))


def find_long_compressed(parts, num_bytes):
    """The spans of compressed files that hold more than so many bytes of text, by estimate."""
    spans = (span for part in parts for span in part if span.is_compressed)
    return [span for span in spans if _text_bytes(span) > num_bytes]


def split_sentences(text):
    """Splits a paragraph where a sentence seems to end.

    That is after a full stop, a question or an exclamation mark with white space behind, unless a
    small letter follows or the stop belongs to an abbreviation or an initial; and after those of
    Chinese and Japanese.

    Args:
        text: str.

    Returns:
        List of str, none of them blank.

    Note:
        `tensorflow_text.StateBasedSentenceBreaker` ends sentences within "3.50", "e.g." and after
        "Mr."; libraries that do better bring models or dictionaries. A rare wrong end does no harm
        here: it only decides where segments may begin and end.
    """
    sentences, start = [], 0
    for end in _SENTENCE_END.finditer(text):
        if _ends_sentence(text, end):
            sentences.append(text[start : end.end()].strip())
            start = end.end()
    sentences.append(text[start:].strip())
    return [sentence for sentence in sentences if sentence]


def _ends_sentence(text, end):
    mark, following = end.groups()
    if mark is None:
        return True
    if following.islower():
        return False
    if mark != ".":
        return True
    before = text[max(0, end.start() - _LONGEST_ABBREVIATION) : end.start()].split()
    return not (before and _ABBREVIATION.fullmatch(before[-1].lstrip("\"'“‘«([")))


def _ending(path):
    return os.path.splitext(path)[1].lower()


def _check_is_read(path):
    end, inner = _ending(path), _ending(os.path.splitext(path)[0])
    if end in _NOT_READ or (end in _DECOMPRESSORS and inner in _NOT_READ):
        ends = ", ".join(_DECOMPRESSORS)
        raise ValueError(
            f"{path}: {end if end in _NOT_READ else inner} files are not read, expected plain text "
            f"or text compressed as {ends}. Unpack it."
        )


def _cut_file(path, documents, part_bytes):
    """Yields the spans of a file."""
    status = os.stat(path)
    whole = Span(path, 0, status.st_size, status.st_mtime_ns)
    if documents == "file" or whole.is_compressed:
        yield whole
        return
    start = 0
    with open(path, "rb") as file:
        while start < whole.end:
            file.seek(start + part_bytes)
            end = _next_document(file, documents) if start + part_bytes < whole.end else whole.end
            yield dataclasses.replace(whole, start=start, end=end)
            start = end


def _next_document(file, documents):
    """Moves to where a document begins, reading on from amidst a line; returns that place."""
    _skip_line(file)
    if documents == "heading":
        while (line := file.readline(_LONGEST_PIECE)) and not _HEADING.fullmatch(line):
            if not line.endswith(b"\n"):
                _skip_line(file)
        return file.tell() - len(line)
    if documents == "blank-line":
        while (line := file.readline(_LONGEST_PIECE)).strip():
            if not line.endswith(b"\n"):
                _skip_line(file)
        if not line.endswith(b"\n"):
            _skip_line(file)
    return file.tell()


def _skip_line(file):
    while (piece := file.readline(_LONGEST_PIECE)) and not piece.endswith(b"\n"):
        pass


def _pieces(span):
    """Yields each line of a span, or the pieces of one too long, with its number from 0."""
    with open(span.path, "rb") as file:
        if span.is_compressed:
            with _decompressed(file) as text:
                yield from _cut_lines(text, None)
        else:
            file.seek(span.start)
            yield from _cut_lines(file, span.end)


@contextlib.contextmanager
def _decompressed(file):
    """The content of an open compressed file; a ValueError names one that is damaged."""
    try:
        with _DECOMPRESSORS[_ending(file.name)](file) as text:
            yield text
    except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        if getattr(error, "errno", None) is not None:
            raise  # of the disk
        raise ValueError(f"{file.name}: the compressed file is damaged: {error}") from error


def _cut_lines(file, end):
    line, rest = 0, b""
    while (end is None or file.tell() < end) and (block := file.readline(_LONGEST_PIECE)):
        piece, rest = rest + block, b""
        is_ended = block.endswith(b"\n")
        if not is_ended and len(block) == _LONGEST_PIECE:
            piece, rest = _cut_piece(piece)
        yield line, piece
        line += is_ended
    if rest:
        yield line, rest


def _cut_piece(piece):
    """Cuts at the last white space, else before the last character that may not be whole."""
    place = max(piece.rfind(b" "), piece.rfind(b"\t"))
    if place <= 0:
        tail = re.search(rb"(?:[\xc0-\xff][\x80-\xbf]*)?\Z", piece[-4:])
        place = len(piece) - len(tail.group())
    return piece[:place], piece[place:]


def _decode(piece, span, line, on_bad_line):
    """A line without white space at its ends, or `None` if it is not UTF-8 and left out."""
    try:
        return piece.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        if on_bad_line == "skip":
            return None
        raise ValueError(
            f"{span.path}, line {line + _lines_before(span) + 1}: not UTF-8 ({error.reason}). Skip "
            "such lines with --on-bad-line skip."
        ) from error


def _lines_before(span):
    with open(span.path, "rb") as file:
        blocks = (min(_SAMPLE, span.start - place) for place in range(0, span.start, _SAMPLE))
        return sum(file.read(size).count(b"\n") for size in blocks)


def _text_bytes(span):
    """About how many bytes of text a span holds."""
    if not span.is_compressed or not span.num_bytes:
        return span.num_bytes
    with open(span.path, "rb") as file, _decompressed(file) as text:
        num_bytes = len(text.read(_SAMPLE))
        return num_bytes * span.num_bytes / max(1, file.tell())
