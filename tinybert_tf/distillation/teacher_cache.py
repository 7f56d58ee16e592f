"""What a teacher gives for every example, computed once and kept on disk."""

import dataclasses
import errno
import fcntl
import functools
import hashlib
import json
import os
import pathlib
import shutil
import zlib

import keras
import numpy as np
import tensorflow as tf

_FORMAT = 1  # another layout of the file, another number: no file of the old one is read
_CHECKSUM = np.dtype("<u4")


class TeacherCache:
    """A teacher's outputs for a task's examples, on disk.

    `fill` runs the teacher once over every example; then `features` reads what it gave, in any
    order and in any later run. An example's outputs stand in one record, padded as its batches are;
    the file holds the records of one length after those of another and is mapped, not loaded.
    Filling that was stopped, by whatever, goes on with the first batch that is not whole on disk,
    and ends with the same bytes. Several processes may fill the same cache: one does, the others
    wait for it.

    Args:
        folder: str or path-like; many caches may share it. It is made by `fill`.
        teacher: `keras.Model` whose output is a mapping of tensors `(batch, ...)` and of lists of
            them.
        batches: `ExampleBatches` of the examples; neither its seed nor its batch size matters to
            what is kept.
        outputs: mapping of output name to `None` (a tensor) or to the indices that are kept of a
            list. `logits` are kept as float32, all else in the teacher's dtype.

    Attributes:
        key: str, hash of all that the outputs depend on: the teacher's weights, configuration and
            dtype policy; vocabulary, texts, lengths; `outputs`.
        path: `pathlib.Path` of the file.
        size_bytes: int, size of the file, known before it is there.

    Raises:
        ValueError: If the teacher has no such output.

    Example:
        cache = TeacherCache("cache", teacher, batches, {"logits": None})
        cache.fill()
        distiller.fit(batches.with_teacher(cache))
    """

    def __init__(self, folder, teacher, batches, outputs):
        self._teacher, self._batches = teacher, batches.unshuffled()
        self._input_spec = _inputs(self._batches.element_spec)
        longest = int(self._batches.padded_lengths[-1])
        specs = [self._output_spec(length) for length in (longest, longest - 1)]
        self._spec = specs[0]
        self._kept = _checked_outputs(outputs, self._spec)
        self._fields = _fields(self._kept, specs)
        self._arrange()
        self.key = _key(teacher, self._batches, self._lengths, self._kept)
        self.path = pathlib.Path(folder) / f"{'-'.join(self._kept)}-{self.key}.cache"
        self._partial = self.path.with_suffix(".partial")
        self._checksums = self.path.with_suffix(".checksums")

    def _output_spec(self, length):
        """The teacher's outputs for inputs of a length, as `keras.KerasTensor`; runs nothing."""
        symbols = {
            name: keras.KerasTensor((2, length), spec.dtype.name)
            for name, spec in self._input_spec.items()
        }
        return self._teacher(symbols, training=False)

    def _arrange(self):
        """Decides where each example's record stands: in the order of the unshuffled batches."""
        order, sizes = self._batches.order(0), self._batches.sizes
        self._batch_lengths = self._batches.padded_lengths
        in_order = np.repeat(self._batch_lengths, sizes)
        self._lengths, self._places = np.empty_like(in_order), np.empty_like(in_order)
        self._lengths[order] = in_order
        # Lengths increase, so that a group starts where its length is first found.
        self._places[order] = np.arange(len(order)) - np.searchsorted(in_order, in_order)
        widths = [self._record_dtype(length).itemsize for length in self._batch_lengths]
        self._batch_ends, self._batch_bytes = np.cumsum(sizes), sizes * widths
        self.size_bytes = int(self._batch_bytes.sum())

    @property
    def is_complete(self):
        """Whether the file is there and has the right size."""
        return self.path.is_file() and self.path.stat().st_size == self.size_bytes

    def fill(self, on_progress=None):
        """Computes what is missing; does nothing where nothing is.

        Args:
            on_progress: function of two ints, called after each batch: how many examples are done,
                and how many there are.

        Raises:
            ValueError: If the teacher gives logits that are no finite numbers, or NaN elsewhere.
            OSError: If the disk has no room or cannot be written. What is done stays.
        """
        if not self.is_complete:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with (
                open(self._partial, "ab", buffering=0) as data,
                open(self._checksums, "ab", buffering=0) as checksums,
            ):
                fcntl.flock(data, fcntl.LOCK_EX)  # whoever waited here may find the work done
                if not self.is_complete:
                    self._fill(data, checksums, on_progress or (lambda done, count: None))
        for path in (self._partial, self._checksums):
            path.unlink(missing_ok=True)

    def _fill(self, data, checksums, on_progress):
        """Appends every batch that is missing, and its checksum; then gives the file its name."""
        first = self._count_whole_batches()
        self._check_space(int(self._batch_bytes[first:].sum()))
        data.truncate(int(self._batch_bytes[:first].sum()))
        checksums.truncate(first * _CHECKSUM.itemsize)
        for number, values in enumerate(self._compute(first), first):
            records = self._records(values, self._batch_lengths[number]).view(np.uint8)
            _append(data, records)
            _append(checksums, np.array([zlib.crc32(records)], _CHECKSUM).view(np.uint8))
            on_progress(int(self._batch_ends[number]), len(self._lengths))
        os.fsync(data.fileno())
        os.replace(self._partial, self.path)

    def _count_whole_batches(self):
        """The number of leading batches that are on disk as they were written.

        A file's size would not tell: after a loss of power it may be ahead of its content.
        """
        noted = np.fromfile(self._checksums, _CHECKSUM)
        with open(self._partial, "rb") as data:
            for number, (size, checksum) in enumerate(zip(self._batch_bytes, noted, strict=False)):
                if zlib.crc32(data.read(size)) != checksum:
                    return number
        return min(len(noted), len(self._batch_bytes))

    def _check_space(self, needed):
        free = shutil.disk_usage(self.path.parent).free
        if free < needed:
            raise OSError(
                errno.ENOSPC,
                f"The teacher's outputs need {needed} bytes more, but the disk has {free} left. "
                "Make room or choose another folder",
                str(self.path.parent),
            )

    def _compute(self, first):
        """Yields the kept tensors of each batch from `first` on, as arrays."""
        # One signature, so that a batch runs through the same graph wherever filling begins.
        run = tf.function(self._run, input_signature=[self._input_spec], autograph=False)
        for batch in self._batches.epoch(0, first):
            yield [value.numpy() for value in run(_inputs(batch))]

    def _run(self, inputs):
        outputs = self._teacher(inputs, training=False)
        return [tf.cast(field.of(outputs), field.dtype) for field in self._fields]

    def _records(self, values, length):
        records = np.zeros(len(values[0]), self._record_dtype(length))
        for field, value in zip(self._fields, values, strict=True):
            bad = ~np.isfinite(value) if field.output == "logits" else np.isnan(value)
            if bad.any():
                raise ValueError(
                    f"The teacher gives {value[bad][0]} among its {field.output}, expected finite "
                    "numbers. Check its weights, or give it a dtype of more range."
                )
            records[field.name] = value
        return records

    def _record_dtype(self, length):
        """What is kept of one example: a NumPy dtype with a field for each tensor."""
        fields = [
            (field.name, field.dtype.as_numpy_dtype, field.shape(int(length)))
            for field in self._fields
        ]
        return np.dtype(fields, align=True)

    def features(self, rows, length):
        """Reads what the teacher gave for a batch; to be called in `tf.data.Dataset.map`.

        Args:
            rows: int tensor `(batch,)`, indices into the examples.
            length: int scalar tensor, the length that all of them are padded to.

        Returns:
            Dict of output name to what the teacher returned: a tensor `(batch, ...)` or a tuple
            with the kept entries of a list in their places, and float tensors `(batch, 0)` in those
            of the others.

        Raises:
            RuntimeError: If the cache is not complete.
        """
        groups = self._groups  # here, and not in the threads of tf.data: opened once
        values = tf.numpy_function(
            lambda rows, length: self._read(groups, rows, length),
            [rows, length],
            [field.dtype for field in self._fields],
            stateful=False,
        )
        tensors = {}
        for field, value in zip(self._fields, tf.nest.flatten(values), strict=True):
            value.set_shape([rows.shape[0], *field.shape(tf.get_static_value(length))])
            tensors[field.output, field.index] = value
        return {name: self._structure(name, tensors, rows) for name in self._kept}

    def _structure(self, name, tensors, rows):
        """A tensor, or a tuple with an empty tensor for each entry that is not kept."""
        if self._kept[name] is None:
            return tensors[name, None]
        return tuple(
            tensors[name, index]
            if (name, index) in tensors
            else tf.zeros([tf.shape(rows)[0], 0], spec.dtype)
            for index, spec in enumerate(self._spec[name])
        )

    @functools.cached_property
    def _groups(self):
        """Dict of length to the mapped records `(examples,)` of that length."""
        if not self.is_complete:
            raise RuntimeError(
                f"{self.path}: not there, or not the {self.size_bytes} bytes expected. Call `fill` "
                "first."
            )
        groups, start = {}, 0
        for length, count in zip(*np.unique(self._lengths, return_counts=True), strict=True):
            dtype = self._record_dtype(length)
            groups[length] = np.asarray(np.memmap(self.path, dtype, "r", start, (count,)))
            start += int(count) * dtype.itemsize
        return groups

    def _read(self, groups, rows, length):
        if (self._lengths[rows] != length).any():
            raise ValueError(
                f"Examples {rows} were asked for with length {length}, but they are kept with "
                f"{self._lengths[rows]}. Use the batches that the cache was made of."
            )
        group, places = groups[int(length)], self._places[rows]
        return [group[field.name][places] for field in self._fields]


