"""The page as a file: complete, contained in itself, and safe whatever the records hold."""

import re

import pytest

from kd_rag.evaluation.findings import find
from kd_rag.evaluation.html.page import report_page
from kd_rag.evaluation.runs import read_run
from tests.evaluation.html.conftest import HOSTILE
from tests.evaluation.html.test_markup import Reader


@pytest.fixture
def page(shop_run, kept_texts):
    first = shop_run("one", {0, 3})
    kept_texts(first)
    second = shop_run("two", {3, 4}, f"teacher.path={first}", "lora.r=4", command="distill")
    return report_page(find([read_run(first), read_run(second)]))


def test_sections_stand_in_order_and_are_linked(page):
    assert re.findall(r"<h2[^>]*>(.*?)</h2>", page) == [
        "Scores",
        "Comparison",
        "By epoch",
        "Labels",
        "Run by run",
        "Answering only when sure",
        "Kept of the teacher",
        "Passages",
        "Speed and memory",
        "Configuration",
        "Errors",
    ]
    targets = re.findall(r'href="#([^"]+)"', page)
    assert len(targets) > 10, "sections, and cards of records that teacher or student alone has right"
    assert all(f'id="{target}"' in page for target in targets)
    assert len(re.findall(r'id="([^"]+)"', page)) == len(set(re.findall(r'id="([^"]+)"', page)))


def test_records_labels_and_ids_cannot_inject_markup(page):
    """`</script>` in a customer's message would otherwise run in the browser of whoever reads the report."""
    found = Reader(page)
    names = [name for name, _ in found.tags]
    assert names.count("script") == names.count("style") == 1
    assert found.text.count(HOSTILE) > 10
    assert not [key for _, attributes in found.tags for key, _ in attributes if key.startswith("on")]
    pictures = [dict(attributes)["src"] for name, attributes in found.tags if name == "img"]
    assert len(pictures) == 1
    assert pictures[0].startswith("data:image/jpeg;base64,")


def test_nothing_is_asked_of_a_network(page):
    """The page is opened on machines without one, and may hold customers' data."""
    assert "default-src &#x27;none&#x27;" in page
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//|@import|url\(""", page)


def test_a_card_has_picture_boxes_dialogue_passage_and_both_opinions(page):
    card = page.split('id="case-')[1:]
    pictured = next(c for c in card if "<img" in c)
    assert '<rect x="100" y="200" width="400" height="100">' in pictured
    assert 'width="360" height="240"' in pictured
    asked = next(c for c in card if "0.625" in c)
    assert "faq-1" in asked
    assert asked.count('class="answer"') == 2
    assert 'data-wrong="0 1" data-right=""' in asked


def test_a_scripts_digest_is_the_policys(page):
    """A wrong digest would leave the page without its filters."""
    import base64
    import hashlib

    script = page.split("<script>")[1].split("</script>")[0]
    assert f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}" in page


def test_one_run_without_records_curves_or_errors_still_has_a_page(make_run):
    page = report_page(find([read_run(make_run("alone", set(), set()))]))
    assert "No run got a record wrong." in page
    assert "There is nothing to compare" in page
    assert "None of the runs was scored while it was trained." in page
