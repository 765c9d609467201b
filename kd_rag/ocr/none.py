"""No OCR: for runs and ablations whose prompts hold no text from pictures."""

from __future__ import annotations

from PIL import Image

from kd_rag.types import TextLine


class NoOcr:
    """Read nothing; the pictures are not even opened."""

    version = None

    def read(self, picture: Image.Image) -> tuple[TextLine, ...]:
        """Return no lines."""
        return ()
