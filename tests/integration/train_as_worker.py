"""Distils tiny models as one worker of a job, as TF_CONFIG says, and writes what came of it.

    TF_CONFIG=... python tests/integration/train_as_worker.py FILE.npz CASE [CASE ...]

Prints "training" after the first step. Ends with the message for a lost worker if it loses one.
"""

import string
import sys

import numpy as np

CASES = {
    "twenty steps": {},
    "odd batches": {"batch_size": 7, "evaluates": True},
    "fewer examples than replicas": {"batch_size": 1, "count": 5},
    "in parts": {"accumulation_steps": 2},
    "several steps a call": {"steps_per_execution": 4},
    "dropout": {"dropout": 0.2},
    "without end": {"epochs": 10**6},
}


def train(strategy, batch_size=3, count=29, epochs=1, dropout=0.0, evaluates=False, **options):
    """Trains both stages.

    Args:
        strategy: `tf.distribute.Strategy`.
        batch_size: int.
        count: int, examples in all.
        epochs: int, of each stage.
        dropout: float.
        evaluates: bool, whether to evaluate too.
        **options: arguments of `Distiller.compile`.

    Returns:
        Dict of arrays: `losses` of each call, perhaps `evaluated`, and every weight of the student.
    """
    import keras

    import tinybert_tf as tb

    batches = make_batches(batch_size, count)
    losses = []

    def note(batch, logs):
        losses.append(float(logs["loss"]))
        if len(losses) == 1:
            print("training", flush=True)

    callback = keras.callbacks.LambdaCallback(on_train_batch_end=note)
    with strategy.scope():
        distiller = tb.Distiller(make_model(2, 12, dropout), make_model(1, 8, dropout))
    for objective in (tb.IntermediateObjective(), tb.PredictionObjective(label_weight=0.5)):
        with strategy.scope():
            optimizer = tb.adamw(1e-2, warmup=0.2, total_steps=20)
            distiller.compile(objective, optimizer, **options)
        distiller.fit(batches, epochs=epochs, callbacks=[callback], verbose=0)
    arrays = {f"weight_{i}": value for i, value in enumerate(distiller.student.get_weights())}
    if evaluates:
        logs = distiller.evaluate(batches, return_dict=True, verbose=0)
        arrays["evaluated"] = np.array([logs[name] for name in sorted(logs)])
    return {"losses": np.array(losses), **arrays}


def make_batches(batch_size, count):
    """Batches of one length."""
    import tinybert_tf as tb

    rng = np.random.default_rng(0)
    texts = [
        " ".join(rng.choice(list(string.ascii_lowercase), rng.integers(1, 7))) for _ in range(count)
    ]
    examples = tb.data.Examples(texts, labels=[int(text < "n") for text in texts])
    return tb.data.ExampleBatches(
        examples, make_vocabulary(), batch_size=batch_size, pad_to=8, seed=0
    )


def make_model(num_layers, hidden_dim, dropout):
    """A classifier with two heads."""
    import keras

    import tinybert_tf as tb

    keras.utils.set_random_seed(num_layers)
    config = tb.BertConfig(
        vocabulary_size=len(make_vocabulary()),
        num_layers=num_layers,
        hidden_dim=hidden_dim,
        num_heads=2,
        intermediate_dim=16,
        max_sequence_length=8,
        dropout=dropout,
        attention_dropout=dropout,
        initializer_range=0.3,
    )
    return tb.BertClassifier(config, ("no", "yes"), vocabulary=make_vocabulary())


def make_vocabulary():
    import tinybert_tf as tb

    return tb.Vocabulary(("[PAD]", "[UNK]", "[CLS]", "[SEP]", *string.ascii_lowercase))


def main(path, *cases):
    """Trains the cases one after the other; writes their arrays under "case/name"."""
    import tensorflow as tf

    from tinybert_tf.programs import strategies

    strategy = strategies.make_strategy("multi-worker")
    arrays = {"is_chief": np.array(strategies.is_chief(strategy))}
    try:
        for case in cases:
            result = train(strategy, **CASES[case])
            arrays |= {f"{case}/{name}": value for name, value in result.items()}
        strategies.check_same_everywhere(strategy, cases, "cases")
        arrays["complaint"] = complaint(strategy, int(arrays["is_chief"]))
        strategies.wait_for_all(strategy)
    except tf.errors.OpError as error:
        sys.exit(strategies.lost_worker_message(error))
    np.savez(path, **arrays)


def complaint(strategy, seed):
    """What is said where workers have different seeds."""
    from tinybert_tf.programs import strategies

    try:
        strategies.check_same_everywhere(strategy, seed, "seeds")
    except ValueError as error:
        return np.array(str(error))
    return np.array("")


if __name__ == "__main__":
    main(*sys.argv[1:])
