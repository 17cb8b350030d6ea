"""Values that change from period to period, or from stage to stage."""

import math
import numbers
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import TypeAlias

import keras

#: What a `Schedule` can be made of.
Scheduled: TypeAlias = (
    float
    | Sequence[float]
    | Mapping[str, Any]
    | keras.optimizers.schedules.LearningRateSchedule
)


class Schedule:
    """A value for each period, or for each stage, of a run.

    Call it with the number of the period or stage, counted from 0.

    Args:
        value: One of
            a number, the value of every index;
            a list of numbers, one for each index, the last of which also
            holds for all later ones;
            `{"geometric": {"start": a, "ratio": r}}`, for `a * r**index`;
            `{"exponential": {"start": a, "rate": k}}`, for
            `a * exp(k * index)`;
            a `keras.optimizers.schedules.LearningRateSchedule`, called with
            the index.
        kind: `int` or `float`, the type of the values. If it is `int`, values
            are rounded to the nearest integer. Defaults to `float`.
        least: Number. No value may be below it. Defaults to `0`.
        name: String. The argument that errors name. Defaults to `"value"`.

    Raises:
        ValueError: `value` has none of these forms, or is below `least`.

    Example:

    >>> schedule = keras_l2o.strategies.Schedule([1, 2, 5], int)
    >>> [schedule(index) for index in range(4)]
    [1, 2, 5, 5]
    >>> halved = {"geometric": {"start": 8.0, "ratio": 0.5}}
    >>> keras_l2o.strategies.Schedule(halved)(1)
    4.0
    """

    def __init__(
        self,
        value: Scheduled,
        kind: type[int] | type[float] = float,
        least: float = 0,
        name: str = "value",
    ) -> None:
        if isinstance(value, tuple):
            value = list(value)
        self.kind, self.least, self.name = kind, least, name
        self.value = value
        self._rule = self._parse(value)
        for index in range(len(value) if isinstance(value, list) else 1):
            self(index)

    def __call__(self, index: int) -> Any:
        """The value of an index.

        Args:
            index: Int, counted from 0.

        Returns:
            Int or float, as `kind` says.

        Raises:
            ValueError: The value is below `least`.
        """
        value = self._rule(index)
        value = round(value) if self.kind is int else float(value)
        if not value >= self.least:
            raise ValueError(
                f"Argument `{self.name}` must be at least {self.least} "
                f"throughout. Received: {self.name}={self.value}, which is "
                f"{value} at index {index}"
            )
        return value

    def config(self) -> Any:
        """The value in a form that JSON can hold and the constructor takes.

        Returns:
            Number, list or dict.
        """
        schedules = keras.optimizers.schedules
        if isinstance(self.value, schedules.LearningRateSchedule):
            return schedules.serialize(self.value)
        return self.value

    def _parse(self, value):
        schedules = keras.optimizers.schedules
        if isinstance(value, dict) and "class_name" in value:
            value = schedules.deserialize(value)
        if isinstance(value, schedules.LearningRateSchedule):
            return lambda index: float(keras.ops.convert_to_numpy(value(index)))
        if self._is_number(value):
            return lambda index: value
        if isinstance(value, (list, tuple)) and value:
            if all(self._is_number(entry) for entry in value):
                return lambda index: value[min(index, len(value) - 1)]
        if isinstance(value, dict) and len(value) == 1:
            ((form, terms),) = value.items()
            if form == "geometric" and _has_numbers(terms, "start", "ratio"):
                return lambda index: terms["start"] * terms["ratio"] ** index
            if form == "exponential" and _has_numbers(terms, "start", "rate"):
                return lambda index: (
                    terms["start"] * math.exp(terms["rate"] * index)
                )
        numbers_of = "integers" if self.kind is int else "numbers"
        raise ValueError(
            f"Argument `{self.name}` must be one of the {numbers_of}, a list "
            'of these, {"geometric": {"start": a, "ratio": r}}, '
            '{"exponential": {"start": a, "rate": k}} or a Keras schedule. '
            f"Received: {self.name}={value!r}"
        )

    def _is_number(self, value):
        kind = numbers.Integral if self.kind is int else numbers.Real
        return isinstance(value, kind) and not isinstance(value, bool)


def _has_numbers(terms, *names):
    return (
        isinstance(terms, dict)
        and set(terms) == set(names)
        and all(isinstance(term, numbers.Real) for term in terms.values())
    )
