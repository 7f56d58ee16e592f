"""Which share of the intermediate step is matrix products at this machine's own rate.

    python -m benchmarks.products --lengths 128 64 32 --output runs/products.jsonl

Lists every matrix product of a step, measures how long each takes by itself, in turns with the step
as a whole, and says which share of the step's time the products would take at that rate: 100 % is a
step that does nothing else. The teacher's pass and the student's step on given teacher outputs are
also timed by themselves; what they have together in the step, such as a processor that one leaves
idle to the other, is in neither.

A product by itself works in turn on several copies of its operands, so that it finds no more of
them in the processor's caches than it would in a step. It is a plain product: bias and activation,
which TensorFlow computes in the same pass over the result, count as something else.
"""

import argparse
import collections
import dataclasses
import math
import pathlib
import statistics
import time

import numpy as np

import tinybert_tf as tb
from benchmarks import environment
from tinybert_tf.programs.precision import FROZEN, TRAINED, frozen_dtype

COPIES = 4


@dataclasses.dataclass(frozen=True)
class Product:
    """A product of two matrices, or of two stacks of them.

    Args:
        stack: tuple of int, how many matrices, along each axis in front of theirs; `()` for one.
        rows: int, of the result.
        inner: int, the axis that is summed over.
        columns: int, of the result.
        dtype: str.
        transpose_left: bool, whether the left operand lies transposed in memory.
        transpose_right: bool.
    """

    stack: tuple[int, ...]
    rows: int
    inner: int
    columns: int
    dtype: str
    transpose_left: bool = False
    transpose_right: bool = False

    @property
    def flop(self):
        """Number of multiplications and additions."""
        return 2 * math.prod(self.stack) * self.rows * self.inner * self.columns

    @property
    def left_shape(self):
        """Shape of the left operand in memory."""
        return (*self.stack, *_turned(self.transpose_left, self.rows, self.inner))

    @property
    def right_shape(self):
        """Shape of the right operand in memory."""
        return (*self.stack, *_turned(self.transpose_right, self.inner, self.columns))

    @property
    def backward(self):
        """The two products of its gradients: for the left operand and for the right one."""
        shape = dataclasses.replace
        left = shape(self, inner=self.columns, columns=self.inner, transpose_right=True)
        right = shape(self, rows=self.inner, inner=self.rows, transpose_left=True)
        return left, right


def _turned(is_transposed, *sizes):
    return reversed(sizes) if is_transposed else sizes


def encoder_products(config, batch_size, length, dtype):
    """The products of a BERT's layers, forward; pooler and head take no part in the step.

    Args:
        config: `BertConfig`.
        batch_size: int, examples.
        length: int, tokens of each.
        dtype: str.

    Returns:
        `collections.Counter` of `Product`.
    """
    tokens, width, inner = batch_size * length, config.hidden_dim, config.intermediate_dim
    heads, head_size = (batch_size, config.num_heads), width // config.num_heads
    layer = [
        *[Product((), tokens, width, width, dtype)] * 4,  # query, key, value, output
        Product(heads, length, head_size, length, dtype),  # attention logits
        Product(heads, length, length, head_size, dtype),  # what is attended to
        Product((), tokens, width, inner, dtype),
        Product((), tokens, inner, width, dtype),
    ]
    return collections.Counter(layer * config.num_layers)


def step_products(teacher, student, batch_size, length, teacher_dtype, student_dtype):
    """All products of an intermediate step with the default objective.

    Args:
        teacher: `BertConfig`.
        student: `BertConfig`.
        batch_size: int, examples.
        length: int, tokens of each.
        teacher_dtype: str.
        student_dtype: str.

    Returns:
        Dict of "teacher", "student" and "projection" to `collections.Counter` of `Product`.
    """
    projection = Product(
        (), batch_size * length, student.hidden_dim, teacher.hidden_dim, student_dtype
    )
    return {
        "teacher": encoder_products(teacher, batch_size, length, teacher_dtype),
        "student": with_backward(encoder_products(student, batch_size, length, student_dtype)),
        "projection": with_backward(collections.Counter({projection: student.num_layers + 1})),
    }


def with_backward(products):
    """Products and those of their gradients.

    Args:
        products: `collections.Counter` of `Product`.

    Returns:
        `collections.Counter` of `Product`.
    """
    every = collections.Counter(products)
    for product, count in products.items():
        every.update(dict.fromkeys(product.backward, count))
    return every


