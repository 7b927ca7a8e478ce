"""A cluster of the lab behaves as an RDS instance's PostgreSQL does."""

from pgdrill.lab.cluster import Cluster


def test_the_master_user_is_no_superuser_but_a_member_of_rds_superuser(cluster: Cluster) -> None:
    assert cluster.sql(
        "postgres",
        "SELECT rolsuper, rolcreatedb, rolcreaterole, pg_has_role(rolname, 'rds_superuser', 'MEMBER')"
        " FROM pg_roles WHERE rolname = %s",
        ["master"],
    ) == [(False, True, True, True)]
