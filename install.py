"""Set up Calotype: the engine, the editors' plugins, a demo, a check-up, the tests, and the way out.

python3 install.py               install or upgrade the engine, and the plugins of every Krita and GIMP 3
python3 install.py demo          restore a photo and say what was gained
python3 install.py doctor        say what works and what to do about the rest
python3 install.py serve         run the engine, for editors in a sandbox that cannot start it
python3 install.py krita-zip     make a zip for Krita's own importer of plugins
python3 install.py test          check and test this checkout, in an environment of its own
python3 install.py uninstall     remove the engine and the plugins; models and styles stay

Standard library only, and Python 3.8 syntax, so that an old Python can still say what is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parent
sys.path.insert(0, str(SOURCE / "engine"))

from calotype_setup import checkup, editors, engine, environment, flatpak, gimp, krita, krita_zip  # noqa: E402
from calotype_wire import atomic, places  # noqa: E402
from calotype_wire.errors import CalotypeError  # noqa: E402

DEV = SOURCE / "build" / "env-dev"


def main(arguments: list[str]) -> int:
    """Exit status 0: done; 1: a sentence says what to do; 2: wrong usage; 130: Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace", line_buffering=True)  # type: ignore[union-attr]
    if os.environ.get("CALOTYPE_HOME"):  # what is written down must hold from every folder
        os.environ["CALOTYPE_HOME"] = os.path.abspath(os.environ["CALOTYPE_HOME"])
    try:
        options, rest = parser().parse_known_args(arguments)
        if rest and options.command is not test:
            parser().error("unknown: " + " ".join(rest))
        if sys.version_info < (3, 10) and options.command in (install, demo, test, make_krita_zip):
            return with_newer_python(arguments)
        options.rest = rest
        status: int = options.command(options)
        return status
    except CalotypeError as failure:
        print(failure.sentence, file=sys.stderr)
    except OSError as error:
        print(engine.disk_sentence(error), file=sys.stderr)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    return 1


def parser() -> argparse.ArgumentParser:
    described = argparse.RawDescriptionHelpFormatter
    root = argparse.ArgumentParser("install.py", description=__doc__, formatter_class=described)
    root.add_argument("--force", action="store_true", help="install again, even if nothing has changed")
    root.add_argument("--dev", action="store_true", help="only set up the environment that 'test' uses")
    root.set_defaults(command=install)
    commands = root.add_subparsers(metavar="COMMAND")
    demo_ = commands.add_parser("demo", help="restore a photo and say what was gained")
    demo_.add_argument("photo", nargs="?", help="a photo of yours; otherwise one that we aged")
    demo_.add_argument("--out", help="folder for the pictures")
    demo_.set_defaults(command=demo)
    doctor_ = commands.add_parser("doctor", help="what works, and what to do about the rest")
    doctor_.set_defaults(command=doctor)
    serve_ = commands.add_parser("serve", help="run the engine, for editors in a sandbox, until Ctrl-C")
    serve_.set_defaults(command=serve)
    zip_ = commands.add_parser("krita-zip", help="make a zip for Krita's own importer of plugins")
    zip_.add_argument("file", nargs="?", default="calotype_krita.zip", help="otherwise %(default)s")
    zip_.set_defaults(command=make_krita_zip)
    test_ = commands.add_parser("test", help="ruff, mypy and pytest; arguments go to pytest", add_help=False)
    test_.set_defaults(command=test)
    uninstall_ = commands.add_parser("uninstall", help="remove engine and plugins; models and styles stay")
    uninstall_.add_argument("--everything", action="store_true", help="remove models and styles as well")
    uninstall_.set_defaults(command=uninstall)
    return root


def with_newer_python(arguments: list[str]) -> int:
    for name in ("python3.13", "python3.12", "python3.11", "python3.10", "python3.14", "python3"):
        found = shutil.which(name)
        asked = [str(found), "-c", "import sys; sys.exit(sys.version_info < (3, 10))"]
        if found and environment.quiet(asked).returncode == 0:
            print(f"Python {platform.python_version()} is too old for the engine; going on with {found}.")
            return subprocess.call([found, str(SOURCE / "install.py"), *arguments])
    raise CalotypeError(
        "OLD_PYTHON",
        f"The engine needs Python 3.10 or newer, this is {platform.python_version()}. "
        "Install a newer one from python.org or your system's packages, and run install.py with it.",
    )


# The user's environment and editors


def install(options: argparse.Namespace) -> int:
    if options.dev:
        print(f"The development environment is ready: {dev_python(options.force)}")
        return 0
    python = engine.install(options.force)
    with engine.alone(places.data_dir()):
        served = install_plugins(python, options.force)
    print(f"The command for files: {Path(python).with_name('calotype')}")
    print("See what it does: python3 install.py demo")
    return 0 if served else 1


