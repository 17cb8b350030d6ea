import keras
import numpy as np
from keras import ops

from keras_l2o import backend
from keras_l2o import keras_internals
from keras_l2o.training import periods
from keras_l2o.training.episodes import next_seed
from keras_l2o.training.logs import watched
from keras_l2o.training.stacked_episodes import StackedEpisodes
from keras_l2o.training.stacked_episodes import StackedValidation


class Replicates(backend.ReplicatedStep, keras.Model):
    """Distils several students at once, each with its own seed. JAX alone.

    `MetaTrainer(..., replicates=8)` makes one. All students make their outer
    steps in one compiled program. Student `i` is what
    `MetaTrainer(..., seed=seed + i)` trains, to rounding, if its student was
    made after `keras.utils.set_random_seed(seed + i)`. A student that is
    handed over built, such as a trained one, gives its weights to all: they
    differ by the data of their seeds. Global seeds stay as they are.

    `history` holds each figure's mean over the replicates and, of
    `val_log_loss`, each replicate's, such as `val_log_loss_replicate_3`.

    Args:
        template: `MetaTrainer` of the first student. Its compiled step is run
            for all of them.
        seeds: List of seeds, one a student.
        weights: List of the students' first weights.
    """

    def __init__(self, template, seeds, weights):
        super().__init__(name=template.name)
        # Behind a closure: the template's variables are not this model's.
        self._template = lambda: template
        self._first_weights = weights
        self._first_step = 0
        self.episodes = StackedEpisodes(
            [template.episodes.changed(seed=seed) for seed in seeds]
        )
        self.validation = StackedValidation(
            [template.validation.changed(seed=next_seed(s)) for s in seeds]
        )
        self._stacked = []
        self.built = True

    @property
    def template(self):
        return self._template()

    @property
    def replicates(self):
        """How many students there are."""
        return len(self.episodes.each)

    @property
    def meta_weight(self):
        return self.template.meta_weight

    @property
    def imitation_weight(self):
        return self.template.imitation_weight

    @property
    def problems(self):
        return self.template.problems

    @property
    def teachers(self):
        return self.template.teachers

    @property
    def teacher_names(self):
        return self.template.teacher_names

    def set_episodes(self, **changes):
        """Changes the episodes of all; see `MetaTrainer.set_episodes`.

        Of a seed, each replicate takes the next.
        """
        before = self.template.episodes.traced, self.template.warmup_rate
        self.template.set_episodes(**changes)
        if before != (self.template.episodes.traced, self.template.warmup_rate):
            self.train_function = None
        changes.pop("warmup_rate", None)
        seed = changes.pop("seed", None)
        self.episodes = StackedEpisodes(
            [
                episodes.changed(
                    **changes,
                    seed=episodes.seed if seed is None else next_seed(seed, by),
                )
                for by, episodes in enumerate(self.episodes.each)
            ]
        )
        self._first_step = self.outer_steps if self.compiled else 0

    def set_validation(self, **changes):
        """Changes the validation of all; see `MetaTrainer.set_validation`.

        A seed is that of all replicates, which then compare.
        """
        template = self.template
        before = template.validation.episodes.traced
        rate = template.validation_warmup_rate
        template.set_validation(**changes)
        after = template.validation.episodes.traced
        if (before, rate) != (after, template.validation_warmup_rate):
            self.test_function = None
        changes.pop("warmup_rate", None)
        self.validation = StackedValidation(
            [each.changed(**changes) for each in self.validation.each]
        )

    def compile(self, optimizer=None, **kwargs):
        """Configures the outer loop; see `MetaTrainer.compile`.

        Every student has its own optimizer of this kind, at one learning rate.
        """
        if self._stacked:
            raise ValueError(
                "Replicates compile once, before they are trained: each has "
                "its own optimizer's state. Make a new MetaTrainer instead."
            )
        template = self.template
        template.compile(optimizer, **kwargs)
        super().compile(
            optimizer=template.optimizer, jit_compile=template.jit_compile
        )
        self._stacked = [
            keras.Variable(
                np.stack([ops.convert_to_numpy(variable)] * self.replicates),
                trainable=False,
                dtype=variable.dtype,
                name=f"replicates_{index}",
            )
            for index, variable in enumerate(self.varying)
        ]
        stacks = self._stacks(template.student.weights)
        for stacked, first in zip(stacks, zip(*self._first_weights)):
            stacked.assign(np.stack(first))

    @property
    def varying(self):
        """The template's variables of which each replicate has its own."""
        template = self.template
        shared = {id(variable) for variable in self.shared}
        return [
            variable
            for variable in (
                *template.trainable_variables,
                *template.non_trainable_variables,
                *template.optimizer.variables,
                *template.metrics_variables,
            )
            if id(variable) not in shared
        ]

    @property
    def shared(self):
        """The template's variables that are one for all: knobs, and noise."""
        template = self.template
        knobs = [template.meta_weight, template.imitation_weight]
        for perturbation in template.perturbations:
            knobs += perturbation.variables
        rate = template.optimizer._learning_rate
        return knobs + [rate] * isinstance(rate, keras.Variable)

    @property
    def trainable_variables(self):
        return []

    @property
    def non_trainable_variables(self):
        return [*self._stacked, *self.shared_state]

    @property
    def shared_state(self):
        # The learning rate is in the optimizer's part of Keras's state.
        if not self.template.compiled:
            return []
        optimizer = {id(v) for v in self.template.optimizer.variables}
        return [v for v in self.shared if id(v) not in optimizer]

    @property
    def variables(self):
        return self.non_trainable_variables

    @property
    def metrics(self):
        return []

    def reset_metrics(self):
        metrics = {id(v) for v in self.template.metrics_variables}
        for variable, stacked in zip(self.varying, self._stacked):
            if id(variable) in metrics:
                stacked.assign(ops.zeros(stacked.shape))

    def load_own_variables(self, store):
        # The metrics come last, and start each epoch afresh: a version that
        # measures more goes on with what one that measured less has saved.
        saved = self._stacked[: -len(self.template.metrics_variables)]
        if not len(saved) <= len(store) < len(self._stacked):
            super().load_own_variables(store)
            return
        for index, variable in enumerate(saved):
            variable.assign(store[str(index)])

    def report(self, logs, validation):
        """Logs of the replicates, each a vector, as Keras reports them."""
        reported = {name: ops.mean(row) for name, row in logs.items()}
        if validation:
            for index in range(self.replicates):
                reported[f"log_loss_replicate_{index}"] = logs["log_loss"][
                    index
                ]
        return reported

    def fit(
        self,
        x=None,
        epochs=10,
        steps_per_epoch=4,
        callbacks=None,
        validation_data=None,
        **kwargs,
    ):
        """Trains the students; see `MetaTrainer.fit`.

        Perturbations draw the same noise for each. A strategy must be one that
        plans ahead, `Simple`: the others go by one student's validation.
        """
        if not self.compiled:
            self.compile()
        kwargs.setdefault("shuffle", False)
        callbacks = watched(callbacks)
        strategy = periods.find(callbacks)
        if strategy is not None and not strategy.plans_ahead:
            raise ValueError(
                "This strategy goes by the validation of one student. "
                f"Received: callbacks={callbacks} for {self.replicates} "
                "replicates. Use `strategies.Simple`, or train each with its "
                "own `MetaTrainer` and strategy."
            )
        before = self.template.perturbations
        self.template._attach_perturbations(callbacks)
        if self.template.perturbations is not before:
            self.train_function = self.test_function = None
        if strategy is not None:
            return periods.run(self, super().fit, strategy, callbacks, **kwargs)
        if x is None:
            x = self.episodes.stream(self.outer_steps - self._first_step)
        if validation_data is None:
            validation_data = self.validation
        return super().fit(
            x,
            epochs=epochs,
            steps_per_epoch=steps_per_epoch,
            callbacks=callbacks,
            validation_data=validation_data or None,
            **kwargs,
        )

    def evaluate(self, x=None, **kwargs):
        """Runs the rollouts of each student; see `MetaTrainer.evaluate`."""
        if not self.compiled:
            self.compile()
        kwargs.setdefault("return_dict", True)
        return super().evaluate(self.validation if x is None else x, **kwargs)

    @property
    def outer_steps(self):
        """Int. Outer steps that each student has made."""
        (counts,) = self._stacks([self.template.outer_steps])
        return int(ops.convert_to_numpy(counts)[0])

    def student(self, index):
        """A copy of one student, as it is now: a `Policy`."""
        if not self.compiled:
            self.compile()
        if not 0 <= index < self.replicates:
            raise ValueError(
                f"Argument `index` must be in [0, {self.replicates}). "
                f"Received: index={index}"
            )
        student = self.template.student.copy()
        student.set_weights(
            [
                ops.convert_to_numpy(stacked)[index]
                for stacked in self._stacks(self.template.student.weights)
            ]
        )
        return student

    def set_student(self, index, weights):
        """Gives one student other weights.

        Args:
            index: Int. Which student.
            weights: List of arrays, as `Policy.get_weights` returns.
        """
        stacks = self._stacks(self.template.student.weights)
        for stacked, weight in zip(stacks, weights):
            values = np.array(ops.convert_to_numpy(stacked))
            values[index] = weight
            stacked.assign(values)

    def to_optimizer(self, index, learning_rate=1.0):
        """A student, as it is now, as a `LearnedOptimizer`.

        Args:
            index: Int. Which student.
            learning_rate: Float. Multiplies the update. Defaults to `1.0`.
        """
        optimizer = self.template.to_optimizer(learning_rate)
        optimizer.policy.set_weights(self.student(index).get_weights())
        return optimizer

    def _stacks(self, variables):
        """The stacked variables of some of the template's `varying` ones."""
        stacks = {id(v): s for v, s in zip(self.varying, self._stacked)}
        return [stacks[id(variable)] for variable in variables]


