from __future__ import annotations

import struct
import threading
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from spacy.tokens import Doc, DocBin

from spacy_bga.corpus import images
from spacy_bga.corpus.images import (
    FORMATS,
    ImageHeader,
    MissingImageError,
    decode_image,
    get_images,
    image_digest,
    read_bytes,
    read_header,
    register_image_extension,
    resolve_path,
    sniff_format,
    to_pixels,
)
from spacy_bga.errors import BGAError, ImageError
from spacy_bga.reliability.fuzz import pictures

LARGE = pictures.png(10_000, 10_000)  # Pillow warns at this size


class TestExtension:
    def test_registering_twice_is_fine(self, nlp):
        register_image_extension()
        register_image_extension()
        assert nlp("x")._.image is None

    def test_a_getter_of_that_name_is_an_error(self):
        Doc.set_extension("bga_taken", getter=lambda doc: 1)
        try:
            with pytest.raises(BGAError, match=r"B301.*`Doc\._\.bga_taken` is"):
                register_image_extension("bga_taken")
        finally:
            Doc.remove_extension("bga_taken")

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (None, []),
            ("a.jpg", ["a.jpg"]),
            (b"x", [b"x"]),
            (["a", b"b"], ["a", b"b"]),
            (("a", "b"), ["a", "b"]),
            ([], []),
        ],
    )
    def test_get_images_normalises(self, nlp, value, expected):
        doc = nlp("Some text")
        doc._.image = value
        assert get_images(doc) == expected

    @pytest.mark.parametrize("value", [Path("a.jpg"), 3, ["a", None], {"a": 1}, np.zeros(3)])
    def test_get_images_names_the_text_of_what_it_cannot_use(self, nlp, value):
        doc = nlp("Kawhi Leonard wins" + "!" * 80)
        doc._.image = value
        kind = type(value[1] if isinstance(value, list) else value).__name__
        shown = "Kawhi Leonard wins" + "!" * 42  # 60 characters of it
        with pytest.raises(BGAError, match=rf"B302.*`Doc._.image` .* a {kind} in it, for the text '{shown}'"):
            get_images(doc)

    def test_another_name(self, nlp):
        doc = nlp("x")
        assert get_images(doc, attr="bga_photo") == []
        doc._.bga_photo = "a.jpg"
        assert get_images(doc, attr="bga_photo") == ["a.jpg"]
        Doc.remove_extension("bga_photo")

    @pytest.mark.parametrize("value", ["a/b.jpg", b"\xff\xd8", ["a.jpg", "b.jpg"]])
    def test_survives_serialization(self, nlp, value):
        doc = nlp("x")
        doc._.image = value
        expected = get_images(doc)
        assert get_images(Doc(nlp.vocab).from_bytes(doc.to_bytes())) == expected
        stored = DocBin(docs=[doc], store_user_data=True).to_bytes()
        assert [get_images(d) for d in DocBin().from_bytes(stored).get_docs(nlp.vocab)] == [expected]


