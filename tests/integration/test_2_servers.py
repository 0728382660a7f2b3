"""Servers as people use them: images, networks, floating IPs, volumes, load balancers, by openstacksdk and SSH from this host."""

from __future__ import annotations

import hashlib
import json
import socket
import time
import uuid

import pytest
import requests

from .servers import BUILD_SECONDS, UnreachableError, wait_for

METADATA = "http://169.254.169.254"
HEADERS = 28
"""Bytes of an IPv4 packet with a ping that are not its content."""
RULE_SECONDS = 30
BALANCER_SECONDS = 180
USER_DATA = "#!/bin/sh\necho made-by-user-data > /run/made\n"
CHUNK = 1 << 20


@pytest.fixture(scope="module")
def pair(people):
    """Two servers on two hosts, the first with user data."""
    one, other, *_ = people.hosts()
    first = people.create("first", host=one, user_data=USER_DATA)
    second = people.create("second", host=other)
    yield people.reach(first), people.reach(second)
    for server in (first, second):
        people.remove(server.id)


@pytest.fixture(scope="module")
def first(pair):
    return pair[0]


@pytest.fixture(scope="module")
def second(pair):
    return pair[1]


# Images


def chunks(mebibytes: int, digest):
    """Yield what nobody has had before, a piece at a time, so that it has no length when it is begun."""
    for _ in range(mebibytes):
        piece = hashlib.shake_256(uuid.uuid4().bytes).digest(CHUNK)
        digest.update(piece)
        yield piece


def test_an_image_without_a_length_passes_the_gateway_whole(administrator, clients):
    image = administrator.image.create_image(
        f"chunked-{uuid.uuid4().hex[:6]}", disk_format="raw", container_format="bare"
    )
    written, read = hashlib.sha256(), hashlib.sha256()
    url = f"{administrator.image.get_endpoint()}/v2/images/{image.id}/file"
    token = {"X-Auth-Token": administrator.authorize()}
    answer = requests.put(
        url,
        data=chunks(64, written),
        headers={**token, "Content-Type": "application/octet-stream"},
        verify=clients.ca,
        timeout=BUILD_SECONDS,
    )
    assert answer.status_code == requests.codes.no_content, answer.text
    assert administrator.image.get_image(image).size == 64 * CHUNK
    with requests.get(url, headers=token, verify=clients.ca, stream=True, timeout=BUILD_SECONDS) as answer:
        for piece in answer.iter_content(CHUNK):
            read.update(piece)
    assert read.hexdigest() == written.hexdigest()
    administrator.image.delete_image(image)


def test_what_is_no_image_is_refused_with_a_reason(administrator, clients):
    """A text as qcow2: a disk of it would be nobody's."""
    image = administrator.image.create_image(
        f"text-{uuid.uuid4().hex[:6]}", disk_format="qcow2", container_format="bare"
    )
    answer = requests.put(
        f"{administrator.image.get_endpoint()}/v2/images/{image.id}/file",
        data=b"This is a text.\n" * 4096,
        headers={"X-Auth-Token": administrator.authorize(), "Content-Type": "application/octet-stream"},
        verify=clients.ca,
        timeout=60,
    )
    assert answer.status_code in {requests.codes.bad_request, requests.codes.unsupported_media_type}, (
        answer.text
    )
    assert administrator.image.get_image(image).status != "active"
    administrator.image.delete_image(image)


# Networks


def test_a_server_is_reached_from_outside_with_its_key_and_has_done_its_user_data(people, first):
    wait_for("the user data have been done", lambda: first.run("cat /run/made", check=False), 60)
    assert first.run("cat /run/made") == "made-by-user-data\n"
    assert first.run("cat /run/initialised/from") == "metadata\n"
    assert people.get(first).addresses[people.network.name][0]["addr"] in first.run("ip address")


def test_a_server_is_told_who_it_is(people, first):
    told = json.loads(first.run(f"curl -s -f {METADATA}/openstack/latest/meta_data.json"))
    assert (told["uuid"], told["name"]) == (first.id, first.name)
    assert first.run(f"curl -s -f {METADATA}/latest/meta-data/public-keys/0/openssh-key").startswith("ecdsa")


def test_servers_on_two_hosts_reach_each_other_with_packets_of_full_size(people, first, second):
    assert people.host_of(first) != people.host_of(second)
    mtu = int(first.run("cat /sys/class/net/eth0/mtu"))
    assert mtu == people.connection.network.get_network(people.network.id).mtu
    fixed = people.port_of(second.id).fixed_ips[0]["ip_address"]
    told = first.run(f"ping -c 5 -s {mtu - HEADERS} {fixed}", check=False)
    assert " 0% packet loss" in told, f"packets of {mtu} bytes are lost between hosts:\n{told}"


