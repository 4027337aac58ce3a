import type { BaseMessage } from "@langchain/core/messages";
import type { Tokens } from "./prices.ts";

/** Text of one message kept at most: a transcript is for people to read and for replay, not an archive of documents. */
const MESSAGE = 200_000;

export interface Exchange {
  readonly run: string;
  readonly claim: string;
  readonly model: string;
  readonly proposer: string;
  readonly system: string;
  readonly messages: readonly BaseMessage[];
  readonly tokens: Tokens;
  readonly tokensEstimated: boolean;
  readonly cost: number | undefined;
  readonly seconds: number;
  /** Requests that were made again, and why. */
  readonly waits: readonly string[];
}

/** The exchange that led to a child, as JSON; `secret` is taken out wherever it stands. */
export function transcriptOf(exchange: Exchange, secret: string): string {
  const { messages, tokens, ...head } = exchange;
  const text = JSON.stringify(
    {
      ...head,
      cost: exchange.cost ?? null,
      usage: { input_tokens: tokens.input, cached_tokens: tokens.cached, output_tokens: tokens.output },
      messages: messages.map((message) => ({
        role: message.type,
        ...(message.name === undefined ? {} : { name: message.name }),
        content: message.text.slice(0, MESSAGE),
        ...("tool_calls" in message && Array.isArray(message.tool_calls) && message.tool_calls.length > 0
          ? { tool_calls: message.tool_calls }
          : {}),
        ...("tool_call_id" in message ? { tool_call_id: message.tool_call_id } : {}),
      })),
    },
    null,
    1,
  );
  return secret.length < 8 ? text : text.replaceAll(secret, "[key]");
}
