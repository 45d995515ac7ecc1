// Runs models in one runtime of Node: node runtime_runner.mjs PACKAGE [MODEL.onnx INPUTS.json OUTPUTS.json ...]
// Arrays are lists of numbers, with their types and shapes. It prints a line of JSON for each model: the version
// of the package, which is found in the folder that it is started in, and why it did not run.
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const [name, ...jobs] = process.argv.slice(2);
const require = createRequire(path.join(process.cwd(), "index.js"));
const runtime = require(name);
const classes = { float32: Float32Array, int64: BigInt64Array, bool: Uint8Array };

if (name === "onnxruntime-web") runtime.env.wasm.numThreads = 1;
const options = { executionProviders: [name === "onnxruntime-web" ? "wasm" : "cpu"], logSeverityLevel: 4 };
const root = path.join(process.cwd(), "node_modules", name, "package.json");
const { version } = JSON.parse(fs.readFileSync(root));

async function run(model, inputs, outputs) {
  const session = await runtime.InferenceSession.create(fs.readFileSync(model), options);
  const feeds = {};
  for (const [key, { type, shape, data }] of Object.entries(JSON.parse(fs.readFileSync(inputs)))) {
    const values = type === "int64" ? data.map(BigInt) : data;
    feeds[key] = new runtime.Tensor(type, classes[type].from(values), shape);
  }
  const found = {};
  for (const [key, tensor] of Object.entries(await session.run(feeds)))
    found[key] = { shape: tensor.dims, data: Array.from(tensor.data, Number) };
  fs.writeFileSync(outputs, JSON.stringify(found));
}

for (let index = 0; index < jobs.length; index += 3) {
  let reason = "";
  try {
    await run(...jobs.slice(index, index + 3));
  } catch (error) {
    reason = String(error);
  }
  console.log(JSON.stringify([version, reason]));
}
