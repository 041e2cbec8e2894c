// The official openai package for Node against the gateway: chat, streams, tools, embeddings, errors.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { gateway, masterKey, OpenAI, providers } from "./gateway.mjs";

const say = (content) => [{ role: "user", content }];
const weather = {
  type: "function",
  function: {
    name: "get_weather",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};
const clock = {
  type: "function",
  function: { name: "get_time", parameters: { type: "object", properties: { zone: { type: "string" } } } },
};

let server;
let client;

before(async () => {
  server = await gateway();
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: masterKey, maxRetries: 0, timeout: 30_000 });
});

after(async () => {
  await server?.stop();
});

for (const provider of providers) {
  test(`${provider}: a chat is answered`, async () => {
    const reply = await client.chat.completions.create({ model: `${provider}/gpt-plain`, messages: say("good day") });
    assert.equal(reply.model, `${provider}/gpt-plain`);
    assert.match(reply.choices[0].message.content, /good day/);
    assert.equal(reply.choices[0].finish_reason, "stop");
    assert.equal(reply.usage.total_tokens, reply.usage.prompt_tokens + reply.usage.completion_tokens);
  });

  test(`${provider}: a stream brings the answer in parts and its usage at the end`, async () => {
    const stream = await client.chat.completions.create({
      model: `${provider}/gpt-plain`,
      messages: say("good day"),
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = "";
    const usages = [];
    let parts = 0;
    for await (const chunk of stream) {
      const delta = chunk.choices[0]?.delta?.content ?? "";
      text += delta;
      parts += delta ? 1 : 0;
      if (chunk.usage) usages.push(chunk.usage);
    }
    assert.match(text, /good day/);
    assert.ok(parts > 1, "the answer came in one piece");
    assert.equal(usages.length, 1);
    assert.ok(usages[0].completion_tokens > 0);
  });

  test(`${provider}: parallel tools make a round trip`, async () => {
    const model = `${provider}/sim-tools-2`;
    const messages = say("weather in Paris, and the time?");
    const tools = [weather, clock];
    const first = await client.chat.completions.create({ model, messages, tools });
    const { message, finish_reason } = first.choices[0];
    assert.equal(finish_reason, "tool_calls");
    assert.deepEqual(
      message.tool_calls.map((call) => call.function.name),
      ["get_weather", "get_time"],
    );
    messages.push(message);
    for (const call of message.tool_calls) {
      JSON.parse(call.function.arguments);
      messages.push({ role: "tool", tool_call_id: call.id, content: `result of ${call.function.name}` });
    }
    const second = await client.chat.completions.create({ model, messages, tools });
    assert.match(second.choices[0].message.content, /result of get_weather/);
  });

  test(`${provider}: streamed tool calls are put together by the package`, async () => {
    const stream = client.chat.completions.stream({
      model: `${provider}/sim-tools-2`,
      messages: say("weather and time?"),
      tools: [weather, clock],
    });
    const final = await stream.finalChatCompletion();
    const calls = final.choices[0].message.tool_calls;
    assert.deepEqual(
      calls.map((call) => call.function.name),
      ["get_weather", "get_time"],
    );
    for (const call of calls) assert.equal(typeof JSON.parse(call.function.arguments), "object");
  });
}

test("embeddings come in either encoding", async () => {
  const input = ["one", "two"];
  const model = "openai/text-embedding-3-small";
  const floats = await client.embeddings.create({ model, input, encoding_format: "float" });
  const packed = await client.embeddings.create({ model, input });
  assert.equal(floats.data.length, 2);
  assert.equal(floats.data[0].embedding.length, packed.data[0].embedding.length);
  for (const [index, value] of floats.data[0].embedding.entries()) {
    assert.ok(Math.abs(value - packed.data[0].embedding[index]) < 1e-6);
  }
});

test("twenty streams at once are kept apart", async () => {
  const one = async (number) => {
    const stream = await client.chat.completions.create({
      model: "openai/gpt-plain",
      messages: say(`number ${number}!`),
      stream: true,
    });
    let text = "";
    for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
    return text;
  };
  const texts = await Promise.all(Array.from({ length: 20 }, (_, number) => one(number)));
  for (const [number, text] of texts.entries()) assert.ok(text.endsWith(`number ${number}!`), text);
});

test("errors have the package's classes", async () => {
  const ask = (model, key = masterKey) =>
    new OpenAI({ baseURL: `${server.url}/v1`, apiKey: key, maxRetries: 0 }).chat.completions.create({
      model,
      messages: say("hi"),
    });
  await assert.rejects(ask("openai/gpt-plain", "sk-wrong"), OpenAI.AuthenticationError);
  await assert.rejects(ask("no-such-model"), OpenAI.BadRequestError);
  await assert.rejects(ask("openai/sim-error-400"), OpenAI.BadRequestError);
  await assert.rejects(client.models.retrieve("no-such-model"), OpenAI.NotFoundError);
});
