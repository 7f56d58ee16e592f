"""Figures as SVG text, to stand inside a page."""

import io
import itertools

import matplotlib
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogFormatter

_COLOURS = ("#1f5a99", "#c2571a", "#3b8a4e", "#7a4a9e")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")


def loss_curves(stages):
    """Loss terms of each stage over its epochs, a panel a stage.

    Args:
        stages: dict of stage title to list of dicts, the logs of its epochs.

    Returns:
        str, SVG.
    """
    figure = Figure(figsize=(9, 2.9), layout="constrained")
    panels = figure.subplots(1, len(stages), squeeze=False)[0]
    for panel, (title, epochs) in zip(panels, stages.items(), strict=True):
        names = [name for name in epochs[0] if name.endswith("_loss")]
        for name, colour in zip(names, itertools.cycle(_COLOURS), strict=False):
            values = [epoch[name] for epoch in epochs]
            numbers = range(1, len(values) + 1)
            panel.plot(numbers, values, "o-", color=colour, label=name.replace("_", " "))
        panel.set_title(title)
        panel.set_xlabel("epoch")
        panel.set_xticks(range(1, len(epochs) + 1))
        panel.set_ylim(bottom=0)
        panel.legend(frameon=False)
        _lighten(panel)
    return _svg(figure)


def training_curve(stretches, marks=None):
    """Loss terms over the steps of a training, each as a share of its first value.

    Args:
        stretches: list of dicts: `step`, and the mean of each loss over the steps before it.
        marks: dict of loss name to a share to draw a dashed line at.

    Returns:
        str, SVG.
    """
    figure = Figure(figsize=(9, 2.9), layout="constrained")
    panel = figure.subplots()
    names = [name for name in stretches[0] if name.endswith("_loss")]
    steps = [stretch["step"] for stretch in stretches]
    for name, colour in zip(names, itertools.cycle(_COLOURS), strict=False):
        first, last = stretches[0][name], stretches[-1][name]
        label = f"{name.replace('_', ' ')}: {first:.3g} to {last:.3g}"
        shares = [stretch[name] / first for stretch in stretches]
        panel.plot(steps, shares, "-", color=colour, label=label)
        if name in (marks or {}):
            panel.axhline(marks[name], color=colour, linestyle="--", linewidth=0.8)
    panel.set_ylim(bottom=0)
    panel.set_xlabel("steps")
    panel.set_ylabel("share of the first loss")
    panel.legend(frameon=False)
    _lighten(panel)
    return _svg(figure)


def latency_plot(files):
    """Median latency over the number of tokens, a line a file, on one thread.

    Args:
        files: dict of name to what `benchmark` returns for its file.

    Returns:
        str, SVG.
    """
    lines = {
        name: [(case["length"], case["p50_ms"]) for case in file["latency"] if case["threads"] == 1]
        for name, file in files.items()
    }
    return latency_lines(lines, "median ms, one thread")


def latency_lines(lines, what):
    """Latency over the number of tokens.

    Args:
        lines: dict of label to a list of `(length, milliseconds)`.
        what: str, which latency it is.

    Returns:
        str, SVG.
    """
    figure = Figure(figsize=(9, 2.9), layout="constrained")
    panel = figure.subplots()
    styles = itertools.cycle(itertools.product(("o-", "s--", "^:"), _COLOURS))
    for (label, points), (style, colour) in zip(lines.items(), styles, strict=False):
        panel.plot(*zip(*points, strict=True), style, color=colour, label=label)
    panel.set_yscale("log")
    panel.set_xticks(sorted({length for points in lines.values() for length, _ in points}))
    panel.set_xlabel("word-pieces")
    panel.set_ylabel(what)
    panel.legend(frameon=False)
    _lighten(panel)
    return _svg(figure)


def pareto_plot(rows, metric):
    """Accuracy of files over their size and over their latency; dominated files are hollow.

    Args:
        rows: list of dicts, from `mark_dominated`, with `student` and `recipe`.
        metric: str, what `metric` of the rows is called.

    Returns:
        str, SVG.
    """
    figure = Figure(figsize=(9, 5), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    costs = {"megabytes": lambda row: row["size_bytes"] / 1e6, "ms": lambda row: row["latency_ms"]}
    colours, markers = _each(rows, "student", _COLOURS), _each(rows, "recipe", _MARKERS)
    for panel, (label, cost) in zip(panels, costs.items(), strict=True):
        for row in rows:
            colour = colours[row["student"]]
            fill = "none" if row["dominated_by"] else colour
            style = {"marker": markers[row["recipe"]], "color": colour, "markerfacecolor": fill}
            panel.plot(cost(row), row["metric"], **style)
        panel.set_xscale("log")
        panel.xaxis.set_major_formatter(LogFormatter())
        panel.xaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1.5, 0.5)))
        panel.set_xlabel(label)
        _lighten(panel)
    panels[0].set_ylabel(metric)
    bare = {"color": "black", "linestyle": "none", "markerfacecolor": "none"}
    keys = [Line2D([], [], color=colour, label=name) for name, colour in colours.items()]
    keys += [Line2D([], [], marker=shape, label=name, **bare) for name, shape in markers.items()]
    figure.legend(handles=keys, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    return _svg(figure)


def _each(rows, field, styles):
    """Dict from each value of a field to a style."""
    return dict(
        zip(dict.fromkeys(row[field] for row in rows), itertools.cycle(styles), strict=False)
    )


def _lighten(panel):
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(axis="y", color="#e4e4e4")


def _svg(figure):
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "tinybert_tf", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    svg = buffer.getvalue()
    return svg[svg.index("<svg") :]
