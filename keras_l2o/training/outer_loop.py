import dataclasses
from typing import Any
from typing import NamedTuple

import keras
from keras import ops

from keras_l2o import backend
from keras_l2o import keras_internals
from keras_l2o.training import inner_loop
from keras_l2o.training.outer_state import OuterState
from keras_l2o.training.outer_state import Shared
from keras_l2o.training.task import Distillation
from keras_l2o.training.task import Task
from keras_l2o.training.task import Tensors
from keras_l2o.training.validation import validation_truncation


class Rollouts(NamedTuple):
    """What validation runs."""

    tasks: int
    unroll: int  # inner steps of a truncation
    warmup_rate: Any  # float, or None if no truncation warms up


@dataclasses.dataclass(frozen=True)
class OuterLoop:
    """Meta-training as pure functions of an `OuterState` and of data.

    Its fields say what to do. The values of their variables come from the
    state; only the teachers' variables, which never change, are read
    themselves. `MetaTrainer` keeps the state of one student or of many.
    """

    distillation: Distillation
    problems: list  # of Problem
    estimator: Any  # Estimator
    tasks: int  # episodes side by side, for each problem
    steps: int  # inner steps of an outer step
    rollouts: Rollouts
    logs: Any  # Logs
    programs: Any  # Programs
    balance: Any  # Balance
    update: Any  # OuterUpdate
    knobs: Any  # Shared, of variables

    def init(self, seed=None):
        """The state before the first outer step.

        Args:
            seed: Int. The student's first weights are those of a student that
                is made after `keras.utils.set_random_seed(seed)`. Defaults to
                `None`: the weights that it has now.

        Returns:
            `OuterState`. The optimizer's values, the metrics' and what is
            shared are as the variables are now.
        """
        distillation = self.distillation
        student = distillation.student
        if seed is not None:
            student = _made_after(student, seed)
        weights = _values(student.trainable_variables)
        carries, validation = [], []
        for problem in self.problems:
            start = _first_trajectories(distillation.pool, problem)
            carry = self.estimator.start(start, weights)
            carries.append(_zeros(carry, self.tasks))
            validation.append(_zeros(start, self.rollouts.tasks))
        return OuterState(
            weights=weights,
            frozen=_values(student.non_trainable_variables),
            optimizer=_values(self.update.variables if self.update else []),
            carries=carries,
            validation=validation,
            metrics=[ops.zeros(v.shape, v.dtype) for v in self.logs.variables],
            steps=ops.zeros((), "int32"),
            shared=keras.tree.map_structure(backend.read, self.knobs),
        )

    def step(self, state, data):
        """One outer step.

        Args:
            state: `OuterState` of tensors.
            data: Of `Episodes`: a tuple over problems, stacked over tasks.

        Returns:
            The new state, and a dict of scalars for `fit` to report.
        """
        state, results = self.estimates(state, data)
        gradients, count = self.balance.mean(state.weights, results)
        weights, optimizer, applied = self.update(
            state.weights,
            state.optimizer,
            state.shared.learning_rate,
            gradients,
            count > 0,
        )
        state = state._replace(
            weights=weights, optimizer=optimizer, steps=state.steps + 1
        )
        cold = ops.convert_to_tensor(True)
        with self._scope(state) as scope:
            for result, tasks in zip(results, data):
                self.logs.update_tasks(result, tasks["replaced_batches"])
                cold = ops.logical_and(cold, ops.all(tasks["warming"]))
            # Every device that runs this counts its share of the one update.
            # Where all tasks warm up there is none that could be skipped.
            share = backend.local_tasks(self.tasks) / self.tasks
            fine = ops.cast(ops.logical_or(applied, cold), "float32")
            self.logs.skipped_updates.update_state((1.0 - fine) * share)
            # Copies: on torch a sum is its variable, set to zero later.
            logs = {m.name: m.result() + 0.0 for m in self.logs.training}
            return self._leave(scope, state), logs

    def estimates(self, state, data):
        """The outer gradient of each task, before anything is done with it.

        Args:
            state: `OuterState` of tensors.
            data: As for `step`.

        Returns:
            The state that the next estimates start from: its weights are as
            before, and the episodes are a truncation further. And a list with
            a `TaskResult` for each problem, stacked over its tasks; of several
            devices that share the tasks, each has the results of its own.
        """
        teachers = _teachers(self.distillation)
        with self._scope(state) as scope:
            tensors = self._tensors(state, teachers)
            carries, results = list(state.carries), []
            for position, tasks in enumerate(data):
                index = _problem(position, tasks)
                result = self._estimate(index, tensors, tasks, carries[index])
                carries[index] = backend.gather_tasks(result.carried)
                results.append(result)
            return self._leave(scope, state)._replace(carries=carries), results

    def _estimate(self, index, tensors, tasks, carried):
        """`TaskResult`, stacked over the tasks that this device runs."""
        problem = self.problems[index]
        shape = (self.tasks, self.steps, problem.size)
        noise = [
            p.gradient_noise(shape, problem.dtype)
            for p in self.distillation.perturbations
        ]
        noise = [part for part in noise if part is not None]
        drawn = self.estimator.draw(tensors.weights, self.tasks)
        inputs = backend.share_tasks(
            (carried, [sum(noise)] if noise else [], drawn), self.tasks
        )
        return self.programs.run(
            ("estimate", index),
            lambda inputs, tensors: backend.map_tasks(
                lambda task, tensors: self.estimator.attacked(
                    Task(self.distillation, problem, tensors, *task)
                ),
                inputs,
                tensors,
                backend.local_tasks(self.tasks),
            ),
            (tasks, *inputs),
            tensors,
        )

    def _tensors(self, state, teachers):
        offsets = [
            p.offsets(state.weights, self.steps)
            for p in self.distillation.perturbations
        ]
        offsets = [parts for parts in offsets if parts is not None]
        return Tensors(
            weights=state.weights,
            frozen=state.frozen,
            teachers=teachers,
            offsets=[sum(parts) for parts in zip(*offsets)],
            meta_weight=state.shared.meta_weight,
            imitation_weight=state.shared.imitation_weight,
        )

    def validate(self, state, data, policies=None):
        """One truncation of the validation rollouts, as `step` is of training.

        Args:
            state: `OuterState` of tensors.
            data: Of `ValidationEpisodes`.
            policies: Tuple of ints, which of the student, 0, and the teachers
                are run. The others' trajectories and metrics stay as they
                are. Defaults to `None`, all.

        Returns:
            The new state, and a dict of scalars for `fit` to report.
        """
        if policies is None:
            policies = tuple(range(len(self.distillation.pool)))
        teachers = _teachers(self.distillation)
        with self._scope(state) as scope:
            state, logs = self._validate(state, data, teachers, policies)
            return self._leave(scope, state), logs

    def _validate(self, state, data, teachers, policies):
        rollouts = self.rollouts
        pool = [self.distillation.pool[index] for index in policies]
        values = [[*state.weights, *state.frozen], *teachers]
        values = [values[index] for index in policies]
        validation = []
        for index, (carry, tasks) in enumerate(zip(state.validation, data)):
            own = tuple(carry[policy] for policy in policies)

            def run(inputs, values, problem=self.problems[index]):
                return backend.map_tasks(
                    lambda task, values: validation_truncation(
                        pool,
                        values,
                        problem,
                        rollouts.unroll,
                        rollouts.warmup_rate,
                        *task,
                    ),
                    inputs,
                    values,
                    backend.local_tasks(rollouts.tasks),
                )

            trajectories, log_losses = self.programs.run(
                ("validate", index, policies),
                run,
                (tasks, backend.share_tasks(own, rollouts.tasks)),
                values,
            )
            reached = dict(zip(policies, backend.gather_tasks(trajectories)))
            validation.append(
                tuple(reached.get(i, old) for i, old in enumerate(carry))
            )
            self.logs.update_validation(log_losses, tasks["last"], policies)
        state = state._replace(validation=validation)
        return state, {m.name: m.result() for m in self.logs.validation}

    def _scope(self, state):
        """Where metrics and shared variables have the state's values."""
        variables = [*self.logs.variables, *keras.tree.flatten(self.knobs)]
        values = [*state.metrics, *keras.tree.flatten(state.shared)]
        return keras.StatelessScope(state_mapping=list(zip(variables, values)))

    def _leave(self, scope, state):
        """The state with what metrics and generators have come to."""
        get = scope.get_current_value
        noise = [get(variable) for variable in self.knobs.noise]
        return state._replace(
            metrics=[get(variable) for variable in self.logs.variables],
            shared=state.shared._replace(noise=noise),
        )


