"""Verbs on applications, their units and relations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from openinfra_model.cli.client import CliError
from openinfra_model.cli.output import show, tell
from openinfra_model.cli.verb import absolute, argument, listed, output_format, pairs, read_mapping, verb

if TYPE_CHECKING:
    import argparse

    from openinfra_model.cli.client import Client

_RESOURCES = argument("--resource", action="append", default=[], metavar="NAME=PATH")
_FORCE = argument("--force", action="store_true", help="without waiting for hooks")
_NO_PROMPT = argument("--no-prompt", action="store_true", help="accepted; nothing is asked")
_TO = argument("--to", action="append", default=[], metavar="MACHINE[,MACHINE]", help="where the units go")


@verb(
    argument("charm", help="a charm's archive or a bundle"),
    argument("application", nargs="?", default=""),
    argument("-n", "--num-units", type=int),
    argument("--base", default=""),
    argument("--bind", default="", metavar="[SPACE] [ENDPOINT=SPACE]..."),
    argument("--config", action="append", default=[], metavar="KEY=VALUE|FILE"),
    argument("--constraints", action="append", default=[], metavar="KEY=VALUE"),
    argument("--overlay", action="append", default=[], metavar="FILE", help="bundles only"),
    _RESOURCES,
    argument("--storage", action="append", default=[], metavar="NAME=DIRECTIVE"),
    _TO,
    argument("--trust", action="store_true"),
    argument("--dry-run", action="store_true", help="only show what would be done"),
    argument("--map-machines", default="", metavar="existing,BUNDLE=MACHINE", help="bundles only"),
    argument("--channel", default="", help="ignored: Charmhub only"),
    argument("--revision", default="", help="ignored: Charmhub only"),
    argument("--force", action="store_true", help="accepted; nothing is skipped"),
)
def deploy(client: Client, arguments: argparse.Namespace) -> None:
    """Deploy a charm's archive or a bundle."""
    path = Path(arguments.charm)
    for option in ("channel", "revision"):
        if getattr(arguments, option):
            tell(f"WARNING --{option} is for charms from Charmhub: ignored")
    if path.suffix in {".yaml", ".yml"} or (path / "bundle.yaml").exists():
        file = path if path.is_file() else path / "bundle.yaml"
        deploy_bundle(
            client, file, arguments.overlay, map_machines=arguments.map_machines, dry_run=arguments.dry_run
        )
        return
    if path.is_dir():
        raise CliError(
            f"cannot deploy directory {arguments.charm!r}: pack the charm, then deploy the archive"
        )
    if not path.exists():
        raise CliError(
            f'no charm was found at "{arguments.charm}": name an archive as ./NAME.charm, or a bundle'
        )
    name = client.call(
        "deploy",
        charm=absolute(arguments.charm),
        application=arguments.application,
        base=arguments.base,
        units=arguments.num_units,
        to=listed(arguments.to),
        config=_config(arguments.config, arguments.application),
        storage=pairs(arguments.storage),
        resources=_paths(arguments.resource),
        trust=arguments.trust,
        constraints=" ".join(arguments.constraints),
        bindings=_bindings(arguments.bind.split()),
        dry_run=arguments.dry_run,
    )
    tell(f'{"Would deploy" if arguments.dry_run else "Deployed"} "{name}" from {arguments.charm}')


def deploy_bundle(
    client: Client, path: Path, overlays: list[str], *, map_machines: str = "", dry_run: bool = False
) -> None:
    """Deploy a bundle with overlays, and tell the changes; or only tell them."""
    told = client.call(
        "deploy_bundle",
        path=absolute(str(path)),
        overlays=[absolute(overlay) for overlay in overlays],
        map_machines=map_machines,
        dry_run=dry_run,
    )
    for warning in told["warnings"]:
        tell(f"WARNING {warning}")
    if dry_run and told["changes"]:
        tell("Changes to deploy bundle:")
    for change in told["changes"]:
        tell(f"- {change}")
    if not dry_run or not told["changes"]:
        tell("Deploy of bundle completed." if told["changes"] else "No changes to apply.")


