"""Values that change from period to period, or from stage to stage."""

import math
import numbers

import keras


class Schedule:
    """A value for each index, from 0: a period's or a stage's number.

    Args:
        value: One of
            a number, which holds throughout;
            a list of numbers, the last of which stays;
            `{"geometric": {"start": a, "ratio": r}}`, for `a * r**index`;
            `{"exponential": {"start": a, "rate": k}}`, for
            `a * exp(k * index)`;
            a `keras.optimizers.schedules.LearningRateSchedule`.
        kind: `int` or `float`. What a value is; an int is rounded to.
        least: Number. No value may be below it. Defaults to `0`.
        name: String. The argument that errors name.
    """

    def __init__(self, value, kind=float, least=0, name="value"):
        if isinstance(value, tuple):
            value = list(value)
        self.kind, self.least, self.name = kind, least, name
        self.value = value
        self._rule = self._parse(value)
        for index in range(len(value) if isinstance(value, list) else 1):
            self(index)

    def __call__(self, index):
        """The value at an index."""
        value = self._rule(index)
        value = round(value) if self.kind is int else float(value)
        if not value >= self.least:
            raise ValueError(
                f"Argument `{self.name}` must be at least {self.least} "
                f"throughout. Received: {self.name}={self.value}, which is "
                f"{value} at index {index}"
            )
        return value

    def config(self):
        """The value as JSON can hold it and the constructor takes it."""
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
