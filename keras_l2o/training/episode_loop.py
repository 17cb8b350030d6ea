from typing import Any

from keras_l2o.training import checks
from keras_l2o.training.episodes import Episodes
from keras_l2o.training.validating_loop import ValidatingLoop
from keras_l2o.training.validation_episodes import ValidationEpisodes


class EpisodeLoop(ValidatingLoop):
    """A loop whose episodes and validation may be changed between fits."""

    warmup_rate: float
    validation_warmup_rate: float
    _episodes: Episodes
    _validation: ValidationEpisodes

    @property
    def episodes(self) -> Episodes:
        """The `Episodes` that `fit` trains on.

        Others of the same problems and number of tasks may be assigned; they
        begin with the next `fit`.
        """
        return self._episodes

    @episodes.setter
    def episodes(self, episodes: Episodes) -> None:
        checks.same_tasks(episodes, self._episodes)
        if episodes.traced != self._episodes.traced:
            self.train_function = None
        self._episodes = episodes
        self._first_step = self.outer_steps

    @property
    def validation(self) -> ValidationEpisodes:
        """The `ValidationEpisodes` that `evaluate` runs; may be assigned."""
        return self._validation

    @validation.setter
    def validation(self, validation: ValidationEpisodes) -> None:
        old = self._validation.episodes
        checks.same_tasks(validation.episodes, old)
        if validation.episodes.traced != old.traced:
            self.forget_validation()
        self._validation = validation

    def set_episodes(
        self, warmup_rate: float | None = None, **changes: Any
    ) -> None:
        """Changes the episodes of the next `fit`, which begins with new ones.

        Args:
            warmup_rate: Float. Rate of gradient descent in the warm-up.
                Defaults to `None`, the present one.
            **changes: Any of `unroll`, `depth`, `warmup`, `seed` and
                `parameter_scale_spread`, as in the constructor.
        """
        if warmup_rate not in (None, self.warmup_rate):
            self.warmup_rate = checks.number("warmup_rate", warmup_rate)
            self.train_function = None
        self.episodes = self.episodes.changed(**changes)

    def set_validation(
        self, warmup_rate: float | None = None, **changes: Any
    ) -> None:
        """Changes the validation, and with it the warm-up in `to_optimizer`.

        Args:
            warmup_rate: Float. Rate of gradient descent in the warm-up.
                Defaults to `None`, the present one.
            **changes: Any of `unroll`, `depth`, `warmup`, `seed` and
                `rollouts`, as in `ValidationEpisodes`.
        """
        if warmup_rate not in (None, self.validation_warmup_rate):
            self.validation_warmup_rate = checks.number(
                "warmup_rate", warmup_rate
            )
            self.forget_validation()
        self.validation = self.validation.changed(**changes)
