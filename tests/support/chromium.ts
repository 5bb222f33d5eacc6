/**
 * A Chromium that a test drives, by the DevTools protocol.
 *
 * @see {@link https://chromedevtools.github.io/devtools-protocol/ | DevTools protocol}
 * @module
 */
import assert from "node:assert/strict";
import { command } from "./client_programs.ts";
import { TemporaryDirectory } from "./temporary_directory.ts";

/** Longest life of a browser, and of an answer, ms. */
const LIFE_MS = 150_000;
const ANSWER_MS = 20_000;

type Params = Readonly<Record<string, unknown>>;

interface Message {
  readonly id?: number;
  readonly sessionId?: string;
  readonly method?: string;
  readonly params?: Params;
  readonly result?: Params;
  readonly error?: { readonly message: string };
}

/** A browser without a window. */
export class Chromium implements AsyncDisposable {
  readonly #stack: AsyncDisposableStack;
  readonly #socket: WebSocket;
  readonly #answers = new Map<number, PromiseWithResolvers<Params>>();
  readonly #listeners = new Map<string, (message: Message) => void>();
  #nextId = 1;

  private constructor(socket: WebSocket, stack: AsyncDisposableStack) {
    this.#socket = socket;
    this.#stack = stack;
    socket.onmessage = ({ data }) => this.#onMessage(JSON.parse(String(data)));
  }

  /** Start one. @param lifeMs After so long it is ended, whatever it does. */
  static async start(lifeMs = LIFE_MS): Promise<Chromium> {
    await using stack = new AsyncDisposableStack();
    const home = stack.use(await TemporaryDirectory.create());
    const child = command("chromium", [
      ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"],
      ...["--no-first-run", "--disable-background-networking"],
      ...["--disable-component-update", "--disable-sync"],
      ...["--disable-dev-shm-usage", "--remote-debugging-port=0"],
      ...["--hide-scrollbars", "--force-color-profile=srgb"],
      `--user-data-dir=${home.pathOf("chromium")}`,
      "about:blank",
    ], {
      env: { HOME: home.path },
      stdout: "null",
      stderr: "piped",
      signal: AbortSignal.timeout(lifeMs),
    }).spawn();
    let rest = Promise.resolve();
    stack.defer(async () => {
      child.kill("SIGTERM");
      await child.status;
      await rest;
    });
    const debuggerPlace = await debuggerUrl(child.stderr);
    rest = debuggerPlace.rest;
    const socket = new WebSocket(debuggerPlace.url);
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = reject;
    });
    stack.defer(() =>
      new Promise((resolve) => {
        socket.onclose = () => resolve();
        socket.close();
      })
    );
    return new Chromium(socket, stack.move());
  }

  /** Open a tab: in a window of its own, or before the last one, which is hidden then. */
  async newTab(
    where: "own window" | "last window" = "own window",
  ): Promise<Tab> {
    const { targetId } = await this.send("Target.createTarget", {
      url: "about:blank",
      newWindow: where === "own window",
    });
    const { sessionId } = await this.send("Target.attachToTarget", {
      targetId,
      flatten: true,
    });
    assert.ok(typeof sessionId === "string");
    const tab = new Tab(this, sessionId);
    this.#listeners.set(sessionId, (message) => tab.onMessage(message));
    await tab.send("Page.enable");
    await tab.send("Network.enable");
    await tab.send("Runtime.enable");
    return tab;
  }

  /** Ask the browser, or one of its tabs. */
  async send(
    method: string,
    params: Params = {},
    sessionId?: string,
  ): Promise<Params> {
    const id = this.#nextId++;
    const answer = Promise.withResolvers<Params>();
    this.#answers.set(id, answer);
    this.#socket.send(JSON.stringify({ id, method, params, sessionId }));
    const late = setTimeout(
      () => answer.reject(new Error(`Chromium does not answer ${method}`)),
      ANSWER_MS,
    );
    try {
      return await answer.promise;
    } finally {
      clearTimeout(late);
      this.#answers.delete(id);
    }
  }

  #onMessage(message: Message): void {
    const { id, sessionId, result, error } = message;
    if (id === undefined) {
      this.#listeners.get(sessionId ?? "")?.(message);
    } else if (error !== undefined) {
      this.#answers.get(id)?.reject(new Error(error.message));
    } else {
      this.#answers.get(id)?.resolve(result ?? {});
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/** One tab. */
export class Tab {
  /** Addresses that it asked for. */
  readonly requests: string[] = [];
  /** What its scripts failed with, and what its policy refused. */
  readonly faults: string[] = [];
  readonly #browser: Chromium;
  readonly #sessionId: string;

  constructor(browser: Chromium, sessionId: string) {
    this.#browser = browser;
    this.#sessionId = sessionId;
  }

  /** For the browser alone. */
  onMessage({ method, params }: Message): void {
    const text = JSON.stringify(params);
    if (method === "Network.requestWillBeSent") {
      const { request } = params as { request: { url: string } };
      this.requests.push(request.url);
    } else if (method === "Runtime.exceptionThrown") this.faults.push(text);
  }

  send(method: string, params: Params = {}): Promise<Params> {
    return this.#browser.send(method, params, this.#sessionId);
  }

  async open(url: string): Promise<void> {
    await this.send("Page.navigate", { url });
  }

  /** The value of an expression in the page; promises are awaited. */
  async evaluate(expression: string): Promise<unknown> {
    const answer = await this.send("Runtime.evaluate", {
      expression,
      awaitPromise: true,
      returnByValue: true,
    });
    const { result, exceptionDetails } = answer as {
      result: { value?: unknown };
      exceptionDetails?: unknown;
    };
    assert.equal(exceptionDetails, undefined, JSON.stringify(exceptionDetails));
    return result.value;
  }

  /** Wait until an expression is true; pages that change meanwhile are asked anew. */
  async until(expression: string): Promise<void> {
    const code = `new Promise((resolve) => {
      const look = () => (${expression}) ? resolve(true) : setTimeout(look, 50);
      look();
    })`;
    for (let triesLeft = 5;; triesLeft--) {
      try {
        await this.evaluate(code);
        return;
      } catch (error) {
        const isGone = /navigated|context|Cannot find/i.test(String(error));
        if (!isGone || triesLeft === 0) {
          throw new Error(`It never became true: ${expression}`, {
            cause: error,
          });
        }
      }
    }
  }

  /** A picture of what is seen, as PNG. */
  async screenshot(): Promise<Uint8Array<ArrayBuffer>> {
    const { data } = await this.send("Page.captureScreenshot", {
      format: "png",
    });
    return Uint8Array.fromBase64(String(data));
  }
}

/** Chromium says where to drive it; what it says later is read and forgotten. */
async function debuggerUrl(
  stderr: ReadableStream<Uint8Array<ArrayBuffer>>,
): Promise<{ readonly url: string; readonly rest: Promise<void> }> {
  const reader = stderr.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`Chromium ended: ${text}`);
    text += value;
    const url = /DevTools listening on (ws:\S+)/.exec(text)?.[1];
    if (url === undefined) continue;
    const drain = async () => {
      while (!(await reader.read()).done);
    };
    return { url, rest: drain() };
  }
}
