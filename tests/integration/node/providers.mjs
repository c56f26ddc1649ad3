// The official OpenAI client for Node.js against endpoints on external models, cell by cell.
//   node providers.mjs URL TOKEN '[["anthropic", "chat"], …]'
// Prints a line of JSON per cell: {"cell": "anthropic chat", "error": null or what was wrong}.
import assert from "node:assert/strict";
import OpenAI from "openai";

const [url, token, cells] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}/serving-endpoints`, apiKey: token, maxRetries: 0 });
const PLAIN = "One and one is two."; // what the mock answers unless told otherwise
const tools = [
  { type: "function", function: { name: "get_stock", description: "Units on hand", parameters: {
    type: "object", properties: { sku: { type: "string" } }, required: ["sku"] } } },
];
const say = (content) => [{ role: "user", content }];

// A stream folded: text, calls by index, finish reasons, usage.
async function fold(request) {
  const told = { text: "", calls: [], finish: [], usage: undefined };
  const ids = new Set();
  let last;
  for await (const chunk of await client.chat.completions.create({
    ...request, stream: true, stream_options: { include_usage: true },
  })) {
    last = chunk;
    ids.add(chunk.id);
    told.usage = chunk.usage ?? told.usage;
    for (const { delta, finish_reason } of chunk.choices) {
      told.text += delta.content ?? "";
      if (finish_reason) told.finish.push(finish_reason);
      for (const call of delta.tool_calls ?? []) {
        const known = (told.calls[call.index] ??= { id: call.id, name: call.function.name, arguments: "" });
        known.arguments += call.function.arguments ?? "";
      }
    }
  }
  assert.equal(ids.size, 1);
  assert.deepEqual(last.choices, []);
  return told;
}

const tests = {
  async chat(name) {
    const request = { model: `${name}-chat`, messages: say("1+1?") };
    const answer = await client.chat.completions.create(request);
    assert.equal(answer.object, "chat.completion");
    assert.equal(answer.choices[0].message.content, PLAIN);
    assert.equal(answer.choices[0].finish_reason, "stop");
    assert.ok(answer.usage.prompt_tokens > 0 && answer.usage.completion_tokens > 0);
  },
  async chat_stream(name) {
    const told = await fold({ model: `${name}-chat`, messages: say("1+1?") });
    assert.equal(told.text, PLAIN);
    assert.deepEqual([told.calls, told.finish], [[], ["stop"]]);
    assert.ok(told.usage.prompt_tokens > 0 && told.usage.completion_tokens > 0);
  },
  async two_tools_stream(name) {
    const request = { model: `${name}-chat`, messages: say("Stock? [[two-tools]]"), tools };
    const told = await fold(request);
    assert.deepEqual(told.finish, ["tool_calls"]);
    assert.deepEqual(told.calls.map((call) => call.name), ["get_stock", "get_stock"]);
    assert.deepEqual(told.calls.map((call) => JSON.parse(call.arguments)), [{ sku: "B-7" }, { sku: "C-9" }]);
    assert.equal(new Set(told.calls.map((call) => call.id)).size, 2);
    // The SDK's own accumulator agrees.
    const final = await client.chat.completions.stream(request).finalChatCompletion();
    assert.deepEqual(final.choices[0].message.tool_calls.map((call) => JSON.parse(call.function.arguments)),
      [{ sku: "B-7" }, { sku: "C-9" }]);
  },
  async embeddings(name) {
    const answer = await client.embeddings.create({ model: `${name}-embeddings`, input: ["red", "blue"] });
    assert.deepEqual(answer.data.map((item) => Array.from(item.embedding)), [[3, 1, -0.25], [4, 1, -0.25]]);
    assert.deepEqual(answer.data.map((item) => item.index), [0, 1]);
    assert.ok(answer.usage.prompt_tokens > 0);
  },
  async completions(name) {
    const request = { model: `${name}-completions`, prompt: "The sky is", max_tokens: 16 };
    const answer = await client.completions.create(request);
    assert.equal(answer.choices[0].text, ` ${PLAIN}`);
    assert.equal(answer.choices[0].finish_reason, "stop");
    let text = "";
    for await (const chunk of await client.completions.create({ ...request, stream: true })) {
      for (const choice of chunk.choices) text += choice.text;
    }
    assert.equal(text, ` ${PLAIN}`);
  },
};

for (const [name, test] of JSON.parse(cells)) {
  let error = null;
  try {
    await tests[test](name);
  } catch (caught) {
    error = caught.stack ?? String(caught);
  }
  console.log(JSON.stringify({ cell: `${name} ${test}`, error }));
}
