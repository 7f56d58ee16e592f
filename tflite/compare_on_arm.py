"""Compares what .tflite files answer on an Arm processor, emulated, with what they answer here.

    python tflite/compare_on_arm.py --root ~/.cache/arm --texts dev.tsv sst2.tflite float32.tflite

Needs Debian or a relative of it: qemu and an Arm Python come from its packages, the runtime from
PyPI, into the folder that `--root` names; the first time that is 130 MB to download. It fails if a
file's cosine is below .999, or .998 for files of AI Edge Quantizer.

The cosine is that of all sentences' logits, as one vector, there and here: for classes the
log-probabilities less their mean. A single sentence's cosine tells of rounding where there are many
numbers; of two classes it is 1, or -1 where rounding turned the answer.
"""

import argparse
import pathlib
import platform
import sys

from tinybert_tf.programs.arm_emulator import CORE, ArmEmulator

# What makes a file -> the bound; the two processors round in other places.
LEAST_COSINE = {"converter": 0.999, "quantizer": 0.998}
_TABLES = (".tsv", ".csv", ".tsv.gz", ".csv.gz")


def main(arguments=None):
    """Runs the command above; `arguments` as in `argparse`, `None` for those of the process."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    if options.count < 1:
        parser.error(f"--count is {options.count}, expected 1 or more.")
    try:
        sentences = read_sentences(options.texts, options.column, options.count)
        sys.stderr.write(f"Emulator in {options.root}; the first time this takes minutes.\n")
        emulator = ArmEmulator(options.root)
        failed = [
            path
            for path in options.files
            if not report(path, compare_file(path, sentences, emulator), options.least_cosine)
        ]
    except (ValueError, OSError) as error:
        parser.exit(1, f"{error}\n")
    if failed:
        parser.exit(1, f"Too far from this machine's answers: {', '.join(failed)}\n")


def make_parser():
    """The parser of the flags."""
    summary, _, rest = __doc__.partition("\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help=".tflite file")
    parser.add_argument("--root", required=True, help="folder for the emulator, made if not there")
    parser.add_argument("--texts", required=True, help="table, or text with a sentence a line")
    parser.add_argument("--column", default="sentence", help="the table's column of sentences")
    parser.add_argument("--count", type=int, default=50, help="most sentences to compare on")
    parser.add_argument("--least-cosine", type=float, help="fail below this, whatever the recipe")
    return parser


def read_sentences(path, column, count):
    """Reads sentences from a .tsv or .csv file, or from a text file.

    Args:
        path: str or path-like.
        column: str, name of the table's column.
        count: int, most sentences to return.

    Returns:
        List of str, the first sentences.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read, lacks the column or has no sentences.
    """
    from tinybert_tf.data.text_files import read_examples, read_text
    from tinybert_tf.edge.benchmark import split_sentences

    path = pathlib.Path(path)
    if path.name.endswith(_TABLES):
        return read_examples(path, column).texts[:count]
    return split_sentences(read_text(path), path)[:count]


def compare_file(path, sentences, emulator):
    """Runs a file here and under the emulator.

    Args:
        path: str or path-like, the .tflite file.
        sentences: list of str.
        emulator: `ArmEmulator`.

    Returns:
        Dict with `recipe`, the `tool` that makes it ("converter" or "quantizer"), `num_sentences`,
        `there` and `here` (runtime and machine), and what `compare` returns.

    Raises:
        ValueError: If the file is missing, broken, without a vocabulary, or does not run.
    """
    from tinybert_tf.data.examples import Examples
    from tinybert_tf.edge import EdgeModel
    from tinybert_tf.edge.interpreter import runtime_version
    from tinybert_tf.edge.remote_model import RemoteModel
    from tinybert_tf.export.predictor import file_rows, predict_rows, to_logits
    from tinybert_tf.recipes import RECIPES

    model, path = EdgeModel(path), pathlib.Path(path).resolve()
    problem, recipe = ((model.settings or {}).get(name) for name in ("problem", "recipe"))
    contexts = sentences if problem == "spans" else None  # a question needs one to answer from
    rows = file_rows(model, Examples(sentences, contexts))
    with RemoteModel(path, emulator.command, emulator.environment) as arm_model:
        there = predict_rows(arm_model, rows)
    return {
        "recipe": recipe,
        "tool": RECIPES[recipe].tool if recipe in RECIPES else "converter",
        "num_sentences": len(sentences),
        "there": f"{arm_model.runtime} on {arm_model.machine}",
        "here": f"{runtime_version()} on {platform.machine()}",
        **compare(to_logits(there, problem), to_logits(predict_rows(model, rows), problem)),
    }


def compare(there, here):
    """Tells how far two runs are apart.

    Args:
        there, here: float arrays of the same shape, `(rows, ...)`.

    Returns:
        Dict of floats: `cosine` of all numbers, `mean_cosine` and `min_cosine` of the rows, and
        `largest_difference`.
    """
    import numpy as np

    there, here = (values.reshape(len(values), -1) for values in (there, here))
    products = (there * here).sum(axis=1)
    squares = (there**2).sum(axis=1), (here**2).sum(axis=1)
    cosines = products / np.sqrt(squares[0] * squares[1])
    return {
        "cosine": float(products.sum() / np.sqrt(squares[0].sum() * squares[1].sum())),
        "mean_cosine": float(cosines.mean()),
        "min_cosine": float(cosines.min()),
        "largest_difference": float(np.abs(there - here).max()),
    }


def report(path, result, least_cosine=None):
    """Writes a line on one file; returns whether it is near enough.

    Args:
        path: str, the .tflite file.
        result: dict, from `compare_file`.
        least_cosine: float, the bound; `None` for the one of the file's recipe.
    """
    if least_cosine is None:
        least_cosine = LEAST_COSINE[result["tool"]]
    near = result["cosine"] >= least_cosine
    line = (
        "{path} ({recipe}): {verdict}, cosine {cosine:.6f} (at least {least_cosine}); of single "
        "sentences {mean_cosine:.6f}, least {min_cosine:.6f}; largest difference "
        "{largest_difference:.2g}; {num_sentences} sentences, {there} ({core}) against {here}\n"
    )
    verdict = "near" if near else "too far"
    sys.stdout.write(
        line.format(path=path, verdict=verdict, core=CORE, least_cosine=least_cosine, **result)
    )
    sys.stdout.flush()
    return near


if __name__ == "__main__":
    main()
