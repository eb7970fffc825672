"""The command line, as a user types it: real files, a real engine."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import pyvips
from PIL import Image, ImageCms
from skimage import data, transform

from calotype.image import files, metrics
from calotype.train import degradations
from calotype_wire import connection, places
from calotype_wire.errors import CalotypeError
from conftest import noise, wait_for

pytestmark = pytest.mark.usefixtures("shared_home")


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory):
    """One engine for all commands of this module, started by the first of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CALOTYPE_HOME", str(tmp_path_factory.mktemp("主页 é")))
        yield
        calotype("stop")


def calotype(*arguments: object, timeout: float = 120) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "calotype", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout)


def done(*arguments: object) -> "subprocess.CompletedProcess[str]":
    ended = calotype(*arguments)
    assert ended.returncode == 0, ended.stderr
    return ended


def sentence(*arguments: object) -> str:
    """What a command that fails says."""
    ended = calotype(*arguments)
    assert ended.returncode in (1, 2), ended
    assert "Traceback" not in ended.stderr
    return ended.stderr


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A noisy photo, 160 x 120."""
    path = tmp_path_factory.mktemp("photos") / "alt à 老.png"
    photo = transform.resize(data.astronaut(), (160, 120), anti_aliasing=True).astype(np.float32)
    noisy = degradations.gaussian_noise(photo, 20, np.random.default_rng(0))
    Image.fromarray((noisy.clip(0, 1) * 255).astype(np.uint8)).save(path)
    return path


def pixels(path: Path) -> np.ndarray:
    return pyvips.Image.new_from_file(str(path), revalidate=True).numpy()


def test_denoise_brings_a_noisy_photo_nearer_to_the_truth(old: Path, tmp_path: Path) -> None:
    import torch

    new = tmp_path / "new.png"
    done("denoise", old, new)
    truth = transform.resize(data.astronaut(), (160, 120), anti_aliasing=True)

    def psnr(path: Path) -> float:
        return metrics.psnr(torch.from_numpy(pixels(path) / 255), torch.from_numpy(truth))

    assert psnr(new) > psnr(old) + 4


def test_strength_zero_returns_the_photo_bit_for_bit(old: Path, tmp_path: Path) -> None:
    done("restore", old, tmp_path / "new.png", "--strength", "0")
    assert np.array_equal(pixels(tmp_path / "new.png"), pixels(old))


def test_options_reach_the_operation_and_a_repeat_is_the_same(old: Path, tmp_path: Path) -> None:
    first, again, other = (tmp_path / f"{name}.png" for name in ("first", "again", "other"))
    done("restore", old, first)
    done("restore", old, again)
    done("restore", old, other, "--preset", "strong", "--no-tone", "--noise", "90", "--sepia", "remove")
    assert np.array_equal(pixels(first), pixels(again))
    assert not np.array_equal(pixels(first), pixels(other))


def test_a_mask_is_written_edited_and_given_again(old: Path, tmp_path: Path) -> None:
    scratched = pixels(old).copy()
    scratched[:, 30:32] = 250
    Image.fromarray(scratched).save(tmp_path / "old.png")
    paths = (tmp_path / "old.png", tmp_path / "new.png", "--mask-out", tmp_path / "mask.png")
    said = done("remove-scratches", *paths).stdout
    assert "of the picture was filled" in said
    mask = pixels(tmp_path / "mask.png").squeeze()
    assert mask.shape == scratched.shape[:2]
    assert set(np.unique(mask)) == {0, 255}
    assert (mask[:, 30:32] == 255).mean() > 0.5
    edited = np.zeros_like(mask)
    edited[:80, 30:32] = 255
    Image.fromarray(edited).save(tmp_path / "edited.png")
    done(
        "remove-scratches", tmp_path / "old.png", tmp_path / "by-hand.png", "--mask", tmp_path / "edited.png"
    )
    by_hand = pixels(tmp_path / "by-hand.png")
    assert np.array_equal(by_hand[edited == 0], scratched[edited == 0])
    assert by_hand[:80, 30:32].mean() < 230
    said = done("restore", *paths, "--mask", tmp_path / "edited.png").stderr
    assert "nothing for it" in said
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "small.png")
    assert "as large as the picture" in sentence("restore", *paths, "--mask", tmp_path / "small.png")


def test_upscale_writes_a_larger_picture(old: Path, tmp_path: Path) -> None:
    done("upscale", old, tmp_path / "new.tif", "--scale", "4")
    assert pixels(tmp_path / "new.tif").shape == (640, 480, 3)


def test_a_selection_file_limits_what_changes(old: Path, tmp_path: Path) -> None:
    mask = np.zeros((160, 120), np.uint8)
    mask[40:100, 30:90] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    done("restore", old, tmp_path / "new.png", "--selection", tmp_path / "mask.png")
    before, after = pixels(old), pixels(tmp_path / "new.png")
    assert np.array_equal(before[mask == 0], after[mask == 0])
    assert not np.array_equal(before[mask == 255], after[mask == 255])


def test_json_has_the_facts(old: Path, tmp_path: Path) -> None:
    facts = json.loads(done("restore", old, tmp_path / "new.png", "--json").stdout)
    assert facts["output"] == str(tmp_path / "new.png")
    assert facts["seconds"] > 0
    failed = calotype("restore", tmp_path / "none.png", tmp_path / "new.png", "--json")
    assert json.loads(failed.stdout)["error"] == "BAD_FILE"


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_sixteen_bits_in_are_sixteen_bits_out(tmp_path: Path, suffix: str, bands: int) -> None:
    native = np.random.default_rng(0).integers(0, 65536, (64, 48, bands), np.uint16)
    old, new = tmp_path / f"old{suffix}", tmp_path / f"new{suffix}"
    interpretation = "grey16" if bands < 3 else "rgb16"
    pyvips.Image.new_from_array(native, interpretation=interpretation).write_to_file(str(old))
    done("restore", old, new)
    result = pyvips.Image.new_from_file(str(new), revalidate=True)
    assert (result.format, result.bands, result.width) == ("ushort", bands, 48)
    assert len(np.unique(result.numpy())) > 300
    if bands in (2, 4):
        assert np.array_equal(result.numpy()[..., -1], native[..., -1])


def test_exif_profile_and_resolution_stay_and_the_photo_comes_upright(tmp_path: Path) -> None:
    photo = Image.fromarray(noise(60, 90))
    exif = photo.getexif()
    exif[0x010E] = "Grandmother, 1931"
    exif[0x0112] = 6  # rotate by 90 degrees to see it upright
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photo.save(tmp_path / "old.jpg", exif=exif, icc_profile=profile, dpi=(300, 300), quality=90)
    for suffix in (".jpg", ".png", ".tif"):
        done("restore", tmp_path / "old.jpg", tmp_path / f"new{suffix}")
        with Image.open(tmp_path / f"new{suffix}") as new:
            assert new.size == (60, 90)
            assert new.info.get("icc_profile") == profile
            assert new.getexif().get(0x0112, 1) == 1
            assert round(float(new.info["dpi"][0])) == 300
            if suffix != ".tif":
                assert new.getexif()[0x010E] == "Grandmother, 1931"


def test_a_cmyk_jpeg_stays_cmyk_and_a_png_of_it_is_rgb(tmp_path: Path) -> None:
    Image.fromarray(noise(64, 64)).convert("CMYK").save(tmp_path / "old.jpg", quality=60)
    done("restore", tmp_path / "old.jpg", tmp_path / "new.tif")
    assert pyvips.Image.new_from_file(str(tmp_path / "new.tif"), revalidate=True).interpretation == "cmyk"
    done("restore", tmp_path / "old.jpg", tmp_path / "new.png")
    assert pyvips.Image.new_from_file(str(tmp_path / "new.png"), revalidate=True).bands == 3


def test_a_grey_photo_stays_grey(tmp_path: Path) -> None:
    Image.fromarray(data.camera()[:128, :128]).save(tmp_path / "old.jpg", quality=30)
    done("restore", tmp_path / "old.jpg", tmp_path / "new.png")
    assert pyvips.Image.new_from_file(str(tmp_path / "new.png"), revalidate=True).bands == 1


def test_one_pixel_and_one_column_are_pictures_too(tmp_path: Path) -> None:
    for height, width in ((1, 1), (1, 300), (300, 1), (15, 17)):
        Image.fromarray(noise(height, width)).save(tmp_path / "old.png")
        ended = calotype("restore", tmp_path / "old.png", tmp_path / "new.png")
        assert ended.returncode == 0 or "unchanged" in ended.stderr
        assert "Traceback" not in ended.stderr


def tiff(path: Path, native: np.ndarray, interpretation: str, profile: bytes = b"") -> Path:
    image = pyvips.Image.new_from_array(native, interpretation=interpretation).copy()
    if profile:
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    image.write_to_file(str(path))
    return path


def test_float_files_are_linear_unless_a_profile_says_otherwise(tmp_path: Path) -> None:
    native = np.full((32, 32, 3), 0.5, np.float32)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain = files.read(tiff(tmp_path / "plain.tif", native, "scrgb"))
    encoded = files.read(tiff(tmp_path / "encoded.tif", native, "srgb", profile))
    assert plain.layer.format.transfer == "linear"
    assert encoded.layer.format.transfer == "srgb"
    for document, wanted in ((plain, 0.7354), (encoded, 0.5)):
        files.write(tmp_path / "new.png", document.layer, document)
        written = pixels(tmp_path / "new.png")
        assert written.dtype == np.uint16
        assert np.allclose(written / 65535, wanted, atol=1e-3)


def test_grey_floats_stay_grey_and_bright_in_a_png(tmp_path: Path) -> None:
    document = files.read(tiff(tmp_path / "grey.tif", np.full((32, 32, 1), 0.5, np.float32), "b-w"))
    files.write(tmp_path / "new.png", document.layer, document)
    written = pyvips.Image.new_from_file(str(tmp_path / "new.png"), revalidate=True)
    assert written.bands == 1
    assert written.numpy().mean() > 30_000


def test_transparent_parts_become_white_in_a_jpeg(tmp_path: Path) -> None:
    document = files.read(tiff(tmp_path / "clear.tif", np.zeros((32, 32, 4), np.uint16), "rgb16"))
    files.write(tmp_path / "new.jpg", document.layer, document)
    assert pixels(tmp_path / "new.jpg").min() > 250


def test_a_profile_is_known_by_what_it_does_and_not_by_its_name(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    linear = bytearray(profile)
    assert files._is_srgb(profile)
    start = linear.index(b"para", 128)
    linear[start + 12 : start + 16] = (1 << 16).to_bytes(4, "big")  # the first curve's gamma becomes 1
    assert not files._is_srgb(bytes(linear))


@pytest.mark.parametrize("bands", [5, 6])
def test_layouts_that_are_not_known_are_refused_and_not_guessed(tmp_path: Path, bands: int) -> None:
    path = tiff(tmp_path / "many.tif", noise(20, 20, bands), "multiband")
    assert "channels; grey, RGB and CMYK" in sentence("restore", path, tmp_path / "new.png")
    lab = pyvips.Image.new_from_array(noise(20, 20), interpretation="srgb").colourspace("lab")
    lab.write_to_file(str(tmp_path / "lab.tif"))
    assert "is of a kind" in sentence("restore", tmp_path / "lab.tif", tmp_path / "new.png")


def test_a_file_name_that_is_no_utf8_is_read_and_written(tmp_path: Path) -> None:
    old, new = (os.path.join(os.fsencode(tmp_path), name) for name in (b"Zo\xeb.png", b"n\xebu.png"))
    Image.fromarray(noise(32, 32)).save(tmp_path / "plain.png")
    os.rename(tmp_path / "plain.png", old)
    ended = subprocess.run([sys.executable, "-m", "calotype", "restore", old, new], capture_output=True)
    assert ended.returncode == 0, ended.stderr
    assert os.path.exists(new)


def test_what_is_no_picture_is_answered_with_a_sentence(old: Path, tmp_path: Path) -> None:
    out = tmp_path / "new.png"
    (tmp_path / "text.jpg").write_text("not a picture")
    assert "not a JPEG, PNG, TIFF or WebP" in sentence("restore", tmp_path / "text.jpg", out)
    (tmp_path / "script.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>")
    assert "not a JPEG, PNG, TIFF or WebP" in sentence("restore", tmp_path / "script.svg", out)
    assert "no file" in sentence("restore", tmp_path / "none.jpg", out)
    assert "is a folder" in sentence("restore", tmp_path, out)
    Image.fromarray(noise(200, 200)).save(tmp_path / "whole.jpg")
    half = (tmp_path / "whole.jpg").read_bytes()[:20_000]
    (tmp_path / "half.jpg").write_bytes(half)
    assert "half.jpg could not be read" in sentence("restore", tmp_path / "half.jpg", out)
    assert ".png, .tif, .jpg" in sentence("restore", old, tmp_path / "new.gif")
    assert "could not be written" in sentence("restore", old, tmp_path / "no folder" / "new.png")
    assert not out.exists()


def test_a_picture_that_claims_900_megapixels_is_refused_by_its_header(tmp_path: Path) -> None:
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(90_001))) + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    assert "30000 x 30000" in sentence("restore", tmp_path / "bomb.png", tmp_path / "new.png")


def test_bad_parameters_are_answered_with_a_sentence(old: Path, tmp_path: Path) -> None:
    out = tmp_path / "new.png"
    assert "must lie between 0 and 100" in sentence("restore", old, out, "--strength", "101")
    assert "must be a number" in sentence("restore", old, out, "--strength", "nan")
    assert "invalid float value" in sentence("restore", old, out, "--strength", "much")
    assert "unrecognized" in sentence("restore", old, out, "--sharpness", "3")
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(tmp_path / "small.png")
    assert "as large as the picture" in sentence("restore", old, out, "--selection", tmp_path / "small.png")
    assert "must be a grey picture" in sentence("restore", old, out, "--selection", old)


def test_a_full_disk_leaves_the_old_result_and_says_so(old: Path, tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        (folder / "new.png").write_text("the old result")
        assert "could not be written" in sentence("restore", old, folder / "new.png")
        assert (folder / "new.png").read_text() == "the old result"
        assert os.listdir(folder) == ["new.png"]
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_ctrl_c_cancels_the_job_and_the_next_one_runs(old: Path, tmp_path: Path) -> None:
    big = tmp_path / "big.png"
    Image.fromarray(noise(5000, 5000)).save(big, compress_level=0)
    command = [sys.executable, "-m", "calotype", "restore", str(big), str(tmp_path / "new.png")]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    log = places.log_file()
    wait_for(lambda: log.exists())
    before = log.read_text().count("hello")
    wait_for(lambda: log.read_text().count("hello") > before or running.poll() is not None, 60)
    time.sleep(2)
    running.send_signal(signal.SIGINT)
    complaints = running.communicate(timeout=30)[1]
    assert running.returncode == 130
    assert "Traceback" not in complaints
    assert not (tmp_path / "new.png").exists()
    done("restore", old, tmp_path / "next.png")


def test_ctrl_c_while_a_picture_is_read_is_heard(tmp_path: Path) -> None:
    big = tmp_path / "big.png"
    Image.fromarray(noise(1500, 1500)).save(big, compress_level=0)
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        _ = [files.read(big) for _ in range(30)]


def test_operations_are_listed_with_their_parameters() -> None:
    listed = json.loads(done("operations", "--json").stdout)
    restoring = {"restore", "denoise", "enhance", "remove_scratches", "upscale"}
    others = {"colorize", "stylize", "train_style", "check", "correct"}
    assert {*restoring, *others} == {o["name"] for o in listed}
    text = done("operations").stdout
    assert "--strength" in text
    written = Path(__file__).parents[2] / "docs" / "operations.md"
    assert done("operations", "--markdown").stdout == written.read_text("utf-8")


def test_stop_ends_the_engine_and_says_when_there_is_none(old: Path, tmp_path: Path) -> None:
    done("restore", old, tmp_path / "new.png")
    found = connection.load(places.connection_file())
    assert found is not None
    assert "has ended" in done("stop").stdout
    assert connection.load(places.connection_file()) is None
    assert "No engine runs" in done("stop").stdout


def test_damaged_or_missing_weights_are_explained(tmp_path: Path) -> None:
    import shutil

    import torch

    from calotype.models import weights
    from calotype.models.restorer import CONTRACT

    folder = tmp_path / "weights"
    shutil.copytree(weights.FOLDER, folder)
    weights.load("restorer", folder)
    path = folder / "restorer.safetensors"
    whole = path.read_bytes()
    for damaged in (b"", whole[:1000], whole[:-1], whole[:5000] + b"\xff" + whole[5001:]):
        path.write_bytes(damaged)
        with pytest.raises(CalotypeError, match=r"install\.py") as refused:
            weights.load("restorer", folder)
        assert refused.value.code == "BAD_WEIGHTS"
    path.unlink()
    with pytest.raises(CalotypeError):
        weights.load("restorer", folder)
    with pytest.raises(ValueError):
        weights.ship({"w": torch.tensor([float("nan")])}, CONTRACT, folder)


def test_a_colour_profile_that_does_not_fit_is_noted_and_srgb_assumed(tmp_path: Path) -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    Image.fromarray(noise(40, 40)).save(tmp_path / "old.jpg", icc_profile=lab)
    document = files.read(tmp_path / "old.jpg")
    assert document.layer.profile == b""
    assert "sRGB is assumed" in document.note