def _problem(position, tasks):
    """The index of the problem that a part of the data is of."""
    if "problem" not in tasks:
        return position
    return int(ops.convert_to_numpy(tasks["problem"])[0])


def outer_loop_of(trainer):
    """The `OuterLoop` of a `MetaTrainer`, as it is now set."""
    episodes, rollouts = trainer.episodes, trainer.validation.episodes
    return OuterLoop(
        distillation=Distillation(
            student=trainer.student,
            teachers=trainer.teachers,
            objective=trainer.objective,
            unroll=episodes.unroll,
            scaled=bool(episodes.spread),
            warmup_rate=trainer.warmup_rate if episodes.warmup else None,
            synchronize_teachers=trainer.synchronize_teachers,
            perturbations=list(trainer.perturbations),
            compare=bool(trainer.balance.emphasis),
            log_losses=trainer.log_losses,
            log_teachers=trainer.log_teachers,
            rematerialize=trainer.rematerialize,
        ),
        problems=trainer.problems,
        estimator=trainer.estimator,
        tasks=episodes.tasks,
        steps=episodes.steps,
        rollouts=Rollouts(
            tasks=rollouts.tasks,
            unroll=rollouts.unroll,
            warmup_rate=trainer.validation_warmup_rate
            if rollouts.warmup
            else None,
        ),
        logs=trainer.logs,
        programs=trainer.programs,
        balance=trainer.balance,
        update=trainer.update,
        knobs=Shared(
            meta_weight=trainer.meta_weight,
            imitation_weight=trainer.imitation_weight,
            learning_rate=trainer.update.rates if trainer.update else [],
            noise=trainer.noise,
        ),
    )


def _values(variables):
    return [backend.read(variable) for variable in variables]


def _teachers(distillation):
    return [
        _values(inner_loop.policy_variables(teacher))
        for teacher in distillation.teachers
    ]


def _made_after(student, seed):
    """A student like this one, made after Keras's seed was set."""
    with keras_internals.globally_seeded(seed):
        made = type(student).from_config(student.get_config())
        if not made.built:
            made.build(None)
    return made


def _first_trajectories(pool, problem):
    """A trajectory of each policy, of zeros."""
    _, non_trainable = problem.initial_values(0)
    zeros = ops.zeros((problem.size,), problem.dtype)
    others = [ops.zeros(v.shape, str(v.dtype)) for v in non_trainable]
    return tuple(
        inner_loop.start(policy, problem, zeros, others) for policy in pool
    )


def _zeros(nest, tasks):
    return keras.tree.map_structure(
        lambda leaf: ops.zeros(
            (tasks, *leaf.shape), keras.backend.standardize_dtype(leaf.dtype)
        ),
        nest,
    )