@verb(
    argument("application"),
    argument("--path", required=True, help="the new archive"),
    _RESOURCES,
    argument("--config", action="append", default=[], metavar="KEY=VALUE|FILE"),
    argument("--trust", action="store_true"),
    argument("--base", help="accepted; the application keeps its base"),
    argument("--force", action="store_true", help="accepted"),
    argument("--force-base", action="store_true", help="accepted"),
    argument("--force-units", action="store_true", help="accepted"),
)
def refresh(client: Client, arguments: argparse.Namespace) -> None:
    """Give an application a new revision of its charm."""
    url = client.call(
        "refresh",
        application=arguments.application,
        path=absolute(arguments.path),
        resources=_paths(arguments.resource),
    )
    if arguments.config:
        client.call(
            "set_config",
            application=arguments.application,
            values=_config(arguments.config, arguments.application),
        )
    if arguments.trust:
        client.call("trust", application=arguments.application, trusted=True)
    tell(f'Added local charm "{url}" to the model')


@verb(argument("application"), argument("-n", "--num-units", type=int, default=1), _TO)
def add_unit(client: Client, arguments: argparse.Namespace) -> None:
    """Add units to an application."""
    client.call(
        "add_unit", application=arguments.application, count=arguments.num_units, to=listed(arguments.to)
    )


@verb(
    argument("units", nargs="+", metavar="unit"),
    argument("--destroy-storage", action="store_true"),
    argument("--num-units", type=int, help="Kubernetes only"),
    _FORCE,
    _NO_PROMPT,
)
def remove_unit(client: Client, arguments: argparse.Namespace) -> None:
    """Remove units."""
    if arguments.num_units is not None:
        raise CliError("--num-units is for Kubernetes only: name the units to remove")
    client.call(
        "remove_unit", names=arguments.units, destroy_storage=arguments.destroy_storage, force=arguments.force
    )
    for unit in arguments.units:
        tell(f"will remove unit {unit}")


@verb(
    argument("applications", nargs="+", metavar="application"),
    argument("--destroy-storage", action="store_true"),
    _FORCE,
    _NO_PROMPT,
)
def remove_application(client: Client, arguments: argparse.Namespace) -> None:
    """Remove applications with their units and relations."""
    for name in arguments.applications:
        client.call(
            "remove_application", name=name, destroy_storage=arguments.destroy_storage, force=arguments.force
        )
        tell(f"will remove application {name}")


@verb(argument("first"), argument("second"), argument("--via", help="relations between models only"))
def integrate(client: Client, arguments: argparse.Namespace) -> None:
    """Relate two applications (APPLICATION[:ENDPOINT])."""
    client.call("integrate", first=arguments.first, second=arguments.second)


@verb(argument("first"), argument("second"))
def relate(client: Client, arguments: argparse.Namespace) -> None:
    """Relate two applications; another name of `integrate`."""
    client.call("integrate", first=arguments.first, second=arguments.second)


@verb(argument("first"), argument("second"), _FORCE)
def remove_relation(client: Client, arguments: argparse.Namespace) -> None:
    """Remove a relation."""
    client.call("remove_relation", first=arguments.first, second=arguments.second, force=arguments.force)


@verb(
    argument("application"),
    argument("settings", nargs="*", metavar="KEY[=VALUE]"),
    argument("--file", help="YAML with the options"),
    argument("--reset", action="append", default=[], metavar="KEY[,KEY]"),
    output_format("yaml"),
)
def config(client: Client, arguments: argparse.Namespace) -> None:
    """Show or set an application's options."""
    name = arguments.application
    values = _config([arguments.file], name) if arguments.file else {}
    if any("=" in word for word in arguments.settings):
        values |= pairs(arguments.settings)
    if arguments.reset:
        client.call("reset_config", application=name, names=listed(arguments.reset))
    if values:
        client.call("set_config", application=name, values=values)
    elif not arguments.reset:
        _show_config(client.call("show_config", application=name), arguments)


@verb(
    argument("application"),
    argument("--remove", action="store_true"),
    argument("--scope", help="Kubernetes only"),
)
def trust(client: Client, arguments: argparse.Namespace) -> None:
    """Let a charm use the cloud's credentials."""
    client.call("trust", application=arguments.application, trusted=not arguments.remove)


