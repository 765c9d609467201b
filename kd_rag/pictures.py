"""Pictures from files: the one place that decodes what a customer sent.

In: a path. Out: an upright RGB picture on a white ground, as a person would see it; prompts and OCR engines read the
same one.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from kd_rag.types import InputError

MAX_PIXELS = 25_000_000
"""Largest picture that is decoded (75 MB as RGB); twice what most phones' cameras take."""


def load_picture(path: Path) -> Image.Image:
    """Return the picture in RGB: turned as its EXIF orientation says, transparency on white, first frame of several.

    Raises InputError naming the file when it is missing, truncated, no picture, or larger than `MAX_PIXELS`.
    """
    with _opened(path) as picture:
        return _rgb(ImageOps.exif_transpose(picture))


def check_picture(path: Path) -> None:
    """Raise InputError as `load_picture` would, as far as a picture's header tells; a damaged body goes unseen."""
    with _opened(path):
        return


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open a picture of allowed size; what Pillow raises then or inside the block becomes an InputError."""
    limit = f"{MAX_PIXELS // 1_000_000} megapixels are the most that is read"
    try:
        with warnings.catch_warnings():
            # Pillow only warns between 89 and 179 megapixels, which are beyond our limit already.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(path)
        with picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise InputError(f"{path}: has {picture.width} x {picture.height} pixels; {limit}")
            yield picture
    except InputError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise InputError(f"{path}: declares over 89 megapixels; {limit}") from None
    except UnidentifiedImageError:
        raise InputError(f"{path}: is not a picture; JPEG, PNG, WebP, GIF, BMP and TIFF are read") from None
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow's decoders raise, by format
        if isinstance(error, OSError) and error.errno is not None:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from None
        raise InputError(f"{path}: is a damaged picture ({error}); save it again") from None


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I;16"):  # Pillow would clip 16-bit greys to white instead of scaling them
        return picture.point(lambda grey: grey * (1 / 256)).convert("L").convert("RGB")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layer = picture.convert("RGBA")
    ground = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(ground, layer).convert("RGB")
