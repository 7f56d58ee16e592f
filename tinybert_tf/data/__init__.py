"""Tasks, tokenization and batches."""

from tinybert_tf.data.batches import ExampleBatches
from tinybert_tf.data.examples import Examples
from tinybert_tf.data.tasks import SPLITS, TASKS, Task, task
from tinybert_tf.data.text_files import read_examples
from tinybert_tf.data.tokenizer import BertTokenizer

__all__ = [
    "SPLITS",
    "TASKS",
    "BertTokenizer",
    "ExampleBatches",
    "Examples",
    "Task",
    "read_examples",
    "task",
]
