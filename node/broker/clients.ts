import type { LocalConnection } from './connection.ts';

/** Connection numbers are u32 on the wire. */
const NUMBER_MAX = 0xffff_ffff;

/** The open connections of the binary transports, by the number that clients see. */
export class Clients {
  readonly #connections = new Map<number, LocalConnection>();
  #last = 0;

  /** A number that no open connection has. Numbers come again only after all others were used. */
  nextNumber(): number {
    do {
      this.#last = this.#last === NUMBER_MAX ? 1 : this.#last + 1;
    } while (this.#connections.has(this.#last));
    return this.#last;
  }

  add(connection: LocalConnection): void {
    this.#connections.set(connection.id, connection);
  }

  remove(connection: LocalConnection): void {
    this.#connections.delete(connection.id);
  }

  get(number: number): LocalConnection | null {
    return this.#connections.get(number) ?? null;
  }

  all(): IterableIterator<LocalConnection> {
    return this.#connections.values();
  }

  /** Those that said something: what statistics and lists show. */
  heard(): readonly LocalConnection[] {
    return [...this.#connections.values()].filter((connection) => connection.isHeard);
  }
}
