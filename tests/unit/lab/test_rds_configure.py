import pytest

from pgdrill.lab.rds import configure
from pgdrill.lab.rds.wire import RdsError


@pytest.mark.parametrize("password", ["12345678", "p" * 128, "!#$%&'()*+,-.:;<=>?[]^_`{|}~"])
def test_a_password_by_rdss_rules_is_taken(password: str) -> None:
    configure.check_password(password)


@pytest.mark.parametrize(
    "password", ["with/slash", 'with"quote', "with@at-sign", "with space", "ümlaut-pw", "tab\tpassword"]
)
def test_a_password_with_what_rds_forbids_is_refused(password: str) -> None:
    with pytest.raises(RdsError) as refused:
        configure.check_password(password)
    assert refused.value.message == (
        "The parameter MasterUserPassword is not a valid password. Only printable ASCII characters besides"
        " '/', '@', '\"', ' ' may be used."
    )
    assert password not in refused.value.message


@pytest.mark.parametrize(
    ("password", "what"), [("1234567", "shorter than 8"), ("p" * 129, "longer than 128")]
)
def test_a_password_of_the_wrong_length_is_refused(password: str, what: str) -> None:
    with pytest.raises(RdsError) as refused:
        configure.check_password(password)
    assert refused.value.message == (
        f"The parameter MasterUserPassword is not a valid password because it is {what} characters."
    )


@pytest.mark.parametrize("user", ["rdsadmin", "pg_shop", "Admin", "1user", "a-b", "a" * 64])
def test_a_master_user_of_a_reserved_or_impossible_name_is_refused(user: str) -> None:
    with pytest.raises(RdsError) as refused:
        configure.check_master(user)
    assert refused.value.code == "InvalidParameterValue"
    assert user in refused.value.message


def test_settings_are_taken_under_the_name_that_a_description_shows() -> None:
    request = {
        "DBInstanceIdentifier": "shop",
        "EnableIAMDatabaseAuthentication": True,
        "VpcSecurityGroupIds": ["sg-1"],
        "MasterUserPassword": "not-a-setting",
    }
    assert configure.configured(request) == {
        "IAMDatabaseAuthenticationEnabled": True,
        "VpcSecurityGroupIds": ("sg-1",),
    }
