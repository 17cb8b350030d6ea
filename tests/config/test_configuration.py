import json

import keras
import numpy as np
import pytest

import keras_l2o
from keras_l2o import config
from keras_l2o import policies
from keras_l2o import strategies
from keras_l2o.config import ConfigurationError

pytestmark = pytest.mark.quick

SEED_PRESETS = """
adam rmsprop sgd momentum powersign addsign less_choice more_choice
less_choice_sgd conv_train conv_cifar conv_avg digits_train il_more il_adjusted
il_staged cl_fixed reduce_mean half_depth hard noscale nowup debug log_teachers
log_losses fgsm pgd cgd gaussian gaussian_rel inoise_1e-1 inoise_1e-2
inoise_1e-3
""".split()


def resolve(*presets, overrides=(), **arguments):
    pairs = [config.parse_override(override) for override in overrides]
    return config.resolve(presets, overrides=pairs, **arguments)


@pytest.mark.parametrize("preset", SEED_PRESETS)
def test_every_preset_of_the_seed_gives_a_configuration(preset):
    policy = "less_choice" if preset == "hard" else None
    strategy = "repeat" if preset == "cl_fixed" else None
    configuration = resolve(preset, policy=policy, strategy=strategy)
    assert configuration != resolve(policy=policy, strategy=strategy) or (
        preset == "digits_train"  # which is the default
    )
    # it goes through JSON, as in a run's directory
    text = json.dumps(configuration.model_dump(mode="json"))
    assert config.check(json.loads(text)) == configuration


@pytest.mark.parametrize(
    ("presets", "policy", "reduce"),
    [
        (["min_max", "recurrent"], "rnnprop", "max"),
        (["mean", "recurrent"], "rnnprop", "mean"),
        (["min_max", "compact"], "feature_mlp", "max"),
        (["min_max", "compact", "gaussian"], "feature_mlp", "max"),
        (["choice_small", "recurrent"], "rnnprop", "max"),
        (["choice_large", "compact_narrow"], "feature_mlp", "max"),
    ],
)
def test_families_are_eight_students_of_one_recipe(presets, policy, reduce):
    configuration = resolve("release", *presets)
    assert configuration.replicates == 8
    assert configuration.policy["name"] == policy
    assert configuration.training.reduce == reduce
    teachers = configuration.training.teachers
    if presets[0].startswith("choice"):
        folder = f"results/{presets[0].replace('_', '-')}/base"
        assert teachers == [{"name": "choice", "directory": folder}]
    else:
        assert len(teachers) == 4
    plan = configuration.strategy
    assert plan["name"] == "simple"
    # The outer rate has fallen when the run ends.
    rate = configuration.optimizer["config"]["learning_rate"]["config"]
    outer_steps = plan["num_periods"] * plan["episodes"] * plan["depth"]
    assert rate["decay_steps"] == outer_steps
    text = json.dumps(configuration.model_dump(mode="json"))
    assert config.check(json.loads(text)) == configuration


@pytest.mark.parametrize(("family", "members"), [("small", 2), ("large", 6)])
def test_a_choice_family_has_a_teacher_of_its_own(family, members):
    configuration = resolve("release", f"choice_{family}_base")
    assert configuration.replicates is None
    assert configuration.training.teachers == []
    assert len(configuration.policy["pool"]) == members
    student = config.build(configuration).trainer.student
    assert isinstance(student, policies.Choice)
    assert [rule.get_config()["learning_rate"] for rule in student.pool] == [
        rule["learning_rate"] for rule in configuration.policy["pool"]
    ]


def test_a_pool_is_a_list_of_rules():
    rules = '[{"name": "radam"}, {"name": "sgd", "learning_rate": 0.3}]'
    configuration = resolve(policy="less_choice", overrides=[
        f"--policy/pool={rules}", "--policy/pool/0/learning_rate=0.7"
    ])  # fmt: skip
    pool = config.build(configuration).trainer.student.pool
    assert isinstance(pool[0], policies.RectifiedAdam)
    assert isinstance(pool[1], policies.SGD)
    rates = [rule.get_config()["learning_rate"] for rule in pool]
    assert rates == [0.7, 0.3]


def test_an_unknown_field_of_a_rule_of_a_pool_is_named():
    with pytest.raises(ConfigurationError, match="policy/pool/0/learn_rate"):
        resolve(policy="less_choice", overrides=[
            '--policy/pool=[{"name": "adam", "learn_rate": 1}]'
        ])  # fmt: skip


