"""An operator who manages LiteLLM Proxy with its own client library, and finds Tollgate there."""

import uuid

import openai
import pytest
from conftest import MASTER_KEY, say

pytestmark = pytest.mark.litellm


@pytest.fixture(scope="module")
def manager(gateway, monkeypatch_module):
    monkeypatch_module.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    from litellm.proxy.client import Client

    return Client(base_url=gateway.url, api_key=MASTER_KEY)


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture
def deployment(manager, simulator):
    """A model that was made through the library."""
    name = f"made-{uuid.uuid4()}"
    params = {"model": "openai/gpt-4o-mini", "api_key": "sk-simulated-openai", "api_base": f"{simulator.url}/v1"}
    made = manager.models.new(model_name=name, model_params=params)
    yield name, made["model_id"], params
    manager.models.delete(model_id=made["model_id"])


def test_models_are_made_changed_and_deleted(manager, deployment):
    name, model_id, params = deployment
    assert name in [model["id"] for model in manager.models.list()]
    assert name in [group["model_group"] for group in manager.model_groups.info()]
    assert manager.models.get(model_id=model_id)["model_name"] == name
    # The library names the deployment beside its parameters, where the proxy's own form has it within model_info.
    manager.models.update(model_id=model_id, model_params=params | {"rpm": 7})
    assert manager.models.get(model_id=model_id)["litellm_params"]["rpm"] == 7


def test_a_key_that_was_made_answers_until_it_is_deleted(manager, gateway, deployment):
    name, _, _ = deployment
    alias = f"client-{uuid.uuid4()}"
    key = manager.keys.generate(models=[name], duration="1h", key_alias=alias)["key"]
    assert manager.keys.info(key)["info"]["key_alias"] == alias
    listed = manager.keys.list(key_alias=alias, return_full_object=True)["keys"]
    assert [one["models"] for one in listed] == [[name]]
    client = openai.OpenAI(base_url=gateway.url + "/v1", api_key=key, max_retries=0)
    reply = client.chat.completions.create(model=name, messages=say("good morning"))
    assert "good morning" in reply.choices[0].message.content
    manager.keys.delete(keys=[key])
    with pytest.raises(openai.AuthenticationError):
        client.chat.completions.create(model=name, messages=say("good morning"))


def test_credentials_are_kept_and_never_shown(manager):
    name = f"credential-{uuid.uuid4()}"
    values = {"api_key": "sk-a-secret-of-a-provider"}
    manager.credentials.create(
        credential_name=name, credential_info={"custom_llm_provider": "openai"}, credential_values=values
    )
    shown = manager.credentials.get(credential_name=name)
    assert shown["credential_info"] == {"custom_llm_provider": "openai"}
    assert "secret" not in str(shown)
    assert name in [one["credential_name"] for one in manager.credentials.list()["credentials"]]
    manager.credentials.delete(credential_name=name)
    assert name not in [one["credential_name"] for one in manager.credentials.list()["credentials"]]


def test_users_and_teams_are_made_and_found(manager, gateway):
    from litellm.proxy.client.teams import TeamsManagementClient
    from litellm.proxy.client.users import UsersManagementClient

    users = UsersManagementClient(gateway.url, MASTER_KEY)
    teams = TeamsManagementClient(gateway.url, MASTER_KEY)
    made = users.create_user({"user_email": f"{uuid.uuid4()}@x.org", "user_role": "internal_user"})
    team = manager.http.request("POST", "/team/new", json={"team_alias": f"team-{uuid.uuid4()}"})
    try:
        assert users.get_user(made["user_id"])["user_id"] == made["user_id"]
        assert team["team_id"] in [one["team_id"] for one in teams.list()]
    finally:
        users.delete_user([made["user_id"]])
        manager.http.request("POST", "/team/delete", json={"team_ids": [team["team_id"]]})
