"""Machine images: a base such as `ubuntu@24.04`, built from the host's own package archive.

Charms name Ubuntu bases, as Juju wants. A Debian host has no Ubuntu archive: there a base stands for the Debian
release of its generation. An image is cached under a key made of everything that goes into it.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tarfile
import tempfile
import time
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from openinfra_model import host

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openinfra_model.machines.lxd import Lxd

# (host's distribution, base) -> release
RELEASES: Mapping[tuple[str, str], str] = {
    ("debian", "ubuntu@24.04"): "trixie",
    ("ubuntu", "ubuntu@24.04"): "noble",
    ("ubuntu", "ubuntu@26.04"): "resolute",
}

_COMPRESSION = ("-comp", "zstd", "-Xcompression-level", "3")

# What an Ubuntu cloud image has and charms rely on.
_PACKAGES = (
    "ca-certificates",
    "dbus",
    "iproute2",
    "iputils-ping",
    "kmod",
    "less",
    "micropython",
    "procps",
    "python3",
    "sudo",
    "systemd",
    "systemd-resolved",
    "systemd-sysv",
    "udev",
)

_CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
# Programs that bring their own list of authorities (pip, requests, uv) look here for the system's.
_CA_VARIABLES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")

_NETWORK = """\
[Match]
Type=ether
Kind=veth

[Network]
DHCP=ipv4
LinkLocalAddressing=no
"""

# A hook lives and dies with the agent: when the controller goes away the agent ends, systemd ends what the hook
# left running, and the hook can be run again from its beginning.
_AGENT_UNIT = """\
[Unit]
Description=openinfra machine agent
Wants=network-online.target
After=network-online.target dbus.service
RequiresMountsFor=/var/lib/juju
StartLimitIntervalSec=0

[Service]
ExecStart=/usr/bin/python3 -IS /var/lib/juju/machine-agent
KillMode=control-group
TimeoutStopSec=5
Restart=always
RestartSec=200ms
OOMPolicy=continue
TasksMax=infinity

[Install]
WantedBy=multi-user.target
"""

_CUSTOMISE = (
    'chroot "$1" update-ca-certificates --fresh >/dev/null',
    'chroot "$1" useradd --create-home --shell /bin/bash --groups sudo ubuntu',
    'systemctl --quiet --root "$1" enable systemd-networkd systemd-resolved openinfra-machine',
    'ln -sf ../run/systemd/resolve/stub-resolv.conf "$1/etc/resolv.conf"',
    'ln -s /var/lib/juju/tools/hook-tool "$1/usr/bin/juju-exec"',
    'printf "127.0.0.1 localhost\\n::1 localhost ip6-localhost\\n" >"$1/etc/hosts"',
    ': >"$1/etc/machine-id"',
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All that decides what is in an image."""

    base: str
    release: str
    sources: tuple[str, ...]
    files: Mapping[str, str]

    @property
    def key(self) -> str:
        """The image's name: equal for equal content of the recipe."""
        content = json.dumps([self.base, self.release, self.sources, _PACKAGES, _CUSTOMISE, dict(self.files)])
        return f"openinfra-{self.release}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def recipe(base: str) -> Recipe:
    """Decide how the image of `base` is made on this host.

    Raises:
        HostError: there is no image of this base for the host's distribution.
    """
    distribution = host.distribution()
    release = RELEASES.get((distribution.id, base))
    if release is None:
        known = ", ".join(name for host_id, name in RELEASES if host_id == distribution.id)
        raise host.HostError(f"no image of base {base!r} on {distribution.id}; use one of: {known}")
    return Recipe(
        base=base, release=release, sources=_sources(distribution.codename, release), files=_files(os.environ)
    )


def ensure_image(lxd: Lxd, base: str, cache: Path) -> str:
    """Build the image of `base` unless it is cached, give it to LXD, and return its alias.

    Raises:
        HostError: the base is unknown here, or the build failed.
    """
    wanted = recipe(base)
    if lxd.exists(f"/1.0/images/aliases/{wanted.key}"):
        return wanted.key
    directory = cache / "images" / wanted.key
    if not directory.exists():
        _build(wanted, directory)
    _run(
        [
            "lxc",
            "image",
            "import",
            f"{directory}/lxd.tar",
            f"{directory}/rootfs.squashfs",
            "--alias",
            wanted.key,
        ],
        {**os.environ, "LXD_DIR": str(lxd.directory)},
    )
    return wanted.key


