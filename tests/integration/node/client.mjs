// The official OpenAI client for Node.js against a running server; exits non-zero on a surprise.
//   node client.mjs URL TOKEN
import assert from "node:assert/strict";
import OpenAI from "openai";

const [url, token] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}/serving-endpoints`, apiKey: token, maxRetries: 0 });
const model = "smollm2-135m-instruct";
const messages = [{ role: "user", content: "What is the capital of France? Answer in one word." }];

const plain = await client.chat.completions.create({ model, messages, max_tokens: 16, temperature: 0 });
assert.match(plain.choices[0].message.content, /Paris/);

let text = "";
let usage;
const stream = await client.chat.completions.create({
  model, messages, max_tokens: 16, temperature: 0, stream: true, stream_options: { include_usage: true },
});
for await (const chunk of stream) {
  text += chunk.choices[0]?.delta?.content ?? "";
  usage = chunk.usage ?? usage;
}
assert.equal(text, plain.choices[0].message.content);
assert.deepEqual(usage.total_tokens, plain.usage.total_tokens);

const completion = await client.completions.create({ model, prompt: "Once upon a time", max_tokens: 4 });
assert.equal(completion.object, "text_completion");

const embedding = await client.embeddings.create({ model: "all-minilm-l6-v2", input: ["a", "b"] });
assert.equal(embedding.data.length, 2);
assert.equal(embedding.data[0].embedding.length, 384);

const ids = [];
for await (const item of await client.models.list()) ids.push(item.id);
assert.ok(ids.includes(model));

await assert.rejects(client.chat.completions.create({ model: "nope", messages }), (error) => {
  assert.equal(error.status, 404);
  assert.match(error.message, /'nope' does not exist/);
  return true;
});
await assert.rejects(client.chat.completions.create({ model, messages, temperature: 9 }), (error) => {
  assert.equal(error.status, 400);
  assert.match(error.message, /temperature/);
  return true;
});
console.log("ok");
