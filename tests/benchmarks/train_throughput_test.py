"""Settings, samples of an epoch and what is reckoned from their times."""

import collections
import types

import numpy as np
import pytest
import tiny

import tinybert_tf as tb
from benchmarks import train_throughput
from benchmarks.train_throughput import PLAINEST, Contender, Epoch, Setting, settings_of

# 13 examples of 4 tokens, 5 of 8 and 9 of 12, in batches of 4.
NUM_TOKENS = [4] * 13 + [8] * 5 + [12] * 9
EXAMPLES = tb.data.Examples([" ".join("a" * (num - 2)) for num in NUM_TOKENS])


@pytest.fixture(name="batches")
def make_batches():
    vocabulary = tb.Vocabulary(tiny.TOKENS)
    return tb.data.ExampleBatches(EXAMPLES, vocabulary, max_length=16, batch_size=4)


def random():
    return np.random.default_rng(0)


def test_best_is_what_the_package_does():
    assert settings_of("intermediate")["best"] == Setting()
    assert settings_of("prediction")["best"] == Setting(teacher_runs="once")


@pytest.mark.parametrize("stage", train_throughput.STAGES)
def test_a_setting_differs_from_best_in_one_thing(stage):
    settings = settings_of(stage)
    best = vars(settings["best"])
    assert settings.pop("plainest") == PLAINEST
    for name, setting in settings.items():
        differing = {key for key, value in vars(setting).items() if value != best[key]}
        if name == "float32 teacher in each step":
            differing -= {"teacher_runs"}  # of a teacher that runs once it makes no difference
        assert len(differing) == (name != "best"), name


def test_settings_can_be_left_out():
    whole, part = settings_of("prediction"), settings_of("prediction", ["XLA", "labels alone"])
    assert set(whole) - set(part) == {"XLA", "labels alone"}


def test_tokens_and_examples_of_an_epoch(batches):
    epoch = Epoch(batches)
    assert epoch.examples == {4: 13, 8: 5, 12: 9}
    assert epoch.real_tokens == epoch.padded_tokens == sum(NUM_TOKENS)


def test_padding_counts(batches):
    plain = tb.data.ExampleBatches(EXAMPLES, tb.Vocabulary(tiny.TOKENS), pad_to=16, batch_size=4)
    assert Epoch(plain).examples == {16: 27}
    assert Epoch(plain).padded_tokens == 27 * 16
    assert Epoch(plain).real_tokens == sum(NUM_TOKENS)


def test_a_sample_is_batches_of_every_length(batches):
    epoch = Epoch(batches)
    dataset, executions = epoch.sample(epoch.draw(9, random()))
    delivered = [tuple(inputs["token_ids"].shape[::-1]) for inputs in dataset]
    assert delivered == executions
    # 9 batches make the epoch: 4, 2 and 3; those of one example are left out.
    assert collections.Counter(delivered) == {(4, 4): 4, (8, 4): 2, (12, 4): 3}


def test_a_sample_is_drawn_anew(batches):
    epoch, generator = Epoch(batches), random()
    first, second = epoch.draw(3, generator), epoch.draw(3, generator)
    assert len(first) == len(second) == 3
    assert first.tolist() != second.tolist()


def test_batches_that_are_executed_together_have_one_length(batches):
    epoch = Epoch(batches, executed_together=2)
    indices = epoch.draw(8, random())
    dataset, executions = epoch.sample(indices)
    delivered = [tuple(inputs["token_ids"].shape) for inputs in dataset]
    assert len(delivered) == 2 * len(executions) == indices.size
    assert delivered == [(4, length) for length, _ in executions for _ in range(2)]
    assert {count for _, count in executions} == {8}


def test_a_small_last_batch_is_used_where_it_is_alone():
    examples = tb.data.Examples(["a"] * 3)
    batches = tb.data.ExampleBatches(examples, tb.Vocabulary(tiny.TOKENS), batch_size=4)
    epoch = Epoch(batches)
    assert epoch.sample(epoch.draw(1, random()))[1] == [(4, 3)]


