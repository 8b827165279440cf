"""The configuration: what is read, what is refused, and in which words."""

from pathlib import Path
from typing import Any

import pytest

from coatcheck.app import DEFAULT_CONFIG, config_keys, create_app, database_path, load_config, make_providers
from coatcheck.engine.calls import OnInterrupt
from coatcheck.engine.errors import ConfigurationError
from coatcheck.providers.echo.provider import EchoOptions
from coatcheck.schemas import config as configuration
from coatcheck.schemas.config import AuthRequired


def test_the_configuration_in_the_repository_states_the_defaults() -> None:
    said = load_config(DEFAULT_CONFIG, {})
    plain = load_config({}, {})
    for section in configuration.SECTIONS:
        assert getattr(said, section) == getattr(plain, section), section
    assert set(said.providers) == {"local", "echo"}


def test_every_setting_is_in_the_configuration_of_the_repository() -> None:
    document = configuration.read(DEFAULT_CONFIG)
    text = DEFAULT_CONFIG.read_text()
    for section, cls in configuration.SECTIONS.items():
        for name in cls.__dataclass_fields__:
            assert name in document[section] or f"# {name} = " in text or f"[{section}.{name}]" in text, name
    for cls in (configuration.KeySettings, configuration.JwtSettings, configuration.EndpointSettings):
        for name in cls.__dataclass_fields__:
            assert f"{name} = " in text, f"{cls.__name__}: {name}"


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"serve": {}}, "the configuration: unknown key 'serve'; did you mean 'server'?"),
        ({"server": {"prot": 1}}, "[server]: unknown key 'prot'; did you mean 'port'?"),
        ({"server": {"port": "x"}}, "[server]: port: expected an integer, got 'x'."),
        ({"server": {"port": True}}, "[server]: port: expected an integer, got True."),
        ({"server": {"port": 70000}}, "[server]: port: Must be greater than or equal to 0"),
        ({"server": 3}, "[server] is a table, not 3"),
        (
            {"server": {"base_url": "ai.example.com"}},
            "[server]: base_url: expected an http or https address, as https://",
        ),
        ({"server": {"base_url": "https://a.example/?a=b"}}, "[server]: base_url: expected an http or https address"),
        ({"server": {"base_url": "https://me@a.example/"}}, "[server]: base_url: expected an http or https address"),
        ({"server": {"base_url": "https://a.example:99999"}}, "[server]: base_url: expected an http or https address"),
        ({"jobs": {"on_interrupt": "maybe"}}, "[jobs]: on_interrupt: expected one of 'retry', 'fail', got 'maybe'."),
        ({"jobs": {"timeout_seconds": float("inf")}}, "[jobs]: timeout_seconds: expected a number, got inf."),
        ({"jobs": {"max_result_ttl_seconds": 2**63 - 1}}, "[jobs]: max_result_ttl_seconds: Must be greater"),
        ({"auth": {"keys": [{"key": "x"}]}}, "[auth]: keys.0.name: Missing data"),
        ({"auth": {"keys": [{"name": "a", "kee": "x"}]}}, "[auth]: keys.0.kee: unknown; did you mean 'key'?"),
        ({"auth": {"keys": [{"name": "a", "max_pending": 0}]}}, "[auth]: keys.0.max_pending: Must be greater"),
        ({"auth": {"jwt": {"jwks": "x"}}}, "[auth]: jwt.issuer: Missing data"),
        ({"auth": {"jwt": 5}}, "[auth]: jwt: Invalid input type."),
        ({"providers": {"a": {}}}, "[providers.a]: kind is missing; it is one of anthropic, "),
        ({"providers": {"a": {"kind": "ehco"}}}, "[providers.a]: unknown kind 'ehco'; did you mean 'echo'?"),
        (
            {"providers": {"a": {"kind": "echo", "concurency": 1}}},
            "[providers.a]: unknown key 'concurency'; did you mean 'concurrency'?",
        ),
        ({"providers": {"a/b": {"kind": "echo"}}}, "[providers.a/b]: a provider's name is not empty and has no slash"),
        ({"providers": {"a": {"kind": "echo", "models": "x"}}}, "[providers.a]: models: Not a valid list."),
    ],
)
def test_a_mistake_is_named_with_its_cure(document: Any, reason: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_config(document, {})
    assert reason in caught.value.message


def test_a_file_that_is_missing_or_not_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml cannot be read: No such file"):
        load_config(tmp_path / "nowhere.toml")
    (tmp_path / "bad.toml").write_text("[server\n")
    with pytest.raises(ConfigurationError, match=r"bad\.toml is not valid TOML"):
        load_config(tmp_path / "bad.toml")


def test_the_environment_overrides_single_values() -> None:
    environ = {
        "COATCHECK_SERVER_PORT": "9000",
        "COATCHECK_SERVER_ALLOWED_HOSTS": "a.example, b.example",
        "COATCHECK_JOBS_TIMEOUT_SECONDS": "1.5",
        "COATCHECK_JOBS_KEEP_REQUESTS": "false",
        "COATCHECK_AUTH_REQUIRED": "true",
    }
    config = load_config({"server": {"port": 1}}, environ)
    assert config.server.port == 9000
    assert config.server.allowed_hosts == ("a.example", "b.example")
    assert config.jobs.timeout_seconds == 1.5
    assert config.jobs.keep_requests is False
    assert config.auth.required is AuthRequired.TRUE
    with pytest.raises(ConfigurationError, match="port: expected an integer, got 'many'"):
        load_config({}, {"COATCHECK_SERVER_PORT": "many"})


def test_a_provider_gets_the_options_of_its_kind() -> None:
    config = load_config({"providers": {"e": {"kind": "echo", "on_interrupt": "fail", "models": ["a"]}}}, {})
    assert config.providers["e"].options == EchoOptions(on_interrupt=OnInterrupt.FAIL, models=("a",))


def test_options_that_a_provider_cannot_use_are_named_with_it() -> None:
    for options, reason in (
        ({"base_url": "ftp://x"}, r"\[providers.o\]: base_url: 'ftp://x' is not an http or https address"),
        ({"operations": ["sing"]}, "operations: sing is not one of chat/completions"),
        ({"api_key_env": "COATCHECK_TEST_UNSET"}, "the environment variable COATCHECK_TEST_UNSET is not set"),
    ):
        with pytest.raises(ConfigurationError, match=reason):
            make_providers(load_config({"providers": {"o": {"kind": "openai", **options}}}, {}))


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ([{"name": "a"}], "give either key or key_env"),
        ([{"name": "a", "key": "x", "key_env": "Y"}], "give either key or key_env"),
        ([{"name": "a", "key_env": "Y"}], "the environment variable Y is not set"),
        ([{"name": "a", "key": "x"}, {"name": "a", "key": "y"}], "two keys have the same name or the same token"),
        ([{"name": "a", "key": "x"}, {"name": "b", "key": "x"}], "two keys have the same name or the same token"),
    ],
)
def test_keys_that_cannot_be_used_are_refused(keys: Any, reason: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        config_keys(load_config({"auth": {"keys": keys}}, {}), {})
    assert reason in caught.value.message


def test_a_key_can_come_from_the_environment() -> None:
    config = load_config({"auth": {"keys": [{"name": "a", "key_env": "Y"}]}}, {})
    (key,) = config_keys(config, {"Y": "secret"})
    assert key.owner == "key:config/a"


def test_the_database_is_below_the_data_folder_unless_its_path_is_absolute() -> None:
    assert database_path(load_config({}, {}), Path("/data")) == Path("/data/coatcheck.db")
    assert database_path(load_config({"store": {"url": "sqlite:////a/b.db"}}, {}), Path("/data")) == Path("/a/b.db")
    with pytest.raises(ConfigurationError, match="is not of the form sqlite:///PATH"):
        create_app({"store": {"url": "mysql://x"}})
