"""Reads examples from tab- or comma-separated files; every error says in which file and line."""

import csv
import gzip
import io
import pathlib
import warnings
import zlib

from tinybert_tf.data.examples import Examples
from tinybert_tf.short_errors import short_errors, shortened
from tinybert_tf.suggestions import did_you_mean

_KINDS = (".tsv", ".txt", ".csv")
ON_BAD_LINE = ("error", "skip")
# Text becomes a tenth in a gzip file. What becomes a hundredth is made to fill the memory.
_MOST_EXPANSION, _FREE_BYTES = 100, 2**24
_MOST_COMPARED = 1000


@short_errors()
def read_examples(
    path,
    text_column,
    text_pair_column=None,
    label_column=None,
    to_label=str,
    columns=(),
    unlabeled=(),
    on_bad_line="error",
):
    """Reads one file of examples.

    The first line names the columns. In a `.tsv` or `.txt` file tabs stand between the cells and a
    quotation mark is text like any other; in a `.csv` file it quotes. Each may be compressed
    (`.tsv.gz`, `.csv.gz`).

    Args:
        path: str or path-like.
        text_column: str, name of the column of the texts.
        text_pair_column: str, name of the column of the second texts, or `None`.
        label_column: str, name of the column of the labels, or `None`.
        to_label: function from a cell (str) to a label; the `ValueError` it raises gets the file
            and line in front.
        columns: sequence of str, the names of the columns of a file whose first line is an example.
        unlabeled: sequence of str, label cells that stand for no label; such lines are left out.
        on_bad_line: "error", or "skip": lines with too few or too many cells, or with a label that
            is refused, are left out and counted in a warning.

    Returns:
        `Examples`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is of another kind, is not UTF-8, lacks a column, has no rows, or
            if a row has too few or too many columns or a label is refused.

    Example:
        read_examples("train.tsv", "sentence", label_column="label")
    """
    check_on_bad_line(on_bad_line)
    path = pathlib.Path(path)
    rows = read_rows(path)
    header = list(columns) or next(rows, (1, []))[1]
    if not any(header):
        raise ValueError(f"{path} is empty, expected a first line with the names of the columns.")
    names = [name for name in (text_column, text_pair_column, label_column) if name is not None]
    positions = [_position(path, header, name) for name in names]
    cells, num_bad, first_bad = [], 0, ""
    for line, row in rows:
        try:
            cells.append(_cells(row, header, positions, label_column, to_label, unlabeled))
        except ValueError as error:
            message = shortened(f"{path}, line {line}: {error}")
            if on_bad_line == "error":
                raise ValueError(message) from error
            num_bad, first_bad = num_bad + 1, first_bad or message
    if num_bad:
        warnings.warn(f"{num_bad} bad lines skipped; the first: {first_bad}", stacklevel=3)
    cells = [row for row in cells if row is not None]
    if not cells:
        raise ValueError(f"{path} has no rows below the names of its columns.")
    found = dict(zip(names, map(list, zip(*cells, strict=True)), strict=True))
    return Examples(found[text_column], found.get(text_pair_column), found.get(label_column))


def read_split(split, path, columns, to_label):
    """Reads a split's file by `read_examples`; a test file may lack the column of the labels."""
    is_test = split.startswith("test") and not columns.get("columns")
    if is_test and columns["label_column"] not in column_names(path):
        # Benchmarks keep the labels of their test files to themselves.
        columns = {**columns, "label_column": None}
    return read_examples(path, **columns, to_label=to_label)


def check_on_bad_line(on_bad_line):
    """Raises ValueError if it is not one of `ON_BAD_LINE`."""
    if on_bad_line not in ON_BAD_LINE:
        raise ValueError(f'`on_bad_line` is "{on_bad_line}", expected {" or ".join(ON_BAD_LINE)}.')


def _cells(row, header, positions, label_column, to_label, unlabeled):
    """The wanted cells of a row, its label last and converted; `None` if it has no label."""
    if len(row) != len(header):
        counted = f"{len(row)} column{'s'[: len(row) != 1]}"
        raise ValueError(f"{counted}, expected {len(header)} ({', '.join(header)}).")
    cells = [row[position] for position in positions]
    if label_column is None:
        return cells
    return None if cells[-1] in unlabeled else [*cells[:-1], to_label(cells[-1])]


def column_names(path):
    """Returns the names in the first line of a file, a list of str; none if it is no table."""
    path = pathlib.Path(path)
    if not path.name.removesuffix(".gz").endswith(_KINDS):
        return []
    _, header = next(read_rows(path), (1, []))
    return header


def read_rows(path):
    """Yields the line number (from 1) and the cells of each row, the names of the columns first.

    Args:
        path: `pathlib.Path`; see `read_examples` for the kinds of files.

    Raises:
        ValueError: If the file is of another kind or cannot be read; file and line are named.
    """
    kind = path.name.removesuffix(".gz")
    if not kind.endswith(_KINDS):
        raise ValueError(
            f"{path}: unknown kind of file, expected .tsv, .txt or .csv, or one of them with .gz."
        )
    text = read_text(path).rstrip("\r\n")
    if kind.endswith(".csv"):
        yield from _quoted_rows(path, text)
    else:
        for line, row in enumerate(text.split("\n"), 1):
            yield line, row.removesuffix("\r").split("\t")


def _quoted_rows(path, text):
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for row in reader:
            yield line, row
            line = (
                reader.line_num + 1
            )  # A quoted cell may span lines: the row is named by its first.
    except csv.Error as error:
        raise ValueError(f"{path}, line {line}: {error}.") from error


def read_text(path):
    """The content of a UTF-8 file, which may be compressed with gzip.

    Args:
        path: `pathlib.Path`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a whole gzip file or not UTF-8; the line is named.
    """
    if not path.is_file():
        raise FileNotFoundError(f"No file {path}.")
    content = path.read_bytes()
    if path.suffix == ".gz":
        try:
            content = _decompressed(content)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path} is not a whole gzip file: {error}.") from error
        except OverflowError as error:
            raise ValueError(f"{path} {error}") from error
    try:
        return content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path}, line {line}: byte 0x{content[error.start]:02x} is not UTF-8. "
            "Save the file as UTF-8."
        ) from error


def _decompressed(content):
    most = max(_FREE_BYTES, _MOST_EXPANSION * len(content))
    with gzip.open(io.BytesIO(content)) as file:
        text = file.read(most + 1)
    if len(text) > most:
        raise OverflowError(
            f"holds over {most} bytes in {len(content)}, which is no text. Decompress it yourself "
            "if you trust it."
        )
    return text


def _position(path, header, column):
    if column in header:
        return header.index(column)
    hint = did_you_mean(column, header[:_MOST_COMPARED])
    raise ValueError(f'{path} has no column "{column}".{hint} Columns: {", ".join(header)}.')