@dataclasses.dataclass(frozen=True)
class _Field:
    """A tensor of the teacher's outputs that is kept.

    Args:
        output: str, name of the output.
        index: int, which of a list, or `None`.
        dtype: `tf.DType` on disk.
        sizes: tuple of int, an example's shape; `None` stands for the padded length.
    """

    output: str
    index: int | None
    dtype: tf.DType
    sizes: tuple[int | None, ...]

    @property
    def name(self):
        """Name in the record."""
        return self.output if self.index is None else f"{self.output}_{self.index}"

    def of(self, outputs):
        """The tensor, among the teacher's outputs."""
        value = outputs[self.output]
        return value if self.index is None else value[self.index]

    def shape(self, length):
        """An example's shape at a padded length."""
        return tuple(length if size is None else size for size in self.sizes)


def _inputs(batch):
    return batch[0] if isinstance(batch, tuple) else batch


def _append(file, content):
    """Writes all of an array of bytes to an unbuffered file, or names the file that fails."""
    rest = memoryview(content)
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}; what is done is kept", file.name) from error


def _checked_outputs(outputs, spec):
    """The outputs to keep in alphabetical order, their indices increasing."""
    kept = {}
    for name, indices in sorted(outputs.items()):
        if name not in spec:
            raise ValueError(f'The teacher has no output "{name}"; it has {", ".join(spec)}.')
        is_list = isinstance(spec[name], (list, tuple))
        choices = range(len(spec[name])) if is_list else ()
        if is_list == (indices is None) or not set(indices or ()) <= set(choices):
            expected = f"indices from 0 to {len(choices) - 1}" if is_list else "None: a tensor"
            raise ValueError(f"`outputs` asks for {indices} of {name}, expected {expected}.")
        kept[name] = None if indices is None else tuple(sorted(set(indices)))
    if not any(indices is None or indices for indices in kept.values()):
        raise ValueError(f"`outputs` is {outputs}, expected at least one of {', '.join(spec)}.")
    return kept


