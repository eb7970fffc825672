"""The plugin in real Krita, against a real engine that the plugin itself starts."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgpack
import pytest

from calotype_setup import editors
from calotype_setup.krita import Krita as KritaProfile
from calotype_wire import connection, launch
from calotype_wire.client import Request, Result, connect
from conftest import answer, layer, noise
from hosts import rootfs
from hosts.krita import Krita

STAGE = Path(__file__).with_name("krita_stage.py")
NOUNS = ("layers", "failures", "docker", "preview", "restoration", "colours")
SCENARIOS = [Path(__file__).with_name(f"krita_{noun}.py") for noun in NOUNS]
NAMES = re.findall(
    r"^(?:def )?scenario_(\w+)(?: = |\()",
    "".join(path.read_text("utf-8") for path in SCENARIOS),
    re.MULTILINE,
)
TRIALS = Path(__file__).parents[1] / "operations"
PHOTO = Path(__file__).parents[2] / "engine/calotype/photos/astronaut.png"
SCREENSHOTS = Path(__file__).parents[2] / "build/screenshots"

reason = rootfs.why_not()
pytestmark = [pytest.mark.skipif(reason is not None, reason=str(reason)), pytest.mark.timeout(900)]


class Studio:
    """A Krita with the plugin, as install.py installs it, and an engine outside of its sandbox."""

    def __init__(self, work: Path, operations: Path) -> None:
        self.work, self.operations = work, operations
        self.krita = Krita(work)
        self.home = work / "home" / "Zoë's data"
        self.home.mkdir()
        python = rootfs.engine_python(work)
        (self.home / "installation.json").write_text(f'{{"python": "{python}"}}', "utf-8")
        profile = self.krita.home
        vendor = editors.vendored(Path(msgpack.__file__).parent, self.home)
        self.learn(operations)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CALOTYPE_HOME", str(self.home))  # whose catalogue names the actions
            KritaProfile("Krita", "", profile / ".local/share/krita", profile / ".config/kritarc").put(vendor)
        (profile / ".config/kritashortcutsrc").write_text("[Shortcuts]\ncalotype_invert=Ctrl+Alt+I\n")

    def learn(self, operations: Path) -> None:
        self.operations = operations
        rootfs.learn(self.home, operations)

    def run(self, scenarios: Sequence[Path], *only: str, timeout_s: float = 60) -> dict[str, str]:
        photo = self.work / "photo.png"
        shutil.copy(PHOTO, photo)
        settings = {"CALOTYPE_OPERATIONS": str(self.operations), "PHOTO": str(photo)}
        return self.krita.run(scenarios, only, timeout_s, **settings)

    def close(self) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CALOTYPE_HOME", str(self.home))
            launch.stop()


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    made = Studio(tmp_path_factory.mktemp("Zoë's work"), TRIALS)
    yield made
    made.close()


@pytest.fixture(scope="module")
def results(studio):
    """All scenarios, in one Krita."""
    found = studio.run(SCENARIOS, timeout_s=600)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for path in (studio.work / "out").glob("*.png"):
        shutil.copy(path, SCREENSHOTS)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_krita(results, name):
    assert results.get(name, f"Krita ended before; {list(results)}") == ""


def test_krita_itself_found_nothing_wrong(studio, results):
    assert studio.krita.complaints() == []


def test_an_operation_added_to_the_engine_appears_without_touching_the_plugin(studio, results, tmp_path):
    operations = tmp_path / "operations"
    operations.mkdir()
    (operations / "brighten.py").write_text(
        "from dataclasses import dataclass\n"
        "from calotype.models.contract import Contract\n"
        "from calotype.ops.declare import number, operation\n"
        "from calotype.ops.task import Task\n\n"
        '@operation("Brighten", "Adds light.")\n'
        "@dataclass(frozen=True)\n"
        "class Brighten:\n"
        '    light: float = number("Light", "How much.", 20)\n'
        "    def run(self, task: Task) -> None:\n"
        '        contract = Contract("none", multiple=16, halo_px=16, bytes_a_pixel=20)\n'
        "        more = lambda picture, box: picture + self.light / 100\n"
        '        task.retouch(more, contract, "Brightening", "Brighter")\n'
    )
    scenario = tmp_path / "scenario.py"
    scenario.write_text(
        "from krita_stage import *\n"
        "def scenario_brighten():\n"
        "    document, photo = opened()\n"
        "    yield settled(document, photo)\n"
        "    docker = docker_of(app.activeWindow())\n"
        "    docker.choice.setCurrentIndex(docker.choice.findData('brighten'))\n"
        "    docker.form.fields['light'].set_value(10)\n"
        "    docker.run()\n"
        "    yield ran(document)\n"
        "    assert names(document) == ['Photo', 'Brighter'], sentences(document)\n"
        "    old, new = whole(photo), whole(document.nodeByName('Brighter'))\n"
        "    assert all(abs(new[i] - old[i] - 25.5) <= 1 for i in range(3))\n"
        "    assert app.action('calotype_brighten').text() == 'Brighten'\n"
    )
    studio.close()  # an engine learns of new operations when it starts
    studio.learn(operations)
    shutil.copy(STAGE, tmp_path)
    assert studio.run([scenario], "brighten") == {"brighten": ""}


def test_krita_killed_mid_job_leaves_the_engine_free_within_a_second(studio, results, tmp_path):
    scenario = tmp_path / "scenario.py"
    scenario.write_text(
        "from krita_stage import *\n"
        "def scenario_dies():\n"
        "    document, photo = opened()\n"
        "    yield settled(document, photo)\n"
        "    studio().run(document, 'slow', {'steps': 10000, 'step_ms': 10})\n"
        "    yield lambda: studio().jobs[key_of(document)].last is not None\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    shutil.copy(STAGE, tmp_path)
    studio.close()
    studio.learn(TRIALS)
    assert "ended with" in studio.run([scenario], "dies")["dies"]
    client = connect(connection.load(studio.home / "run" / "connection.json"), "test")
    job = client.submit(Request("identity", [layer(noise(8, 8))]))
    assert isinstance(answer(client, job, 20), Result)  # 100 s, had the engine gone on
    client.close()
