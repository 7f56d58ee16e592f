"""What a stage of distillation asks of the student."""

from keras import ops

from tinybert_tf import losses
from tinybert_tf.distillation.compat import check_compat
from tinybert_tf.distillation.layer_mapping import resolve_layer_mapping
from tinybert_tf.distillation.projection import check_projection


class IntermediateObjective:
    """Attention, hidden and embedding losses: the intermediate stage, general distillation.

    Args:
        layer_mapping: "uniform", "top", "bottom" or a list of teacher layers; see
            `resolve_layer_mapping`.
        projection: a mode of `Projection`; `None` takes "embedding_and_shared", or "shared" under
            `compat="reference"`.
        attention_weight: float, weight of the sum over layers of the attention losses; a term of
            weight 0 is not computed.
        hidden_weight: float, likewise for the hidden states of the layers.
        embedding_weight: float, for the embedding output.
        compat: "paper" (only real tokens count) or "reference" (as the released program: padded
            positions count, masked attention logits count as 0).

    Raises:
        ValueError: If `compat`, `layer_mapping` or `projection` is an unknown name, or a weight is
            negative.

    Note:
        Where teacher and student have different numbers of attention heads, as BERT-large's 16 and
        TinyBERT's 12, the mean over the teacher's heads is compared with the mean over the
        student's. The paper has no such case; `attention_weight=0` leaves attention out.

    Reference:
        Jiao et al. 2020, section 3.1.
    """

    def __init__(
        self,
        layer_mapping="uniform",
        projection=None,
        attention_weight=1.0,
        hidden_weight=1.0,
        embedding_weight=1.0,
        compat="paper",
    ):
        self.compat = check_compat(compat)
        if isinstance(layer_mapping, str):
            resolve_layer_mapping(layer_mapping, 1, 1)  # knows the name, whatever the depths
        self.layer_mapping = layer_mapping
        self.projection = check_projection(
            projection or ("shared" if compat == "reference" else "embedding_and_shared")
        )
        self.weights = _positive_weights(
            attention_loss=attention_weight,
            hidden_loss=hidden_weight,
            embedding_loss=embedding_weight,
        )
        self.needs_teacher = True

    @property
    def needs_projection(self):
        """Whether the student's hidden states are compared with the teacher's."""
        return "hidden_loss" in self.weights or "embedding_loss" in self.weights

    def teacher_outputs(self, num_student_layers, num_teacher_layers):
        """Which of the teacher's outputs count.

        Returns:
            Dict of output name to the tuple of the indices in that list.
        """
        mapping = self._mapping(num_student_layers, num_teacher_layers)
        outputs = {}
        if self.needs_projection:
            outputs["hidden_states"] = (0, *mapping)
        if "attention_loss" in self.weights:
            outputs["attention_logits"] = tuple(layer - 1 for layer in mapping)
        return outputs

    def losses(self, inputs, labels, teacher, student, projection):
        """The terms, unreduced.

        Args:
            inputs: mapping; its `padding_mask`, int tensor `(batch, length)`, is used if it is
                there.
            labels: not used.
            teacher: mapping of the teacher's outputs.
            student: mapping of the student's outputs.
            projection: `Projection` or `None`.

        Returns:
            Dict of term name to float tensor `(batch,)`.
        """
        mask = None if self.compat == "reference" else inputs.get("padding_mask")
        terms = {}
        if "attention_loss" in self.weights:
            terms["attention_loss"] = self._attention(teacher, student, mask)
        if self.needs_projection:
            states = self._states(teacher, student, projection)
            if "hidden_loss" in self.weights:
                terms["hidden_loss"] = sum(losses.hidden_loss(t, s, mask) for t, s in states[1:])
            if "embedding_loss" in self.weights:
                terms["embedding_loss"] = losses.embedding_loss(*states[0], mask)
        return terms

    def _attention(self, teacher, student, mask):
        teacher_maps, student_maps = teacher["attention_logits"], student["attention_logits"]
        mapping = self._mapping(len(student_maps), len(teacher_maps))
        chosen = [teacher_maps[layer - 1] for layer in mapping]
        pairs = list(zip(chosen, student_maps, strict=True))
        if any(theirs.shape[1] != ours.shape[1] for theirs, ours in pairs):
            pairs = [tuple(map(_mean_of_heads, pair)) for pair in pairs]
        if self.compat == "reference":
            pairs = [tuple(map(losses.zero_masked_logits, pair)) for pair in pairs]
        return sum(losses.attention_loss(*pair, mask) for pair in pairs)

    def _states(self, teacher, student, projection):
        """Pairs of (teacher's, projected student's) hidden states, the embedding output first."""
        teacher_states, student_states = teacher["hidden_states"], student["hidden_states"]
        mapping = self._mapping(len(student_states) - 1, len(teacher_states) - 1)
        chosen = [teacher_states[layer] for layer in (0, *mapping)]
        return list(zip(chosen, projection(student_states), strict=True))

    def _mapping(self, num_student_layers, num_teacher_layers):
        return resolve_layer_mapping(self.layer_mapping, num_student_layers, num_teacher_layers)


