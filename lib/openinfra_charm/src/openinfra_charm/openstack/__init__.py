"""What the charms of OpenStack's APIs have in common: a charm holds a `service.Service`, made of a `spec.Spec`.

- `spec`: what tells one API from another, as data.
- `needs`: what an API has of other applications; `entrance`: where clients reach it.
- `service`: events, the recipe, status; `actions`: those that all have.
- `founding`: what the leader does once for a database; `upgrade`: the phases of an upgrade; `release`: its trees.
- `workload`: what is on the machine: `api` (uWSGI), `processes`, `programs`, configuration (`oslo`).
- `jobs`, `check`: what runs beside the hooks, without Juju.
"""
