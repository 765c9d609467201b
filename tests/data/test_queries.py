"""What is asked of the knowledge base about a record, by the recipe of the section `query`."""

from pathlib import Path

import pytest

from kd_rag.config import QueryConfig
from kd_rag.data.queries import make_query
from kd_rag.types import Query, Record, TextLine, Turn

TURNS = (
    Turn("user", "hello"),
    Turn("agent", "how can I help"),
    Turn("user", "<image> my coat"),
    Turn("user", "<image>"),
    Turn("user", "came torn"),
)
RECORD = Record("r", "intent", TURNS, (Path("a.png"),), "refund", {"product": "Rain coat", "size": 4})
LINES = [
    TextLine(text, confidence, (0, 0, 1, 1)) for text, confidence in (("Order", 0.7), ("12:30", 0.5), ("#81", 0.9))
]


def test_a_query_never_holds_the_label_and_knows_its_record():
    query = make_query(RECORD, (), QueryConfig())
    whole = "hello\nhow can I help\nmy coat\ncame torn"
    assert query == Query("my coat\ncame torn", (Path("a.png"),), "r", whole)


@pytest.mark.parametrize(
    ("recipe", "text"),
    [
        ({}, "my coat\ncame torn"),
        ({"user_turns": 9}, "hello\nmy coat\ncame torn"),
        ({"user_turns": 0}, ""),
        ({"user_turns": 1, "ocr_lines": 2}, "came torn\nOrder\n#81"),  # the two surest, in reading order
        ({"user_turns": 1, "product_key": "product"}, "Rain coat\ncame torn"),
        ({"user_turns": 0, "product_key": "size"}, "4"),
        ({"user_turns": 1, "product_key": "brand"}, "came torn"),
    ],
)
def test_the_recipe_says_what_is_asked(recipe, text):
    assert make_query(RECORD, LINES, QueryConfig(**recipe)).text == text
