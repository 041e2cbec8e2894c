// The Responses API through the official openai package: text, its events, tools, kept responses, errors.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { gateway, masterKey, OpenAI, providers } from "./gateway.mjs";

const tools = [
  {
    type: "function",
    name: "get_weather",
    strict: false,
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
];

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
  test(`${provider}: a response is given`, async () => {
    const response = await client.responses.create({ model: `${provider}/gpt-plain`, input: "good day" });
    assert.match(response.output_text, /good day/);
    assert.equal(response.status, "completed");
    assert.ok(response.usage.output_tokens > 0);
  });

  test(`${provider}: a stream adds up`, async () => {
    const stream = client.responses.stream({ model: `${provider}/gpt-plain`, input: "good day" });
    let text = "";
    for await (const event of stream) if (event.type === "response.output_text.delta") text += event.delta;
    const response = await stream.finalResponse();
    assert.equal(response.output_text, text);
    assert.match(text, /good day/);
  });

  test(`${provider}: a tool makes a round trip over a kept response`, async () => {
    const model = `${provider}/sim-tools`;
    const first = await client.responses.create({ model, input: "weather in Paris?", tools });
    const [call] = first.output.filter((item) => item.type === "function_call");
    assert.equal(call.name, "get_weather");
    assert.equal(typeof JSON.parse(call.arguments).city, "string");
    const output = { type: "function_call_output", call_id: call.call_id, output: "sunny" };
    const second = await client.responses.create({
      model,
      input: [output],
      previous_response_id: first.id,
      tools,
    });
    assert.match(second.output_text, /sunny/);
    await client.responses.delete(first.id);
    await assert.rejects(client.responses.retrieve(first.id), OpenAI.NotFoundError);
  });

  test(`${provider}: errors have the package's classes`, async () => {
    const ask = (behaviour) => client.responses.create({ model: `${provider}/${behaviour}`, input: "hi" });
    await assert.rejects(ask("sim-error-400"), OpenAI.BadRequestError);
    await assert.rejects(ask("sim-error-429"), OpenAI.RateLimitError);
  });
}
