"""The page itself: a template filled with results."""

import jinja2

from tinybert_tf.atomic import atomic_file
from tinybert_tf.report.figures import latency_plot, loss_curves


def write_report(path, *, title, notes, models, stages, benchmarks, verification, examples, file):
    """Writes an HTML page that needs no other file.

    Args:
        path: str or path-like.
        title: str.
        notes: list of str, what a reader has to know about how this was made.
        models: list of dicts with `name`, `accuracy` (share), `size_bytes`, `latency_ms` (median at
            `latency_length` word-pieces), `latency_length`; the first is the one to compare with.
        stages: dict of stage title to the logs of its epochs.
        benchmarks: dict of name to what `benchmark` returns for its file.
        verification: dict, what `verify` returns.
        examples: list of dicts with `text`, `label`, `teacher`, `student`, `probability`.
        file: str, name of the .tflite file to use.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tinybert_tf.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    page = environment.get_template("report.html.jinja").render(
        title=title,
        notes=notes,
        models=models,
        base=models[0],
        loss_curves=loss_curves(stages),
        latency_plot=latency_plot(benchmarks),
        runtime=next(iter(benchmarks.values())),
        verification=verification,
        examples=examples,
        file=file,
    )
    with atomic_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
