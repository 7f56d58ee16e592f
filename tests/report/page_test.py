"""The report, read as a browser would read it."""

import html.parser
import re

import pytest

from tinybert_tf.report import write_report

SENTENCE = 'play <script>alert("1")</script> & "more"'
# HTML elements that have no end tag.
VOID = {"meta", "br", "hr", "img", "link", "input"}


def benchmark(scale):
    cases = [
        {"length": length, "threads": threads, "p50_ms": scale * length / threads}
        for threads in (1, 2)
        for length in (16, 32)
    ]
    return {"latency": cases, "runtime": "LiteRT 9.8.7", "machine": "a <fast> machine"}


def settings():
    rows = [("teacher", 0.9871, 438_200_000, 123.456), ("student <int8>", 0.9642, 15_700_000, 4.25)]
    keys = ("name", "accuracy", "size_bytes", "latency_ms")
    epochs = [{"attention_loss": 3.0, "hidden_loss": 1.5, "lr": 0.1}, {"attention_loss": 2.0}]
    epochs[1]["hidden_loss"] = 0.75
    return {
        "title": "Intents & <phones>",
        "notes": ["Made in a <hurry>."],
        "models": [dict(zip(keys, row, strict=True)) | {"latency_length": 32} for row in rows],
        "stages": {"intermediate <stage>": epochs, "prediction": [{"prediction_loss": 0.5}]},
        "benchmarks": {name: benchmark(scale) for scale, name in enumerate("abcde&", start=1)},
        "verification": {
            "agreement": 0.99714,
            "num_examples": 700,
            "split": "test",
            "largest_logit_difference": 0.12345,
        },
        "examples": [
            {
                "text": SENTENCE,
                "label": "PlayMusic",
                "teacher": "PlayMusic",
                "student": "GetWeather",
                "probability": 0.614,
            }
        ],
        "file": "student.tflite",
    }


class Page(html.parser.HTMLParser):
    """Collects a page's elements, the text of its cells and of its figures, and what it loads."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.rows, self.links, self.figures = [], [], [], [], [[]]
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.links += [value for name, value in attributes if name.split(":")[-1] in LOADING]
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag == "svg":
            self.figures.append([])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data
        if "svg" in self.open and data.strip():
            self.figures[-1].append(data.strip())


LOADING = {"src", "href", "srcset", "data", "action", "poster"}


@pytest.fixture(scope="module", name="source")
def write_page(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "new" / "report.html"
    write_report(path, **settings())
    assert [entry.name for entry in path.parent.iterdir()] == ["report.html"]
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module", name="page")
def parse_page(source):
    return Page(source)


def test_elements_are_closed_in_order(page):
    assert page.open == []


def test_page_loads_nothing_from_elsewhere(source, page):
    assert [link for link in page.links if not link.startswith("#")] == []
    assert not {"script", "link", "iframe", "img"} & {tag for tag, _ in page.tags}
    assert "@import" not in source
    assert all(target.startswith("#") for target in re.findall(r"url\([\"']?([^)]*)", source))


def test_results_are_the_numbers_given(page):
    assert page.rows[1:3] == [
        ["teacher", "98.71 %", "100.0 %", "438.2", "1.0 ×", "123.46", "1.0 ×"],
        ["student <int8>", "96.42 %", "97.7 %", "15.7", "27.9 ×", "4.25", "29.0 ×"],
    ]


def test_sentences_about_the_measurement(page):
    text = " ".join(page.text.split())
    assert "99.71 % of 700 test sentences; the largest difference of a logit is 0.123." in text
    assert "median at 32 word-pieces" in text
    assert "LiteRT 9.8.7 on a <fast> machine" in text
    assert 'EdgeModel("student.tflite")' in text


def test_text_is_escaped(source, page):
    assert page.rows[-1] == [SENTENCE, "PlayMusic", "PlayMusic", "GetWeather", "61 %"]
    assert "Intents & <phones>" in page.text
    assert not re.search("<(phones|hurry|fast|int8|stage)>", source)


def test_wrong_answers_are_marked(page):
    marked = [attributes for tag, attributes in page.tags if attributes.get("class") == "wrong"]
    assert len(marked) == 1


def test_figures_name_every_stage_term_and_file(page):
    curves, latency = page.figures[1:]
    assert {"intermediate <stage>", "prediction", "attention loss", "hidden loss"} <= set(curves)
    assert "lr" not in curves
    assert set("abcde&") <= set(latency)


def test_page_is_the_same_every_time(source, tmp_path):
    write_report(tmp_path / "again.html", **settings())
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == source


def test_lacking_number_leaves_no_page(tmp_path):
    lacking = settings()
    del lacking["verification"]["agreement"]
    with pytest.raises(Exception, match="agreement"):
        write_report(tmp_path / "report.html", **lacking)
    assert list(tmp_path.iterdir()) == []
