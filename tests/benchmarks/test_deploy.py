"""How long a deployment takes, and how many hooks and starts of services it needs."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.conformance import probes
from tests.conformance.recording import ROOT as RECORDINGS

from . import charms
from .figures import Figure
from .test_hooks import median_hooks

if TYPE_CHECKING:
    from collections.abc import Iterator

PLAIN = Path(__file__).parent / "plain.sh"
CHARMS = Path(__file__).parents[2] / "charms"
KEYSTONE = CHARMS / "keystone/src/releases/2026.1/python3.13.txt"
PLAIN_MACHINES = ("plain-0", "plain-1", "plain-2")
# A real Juju 4.0.15 with LXD on a machine of this kind needed so long for the probe bundle.
JUJU_PROBE_SECONDS = 70
# systemd's SD_MESSAGE_UNIT_STARTED (sd-messages.h)
UNIT_STARTED = "39f53479d3a045ac8e11786248231fbf"


@pytest.mark.parametrize("application", ["ceph", "host"])
def test_hooks_until_settled(bare, deployed, application, figures):
    ran = Counter(hook.name for hook in deployed.hooks if hook.application == application)
    forced = Counter(hook.name for hook in bare.hooks if hook.application == application)
    figures.check(
        Figure(
            what=f"Hooks of a {application} unit until all is settled",
            measured=deployed.hooks_per_unit(application),
            baseline=bare.hooks_per_unit(application),
            of="what Juju forces on a charm that does nothing",
            unit="hooks",
            budget=1.5,
            details=tuple(
                f"{name}: {count}, forced {forced[name]}"
                for name, count in sorted(ran.items())
                if count != forced[name]
            ),
        )
    )


def test_services_start_once(deployed, figures):
    """No daemon is restarted more than once after its first start."""
    starts = {unit: starts_of_services(deployed.site, unit) for unit in deployed.machines}
    figures.check(
        Figure(
            what="Starts of a Ceph daemon until all is settled, at most",
            measured=max(count for counts in starts.values() for count in counts.values()),
            baseline=1,
            of="it has to start",
            unit="starts",
            budget=2,
            details=tuple(f"{unit}: {dict(counts)}" for unit, counts in starts.items()),
        )
    )


def starts_of_services(site, unit: str) -> Counter:
    """Count how often each Ceph daemon of a unit's machine was started, from systemd's journal."""
    host = site.hostname_of(unit)
    shown = site.shell(unit, f"journalctl --output json --output-fields UNIT MESSAGE_ID={UNIT_STARTED}")
    names = [json.loads(line)["UNIT"] for line in shown.splitlines()]
    return Counter(name.replace(host, "HOST") for name in names if name.startswith("ceph-") and "@" in name)


def test_deploy_against_a_plain_script(cloud, deployed, beside, image, figures):
    bare_hook = median_hooks(deployed.site, beside)[beside]
    side_by_side = min(len(deployed.machines), os.cpu_count() or 1)
    hooks = len(deployed.hooks) * bare_hook / side_by_side
    with plain_machines(cloud.lxd_dir) as environment:
        begun = time.time()
        subprocess.run([PLAIN, *image, KEYSTONE, *PLAIN_MACHINES], check=True, env=environment)
        plain = time.time() - begun
    figures.check(
        Figure(
            what="The bundle, from `deploy` to idle",
            measured=deployed.seconds,
            baseline=plain + hooks,
            of=f"plain.sh ({plain:.0f} s) and {len(deployed.hooks)} bare hooks, {side_by_side} at a time ({hooks:.0f} s)",
            unit="s",
            budget=1.25,
            details=timeline(deployed),
        )
    )


def timeline(deployment) -> tuple[str, ...]:
    """Tell where a deployment's time went."""
    first = min(hook.begun for hook in deployment.hooks) - deployment.begun
    busy = [sum(hook.seconds for hook in hooks) for hooks in deployment.machines.values()]
    installs = [hook.seconds for hook in deployment.hooks if hook.name == "hooks/install"]
    median = statistics.median(hook.seconds for hook in deployment.hooks)
    still = sorted(standstills(deployment), reverse=True)
    return (
        f"until the first hook: {first:.1f} s",
        f"in hooks, by machine: {', '.join(f'{seconds:.0f} s' for seconds in busy)}",
        f"no hook on any machine: {sum(still):.0f} s, at most {still[0]:.1f} s at a time",
        f"of these in `install`: {', '.join(f'{seconds:.0f} s' for seconds in installs)}",
        f"{len(deployment.hooks)} hooks, half of them under {median:.2f} s",
    )


def standstills(deployment) -> Iterator[float]:
    """Yield how long each time was in which no machine ran a hook, from the first hook to the last."""
    hooks = sorted(deployment.hooks, key=lambda hook: hook.begun)
    ended = hooks[0].ended
    for hook in hooks[1:]:
        yield max(hook.begun - ended, 0.0)
        ended = max(ended, hook.ended)


@contextmanager
def plain_machines(lxd_dir: Path):
    """The environment of the plain script, whose containers are deleted at the end."""
    environment = {**os.environ, "LXD_DIR": str(lxd_dir)}
    try:
        yield environment
    finally:
        for name in PLAIN_MACHINES:
            subprocess.run(
                ["lxc", "delete", "--force", name], env=environment, check=False, capture_output=True
            )


def test_the_probe_bundle(cloud, tmp_path, figures):
    with cloud.deployment("benchmark-probe", "alpha", str(probe_bundle(tmp_path))) as deployment:
        pass  # the hooks are noted when it has settled
    figures.check(
        Figure(
            what="The probe bundle, from `deploy` to idle",
            measured=deployment.seconds,
            baseline=JUJU_PROBE_SECONDS,
            of="a real Juju 4.0.15 with LXD",
            unit="s",
            budget=0.5,
            details=timeline(deployment),
        )
    )


def probe_bundle(folder: Path) -> Path:
    """Write the probe bundle of the recordings with its charms and its resource, its hooks timed."""
    content = yaml.safe_load((RECORDINGS / "bundle.yaml").read_text())
    (folder / "packed").mkdir()
    programs = {"probe": RECORDINGS / "faults/charm.py", "probesub": None}
    for name, program in programs.items():
        charms.timed(probes.build(name, folder / "packed", program), folder / f"{name}.charm")
    (folder / "blob.bin").write_text("a blob")
    for application in content["applications"].values():
        application["charm"] = application["charm"].replace("../", "./")
        if "resources" in application:
            application["resources"] = {"blob": "./blob.bin"}
    bundle = folder / "bundle.yaml"
    bundle.write_text(yaml.safe_dump(content))
    return bundle
