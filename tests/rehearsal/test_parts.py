"""Parts of the cloud, each with what operators do to it, in any order of events and under faults."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from openinfra_model import bundle
from openinfra_model.devtools import pack
from openinfra_model.rehearsal.faults import FAULTS
from openinfra_model.rehearsal.play import Plot
from openinfra_model.rehearsal.stage import Stage
from tests.probes import lay_out

from .holds import assert_holds

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Some charms in a bundle, and what is done to them: each undertaking, by its name, in rehearsals of its own."""

    charms: tuple[str, ...]
    bundle: Path
    undertakings: dict[str, tuple[str, ...]]
    usual: bool = True
    """Whether operators have done what is usual before they undertake something."""
    schedules: int = 2
    faults: tuple[str, ...] = FAULTS
    most_faults: int = 3


PARTS = {
    "disks": Part(
        charms=("ceph", "host"),
        bundle=ROOT / "tests/rehearsal/bundles/disks.yaml",
        undertakings={
            "removed": (
                "run ceph/1 add-disk osd-devices=/dev/sdc", "run ceph/1 remove-disk osd-ids=osd.1 zap=true",
                "run ceph/1 add-disk osd-devices=/dev/sdb",
            ),
            "replaced": (
                "run ceph/1 replace-disk osd-id=1 device=/dev/sdc", "run ceph/1 replace-disk osd-id=1 device=/dev/sdd",
            ),
            # A major upgrade of Ceph: monitors before managers before OSDs, whatever comes between.
            "upgraded": ('config ceph "source=deb http://ceph.example.org/debian forky main"',),
        },
        schedules=8,
        # What stops a roll is for the operator: it is played where all goes well.
        faults=("kill", "power", "blackout", "disk"),
    ),
    "disks that die": Part(
        charms=("ceph",),
        bundle=ROOT / "tests/rehearsal/bundles/ceph.yaml",
        undertakings={"and are swapped": ("config ceph osd-memory-target=1G",)},
        faults=("swap", "kill", "power"),
        schedules=6,
    ),
    "disks, and all goes well": Part(
        charms=("ceph", "host"),
        bundle=ROOT / "tests/rehearsal/bundles/disks.yaml",
        undertakings={
            "removed after a start": (
                "run ceph/1 add-disk osd-devices=/dev/sdc",
                "run host/leader reboot all-units=true",  # which gives the disks other names
                "run ceph/1 remove-disk osd-ids=osd.1 zap=true",
            ),
            "replaced after a start": (
                "run host/leader reboot all-units=true",
                "run ceph/1 replace-disk osd-id=1 device=/dev/sdc",
                "run host/leader reboot all-units=true",
                "run ceph/1 list-disks",
            ),
        },
        schedules=1,
        faults=(),
    ),
    "certificates": Part(
        charms=("certificates",),
        bundle=ROOT / "tests/rehearsal/bundles/certificates.yaml",
        undertakings={
            "deployed": (),
            "a new CA": ("run certificates/leader renew-ca",),
            "reissued": ("run certificates/leader reissue", "config requirer name=other.example"),
            "another unit leads": ("remove-unit certificates/0", "add-unit requirer"),
            "the requirer goes": ("remove-application requirer",),
        },
        usual=False,
        schedules=4,
    ),
    "gateway": Part(
        charms=("certificates", "gateway"),
        bundle=ROOT / "tests/rehearsal/bundles/gateway.yaml",
        undertakings={
            "deployed": (),
            "drained": ("run gateway/leader drain-backend backend=web/0", "config gateway session-timeout=60"),
            "another virtual address": ("config gateway vip=", "config gateway vip=10.200.0.2"),
            "other routes": ("config web port=5001", "add-unit writer"),
            "a gateway is replaced": ("remove-unit gateway/0", "add-unit gateway"),
            "a machine that died is replaced": ("remove-machine 2 --force; add-unit gateway",),
            "an application goes": ("remove-application web",),
            "the certificates are withdrawn and given back": (
                "remove-relation gateway certificates", "integrate gateway:certificates certificates",
            ),
        },
        usual=False,
    ),
    "an API that is a specification": Part(
        charms=("certificates", "keystone", "memcached", "mysql"),
        bundle=ROOT / "tests/rehearsal/bundles/notes.yaml",
        undertakings={
            "deployed": (),
            "restarted": ("config notes longest=60",),
            "a machine that died is replaced": ("remove-machine 2 --force; add-unit notes",),
            "passwords are replaced": (
                "run mysql/leader rotate-password relation-id=relation:database",
                "run keystone/leader rotate-service-password relation-id=relation:identity-service",
            ),
            "its user is withdrawn and given back": (
                "remove-relation notes:identity-service keystone", "integrate notes:identity-service keystone",
            ),
            "it goes": ("remove-application notes",),
        },
    ),
    "block storage": Part(
        charms=("ceph", "ceph-rgw", "certificates", "cinder", "keystone", "mysql", "rabbitmq"),
        bundle=ROOT / "tests/rehearsal/bundles/cinder.yaml",
        undertakings={
            "deployed": (),
            "restarted": ("config cinder availability-zone=west",),
            "a machine that died is replaced": ("remove-machine 2 --force; add-unit cinder; add-unit ceph",),
            "the object store is related anew": (
                "remove-relation cinder:s3-parameters ceph-rgw:s3", "integrate cinder:s3-parameters ceph-rgw:s3",
            ),
            "it goes": ("remove-application cinder",),
        },
        schedules=1,
    ),
    "the portal": Part(
        charms=("certificates", "horizon", "keystone", "mysql"),
        bundle=ROOT / "tests/rehearsal/bundles/horizon.yaml",
        undertakings={
            "deployed": (),
            "restarted": ("config horizon session-lifetime=2h",),
            "a machine that died is replaced": ("remove-machine 2 --force; add-unit horizon",),
            "passwords are replaced": (
                "run mysql/leader rotate-password relation-id=relation:database",
                "run keystone/leader rotate-service-password relation-id=relation:identity-service",
            ),
            "it goes": ("remove-application horizon",),
        },
        schedules=8,
    ),
    "several APIs of one service": Part(
        charms=("certificates", "keystone", "mysql", "nova", "rabbitmq"),
        bundle=ROOT / "tests/rehearsal/bundles/nova.yaml",
        undertakings={
            "deployed": (),
            "restarted": ("config nova workers=3",),
            "a machine that died is replaced": ("remove-machine 1 --force; add-unit nova",),
            "passwords are replaced": (
                "run mysql/leader rotate-password relation-id=relation:database",
                "run rabbitmq/leader rotate-password relation-id=relation:amqp",
                "run keystone/leader rotate-service-password relation-id=relation:identity-service",
            ),
            "it goes": ("remove-application nova",),
        },
        schedules=1,
    ),
    "images in Ceph": Part(
        charms=("ceph", "certificates", "glance", "keystone", "mysql"),
        bundle=ROOT / "tests/rehearsal/bundles/glance.yaml",
        undertakings={
            "deployed": (),
            "restarted, on other disks": ("config glance project-quota=500G", "config glance pool-replicas=1"),
            "a machine that died is replaced": ("remove-machine 1 --force; add-unit glance",),
            "its key is replaced": ("run ceph/leader rotate-key entity=client.glance",),
            "storage is withdrawn and given back": (
                "remove-relation glance:ceph ceph:client", "integrate glance:ceph ceph:client",
            ),
            "it goes": ("remove-application glance",),
        },
    ),
    "keystone": Part(
        charms=("certificates", "keystone", "memcached", "mysql"),
        bundle=ROOT / "tests/rehearsal/bundles/keystone.yaml",
        undertakings={
            "deployed": (),
            "restarted, rotated": ("config keystone token-lifetime=2h", "run keystone/leader rotate-keys"),
            "a machine that died is replaced": ("remove-machine 1 --force; add-unit keystone",),
            "units go without a word": (
                "remove-unit keystone/0 --force; add-unit keystone --to 0",
                "remove-unit memcached/1 --force; add-unit memcached --to 1",
            ),
            "passwords are replaced, and once more": (
                "run mysql/leader rotate-password relation-id=relation:database",
                "run keystone/leader rotate-service-password relation-id=relation:identity-service",
                "run mysql/leader rotate-password relation-id=relation:database",
                "run keystone/leader rotate-service-password relation-id=relation:identity-service",
            ),
            "a service asks for what cannot be, and then for what can": (
                "config service url=nowhere", "config service url=https://service.example:9393",
            ),
            "the database is related anew": (
                "remove-relation keystone:database mysql:database", "integrate keystone:database mysql:database",
            ),
            "the database is taken back": ("run mysql/leader restore backup=newest confirm=mysql",),
        },
    ),
    "rabbitmq": Part(
        charms=("certificates", "rabbitmq"),
        bundle=ROOT / "tests/rehearsal/bundles/rabbitmq.yaml",
        undertakings={
            "deployed": (),
            "restarted unit by unit": ("config rabbitmq memory-limit=512M",),
            "a machine that died is replaced": ("remove-machine 1 --force; add-unit rabbitmq",),
            "to one and back": (
                "remove-unit rabbitmq/2", "remove-unit rabbitmq/1", "add-unit rabbitmq", "add-unit rabbitmq",
            ),
            "passwords are replaced, and once more": (
                "run rabbitmq/leader rotate-password relation-id=relation:amqp",
                "run rabbitmq/leader rotate-password relation-id=relation:amqp",
            ),
            "a unit is prepared and goes": ("run rabbitmq/2 prepare-removal", "remove-unit rabbitmq/2"),
            "a client goes, and comes back": (
                "remove-relation rabbitmq:amqp worker:amqp", "integrate rabbitmq:amqp worker:amqp",
            ),
            "a new CA": ("run certificates/leader renew-ca",),
        },
        schedules=4,
    ),
    "ceph, a new unit leads": Part(
        charms=("ceph",),
        bundle=ROOT / "tests/rehearsal/bundles/ceph.yaml",
        undertakings={"before it has met all": ("add-unit ceph",)},
        faults=("leader",),
        most_faults=12,
        schedules=12,
    ),
    "ceph, machines die while it is founded": Part(
        charms=("ceph",),
        bundle=ROOT / "tests/rehearsal/bundles/ceph.yaml",
        undertakings={"deployed": ()},
        faults=("lose", "kill"),
        most_faults=2,
        schedules=20,
    ),
    "ceph, a machine is away": Part(
        charms=("ceph",),
        bundle=ROOT / "tests/rehearsal/bundles/ceph.yaml",
        undertakings={
            "a unit goes": (
                "add-unit ceph", "run ceph/3 add-disk osd-devices=file:3G", "remove-unit ceph/2",
            ),
            "a unit is to go": ("run ceph/1 prepare-removal",),
            "a machine goes": (
                "remove-machine 1 --force", "add-unit ceph", "run ceph/3 add-disk osd-devices=file:3G",
            ),
        },
        faults=("away",),
        schedules=8,
    ),
    # Data that are not safe hold a unit that goes, as its monitor does: without them only the quorum can.
    "ceph without disks, a machine is away": Part(
        charms=("ceph",),
        bundle=ROOT / "tests/rehearsal/bundles/ceph.yaml",
        undertakings={"units go": ("remove-unit ceph/2", "add-unit ceph", "remove-unit ceph/1")},
        usual=False,
        faults=("away",),
        schedules=8,
    ),
    "ceph beside others, units are given up": Part(
        charms=("ceph", "memcached"),
        bundle=ROOT / "tests/rehearsal/bundles/shared.yaml",
        undertakings={
            "on machines that stay": ("remove-unit ceph/1 --force", "add-unit ceph", "remove-unit memcached/2 --force"),
            "on a machine that never comes back": (
                "lose-machine 1", "remove-unit ceph/1 --force", "remove-unit memcached/1 --force", "add-unit ceph",
            ),
        },
        faults=("kill", "power", "leader", "delay", "away", "give-up"),
        schedules=4,
    ),
    "ceph, the end of a job is not on record": Part(
        charms=("ceph",),
        bundle=ROOT / "tests/rehearsal/bundles/ceph.yaml",
        undertakings={
            "disks go": (
                "run ceph/1 add-disk osd-devices=file:3G", "run ceph/1 remove-disk osd-ids=osd.1",
                "run ceph/1 add-disk osd-devices=file:3G", "run ceph/1 replace-disk osd-id=3 device=/dev/sdc",
            ),
        },
        faults=("record", "kill"),
        schedules=6,
    ),
    "ceph, host names come back": Part(
        charms=("ceph",),
        bundle=ROOT / "tests/rehearsal/bundles/ceph.yaml",
        undertakings={
            "of a machine that died": (
                "remove-machine 1 --force; add-unit ceph", "run ceph/3 add-disk osd-devices=file:3G",
            ),
            "of a machine that dies twice": (
                "remove-machine 1 --force; add-unit ceph", "run ceph/3 add-disk osd-devices=file:3G",
                "remove-machine 3 --force; add-unit ceph", "run ceph/4 add-disk osd-devices=file:3G",
            ),
        },
        schedules=8,
    ),
    "ovn": Part(
        charms=("certificates", "ovn-central", "ovn-chassis"),
        bundle=ROOT / "tests/rehearsal/bundles/ovn.yaml",
        undertakings={
            "deployed": (),
            "options are changed": (
                "config ovn-central ovsdb-server-election-timer=16", "config ovn-central northd-inactivity-probe=10",
            ),
            "to one and back": (
                "remove-unit ovn-central/2", "remove-unit ovn-central/1", "add-unit ovn-central", "add-unit ovn-central",
            ),
            "a machine that died is replaced": ("remove-machine 1 --force; add-unit ovn-central",),
            "a member is kicked": ("run ovn-central/leader kick-member unit=ovn-central/1 dry-run=false",),
            "a unit is paused and goes": ("run ovn-central/1 pause", "remove-unit ovn-central/1", "add-unit ovn-central"),
            "a new CA": ("run certificates/leader renew-ca",),
            "a provider network comes and goes": (
                "config ovn-chassis bridge-interface-mappings=br-ex:eth1", "config ovn-chassis bridge-interface-mappings=br-ex:eth0",
                "config ovn-chassis bridge-interface-mappings=",
            ),
            "the chassis go": ("remove-application ovn-chassis",),
        },
        usual=False,
        schedules=4,
    ),
    "networks": Part(
        charms=("certificates", "keystone", "mysql", "neutron", "octavia", "ovn-central", "rabbitmq"),
        bundle=ROOT / "tests/rehearsal/bundles/networks.yaml",
        undertakings={
            "deployed": (),
            "options are changed": ("config neutron gateway-probes=10", "config octavia workers=3"),
            "a member of the databases goes": ("remove-unit ovn-central/2 --force", "add-unit ovn-central --to 2"),
            "what differs is repaired": (
                "run neutron/1 pause", "run neutron/0 repair-ovn dry-run=false", "run neutron/1 resume", "run octavia/0 sync-ovn",
            ),
            "they go": ("remove-application octavia", "remove-application neutron"),
        },
        usual=False,
    ),
    "objects and files": Part(
        charms=("ceph", "ceph-fs", "ceph-rgw", "certificates"),
        bundle=ROOT / "charms/ceph-rgw/tests/bundle.yaml",
        undertakings={
            "deployed": (),
            "restarted unit by unit": (
                "config ceph-rgw public-hostname=s3.example.org", "config ceph-fs mds-cache-memory-limit=1G",
            ),
            "a new CA": ("run certificates/leader renew-ca",),
            "objects go, files stay": ("remove-application ceph-rgw",),
            "files go, objects stay": ("remove-application ceph-fs",),
            "units are replaced on their machine": (
                "remove-unit ceph-rgw/0; add-unit ceph-rgw --to 0", "remove-unit ceph-fs/0; add-unit ceph-fs --to 0",
            ),
            "units go without a word": (
                "remove-unit ceph-rgw/0 --force; add-unit ceph-rgw --to 0",
                "remove-unit ceph-fs/0 --force; add-unit ceph-fs --to 0",
            ),
        },
    ),
}  # fmt: skip


@pytest.fixture(scope="session")
def stage(tmp_path_factory):
    """Return a function that makes a part's stage, once."""

    @cache
    def stage(name: str) -> Stage:
        part, folder = PARTS[name], tmp_path_factory.mktemp("part")
        site = lay_out(folder / "site", *part.charms)
        pack.pack(site)
        (site / "bundle.yaml").write_text(part.bundle.read_text().replace("../../../build", "./build"))
        return Stage(bundle.load(site / "bundle.yaml"), folder / "charms", site / "charms")

    return stage


@pytest.mark.parametrize(
    ("name", "operations"),
    [
        pytest.param(name, operations, id=f"{name}: {undertaking}")
        for name, part in PARTS.items()
        for undertaking, operations in part.undertakings.items()
    ],
)
def test_it_holds(stage, name, operations):
    part = PARTS[name]
    plot = Plot(
        operations=operations,
        usual=part.usual and bool(operations),
        faults=part.faults,
        most_faults=part.most_faults,
    )
    assert_holds(stage(name), plot, part.schedules)
