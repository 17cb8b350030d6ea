import keras

from keras_l2o.training.episodes import stack


class StackedEpisodes:
    """The `Episodes` of all replicates, side by side.

    Args:
        each: List of `Episodes`.
    """

    def __init__(self, each):
        self.each = each

    def at(self, outer_step):
        """Data of one outer step, stacked over the replicates."""
        return stack([episodes.at(outer_step) for episodes in self.each])

    def stream(self, outer_step=0):
        """Yields the data of each outer step from this one on, for `fit`."""
        while True:
            yield (self.at(outer_step),)
            outer_step += 1


class StackedValidation(keras.utils.PyDataset):
    """The `ValidationEpisodes` of all replicates, side by side.

    Args:
        each: List of `ValidationEpisodes`.
    """

    def __init__(self, each):
        super().__init__()
        self.each = each

    def __len__(self):
        return len(self.each[0])

    def __getitem__(self, index):
        return stack([validation[index] for validation in self.each])
