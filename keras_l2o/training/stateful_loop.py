from collections.abc import MutableMapping
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_l2o import backend
from keras_l2o.perturbations import Perturbation
from keras_l2o.policies import Policy
from keras_l2o.training import checks
from keras_l2o.training import periods
from keras_l2o.training.estimators import Estimator
from keras_l2o.training.inner_loop import policy_variables
from keras_l2o.training.outer_loop import OuterLoop
from keras_l2o.training.outer_state import OuterState
from keras_l2o.training.programs import Programs
from keras_l2o.training.replicates import Replicates
from keras_l2o.training.replicates import mapped
from keras_l2o.typing import Nest
from keras_l2o.typing import Tensor


class StatefulLoop(backend.StatefulStep, keras.Model):
    """Base class of `MetaTrainer`: a Keras model around an `OuterLoop`.

    The outer loop consists of pure functions; this class keeps their state in
    variables. A compiled step reads the variables, calls a function, and
    assigns what it returns. With one student, these are the variables of the
    student, of the outer optimizer and of the metrics themselves, so that
    they show the training as it goes on. With replicates, there are further
    variables that hold the states of all of them, stacked.

    The constructor of the subclass sets the attributes that `outer_loop`
    reads, and calls `hold` at its end.
    """

    #: Int, the number of replicates; `None` for one student, whose state has
    #: no axis over replicates.
    replicates: int | None = None
    student: Policy
    teachers: list[Policy]
    perturbations: list[Perturbation]
    estimator: Estimator
    programs: Programs
    _stacked: Replicates | None = None

    @property
    def outer_loop(self) -> OuterLoop:
        """The pure `OuterLoop`, with the model's present settings."""
        raise NotImplementedError(
            f"{type(self).__name__} must have `outer_loop`."
        )

    @property
    def noise(self) -> list[keras.Variable]:
        """Variables of the perturbations and of the estimator."""
        parts: tuple[Perturbation | Estimator, ...] = (
            *self.perturbations,
            self.estimator,
        )
        return [variable for part in parts for variable in part.variables]

    def scalar(
        self, name: str, value: float, dtype: str | None = None
    ) -> keras.Variable:
        """Adds a scalar variable that is not trained.

        Args:
            name: String.
            value: Number, its first value.
            dtype: String. Defaults to `None`, the model's own.

        Returns:
            The variable.
        """
        return self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(value),
            dtype=dtype,
            trainable=False,
            name=name,
        )

    def hold(self, seeds: Sequence[int | None]) -> None:
        """Creates variables for those parts of the state that have none yet.

        Args:
            seeds: List with an int for each replicate, from which its first
                weights are drawn, or `None` where they are the student's
                present ones.
        """
        loop = self.outer_loop
        if self.replicates is not None:
            self._stacked = Replicates([loop.init(seed) for seed in seeds])
            return
        steps = self.scalar("outer_steps", 0, "int32")
        first = loop.init()
        carries = self._zeros("carry", first.carries)
        validation = self._zeros("validation_carry", first.validation)
        # In a function, because Keras would track and save attributes again.
        self._own = lambda: (carries, validation, steps)

    def _zeros(self, prefix, nests):
        made = []
        for number, nest in enumerate(nests):
            leaves = [
                self.add_weight(
                    shape=tuple(leaf.shape),
                    initializer="zeros",
                    dtype=keras.backend.standardize_dtype(leaf.dtype),
                    trainable=False,
                    name=f"{prefix}_{number}_{index}",
                )
                for index, leaf in enumerate(keras.tree.flatten(nest))
            ]
            made.append(keras.tree.pack_sequence_as(nest, leaves))
        return made

    def hold_optimizer(self) -> None:
        """Creates the variables for the outer optimizer's state of replicates.

        One student's state is in the optimizer's own variables.
        """
        if self._stacked is not None:
            first = [backend.read(v) for v in self.outer_loop.update.variables]
            self._stacked.hold("optimizer", [first] * self._stacked.count)

    @property
    def state(self) -> OuterState:
        """The `OuterState` of the variables' present values, as tensors."""
        if not self.compiled:
            self.compile()
        return keras.tree.map_structure(
            backend.read, self._variables(self.outer_loop)
        )

    def _variables(self, loop):
        """The `OuterState` of the variables that a step reads and assigns."""
        if self._stacked is not None:
            return self._stacked.state(loop.knobs)
        carries, validation, steps = self._own()
        student = loop.distillation.student
        return OuterState(
            weights=student.trainable_variables,
            frozen=student.non_trainable_variables,
            optimizer=loop.update.variables,
            carries=carries,
            validation=validation,
            metrics=loop.logs.variables,
            steps=steps,
            shared=loop.knobs,
        )

    def outer_step(self, data: Nest) -> dict[str, Tensor]:
        """Makes one outer step.

        Args:
            data: An item of `Episodes.stream`.

        Returns:
            Dict of scalars, the logs; means over replicates.
        """
        return self._means(self._run("step", data))

    def _means(self, logs):
        if self.replicates is None:
            return logs
        return {name: ops.mean(row) for name, row in logs.items()}

    def _run(self, name, data, *options):
        """Runs a function of the outer loop on the state in the variables."""
        loop, (data,) = self.outer_loop, data

        def function(state, data):
            return getattr(loop, name)(state, data, *options)

        variables = self._variables(loop)
        old = keras.tree.map_structure(backend.read, variables)
        if self.replicates is None:
            new, logs = function(old, data)
        else:
            new, logs = mapped(function, old, data, self.replicates)
        for variable, before, after in zip(
            *map(keras.tree.flatten, (variables, old, new))
        ):
            if after is not before:
                variable.assign(after)
        return logs

    @property
    def outer_steps(self) -> int:
        """Int. Outer steps that the student, or each replicate, has made."""
        if self._stacked is not None:
            return self._stacked.steps()
        _, _, steps = self._own()
        return int(ops.convert_to_numpy(steps))

    def get_student(self, replicate: int | None = None) -> Policy:
        """Copies the student with its present weights.

        Args:
            replicate: Int, counted from 0, which of the students, if the
                trainer has replicates. Defaults to `None`, for a trainer of
                one student.

        Returns:
            A `Policy`.

        Raises:
            ValueError: There is no such replicate.
        """
        checks.replicate(replicate, self.replicates)
        student = self.student.copy()
        if self._stacked is not None:
            values = self._stacked.weights(replicate)
            for variable, value in zip(policy_variables(student), values):
                variable.assign(value)
        return student

    def set_student(
        self, weights: Sequence[Any], replicate: int | None = None
    ) -> None:
        """Gives the student other weights.

        Args:
            weights: List of arrays, as `Policy.get_weights` returns.
            replicate: As in `get_student`. Defaults to `None`.

        Raises:
            ValueError: There is no such replicate.
        """
        checks.replicate(replicate, self.replicates)
        if self._stacked is None:
            self.student.set_weights(weights)
            return
        student = self.student.copy()
        student.set_weights(weights)
        values = map(ops.convert_to_numpy, policy_variables(student))
        self._stacked.set_weights(replicate, values)

    def _attach_perturbations(self, callbacks):
        found = periods.of_type(callbacks, Perturbation)
        if found != list(self.perturbations):
            with backend.device_scope(self):
                for perturbation in found:
                    perturbation.build()
            self.perturbations = found
            self.train_function = None
            self.forget_validation()

    def forget_validation(self) -> None:
        """Forgets what `evaluate` runs: what it depends on has changed."""
        self.test_function = None

    # Methods that Keras calls.

    def make_train_function(self, force: bool = False) -> Any:
        """Makes what `fit` runs; what was compiled before is forgotten.

        Args:
            force: Bool. Whether to make it again if it is there. Defaults to
                `False`.

        Returns:
            The function, as Keras's own method returns it.
        """
        if force or self.train_function is None:
            self.programs.clear("estimate")
        return super().make_train_function(force)

    def make_test_function(self, force: bool = False) -> Any:
        """Makes what `evaluate` runs, as `make_train_function` does for `fit`.

        Args:
            force: As in `make_train_function`. Defaults to `False`.

        Returns:
            The function.
        """
        if force or self.test_function is None:
            self.programs.clear("validate")
        return super().make_test_function(force)

    @property
    def metrics(self) -> list[keras.Metric]:
        # Keras cannot report metrics that have an axis over replicates.
        return self.logs.metrics if self.replicates is None else []

    def reset_metrics(self) -> None:
        """Sets the metrics to zero, at the start of an epoch."""
        if self._stacked is None:
            super().reset_metrics()
        else:
            self._stacked.reset_metrics()

    @property
    def non_trainable_variables(self) -> list[keras.Variable]:
        # The states that noise is drawn from belong to the callbacks of a
        # `fit`, so Keras does not track them; the compiled step needs them.
        stacked = [] if self._stacked is None else self._stacked.variables
        return super().non_trainable_variables + stacked + self.noise

    def save_own_variables(self, store: MutableMapping[str, Any]) -> None:
        super().save_own_variables(store)
        if self._stacked is not None:
            for name, variable in self._stacked.stored.items():
                store[name] = variable

    def load_own_variables(self, store: MutableMapping[str, Any]) -> None:
        if self._stacked is None:
            super().load_own_variables(store)
            return
        super().load_own_variables(
            {name: store[name] for name in store.keys() if name.isdigit()}
        )
        for name, variable in self._stacked.stored.items():
            variable.assign(store[name])

    def load_first_version(self, store: MutableMapping[str, Any]) -> None:
        """Loads replicates from a checkpoint of the package's first version.

        Args:
            store: Mapping from numbers, as strings, to arrays.
        """
        assert self._stacked is not None  # one student's have not changed
        self._stacked.assign_first_version(
            store, sum(len(teacher.variables) for teacher in self.teachers)
        )
