import assert from 'node:assert/strict';
import type {
  GlobalPermissions,
  Permissions,
  StreamPermissions,
  TopicPermissions,
} from '@iggy-ts/wire/commands/values';
import {
  type PermissionName,
  permits,
  ROOT_PERMISSIONS,
  sortedPermissions,
  withoutStream,
  withoutTopic,
} from './permissions.ts';

const NOTHING = Object.fromEntries(
  Object.keys(ROOT_PERMISSIONS.global).map((flag) => [flag, false]),
) as unknown as GlobalPermissions;
const NO_STREAM: StreamPermissions = {
  manageStream: false,
  readStream: false,
  manageTopics: false,
  readTopics: false,
  pollMessages: false,
  sendMessages: false,
  topics: null,
};
const NO_TOPIC: TopicPermissions = {
  manageTopic: false,
  readTopic: false,
  pollMessages: false,
  sendMessages: false,
};
const NAMES = [
  'servers',
  'usersRead',
  'usersManage',
  'streamsRead',
  'streamRead',
  'streamsManage',
  'streamManage',
  'topicsRead',
  'topicRead',
  'topicsManage',
  'topicManage',
  'poll',
  'send',
] as const satisfies readonly PermissionName[];

/** What each flag grants: the same table as in the code, read by its other side. */
const BY_GLOBAL: Record<keyof GlobalPermissions, readonly PermissionName[]> = {
  manageServers: ['servers'],
  readServers: ['servers'],
  manageUsers: ['usersRead', 'usersManage'],
  readUsers: ['usersRead'],
  manageStreams: [
    'streamsRead',
    'streamRead',
    'streamsManage',
    'streamManage',
    'topicsRead',
    'topicRead',
    'topicsManage',
    'topicManage',
    'poll',
    'send',
  ],
  readStreams: ['streamsRead', 'streamRead', 'topicsRead', 'topicRead', 'poll'],
  manageTopics: ['topicsRead', 'topicRead', 'topicsManage', 'topicManage', 'poll', 'send'],
  readTopics: ['topicsRead', 'topicRead', 'poll'],
  pollMessages: ['poll'],
  sendMessages: ['send'],
};
const BY_STREAM: Record<Exclude<keyof StreamPermissions, 'topics'>, readonly PermissionName[]> = {
  manageStream: [
    'streamRead',
    'streamManage',
    'topicsRead',
    'topicRead',
    'topicsManage',
    'topicManage',
    'poll',
    'send',
  ],
  readStream: ['streamRead', 'topicsRead', 'topicRead', 'poll'],
  manageTopics: ['topicsRead', 'topicRead', 'topicsManage', 'topicManage', 'poll', 'send'],
  readTopics: ['topicsRead', 'topicRead', 'poll'],
  pollMessages: ['poll'],
  sendMessages: ['send'],
};
const BY_TOPIC: Record<keyof TopicPermissions, readonly PermissionName[]> = {
  manageTopic: ['topicRead', 'topicManage', 'poll', 'send'],
  readTopic: ['topicRead', 'poll'],
  pollMessages: ['poll'],
  sendMessages: ['send'],
};

function granted(permissions: Permissions, streamId: number, topicId: number): PermissionName[] {
  return NAMES.filter((name) => permits(permissions, name, streamId, topicId));
}

function entries<K extends string>(record: Record<K, readonly PermissionName[]>) {
  return Object.entries(record) as [K, readonly PermissionName[]][];
}

describe('permits', () => {
  it('grants by every global flag what its row says, and nothing else', () => {
    for (const [flag, names] of entries(BY_GLOBAL)) {
      const permissions = { global: { ...NOTHING, [flag]: true }, streams: null };
      assert.deepEqual(granted(permissions, 3, 4), names, flag);
    }
  });

  it('grants by every flag of a stream what its row says, on that stream alone', () => {
    for (const [flag, names] of entries(BY_STREAM)) {
      const streams = new Map([[3, { ...NO_STREAM, [flag]: true }]]);
      const permissions = { global: NOTHING, streams };
      assert.deepEqual(granted(permissions, 3, 4), names, flag);
      assert.deepEqual(granted(permissions, 2, 4), []);
    }
  });

  it('grants by every flag of a topic what its row says, on that topic alone', () => {
    for (const [flag, names] of entries(BY_TOPIC)) {
      const topics = new Map([[4, { ...NO_TOPIC, [flag]: true }]]);
      const permissions = { global: NOTHING, streams: new Map([[3, { ...NO_STREAM, topics }]]) };
      assert.deepEqual(granted(permissions, 3, 4), names, flag);
      assert.deepEqual(granted(permissions, 3, 5), []);
      assert.deepEqual(granted(permissions, 4, 4), []);
    }
  });

  it('grants nothing without permissions, and what concerns no stream only by global flags', () => {
    for (const name of NAMES) assert.equal(permits(null, name, 0, 0), false);
    const streams = new Map([[0, { ...NO_STREAM, readStream: true }]]);
    assert.equal(permits({ global: NOTHING, streams }, 'streamRead', null, null), false);
  });

  it('lets the root user do everything', () => {
    for (const name of NAMES) assert(permits(ROOT_PERMISSIONS, name, null, null));
  });
});

describe('Permissions of deleted things', () => {
  const topics = new Map([
    [4, NO_TOPIC],
    [5, NO_TOPIC],
  ]);
  const permissions: Permissions = {
    global: NOTHING,
    streams: new Map([[3, { ...NO_STREAM, topics }]]),
  };

  it('go with the stream', () => {
    assert.deepEqual(withoutStream(permissions, 3), { global: NOTHING, streams: null });
    assert.equal(withoutStream(permissions, 4), permissions);
  });

  it('go with the topic, and no others with them', () => {
    const one = withoutTopic(permissions, { streamId: 3, topicId: 4 });
    assert.deepEqual([...(one.streams?.get(3)?.topics?.keys() ?? [])], [5]);
    const none = withoutTopic(one, { streamId: 3, topicId: 5 });
    assert.equal(none.streams?.get(3)?.topics, null);
    assert.equal(withoutTopic(permissions, { streamId: 2, topicId: 4 }), permissions);
    assert.equal(permissions.streams?.get(3)?.topics?.size, 2);
  });

  it('are kept in ascending order of ids', () => {
    const backwards: Permissions = {
      global: NOTHING,
      streams: new Map([
        [7, { ...NO_STREAM, topics: new Map([...topics].reverse()) }],
        [3, NO_STREAM],
      ]),
    };
    const { streams } = sortedPermissions(backwards);
    assert.deepEqual([...streams!.keys()], [3, 7]);
    assert.deepEqual([...streams!.get(7)!.topics!.keys()], [4, 5]);
  });
});