class TestResolvePath:
    def test_finds_a_file_also_in_a_folder_and_through_a_link_inside(self, photos):
        (photos / "sub").mkdir()
        (photos / "sub" / "a.jpg").write_bytes(b"x")
        (photos / "link.jpg").symlink_to(photos / "0.jpg")
        assert resolve_path("sub/a.jpg", photos) == (photos / "sub" / "a.jpg").resolve()
        assert resolve_path("link.jpg", photos) == (photos / "0.jpg").resolve()

    @pytest.mark.parametrize(
        ("value", "reason"),
        [
            ("", "it is empty or holds a NUL character"),
            (" ", "it is empty or holds a NUL character"),
            ("a\x00.jpg", "it is empty or holds a NUL character"),
            ("/etc/passwd", "it is absolute"),
            ("C:\\secret.jpg", "it is absolute"),
            ("C:secret.jpg", "it is absolute"),
            ("\\secret.jpg", "it is absolute"),
            ("\\\\host\\share\\a.jpg", "it is absolute"),
            ("../secret.jpg", "it has '..' in it"),
            ("a/../../secret.jpg", "it has '..' in it"),
            ("..", "it has '..' in it"),
            ("..\\secret.jpg", "it has '..' in it"),
            ("http://example.com/a.jpg", "it is a URL"),
            ("HTTPS://example.com/a.jpg", "it is a URL"),
            ("file:///etc/passwd", "it is a URL"),
            ("file:secret.jpg", "it is a URL"),
            ("data:image/png;base64,AAAA", "it is a URL"),
            ("a" * 5000, "name too long"),
            ("\ud800.jpg", "surrogates not allowed"),
        ],
    )
    def test_refuses(self, photos, value, reason):
        (photos.parent / "secret.jpg").write_bytes(b"x")
        with pytest.raises(ImageError) as caught:
            resolve_path(value, photos)
        message = str(caught.value)
        assert message.startswith("[B303] Can't use the image path ")
        assert reason in message
        assert str(photos) in message
        assert not isinstance(caught.value, MissingImageError)

    @pytest.mark.parametrize("value", ["data:image/png;base64," + "A" * 5000, "b" * 5000])
    def test_shows_the_beginning_of_what_is_long(self, photos, value):
        with pytest.raises(ImageError) as caught:
            resolve_path(value, photos)
        assert f"path {value[:80]!r}: " in str(caught.value)

    def test_refuses_links_out_of_the_root(self, photos):
        outside = photos.parent / "outside"
        outside.mkdir()
        (outside / "secret.jpg").write_bytes(b"x")
        (photos / "file.jpg").symlink_to(outside / "secret.jpg")
        (photos / "folder").symlink_to(outside)
        for value in ("file.jpg", "folder/secret.jpg"):
            with pytest.raises(ImageError, match=rf"path '{value}': a symbolic link leads out of the root\."):
                resolve_path(value, photos)

    def test_a_loop_of_links(self, photos):
        (photos / "loop.jpg").symlink_to(photos / "loop.jpg")
        with pytest.raises(ImageError):
            resolve_path("loop.jpg", photos)

    @pytest.mark.parametrize("value", ["nothing.jpg", "folder", "."])
    def test_only_regular_files(self, photos, value):
        (photos / "folder").mkdir()
        with pytest.raises(MissingImageError, match="B304") as caught:
            resolve_path(value, photos)
        assert str(photos.resolve() / value) in str(caught.value)

    @given(st.text(max_size=40))
    @settings(max_examples=150)
    def test_stays_inside_whatever_comes(self, tmp_path_factory, value):
        root = tmp_path_factory.getbasetemp()
        try:
            path = resolve_path(value, root)
        except ImageError:
            return
        assert path.is_relative_to(root.resolve())


class TestContent:
    def test_digest_is_of_the_content(self, photos, encode):
        content = (photos / "0.jpg").read_bytes()
        assert image_digest(photos / "0.jpg") == image_digest(str(photos / "0.jpg")) == image_digest(content)
        assert image_digest(photos / "0.jpg") != image_digest(photos / "1.jpg")
        assert read_bytes(photos / "0.jpg") == read_bytes(content) == content

    def test_no_file(self, photos):
        for read in (read_bytes, image_digest, decode_image):
            for path in (photos, photos / "nothing.jpg", str(photos / ("a" * 5000)), "a\x00b"):
                with pytest.raises(ImageError):
                    read(path)

    @pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
    def test_sniff_and_decode_every_format(self, encode, format):
        data = encode(format=format)
        assert sniff_format(data) == sniff_format(data[:16]) == format
        image = decode_image(data)
        assert (image.mode, image.size) == ("RGB", (40, 30))
        assert np.abs(np.asarray(image).mean((0, 1)) - (200, 30, 30)).max() < 4

    def test_what_cannot_be_read_is_named(self, photos):
        for read in (read_bytes, image_digest, decode_image, read_header):
            with pytest.raises(MissingImageError, match=r"B304.*nothing\.jpg"):
                read(photos / "nothing.jpg")
            with pytest.raises(ImageError, match=r"B305\] Can't read c{200}: .*name too long") as caught:
                read("c" * 5000)
            assert not isinstance(caught.value, MissingImageError)

    def test_sniff_something_else(self):
        assert sniff_format(b"") is None
        assert sniff_format(b"RIFF\x00\x00\x00\x00WAVEfmt ") is None
        assert sniff_format(b"XXXX\x00\x00\x00\x00WEBPVP8 ") is None
        assert sniff_format(b"<html>not found</html>") is None


