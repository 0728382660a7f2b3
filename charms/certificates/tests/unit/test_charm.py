"""The charm between Juju and the signer: who signs, what is handed out, how a CA is replaced, what the status says."""

import dataclasses
import json

import ops
import pytest
from ops import testing
from scenario import mocking
from sites import DAY, Site, intermediate, load, request

from openinfra_charm.daemon import tls
from openinfra_charm.interfaces.tls_certificates import fingerprint


def test_requests_are_answered(site):
    assert [one["certificate_signing_request"] for one in site.issued] == list(site.requests.values())
    (root,) = site.bundle
    for one in site.issued:
        assert one["chain"] == [one["certificate"], root]
        assert one["ca"] == root
        load(one["certificate"]).verify_directly_issued_by(load(root))
    assert site.state.unit_status == ops.ActiveStatus()


def test_the_bundle_is_handed_out(site):
    assert site.data(3) == {"certificates": json.dumps(site.bundle), "version": "1"}


def test_a_second_reconcile_changes_nothing_and_loads_nothing(site, monkeypatch):
    site.machine.log.clear()
    before = site.state
    site.machine.libraries.clear()
    site.run(site.on.config_changed())
    site.run()
    assert site.machine.log == []
    assert {one.id: one.local_app_data for one in site.state.relations} == {
        one.id: one.local_app_data for one in before.relations
    }
    assert site.state.secrets == before.secrets


@pytest.fixture
def read(site, monkeypatch):
    """Another requirer beside the first; and what hooks read of either from now on, as relation and member."""
    csr = json.dumps([{"certificate_signing_request": request("web.example"), "ca": False}])
    units = {0: {"certificate_signing_requests": csr}}
    other = testing.Relation("certificates", id=4, remote_app_name="web", remote_units_data=units)
    site.state = dataclasses.replace(site.state, relations=frozenset({*site.state.relations, other}))
    site.run()
    read = []
    get = mocking._MockModelBackend.relation_get

    def watched(backend, relation_id, member, is_app, **more):
        read.append((relation_id, member))
        return get(backend, relation_id, member, is_app, **more)

    monkeypatch.setattr(mocking._MockModelBackend, "relation_get", watched)
    return read


def test_a_hook_about_a_requirer_reads_nothing_of_others(site, read):
    site.requests["mysql/2"] = request("db2.example")
    site.run(lambda relation: site.on.relation_changed(relation, remote_unit=2))
    assert len(site.issued) == 3
    assert (2, "mysql/2") in read
    assert 4 not in {relation for relation, _ in read}


def test_the_first_of_many_hooks_answers_all_that_ask_and_the_others_find_it_done(site, read):
    for number in range(20):
        site.requests[f"mysql/{number}"] = request(f"db{number}.example")
    site.run()
    for number in range(20):
        site.requests[f"mysql/{number}"] = request(f"db{number}.example")
    site.run(lambda relation: site.on.relation_changed(relation, remote_unit=7))
    assert [one["certificate_signing_request"] for one in site.issued] == [
        site.requests[unit] for unit in sorted(site.requests)
    ]
    read.clear()
    before = site.state.unit_status
    site.run(lambda relation: site.on.relation_changed(relation, remote_unit=8))
    assert {member for relation, member in read if relation == 2} == {"certificates", "mysql/8"}
    assert site.state.unit_status == before


def test_many_requirers_are_told_that_they_are_many(site):
    assert "requirers" not in site.data()
    for number in range(20):
        site.requests[f"mysql/{number}"] = request(f"db{number}.example")
    site.run()
    assert site.data()["requirers"] == "32"


def test_the_key_is_in_a_secret_and_nowhere_else(site):
    (secret,) = site.state.secrets
    key = secret.tracked_content["private-key"]
    assert "PRIVATE KEY" in key
    assert secret.owner == "app"
    spoken = json.dumps([[one.local_app_data, one.local_unit_data] for one in site.state.relations])
    assert json.dumps(key)[1:-1] not in spoken
    assert not [path for path, node in site.machine.nodes.items() if "PRIVATE" in (node.content or "")]


def test_only_the_leader_signs(machine):
    site = Site(machine)
    site.requests = {"mysql/0": request("a")}
    status = site.run(site.on.install(), leader=False)
    assert status == ops.WaitingStatus("for the leader to make the CA")
    assert (site.data(), site.state.secrets) == ({}, frozenset())


def test_any_unit_that_leads_signs_with_the_same_ca(site):
    before = site.issued
    site.machine.boots += 1
    site.requests["mysql/2"] = request("db2.example")
    assert site.run(leader=False) == ops.ActiveStatus()
    assert site.issued == before
    site.run(site.on.leader_elected(), leader=True)
    assert site.issued[:2] == before
    load(site.issued[2]["certificate"]).verify_directly_issued_by(load(site.bundle[0]))
    assert len(site.state.secrets) == 1