def _fields(kept, specs):
    """The fields that hold the outputs kept; sizes that differ between the specs are the length."""
    fields = []
    for name, indices in kept.items():
        for index in (None,) if indices is None else indices:
            tensors = [spec[name] if index is None else spec[name][index] for spec in specs]
            dtype = tf.float32 if name == "logits" else tf.as_dtype(tensors[0].dtype)
            shapes = zip(*(tensor.shape[1:] for tensor in tensors), strict=True)
            sizes = tuple(one if one == other else None for one, other in shapes)
            fields.append(_Field(name, index, dtype, sizes))
    return fields


def _key(teacher, batches, lengths, kept):
    """Hash of everything that decides what the cache holds."""
    description = {
        "format": _FORMAT,
        "teacher": f"{type(teacher).__module__}.{type(teacher).__qualname__}",
        "config": _config(teacher),
        "dtype": keras.dtype_policies.serialize(teacher.dtype_policy),
        "weights": [(weight.name, weight.shape, weight.dtype) for weight in teacher.weights],
        "vocabulary": dataclasses.asdict(batches.rows.vocabulary),
        "rows": type(batches.rows).__qualname__,
        "max_length": batches.rows.max_length,
        "drawn": getattr(batches.rows, "drawn", None),
        "outputs": kept,
    }
    digest = hashlib.blake2b(json.dumps(description, default=repr).encode(), digest_size=16)
    for weight in teacher.weights:
        digest.update(np.ascontiguousarray(weight.numpy()).view(np.uint8))
    for column in (batches.rows.examples.texts, batches.rows.examples.text_pairs):
        strings = [text.encode() for text in column or ()]
        digest.update(np.array([len(strings), *map(len, strings)], np.int64))
        digest.update(b"".join(strings))
    digest.update(lengths)
    return digest.hexdigest()


def _config(teacher):
    """The teacher's configuration without its name and without what is trainable."""
    try:
        config = dict(teacher.get_config())
    except NotImplementedError:
        return None
    config.pop("name", None)  # Keras counts the models of a process in it
    return _without_trainable(config)


def _without_trainable(config):
    if isinstance(config, dict):
        items = config.items()
        return {key: _without_trainable(value) for key, value in items if key != "trainable"}
    if isinstance(config, (list, tuple)):
        return [_without_trainable(value) for value in config]
    return config
