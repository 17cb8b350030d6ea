"""The data of several replicates, stacked."""

from keras_l2o.training.episodes import Episodes
from keras_l2o.training.episodes import next_seed
from keras_l2o.training.episodes import stack
from keras_l2o.training.validation_episodes import ValidationEpisodes


class EpisodesSideBySide(Episodes):
    """Episodes of several replicates, which have successive seeds.

    Args:
        first: `Episodes` of the first replicate.
        count: Int. Number of replicates.
    """

    def __init__(self, first, count):
        super().__init__(**first.arguments)
        self.each = [
            first.changed(seed=next_seed(first.seed, by)) for by in range(count)
        ]

    def changed(self, **arguments):
        first = self.each[0].changed(**arguments)
        return EpisodesSideBySide(first, len(self.each))

    def at(self, outer_step):
        return stack([episodes.at(outer_step) for episodes in self.each])


class ValidationSideBySide(ValidationEpisodes):
    """Validation rollouts of several replicates.

    A seed that is given to `changed` becomes that of all replicates, whose
    losses can then be compared.

    Args:
        each: List of `ValidationEpisodes`, one for each replicate.
    """

    def __init__(self, each):
        super().__init__(**each[0].arguments)
        self.each = each

    @property
    def every(self):
        return [validation.arguments for validation in self.each]

    def changed(self, **arguments):
        return ValidationSideBySide(
            [validation.changed(**arguments) for validation in self.each]
        )

    def __getitem__(self, index):
        return stack([validation[index] for validation in self.each])


def side_by_side(
    episodes: Episodes, validation: ValidationEpisodes, count: int
) -> tuple[EpisodesSideBySide, ValidationSideBySide]:
    """The data of several replicates from that of one student.

    Args:
        episodes: `Episodes` of the first replicate.
        validation: `ValidationEpisodes` of the first replicate.
        count: Int. Number of replicates.

    Returns:
        Both for all replicates, each with seeds of its own.
    """
    stacked = EpisodesSideBySide(episodes, count)
    seeds = [next_seed(one.seed) for one in stacked.each]
    each = [validation.changed(seed=seed) for seed in seeds]
    return stacked, ValidationSideBySide(each)