def make_replicates(template, replicates, fresh):
    """`Replicates` of a trainer that has just been made.

    Args:
        template: `MetaTrainer` of the first student.
        replicates: Int.
        fresh: Bool. Whether each has its own first weights, or all have the
            template's.
    """
    if keras.backend.backend() != "jax":
        raise ValueError(
            "Argument `replicates` needs the backend `jax`, where students "
            "share a compiled step: set KERAS_BACKEND=jax. Received: "
            f"replicates={replicates} on {keras.backend.backend()}"
        )
    if not isinstance(replicates, int) or replicates < 1:
        raise ValueError(
            "Argument `replicates` must be an integer of at least 1. "
            f"Received: replicates={replicates!r}"
        )
    seed, student = template.episodes.seed, template.student
    seeds = [next_seed(seed, by) for by in range(replicates)]
    weights = [student.get_weights() for _ in seeds]
    if fresh:
        weights = [_first_weights(student, seed) for seed in seeds]
    return Replicates(template, seeds, weights)


def _first_weights(student, seed):
    """Weights of a student that is made anew after its replicate's seed."""
    first = seed if isinstance(seed, int) else seed[0]
    with keras_internals.globally_seeded(first):
        fresh = type(student).from_config(student.get_config())
        if not fresh.built:
            fresh.build(None)
    return fresh.get_weights()