def test_a_request_that_is_taken_back_has_no_certificate(site):
    kept = site.issued[1]
    del site.requests["mysql/0"]
    site.run()
    assert site.issued == [kept]


def test_a_new_request_gets_a_new_certificate(site):
    kept = site.issued[1]
    site.requests["mysql/0"] = request("db0.example")
    site.run()
    assert site.issued[1] == kept
    assert site.issued[0]["certificate_signing_request"] == site.requests["mysql/0"]


def test_a_refusal_is_told_to_both_sides(site):
    site.requests["mysql/0"] = "nonsense"
    reason = "it is no certificate signing request that can be read"
    assert site.run() == ops.ActiveStatus(f"not signed for mysql/0: {reason}")
    assert site.refused == [reason]
    assert len(site.issued) == 1
    site.requests["mysql/0"] = request("a")
    assert site.run() == ops.ActiveStatus()
    assert site.refused == []


def test_a_refusal_is_told_as_long_as_it_lasts_whichever_relation_a_hook_is_about(site, read):
    site.requests["mysql/0"] = "nonsense"
    site.run(lambda relation: site.on.relation_changed(relation, remote_unit=0))
    reason = "not signed for mysql/0: it is no certificate signing request that can be read"
    other = next(one for one in site.state.relations if one.id == 4)
    assert site.run(site.on.relation_changed(other, remote_unit=0)) == ops.ActiveStatus(reason)
    del site.requests["mysql/0"]
    site.run(lambda relation: site.on.relation_departed(relation, remote_unit=0))
    assert site.state.unit_status == ops.ActiveStatus()


def test_an_application_may_ask_for_all_its_units(site):
    wanted = json.dumps([{"certificate_signing_request": request("a"), "ca": False}])
    relation = dataclasses.replace(
        site.state.get_relation(2), remote_app_data={"certificate_signing_requests": wanted}
    )
    others = {one for one in site.state.relations if one.id != 2}
    site.state = dataclasses.replace(site.state, relations=frozenset({*others, relation}))
    site.run()
    assert len(site.issued) == 3


def test_a_wrong_option_blocks(site):
    assert site.configure(certificate_validity="soon").name == "blocked"
    assert site.configure(certificate_validity="1d") == ops.ActiveStatus()


def test_without_the_key_it_waits(site):
    (secret,) = site.state.secrets
    site.requests["mysql/0"] = request("new")
    status = site.run(secrets=frozenset())
    assert status == ops.WaitingStatus(f"for Juju to let this unit read the CA's key ({secret.id})")


def test_before_the_peer_relation_it_waits(machine):
    site = Site(machine)
    site.state = testing.State(leader=True, relations={site.mysql})
    assert site.run(site.on.install()) == ops.WaitingStatus("for the peer relation, which Juju makes")


# A new CA


def test_a_ca_is_replaced_as_all_acknowledge(site):
    (old,) = site.bundle
    first = site.issued
    site.acknowledge("mysql/0", "mysql/1")
    site.action("renew-ca")
    assert (len(site.bundle), site.bundle[0], site.issued) == (2, old, first)
    assert json.loads(site.data(3)["certificates"]) == sorted(site.bundle)
    new = site.bundle[1]
    site.acknowledge("mysql/0")
    status = site.run()
    assert status.message.startswith(
        "waiting until mysql/1 acknowledge to trust the new CA, or until 1970-01-19 13:46Z"
    )
    assert site.issued == first
    site.acknowledge("mysql/1")
    status = site.run()
    assert "mysql/0, mysql/1 acknowledge to serve certificates of the new CA" in status.message
    assert [one["ca"] for one in site.issued] == [new, new]
    assert site.bundle == [old, new]
    site.acknowledge("mysql/0", "mysql/1")
    assert site.run() == ops.ActiveStatus()
    assert site.bundle == [new]
    assert json.loads(site.data(3)["certificates"]) == [new]
    assert len(site.state.secrets) == 1


def test_who_never_acknowledges_gets_the_grace(site):
    site.configure(acknowledgement_grace="1d")
    (old,) = site.bundle
    site.action("renew-ca")
    new = site.bundle[1]
    site.machine.clock += DAY - 1
    site.run()
    assert site.issued[0]["ca"] == old
    site.machine.clock += 1
    site.run()
    assert (site.issued[0]["ca"], site.bundle) == (new, [old, new])
    site.machine.clock += DAY
    site.run()
    assert site.bundle == [new]


