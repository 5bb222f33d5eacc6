/**
 * Hearing of an abort for as long as something lasts.
 *
 * @module
 */

/**
 * Call `listener` with the reason once `signal` aborts, or now when it has. A
 * signal outlives what listens to it: dispose, or listeners pile up.
 */
export function onAbort(
  signal: AbortSignal,
  listener: (reason: unknown) => void,
): Disposable {
  const onEvent = () => listener(signal.reason);
  if (signal.aborted) onEvent();
  else signal.addEventListener("abort", onEvent, { once: true });
  return {
    [Symbol.dispose]: () => signal.removeEventListener("abort", onEvent),
  };
}
