"""What was measured, as text and as a table for other programs."""

import csv
import io
import itertools
import os
import pathlib


def format_table(result):
    """Writes what `benchmark_many` returns as text.

    Args:
        result: dict, from `benchmark_many`.

    Returns:
        str, some lines for each file.
    """
    lines = [line for file in result["files"] for line in _file_lines(file)]
    lines += [
        "{path}: {ratio:.3f} times at {length} tokens, {threads} threads".format(**case)
        for case in result["ratios"]
    ]
    return "\n".join(lines) + "\n"


def rows(result):
    """Lays out what `benchmark_many` returns as a table.

    Args:
        result: dict, from `benchmark_many`.

    Returns:
        List of dicts, one for each file, number of threads and length, or number of threads on
        texts.
    """
    table = []
    for file, ratios in zip(result["files"], ratios_by_file(result), strict=True):
        whole = {name: value for name, value in file.items() if not isinstance(value, list)}
        for case, ratio in zip(file["latency"], ratios, strict=False):
            table.append(whole | case | {"ratio": ratio})
        table += [whole | case for case in file["texts"]]
    return table


def ratios_by_file(result):
    """Sorts ratios by their files, which may bear the same path.

    Args:
        result: dict with `files` and, for every case, a dict in `ratios` for each but the first.

    Returns:
        For each file an iterable of the ratios of its cases; `None` again and again for the first.
    """
    ratios, others = [case["ratio"] for case in result["ratios"]], len(result["files"]) - 1
    return [itertools.repeat(None), *(ratios[place::others] for place in range(others))]


def write_csv(path, table):
    """Writes a table as CSV: a header, and what is `None` or missing left empty.

    Args:
        path: str or path-like, the file; what is there is replaced when the new one is whole.
        table: list of dicts, the rows.

    Raises:
        OSError: If it cannot be written; nothing is left behind then.
    """
    make_folder_of(path)
    path, text = pathlib.Path(path), io.StringIO()
    names = list(dict.fromkeys(name for row in table for name in row))
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.write_text(text.getvalue(), encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def make_folder_of(path):
    """Makes the folder of a file that will be written.

    Args:
        path: str or path-like, the file.

    Raises:
        OSError: If there cannot be such a folder, or a folder has the file's own name.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; expected the name of a file.")


def _file_lines(file):
    growth = file["memory_growth_bytes"]
    memory = "" if growth is None else f", {growth / 1e6:.1f} MB of memory"
    yield f"{file['path']}: {file['size_bytes'] / 1e6:.2f} MB, {file['runtime']}"
    yield f"  load {file['load_ms']:.1f} ms, first run {file['first_ms']:.1f} ms{memory}"
    yield "  tokens threads    p50 ms    p90 ms    p99 ms" + _energy_title(file)
    for case in file["latency"]:
        line = "  {length:6d} {threads:7d} {p50_ms:9.3f} {p90_ms:9.3f} {p99_ms:9.3f}"
        yield line.format(**case) + _energy(case)
    if file["texts"]:
        yield " threads sentences/s    tokens/s  mean tokens" + _energy_title(file)
    for case in file["texts"]:
        line = " {threads:7d} {sentences_per_second:11.1f} {tokens_per_second:11.1f}"
        yield (line + " {mean_tokens:12.1f}").format(**case) + _energy(case)


def _energy_title(file):
    return f"        mJ ({file['energy_sensor']})" if file["energy_sensor"] else ""


def _energy(case):
    return "" if case["energy_mj"] is None else f" {case['energy_mj']:9.3f}"
