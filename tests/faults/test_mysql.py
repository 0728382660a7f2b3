"""Members die while clients write, and a backup of a cloud in use is taken back."""

from tests.integration.clients import Clients, writing

PROJECTS = "SELECT id, name FROM keystone.project ORDER BY id"


def test_a_killed_member_comes_back_by_itself(kill):
    kill("mysql", "mariadb.service")


def test_a_backup_brings_back_what_was_dropped(cloud, users, tmp_path):
    """All passwords are replaced between backup and restore: the database's, the administrator's and those of services.

    Those that are in use are kept.
    """
    with writing(users.rows):
        users.rows.wait_for(10, 60)
    leader = cloud.leader("mysql")
    cloud.wait_for_job(leader, cloud.run(leader, "create-backup")["job-id"])
    backup = cloud.run(leader, "list-backups")[-1]["backup"]
    for number in cloud.run("mysql/0", "cluster-status")["relations"]:
        cloud.run(leader, "rotate-password", relation_id=int(number))
    keystone = cloud.leader("keystone")
    cloud.run(keystone, "rotate-admin-password")
    for number in cloud.run("keystone/0", "list-services"):
        cloud.run(keystone, "rotate-service-password", relation_id=int(number))
    cloud.settle()
    before = cloud.sql(leader, PROJECTS)
    cloud.sql(leader, "SET FOREIGN_KEY_CHECKS = 0; DROP TABLE keystone.project")

    assert "confirm=mysql" in cloud.refused(leader, "restore", backup=backup)
    cloud.run(leader, "restore", backup=backup, confirm="mysql")
    cloud.settle()

    cloud.wait_for_database()
    assert cloud.sql(leader, PROJECTS) == before
    administrator = Clients(cloud, tmp_path).connect()
    assert administrator.authorize()
    # The object gateway asks Keystone as the user whose password was replaced.
    assert administrator.object_store.get_account_metadata() is not None
    users.verify()