def product_function(product, seed=0):
    """A function that computes a product `COPIES` times, one after the other.

    Args:
        product: `Product`.
        seed: int, of the operands' values.

    Returns:
        Function without arguments.
    """
    import tensorflow as tf

    random = np.random.default_rng(seed)
    operands = [
        tuple(
            tf.cast(random.standard_normal(shape, np.float32), product.dtype)
            for shape in (product.left_shape, product.right_shape)
        )
        for _ in range(COPIES)
    ]

    @tf.function
    def multiply(operands):
        results = []
        for left, right in operands:
            with tf.control_dependencies(results[-1:]):
                results.append(
                    tf.matmul(
                        left,
                        right,
                        transpose_a=product.transpose_left,
                        transpose_b=product.transpose_right,
                    )
                )
        return results

    concrete = multiply.get_concrete_function(operands)
    return lambda: concrete(operands)


def step_functions(arguments, length, teacher_dtype):
    """The step, the teacher's pass and the student's step on given teacher outputs.

    All are traced for any batch size and length, as `fit` does.

    Args:
        arguments: of the command line.
        length: int, tokens of each example.
        teacher_dtype: str.

    Returns:
        Dict of "step", "teacher" and "student" to function without arguments.
    """
    import tensorflow as tf

    teacher = tb.BertClassifier.from_preset(arguments.teacher, ("a", "b"), dtype=teacher_dtype)
    student = tb.BertClassifier.from_preset(
        arguments.student, ("a", "b"), dtype=TRAINED[arguments.student_dtype]
    )
    distiller = tb.Distiller(teacher, student)
    distiller.compile(tb.IntermediateObjective(), tb.adamw(5e-5))
    inputs, labels = make_batch(student.config, arguments.batch_size, length)
    spec = {name: tf.TensorSpec([None, None], tf.int32) for name in inputs}
    labels_spec = tf.TensorSpec([None], tf.int32)
    distiller.prepare(spec)
    teach = tf.function(teacher_pass(distiller), input_signature=[spec])
    taught = teach.get_concrete_function().structured_outputs
    given_spec = {**spec, "teacher": tf.nest.map_structure(tf.TensorSpec.from_tensor, taught)}
    step, given_step = (
        tf.function(distiller.train_step, input_signature=[(entry, labels_spec)])
        for entry in (spec, given_spec)
    )
    given = {**inputs, "teacher": teach(inputs)}
    return {
        "step": lambda: step((inputs, labels)),
        "teacher": lambda: teach(inputs),
        "student": lambda: given_step((given, labels)),
    }


def make_batch(config, batch_size, length):
    """Inputs without padding, of random tokens, and labels."""
    import tensorflow as tf

    ids = np.random.default_rng(0).integers(0, config.vocabulary_size, (batch_size, length))
    inputs = {
        "token_ids": tf.constant(ids, tf.int32),
        "segment_ids": tf.zeros((batch_size, length), tf.int32),
        "padding_mask": tf.ones((batch_size, length), tf.int32),
    }
    return inputs, tf.zeros(batch_size, tf.int32)


def teacher_pass(distiller):
    """A function of inputs: the teacher's outputs, those that the objective leaves out empty."""
    kept = distiller.objective.teacher_outputs(
        distiller.student.config.num_layers, distiller.teacher.config.num_layers
    )

    def run(inputs):
        outputs = distiller.teacher(inputs, training=False)
        return {
            name: [
                value if index in indices else value[:, :0]
                for index, value in enumerate(outputs[name])
            ]
            for name, indices in kept.items()
        }

    return run


def measure(functions, rounds):
    """Runs functions in turns.

    Args:
        functions: dict of anything to function without arguments.
        rounds: int, after one that is not counted.

    Returns:
        Dict of the same keys to list of seconds, one a round.
    """
    import tensorflow as tf

    seconds = {name: [] for name in functions}
    for round_number in range(rounds + 1):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            tf.test.experimental.sync_devices()
            if round_number:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def summarize(parts, alone, spans):
    """What the products take by themselves against what the step takes.

    Args:
        parts: what `step_products` returns.
        alone: dict of `Product` to list of seconds, one a round.
        spans: dict of "step", "teacher" and "student" to list of seconds, one a round.

    Returns:
        Dict of "step", "teacher" and "student" (with the projection) to dict: `flop`,
        `milliseconds` it took, `products_milliseconds`, `products_share` of the time (medians over
        the rounds) and `flop_per_second`.
    """
    members = {
        "teacher": [parts["teacher"]],
        "student": [parts["student"], parts["projection"]],
        "step": list(parts.values()),
    }
    return {
        name: _summary(sum(counters, collections.Counter()), alone, spans[name])
        for name, counters in members.items()
    }