def test_an_optimizer_of_keras_is_a_rule_like_any_other():
    muon = {"name": "muon", "config": {"learning_rate": 0.02}}
    rule = {"name": "keras", "optimizer": muon}
    teacher = {"name": "cosine", "rule": rule, "warmup": 0.05}
    configuration = resolve("digits_train", overrides=[
        f"--training/teachers={json.dumps([teacher])}"
    ])  # fmt: skip
    text = json.dumps(configuration.model_dump(mode="json"))
    assert config.check(json.loads(text)) == configuration
    trainer = config.build(configuration).trainer
    assert trainer.teacher_names == ["muon"]
    (made,) = trainer.teachers
    assert isinstance(made, policies.Cosine)
    assert made.warmup == 0.05
    optimizer = made.rule.optimizer
    assert isinstance(optimizer, keras.optimizers.Muon)
    assert float(optimizer.learning_rate) == pytest.approx(0.02)
    with pytest.raises(ConfigurationError, match="teachers/0/rule/optimizer"):
        resolve(overrides=[
            "--training/teachers="
            + json.dumps([teacher]).replace("learning_rate", "rate")
        ])  # fmt: skip


def test_a_trained_policy_stands_wherever_a_rule_does():
    trained = {"name": "trained", "directory": "min-max-compact/3"}
    teacher = {"name": "cosine", "rule": trained}
    configuration = resolve("digits_train", overrides=[
        "--policy=" + json.dumps(trained),
        f"--training/teachers={json.dumps([teacher])}",
    ])  # fmt: skip
    text = json.dumps(configuration.model_dump(mode="json"))
    assert config.check(json.loads(text)) == configuration
    trainer = config.build(configuration).trainer
    expected = keras_l2o.from_hub("min-max-compact/3").policy.get_weights()
    for policy in (trainer.student, trainer.teachers[0].rule):
        for found, weight in zip(policy.get_weights(), expected):
            np.testing.assert_array_equal(found, weight)


@pytest.mark.parametrize("name", policies.names())
def test_every_policy_has_a_section_with_its_own_defaults(name):
    section = dict(resolve(policy=name).policy)
    assert section.pop("perturbation") is None
    for key in ("pool", "rule", "optimizer"):
        assert section.pop(key, None) is None  # the catalogue's
    mine = {k: v for k, v in section.items() if k != "name"}
    made = policies.get(**section).get_config()
    default = policies.get(name).get_config()
    for key in mine:
        assert made[key] == default[key]


@pytest.mark.parametrize("name", strategies.names())
def test_every_strategy_has_a_section_with_its_own_defaults(name):
    section = resolve(strategy=name).strategy
    default = strategies.get(name).get_config()
    made = strategies.get(**section, seed=0).get_config()
    assert made == default


def test_presets_compose_left_to_right():
    composed = resolve("adam", "rmsprop", "conv_train", "il_more", "il_staged")
    teachers = composed.training.teachers
    assert [(t["name"], t["learning_rate"]) for t in teachers] == [
        ("adam", 0.005), ("rmsprop", 0.005),
    ]  # fmt: skip
    assert composed.strategy["imitation_weight"] == [1.0, 0.0, 0.0, 0.0]
    other = resolve("il_staged", "il_more")
    assert other.strategy["imitation_weight"] == [0.2, 0.1, 0.05, 0.02]


def test_the_seeds_curriculum_is_the_default():
    strategy = resolve().strategy
    assert strategy["name"] == "curriculum"
    assert strategy["num_stages"] == 4
    assert strategy["depth"] == [1, 2, 5, 10, 20]
    assert resolve().training.parameter_scale_spread == 3.0


