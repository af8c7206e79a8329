import assert from 'node:assert/strict';
import { PARTITION_ID_RESYNC } from '@iggy-ts/wire/commands/replies';
import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import type { PartitionGroup } from '../cluster/port.ts';
import {
  type Client,
  codeOf,
  evictionOf,
  GROUP,
  granting,
  id,
  makeTopic,
  NEXT,
  name,
  type PolledTexts,
  World,
} from './world.ts';

const TOPIC = { streamId: id(0), topicId: id(0) };
const GROUP_ID = { ...TOPIC, groupId: id(0) };

describe('consumer groups', () => {
  let world: World;
  let first: Client;

  beforeEach(async () => {
    world = await World.start();
    first = await world.login();
    await makeTopic(first, 4);
    await first.done({ kind: 'createConsumerGroup', ...TOPIC, name: 'g' });
  });

  afterEach(async () => {
    await world.stop();
  });

  async function joined(client: Client): Promise<Client> {
    await client.done({ kind: 'joinConsumerGroup', ...GROUP_ID });
    return client;
  }

  async function newMember(): Promise<Client> {
    return joined(await world.login());
  }

  async function sync(client: Client): Promise<readonly number[] | null> {
    const reply = await client.connection.read({ kind: 'syncConsumerGroup', ...GROUP_ID });
    return reply === null ? null : reply.partitions;
  }

  async function generation(client: Client): Promise<number> {
    const reply = await client.connection.read({ kind: 'syncConsumerGroup', ...GROUP_ID });
    return reply!.generation;
  }

  function poll(client: Client, partitionId: number | null, auto = false): Promise<PolledTexts> {
    return client.poll({ consumer: GROUP, partitionId, strategy: NEXT, autoCommit: auto });
  }

  async function fill(): Promise<void> {
    for (let partitionId = 0; partitionId < 4; partitionId += 1) {
      await first.send(['a', 'b'], { partitioning: { kind: 'partition', partitionId } });
    }
  }

  function partition(partitionId: number): PartitionGroup {
    const topic = world.store.metadata.state.findTopic(0, id(0))!;
    return world.store.partition(topic.partitions[partitionId]!.uuid)!;
  }

  describe('members and their shares', () => {
    it('say no when the group or the membership is missing', async () => {
      const missing = { ...TOPIC, groupId: id(9) };
      for (const kind of [
        'joinConsumerGroup',
        'deleteConsumerGroup',
        'leaveConsumerGroup',
      ] as const) {
        assert.equal((await first.execute({ kind, ...missing })).code, 5000);
        const noTopic = { ...missing, topicId: id(9) };
        assert.equal((await first.execute({ kind, ...noTopic })).code, STATUS.topicIdNotFound);
        const noStream = { ...missing, streamId: id(9) };
        assert.equal((await first.execute({ kind, ...noStream })).code, STATUS.streamIdNotFound);
      }
      const left = await first.execute({ kind: 'leaveConsumerGroup', ...GROUP_ID });
      assert.equal(left.code, STATUS.consumerGroupMemberNotFound);
      const again = await first.execute({ kind: 'createConsumerGroup', ...TOPIC, name: 'g' });
      assert.equal(again.code, STATUS.consumerGroupNameAlreadyExists);
      assert.equal(await sync(first), null);
      const nothing = { ...missing, kind: 'syncConsumerGroup' } as const;
      assert.equal(await first.connection.read(nothing), null);
      assert.equal(await first.connection.read({ ...nothing, topicId: id(9) }), null);
    });

    it('need the right to read the topic, syncing needs none', async () => {
      const nobody = await world.loginAs(first, 'nobody', null);
      const join = await nobody.execute({ kind: 'joinConsumerGroup', ...GROUP_ID });
      assert.equal(join.code, STATUS.unauthorized);
      assert.equal(await sync(nobody), null);
      const reader = await world.loginAs(first, 'reader', granting('readTopics'));
      assert.equal((await reader.execute({ kind: 'joinConsumerGroup', ...GROUP_ID })).code, 0);
    });

    it('are halves for two, quarters for four, and nothing for a fifth', async () => {
      await joined(first);
      assert.deepEqual(await sync(first), [0, 1, 2, 3]);
      const second = await newMember();
      assert.deepEqual(
        [await sync(first), await sync(second)],
        [
          [0, 1],
          [3, 2],
        ],
      );
      const others = [await newMember(), await newMember()];
      const shares = await Promise.all([first, second, ...others].map(sync));
      assert.deepEqual(shares.flatMap((share) => share!).sort(), [0, 1, 2, 3]);
      assert(shares.every((share) => share!.length === 1));
      // A member with nothing gets an empty list, not "you are no member".
      assert.deepEqual(await sync(await newMember()), []);
    });

    it('spread over 16 members that join at the same time, one each', async () => {
      const partitionsCount = 16;
      const topic = { streamId: id(0), partitionsCount, name: 'wide', options: [] };
      await first.done({ kind: 'createTopic', ...topic });
      const group = { streamId: id(0), topicId: name('wide') };
      await first.done({ kind: 'createConsumerGroup', ...group, name: 'g' });
      const clients = await Promise.all(Array.from({ length: 16 }, () => world.login()));
      const join = { kind: 'joinConsumerGroup', ...group, groupId: name('g') } as const;
      await Promise.all(clients.map((client) => client.done(join)));
      const command = { ...join, kind: 'syncConsumerGroup' } as const;
      const shares = await Promise.all(clients.map(({ connection }) => connection.read(command)));
      assert(shares.every((share) => share!.partitions.length === 1));
      assert.equal(new Set(shares.flatMap((share) => share!.partitions)).size, 16);
    });

    it('do not change when a member joins again', async () => {
      await joined(first);
      await newMember();
      const before = await generation(first);
      await joined(first);
      assert.equal(await generation(first), before);
    });

    it('are dealt anew when a member leaves or its socket closes', async () => {
      await joined(first);
      const second = await newMember();
      const third = await newMember();
      await third.done({ kind: 'leaveConsumerGroup', ...GROUP_ID });
      assert.deepEqual(
        [await sync(first), await sync(second)],
        [
          [0, 2],
          [1, 3],
        ],
      );
      assert.equal(await sync(third), null);
      second.connection.close();
      // The logout is proposed before this.
      await third.done({ kind: 'createStream', name: 'later', options: [] });
      assert.deepEqual(await sync(first), [0, 1, 2, 3]);
    });

    it('are dealt anew when partitions come and go', async () => {
      await joined(first);
      const second = await newMember();
      await first.done({ kind: 'createPartitions', ...TOPIC, partitionsCount: 2 });
      assert.deepEqual(
        [await sync(first), await sync(second)],
        [
          [0, 2, 4],
          [1, 3, 5],
        ],
      );
      await first.done({ kind: 'deletePartitions', ...TOPIC, partitionsCount: 5 });
      assert.deepEqual([await sync(first), await sync(second)], [[0], []]);
    });

    it('are shown by member number, with everything a client belongs to', async () => {
      await joined(first);
      const second = await newMember();
      const details = await first.connection.read({ kind: 'getConsumerGroup', ...GROUP_ID });
      assert.deepEqual(details, {
        id: 0,
        partitionsCount: 4,
        membersCount: 2,
        name: 'g',
        members: [
          { id: 0, partitions: [0, 1] },
          { id: 1, partitions: [3, 2] },
        ],
      });
      const me = await second.connection.read({ kind: 'getMe' });
      assert.deepEqual(me.consumerGroups, [{ streamId: 0, topicId: 0, groupId: 0 }]);
      assert.equal(me.consumerGroupsCount, 1);
    });
  });

  describe('the fence of polls', () => {
    it('tells everybody but the owner to synchronise, also for a group that is gone', async () => {
      await fill();
      await joined(first);
      const second = await newMember();
      assert.deepEqual((await poll(first, 0)).texts, ['a', 'b']);
      assert.equal((await poll(second, 0)).partitionId, PARTITION_ID_RESYNC);
      const stranger = await world.login();
      for (const polled of [await poll(stranger, 0), await poll(stranger, null)]) {
        assert.deepEqual(
          [polled.partitionId, polled.currentOffset, polled.texts],
          [PARTITION_ID_RESYNC, 0, []],
        );
      }
      const http = await world.broker
        .actAs(0)
        .poll(first.pollCommand({ consumer: GROUP, partitionId: 0 }));
      assert.equal(first.decode(http).partitionId, PARTITION_ID_RESYNC);
      await first.done({ kind: 'deleteConsumerGroup', ...GROUP_ID });
      assert.equal((await poll(first, 0)).partitionId, PARTITION_ID_RESYNC);
      assert.equal(await codeOf(poll(first, 4)), STATUS.partitionNotFound);
    });

    it('serves a member that names no partition round robin from its assignment', async () => {
      await fill();
      await joined(first);
      await newMember();
      const places: number[] = [];
      for (let turn = 0; turn < 4; turn += 1) {
        places.push((await poll(first, null, true)).partitionId);
      }
      assert.deepEqual(places, [0, 1, 0, 1]);
      const others = [await newMember(), await newMember(), await newMember()];
      const { partitionId, texts } = await poll(others.at(-1)!, null);
      assert.deepEqual([partitionId, texts], [0, []]);
    });

    it('is looked at again when the read took a while', async () => {
      await fill();
      await joined(first);
      const second = await newMember();
      const slow = partition(1);
      const gate = Promise.withResolvers<void>();
      const { read } = slow;
      Object.assign(slow, {
        read: async (...args: Parameters<typeof read>) => {
          await gate.promise;
          return read.apply(slow, args);
        },
      });
      // 1. first begins to read partition 1  2. second leaves and comes back, everything is dealt
      // anew in between  3. the read ends: partition 1 is second's.
      const polled = poll(first, 1, true);
      await first.done({ kind: 'leaveConsumerGroup', ...GROUP_ID });
      await joined(first);
      assert((await sync(second))!.includes(1));
      gate.resolve();
      assert.equal((await polled).partitionId, PARTITION_ID_RESYNC);
      assert.equal(slow.storedOffset('group', 0), null);
      Object.assign(slow, { read });
    });

    it('lets a poll wait for a join that is under way', async () => {
      await fill();
      await joined(first);
      const second = await world.login();
      const { metadata } = world.store;
      const { propose } = metadata;
      const gate = Promise.withResolvers<void>();
      Object.assign(metadata, {
        propose: async (...args: Parameters<typeof propose>) => {
          await gate.promise;
          return propose.apply(metadata, args);
        },
      });
      // 1. the join sees nothing in flight  2. the owner polls partition 3  3. the join is executed
      // and moves it: what was served in 2 would be served to second as well.
      const joining = second.done({ kind: 'joinConsumerGroup', ...GROUP_ID });
      const polling = Promise.all([poll(first, 3), poll(first, 0)]);
      for (let turn = 0; turn < 10; turn += 1) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      gate.resolve();
      const [early, kept] = await polling;
      await joining;
      Object.assign(metadata, { propose });
      assert.equal(early.partitionId, PARTITION_ID_RESYNC);
      assert.deepEqual(kept.texts, ['a', 'b']);
      assert.deepEqual((await poll(second, 3)).texts, ['a', 'b']);
    });
  });

  describe('partitions that change hands', () => {
    it('move at once when nobody polled them, later when what was polled is stored', async () => {
      await fill();
      await joined(first);
      assert.deepEqual((await poll(first, 3)).texts, ['a', 'b']);
      const second = await newMember();
      // 2 was not polled and moved; 3 is pending: nobody may poll it, its owner may still store.
      assert.deepEqual([await sync(first), await sync(second)], [[0, 1], [2]]);
      assert.equal((await poll(first, 3)).partitionId, PARTITION_ID_RESYNC);
      assert.equal((await poll(second, 3)).partitionId, PARTITION_ID_RESYNC);
      assert.equal(await codeOf(second.store(GROUP, 3, 1)), STATUS.consumerGroupPartitionNotOwned);
      await first.store(GROUP, 3, 0);
      await settled();
      assert.deepEqual(await sync(second), [2]);
      const before = await generation(second);
      await first.store(GROUP, 3, 1);
      await settled();
      assert.deepEqual(await sync(second), [2, 3]);
      assert.equal(await generation(second), before + 1);
      assert.deepEqual((await poll(second, 3)).texts, []);
    });

    it('are not in flight when the poll committed by itself', async () => {
      await fill();
      await joined(first);
      await poll(first, 3, true);
      const second = await newMember();
      assert.deepEqual(await sync(second), [3, 2]);
      assert.deepEqual((await poll(second, 3)).texts, []);
    });

    it('are not in flight when the poll found nothing', async () => {
      await joined(first);
      assert.deepEqual((await poll(first, 3)).texts, []);
      assert.deepEqual(await sync(await newMember()), [3, 2]);
    });

    it('are in flight while a poll reads, and move when it found nothing', async () => {
      await joined(first);
      await first.send(['a'], { partitioning: { kind: 'partition', partitionId: 3 } });
      const slow = partition(3);
      const gate = Promise.withResolvers<void>();
      const { read } = slow;
      Object.assign(slow, {
        read: async () => {
          await gate.promise;
          return null;
        },
      });
      const polled = poll(first, 3);
      const second = await newMember();
      assert.deepEqual(await sync(second), [2]);
      gate.resolve();
      await polled;
      Object.assign(slow, { read });
      await settled();
      assert.deepEqual(await sync(second), [2, 3]);
    });

    it('are taken after the timeout, and what was not stored is delivered again', async () => {
      await fill();
      await joined(first);
      await poll(first, 3);
      const second = await newMember();
      for (let second_ = 0; second_ < 29; second_ += 1) {
        world.rig.clock.pass(1000);
        await settled();
      }
      assert.deepEqual(await sync(second), [2]);
      first.connection.touch();
      second.connection.touch();
      world.rig.clock.pass(1000);
      await settled();
      assert.deepEqual(await sync(second), [2, 3]);
      assert.equal(await codeOf(first.store(GROUP, 3, 1)), STATUS.consumerGroupPartitionNotOwned);
      assert.deepEqual((await poll(second, 3)).texts, ['a', 'b']);
    });

    it('go to whoever is left when the owner or the target goes', async () => {
      await fill();
      await joined(first);
      await poll(first, 3);
      const second = await newMember();
      await second.connection.logout();
      assert.deepEqual(await sync(first), [0, 1, 2, 3]);
      assert.deepEqual((await poll(first, 3)).texts, ['a', 'b']);
      const third = await newMember();
      await first.connection.logout();
      assert.deepEqual(await sync(third), [0, 1, 2, 3]);
      assert.deepEqual((await poll(third, 3)).texts, ['a', 'b']);
      // Nothing that is pending is completed for somebody else later.
      world.rig.clock.pass(31_000);
      await settled();
      assert.deepEqual(await sync(third), [0, 1, 2, 3]);
    });

    it("of a group that is deleted are nobody's, and the check goes on", async () => {
      await fill();
      await joined(first);
      await poll(first, 3);
      await newMember();
      await first.done({ kind: 'deleteConsumerGroup', ...GROUP_ID });
      world.rig.clock.pass(31_000);
      await settled();
      assert.equal(await sync(first), null);
    });

    it('are not read for a group that is deleted meanwhile, nor handed over in it', async () => {
      await fill();
      await joined(first);
      const slow = partition(3);
      const gate = Promise.withResolvers<void>();
      const { read } = slow;
      Object.assign(slow, {
        read: async (...args: Parameters<typeof read>) => {
          await gate.promise;
          return read.apply(slow, args);
        },
      });
      const { metadata } = world.store;
      const { propose } = metadata;
      const kinds: string[] = [];
      Object.assign(metadata, {
        propose: (...args: Parameters<typeof propose>) => {
          kinds.push(args[0].kind);
          return propose.apply(metadata, args);
        },
      });
      const polled = poll(first, 3, true);
      await newMember();
      await first.done({ kind: 'deleteConsumerGroup', ...GROUP_ID });
      gate.resolve();
      assert.equal((await polled).partitionId, PARTITION_ID_RESYNC);
      assert.equal(slow.storedOffset('group', 0), null);
      await settled();
      assert(!kinds.includes('completeRevocations'));
      Object.assign(slow, { read });
      Object.assign(metadata, { propose });
    });

    it('are free of marks after a purge', async () => {
      await fill();
      await joined(first);
      await poll(first, 3);
      await first.done({ kind: 'purgeTopic', ...TOPIC });
      const second = await newMember();
      assert.deepEqual(await sync(second), [3, 2]);
    });

    it('are handed over later when the op could not be carried out at first', async () => {
      await fill();
      await joined(first);
      await poll(first, 3);
      const second = await newMember();
      const { metadata } = world.store;
      const { propose } = metadata;
      let failures = 0;
      Object.assign(metadata, {
        propose: (...args: Parameters<typeof propose>) => {
          if (args[0].kind !== 'completeRevocations') return propose.apply(metadata, args);
          failures += 1;
          return Promise.reject(new OperatingError(STATUS.transientNotAccepted));
        },
      });
      await first.store(GROUP, 3, 1);
      await settled();
      assert.equal(failures, 1);
      Object.assign(metadata, { propose });
      world.rig.clock.pass(1000);
      await settled();
      assert.deepEqual(await sync(second), [2, 3]);
    });

    it('deliver nothing to two members while many join and everybody polls', async () => {
      const topic = world.store.metadata.state.findTopic(0, id(0))!;
      for (const { id: partitionId } of topic.partitions) {
        for (let turn = 0; turn < 5; turn += 1) {
          await first.send([`${partitionId}.${turn}`], {
            partitioning: { kind: 'partition', partitionId },
          });
        }
      }
      const members = [await joined(first)];
      const seen: string[] = [];
      for (let round = 0; round < 12; round += 1) {
        const joining = round < 3 ? world.login().then(joined) : null;
        await Promise.all(
          members.map(async (member) => {
            const polled = await poll(member, null, true);
            seen.push(...polled.texts);
          }),
        );
        if (joining !== null) members.push(await joining);
      }
      assert.equal(seen.length, 20);
      assert.equal(new Set(seen).size, 20);
    });
  });

  it('cannot be joined or left without a session', async () => {
    const http = world.broker.actAs(0);
    for (const kind of ['joinConsumerGroup', 'leaveConsumerGroup'] as const) {
      const code = await codeOf(http.execute({ kind, ...GROUP_ID }, null));
      assert.equal(code, STATUS.featureUnavailable);
    }
    const gone = world.connect();
    assert.equal(await evictionOf(gone.execute({ kind: 'joinConsumerGroup', ...GROUP_ID })), 1);
  });

  /** Until an op that a request has set off behind it is applied. */
  async function settled(): Promise<void> {
    const op = { kind: 'cleanTokens', caller: null } as const;
    await new Promise((resolve) => setImmediate(resolve));
    await world.store.metadata.propose(op, null);
    await new Promise((resolve) => setImmediate(resolve));
  }
});