def test_who_has_the_bundle_only_is_waited_for_too(site):
    receiver = dataclasses.replace(site.state.get_relation(3), remote_units_data={0: {}})
    others = {one for one in site.state.relations if one.id != 3}
    site.state = dataclasses.replace(site.state, relations=frozenset({*others, receiver}))
    site.acknowledge("mysql/0", "mysql/1")
    site.action("renew-ca")
    site.acknowledge("mysql/0", "mysql/1")
    assert "until horizon/0 acknowledge to trust the new CA" in site.run().message
    said = json.dumps({"trusts": [fingerprint(ca) for ca in site.bundle], "serves": ""})
    receiver = dataclasses.replace(site.state.get_relation(3), remote_units_data={0: {"acknowledged": said}})
    others = {one for one in site.state.relations if one.id != 3}
    site.state = dataclasses.replace(site.state, relations=frozenset({*others, receiver}))
    assert "until mysql/0, mysql/1 acknowledge to serve" in site.run().message


def test_without_requirers_a_ca_is_replaced_at_once(site):
    (old,) = site.bundle
    site.requests = {}
    site.run()
    site.action("renew-ca")
    assert len(site.bundle) == 1
    assert site.bundle != [old]
    assert len(site.state.secrets) == 1


def test_a_ca_is_replaced_at_two_thirds_of_its_life(site):
    site.machine.clock += 3650 * DAY * 2 // 3 - 2 * DAY
    site.run()
    assert len(site.bundle) == 1
    site.machine.clock += 3 * DAY
    site.run()
    assert len(site.bundle) == 2


def test_a_ca_that_was_made_while_the_clock_was_ahead_is_replaced(site):
    site.machine.clock -= 3600
    site.run()
    assert len(site.bundle) == 1
    site.machine.clock -= 400 * DAY
    site.run()
    assert len(site.bundle) == 2


@pytest.mark.parametrize("days", [-400, 4000], ids=["before the CA begins", "after it has ended"])
def test_a_clock_that_is_wrong_fails_no_hook(site, days):
    site.machine.clock += days * DAY
    site.requests = {"mysql/0": request("another")}
    site.run()
    begins, ends = tls.validity(load(site.issued[0]["certificate"]))
    authority = tls.validity(load(site.issued[0]["ca"]))
    assert authority[0] <= begins < ends <= authority[1]


# An operator's CA


def supply(site, content=None):
    secret = testing.Secret(content or intermediate(site.machine.now()))
    site.state = dataclasses.replace(site.state, secrets={*site.state.secrets, secret})
    return secret


def test_an_operators_ca_signs_from_the_start(machine):
    site = Site(machine)
    site.requests = {"mysql/0": request("a")}
    secret = supply(site)
    assert site.configure(ca_secret=secret.id) == ops.ActiveStatus()
    content = secret.tracked_content
    (issued,) = site.issued
    assert issued["chain"] == [issued["certificate"], content["certificate"], content["ca-chain"]]
    assert issued["ca"] == content["ca-chain"]
    assert site.bundle == [content["ca-chain"]]
    before = site.state
    site.machine.libraries.clear()
    site.run()
    assert site.data() == before.get_relation(2).local_app_data


def test_an_operators_ca_replaces_ours_in_phases_and_ours_it(site):
    own = site.bundle[0]
    secret = supply(site)
    site.configure(ca_secret=secret.id)
    assert site.bundle == [own, secret.tracked_content["ca-chain"]]
    for _ in range(2):
        site.acknowledge("mysql/0", "mysql/1")
        site.run()
    assert site.bundle == [secret.tracked_content["ca-chain"]]
    site.state = dataclasses.replace(site.state, config={})
    site.run(site.on.config_changed())
    assert len(site.bundle) == 2
    assert site.bundle[1] != own


def test_a_new_revision_of_the_operators_secret_is_another_ca(site):
    secret = supply(site)
    site.configure(ca_secret=secret.id, acknowledgement_grace="0m")
    assert site.bundle == [secret.tracked_content["ca-chain"]]
    content = intermediate(site.machine.now())
    others = {one for one in site.state.secrets if one.id != secret.id}
    newer = dataclasses.replace(secret, latest_content=content)
    site.state = dataclasses.replace(site.state, secrets={*others, newer})
    site.run(site.on.secret_changed(newer))
    assert site.bundle == [content["ca-chain"]]
    assert site.issued[0]["chain"][1] == content["certificate"]


def test_an_operators_secret_that_cannot_be_read_or_used_says_so(site):
    status = site.configure(ca_secret="secret:d6j1p1l1g3c8s0m5t2k0")
    assert status == ops.BlockedStatus(
        "config ca-secret=secret:d6j1p1l1g3c8s0m5t2k0: cannot be read; "
        "juju grant-secret secret:d6j1p1l1g3c8s0m5t2k0 certificates"
    )
    secret = supply(site, {"certificate": "x"})
    assert site.configure(ca_secret=secret.id) == ops.BlockedStatus(
        f"config ca-secret={secret.id}: it lacks private-key, ca-chain"
    )
    assert len(site.bundle) == 1
    site.requests["mysql/2"] = request("a")
    site.run()
    assert [one["ca"] for one in site.issued] == site.bundle * 3


