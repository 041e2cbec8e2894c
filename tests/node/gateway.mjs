// Starts the simulator and the gateway for the Node tests, and stops them when the tests are done.
//
// The packages live outside the repository (TOLLGATE_NODE_PACKAGES); the binary is TOLLGATE_BIN.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const binary = process.env.TOLLGATE_BIN ?? join(root, "target/debug/tollgate");
const packages = process.env.TOLLGATE_NODE_PACKAGES ?? join(root, "target/test-env/node");
const require = createRequire(join(packages, "package.json"));

// A package of the tests' own folder, whatever its kind of modules.
export const load = (name) => import(pathToFileURL(require.resolve(name)).href);
export const OpenAI = require("openai").default ?? require("openai");
export const masterKey = "sk-node-master";
export const providers = ["openai", "anthropic", "gemini", "bedrock", "cohere", "openai-responses"];
const readySeconds = 30;

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  return port;
}

function environment() {
  const { PATH, HOME } = process.env;
  return { PATH, HOME };
}

async function start(folder, name, args, port, path) {
  const log = join(folder, `${name}.log`);
  const sink = openSync(log, "w");
  const child = spawn(binary, args, { cwd: folder, env: environment(), stdio: ["ignore", sink, sink] });
  const end = Date.now() + readySeconds * 1000;
  for (;;) {
    const reply = await fetch(`http://127.0.0.1:${port}${path}`).catch(() => undefined);
    if (reply) return child;
    if (child.exitCode !== null || Date.now() > end) {
      child.kill("SIGKILL");
      throw new Error(`${name} did not start:\n${readFileSync(log, "utf8")}`);
    }
    await sleep(20);
  }
}

function config(simulator) {
  const row = (name, base) => `
  - model_name: "${name}/*"
    litellm_params: {model: "${name}/*", api_base: "${simulator}${base}", api_key: "sk-simulated"}`;
  return `model_list:${row("openai", "/v1")}${row("anthropic", "")}${row("gemini", "")}${row("cohere", "/cohere")}
  - model_name: "openai-responses/*"
    litellm_params: {model: "openai/responses/*", api_base: "${simulator}/v1", api_key: "sk-simulated"}
  - model_name: "bedrock/*"
    litellm_params:
      model: "bedrock/*"
      api_base: "${simulator}"
      aws_region_name: "eu-central-1"
      aws_access_key_id: "AKIASIMULATED0000001"
      aws_secret_access_key: "simulated/secret/of/forty/characters/001"
general_settings:
  master_key: "${masterKey}"
`;
}

// A gateway before a simulator: its URL, and the function that ends both.
export async function gateway() {
  const folder = mkdtempSync(join(tmpdir(), "tollgate-node-"));
  const children = [];
  const stop = async () => {
    for (const child of children) {
      if (child.exitCode === null) {
        child.kill("SIGTERM");
        await Promise.race([once(child, "exit"), sleep(5000).then(() => child.kill("SIGKILL"))]);
      }
    }
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const upstream = await freePort();
    children.push(await start(folder, "simulator", ["simulator", "--port", `${upstream}`], upstream, "/v1/models"));
    const file = join(folder, "config.yaml");
    writeFileSync(file, config(`http://127.0.0.1:${upstream}`));
    const port = await freePort();
    const args = ["serve", "--config", file, "--host", "127.0.0.1", "--port", `${port}`];
    children.push(await start(folder, "gateway", args, port, "/health/liveliness"));
    return { url: `http://127.0.0.1:${port}`, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
