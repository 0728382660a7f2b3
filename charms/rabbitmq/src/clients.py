"""Virtual hosts and users of related applications.

The leader records to which application each virtual host was given first. Another one that asks for it is refused, unless an operator
has said that the two share it (option `shared-vhosts`). When a relation ends its users go; the virtual host stays, with its queues.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

from control import RefusedError
from openinfra_charm.interfaces import rabbitmq
from openinfra_charm.model import databag
from openinfra_charm.model.databag import RelationError
from openinfra_charm.model.granted import Grants, Records, RotationError, wants_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import ops

    from control import Control
    from openinfra_charm.interfaces.rabbitmq import Request
    from openinfra_charm.model.cluster import Cluster
    from state import Settings

NEW = "guest"
"""The user that a new broker makes by itself."""
GENERATION = "generation"
CLEARED = "cleared"
VHOSTS = "vhosts"
LONGEST = 128
SERVE_SECONDS = 30
"""How long a hook may make users; the next one makes those that are left."""


@dataclass(kw_only=True)
class Clients:
    """All related applications that have users here; what was made for them is recorded in `cluster`."""

    model: ops.Model
    cluster: Cluster
    control: Control
    now: Callable[[], float]

    @cached_property
    def _grants(self) -> Grants:
        records = Records(self.cluster, facts=("users", "retired", "answers", "refused"))
        return Grants(self.model, ("amqp",), records=records, label="amqp")

    def publish(self, relation: ops.Relation, hostname: str, ca: str) -> None:
        """As a unit, say where it serves and by which CA it is verified; an empty host name takes that back."""
        rabbitmq.publish_unit(relation, self.model.unit, hostname, ca)

    # As the leader

    def serve(self, settings: Settings, hostname: str, ca: str) -> None:
        """Make what related applications ask for, and take back what no relation asks for any more.

        Args:
            settings: The charm's options.
            hostname: Where this unit serves.
            ca: The CA that clients verify it by, PEM.

        Raises:
            UnreachableError: The broker does not answer.
            RefusedError: It refuses to drop a user.
        """
        generation = self.cluster.shared[GENERATION]
        if self.cluster.shared.get(CLEARED) != generation:
            self.control.drop_users([NEW])
            self.cluster.publish_shared(**{CLEARED: generation})
        limit = self.now() + SERVE_SECONDS
        for relation, request in self._read(settings)[0].items():
            if self.now() > limit:
                break
            digest = self._digest(request)
            if not self._grants.is_settled(relation.id, digest):
                self._make(relation, request, settings, digest)
            if not request.takes_secret and (held := rabbitmq.read_plain(relation, self.model.app)):
                rabbitmq.publish_place(relation, self.model.app, hostname, ca)
                if request.by_units:
                    rabbitmq.publish_password(relation, self.model.unit, held["password"])
        self._grants.drop_retired(lambda: _Users(self.control))
        for relation_id in self._grants.departed:
            # Its virtual host stays, and what is in it.
            self._grants.withdraw(relation_id, _Users(self.control))

    def rotate(self, relation_id: int) -> str:
        """Make a second user of a relation and publish it in the secret's next revision; return the words for the operator.

        Raises:
            RotationError: The relation has no user, it takes no secrets, or the user before the present one is still used.
            UnreachableError: The broker does not answer.
            RefusedError: It refuses.
        """
        relation = self._grants.find(relation_id)
        request = rabbitmq.read_request(relation)
        if request is None or not request.takes_secret:
            raise RotationError(
                f"{relation.app.name} reads its password from plain relation data and cannot say when it uses a new one: "
                "remove the relation and integrate the two again"
            )
        return self._grants.rotate(relation, _Users(self.control, request.vhost))

    def retire(self, label: str) -> None:
        """Note that nobody reads earlier revisions of a secret any more: users that were published in them go."""
        self._grants.retire(label)

    # What is known

    def users(self, relation_id: int) -> list[str]:
        """Return the users of a relation, the newest last: more than one while a password is being rotated."""
        return self._grants.users(relation_id)

    def problems(self, settings: Settings) -> Iterator[str]:
        """As the leader, yield what related applications ask for and do not get, and why."""
        served, problems = self._read(settings)
        yield from problems
        for relation, request in served.items():
            if refusal := self._grants.refusal(relation.id, partial(self._digest, request)):
                yield f"{request.application}, relation {relation.id}: RabbitMQ refuses what it asks for: {refusal}"

    def _read(self, settings: Settings) -> tuple[dict[ops.Relation, Request], list[str]]:
        """As the leader, return what relations ask for that can be served, and why others cannot.

        Of those that ask for the same at once, the first one has it.
        """
        owners, named = dict(self._owners), set[str]()

        def read(relation: ops.Relation) -> Request | None:
            if request := rabbitmq.read_request(relation):
                check(request, settings, owners, self._taken(relation.id) | named)
                if not _shares(request, settings):
                    owners.setdefault(request.vhost, request.application)
                named.update([] if request.takes_secret else [request.username])
            return request

        return databag.read_each(self._grants.relations.values(), read)

    @property
    def _owners(self) -> Mapping[str, str]:
        """To which application each virtual host was given first."""
        return self.cluster.shared.get(VHOSTS, {})

    def _taken(self, relation_id: int) -> frozenset[str]:
        """Return the users of all other relations."""
        others = (number for number in self._grants.records if number != relation_id)
        return frozenset(user for number in others for user in self._grants.users(number))

    def _digest(self, request: Request) -> str:
        """Return what stands for all that an answer is made of: the metadata that the user is in, too."""
        asked = (request.username, request.vhost, request.takes_secret, self.cluster.shared.get(GENERATION))
        return hashlib.sha256(repr(asked).encode()).hexdigest()[:16]

    # The answers

    def _make(self, relation: ops.Relation, request: Request, settings: Settings, digest: str) -> None:
        """Make a client's virtual host and users, and publish the newest.

        What RabbitMQ refuses is this relation's alone.
        """
        if not _shares(request, settings):
            self.cluster.publish_shared(**{VHOSTS: {**self._owners, request.vhost: request.application}})
        users, store = _Users(self.control, request.vhost), None
        if not request.takes_secret:
            store = _PlainData(relation, self.model.app)
        first = f"relation-{relation.id}-1" if request.takes_secret else request.username
        try:
            secret = self._grants.publish(relation.id, first, users, store)
        except RefusedError as error:
            self._grants.refuse(relation.id, digest, str(error))
            return
        if secret:
            rabbitmq.publish_secret(relation, self.model.app, secret)
        self._grants.answered(relation.id, digest)


class _Users:
    """Users of one client, with all rights in its virtual host. To drop one, no virtual host is needed."""

    def __init__(self, control: Control, vhost: str = "") -> None:
        self._control = control
        self._vhost = vhost

    def make(self, user: str, password: str) -> None:
        """Have a user with this password; one that is there gets it."""
        self._control.make_user(user, password, self._vhost)

    def drop(self, user: str) -> None:
        """Have no such user; its connections are closed."""
        self._control.drop_users([user])


class _PlainData:
    """Name and password in a relation's data, as requirers without secrets demand."""

    def __init__(self, relation: ops.Relation, application: ops.Application) -> None:
        self._relation = relation
        self._application = application

    def read(self) -> dict[str, str]:
        """Return what was published."""
        return rabbitmq.read_plain(self._relation, self._application)

    def put(self, content: Mapping[str, str]) -> str:
        """Publish them; there is no secret."""
        rabbitmq.publish_plain(self._relation, self._application, content)
        return ""


