import keras
from keras import ops

from keras_l2o import backend
from keras_l2o.training import inner_loop
from keras_l2o.training import outer_step
from keras_l2o.training.carry import Carry
from keras_l2o.training.guard import guarded_apply
from keras_l2o.training.validation import validation_truncation


class OuterLoop(backend.StatefulStep, keras.Model):
    """Base class of `MetaTrainer`: the steps that Keras compiles.

    They read the variables, call the pure functions of `outer_step` and
    `validation`, and assign what comes back. The subclass's constructor sets
    the attributes that they look at and calls `create_variables`.
    """

    def create_variables(self, meta_weight, imitation_weight):
        """Makes what a run keeps, besides the policies' weights."""

        def scalar(name, value, dtype=None):
            return self.add_weight(
                shape=(),
                initializer=keras.initializers.Constant(value),
                dtype=dtype,
                trainable=False,
                name=name,
            )

        self.meta_weight = scalar("meta_weight", meta_weight)
        self.imitation_weight = scalar("imitation_weight", imitation_weight)
        self.outer_steps = scalar("outer_steps", 0, "int32")
        pool = [self.student, *self.teachers]

        def carries(tasks, name):
            return [
                Carry(self, problem, pool, tasks, f"{name}_{index}")
                for index, problem in enumerate(self.problems)
            ]

        self._carries = carries(self.episodes.tasks, "carry")
        self._validation_carries = carries(
            self.validation.episodes.tasks, "validation_carry"
        )

    @property
    def metrics(self):
        return self.logs.metrics

    @property
    def non_trainable_variables(self):
        # The perturbations' variables come and go with the callbacks of a
        # `fit`, so they cannot be the model's own; the compiled step has to
        # have them all the same.
        return super().non_trainable_variables + [
            variable
            for perturbation in self.perturbations
            for variable in perturbation.variables
        ]

    def outer_step(self, data):
        """One outer step on the data of `Episodes`, on any backend."""
        tensors = self._tensors()
        distillation = self._distillation()
        gradients = [ops.zeros_like(weight) for weight in tensors.weights]
        count = ops.zeros(())
        cold = ops.convert_to_tensor(True)  # whether all tasks warm up
        for problem, carry, tasks in zip(self.problems, self._carries, data[0]):
            results = outer_step.outer_gradients(
                distillation,
                problem,
                tensors,
                tasks,
                carry.read(),
                self.episodes.tasks,
            )
            carry.assign(backend.gather_tasks(results.trajectories))
            gradients = [
                total + outer_step.masked_sum(gradient, results.counts)
                for total, gradient in zip(gradients, results.gradients)
            ]
            count = count + ops.sum(ops.cast(results.counts, "float32"))
            cold = ops.logical_and(cold, ops.all(tasks["warming"]))
            self.logs.update_tasks(results, tasks["replaced_batches"])
        *gradients, count = backend.sum_devices([*gradients, count])
        gradients = [
            gradient / ops.cast(ops.maximum(count, 1.0), gradient.dtype)
            for gradient in gradients
        ]
        applied = guarded_apply(
            self.optimizer,
            self.student.trainable_variables,
            tensors.weights,
            gradients,
            count > 0,
            self.gradient_clipping,
            self.clipping_floor,
        )
        # Every device that runs this counts its share of the one update. Where
        # all tasks warm up there is none that could be skipped.
        share = backend.local_tasks(self.episodes.tasks) / self.episodes.tasks
        self.logs.skipped_updates.update_state(
            (1.0 - ops.cast(ops.logical_or(applied, cold), "float32")) * share
        )
        self.outer_steps.assign_add(1)
        # Copies: on torch a sum is its variable, which validation sets to zero.
        return {m.name: m.result() + 0.0 for m in self.logs.training}

    def _distillation(self):
        return outer_step.Distillation(
            student=self.student,
            teachers=self.teachers,
            objective=self.objective,
            unroll=self.unroll,
            scaled=bool(self.episodes.spread),
            warmup_rate=self.warmup_rate if self.warmup else None,
            synchronize_teachers=self.synchronize_teachers,
            perturbations=list(self.perturbations),
            log_losses=self.log_losses,
            log_teachers=self.log_teachers,
            rematerialize=self.rematerialize,
        )

    def _tensors(self):
        student, *teachers = self._policy_values()
        count = len(self.student.trainable_variables)
        weights = student[:count]
        drawn = [p.offsets(weights, self.unroll) for p in self.perturbations]
        drawn = [offsets for offsets in drawn if offsets is not None]
        return outer_step.Tensors(
            weights=weights,
            frozen=student[count:],
            teachers=teachers,
            offsets=[sum(parts) for parts in zip(*drawn)],
            meta_weight=backend.read(self.meta_weight),
            imitation_weight=backend.read(self.imitation_weight),
        )

    def _policy_values(self):
        return [
            [
                backend.read(variable)
                for variable in inner_loop.policy_variables(policy)
            ]
            for policy in (self.student, *self.teachers)
        ]

    def validation_step(self, data):
        """One truncation of the validation rollouts, on any backend."""
        values = self._policy_values()
        pool = [self.student, *self.teachers]
        episodes = self.validation.episodes
        warmup_rate = self.validation_warmup_rate if episodes.warmup else None
        for problem, carry, tasks in zip(
            self.problems, self._validation_carries, data[0]
        ):
            trajectories, log_losses = backend.map_tasks(
                lambda task, values, problem=problem: validation_truncation(
                    pool, values, problem, episodes.unroll, warmup_rate, *task
                ),
                (tasks, backend.share_tasks(carry.read(), episodes.tasks)),
                values,
                backend.local_tasks(episodes.tasks),
            )
            carry.assign(backend.gather_tasks(trajectories))
            self.logs.update_validation(log_losses, tasks["last"])
        return {m.name: m.result() for m in self.logs.validation}
