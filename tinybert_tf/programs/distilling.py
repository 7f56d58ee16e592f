"""What programs that teach hidden states and attention have in common."""

import dataclasses
import functools
import pathlib
import warnings

from tinybert_tf.programs.precision import FROZEN, TRAINED, check_dtype, frozen_dtype
from tinybert_tf.programs.settings import TrainingSettings, exists, setting
from tinybert_tf.programs.training import is_folder

# Beside a general student: the map from its hidden states to the teacher's.
PROJECTION_FILE = "projection.safetensors"


@dataclasses.dataclass(frozen=True, kw_only=True)
class DistillSettings(TrainingSettings):
    """Settings of a distillation."""

    teacher: str = setting(help="model folder of the teacher")
    student: str = setting(
        "tinybert_4l_312d", "preset, config.json of a new one, or model folder to go on from"
    )
    initialize: str = setting(
        "teacher_pca", "start of a new student's embeddings: teacher_pca or random"
    )
    layer_mapping: str = setting("uniform", "uniform, top, bottom, or teacher layers like 3,6,9,12")
    projection: str | None = setting(
        None, "embedding_and_shared, shared, per_layer or identity; by --compat if unset"
    )
    attention_weight: float = setting(1.0, "weight of the attention losses; 0 leaves them out")
    teacher_dtype: str = setting(
        "auto", "of the frozen teacher: bfloat16, float16, float32, or auto: what is fast here"
    )
    student_dtype: str = setting(
        "float32", "to compute in: float32, bfloat16 or float16; variables stay float32"
    )

    def check(self):
        super().check()
        check_dtype("--teacher-dtype", self.teacher_dtype, FROZEN)
        check_dtype("--student-dtype", self.student_dtype, TRAINED)
        if self.initialize not in ("teacher_pca", "random"):
            raise ValueError(f"--initialize is {self.initialize}, expected teacher_pca or random.")
        if not exists(self.teacher):
            raise FileNotFoundError(f"{self.teacher}: no such folder, for --teacher.")
        if self.makes_student:
            student_config(self.student)
        self.intermediate_objective()

    @property
    def makes_student(self):
        """Whether the student is a new one rather than a model folder."""
        return _is_config(self.student) or not is_folder(self.student)

    def intermediate_objective(self):
        """The `IntermediateObjective` that the settings name."""
        from tinybert_tf.distillation import IntermediateObjective

        mapping = self.layer_mapping
        layers = mapping.split(",")
        if all(layer.strip().isdigit() for layer in layers):
            mapping = [int(layer) for layer in layers]
        return IntermediateObjective(
            mapping,
            self.projection,
            attention_weight=self.attention_weight,
            compat=self.compat,
        )

    def load_teacher(self):
        """The teacher, kept in the dtype it computes in."""
        import tinybert_tf as tb

        dtype = frozen_dtype(self.teacher_dtype, self.jit_compile)
        if (self.strategy, dtype) == ("multi-worker", "bfloat16"):
            dtype = "mixed_bfloat16"  # TensorFlow cannot send bfloat16 variables to the workers
        return tb.load(self.teacher, dtype=dtype)

    def new_student(self, teacher, model_class, **arguments):
        """A student that is no folder.

        Args:
            teacher: model that lends its vocabulary and, by `initialize`, its embeddings.
            model_class: class of the student.
            **arguments: further arguments of its constructor.

        Returns:
            The student, and a function that starts its `Projection`, or `None`.
        """
        import tinybert_tf as tb

        config = student_config(self.student, teacher.vocabulary)
        arguments |= {"vocabulary": teacher.vocabulary, "dtype": TRAINED[self.student_dtype]}
        student = model_class(config, **arguments)
        if self.initialize == "random":
            return student, None
        kernel, bias = tb.initialize_from_teacher_pca(student, teacher)
        return student, lambda projection: projection.set_affine(kernel, bias)

    def load_student(self):
        """The model in the student's folder, and a function that starts its `Projection`."""
        import tinybert_tf as tb

        student = tb.load(self.student, dtype=TRAINED[self.student_dtype])
        path = pathlib.Path(self.student) / PROJECTION_FILE
        return student, functools.partial(restore_projection, path) if path.is_file() else None


def save_projection(projection, folder):
    """Writes a `Projection` beside its student, for a distillation that goes on from there.

    Args:
        projection: `Projection`.
        folder: `pathlib.Path`, which is there.
    """
    from tinybert_tf.checkpoints.weight_files import write_safetensors

    values = {name: variable.numpy() for name, variable in _projection_variables(projection)}
    write_safetensors(values, folder / PROJECTION_FILE, {})


def restore_projection(path, projection):
    """Starts a `Projection` from what `save_projection` wrote, or warns that it does not fit.

    Args:
        path: `pathlib.Path` of the file.
        projection: `Projection`.
    """
    from tinybert_tf.checkpoints.weight_files import read_safetensors

    saved, variables = read_safetensors(path), _projection_variables(projection)
    if {name: value.shape for name, value in saved.items()} != {
        name: tuple(variable.shape) for name, variable in variables
    }:
        warnings.warn(
            f"{path} is of another --projection or a teacher of another width than this one's; the "
            "projection starts at random.",
            stacklevel=2,
        )
        return
    for name, variable in variables:
        variable.assign(saved[name])


def _projection_variables(projection):
    """Pairs of name and variable; the mode is part of the name."""
    return [
        (f"{projection.mode}.{dense.name}.{part}", getattr(dense, part))
        for dense in projection.dense_layers
        for part in ("kernel", "bias")
    ]


def student_config(name, vocabulary=None):
    """The `BertConfig` of a preset or a config.json.

    Args:
        name: str, a preset or the path of a file.
        vocabulary: `Vocabulary`, whose size the model takes, or `None`.

    Raises:
        ValueError: If the file describes no BERT.
    """
    from tinybert_tf.checkpoints.hugging_face import read_config
    from tinybert_tf.checkpoints.json_file import read_json
    from tinybert_tf.models.bert_config import preset_config

    if not _is_config(name):
        return preset_config(name, vocabulary)
    config = read_config(read_json(pathlib.Path(name)), name)
    size = len(vocabulary) if vocabulary else config.vocabulary_size
    return dataclasses.replace(config, vocabulary_size=size)


def _is_config(name):
    return pathlib.Path(name).suffix == ".json" and pathlib.Path(name).is_file()
