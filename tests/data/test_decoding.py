"""Every kind of image file becomes the RGB bytes that a viewer shows, or is named with a reason."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional

from bnrepro.data import open_images
from bnrepro.data.decoding import Unreadable, centre, decode
from bnrepro.errors import UserError
from tests.data.pictures import class_folders, config

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (20, 30), dtype=np.uint8)


def decoded(image: Image.Image, path: Path, kind: str, **options: object) -> np.ndarray:
    image.save(path, kind, **options)
    found = decode(path)
    assert found.dtype == torch.uint8
    return found.permute(1, 2, 0).numpy()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
@pytest.mark.parametrize("name", ["right", "x.jpg", "x.png"])
def test_lossless_files_come_byte_for_byte_whatever_their_name(tmp_path, kind, name):
    path = tmp_path / (f"x.{kind.lower()}" if name == "right" else name)
    assert np.array_equal(decoded(Image.fromarray(COLOURS), path, kind), COLOURS)
    grey = decoded(Image.fromarray(GREY), path, kind)
    assert np.array_equal(grey, np.repeat(GREY[..., None], 3, 2))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "GIF", "BMP"])
def test_palettes_become_their_colours(tmp_path, kind):
    image = Image.fromarray(COLOURS).quantize(50)
    expected = np.array(image.convert("RGB"))
    assert np.array_equal(decoded(image, tmp_path / "x", kind), expected)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_becomes_rgb(tmp_path, kind):
    found = decoded(Image.new("CMYK", (30, 20), (0, 0, 255, 55)), tmp_path / "x", kind)
    assert np.abs(found.astype(int) - (200, 200, 0)).max() <= 3


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_of_16_bits_the_upper_8_are_kept(tmp_path, kind):
    deep = RNG.integers(0, 1 << 16, (20, 30), dtype=np.uint16)
    found = decoded(Image.fromarray(deep), tmp_path / "x", kind)
    assert np.array_equal(found, np.repeat((deep >> 8).astype(np.uint8)[..., None], 3, 2))


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("PNG", "RGBA"), ("PNG", "LA"), ("TIFF", "RGBA"), ("TIFF", "LA"), ("WEBP", "RGBA")],
)
def test_transparent_images_lie_on_white(tmp_path, kind, mode):
    alpha = np.linspace(0, 255, 600).reshape(20, 30, 1).astype(np.uint8)
    shades = COLOURS if mode == "RGBA" else GREY[..., None]
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    image = Image.fromarray(np.concatenate([shades, alpha], 2))
    assert image.mode == mode
    found = decoded(image, tmp_path / "x", kind, **options)
    share = alpha / 255
    assert np.abs(found - (share * shades + (1 - share) * 255)).max() <= 1


def test_transparent_colours_of_a_palette_lie_on_white(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([0, 1])
    for kind in ("PNG", "GIF"):
        found = decoded(image, tmp_path / "x", kind, transparency=0)
        assert found.tolist() == [[[255, 255, 255], [40, 50, 60]]]


def upright(orientation: int) -> np.ndarray:
    """Section 4.6.4 of the EXIF standard: where the file's first row and column belong."""
    x = COLOURS
    return {
        1: x, 2: x[:, ::-1], 3: x[::-1, ::-1], 4: x[::-1],
        5: x.transpose(1, 0, 2), 6: x[::-1].transpose(1, 0, 2),
        7: x[::-1, ::-1].transpose(1, 0, 2), 8: x[:, ::-1].transpose(1, 0, 2),
    }[orientation]  # fmt: skip


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_as_their_exif_orientation_says(tmp_path, kind, orientation):
    blocks = Image.fromarray(COLOURS).resize((480, 320), Image.Resampling.NEAREST)
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = decoded(blocks, tmp_path / "x", kind, exif=exif)[8::16, 8::16]  # middles of blocks
    expected = upright(orientation)
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).mean() < 6  # JPEG and WebP lose some colour


