"""One self-contained page about a distilled student."""

from tinybert_tf.report.page import write_report

__all__ = ["write_report"]
