"""What a provider of metrics writes, as the published library does."""

import json

import ops
from ops import testing

from openinfra_charm.interfaces import prometheus_scrape


class Charm(ops.CharmBase):
    """Has metrics."""

    def __init__(self, framework):
        super().__init__(framework)
        framework.observe(self.on.update_status, self._publish)

    def _publish(self, _):
        relation = self.model.relations["metrics-endpoint"][0]
        prometheus_scrape.publish_job(relation, self.model, charm_name=self.meta.name, port=8404, ca="PEM")
        prometheus_scrape.publish_unit(relation, self.unit, "10.0.0.5")


def test_the_provider_writes_as_the_published_library_does():
    meta = {"name": "openinfra-web", "provides": {"metrics-endpoint": {"interface": "prometheus_scrape"}}}
    context = testing.Context(Charm, meta, app_name="web")
    relation = testing.Relation("metrics-endpoint", local_unit_data={})
    model = testing.Model("cloud", uuid="1b671a64-40d5-491e-99b0-da01ff1f3341")
    after = context.run(
        context.on.update_status(), testing.State(leader=True, relations={relation}, model=model)
    ).get_relation(relation.id)
    assert after.local_unit_data == {
        "prometheus_scrape_unit_address": "10.0.0.5",
        "prometheus_scrape_unit_name": "web/0",
    }
    assert json.loads(after.local_app_data["scrape_jobs"]) == [
        {
            "metrics_path": "/metrics",
            "scheme": "https",
            "static_configs": [{"targets": ["*:8404"]}],
            "tls_config": {"ca": "PEM"},
        }
    ]
    assert json.loads(after.local_app_data["scrape_metadata"]) == {
        "model": "cloud",
        "model_uuid": "1b671a64-40d5-491e-99b0-da01ff1f3341",
        "application": "web",
        "unit": "web/0",
        "charm_name": "openinfra-web",
    }
