"""Daemons of an application on a machine: files, services, TLS, jobs, and who owns a daemon."""
