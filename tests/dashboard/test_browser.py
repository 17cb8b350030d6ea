"""The page in a headless Chromium: it filters, sorts, picks and draws."""

import pytest

from keras_l2o import dashboard
from tests.dashboard import browser as browsers
from tests.dashboard import stored
from tests.dashboard.serving import served

pytestmark = pytest.mark.skipif(
    browsers.programs() is None, reason=browsers.LACKING
)
DESKTOP, PHONE = (1280, 900), (390, 844)


@pytest.fixture(scope="module")
def browser():
    made = browsers.Browser()
    yield made
    made.close()


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return stored.everything(tmp_path_factory.mktemp("stored") / "results")


@pytest.fixture(scope="module")
def address(results):
    """The page's files, which are opened from the disk."""
    data = dashboard.Gatherer([results]).data()
    return dashboard.write(data, results.parent / "page").as_uri()


def names(browser):
    return browser.run(
        "return [...document.querySelectorAll('#table tbody th')]"
        ".map((th) => th.innerText)"
    )


def drawn(browser, panels="#panels"):
    """Of each panel, its title and how many colours its curves have."""
    return browser.run(
        """
        return [...document.querySelectorAll(arguments[0] + " .panel")].map(
          (panel) => {
            const canvas = panel.querySelector("canvas");
            const {data} = canvas.getContext("2d")
              .getImageData(0, 0, canvas.width, canvas.height);
            const colours = new Set();
            for (let i = 0; i < data.length; i += 4) {
              const [r, g, b, a] = data.slice(i, i + 4);
              const spread = Math.max(r, g, b) - Math.min(r, g, b);
              if (a === 255 && spread > 80) colours.add(`${r},${g},${b}`);
            }
            return [panel.querySelector("strong").textContent, colours.size];
          })
        """,
        panels,
    )


def columns(browser, name):
    """The cells of a column, by its heading."""
    return browser.run(
        """
        const heads = [...document.querySelectorAll("#table thead th")];
        const at = heads.findIndex((h) => h.dataset.column === arguments[0]);
        return [...document.querySelectorAll("#table tbody tr")]
          .map((tr) => tr.children[at].innerText.trim());
        """,
        name,
    )


def order(browser, name):
    return browser.run(
        "const column = `#table th[data-column=${arguments[0]}]`;"
        "return document.querySelector(column).getAttribute('aria-sort')",
        name,
    )


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_opens_from_a_disk_and_fits(browser, address, size, dark):
    browser.show(address, *size, dark=dark)
    assert browser.messages() == []
    assert names(browser) == [
        "wide/1", "wide/2", "adam 0.01", "narrow/1", "broken/1",
    ]  # fmt: skip
    wide, inner = browser.run(
        "return [document.documentElement.scrollWidth, innerWidth]"
    )
    assert wide <= inner == size[0]
    assert [title for title, colours in drawn(browser) if colours] == [
        "conv_train", "mlp_train",
    ]  # fmt: skip
    assert len(browser.picture()) > 20_000


def test_ratios_are_to_the_best_rule_and_a_divergence_is_infinite(
    browser, address
):
    browser.show(address)
    assert columns(browser, "best_ratio") == [
        "0.50", "0.75", "1.00", "1.25", "∞",
    ]  # fmt: skip
    assert columns(browser, "problems") == ["2", "2", "2", "2", "1 of 2"]
    assert columns(browser, "diverged")[-1] == "1"
    browser.choose("against", "wide/1")
    assert columns(browser, "best_ratio")[0] == "1.00"


def test_filters_leave_what_fits(browser, address):
    browser.show(address)
    browser.choose("family", "wide")
    assert names(browser) == ["wide/1", "wide/2"]
    browser.choose("problem", "mlp_train")
    count = browser.run("return document.querySelector('#count').innerText")
    assert count == "2 rows: 2 evaluations on 1 problem"
    assert columns(browser, "best") == ["0.2", "0.3"]
    assert columns(browser, "accuracy") == ["90.0 %", "90.0 %"]
    browser.click("#filters button[type=reset]")
    browser.type("input[type=search]", "narrow conv")
    assert names(browser) == ["narrow/1"]
    browser.click("#filters button[type=reset]")
    browser.choose("kind", "Rates that searches tried")
    assert names(browser) == ["adam 0.01", "adam 0.1"]
    browser.choose("rows", "Evaluation")
    assert columns(browser, "problem") == ["conv_train", "mlp_train"] * 2


def test_columns_sort_both_ways_by_mouse_and_keyboard(browser, address):
    browser.show(address)
    assert order(browser, "best_ratio") == "ascending"
    browser.click("#table th[data-column=best_ratio] button")
    assert order(browser, "best_ratio") == "descending"
    # Means over some problems only come after those over all.
    assert names(browser) == [
        "narrow/1", "adam 0.01", "wide/2", "wide/1", "broken/1",
    ]  # fmt: skip
    browser.click("#table th[data-column=name] button")
    assert names(browser) == [
        "adam 0.01", "broken/1", "narrow/1", "wide/1", "wide/2",
    ]  # fmt: skip
    # The focus stays where it was, so that the keyboard goes on from there.
    browser.type("#table th[data-column=name] button", "\ue007")
    assert order(browser, "name") == "descending"
    assert order(browser, "best_ratio") == "none"
    assert names(browser)[0] == "wide/2"
    focus = "return document.activeElement.closest('th').dataset.column"
    assert browser.run(focus) == "name"


