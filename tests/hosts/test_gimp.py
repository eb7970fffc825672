"""The plug-in in real GIMP, with the real engine, which the plug-in itself starts."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from calotype_wire import launch
from hosts import rootfs
from hosts.gimp import with_engine

pytestmark = [
    pytest.mark.skipif(rootfs.why_not() is not None, reason=str(rootfs.why_not())),
    pytest.mark.timeout(900),
]
HERE = Path(__file__).parent


def scenarios(file: str) -> list[str]:
    return re.findall(r"^def (test_\w+)", (HERE / file).read_text("utf-8"), re.MULTILINE)


@pytest.fixture(scope="module")
def gimp(tmp_path_factory):
    with with_engine(tmp_path_factory.mktemp("Zoë's GIMP")) as made:
        yield made


@pytest.fixture(scope="module")
def first(gimp):
    """GIMP with a plug-in that lacks its vendor folder, before the engine ran, after it, and after it
    learned an operation."""
    names = scenarios("gimp_first.py")
    vendor, away = gimp.plugin / "vendor", gimp.work / "away"
    vendor.rename(away)
    found = gimp.run(HERE / "gimp_first.py", [names[2]])
    away.rename(vendor)
    found |= gimp.run(HERE / "gimp_first.py", names[:2])
    found |= gimp.run(HERE / "gimp_first.py", [names[3]])
    gimp.learn(HERE / "gimp_echo.py")
    return found | gimp.run(HERE / "gimp_first.py", [names[4]])


@pytest.fixture(scope="module")
def filters(gimp, first):
    return gimp.run(HERE / "gimp_filters.py")


@pytest.fixture(scope="module")
def restoration(gimp, first):
    return gimp.run(HERE / "gimp_restoration.py")


@pytest.fixture(scope="module")
def colours(gimp, first):
    return gimp.run(HERE / "gimp_colours.py")


@pytest.fixture(scope="module")
def record(gimp, first):
    return gimp.run(HERE / "gimp_record.py")


@pytest.fixture(scope="module")
def training(gimp, first):
    return gimp.run(HERE / "gimp_training.py", timeout_s=600)


@pytest.fixture(scope="module")
def failures(gimp, first):
    return gimp.run(HERE / "gimp_failures.py")


@pytest.mark.parametrize("scenario", scenarios("gimp_first.py"))
def test_starts(first, scenario):
    assert not first[scenario], first[scenario]


@pytest.mark.parametrize("scenario", scenarios("gimp_filters.py"))
def test_filters(filters, scenario):
    assert not filters[scenario], filters[scenario]


@pytest.mark.parametrize("scenario", scenarios("gimp_restoration.py"))
def test_restoration(restoration, scenario):
    assert not restoration[scenario], restoration[scenario]


@pytest.mark.parametrize("scenario", scenarios("gimp_colours.py"))
def test_colours(colours, scenario):
    assert not colours[scenario], colours[scenario]


@pytest.mark.parametrize("scenario", scenarios("gimp_record.py"))
def test_record(record, scenario):
    assert not record[scenario], record[scenario]


@pytest.mark.parametrize("scenario", scenarios("gimp_training.py"))
def test_training(training, scenario):
    assert not training[scenario], training[scenario]


@pytest.mark.parametrize("scenario", scenarios("gimp_failures.py"))
def test_failures(failures, scenario):
    assert not failures[scenario], failures[scenario]


def test_two_gimps_that_start_at_once_share_one_engine(gimp, first):
    launch.stop()
    name = scenarios("gimp_filters.py")[0]
    with ThreadPoolExecutor() as pool:
        runs = [pool.submit(gimp.run, HERE / "gimp_filters.py", [name]) for _ in range(2)]
        assert [run.result() for run in runs] == [{name: ""}] * 2
    assert len(engines(gimp)) == 1


def engines(gimp):
    """Those of this home, by their process numbers."""
    found = []
    for process in psutil.process_iter():
        try:
            ours = process.environ().get("CALOTYPE_HOME") == str(gimp.calotype)
            if ours and process.cmdline()[-2:] == ["calotype", "serve"]:
                found.append(process.pid)
        except psutil.Error:
            pass  # gone meanwhile
    return found
