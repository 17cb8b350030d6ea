"""Update rules, designed by hand or learned, as Keras layers."""

from keras_l2o.policies.analytic import SGD
from keras_l2o.policies.analytic import Adam
from keras_l2o.policies.analytic import Momentum
from keras_l2o.policies.analytic import RMSprop
from keras_l2o.policies.catalogue import TEACHER_RATES
from keras_l2o.policies.catalogue import get
from keras_l2o.policies.catalogue import names
from keras_l2o.policies.catalogue import register
from keras_l2o.policies.choice import Choice
from keras_l2o.policies.coordinatewise import CoordinatewisePolicy
from keras_l2o.policies.cosine import Cosine
from keras_l2o.policies.feature_mlp import FeatureMLP
from keras_l2o.policies.general import General
from keras_l2o.policies.keras_optimizer import KerasOptimizer
from keras_l2o.policies.keras_optimizer import as_policy
from keras_l2o.policies.learned_rate import AdamLR
from keras_l2o.policies.learned_rate import RMSPropLR
from keras_l2o.policies.lstm import LSTM
from keras_l2o.policies.policy import Horizon
from keras_l2o.policies.policy import Policy
from keras_l2o.policies.policy import PolicyState
from keras_l2o.policies.random_choice import RandomChoice
from keras_l2o.policies.rectified_adam import RectifiedAdam
from keras_l2o.policies.rnnprop import RNNProp
from keras_l2o.policies.rnnprop import RNNPropExtended
from keras_l2o.policies.scale import Scale
from keras_l2o.policies.signs import AdaptiveAddSign
from keras_l2o.policies.signs import AdaptivePowerSign
from keras_l2o.policies.signs import AddSign
from keras_l2o.policies.signs import PowerSign

__all__ = [
    "LSTM",
    "SGD",
    "TEACHER_RATES",
    "Adam",
    "AdamLR",
    "AdaptiveAddSign",
    "AdaptivePowerSign",
    "AddSign",
    "Choice",
    "CoordinatewisePolicy",
    "Cosine",
    "FeatureMLP",
    "General",
    "Horizon",
    "KerasOptimizer",
    "Momentum",
    "Policy",
    "PolicyState",
    "PowerSign",
    "RMSPropLR",
    "RMSprop",
    "RNNProp",
    "RNNPropExtended",
    "RandomChoice",
    "RectifiedAdam",
    "Scale",
    "as_policy",
    "get",
    "names",
    "register",
]
