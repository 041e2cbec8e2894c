"""Alerts as others' programs receive them: a mail server of Python's, and a webhook that checks its signature.

The mail server is aiosmtpd, which is strict about the order of commands and about logging in; the mail is read by the
standard library's parser, which notes every defect. The signature is computed anew by `hmac`.
"""

import email
import email.policy
import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
import servers
from conftest import say

PATIENCE_SECONDS = 30
SECRET = "whsec-of-the-test"

CONFIG = """
model_list:
  - model_name: m
    litellm_params: {{model: openai/x, api_key: sk-x, api_base: "http://127.0.0.1:{closed}/v1"}}
    model_info: {{id: dep-a, allowed_fails: 0}}
general_settings:
  alerting: [email, webhook]
  alert_types: [cooldown_deployment, outage_alerts]
environment_variables:
  SMTP_HOST: 127.0.0.1
  SMTP_PORT: "{mail}"
  SMTP_TLS: "False"
  SMTP_USERNAME: robot
  SMTP_PASSWORD: "pass wörd"
  SMTP_SENDER_EMAIL: tollgate@example.com
  WEBHOOK_URL: "http://127.0.0.1:{hook}/alerts"
  WEBHOOK_SECRET: {secret}
tollgate_settings: {{alerts: {{email_to: [ops@example.com, boss@example.com]}}}}
"""


class Mails:
    """Takes mail for everybody."""

    def __init__(self):
        self.taken = []

    async def handle_DATA(self, server, session, envelope):  # the name is aiosmtpd's
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.taken.append((envelope.mail_from, envelope.rcpt_tos, mail))
        return "250 taken"


def authenticate(server, session, envelope, mechanism, data):
    from aiosmtpd.smtp import AuthResult  # not every environment of these tests has it

    return AuthResult(success=(data.login, data.password) == (b"robot", "pass wörd".encode()))


@pytest.fixture
def mails():
    taking = Mails()
    from aiosmtpd.controller import Controller

    controller = Controller(
        taking,
        hostname="127.0.0.1",
        port=servers.free_port(),
        authenticator=authenticate,
        auth_required=True,
        auth_require_tls=False,
    )
    controller.start()
    yield taking.taken, controller.port
    controller.stop()


@pytest.fixture
def hook():
    """A webhook: headers and bodies, and its port."""
    taken = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self):  # the name is the library's
            body = self.rfile.read(int(self.headers["content-length"]))
            taken.append((dict(self.headers), body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield taken, server.server_port
    server.shutdown()
    server.server_close()


def test_an_outage_reaches_a_mailbox_and_a_webhook_that_checks_the_signature(tmp_path, mails, hook):
    (mails, mail_port), (calls, hook_port) = mails, hook
    config = CONFIG.format(closed=servers.free_port(), mail=mail_port, hook=hook_port, secret=SECRET)
    with servers.gateway(tmp_path, config) as gateway:
        reply = httpx.post(f"{gateway.url}/v1/chat/completions", json={"model": "m", "messages": say("hi")})
        assert reply.status_code == 500
        by = time.monotonic() + PATIENCE_SECONDS
        while (len(mails), len(calls)) != (2, 2) and time.monotonic() < by:
            time.sleep(0.02)
        log = gateway.log_text()
    assert (len(mails), len(calls)) == (2, 2), log
    for sender, recipients, mail in mails:
        assert (sender, recipients) == ("tollgate@example.com", ["ops@example.com", "boss@example.com"])
        assert not mail.defects and not mail["Date"].defects and mail["Message-ID"].endswith("@example.com>")
    assert "dep-a (openai/x) is out" in mails[0][2].get_content()
    assert mails[1][2]["Subject"] == "[Tollgate] outage: Every deployment of m is out (1)."
    bodies = []
    for headers, body in calls:
        moment, mac = headers["x-tollgate-signature"].removeprefix("t=").split(",v1=")
        assert mac == hmac.new(SECRET.encode(), moment.encode() + b"." + body, hashlib.sha256).hexdigest()
        assert abs(time.time() - int(moment)) < 300
        bodies.append(json.loads(body))
    assert [body["event"] for body in bodies] == ["cooldown_deployment", "outage"]
    assert [body["alert_type"] for body in bodies] == ["cooldown_deployment", "outage_alerts"]
    assert SECRET not in log and "pass wörd" not in log
