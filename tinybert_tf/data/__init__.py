"""Tasks, tokenization and batches."""

from tinybert_tf.data.batches import ExampleBatches
from tinybert_tf.data.examples import Examples
from tinybert_tf.data.span_rows import SpanRows
from tinybert_tf.data.squad_files import read_squad
from tinybert_tf.data.tag_files import read_tags
from tinybert_tf.data.tag_rows import TagRows
from tinybert_tf.data.task_table import TASKS, Schedule, TaskSource
from tinybert_tf.data.tasks import PROBLEMS, SPLITS, Task, rows_of, task, task_folder
from tinybert_tf.data.text_files import column_names, read_examples
from tinybert_tf.data.text_rows import TextRows
from tinybert_tf.data.tokenizer import BertTokenizer

__all__ = [
    "PROBLEMS",
    "SPLITS",
    "TASKS",
    "BertTokenizer",
    "ExampleBatches",
    "Examples",
    "Schedule",
    "SpanRows",
    "TagRows",
    "Task",
    "TaskSource",
    "TextRows",
    "column_names",
    "read_examples",
    "read_squad",
    "read_tags",
    "rows_of",
    "task",
    "task_folder",
]
