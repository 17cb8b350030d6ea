"""The base class of perturbations that increase the outer loss."""

from collections.abc import Callable
from collections.abc import Sequence

from keras import ops

from keras_l2o import backend
from keras_l2o import numerics
from keras_l2o.perturbations.perturbation import Perturbation
from keras_l2o.typing import Config
from keras_l2o.typing import Tensor


class Adversarial(Perturbation):
    """Base class: moves the weights to where the outer loss is higher.

    Each task has an attack of its own, which follows the gradient of that
    task's outer loss over this truncation, and the task is then evaluated at
    the weights where the attack ends. No gradient flows through the attack. A
    subclass implements `ascend`.

    Args:
        magnitude: Non-negative float.
        steps: Int. Number of ascent steps. Each costs as much as one more
            outer gradient.
    """

    def __init__(self, magnitude: float, steps: int) -> None:
        super().__init__(magnitude)
        if not isinstance(steps, int) or steps < 1:
            raise ValueError(
                "Argument `steps` must be an integer of at least 1. "
                f"Received: steps={steps}"
            )
        self.steps = steps

    def attack(
        self,
        weights: Sequence[Tensor],
        gradient: Callable[[Sequence[Tensor]], list[Tensor]],
    ) -> Sequence[Tensor]:
        moves = [ops.zeros_like(weight) for weight in weights]
        disturbed = weights
        for _ in range(self.steps):
            gradients = gradient(disturbed)
            # A gradient that is not finite shows no way up: the attack stays
            # where it is. The outer gradient there is not finite either, and
            # will not be applied.
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

    def ascend(
        self, move: Tensor, gradient: Tensor, weight: Tensor, magnitude: Tensor
    ) -> Tensor:
        """One step up.

        Args:
            move: Tensor. How far the attack has moved the weight so far.
            gradient: Tensor. The outer gradient at the moved weight.
            weight: Tensor. The weight before the attack.
            magnitude: Scalar tensor.

        Returns:
            Tensor, how far the attack has moved the weight after this step.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement `ascend`."
        )

    def get_config(self) -> Config:
        config = super().get_config()
        del config["seed"]  # attacks draw no random numbers
        return {**config, "steps": self.steps}
