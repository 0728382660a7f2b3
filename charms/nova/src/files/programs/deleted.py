"""Print how many servers were deleted before a time: `python deleted.py /etc/nova/nova.conf "2026-11-01 00:00:00"`."""

import configparser
import sys

import sqlalchemy

QUERY = sqlalchemy.text("SELECT COUNT(*) FROM instances WHERE deleted <> 0 AND deleted_at < :before")


def main(config_path, before):
    """Print the number."""
    config = configparser.RawConfigParser(strict=False)
    config.read(config_path)
    # oslo.config would read a single dollar as a reference.
    urls = (config[section]["connection"].replace("$$", "$") for section in ("database", "cell0_database"))
    total = 0
    for url in urls:
        with sqlalchemy.create_engine(url).connect() as connection:
            total += connection.execute(QUERY, {"before": before}).scalar()
    print(total)  # noqa: T201  it is a program


if __name__ == "__main__":
    main(*sys.argv[1:])
