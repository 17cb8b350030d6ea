"""Errors that name an argument of meta-training, its rule and its value."""

import math
import numbers
from typing import Any

import keras

from keras_l2o import backend
from keras_l2o.policies import Policy
from keras_l2o.policies.arguments import check_count


def count(name: str, value: Any, least: int = 1) -> int:
    """The value, if it is an integer of at least `least`."""
    return check_count(name, value, least)


def number(name: str, value: Any, above: float | None = None) -> float:
    """The value, if it is a finite number, not negative and above `above`."""
    real = isinstance(value, numbers.Real) and math.isfinite(value)
    if not real or value < 0.0 or (above is not None and value <= above):
        rule = "not negative" if above is None else f"above {above:g}"
        raise ValueError(
            f"Argument `{name}` must be a finite number, {rule}. Received: "
            f"{name}={value!r}"
        )
    return float(value)


def number_or_none(name: str, value: Any, above: float) -> float | None:
    """The value, if it is `None` or a finite number above `above`."""
    return None if value is None else number(name, value, above)


def share(name: str, value: Any) -> float:
    """The value, if it is a number from 0 to 1."""
    if not isinstance(value, (int, float)) or not 0.0 <= value <= 1.0:
        raise ValueError(
            f"Argument `{name}` must be a number from 0 to 1. Received: "
            f"{name}={value!r}"
        )
    return float(value)


def rematerialize(value: bool | str) -> bool:
    """What `MetaTrainer.compile` makes of its argument of this name."""
    if value == "auto":
        return backend.REMATERIALIZES
    if not isinstance(value, bool):
        raise ValueError(
            "Argument `rematerialize` must be a bool or 'auto'. Received: "
            f"rematerialize={value!r}"
        )
    return value


#: More problems than these have a program each, where that is possible.
TOGETHER = 4


def jit_compile(
    value: bool | str,
    eager: bool,
    episodes: Any,
    replicates: int | None,
    devices: int,
) -> bool | str:
    """What `MetaTrainer.compile` makes of its argument of this name."""
    apart = (
        backend.COMPILES_PARTS
        and not eager
        and replicates is None
        and devices == 1
    )
    if value == "auto":
        many = len(episodes.problems) > TOGETHER
        if apart and (many or episodes.problems_per_step is not None):
            return "by_problem"
        return not eager and backend.jit_compile_training()
    if value == "by_problem" and not apart:
        raise ValueError(
            "Argument `jit_compile` can be 'by_problem' on the backend `jax` "
            "alone, with one student on one device, and without `run_eagerly`. "
            f"Received: jit_compile={value!r} on {keras.backend.backend()}, "
            f"replicates={replicates}, {devices} devices"
        )
    return value


def problems_per_step(
    value: int | None, problems: int, whole: bool
) -> int | None:
    """The value, if so many problems can be drawn for an outer step."""
    if value is None:
        return None
    if not whole:
        raise ValueError(
            "Argument `problems_per_step` needs an estimator of whole "
            "episodes, such as `FullUnroll`: a problem that is left out would "
            f"miss a truncation. Received: problems_per_step={value}"
        )
    if count("problems_per_step", value) > problems:
        raise ValueError(
            "Argument `problems_per_step` must not be more than there are "
            f"problems, {problems}. Received: problems_per_step={value}"
        )
    return value


def drawn_problems(episodes, as_it_is):
    """Refuses to draw problems where a step is traced for all of them.

    Args:
        episodes: `Episodes`.
        as_it_is: Bool. Whether the outer step runs without being traced. On
            torch it always does. On TensorFlow it cannot: Keras wants data of
            one structure there.
    """
    backend_name = keras.backend.backend()
    as_it_is = backend_name == "torch" or (backend_name == "jax" and as_it_is)
    if episodes.problems_per_step is not None and not as_it_is:
        raise ValueError(
            "Argument `problems_per_step` needs an outer step that runs as it "
            "is: on JAX, compiled with `jit_compile='by_problem'`, or torch. "
            f"Received: problems_per_step={episodes.problems_per_step} on "
            f"{backend_name}"
        )


def depths(name: str, value: Any) -> tuple[int, int]:
    """The least and the greatest number of truncations of an episode."""
    pair = (value, value) if isinstance(value, numbers.Integral) else value
    try:
        low, high = (count(name, end) for end in pair)
    except (TypeError, ValueError):
        low, high = 1, 0
    if low > high:
        raise ValueError(
            f"Argument `{name}` must be an int of at least 1 or a pair of "
            f"ints in ascending order. Received: {name}={value!r}"
        )
    return low, high


def devices(count, **tasks):
    """Refuses numbers of tasks that do not divide evenly among devices.

    Args:
        count: Int. Number of devices.
        **tasks: Ints, numbers of tasks, by the names of their arguments.
    """
    for key, value in tasks.items():
        if value % count:
            raise ValueError(
                f"Argument `{key}` must be a multiple of the number of "
                f"devices, {count}: each runs its share of the tasks. "
                f"Received: {key}={value}"
            )


def same_tasks(episodes, old):
    """Refuses episodes of other problems or of another number of tasks.

    Args:
        episodes: `Episodes` that a trainer is given.
        old: `Episodes` that the trainer's variables were made for.
    """
    if episodes.tasks != old.tasks or episodes.problems != old.problems:
        raise ValueError(
            "The episodes must be of the trainer's problems and number of "
            f"tasks: its variables hold {old.tasks} of {old.problems}. "
            f"Received: {episodes.tasks} tasks of {episodes.problems}"
        )


def strategy(value, replicates):
    """Refuses, for replicates, a strategy that goes by one's validation.

    Args:
        value: `Plan`.
        replicates: Int, or `None` for a trainer of one student.
    """
    if replicates is not None and not value.plans_ahead:
        raise ValueError(
            "This strategy goes by the validation of one student. Received: "
            f"strategy={type(value).__name__} for {replicates} replicates. "
            "Use `strategies.Simple`, or train each with its own `MetaTrainer` "
            "and strategy."
        )


def replicate(value, replicates):
    """Refuses a number that no replicate of a trainer has.

    Args:
        value: Int, or `None` for a trainer of one student.
        replicates: Int, or `None` for a trainer of one student.
    """
    if replicates is None and value is not None:
        raise ValueError(
            "Argument `replicate` must be left out for a trainer of one "
            f"student. Received: replicate={value!r}"
        )
    if replicates is not None and value not in range(replicates):
        raise ValueError(
            f"Argument `replicate` must be in [0, {replicates}): which of "
            f"this trainer's students. Received: replicate={value!r}"
        )


def student(value):
    """Refuses what is no policy with trainable weights; builds the policy."""
    if not isinstance(value, Policy):
        raise ValueError(
            "Argument `student` must be a `keras_l2o.policies.Policy`. "
            f"Received: student={value!r}"
        )
    if not value.built:
        value.build(None)
    if not value.trainable_variables:
        raise ValueError(
            "Argument `student` must have trainable weights. "
            f"{type(value).__name__} has none: it can be a teacher."
        )