def test_an_operators_ca_that_ends_is_told(site):
    site.requests = {}
    secret = supply(site)
    site.configure(ca_secret=secret.id)
    site.machine.clock += 700 * DAY
    assert "update the secret with the next one" in site.run().message


# Actions


def test_get_ca_on_any_unit(site):
    (root,) = site.bundle
    site.state = dataclasses.replace(site.state, leader=False)
    site.run(site.on.action("get-ca"))
    assert site.context.action_results == {"summary": "one CA certificate to trust", "ca": f"{root}\n"}


def test_list_certificates(site):
    site.requests["mysql/1"] = "nonsense"
    site.run()
    summary, result = site.action("list-certificates")
    assert summary == "1 certificates; 1 requests are refused"
    (one,) = result["certificates"]
    assert (one["requirer"], one["sans"]) == ("mysql/0", ["db.example", "db0.example"])
    assert int(one["serial"], 16) == load(site.issued[0]["certificate"]).serial_number
    assert result["refused"][0]["requirer"] == "mysql/1"


@pytest.mark.parametrize(("requirer", "changed"), [("", [0, 1]), ("mysql", [0, 1]), ("mysql/1", [1])])
def test_reissue(site, requirer, changed):
    before = site.issued
    summary, names = site.action("reissue", requirer=requirer, dry_run=True)
    assert summary.startswith("would sign anew for ")
    assert site.issued == before
    assert names == [f"mysql/{number}" for number in changed]
    site.machine.clock += DAY
    site.action("reissue", requirer=requirer)
    assert [index for index in (0, 1) if site.issued[index] != before[index]] == changed
    assert [one["certificate_signing_request"] for one in site.issued] == list(site.requests.values())
    after = site.issued
    site.run()
    assert site.issued == after


def test_renew_ca_can_be_tried(site):
    site.acknowledge("mysql/0")
    site.run()
    before = site.state
    summary, result = site.action("renew-ca", dry_run=True)
    assert summary.startswith("would give new certificates to 2 requirers; 1 have never")
    assert result == {"requirers": ["mysql/0", "mysql/1"], "never-acknowledged": ["mysql/1"]}
    assert (site.data(), site.state.secrets) == (before.get_relation(2).local_app_data, before.secrets)


@pytest.mark.parametrize(
    ("action", "params", "prepare", "why"),
    [
        ("list-certificates", {}, "follow", "juju run certificates/leader list-certificates"),
        ("reissue", {}, "follow", "juju run certificates/leader reissue"),
        ("renew-ca", {}, "follow", "juju run certificates/leader renew-ca"),
        ("reissue", {"requirer": "nova"}, "", "those that have are mysql/0, mysql/1"),
        ("reissue", {}, "lose key", "for Juju to let this unit read"),
        ("renew-ca", {}, "lose key", "for Juju to let this unit read"),
        ("renew-ca", {}, "wrong option", "certificate-validity='soon'"),
        ("reissue", {}, "wrong option", "certificate-validity='soon'"),
        ("renew-ca", {}, "renew", "is being introduced already"),
        ("renew-ca", {}, "supply", "update the secret that ca-secret names"),
    ],
)
def test_a_refused_action_says_why_and_changes_nothing(site, action, params, prepare, why):
    if prepare == "renew":
        site.action("renew-ca")
    elif prepare == "supply":
        site.configure(ca_secret=supply(site).id, acknowledgement_grace="0m")
    elif prepare == "wrong option":
        site.configure(certificate_validity="soon")
    elif prepare == "lose key":
        site.state = dataclasses.replace(site.state, secrets=frozenset())
    elif prepare == "follow":
        site.state = dataclasses.replace(site.state, leader=False)
    before = site.state
    with pytest.raises(testing.ActionFailed, match=why):
        site.action(action, **params)
    assert site.state == before


@pytest.mark.parametrize("action", ["get-ca", "reissue", "renew-ca", "list-certificates"])
def test_without_a_ca_actions_say_so(machine, action):
    with pytest.raises(testing.ActionFailed, match="has not made a CA yet"):
        Site(machine).action(action)


def test_removal_leaves_nothing(site):
    site.run(site.on.remove())
    assert site.machine.packages == {}
    assert not [path for path, node in site.machine.nodes.items() if node.is_file]


def test_the_version_is_the_librarys(site):
    site.run(site.on.start())
    assert site.state.workload_version == "1.0"


def test_fingerprints_are_those_of_openssl(site):
    from cryptography.hazmat.primitives import hashes

    (root,) = site.bundle
    assert fingerprint(root) == load(root).fingerprint(hashes.SHA256()).hex()