def test_seconds_are_weighed_by_the_epochs_lengths(batches):
    timings = [(4, 4, 1.0), (8, 4, 6.0), (4, 4, 3.0), (12, 4, 8.0)]
    each = train_throughput.seconds_an_example(timings)
    assert each == {4: 0.5, 8: 1.5, 12: 2.0}
    assert Epoch(batches).seconds(each) == 13 * 0.5 + 5 * 1.5 + 9 * 2.0


def contender(epoch, *rounds):
    made = Contender.__new__(Contender)
    made.setting, made.epoch, made.rounds = Setting(teacher_dtype="float32"), epoch, list(rounds)
    return made


def test_record_has_medians_of_the_rounds():
    epoch = types.SimpleNamespace(examples={4: 10, 8: 30}, real_tokens=200, padded_tokens=280)
    epoch.seconds = lambda each: 10 * each[4] + 30 * each[8]
    # 10, 20 and 40 seconds an epoch against 20, 30 and 200.
    fast = contender(epoch, {4: 0.25, 8: 0.25}, {4: 0.5, 8: 0.5}, {4: 1.0, 8: 1.0})
    slow = contender(epoch, {4: 0.5, 8: 0.5}, {4: 0.75, 8: 0.75}, {4: 5.0, 8: 5.0})
    record = train_throughput.make_record("best", fast, slow)
    assert record["rounds"]["examples_per_second"] == [4, 2, 1]
    assert record["examples_per_second"] == 2
    assert record["real_tokens_per_second"] == 2 * 200 / 40
    assert record["padded_tokens_per_second"] == 2 * 280 / 40
    assert record["times_plainest"] == 2  # of 2, 1.5 and 5
    assert record["example_ms_by_length"] == {4: 500, 8: 500}


def test_a_task_is_cut_to_a_random_part():
    names = [str(number) for number in range(50)]
    examples = tb.data.Examples(names, labels=names)
    task = tb.data.tasks.Task("numbers", ("a",), "classification", (), 8, lambda split: examples)
    part = train_throughput.sampled(task, 20).examples("train")
    assert len(part) == 20 == len(set(part.texts))
    assert part.texts == part.labels and part.text_pairs is None
    assert part.texts != names[:20]
    assert len(train_throughput.sampled(task, 100).examples("train")) == 50


@pytest.fixture(scope="module", name="arguments")
def make_arguments(tmp_path_factory):
    folder = tmp_path_factory.mktemp("throughput")
    train = tiny.write_tsv(folder / "train.tsv", tiny.make_rows(40, seed=0))
    teacher = tiny.save_model(folder / "teacher", num_layers=4)
    flags = ["--train", train, "--vocabulary", teacher, "--teacher", teacher]
    flags += ["--student", tiny.save_model(folder / "student"), "--batch-size", "4"]
    flags += ["--plain-length", "12", "--max-length", "12", "--rounds", "1", "--steps", "2"]
    flags += ["--output", folder / "out.jsonl", "--figure", folder / "out.svg"]
    return train_throughput.make_parser().parse_args(list(map(str, flags)))


@pytest.mark.parametrize("stage", train_throughput.STAGES)
def test_the_whole(stage, arguments, tmp_path, capsys):
    arguments.stages = [stage]
    arguments.leave_out = [
        name for name in train_throughput.CHANGES if name not in ("best", "labels alone")
    ]
    train_throughput.run(arguments, tmp_path)
    records = arguments.output.read_text().splitlines()
    assert len(records) == {"intermediate": 2, "prediction": 3}[stage]
    assert "times_plainest" in records[1] and "real tokens/s" in capsys.readouterr().err
    assert f"{stage} step" in arguments.figure.read_text()


def test_examples_that_are_cut_are_told(capsys):
    contenders = {
        padding: types.SimpleNamespace(
            setting=Setting(padding=padding), epoch=types.SimpleNamespace(real_tokens=tokens)
        )
        for padding, tokens in (("plain", 90), ("groups", 100))
    }
    train_throughput.warn_of_cut_examples(contenders)
    assert "cuts away 10.0 % of the tokens" in capsys.readouterr().err
