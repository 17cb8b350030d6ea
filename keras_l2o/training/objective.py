from collections.abc import Callable

from keras import ops

from keras_l2o import numerics
from keras_l2o.training import checks
from keras_l2o.training.inner_loop import Records
from keras_l2o.typing import Tensor

REDUCTIONS = {"max": ops.max, "mean": ops.mean}
KINDS = ("log", "ratio")
STEP_WEIGHTS = ("mean", "sum", "final", "late")
#: Of the weights `"late"`, the share that the last steps have, and which.
LATE, LAST_STEPS = 0.7, 0.2
MODES = ("sum", "switch", "imitation", "meta")


class Objective:
    """What meta-training minimizes: a meta loss plus an imitation loss.

        meta_weight * mean_i [log f(x_i) - log f(x_0)]
        + imitation_weight * mean_i reduce_T [log(|x_i - x_i^T|^2 / n)]

    where `f` is the problem's loss, `i` runs over the inner steps, `x_i` are
    the student's and `x_i^T` the teacher `T`'s parameters after them, and `n`
    is the number of coordinates. The arguments change parts of it.

    Args:
        reduce: `"max"` (min-max distillation), `"mean"` (mean distillation),
            or a callable `(log_distances, axis)` that reduces a tensor
            `(unroll, teachers)` along its last axis, such as
            `keras.ops.logsumexp`. The entry of a teacher that diverged is
            replaced by the mean of the others. Defaults to `"max"`.
        kind: `"log"` for the logarithm of the student's loss, or `"ratio"`
            for the loss itself. A logarithm takes losses below 1e-30,
            negative ones as well, for 1e-30; `fit` counts the negative ones
            and warns of them. Losses may be negative only with `"ratio"` and
            `relative=False`. Defaults to `"log"`.
        relative: Bool. Whether the student's loss is relative to that of the
            truncation's first parameters on the same batch: with `"log"` the
            logarithm of the latter is subtracted, with `"ratio"` the loss is
            divided by it. Defaults to `True`.
        step_weights: `"mean"` or `"sum"` over the inner steps, `"final"` for
            the last one alone, or `"late"` for 0.3 times the mean over all
            steps and 0.7 times that over the last fifth, in both losses.
            Defaults to `"mean"`.
        floor: Float. Is added to the ratio of the losses before its logarithm
            is taken, so that a task that can be solved exactly does not ask
            for ever smaller losses. With `kind="log"` and `relative=True`
            alone. Defaults to `0.0`.
        huber_delta: Float. In the distance to a teacher, differences of a
            coordinate beyond this count linearly instead of as squares.
            Defaults to `None`, all squares.
        mode: `"sum"` of both losses, `"meta"` or `"imitation"` for one alone,
            or `"switch"` for one of them drawn at each outer step. Defaults
            to `"sum"`.
        imitation_probability: Float in `[0, 1]`. How likely `"switch"` is to
            draw the imitation loss. Defaults to `0.5`.
        stop_above: Float above 1. An unroll stops at the inner step whose loss
            is more than this multiple of that of the first parameters on the
            same batch. That step still counts, but its update is not made;
            later steps count as zeros, without a gradient. Defaults to
            `None`, no such stop.

    Raises:
        ValueError: An argument is none of its choices or out of its range.

    Example:

    >>> objective = keras_l2o.training.Objective("mean", huber_delta=1.0)
    >>> trainer = keras_l2o.MetaTrainer(
    ...     problems="quadratic_10", objective=objective)

    Reference:
        - [Huang et al., 2022](https://arxiv.org/abs/2203.06474)
        - [Chen et al., 2020](https://arxiv.org/abs/2010.09089), for
          `"switch"`
    """

    def __init__(
        self,
        reduce: str | Callable[..., Tensor] = "max",
        kind: str = "log",
        relative: bool = True,
        step_weights: str = "mean",
        floor: float = 0.0,
        huber_delta: float | None = None,
        mode: str = "sum",
        imitation_probability: float = 0.5,
        stop_above: float | None = None,
    ) -> None:
        if not callable(reduce) and reduce not in REDUCTIONS:
            raise ValueError(
                f"Argument `reduce` must be one of {sorted(REDUCTIONS)} or a "
                f"callable. Received: reduce={reduce!r}"
            )
        _check_choice("kind", kind, KINDS)
        _check_choice("step_weights", step_weights, STEP_WEIGHTS)
        _check_choice("mode", mode, MODES)
        if floor and not (kind == "log" and relative):
            raise ValueError(
                "Argument `floor` needs `kind='log'` and `relative=True`. "
                f"Received: floor={floor}, kind={kind!r}, relative={relative}"
            )
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
        self.floor = checks.number("floor", floor)
        self.huber_delta = huber_delta
        self.mode = mode
        self.imitation_probability = float(imitation_probability)
        self.stop_above = stop_above

    @property
    def imitates(self) -> bool:
        """Whether the total may depend on what the teachers do.

        If not, an estimator need not run them where it differentiates.
        """
        own = type(self).__call__ is not Objective.__call__
        return own or self.mode != "meta"

    def distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Mean over coordinates of the squared difference, or of Huber's.

        Args:
            student: `(n,)`, the student's parameters.
            teacher: `(n,)`, a teacher's parameters.

        Returns:
            Scalar tensor.
        """
        difference = student - teacher
        squares = ops.square(difference)
        if self.huber_delta is not None:
            # Twice Huber's loss, which has the limit of the square.
            size, delta = ops.abs(difference), self.huber_delta
            squares = ops.where(
                size > delta, delta * (2.0 * size - delta), squares
            )
        return ops.mean(squares)

    def meta_loss(self, records: Records) -> Tensor:
        """The student's loss over an unroll, as `kind` and `relative` say.

        Args:
            records: `keras_l2o.training.inner_loop.Records` of the unroll.

        Returns:
            Scalar tensor.
        """
        losses, first = records.losses, records.initial_losses
        if self.floor:
            losses = numerics.safe_log(
                losses / ops.maximum(first, 1e-30) + self.floor
            )
        elif self.kind == "log":
            losses = numerics.safe_log(losses)
            if self.relative:
                losses = losses - numerics.safe_log(first)
        elif self.relative:
            losses = losses / first
        return self._over_steps(losses, records)

    def imitation_loss(self, records: Records) -> Tensor:
        """The log distance to the teachers over an unroll, reduced to one.

        Args:
            records: `keras_l2o.training.inner_loop.Records` of the unroll.

        Returns:
            Scalar tensor, zero if there are no teachers.
        """
        distances = records.log_distances
        if not distances.shape[-1]:
            return ops.zeros((), distances.dtype)
        alive = ops.cast(records.alive, distances.dtype)
        count = ops.maximum(ops.sum(alive, axis=-1, keepdims=True), 1.0)
        mean = ops.sum(alive * distances, axis=-1, keepdims=True) / count
        # The mean of the others changes neither their maximum nor their mean.
        filled = ops.where(records.alive, distances, mean)
        return self._over_steps(self.reduce(filled, axis=-1), records)

    def _over_steps(self, values, records):
        """Weighs the values `(unroll,)` of the inner steps and adds them up."""
        weights = ops.cast(self._weights(records), values.dtype)
        return ops.sum(ops.where(weights > 0, values, 0.0) * weights)

    def _weights(self, records):
        """The weight of each inner step, `(unroll,)`."""
        counts = records.running
        if self.step_weights == "final":  # the last step that counts
            goes_on = ops.logical_and(
                records.goes_on, records.index + 1 < records.horizon
            )
            return ops.logical_and(counts, ops.logical_not(goes_on))
        weights = ops.cast(counts, "float32")
        if self.step_weights == "sum":
            return weights
        horizon = ops.cast(records.horizon, "float32")
        if self.step_weights == "late":
            last = ops.ceil(LAST_STEPS * horizon)
            late = ops.cast(records.index, "float32") >= horizon - last
            late = ops.cast(late, "float32") * horizon / last
            weights = weights * (1.0 - LATE + LATE * late)
        return weights / horizon

    def __call__(
        self,
        records: Records,
        meta_weight: Tensor,
        imitation_weight: Tensor,
        draw: Tensor = 0.0,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The objective of an unroll.

        Args:
            records: `keras_l2o.training.inner_loop.Records` of the unroll.
            meta_weight: Scalar.
            imitation_weight: Scalar.
            draw: Scalar, uniform in `[0, 1)`, by which `"switch"` draws.
                Defaults to `0.0`.

        Returns:
            Three scalars: the total, the meta loss and the imitation loss.
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
    """The objective, or `Objective(reduce)` if it is `None`."""
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
