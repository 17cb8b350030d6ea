"""How long a training is, told to its optimizer."""

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_l2o import keras_internals
from keras_l2o.learned_optimizer import LearnedOptimizer
from keras_l2o.learned_optimizer import reads_horizon
from keras_l2o.learned_optimizer import without_loss_scale
from keras_l2o.policies.arguments import check_count
from keras_l2o.policies.arguments import check_number
from keras_l2o.typing import Tensor


class Horizon(keras.callbacks.Callback):
    """Tells the optimizer how many steps `fit` makes.

    So that the training ends well, at its last epoch and not sooner. A
    `LearnedOptimizer` whose policy reads the horizon plans with it. The
    learning rate of any other optimizer, learned or not, follows a cosine,
    from what it is to zero, step by step. After `fit` all is as before: the
    rate is the plain one again.

    The numbers of epochs and of steps are `fit`'s own, and steps are updates,
    also where gradients accumulate over several batches. In each epoch the
    same examples come again, unless `epoch_steps` says otherwise. If the first
    epoch is a later one, by `initial_epoch` or
    `keras.callbacks.BackupAndRestore`, the training goes on where it was. An
    end before the last epoch, as by `keras.callbacks.EarlyStopping`, does no
    harm.

    All optimizers of a model are told: the parts of a
    `keras.optimizers.MultiOptimizer`, and those that a model with a
    `train_step` of its own has as attributes, such as a generator's and a
    discriminator's. Each is taken to make a step a batch.

    Where the rate follows the cosine, no other callback should turn it by what
    it reads from `optimizer.learning_rate`, such as
    `keras.callbacks.ReduceLROnPlateau`. The model's training step is compiled
    again when `fit` begins and after it.

    Args:
        total_steps: Int. The number of update steps of the training, where
            `fit` does not know it, as of a generator. If such a training goes
            on in a later epoch, it is taken to be all that the optimizer has
            done. Defaults to `None`, the number that `fit` knows.
        warmup: Float in `[0, 1)`. The share of the steps in which the rate
            rises to its height, before the cosine. A policy that reads the
            horizon knows for itself how to begin. Defaults to `0.0`.
        epoch_steps: Int. After how many update steps the same examples come
            again, where that is not an epoch of `fit`, as of a generator with
            `steps_per_epoch`; 0 if they never do. Defaults to `None`, an
            epoch.

    Raises:
        ValueError: An argument is out of range; or, in `fit`, the number of
            steps is not known, or the optimizer has a schedule of its own.

    Example:

    >>> model.compile(keras.optimizers.AdamW(0.001), loss="mse")
    >>> history = model.fit(
    ...     x, y, epochs=3, callbacks=[keras_l2o.callbacks.Horizon()],
    ...     verbose=0)
    >>> model.compile(keras_l2o.from_hub("general"), loss="mse")
    >>> history = model.fit(
    ...     x, y, epochs=3, callbacks=[keras_l2o.callbacks.Horizon()],
    ...     verbose=0)

    Reference:
        - [Loshchilov and Hutter, 2017](https://arxiv.org/abs/1608.03983), for
          the cosine
    """

    def __init__(
        self,
        total_steps: int | None = None,
        warmup: float = 0.0,
        epoch_steps: int | None = None,
    ) -> None:
        super().__init__()
        if total_steps is not None:
            total_steps = check_count("total_steps", total_steps, least=1)
        self.total_steps = total_steps
        if epoch_steps is not None:
            epoch_steps = check_count("epoch_steps", epoch_steps)
        self.epoch_steps = epoch_steps
        self.warmup = check_number("warmup", warmup, least=0.0)
        if self.warmup >= 1:
            raise ValueError(
                "Argument `warmup` must be a share below 1. Received: "
                f"warmup={warmup!r}"
            )
        self._begun = False
        self._told: list[LearnedOptimizer] = []
        self._scheduled: list[keras.optimizers.Optimizer] = []

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._begun = False

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        # Not when `fit` begins: callbacks that restore do so then, and one of
        # them may come later in the list.
        if self._begun:
            return
        self._begun = True
        optimizers = _parts(self.model)
        self._told = [o for o in optimizers if reads_horizon(o)]
        self._scheduled = [o for o in optimizers if not reads_horizon(o)]
        rates = [_plain_rate(optimizer) for optimizer in self._scheduled]
        spans = {id(o): self._span(o, epoch) for o in optimizers}
        for told in self._told:
            first, total = spans[id(told)]
            # The policy counts for itself, without the steps it skipped.
            told.set_horizon(
                total, first if epoch else None, self._epoch_steps(told)
            )
        for optimizer, rate in zip(self._scheduled, rates):
            keras_internals.set_learning_rate(
                optimizer,
                _cosine(optimizer, rate, *spans[id(optimizer)], self.warmup),
            )
        if self._scheduled:
            self.model.make_train_function(force=True)
        # `fit` calls this when it begins. If this one is interrupted, the end
        # of training does not come, and the next one has to put back.
        self.model.__dict__["make_train_function"] = self._put_back

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._put_back()

    def _span(
        self, optimizer: keras.optimizers.Optimizer, epoch: int
    ) -> tuple[int, int]:
        """The steps before the training and in it, as two ints."""
        steps, epochs = self.params["steps"], self.params["epochs"]
        if not steps and self.total_steps is None:
            raise ValueError(
                "How many steps an epoch has is not known, as the data are "
                "from a generator. Pass `steps_per_epoch` to `fit`, or "
                "`total_steps` to `Horizon`, the number of update steps of "
                f"all epochs. Received: steps_per_epoch={steps}"
            )
        batches = optimizer.gradient_accumulation_steps or 1
        # Steps that were skipped before a training went on count as made.
        before = keras_internals.batches_seen(optimizer) - epoch * (steps or 0)
        if epoch and not steps:
            before = 0
        first = before // batches
        if self.total_steps is not None:
            return first, self.total_steps
        return first, max((before + epochs * steps) // batches - first, 1)

    def _epoch_steps(self, optimizer):
        """After how many steps of it examples come again, `None` if never."""
        if self.epoch_steps is not None:
            return self.epoch_steps or None
        batches = optimizer.gradient_accumulation_steps or 1
        steps = self.params["steps"]
        return max(steps // batches, 1) if steps else None

    def _put_back(self, force=False):
        self.model.__dict__.pop("make_train_function", None)
        for told in self._told:
            told.set_horizon(told.total_steps, 0, told.epoch_steps)
        for optimizer in self._scheduled:
            keras_internals.set_learning_rate(optimizer, None)
        self.model.make_train_function(force=force or bool(self._scheduled))
        self._told, self._scheduled = [], []


def _parts(model):
    """The optimizers, one or more, that train a model.

    That of `compile`, and those that the model of a user's own has as
    attributes, one by one or in lists or dicts, for its own `train_step`.
    """
    found: dict[int, keras.optimizers.Optimizer] = {}
    for value in [model.optimizer, *vars(model).values()]:
        if isinstance(value, dict):
            value = list(value.values())
        for one in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(one, keras.optimizers.Optimizer):
                found |= {id(part): part for part in _within(one, model)}
    return list(found.values())


def _within(optimizer, model):
    """The optimizers that an optimizer consists of; most are their own."""
    optimizer = without_loss_scale(optimizer)
    if not isinstance(optimizer, keras.optimizers.MultiOptimizer):
        return [optimizer]
    compiled = optimizer is model.optimizer
    if compiled and not optimizer.built and model.built:
        # Only then it has made them all.
        optimizer.build(model.trainable_variables)
    return optimizer.optimizers


def _plain_rate(optimizer):
    """The variable of an optimizer's learning rate."""
    rate = keras_internals.learning_rate_variable(optimizer)
    if rate is None:
        raise ValueError(
            f"Optimizer '{optimizer.name}' has a schedule of its own. Leave "
            "`keras_l2o.callbacks.Horizon` out, or make the optimizer with a "
            "float `learning_rate`, which then follows a cosine."
        )
    return rate


def _cosine(
    optimizer: keras.optimizers.Optimizer,
    rate: keras.Variable,
    first: int,
    total: int,
    warmup: float,
) -> Callable[[], Tensor]:
    """The function that gives the learning rate of an optimizer's next step.

    It reads the optimizer's own count of steps and rate. The horizon's numbers
    are constants: a variable of the optimizer's would be one more in its file,
    and JAX would take any other for a constant, too.
    """
    rising = round(warmup * total)

    def current():
        done = ops.cast(optimizer.iterations - first, "float32")
        progress = ops.clip((done - rising) / max(total - rising, 1), 0.0, 1.0)
        factor = 0.5 * (1.0 + ops.cos(math.pi * progress))
        if rising:
            factor = ops.where(done < rising, (done + 1.0) / rising, factor)
        return rate * ops.cast(factor, rate.dtype)

    return current
