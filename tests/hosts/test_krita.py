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
NOUNS = (
    "layers",
    "failures",
    "docker",
    "preview",
    "restoration",
    "colours",
    "training",
    "styles",
    "anomalies",
)
SCENARIOS = [Path(__file__).with_name(f"krita_{noun}.py") for noun in NOUNS]
NAMES = [
    pytest.param(name, id=f"{noun}-{name}")
    for noun, path in zip(NOUNS, SCENARIOS, strict=True)
    for name in re.findall(r"^(?:def )?scenario_(\w+)(?: = |\()", path.read_text("utf-8"), re.MULTILINE)
]
TRIALS = Path(__file__).parents[1] / "operations"
PHOTO = Path(__file__).parents[2] / "engine/calotype/photos/astronaut.png"
SCREENSHOTS = Path(__file__).parents[2] / "build/screenshots"

reason = rootfs.why_not()
pytestmark = [pytest.mark.skipif(reason is not None, reason=str(reason)), pytest.mark.timeout(1500)]


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
def results(request, studio):
    """All scenarios that were asked for, in one Krita."""
    mine = [item for item in request.session.items if item.function is test_krita]
    asked = [item.callspec.params["name"] for item in mine]
    found = studio.run(SCENARIOS, *asked, timeout_s=1200)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for path in (studio.work / "out").glob("*.png"):
        shutil.copy(path, SCREENSHOTS)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_krita(results, name):
    complaint = results.get(name, f"Krita ended before; {list(results)}")
    assert not complaint, complaint


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


def test_a_training_that_runs_when_krita_ends_is_offered_by_the_next_one(studio, results, tmp_path):
    scenario = tmp_path / "scenario.py"
    scenario.write_text(
        "from krita_learning import *\n"
        "def scenario_ends():\n"
        "    document = photo_opened()\n"
        "    yield lambda: app.activeDocument() == document and document.activeNode() is not None\n"
        "    trained(name='Left behind', level='standard', seconds=15.0)\n"
        "    yield from patiently(lambda: learning().last is not None and learning().last.curve)\n"
        "def scenario_goes_on():\n"
        "    document = photo_opened()\n"
        "    yield lambda: app.activeDocument() == document and document.activeNode() is not None\n"
        "    docker = docker_on(training_operation().name)\n"
        "    yield from patiently(lambda: 'Left behind' in docker.training.unfinished.rows)\n"
        "    docker.training.unfinished.rows['Left behind'].resume.click()\n"
        "    yield from patiently(ended)\n"
        "    assert not told()[0] and 'Left behind' in told()[1], told()\n"
    )
    for path in (STAGE, STAGE.with_name("krita_learning.py")):
        shutil.copy(path, tmp_path)
    assert studio.run([scenario], "ends", timeout_s=600) == {"ends": ""}
    assert studio.run([scenario], "goes_on", timeout_s=600) == {"goes_on": ""}
