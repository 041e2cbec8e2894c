"""Bearer tokens of an identity provider, made by PyJWT and sent by the official openai package."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
import openai
import pytest
import servers
from cryptography.hazmat.primitives.asymmetric import ec, rsa

ISSUER = "https://id.example.com"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())

CONFIG = """
model_list:
  - model_name: chat
    litellm_params: {{model: openai/gpt-4o, api_base: "{sim}/v1", api_key: sk-simulated-openai}}
general_settings:
  master_key: sk-black-box-master
  enable_jwt_auth: true
  litellm_jwtauth:
    user_id_jwt_field: sub
    team_ids_jwt_field: groups
    user_id_upsert: true
"""


def keys() -> bytes:
    """Both public keys, as a provider hands them out."""
    of_rsa = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(RSA.public_key()))
    of_ec = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(EC.public_key()))
    return json.dumps({"keys": [of_rsa | {"kid": "rsa", "use": "sig"}, of_ec | {"kid": "ec"}]}).encode()


class Provider(BaseHTTPRequestHandler):
    """A discovery document, and the keys that it names."""

    def do_GET(self):
        origin = f"http://127.0.0.1:{self.server.server_address[1]}"
        document = json.dumps({"issuer": ISSUER, "jwks_uri": f"{origin}/keys"}).encode()
        body = document if self.path.endswith("openid-configuration") else keys()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, simulator):
    provider = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    document = f"http://127.0.0.1:{provider.server_address[1]}/.well-known/openid-configuration"
    env = servers.clean_environment(JWT_PUBLIC_KEY_URL=document, JWT_AUDIENCE="gateway", JWT_ISSUER=ISSUER)
    folder, config = tmp_path_factory.mktemp("tokens"), CONFIG.format(sim=simulator.url)
    with servers.gateway(folder, config, name="tokens", env=env) as server:
        yield server
    provider.shutdown()


def token(key=RSA, algorithm="RS256", kid="rsa", **claims) -> str:
    now = int(time.time())
    said = {"iss": ISSUER, "aud": "gateway", "sub": "ada", "iat": now, "exp": now + 300} | claims
    return jwt.encode(said, key, algorithm=algorithm, headers={"kid": kid})


def ask(gateway, bearer: str):
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=bearer, max_retries=0)
    return client.chat.completions.create(model="chat", messages=[{"role": "user", "content": "hello"}])


@pytest.mark.parametrize(
    "key, algorithm, kid",
    [(RSA, "RS256", "rsa"), (RSA, "RS512", "rsa"), (RSA, "PS384", "rsa"), (EC, "ES256", "ec")],
)
def test_tokens_of_pyjwt_are_taken_in_the_place_of_keys(gateway, key, algorithm, kid):
    assert ask(gateway, token(key, algorithm, kid)).choices[0].message.content


def test_a_token_that_is_bad_is_an_authentication_error(gateway):
    for bad in (
        token(exp=int(time.time()) - 120),
        token(aud="other"),
        token(iss="https://evil.example.com"),
        token(key=rsa.generate_private_key(public_exponent=65537, key_size=2048)),
        token(key=EC, algorithm="ES256", kid="rsa"),
        token(key="s" * 64, algorithm="HS256"),
        jwt.encode({"sub": "ada"}, None, algorithm="none"),
    ):
        with pytest.raises(openai.AuthenticationError):
            ask(gateway, bad)


def test_a_token_of_unknown_teams_alone_is_let_in_nowhere(gateway):
    with pytest.raises(openai.PermissionDeniedError):
        ask(gateway, token(groups=["nowhere"]))


def test_who_is_made_of_a_token_is_seen_by_the_operator(gateway):
    ask(gateway, token(sub="grace"))
    master = openai.OpenAI(base_url=gateway.url, api_key="sk-black-box-master")
    user = master.get("/user/info?user_id=grace", cast_to=object)
    assert user["user_info"]["user_id"] == "grace"
