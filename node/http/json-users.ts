import type { UserDetailsReply, UserReply } from '@iggy-ts/wire/commands/replies';
import type {
  GlobalPermissions,
  Permissions,
  StreamPermissions,
  TopicPermissions,
} from '@iggy-ts/wire/commands/values';
import { optionsJson } from './json-values.ts';
import { type Members, u32OfText } from './request-values.ts';

// Users and permissions, both ways.

const GLOBAL = [
  ['manage_servers', 'manageServers'],
  ['read_servers', 'readServers'],
  ['manage_users', 'manageUsers'],
  ['read_users', 'readUsers'],
  ['manage_streams', 'manageStreams'],
  ['read_streams', 'readStreams'],
  ['manage_topics', 'manageTopics'],
  ['read_topics', 'readTopics'],
  ['poll_messages', 'pollMessages'],
  ['send_messages', 'sendMessages'],
] as const satisfies readonly (readonly [string, keyof GlobalPermissions])[];

const STREAM = [
  ['manage_stream', 'manageStream'],
  ['read_stream', 'readStream'],
  ['manage_topics', 'manageTopics'],
  ['read_topics', 'readTopics'],
  ['poll_messages', 'pollMessages'],
  ['send_messages', 'sendMessages'],
] as const satisfies readonly (readonly [string, keyof StreamPermissions])[];

const TOPIC = [
  ['manage_topic', 'manageTopic'],
  ['read_topic', 'readTopic'],
  ['poll_messages', 'pollMessages'],
  ['send_messages', 'sendMessages'],
] as const satisfies readonly (readonly [string, keyof TopicPermissions])[];

type Flags<Name extends string> = readonly (readonly [string, Name])[];

export function userJson(user: UserReply): object {
  const { id, createdAtUs, status, username } = user;
  return { id, created_at: createdAtUs, status, username, options: optionsJson(user.options, []) };
}

export function userDetailsJson(user: UserDetailsReply): object {
  const { id, createdAtUs, status, username } = user;
  const permissions = user.permissions === null ? null : permissionsJson(user.permissions);
  const options = optionsJson(user.options, []);
  return { id, created_at: createdAtUs, status, username, permissions, options };
}

function permissionsJson({ global, streams }: Permissions): object {
  return {
    global: flagsJson(global, GLOBAL),
    streams: mapJson(streams, (stream) => ({
      ...flagsJson(stream, STREAM),
      topics: mapJson(stream.topics, (topic) => flagsJson(topic, TOPIC)),
    })),
  };
}

function flagsJson<Name extends string>(
  flags: Readonly<Record<Name, boolean>>,
  names: Flags<Name>,
): Record<string, boolean> {
  return Object.fromEntries(names.map(([written, name]) => [written, flags[name]]));
}

function mapJson<T>(map: ReadonlyMap<number, T> | null, json: (value: T) => object): object | null {
  if (map === null) return null;
  return Object.fromEntries([...map].map(([id, value]) => [String(id), json(value)]));
}

/** The member `permissions` of a body: every flag is required. null: none. */
export function permissionsOf(body: Members): Permissions | null {
  const permissions = body.optionalMembers('permissions');
  if (permissions === null) return null;
  return {
    global: flagsOf(permissions.members('global'), GLOBAL),
    streams: mapOf(permissions.optionalMembers('streams'), (stream) => ({
      ...flagsOf(stream, STREAM),
      topics: mapOf(stream.optionalMembers('topics'), (topic) => flagsOf(topic, TOPIC)),
    })),
  };
}

function flagsOf<Name extends string>(members: Members, names: Flags<Name>): Record<Name, boolean> {
  const entries = names.map(([written, name]) => [name, members.bool(written)]);
  return Object.fromEntries(entries) as Record<Name, boolean>;
}

/** An empty map is none: the protocol cannot tell them apart. */
function mapOf<T>(
  members: Members | null,
  read: (value: Members) => T,
): ReadonlyMap<number, T> | null {
  if (members === null) return null;
  const entries = members
    .names()
    .map((name): [number, T] => [u32OfText(name, members.path(name)), read(members.members(name))])
    .sort(([a], [b]) => a - b);
  return entries.length === 0 ? null : new Map(entries);
}