class PredictionObjective:
    """Soft cross-entropy with the teacher's predictions; optionally with the true labels too.

    Args:
        problem: "classification", "multilabel" (binary cross-entropy of each label), "regression"
            (squared error with the teacher's score), "spans" (cross-entropy over the tokens, of the
            start plus of the end) or "tagging" (of the first word-piece of each word).
        temperature: float > 0, divides both logits.
        scale_by_temperature_squared: whether to multiply the loss by temperature².
        prediction_weight: float, weight of the teacher's predictions; at 0 no teacher is run.
        label_weight: float, weight of the true labels.
        compat: "paper", or "reference": the loss of classes is also averaged over them, and
            regression learns from the labels, as the released program does.

    Raises:
        ValueError: If an argument is unknown or negative, both weights are 0, or the temperature
            is not positive.

    Reference:
        Jiao et al. 2020, equation 10.
    """

    projection = None
    needs_projection = False

    def __init__(
        self,
        problem="classification",
        temperature=1.0,
        scale_by_temperature_squared=False,
        prediction_weight=1.0,
        label_weight=0.0,
        compat="paper",
    ):
        if problem not in _TERMS:
            raise ValueError(f"`problem` is {problem!r}, expected one of {', '.join(_TERMS)}.")
        if not temperature > 0:
            raise ValueError(f"`temperature` is {temperature!r}, expected a positive number.")
        self.compat = check_compat(compat)
        self.problem = problem
        self.temperature = temperature
        self.scale_by_temperature_squared = scale_by_temperature_squared
        self.weights = _positive_weights(prediction_loss=prediction_weight, label_loss=label_weight)
        self.needs_teacher = "prediction_loss" in self.weights and not self._learns_from_labels

    @property
    def _learns_from_labels(self):
        return self.problem == "regression" and self.compat == "reference"

    def losses(self, inputs, labels, teacher, student, projection):
        """The terms, unreduced; arguments as in `IntermediateObjective.losses`.

        `labels`: int tensor `(batch,)` of classes, float tensor `(batch,)` of scores or `(batch,
        num_labels)` of 0 and 1, int tensor `(batch, 2)` of the first and last token or `(batch,
        length)` of tags.
        """
        imitate, know = _TERMS[self.problem]
        mask, logits, terms = inputs.get("padding_mask"), student["logits"], {}
        if "prediction_loss" in self.weights and self._learns_from_labels:
            terms["prediction_loss"] = know(logits, labels, mask)
        elif "prediction_loss" in self.weights:
            values = imitate(teacher["logits"], logits, labels, mask, **self._temperature)
            averaged = self.compat == "reference" and self.problem == "classification"
            terms["prediction_loss"] = values / logits.shape[-1] if averaged else values
        if "label_loss" in self.weights:
            terms["label_loss"] = know(logits, labels, mask)
        return terms

    @property
    def _temperature(self):
        return {
            "temperature": self.temperature,
            "scale_by_temperature_squared": self.scale_by_temperature_squared,
        }


class MaskedLMObjective:
    """Cross-entropy of the masked tokens, which trains a masked LM without a teacher.

    Reference:
        Devlin et al. 2019, section 3.1.
    """

    projection = None
    needs_projection = needs_teacher = False
    weights = {"masked_lm_loss": 1.0}

    def losses(self, inputs, labels, teacher, student, projection):
        """The term, unreduced: a mean over the masked tokens of each example.

        `labels`: int tensor `(batch, masked)`, the tokens that were masked, -1 at padding; other
        arguments as in `IntermediateObjective.losses`.
        """
        return {"masked_lm_loss": losses.tag_label_loss(labels, student["logits"])}


def _mean_of_heads(attention_logits):
    """Attention logits as one head, float32 `(batch, 1, length, length)`."""
    # In float16 the sum of masked logits would overflow.
    return ops.mean(ops.cast(attention_logits, "float32"), axis=1, keepdims=True)


def _soft_tags(teacher, student, labels, mask, **temperature):
    counted = mask if labels is None else labels >= 0
    return losses.soft_tag_cross_entropy(teacher, student, counted, **temperature)


# Problem: the loss with the teacher's logits, and that with the labels.
_TERMS = {
    "classification": (
        lambda teacher, student, labels, mask, **t: losses.soft_cross_entropy(
            teacher, student, **t
        ),
        lambda logits, labels, mask: losses.label_loss(labels, logits),
    ),
    "multilabel": (
        lambda teacher, student, labels, mask, **t: losses.soft_binary_cross_entropy(
            teacher, student, **t
        ),
        lambda logits, labels, mask: losses.binary_label_loss(labels, logits),
    ),
    "regression": (
        lambda teacher, student, labels, mask, **t: losses.regression_loss(teacher, student),
        lambda logits, labels, mask: losses.regression_loss(labels[:, None], logits),
    ),
    "spans": (
        lambda teacher, student, labels, mask, **t: losses.soft_span_cross_entropy(
            teacher, student, mask, **t
        ),
        lambda logits, labels, mask: losses.span_label_loss(labels, logits, mask),
    ),
    "tagging": (_soft_tags, lambda logits, labels, mask: losses.tag_label_loss(labels, logits)),
}


def _positive_weights(**weights):
    """The terms that count; raises ValueError for a negative weight or none at all."""
    negative = [f"{name} {weight}" for name, weight in weights.items() if not weight >= 0]
    if negative:
        raise ValueError(f"Weights must be 0 or more, but got {', '.join(negative)}.")
    positive = {name: weight for name, weight in weights.items() if weight}
    if not positive:
        raise ValueError(f"All weights are 0; set one of {', '.join(weights)}.")
    return positive
