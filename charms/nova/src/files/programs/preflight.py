"""See whether a release can come: `python preflight.py /etc/nova/nova.conf`, with the new tree's Python. The last line says why not.

`nova-status upgrade check` ends with 0 where all is well, 1 with warnings, and 2 where the upgrade would fail.
"""

import itertools
import subprocess
import sys
from pathlib import Path

MOST = 1


def main(config_path):
    """Return why not; None if it can come."""
    program = Path(sys.executable).parent / "nova-status"
    asked = [str(program), f"--config-file={config_path}", "upgrade", "check"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    if done.returncode <= MOST:
        return None
    cells = [line.strip("| ") for line in done.stdout.splitlines() if line.startswith("| ")]
    failed = [f"{check} {what}" for check, what in itertools.pairwise(cells) if "Failure" in what]
    said = (done.stderr.strip() or "no word").splitlines()[-1]
    return f"nova-status upgrade check: {'; '.join(failed) or said}; {' '.join(cells)}"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
