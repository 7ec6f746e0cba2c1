"""Secrets by reference: from files, variables and a real Vault-compatible server; never shown."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hvac
import pytest

from adapters.secrets.key_file import KeyFile
from adapters.secrets.references import SecretError, resolve
from adapters.secrets.vault import Vault, VaultAccess
from pipelines.settings import Environment
from tests.services import free_port

pytestmark = pytest.mark.xdist_group("vault")
TOKEN = "root-of-the-hive"


@pytest.fixture(scope="module")
def vault_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a Vault-compatible server in memory, with a key-value store and a transit engine."""
    port = free_port()
    command = [str(Path(sys.executable).parent / "bao"), "server", "-dev", "-dev-no-store-token"]
    command += [f"-dev-root-token-id={TOKEN}", f"-dev-listen-address=127.0.0.1:{port}"]
    said = tmp_path_factory.mktemp("vault") / "said.txt"
    with said.open("wb") as out:
        server = subprocess.Popen(command, stdout=out, stderr=out)
        try:
            url = f"http://127.0.0.1:{port}"
            client: Any = hvac.Client(url=url, token=TOKEN)
            for _ in range(200):
                try:
                    if client.sys.is_initialized() and not client.sys.is_sealed():
                        break
                except OSError:
                    assert server.poll() is None, said.read_text()
                time.sleep(0.05)
            client.secrets.kv.v2.create_or_update_secret(
                path="apiary", secret={"redis_url": "redis://:honey@127.0.0.1:1/0", "n": 5}
            )
            client.sys.enable_secrets_engine("transit")
            yield url
        finally:
            server.kill()
            server.wait()


def test_a_text_that_is_no_reference_is_itself() -> None:
    assert resolve("redis://host", variables={}) == "redis://host"


def test_a_secret_comes_from_a_file_or_a_variable(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("honey\n")
    assert resolve(f"file:{path}", variables={}) == "honey"
    assert resolve("env:OTHER", variables={"OTHER": "wax"}) == "wax"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("file:/nowhere/at/all", "must be a file that can be read: No such file"),
        ("env:NOT_SET", "must name a variable that is set"),
        ("vault:secret/apiary", "must be vault:PATH#FIELD"),
        ("vault:secret/apiary#x", "vault_url must be set"),
    ],
)
def test_a_reference_that_leads_nowhere_is_one_line(text: str, said: str) -> None:
    with pytest.raises(SecretError, match=said):
        resolve(text, variables={})


@pytest.mark.parametrize("content", [b"", b"  \n", b"\xff\xfe", b"x" * 70_000])
def test_a_file_that_holds_no_secret_is_refused_and_not_shown(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    with pytest.raises(SecretError) as told:
        resolve(f"file:{path}", variables={})
    assert "xxx" not in str(told.value)
    assert "\n" not in str(told.value)


def test_the_environment_resolves_references_and_shows_none(
    vault_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One variable from a Vault whose token lies in a file, one from a file, one as it is."""
    token, password = tmp_path / "token", tmp_path / "kafka"
    token.write_text(TOKEN)
    password.write_text("royal-jelly")
    for name, value in {
        "APIARY_VAULT_URL": vault_url,
        "APIARY_VAULT_TOKEN": f"file:{token}",
        "APIARY_REDIS_URL": "vault:secret/apiary#redis_url",
        "APIARY_KAFKA_PASSWORD": f"file:{password}",
    }.items():
        monkeypatch.setenv(name, value)
    environment = Environment()
    assert environment.redis_text() == "redis://:honey@127.0.0.1:1/0"
    assert environment.kafka_password is not None
    assert environment.kafka_password.get_secret_value() == "royal-jelly"
    shown = f"{environment!r} {environment}"
    for secret in ("honey", "royal-jelly", TOKEN):
        assert secret not in shown


def test_what_the_vault_has_not_or_refuses_is_one_line(vault_url: str) -> None:
    vault = Vault(VaultAccess(vault_url, TOKEN))
    for path, name, said in (
        ("secret/nothing", "x", "must be in the Vault"),
        ("secret/apiary", "x", "must hold text"),
        ("secret/apiary", "n", "must hold text"),
    ):
        with pytest.raises(SecretError, match=said):
            vault.read(path, name)
    stranger = Vault(VaultAccess(vault_url, "another-token"))
    with pytest.raises(SecretError, match="did not: Forbidden") as told:
        stranger.read("secret/apiary", "redis_url")
    assert "another-token" not in str(told.value)
    away = Vault(VaultAccess(f"http://127.0.0.1:{free_port()}", TOKEN, timeout_s=1))
    with pytest.raises(SecretError, match="must answer"):
        away.read("secret/apiary", "redis_url")
    assert TOKEN not in repr(VaultAccess(vault_url, TOKEN))


def test_a_key_is_wrapped_rotated_and_rewrapped_by_its_owner_alone(vault_url: str) -> None:
    vault = Vault(VaultAccess(vault_url, TOKEN))
    for owner in ("desk-a", "desk-b"):
        vault.ensure_owner(owner)
        vault.ensure_owner(owner)
    key = bytes(range(32))
    wrapped = vault.wrap("desk-a", key)
    assert vault.unwrap("desk-a", wrapped) == key
    with pytest.raises(SecretError):
        vault.unwrap("desk-b", wrapped)
    vault.rotate("desk-a")
    newer = vault.rewrap("desk-a", wrapped)
    assert newer.split(":")[1] != wrapped.split(":")[1]
    assert vault.unwrap("desk-a", newer) == vault.unwrap("desk-a", wrapped) == key


_ENSURE = """
import sys
from pathlib import Path
from adapters.secrets.key_file import KeyFile
file = KeyFile(Path(sys.argv[1]))
for number in range(40):
    file.ensure_owner(f"{sys.argv[2]}-{number}")
"""


def test_processes_that_make_keys_at_once_lose_none(tmp_path: Path) -> None:
    """Two processes, forty owners each: all eighty have a key in the end."""
    path = tmp_path / "keys.json"
    run = [sys.executable, "-c", _ENSURE, str(path)]
    makers = [subprocess.Popen([*run, name]) for name in ("a", "b")]
    assert [maker.wait(60) for maker in makers] == [0, 0]
    for name in ("a", "b"):
        for number in range(40):
            KeyFile(path).wrap(f"{name}-{number}", bytes(32))
