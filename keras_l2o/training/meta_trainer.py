import keras

from keras_l2o import backend
from keras_l2o import policies
from keras_l2o import problems as problems_module
from keras_l2o.learned_optimizer import LearnedOptimizer
from keras_l2o.perturbations import Perturbation
from keras_l2o.training import checks
from keras_l2o.training import estimators
from keras_l2o.training import periods
from keras_l2o.training.episodes import Episodes
from keras_l2o.training.episodes import ValidationEpisodes
from keras_l2o.training.episodes import next_seed
from keras_l2o.training.logs import Logs
from keras_l2o.training.logs import watched
from keras_l2o.training.objective import one_objective
from keras_l2o.training.outer_loop import outer_loop_of
from keras_l2o.training.outer_update import OuterUpdate
from keras_l2o.training.side_by_side import EpisodesSideBySide
from keras_l2o.training.side_by_side import ValidationSideBySide
from keras_l2o.training.stateful_loop import StatefulLoop
from keras_l2o.training.teachers import named_teachers


class MetaTrainer(StatefulLoop):
    """Distils a pool of optimizers into one learned optimizer.

    One Keras batch is one outer step: the student and every teacher make
    `unroll` inner steps on an optimizee, and one gradient of the objective
    updates the student's weights. `fit()` works as it stands.

    Args:
        student: `Policy` to be trained. Defaults to `RNNProp()`.
        teachers: List of policies and Keras optimizers, or a dict that names
            them. Of a policy with trainable weights a copy teaches, frozen
            as the weights are now. Defaults to Adam and RMSprop at rates
            tuned on digits.
        problems: A `Problem`, its name, or a list of these: what the student
            is trained on. Defaults to `"digits_train"`.
        reduce: `"max"` (min-max distillation), `"mean"` (mean distillation)
            or a callable; see `Objective`. Defaults to `"max"`.
        objective: `Objective`, for all its options, in place of `reduce`.
        meta_weight: Float. Weight of the student's own loss. Defaults to `1.0`.
        imitation_weight: Float. Weight of the distance to the teachers.
            Defaults to `0.5`. Both weights are variables: a callback may
            assign them.
        unroll: Int. Inner steps of a truncation. Defaults to `100`.
        depth: Int, truncations of an episode, or a pair, the range from which
            it is drawn log-uniformly. Defaults to `(1, 4)`.
        tasks: Int. Episodes side by side, for each problem. Defaults to `2`.
        parameter_scale_spread: Float `s`. Coordinates of an episode are
            scaled by `exp(U[-s, s])` for the student. Defaults to `1.0`.
        warmup: Int. First truncations of an episode that run gradient descent
            while the policies' moments accumulate. Defaults to `0`.
        warmup_rate: Float. Rate of that gradient descent. Defaults to `0.05`.
        synchronize_teachers: Bool. Whether teachers start each truncation at
            the student's parameters (with their own moments), or go on from
            their own. Defaults to `True`.
        validation_depth: Int. Truncations of a validation rollout. Defaults to
            the longest episode's.
        validation_tasks: Int. Rollouts of a validation. Defaults to `2`.
        log_losses: Bool. Whether `fit` reports every teacher's mean loss
            over the unroll, such as `adam_loss`. Defaults to `False`.
        log_teachers: Bool. Whether `fit` reports the share of inner steps on
            which each teacher is the furthest, such as `adam_furthest`.
            Defaults to `False`.
        seed: Int, or a tuple of ints. Seed of episodes and validation.
            Defaults to `0`.
        estimator: A `keras_l2o.training.estimators.Estimator`, or its name:
            how the outer gradient is estimated. Defaults to
            `TruncatedBackprop()`.
        replicates: Int. If given, as many students are trained at once, each
            with its own seed. Student `i` is what `MetaTrainer(..., seed=seed
            + i)` trains, to rounding, if its student was made after
            `keras.utils.set_random_seed(seed + i)`; where `student` is built,
            as one that was trained before is, all start from its weights.
            Perturbations draw the same noise for each, and knobs, such as the
            learning rate, are one for all. `fit` reports each figure's mean
            over the students and each one's `val_log_loss`, such as
            `val_log_loss_replicate_3`; `get_student` and `to_optimizer` take
            one out. On JAX all make their steps side by side in one program,
            elsewhere one after the other. Defaults to `None`: one student.

    Several devices share the tasks: construct and compile the trainer in the
    scope of a `tf.distribute.MirroredStrategy` on TensorFlow, or after
    `keras.distribution.set_distribution` of a `DataParallel` on JAX.

    Example:

    >>> trainer = keras_l2o.MetaTrainer()
    >>> history = trainer.fit(epochs=5)
    >>> optimizer = trainer.to_optimizer()

    Reference:
        - [Huang et al., 2022](https://arxiv.org/abs/2203.06474)
    """

    def __init__(
        self,
        student=None,
        teachers=None,
        problems="digits_train",
        *,
        reduce="max",
        objective=None,
        meta_weight=1.0,
        imitation_weight=0.5,
        unroll=100,
        depth=(1, 4),
        tasks=2,
        parameter_scale_spread=1.0,
        warmup=0,
        warmup_rate=0.05,
        synchronize_teachers=True,
        validation_depth=None,
        validation_tasks=2,
        log_losses=False,
        log_teachers=False,
        seed=0,
        estimator=None,
        replicates=None,
        name=None,
    ):
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
        self.log_losses = log_losses
        self.log_teachers = log_teachers
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
        )
        self._validation = ValidationEpisodes(
            self.problems,
            checks.count("validation_tasks", validation_tasks),
            unroll,
            self.episodes.depth[1]
            if validation_depth is None
            else checks.count("validation_depth", validation_depth),
            warmup,
            next_seed(seed),
        )
        checks.devices(
            backend.devices(self),
            tasks=tasks,
            validation_tasks=validation_tasks,
        )
        self.perturbations = []
        measures = {"loss": log_losses, "furthest": log_teachers}
        self.logs = Logs(
            self.teacher_names, [key for key, on in measures.items() if on]
        )
        self.gradient_clipping, self.clipping_floor = 0.1, 1e-3
        self.rematerialize = backend.REMATERIALIZES
        self.update = None
        self.meta_weight = self.scalar(
            "meta_weight", checks.number("meta_weight", meta_weight)
        )
        self.imitation_weight = self.scalar(
            "imitation_weight",
            checks.number("imitation_weight", imitation_weight),
        )
        self.estimator.build()
        seeds = [next_seed(seed, by) for by in range(replicates or 1)]
        if replicates is not None:
            self._episodes = EpisodesSideBySide(self._episodes, replicates)
            self._validation = ValidationSideBySide(
                [self._validation.changed(seed=next_seed(s)) for s in seeds]
            )
        firsts = [s if isinstance(s, int) else s[0] for s in seeds]
        self.hold([first if fresh else None for first in firsts])
        self.built = True

    @property
    def outer_loop(self):
        """The pure `OuterLoop` of the trainer as it is now set."""
        return outer_loop_of(self)

    @property
    def noise(self):
        """Variables of the perturbations and of the estimator."""
        return [
            variable
            for part in (*self.perturbations, self.estimator)
            for variable in part.variables
        ]

    @property
    def episodes(self):
        """The `Episodes` that `fit` trains on; others may take their place.

        They start with the next `fit`. Tasks stay as many as they were.
        """
        return self._episodes

    @episodes.setter
    def episodes(self, episodes):
        checks.same_tasks(episodes, self._episodes)
        if episodes.traced != self._episodes.traced:
            self.train_function = None
        self._episodes = episodes
        self._first_step = self.outer_steps

    @property
    def validation(self):
        """The `ValidationEpisodes` that `evaluate` runs; may be replaced."""
        return self._validation

    @validation.setter
    def validation(self, validation):
        old = self._validation.episodes
        checks.same_tasks(validation.episodes, old)
        if validation.episodes.traced != old.traced:
            self.test_function = None
        self._validation = validation

    def set_episodes(self, warmup_rate=None, **changes):
        """Changes the episodes from the next `fit` on, which starts afresh.

        Args:
            warmup_rate: Float. Rate of gradient descent in the warm-up.
            **changes: Any of `unroll`, `depth`, `warmup`, `seed` and
                `parameter_scale_spread`, as in the constructor.
        """
        if warmup_rate not in (None, self.warmup_rate):
            self.warmup_rate = checks.number("warmup_rate", warmup_rate)
            self.train_function = None
        self.episodes = self.episodes.changed(**changes)

    def set_validation(self, warmup_rate=None, **changes):
        """Changes the validation rollouts, and with them the warm-up shipped.

        Args:
            warmup_rate: Float. Rate of gradient descent in the warm-up.
            **changes: Any of `unroll`, `depth`, `warmup`, `seed` and
                `rollouts`, as in `ValidationEpisodes`.
        """
        if warmup_rate not in (None, self.validation_warmup_rate):
            self.validation_warmup_rate = checks.number(
                "warmup_rate", warmup_rate
            )
            self.test_function = None
        self.validation = self.validation.changed(**changes)

    def compile(
        self,
        optimizer=None,
        gradient_clipping=0.1,
        clipping_floor=1e-3,
        jit_compile="auto",
        rematerialize="auto",
        **kwargs,
    ):
        """Configures the outer loop.

        Args:
            optimizer: The outer `keras.optimizers.Optimizer`. Defaults to Adam
                at `1e-3`.
            gradient_clipping: Float, or `None` for no clipping. Ratio of
                adaptive gradient clipping. Defaults to `0.1`.
            clipping_floor: Float. Least norm that a unit's weights count as.
                Defaults to `1e-3`.
            jit_compile: Bool or `"auto"`, which takes what is faster on the
                device at hand. Defaults to `"auto"`.
            rematerialize: Bool or `"auto"`. Whether what an inner step
                computes on the way is computed again for the outer gradient,
                and not kept for it: of every inner step, memory then holds the
                policies' states alone. `"auto"`, the default, does so on JAX,
                where it is faster, too; elsewhere there is none of it.
        """
        if rematerialize == "auto":
            rematerialize = backend.REMATERIALIZES
        if rematerialize and not backend.REMATERIALIZES:
            raise ValueError(
                "Argument `rematerialize` needs the backend `jax`. Received: "
                f"rematerialize={rematerialize!r} on {keras.backend.backend()}"
            )
        self.rematerialize = bool(rematerialize)
        if jit_compile == "auto":
            eager = kwargs.get("run_eagerly", False)
            jit_compile = not eager and backend.jit_compile_training()
        if gradient_clipping is not None:
            gradient_clipping = checks.number(
                "gradient_clipping", gradient_clipping, above=0.0
            )
        self.gradient_clipping = gradient_clipping
        self.clipping_floor = checks.number("clipping_floor", clipping_floor)
        if optimizer is None:
            optimizer = keras.optimizers.Adam(1e-3)
        # The student's weights and loss are float32 whatever the policy.
        kwargs.setdefault("auto_scale_loss", False)
        with backend.device_scope(self):
            super().compile(
                optimizer=optimizer,
                jit_compile=jit_compile,
                **kwargs,
            )
            self.optimizer.build(self.student.trainable_variables)
        self.update = OuterUpdate(
            self.optimizer, self.gradient_clipping, self.clipping_floor
        )
        self.hold_optimizer()

    def fit(
        self,
        x=None,
        epochs=10,
        steps_per_epoch=4,
        callbacks=None,
        validation_data=None,
        **kwargs,
    ):
        """Trains the student.

        Args:
            x: Data of the outer steps. Defaults to the trainer's episodes,
                from the outer step at which the last `fit` stopped.
            epochs: Int. Defaults to `10`.
            steps_per_epoch: Int. Outer steps an epoch. Defaults to `4`.
            callbacks: List of Keras callbacks; among them any
                `keras_l2o.perturbations`, and one of `keras_l2o.strategies`,
                which then plans the epochs.
            validation_data: What `evaluate` runs after each epoch. Defaults
                to the trainer's fixed-seed rollouts; `False` turns it off.
            **kwargs: Further arguments of `keras.Model.fit`.

        Returns:
            Keras's `History`. Its keys: `loss`, `meta_loss`,
            `imitation_loss`; counts over the epoch of `skipped_updates` (the
            outer gradient was not finite), `diverged_tasks` (started afresh),
            `diverged_teachers`, `replaced_batches` (not finite) and
            `negative_losses` (inner steps; a warning says what to do);
            `val_log_loss`, the student's mean log loss at the end of a
            rollout alone, and the same for each teacher. `log_losses` and
            `log_teachers` of the constructor add theirs.
        """
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

    def _attach_perturbations(self, callbacks):
        found = [
            callback
            for callback in keras.tree.flatten(callbacks or [])
            if isinstance(callback, Perturbation)
        ]
        if found != list(self.perturbations):
            with backend.device_scope(self):
                for perturbation in found:
                    perturbation.build()
            self.perturbations = found
            self.train_function = self.test_function = None

    def evaluate(self, x=None, **kwargs):
        """Runs the fixed-seed rollouts of the student and of each teacher.

        Args:
            x: Data. Defaults to the trainer's validation episodes.
            **kwargs: Further arguments of `keras.Model.evaluate`.
        """
        if not self.compiled:
            self.compile()
        kwargs.setdefault("return_dict", True)
        return super().evaluate(self.validation if x is None else x, **kwargs)

    def to_optimizer(self, learning_rate=1.0, replicate=None):
        """Returns the student, as it is now, as a `LearnedOptimizer`.

        Args:
            learning_rate: Float. Multiplies the update. Defaults to `1.0`.
            replicate: As in `get_student`.

        Returns:
            The optimizer, which warms up as the student did in validation.
        """
        episodes = self.validation.episodes
        return LearnedOptimizer(
            self.get_student(replicate),
            learning_rate=learning_rate,
            warmup_steps=episodes.warmup * episodes.unroll,
            warmup_rate=self.validation_warmup_rate,
        )
