"""Ask an API as its own user: `python openinfra_ask.py /etc/notes/notes.conf /run/notes/api.sock /v1`, with a release tree's Python.

The user is that of the configuration's section `keystone_authtoken`. A service that says it is healthy may refuse every token:
only a request that has one shows that clients are served. The exit code is 1, with the reason as the last line, where the answer is not 200.
"""

import configparser
import http.client
import socket
import sys
import time

from keystoneauth1 import exceptions, session
from keystoneauth1.identity import v3

OK = 200
SECONDS = 3
"""How long each step may take."""
OPTIONS = ("auth_url", "username", "password", "user_domain_name", "project_name", "project_domain_name")


def token_of(options):
    """Return a new token of the user that these options name."""
    # oslo.config would read a single dollar as a reference.
    user = v3.Password(**{name: options[name].replace("$$", "$") for name in OPTIONS})
    keystone = session.Session(auth=user, verify=options["cafile"], timeout=SECONDS)
    try:
        return keystone.get_token()
    except exceptions.ConnectFailure:
        # Whoever balances the load may just have changed where requests go.
        time.sleep(1)
        return keystone.get_token()


def status_of(place, path, token):
    """Return the status with which the process that listens on a socket answers a request."""
    connection = http.client.HTTPConnection("localhost", timeout=SECONDS)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(SECONDS)
    connection.sock.connect(place)
    connection.request("GET", path, headers={"X-Auth-Token": token})
    return connection.getresponse().status


def why_not(config_path, place, path):
    """Return why a request with a token is not answered, empty if it is."""
    config = configparser.RawConfigParser(strict=False)
    config.read(config_path)
    try:
        token = token_of(config["keystone_authtoken"])
    except exceptions.ClientException as error:
        return f"Keystone gives its user no token: {error}"
    try:
        status = status_of(place, path, token)
    except (OSError, http.client.HTTPException) as error:
        return f"{path} is not answered: {error or type(error).__name__}"
    return "" if status == OK else f"{path} is answered {status} to a token of its own user"


if __name__ == "__main__":
    sys.exit(why_not(*sys.argv[1:]) or 0)
