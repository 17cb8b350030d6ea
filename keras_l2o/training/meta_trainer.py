from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras

from keras_l2o import backend
from keras_l2o import policies
from keras_l2o import problems as problems_module
from keras_l2o.learned_optimizer import LearnedOptimizer
from keras_l2o.policies import Policy
from keras_l2o.policies.keras_optimizer import check_no_loss_scaling
from keras_l2o.problems import Problem
from keras_l2o.training import checks
from keras_l2o.training import estimators
from keras_l2o.training import periods
from keras_l2o.training.balance import Balance
from keras_l2o.training.episode_loop import EpisodeLoop
from keras_l2o.training.episodes import Episodes
from keras_l2o.training.episodes import next_seed
from keras_l2o.training.logs import Logs
from keras_l2o.training.logs import watched
from keras_l2o.training.objective import Objective
from keras_l2o.training.objective import one_objective
from keras_l2o.training.outer_loop import OuterLoop
from keras_l2o.training.outer_loop import outer_loop_of
from keras_l2o.training.outer_update import OuterUpdate
from keras_l2o.training.programs import Programs
from keras_l2o.training.side_by_side import side_by_side
from keras_l2o.training.teachers import named_teachers
from keras_l2o.training.validation_episodes import validation_of


class MetaTrainer(EpisodeLoop):
    """Distils a pool of optimizers into one learned optimizer.

    A Keras model whose batch is one outer step: the student and every teacher
    make `unroll` inner steps on an optimizee, and one gradient of the
    objective updates the student's weights. Data, loss and metrics are built
    in, so that `fit()` needs no arguments.

    Args:
        student: `Policy` to be trained. Defaults to `None`, `RNNProp()`.
        teachers: List of policies and Keras optimizers, or a dict of these by
            names for the logs. If a policy has trainable weights, a copy with
            its present weights teaches. Defaults to `None`, Adam and RMSprop
            at rates tuned on digits.
        problems: A `Problem`, the name of one, or a list of these, on which
            the student is trained. Defaults to `"digits_train"`.
        reduce: `"max"` (min-max distillation), `"mean"` (mean distillation)
            or a callable; see `Objective`. Defaults to `"max"`.
        objective: `Objective`, in place of `reduce`. Defaults to `None`.
        meta_weight: Float. Weight of the student's own loss, a variable that
            callbacks may assign. Defaults to `1.0`.
        imitation_weight: Float. Weight of the distance to the teachers, a
            variable, too. Defaults to `0.5`.
        unroll: Int. Inner steps of a truncation. Defaults to `100`.
        depth: Int, truncations of an episode, or a pair, the range from which
            it is drawn log-uniformly. Defaults to `(1, 4)`.
        tasks: Int. Episodes side by side, for each problem. Defaults to `2`.
        parameter_scale_spread: Float `s`: the student sees each coordinate of
            an episode scaled by `exp(U[-s, s])`; or a `Reparametrization`, or
            a dict of its arguments. Defaults to `1.0`.
        hidden_horizon: Float in `[0, 1]`. The share of episodes of which the
            policies are not told how many inner steps they have. Matters to
            those that read it. Defaults to `0.0`.
        problems_per_step: Int. How many of the problems an outer step trains
            on, drawn anew for each. With an estimator of whole episodes, such
            as `FullUnroll`, on JAX with a program for each problem, and on
            torch. Defaults to `None`, all of them.
        warmup: Int. Truncations at the start of an episode that run gradient
            descent while the policies' moments accumulate. Defaults to `0`.
        warmup_rate: Float. Rate of that gradient descent. Defaults to `0.05`.
        synchronize_teachers: Bool. Whether teachers start each truncation at
            the student's parameters, with their own moments. Otherwise they
            go on from their own parameters. Defaults to `True`.
        validation_depth: Int. Truncations of a validation rollout. Defaults to
            `None`, those of the longest episode.
        validation_tasks: Int. Rollouts of a validation. Defaults to `2`.
        log_losses: Bool. Whether `fit` reports every teacher's mean loss
            over the unroll, such as `adam_loss`. Defaults to `False`.
        log_teachers: Bool. Whether `fit` reports the share of inner steps with
            each teacher furthest off, as `adam_furthest`. Defaults to `False`.
        seed: Int, or a tuple of ints. Seed of all data. Defaults to `0`.
        estimator: One of `keras_l2o.training.estimators`, or its name: how to
            estimate the outer gradient. Defaults to `None`,
            `TruncatedBackprop()`.
        replicates: Int. How many students to train at once, each with its own
            seed. Student `i` becomes, up to rounding, what `MetaTrainer(...,
            seed=seed + i)` trains if its student was made after
            `keras.utils.set_random_seed(seed + i)`; if `student` is built
            already, all start from its weights. They share perturbations'
            noise and variables such as the learning rate. `fit` reports means
            over them, and the validation of each, as
            `val_log_loss_replicate_3`. They run side by side on JAX, elsewhere
            in turn. Defaults to `None`, one student.
        name: String, the model's name. Defaults to `None`, one by Keras.

    Raises:
        ValueError: An argument is out of its range.

    Several devices share the tasks: construct and compile the trainer in the
    scope of a `tf.distribute.MirroredStrategy` or
    `MultiWorkerMirroredStrategy` on TensorFlow, or after
    `keras.distribution.set_distribution` of a `DataParallel` on JAX.

    Example:

    >>> student = keras_l2o.policies.Adam(
    ...     trainable_hyperparameters=["learning_rate"])
    >>> trainer = keras_l2o.MetaTrainer(
    ...     student, problems="quadratic_10", unroll=5, depth=2)
    >>> history = trainer.fit(epochs=1, steps_per_epoch=2, verbose=0)
    >>> optimizer = trainer.to_optimizer()

    Reference:
        - [Huang et al., 2022](https://arxiv.org/abs/2203.06474)
    """

    def __init__(
        self,
        student: Policy | None = None,
        teachers: Sequence[Any] | Mapping[str, Any] | None = None,
        problems: Problem | str | list[Problem | str] = "digits_train",
        *,
        reduce: Any = "max",
        objective: Objective | None = None,
        meta_weight: float = 1.0,
        imitation_weight: float = 0.5,
        unroll: int = 100,
        depth: int | tuple[int, int] = (1, 4),
        tasks: int = 2,
        parameter_scale_spread: Any = 1.0,
        hidden_horizon: float = 0.0,
        problems_per_step: int | None = None,
        warmup: int = 0,
        warmup_rate: float = 0.05,
        synchronize_teachers: bool = True,
        validation_depth: int | None = None,
        validation_tasks: int = 2,
        log_losses: bool = False,
        log_teachers: bool = False,
        seed: int | tuple[int, ...] = 0,
        estimator: estimators.Estimator | str | None = None,
        replicates: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        if replicates is not None:
            checks.count("replicates", replicates)
        self.replicates = replicates
        self.student = policies.RNNProp() if student is None else student
        self.teachers, self.teacher_names = named_teachers(teachers)
        fresh = not getattr(self.student, "built", False)
        checks.student(self.student)
        self.problems = problems_module.get_all(problems)
        self.objective = one_objective(objective, reduce)
        self.estimator = estimators.get(estimator)
        self.warmup_rate = checks.number("warmup_rate", warmup_rate)
        self.validation_warmup_rate = self.warmup_rate
        self.synchronize_teachers = synchronize_teachers
        self.log_losses, self.log_teachers = log_losses, log_teachers
        self._first_step = 0
        self._episodes = Episodes(
            self.problems,
            tasks,
            unroll,
            depth,
            parameter_scale_spread,
            warmup,
            seed,
            whole=self.estimator.whole_episodes,
            hidden_horizon=hidden_horizon,
            problems_per_step=problems_per_step,
        )
        self._validation = validation_of(
            self._episodes, validation_tasks, validation_depth
        )
        count = backend.devices(self)
        checks.devices(count, tasks=tasks, validation_tasks=validation_tasks)
        self.perturbations = []
        measures = {"loss": log_losses, "furthest": log_teachers}
        self.logs = Logs(
            self.teacher_names, [key for key, on in measures.items() if on]
        )
        self.gradient_clipping: float | None = 0.1
        self.clipping_floor = 1e-3
        self.balance = Balance()
        self.programs = Programs(apart=False)
        self.rematerialize = backend.REMATERIALIZES
        self.update: OuterUpdate | None = None
        meta_weight = checks.number("meta_weight", meta_weight)
        imitation_weight = checks.number("imitation_weight", imitation_weight)
        self.meta_weight = self.scalar("meta_weight", meta_weight)
        self.imitation_weight = self.scalar(
            "imitation_weight", imitation_weight
        )
        self.estimator.build()
        seeds = [next_seed(seed, by) for by in range(replicates or 1)]
        if replicates is not None:
            self._episodes, self._validation = side_by_side(
                self._episodes, self._validation, replicates
            )
        firsts = [s if isinstance(s, int) else s[0] for s in seeds]
        self.hold([first if fresh else None for first in firsts])
        self.built = True

    @property
    def outer_loop(self) -> OuterLoop:
        return outer_loop_of(self)

    def compile(
        self,
        optimizer: Any = None,
        gradient_clipping: float | None = 0.1,
        clipping_floor: float = 1e-3,
        balance: Balance | Mapping[str, Any] | None = None,
        jit_compile: bool | str = "auto",
        rematerialize: bool | str = "auto",
        **kwargs: Any,
    ) -> None:
        """Configures the outer loop.

        Args:
            optimizer: The outer `keras.optimizers.Optimizer`. Defaults to
                `None`, Adam at `1e-3`.
            gradient_clipping: Float, the ratio of adaptive gradient clipping,
                or `None` for no clipping. Defaults to `0.1`.
            clipping_floor: Float. Least norm that a unit's weights count as in
                clipping. Defaults to `1e-3`.
            balance: `Balance`, or a dict of its arguments: how much each task
                counts. Defaults to `None`, all alike.
            jit_compile: Bool; `"by_problem"`, on JAX, for a program of its own
                for each problem, because one for many problems takes very
                long to compile; or `"auto"` for what is faster on the device
                and for the number of problems. Defaults to `"auto"`.
            rematerialize: Bool. Whether intermediate values of an inner step
                are computed again for the outer gradient, so that memory holds
                only the policies' states between steps. On torch that takes
                twice the time. Not with `run_eagerly` on TensorFlow, which
                keeps them. Defaults to `"auto"`, `True` but on torch.
            **kwargs: Further arguments of `keras.Model.compile`.

        Raises:
            ValueError: An argument is out of its range, or the optimizer is a
                `keras.optimizers.LossScaleOptimizer`.
        """
        self.rematerialize = checks.rematerialize(rematerialize)
        eager = kwargs.get("run_eagerly", False)
        jit_compile = checks.jit_compile(
            jit_compile, eager, self.episodes, self.replicates,
            backend.devices(self),
        )  # fmt: skip
        self.programs = Programs(apart=jit_compile == "by_problem")
        checks.drawn_problems(self.episodes, self.programs.apart or eager)
        if self.programs.apart:
            jit_compile, kwargs["run_eagerly"] = False, True
        self.gradient_clipping = checks.number_or_none(
            "gradient_clipping", gradient_clipping, above=0.0
        )
        self.clipping_floor = checks.number("clipping_floor", clipping_floor)
        if not isinstance(balance, Balance):
            balance = Balance(**(balance or {}))
        self.balance = balance
        if optimizer is None:
            optimizer = keras.optimizers.Adam(1e-3)
        optimizer = keras.optimizers.get(optimizer)
        check_no_loss_scaling(optimizer)
        # The student's weights and loss are float32 whatever the policy.
        kwargs.setdefault("auto_scale_loss", False)
        with backend.device_scope(self):
            super().compile(optimizer, jit_compile=jit_compile, **kwargs)
            self.forget_validation()
            self.optimizer.build(self.student.trainable_variables)
        self.update = OuterUpdate(
            self.optimizer, self.gradient_clipping, self.clipping_floor
        )
        self.hold_optimizer()

    def fit(
        self,
        x: Any = None,
        epochs: int = 10,
        steps_per_epoch: int = 4,
        callbacks: Sequence[keras.callbacks.Callback] | None = None,
        validation_data: Any = None,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Trains the student.

        While TensorFlow runs on a processor, freed memory stays with the
        process, at most 1 GB of it: glibc's own way costs a third of the time.
        Where the environment sets `GLIBC_TUNABLES` or `MALLOC_...`, that holds.

        Args:
            x: Data of the outer steps. Defaults to `None`, the trainer's
                episodes from the outer step at which the last `fit` stopped.
            epochs: Int. Defaults to `10`.
            steps_per_epoch: Int. Outer steps of an epoch. Defaults to `4`.
            callbacks: List of Keras callbacks, `keras_l2o.perturbations`, and
                at most one of `keras_l2o.strategies`, which then plans the
                epochs. Defaults to `None`.
            validation_data: Data that `evaluate` runs after each epoch, or
                `False` for none. Defaults to `None`, the trainer's own.
            **kwargs: Further arguments of `keras.Model.fit`.

        Returns:
            Keras's `History`. Its keys are `loss`, `meta_loss`,
            `imitation_loss`; counts in an epoch of `skipped_updates` (outer
            gradient not finite), `diverged_tasks` (which start afresh),
            `diverged_teachers`, `replaced_batches` (not finite) and
            `negative_losses` (inner steps); and the mean log loss at the end
            of validation, `val_log_loss` of the student and, for instance,
            `val_adam_log_loss` of a teacher. The constructor's `log_losses`,
            `log_teachers` and `replicates` add keys.
        """
        with backend.memory_scope():
            return self._fit(
                x, epochs, steps_per_epoch, callbacks, validation_data, kwargs
            )

    def _fit(
        self, x, epochs, steps_per_epoch, callbacks, validation_data, kwargs
    ):
        if not self.compiled:
            self.compile()
        # Episodes come in the order of their seed: Keras would warn of it.
        kwargs.setdefault("shuffle", False)
        callbacks = watched(callbacks)
        self._attach_perturbations(callbacks)
        strategy = periods.find(callbacks)
        if strategy is not None:
            checks.strategy(strategy, self.replicates)
            return periods.fit_periods(
                self, super().fit, strategy, callbacks, **kwargs
            )
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

    def to_optimizer(
        self, learning_rate: Any = 1.0, replicate: int | None = None
    ) -> LearnedOptimizer:
        """Makes an optimizer of the student with its present weights.

        Args:
            learning_rate: Float. Multiplies the update. Defaults to `1.0`.
            replicate: As in `get_student`. Defaults to `None`.

        Returns:
            A `LearnedOptimizer`, which warms up as the student in validation.
        """
        episodes = self.validation.episodes
        return LearnedOptimizer(
            self.get_student(replicate),
            learning_rate=learning_rate,
            warmup_steps=episodes.warmup * episodes.unroll,
            warmup_rate=self.validation_warmup_rate,
        )
