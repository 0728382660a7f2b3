"""The `prometheus_scrape` interface: where an application's metrics are.

The wire format is that of Canonical's library `charms.prometheus_k8s.v0.prometheus_scrape`. The leader of the provider (the
application that has metrics) writes JSON into its application data: `scrape_jobs`, a list of jobs as Prometheus' own
configuration has them, where a target `*:8404` stands for that port of each unit, and `scrape_metadata`, `{model, model_uuid,
application, unit, charm_name}`. Each unit writes `prometheus_scrape_unit_address` and `prometheus_scrape_unit_name` into its
unit data.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from openinfra_charm.model import databag

if TYPE_CHECKING:
    import ops


def publish_job(relation: ops.Relation, model: ops.Model, *, charm_name: str, port: int, ca: str) -> None:
    """As the provider's leader, say that each unit has metrics at this port, path `/metrics`, over TLS.

    Args:
        relation: The relation.
        model: The model of the unit whose metrics they are.
        charm_name: Its charm.
        port: Where they are.
        ca: The CA certificates to check the units' certificates with, as PEM.
    """
    job: dict[str, Any] = {
        "metrics_path": "/metrics",
        "scheme": "https",
        "static_configs": [{"targets": [f"*:{port}"]}],
        "tls_config": {"ca": ca},
    }
    metadata = {
        "model": model.name,
        "model_uuid": model.uuid,
        "application": model.app.name,
        "unit": model.unit.name,
        "charm_name": charm_name,
    }
    data = relation.data[model.app]
    databag.put(data, "scrape_jobs", json.dumps([job]))
    # Who leads now is no news to whom is interested in the application.
    if not data.get("scrape_metadata"):
        databag.put(data, "scrape_metadata", json.dumps(metadata))


def publish_unit(relation: ops.Relation, unit: ops.Unit, address: str) -> None:
    """As a unit of the provider, say where its metrics are."""
    databag.put(relation.data[unit], "prometheus_scrape_unit_address", address)
    databag.put(relation.data[unit], "prometheus_scrape_unit_name", unit.name)
