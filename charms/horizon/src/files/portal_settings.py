"""The settings of Django: Horizon's own, with what the configuration file says in the place of Horizon's `local_settings`.

The file's section `settings` has Horizon's options, each a literal of Python; `database` leads to the database of the sessions, in the
form of SQLAlchemy. Without a file, as when a release tree is made, there are only those that decide what static files look like.
"""

import ast
import configparser
import os
import sys
import types
import urllib.parse
from pathlib import Path

import octavia_dashboard
import openstack_dashboard.defaults
import openstack_dashboard.local.enabled
import pymysql
import requests.adapters

CONNECT_SECONDS = 3
"""How long a connection to a service may take. A page asks several of them, one after the other."""
READ_SECONDS = {"GET": 15, "HEAD": 15}
"""How long a service may be silent while it is asked for something."""
CHANGE_SECONDS = 60
"""How long while it is told to do something."""
KEPT_SECONDS = 300
"""How long a connection to the database is kept: less than the idle timeout of whatever is between."""

TREE = Path(os.environ.get("OPENINFRA_TREE") or sys.prefix).resolve()
"""The release tree that this is run from."""
NAME = os.environ.get("OPENINFRA_TREE_NAME") or TREE.name
_OWN_THEME = TREE / "made/theme"


def _file():
    """Return the configuration file as it is now, with the names of options as they are written."""
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str
    parser.read(os.environ.get("OPENINFRA_CONFIG", ""))
    return parser


def database(url, parameters):
    """Return Django's form of a database that SQLAlchemy's URL names."""
    parts = urllib.parse.urlsplit(url)
    query = dict(urllib.parse.parse_qsl(parts.query))
    waits = dict(urllib.parse.parse_qsl(parameters))
    options = {
        "charset": query["charset"],
        "connect_timeout": int(query["connect_timeout"]),
        **{key: int(value) for key, value in waits.items()},
    }
    if ca := query.get("ssl_ca"):
        options["ssl"] = {"ca": ca}
    return {
        "ENGINE": "django.db.backends.mysql",
        "HOST": parts.hostname,
        "PORT": parts.port,
        "NAME": parts.path.removeprefix("/"),
        "USER": urllib.parse.unquote(parts.username),
        "PASSWORD": urllib.parse.unquote(parts.password),
        "OPTIONS": options,
        "CONN_MAX_AGE": KEPT_SECONDS,
        # One that was cut off, as when the database's writer is another one now, is noticed before it is used.
        "CONN_HEALTH_CHECKS": True,
    }


def _settings(parser):
    """Return Horizon's settings as the file has them, over those that depend on the release tree alone."""
    themes = [*openstack_dashboard.defaults.AVAILABLE_THEMES]
    if _OWN_THEME.is_dir():
        themes.append(("site", "Site", str(_OWN_THEME)))
    found = {
        "SECRET_KEY": "of nobody: nothing is signed where there is no configuration",
        "STATIC_ROOT": str(TREE / "made/static"),
        # Files of one tree never change, and units of different trees serve each other's pages.
        "STATIC_URL": f"/static/{NAME}/",
        "COMPRESS_OFFLINE": True,
        # What is cached is pages' parts and is made of this tree. Whoever could write into a shared cache could have others run code.
        "CACHES": {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
        "ALLOWED_HOSTS": ["localhost"],
        "AVAILABLE_THEMES": themes,
        "RELEASE_TREES": str(TREE.parent),
        "CONSOLE_ORIGINS": [],
        # Who did what, but not with which words: these may be what nobody else should read.
        "OPERATION_LOG_ENABLED": True,
        "OPERATION_LOG_OPTIONS": {
            "ignore_urls": ["/js/", "/static/"],
            "format": "%(client_ip)s %(user_name)s of %(project_name)s, %(domain_name)s: %(method)s %(request_url)s "
            "%(http_status)s %(message)s",
        },
        "OPENSTACK_CINDER_FEATURES": {"enable_backup": True},
        # A disk of Ceph's is a clone of the image already.
        "LAUNCH_INSTANCE_DEFAULTS": {"create_volume": False},
    }
    if parser.has_section("keystone_authtoken"):
        identity = parser["keystone_authtoken"]
        found |= {
            "OPENSTACK_KEYSTONE_URL": identity["auth_url"].replace("$$", "$"),
            "OPENSTACK_SSL_CACERT": identity["cafile"].replace("$$", "$"),
        }
    if parser.has_section("database"):
        # oslo.config would read a single dollar as a reference.
        words = (
            parser["database"][key].replace("$$", "$") for key in ("connection", "connection_parameters")
        )
        found["DATABASES"] = {"default": database(*words)}
    if parser.has_section("settings"):
        found |= {key: ast.literal_eval(value) for key, value in parser["settings"].items()}
    level = found.pop("LOG_LEVEL", "INFO")
    found["LOGGING"] = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"plain": {"format": "%(levelname)s %(name)s %(message)s"}},
        "handlers": {"journal": {"class": "logging.StreamHandler", "formatter": "plain"}},
        "root": {"handlers": ["journal"], "level": "WARNING"},
        "loggers": {
            name: {"handlers": ["journal"], "level": level, "propagate": False}
            for name in (
                "horizon",
                "openstack_dashboard",
                "openstack_auth",
                "octavia_dashboard",
                "django.request",
            )
        },
    }
    return found


def _limited(send):
    """Return what sends a request with a limit to its waiting where its sender sets none, as OpenStack's clients do not."""

    def limited(adapter, request, **options):
        limits = (CONNECT_SECONDS, READ_SECONDS.get(request.method, CHANGE_SECONDS))
        options["timeout"] = options.get("timeout") or limits
        return send(adapter, request, **options)

    return limited


pymysql.install_as_MySQLdb()
requests.adapters.HTTPAdapter.send = _limited(requests.adapters.HTTPAdapter.send)
# Where panels that were installed beside Horizon say that they are there; a tree is never written to.
openstack_dashboard.local.enabled.__path__.append(str(Path(octavia_dashboard.__file__).parent / "enabled"))
_local = types.ModuleType("local.local_settings")
vars(_local).update(_settings(_file()))
sys.modules[_local.__name__] = _local

from openstack_dashboard.settings import *  # noqa: E402, F403  it reads what was put in place above
