// Waiting, and knowing the time.

/** Waits, unless it is called off before: then it throws, as a fetch that is called off does. */
export function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const calledOff = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", calledOff);
      resolve();
    }, ms);
    if (signal?.aborted) calledOff();
    signal?.addEventListener("abort", calledOff, { once: true });
  });
}

/** Returns the time in milliseconds since 1970, finer than Date.now(). */
export const clock = () => performance.timeOrigin + performance.now();
