"""Pictures as customers send them."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from kd_rag.pictures import check_picture, load_picture
from kd_rag.types import InputError

RED, WHITE = (255, 0, 0), (255, 255, 255)


def saved(tmp_path, picture, format="PNG", **options):
    path = tmp_path / f"picture.{format.lower()}"
    picture.save(path, format, **options)
    return path


def png_header(width, height):
    """A PNG that declares a size and holds no pixels."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_transparency_lies_on_white(tmp_path):
    """Black text on a transparent ground that turns into black on black."""
    picture = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    picture.putpixel((1, 0), (*RED, 255))
    loaded = load_picture(saved(tmp_path, picture))
    assert (loaded.mode, loaded.getpixel((0, 0)), loaded.getpixel((1, 0))) == ("RGB", WHITE, RED)


def test_palette_with_transparency_lies_on_white(tmp_path):
    picture = Image.new("P", (2, 1))
    picture.putpalette([0, 0, 0, *RED])
    picture.putpixel((1, 0), 1)
    loaded = load_picture(saved(tmp_path, picture, transparency=0))
    assert (loaded.getpixel((0, 0)), loaded.getpixel((1, 0))) == (WHITE, RED)


def test_exif_orientation_is_applied(tmp_path):
    """A phone's photograph that lies on its side, whose text no engine reads in order."""
    picture = Image.new("RGB", (40, 20))
    exif = Image.Exif()
    exif[0x0112] = 6
    assert load_picture(saved(tmp_path, picture, "JPEG", exif=exif)).size == (20, 40)


def test_sixteen_bit_greys_are_scaled(tmp_path):
    """A 16-bit scan that becomes all white."""
    greys = np.array([[0, 0x8000, 0xFFFF]], dtype=np.uint16)
    loaded = np.asarray(load_picture(saved(tmp_path, Image.fromarray(greys))))
    assert loaded[0, :, 0].tolist() == [0, 128, 255]


def test_cmyk_and_grey_become_rgb(tmp_path):
    for mode in ("CMYK", "L", "1"):
        loaded = load_picture(saved(tmp_path, Image.new(mode, (3, 2)), "TIFF"))
        assert (loaded.mode, loaded.size) == ("RGB", (3, 2))


def test_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (4, 4), colour) for colour in (RED, WHITE)]
    assert (
        load_picture(saved(tmp_path, frames[0], "GIF", save_all=True, append_images=frames[1:])).getpixel((0, 0)) == RED
    )


@pytest.mark.parametrize("format", ["PNG", "WEBP"])
@pytest.mark.parametrize("length", [6, 8, 10, 13, 20])
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_cut_exif_block_leaves_the_picture_as_it_lies(tmp_path, format, length):
    """A file that every viewer shows, and that ends a run with a traceback."""
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.new("RGB", (40, 20), RED)
    loaded = load_picture(saved(tmp_path, picture, format, exif=exif.tobytes()[:length]))
    assert loaded.size == (40, 20)
    assert loaded.getpixel((5, 5)) == pytest.approx(RED, abs=2)


def encoded(mode, format="TIFF"):
    content = io.BytesIO()
    Image.new(mode, (4, 4)).save(content, format)
    return content.getvalue()


def jpeg():
    encoded = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(encoded, "JPEG")
    return encoded.getvalue()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("content", "fault", "in_header"),
    [
        (b"", "is not a picture", True),
        (b"<html>", "is not a picture", True),
        (jpeg()[: len(jpeg()) // 2], "is a damaged picture", False),
        (png_header(10, 10), "is a damaged picture", False),
        (encoded("F"), "has pixels of 32 bits, and does not say which is white; save it with 8", True),
        (encoded("I"), "has pixels of 32 bits", True),
        (encoded("RGB", "TGA"), "is not a picture; JPEG, PNG, WebP, GIF, BMP and TIFF are read", True),
        (png_header(5001, 5000), "has 5001 x 5000 pixels; 25 megapixels", True),
        (png_header(10_000, 10_000), "declares over 89 megapixels; 25", True),
        (png_header(30_000, 30_000), "declares over 89 megapixels; 25", True),
    ],
    ids=[
        "empty",
        "html",
        "half a JPEG",
        "PNG without pixels",
        "floats",
        "32-bit greys",
        "another format",
        "25 MP and a bit",
        "100 MP",
        "900 MP",
    ],
)
def test_broken_pictures_are_named(tmp_path, content, fault, in_header):
    """A traceback, or a gigabyte of memory, for one bad file among thousands."""
    path = tmp_path / "sent.img"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        load_picture(path)
    assert str(error.value).startswith(f"{path}: {fault}")
    assert "\n" not in str(error.value)
    if in_header:
        with pytest.raises(InputError, match=fault):
            check_picture(path)
    else:
        check_picture(path)


@pytest.mark.parametrize(("name", "reason"), [("gone.png", "No such file"), (".", "Is a directory")])
def test_missing_pictures_are_named(tmp_path, name, reason):
    for look in (load_picture, check_picture):
        with pytest.raises(InputError, match=rf"cannot be read \({reason}"):
            look(tmp_path / name)
