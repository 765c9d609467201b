"""The pages in a real browser: they draw, filter, ask nothing of a network, and fit phone and desk, by day and night.

Needs Debian's Chromium and the Python package playwright; without either the tests say so and are skipped.
"""

import shutil

import pytest

from kd_rag.evaluation.ablation import write_tables
from kd_rag.evaluation.findings import find
from kd_rag.evaluation.html.page import report_page
from kd_rag.evaluation.runs import read_run
from kd_rag.evaluation.variants import Variant

CHROMIUM = shutil.which("chromium")
api = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on the path"),
]


@pytest.fixture(scope="module")
def browser():
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def file(shop_run, kept_texts, tmp_path):
    """Return the page about a teacher and its student, on disk."""
    first = shop_run("teacher", {0, 3})
    kept_texts(first)
    second = shop_run("student", {3, 4}, f"teacher.path={first}", command="distill")
    path = tmp_path / "report.html"
    path.write_text(report_page(find([read_run(first), read_run(second)])), encoding="utf-8")
    return path


@pytest.fixture
def study(shop_run, tmp_path):
    """Return the page of an ablation of two variants with two seeds each, one failed and one with published figures."""
    variants = []
    for name, wrong in {"base": {0, 3}, "other": {3, 4}}.items():
        runs = {seed: read_run(shop_run(f"{name}{seed}", wrong | {seed})) for seed in range(2)}
        failed, figures = ({}, {"average": 83.98}) if name == "base" else ({2: "out of memory"}, {})
        variants.append(Variant(name, runs, failed, figures, {1.0: figures} if figures else {}))
    write_tables(variants, "base", [0.5, 1], tmp_path)
    return tmp_path / "ablation.html"


@pytest.fixture
def opened(browser, file):
    """Return a function that opens the page; at the end nothing may have gone wrong or been asked for."""
    contexts, complaints = [], []

    def open_at(width, scheme, file=file):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        context.set_default_timeout(300_000)  # of a slow machine
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(f"a record ran code: {dialog.message}"))
        page.on("request", lambda request: request.url == file.as_uri() or request.url.startswith("data:")
                or complaints.append(f"asked for {request.url}"))  # fmt: skip
        page.goto(file.as_uri())
        return page

    yield open_at
    for context in contexts:
        context.close()
    assert complaints == []


def background(page):
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_its_screen_in_both_schemes(opened, width, scheme):
    """A page that scrolls sideways is unreadable on a phone; dark text on a dark ground is unreadable anywhere."""
    page = opened(width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    red, green, blue = (int(part) for part in background(page).strip("rgb()").split(","))
    assert (red + green + blue > 600) == (scheme == "light")
    drawn = page.locator("svg.chart:visible, svg.strip:visible, table.confusion:visible, table.bars:visible")
    assert drawn.count() > 15
    for i in range(drawn.count()):
        box = drawn.nth(i).bounding_box()
        assert box["width"] > 40
        assert box["height"] >= 10
    assert page.locator("svg.chart .line").first.bounding_box()["width"] > 40


@pytest.mark.parametrize("width", [400, 1400])
def test_the_page_of_an_ablation_fits_its_screen_and_draws(opened, study, width):
    page = opened(width, "light", study)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("svg.chart:visible .line").count() == 3 * 2, "a line for each score and variant"
    strips = page.locator("svg.strip:visible")
    assert strips.count() == 2 * 3 + 3, "a mean for each variant and score, a difference for each score"
    assert all(strips.nth(i).bounding_box()["width"] > 40 for i in range(strips.count()))
    assert page.locator("svg.strip .published").count() == 1
    assert "83.98" in page.locator("table", has_text="by epoch").inner_text()
    page.locator(".legend button").first.click()
    assert page.locator("g.fore .line").count() == 3
    assert page.locator("g.fore .published").bounding_box()["width"] > 8


def test_filters_show_the_cards_of_a_label_and_of_a_run(opened):
    page = opened(1400, "light")
    cards = page.locator(".card:visible")
    assert cards.count() == 3
    page.select_option("#filter-label", "image_scene/cart")
    assert cards.count() == 1
    assert cards.first.locator("img").bounding_box()["width"] == 360
    assert page.locator("#shown").inner_text() == "1 shown"
    page.select_option("#filter-label", "")
    page.select_option("#filter-wrong", label="student")
    assert cards.count() == 2
    page.select_option("#filter-right", label="teacher")
    assert cards.count() == 1


def test_boxes_lie_on_the_picture_and_can_be_switched_off(opened):
    page = opened(1400, "light")
    picture, box = (page.locator(s).first.bounding_box() for s in (".picture img", ".boxes rect"))
    assert box["x"] == pytest.approx(picture["x"] + 0.1 * picture["width"], abs=1.5)
    assert box["y"] == pytest.approx(picture["y"] + 0.2 * picture["height"], abs=1.5)
    assert box["width"] == pytest.approx(0.4 * picture["width"], abs=3)
    page.uncheck("#show-boxes")
    assert not page.locator(".boxes").first.is_visible()


def test_a_run_is_chosen_and_a_series_brought_to_the_fore(opened):
    page = opened(1400, "dark")
    assert page.locator(".panel:visible h3").all_inner_texts() == ["teacher"]
    page.select_option("#panel-run", label="student")
    assert page.locator(".panel:visible h3").all_inner_texts() == ["student"]
    page.locator(".legend button").first.click()
    group = page.locator(".group").first
    assert group.locator("g.fore").count() == group.locator("g.dim").count() == 3


def test_a_link_to_a_hidden_card_shows_it(opened):
    """The list of lost records links to cards that a filter may hide."""
    page = opened(1400, "light")
    page.select_option("#filter-label", "image_scene/cart")
    page.locator("#kept-of-the-teacher ~ details summary").click()
    link = page.locator(".ids a").last
    link.click()
    api.expect(page.locator(link.get_attribute("href"))).to_be_visible()  # it waits: a new hash is told when it may be
