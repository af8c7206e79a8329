import assert from 'node:assert/strict';
import type { Identifier } from '@iggy-ts/wire/commands/values';

interface Named {
  readonly id: number;
  name: string;
}

/**
 * Things with a number and a unique name. The lowest free number is given out next; a table whose
 * numbers only grow is told so.
 *
 * cost     look-ups: one map; list: sorted once after each change
 */
export class NamedTable<T extends Named> {
  readonly #byId = new Map<number, T>();
  readonly #byName = new Map<string, T>();
  readonly #reusesIds: boolean;
  /** Reusing: no free id lies below. Growing: the next id. */
  #idNext: number;
  #list: readonly T[] | null = null;

  constructor(options: { readonly reusesIds: boolean; readonly idNext?: number }) {
    this.#reusesIds = options.reusesIds;
    this.#idNext = options.idNext ?? 0;
  }

  get size(): number {
    return this.#byId.size;
  }

  /** The id the next thing gets. */
  get idNext(): number {
    if (this.#reusesIds) while (this.#byId.has(this.#idNext)) this.#idNext += 1;
    return this.#idNext;
  }

  get(id: number): T | null {
    return this.#byId.get(id) ?? null;
  }

  byName(name: string): T | null {
    return this.#byName.get(name) ?? null;
  }

  find(identifier: Identifier): T | null {
    return identifier.kind === 'id' ? this.get(identifier.id) : this.byName(identifier.name);
  }

  /** All, by ascending id. */
  list(): readonly T[] {
    this.#list ??= [...this.#byId.values()].sort((left, right) => left.id - right.id);
    return this.#list;
  }

  /** Takes a thing with a free name in; a growing table takes ids in ascending order. */
  add(thing: T): void {
    assert(!this.#byId.has(thing.id));
    assert(!this.#byName.has(thing.name));
    this.#byId.set(thing.id, thing);
    this.#byName.set(thing.name, thing);
    if (!this.#reusesIds) this.#idNext = Math.max(this.#idNext, thing.id + 1);
    this.#list = null;
  }

  /** Gives a thing a name that is free or its own. */
  rename(thing: T, name: string): void {
    const holder = this.byName(name);
    assert(holder === null || holder === thing);
    this.#byName.delete(thing.name);
    thing.name = name;
    this.#byName.set(name, thing);
  }

  delete(thing: T): void {
    assert(this.#byId.get(thing.id) === thing);
    this.#byId.delete(thing.id);
    this.#byName.delete(thing.name);
    if (this.#reusesIds) this.#idNext = Math.min(this.#idNext, thing.id);
    this.#list = null;
  }

  checkInvariants(): void {
    assert.equal(this.#byId.size, this.#byName.size);
    for (const [id, thing] of this.#byId) {
      assert.equal(thing.id, id);
      assert(this.#byName.get(thing.name) === thing);
      if (!this.#reusesIds) assert(id < this.#idNext);
    }
    const free = this.idNext;
    assert(!this.#byId.has(free));
    if (this.#reusesIds) for (let id = 0; id < free; id += 1) assert(this.#byId.has(id));
  }
}
