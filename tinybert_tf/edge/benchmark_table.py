"""What was measured, as text and as a table for other programs."""

import csv
import io
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
    ratios = {_key(case["path"], case): case["ratio"] for case in result["ratios"]}
    table = []
    for file in result["files"]:
        whole = {name: value for name, value in file.items() if not isinstance(value, list)}
        for case in file["latency"]:
            table.append(whole | case | {"ratio": ratios.get(_key(file["path"], case))})
        table += [whole | case for case in file["texts"]]
    return table


def write_csv(path, table):
    """Writes a table as CSV: a header, and what is `None` or missing left empty.

    Args:
        path: str or path-like, the file; what is there is replaced when the new one is whole.
        table: list of dicts, the rows.
    """
    path, text = pathlib.Path(path), io.StringIO()
    names = list(dict.fromkeys(name for row in table for name in row))
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text.getvalue(), encoding="utf-8")
    os.replace(temporary, path)


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


def _key(path, case):
    return path, case["length"], case["threads"]
