import type { Identifier } from '@iggy-ts/wire/commands/values';
import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import { RequestRefused } from './failure.ts';
import { u64Of, u64OfText } from './json-text.ts';

// What clients write into paths, queries and bodies, taken apart one member at a time.

const U32_MAX = 0xffff_ffff;
const NAME_BYTES_MAX = 255;

/** Digits that are a u32 are a number, everything else a name. errors: 6 */
export function identifierOf(text: string): Identifier {
  const id = u64OfText(text);
  if (id !== null && id <= U32_MAX) return { kind: 'id', id };
  const bytes = Buffer.byteLength(text);
  if (bytes === 0 || bytes > NAME_BYTES_MAX) throw new OperatingError(STATUS.invalidIdentifier);
  return { kind: 'name', name: text };
}

/** A u32 of a path or query. errors: RequestRefused 400 */
export function u32OfText(text: string, name: string): number {
  const value = u64OfText(text);
  if (value === null || value > U32_MAX) throw new RequestRefused(400, `${name} must be a u32`);
  return value;
}

/** Bytes of standard base64 with padding; null when it is none. */
function bytesOfBase64(text: string): Uint8Array | null {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/u.test(text)) return null;
  return Buffer.from(text, 'base64');
}

/** Parameters behind the question mark. Each at most once. errors: RequestRefused 400 */
export class Query {
  readonly #values: Readonly<Record<string, unknown>>;

  constructor(values: unknown) {
    this.#values = values as Readonly<Record<string, unknown>>;
  }

  text(name: string): string | null {
    const value = Object.hasOwn(this.#values, name) ? this.#values[name] : undefined;
    if (value === undefined) return null;
    if (typeof value !== 'string') throw new RequestRefused(400, `${name} is given twice`);
    return value;
  }

  u32(name: string): number | null {
    const text = this.text(name);
    return text === null ? null : u32OfText(text, name);
  }

  u64(name: string): number | null {
    const text = this.text(name);
    if (text === null) return null;
    const value = u64OfText(text);
    if (value === null) throw new RequestRefused(400, `${name} must be a u64`);
    return value;
  }

  bool(name: string): boolean | null {
    const text = this.text(name);
    if (text === null) return null;
    if (text !== 'true' && text !== 'false') {
      throw new RequestRefused(400, `${name} must be true or false`);
    }
    return text === 'true';
  }
}

/** The members of a JSON object. null is absent. errors: RequestRefused 422 with the path */
export class Members {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #path: string;

  constructor(value: unknown, path = '') {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new RequestRefused(422, `${path === '' ? 'body' : path} must be an object`);
    }
    this.#values = value as Readonly<Record<string, unknown>>;
    this.#path = path;
  }

  /** Name of a member with the way to it. */
  path(name: string): string {
    return this.#path === '' ? name : `${this.#path}.${name}`;
  }

  refuse(name: string, expected: string): never {
    throw new RequestRefused(422, `${this.path(name)} must be ${expected}`);
  }

  names(): string[] {
    return Object.keys(this.#values);
  }

  value(name: string): unknown {
    return (Object.hasOwn(this.#values, name) ? this.#values[name] : null) ?? null;
  }

  text(name: string): string {
    const value = this.value(name);
    // Half a surrogate pair has no place in UTF-8.
    return typeof value === 'string' && value.isWellFormed() ? value : this.refuse(name, 'a text');
  }

  optionalText(name: string): string | null {
    return this.value(name) === null ? null : this.text(name);
  }

  bool(name: string): boolean {
    const value = this.value(name);
    return typeof value === 'boolean' ? value : this.refuse(name, 'true or false');
  }

  u32(name: string): number {
    const value = u64Of(this.value(name));
    return value !== null && value <= U32_MAX ? value : this.refuse(name, 'a u32');
  }

  u64(name: string): number {
    return u64Of(this.value(name)) ?? this.refuse(name, 'a u64');
  }

  base64(name: string): Uint8Array {
    return bytesOfBase64(this.text(name)) ?? this.refuse(name, 'base64 with padding');
  }

  list(name: string): readonly unknown[] {
    const value = this.value(name);
    return Array.isArray(value) ? value : this.refuse(name, 'a list');
  }

  members(name: string): Members {
    return new Members(this.value(name), this.path(name));
  }

  optionalMembers(name: string): Members | null {
    return this.value(name) === null ? null : this.members(name);
  }

  /** One of the words, in any case; its own spelling. */
  word<W extends string>(name: string, words: readonly W[]): W {
    const text = this.text(name).toLowerCase();
    const found = words.find((word) => word.toLowerCase() === text);
    return found ?? this.refuse(name, `one of ${words.join(', ')}`);
  }

  /** A name of 1 to 255 bytes. errors: `status` */
  name(name: string, status: number): string {
    return this.textOf(name, { min: 1, max: NAME_BYTES_MAX, status });
  }

  /** A text with bounds for its bytes. errors: `status` */
  textOf(
    name: string,
    bounds: { readonly min: number; readonly max: number; readonly status: number },
  ): string {
    const text = this.text(name);
    const bytes = Buffer.byteLength(text);
    if (bytes < bounds.min || bytes > bounds.max) throw new OperatingError(bounds.status);
    return text;
  }
}
