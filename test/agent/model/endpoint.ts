import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { z } from "zod";

const requestSchema = z.looseObject({
  model: z.string(),
  messages: z.array(z.looseObject({ role: z.string(), content: z.unknown() })),
  tools: z.array(z.looseObject({ function: z.looseObject({ name: z.string() }) })).optional(),
});
export type Asked = z.infer<typeof requestSchema>;

/** One answer of the endpoint, as written in a test. */
export interface Turn {
  readonly text?: string;
  readonly tools?: readonly { readonly name: string; readonly arguments: string }[];
  /** An error of HTTP instead of an answer. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** The stream ends after its first half: by a broken connection, or as if it were whole. */
  readonly cut?: "broken" | "quiet";
  /** Nothing is answered. */
  readonly stall?: boolean;
  /** The endpoint counts no tokens. */
  readonly uncounted?: boolean;
  readonly finish?: string;
}

/** Tokens that every counted answer tells. */
export const COUNT = { prompt_tokens: 1000, completion_tokens: 200, cached: 400 } as const;

/** An endpoint with OpenAI's protocol on this machine that answers by a script: no model is in it. */
export class Endpoint {
  readonly asked: Asked[] = [];
  readonly keys: string[] = [];
  readonly #script: (asked: Asked, n: number) => Turn;
  readonly #server = createServer((request, response) => void this.#answer(request, response));
  url = "";

  constructor(script: (asked: Asked, n: number) => Turn) {
    this.#script = script;
  }

  async open(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    this.url = `http://127.0.0.1:${address.port}/v1`;
    return this;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = "";
    for await (const chunk of request) body += String(chunk);
    this.keys.push(request.headers.authorization ?? "");
    const asked = requestSchema.parse(JSON.parse(body));
    const n = this.asked.push(asked) - 1;
    const turn = this.#script(asked, n);
    if (turn.stall === true) return;
    if (turn.status !== undefined) {
      response.writeHead(turn.status, { "content-type": "application/json", ...turn.headers });
      response.end(
        JSON.stringify({ error: { message: turn.text ?? `status ${turn.status}`, type: "error" } }),
      );
      return;
    }
    response.writeHead(200, { "content-type": "text/event-stream" });
    const send = (delta: object, finish: string | null, more: object = {}): void => {
      const choices = [{ index: 0, delta, finish_reason: finish }];
      const head = { id: `answer-${n}`, object: "chat.completion.chunk", created: 1, model: asked.model };
      response.write(`data: ${JSON.stringify({ ...head, choices, ...more })}\n\n`);
    };
    const text = turn.text ?? "";
    send({ role: "assistant", content: text.slice(0, text.length / 2) }, null);
    if (turn.cut === "broken") {
      // What was written has to leave first.
      setTimeout(() => response.destroy(), 20);
      return;
    }
    if (turn.cut === "quiet") {
      response.end();
      return;
    }
    send({ content: text.slice(text.length / 2) }, null);
    for (const [index, tool] of (turn.tools ?? []).entries())
      send({ tool_calls: [{ index, id: `call-${n}-${index}`, type: "function", function: tool }] }, null);
    send({}, turn.finish ?? (turn.tools === undefined ? "stop" : "tool_calls"));
    if (turn.uncounted !== true) {
      const { prompt_tokens, completion_tokens, cached } = COUNT;
      const usage = {
        prompt_tokens,
        completion_tokens,
        total_tokens: prompt_tokens + completion_tokens,
        prompt_tokens_details: { cached_tokens: cached },
      };
      const head = { id: `answer-${n}`, object: "chat.completion.chunk", created: 1, model: asked.model };
      response.write(`data: ${JSON.stringify({ ...head, choices: [], usage })}\n\n`);
    }
    response.end("data: [DONE]\n\n");
  }
}

/** The text of a request's message. */
export function said(asked: Asked | undefined, index: number): string {
  const content = asked?.messages.at(index)?.content;
  return typeof content === "string" ? content : JSON.stringify(content);
}
