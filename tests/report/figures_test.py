from tinybert_tf.report.figures import latency_lines


def test_every_line_is_drawn():
    lines = {f"file {number}": [(16, 1.0), (32, 2.0 + number)] for number in range(16)}
    figure = latency_lines(lines, "ms")
    assert [label for label in lines if f">{label}<" not in figure] == []
