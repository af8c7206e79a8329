import type { Pool } from '../base/pool.ts';
import type { Kernel } from '../kernel/kernel.ts';

/**
 * XXH3-128 of a body into 16 bytes, wherever the body lies.
 *
 * cost     no copy for a body in the pool, one copy through the kernel's scratch for others
 */
export function digestBody(
  dependencies: { readonly kernel: Kernel; readonly pool: Pool },
  body: Uint8Array,
  out: Uint8Array,
): void {
  const { kernel } = dependencies;
  kernel.hash128Of(body, out);
}
