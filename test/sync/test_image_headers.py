"""Size and wholeness of encoded images from their headers."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from distilldrive_ros.scene.errors import SensorDataError
from distilldrive_ros.sync.image_headers import read_image_header


def encoded(kind, width, height, **options):
    stream = io.BytesIO()
    Image.new("RGB", (width, height), (10, 200, 30)).save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 10}, {"exif": b"Exif\0\0" + b"\0" * 500}])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (1600, 900), (17, 4001)])
def test_jpeg(width, height, options):
    data = encoded("JPEG", width, height, **options)
    assert read_image_header(memoryview(data)) == ("jpeg", width, height)
    assert read_image_header(memoryview(data + b"\0" * 40)) == ("jpeg", width, height), "padded by the camera"


def test_png():
    data = encoded("PNG", 33, 7)
    assert read_image_header(memoryview(data)) == ("png", 33, 7)
    with pytest.raises(SensorDataError, match="PNG image is cut off"):
        read_image_header(memoryview(data[:-20]))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**31))
def test_every_cut_is_seen(position):
    data = encoded("JPEG", 64, 36)
    with pytest.raises(SensorDataError):
        read_image_header(memoryview(data[: position % (len(data) - 2)]))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([b"", b"\xff\xd8", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"]))
def test_noise_is_refused_or_read_and_nothing_else(noise, start):
    try:
        header = read_image_header(memoryview(start + noise))
    except SensorDataError:
        return
    assert header.encoding in ("jpeg", "png")


def test_the_photographs_of_a_real_car(shared_dir):
    photographs = sorted((shared_dir / "data" / "nuscenes-sample" / "samples").rglob("*.jpg"))
    assert len(photographs) == 6
    for path in photographs:
        assert read_image_header(memoryview(path.read_bytes())) == ("jpeg", 1600, 900)