def test_a_stream_between_two_hosts_arrives_whole(people, first, second):
    group = people.connection.network.create_security_group(name="stream")
    people.let_in(group.id, protocol="tcp", port=7000)
    port = people.port_of(second.id)
    people.connection.network.update_port(port, security_group_ids=[people.group, group.id])
    second.start("nc -l -p 7000 > /tmp/stream")
    first.run("dd if=/dev/urandom of=/tmp/stream bs=1M count=16 2>/dev/null")
    time.sleep(2)
    first.run(f"nc -w 10 {port.fixed_ips[0]['ip_address']} 7000 < /tmp/stream", seconds=120)
    sent = first.run("sha256sum < /tmp/stream")
    wait_for("the stream has arrived whole", lambda: second.run("sha256sum < /tmp/stream") == sent, 30)
    people.connection.network.update_port(port, security_group_ids=[people.group])
    people.connection.network.delete_security_group(group)


def test_a_server_reaches_what_is_outside(people, first):
    gateway = next(people.connection.network.subnets(network_id=people.provider.id)).gateway_ip
    assert " 0% packet loss" in first.run(f"ping -c 3 {gateway}", check=False)


def connects(address: str, port: int) -> bool:
    """Tell whether somebody answers; what is dropped is not refused but silent."""
    try:
        socket.create_connection((address, port), timeout=2).close()
    except OSError:
        return False
    return True


def test_a_security_group_lets_in_what_it_says_and_drops_the_rest(people, second):
    second.start("while :; do echo hello | nc -l -p 7001; done")
    assert not connects(second.address, 7001), "a port that no rule names is reached from outside"

    rule = people.let_in(people.group, protocol="tcp", port=7001)
    wait_for("the rule lets connections in", lambda: connects(second.address, 7001), RULE_SECONDS)

    people.connection.network.delete_security_group_rule(rule)
    wait_for("connections are dropped again", lambda: not connects(second.address, 7001), RULE_SECONDS)
    assert second.answers(), "what another rule lets in is dropped too"


def test_a_security_group_lets_out_what_it_says_and_drops_the_rest(people, second):
    network = people.connection.network
    gateway = next(network.subnets(network_id=people.provider.id)).gateway_ip
    group = network.create_security_group(name="inwards")
    for rule in network.security_group_rules(security_group_id=group.id, direction="egress"):
        network.delete_security_group_rule(rule)
    people.let_in(group.id, protocol="tcp", port=22)
    port = people.port_of(second.id)

    def gets_out() -> bool:
        return " 0% packet loss" in second.run(f"ping -c 2 -W 2 {gateway}", check=False)

    assert gets_out()
    network.update_port(port, security_group_ids=[group.id])
    wait_for("nothing gets out", lambda: not gets_out(), RULE_SECONDS)
    assert second.answers(), "answers to connections from outside are dropped"
    network.update_port(port, security_group_ids=[people.group])
    wait_for("all gets out again", gets_out, RULE_SECONDS)
    network.delete_security_group(group)


# Volumes


def test_a_volume_moves_from_server_to_server_with_its_bytes(people, first, second):
    with people.volume() as volume:
        written = first.write(people.attach(first, volume))
        people.detach(first, volume)
        device = people.attach(second, volume)
        assert second.digest(device) == written
        people.detach(second, volume)


def test_a_server_boots_from_a_volume_and_keeps_it(people):
    disk = {
        "uuid": people.image.id, "source_type": "image", "destination_type": "volume", "volume_size": 1, "boot_index": 0,
        "delete_on_termination": True,
    }  # fmt: skip
    with people.server("from-volume", image_id=None, block_device_mapping=[disk]) as guest:
        (attached,) = people.connection.compute.volume_attachments(guest.id)
        volume = people.connection.block_storage.get_volume(attached.volume_id)
        assert volume.is_bootable
        guest.run("echo kept > /disk/kept && sync")
        people.connection.compute.reboot_server(guest.id, "HARD")
        people.wait(guest.id, "ACTIVE", BUILD_SECONDS)
        people.wait_for_login(guest)
        assert guest.run("cat /disk/kept") == "kept\n"


def test_a_snapshot_has_what_was_written_and_its_server_stays_reachable(people, second):
    second.run("echo snapped > /disk/snapped && sync")
    image = people.connection.compute.create_server_image(
        second.id, f"snapshot-{uuid.uuid4().hex[:6]}", wait=True, timeout=BUILD_SECONDS
    )
    people.wait(second.id, "ACTIVE", BUILD_SECONDS)
    people.wait_for_login(second, 60)
    with people.server("of-snapshot", image_id=image.id) as guest:
        assert guest.run("cat /disk/snapped") == "snapped\n"
    people.connection.image.delete_image(image)


