import type { LoginReply } from '../commands/replies.ts';
import type { ClientVersion } from '../commands/requests.ts';
import { Reader } from '../reader.ts';
import { Writer } from '../writer.ts';

// Both logins are operation 1 and differ only in the shape behind the version, so the caller tries:
//
//   version     u32 packed | name SDK | name SDK version
//   password    name user | text8 password | text32 context
//   token       text8 token | text32 context
//
// Version first (fault: eviction 15), then its window (14), then the password form, and when that
// does not decode or is rejected the token form. Bytes behind a complete form are ignored.

/** Protocol version of this generation, 0.11.0. */
export const PROTOCOL_VERSION: number = packVersion(0, 11, 0);
/** Lowest version that may log in: any patch of 0.11. */
export const PROTOCOL_VERSION_MIN: number = packVersion(0, 11, 0);

export function packVersion(major: number, minor: number, patch: number): number {
  return major * 0x10_0000 + minor * 0x400 + patch;
}

/** Whether a client of this packed version may log in: same major and minor, any patch. */
export function acceptsVersion(packed: number): boolean {
  return packed >= PROTOCOL_VERSION_MIN && packed < PROTOCOL_VERSION_MIN + 0x400;
}

export interface PasswordForm {
  readonly username: string;
  readonly password: string;
  /** Free text of the client; null is none. */
  readonly context: string | null;
}
export interface TokenForm {
  readonly token: string;
  readonly context: string | null;
}

/**
 * The version at the head of a login body in bytes [at, end), or null when it does not decode.
 *
 * shape    formAt: where the form behind it starts, for the two decoders below
 */
export function decodeClientVersion(
  bytes: Uint8Array,
  at: number,
  end: number,
): { readonly version: ClientVersion; readonly formAt: number } | null {
  const reader = new Reader(bytes, at, end);
  const version = {
    protocolVersion: reader.u32(),
    sdkName: reader.name(),
    sdkVersion: reader.name(),
  };
  return reader.fault === null ? { version, formAt: reader.at } : null;
}

/** The form of a login by password, or null when the bytes are none. */
export function decodePasswordForm(
  bytes: Uint8Array,
  formAt: number,
  end: number,
): PasswordForm | null {
  const reader = new Reader(bytes, formAt, end);
  const form = {
    username: reader.name(),
    password: reader.text8(),
    context: readContext(reader),
  };
  return reader.fault === null ? form : null;
}

/** The form of a login by personal access token, or null when the bytes are none. */
export function decodeTokenForm(bytes: Uint8Array, formAt: number, end: number): TokenForm | null {
  const reader = new Reader(bytes, formAt, end);
  const form = { token: reader.text8(), context: readContext(reader) };
  return reader.fault === null ? form : null;
}

/** Body of a login by password or by token. */
export function encodeLogin(version: ClientVersion, form: PasswordForm | TokenForm): Uint8Array {
  const writer = new Writer();
  writer.u32(version.protocolVersion);
  writer.name(version.sdkName);
  writer.name(version.sdkVersion);
  if ('token' in form) {
    writer.text8(form.token);
  } else {
    writer.name(form.username);
    writer.text8(form.password);
  }
  writer.text32(form.context ?? '');
  return writer.finish();
}

function readContext(reader: Reader): string | null {
  const context = reader.text32();
  return context === '' ? null : context;
}

/** Body of the reply to a login that succeeded: an empty result section and who one is now. */
export function encodeLoginReply(reply: LoginReply): Uint8Array {
  const writer = new Writer();
  writer.u32(0);
  writer.u32(reply.userId);
  writer.u64(reply.session);
  writer.u32(reply.serverProtocolVersion);
  writer.name(reply.serverVersion);
  return writer.finish();
}

/** The payload of a login reply, behind its result section; null when it does not decode. */
export function decodeLoginReply(bytes: Uint8Array, at: number, end: number): LoginReply | null {
  const reader = new Reader(bytes, at, end);
  const reply = {
    userId: reader.u32(),
    session: reader.u64(),
    serverProtocolVersion: reader.u32(),
    serverVersion: reader.name(),
  };
  return reader.fault === null && reply.session > 0 ? reply : null;
}