def test_what_is_picked_is_drawn_with_its_band_and_legend(browser, address):
    browser.show(address)
    browser.click("#picks .clear button")
    assert drawn(browser) == []
    browser.click("input[aria-label='Pick narrow/1']")
    before = drawn(browser)
    assert [title for title, _ in before] == ["conv_train", "mlp_train"]
    browser.type("input[aria-label='Pick adam 0.01']", " ")
    for (_, old), (_, new) in zip(before, drawn(browser)):
        assert new > old > 0
    legend = "return document.querySelector('#panels .legend').innerText"
    assert set(browser.run(legend).split("\n")) >= {"narrow/1", "adam 0.01"}
    label = browser.run(
        "return document.querySelector('#panels .plot')"
        ".getAttribute('aria-label')"
    )
    assert "narrow/1 ends at" in label
    browser.choose("curve", "Training")
    assert all(colours for _, colours in drawn(browser))
    browser.click("button[aria-label='Remove narrow/1']")
    assert browser.run(legend).startswith("adam 0.01")


def test_the_weights_of_a_pool_are_drawn_when_its_policy_is_picked(
    browser, address
):
    browser.show(f"{address}#pick=narrow/1")
    shown = drawn(browser, "#pool-panels")
    assert [title for title, colours in shown if colours] == ["narrow/1"] * 2
    assert "adam" in browser.run(
        "return document.querySelector('#pool-panels').innerText"
    )
    browser.click("input[aria-label='Pick narrow/1']")
    assert drawn(browser, "#pool-panels") == []


def test_a_run_of_meta_training_is_drawn(browser, address):
    browser.show(address)
    assert [colours > 0 for _, colours in drawn(browser, "#runs-panels")] == [
        True, True,
    ]  # fmt: skip


def test_what_is_chosen_is_in_the_address(browser, address):
    browser.show(address)
    browser.choose("family", "wide")
    browser.click("input[aria-label='Pick wide/2']")
    at = browser.run("return location.href")
    legend = "return document.querySelector('#panels').innerText"
    before = names(browser), browser.run(legend)
    browser.show(at)
    assert (names(browser), browser.run(legend)) == before


def test_of_several_folders_the_first_is_shown_at_its_usual_horizon(
    browser, results, tmp_path
):
    stored.evaluation(tmp_path / "later" / "wide" / "1", "mlp_train", 0.2)
    data = dashboard.Gatherer([results, tmp_path / "later"]).data()
    browser.show(dashboard.write(data, tmp_path / "page").as_uri())
    chosen = "return document.querySelector('select[name=set]').value"
    assert browser.run(chosen) == "results"
    assert columns(browser, "problems")[0] == "2"
    browser.click("#filters button[type=reset]")
    assert browser.run(chosen) == ""
    assert columns(browser, "problems")[0] == "3"


def test_names_are_never_read_as_html(browser, tmp_path):
    bad = "<img src=x onerror=alert(1)>"
    stored.evaluation(tmp_path / "r" / "wide" / "1", bad, 0.3)
    data = dashboard.Gatherer([tmp_path / "r"]).data()
    data["optimizers"][0]["name"] = bad
    page = dashboard.write(data, tmp_path / "page")
    browser.show(page.as_uri())
    assert names(browser) == [bad]
    assert browser.run("return document.images.length") == 0


def test_a_live_page_draws_what_is_new_and_keeps_what_is_chosen(
    browser, tmp_path
):
    root = stored.everything(tmp_path / "results")
    with served(dashboard.Gatherer([root])) as server:
        browser.show(server.address)
        assert browser.messages() == []
        browser.choose("family", "wide")
        browser.click("input[aria-label='Pick wide/2']")
        picked = "return document.querySelector('#picks').innerText"
        before = browser.run(picked)
        stored.evaluation(root / "wide" / "3", "mlp_train", 0.1)
        stored.run(root / "mine", periods=7)
        (root / "wide" / "4" / "evaluations").mkdir(parents=True)
        half = root / "wide" / "4" / "evaluations" / "mlp_train.npz"
        half.write_bytes(b"PK")
        browser.wait(
            "return document.querySelector('#table').innerText"
            ".includes('wide/3')"
        )
        assert names(browser) == ["wide/1", "wide/2", "wide/3"]
        assert browser.run(picked) == before
        runs = browser.run(
            "return document.querySelector('#runs-table tbody').innerText"
        )
        assert "\t7\t" in runs
        faults = "return document.querySelector('#faults').innerText"
        assert "wide/4" in browser.run(faults)
    status = "return document.querySelector('#status').innerText"
    browser.wait(f"{status}.includes('has ended')")
