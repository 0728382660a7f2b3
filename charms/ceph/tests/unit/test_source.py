"""Where packages come from: what operators write, and what apt is told."""

import pytest

from archive import PackagesError
from openinfra_charm.machine import use
from openinfra_charm.model.status import ConfigError
from packages import Packages
from releases import why_not
from source import Source

KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQINBF\n-----END PGP PUBLIC KEY BLOCK-----"
FORKY = "deb http://deb.example.org/debian forky main"


@pytest.mark.parametrize("source", ["", "distro", " "])
def test_nothing_is_the_distribution(source):
    assert Source.parse(source, "") == Source()


def test_a_pocket_of_the_cloud_archive():
    found = Source.parse("cloud:noble-flamingo", "")
    assert found.series == "noble"
    assert found.line == (
        "deb [signed-by=/usr/share/keyrings/ubuntu-cloud-keyring.gpg] "
        "http://ubuntu-cloud.archive.canonical.com/ubuntu noble-updates/flamingo main"
    )
    assert "noble-proposed/flamingo" in Source.parse("cloud:noble-flamingo/proposed", "").line


@pytest.mark.parametrize(
    ("line", "place"),
    [
        (FORKY, "http://deb.example.org/debian forky"),
        ("deb [trusted=yes arch=amd64] file:/srv/ceph ./", "file:/srv/ceph ./"),
        (
            "deb  [signed-by=/etc/apt/keyrings/ceph.asc]  https://a.example.org/x/ noble main extra",
            "https://a.example.org/x noble",
        ),
    ],
)
def test_a_line_of_sources_list(line, place):
    found = Source.parse(line, "")
    assert found.line == " ".join(line.split())
    assert found.place == place


@pytest.mark.parametrize(
    "source",
    [
        "cloud:noble", "ppa:ceph/ceph", "http://deb.example.org/debian forky main", "deb http://deb.example.org/debian forky",
        "deb-src http://deb.example.org/debian forky main", "deb [trusted] http://deb.example.org/debian forky main",
        "deb http://deb.example.org/debian forky main\ndeb http://b.example.org/debian forky main", "deb file:/srv ./ main",
    ],
)  # fmt: skip
def test_a_source_that_makes_no_sense_is_refused(source):
    with pytest.raises(ConfigError, match="expected nothing, distro, cloud:SERIES-NAME, or deb"):
        Source.parse(source, "")


@pytest.mark.parametrize(
    ("source", "key"),
    [
        (FORKY, "0x12345678"),
        (FORKY, KEY.replace("PUBLIC", "PRIVATE")),
        ("", KEY),
        ("cloud:noble-flamingo", KEY),
        ("deb [signed-by=/a.asc] http://deb.example.org/debian forky main", KEY),
    ],
)
def test_a_key_that_makes_no_sense_is_refused_and_not_told(source, key):
    with pytest.raises(ConfigError, match="config key=") as error:
        Source.parse(source, key)
    assert "mQINBF" not in str(error.value)


def test_a_key_is_named_in_the_line():
    signed = Source.parse(FORKY.replace("deb ", "deb [arch=amd64] "), KEY).signed_line("/k.asc")
    assert signed == "deb [arch=amd64 signed-by=/k.asc] http://deb.example.org/debian forky main"
    assert Source.parse(FORKY, KEY).signed_line("/k.asc").startswith("deb [signed-by=/k.asc] http")
    assert Source.parse(FORKY, "").signed_line("/k.asc") == FORKY


@pytest.mark.parametrize(
    ("installed", "candidate", "required", "words"),
    [
        ("18.2.7", "20.2.4", 18, None),
        ("18.2.7", "18.2.8", 18, None),
        ("20.2.4", "20.2.4", 20, None),
        ("20.2.4", "18.2.7", 20, "Ceph cannot go back"),
        ("20.2.4", "20.2.3", 20, "Ceph cannot go back"),
        ("18.2.7", "21.1.0", 18, "juju refresh"),
        (
            "18.2.7",
            "20.2.4",
            17,
            "Ceph 18.2.7 (the cluster requires 17) cannot be upgraded to 20.2.4 at once",
        ),
    ],
)
def test_ceph_goes_on_by_two_releases_and_never_back(installed, candidate, required, words):
    told = why_not(installed, candidate, required)
    assert (told is None) if words is None else (told and words in told)


@pytest.fixture
def machine(three):
    return three.machines[0]