def _summary(products, alone, span):
    flop = sum(product.flop * count for product, count in products.items())
    rounds = [
        sum(alone[product][number] * count for product, count in products.items())
        for number in range(len(span))
    ]
    shares = [products / whole for products, whole in zip(rounds, span, strict=True)]
    return {
        "flop": flop,
        "milliseconds": 1e3 * statistics.median(span),
        "products_milliseconds": 1e3 * statistics.median(rounds),
        "products_share": statistics.median(shares),
        "flop_per_second": flop / statistics.median(span),
    }


def list_products(parts, alone):
    """Every product with its count and its rate, as dicts, those that take longest first."""
    rows = [
        {
            "part": part,
            **dataclasses.asdict(product),
            "count": count,
            "milliseconds": 1e3 * statistics.median(alone[product]),
            "flop_per_second": product.flop / statistics.median(alone[product]),
        }
        for part, products in parts.items()
        for product, count in products.items()
    ]
    return sorted(rows, key=lambda row: -row["count"] * row["milliseconds"])


def show(record):
    """Prints a record as two tables."""
    print(f"\n{record['batch_size']} examples of {record['length']} tokens")
    print(f"{'part':10} {'count':>5} {'product':32} {'dtype':9} {'ms':>8} {'GFLOP/s':>8}")
    for row in record["products"]:
        print(
            f"{row['part']:10} {row['count']:5} {describe(row):32} {row['dtype']:9} "
            f"{row['milliseconds']:8.2f} {row['flop_per_second'] / 1e9:8.1f}"
        )
    print(f"\n{'':10} {'GFLOP':>8} {'ms':>9} {'products ms':>12} {'share':>7} {'GFLOP/s':>8}")
    for name, row in record["summary"].items():
        print(
            f"{name:10} {row['flop'] / 1e9:8.1f} {row['milliseconds']:9.1f} "
            f"{row['products_milliseconds']:12.1f} {100 * row['products_share']:6.1f}% "
            f"{row['flop_per_second'] / 1e9:8.1f}"
        )


def describe(row):
    """A product in words; a prime stands at an operand that lies transposed."""
    stack = f"{math.prod(row['stack'])} of " if row["stack"] else ""
    left, right = ("'" * row[f"transpose_{side}"] for side in ("left", "right"))
    return f"{stack}{row['rows']}x{row['inner']}{left} {row['inner']}x{row['columns']}{right}"


def run(arguments, length):
    """Measures at one length; returns the record."""
    from tinybert_tf.models.bert_config import preset_config

    teacher_dtype = frozen_dtype(arguments.teacher_dtype)
    parts = step_products(
        preset_config(arguments.teacher),
        preset_config(arguments.student),
        arguments.batch_size,
        length,
        teacher_dtype,
        arguments.student_dtype,
    )
    distinct = sum(parts.values(), collections.Counter())
    functions = step_functions(arguments, length, teacher_dtype)
    functions |= {product: product_function(product) for product in distinct}
    seconds = measure(functions, arguments.rounds)
    alone = {product: [value / COPIES for value in seconds[product]] for product in distinct}
    settings = ("teacher", "student", "student_dtype", "batch_size", "rounds")
    return {
        **{name: getattr(arguments, name) for name in settings},
        "teacher_dtype": teacher_dtype,
        "length": length,
        "summary": summarize(parts, alone, seconds),
        "products": list_products(parts, alone),
        **environment.describe(),
    }


def main():
    """Measures, prints and keeps the records."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--teacher", default="bert_base_uncased", help="preset")
    parser.add_argument("--student", default="tinybert_4l_312d", help="preset")
    parser.add_argument("--teacher-dtype", default="auto", choices=FROZEN)
    parser.add_argument("--student-dtype", default="float32", choices=TRAINED)
    parser.add_argument("--batch-size", type=int, default=32, help="examples in a batch")
    parser.add_argument("--lengths", type=int, nargs="+", default=[128], help="tokens of each")
    parser.add_argument("--rounds", type=int, default=10, help="counted; one more comes before")
    parser.add_argument("--output", type=pathlib.Path, help="file for the records, JSON lines")
    arguments = parser.parse_args()
    records = []
    for length in arguments.lengths:
        records.append(run(arguments, length))
        show(records[-1])
    if arguments.output:
        environment.write_lines(records, arguments.output)


if __name__ == "__main__":
    main()
