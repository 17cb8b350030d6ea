from keras import ops

from keras_l2o import numerics

REDUCTIONS = {"max": ops.max, "mean": ops.mean}
KINDS = ("log", "ratio")
STEP_WEIGHTS = ("mean", "sum", "final")
MODES = ("sum", "switch", "imitation", "meta")


class Objective:
    """What one unroll is worth: the meta loss and the imitation loss.

    `meta_weight * mean_i [log f(theta_i) - log f(theta_0)] +
    imitation_weight * mean_i reduce_T [log |theta_i - theta_i^T|^2 / n]`,
    where `i` runs over the inner steps, `T` over the teachers and `n` is the
    number of coordinates.

    Args:
        reduce: `"max"` (min-max distillation), `"mean"` (mean distillation),
            or a callable `(log_distances, axis)` that reduces a tensor
            `(unroll, teachers)` along its last axis, such as
            `keras.ops.logsumexp`. A diverged teacher's entry is replaced by
            the mean of the others. Defaults to `"max"`.
        kind: `"log"`, the student's log loss, or `"ratio"`, the loss itself.
            Losses must be positive: below 1e-30 a logarithm stays what it is
            there, and `fit` counts and warns of negative ones. Only
            `"ratio"` with `relative=False` takes any. Defaults to `"log"`.
        relative: Bool. Whether the student's loss is taken over that of the
            truncation's first parameters on the same batch: their log
            subtracted, or the loss divided by theirs. Defaults to `True`.
        step_weights: How inner steps count, for both terms: `"mean"`,
            `"sum"`, or `"final"`, the last one alone. Defaults to `"mean"`.
        huber_delta: Float, or `None` for squares. Coordinates further apart
            than this count linearly in the distance. Defaults to `None`.
        mode: `"sum"` of both terms; `"switch"`, at each outer step one of
            them, drawn; `"imitation"` alone; or `"meta"` alone. Defaults to
            `"sum"`.
        imitation_probability: Float. How often `"switch"` imitates. Defaults
            to `0.5`.
        stop_above: Float, or `None` to go on. An unroll stops where the loss
            exceeds this multiple of the first parameters' on the same batch.
            That step still counts, without its update; later ones count as
            zeros, without a gradient. Defaults to `None`.

    Reference:
        - [Huang et al., 2022](https://arxiv.org/abs/2203.06474)
        - [Chen et al., 2020](https://arxiv.org/abs/2010.09089), `"switch"`
    """

    def __init__(
        self,
        reduce="max",
        kind="log",
        relative=True,
        step_weights="mean",
        huber_delta=None,
        mode="sum",
        imitation_probability=0.5,
        stop_above=None,
    ):
        if not callable(reduce) and reduce not in REDUCTIONS:
            raise ValueError(
                f"Argument `reduce` must be one of {sorted(REDUCTIONS)} or a "
                f"callable. Received: reduce={reduce!r}"
            )
        _check_choice("kind", kind, KINDS)
        _check_choice("step_weights", step_weights, STEP_WEIGHTS)
        _check_choice("mode", mode, MODES)
        _check_number("huber_delta", huber_delta, above=0.0)
        _check_number("stop_above", stop_above, above=1.0)
        if not 0.0 <= imitation_probability <= 1.0:
            raise ValueError(
                "Argument `imitation_probability` must be between 0 and 1. "
                f"Received: imitation_probability={imitation_probability}"
            )
        self.reduce = (
            REDUCTIONS.get(reduce, reduce)
            if isinstance(reduce, str)
            else reduce
        )
        self.kind = kind
        self.relative = bool(relative)
        self.step_weights = step_weights
        self.huber_delta = huber_delta
        self.mode = mode
        self.imitation_probability = float(imitation_probability)
        self.stop_above = stop_above

    def distance(self, student, teacher):
        """Mean over the coordinates of the square, or Huber's, difference."""
        difference = student - teacher
        squares = ops.square(difference)
        if self.huber_delta is not None:
            # Huber's loss twice, so that without a bound it is the square.
            size, delta = ops.abs(difference), self.huber_delta
            squares = ops.where(
                size > delta, delta * (2.0 * size - delta), squares
            )
        return ops.mean(squares)

    def meta_loss(self, records):
        """The student's loss, on the scale that was asked for."""
        losses, first = records.losses, records.initial_losses
        if self.kind == "log":
            losses = numerics.safe_log(losses)
            if self.relative:
                losses = losses - numerics.safe_log(first)
        elif self.relative:
            losses = losses / first
        return self._over_steps(losses, records)

    def imitation_loss(self, records):
        """Log of the squared distance to the teachers, reduced."""
        distances = records.log_distances
        if not distances.shape[-1]:
            return ops.zeros((), distances.dtype)
        alive = ops.cast(records.alive, distances.dtype)
        count = ops.maximum(ops.sum(alive, axis=-1, keepdims=True), 1.0)
        mean = ops.sum(alive * distances, axis=-1, keepdims=True) / count
        # With the others' mean in its place, a dead teacher changes neither
        # their maximum nor their mean.
        filled = ops.where(records.alive, distances, mean)
        return self._over_steps(self.reduce(filled, axis=-1), records)

    def _over_steps(self, values, records):
        """One number from one an inner step."""
        weights = ops.cast(self._weights(records), values.dtype)
        return ops.sum(ops.where(weights > 0, values, 0.0) * weights)

    def _weights(self, records):
        """What each inner step counts, `(unroll,)`."""
        counts = records.running
        if self.step_weights == "final":  # the last step that counts
            goes_on = ops.logical_and(
                records.goes_on, records.index + 1 < records.horizon
            )
            return ops.logical_and(counts, ops.logical_not(goes_on))
        weights = ops.cast(counts, "float32")
        if self.step_weights == "mean":
            weights = weights / ops.cast(records.horizon, "float32")
        return weights

    def __call__(self, records, meta_weight, imitation_weight, draw=0.0):
        """Returns the total, the meta loss and the imitation loss.

        Args:
            records: `Records` of an unroll.
            meta_weight, imitation_weight: Scalars.
            draw: Scalar, uniform in `[0, 1)`: `"switch"` decides by it.
        """
        meta = self.meta_loss(records)
        imitation = self.imitation_loss(records)
        weighted_meta = meta_weight * meta
        weighted_imitation = imitation_weight * imitation
        if self.mode == "meta":
            total = weighted_meta
        elif self.mode == "imitation":
            total = weighted_imitation
        elif self.mode == "switch":
            total = ops.where(
                draw < self.imitation_probability,
                weighted_imitation,
                weighted_meta,
            )
        else:
            total = weighted_meta + weighted_imitation
        return total, meta, imitation


def one_objective(objective, reduce):
    """The objective, or the usual one with this `reduce` in place of none."""
    if objective is None:
        return Objective(reduce)
    if reduce != "max":
        raise ValueError(
            "Argument `reduce` must be left out when `objective` is given: "
            f"it is one of its options. Received: reduce={reduce!r}"
        )
    return objective


def _check_choice(key, value, choices):
    if value not in choices:
        raise ValueError(
            f"Argument `{key}` must be one of {sorted(choices)}. "
            f"Received: {key}={value!r}"
        )


def _check_number(key, value, above):
    if value is not None and not value > above:
        raise ValueError(
            f"Argument `{key}` must be `None` or a number above {above}. "
            f"Received: {key}={value!r}"
        )
