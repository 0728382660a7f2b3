"""The cloud's APIs, as Nova's own user asks them: for the programs beside this one, with a release tree's Python."""

import configparser
import json

VERSIONS = {"compute": "compute 2.94", "placement": "placement 1.39"}
OPTIONS = ("auth_url", "username", "password", "user_domain_name", "project_name", "project_domain_name")
SECONDS = 20
NOT_FOUND, CONFLICT, UNAVAILABLE, FIRST_ERROR = 404, 409, 503, 400


class RefusedError(Exception):
    """A request was refused; `status` is that of the answer."""

    def __init__(self, status, words):
        super().__init__(words)
        self.status = status


class Cloud:
    """The APIs in the catalogue, at their places in the services' network."""

    def __init__(self, config_path):
        from keystoneauth1 import exceptions, session  # noqa: PLC0415  tests play it
        from keystoneauth1.identity import v3  # noqa: PLC0415

        config = configparser.RawConfigParser(strict=False)
        config.read(config_path)
        options = config["keystone_authtoken"]
        # oslo.config would read a single dollar as a reference.
        user = v3.Password(**{name: options[name].replace("$$", "$") for name in OPTIONS})
        self._session = session.Session(auth=user, verify=options["cafile"], timeout=SECONDS)
        self._errors = exceptions.ClientException
        self._region = options["region_name"]

    def ask(self, service, method, path, body=None, *, data=None, headers=None):
        """Return what an API answers, decoded; None where it says nothing.

        Raises:
            RefusedError: It is an error.
        """
        version = {"OpenStack-API-Version": VERSIONS[service]} if service in VERSIONS else {}
        sent = {"json": body} if body is not None else {"data": data} if data is not None else {}
        try:
            answer = self._request(service, method, path, {**version, **(headers or {})}, sent)
        except self._errors as error:
            raise RefusedError(UNAVAILABLE, f"{method} {path}: {service} is not reached: {error}") from error
        if answer.status_code >= FIRST_ERROR:
            raise RefusedError(
                answer.status_code, f"{method} {path}: {answer.status_code} {_words(answer.text)}"
            )
        return answer.json() if answer.content and "json" in answer.headers.get("Content-Type", "") else None

    def _request(self, service, method, path, headers, sent):
        return self._session.request(
            path, method, raise_exc=False, headers=headers,
            endpoint_filter={"service_type": service, "interface": "internal", "region_name": self._region}, **sent,
        )  # fmt: skip


def _words(text):
    """Return what an error says, as far as it is of a service's usual form."""
    try:
        (inside,) = json.loads(text).values()
        return inside.get("message") or inside
    except (ValueError, AttributeError):
        return " ".join(text.split())[:200]
