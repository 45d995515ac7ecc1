// Prints the embeddings of transformers.js, as JSON; runs where it is installed.
// Usage: node use_transformers.mjs DIRECTORY...
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(path.join(process.cwd(), "package.json"));
const { env, pipeline } = await import(pathToFileURL(require.resolve("@huggingface/transformers")));

const TEXTS = ["the norm of a residual stream has no mean", "the mean to remove"];
const found = [];
env.allowRemoteModels = false;
for (const directory of process.argv.slice(2)) {
  env.localModelPath = path.dirname(directory);
  const extract = await pipeline("feature-extraction", path.basename(directory), { dtype: "fp32" });
  found.push((await extract(TEXTS, { pooling: "mean" })).tolist());
}
console.log(JSON.stringify(found));
