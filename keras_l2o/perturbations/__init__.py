"""Disturbances of the student that make what is distilled more stable."""

from keras_l2o.perturbations.cgd import CGD
from keras_l2o.perturbations.fgsm import FGSM
from keras_l2o.perturbations.gaussian import Gaussian
from keras_l2o.perturbations.gaussian import PersistentGaussian
from keras_l2o.perturbations.gaussian import RelativeGaussian
from keras_l2o.perturbations.input_noise import InputNoise
from keras_l2o.perturbations.names import get
from keras_l2o.perturbations.names import register
from keras_l2o.perturbations.perturbation import Perturbation
from keras_l2o.perturbations.pgd import PGD

__all__ = [
    "CGD",
    "FGSM",
    "PGD",
    "Gaussian",
    "InputNoise",
    "PersistentGaussian",
    "Perturbation",
    "RelativeGaussian",
    "get",
    "register",
]