def test_a_backup_of_a_volume_with_holes_is_restored_whole(people, first):
    """Mostly zeros: what a backup leaves out must not shift what comes after it."""
    storage = people.connection.block_storage
    with people.volume() as volume:
        device = people.attach(first, volume)
        for place in (0, 300, 900):
            first.run(f"dd if=/dev/urandom of={device} bs=1M seek={place} count=2 conv=fsync 2>/dev/null")
        whole = "dd if={} bs=1M 2>/dev/null | sha256sum"
        written = first.run(whole.format(device), seconds=BUILD_SECONDS)
        people.detach(first, volume)
        backup = storage.create_backup(volume_id=volume.id, name="holes")
        storage.wait_for_status(backup, "available", failures=["error"], wait=BUILD_SECONDS)
        # Onto a volume with other content: zeros are restored too.
        with people.volume() as other:
            device = people.attach(first, other)
            first.run(f"dd if=/dev/urandom of={device} bs=1M seek=100 count=4 conv=fsync 2>/dev/null")
            people.detach(first, other)
            storage.restore_backup(backup, volume=other)
            people.wait_for_volume(other, "available")
            device = people.attach(first, other)
            assert first.run(whole.format(device), seconds=BUILD_SECONDS) == written
            people.detach(first, other)
        storage.delete_backup(backup)
        storage.wait_for_delete(backup, wait=BUILD_SECONDS)


# Sizes


def test_a_server_gets_another_size_and_keeps_its_disk(people):
    larger = people.provide_flavor(f"{people.flavor.name}-large", ram=256)
    with people.server("grows") as guest:
        guest.run("echo kept > /disk/kept && sync")
        before = memory_of(guest)
        people.connection.compute.resize_server(guest.id, larger)
        people.wait(guest.id, "VERIFY_RESIZE", BUILD_SECONDS)
        people.connection.compute.confirm_server_resize(guest.id)
        people.wait(guest.id, "ACTIVE", BUILD_SECONDS)
        people.wait_for_login(guest)
        assert memory_of(guest) > before
        assert guest.run("cat /disk/kept") == "kept\n"


def memory_of(guest) -> int:
    return int(guest.run("grep MemTotal /proc/meminfo").split()[1])


# Load balancers


@pytest.fixture
def balancer(people, first, second):
    """A load balancer at a floating IP, before a web server on each of the two."""
    load, network = people.connection.load_balancer, people.connection.network
    rule = people.let_in(people.group, protocol="tcp", port=8080)
    for guest in (first, second):
        guest.run(
            f"mkdir -p /tmp/web && echo {guest.name} > /tmp/web/index.html && httpd -p 8080 -h /tmp/web"
        )
    subnet = next(network.subnets(network_id=people.network.id))
    made = load.create_load_balancer(name="web", vip_subnet_id=subnet.id, provider="ovn")

    def settle() -> None:
        load.wait_for_load_balancer(made.id, wait=BALANCER_SECONDS)

    settle()
    listener = load.create_listener(name="web", protocol="TCP", protocol_port=80, load_balancer_id=made.id)
    settle()
    pool = load.create_pool(
        name="web", protocol="TCP", lb_algorithm="SOURCE_IP_PORT", listener_id=listener.id
    )
    settle()
    for guest in (first, second):
        fixed = people.port_of(guest.id).fixed_ips[0]["ip_address"]
        load.create_member(pool, address=fixed, protocol_port=8080, subnet_id=subnet.id)
        settle()
    address = network.create_ip(floating_network_id=people.provider.id, port_id=made.vip_port_id)
    yield f"http://{address.floating_ip_address}/"
    network.delete_ip(address)
    load.delete_load_balancer(made, cascade=True)
    load.wait_for_delete(load.get_load_balancer(made.id), wait=BALANCER_SECONDS)
    network.delete_security_group_rule(rule)


def ask(url: str) -> str:
    """Return who answers, over a connection of its own; nothing where nobody does."""
    try:
        return requests.get(url, headers={"Connection": "close"}, timeout=5).text.strip()
    except requests.RequestException:
        return ""


def test_a_load_balancer_shares_connections_between_servers(balancer, first, second):
    wait_for("somebody answers at the load balancer", lambda: ask(balancer), BALANCER_SECONDS)
    answered = [ask(balancer) for _ in range(40)]
    assert set(answered) - {""} == {first.name, second.name}
    assert answered.count("") <= 1, f"{answered.count('')} of {len(answered)} connections failed"


# Who is let in


def test_nobody_gets_in_with_another_key(people, first, tmp_path):
    with pytest.raises(UnreachableError, match="Permission denied"):
        first.with_key(people.make_key(tmp_path)).run("true")
