import { type BaseMessage, HumanMessage, type MessageContent, ToolMessage } from "@langchain/core/messages";
import { z } from "zod";
import { errorMessage } from "../../domain/errors.ts";
import { estimateTokens } from "../../evolution/operator/tokens.ts";
import { CutAnswer, failureIn, withRetries } from "./failure.ts";
import { addTokens, NO_TOKENS, type Tokens } from "./prices.ts";
import type { ModelSettings } from "./settings.ts";
import { loaded, type ServerTools } from "./tools.ts";

/** What one conversation came to. */
export interface Conversation {
  readonly messages: readonly BaseMessage[];
  /** The text of the model's last message. */
  readonly text: string;
  /** The last message ended at the limit of tokens. */
  readonly full: boolean;
}

const usageMetadata = z.object({
  input_tokens: z.number().min(0),
  output_tokens: z.number().min(0),
  input_token_details: z.object({ cache_read: z.number().min(0).optional() }).optional(),
});

/** What is counted while a conversation goes on, also when it fails. */
export class Meter {
  tokens: Tokens = NO_TOKENS;
  /** An answer came without a count, and was counted by its characters. */
  estimated = false;
  readonly waits: string[] = [];

  /** One answer, by what the endpoint says of it; `usage` as LangChain tells it, `text` all that the model wrote. */
  count(asked: readonly BaseMessage[], usage: unknown, text: string): void {
    const { data } = usageMetadata.safeParse(usage);
    if (data !== undefined && data.input_tokens + data.output_tokens > 0) {
      this.tokens = addTokens(this.tokens, {
        input: data.input_tokens,
        output: data.output_tokens,
        cached: data.input_token_details?.cache_read ?? 0,
      });
      return;
    }
    this.estimated = true;
    const input = asked.reduce((sum, message) => sum + estimateTokens(message.text), 0);
    const output = estimateTokens(text);
    this.tokens = addTokens(this.tokens, { input, output, cached: 0 });
  }
}

/** Asks one model: LangChain's agent with the server's tools. */
export class Chat {
  readonly #settings: ModelSettings;
  readonly #tools: ServerTools | undefined;
  readonly #system: string;

  constructor(settings: ModelSettings, tools: ServerTools | undefined, system: string) {
    this.#settings = settings;
    this.#tools = tools;
    this.#system = system;
  }

  /**
   * Goes on with a conversation until the model answers without calling a tool.
   * @throws ModelFailure; the signal's reason when it aborts
   */
  async ask(
    model: string,
    messages: readonly BaseMessage[],
    meter: Meter,
    signal: AbortSignal,
    waiting: (why: string) => void,
  ): Promise<Conversation> {
    const [{ createAgent, createMiddleware }, { ChatOpenAICompletions }] = await Promise.all([
      loaded(import("langchain"), "langchain"),
      loaded(import("@langchain/openai"), "@langchain/openai"),
    ]);
    const { baseUrl, apiKey, requestSeconds, maxTokens, temperature, toolCalls, retries, backoffMs } =
      this.#settings;
    /** The library would fetch a tokenizer from a third party to count what the endpoint counts itself. */
    class Completions extends ChatOpenAICompletions {
      override async getNumTokens(content: MessageContent): Promise<number> {
        return estimateTokens(typeof content === "string" ? content : JSON.stringify(content));
      }
    }
    const chat = new Completions({
      model,
      apiKey,
      maxTokens,
      // Requests are made again below, with the waits that the endpoint asks for.
      maxRetries: 0,
      timeout: requestSeconds * 1000,
      streaming: true,
      streamUsage: true,
      ...(temperature === undefined ? {} : { temperature }),
      ...(baseUrl === undefined ? {} : { configuration: { baseURL: baseUrl } }),
    });
    let full = false;
    let called = 0;
    const guard = createMiddleware({
      name: "KernelEvolveGuard",
      wrapModelCall: async (request, handler) => {
        const answer = await withRetries(
          async () => {
            const made = await handler(request);
            const calls = JSON.stringify(made.tool_calls ?? []);
            meter.count(request.messages, made.usage_metadata, `${made.text}${calls}`);
            const finish: unknown = made.response_metadata.finish_reason;
            if (typeof finish !== "string")
              throw new CutAnswer("the stream ended before the answer was whole");
            full = finish === "length";
            return made;
          },
          {
            retries,
            backoffMs,
            signal,
            waiting: (why, ms) => {
              meter.waits.push(`${why}; again in ${(ms / 1000).toFixed(1)} s`);
              waiting(`${model}: ${why}; again in ${(ms / 1000).toFixed(0)} s`);
            },
          },
        );
        return answer;
      },
      // A call that fails is told to the model: its arguments may be wrong.
      wrapToolCall: async (request, handler) => {
        const refused = (content: string): ToolMessage =>
          new ToolMessage({
            content,
            tool_call_id: request.toolCall.id ?? "",
            name: request.toolCall.name,
            status: "error",
          });
        called += 1;
        if (called > toolCalls) return refused("error: no calls are left; answer with the kernel now");
        try {
          return await handler(request);
        } catch (error) {
          signal.throwIfAborted();
          return refused(`error: ${errorMessage(error).slice(0, 2000)}`);
        }
      },
    });
    const agent = createAgent({
      model: chat,
      tools: [...(this.#tools?.tools ?? [])],
      systemPrompt: this.#system,
      middleware: [guard],
    });
    const result = await agent
      .invoke({ messages: [...messages] }, { signal, recursionLimit: 10 + 6 * (toolCalls + 2) })
      .catch((error: unknown) => {
        signal.throwIfAborted();
        throw failureIn(error) ?? error;
      });
    const last = result.messages.at(-1);
    return { messages: result.messages, text: last?.text ?? "", full };
  }
}

/** A turn of ours. */
export function told(text: string): HumanMessage {
  return new HumanMessage(text);
}
