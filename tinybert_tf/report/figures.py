"""Figures as SVG text, to stand inside a page."""

import io
import itertools

import matplotlib
from matplotlib.figure import Figure

_COLOURS = ("#1f5a99", "#c2571a", "#3b8a4e", "#7a4a9e")


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
    figure = Figure(figsize=(9, 2.9), layout="constrained")
    panel = figure.subplots()
    for (name, file), colour in zip(files.items(), itertools.cycle(_COLOURS), strict=False):
        cases = [case for case in file["latency"] if case["threads"] == 1]
        lengths = [case["length"] for case in cases]
        panel.plot(lengths, [case["p50_ms"] for case in cases], "o-", color=colour, label=name)
    panel.set_yscale("log")
    panel.set_xticks(lengths)
    panel.set_xlabel("word-pieces")
    panel.set_ylabel("median ms, one thread")
    panel.legend(frameon=False)
    _lighten(panel)
    return _svg(figure)


def _lighten(panel):
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(axis="y", color="#e4e4e4")


def _svg(figure):
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "tinybert_tf", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    svg = buffer.getvalue()
    return svg[svg.index("<svg") :]