@verb(argument("application"))
def expose(client: Client, arguments: argparse.Namespace) -> None:
    """Mark an application as reachable from outside."""
    client.call("expose", application=arguments.application, exposed=True)


@verb(argument("application"))
def unexpose(client: Client, arguments: argparse.Namespace) -> None:
    """Mark an application as not reachable from outside."""
    client.call("expose", application=arguments.application, exposed=False)


@verb(argument("application"), argument("bindings", nargs="+", metavar="[SPACE] [ENDPOINT=SPACE]"))
def bind(client: Client, arguments: argparse.Namespace) -> None:
    """Bind endpoints to spaces."""
    client.call("bind", application=arguments.application, bindings=_bindings(arguments.bindings))


@verb(argument("application"))
def constraints(client: Client, arguments: argparse.Namespace) -> None:
    """Show what an application's new machines must have."""
    print(client.call("constraints", application=arguments.application))


@verb(argument("application"), argument("constraints", nargs="*", metavar="KEY=VALUE"))
def set_constraints(client: Client, arguments: argparse.Namespace) -> None:
    """Set what an application's new machines must have."""
    client.call(
        "set_constraints", application=arguments.application, constraints=" ".join(arguments.constraints)
    )


@verb(
    argument("units", nargs="*", metavar="unit"),
    argument("--no-retry", action="store_true", help="go on as if the hook had succeeded"),
    argument("--all", action="store_true", help="every unit in error"),
)
def resolved(client: Client, arguments: argparse.Namespace) -> None:
    """Retry failed hooks now."""
    units = _units_in_error(client) if arguments.all else arguments.units
    for unit in units:
        client.call("resolved", unit=unit, retry=not arguments.no_retry)


@verb(argument("application"), output_format())
def resources(client: Client, arguments: argparse.Namespace) -> None:
    """Show an application's resources."""
    show(client.call("show_resources", application=arguments.application), arguments.format)


@verb(argument("application"), argument("resource", metavar="NAME=PATH"))
def attach_resource(client: Client, arguments: argparse.Namespace) -> None:
    """Give an application a file for a resource."""
    for name, path in _paths([arguments.resource]).items():
        client.call("attach_resource", application=arguments.application, name=name, path=path)


@verb(argument("applications", nargs="+", metavar="application"), output_format("yaml"))
def show_application(client: Client, arguments: argparse.Namespace) -> None:
    """Show applications."""
    data: dict[str, Any] = {}
    for name in arguments.applications:
        data |= client.call("show_application", application=name)
    show(data, arguments.format)


def _show_config(data: dict[str, Any], arguments: argparse.Namespace) -> None:
    if not arguments.settings:
        show(data, arguments.format)
        return
    (key,) = arguments.settings
    if key not in data["settings"]:
        raise CliError(
            f'key "{key}" not found in "{arguments.application}" application config or charm settings.'
        )
    value = data["settings"][key].get("value", "")
    print(str(value).lower() if isinstance(value, bool) else value)


def _config(words: list[str], application: str) -> dict[str, str]:
    """Read options given as `KEY=VALUE`, or as a YAML file with them below the application's name."""
    values = pairs(word for word in words if "=" in word)
    for path in (word for word in words if "=" not in word):
        found = read_mapping(path)
        own = found.get(application, found)
        if not isinstance(own, dict):
            raise CliError(f"{path}: expected options with their values below {application}")
        for key, value in own.items():
            values[key] = str(value).lower() if isinstance(value, bool) else str(value)
    return values


def _paths(words: list[str]) -> dict[str, str]:
    return {name: absolute(path) for name, path in pairs(words).items()}


def _bindings(words: list[str]) -> dict[str, str]:
    """Read `ENDPOINT=SPACE`, or `SPACE` for all endpoints, which the empty name stands for."""
    return {endpoint: space for endpoint, _, space in (word.rpartition("=") for word in words)}


def _units_in_error(client: Client) -> list[str]:
    applications = client.call("status")["applications"]
    units = {name: unit for item in applications.values() for name, unit in item.get("units", {}).items()}
    units |= {name: unit for item in units.values() for name, unit in item.get("subordinates", {}).items()}
    return [name for name, unit in units.items() if unit["workload-status"]["current"] == "error"]
