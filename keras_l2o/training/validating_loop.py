import contextlib
import dataclasses
from typing import Any

import keras
from keras import ops

from keras_l2o.training.inner_loop import policy_variables
from keras_l2o.training.side_by_side import ValidationSideBySide
from keras_l2o.training.stateful_loop import StatefulLoop
from keras_l2o.training.validation_episodes import ValidationEpisodes
from keras_l2o.typing import Nest
from keras_l2o.typing import Tensor

#: The place of the student in the pool, alone.
STUDENT = (0,)


@dataclasses.dataclass
class _Kept:
    """What teachers came to in a validation, and what that depends on."""

    cause: Any = None
    values: list[Any] = dataclasses.field(default_factory=list)


class ValidatingLoop(StatefulLoop):
    """A loop whose validation runs the teachers once.

    Neither they nor the data of a validation change from one to the next. So
    what they come to is kept, and later validations run the student alone.
    """

    validation: ValidationEpisodes
    validation_warmup_rate: float
    #: Which policies of the pool a validation runs now; `None` for all.
    _validated: tuple[int, ...] | None = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        #: What Keras has made for `evaluate`, by these.
        self._made: dict[tuple[int, ...], Any] = {}
        self._kept = _Kept()

    def evaluate(self, x: Any = None, **kwargs: Any) -> Any:
        """Runs the validation rollouts of the student and of each teacher.

        The teachers' results are kept: they are run again only if their
        weights or the validation have changed.

        Args:
            x: Data. Defaults to `None`, the trainer's `validation`.
            **kwargs: Further arguments of `keras.Model.evaluate`.

        Returns:
            Dict of floats, such as `log_loss`.
        """
        if not self.compiled:
            self.compile()
        kwargs.setdefault("return_dict", True)
        x = self.validation if x is None else x
        if (
            not self.teachers
            or type(x) not in (ValidationEpisodes, ValidationSideBySide)
            or kwargs.get("steps") is not None
        ):
            return super().evaluate(x, **kwargs)
        cause = self._what_teachers_depend_on(x)
        if self._kept.cause != cause:
            # The state is the same whether they run now or have run before.
            carried = keras.tree.flatten(
                self._variables(self.outer_loop).validation
            )
            before = _copies(carried)
            with self._validating(tuple(range(1, 1 + len(self.teachers)))):
                super().evaluate(x, verbose=0)
            self._kept = _Kept(cause, _copies(self._teacher_metrics()))
            for variable, value in zip(carried, before):
                variable.assign(value)
        with self._validating(STUDENT):
            return super().evaluate(x, **kwargs)

    def _what_teachers_depend_on(self, validation):
        weights = [
            ops.convert_to_numpy(variable).tobytes()
            for teacher in self.teachers
            for variable in policy_variables(teacher)
        ]
        return validation.every, self.validation_warmup_rate, weights

    def _teacher_metrics(self):
        """The variables of the teachers' metrics of validation."""
        variables = self.logs.teacher_variables
        if self._stacked is None:
            return variables
        return self._stacked.state(None).metrics[-len(variables) :]

    @contextlib.contextmanager
    def _validating(self, policies):
        """Within it, a validation runs these policies of the pool alone."""
        before = self._validated, self.test_function
        self._validated = policies
        self.test_function = self._made.get(policies)
        try:
            yield
        finally:
            self._made[policies] = self.test_function
            self._validated, self.test_function = before

    def forget_validation(self) -> None:
        super().forget_validation()
        self._made.clear()

    def validation_step(self, data: Nest) -> dict[str, Tensor]:
        """Runs one truncation of the validation.

        Args:
            data: An item of `ValidationEpisodes`.

        Returns:
            Dict of scalars, the logs; of replicates, means over them, and
            each one's log loss.
        """
        logs = self._run("validate", data, self._validated)
        if self.replicates is None:
            return logs
        own = {
            f"log_loss_replicate_{index}": logs["log_loss"][index]
            for index in range(self.replicates)
        }
        return {**self._means(logs), **own}

    # Methods that Keras calls.

    def reset_metrics(self) -> None:
        """Sets the metrics to zero, at the start of an epoch.

        Where the student is validated alone, the teachers' to what they came
        to before.
        """
        super().reset_metrics()
        if self._validated == STUDENT:
            values = self._kept.values
            for variable, value in zip(self._teacher_metrics(), values):
                variable.assign(value)


def _copies(variables):
    return [ops.convert_to_numpy(variable).copy() for variable in variables]