@pytest.mark.parametrize(
    ("preset", "override", "key", "value"),
    [
        ("fgsm", "step_size=0.01", "step_size", 0.01),
        ("pgd", "magnitude=0.01", "magnitude", 0.01),
        ("pgd", "steps=4", "steps", 4),
        ("pgd", "norm=l2", "norm", "l2"),
        ("pgd", "learning_rate=0.2", "learning_rate", 0.2),
        ("cgd", "magnitude=0.01", "magnitude", 0.01),
        ("cgd", "steps=3", "steps", 3),
        ("gaussian", "noise_stddev=0.01", "noise_stddev", 0.01),
        ("gaussian_rel", "noise_stddev=0.01", "noise_stddev", 0.01),
    ],
)
def test_a_perturbations_parameters_are_set_as_in_the_seed(
    preset, override, key, value
):
    flag = f"--policy/perturbation/config/{override}"
    perturbation = resolve(preset, overrides=[flag]).policy["perturbation"]
    assert perturbation["config"][key] == value


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("--policy/units=[8]", [8]),
        ("--policy/learning_rate=0.2", 0.2),
        ("--strategy/depth=3", 3),
        ("--strategy/depth=[1,3]", [1, 3]),
        ("--strategy/warmup_rate=1e-1", 0.1),
        ("--training/reduce=mean", "mean"),
        ("--training/huber_delta=0.5", 0.5),
        ("--training/gradient_clipping=null", None),
        ("--training/teachers/0/learning_rate=0.1", 0.1),
        ("--optimizer/config/learning_rate=0.01", 0.01),
        ("--problems/0/dataset=digits", "digits"),
        ("--problems/0/batch_size=64", 64),
        ("--seed=5", 5),
    ],
)
def test_an_override_sets_any_field(override, value):
    nest = resolve("adam", "conv_train", overrides=[override]).model_dump()
    for part in override.partition("=")[0][2:].split("/"):
        nest = nest[int(part) if isinstance(nest, list) else part]
    assert nest == value


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("--strategy/dept=3", "'strategy/depth'"),
        ("--strategi/depth=3", "Did you mean 'strategy'"),
        ("--policy/unit=[3]", "'policy/units'"),
        ("--policy/pertubation=1", "'policy/perturbation'"),
        ("--policy/name=rnprop", "'rnnprop'"),
        ("--policy/alpha=big", "policy/learning_rate: Input should be a valid"),
        ("--policy/alpha/x=1", "policy/learning_rate: Input should be a valid"),
        ("--training/loss_reduce=median", "'max' or 'mean'"),
        ("--training/tasks=1.5", "training/tasks: Input should be a valid int"),
        ("--training/teacher=1", "'training/teachers'"),
        ("--problems/0/name=conv_trian", "'conv_train'"),
        ("--problems/1/name=conv_train", "the list has entries 0 to 0"),
        ("--problems/0/datset=digits", "There is no field problems/0/datset"),
        ("--optimizer/config/learning_rat=1", "config/learning_rate'"),
        ("--optimizer/name=adem", "'adam'"),
        ("--policy/perturbation/name=fgms", "'fgsm'"),
        ("--policy/perturbation/config/steps=2", "by a preset or by"),
        ("--strategy/name=curiculum", "'curriculum'"),
        ('--training/teachers=[{"name": "adem"}]', "training/teachers/0/name"),
    ],
)
def test_a_wrong_override_is_an_error_that_names_the_right_one(
    override, message
):
    with pytest.raises(ConfigurationError, match=message):
        resolve("conv_train", overrides=[override])


def test_an_unknown_preset_is_an_error_that_names_the_nearest():
    with pytest.raises(ConfigurationError, match="Did you mean 'conv_train'"):
        resolve("conv_tran")


def test_a_preset_that_the_strategy_or_policy_cannot_take_is_an_error():
    with pytest.raises(ConfigurationError, match="strategy/repeat_threshold"):
        resolve("cl_fixed", strategy="simple")
    with pytest.raises(ConfigurationError, match="policy/hardness"):
        resolve("hard", policy="rnnprop")


def test_a_value_is_never_evaluated(tmp_path):
    mark = tmp_path / "mark"
    attack = f"__import__('os').system('touch {mark}')"
    with pytest.raises(ConfigurationError, match="valid number"):
        resolve(overrides=[f"--optimizer/config/learning_rate={attack}"])
    path, value = config.parse_override(f"--problems/0/dataset={attack}")
    assert (path, value) == ("problems/0/dataset", attack)
    assert not mark.exists()


def test_presets_are_not_changed_by_overrides():
    flags = ["--training/teachers/0/learning_rate=9"]
    assert resolve("adam", overrides=flags) != resolve("adam")
    assert resolve("adam").training.teachers[0]["learning_rate"] == 0.005


def test_a_trained_teacher_that_is_missing_names_the_command_to_run_first():
    configuration = resolve(
        "less_choice",
        overrides=["--training/teachers/0/directory=nowhere/1"],
    )
    with pytest.raises(
        ConfigurationError,
        match="--policy=less_choice --directory=nowhere/1",
    ):
        config.build(configuration)


def test_a_bundled_optimizer_can_be_a_teacher():
    assert isinstance(config.trained_policy("min-max/1"), policies.RNNProp)