def test_apt_takes_nothing_from_the_archive_by_itself(machine):
    machine.ceph.archives["http://deb.example.org/debian forky"] = "20.2.4+ds-2"
    with use(machine):
        assert Packages(machine, "ceph").upgrade(Source(line=FORKY), 18, lambda _: None) == "20.2.4"
    pin = machine.read("/etc/apt/preferences.d/openinfra-ceph")
    assert "Package: *\nPin: release o=Example,n=forky,l=Example\nPin-Priority: 100\n" in pin
    assert machine.read("/etc/apt/sources.list.d/openinfra-ceph.list").endswith(f"{FORKY}\n")
    assert machine.installing_from == "o=Example,n=forky,l=Example"
    pinned = next(n for n, line in enumerate(machine.log) if "preferences.d" in line)
    listed = next(n for n, line in enumerate(machine.log) if "sources.list.d" in line)
    assert pinned < listed


def test_what_others_need_of_ceph_goes_along(machine):
    machine.ceph.archives["http://deb.example.org/debian forky"] = "20.2.4+ds-2"
    machine.install_packages(["ceph-mds", "chrony"])
    machine.packages["ceph-base"] = "18.2.7+ds-1"
    Packages(machine, "ceph").upgrade(Source(line=FORKY), 18, lambda _: None)
    assert machine.packages["ceph-mds"] == "20.2.4+ds-2"
    # apt brings what these depend on, and shall not take it for asked for.
    assert "ceph-base" not in machine.kept


def test_what_is_refused_changes_nothing(machine):
    machine.ceph.archives["http://deb.example.org/debian forky"] = "16.2.15+ds-0"
    machine.log.clear()
    with pytest.raises(PackagesError, match=r"it has Ceph 16\.2\.15, and 18\.2\.7 is installed"):
        Packages(machine, "ceph").upgrade(Source(line=FORKY), 18, lambda _: None)
    assert not [line for line in machine.log if "/etc" in line or line.startswith("install")]


def test_an_archive_without_ceph_or_without_an_answer(machine):
    with pytest.raises(PackagesError, match="404  Not Found"):
        Packages(machine, "ceph").upgrade(Source(line=FORKY), 18, lambda _: None)
    machine.ceph.archives["http://deb.example.org/debian forky"] = ""
    with pytest.raises(PackagesError, match="it has no Ceph for this machine"):
        Packages(machine, "ceph").upgrade(Source(line=FORKY), 18, lambda _: None)


def test_the_cloud_archive_is_for_its_ubuntu_only(machine):
    machine.have("/etc/os-release", 'PRETTY_NAME="Debian 13"\nID=debian\nVERSION_CODENAME=trixie\n')
    with pytest.raises(PackagesError, match="for Ubuntu noble, and this machine runs Debian 13"):
        Packages(machine, "ceph").upgrade(Source.parse("cloud:noble-flamingo", ""), 18, lambda _: None)


def test_the_distribution_again(machine):
    machine.ceph.archives["http://deb.example.org/debian forky"] = "20.2.4+ds-2"
    packages = Packages(machine, "ceph")
    packages.upgrade(Source(line=FORKY), 18, lambda _: None)
    with pytest.raises(PackagesError, match="Ceph cannot go back"):
        packages.upgrade(Source(), 20, lambda _: None)
    machine.ceph.version = "20.2.5+ds-1"
    assert packages.upgrade(Source(), 20, lambda _: None) == "20.2.5"
    assert not [path for path in packages.paths if machine.exists(path)]


def test_a_unit_that_goes_takes_its_source_along(four):
    machine = four.machines[3]
    machine.have("/etc/needrestart/needrestart.conf", "")
    for each in four.machines.values():
        each.ceph.archives["http://deb.example.org/debian forky"] = "20.2.4+ds-2"
    four.configure(source=FORKY)
    four.settle(8)
    assert machine.exists("/etc/apt/sources.list.d/openinfra-ceph.list")
    assert machine.exists("/etc/needrestart/conf.d/90-openinfra-ceph.conf")
    four.action(3, "prepare-removal")
    four.settle(3)
    four.remove_unit(3)
    assert not [path for path in machine.nodes if path.startswith(("/etc/apt/", "/etc/needrestart/conf.d/9"))
                and machine.nodes[path].is_file]  # fmt: skip


def test_a_new_unit_installs_from_the_source_at_once(deploy):
    model = deploy(0)
    model.config["source"] = FORKY
    make = model.make_machine

    def make_machine(number):
        machine = make(number)
        machine.ceph.archives["http://deb.example.org/debian forky"] = "20.2.4+ds-2"
        return machine

    model.make_machine = make_machine
    model.add_unit()
    assert model.machines[0].packages["ceph-mon"] == "20.2.4+ds-2"
    assert model.ceph.required == "tentacle"
    model.update_status()
    assert model.statuses[0].name == "active"
