from keras import ops

from keras_l2o import backend
from keras_l2o import numerics
from keras_l2o.perturbations.perturbation import Perturbation


class Adversarial(Perturbation):
    """Base class: moves the weights to where the outer loss is higher.

    Each task is attacked on its own, by the gradient of its own outer loss
    over the truncation at hand, and is then evaluated at the weights found.
    No gradient flows through the attack. A subclass implements `ascend`.

    Args:
        magnitude: Float, non-negative.
        steps: Int. Ascent steps; each costs one more outer gradient.
    """

    def __init__(self, magnitude, steps):
        super().__init__(magnitude)
        if not isinstance(steps, int) or steps < 1:
            raise ValueError(
                "Argument `steps` must be an integer of at least 1. "
                f"Received: steps={steps}"
            )
        self.steps = steps

    def attack(self, weights, gradient):
        moves = [ops.zeros_like(weight) for weight in weights]
        disturbed = weights
        for _ in range(self.steps):
            gradients = gradient(disturbed)
            # Where the gradient is not finite there is no way up. The attack
            # ends here, and the outer gradient at this point is not applied.
            moves = numerics.select(
                numerics.all_finite(gradients),
                [
                    self.ascend(
                        move,
                        slope,
                        weight,
                        ops.cast(backend.read(self.magnitude), weight.dtype),
                    )
                    for move, slope, weight in zip(moves, gradients, weights)
                ],
                moves,
            )
            disturbed = [
                ops.stop_gradient(weight + move)
                for weight, move in zip(weights, moves)
            ]
        return disturbed

    def ascend(self, move, gradient, weight, magnitude):
        """One step up.

        Args:
            move: Tensor. How far the attack has moved the weight so far.
            gradient: Tensor. The outer gradient there.
            weight: Tensor, before the attack.
            magnitude: Scalar tensor.

        Returns:
            The new `move`.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement `ascend`."
        )

    def get_config(self):
        config = super().get_config()
        del config["seed"]  # nothing is drawn
        return {**config, "steps": self.steps}
