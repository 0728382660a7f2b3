"""What requirers of routes write."""

import json


def ours(port, **more):
    """Return what one of our requirers writes into its application data."""
    data = {
        "port": port,
        "backend_port": port + 10000,
        "enforce_tls": False,
        "tls_terminate": False,
        "openinfra": {"health": {"path": "/health"}} | more,
    }
    return {key: json.dumps(value) for key, value in data.items()}


def units(first, count=3):
    """Return what so many units of a requirer write into their unit data."""
    return {number: {"address": json.dumps(f"10.0.0.{first + number}")} for number in range(count)}
