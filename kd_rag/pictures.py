"""Pictures from files: the one place that decodes what a customer sent.

In: a path. Out: an upright RGB picture on a white ground, as a person would see it; prompts and OCR engines read the
same one.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from kd_rag.types import InputError

MAX_PIXELS = 25_000_000
"""Largest picture that is decoded (75 MB as RGB); twice what most phones' cameras take."""
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
"""What is opened of all that Pillow could: for EPS it would start a program on a customer's file."""


class PictureError(InputError):
    """A picture's file cannot be used: `path`, and what is wrong with it."""

    def __init__(self, path: Path, fault: str) -> None:
        super().__init__(path, fault)  # as they came, or it could not be sent to another process
        self.path = path

    def __str__(self) -> str:
        return "{}: {}".format(*self.args)


def load_picture(path: Path) -> Image.Image:
    """Return the picture in RGB: turned as its EXIF orientation says, transparency on white, first frame of several.

    Raises PictureError when it is missing, truncated, no picture, or larger than `MAX_PIXELS`.
    """
    with _opened(path) as picture:
        return _rgb(_upright(picture))


def check_picture(path: Path) -> None:
    """Raise PictureError as `load_picture` would, as far as a picture's header tells; a damaged body goes unseen."""
    with _opened(path):
        return


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open a picture of allowed size; what Pillow raises then or inside the block becomes a PictureError."""
    limit = f"{MAX_PIXELS // 1_000_000} megapixels are the most that is read"
    try:
        with warnings.catch_warnings():
            # Pillow only warns between 89 and 179 megapixels, which are beyond our limit already.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(path, formats=_FORMATS)
        with picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise PictureError(path, f"has {picture.width} x {picture.height} pixels; {limit}")
            if picture.mode in ("I", "F"):
                raise PictureError(path, "has pixels of 32 bits, and does not say which is white; save it with 8")
            yield picture
    except PictureError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise PictureError(path, f"declares over 89 megapixels; {limit}") from None
    except UnidentifiedImageError:
        raise PictureError(path, "is not a picture; JPEG, PNG, WebP, GIF, BMP and TIFF are read") from None
    except (OSError, SyntaxError, ValueError, struct.error) as error:  # what Pillow's decoders raise, by format
        if isinstance(error, OSError) and error.errno is not None:
            raise PictureError(path, f"cannot be read ({error.strerror})") from None
        raise PictureError(path, f"is a damaged picture ({error}); save it again") from None


def _upright(picture: Image.Image) -> Image.Image:
    """Turn a picture as its EXIF block says; one that cannot be read says nothing, as in every viewer."""
    picture.load()  # what is raised below is then the block's
    try:
        return ImageOps.exif_transpose(picture)
    except (struct.error, SyntaxError):
        return picture


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I;16"):  # Pillow would clip 16-bit greys to white instead of scaling them
        return picture.point(lambda grey: grey * (1 / 256)).convert("L").convert("RGB")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layer = picture.convert("RGBA")
    ground = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(ground, layer).convert("RGB")
