"""What completes a release tree: its static files, and the theme of the site, if there is one; beside it is `theme`, a tar archive.

`python portal_static.py FOLDER NAME` with the tree's Python: FOLDER is where it may write, NAME what the tree will be called.
Styles and scripts are compiled here once, so that all units that have this tree serve the same, and none has to compile anything.
"""

import gzip
import os
import sys
import tarfile
from pathlib import Path

COMPRESSED = {".css", ".js", ".html", ".json"}
OK = 200
LEAST_BYTES = 1024
"""What is smaller is not worth a second file."""


def unpack(archive, folder):
    """Unpack a theme: the folder that has its `_variables.scss` or its `static/`, wherever that is in the archive."""
    beside = folder.with_name("theme.unpacked")
    with tarfile.open(archive) as content:
        content.extractall(beside, filter="data")
    names = ("_variables.scss", "static", "templates")
    roots = [beside, *(path for path in sorted(beside.iterdir()) if path.is_dir())]
    root = next((path for path in roots if any((path / name).exists() for name in names)), None)
    if root is None:
        sys.exit(f"the resource theme has none of {', '.join(names)} at its top")
    root.rename(folder)


def compress(folder):
    """Put beside each text a compressed one, for browsers that take it."""
    for path in folder.rglob("*"):
        if path.suffix in COMPRESSED and path.is_file() and path.stat().st_size >= LEAST_BYTES:
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))


def main(folder, name):
    """Make what belongs into the folder."""
    made = Path(folder)
    theme = Path(__file__).with_name("theme")
    if theme.exists():
        unpack(theme, made / "theme")
    os.environ |= {
        "OPENINFRA_TREE": str(made.parent),
        "OPENINFRA_TREE_NAME": name,
        "DJANGO_SETTINGS_MODULE": "portal_settings",
    }
    os.environ.pop("OPENINFRA_CONFIG", None)
    # Django finds its settings when it is imported.
    import django  # noqa: PLC0415
    from django.core import management  # noqa: PLC0415

    django.setup()
    management.call_command("collectstatic", interactive=False, verbosity=0)
    management.call_command("compress", force=True, verbosity=0)
    compress(made / "static")
    # What cannot be compiled is left out without a word, and then no page that needs it is shown.
    from django.test import Client  # noqa: PLC0415

    answer = Client(HTTP_HOST="localhost", raise_request_exception=False).get("/auth/login/")
    if answer.status_code != OK:
        sys.exit(f"the page to log in is answered {answer.status_code} with these static files")


if __name__ == "__main__":
    main(*sys.argv[1:])
