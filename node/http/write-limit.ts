import { RequestRefused } from './failure.ts';

const WRITES_MAX = 128;
const WRITES_PER_CREDENTIAL_MAX = 32;

/** Bounds the writes that are under way, of all and of each credential. */
export class WriteLimit {
  readonly #counts: Map<string, number> = new Map();
  #count = 0;

  /** Begins a write; the returned function ends it, once. errors: RequestRefused 429 or 503 */
  begin(credentialId: string): () => void {
    const own = this.#counts.get(credentialId) ?? 0;
    if (own >= WRITES_PER_CREDENTIAL_MAX) {
      throw new RequestRefused(429, 'Too many writes in flight', 'too_many_in_flight_writes');
    }
    if (this.#count >= WRITES_MAX) throw new RequestRefused(503, 'Server is busy', 'server_busy');
    this.#counts.set(credentialId, own + 1);
    this.#count += 1;
    return () => this.#end(credentialId);
  }

  #end(credentialId: string): void {
    const left = this.#counts.get(credentialId)! - 1;
    if (left === 0) this.#counts.delete(credentialId);
    else this.#counts.set(credentialId, left);
    this.#count -= 1;
  }
}
