"""From what a person types to a record.

In: lines of a dialogue, each turn beginning with who speaks, and a picture. Out: a record without a label.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from kd_rag.pictures import load_picture
from kd_rag.types import IMAGE_MARKER, InputError, Record, Role, Turn

MAX_CHARACTERS = 20_000
"""Longest dialogue that is read; prompts are cut far below this."""


def record_of(text: str, picture: Path | None, task: str, names: dict[str, Role]) -> Record:
    """Return a record of `task`.

    A line that begins with one of `names` and a colon opens a turn, any other goes on with the one before; what comes
    before the first such line is the user's. Raises InputError for an empty or too long dialogue, a file that is no
    picture, and more `<image>` markers than pictures.
    """
    if len(text) > MAX_CHARACTERS:
        raise InputError(f"dialogue: has {len(text)} characters; {MAX_CHARACTERS} are the most that is read")
    turns = _turns(text, names)
    images = () if picture is None else (picture,)
    if not turns and not images:
        raise InputError("dialogue: is empty; type a turn or drop a picture")
    if (markers := text.count(IMAGE_MARKER)) > len(images):
        raise InputError(f"dialogue: has {markers} {IMAGE_MARKER} markers for {len(images)} pictures; remove some")
    for image in images:
        try:
            load_picture(image)  # as a whole: a damaged body would be met later, by what knows its full path alone
        except InputError as error:
            raise InputError(str(error).replace(str(image), image.name)) from None
    return Record("dialogue", task, tuple(turns), images, None)


def _turns(text: str, names: dict[str, Role]) -> Sequence[Turn]:
    speaker = re.compile(rf"\s*({'|'.join(map(re.escape, names))})\s*[:：]\s*", re.IGNORECASE)
    roles = {name.lower(): role for name, role in names.items()}
    turns: list[tuple[Role, list[str]]] = []
    for line in text.strip().splitlines():
        found = speaker.match(line)
        if found:
            turns.append((roles[found[1].lower()], [line[found.end() :]]))
        elif turns:
            turns[-1][1].append(line)
        else:
            turns.append(("user", [line]))
    return [Turn(role, "\n".join(lines)) for role, lines in turns]
