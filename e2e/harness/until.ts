import { setTimeout as wait } from 'node:timers/promises';

const LOOK_EVERY_MS = 20;

/**
 * Waits until `look` gives something other than null or false, and returns it.
 *
 * errors   Error naming `what` when `secondsMax` are over
 */
export async function until<T>(
  what: string,
  look: () => T | null | false | Promise<T | null | false>,
  secondsMax = 30,
): Promise<T> {
  const endMs = performance.now() + secondsMax * 1000;
  for (;;) {
    const found = await look();
    if (found !== null && found !== false) return found;
    if (performance.now() > endMs) throw new Error(`waited ${secondsMax} s in vain: ${what}`);
    await wait(LOOK_EVERY_MS);
  }
}