def test_a_damaged_orientation_leaves_the_image_as_it_is(tmp_path):
    image = Image.fromarray(COLOURS)
    plain = decoded(image, tmp_path / "x", "JPEG")
    for exif in (b"Exif\0\0garbage", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12\0\x03"):
        assert np.array_equal(decoded(image, tmp_path / "y", "JPEG", exif=exif), plain)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_several_frames_the_first_counts(tmp_path, kind):
    frames = [Image.new("RGB", (30, 20), (shade, 0, 0)) for shade in (200, 100, 0)]
    found = decoded(frames[0], tmp_path / "x.png", kind, save_all=True, append_images=frames[1:])
    assert found.shape == (20, 30, 3)
    assert np.abs(found.astype(int) - (200, 0, 0)).max() <= 3


def unreadable() -> dict[str, tuple[bytes, str]]:
    """Contents that are no image, and the reason."""

    def saved(image, kind):
        buffer = io.BytesIO()
        image.save(buffer, kind)
        return buffer.getvalue()

    noise = Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    return {
        "empty": (b"", "^empty file$"),
        "text": (b"<html>sign in</html>", r"^no image of a known kind \(JPEG, PNG, WEBP"),
        "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "^no image of a kn"),
        "half a JPEG": (saved(noise, "JPEG")[:1500], "truncated|premature|end"),
        "half a PNG": (saved(noise, "PNG")[:1500], "truncated"),
        "half a BMP": (saved(noise, "BMP")[:1500], "truncated"),
        "half a TIFF": (saved(noise, "TIFF")[:1500], "."),
        "half a WebP": (saved(noise, "WEBP")[:1500], "."),
        "float": (saved(Image.new("F", (5, 5), 0.5), "TIFF"), "^floating-point pixels$"),
        "32 bits": (saved(Image.new("I", (5, 5), 1 << 20), "TIFF"), "^more than 16 bits a pixel$"),
    }


@pytest.mark.parametrize("name", unreadable())
def test_what_is_no_whole_image_has_a_reason_of_one_line(tmp_path, name):
    content, reason = unreadable()[name]
    path = tmp_path / "x.jpg"
    path.write_bytes(content)
    with pytest.raises(Unreadable, match=reason) as caught:
        decode(path)
    assert "\n" not in str(caught.value)


def test_bmp_and_tiff_files_are_trained_on_in_memory_and_streamed(tmp_path):
    root = class_folders(tmp_path / "set")
    for kind in ("bmp", "tiff", "png", "webp"):
        Image.new("RGB", (20, 20), (250, 0, 0)).save(root / f"train/c0/x.{kind}")
    data = open_images(config(root, tmp_path / "cache"))
    assert len(data.train_labels) == 28
    red = torch.tensor([250, 0, 0])[:, None, None].expand(3, 16, 16)
    assert sum(int((image - red).abs().max() <= 3) for image in data.train_images.int()) == 4
    assert len(open_images(config(root, tmp_path / "cache", stream=True)).train_labels) == 28


@pytest.mark.parametrize(
    ("height", "width"), [(30, 150), (150, 30), (31, 200), (7, 100), (1, 50), (50, 1), (100, 1001)]
)
@pytest.mark.parametrize(("size", "shorter"), [(16, 16), (16, 18), (64, 64), (64, 73)])
def test_an_elongated_image_gives_the_square_of_resize_then_crop(height, width, size, shorter):
    image = torch.from_numpy(RNG.integers(0, 256, (3, height, width), dtype=np.uint8))
    whole = functional.resize(image, [shorter], antialias=True)
    expected = functional.center_crop(whole, [size, size])
    difference = centre(image, size, shorter).int() - expected.int()
    assert difference.abs().max() <= 2  # of 255
    assert difference.float().abs().mean() < 0.4


@pytest.mark.parametrize("shape", [(1, 20_000), (20_000, 1)])
@pytest.mark.parametrize("shorter", [64, 73])
def test_a_line_of_pixels_is_not_enlarged_as_a_whole(shape, shorter, monkeypatch):
    image = torch.arange(20_000).remainder(256).to(torch.uint8).expand(3, -1).reshape(3, *shape)

    def refuse(*_, **__):
        raise AssertionError("resized as a whole")

    monkeypatch.setattr(functional, "resize", refuse)
    assert centre(image, 64, shorter).shape == (3, 64, 64)


def elongated_set(root: Path) -> Path:
    for part in ("train", "val"):
        for c in ("a", "b"):
            for i, shape in enumerate(((20_000, 1), (1, 20_000), (4_000, 30))):
                path = root / part / c / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", shape, (i, 100, 200)).save(path)
    return root


def test_elongated_images_are_trained_on_in_memory_and_streamed(tmp_path):
    from bnrepro.data.images import open_source
    from tests.data.test_streaming import PICTURES

    cfg = config(elongated_set(tmp_path / "set"), tmp_path / "cache", size=64)
    assert open_images(cfg).train_images.shape == (6, 3, 64, 64)
    cfg.stream, cfg.workers = True, 0
    source = open_source(open_images(cfg), PICTURES, 3, 0, torch.device("cpu"))
    assert source.batch(0)[0].shape == (3, 3, 64, 64)
    assert [x.shape for x, _ in source.test_batches()] == [(6, 3, 64, 64)]


def test_images_that_cannot_fit_into_memory_are_refused_before_any_is_read(tmp_path, monkeypatch):
    root = class_folders(tmp_path / "set")
    monkeypatch.setattr("bnrepro.data.decoding.memory", lambda: 24 * 3 * 16**2 - 1)
    with pytest.raises(UserError, match=r"data\.size=16: 24 decoded images take .* GB, more"):
        open_images(config(root, tmp_path / "cache"))


def test_files_of_every_kind_are_checked_whole(tmp_path):
    root = class_folders(tmp_path / "set", classes=2)
    Image.fromarray(COLOURS).save(root / "train/c0/x.tiff")
    content = (root / "train/c0/x.tiff").read_bytes()
    (root / "train/c0/x.tiff").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"cannot read 1 image \(train/c0/x\.tiff: "):
        open_images(config(root, tmp_path / "cache", stream=True))
