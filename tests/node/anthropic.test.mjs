// The official @anthropic-ai/sdk package against the gateway: messages, streams, tools, counting, errors.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { gateway, load, masterKey, providers } from "./gateway.mjs";

const { default: Anthropic } = await load("@anthropic-ai/sdk");

const say = (content) => [{ role: "user", content }];
const tools = [
  {
    name: "get_weather",
    input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
  { name: "get_time", input_schema: { type: "object", properties: { zone: { type: "string" } } } },
];
const textOf = (message) => message.content.map((block) => (block.type === "text" ? block.text : "")).join("");
const callsOf = (message) => message.content.filter((block) => block.type === "tool_use");

let server;
let client;

const clientOf = (apiKey) => new Anthropic({ baseURL: server.url, apiKey, maxRetries: 0, timeout: 30_000 });

before(async () => {
  server = await gateway();
  client = clientOf(masterKey);
});

after(async () => {
  await server?.stop();
});

for (const provider of providers) {
  const ask = (behaviour, messages, more = {}) => ({
    model: `${provider}/${behaviour}`,
    max_tokens: 400,
    messages,
    ...more,
  });

  test(`${provider}: a message is answered`, async () => {
    const message = await client.messages.create(ask("gpt-plain", say("good day")));
    assert.equal(message.model, `${provider}/gpt-plain`);
    assert.match(textOf(message), /good day/);
    assert.equal(message.stop_reason, "end_turn");
    assert.ok(message.usage.input_tokens > 0 && message.usage.output_tokens > 0);
  });

  test(`${provider}: a stream adds up to the same message`, async () => {
    const plain = await client.messages.create(ask("gpt-plain", say("good day")));
    const stream = client.messages.stream(ask("gpt-plain", say("good day")));
    let parts = 0;
    stream.on("text", () => (parts += 1));
    const message = await stream.finalMessage();
    assert.equal(textOf(message), textOf(plain));
    assert.ok(parts > 1, "the answer came in one piece");
    assert.equal(message.usage.output_tokens, plain.usage.output_tokens);
  });

  for (const streamed of [false, true]) {
    test(`${provider}: parallel tools make several rounds, ${streamed ? "streamed" : "plain"}`, async () => {
      const turn = (messages) => {
        const request = ask("sim-tools-2", messages, { tools });
        return streamed ? client.messages.stream(request).finalMessage() : client.messages.create(request);
      };
      const messages = say("weather in Paris, and the time?");
      for (const round of [1, 2]) {
        const message = await turn(messages);
        assert.equal(message.stop_reason, "tool_use");
        assert.deepEqual(
          callsOf(message).map((call) => call.name),
          ["get_weather", "get_time"],
        );
        const results = callsOf(message).map((call) => ({
          type: "tool_result",
          tool_use_id: call.id,
          content: `${call.name} says ${round}`,
        }));
        messages.push({ role: "assistant", content: message.content }, { role: "user", content: results });
        const answer = await turn(messages);
        assert.match(textOf(answer), new RegExp(`says ${round}`));
        messages.push({ role: "assistant", content: answer.content }, ...say("and again?"));
      }
    });
  }

  test(`${provider}: errors have the package's classes`, async () => {
    const asked = (behaviour) => client.messages.create(ask(behaviour, say("hi")));
    await assert.rejects(asked("sim-error-400"), Anthropic.BadRequestError);
    await assert.rejects(asked("sim-error-429"), Anthropic.RateLimitError);
    await assert.rejects(asked("sim-error-500"), Anthropic.InternalServerError);
    const stream = client.messages.stream(ask("sim-event-3", say("at some length, please")));
    await assert.rejects(stream.finalMessage(), Anthropic.APIError);
  });
}

test("a wrong key is told in Anthropic's shape", async () => {
  const asked = clientOf("sk-invalid").messages.create({
    model: "openai/gpt-plain",
    max_tokens: 400,
    messages: say("hi"),
  });
  await assert.rejects(asked, (error) => {
    assert.ok(error instanceof Anthropic.AuthenticationError);
    assert.equal(error.error.type, "error");
    assert.equal(error.error.error.type, "authentication_error");
    return true;
  });
});