class TestHeader:
    @pytest.mark.parametrize("format", FORMATS)
    def test_size_and_format(self, encode, format, tmp_path):
        data = encode(format=format)
        assert read_header(data) == ImageHeader(40, 30, format, animated=False)
        (tmp_path / "a").write_bytes(data)
        assert read_header(tmp_path / "a") == read_header(str(tmp_path / "a")) == read_header(data)

    def test_animation(self, encode):
        frames = [Image.new("RGB", (10, 12), color) for color in ("white", "black")]
        data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
        assert read_header(data) == ImageHeader(10, 12, "GIF", animated=True)

    def test_larger_than_will_be_decoded(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Pillow warns at this size
            assert read_header(LARGE) == ImageHeader(10_000, 10_000, "PNG", animated=False)

    @pytest.mark.parametrize("read", [read_header, decode_image])
    def test_what_is_no_image(self, read, encode, tmp_path):
        wrong = rf"\[B307\] an encoded image of 13 bytes is no image.* {', '.join(FORMATS)}\."
        with pytest.raises(ImageError, match=wrong):
            read(b"<html></html>")
        (tmp_path / "a.jpg").write_bytes(b"<html></html>")
        with pytest.raises(ImageError, match=r"B307.*a\.jpg is no image"):
            read(tmp_path / "a.jpg")
        with pytest.raises(ImageError, match=r"B307\] an encoded image of 3,6\d\d bytes"):
            read(encode(format="PPM"))  # which Pillow could open

    @pytest.mark.parametrize("read", [read_header, decode_image])
    def test_a_bomb(self, read):
        with pytest.raises(
            ImageError, match=r"B305\] Can't read an encoded.* bytes: DecompressionBombError: Image size"
        ):
            read(pictures.png(20_000, 20_000))

    def test_a_truncated_image_says_so(self, encode):
        data = encode(Image.effect_noise((200, 150), 80))[:3000]
        with pytest.raises(
            ImageError, match=r"B305\] Can't read an encoded image of 3,000 bytes: OSError: .*truncated"
        ):
            decode_image(data)


def png_header(width: int, height: int) -> bytes:
    body = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + body
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))


