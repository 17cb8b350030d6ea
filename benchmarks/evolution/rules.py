"""What trains: `General` at some numbers, and the Adam to compare it with."""

from benchmarks.evolution.numbers import Numbers
from keras_l2o import policies

#: Learning rates of the reference, of which each problem has the best one.
RATES = [10.0 ** (-3.5 + 0.34375 * k) for k in range(9)]


def general():
    """`General`, whose settings are its `Numbers`."""
    policy = policies.General(orthogonal=True)
    policy.build()
    return policy, Numbers(policy).weights


def reference():
    """Adam after a warm-up along a cosine, whose settings are its rate."""
    policy = policies.Cosine(policies.Adam(1.0), warmup=0.05)
    policy.build()
    return policy, lambda setting: ([], setting[0])


RULES = {"general": general, "reference": reference}
