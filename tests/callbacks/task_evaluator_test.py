import dataclasses

import numpy as np
import pytest
import tensorflow as tf
import tiny
from sklearn.metrics import accuracy_score

import tinybert_tf as tb
from tinybert_tf.callbacks import TaskEvaluator


def accuracy(model, task):
    """All sentences at one length, in their order, straight through the model."""
    examples, tokenizer = task.examples("dev"), tb.data.BertTokenizer(model.vocabulary)
    ids = tokenizer.encode(examples.texts, max_length=16)[0]
    mask = tf.ones_like(ids).to_tensor()
    ids = ids.to_tensor()
    inputs = {"token_ids": ids, "segment_ids": 0 * ids, "padding_mask": mask}
    found = np.argmax(model(inputs)["logits"], axis=1)
    return accuracy_score(examples.labels, [model.labels[index] for index in found])


def test_the_mismatched_part_is_measured_too(task, stub):
    examples = {"dev": task.examples("dev"), "dev_mismatched": task.examples("train")}
    both = dataclasses.replace(task, read=examples.__getitem__, splits=tuple(examples))
    evaluator, student = TaskEvaluator(both), tiny.make_model(seed=3, num_layers=1)
    evaluator.set_model(stub(student))
    evaluator.on_train_begin()
    logs = {}
    evaluator.on_epoch_end(0, logs)
    other = dataclasses.replace(task, read=lambda split: task.examples("train"))
    assert logs == {
        "dev_accuracy": pytest.approx(accuracy(student, task)),
        "dev_mismatched_accuracy": pytest.approx(accuracy(student, other)),
    }


@pytest.mark.parametrize("labels", [("no", "yes"), ("yes", "no")])
def test_adds_the_accuracy_of_the_student_as_it_is(task, stub, labels):
    evaluator = TaskEvaluator(task)
    evaluator.set_model(stub(tiny.make_model(seed=3, num_layers=1, labels=labels)))
    evaluator.on_train_begin()
    seen = []
    for seed in (3, 4):
        student = evaluator.model.student
        student.set_weights(tiny.make_model(seed, num_layers=1).get_weights())
        logs = {"loss": 1.0}
        evaluator.on_epoch_end(0, logs)
        assert logs == {"loss": 1.0, "dev_accuracy": pytest.approx(accuracy(student, task))}
        seen.append(logs["dev_accuracy"])
    assert seen[0] != seen[1]