def check(request: Request, settings: Settings, owners: Mapping[str, str], taken: frozenset[str]) -> None:
    """See that a client can be served as it asks.

    Args:
        request: What it asks for.
        settings: The charm's options.
        owners: To which application each virtual host was given first.
        taken: The users of all other clients.

    Raises:
        RelationError: It cannot; the message says what can be done about it.
    """
    application, vhost = request.application, request.vhost
    if not request.takes_secret and not settings.allow_plain_credentials:
        raise RelationError(wants_plain(application, "password"))
    if len(vhost) > LONGEST or not vhost.isprintable():
        raise RelationError(
            f"{application} asks for the virtual host {vhost!r}: expected a name of at most {LONGEST} characters"
        )
    owner = owners.get(vhost, application)
    if owner != application and not _shares(request, settings):
        raise RelationError(
            f"{application} asks for the virtual host {vhost}, which is {owner}'s: if the two are to share it, add "
            f"{application}:{vhost} to the option shared-vhosts"
        )
    if not request.takes_secret and (request.username in taken or request.username.startswith("relation-")):
        raise RelationError(
            f"{application} asks for the user {request.username}, which is another client's: change its configuration"
        )


def _shares(request: Request, settings: Settings) -> bool:
    """Return whether an operator lets the application use a virtual host that may be another one's."""
    return request.vhost in settings.shared.get(request.application, frozenset())
