import assert from 'node:assert/strict';

// Plain values as canonical JSON text: the same value gives the same bytes, whatever order its keys
// were written in. What JSON lacks is an array whose first item is a tag:
//
//   ["inf"]                Infinity
//   ["b", "base64"]        Uint8Array
//   ["m", [[key, value]]]  Map, in its own order
//   ["a", item, ...]       any array

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

/** Encodes null, booleans, numbers, strings, arrays, maps, bytes and plain objects of these. */
export function encodeValue(value: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(toJson(value)));
}

/** The value that was encoded, exactly. Asserts on anything else. Bytes are copies. */
export function decodeValue(bytes: Uint8Array): unknown {
  let json: Json;
  try {
    json = JSON.parse(decoder.decode(bytes)) as Json;
  } catch (cause) {
    throw new assert.AssertionError({ message: `a stored value does not parse: ${cause}` });
  }
  return fromJson(json);
}

function toJson(value: unknown): Json {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
  if (typeof value === 'number') {
    if (value === Number.POSITIVE_INFINITY) return ['inf'];
    assert(Number.isFinite(value) && !Object.is(value, -0));
    return value;
  }
  assert(typeof value === 'object');
  if (Array.isArray(value)) return ['a', ...value.map(toJson)];
  if (value instanceof Uint8Array) return ['b', value.toBase64()];
  if (value instanceof Map) {
    return ['m', [...value].map(([key, item]): Json => [toJson(key), toJson(item)])];
  }
  const fields: { [key: string]: Json } = {};
  for (const key of Object.keys(value).sort()) {
    const field = (value as { readonly [key: string]: unknown })[key];
    if (field !== undefined) fields[key] = toJson(field);
  }
  return fields;
}

function fromJson(json: Json): unknown {
  if (json === null || typeof json !== 'object') return json;
  if (!Array.isArray(json)) {
    const fields: { [key: string]: unknown } = {};
    for (const [key, field] of Object.entries(json)) fields[key] = fromJson(field);
    return fields;
  }
  const [tag, rest] = json as readonly Json[];
  switch (tag) {
    case 'inf':
      return Number.POSITIVE_INFINITY;
    case 'a':
      return json.slice(1).map(fromJson);
    case 'b':
      assert(typeof rest === 'string');
      return Uint8Array.fromBase64(rest);
    case 'm':
      assert(Array.isArray(rest));
      return new Map(rest.map(([key, item]: Json[]) => [fromJson(key!), fromJson(item!)]));
    default:
      return assert.fail('a stored value has an unknown tag');
  }
}
