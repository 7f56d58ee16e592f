"""The tables of the benchmarks, from records as they write them."""

import json

import pytest

from benchmarks import readme_tables

MEASURED = {
    "teacher": "large",
    "student": "small",
    "batch_size": 32,
    "date": "2031-01-02",
    "processor": "Abacus",
    "cores": 2,
    "gpus": [],
    "versions": {"tensorflow": "9.1", "keras": "8.2"},
}
FOOT = "2031-01-02, Abacus, 2 cores, tensorflow 9.1, keras 8.2."


def cells(text):
    return [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| ")]


def speed(setting, stage, value, times, train="a/train.tsv"):
    found = {"setting": setting, "stage": stage, "examples_per_second": value, "train": train}
    found |= {"times_plainest": times, "real_tokens": 250, "num_examples": 10}
    return found | MEASURED


def test_throughput():
    records = [
        speed("plainest", "intermediate", 10.04, 1.0),
        speed("best", "intermediate", 30.0, 2.996),
        speed("plainest", "prediction", 11.0, 1.0),
        speed("best", "prediction", 33.0, 3.0),
        speed("labels alone", "prediction", 44.0, 4.0),
    ]
    text = readme_tables.throughput_table(records)
    assert [[cell.strip() for cell in row] for row in cells(text)] == [
        ["a/train.tsv", "intermediate step", "times", "prediction step", "times"],
        ["plainest", "10.0 examples/s", "1.00x", "11.0 examples/s", "1.00x"],
        ["best", "30.0 examples/s", "3.00x", "33.0 examples/s", "3.00x"],
        ["labels alone", "", "", "44.0 examples/s", "4.00x"],
    ]
    assert "32 examples in a batch; 25.0 tokens in an example" in text and FOOT in text


def test_throughput_has_a_table_for_each_file():
    records = [speed("best", "intermediate", 1.0, 1.0, train=f"{name}.tsv") for name in "ab"]
    text = readme_tables.throughput_table(records)
    assert text.count(FOOT) == 2 and "| a.tsv |" in text and "| b.tsv |" in text


def test_products():
    part = {"flop": 7.6e9, "milliseconds": 100.4, "products_milliseconds": 80.0}
    part |= {"products_share": 0.797, "flop_per_second": 76e9}
    record = {"length": 128, "summary": {"step": part}, **MEASURED}
    record |= {"teacher_dtype": "bfloat16", "student_dtype": "float32"}
    text = readme_tables.products_table([record])
    assert "| 128 | step | 8 | 100 ms | 80 ms | 80 % | 76 |" in text
    assert "large in bfloat16 teaches small in float32" in text and FOOT in text


def test_scaling():
    record = {"case": "two replicas", "examples_per_second": 99.6, "times_one_replica": 0.904}
    text = readme_tables.scaling_table([record | {"note": "Slow.", "length": 16} | MEASURED])
    assert "| two replicas | 100 examples/s | 0.90x |" in text
    assert "Slow. large teaches small, 32 examples of 16 tokens in a batch." in text


def test_lines_are_collected(tmp_path):
    (tmp_path / "out.jsonl").write_text('{"a": 1}\n{"b": 2}\n')
    assert readme_tables.collect_lines(tmp_path / "out.jsonl") == [{"a": 1}, {"b": 2}]


def test_a_table_that_the_readme_has_needs_its_results(tmp_path, monkeypatch):
    monkeypatch.setattr(readme_tables, "RESULTS", tmp_path)
    assert readme_tables.render("no table") == "no table"
    readme = "<!-- table scaling -->\nold\n<!-- end -->"
    with pytest.raises(FileNotFoundError):
        readme_tables.render(readme)
    monkeypatch.setitem(readme_tables.TABLES, "scaling", (None, "new {}\n".format))
    (tmp_path / "scaling.json").write_text(json.dumps([1]))
    assert readme_tables.render(readme) == "<!-- table scaling -->\nnew [1]\n<!-- end -->"


def trained(minutes, versions=None, **dev):
    result = {"dev": {"epoch": 1, "loss": 0.5, **dev}, "intermediate_epochs": [1, 1]}
    result |= {"prediction_epochs": [1], "steps": 363}
    versions = {"machine": "abacus", "tensorflow": "9", "keras": "8", "ai-edge-litert": "7"}
    return {
        "result": result,
        "seconds": 60 * minutes,
        "versions": versions,
        "started": "2031-01-02",
    }


def test_tasks():
    kinds = {
        "teacher": [trained(4, dev_f1=0.9, dev_accuracy=0.8)],
        "distilled": [trained(2, dev_f1=f1, dev_accuracy=0.7) for f1 in (0.80, 0.82, 0.84)],
        "labels_alone": [trained(1, dev_f1=0.72, dev_accuracy=0.6)],
    }
    peer = {"torch": "2", "transformers": "5", "task": "mrpc"}
    peer["epochs"] = [{"f1": 0.1, "accuracy": 0.1}, {"f1": 0.85, "accuracy": 0.78}]
    text = readme_tables.tasks_table({"tasks": {"mrpc": kinds}, "transformers": [peer]})
    head, row = [[cell.strip() for cell in row] for row in cells(text)]
    assert row == [
        "mrpc, F1 / accuracy",
        "90.0 / 80.0",
        "82.0 ± 2.0 / 70.0 ± 0.0",
        "91.1 %",
        "72.0 / 60.0",
        "80.0 %",
        "2 + 1",
        "363",
        "4",
    ]
    assert len(head) == len(row)
    assert "11.0 minutes" in text
    assert "transformers 5 and torch 2, the teacher of mrpc has F1 85.0 and accuracy 78.0" in text


def test_what_is_not_finished_is_left_out(tmp_path):
    for kind, status in (("teacher", "finished"), ("distilled_0", "finished"), ("x", "running")):
        path = tmp_path / "cola" / kind.replace("x", "labels_alone_0") / "run.json"
        path.parent.mkdir(parents=True)
        record = trained(1, dev_matthews=0.25) | {"status": status, "settings": {"task": "cola"}}
        path.write_text(json.dumps(record))
    (tmp_path / "mrpc" / "distilled_0").mkdir(parents=True)
    collected = readme_tables.collect_tasks(tmp_path)
    assert list(collected["tasks"]) == ["cola"]
    _, row = cells(readme_tables.tasks_table(collected))
    assert [cell.strip() for cell in row][1:6] == ["25.0", "25.0", "100.0 %", "", ""]


def training(seed, dev, steps=7):
    versions = {"machine": "m", "tensorflow": "9", "keras": "8", "ai-edge-litert": "1"}
    return {
        "seconds": 60.0,
        "started": "2031-01-02T00:00",
        "versions": versions,
        "settings": {"seed": seed},
        "result": {
            "dev": dev,
            "steps": steps,
            "intermediate_epochs": [{}] * 2,
            "prediction_epochs": [{}],
        },
    }


def test_starts_side_by_side():
    values = {
        "random_start": (0.1, 0.3),
        "teacher_pca_start": (0.4, 0.4),
        "general_start": (0.5, 1),
    }
    kinds = {
        kind: [training(seed, {"dev_matthews": value}) for seed, value in enumerate(found)]
        for kind, found in values.items()
    }
    unfinished = dict.fromkeys(values, [])
    text = readme_tables.two_stage_table({"cola": kinds, "rte": unfinished})
    (row,) = cells(text)[1:]
    assert [cell.strip() for cell in row] == [
        "cola, Matthews",
        "20.0 ± 14.1",
        "40.0 ± 0.0",
        "75.0 ± 35.4",
        "2 + 1",
        "7",
        "2",
    ]
    assert "6.0 minutes" in text


def test_ways_to_ask_a_masked_lm():
    record = {"way": "fast", "sentences_per_second": 12.345, "times_released": 9.96, **MEASURED}
    record |= {"num_texts": 4, "train": "MRPC/train.tsv"}
    text = readme_tables.augmentation_speed_table([record])
    assert [cell.strip() for cell in cells(text)[1]] == ["fast", "12.35", "10.0x"]
    assert "4 sentences of MRPC/train.tsv. " + FOOT in text


def test_general_distillation():
    epochs = [{"hidden_loss": value, "tokens_per_second": 1000.0} for value in (2.0, 1.5)]
    record = training(0, {}) | {
        "result": {
            "steps": 10,
            "sequences": 80,
            "epochs": epochs,
            "losses_left": {"hidden_loss": 0.5},
        }
    }
    text = readme_tables.general_table(record)
    assert [cell.strip() for cell in cells(text)[1]] == ["hidden", "2.000", "1.500", "50 %"]
    assert "80 sequences in 10 steps, 1,000 tokens/s. 2031-01-02, m" in text


def test_files_side_by_side():
    file = {"student": "sst2", "recipe": "float32", "size_bytes": 57_400_000, "metric": 0.8784}
    file |= {"p50_ms": {"32": 2.5, "128": 10.04}, "runtime": "ai-edge-litert 2.3.0"}
    best = {"student": "trained", "metric": 0.8830, "dominated_by": None}
    files = [file | {"dominated_by": "trained float32"}, file | best]
    record = training(0, {}) | {"result": {"metric": "accuracy", "files": files}}
    record["settings"] = {"threads": 1}
    text = readme_tables.pareto_table(record)
    assert [[cell.strip() for cell in row] for row in cells(text)] == [
        ["recipe", "MB", "32 tokens", "128 tokens", "accuracy of `sst2`", "accuracy of `trained`"],
        ["`float32`", "57.4", "2.50 ms", "10.04 ms", "87.84", "**88.30**"],
    ]
    assert "Medians on 1 thread, ai-edge-litert 2.3.0. " in text


def test_trimmed_files():
    def made(size_bytes):
        settings = {"settings": {"trim_min_count": 2, "max_length": 128}}
        result = {"recipe": "float32", "size_bytes": size_bytes}
        result["trimming"] = {"num_kept": 70, "num_pieces": 300}
        dev = training(0, {}) | {"result": {"accuracy": 0.8807}}
        return {"export": training(0, {}) | settings | {"result": result}, "dev": dev}

    text = readme_tables.trimmed_table([made(4_670_000), made(8_730_000)])
    expected = ["`float32`", "2", "70", "300", "128", "8.73", "88.07"]
    assert [cell.strip() for cell in cells(text)[1]] == expected
    assert [row[5].strip() for row in cells(text)[1:]] == ["8.73", "4.67"]


def test_texts_of_no_class():
    test = {"accuracy": 0.9447, "in_scope_accuracy": 0.9171, "in_scope_rejected": 0.0582}
    test |= {"out_of_scope_recall": 0.636, "calibration_error": 0.0153}
    dev = {"calibration": {"calibration_error_before": 0.1099}}
    records = {"export": training(0, {}) | {"result": dev}}
    records["test"] = training(0, {}) | {"result": test}
    text = readme_tables.out_of_scope_table(records)
    expected = ["94.5 %", "91.7 %", "5.8 %", "63.6 %", "0.015", "0.110"]
    assert [cell.strip() for cell in cells(text)[1]] == expected


def test_files_of_other_runtimes():
    default = readme_tables.DEFAULT_FILE
    versions = {"ai-edge-litert": "2.3.0", "onnxruntime": "1.32.0"}
    shared = {"versions": versions, "processor": "AMD EPYC 9999", "date": "2026-11-23"}
    records = [
        {"file": name, "size_bytes": 14_740_000, "length": length, "p50_ms": length * 0.01}
        | {"ratios": {} if name == default else {default: 2.126}}
        | shared
        for name in (default, "b.onnx")
        for length in (32, 128)
    ]
    text = readme_tables.device_speed_table(records)
    assert [[cell.strip() for cell in row] for row in cells(text)[1:]] == [
        [f"`{default}`", "14.7", "0.32 ms", "1.00x", "1.28 ms", "1.00x"],
        ["`b.onnx`", "14.7", "0.32 ms", "2.13x", "1.28 ms", "2.13x"],
    ]
    assert "2026-11-23, AMD EPYC, ai-edge-litert 2.3.0, onnxruntime 1.32.0, one thread." in text