class TestHostileImages:
    @pytest.mark.parametrize("side", [7_100, 12_000, 20_000, 2**31 - 1])
    def test_bombs_are_refused_by_their_header(self, side):
        with pytest.raises(ImageError):
            decode_image(png_header(side, side) + b"\x00" * 64)

    def test_the_limit_is_a_setting(self, encode):
        data = encode(size=(40, 30))
        assert decode_image(data, max_pixels=1200).size == (40, 30)
        with pytest.raises(ImageError, match=r"B306.*40 x 30"):
            decode_image(data, max_pixels=1199)

    @pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
    @pytest.mark.parametrize("size", [None, 16])
    def test_truncated(self, encode, format, size):
        noise = Image.effect_noise((200, 150), 80).convert("RGB")
        data = encode(noise, format)
        with pytest.raises(ImageError):
            decode_image(data[: len(data) // 2], size=size)

    def test_garbage(self):
        for data in (b"", b"\xff\xd8\xff", b"GIF89a", b"<html></html>", b"%!PS-Adobe-3.0 EPSF-3.0\n"):
            with pytest.raises(ImageError):
                decode_image(data)

    def test_the_message_says_which_file(self, photos):
        (photos / "bad.jpg").write_bytes(b"<html></html>")
        with pytest.raises(ImageError, match=r"B307.*bad\.jpg"):
            decode_image(photos / "bad.jpg")

    @given(
        st.binary(max_size=200),
        st.sampled_from(
            [
                b"",
                b"\xff\xd8\xff\xe1",
                b"\x89PNG\r\n\x1a\n",
                b"GIF89a",
                b"RIFF\x40\x00\x00\x00WEBPVP8 ",
                b"BM",
                b"II*\x00",
            ]
        ),
    )
    @settings(max_examples=300)
    def test_random_bytes_raise_nothing_but_image_errors(self, data, magic):
        try:
            image = decode_image(magic + data)
        except ImageError:
            return
        assert image.mode == "RGB"

    @given(st.data())
    @settings(max_examples=200)
    def test_damaged_images_raise_nothing_but_image_errors(self, data):
        import io

        format = data.draw(st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"]))
        file = io.BytesIO()
        Image.new("RGB", (12, 9), (1, 2, 3)).save(file, format)
        content = bytearray(file.getvalue())
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        try:
            image = decode_image(bytes(content), max_pixels=10**6)
        except ImageError:
            return
        assert image.mode == "RGB"


class TestKindsOfImages:
    def test_extension_does_not_matter(self, photos, encode):
        (photos / "png.jpg").write_bytes(encode(format="PNG"))
        assert decode_image(photos / "png.jpg").size == (40, 30)

    def test_cmyk(self, encode):
        cmyk = Image.new("RGB", (20, 20), (200, 30, 30)).convert("CMYK")
        assert np.abs(np.asarray(decode_image(encode(cmyk))).mean((0, 1)) - (200, 30, 30)).max() < 6

    def test_16_bit_is_scaled_not_clipped(self, encode):
        grey = Image.fromarray(np.full((10, 10), 32768, dtype=np.uint16))
        for format in ("PNG", "TIFF"):
            assert decode_image(encode(grey, format)).getpixel((0, 0)) == (127, 127, 127)

    def test_float(self, encode):
        values = np.full((10, 10), 0.5, dtype=np.float32)
        values[0, 0] = np.nan
        image = decode_image(encode(Image.fromarray(values), "TIFF"))
        assert (image.getpixel((5, 5)), image.getpixel((0, 0))) == ((127, 127, 127), (0, 0, 0))

    @pytest.mark.parametrize(("brightest", "expected"), [(1.0, (51, 255)), (2.0, (0, 2)), (255.0, (0, 255))])
    def test_float_of_either_range(self, encode, brightest, expected):
        """0 to 1 by convention, 0 to 255 in files that were converted from bytes; what lies outside is cut off."""
        values = np.array([[0.2, brightest, -3]], dtype=np.float32)
        image = decode_image(encode(Image.fromarray(values), "TIFF"))
        assert [image.getpixel((x, 0))[0] for x in range(3)] == [*expected, 0]

    def test_white_of_16_bit_is_white(self, encode):
        for value, expected in ((65535, 255), (257, 1), (256, 0)):
            grey = Image.fromarray(np.full((4, 4), value, dtype=np.uint16))
            assert decode_image(encode(grey, "PNG")).getpixel((0, 0)) == (expected,) * 3

    def test_transparency_is_laid_over_white(self, encode):
        clear = Image.new("RGBA", (10, 10), (0, 0, 0, 0))
        assert decode_image(encode(clear, "PNG")).getpixel((0, 0)) == (255, 255, 255)
        half = Image.new("LA", (10, 10), (0, 128))
        assert decode_image(encode(half, "PNG")).getpixel((0, 0)) == (127, 127, 127)
        keyed = encode(Image.new("RGB", (10, 10), (1, 2, 3)), "PNG", transparency=(1, 2, 3))
        assert decode_image(keyed).getpixel((0, 0)) == (255, 255, 255)

    def test_palette_with_alpha(self, encode):
        palette = Image.new("P", (10, 10), 0)
        palette.putpalette([10, 20, 30, 200, 100, 50])
        palette.putpixel((1, 1), 1)
        image = decode_image(encode(palette, "PNG", transparency=bytes([0, 255])))
        assert (image.getpixel((0, 0)), image.getpixel((1, 1))) == ((255, 255, 255), (200, 100, 50))

    def test_bitmap_and_grey(self, encode):
        for mode in ("1", "L"):
            assert decode_image(encode(Image.new(mode, (10, 10), 255), "PNG")).getpixel((3, 3)) == (255, 255, 255)

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_exif_orientation(self, encode, orientation):
        stored = Image.new("RGB", (32, 16), (0, 0, 0))
        stored.paste((255, 255, 255), (0, 0, 8, 8))
        exif = Image.Exif()
        exif[0x0112] = orientation
        image = decode_image(encode(stored, "JPEG", exif=exif, quality=95))
        assert image.size == ((32, 16) if orientation < 5 else (16, 32))
        right, bottom = image.width - 4, image.height - 4
        corner = {1: (4, 4), 2: (right, 4), 3: (right, bottom), 4: (4, bottom)}
        corner |= {5: (4, 4), 6: (right, 4), 7: (right, bottom), 8: (4, bottom)}
        assert image.getpixel(corner[orientation])[0] > 200

    def test_broken_exif_does_not_cost_the_image(self, encode):
        data = encode(exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff" + b"\x00" * 20)
        assert decode_image(data).size == (40, 30)

    @pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
    def test_first_frame_of_an_animation(self, encode, format):
        frames = [Image.new("RGB", (10, 10), color) for color in ("white", "black")]
        data = encode(frames[0], format, save_all=True, append_images=frames[1:])
        assert min(decode_image(data).getpixel((2, 2))) > 250

    def test_one_pixel(self, encode):
        image = decode_image(encode(size=(1, 1)), size=224)
        assert to_pixels(image, size=8, mean=[0, 0, 0], std=[1, 1, 1]).shape == (3, 8, 8)

    def test_draft_is_smaller_but_never_below_the_size(self, encode):
        image = decode_image(encode(size=(1600, 800)), size=224)
        assert image.width < 1600
        assert min(image.size) >= 224


class TestToPixels:
    def test_shape_type_and_values(self):
        pixels = to_pixels(Image.new("RGB", (50, 20), (255, 0, 51)), size=7, mean=[0.5, 0.5, 0.2], std=[0.5, 0.5, 1])
        assert (pixels.shape, pixels.dtype) == ((3, 7, 7), np.float32)
        assert pixels.flags["C_CONTIGUOUS"]
        np.testing.assert_allclose(pixels[:, 3, 3], [1, -1, 0], atol=1e-6)

    def test_nothing_is_cropped_away(self):
        wide = Image.new("RGB", (300, 30), "black")
        wide.paste("white", (0, 0, 60, 30))
        pixels = to_pixels(wide, size=10, mean=[0, 0, 0], std=[1, 1, 1])
        assert pixels[0, 5, 0] > 0.9
        assert pixels[0, 5, 9] < 0.1


def test_no_warning_leaks_and_filters_are_restored_after_threads(encode):
    data = encode()
    filters = list(warnings.filters)

    def work() -> None:
        for _ in range(30):
            decode_image(data)
            with pytest.raises(ImageError, match="B306"):
                decode_image(LARGE)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == filters


class TestBombs:
    def test_a_jpeg_of_many_scans_is_refused(self):
        """A decoder goes through all blocks of an image for each scan: these would take it half a minute."""
        with pytest.raises(ImageError, match=r"B722.*3,0\d\d scans.*200"):
            decode_image(pictures.scans(4000, 4000, number=3000))

    def test_as_many_scans_as_encoders_write_are_fine(self):
        assert decode_image(pictures.scans(40, 40, number=20), size=32).size == (40, 40)

    def test_the_limit_of_scans(self, monkeypatch: pytest.MonkeyPatch):
        data = pictures.scans(16, 16, number=3)
        number = data.count(b"\xff\xda")
        monkeypatch.setattr(images, "MAX_SCANS", number)
        assert decode_image(data).size == (16, 16)
        monkeypatch.setattr(images, "MAX_SCANS", number - 1)
        with pytest.raises(ImageError, match=rf"B722\] an encoded image of .* {number} scans.* {number - 1}:"):
            decode_image(data)
        assert decode_image(pictures.encode(Image.new("RGB", (4, 4)), "PNG")).size == (4, 4)

    def test_scans_of_all_pictures_in_one_file(self, encode, monkeypatch: pytest.MonkeyPatch):
        frames = [Image.new("RGB", (16, 16), color) for color in ("white", "black")]
        data = encode(frames[0], "MPO", save_all=True, append_images=frames[1:])
        assert decode_image(data).size == (16, 16)
        monkeypatch.setattr(images, "MAX_SCANS", 1)
        with pytest.raises(ImageError, match=r"B722.* 2 scans"):
            decode_image(data)

    def test_scans_are_counted_where_they_are_read_from(self, tmp_path: Path):
        path = tmp_path / "a.jpg"
        path.write_bytes(pictures.scans(16, 16, number=300))
        with pytest.raises(ImageError, match=r"B722.*a\.jpg"):
            decode_image(path)

    @pytest.mark.parametrize("kind", [b"zTXt", b"iTXt"])
    def test_metadata_does_not_unfold(self, kind: bytes):
        content = b"x\0" + (b"\1\0\0\0" if kind == b"iTXt" else b"\0") + pictures.zeros(2**30)
        with pytest.raises(ImageError, match="B305"):
            decode_image(pictures.png(4, 4, chunks=pictures.chunk(kind, content)))

    def test_sizes_are_refused_before_decoding(self):
        with pytest.raises(ImageError, match=r"20,?000"):
            decode_image(pictures.png(20_000, 2_600))


@pytest.mark.parametrize("values", [[3e38, -3e38, 1, 0], [np.inf, -np.inf, np.nan, 5e-324]])
def test_floats_as_large_as_they_get(values: list[float]):
    image = Image.fromarray(np.array([values], dtype=np.float32))
    decoded = np.asarray(decode_image(pictures.encode(image, "TIFF")))
    assert decoded[0, :2].tolist() == [[255] * 3, [0] * 3]
