import copy
import io

import pytest
from rich.console import Console

import keras_l2o
from keras_l2o import policies
from keras_l2o import strategies
from keras_l2o.strategies import Row
from keras_l2o.tuner import search
from keras_l2o_commands.period_progress import PeriodProgress
from keras_l2o_commands.period_progress import periods_ahead
from keras_l2o_commands.progress import COMPILING
from keras_l2o_commands.progress import Progress
from keras_l2o_commands.run_progress import run_progress
from keras_l2o_commands.trial_progress import TrialProgress


class Recorded(Progress):
    """A progress that writes down what it shows."""

    def __init__(self, total=None, terminal=False):
        self.file, self.seconds, self.moves = io.StringIO(), 0.0, []
        console = Console(
            file=self.file, force_terminal=terminal, soft_wrap=True, width=80
        )
        super().__init__("work", total, console, lambda: self.seconds)

    def move(self, done, line, total=None):
        super().move(done, line, total)
        self.moves.append((done, line))

    @property
    def text(self):
        return self.file.getvalue()


def test_the_time_left_is_measured_after_the_first_move():
    progress = Recorded(total=10)
    progress.seconds = 60.0  # of compilation
    progress.move(4, "five")
    assert progress.left() == ""
    progress.seconds = 80.0
    progress.move(6, "seven")
    assert progress.left() == "0:00:40 left"
    progress.move(6, "seven of more", total=16)
    assert progress.left() == "0:01:40 left"


def test_a_terminal_has_a_bar_and_a_file_has_lines():
    file = Recorded(total=2)
    with file:
        file.announce("compiling [a/b]")
        file.move(1, "one")
        file.note("half")
    assert file.text == "compiling [a/b]\nhalf\n"
    terminal = Recorded(total=2, terminal=True)
    with terminal:
        terminal.announce("compiling [a/b]")
        terminal.note("half")
        terminal.say("one is done")
    assert "━" in terminal.text
    assert "compiling [a/b]" in terminal.text
    assert "one is done\n" in terminal.text
    assert "half" not in terminal.text


@pytest.mark.parametrize(
    ("strategy", "count"),
    [
        (strategies.Simple(num_periods=3), 3),
        (strategies.Repeat(num_periods=4), 4),
        (strategies.Curriculum(num_stages=2, num_periods=3, num_chances=1), 6),
        (strategies.Curriculum(num_stages=2, num_periods=2, num_chances=4), 10),
    ],
)
def test_the_periods_ahead_are_those_of_the_plan(strategy, count):
    ahead = periods_ahead(strategy, [])
    assert len(ahead) == strategy.planned == count
    assert ahead[0] == strategy.next([])
    rows = [Row(ahead[0], 0.5, checkpoint="first")]
    assert len(periods_ahead(strategy, rows)) == count - 1


def test_a_period_that_is_rolled_back_lengthens_what_is_ahead():
    strategy = strategies.Repeat(num_periods=4)
    first, second = periods_ahead(strategy, [])[:2]
    rows = [Row(first, 0.5, checkpoint="x"), Row(second, 9.0, kept=False)]
    assert len(periods_ahead(strategy, rows)) == 3


def fitted(strategy, callbacks):
    trainer = keras_l2o.MetaTrainer(
        policies.FeatureMLP(units=(2,)), [policies.SGD()], "digits_mlp",
        tasks=1,
    )  # fmt: skip
    trainer.fit(callbacks=[strategy, *callbacks], verbose=0)


@pytest.mark.usefixtures("few_outer_steps")
def test_a_run_shows_compilation_steps_and_periods():
    strategy = strategies.Simple(num_periods=2, unroll=3, depth=2, episodes=2)
    progress = Recorded()
    fitted(strategy, [PeriodProgress(strategy, progress)])
    lines = progress.text.splitlines()
    assert lines[0] == f"period 1 of 2: {COMPILING}"
    assert len(lines) == 3
    for number, line in enumerate(lines[1:], 1):
        row = strategy.rows[number - 1]
        assert line.startswith(
            f"period {number} of 2: loss {row.figures['loss']:.4g}, "
            f"validation {row.validation:.4g}, "
        )
        assert line.endswith(" left")
    done = [done for done, _ in progress.moves]
    assert done == [3, 6, 9, 12, 12, 15, 18, 21, 24, 24]
    assert progress.moves[0][1].startswith("period 1 of 2: step 1 of 4, loss")
    assert progress.moves[4][1] == "period 1 of 2: validation"


@pytest.mark.usefixtures("few_outer_steps")
def test_a_rolled_back_period_is_shown_as_one():
    strategy = strategies.Repeat(num_periods=2, unroll=2, depth=1, episodes=1)
    strategy.max_repeat = 1
    keeps = strategy.keeps
    # The second period's first attempt.
    strategy.keeps = lambda rows, v: len(rows) != 1 and keeps(rows, v)
    progress = Recorded()
    fitted(strategy, [PeriodProgress(strategy, progress)])
    lines = progress.text.splitlines()[1:]
    assert [line.partition(":")[0] for line in lines] == [
        "period 1 of 2", "period 2 of 2", "period 3 of 3",
    ]  # fmt: skip
    assert ["rolled back" in line for line in lines] == [False, True, False]


@pytest.mark.usefixtures("few_outer_steps")
def test_trials_are_counted_by_one_callback_though_it_is_copied(
    tmp_path, monkeypatch
):
    ended = iter([0, 0, 1])
    monkeypatch.setattr(search, "count_ended", lambda _: next(ended))
    progress = Recorded(total=2)
    watching = TrialProgress(tmp_path, 2, progress)
    for _ in range(3):  # two students of a trial, one of the next
        strategy = strategies.Simple(
            num_periods=1, unroll=2, depth=1, episodes=1
        )
        fitted(strategy, [copy.deepcopy(watching)])
    assert progress.text.splitlines() == [
        f"trial 1 of 2: {COMPILING}",
        f"trial 2 of 2: {COMPILING}",
    ]
    lines = [line for _, line in progress.moves]
    assert "trial 2 of 2, period 1 of 1: step 1 of 1" in lines
    assert "trial 2 of 2, period 1 of 1: validation" in lines


def test_runs_in_any_order_are_counted(capsys):
    calls = [(run, epoch) for run in (2, 1) for epoch in (0, 1)]
    for order in (calls, sorted(calls, key=lambda call: call[1])):
        with run_progress("x", 3) as progress:
            progress.start(1, 2)  # one is stored
            for run, epoch in order:
                progress.advance(f"run {run}, epoch {epoch}")
        lines = capsys.readouterr().err.splitlines()
        assert lines[0] == f"x: {COMPILING}"
        assert lines[-1].startswith("x: 3 of 3 done")
        assert [line.split(",")[0] for line in lines[1:]] == [
            "x: 2 of 3 done", "x: 3 of 3 done",
        ]  # fmt: skip
