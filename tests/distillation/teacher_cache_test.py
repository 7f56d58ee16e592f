import concurrent.futures
import os
import resource
import shutil
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny

from tinybert_tf.data import ExampleBatches, Examples
from tinybert_tf.distillation.teacher_cache import TeacherCache
from tinybert_tf.models.vocabulary import Vocabulary
from tinybert_tf.programs.strategies import make_strategy

VOCABULARY = Vocabulary(tiny.TOKENS)
COUNT = 22
TEXTS, PAIRS = ([text for text, _ in tiny.make_rows(COUNT, seed)] for seed in range(2))
LOGITS = {"logits": None}
LAYERS = {"hidden_states": (0, 2), "attention_logits": (1,)}
ALL_SUMS = {"logits": None, "hidden_states": (1, 0), "attention_logits": (0,)}


class SumTeacher(keras.Model):
    """Gives small whole numbers, which are exact, and notes the rows of every batch it is run on.

    `logits`: `(batch, 2)`, the sums of the token ids, times a weight, and of the segment ids.
    `hidden_states`: token ids times the weight, and padding mask, `(batch, length, 1)`.
    `attention_logits`: products of the token ids, -inf at padded keys, `(batch, length, length)`.
    """

    def __init__(self, weight=1.0, shape=(), config=None):
        super().__init__()
        self.weight = self.add_weight(shape, keras.initializers.Constant(weight), name="weight")
        self.config, self.runs = config, []

    def get_config(self):
        if self.config is None:
            raise NotImplementedError
        return self.config

    def call(self, inputs, training=None):
        ids, segments, mask = (
            tf.cast(inputs[name], tf.float32)
            for name in ("token_ids", "segment_ids", "padding_mask")
        )
        tf.numpy_function(lambda ids: self.runs.append(len(ids)), [ids], [])
        sums = tf.reduce_sum(ids, 1) * self.weight, tf.reduce_sum(segments, 1)
        products = ids[:, :, None] * ids[:, None]
        return {
            "logits": tf.stack(sums, 1),
            "hidden_states": [ids[..., None] * self.weight, mask[..., None]],
            "attention_logits": [tf.where(mask[:, None] > 0, products, -np.inf)],
        }


class Stopped(Exception):
    """What stops a fill in these tests."""


def make_batches(texts=TEXTS, text_pairs=None, vocabulary=VOCABULARY, **settings):
    settings = {"max_length": 12, "batch_size": 4, "seed": 3} | settings
    if settings["batch_size"] is None:
        settings["batch_tokens"] = 30
    return ExampleBatches(Examples(texts, text_pairs), vocabulary, **settings)


def filled(folder, teacher, batches, outputs=LOGITS):
    cache = TeacherCache(folder, teacher, batches, outputs)
    cache.fill()
    return cache


def fill_until(cache, most):
    """Stops a fill as soon as more than `most` examples are done."""

    def stop(done, count):
        if done > most:
            raise Stopped

    with pytest.raises(Stopped):
        cache.fill(stop)


def delivered(batches, cache, epoch=1):
    """Yields rows, inputs and the teacher's outputs of the batches of an epoch."""
    order, start = batches.order(epoch), 0
    for inputs in batches.with_teacher(cache).epoch(epoch):
        rows = order[start : start + len(inputs["token_ids"])]
        yield rows, inputs, inputs.pop("teacher")
        start += len(rows)


def entry(outputs, name, index):
    return outputs[name] if index is None else outputs[name][index]


def taught(teacher, batches):
    """What a teacher gives for each example, called on one batch after the other."""
    run = tf.function(lambda inputs: teacher(inputs, training=False), reduce_retracing=True)
    rows = []
    for inputs in batches.epoch(0):
        values = tf.nest.map_structure(lambda value: value.numpy(), run(inputs))
        rows += [
            tf.nest.map_structure(lambda value, row=row: value[row], values)
            for row in range(len(inputs["token_ids"]))
        ]
    return dict(zip(batches.order(0), rows, strict=True))


