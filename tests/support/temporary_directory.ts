/**
 * A directory that is gone when the test is over.
 *
 * @module
 */

/** A fresh directory, 0700, removed with all that is in it on dispose. */
export class TemporaryDirectory implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async create(): Promise<TemporaryDirectory> {
    return new TemporaryDirectory(
      await Deno.makeTempDir({ prefix: "anonnet-" }),
    );
  }

  /** Path of something in it. */
  pathOf(name: string): string {
    return `${this.path}/${name}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (let triesLeft = 3;; triesLeft--) {
      try {
        return await Deno.remove(this.path, { recursive: true });
      } catch (error) {
        // A browser that was ended still has helpers, which write to the last.
        if (triesLeft === 0 || !isNotEmpty(error)) throw error;
      }
    }
  }
}

function isNotEmpty(error: unknown): boolean {
  return error instanceof Error && /not empty/i.test(error.message);
}
