// The Vercel AI SDK with its own package for each dialect, each with every provider behind the gateway.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { gateway, load, masterKey, providers } from "./gateway.mjs";

const { APICallError, embedMany, generateText, isStepCount, Output, streamText, tool } = await load("ai");
const { createOpenAI } = await load("@ai-sdk/openai");
const { createAnthropic } = await load("@ai-sdk/anthropic");
const { createGoogleGenerativeAI } = await load("@ai-sdk/google");
const { createAmazonBedrock } = await load("@ai-sdk/amazon-bedrock");
const { createCohere } = await load("@ai-sdk/cohere");
const { z } = await load("zod");

let server;

const dialects = {
  chat: (model, apiKey) => createOpenAI({ baseURL: `${server.url}/v1`, apiKey }).chat(model),
  responses: (model, apiKey) => createOpenAI({ baseURL: `${server.url}/v1`, apiKey })(model),
  anthropic: (model, apiKey) => createAnthropic({ baseURL: `${server.url}/v1`, apiKey })(model),
  google: (model, apiKey) => createGoogleGenerativeAI({ baseURL: `${server.url}/v1beta`, apiKey })(model),
  bedrock: (model, apiKey) => createAmazonBedrock({ baseURL: server.url, apiKey, region: "eu-central-1" })(model),
  cohere: (model, apiKey) => createCohere({ baseURL: `${server.url}/v2`, apiKey })(model),
};

// The package waits and tries again by itself unless it is told not to.
const once = { maxRetries: 0 };
const picture =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

before(async () => {
  server = await gateway();
});

after(async () => {
  await server?.stop();
});

// The package throws within the stream only when it is told to.
async function textOf(stream) {
  let text = "";
  let parts = 0;
  for await (const part of stream.textStream) {
    text += part;
    parts += 1;
  }
  return { text, parts };
}

for (const [dialect, make] of Object.entries(dialects)) {
  for (const provider of providers) {
    const model = (behaviour) => make(`${provider}/${behaviour}`, masterKey);
    const name = `${dialect} with ${provider}`;

    test(`${name}: text is generated and counted`, async () => {
      const reply = await generateText({ model: model("gpt-plain"), prompt: "good day", ...once });
      assert.match(reply.text, /good day/);
      assert.equal(reply.finishReason, "stop");
      assert.ok(reply.usage.inputTokens > 0 && reply.usage.outputTokens > 0);
    });

    test(`${name}: text is streamed in parts`, async () => {
      const stream = streamText({ model: model("gpt-plain"), prompt: "good day", ...once });
      const { text, parts } = await textOf(stream);
      assert.match(text, /good day/);
      assert.ok(parts > 1, "the answer came in one piece");
      assert.equal(await stream.finishReason, "stop");
      assert.ok((await stream.usage).outputTokens > 0);
    });

    for (const streamed of [false, true]) {
      test(`${name}: tools run until the answer, ${streamed ? "streamed" : "plain"}`, async () => {
        const asked = [];
        const schema = z.object({ city: z.string() });
        const tools = {
          get_weather: tool({
            description: "The weather in a city.",
            inputSchema: schema,
            execute: async ({ city }) => {
              asked.push(city);
              return "sunny, seventeen degrees";
            },
          }),
        };
        const settings = { model: model("sim-tools"), prompt: "weather in Paris?", tools, ...once };
        const arguments_ = { ...settings, stopWhen: isStepCount(3) };
        if (streamed) {
          const stream = streamText(arguments_);
          assert.match((await textOf(stream)).text, /seventeen/);
          assert.equal((await stream.steps).length, 2);
        } else {
          const reply = await generateText(arguments_);
          assert.match(reply.text, /seventeen/);
          assert.equal(reply.steps.length, 2);
        }
        assert.equal(asked.length, 1);
      });
    }

    // Cohere's models say before a call what they plan, which the package for Bedrock takes for part of the object.
    if (dialect !== "bedrock" || provider !== "cohere") {
      test(`${name}: an object keeps its schema`, async () => {
        const schema = z.object({ name: z.string(), tags: z.array(z.string()) });
        const output = Output.object({ schema });
        const reply = await generateText({ model: model("gpt-plain"), prompt: "Paris, as JSON", output, ...once });
        assert.equal(typeof reply.output.name, "string");
      });
    }

    if (dialect !== "cohere") {
      test(`${name}: a picture is taken`, async () => {
        const content = [
          { type: "text", text: "what is it, pic-n5?" },
          { type: "file", data: picture, mediaType: "image/png" },
        ];
        const messages = [{ role: "user", content }];
        const reply = await generateText({ model: model("gpt-plain"), messages, ...once });
        assert.match(reply.text, /pic-n5/);
      });
    }

    test(`${name}: a provider's error keeps its status`, async () => {
      for (const status of [400, 429, 500]) {
        const asked = generateText({ model: model(`sim-error-${status}`), prompt: "hi", ...once });
        await assert.rejects(asked, (error) => APICallError.isInstance(error) && error.statusCode === status);
      }
    });
  }

  test(`${dialect}: a wrong key is refused`, async () => {
    const asked = generateText({ model: make("openai/gpt-plain", "sk-invalid"), prompt: "hi", ...once });
    await assert.rejects(asked, (error) => APICallError.isInstance(error) && [401, 403].includes(error.statusCode));
  });
}

test("texts are embedded", async () => {
  const openai = createOpenAI({ baseURL: `${server.url}/v1`, apiKey: masterKey });
  const model = openai.embedding("openai/text-embedding-3-small");
  const { embeddings } = await embedMany({ model, values: ["one", "two"] });
  assert.equal(embeddings.length, 2);
});