@pytest.fixture(scope="module", name="teacher")
def make_teacher():
    return tiny.make_model()


@pytest.fixture(scope="module", name="whole")
def make_whole(tmp_path_factory):
    """The file of a fill that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    return filled(folder, SumTeacher(), make_batches(), ALL_SUMS).path.read_bytes()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_features_are_what_the_teacher_gives(tmp_path, dtype):
    teacher, batches = tiny.make_model(dtype=dtype), make_batches()
    cache = filled(tmp_path, teacher, batches, {**LOGITS, **LAYERS})
    expected = taught(teacher, make_batches(seed=None))
    for rows, _, features in delivered(batches, cache):
        for name, index in (("logits", None), ("hidden_states", 2), ("attention_logits", 1)):
            given = [entry(expected[row], name, index) for row in rows]
            value = entry(features, name, index)
            np.testing.assert_array_equal(value.numpy(), given)
            assert value.dtype == (tf.float32 if name == "logits" else given[0].dtype)


@pytest.mark.parametrize("pairs", [None, PAIRS], ids=["texts", "pairs"])
@pytest.mark.parametrize("settings", [{}, {"batch_size": None}, {"pad_to": 16}])
def test_a_batch_gets_the_outputs_of_its_own_examples(tmp_path, pairs, settings):
    batches = make_batches(text_pairs=pairs, **settings)
    cache = filled(tmp_path, SumTeacher(2.0), batches, ALL_SUMS)
    for _, inputs, features in delivered(batches, cache):
        ids, segments, mask = (inputs[name].numpy() for name in sorted(inputs, reverse=True))
        sums = np.stack([2 * ids.sum(1), segments.sum(1)], axis=1)
        np.testing.assert_array_equal(features["logits"], sums)
        np.testing.assert_array_equal(features["hidden_states"][0][..., 0], 2 * ids)
        np.testing.assert_array_equal(features["hidden_states"][1][..., 0], mask)
        products = np.where(mask[:, None], ids[:, :, None] * ids[:, None], -np.inf)
        np.testing.assert_array_equal(features["attention_logits"][0], products)


def test_what_is_not_kept_is_empty(tmp_path, teacher):
    batches = make_batches()
    spec = batches.with_teacher(filled(tmp_path, teacher, batches, LAYERS)).epoch(0).element_spec
    hidden, attention = (None, None, 24), (None, 2, None, None)
    assert tf.nest.map_structure(lambda tensor: tuple(tensor.shape), spec["teacher"]) == {
        "hidden_states": (hidden, (None, 0), hidden),
        "attention_logits": ((None, 0), attention),
    }


def test_a_width_that_shows_only_at_a_known_length(tmp_path):
    class FirstThree(keras.Model):
        def call(self, inputs, training=None):
            return {"logits": tf.cast(inputs["token_ids"][:, :3], tf.float32)}

    batches = make_batches()
    cache = filled(tmp_path, FirstThree(), batches)
    assert cache.size_bytes == COUNT * 3 * 4
    for _, inputs, features in delivered(batches, cache):
        np.testing.assert_array_equal(features["logits"], inputs["token_ids"][:, :3])


def test_no_rows_of_a_known_length(tmp_path):
    cache = filled(tmp_path, SumTeacher(), make_batches(pad_to=12), {"hidden_states": (0,)})
    features = cache.features(tf.constant([], tf.int32), tf.constant(12, tf.int64))
    assert [tuple(states.shape) for states in features["hidden_states"]] == [(0, 12, 1), (0, 0)]


def test_a_second_run_runs_no_teacher(tmp_path):
    first, second, batches = SumTeacher(), SumTeacher(), make_batches(seed=8, batch_size=5)
    filled(tmp_path, first, make_batches())
    cache = filled(tmp_path, second, batches)
    assert len(list(delivered(batches, cache))) == batches.steps_per_epoch
    assert (sum(first.runs), second.runs) == (COUNT, [])


def test_replicas_share_a_cache(tmp_path, whole):
    """Two replicas fill what one would have filled, and each reads its own part of every batch."""
    batches, strategy = make_batches(), make_strategy("mirrored")
    with strategy.scope():
        cache = filled(tmp_path, SumTeacher(), batches, ALL_SUMS)
    assert cache.key == key(outputs=ALL_SUMS)
    assert cache.path.read_bytes() == whole
    count = 0
    for batch in batches.with_teacher(cache).distribute(strategy, 0):
        for inputs in strategy.experimental_local_results(batch):
            states = inputs["teacher"]["hidden_states"][0].numpy()
            np.testing.assert_array_equal(states[..., 0], inputs["token_ids"])
            count += len(states)
    assert count == COUNT


def test_progress_and_file(tmp_path):
    batches, progress = make_batches(), []
    cache = TeacherCache(tmp_path / "a" / "b", SumTeacher(), batches, LOGITS)
    assert not cache.is_complete and not (tmp_path / "a").exists()
    cache.fill(lambda *counts: progress.append(counts))
    assert cache.is_complete and list(tmp_path.glob("a/b/*")) == [cache.path]
    assert cache.path.stat().st_size == cache.size_bytes == 4 * 2 * COUNT
    assert cache.path.name == f"logits-{cache.key}.cache"
    sizes = [len(inputs["token_ids"]) for inputs in make_batches(seed=None).epoch(0)]
    assert progress == [(done, COUNT) for done in np.cumsum(sizes)]


@pytest.mark.parametrize(
    ("dtype", "outputs", "numbers", "width"),
    [
        ("float32", LOGITS, lambda length: 2, 4),
        ("mixed_bfloat16", LOGITS, lambda length: 2, 4),
        ("float32", LAYERS, lambda length: 2 * 24 * length + 2 * length**2, 4),
        ("mixed_bfloat16", LAYERS, lambda length: 2 * 24 * length + 2 * length**2, 2),
    ],
)
def test_size_is_that_of_the_numbers(dtype, outputs, numbers, width):
    batches = make_batches()
    cache = TeacherCache("unused", tiny.make_model(dtype=dtype), batches, outputs)
    shapes = [inputs["token_ids"].shape for inputs in batches.epoch(0)]
    assert cache.size_bytes == sum(rows * numbers(length) * width for rows, length in shapes)


def cut(path, count):
    os.truncate(path, path.stat().st_size - count)


def spoil(path):
    content = path.read_bytes()
    path.write_bytes(content[:-9] + bytes(9))


def add_to(path):
    path.write_bytes(path.read_bytes() + b"half a batch")


# What happens to data and checksums of a fill that stopped after three batches, and how many of
# them are still good.
DAMAGES = {
    "nothing": (lambda data, checksums: None, 3),
    "half a batch more": (lambda data, checksums: add_to(data), 3),
    "a batch without checksum": (lambda data, checksums: cut(checksums, 4), 2),
    "half a checksum": (lambda data, checksums: cut(checksums, 2), 2),
    "a byte missing": (lambda data, checksums: cut(data, 1), 2),
    "bytes never written": (lambda data, checksums: spoil(data), 2),
    "no checksums": (lambda data, checksums: checksums.unlink(), 0),
    "no data": (lambda data, checksums: data.unlink(), 0),
}


@pytest.mark.parametrize(("damage", "good"), DAMAGES.values(), ids=DAMAGES.keys())
def test_an_interrupted_fill_goes_on_and_ends_with_the_same_bytes(tmp_path, whole, damage, good):
    teacher = SumTeacher()
    cache = TeacherCache(tmp_path, teacher, make_batches(), ALL_SUMS)
    fill_until(cache, 8)
    assert not cache.is_complete
    damage(*(cache.path.with_suffix(ending) for ending in (".partial", ".checksums")))
    before, teacher.runs = list(teacher.runs), []
    fill_until(cache, 16)
    again, teacher.runs = list(teacher.runs), []
    cache.fill()
    assert len(before) == 3
    assert again[: 3 - good] == before[good:]
    assert sum(before[:good]) + sum(again) + sum(teacher.runs) == COUNT
    assert cache.path.read_bytes() == whole
    assert list(tmp_path.iterdir()) == [cache.path]


def test_a_fill_that_is_stopped_twice(tmp_path, teacher):
    whole = filled(tmp_path / "whole", teacher, make_batches(), LAYERS)
    cache = TeacherCache(tmp_path / "cut", teacher, make_batches(seed=4), LAYERS)
    for most in (4, COUNT - 1):  # at the last only the name is missing
        fill_until(cache, most)
    cache.fill()
    assert cache.path.read_bytes() == whole.path.read_bytes()


def test_left_over_files_are_removed(tmp_path):
    cache = filled(tmp_path, SumTeacher(), make_batches())
    cache.path.with_suffix(".checksums").write_bytes(b"the kill came after the file had its name")
    cache.fill()
    assert list(tmp_path.iterdir()) == [cache.path]


def test_two_that_fill_at_once_wait_for_each_other(tmp_path):
    first, second = SumTeacher(), SumTeacher()
    one, two = (TeacherCache(tmp_path, each, make_batches(), LOGITS) for each in (first, second))
    others = []

    def start_other(done, count):
        if not others:
            others.append(pool.submit(two.fill))
            concurrent.futures.wait(others, timeout=0.3)  # it would begin, were it let

    with concurrent.futures.ThreadPoolExecutor() as pool:
        one.fill(start_other)
    assert others[0].exception() is None
    assert (sum(first.runs), second.runs) == (COUNT, [])
    assert list(tmp_path.iterdir()) == [one.path]


def test_a_file_of_the_wrong_size_is_not_read_but_made_again(tmp_path):
    batches = make_batches()
    content = filled(tmp_path, SumTeacher(), batches).path.read_bytes()
    cache = TeacherCache(tmp_path, SumTeacher(), batches, LOGITS)
    cut(cache.path, 1)
    assert not cache.is_complete
    with pytest.raises(RuntimeError, match=rf"{cache.key}.cache: not there, or not the \d+ bytes"):
        batches.with_teacher(cache).epoch(0)
    cache.fill()
    assert cache.path.read_bytes() == content


@pytest.mark.parametrize(
    ("weight", "outputs", "message"),
    [
        (np.nan, LOGITS, "The teacher gives nan among its logits, expected finite numbers"),
        (np.inf, LOGITS, "The teacher gives inf among its logits"),
        (np.nan, {"hidden_states": (0,)}, "The teacher gives nan among its hidden_states"),
    ],
)
def test_a_broken_teacher_is_refused(tmp_path, weight, outputs, message):
    cache = TeacherCache(tmp_path, SumTeacher(weight), make_batches(), outputs)
    with pytest.raises(ValueError, match=message):
        cache.fill()
    assert not cache.is_complete


def test_a_disk_without_room_is_said_before_the_teacher_runs(tmp_path, monkeypatch):
    teacher = SumTeacher()
    cache = TeacherCache(tmp_path, teacher, make_batches(), LOGITS)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: types.SimpleNamespace(free=100))
    with pytest.raises(OSError, match="need 176 bytes more, but the disk has 100 left") as error:
        cache.fill()
    assert error.value.filename == str(tmp_path)
    assert teacher.runs == []


@pytest.mark.parametrize(("part", "done"), [(0.5, 8), (0.999, 20)])
def test_a_write_that_fails_names_the_file_and_keeps_what_is_done(tmp_path, part, done):
    teacher = SumTeacher()
    cache = TeacherCache(tmp_path, teacher, make_batches(pad_to=16), ALL_SUMS)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(part * cache.size_bytes), limits[1]))
    try:
        with pytest.raises(OSError, match=rf"File too large.*{cache.key}\.partial"):
            cache.fill()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    teacher.runs.clear()
    cache.fill()
    assert cache.is_complete
    assert sum(teacher.runs) == COUNT - done  # in batches of four


def key(teacher=None, outputs=LOGITS, **settings):
    return TeacherCache("unused", teacher or SumTeacher(), make_batches(**settings), outputs).key


CHANGES = {
    "weights": {"teacher": lambda: SumTeacher(1.5)},
    "shape of weights": {"teacher": lambda: SumTeacher(shape=(1,))},
    "kind of teacher": {"teacher": lambda: type("Other", (SumTeacher,), {})()},
    "a text": {"texts": [*TEXTS[:-1], TEXTS[-1] + " a"]},
    "order of texts": {"texts": TEXTS[::-1]},
    "where texts end": {"texts": [TEXTS[0] + TEXTS[1][:1], TEXTS[1][1:], *TEXTS[2:]]},
    "pairs": {"text_pairs": PAIRS},
    "other pairs": {"text_pairs": PAIRS[::-1]},
    "tokens": {"vocabulary": Vocabulary((*tiny.TOKENS, "more"))},
    "case": {"vocabulary": Vocabulary(tiny.TOKENS, lower_case=False)},
    "max_length": {"max_length": 11},
    "padded lengths": {"pad_to": 12},
    "outputs": {"outputs": {"hidden_states": (0,)}},
    "layers": {"outputs": {"hidden_states": (1,)}},
}


def test_every_change_makes_another_key():
    settings = [{}, *CHANGES.values()]
    keys = [key(**{k: v() if callable(v) else v for k, v in change.items()}) for change in settings]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    "settings", [{}, {"seed": 0}, {"batch_size": 3}, {"teacher": SumTeacher, "prefetch": 1}]
)
def test_what_changes_no_output_keeps_the_key(settings):
    assert key(**{k: v() if callable(v) else v for k, v in settings.items()}) == key()


def test_names_and_trainability_keep_the_key(teacher):
    again = tiny.make_model()
    again.trainable = False
    assert again.name != teacher.name
    assert key(again) == key(teacher)


def test_of_a_configuration_all_counts_but_its_name_and_what_is_trainable():
    def configured(name, trainable, dtype):
        layer = {"name": "layer", "trainable": trainable, "dtype": {"config": {"name": dtype}}}
        return key(SumTeacher(config={"name": name, "layers": (layer,)}))

    assert configured("a", True, "float32") == configured("b", False, "float32")
    assert configured("a", True, "float32") != configured("a", True, "float16")


@pytest.mark.parametrize("change", [{"head": "tinybert_relu"}, {"dtype": "mixed_bfloat16"}])
def test_configuration_changes_the_key(teacher, change):
    assert key(tiny.make_model(**change)) != key(teacher)


def test_order_of_outputs_does_not_matter():
    outputs = {"attention_logits": [0], "hidden_states": [0, 1, 1], "logits": None}
    assert key(outputs=outputs) == key(outputs=ALL_SUMS)


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"logit": None}, 'no output "logit"; it has logits, hidden_states, attention_logits'),
        ({"logits": (0,)}, r"asks for \(0,\) of logits, expected None: a tensor"),
        ({"hidden_states": None}, "asks for None of hidden_states, expected indices from 0 to 1"),
        ({"hidden_states": (0, 2)}, r"asks for \(0, 2\) of hidden_states, expected indices"),
        ({"hidden_states": ()}, r"is {'hidden_states': \(\)}, expected at least one of logits"),
        ({}, "is {}, expected at least one of logits, hidden_states, attention_logits"),
    ],
)
def test_outputs_that_a_teacher_does_not_have(outputs, message):
    with pytest.raises(ValueError, match=message):
        key(outputs=outputs)


def test_other_batches_are_refused(tmp_path):
    cache = filled(tmp_path, SumTeacher(), make_batches())
    with pytest.raises(tf.errors.InvalidArgumentError, match="Use the batches that the cache was"):
        next(iter(make_batches(pad_to=16).with_teacher(cache).epoch(0)))