def _build(wanted: Recipe, directory: Path) -> None:
    """Make the image beside its final place, then rename: a half-made one is never used."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent) as scratch:
        files, result = Path(scratch, "files"), Path(scratch, "image")
        result.mkdir()
        for name, content in wanted.files.items():
            path = files / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        tarball = Path(scratch, "rootfs.tar")
        _run(
            [
                "mmdebstrap",
                "--quiet",
                "--variant=minbase",
                f"--include={','.join(_PACKAGES)}",
                f"--customize-hook=sync-in {files} /",
                *(f"--customize-hook={command}" for command in _CUSTOMISE),
                wanted.release,
                str(tarball),
                *wanted.sources,
            ],
            os.environ,
        )
        with tarball.open("rb") as stream:
            _run(
                [
                    "mksquashfs",
                    "-",
                    f"{result}/rootfs.squashfs",
                    "-tar",
                    "-quiet",
                    "-no-progress",
                    *_COMPRESSION,
                ],
                os.environ,
                stdin=stream.fileno(),
            )
        _write_metadata(wanted, result / "lxd.tar")
        result.rename(directory)


def _write_metadata(wanted: Recipe, path: Path) -> None:
    """Write the metadata half of a split image.

    The format: https://documentation.ubuntu.com/lxd/latest/reference/image_format/
    """
    metadata = {
        "architecture": os.uname().machine,
        "creation_date": int(time.time()),
        "properties": {
            "description": f"{wanted.base} ({wanted.release})",
            "os": "openinfra",
            "release": wanted.release,
        },
        "templates": {"/etc/hostname": {"when": ["create"], "template": "hostname.tpl"}},
    }
    with tarfile.open(path, "w") as archive:
        for name, text in (
            ("metadata.yaml", json.dumps(metadata)),  # JSON is YAML
            ("templates/hostname.tpl", "{{ container.name }}\n"),
        ):
            content = text.encode()
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, BytesIO(content))


def _sources(host_codename: str, release: str) -> tuple[str, ...]:
    """Translate the host's own archives to those of `release`, as sources.list lines."""
    listing = _run(
        [
            "apt-get",
            "indextargets",
            "--format",
            "$(ORIGIN)|$(REPO_URI)|$(CODENAME)|$(COMPONENT)",
            "Created-By: Packages",
        ],
        os.environ,
    )
    lines: list[str] = []
    for target in listing.splitlines():
        origin, uri, codename, component = target.split("|")
        if origin in {"Debian", "Ubuntu"} and codename.split("-")[0] == host_codename:
            lines.append(f"deb {uri} {codename.replace(host_codename, release, 1)} {component}")
    if not lines:
        raise host.HostError(
            "apt knows no package archive of this machine's distribution: run `apt-get update`"
        )
    return tuple(dict.fromkeys(lines))


def _files(environment: Mapping[str, str]) -> dict[str, str]:
    """Map the path of each file that an image has beyond its packages to the file's text."""
    files = {
        "etc/systemd/network/10-eth.network": _NETWORK,
        "etc/systemd/system/openinfra-machine.service": _AGENT_UNIT,
        "etc/sudoers.d/90-ubuntu": "ubuntu ALL=(ALL) NOPASSWD:ALL\n",
        "var/lib/juju/.keep": "",
    }
    authorities = sorted(Path("/usr/local/share/ca-certificates").rglob("*.crt"))
    for authority in authorities:
        files[f"usr/local/share/ca-certificates/{authority.name}"] = authority.read_text(encoding="ascii")
    variables = [name for name in _CA_VARIABLES if name in environment]
    files["etc/environment"] = "".join(f"{name}={_CA_BUNDLE}\n" for name in variables)
    return files


def _run(command: list[str], environment: Mapping[str, str], *, stdin: int = subprocess.DEVNULL) -> str:
    done = subprocess.run(command, env=environment, stdin=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise host.HostError(f"`{command[0]}` failed while making an image:\n{done.stderr.strip()}")
    return done.stdout
