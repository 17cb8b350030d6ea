import keras
from keras import ops

from keras_l2o import backend
from keras_l2o.training import checks
from keras_l2o.training.inner_loop import policy_variables
from keras_l2o.training.outer_state import OuterState
from keras_l2o.training.replicates import Replicates
from keras_l2o.training.replicates import mapped


class StatefulLoop(backend.StatefulStep, keras.Model):
    """Base class of `MetaTrainer`: an `OuterLoop` whose state is in variables.

    A compiled step reads the variables, calls the pure function, and assigns
    what comes back. The state of one student is in the variables of the
    student, the outer optimizer and the metrics themselves, so that whoever
    looks at these sees the training; that of replicates is in others, stacked.

    The subclass's constructor sets the attributes that `outer_loop` looks at,
    and calls `hold` in the end.
    """

    #: Int, or `None` for one student without an axis.
    replicates = None
    _stacked = None

    @property
    def outer_loop(self):
        """The pure `OuterLoop`, as the model is now set."""
        raise NotImplementedError(
            f"{type(self).__name__} must have `outer_loop`."
        )

    def scalar(self, name, value, dtype=None):
        """A variable that training does not change."""
        return self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(value),
            dtype=dtype,
            trainable=False,
            name=name,
        )

    def hold(self, seeds):
        """Makes the variables of the state that are nobody else's.

        Args:
            seeds: List of one seed a replicate, or `None` where it starts
                from the student's weights as they are.
        """
        loop = self.outer_loop
        if self.replicates is not None:
            self._stacked = Replicates([loop.init(seed) for seed in seeds])
            return
        steps = self.scalar("outer_steps", 0, "int32")
        first = loop.init()
        carries = self._zeros("carry", first.carries)
        validation = self._zeros("validation_carry", first.validation)
        # In a function: what is an attribute Keras tracks and saves, too.
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

    def hold_optimizer(self):
        """Makes the variables of the outer optimizer's state, if it is own."""
        if self._stacked is not None:
            first = [backend.read(v) for v in self.outer_loop.update.variables]
            self._stacked.hold("optimizer", [first] * self.replicates)

    @property
    def state(self):
        """The `OuterState` of tensors, as the variables are now."""
        if not self.compiled:
            self.compile()
        return keras.tree.map_structure(
            backend.read, self._variables(self.outer_loop)
        )

    def _variables(self, loop):
        """The `OuterState` of variables that a step goes by."""
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

    def outer_step(self, data):
        """One outer step on the data of `Episodes`; returns the logs."""
        return self._means(self._run("step", data))

    def validation_step(self, data):
        """One truncation of the validation; returns the logs."""
        logs = self._run("validate", data)
        if self.replicates is None:
            return logs
        own = {
            f"log_loss_replicate_{index}": logs["log_loss"][index]
            for index in range(self.replicates)
        }
        return {**self._means(logs), **own}

    def _means(self, logs):
        if self.replicates is None:
            return logs
        return {name: ops.mean(row) for name, row in logs.items()}

    def _run(self, name, data):
        """Runs a function of the outer loop on what the variables hold."""
        loop = self.outer_loop
        function, (data,) = getattr(loop, name), data
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
    def outer_steps(self):
        """Int. Outer steps that the student, or each of them, has made."""
        if self._stacked is not None:
            return self._stacked.steps()
        _, _, steps = self._own()
        return int(ops.convert_to_numpy(steps))

    def get_student(self, replicate=None):
        """A copy of the student, as it is now.

        Args:
            replicate: Int. Which student, from 0, of a trainer of several.
                Defaults to `None`, for a trainer of one.

        Returns:
            A `Policy`.
        """
        checks.replicate(replicate, self.replicates)
        student = self.outer_loop.distillation.student.copy()
        if replicate is not None:
            values = self._stacked.weights(replicate)
            for variable, value in zip(policy_variables(student), values):
                variable.assign(value)
        return student

    def set_student(self, weights, replicate=None):
        """Gives the student other weights.

        Args:
            weights: List of arrays, as `Policy.get_weights` returns.
            replicate: As in `get_student`.
        """
        checks.replicate(replicate, self.replicates)
        student = self.outer_loop.distillation.student
        if replicate is None:
            student.set_weights(weights)
            return
        student = student.copy()
        student.set_weights(weights)
        values = map(ops.convert_to_numpy, policy_variables(student))
        self._stacked.set_weights(replicate, values)

    # What Keras asks for.

    @property
    def metrics(self):
        # Those of replicates have an axis, which Keras would not report.
        return self.logs.metrics if self.replicates is None else []

    def reset_metrics(self):
        if self._stacked is None:
            super().reset_metrics()
        else:
            self._stacked.reset_metrics()

    @property
    def non_trainable_variables(self):
        # What noise is drawn from comes and goes with the callbacks of a
        # `fit`, so that it cannot be the model's own; the compiled step has to
        # have it all the same.
        stacked = [] if self._stacked is None else self._stacked.variables
        return super().non_trainable_variables + stacked + self.noise

    def save_own_variables(self, store):
        super().save_own_variables(store)
        if self._stacked is not None:
            for name, variable in self._stacked.stored.items():
                store[name] = variable

    def load_own_variables(self, store):
        if self._stacked is None:
            super().load_own_variables(store)
            return
        super().load_own_variables(
            {name: store[name] for name in store.keys() if name.isdigit()}
        )
        for name, variable in self._stacked.stored.items():
            variable.assign(store[name])

    def load_first_version(self, store):
        """Loads what `save_own_variables` of the first version has stored."""
        teachers = self.outer_loop.distillation.teachers
        self._stacked.assign_first_version(
            store, sum(len(teacher.variables) for teacher in teachers)
        )
