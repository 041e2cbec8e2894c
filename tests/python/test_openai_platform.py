"""OpenAI's files, batches, fine-tuning jobs and vector stores through the official package.

They belong to a provider, not to a model: OpenAI's key and base come from the environment, as LiteLLM has it.
"""

import io
import json

import openai
import pytest
import servers
from conftest import MASTER_KEY

CONFIG = 'general_settings: {{master_key: "{key}"}}\n'


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    folder = tmp_path_factory.mktemp("platform")
    with servers.simulator(folder) as simulator:
        env = servers.clean_environment(OPENAI_API_KEY="sk-simulated", OPENAI_BASE_URL=simulator.url + "/v1")
        with servers.gateway(folder, CONFIG.format(key=MASTER_KEY), env=env) as server:
            with openai.OpenAI(base_url=server.url + "/v1", api_key=MASTER_KEY, max_retries=0) as client:
                yield client


def lines(*records: dict) -> io.BytesIO:
    file = io.BytesIO("".join(json.dumps(record) + "\n" for record in records).encode())
    file.name = "records.jsonl"
    return file


def asked(number: int) -> dict:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": f"number {number}"}]}
    return {"custom_id": f"a{number}", "method": "POST", "url": "/v1/chat/completions", "body": body}


def test_a_file_is_kept_read_and_deleted(platform):
    file = platform.files.create(file=lines(asked(1)), purpose="batch")
    assert (file.object, file.purpose) == ("file", "batch")
    assert json.loads(platform.files.content(file.id).read()) == asked(1)
    assert platform.files.retrieve(file.id).bytes == file.bytes
    assert file.id in {kept.id for kept in platform.files.list()}
    assert platform.files.delete(file.id).deleted is True
    with pytest.raises(openai.NotFoundError):
        platform.files.retrieve(file.id)


def test_a_batch_is_begun_listed_and_cancelled(platform):
    file = platform.files.create(file=lines(asked(1), asked(2)), purpose="batch")
    batch = platform.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"team": "a"}
    )
    assert platform.batches.retrieve(batch.id).input_file_id == file.id
    assert batch.id in {kept.id for kept in platform.batches.list()}


def test_a_model_is_tuned(platform):
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]
    file = platform.files.create(file=lines(*[{"messages": turns}] * 10), purpose="fine-tune")
    job = platform.fine_tuning.jobs.create(model="gpt-4o-mini-2024-07-18", training_file=file.id)
    assert platform.fine_tuning.jobs.retrieve(job.id).training_file == file.id
    assert job.id in {kept.id for kept in platform.fine_tuning.jobs.list()}
    assert list(platform.fine_tuning.jobs.list_events(job.id)) is not None


def test_a_vector_store_is_filled_and_searched(platform):
    text = io.BytesIO(b"the sky is blue and the sea is deep")
    text.name = "sky.txt"
    file = platform.files.create(file=text, purpose="assistants")
    store = platform.vector_stores.create(name="colours")
    platform.vector_stores.files.create(vector_store_id=store.id, file_id=file.id)
    [found] = platform.vector_stores.search(store.id, query="what colour is the sky?")
    assert "blue" in found.content[0].text
    assert platform.vector_stores.delete(store.id).deleted is True


def test_a_wrong_request_keeps_its_class(platform):
    with pytest.raises(openai.BadRequestError):
        platform.batches.create(input_file_id="file-none", endpoint="/v1/nothing", completion_window="24h")