def install_plugins(python: str, force: bool) -> bool:
    """Whether all went well. One editor's trouble is not another's."""
    home, served = places.data_dir(), True
    vendor = vendored(python, home)
    gimp.prepare()
    profiles = [*krita.profiles(), *gimp.profiles()]
    for profile in profiles:
        try:
            changed = profile.install(vendor, force)
            done = "plugin installed; restart it if it is open" if changed else "plugin is up to date"
            print(f"{profile}: {done}")
        except OSError as error:
            served = False
            complaint = f"{error.filename or profile.folder} cannot be written: {error.strerror or error}"
            print(f"{profile}: {complaint}. Correct its rights and run install.py again.", file=sys.stderr)
    others = [*krita.unserved(), *gimp.unserved(), *flatpak.states(home)]
    for _, name, sentence in others:
        print(f"{name}: {sentence}")
    if not profiles and not others:
        print(f"Editors: {checkup.NO_EDITOR}")
    return served


def vendored(python: str, home: Path | None) -> editors.Content:
    msgpack = engine.msgpack(python)
    if msgpack is None:
        sentence = "The engine has lost a library (msgpack). Run: python3 install.py --force"
        raise CalotypeError("NOT_INSTALLED", sentence)
    return editors.vendored(msgpack, home)


def demo(options: argparse.Namespace) -> int:
    command = [engine.install(options.force), "-m", "calotype", "demo"]
    command += [options.photo] if options.photo else []
    command += ["--out", options.out] if options.out else []
    return subprocess.call(command, env=environment.clean(PYTHONSAFEPATH="1"))


def serve(options: argparse.Namespace) -> int:
    python = installed_python()
    print("The engine runs until Ctrl-C; it keeps no model in memory while nobody uses it.")
    command = [python, "-m", "calotype", "serve", "--exit-after", "inf"]
    return subprocess.call(command, env=environment.clean(PYTHONSAFEPATH="1"))


def installed_python() -> str:
    python = engine.installation().get("python", "")
    if not Path(python).is_file():
        raise CalotypeError("NOT_INSTALLED", "There is no engine yet. Run: python3 install.py")
    return python


def make_krita_zip(options: argparse.Namespace) -> int:
    vendor = vendored(engine.install(options.force), None)
    path = Path(options.file).absolute()
    atomic.write(path, krita_zip.build(vendor), 0o644)
    print(f"{path}: import it in Krita by Tools > Scripts > Import Python Plugin from File.")
    return 0


# Checking


def dev_python(force: bool = False) -> str:
    """The Python of an environment in the checkout that runs the checkout's own files."""
    stamp, python = DEV / "calotype.json", environment.python_of(DEV)
    project = (SOURCE / "pyproject.toml").read_text("utf-8").split("[tool.")[0]
    wanted = json.dumps([project, environment.TORCH, sys.version])
    DEV.parent.mkdir(exist_ok=True)
    with engine.alone(DEV.parent):
        if force or not stamp.exists() or stamp.read_text("utf-8") != wanted or not Path(python).exists():
            print(f"Setting up the development environment in {DEV}")
            environment.build(DEV, ["--editable", f"{SOURCE}[dev]"], DEV.parent / "install.log")
            atomic.write(stamp, wanted.encode())
    return python


def test(options: argparse.Namespace) -> int:
    python = dev_python()
    types = [["mypy"], ["mypy", "install.py"]]
    steps = [["ruff", "check"], ["ruff", "format", "--check"], *types, ["pytest", *options.rest]]
    failed: list[str] = []
    for step in steps:
        if step[0] == "pytest" and failed:
            print("FAILED before pytest: " + ", ".join(failed))
        print("$ " + shlex.join(step))
        if subprocess.call([python, "-m", *step], cwd=SOURCE, env=environment.clean()) != 0:
            failed.append(" ".join(step))
    return 1 if failed else 0


def doctor(options: argparse.Namespace) -> int:
    healthy = True
    for state, name, detail in checkup.states():
        print(f"{state:8}{name}: {detail}")
        healthy &= state == "ok"
    print(f"{'ok':8}log: {places.log_file()}{'' if places.log_file().exists() else ' (nothing in it yet)'}")
    return 0 if healthy else 1


# The way out


def uninstall(options: argparse.Namespace) -> int:
    home = places.data_dir()
    known = [
        places.installation_file(),
        places.catalogue_file(),
        places.swatches_dir(),
        *engine.environments(),
        places.run_dir(),
    ]
    known += [places.log_file().parent]
    if options.everything:
        known += [home / "models", home / "styles"]
    found = [path for path in known if os.path.lexists(path)]
    freed = uninstall_plugins()
    if not found:
        print(f"There is no installation in {home}")
        return 0 if freed else 1
    with engine.alone(home):
        engine.stop(engine.installation().get("python", ""))
        for path in found:
            editors.remove(path)
    (home / "install.lock").unlink()
    kept = sorted(path.name for path in home.iterdir())
    print(f"Removed from {home}: " + ", ".join(path.name for path in found))
    if kept:
        print("Kept there: " + ", ".join(kept))
    else:
        home.rmdir()
    return 0 if freed else 1


def uninstall_plugins() -> bool:
    """Whether none is left."""
    freed = True
    for profile in [*krita.everywhere(), *gimp.profiles()]:
        try:
            if profile.uninstall():
                print(f"Removed the plugin of {profile} from {profile.folder}")
        except OSError as error:
            freed = False
            complaint = f"{error.filename or profile.folder} cannot be removed: {error.strerror or error}"
            print(f"{profile}: {complaint}. Correct its rights and run it again.", file=sys.stderr)
    return freed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
