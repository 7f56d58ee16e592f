"""Packages `tinybert_tf`; the programs of `trainers/` and `tflite/` are installed inside it."""

import pathlib
import runpy

import setuptools

HERE = pathlib.Path(__file__).parent
PROGRAMS = {"tinybert_tf.trainers": "trainers", "tinybert_tf.tflite": "tflite"}

setuptools.setup(
    name="tinybert-tf",
    version=runpy.run_path(str(HERE / "tinybert_tf" / "version.py"))["__version__"],
    description="TinyBERT distillation in TensorFlow, from a BERT to a quantized TFLite file",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license_expression="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.10",
    packages=[*setuptools.find_packages(include=["tinybert_tf", "tinybert_tf.*"]), *PROGRAMS],
    package_dir=PROGRAMS,
    package_data={
        "": ["*.jinja", "templates/*.jinja"],
        "tinybert_tf": ["py.typed"],
        "tinybert_tf.augmentation": ["stop_words.txt"],
        "tinybert_tf.data": ["snips/*"],
        "tinybert_tf.trainers": ["recipes/*.yaml"],
    },
    entry_points={"console_scripts": ["tinybert-tf = tinybert_tf.cli:main"]},
    install_requires=[
        "tensorflow>=2.20,<2.22",
        "tensorflow-text>=2.20,<2.22",
        "keras>=3.13",
        "tensorflow-datasets",
        "importlib-resources",  # tensorflow-datasets 4.9.10 imports it and does not ask for it
        "ai-edge-litert",
        "ai-edge-quantizer",
        "flatbuffers",
        "safetensors",
        "h5py",
        "ml-dtypes",
        "protobuf",
        "numpy",
        "scipy",
        "scikit-learn",
        "seqeval",
        "jsonargparse",
        "rich",
        "matplotlib",
        "jinja2",
        "pyyaml",
    ],
    extras_require={
        "beam": ["apache-beam"],
        "model-garden": ["tf-models-official"],
        "kubernetes": ["kubernetes"],
        "pruning": ["tensorflow-model-optimization"],
        "test": ["pytest", "pytest-xdist", "tokenizers", "ruff", "setuptools>=77"],
    },
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
)
