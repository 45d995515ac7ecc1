// Runs a model once in onnxruntime-node, and prints its outputs.
//
//     npm install onnxruntime-node
//     node run_model.mjs model.onnx 1,3,224,224
//
// The model has one input, of float32. onnxruntime-node takes no library of operators, so a file of
// graphopt runs by the bodies that it carries, which ONNX Runtime fuses to its own kernels.

import { InferenceSession, Tensor } from "onnxruntime-node";

const [model, text] = process.argv.slice(2);
const sizes = (text ?? "").split(",").map(Number);
if (!sizes.every((size) => Number.isInteger(size) && size > 0)) {
  console.error("run_model: give MODEL SIZES, such as model.onnx 1,8,64");
  process.exit(1);
}
const session = await InferenceSession.create(model, { intraOpNumThreads: 1 });
const count = sizes.reduce((product, size) => product * size, 1);
const entries = Float32Array.from({ length: count }, (_, i) => (i % 7) - 3);
const results = await session.run({
  [session.inputNames[0]]: new Tensor("float32", entries, sizes),
});
for (const name of session.outputNames) {
  const { dims, data } = results[name];
  console.log(`${[name, ...dims].join(" ")}: ${Array.from(data).join(" ")}`);
}
